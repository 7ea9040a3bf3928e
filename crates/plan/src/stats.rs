//! Counts of a plan: for the summary, and so that anyone can check that no token was lost.

use longweave_common::{DocId, GroupId};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{OrderedSequences, PlanInput, Rule, Shape};

/// Counts of a plan, from which shares and means follow.
///
/// No token is lost: `tokens.used` = `tokens.inSequences` + the sum of `tokens.dropped`, and
/// `tokens.inSequences` + `separators` + `begins` + `padding` = sequences × tokens of a sequence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanStats {
    /// Rows of the corpus.
    pub documents: u64,
    /// Documents that take part in the plan.
    pub pool_documents: u64,
    /// Documents that do not take part. Each is counted once, under the first cause that applies.
    pub excluded: ExcludedDocuments,
    /// Keyword lists of the pool, by kind. All 0 for methods other than `quest`.
    pub keywords: KeywordListCounts,
    /// How often an epoch uses each short list, given or solved for `shortShare`. Null without a
    /// short list.
    pub oversample: Option<f64>,
    /// Passes over the pool.
    pub epochs: u32,
    /// Groups of documents that the method put together, over all epochs.
    pub groups: u64,
    /// Sequences of the plan.
    pub sequences: u64,
    /// Sequences that `tokens` asked for and no further epoch could fill.
    pub sequences_missing: u64,
    /// Sequences by the rule that filled them.
    pub rules: RuleCounts,
    /// Tokens by where they ended up.
    pub tokens: TokenCounts,
    /// Distinct groups in a sequence.
    pub groups_per_sequence: CountDistribution,
    /// Distinct documents in a sequence.
    pub documents_per_sequence: CountDistribution,
    /// Documents of the pool by how often they begin in the plan: entry n counts those that begin
    /// n times.
    pub documents_by_uses: Histogram,
    /// Pieces of documents in sequences.
    pub pieces: PieceCounts,
    /// Tokens by source, in byte order of the sources' names. One entry without `sourceField`.
    pub sources: Vec<SourceTokens>,
    /// Documents left out because they begin almost like the one before them, over all epochs
    /// (`iclm`, variant `release`).
    pub near_duplicates: u64,
    /// Long documents of the pool (`long`).
    pub long: LongCounts,
    /// Topics and their documents (`topics`).
    pub topics: TopicCounts,
}

/// Pieces of a plan. A piece is a run of a document's tokens in one sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PieceCounts {
    /// All pieces.
    pub total: u64,
    /// Pieces that hold only a part of their document.
    pub cut: u64,
}

/// Tokens of the documents of one source, without separators and begin tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceTokens {
    /// In the pool, each document once.
    pub pool: u64,
    /// In the plan's sequences.
    pub in_sequences: u64,
    /// The share of an epoch's virtual tokens that `sources` asks for. Null without `sources`.
    pub wanted: Option<f64>,
    /// The part of the source's documents that an epoch uses, 0 to 1.
    pub rate: f64,
}

/// Documents of the pool with at least `method.threshold` tokens; 0 for methods other than `long`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LongCounts {
    /// Their number.
    pub documents: u64,
    /// Tokens of these documents.
    pub tokens: u64,
}

/// Topics and the documents found for them; 0 for methods other than `topics`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicCounts {
    /// Length of the list.
    pub topics: u64,
    /// Topics that have a document of the pool.
    pub with_documents: u64,
    /// Documents of the pool that no topic has.
    pub documents_in_none: u64,
    /// Tokens of topics' documents beyond `method.sequences`, over all epochs.
    pub beyond_sequences: u64,
}

/// Keyword lists of one range of sizes, by kind. Entry n of `KeywordListCounts.sizes` is about
/// lists with more than 2ⁿ⁻¹ and at most 2ⁿ documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListSizes {
    /// Lists too small to be used.
    pub singletons: u64,
    /// Lists of the short set.
    pub short: u64,
    /// Lists of the long set.
    pub long: u64,
}

/// Documents that do not take part in a plan, each under the first cause that applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExcludedDocuments {
    /// Rejected rows and documents without a token.
    pub empty: u64,
    /// Fewer than `minTokens` tokens.
    pub too_short: u64,
    /// More than `maxTokens` tokens.
    pub too_long: u64,
    /// Documents of the other plan: held out of this one, or not held out.
    pub other_part: u64,
    /// Without a representative keyword (`pool: keyworded`).
    pub without_keyword: u64,
    /// Of a source that `sources` does not name, or gives no weight.
    pub without_weight: u64,
    /// Documents whose text equals that of an earlier one (`dedup: exact` and `near`).
    pub duplicate: u64,
    /// Documents whose text nearly equals that of another one (`dedup: near`).
    #[serde(default)]
    pub near_duplicate: u64,
    /// Documents of the plans of other `lengths`.
    pub other_length: u64,
}

/// Keyword lists of the pool by kind (`quest`). A list holds the documents of one keyword.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeywordListCounts {
    /// Lists with fewer documents than a group needs.
    pub singletons: u64,
    /// Lists of the short set, which an epoch uses `oversample` times.
    pub short: u64,
    /// Lists of the long set, which an epoch uses once.
    pub long: u64,
    /// Documents of the short set.
    pub short_documents: u64,
    /// Tokens of the short set's documents, each document once.
    pub short_tokens: u64,
    /// Lists by number of documents: entry n is about those with more than 2ⁿ⁻¹ and at most 2ⁿ.
    pub sizes: Vec<ListSizes>,
}

/// Tokens of a plan. Those of documents exclude separators and begin tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenCounts {
    /// Tokens of the pool's documents, each document once.
    pub pool: u64,
    /// Tokens of the pool's documents, each as often as the plan used it.
    pub used: u64,
    /// Tokens of documents in the plan's sequences.
    pub in_sequences: u64,
    /// Tokens of documents that were used and are in no sequence.
    pub dropped: DroppedTokens,
    /// Tokens of separators in the plan's sequences.
    pub separators: u64,
    /// Begin tokens in the plan's sequences, of documents and of sequences.
    pub begins: u64,
    /// Tokens of markers between parts of documents (`interleave`) in the plan's sequences.
    pub part_markers: u64,
    /// Padding tokens in the plan's sequences.
    pub padding: u64,
    /// Tokens of documents in sequences whose documents all have the same representative keyword.
    pub in_single_keyword_sequences: u64,
    /// Tokens of the short set's documents in the plan's sequences.
    pub of_short_set: u64,
    /// Tokens of sequences, padding left out, by the tokens of their piece before them: entry n
    /// counts those with 2ⁿ − 1 to 2ⁿ⁺¹ − 2. A begin token of a sequence belongs to the first piece.
    #[serde(default)]
    pub by_context: Histogram,
}

/// Tokens of documents that were used and are in no sequence, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DroppedTokens {
    /// Cut off by `overflow: truncate`.
    pub truncate: u64,
    /// Leftovers of groups, dropped by `fill: drop`.
    pub fill: u64,
    /// Sequences left incomplete at the end of an epoch and dropped.
    pub incomplete: u64,
    /// Sequences beyond the number that `tokens` asks for.
    pub budget: u64,
}

impl DroppedTokens {
    /// The sum over all causes.
    pub fn total(&self) -> u64 {
        self.truncate + self.fill + self.incomplete + self.budget
    }
}

/// Sequences by the rule that filled them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleCounts {
    /// Filled by one group.
    pub group: u64,
    /// Filled by leftovers in random order.
    pub next: u64,
    /// Filled by leftovers of related keywords.
    pub related: u64,
    /// One group's leftover, padded.
    pub pad: u64,
    /// Incomplete at the end of an epoch, padded.
    pub last: u64,
}

/// How a count is distributed over sequences. Its mean is `sum` ÷ sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CountDistribution {
    /// Sum over all sequences.
    pub sum: u64,
    /// The largest count of a sequence.
    pub max: u64,
    /// Sequences by count: entry 0 counts those with 1, entry 1 those with 2, then 3–4, 5–8, …
    pub histogram: Histogram,
}

/// Counts by bucket, up to the last that is not 0.
pub type Histogram = Vec<u64>;

/// Adds what follows from the pool and the sequences of a finished plan. `short` tells documents of
/// the short set.
pub(crate) fn gather(
    stats: &mut PlanStats,
    input: &PlanInput<'_>,
    pool: &[DocId],
    shape: Shape,
    all: &OrderedSequences,
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
        let mut begin = u32::from(shape.sequence_bos);
        for &piece in sequence.pieces {
            add_context(&mut stats.tokens.by_context, piece.len + std::mem::take(&mut begin));
            let len = input.lens[piece.doc.index()];
            let tokens = shape.tokens(piece, len);
            let own = tokens.own.len() as u64;
            own_tokens += own;
            stats.pieces.total += 1;
            stats.pieces.cut += u64::from(own < u64::from(len));
            stats.sources[input.source(piece.doc) as usize].in_sequences += own;
            let (before, after) = (tokens.before.len() as u64, tokens.after.len() as u64);
            let TokenCounts { begins, separators, part_markers, .. } = &mut stats.tokens;
            *(if tokens.first { begins } else { &mut *part_markers }) += before;
            *(if tokens.last { separators } else { part_markers }) += after;
            if short(piece.doc) {
                stats.tokens.of_short_set += own;
            }
            if tokens.own.start == 0 && own > 0 {
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

/// Adds the tokens of a piece by how many of them come before.
fn add_context(histogram: &mut Histogram, len: u32) {
    let (len, mut start) = (u64::from(len), 0);
    for bucket in 0.. {
        if start >= len {
            break;
        }
        let end = len.min((2 << bucket) - 1);
        if histogram.len() <= bucket {
            histogram.resize(bucket + 1, 0);
        }
        histogram[bucket] += end - start;
        start = end;
    }
}

fn count_distinct<T: Ord>(list: &mut Vec<T>, distribution: &mut CountDistribution) {
    list.sort_unstable();
    list.dedup();
    let n = list.len() as u64;
    distribution.sum += n;
    distribution.max = distribution.max.max(n);
    add(&mut distribution.histogram, n.next_power_of_two().trailing_zeros() as usize);
}

fn add(histogram: &mut Histogram, bucket: usize) {
    if histogram.len() <= bucket {
        histogram.resize(bucket + 1, 0);
    }
    histogram[bucket] += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_by_those_before_them() {
        let of = |lens: &[u32]| {
            let mut histogram = Vec::new();
            lens.iter().for_each(|&len| add_context(&mut histogram, len));
            histogram
        };
        assert_eq!(of(&[1]), [1]);
        assert_eq!(of(&[2, 3]), [2, 3]);
        assert_eq!(of(&[4, 1]), [2, 2, 1]);
        assert_eq!(of(&[20]), [1, 2, 4, 8, 5]);
        assert_eq!(of(&[u32::MAX >> 1]).iter().sum::<u64>(), u64::from(u32::MAX >> 1));
    }
}
