//! The hierarchy of phrases that `fill: related` climbs.

use std::collections::{BTreeMap, HashSet};

use longweave_common::random::Key;
use longweave_common::{DocId, Result};
use longweave_plan::Forest;

use crate::affinity::Join;
use crate::lists::Lists;

/// A forest with the phrases of its nodes.
pub(crate) struct Tree {
    pub(crate) forest: Forest,
    pub(crate) phrases: Vec<String>,
}

/// The phrase without its first word, if that leaves `least` words.
fn shorter(phrase: &str, least: usize) -> Option<&str> {
    phrase
        .split_once(' ')
        .map(|(_, end)| end)
        .filter(|end| least < 2 || end.split(' ').count() >= least)
}

/// Keywords, which are in byte order, and those of their ends at which several meet; each below the
/// longest end that is a node. Ends have at least `least` words.
pub(crate) fn suffix(keywords: &[&str], least: usize) -> Tree {
    // Distinct children that each end of a keyword has.
    let mut children: BTreeMap<&str, u32> = keywords.iter().map(|&k| (k, 0)).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    for &keyword in keywords {
        let mut phrase = keyword;
        while let Some(parent) = shorter(phrase, least) {
            if !seen.insert(phrase) {
                break;
            }
            *children.entry(parent).or_default() += 1;
            phrase = parent;
        }
    }
    let is_keyword = |phrase: &str| keywords.binary_search(&phrase).is_ok();
    let nodes: Vec<&str> =
        children.iter().filter(|&(p, &n)| n > 1 || is_keyword(p)).map(|(&p, _)| p).collect();
    let number = |phrase: &str| nodes.binary_search(&phrase).ok().map(|n| n as u32);
    let parent = |phrase: &str| {
        let mut end = shorter(phrase, least);
        while let Some(p) = end {
            if let Some(n) = number(p) {
                return n;
            }
            end = shorter(p, least);
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

/// The forest of ends of at least two words, whose trees join two by two, as `joins` says of their
/// documents. A join is a node with the phrase of the larger of the two. `documents` gives a
/// keyword's documents.
pub(crate) fn joined<'a>(
    keywords: &[&str],
    documents: impl Fn(usize) -> &'a [DocId],
    joins: impl FnOnce(&Lists<DocId>) -> Result<Vec<Join>>,
) -> Result<Tree> {
    let Tree { mut forest, phrases } = suffix(keywords, 2);
    let root = |mut node: u32| {
        while forest.parent[node as usize] != Forest::NONE {
            node = forest.parent[node as usize];
        }
        node
    };
    let roots: Vec<u32> =
        (0..forest.len() as u32).filter(|&n| forest.parent[n as usize] == Forest::NONE).collect();
    let mut by_root: Vec<(u32, usize)> =
        forest.node_of_keyword.iter().map(|&node| root(node)).zip(0..).collect();
    by_root.sort_unstable();
    let mut clusters = Lists::new();
    for keywords in by_root.chunk_by(|a, b| a.0 == b.0) {
        keywords.iter().flat_map(|k| documents(k.1)).for_each(|&document| clusters.push(document));
        clusters.end();
    }
    let joins = joins(&clusters)?;
    // Nodes as they come: phrases' first, then joins.
    let mut cluster_node = roots;
    let mut text: Vec<u32> = (0..forest.len() as u32).collect();
    for join in &joins {
        let node = forest.parent.len() as u32;
        let (larger, smaller) =
            (cluster_node[join.larger as usize], cluster_node[join.smaller as usize]);
        forest.parent[larger as usize] = node;
        forest.parent[smaller as usize] = node;
        forest.parent.push(Forest::NONE);
        text.push(text[larger as usize]);
        cluster_node.push(node);
    }
    // In byte order of phrase; of one phrase in the order of joins.
    let mut order: Vec<u32> = (0..text.len() as u32).collect();
    order.sort_by_key(|&node| text[node as usize]);
    let mut place = vec![Forest::NONE; order.len()];
    for (at, &node) in order.iter().enumerate() {
        place[node as usize] = at as u32;
    }
    let moved = |node: u32| if node == Forest::NONE { node } else { place[node as usize] };
    let ordered = Forest {
        parent: order.iter().map(|&node| moved(forest.parent[node as usize])).collect(),
        key: order.iter().map(|&node| forest.key[text[node as usize] as usize]).collect(),
        node_of_keyword: forest.node_of_keyword.iter().map(|&node| moved(node)).collect(),
    };
    let phrases = order.iter().map(|&node| phrases[text[node as usize] as usize].clone()).collect();
    Ok(Tree { forest: ordered, phrases })
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
        let tree = suffix(&keywords, 1);
        let up = |phrase: &str| {
            let node = tree.phrases.iter().position(|p| p == phrase).unwrap();
            tree.phrases.get(tree.forest.parent[node] as usize).map(String::as_str)
        };
        assert_eq!(up("brazilian football player"), Some("football player"));
        assert_eq!(up("football player"), Some("player"));
        assert_eq!(up("chess player"), Some("player"));
        assert_eq!(up("player"), None);
        assert_eq!(up("tall oak tree"), Some("oak tree"));
        assert_eq!(
            up("oak tree"),
            None,
            "an ending that is not a keyword and joins nothing is not a node"
        );
        assert!(tree.phrases.is_sorted());
    }
}
