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
//! Costs in memory: 80 bytes a cluster, 8 a feature while first clusters are made, 24 a feature
//! that several clusters have, and up to four columns of [`Space`]: the clusters' features (8 bytes
//! each), those of the next round, top clusters, and the top clusters that a part of the clusters
//! needs, or those to be chosen from. Time of a round: features · [`CHAMPIONS`]. The number of
//! clusters falls by at least a quarter a round, almost.

use longweave_common::{Ctx, DocId, Offsets, Result};
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

/// The clusters of a round.
struct Round {
    /// Of each cluster: (feature, documents of the cluster that have it), features rising: those
    /// that several clusters had one round before.
    counts: StoredLists<u64>,
    /// Of each cluster: the sum of (x·w)² of all others.
    rest: Vec<u128>,
    /// Of each feature: clusters that have it, among `counts`.
    frequency: Vec<u32>,
    weights: Vec<u32>,
}

impl Round {
    /// Clusters as they were given.
    fn first(
        ctx: &Ctx,
        clusters: &Lists<DocId>,
        features: &Features,
        space: Space<'_>,
    ) -> Result<Round> {
        let make = |c: usize, out: &mut Vec<u64>| -> Result<()> {
            let (mut all, mut buffer) = (Vec::new(), Vec::new());
            clusters
                .get(c)
                .iter()
                .try_for_each(|&document| features.append(document, &mut buffer, &mut all))?;
            all.sort_unstable();
            out.extend(all.chunk_by(|a, b| a == b).map(|run| packed(run[0], run.len() as u32)));
            Ok(())
        };
        let size = |c: usize| clusters.get(c).iter().map(|&document| features.len(document)).sum();
        let (mut documents, mut frequency) = (vec![0u32; features.all], vec![0u32; features.all]);
        in_order(ctx, clusters.len(), space.most::<u64>(), size, make, |list| {
            for (feature, x) in list.iter().copied().map(unpacked) {
                documents[feature as usize] += x;
                frequency[feature as usize] += 1;
            }
            Ok(())
        })?;
        let weight = |feature: u32, documents: u32| -> u32 {
            let weight = (UNIT_WEIGHT / f64::from(documents.max(1)).sqrt()) as u32;
            if feature < features.phrases { 2 * weight } else { weight }
        };
        // Features that several clusters have get numbers of their own, in the same order.
        let (mut weights, mut clusters_by_weight) = (Vec::new(), Vec::new());
        for feature in 0..features.all {
            if frequency[feature] < 2 {
                frequency[feature] = NONE;
            } else {
                clusters_by_weight.push(frequency[feature]);
                frequency[feature] = weights.len() as u32;
                weights.push(weight(feature as u32, documents[feature]));
            }
        }
        let numbers = frequency;
        let mut builder = RoundBuilder::new(space.store("counts", clusters.len()));
        in_order(ctx, clusters.len(), space.most::<u64>(), size, make, |list| {
            let mut rest = 0;
            for (feature, x) in list.iter().copied().map(unpacked) {
                match numbers[feature as usize] {
                    NONE => rest += square(x, weight(feature, documents[feature as usize])),
                    number => builder.own.push(packed(number, x)),
                }
            }
            builder.end(rest)
        })?;
        builder.finish(clusters_by_weight, weights)
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
        counts: ListWriter<u64>,
        space: Space<'_>,
    ) -> Result<Round> {
        let size = |c: usize| {
            members.get(c).iter().map(|&m| self.counts.offsets.range(m as usize).len()).sum()
        };
        let make = |c: usize, out: &mut Vec<u64>| -> Result<()> {
            let (mut buffer, start) = (Vec::new(), out.len());
            for &m in members.get(c) {
                out.extend_from_slice(self.get(m as usize, &mut buffer)?);
            }
            if members.get(c).len() > 1 {
                add_up(out, start);
            }
            Ok(())
        };
        let mut builder = RoundBuilder::new(counts);
        let mut frequency = vec![0u32; self.weights.len()];
        let mut cluster = 0;
        in_order(ctx, members.len(), space.most::<u64>(), size, make, |list| {
            let mut rest = members.get(cluster).iter().map(|&m| self.rest[m as usize]).sum();
            cluster += 1;
            for &count in list {
                let (feature, x) = unpacked(count);
                if self.frequency[feature as usize] < 2 {
                    rest += square(x, self.weights[feature as usize]);
                } else {
                    frequency[feature as usize] += 1;
                    builder.own.push(count);
                }
            }
            builder.end(rest)
        })?;
        builder.finish(frequency, self.weights.clone())
    }

    /// The nearest cluster of each that has one.
    fn nearest(&self, ctx: &Ctx, space: Space<'_>) -> Result<Vec<Pair>> {
        let norm = |cluster: usize| -> Result<f64> {
            let mut buffer = Vec::new();
            let counts = self.get(cluster, &mut buffer)?.iter().copied().map(unpacked);
            let sum =
                counts.map(|(feature, x)| square(x, self.weights[feature as usize])).sum::<u128>();
            Ok(((sum + self.rest[cluster]) as f64).sqrt())
        };
        let norms: Vec<f64> =
            (0..self.clusters()).into_par_iter().map(norm).collect::<Result<_>>()?;
        let top_clusters = self.top_clusters(ctx, &norms, space)?;
        let mut pairs = Vec::new();
        let mut lists = Chosen::new(&top_clusters);
        let mut first = 0;
        while first < self.clusters() {
            ctx.cancel.check()?;
            let end = lists.choose(self, first, space.most::<u64>())?;
            const BLOCK: usize = 512;
            let blocks = (0..(end - first).div_ceil(BLOCK)).into_par_iter().map_init(
                || vec![0u64; self.clusters()],
                |affinity, block| -> Result<Vec<Pair>> {
                    let mut buffer = Vec::new();
                    let mut touched: Vec<u32> = Vec::new();
                    let mut pairs = Vec::new();
                    let start = first + block * BLOCK;
                    for (c, &norm) in (start..).zip(&norms[start..end.min(start + BLOCK)]) {
                        for (feature, x) in self.get(c, &mut buffer)?.iter().copied().map(unpacked)
                        {
                            let own = u64::from(self.value(x, feature, norm));
                            for (other, theirs) in lists.get(feature).iter().copied().map(unpacked)
                            {
                                let sum = &mut affinity[other as usize];
                                if *sum == 0 {
                                    touched.push(other);
                                }
                                *sum += own * u64::from(theirs);
                            }
                        }
                        let mut best = (0, 0);
                        for other in touched.drain(..) {
                            let sum = std::mem::take(&mut affinity[other as usize]);
                            if other as usize != c
                                && (sum > best.0 || (sum == best.0 && other < best.1))
                            {
                                best = (sum, other);
                            }
                        }
                        if best.0 > 0 {
                            pairs.push(Pair {
                                cluster: c as u32,
                                neighbour: best.1,
                                affinity: best.0,
                            });
                        }
                    }
                    Ok(pairs)
                },
            );
            pairs.extend(blocks.collect::<Result<Vec<_>>>()?.into_iter().flatten());
            first = end;
        }
        Ok(pairs)
    }

    /// The number in a vector; at most [`UNIT_LENGTH`].
    fn value(&self, x: u32, feature: u32, norm: f64) -> u32 {
        let product = u64::from(x) * u64::from(self.weights[feature as usize]);
        (product as f64 * UNIT_LENGTH / norm) as u32
    }

    /// For each feature its top clusters, as (cluster, value). None where one cluster alone has it.
    fn top_clusters(&self, ctx: &Ctx, norms: &[f64], space: Space<'_>) -> Result<StoredLists<u64>> {
        let frequency = |feature: usize| {
            if self.frequency[feature] < 2 { 0 } else { self.frequency[feature] as usize }
        };
        let most = space.most::<u64>();
        let mut top_clusters = space.store("top_clusters", self.weights.len());
        let mut low = 0;
        while low < self.weights.len() {
            ctx.cancel.check()?;
            // Features of which all clusters fit.
            let (mut high, mut sum, mut places) = (low + 1, frequency(low), Offsets::default());
            places.push(sum);
            while high < self.weights.len() && sum.saturating_add(frequency(high)) <= most {
                sum += frequency(high);
                places.push(sum);
                high += 1;
            }
            let mut next: Vec<usize> = (0..high - low).map(|at| places.range(at).start).collect();
            let mut sorted = vec![0u64; sum];
            let mut buffer = Vec::new();
            for c in 0..self.clusters() {
                let counts = self.get(c, &mut buffer)?;
                let from = if low == 0 {
                    0
                } else {
                    counts.partition_point(|&count| count < packed(low as u32, 0))
                };
                for (feature, x) in counts[from..]
                    .iter()
                    .copied()
                    .map(unpacked)
                    .take_while(|&(feature, _)| (feature as usize) < high)
                {
                    if frequency(feature as usize) > 0 {
                        let next = &mut next[feature as usize - low];
                        sorted[*next] = packed(c as u32, x);
                        *next += 1;
                    }
                }
            }
            let make = |at: usize, out: &mut Vec<u64>| -> Result<()> {
                let start = out.len();
                let feature = (low + at) as u32;
                let value =
                    |(c, x): (u32, u32)| packed(c, self.value(x, feature, norms[c as usize]));
                out.extend(sorted[places.range(at)].iter().copied().map(unpacked).map(value));
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
                |at| frequency(low + at),
                make,
                |list| top_clusters.push(list),
            )?;
            low = high;
        }
        top_clusters.finish()
    }
}

/// Sums up the counts of each feature, from `start` on.
fn add_up(counts: &mut Vec<u64>, start: usize) {
    counts[start..].sort_unstable();
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

/// A round that is being made, cluster after cluster.
struct RoundBuilder {
    counts: ListWriter<u64>,
    rest: Vec<u128>,
    /// Counts of the cluster that is not ended.
    own: Vec<u64>,
}

impl RoundBuilder {
    fn new(counts: ListWriter<u64>) -> RoundBuilder {
        RoundBuilder { counts, rest: Vec::new(), own: Vec::new() }
    }

    fn end(&mut self, rest: u128) -> Result<()> {
        self.counts.push(&self.own)?;
        self.own.clear();
        self.rest.push(rest);
        Ok(())
    }

    fn finish(self, frequency: Vec<u32>, weights: Vec<u32>) -> Result<Round> {
        Ok(Round { counts: self.counts.finish()?, rest: self.rest, frequency, weights })
    }
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
    fn choose(&mut self, round: &Round, first: usize, most: usize) -> Result<usize> {
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
        self.lists = Lists::new();
        // Lists that are wanted lie close together: what is between them is read, too.
        const WINDOW: u64 = 1 << 15;
        let (mut window, mut start) = (Vec::new(), 0);
        for (place, &feature) in self.features.iter().enumerate() {
            let range = self.all.offsets.span(feature as usize);
            if range.end > start + window.len() as u64 {
                window.clear();
                start = range.start;
                file.read_into(
                    start,
                    WINDOW.max(range.end - range.start).min(file.len() - start) as usize,
                    &mut window,
                )?;
            }
            self.lists
                .extend(&window[(range.start - start) as usize..(range.end - start) as usize]);
            self.lists.end();
            self.places[feature as usize] = place as u32;
        }
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
