//! The hierarchy of phrases that `fill: related` climbs.

use std::collections::{BTreeMap, HashSet};

use longweave_common::random::Key;
use longweave_common::{DocId, KeywordId, Result};
use longweave_plan::Forest;
use longweave_storage::StringTable;

use crate::affinity::Join;
use crate::lists::Lists;

/// A forest with the phrases of its nodes.
pub(crate) struct Tree {
    pub(crate) forest: Forest,
    pub(crate) phrases: NodePhrases,
}

/// The phrases of nodes.
pub(crate) enum NodePhrases {
    Own(Vec<String>),
    /// The keyword whose phrase a node has.
    OfKeywords(Vec<KeywordId>),
    Read(StringTable),
}

impl NodePhrases {
    pub(crate) fn len(&self) -> usize {
        match self {
            NodePhrases::Own(phrases) => phrases.len(),
            NodePhrases::OfKeywords(keywords) => keywords.len(),
            NodePhrases::Read(table) => table.len(),
        }
    }

    /// A node's phrase, where `keywords` are those of the index.
    pub(crate) fn get<'a>(&'a self, node: usize, keywords: &'a [String]) -> &'a str {
        match self {
            NodePhrases::Own(phrases) => &phrases[node],
            NodePhrases::OfKeywords(of) => &keywords[of[node].index()],
            NodePhrases::Read(table) => table.get(node),
        }
    }
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
    let (forest, phrases) = ends(keywords, least);
    Tree { forest, phrases: NodePhrases::Own(phrases) }
}

/// The forest of [`suffix`], and the phrases of its nodes.
fn ends(keywords: &[&str], least: usize) -> (Forest, Vec<String>) {
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
        node_of_document: Vec::new(),
    };
    (forest, nodes.into_iter().map(str::to_owned).collect())
}

/// The forest over the documents that have a keyword, which join two by two, as `joins` says. A
/// document's node comes before those of later documents, and a join's after those of its two; it
/// has key and phrase of the larger. `keys` are the documents'.
pub(crate) fn of_documents(
    keyword_of: &[KeywordId],
    keywords: usize,
    keys: &[u128],
    joins: impl FnOnce(&Lists<DocId>) -> Result<Vec<Join>>,
) -> Result<Tree> {
    let mut clusters = Lists::new();
    let mut forest = Forest {
        node_of_keyword: vec![Forest::NONE; keywords],
        node_of_document: vec![Forest::NONE; keyword_of.len()],
        ..Forest::default()
    };
    let mut phrases = Vec::new();
    for (document, &keyword) in keyword_of.iter().enumerate().filter(|(_, k)| !k.is_none()) {
        forest.node_of_document[document] = forest.len() as u32;
        forest.parent.push(Forest::NONE);
        forest.key.push(keys[document]);
        phrases.push(keyword);
        clusters.push(DocId::new(document as u32));
        clusters.end();
    }
    for Join { larger, smaller } in joins(&clusters)? {
        let node = forest.len() as u32;
        forest.parent[larger as usize] = node;
        forest.parent[smaller as usize] = node;
        forest.parent.push(Forest::NONE);
        forest.key.push(forest.key[larger as usize]);
        phrases.push(phrases[larger as usize]);
    }
    Ok(Tree { forest, phrases: NodePhrases::OfKeywords(phrases) })
}

/// The forest of ends of at least two words, whose trees join two by two, as `joins` says of their
/// documents. A join is a node with the phrase of the larger of the two. `documents` gives a
/// keyword's documents.
pub(crate) fn joined<'a>(
    keywords: &[&str],
    documents: impl Fn(usize) -> &'a [DocId],
    joins: impl FnOnce(&Lists<DocId>) -> Result<Vec<Join>>,
) -> Result<Tree> {
    let (mut forest, phrases) = ends(keywords, 2);
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
        node_of_document: Vec::new(),
    };
    let phrases = order.iter().map(|&node| phrases[text[node as usize] as usize].clone()).collect();
    Ok(Tree { forest: ordered, phrases: NodePhrases::Own(phrases) })
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
        let (forest, phrases) = ends(&keywords, 1);
        let up = |phrase: &str| {
            let node = phrases.iter().position(|p| p == phrase).unwrap();
            phrases.get(forest.parent[node] as usize).map(String::as_str)
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
        assert!(phrases.is_sorted());
    }

    #[test]
    fn documents_join_under_the_phrase_of_the_larger() {
        let keyword = KeywordId::new;
        let keyword_of = [keyword(1), KeywordId::NONE, keyword(0), keyword(1)];
        // Documents 0 and 3 join, then document 2 joins them.
        let joins = |clusters: &Lists<DocId>| {
            assert_eq!(clusters.len(), 3);
            Ok(vec![Join { larger: 2, smaller: 0 }, Join { larger: 3, smaller: 1 }])
        };
        let tree = of_documents(&keyword_of, 2, &[10, 11, 12, 13], joins).unwrap();
        let none = Forest::NONE;
        let expected = Forest {
            parent: vec![3, 4, 3, 4, none],
            key: vec![10, 12, 13, 13, 13],
            node_of_keyword: vec![none; 2],
            node_of_document: vec![0, none, 1, 2],
        };
        assert_eq!(tree.forest, expected);
        let keywords = ["oak".to_owned(), "pine".to_owned()];
        let phrases: Vec<&str> = (0..5).map(|node| tree.phrases.get(node, &keywords)).collect();
        assert_eq!(phrases, ["pine", "oak", "pine", "pine", "pine"]);
    }
}
