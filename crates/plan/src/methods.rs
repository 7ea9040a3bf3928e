//! Methods: which groups an epoch has. A group names its documents; the arranger does the rest.

use longweave_common::{DocId, KeywordId};

use crate::partition::{Kind, Lists};
use crate::pool::shuffle;
use crate::{PlanInput, PlanOptions};

/// A group of a round: whole documents in order.
pub(crate) struct Group {
    /// The keyword, none for a document without one and for `standard`.
    pub(crate) keyword: KeywordId,
    /// The documents in the group's order.
    pub(crate) docs: Vec<DocId>,
}

/// A method with what it has worked out of the pool.
pub(crate) enum Groups {
    Quest(Lists),
    Standard(Vec<DocId>),
}

/// The number that draws of a round are keyed by.
pub(crate) fn turn(epoch: u32, round: u32) -> u64 {
    (u64::from(epoch) << 32) + u64::from(round)
}

/// Uses that are left when `used` of `most` are gone.
fn left(most: Option<u32>, used: u64) -> u64 {
    most.map_or(u64::MAX, |m| u64::from(m).saturating_sub(used))
}

impl Groups {
    /// How often each keyword's list is used in an epoch (quest), by `KeywordId`, and last the documents without one or, for standard,
    /// the pool. `used` holds the sums of earlier epochs and is brought up to date.
    pub(crate) fn uses(&self, input: &PlanInput<'_>, options: &PlanOptions, epoch: u32, used: &mut Vec<u64>) -> Vec<u32> {
        let most = options.policies.max_uses;
        let mut uses: Vec<u32> = match self {
            Groups::Standard(_) => vec![1],
            Groups::Quest(lists) => lists.keywords().map(|k| lists.uses(input, options.policies.seed, k, epoch)).chain([1]).collect(),
        };
        used.resize(uses.len(), 0);
        for (uses, used) in uses.iter_mut().zip(used) {
            *uses = u64::from(*uses).min(left(most, *used)) as u32;
            *used += u64::from(*uses);
        }
        uses
    }

    /// The groups of a round, in order, each built when it is asked for.
    pub(crate) fn round<'a>(
        &'a self,
        input: &'a PlanInput<'a>,
        options: &'a PlanOptions,
        uses: &'a [u32],
        epoch: u32,
        round: u32,
    ) -> Box<dyn Iterator<Item = Group> + 'a> {
        let seed = options.policies.seed;
        let order = move |mut docs: Vec<DocId>| {
            shuffle(input, seed, "order", turn(epoch, round), &mut docs);
            docs
        };
        match self {
            Groups::Standard(pool) => {
                let asked = (uses[0] > round).then(|| Group { keyword: KeywordId::NONE, docs: order(pool.clone()) });
                Box::new(asked.into_iter())
            }
            Groups::Quest(lists) => {
                let keyed = lists
                    .keywords()
                    .filter(move |k| lists.kinds[k.index()] != Kind::Unused && uses[k.index()] > round)
                    .map(move |keyword| Group { keyword, docs: order(lists.of(keyword).to_vec()) });
                let alone: &[DocId] = if uses[uses.len() - 1] > round { &lists.lone } else { &[] };
                Box::new(keyed.chain(alone.iter().map(|&doc| Group { keyword: KeywordId::NONE, docs: vec![doc] })))
            }
        }
    }
}
