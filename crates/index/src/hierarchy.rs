//! The hierarchy of phrases that `fill: related` climbs.

use std::collections::{BTreeMap, HashMap};

use longweave_common::KeywordId;
use longweave_common::random::Key;
use longweave_plan::Forest;

use crate::candidates::CandidateTable;

/// A forest with the phrases of its nodes.
pub(crate) struct Tree {
    pub(crate) forest: Forest,
    pub(crate) phrases: Vec<String>,
}

/// The phrase without its first word.
fn without_first(phrase: &str) -> Option<&str> {
    phrase.split_once(' ').map(|(_, rest)| rest)
}

/// The last word.
fn head(phrase: &str) -> &str {
    phrase.rsplit(' ').next().unwrap_or(phrase)
}

/// Keywords, which are in byte order, and those of their ends at which several meet; each below the longest end that is a node.
pub(crate) fn suffix(keywords: &[&str]) -> Tree {
    // Distinct children that each end of a keyword has.
    let mut children: BTreeMap<&str, u32> = keywords.iter().map(|&k| (k, 0)).collect();
    let mut seen: std::collections::HashSet<&str> = std::collections::HashSet::new();
    for &keyword in keywords {
        let mut phrase = keyword;
        while let Some(parent) = without_first(phrase) {
            if !seen.insert(phrase) {
                break;
            }
            *children.entry(parent).or_default() += 1;
            phrase = parent;
        }
    }
    let is_keyword = |phrase: &str| keywords.binary_search(&phrase).is_ok();
    let nodes: Vec<&str> = children.iter().filter(|&(p, &n)| n > 1 || is_keyword(p)).map(|(&p, _)| p).collect();
    let number = |phrase: &str| nodes.binary_search(&phrase).ok().map(|n| n as u32);
    let parent = |phrase: &str| {
        let mut end = without_first(phrase);
        while let Some(p) = end {
            if let Some(n) = number(p) {
                return n;
            }
            end = without_first(p);
        }
        Forest::NONE
    };
    let forest = Forest {
        parent: nodes.iter().map(|p| parent(p)).collect(),
        key: nodes.iter().map(|p| Key::of(p).0).collect(),
        node_of_keyword: keywords.iter().map(|k| number(k).unwrap_or(Forest::NONE)).collect(),
    };
    Tree { forest, phrases: nodes.into_iter().map(str::to_owned).collect() }
}

/// The suffix forest, whose roots join larger roots: root r goes below the larger root s whose heads stand most often among the other
/// candidates of r's documents, by (documents in common)² / documents of s; ties to the larger, then the first.
pub(crate) fn cooccurrence(keywords: &[&str], keyword_of: &[KeywordId], tables: &[CandidateTable]) -> Tree {
    let mut tree = suffix(keywords);
    let parent = &tree.forest.parent;
    let root = |mut node: u32| {
        while parent[node as usize] != Forest::NONE {
            node = parent[node as usize];
        }
        node
    };
    let root_of_keyword: Vec<u32> = tree.forest.node_of_keyword.iter().map(|&n| root(n)).collect();
    let mut roots_by_head: HashMap<&str, Vec<u32>> = HashMap::new();
    for (node, phrase) in tree.phrases.iter().enumerate().filter(|&(node, _)| parent[node] == Forest::NONE) {
        roots_by_head.entry(head(phrase)).or_default().push(node as u32);
    }
    let mut size = vec![0u64; parent.len()];
    for keyword in keyword_of.iter().filter(|k| !k.is_none()) {
        size[root_of_keyword[keyword.index()] as usize] += 1;
    }
    let larger = |a: u32, b: u32| (size[a as usize], std::cmp::Reverse(a)) > (size[b as usize], std::cmp::Reverse(b));
    let mut common: HashMap<(u32, u32), u64> = HashMap::new();
    let mut others: Vec<u32> = Vec::new();
    for table in tables {
        for row in 0..table.rows() {
            let keyword = keyword_of[table.first as usize + row];
            if keyword.is_none() {
                continue;
            }
            let own = root_of_keyword[keyword.index()];
            others.clear();
            for i in table.range(row) {
                others.extend(roots_by_head.get(head(table.phrases.get(i))).into_iter().flatten().filter(|&&r| larger(r, own)));
            }
            others.sort_unstable();
            others.dedup();
            for &other in &others {
                *common.entry((own, other)).or_default() += 1;
            }
        }
    }
    let mut best: HashMap<u32, (u64, u32)> = HashMap::new();
    for (&(own, other), &n) in &common {
        let better = |&(m, with): &(u64, u32)| {
            let (a, b) = (u128::from(n * n) * u128::from(size[with as usize]), u128::from(m * m) * u128::from(size[other as usize]));
            a > b || (a == b && larger(other, with))
        };
        match best.get(&own) {
            Some(known) if !better(known) => {}
            _ => {
                best.insert(own, (n, other));
            }
        }
    }
    for (own, (_, other)) in best {
        tree.forest.parent[own as usize] = other;
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_back_off_to_the_ends_that_they_share() {
        let mut keywords = [
            "brazilian football player",
            "french football player",
            "chess player",
            "football player",
            "oak tree",
            "player",
            "tall oak tree",
        ];
        keywords.sort_unstable();
        let tree = suffix(&keywords);
        let up = |phrase: &str| {
            let node = tree.phrases.iter().position(|p| p == phrase).unwrap();
            tree.phrases.get(tree.forest.parent[node] as usize).map(String::as_str)
        };
        assert_eq!(up("brazilian football player"), Some("football player"));
        assert_eq!(up("football player"), Some("player"));
        assert_eq!(up("chess player"), Some("player"));
        assert_eq!(up("player"), None);
        assert_eq!(up("tall oak tree"), Some("oak tree"));
        assert_eq!(up("oak tree"), None, "an end that is no keyword and joins nothing is no node");
        assert!(tree.phrases.is_sorted());
    }
}
