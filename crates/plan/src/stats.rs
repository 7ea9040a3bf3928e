//! What a plan did, in numbers: for the summary, and so that anyone can check that no token was lost.

use serde::{Deserialize, Serialize};

/// Counts of a plan. Shares and means follow from them.
///
/// Conservation: `tokens.used = tokens.in_sequences + tokens.dropped.total()`, and
/// `tokens.in_sequences + tokens.separators + tokens.begins + tokens.padding = sequences · length`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanStats {
    /// Rows of the corpus.
    pub documents: u64,
    /// Documents that take part.
    pub pool_documents: u64,
    /// Documents that do not, each under the first reason that applies.
    pub excluded: Excluded,
    /// Keywords of the pool (quest).
    pub keywords: KeywordCounts,
    /// Uses of a short list in an epoch, given or solved for `shortShare`; none without a short list.
    pub oversample: Option<f64>,
    /// Epochs planned.
    pub epochs: u32,
    /// Groups planned.
    pub groups: u64,
    /// Sequences of the plan.
    pub sequences: u64,
    /// Sequences that `tokens` asked for but no further epoch could give.
    pub sequences_missing: u64,
    /// Sequences of the plan by rule.
    pub rules: RuleCounts,
    /// Tokens.
    pub tokens: TokenCounts,
    /// Distinct groups in a sequence.
    pub groups_per_sequence: Spread,
    /// Distinct documents in a sequence.
    pub documents_per_sequence: Spread,
    /// Documents of the pool by the number of times their first own token stands in the plan: `[n]` of them n times.
    pub documents_by_uses: Histogram,
}

/// Documents outside the pool, each under the first reason that applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Excluded {
    /// Rejected rows and documents without a token.
    pub empty: u64,
    /// Fewer than `minTokens`.
    pub too_short: u64,
    /// More than `maxTokens`.
    pub too_long: u64,
    /// Of the other part: held out of the main plan, or not held out of the held-out plan.
    pub other_part: u64,
    /// Without a representative keyword (`pool: keyworded`).
    pub without_keyword: u64,
    /// Exact duplicates of an earlier document that is in the pool.
    pub duplicate: u64,
}

/// Keywords of the pool by the kind of their list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeywordCounts {
    /// With fewer than `minGroup` documents.
    pub singletons: u64,
    /// In the short set.
    pub short: u64,
    /// In the long set.
    pub long: u64,
    /// Documents of the short set.
    pub short_documents: u64,
    /// Own tokens of the short set's documents, once each.
    pub short_tokens: u64,
}

/// Tokens of a plan. "Own" tokens are documents' tokens, without separators and begin tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenCounts {
    /// Own tokens of the pool.
    pub pool: u64,
    /// Own tokens of the pool, each document's as often as its groups were planned.
    pub used: u64,
    /// Own tokens in the plan's sequences.
    pub in_sequences: u64,
    /// Own tokens used and not in the plan's sequences.
    pub dropped: DroppedTokens,
    /// Separators' tokens in the plan's sequences.
    pub separators: u64,
    /// Begin tokens in the plan's sequences: documents' and sequences'.
    pub begins: u64,
    /// Padding in the plan's sequences.
    pub padding: u64,
    /// Own tokens in sequences whose documents all have one representative keyword.
    pub in_single_keyword_sequences: u64,
    /// Own tokens in the plan's sequences of documents of the short set.
    pub of_short_set: u64,
}

/// Own tokens that were used and are not in the plan, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DroppedTokens {
    /// The rests of pieces cut by `overflow: truncate`.
    pub truncate: u64,
    /// Tails dropped by `fill: drop`.
    pub fill: u64,
    /// Unfinished sequences dropped by `lastFill: drop`.
    pub last_fill: u64,
    /// Sequences planned beyond what `tokens` asks for.
    pub budget: u64,
}

impl DroppedTokens {
    /// All causes together.
    pub fn total(&self) -> u64 {
        self.truncate + self.fill + self.last_fill + self.budget
    }
}

/// Sequences by rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleCounts {
    /// Of one group.
    pub group: u64,
    /// Of tails in random order.
    pub next: u64,
    /// Of tails that met at a phrase.
    pub related: u64,
    /// Of one padded tail.
    pub pad: u64,
    /// Ended by `lastFill: pad`.
    pub last: u64,
}

/// A count per sequence: `sum / sequences` is the mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spread {
    /// Sum over the sequences.
    pub sum: u64,
    /// The largest.
    pub max: u64,
    /// Sequences by size: `[0]` those with 1, `[1]` with 2, `[2]` with 3–4, `[3]` with 5–8, and so on.
    pub histogram: Histogram,
}

/// Counts by bucket; as long as its last bucket that is not 0.
pub type Histogram = Vec<u64>;
