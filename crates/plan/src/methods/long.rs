//! `long`: long documents alone, or more of them within each source (Fu et al. 2024, arXiv
//! 2402.10171).
//!
//! Costs 4 bytes a document, and 8 more where `maxUses` is given; 24 a source.

use longweave_common::random::{chance, draw};
use longweave_common::{DocId, KeywordId, Result};

use super::context::{Grouping, PlanContext, Take, limit};
use crate::{LongCounts, LongMode, LongOptions, PlanStats};

/// How often documents of a source are used in an epoch, in the mean.
#[derive(Clone, Copy)]
struct Rates {
    long: f64,
    other: f64,
}

pub(crate) struct Long<'a> {
    context: PlanContext<'a>,
    options: &'a LongOptions,
    pool: Vec<DocId>,
    /// By source; empty for `filter`, whose pool is of long documents alone.
    rates: Vec<Rates>,
    counts: LongCounts,
    /// Uses in the epoch by place in the pool.
    uses: Vec<u32>,
    /// Uses so far by document, where they are bounded.
    used: Vec<u64>,
}

impl<'a> Long<'a> {
    pub(crate) fn new(context: PlanContext<'a>, options: &'a LongOptions) -> Long<'a> {
        Long {
            context,
            options,
            pool: Vec::new(),
            rates: Vec::new(),
            counts: LongCounts::default(),
            uses: Vec::new(),
            used: Vec::new(),
        }
    }

    fn over(&mut self, pool: &[DocId]) {
        let (context, options) = (self.context, self.options);
        let len = |doc: DocId| context.input.lens[doc.index()];
        let mut counts = LongCounts::default();
        let mut tokens: Vec<(u64, u64)> = Vec::new();
        for &doc in pool {
            let source = context.input.source(doc) as usize;
            if tokens.len() <= source {
                tokens.resize(source + 1, (0, 0));
            }
            tokens[source].0 += u64::from(len(doc));
            if len(doc) >= options.threshold {
                tokens[source].1 += u64::from(len(doc));
                counts.documents += 1;
                counts.tokens += u64::from(len(doc));
            }
        }
        self.counts = counts;
        let rates = |&(all, long): &(u64, u64)| {
            let wanted = options.long_share * all as f64;
            if long == 0 || long == all || long as f64 >= wanted {
                return Rates { long: 1.0, other: 1.0 };
            }
            Rates {
                long: wanted / long as f64,
                other: ((1.0 - options.long_share) * all as f64) / (all - long) as f64,
            }
        };
        match options.mode {
            LongMode::Filter => {
                self.pool =
                    pool.iter().copied().filter(|&doc| len(doc) >= options.threshold).collect();
            }
            LongMode::Upsample => {
                self.rates = tokens.iter().map(rates).collect();
                self.pool = pool.to_vec();
            }
        }
    }

    fn drawn(&self, doc: DocId, epoch: u32) -> u32 {
        let rates = self.rates[self.context.input.source(doc) as usize];
        let rate = if self.context.input.lens[doc.index()] >= self.options.threshold {
            rates.long
        } else {
            rates.other
        };
        let whole = rate.floor().min(f64::from(u32::MAX - 1));
        let random = draw(
            self.context.options.policies.seed,
            "upsample",
            self.context.input.key(doc),
            u64::from(epoch),
        );
        whole as u32 + u32::from(chance(random, rate - whole))
    }
}

impl Grouping for Long<'_> {
    fn begin(&mut self, epoch: u32, pool: &[DocId]) -> Result<u32> {
        self.over(pool);
        self.uses = if self.rates.is_empty() {
            vec![1; self.pool.len()]
        } else {
            self.pool.iter().map(|&d| self.drawn(d, epoch)).collect()
        };
        if let Some(most) = self.context.options.policies.max_uses {
            self.used.resize(self.context.input.lens.len(), 0);
            for (uses, doc) in self.uses.iter_mut().zip(&self.pool) {
                limit(most, uses, &mut self.used[doc.index()]);
            }
        }
        Ok(self.uses.iter().copied().max().unwrap_or(0))
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let docs: Vec<DocId> = self
            .pool
            .iter()
            .zip(&self.uses)
            .filter(|&(_, &uses)| uses > round)
            .map(|(&doc, _)| doc)
            .collect();
        let docs = self.context.in_order(epoch, round, docs);
        take(self.context.group(KeywordId::NONE, docs))
    }

    fn report(&self, stats: &mut PlanStats) {
        stats.long = self.counts.clone();
    }
}
