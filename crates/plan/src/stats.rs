//! What a plan did, in numbers: for the summary, and so that anyone can check that no token was lost.

use longweave_common::{DocId, GroupId};
use serde::{Deserialize, Serialize};

use crate::{PlanInput, Rule, Sequences, Shape};

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
    /// Pieces of the plan.
    pub pieces: PieceCounts,
    /// Tokens by number of source; one entry where no sources are given.
    pub sources: Vec<SourceTokens>,
    /// Documents that were left out because they begin almost like the one before (iclm's release), over all epochs.
    pub near_duplicates: u64,
    /// Long documents of the pool (long).
    pub long: LongCounts,
}

/// Pieces of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PieceCounts {
    /// All.
    pub total: u64,
    /// Those that do not hold all of their document's own tokens.
    pub cut: u64,
}

/// Own tokens of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceTokens {
    /// Of its documents in the pool.
    pub pool: u64,
    /// In the plan's sequences.
    pub in_sequences: u64,
}

/// Long documents of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LongCounts {
    /// Documents of at least `threshold` tokens.
    pub documents: u64,
    /// Their own tokens.
    pub tokens: u64,
}

/// Lists of one range of sizes, by what they are: the n-th entry is of lists with more than 2ⁿ⁻¹ and at most 2ⁿ documents, from n = 0 on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListSizes {
    /// Singletons.
    pub singletons: u64,
    /// Of the short set.
    pub short: u64,
    /// Of the long set.
    pub long: u64,
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
    /// With fewer than `minKeywordDocuments` documents.
    pub singletons: u64,
    /// In the short set.
    pub short: u64,
    /// In the long set.
    pub long: u64,
    /// Documents of the short set.
    pub short_documents: u64,
    /// Own tokens of the short set's documents, once each.
    pub short_tokens: u64,
    /// Lists by number of documents.
    pub sizes: Vec<ListSizes>,
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
    /// Unfinished sequences dropped by `incomplete: drop`.
    pub incomplete: u64,
    /// Sequences planned beyond what `tokens` asks for.
    pub budget: u64,
}

impl DroppedTokens {
    /// All causes together.
    pub fn total(&self) -> u64 {
        self.truncate + self.fill + self.incomplete + self.budget
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
    /// Ended by `incomplete: pad`.
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

/// Adds what follows from the pool and the sequences of a finished plan. `short` tells documents of the short set.
pub(crate) fn gather(
    stats: &mut PlanStats,
    input: &PlanInput<'_>,
    pool: &[DocId],
    shape: Shape,
    all: &Sequences,
    short: impl Fn(DocId) -> bool,
) {
    let mut uses = vec![0u32; input.lens.len()];
    let sources =
        input.sources.and_then(|column| column.iter().max()).map_or(1, |&most| most as usize + 1);
    stats.sources.resize(sources, SourceTokens::default());
    for doc in pool {
        stats.sources[input.source(*doc) as usize].pool += u64::from(input.lens[doc.index()]);
    }
    let mut groups: Vec<GroupId> = Vec::new();
    let mut documents: Vec<DocId> = Vec::new();
    stats.sequences = all.len() as u64;
    for sequence in all.iter() {
        groups.clear();
        documents.clear();
        let mut own_tokens = 0;
        for &piece in sequence.pieces {
            let (begins, own, separators) = shape.parts(piece, input.lens[piece.doc.index()]);
            own_tokens += u64::from(own);
            stats.pieces.total += 1;
            stats.pieces.cut += u64::from(own < input.lens[piece.doc.index()]);
            stats.sources[input.source(piece.doc) as usize].in_sequences += u64::from(own);
            stats.tokens.begins += u64::from(begins);
            stats.tokens.separators += u64::from(separators);
            if short(piece.doc) {
                stats.tokens.of_short_set += u64::from(own);
            }
            if piece.start <= shape.lead && piece.start + piece.len > shape.lead && own > 0 {
                uses[piece.doc.index()] += 1;
            }
            groups.push(piece.group);
            documents.push(piece.doc);
        }
        stats.tokens.begins += u64::from(shape.sequence_bos);
        stats.tokens.in_sequences += own_tokens;
        stats.tokens.padding += u64::from(shape.length - sequence.n_tokens);
        let keyword = input.keyword(documents[0]);
        if !keyword.is_none() && documents.iter().all(|&d| input.keyword(d) == keyword) {
            stats.tokens.in_single_keyword_sequences += own_tokens;
        }
        count_distinct(&mut groups, &mut stats.groups_per_sequence);
        count_distinct(&mut documents, &mut stats.documents_per_sequence);
        match sequence.rule {
            Rule::Group => stats.rules.group += 1,
            Rule::Next => stats.rules.next += 1,
            Rule::Related => stats.rules.related += 1,
            Rule::Pad => stats.rules.pad += 1,
            Rule::Last => stats.rules.last += 1,
        }
    }
    for &n in uses.iter().filter(|&&n| n > 0) {
        add(&mut stats.documents_by_uses, n as usize);
    }
    let used: u64 = stats.documents_by_uses.iter().sum();
    if stats.pool_documents > used {
        if stats.documents_by_uses.is_empty() {
            stats.documents_by_uses.push(0);
        }
        stats.documents_by_uses[0] = stats.pool_documents - used;
    }
}

fn count_distinct<T: Ord>(list: &mut Vec<T>, spread: &mut Spread) {
    list.sort_unstable();
    list.dedup();
    let n = list.len() as u64;
    spread.sum += n;
    spread.max = spread.max.max(n);
    add(&mut spread.histogram, n.next_power_of_two().trailing_zeros() as usize);
}

fn add(histogram: &mut Histogram, bucket: usize) {
    if histogram.len() <= bucket {
        histogram.resize(bucket + 1, 0);
    }
    histogram[bucket] += 1;
}
