//! The lists of a finished neighbours stage, as planning reads them: in memory where they take at
//! most half of `memory`, else from the files of its tasks.

use std::path::PathBuf;

use longweave_common::{Code, Error};
use longweave_plan::{Method, NeighbourIds, NeighbourLists, Neighbours};
use longweave_storage::{ArrayFile, read_array};
use rayon::prelude::*;

use crate::neighbours::{count, names};
use crate::prelude::*;
use crate::vectors;

/// No neighbour in this place of a list; no list of this vector.
const NONE: u32 = u32::MAX;

/// The lists; `None` where the method asks for none.
///
/// Errors: `FILE_CORRUPT`.
pub(crate) fn open(ctx: &Ctx, run: &RunContext) -> Result<Option<Box<dyn NeighbourLists>>> {
    let Some(k) = run.options().neighbour_depth() else { return Ok(None) };
    let (rows, k) = (vectors::count_units(run)? as usize, k as usize);
    let tasks: Vec<TaskFiles> =
        (0..count(run)?).map(|task| TaskFiles { names: names(run, task), rows, k }).collect();
    let fits = (rows * k) as u64 * size_of::<u32>() as u64 <= ctx.budget.limit() / 2;
    Ok(Some(match &run.options().method.own {
        Method::Iclm(_) => Box::new(with_similarities(&tasks, rows, k)?),
        _ if fits => Box::new(NeighbourIds::new(k, held_ids(&tasks, rows, k)?)),
        _ => Box::new(ListFiles::open(ctx, tasks, rows, k)?),
    }))
}

/// The files of a task: of which vectors it has lists, and the lists.
#[derive(Debug)]
struct TaskFiles {
    names: [PathBuf; 3],
    /// Vectors of all tasks.
    rows: usize,
    k: usize,
}

impl TaskFiles {
    fn corrupt(&self) -> Error {
        let message = format!(
            "{} does not fit the vectors; delete the neighbours stage's folder and run again",
            self.names[0].display()
        );
        Error::new(Code::FileCorrupt, message)
    }

    fn own_rows(&self) -> Result<Vec<u32>> {
        let own = read_array::<u32>(&self.names[0])?;
        let fits = own.iter().all(|&row| (row as usize) < self.rows);
        if fits { Ok(own) } else { Err(self.corrupt()) }
    }

    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let fits = ids.iter().all(|&id| id == NONE || (id as usize) < self.rows);
        if fits { Ok(()) } else { Err(self.corrupt()) }
    }

    /// The ids of the lists of `own` rows.
    fn ids(&self, own: &[u32]) -> Result<Vec<u32>> {
        let ids = read_array::<u32>(&self.names[1])?;
        self.check_ids(&ids)?;
        if ids.len() == own.len() * self.k { Ok(ids) } else { Err(self.corrupt()) }
    }
}

/// Puts the lists of `own` rows in their places among all.
fn place<T: Copy>(own: &[u32], k: usize, lists: &[T], all: &mut [T]) {
    for (&row, list) in own.iter().zip(lists.chunks_exact(k)) {
        all[row as usize * k..][..k].copy_from_slice(list);
    }
}

fn held_ids(tasks: &[TaskFiles], rows: usize, k: usize) -> Result<Vec<u32>> {
    let mut all = vec![NONE; rows * k];
    for task in tasks {
        let own = task.own_rows()?;
        place(&own, k, &task.ids(&own)?, &mut all);
    }
    Ok(all)
}

fn with_similarities(tasks: &[TaskFiles], rows: usize, k: usize) -> Result<Neighbours> {
    let (mut ids, mut similarities) = (vec![NONE; rows * k], vec![0; rows * k]);
    for task in tasks {
        let own = task.own_rows()?;
        let (own_ids, own_similarities) = (task.ids(&own)?, read_array::<i32>(&task.names[2])?);
        if own_similarities.len() != own_ids.len() {
            return Err(task.corrupt());
        }
        place(&own, k, &own_ids, &mut ids);
        place(&own, k, &own_similarities, &mut similarities);
    }
    Neighbours::new(k, ids, similarities)
}

/// Lists that stay in their files. Costs 4 bytes a vector.
#[derive(Debug)]
struct ListFiles {
    tasks: Vec<TaskFiles>,
    /// Lists of the tasks before each.
    first: Vec<u32>,
    /// Of each vector, the number of its list through all tasks.
    places: Vec<u32>,
    any: bool,
    k: usize,
}

impl ListFiles {
    /// Reads all of them once, to compare their checksums.
    fn open(ctx: &Ctx, tasks: Vec<TaskFiles>, rows: usize, k: usize) -> Result<ListFiles> {
        let check = |task: &TaskFiles| -> Result<(Vec<u32>, bool)> {
            ctx.cancel.check()?;
            let (own, ids) = (task.own_rows()?, ArrayFile::<u32>::open(&task.names[1])?);
            let mut any = false;
            ids.scan(|ids| {
                any |= ids.iter().any(|&id| id != NONE);
                task.check_ids(ids)
            })?;
            let fits = ids.len() == (own.len() * k) as u64;
            if fits { Ok((own, any)) } else { Err(task.corrupt()) }
        };
        let (mut places, mut first, mut before) = (vec![NONE; rows], Vec::new(), 0u32);
        let mut found = false;
        for some in tasks.chunks(ctx.pool.current_num_threads()) {
            let checked: Vec<_> = ctx.pool.install(|| some.par_iter().map(check).collect());
            for (task, checked) in some.iter().zip(checked) {
                let (own, any) = checked?;
                first.push(before);
                found |= any;
                for row in own {
                    places[row as usize] = before;
                    before = before.checked_add(1).ok_or_else(|| task.corrupt())?;
                }
            }
        }
        Ok(ListFiles { tasks, first, places, any: found, k })
    }
}

impl NeighbourLists for ListFiles {
    fn lists(&self) -> usize {
        self.places.len()
    }

    fn depth(&self) -> usize {
        self.k
    }

    fn any(&self) -> bool {
        self.any
    }

    fn read(&self, rows: &[u32]) -> Result<NeighbourIds> {
        let mut ids = vec![NONE; rows.len() * self.k];
        let mut wanted: Vec<(u32, &mut [u32])> = rows
            .iter()
            .map(|&row| self.places[row as usize])
            .zip(ids.chunks_exact_mut(self.k))
            .filter(|&(place, _)| place != NONE)
            .collect();
        wanted.par_sort_unstable_by_key(|&(place, _)| place);
        let task_of = |place: u32| self.first.partition_point(|&first| first <= place) - 1;
        let by_task: Vec<_> = wanted.chunk_by_mut(|a, b| task_of(a.0) == task_of(b.0)).collect();
        by_task.into_par_iter().try_for_each(|lists| {
            let task = task_of(lists[0].0);
            let file = ArrayFile::<u32>::open(&self.tasks[task].names[1])?;
            lists.iter_mut().try_for_each(|(place, list)| {
                file.read(u64::from(*place - self.first[task]) * self.k as u64, list)
            })
        })?;
        Ok(NeighbourIds::new(self.k, ids))
    }

    fn held(&self) -> Option<&Neighbours> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use longweave_storage::write_array;
    use proptest::prelude::*;

    use super::*;

    /// Lists of `k` places of every vector but each third, in the files of `tasks`.
    fn write(folder: &Path, rows: usize, k: usize, tasks: usize) -> Vec<TaskFiles> {
        let with_list: Vec<u32> = (0..rows as u32).rev().filter(|row| row % 3 != 2).collect();
        let neighbour = |row: u32, place: usize| match place < row as usize % (k + 1) {
            true => (row + place as u32 + 1) % rows as u32,
            false => NONE,
        };
        let files = |task: usize| {
            let names =
                ["rows", "ids", "similarities"].map(|kind| folder.join(format!("{task}.{kind}")));
            let own: Vec<u32> = with_list.iter().copied().skip(task).step_by(tasks).collect();
            let ids: Vec<u32> = own
                .iter()
                .flat_map(|&row| (0..k).map(move |place| neighbour(row, place)))
                .collect();
            write_array(&names[0], &own).unwrap();
            write_array(&names[1], &ids).unwrap();
            write_array(&names[2], &vec![1i32; ids.len()]).unwrap();
            TaskFiles { names, rows, k }
        };
        (0..tasks).map(files).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn lists_in_files_are_those_in_memory(
            rows in 2usize..90, k in 1usize..5, tasks in 1usize..6, asked in prop::collection::vec(any::<u32>(), 0..200)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let files = write(folder.path(), rows, k, tasks);
            let held = NeighbourIds::new(k, held_ids(&files, rows, k).unwrap());
            let whole = with_similarities(&files, rows, k).unwrap();
            let lists = ListFiles::open(&Ctx::new(2, 1 << 20).unwrap(), files, rows, k).unwrap();
            let asked: Vec<u32> = asked.into_iter().map(|row| row % rows as u32).collect();
            prop_assert_eq!(lists.read(&asked).unwrap(), held.read(&asked).unwrap());
            prop_assert_eq!(whole.read(&asked).unwrap(), held.read(&asked).unwrap());
            prop_assert_eq!((lists.lists(), lists.depth(), lists.any()), (rows, k, held.any()));
            prop_assert!(lists.held().is_none());
        }
    }

    #[test]
    fn files_that_are_damaged_or_do_not_fit_are_refused() {
        let ctx = Ctx::new(2, 1 << 20).unwrap();
        let refused = |folder: &Path, rows: usize, k: usize| {
            let files = |task: usize| {
                let names = ["rows", "ids", "similarities"]
                    .map(|kind| folder.join(format!("{task}.{kind}")));
                TaskFiles { names, rows, k }
            };
            let files = || (0..2).map(files).collect::<Vec<_>>();
            let held = held_ids(&files(), rows, k).err().map(|e| e.code());
            assert_eq!(held, ListFiles::open(&ctx, files(), rows, k).err().map(|e| e.code()));
            held
        };
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 50, 4, 2);
        assert_eq!(refused(folder.path(), 50, 4), None);
        assert_eq!(refused(folder.path(), 50, 3), Some(Code::FileCorrupt));
        assert_eq!(refused(folder.path(), 40, 4), Some(Code::FileCorrupt));
        let ids = folder.path().join("1.ids");
        let mut bytes = std::fs::read(&ids).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&ids, bytes).unwrap();
        assert_eq!(refused(folder.path(), 50, 4), Some(Code::FileCorrupt));
    }
}
