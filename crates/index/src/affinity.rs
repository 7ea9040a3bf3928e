//! Which clusters of documents are about the same: rounds of nearest neighbours over the phrases and words of their candidates
//! (affinity clustering, Bateni et al. 2017, with average linkage and binary joins). Clusters in, joins out.
//!
//! A cluster's features are the candidate phrases and the words of its documents: x(f) of its documents have f. With n(f) documents of
//! all clusters, f weighs w = ⌊2¹⁶ / √n(f)⌋, a phrase twice that. A cluster's vector is ⌊2²⁴ · x·w / √Σ(x·w)²⌋, and the affinity of two
//! clusters is the sum of products of their vectors: cosine, in integers, so that no order of summation matters.
//! In a round each cluster finds its nearest: the one of greatest affinity above 0, ties to the lowest number, among those that are
//! champions of a feature they share; only shared features that the other is a champion of count. Champions of a feature are the
//! [`CHAMPIONS`] clusters with the greatest values in it, ties to the lowest number. The better half of these pairs, rounded up, in order of
//! (affinity falling, number of the cluster), join their clusters, each pair what its two have become, unless that is one already. The new clusters are numbered by their
//! first member. Rounds end when no cluster has a neighbour.
//!
//! Costs: 8 bytes a distinct feature of a cluster, twice while clusters are merged, and in each round as much again and 8 more; time of a
//! round: features · [`CHAMPIONS`]. The number of clusters falls by at least a quarter a round, almost.

use longweave_common::{Ctx, DocId, Result};
use rayon::prelude::*;

/// Clusters of a feature that others can find there: what bounds the work on features that all have.
pub(crate) const CHAMPIONS: usize = 64;
/// Weight of a feature that one document has.
const UNIT_WEIGHT: f64 = 65_536.0;
/// Length of a cluster's vector.
const UNIT_LENGTH: f64 = 16_777_216.0;

/// Lists of numbers behind each other.
pub(crate) struct Lists<T> {
    ends: Vec<usize>,
    items: Vec<T>,
}

impl<T: Copy + Send + Sync> Lists<T> {
    /// None.
    pub(crate) fn new() -> Lists<T> {
        Lists { ends: Vec::new(), items: Vec::new() }
    }

    /// Adds to the list that is last and not ended.
    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Ends the last list.
    pub(crate) fn end(&mut self) {
        self.ends.push(self.items.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, i: usize) -> &[T] {
        &self.items[if i == 0 { 0 } else { self.ends[i - 1] }..self.ends[i]]
    }

    /// `number` lists made in parallel, without a vector for each to outlive its block.
    fn build(number: usize, make: impl Fn(usize, &mut Vec<T>) + Sync) -> Lists<T> {
        const BLOCK: usize = 1024;
        let blocks: Vec<Lists<T>> = (0..number.div_ceil(BLOCK))
            .into_par_iter()
            .map(|block| {
                let (mut ends, mut items) = (Vec::new(), Vec::new());
                for i in block * BLOCK..number.min((block + 1) * BLOCK) {
                    make(i, &mut items);
                    ends.push(items.len());
                }
                Lists { ends, items }
            })
            .collect();
        let mut all = Lists { ends: Vec::with_capacity(number), items: Vec::with_capacity(blocks.iter().map(|b| b.items.len()).sum()) };
        for block in blocks {
            let base = all.items.len();
            all.ends.extend(block.ends.iter().map(|end| base + end));
            all.items.extend_from_slice(&block.items);
        }
        all
    }
}

/// What documents' features are.
pub(crate) struct Features<'a> {
    /// Appends a document's, each once.
    pub(crate) of_document: &'a (dyn Fn(DocId, &mut Vec<u32>) + Sync),
    /// Those below are phrases, the others words.
    pub(crate) phrases: u32,
}

/// Two clusters that join. Clusters that were given are numbered from 0, joined ones after them, in the order of joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    /// The one with more documents, ties to the one with the lowest number in its round.
    pub(crate) larger: u32,
    pub(crate) smaller: u32,
}

/// (feature, documents of the cluster that have it), features rising.
type Count = (u32, u32);

/// Joins clusters, given as lists of documents, as far as features connect them.
pub(crate) fn joins(ctx: &Ctx, clusters: &Lists<DocId>, features: &Features<'_>) -> Result<Vec<Join>> {
    let mut counts: Lists<Count> = Lists::build(clusters.len(), |c, out| {
        let mut all = Vec::new();
        for &document in clusters.get(c) {
            (features.of_document)(document, &mut all);
        }
        all.sort_unstable();
        out.extend(all.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)));
    });
    let mut documents = vec![0u32; counts.items.par_iter().map(|c| c.0 as usize + 1).max().unwrap_or(0)];
    for &(feature, n) in &counts.items {
        documents[feature as usize] += n;
    }
    let weights: Vec<u64> = documents
        .par_iter()
        .enumerate()
        .map(|(feature, &n)| {
            let weight = (UNIT_WEIGHT / f64::from(n.max(1)).sqrt()) as u64;
            if (feature as u32) < features.phrases { 2 * weight } else { weight }
        })
        .collect();
    let mut joining = Joining::new(clusters);
    loop {
        ctx.cancel.check()?;
        let pairs = nearest(ctx, &counts, &weights)?;
        if pairs.is_empty() {
            return Ok(joining.joins);
        }
        let members = joining.join(pairs);
        counts = Lists::build(members.len(), |c, out| merge(members.get(c).iter().map(|&m| counts.get(m as usize)), out));
    }
}

/// Clusters that join, round after round.
pub(crate) struct Joining {
    /// The number of each cluster among all that there were.
    names: Vec<u32>,
    /// Documents of each.
    sizes: Vec<u64>,
    all: u32,
    pub(crate) joins: Vec<Join>,
}

impl Joining {
    pub(crate) fn new(clusters: &Lists<DocId>) -> Joining {
        let sizes = (0..clusters.len()).map(|c| clusters.get(c).len() as u64).collect();
        Joining { names: (0..clusters.len() as u32).collect(), sizes, all: clusters.len() as u32, joins: Vec::new() }
    }

    /// Joins the better half of the pairs; the clusters that each new one is made of. New ones are numbered by their first member.
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
            let (larger, smaller) =
                if self.sizes[h] > self.sizes[l] { (self.names[h], self.names[l]) } else { (self.names[l], self.names[h]) };
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

fn merge<'a>(lists: impl Iterator<Item = &'a [Count]>, out: &mut Vec<Count>) {
    let start = out.len();
    for list in lists {
        out.extend_from_slice(list);
    }
    out[start..].sort_unstable();
    let mut end = start;
    for i in start..out.len() {
        if end > start && out[end - 1].0 == out[i].0 {
            out[end - 1].1 += out[i].1;
        } else {
            out[end] = out[i];
            end += 1;
        }
    }
    out.truncate(end);
}

/// A cluster and the one that is nearest to it.
pub(crate) struct Pair {
    pub(crate) cluster: u32,
    pub(crate) neighbour: u32,
    pub(crate) affinity: u64,
}

/// The nearest cluster of each that has one.
fn nearest(ctx: &Ctx, counts: &Lists<Count>, weights: &[u64]) -> Result<Vec<Pair>> {
    let norms: Vec<f64> = (0..counts.len())
        .into_par_iter()
        .map(|c| {
            let product = |&(feature, x): &Count| u128::from(u64::from(x) * weights[feature as usize]);
            (counts.get(c).iter().map(|count| product(count) * product(count)).sum::<u128>() as f64).sqrt()
        })
        .collect();
    // At most UNIT_LENGTH.
    let value = |c: u32, (feature, x): Count| {
        let product = u64::from(x) * weights[feature as usize];
        (product as f64 * UNIT_LENGTH / norms[c as usize]) as u32
    };
    let champions = champions(counts, weights.len(), &value);
    ctx.cancel.check()?;
    const BLOCK: usize = 2048;
    let blocks = (0..counts.len().div_ceil(BLOCK)).into_par_iter().map_init(
        || vec![0u64; counts.len()],
        |affinity, block| {
            let mut touched: Vec<u32> = Vec::new();
            let mut pairs = Vec::new();
            for c in (block * BLOCK) as u32..counts.len().min((block + 1) * BLOCK) as u32 {
                for &count in counts.get(c as usize) {
                    let own = u64::from(value(c, count));
                    for &(other, theirs) in champions.get(count.0 as usize) {
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
                    if other != c && (sum > best.0 || (sum == best.0 && other < best.1)) {
                        best = (sum, other);
                    }
                }
                if best.0 > 0 {
                    pairs.push(Pair { cluster: c, neighbour: best.1, affinity: best.0 });
                }
            }
            pairs
        },
    );
    Ok(blocks.collect::<Vec<_>>().into_iter().flatten().collect())
}

/// For each feature its champions, as (cluster, value). None where one cluster alone has it.
fn champions(counts: &Lists<Count>, features: usize, value: &(impl Fn(u32, Count) -> u32 + Sync)) -> Lists<(u32, u32)> {
    let mut ends = vec![0usize; features + 1];
    for &(feature, _) in &counts.items {
        ends[feature as usize + 1] += 1;
    }
    for f in 0..features {
        ends[f + 1] += ends[f];
    }
    let mut next = ends.clone();
    let mut sorted: Vec<(u32, u32)> = vec![(0, 0); counts.items.len()];
    for c in 0..counts.len() {
        for &(feature, x) in counts.get(c) {
            sorted[next[feature as usize]] = (c as u32, x);
            next[feature as usize] += 1;
        }
    }
    Lists::build(features, |f, out| {
        let having = &sorted[ends[f]..ends[f + 1]];
        if having.len() < 2 {
            return;
        }
        let start = out.len();
        out.extend(having.iter().map(|&(c, x)| (c, value(c, (f as u32, x)))));
        if having.len() > CHAMPIONS {
            out[start..].select_nth_unstable_by_key(CHAMPIONS, |&(c, v)| (std::cmp::Reverse(v), c));
            out.truncate(start + CHAMPIONS);
        }
    })
}
