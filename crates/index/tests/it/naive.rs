//! An index made slowly, over strings and maps, from the rules as they are documented.

use std::collections::{BTreeMap, BTreeSet};

use longweave_common::random::{Key, below, draw};
use longweave_index::{Hierarchy, IndexOptions, Representative};
use longweave_keywords::{rank, singular};

/// An index made by plain loops.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Naive {
    pub(crate) keywords: Vec<String>,
    pub(crate) keyword_of: Vec<Option<String>>,
    pub(crate) postings: Vec<Vec<u32>>,
    pub(crate) nodes: Vec<String>,
    pub(crate) parent: Vec<u32>,
    pub(crate) node_of_keyword: Vec<u32>,
}

pub(crate) fn index(
    corpus: &[Vec<String>],
    keys: &[u128],
    boilerplate: &str,
    options: &IndexOptions,
) -> Naive {
    // A phrase and its plural have the name of the commoner.
    let key = |p: &str| match options.searchable {
        true => singular(p).into_owned(),
        false => p.to_owned(),
    };
    let mut spellings: BTreeMap<String, BTreeMap<&str, u32>> = BTreeMap::new();
    for p in corpus.iter().flatten() {
        *spellings.entry(key(p)).or_default().entry(p).or_default() += 1;
    }
    let name = |p: &String| -> String {
        let of = spellings[&key(p)].iter();
        of.min_by_key(|&(text, &n)| (std::cmp::Reverse(n), *text)).unwrap().0.to_string()
    };
    let corpus: Vec<Vec<String>> =
        corpus.iter().map(|candidates| candidates.iter().map(name).collect()).collect();
    let corpus = &corpus[..];
    let mut frequency: BTreeMap<&str, u32> = BTreeMap::new();
    corpus.iter().flatten().for_each(|p| *frequency.entry(p).or_default() += 1);
    let with_candidate = corpus.iter().filter(|c| !c.is_empty()).count();
    let cap = ((options.max_keyword_share * with_candidate as f64).floor() as u32)
        .max(options.min_keyword_cap);
    let keyword_of: Vec<Option<String>> = corpus
        .iter()
        .zip(keys)
        .map(|(candidates, &key)| {
            let mut left: Vec<&String> = candidates.iter().filter(|p| *p != boilerplate).collect();
            if left.is_empty() {
                return None;
            }
            match options.representative {
                Representative::Random => {
                    Some(
                        left[below(
                            draw(options.seed, "representative", Key(key), 0),
                            left.len() as u64,
                        ) as usize]
                            .clone(),
                    )
                }
                Representative::Common => {
                    let rank_of = |p: &str| match options.searchable {
                        true => usize::from(rank(p)),
                        false => p.split(' ').count(),
                    };
                    // Ties stay in byte order of the document's own spellings.
                    left.sort_by_key(|p| {
                        let documents = i64::from(frequency[p.as_str()]);
                        let over = documents > i64::from(cap);
                        (
                            over,
                            if over { documents } else { -documents },
                            std::cmp::Reverse(rank_of(p)),
                        )
                    });
                    Some(left[0].clone())
                }
            }
        })
        .collect();
    let keywords: Vec<String> =
        keyword_of.iter().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let holding = |k: &String| {
        (0..corpus.len() as u32).filter(|&d| keyword_of[d as usize].as_ref() == Some(k)).collect()
    };
    let postings = keywords.iter().map(holding).collect();
    let mut naive = Naive {
        keywords,
        keyword_of,
        postings,
        nodes: vec![],
        parent: vec![],
        node_of_keyword: vec![],
    };
    let up = forest(&naive, corpus, boilerplate, options.hierarchy);
    // Nodes are (phrase, joins before).
    naive.nodes = up.keys().map(|n| n.0.clone()).collect();
    let number = |node: &Node| up.keys().position(|n| n == node).unwrap() as u32;
    naive.parent = up.values().map(|p| p.as_ref().map_or(u32::MAX, number)).collect();
    naive.node_of_keyword = naive.keywords.iter().map(|k| number(&(k.clone(), 0))).collect();
    naive
}

type Node = (String, usize);

fn ends(phrase: &str, least: usize) -> Vec<String> {
    let words: Vec<&str> = phrase.split(' ').collect();
    (1..words.len())
        .filter(|&from| words.len() - from >= least)
        .map(|from| words[from..].join(" "))
        .collect()
}

fn forest(
    index: &Naive,
    corpus: &[Vec<String>],
    boilerplate: &str,
    hierarchy: Hierarchy,
) -> BTreeMap<Node, Option<Node>> {
    let least = if hierarchy == Hierarchy::Suffix { 1 } else { 2 };
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for keyword in &index.keywords {
        let mut last = keyword.clone();
        for end in ends(keyword, least) {
            below.entry(end.clone()).or_default().insert(last);
            last = end;
        }
    }
    let mut nodes: BTreeSet<String> = index.keywords.iter().cloned().collect();
    nodes.extend(below.into_iter().filter(|(_, children)| children.len() > 1).map(|(end, _)| end));
    let parent = |phrase: &str| ends(phrase, least).into_iter().find(|end| nodes.contains(end));
    let mut up: BTreeMap<Node, Option<Node>> =
        nodes.iter().map(|n| ((n.clone(), 0), parent(n).map(|p| (p, 0)))).collect();
    if hierarchy == Hierarchy::Suffix {
        return up;
    }
    let root = |keyword: &str| {
        let mut at = keyword.to_owned();
        while let Some(next) = parent(&at) {
            at = next;
        }
        at
    };
    let mut clusters: Vec<Cluster> = nodes
        .iter()
        .filter(|n| parent(n).is_none())
        .map(|n| Cluster {
            node: (n.clone(), 0),
            documents: (0..corpus.len())
                .filter(|&d| index.keyword_of[d].as_ref().is_some_and(|k| root(k) == *n))
                .collect(),
        })
        .collect();
    let features = |d: usize| -> BTreeSet<(bool, &str)> {
        let candidates = corpus[d].iter().filter(|p| *p != boilerplate);
        candidates
            .flat_map(|p| p.split(' ').map(|w| (false, w)).chain([(true, p.as_str())]))
            .collect()
    };
    let mut number: BTreeMap<(bool, &str), u32> = BTreeMap::new();
    for d in (0..corpus.len()).filter(|&d| index.keyword_of[d].is_some()) {
        features(d).into_iter().for_each(|f| *number.entry(f).or_default() += 1);
    }
    let mut made = 0;
    loop {
        let vectors: Vec<BTreeMap<(bool, &str), u64>> = clusters
            .iter()
            .map(|cluster| {
                let mut x: BTreeMap<(bool, &str), u64> = BTreeMap::new();
                cluster
                    .documents
                    .iter()
                    .flat_map(|&d| features(d))
                    .for_each(|f| *x.entry(f).or_default() += 1);
                for (f, x) in &mut x {
                    *x *= (65_536.0 / f64::from(number[f]).sqrt()).floor() as u64
                        * if f.0 { 2 } else { 1 };
                }
                let norm = (x.values().map(|&v| u128::from(v) * u128::from(v)).sum::<u128>()
                    as f64)
                    .sqrt();
                x.into_iter()
                    .map(|(f, v)| (f, (v as f64 * 16_777_216.0 / norm).floor() as u64))
                    .collect()
            })
            .collect();
        let champion = |f: &(bool, &str), c: usize| {
            let mine = vectors[c].get(f).copied();
            let ahead = |&o: &usize| {
                vectors[o].get(f).is_some_and(|&v| Some(v) > mine || (Some(v) == mine && o < c))
            };
            mine.is_some() && (0..clusters.len()).filter(ahead).count() < 64
        };
        let champions: BTreeMap<&(bool, &str), Vec<bool>> = number
            .keys()
            .map(|f| (f, (0..clusters.len()).map(|c| champion(f, c)).collect()))
            .collect();
        let affinity = |c: usize, other: usize| -> u64 {
            vectors[c]
                .iter()
                .filter(|(f, _)| champions[f][other])
                .map(|(f, v)| v * vectors[other][f])
                .sum()
        };
        let mut pairs: Vec<(std::cmp::Reverse<u64>, usize, usize)> = Vec::new();
        for c in 0..clusters.len() {
            let others = (0..clusters.len())
                .filter(|&other| other != c)
                .map(|other| (std::cmp::Reverse(affinity(c, other)), other));
            if let Some((best, other)) = others.min().filter(|(best, _)| best.0 > 0) {
                pairs.push((best, c, other));
            }
        }
        if pairs.is_empty() {
            return up;
        }
        pairs.sort_unstable();
        pairs.truncate(pairs.len().div_ceil(2));
        let mut of: Vec<usize> = (0..clusters.len()).collect();
        for (_, a, b) in pairs {
            let (low, high) = (of[a].min(of[b]), of[a].max(of[b]));
            if low == high {
                continue;
            }
            made += 1;
            let larger = if clusters[high].documents.len() > clusters[low].documents.len() {
                high
            } else {
                low
            };
            let node: Node = (clusters[larger].node.0.clone(), made);
            for cluster in [low, high] {
                up.insert(clusters[cluster].node.clone(), Some(node.clone()));
            }
            up.insert(node.clone(), None);
            clusters[low].node = node;
            let more = std::mem::take(&mut clusters[high].documents);
            clusters[low].documents.extend(more);
            of.iter_mut().filter(|o| **o == high).for_each(|o| *o = low);
        }
        clusters.retain(|c| !c.documents.is_empty());
    }
}

struct Cluster {
    node: Node,
    documents: Vec<usize>,
}
