//! Lists of the documents found for topics, as planners use them: flat columns without scores.

use longweave_common::random::Key;
use longweave_common::{Code, DocId, Error, KeywordId, Offsets, Result};

/// For each topic its documents, the best first. Costs 4 bytes a document of a list and 24 a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicLists {
    keys: Vec<u128>,
    own: Offsets,
    docs: Vec<DocId>,
}

impl TopicLists {
    /// From the [`Key`] of each topic's name, and the lists, concatenated.
    ///
    /// Errors: `FILE_CORRUPT` where these do not fit.
    pub fn new(keys: Vec<u128>, own: Offsets, docs: Vec<DocId>) -> Result<TopicLists> {
        if keys.len() != own.len() || own.end() != docs.len() as u64 {
            let message = format!(
                "{} documents do not divide into {} lists of {} topics; delete the folder of the \
                 matches stage and run again",
                docs.len(),
                own.len(),
                keys.len()
            );
            return Err(Error::new(Code::FileCorrupt, message));
        }
        Ok(TopicLists { keys, own, docs })
    }

    /// Number of topics.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Documents of all lists; one counts in each list that has it.
    pub fn documents(&self) -> usize {
        self.docs.len()
    }

    /// The topics, numbered as the keywords of groups.
    pub fn topics(&self) -> impl Iterator<Item = KeywordId> + use<> {
        (0..self.len() as u32).map(KeywordId::new)
    }

    /// The documents of a topic, the best first; panics beyond the end, as a slice does.
    pub fn of(&self, topic: KeywordId) -> &[DocId] {
        &self.docs[self.own.range(topic.index())]
    }

    pub(crate) fn key(&self, topic: KeywordId) -> Key {
        Key(self.keys[topic.index()])
    }

    /// Whether all are among the first `documents` of a corpus.
    pub(crate) fn is_within(&self, documents: usize) -> bool {
        self.docs.iter().all(|doc| doc.index() < documents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_those_of_their_topics() {
        let docs = |docs: &[u32]| docs.iter().copied().map(DocId::new).collect::<Vec<_>>();
        let ends = |ends: &[u64]| Offsets::from_ends(ends.to_vec()).unwrap();
        let lists = TopicLists::new(vec![5, 6, 7], ends(&[2, 2, 3]), docs(&[4, 1, 0])).unwrap();
        let found: Vec<&[DocId]> = lists.topics().map(|topic| lists.of(topic)).collect();
        assert_eq!(found, [&docs(&[4, 1])[..], &[], &docs(&[0])]);
        assert!(lists.is_within(5) && !lists.is_within(4));
        for (keys, ends) in [(vec![5], ends(&[2])), (vec![5, 6], ends(&[3]))] {
            let wrong = TopicLists::new(keys, ends, docs(&[4, 1, 0])).unwrap_err();
            assert_eq!(wrong.code(), Code::FileCorrupt);
        }
    }
}
