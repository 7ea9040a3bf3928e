//! `standard`: the whole pool in one random order.

use longweave_common::{DocId, KeywordId, Result};

use super::context::{Grouping, PlanContext, Take};

pub(crate) struct Standard<'a> {
    context: PlanContext<'a>,
    pool: Vec<DocId>,
    used: u64,
}

impl<'a> Standard<'a> {
    pub(crate) fn new(context: PlanContext<'a>) -> Standard<'a> {
        Standard { context, pool: Vec::new(), used: 0 }
    }
}

impl Grouping for Standard<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        self.pool = pool.to_vec();
        Ok(self.context.one_round(&mut self.used))
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let docs = self.context.in_order(epoch, round, self.pool.clone());
        take(self.context.group(KeywordId::NONE, docs))
    }
}
