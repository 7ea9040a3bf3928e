//! `standard`: the whole pool in one random order.

use longweave_common::{DocId, KeywordId, Result};

use super::context::{Grouping, PlanContext, Take, limit_uses};

pub(crate) struct Standard<'a> {
    context: PlanContext<'a>,
    pool: Vec<DocId>,
    used: Vec<u64>,
}

impl<'a> Standard<'a> {
    pub(crate) fn new(context: PlanContext<'a>) -> Standard<'a> {
        Standard { context, pool: Vec::new(), used: Vec::new() }
    }
}

impl Grouping for Standard<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        self.pool = pool.to_vec();
        let mut uses = [1];
        limit_uses(self.context.options.policies.max_uses, &mut uses, &mut self.used);
        Ok(uses[0])
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let docs = self.context.in_order(epoch, round, self.pool.clone());
        take(self.context.group(KeywordId::NONE, docs))
    }
}
