//! `iclm`: one path through the graph of neighbours (In-Context Pretraining, Shi et al. 2024, arXiv
//! 2310.10638).
//!
//! `paper` costs 16 bytes an edge of the lists and 17 a document, once; `release` 21 a document.

use longweave_common::random::draw;
use longweave_common::{DocId, KeywordId, Offsets, Result};
use rayon::prelude::*;

use super::context::{Grouping, PlanContext, Take, round_key};
use crate::{Heads, IclmOptions, IclmVariant, Neighbours, PlanStats};

/// Ranks of its list among which a document chooses its successor (`release`).
const RANKS: usize = 9;
/// Most documents of a path (`release`).
const PATH: usize = 21;
const NONE: u32 = u32::MAX;

pub(crate) struct Iclm<'a> {
    context: PlanContext<'a>,
    neighbours: &'a Neighbours,
    variant: IclmVariant,
    heads: Option<&'a dyn Heads>,
    members: Vec<bool>,
    pool: Vec<DocId>,
    used: u64,
    near_duplicates: u64,
}

impl<'a> Iclm<'a> {
    pub(crate) fn new(context: PlanContext<'a>, options: &IclmOptions) -> Result<Iclm<'a>> {
        let neighbours = context.lists()?.held();
        let neighbours = neighbours.ok_or_else(|| PlanContext::missing("lists in memory"))?;
        let heads = match options.variant {
            IclmVariant::Paper => None,
            IclmVariant::Release => Some(
                context.input.heads.ok_or_else(|| PlanContext::missing("heads of documents"))?,
            ),
        };
        Ok(Iclm {
            context,
            neighbours,
            variant: options.variant,
            heads,
            members: Vec::new(),
            pool: Vec::new(),
            used: 0,
            near_duplicates: 0,
        })
    }

    fn listed(&self, doc: DocId) -> impl Iterator<Item = (DocId, i32)> + Clone + '_ {
        self.neighbours
            .of(doc.get())
            .map(|(n, similarity)| (DocId::new(n), similarity))
            .filter(|(n, _)| self.members[n.index()])
    }

    fn paper(&self, epoch: u32, round: u32) -> Result<Vec<DocId>> {
        let graph = self.graph()?;
        let PlanContext { input, options, ctx, .. } = self.context;
        let counter = round_key(epoch, round);
        let (mut starts, alone): (Vec<DocId>, Vec<DocId>) =
            self.pool.iter().partition(|&&doc| graph.degree(doc) > 0);
        starts.par_sort_by_cached_key(|&doc| {
            let key = input.key(doc);
            (graph.degree(doc), draw(options.policies.seed, "order", key, counter), key, doc)
        });
        let mut visited = vec![false; input.lens.len()];
        let mut path = Vec::with_capacity(self.pool.len());
        for start in starts {
            ctx.cancel.check()?;
            let mut next = (!visited[start.index()]).then_some(start);
            while let Some(doc) = next {
                visited[doc.index()] = true;
                path.push(doc);
                next = graph.of(doc).find(|n| !visited[n.index()]);
            }
        }
        path.extend(self.context.in_order(epoch, round, alone));
        Ok(path)
    }

    /// The union of the lists in both directions, each document's neighbours by falling similarity.
    fn graph(&self) -> Result<Graph> {
        let documents = self.context.input.lens.len();
        let both = |doc: DocId| {
            self.listed(doc).flat_map(move |(neighbour, similarity)| {
                [(doc.index(), (similarity, neighbour)), (neighbour.index(), (similarity, doc))]
            })
        };
        let (places, mut edges) =
            Offsets::sort(documents, self.pool.iter().flat_map(|&doc| both(doc)));
        self.context.ctx.cancel.check()?;
        let mut slices = Vec::with_capacity(documents);
        let mut rest = edges.as_mut_slice();
        for document in 0..documents {
            let (own, after) = rest.split_at_mut(places.range(document).len());
            slices.push(own);
            rest = after;
        }
        let degrees = slices
            .into_par_iter()
            .map(|own| {
                own.sort_unstable_by_key(|&(similarity, doc)| (doc, std::cmp::Reverse(similarity)));
                let mut kept = 0;
                for i in 0..own.len() {
                    if kept == 0 || own[kept - 1].1 != own[i].1 {
                        own[kept] = own[i];
                        kept += 1;
                    }
                }
                own[..kept].sort_unstable_by_key(|&(similarity, doc)| {
                    (std::cmp::Reverse(similarity), doc)
                });
                kept as u32
            })
            .collect();
        Ok(Graph { places, edges, degrees })
    }

    fn release(&mut self, epoch: u32, round: u32) -> Result<Vec<DocId>> {
        let paths = self.paths(epoch, round)?;
        let path = self.merged(paths)?;
        Ok(self.without_near_duplicates(path))
    }

    fn paths(&self, epoch: u32, round: u32) -> Result<Vec<Vec<DocId>>> {
        let mut visited = vec![false; self.context.input.lens.len()];
        let mut paths = Vec::new();
        for start in self.context.in_order(epoch, round, self.pool.clone()) {
            let mut path = Vec::new();
            let mut next = (!visited[start.index()]).then_some(start);
            while let Some(doc) = next {
                visited[doc.index()] = true;
                path.push(doc);
                next = if path.len() < PATH {
                    self.ranked(doc).find(|n| !visited[n.index()])
                } else {
                    None
                };
            }
            if !path.is_empty() {
                paths.push(path);
            }
            self.context.ctx.cancel.check()?;
        }
        Ok(paths)
    }

    /// The first of a document's list, those outside the pool left out after they were counted.
    fn ranked(&self, doc: DocId) -> impl Iterator<Item = DocId> + '_ {
        self.neighbours
            .of(doc.get())
            .take(RANKS)
            .map(|(n, _)| DocId::new(n))
            .filter(|n| self.members[n.index()])
    }

    /// Puts the documents of short paths before neighbours elsewhere.
    fn merged(&self, paths: Vec<Vec<DocId>>) -> Result<Vec<DocId>> {
        let mut chains = Chains::new(self.context.input.lens.len(), &paths);
        for number in 0..paths.len() as u32 {
            self.context.ctx.cancel.check()?;
            if chains.sizes[number as usize] as usize >= PATH {
                continue;
            }
            for doc in chains.of(number) {
                let elsewhere = self.ranked(doc).find(|n| chains.chain[n.index()] != number);
                if let Some(neighbour) = elsewhere {
                    chains.put_before(doc, neighbour);
                }
            }
        }
        Ok((0..paths.len() as u32).flat_map(|number| chains.of(number)).collect())
    }

    fn without_near_duplicates(&mut self, path: Vec<DocId>) -> Vec<DocId> {
        let Some(heads) = self.heads else { return path };
        let mut before: Vec<u64> = Vec::new();
        let mut kept = Vec::with_capacity(path.len());
        for doc in path {
            let own = trigrams(heads.head(doc));
            if kept.is_empty() || !nearly_same(&own, &before) {
                before = own;
                kept.push(doc);
            } else {
                self.near_duplicates += 1;
            }
        }
        kept
    }
}

impl Grouping for Iclm<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        (self.members, self.pool) = (self.context.members(pool), pool.to_vec());
        Ok(self.context.one_round(&mut self.used))
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let path = match self.variant {
            IclmVariant::Paper => self.paper(epoch, round)?,
            IclmVariant::Release => self.release(epoch, round)?,
        };
        take(self.context.group(KeywordId::NONE, path))
    }

    fn report(&self, stats: &mut PlanStats) {
        stats.near_duplicates = self.near_duplicates;
    }
}

struct Graph {
    /// The edges of each document; those beyond its degree repeat others.
    places: Offsets,
    edges: Vec<(i32, DocId)>,
    degrees: Vec<u32>,
}

impl Graph {
    fn degree(&self, doc: DocId) -> u32 {
        self.degrees[doc.index()]
    }

    fn of(&self, doc: DocId) -> impl Iterator<Item = DocId> + '_ {
        self.edges[self.places.range(doc.index())][..self.degree(doc) as usize]
            .iter()
            .map(|&(_, doc)| doc)
    }
}

/// Paths as linked lists by document, so that a document moves in constant time.
struct Chains {
    chain: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
    firsts: Vec<u32>,
    sizes: Vec<u32>,
}

impl Chains {
    fn new(documents: usize, paths: &[Vec<DocId>]) -> Chains {
        let none = || vec![NONE; documents];
        let firsts = paths.iter().map(|path| path[0].get()).collect();
        let sizes = paths.iter().map(|path| path.len() as u32).collect();
        let mut chains = Chains { chain: none(), next: none(), previous: none(), firsts, sizes };
        for (number, path) in paths.iter().enumerate() {
            path.iter().for_each(|doc| chains.chain[doc.index()] = number as u32);
            for pair in path.windows(2) {
                chains.next[pair[0].index()] = pair[1].get();
                chains.previous[pair[1].index()] = pair[0].get();
            }
        }
        chains
    }

    /// The documents of a chain as it is now.
    fn of(&self, number: u32) -> Vec<DocId> {
        let mut docs = Vec::with_capacity(self.sizes[number as usize] as usize);
        let mut at = self.firsts[number as usize];
        while at != NONE {
            docs.push(DocId::new(at));
            at = self.next[at as usize];
        }
        docs
    }

    fn put_before(&mut self, doc: DocId, other: DocId) {
        let (d, o) = (doc.index(), other.index());
        let (previous, next) = (self.previous[d], self.next[d]);
        if next != NONE {
            self.previous[next as usize] = previous;
        }
        match previous {
            NONE => self.firsts[self.chain[d] as usize] = next,
            previous => self.next[previous as usize] = next,
        }
        self.sizes[self.chain[d] as usize] -= 1;
        let chain = self.chain[o];
        self.chain[d] = chain;
        self.sizes[chain as usize] += 1;
        let before = self.previous[o];
        match before {
            NONE => self.firsts[chain as usize] = doc.get(),
            before => self.next[before as usize] = doc.get(),
        }
        self.previous[d] = before;
        self.next[d] = other.get();
        self.previous[o] = doc.get();
    }
}

/// The set of runs of three characters, rising.
fn trigrams(head: &str) -> Vec<u64> {
    let characters: Vec<u64> = head.chars().map(u64::from).collect();
    let mut set: Vec<u64> =
        characters.windows(3).map(|w| (w[0] << 42) | (w[1] << 21) | w[2]).collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// Whether the Jaccard index of two rising sets exceeds 0.85.
fn nearly_same(a: &[u64], b: &[u64]) -> bool {
    let (mut i, mut j, mut common) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
        }
    }
    let union = a.len() + b.len() - common;
    // In whole numbers: common / union > 17 / 20.
    common * 20 > union * 17
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_nearly_the_same_above_the_threshold_only() {
        let same = |a: &str, b: &str| nearly_same(&trigrams(a), &trigrams(b));
        let hundred: String = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
        assert!(same(&hundred, &hundred));
        assert!(same(&hundred, &format!("{hundred}!!!")));
        assert!(!same(&hundred, &hundred[12..]));
        assert!(!same("", "") && !same("ab", "ab"));
    }

    #[test]
    fn a_document_moves_between_chains_from_any_place_to_any_place() {
        let d = DocId::new;
        let paths = vec![vec![d(0), d(1), d(2)], vec![d(3)], vec![d(4), d(5)]];
        let of = |chains: &Chains| {
            (0..3)
                .map(|n| chains.of(n).iter().map(|d| d.get()).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        let mut chains = Chains::new(6, &paths);
        chains.put_before(d(3), d(0));
        assert_eq!(of(&chains), [vec![3, 0, 1, 2], vec![], vec![4, 5]]);
        chains.put_before(d(1), d(5));
        chains.put_before(d(2), d(4));
        assert_eq!(of(&chains), [vec![3, 0], vec![], vec![2, 4, 1, 5]]);
        assert_eq!(chains.sizes, [2, 0, 4]);
    }
}
