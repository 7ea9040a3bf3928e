//! Rows divided in ranges, in files, give what one search in memory gives.

use std::fs;
use std::path::{Path, PathBuf};

use longweave_common::{Code, Ctx};
use longweave_neighbours::{
    Centroids, Divided, Division, ListSums, Lists, Part, Query, Recall, Sample, Search, VectorSet,
    best_of, nearest, nearest_of_lists, probes, recall,
};
use longweave_storage::{ArrayFile, write_array};
use proptest::prelude::*;

use crate::ctx;
use crate::search::clustered;

const K: usize = 7;
const SEARCH: Search = Search::Inverted { lists: Some(40), probes: Some(5) };

/// The rows of a set, in columns of `size` rows.
fn columns(set: &VectorSet, size: usize, folder: &Path) -> Vec<PathBuf> {
    let rows: Vec<u32> = (0..set.rows() as u32).collect();
    let write = |(number, rows): (usize, &[u32])| {
        let (path, mut data) = (folder.join(format!("{number}.all")), Vec::new());
        set.pick(rows, &mut data).unwrap();
        write_array(&path, &data).unwrap();
        path
    };
    rows.chunks(size).enumerate().map(write).collect()
}

fn set(ctx: &Ctx, dims: usize, paths: &[PathBuf]) -> VectorSet {
    let columns = paths.iter().map(|path| ArrayFile::open(path).unwrap()).collect();
    VectorSet::open(ctx, dims, columns).unwrap()
}

/// Divides one column; its rows begin with number `first`.
fn divide(
    ctx: &Ctx,
    path: &Path,
    first: u32,
    owners: Option<&[u32]>,
    centroids: &Centroids,
    probes: usize,
    dims: usize,
) -> Part {
    let set = set(ctx, dims, &[path.to_owned()]);
    let division = Division::of(ctx, &set, centroids, probes, None).unwrap();
    let number = |row: u32| {
        let number = first + row;
        [number, owners.map_or(number, |owners| owners[number as usize])]
    };
    let rows: Vec<u32> = division.rows().iter().flat_map(|&row| number(row)).collect();
    let (mut nearest, mut vectors) = (Vec::new(), Vec::new());
    division
        .nearest(&mut |some| {
            nearest.extend_from_slice(some);
            Ok(())
        })
        .unwrap();
    division
        .vectors(&mut |some| {
            vectors.extend_from_slice(some);
            Ok(())
        })
        .unwrap();
    let lists = division.lists().clone();
    let mut sums = Vec::new();
    for (column, width) in [(&rows, 2), (&nearest, probes)] {
        let mut own = ListSums::new(&lists, width);
        column.chunks(11).for_each(|some| own.take(some));
        sums.extend(own.finish());
    }
    let mut own = ListSums::new(&lists, dims);
    own.take(&vectors);
    sums.extend(own.finish());
    let paths = ["rows", "nearest", "vectors"].map(|kind| path.with_extension(kind));
    write_array(&paths[0], &rows).unwrap();
    write_array(&paths[1], &nearest).unwrap();
    write_array(&paths[2], &vectors).unwrap();
    Part::open(lists, paths, sums, probes, dims).unwrap()
}

/// The neighbours that groups of `group` lists find, put together.
fn searched(ctx: &Ctx, divided: &Divided, rows: usize, group: usize) -> Lists {
    let mut lists = Lists { k: K, ids: vec![u32::MAX; rows * K], similarities: vec![0; rows * K] };
    for start in (0..divided.lists()).step_by(group) {
        let range = start..divided.lists().min(start + group);
        nearest_of_lists(ctx, divided, range, K, group, |rows, ids, similarities| {
            for (i, &row) in rows.iter().enumerate() {
                let place = row as usize * K..(row as usize + 1) * K;
                lists.ids[place.clone()].copy_from_slice(&ids[i * K..(i + 1) * K]);
                lists.similarities[place].copy_from_slice(&similarities[i * K..(i + 1) * K]);
            }
            Ok(())
        })
        .unwrap();
    }
    lists
}

proptest! {
    // Each case makes several files durable.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn ranges_of_rows_and_groups_of_lists_give_what_one_search_gives(
        rows in 50usize..900, size in 40usize..400, group in 1usize..50, owned: bool, memory in prop::sample::select(vec![1u64 << 14, 1 << 24])
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (ctx, dims) = (Ctx::new(2, memory).unwrap(), 24);
        let owners: Option<Vec<u32>> = owned.then(|| (0..rows as u32).map(|i| i / 3).collect());
        let owners = owners.as_deref();
        let paths = columns(&clustered(rows, dims, 30), size, folder.path());
        let all = set(&ctx, dims, &paths);
        let query = Query { vectors: &all, owners, k: K, search: SEARCH, seed: 3 };
        let expected = nearest(&ctx, &query).unwrap();
        let centroids = Centroids::fit(&ctx, &all, Some(40), 3).unwrap();
        let probes = probes(Some(5), centroids.lists());
        let sample = Sample::draw(&ctx, &query, 20).unwrap();
        let sample = Sample::from_parts(dims, sample.numbers().to_vec(), sample.vectors().to_vec()).unwrap();
        let (mut parts, mut best) = (Vec::new(), vec![Vec::new(); sample.rows().count()]);
        for (i, path) in paths.iter().enumerate() {
            let first = i * size;
            parts.push(divide(&ctx, path, first as u32, owners, &centroids, probes, dims));
            let own = set(&ctx, dims, &paths[i..i + 1]);
            let own_owners = owners.map(|owners| &owners[first..rows.min(first + size)]);
            let found = sample.nearest_in(&ctx, &own, first as u32, own_owners, K).unwrap();
            for (best, found) in best.iter_mut().zip(found.chunks_exact(K)) {
                best.extend_from_slice(found);
            }
        }
        let divided = Divided::new(parts, dims, probes);
        prop_assert_eq!(divided.rows() as usize, all.present().len());
        let found = searched(&ctx, &divided, rows, group);
        prop_assert!(found == expected);
        let mut parted = Recall::default();
        for (row, best) in sample.rows().zip(&best) {
            let list: Vec<u32> = found.get(row as usize).map(|(id, _)| id).collect();
            parted.add(&best_of(K, best), &list);
        }
        prop_assert_eq!(parted, recall(&ctx, &query, &expected, 20).unwrap());
    }
}

#[test]
fn a_changed_byte_of_any_list_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (ctx, dims) = (ctx(2), 24);
    let paths = columns(&clustered(300, dims, 30), 150, folder.path());
    let centroids = Centroids::fit(ctx, &set(ctx, dims, &paths), Some(10), 3).unwrap();
    let part = |i: usize| divide(ctx, &paths[i], i as u32 * 150, None, &centroids, 10, dims);
    let divided = Divided::new(vec![part(0), part(1)], dims, 10);
    let search = || nearest_of_lists(ctx, &divided, 0..10, K, 1, |_, _, _| Ok(()));
    search().unwrap();
    for kind in ["rows", "nearest", "vectors"] {
        let path = paths[1].with_extension(kind);
        let good = fs::read(&path).unwrap();
        for at in [32, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let error = search().unwrap_err();
            assert_eq!(error.code(), Code::FileCorrupt, "{kind} {at}");
            assert!(error.message().contains(&*path.to_string_lossy()), "{error}");
        }
        fs::write(&path, &good).unwrap();
    }
    search().unwrap();
}
