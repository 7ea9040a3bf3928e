//! Keywords' lists, and how often each is used.

use longweave_common::random::{chance, draw};
use longweave_common::{DocId, KeywordId, Offsets};

use crate::stats::{KeywordListCounts, ListSizes};
use crate::{PlanInput, PlanOptions, QuestOptions, Shape, SplitBy};

/// The kind of a keyword's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No document of the pool.
    Unused,
    /// Fewer than `minKeywordDocuments` documents.
    Singleton,
    /// In the short set.
    Short,
    /// In the long set.
    Long,
}

/// The lists of the pool.
pub(crate) struct Lists {
    /// The documents of each keyword in `docs`.
    of_keyword: Offsets,
    docs: Vec<DocId>,
    /// Documents of the pool without a keyword, in `DocId` order.
    pub(crate) lone: Vec<DocId>,
    pub(crate) kinds: Vec<Kind>,
    /// Uses of a short list in an epoch.
    pub(crate) oversample: Option<f64>,
    pub(crate) counts: KeywordListCounts,
}

impl Lists {
    /// Documents of a keyword in `DocId` order.
    pub(crate) fn of(&self, keyword: KeywordId) -> &[DocId] {
        &self.docs[self.of_keyword.range(keyword.index())]
    }

    /// All keywords.
    pub(crate) fn keywords(&self) -> impl Iterator<Item = KeywordId> + use<> {
        (0..self.kinds.len() as u32).map(KeywordId::new)
    }

    /// Builds the lists of the pool by counting sort and divides them.
    pub(crate) fn new(
        input: &PlanInput<'_>,
        options: &PlanOptions,
        quest: &QuestOptions,
        pool: &[DocId],
    ) -> Lists {
        let keywords = input.keyword_keys.len();
        let (lone, keyworded): (Vec<DocId>, Vec<DocId>) =
            pool.iter().partition(|&&doc| input.keyword(doc).is_none());
        let keyworded = keyworded.iter().map(|&doc| (input.keyword(doc).index(), doc));
        let (of_keyword, docs) = Offsets::sort(keywords, keyworded);
        let mut lists = Lists {
            of_keyword,
            docs,
            lone,
            kinds: vec![Kind::Unused; keywords],
            oversample: None,
            counts: KeywordListCounts::default(),
        };
        lists.divide(input, options, quest);
        lists
    }

    fn divide(&mut self, input: &PlanInput<'_>, options: &PlanOptions, quest: &QuestOptions) {
        let shape = Shape::of(options);
        let tokens = |docs: &[DocId]| {
            docs.iter().map(|d| shape.virtual_len(input.lens[d.index()])).sum::<u64>()
        };
        let mut several: Vec<KeywordId> = Vec::new();
        for keyword in self.keywords() {
            match self.of(keyword).len() {
                0 => {}
                n if n < quest.min_keyword_documents as usize => {
                    self.kinds[keyword.index()] = Kind::Singleton;
                    self.counts.singletons += 1;
                }
                _ => {
                    self.kinds[keyword.index()] = Kind::Long;
                    several.push(keyword);
                }
            }
        }
        several.sort_by_cached_key(|&k| {
            let key = input.keyword_key(k);
            (self.of(k).len(), draw(options.policies.seed, "partition", key, 0), key, k)
        });
        let measure = |k: KeywordId| match quest.split_by {
            SplitBy::Keywords => 1,
            SplitBy::Documents => self.of(k).len() as u64,
            SplitBy::Tokens => tokens(self.of(k)),
        };
        let limit = quest.split_ratio * several.iter().map(|&k| measure(k)).sum::<u64>() as f64;
        let (mut reached, mut short) = (0u64, 0);
        for &keyword in &several {
            reached += measure(keyword);
            if reached as f64 > limit {
                break;
            }
            short += 1;
        }
        let mut short_virtual = 0;
        for &keyword in &several[..short] {
            self.kinds[keyword.index()] = Kind::Short;
            let docs = self.of(keyword);
            short_virtual += tokens(docs);
            let (documents, own) = (
                docs.len() as u64,
                docs.iter().map(|d| u64::from(input.lens[d.index()])).sum::<u64>(),
            );
            self.counts.short_documents += documents;
            self.counts.short_tokens += own;
        }
        let mut sizes: Vec<ListSizes> = Vec::new();
        for keyword in self.keywords().filter(|&k| !self.of(k).is_empty()) {
            let place = self.of(keyword).len().next_power_of_two().trailing_zeros() as usize;
            if sizes.len() <= place {
                sizes.resize(place + 1, ListSizes::default());
            }
            match self.kinds[keyword.index()] {
                Kind::Unused => {}
                Kind::Singleton => sizes[place].singletons += 1,
                Kind::Short => sizes[place].short += 1,
                Kind::Long => sizes[place].long += 1,
            }
        }
        self.counts.sizes = sizes;
        self.counts.short = short as u64;
        self.counts.long = (several.len() - short) as u64;
        if short > 0 {
            let rest = tokens(&self.docs) + tokens(&self.lone) - short_virtual;
            self.oversample = Some(match quest.short_share {
                Some(s) => ((s * rest as f64) / ((1.0 - s) * short_virtual as f64)).max(1.0),
                None => quest.oversample,
            });
        }
    }

    /// Uses of a list in an epoch, before `maxUses`.
    pub(crate) fn uses(
        &self,
        input: &PlanInput<'_>,
        seed: u64,
        keyword: KeywordId,
        epoch: u32,
    ) -> u32 {
        match (self.kinds[keyword.index()], self.oversample) {
            (Kind::Unused, _) => 0,
            (Kind::Short, Some(oversample)) => {
                let whole = oversample.floor().min(f64::from(u32::MAX - 1));
                let more = chance(
                    draw(seed, "oversample", input.keyword_key(keyword), u64::from(epoch)),
                    oversample - whole,
                );
                whole as u32 + u32::from(more)
            }
            _ => 1,
        }
    }
}
