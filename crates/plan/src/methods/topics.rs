//! `topics`: the documents found for each topic (LiteLong, Jia et al. 2026, arXiv 2509.15568), or
//! chunks of some of them with hard negatives between (`within: nextlong`).
//!
//! Costs up to 3 bytes a document and 4 for its place, 8 a topic, 4 more a document where `maxUses` is
//! given, and what `nextlong` costs; the lists are the input's.

use std::collections::HashSet;

use longweave_common::random::draw;
use longweave_common::{DocId, KeywordId, Result};

use super::context::{Anchor, DocumentUses, Group, Grouping, PlanContext, Run, Take, round_key};
use super::nextlong::Interleaver;
use crate::{PlanStats, TopicCounts, TopicLists, TopicOrder, TopicsOptions};

pub(crate) struct Topics<'a> {
    context: PlanContext<'a>,
    options: &'a TopicsOptions,
    lists: &'a TopicLists,
    members: Vec<bool>,
    pool: Vec<DocId>,
    uses: DocumentUses,
    /// Of `within: nextlong`.
    anchors: Option<Anchors<'a>>,
    counts: TopicCounts,
}

struct Anchors<'a> {
    interleaver: Interleaver<'a>,
    /// Documents that were anchors in this epoch.
    used: Vec<bool>,
}

impl<'a> Topics<'a> {
    pub(crate) fn new(
        context: PlanContext<'a>,
        options: &'a TopicsOptions,
        pool: &[DocId],
    ) -> Result<Topics<'a>> {
        let lists = context.input.topics.ok_or_else(|| PlanContext::missing("lists of topics"))?;
        let members = context.members(pool);
        let mut in_none = members.clone();
        let mut counts = TopicCounts { topics: lists.len() as u64, ..TopicCounts::default() };
        for topic in lists.topics() {
            let mut own = lists.of(topic).iter().filter(|doc| members[doc.index()]).peekable();
            counts.with_documents += u64::from(own.peek().is_some());
            own.for_each(|doc| in_none[doc.index()] = false);
        }
        counts.documents_in_none = in_none.iter().filter(|&&in_none| in_none).count() as u64;
        let interleaver = options.chunks().map(|chunks| Interleaver::new(context, &chunks));
        let anchors =
            interleaver.transpose()?.map(|interleaver| Anchors { interleaver, used: Vec::new() });
        let uses = DocumentUses::new(&context);
        Ok(Topics { context, options, lists, members, pool: Vec::new(), uses, anchors, counts })
    }

    /// Documents of a topic that can be used once more, the best first.
    fn usable(&self, topic: KeywordId) -> impl Iterator<Item = DocId> + '_ {
        let listed = self.lists.of(topic).iter().copied();
        listed.filter(|&doc| self.members[doc.index()] && self.uses.left(doc))
    }

    /// The best documents of a topic, as many as its sequences hold; the last one is cut there.
    fn documents(&mut self, topic: KeywordId, round_key: u64) -> Group {
        let capacity = u64::from(self.context.shape.capacity());
        let most = capacity.saturating_mul(u64::from(self.options.sequences));
        let (mut whole, mut cut): (Vec<Run>, Option<Run>) = (Vec::new(), None);
        let (mut room, mut beyond) = (most, 0);
        for doc in self.usable(topic) {
            let run = self.context.whole(doc);
            let taken = u64::from(run.len).min(room) as u32;
            beyond += self.own(Run { start: taken, len: run.len - taken, ..run });
            room -= u64::from(taken);
            match taken {
                0 => {}
                len if len == run.len => whole.push(run),
                len => cut = Some(Run { len, ..run }),
            }
        }
        self.counts.beyond_sequences += beyond;
        match self.options.order {
            TopicOrder::Score => {}
            TopicOrder::Reversed => whole.reverse(),
            TopicOrder::Shuffle => self.shuffle(&mut whole, topic, round_key),
        }
        let runs: Vec<Run> = whole.into_iter().chain(cut).collect();
        runs.iter().for_each(|run| self.uses.add(run.doc));
        Group { keyword: topic, anchor: DocId::NONE, runs }
    }

    /// Tokens of a run that are its document's own.
    fn own(&self, run: Run) -> u64 {
        let PlanContext { shape, input, .. } = self.context;
        let before = |virtual_tokens: u32| {
            virtual_tokens.saturating_sub(shape.lead).min(input.lens[run.doc.index()])
        };
        u64::from(before(run.start + run.len) - before(run.start))
    }

    fn shuffle(&self, runs: &mut [Run], topic: KeywordId, round_key: u64) {
        let PlanContext { input, options, .. } = self.context;
        let counter = round_key.wrapping_add(input.group_key(topic).0 as u64);
        runs.sort_by_cached_key(|run| {
            let key = input.key(run.doc);
            (draw(options.policies.seed, "topic", key, counter), key, run.doc)
        });
    }

    fn in_order(&self, round_key: u64) -> Vec<KeywordId> {
        let seed = self.context.options.policies.seed;
        let mut topics: Vec<KeywordId> = self.lists.topics().collect();
        topics.sort_by_cached_key(|&topic| {
            let key = self.lists.key(topic);
            (draw(seed, "order", key, round_key), key, topic)
        });
        topics
    }

    fn groups(&mut self, topic: KeywordId, round_key: u64) -> Result<Vec<Group>> {
        let Some(mut anchors) = self.anchors.take() else {
            return Ok(vec![self.documents(topic, round_key)]);
        };
        let groups = self.around(topic, &mut anchors);
        self.anchors = Some(anchors);
        groups
    }

    /// A group around each anchor: the topic's best documents that this epoch has not used as anchors.
    fn around(&mut self, topic: KeywordId, anchors: &mut Anchors<'a>) -> Result<Vec<Group>> {
        let most = self.options.sequences as usize;
        let is_new = |doc: &DocId| !anchors.used[doc.index()];
        let chosen: Vec<DocId> = self.usable(topic).filter(is_new).take(most).collect();
        let own: HashSet<DocId> = self.lists.of(topic).iter().copied().collect();
        let (lists, mut first) = (anchors.interleaver.read(&chosen)?, 0);
        let group = |doc: DocId| {
            anchors.used[doc.index()] = true;
            self.uses.add(doc);
            let anchor = Anchor { doc, lists: &lists, first };
            first += anchors.interleaver.chunks_of(doc).len();
            let runs = anchors.interleaver.around(&anchor, Some(&own));
            Group { keyword: topic, anchor: doc, runs }
        };
        Ok(chosen.into_iter().map(group).collect())
    }
}

impl Grouping for Topics<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        (self.members, self.pool) = (self.context.members(pool), pool.to_vec());
        if let Some(anchors) = &mut self.anchors {
            anchors.interleaver.begin(pool);
            anchors.used = vec![false; self.context.input.lens.len()];
        }
        Ok(1)
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let (end, round_key) = (self.context.epoch_end(&self.pool), round_key(epoch, round));
        let mut reached = 0;
        for topic in self.in_order(round_key) {
            if reached >= end {
                break;
            }
            for group in self.groups(topic, round_key)? {
                reached += group.len();
                take(group)?;
            }
        }
        Ok(())
    }

    fn repeats(&self) -> bool {
        true
    }

    fn by_range(&self) -> bool {
        self.anchors.is_some()
    }

    fn report(&self, stats: &mut PlanStats) {
        stats.topics = self.counts.clone();
    }
}
