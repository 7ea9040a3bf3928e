//! Which clusters of documents are about the same: rounds of nearest neighbours over the phrases
//! and words of their candidates (affinity clustering, Bateni et al. 2017, with average linkage and
//! binary joins). Clusters in, joins out.
//!
//! A cluster's features are the candidate phrases and the words of its documents: x(f) of its
//! documents have f. With n(f) documents of all clusters, f weighs w = ⌊2¹⁶ / √n(f)⌋, a phrase
//! twice that. A cluster's vector is ⌊2²⁴ · x·w / √Σ(x·w)²⌋, and the affinity of two clusters is
//! the sum of products of their vectors: cosine, in integers, so that no order of summation
//! matters. In a round each cluster finds its nearest: the one of greatest affinity above 0, ties
//! to the lowest number, among those that are top clusters of a feature they share; only shared
//! features that the other is a top cluster of count. Top clusters of a feature are the
//! [`CHAMPIONS`] clusters with the greatest values in it, ties to the lowest number. The better
//! half of these pairs, rounded up, in order of (affinity falling, number of the cluster), join
//! their clusters, each pair what its two have become, unless that is one already. The new clusters
//! are numbered by their first member. Rounds end when no cluster has a neighbour.
//!
//! A feature that one cluster alone has connects nothing, then or later: it is kept as its part of
//! the cluster's length.
//!
//! Costs in memory: 104 bytes a cluster, 12 a feature while first clusters are made, 32 a feature
//! that several clusters have, 16 a cluster and thread, and up to four columns of [`Space`]: the
//! clusters' features (8 bytes each), those of the next round, top clusters, and the top clusters
//! that a part of the clusters needs, or those to be chosen from. Time of a round: features ·
//! [`CHAMPIONS`]. The number of clusters falls by at least a quarter a round, almost.
//!
//! Counting and sorting by feature divide the features among threads. Each thread reads the counts
//! of all clusters and writes memory of its own: atomic counters cost more than these reads.

use std::ops::Range;

use longweave_common::{Ctx, DocId, Offsets, Result, return_freed_memory};
use longweave_storage::Stored;
use rayon::prelude::*;

use crate::features::Features;
use crate::lists::{Lists, in_order};
use crate::stored::{ListWriter, Space, StoredLists};

/// Clusters of a feature that others can find there: what bounds the work on features that all
/// have.
pub(crate) const CHAMPIONS: usize = 64;
/// Weight of a feature that one document has.
const UNIT_WEIGHT: f64 = 65_536.0;
/// Length of a cluster's vector.
const UNIT_LENGTH: f64 = 16_777_216.0;
/// No number.
const NONE: u32 = u32::MAX;

/// Two clusters that join. Clusters that were given are numbered from 0, joined ones after them, in
/// the order of joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    /// The one with more documents, ties to the one with the lowest number in its round.
    pub(crate) larger: u32,
    pub(crate) smaller: u32,
}

/// Two numbers as one that sorts by the first: (feature, documents of the cluster that have it), or
/// (cluster, value).
fn packed(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

fn unpacked(two: u64) -> (u32, u32) {
    ((two >> 32) as u32, two as u32)
}

/// Joins clusters, given as lists of documents, as far as features connect them.
pub(crate) fn joins(
    ctx: &Ctx,
    clusters: &Lists<DocId>,
    features: &Features,
    space: Space<'_>,
) -> Result<Vec<Join>> {
    let mut round = Round::first(ctx, clusters, features, space)?;
    let mut merge = ClusterMerge::new(clusters);
    loop {
        let pairs = round.nearest(ctx, space)?;
        if pairs.is_empty() {
            return Ok(merge.joins);
        }
        let members = merge.join(pairs);
        // A round needs less than the one before.
        return_freed_memory();
        round = round.merged(ctx, &members, space.store("counts", members.len()), space)?;
    }
}

/// Clusters that join, round after round.
pub(crate) struct ClusterMerge {
    /// The number of each cluster among all that there were.
    names: Vec<u32>,
    /// Documents of each.
    sizes: Vec<u64>,
    all: u32,
    pub(crate) joins: Vec<Join>,
}

impl ClusterMerge {
    pub(crate) fn new(clusters: &Lists<DocId>) -> ClusterMerge {
        let sizes = (0..clusters.len()).map(|c| clusters.get(c).len() as u64).collect();
        ClusterMerge {
            names: (0..clusters.len() as u32).collect(),
            sizes,
            all: clusters.len() as u32,
            joins: Vec::new(),
        }
    }

    /// Joins the better half of the pairs; the clusters that each new one is made of. New ones are
    /// numbered by their first member.
    pub(crate) fn join(&mut self, mut pairs: Vec<Pair>) -> Lists<u32> {
        pairs.par_sort_unstable_by_key(|p| (std::cmp::Reverse(p.affinity), p.cluster));
        pairs.truncate(pairs.len().div_ceil(2));
        // Members of a cluster point to its first.
        let mut first: Vec<u32> = (0..self.names.len() as u32).collect();
        for pair in pairs {
            let (a, b) = (find(&mut first, pair.cluster), find(&mut first, pair.neighbour));
            if a == b {
                continue;
            }
            let (low, high) = (a.min(b), a.max(b));
            let (l, h) = (low as usize, high as usize);
            let (larger, smaller) = if self.sizes[h] > self.sizes[l] {
                (self.names[h], self.names[l])
            } else {
                (self.names[l], self.names[h])
            };
            self.names[l] = self.all;
            self.all += 1;
            self.joins.push(Join { larger, smaller });
            self.sizes[l] += self.sizes[h];
            first[h] = low;
        }
        let number = self.names.len() as u32;
        let firsts: Vec<u32> = (0..number).filter(|&c| first[c as usize] == c).collect();
        let mut members: Vec<(u32, u32)> = (0..number).map(|c| (find(&mut first, c), c)).collect();
        members.par_sort_unstable();
        self.names = firsts.iter().map(|&c| self.names[c as usize]).collect();
        self.sizes = firsts.iter().map(|&c| self.sizes[c as usize]).collect();
        let mut lists = Lists::new();
        for own in members.chunk_by(|a, b| a.0 == b.0) {
            own.iter().for_each(|member| lists.push(member.1));
            lists.end();
        }
        lists
    }
}

/// The first member of a cluster's cluster.
fn find(first: &mut [u32], mut cluster: u32) -> u32 {
    while first[cluster as usize] != cluster {
        let up = first[first[cluster as usize] as usize];
        first[cluster as usize] = up;
        cluster = up;
    }
    cluster
}

/// A cluster and the one that is nearest to it.
pub(crate) struct Pair {
    pub(crate) cluster: u32,
    pub(crate) neighbour: u32,
    pub(crate) affinity: u64,
}

/// (x·w)², of documents that have a feature and its weight.
fn square(x: u32, weight: u32) -> u128 {
    let product = u128::from(x) * u128::from(weight);
    product * product
}

/// A feature in a round.
#[derive(Clone, Copy)]
struct Feature {
    weight: u32,
    /// Clusters that have it, among [`Round::counts`].
    clusters: u32,
}

/// The clusters of a round.
struct Round {
    /// Of each cluster: (feature, documents of the cluster that have it), features rising: those
    /// that several clusters had one round before.
    counts: StoredLists<u64>,
    lengths: Vec<Length>,
    features: Vec<Feature>,
}

/// The length of a cluster's (x·w) of all features.
#[derive(Clone, Copy)]
struct Length {
    /// The sum of (x·w)² of features that are not among [`Round::counts`].
    rest: u128,
    norm: f64,
}

impl Length {
    /// Of the sum of (x·w)² of features among the counts, and of all others.
    fn of(counted: u128, rest: u128) -> Length {
        Length { rest, norm: ((counted + rest) as f64).sqrt() }
    }
}

/// Memory of a thread that makes clusters.
#[derive(Default)]
struct Buffers {
    features: Vec<u32>,
    document: Vec<u32>,
    counts: Vec<u64>,
}

impl Round {
    /// Clusters as they were given.
    fn first(
        ctx: &Ctx,
        clusters: &Lists<DocId>,
        features: &Features,
        space: Space<'_>,
    ) -> Result<Round> {
        let size = |c: usize| clusters.get(c).iter().map(|&document| features.len(document)).sum();
        let make = |c: usize, buffers: &mut Buffers, out: &mut Vec<u64>| -> Result<()> {
            let mut all = std::mem::take(&mut buffers.features);
            for &document in clusters.get(c) {
                features.append(document, &mut buffers.document, &mut all)?;
            }
            if clusters.get(c).len() > 1 {
                all.sort_unstable();
            }
            for run in all.chunk_by(|a, b| a == b) {
                out.push(packed(run[0], run.len() as u32));
            }
            all.clear();
            buffers.features = all;
            Ok(())
        };
        let mut all = space.store("all_counts", clusters.len());
        in_order(ctx, clusters.len(), space.most::<u64>(), size, make, |lists, _| {
            all.extend(lists)
        })?;
        let all = all.finish()?;
        // Of each feature, in one number: clusters that have it, documents that have it.
        let mut found = vec![0u64; features.all];
        count(&all, &mut found, |own, x| *own += packed(1, x))?;
        let weight = |feature: u32, documents: u32| -> u32 {
            let weight = (UNIT_WEIGHT / f64::from(documents.max(1)).sqrt()) as u32;
            if feature < features.phrases { 2 * weight } else { weight }
        };
        // Features that several clusters have get numbers of their own, in the same order.
        let mut kept = Vec::new();
        let mut numbers = vec![NONE; features.all];
        for (feature, number) in numbers.iter_mut().enumerate() {
            let (clusters, documents) = unpacked(found[feature]);
            if clusters > 1 {
                *number = kept.len() as u32;
                kept.push(Feature { weight: weight(feature as u32, documents), clusters });
            }
        }
        drop(found);
        let make = |c: usize, buffers: &mut Buffers, out: &mut Vec<u64>| -> Result<Length> {
            let (mut counted, mut rest) = (0, 0);
            for (feature, x) in all.get(c, &mut buffers.counts)?.iter().copied().map(unpacked) {
                match numbers[feature as usize] {
                    // Only this cluster's documents have it.
                    NONE => rest += square(x, weight(feature, x)),
                    number => {
                        counted += square(x, kept[number as usize].weight);
                        out.push(packed(number, x));
                    }
                }
            }
            Ok(Length::of(counted, rest))
        };
        let mut counts = space.store("counts", clusters.len());
        let mut lengths = Vec::with_capacity(clusters.len());
        let size = |c: usize| all.offsets.range(c).len();
        in_order(ctx, clusters.len(), space.most::<u64>(), size, make, |lists, own| {
            lengths.extend_from_slice(own);
            counts.extend(lists)
        })?;
        Ok(Round { counts: counts.finish()?, lengths, features: kept })
    }

    fn clusters(&self) -> usize {
        self.counts.offsets.len()
    }

    /// Counts of a cluster, in `buffer` unless they are held.
    fn get<'b>(&'b self, cluster: usize, buffer: &'b mut Vec<u64>) -> Result<&'b [u64]> {
        self.counts.get(cluster, buffer)
    }

    /// The clusters that those of this round, given as lists, become.
    fn merged(
        &self,
        ctx: &Ctx,
        members: &Lists<u32>,
        mut counts: ListWriter<u64>,
        space: Space<'_>,
    ) -> Result<Round> {
        let size = |c: usize| {
            members.get(c).iter().map(|&m| self.counts.offsets.range(m as usize).len()).sum()
        };
        let make = |c: usize, buffers: &mut Buffers, out: &mut Vec<u64>| -> Result<Length> {
            let start = out.len();
            for &m in members.get(c) {
                out.extend_from_slice(self.get(m as usize, &mut buffers.counts)?);
            }
            if members.get(c).len() > 1 {
                add_up(out, start);
            }
            let (mut counted, mut end) = (0, start);
            let mut rest = members.get(c).iter().map(|&m| self.lengths[m as usize].rest).sum();
            for at in start..out.len() {
                let (feature, x) = unpacked(out[at]);
                let Feature { weight, clusters } = self.features[feature as usize];
                if clusters < 2 {
                    rest += square(x, weight);
                } else {
                    counted += square(x, weight);
                    out[end] = out[at];
                    end += 1;
                }
            }
            out.truncate(end);
            Ok(Length::of(counted, rest))
        };
        let mut lengths = Vec::with_capacity(members.len());
        in_order(ctx, members.len(), space.most::<u64>(), size, make, |lists, own| {
            lengths.extend_from_slice(own);
            counts.extend(lists)
        })?;
        let (counts, mut features) = (counts.finish()?, self.features.clone());
        features.iter_mut().for_each(|feature| feature.clusters = 0);
        count(&counts, &mut features, |feature, _| feature.clusters += 1)?;
        Ok(Round { counts, lengths, features })
    }

    /// The nearest cluster of each that has one.
    fn nearest(&self, ctx: &Ctx, space: Space<'_>) -> Result<Vec<Pair>> {
        let top_clusters = self.top_clusters(ctx, space)?;
        let mut pairs = Vec::new();
        let mut lists = Chosen::new(&top_clusters);
        let mut first = 0;
        while first < self.clusters() {
            ctx.cancel.check()?;
            let end = lists.choose(ctx, self, first, space.most::<u64>())?;
            const BLOCK: usize = 256;
            let blocks = (0..(end - first).div_ceil(BLOCK)).into_par_iter().map_init(
                || Sums::new(self.clusters()),
                |sums, block| {
                    let start = first + block * BLOCK;
                    self.nearest_of(start..end.min(start + BLOCK), &lists, sums)
                },
            );
            pairs.extend(blocks.collect::<Result<Vec<_>>>()?.into_iter().flatten());
            first = end;
        }
        Ok(pairs)
    }

    /// The nearest cluster of each in a range that has one.
    fn nearest_of(
        &self,
        clusters: Range<usize>,
        lists: &Chosen<'_>,
        sums: &mut Sums,
    ) -> Result<Vec<Pair>> {
        let (mut buffer, mut own) = (Vec::new(), Vec::new());
        let mut pairs = Vec::with_capacity(clusters.len());
        for c in clusters {
            let norm = self.lengths[c].norm;
            own.clear();
            own.extend(
                self.get(c, &mut buffer)?
                    .iter()
                    .copied()
                    .map(unpacked)
                    .map(|(feature, x)| (self.value(x, feature, norm), lists.get(feature))),
            );
            load(&own);
            own.iter().for_each(|&(value, list)| sums.add(value, list));
            if let Some((affinity, neighbour)) = sums.greatest(c as u32) {
                pairs.push(Pair { cluster: c as u32, neighbour, affinity });
            }
        }
        Ok(pairs)
    }

    /// The number in a vector; at most [`UNIT_LENGTH`].
    fn value(&self, x: u32, feature: u32, norm: f64) -> u32 {
        let product = u64::from(x) * u64::from(self.features[feature as usize].weight);
        (product as f64 * UNIT_LENGTH / norm) as u32
    }

    /// For each feature its top clusters, as (cluster, value), in any order. None where one cluster
    /// alone has it.
    fn top_clusters(&self, ctx: &Ctx, space: Space<'_>) -> Result<StoredLists<u64>> {
        let having = |feature: usize| match self.features[feature].clusters {
            0 | 1 => 0,
            clusters => clusters as usize,
        };
        let most = space.most::<u64>();
        let mut top_clusters = space.store("top_clusters", self.features.len());
        let mut low = 0;
        while low < self.features.len() {
            ctx.cancel.check()?;
            // Features of which all clusters fit.
            let (mut high, mut sum, mut places) = (low + 1, having(low), Offsets::default());
            places.push(sum);
            while high < self.features.len() && sum.saturating_add(having(high)) <= most {
                sum += having(high);
                places.push(sum);
                high += 1;
            }
            let dealt = self.dealt(low..high, &places)?;
            let make = |at: usize, _: &mut (), out: &mut Vec<u64>| -> Result<()> {
                let start = out.len();
                out.extend_from_slice(&dealt[places.range(at)]);
                if out.len() - start > CHAMPIONS {
                    out[start..].select_nth_unstable_by_key(CHAMPIONS, |&two| {
                        let (cluster, value) = unpacked(two);
                        (std::cmp::Reverse(value), cluster)
                    });
                    out.truncate(start + CHAMPIONS);
                }
                Ok(())
            };
            in_order(
                ctx,
                high - low,
                most,
                |at| having(low + at),
                make,
                |lists, _| top_clusters.extend(lists),
            )?;
            low = high;
        }
        top_clusters.finish()
    }

    /// All clusters of some features, as (cluster, value), each feature's at its place. Features
    /// that one cluster alone has have no place.
    fn dealt(&self, features: Range<usize>, places: &Offsets) -> Result<Vec<u64>> {
        let mut dealt = vec![0; places.end() as usize];
        let (mut rest, mut parts) = (&mut dealt[..], Vec::new());
        for part in feature_ranges(&self.counts, features.clone())? {
            let begin = places.begin(part.start - features.start) as usize;
            let end = places.begin(part.end - features.start) as usize;
            let (own, others) = rest.split_at_mut(end - begin);
            parts.push((part, begin, own));
            rest = others;
        }
        parts.into_par_iter().try_for_each(|(part, begin, own)| {
            let mut next: Vec<usize> = part
                .clone()
                .map(|feature| places.begin(feature - features.start) as usize - begin)
                .collect();
            visit(&self.counts, part.clone(), |cluster, feature, x| {
                if self.features[feature].clusters > 1 {
                    let next = &mut next[feature - part.start];
                    let value = self.value(x, feature as u32, self.lengths[cluster].norm);
                    own[*next] = packed(cluster as u32, value);
                    *next += 1;
                }
            })
        })?;
        Ok(dealt)
    }
}

/// Clusters whose counts are read at once.
const READ: usize = 256;

/// Calls `visit` with each count of some features: its cluster, its feature, and documents.
fn visit(
    counts: &StoredLists<u64>,
    features: Range<usize>,
    mut visit: impl FnMut(usize, usize, u32),
) -> Result<()> {
    let (begin, mut buffer) = (packed(features.start as u32, 0), Vec::new());
    let clusters = counts.offsets.len();
    for first in (0..clusters).step_by(READ) {
        let block = first..clusters.min(first + READ);
        let start = counts.offsets.begin(block.start);
        let items = counts.items.get(start..counts.offsets.begin(block.end), &mut buffer)?;
        for cluster in block {
            let Range { start: from, end } = counts.offsets.span(cluster);
            let own = &items[(from - start) as usize..(end - start) as usize];
            let from = own.partition_point(|&count| count < begin);
            for (feature, x) in own[from..].iter().copied().map(unpacked) {
                if feature as usize >= features.end {
                    break;
                }
                visit(cluster, feature as usize, x);
            }
        }
    }
    Ok(())
}

/// Calls `add` with each feature and each of its counts. A thread has features of its own, so that
/// none waits for another's memory.
fn count<T: Send>(
    counts: &StoredLists<u64>,
    features: &mut [T],
    add: impl Fn(&mut T, u32) + Sync,
) -> Result<()> {
    let (mut parts, all) = (Vec::new(), features.len());
    let mut rest = features;
    for part in feature_ranges(counts, 0..all)? {
        let (own, others) = rest.split_at_mut(part.len());
        parts.push((part, own));
        rest = others;
    }
    parts.into_par_iter().try_for_each(|(part, own)| {
        visit(counts, part.clone(), |_, feature, x| add(&mut own[feature - part.start], x))
    })
}

/// Consecutive ranges of features, one a thread, which have about as many counts by a sample.
fn feature_ranges(counts: &StoredLists<u64>, features: Range<usize>) -> Result<Vec<Range<usize>>> {
    const SAMPLED: usize = 256;
    let parts = rayon::current_num_threads();
    if parts == 1 {
        return Ok(vec![features]);
    }
    let (mut sample, mut buffer) = (Vec::new(), Vec::new());
    for cluster in (0..counts.offsets.len()).step_by(counts.offsets.len() / SAMPLED + 1) {
        let own = counts.get(cluster, &mut buffer)?.iter().map(|&count| unpacked(count).0 as usize);
        sample.extend(own.filter(|feature| features.contains(feature)));
    }
    sample.sort_unstable();
    let mut start = features.start;
    let mut ranges = Vec::with_capacity(parts);
    for part in 1..=parts {
        let end = match sample.get(sample.len() * part / parts) {
            Some(&feature) if part < parts => feature.max(start),
            _ => features.end,
        };
        ranges.push(start..end);
        start = end;
    }
    Ok(ranges)
}

/// Loads lists into the cache. They lie far apart: here one load does not wait for another, sums
/// would wait for one list after another.
fn load(lists: &[(u32, &[u64])]) {
    /// Items of a cache line.
    const LINE: usize = 8;
    let lines = lists.iter().flat_map(|(_, list)| list.iter().step_by(LINE));
    std::hint::black_box(lines.fold(0, |all, item| all | item));
}

/// Sums of products by cluster, of which few are above 0.
struct Sums {
    of: Vec<u64>,
    /// The clusters of sums above 0 come first.
    touched: Vec<u32>,
    count: usize,
}

impl Sums {
    fn new(clusters: usize) -> Sums {
        Sums { of: vec![0; clusters], touched: Vec::new(), count: 0 }
    }

    /// Adds to each cluster of a list its value times `own`. A branch on whether a sum is 0 would
    /// be mispredicted every other time. Vectors have at most unit length, so that a sum is below
    /// 2⁴⁹.
    fn add(&mut self, own: u32, list: &[u64]) {
        if self.touched.len() < self.count + list.len() {
            self.touched.resize(self.count + list.len(), 0);
        }
        let (of, touched) = (&mut self.of[..], &mut self.touched[..]);
        let mut count = self.count;
        for (cluster, value) in list.iter().copied().map(unpacked) {
            let sum = of[cluster as usize];
            touched[count] = cluster;
            count = count.wrapping_add(usize::from(sum == 0));
            of[cluster as usize] = sum.wrapping_add(u64::from(own).wrapping_mul(u64::from(value)));
        }
        self.count = count;
    }

    /// The greatest sum above 0 and its cluster, ties to the lowest number, without that of
    /// cluster `own`. All sums are 0 afterwards.
    fn greatest(&mut self, own: u32) -> Option<(u64, u32)> {
        let mut best = (0, 0);
        for &cluster in &self.touched[..self.count] {
            let sum = std::mem::take(&mut self.of[cluster as usize]);
            if sum >= best.0 && cluster != own && (sum > best.0 || cluster < best.1) {
                best = (sum, cluster);
            }
        }
        self.count = 0;
        (best.0 > 0).then_some(best)
    }
}

/// Sums up the counts of each feature, from `start` on.
fn add_up(counts: &mut Vec<u64>, start: usize) {
    // The counts of members are sorted: a stable sort merges them.
    counts[start..].sort();
    let mut end = start;
    for i in start..counts.len() {
        let (feature, x) = unpacked(counts[i]);
        if end > start && unpacked(counts[end - 1]).0 == feature {
            counts[end - 1] += u64::from(x);
        } else {
            counts[end] = counts[i];
            end += 1;
        }
    }
    counts.truncate(end);
}

/// Top clusters that are in memory: all, or those that some clusters need.
struct Chosen<'a> {
    all: &'a StoredLists<u64>,
    /// By feature: its list among `lists`. Empty where all are held.
    places: Vec<u32>,
    /// Features that have a place.
    features: Vec<u32>,
    lists: Lists<u64>,
}

impl Chosen<'_> {
    fn new(all: &StoredLists<u64>) -> Chosen<'_> {
        let places = if matches!(all.items, Stored::File(_)) {
            vec![NONE; all.offsets.len()]
        } else {
            Vec::new()
        };
        Chosen { all, places, features: Vec::new(), lists: Lists::new() }
    }

    /// Loads the top clusters of the clusters from `first` on, for as many clusters as fit into
    /// about `most`. Returns the first cluster that is left.
    fn choose(&mut self, ctx: &Ctx, round: &Round, first: usize, most: usize) -> Result<usize> {
        let Stored::File(file) = &self.all.items else { return Ok(round.clusters()) };
        self.features.drain(..).for_each(|feature| self.places[feature as usize] = NONE);
        let (mut end, mut sum, mut buffer) = (first, 0, Vec::new());
        while end < round.clusters() {
            let known = self.features.len();
            for (feature, _) in round.get(end, &mut buffer)?.iter().copied().map(unpacked) {
                let range = self.all.offsets.range(feature as usize);
                if self.places[feature as usize] == NONE && !range.is_empty() {
                    self.places[feature as usize] = 0;
                    self.features.push(feature);
                    sum += range.len();
                }
            }
            if sum > most && end > first {
                self.features
                    .drain(known..)
                    .for_each(|feature| self.places[feature as usize] = NONE);
                break;
            }
            end += 1;
        }
        self.features.sort_unstable();
        for (place, &feature) in self.features.iter().enumerate() {
            self.places[feature as usize] = place as u32;
        }
        // Lists that are wanted lie close together: what is between them is read, too.
        const WINDOW: u64 = 1 << 15;
        let make = |place: usize, window: &mut (u64, Vec<u64>), out: &mut Vec<u64>| {
            let range = self.all.offsets.span(self.features[place] as usize);
            let (start, items) = window;
            if range.end > *start + items.len() as u64 {
                items.clear();
                *start = range.start;
                let items_wanted = WINDOW.max(range.end - range.start).min(file.len() - *start);
                file.read_into(*start, items_wanted as usize, items)?;
            }
            let at = |item: u64| (item - *start) as usize;
            out.extend_from_slice(&items[at(range.start)..at(range.end)]);
            Ok(())
        };
        let size = |place: usize| self.all.offsets.range(self.features[place] as usize).len();
        let mut lists = Lists::new();
        in_order(ctx, self.features.len(), most, size, make, |more, _| {
            lists.append(more);
            Ok(())
        })?;
        self.lists = lists;
        Ok(end)
    }

    /// The top clusters of a feature, if some of the chosen clusters have it.
    fn get(&self, feature: u32) -> &[u64] {
        match &self.all.items {
            Stored::Held(items) => &items[self.all.offsets.range(feature as usize)],
            Stored::File(_) => match self.places[feature as usize] {
                NONE => &[],
                place => self.lists.get(place as usize),
            },
        }
    }
}
