//! `quest`: a group for each pass of each keyword's list (Quest, arXiv 2405.19846).

use longweave_common::{DocId, KeywordId, Result};

use super::context::{Grouping, PlanContext, Take, limit_uses};
use super::partition::{Kind, Lists};
use crate::{PlanStats, QuestOptions};

pub(crate) struct Quest<'a> {
    context: PlanContext<'a>,
    options: &'a QuestOptions,
    /// Of the epoch's pool.
    lists: Lists,
    /// Uses in the epoch by `KeywordId`, and last those of the documents without a keyword.
    uses: Vec<u32>,
    used: Vec<u64>,
}

impl<'a> Quest<'a> {
    pub(crate) fn new(
        context: PlanContext<'a>,
        options: &'a QuestOptions,
        pool: &[DocId],
    ) -> Quest<'a> {
        Quest {
            context,
            options,
            lists: Lists::new(context.input, context.options, options, pool),
            uses: Vec::new(),
            used: Vec::new(),
        }
    }
}

impl Grouping for Quest<'_> {
    fn begin(&mut self, epoch: u32, pool: &[DocId]) -> Result<u32> {
        let PlanContext { input, options, .. } = self.context;
        if input.weights.is_some() {
            self.lists = Lists::new(input, options, self.options, pool);
        }
        let policies = &self.context.options.policies;
        self.uses = self
            .lists
            .keywords()
            .map(|k| self.lists.uses(self.context.input, policies.seed, k, epoch))
            .chain([1])
            .collect();
        limit_uses(policies.max_uses, &mut self.uses, &mut self.used);
        Ok(self.uses.iter().copied().max().unwrap_or(0))
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        for keyword in self.lists.keywords() {
            if self.lists.kinds[keyword.index()] != Kind::Unused
                && self.uses[keyword.index()] > round
            {
                let docs = self.context.in_order(epoch, round, self.lists.of(keyword).to_vec());
                take(self.context.group(keyword, docs))?;
            }
        }
        if self.uses.last().is_some_and(|&n| n > round) {
            for &doc in &self.lists.lone {
                take(self.context.group(KeywordId::NONE, [doc]))?;
            }
        }
        Ok(())
    }

    fn is_short(&self, doc: DocId) -> bool {
        let keyword = self.context.input.keyword(doc);
        !keyword.is_none() && self.lists.kinds[keyword.index()] == Kind::Short
    }

    fn report(&self, stats: &mut PlanStats) {
        stats.keywords = self.lists.counts.clone();
        stats.oversample = self.lists.oversample;
    }
}
