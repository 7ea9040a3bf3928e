//! The options of a plan. The options of a method are parsed from a run's: without defaults, which
//! the TypeScript schema alone holds, and without unknown fields.

use longweave_common::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Everything that decides a plan, except its input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanOptions {
    /// The method: it decides which pieces share a sequence.
    pub method: Method,
    /// Which documents take part.
    pub pool: PoolOptions,
    /// How groups become sequences.
    pub policies: Policies,
}

/// The method and its own options; the field `name` selects it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub enum Method {
    /// Documents of one keyword share a sequence (Quest, ICLR 2025).
    Quest(QuestOptions),
    /// All documents in one random order.
    Standard(StandardOptions),
    /// A document and its nearest neighbours (retrieval; a baseline of the Quest paper).
    Knn(KnnOptions),
    /// A path through the graph of neighbours (In-Context Pretraining, ICLR 2024).
    Iclm(IclmOptions),
    /// Long documents alone, or more of them (Fu et al. 2024).
    Long(LongOptions),
    /// A document's chunks, each followed by its nearest chunks of other documents (NextLong,
    /// 2025).
    Nextlong(NextlongOptions),
    /// The documents found for each topic of a list (LiteLong, 2026).
    Topics(TopicsOptions),
    /// Parts of some documents in turn, or in random order (Skywork 2024, Untie the Knots 2024).
    Interleave(InterleaveOptions),
}

impl Method {
    /// The documents the method draws from.
    pub fn pool(&self) -> Pool {
        match self {
            Method::Quest(quest) => quest.pool,
            Method::Standard(standard) => standard.pool,
            Method::Knn(knn) => knn.pool,
            Method::Iclm(iclm) => iclm.pool,
            Method::Long(long) => long.pool,
            Method::Nextlong(nextlong) => nextlong.pool,
            Method::Topics(topics) => topics.pool,
            Method::Interleave(interleave) => interleave.pool,
        }
    }

    pub fn name(&self) -> MethodName {
        match self {
            Method::Quest(_) => MethodName::Quest,
            Method::Standard(_) => MethodName::Standard,
            Method::Knn(_) => MethodName::Knn,
            Method::Iclm(_) => MethodName::Iclm,
            Method::Long(_) => MethodName::Long,
            Method::Nextlong(_) => MethodName::Nextlong,
            Method::Topics(_) => MethodName::Topics,
            Method::Interleave(_) => MethodName::Interleave,
        }
    }

    /// Neighbours of each document or chunk that the method asks for; `None` where it asks for
    /// none.
    pub fn neighbours(&self) -> Option<u32> {
        match self {
            Method::Knn(knn) => Some(knn.k),
            Method::Iclm(iclm) => Some(iclm.k),
            Method::Nextlong(nextlong) => Some(nextlong.k),
            Method::Topics(topics) => topics.chunks().map(|chunks| chunks.k),
            Method::Quest(_) | Method::Standard(_) | Method::Long(_) | Method::Interleave(_) => {
                None
            }
        }
    }

    /// Characters of the chunks that have neighbours; `None` where documents have them.
    pub fn chunk_chars(&self) -> Option<u32> {
        match self {
            Method::Nextlong(nextlong) => Some(nextlong.chunk_chars),
            Method::Topics(topics) => topics.chunks().map(|chunks| chunks.chunk_chars),
            _ => None,
        }
    }

    /// Most documents found for a topic; `None` for a method without topics.
    pub fn topic_documents(&self) -> Option<u32> {
        match self {
            Method::Topics(topics) => Some(topics.documents),
            _ => None,
        }
    }

    /// Whether the method reads [`Heads`](crate::Heads).
    pub fn needs_heads(&self) -> bool {
        matches!(self, Method::Iclm(iclm) if iclm.variant == IclmVariant::Release)
    }
}

/// A method of composing sequences, as in the option `method.name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum MethodName {
    /// Documents that share a keyword.
    Quest,
    /// Documents in random order.
    Standard,
    /// A document and its nearest neighbours.
    Knn,
    /// A path from each document to its nearest neighbour that is left.
    Iclm,
    /// Long documents, alone or with others.
    Long,
    /// Chunks of long documents with hard negatives between them.
    Nextlong,
    /// Documents found for a topic.
    Topics,
    /// Parts of some documents in turn.
    Interleave,
}

impl MethodName {
    /// The name in options, reports and file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            MethodName::Quest => "quest",
            MethodName::Standard => "standard",
            MethodName::Knn => "knn",
            MethodName::Iclm => "iclm",
            MethodName::Long => "long",
            MethodName::Nextlong => "nextlong",
            MethodName::Topics => "topics",
            MethodName::Interleave => "interleave",
        }
    }

    /// The composition of a sequence, as a sentence of the output's card.
    pub const fn sentence(self) -> &'static str {
        match self {
            MethodName::Quest => {
                "Documents that share a predicted keyword share a sequence (Quest, arXiv \
                 2405.19846)."
            }
            MethodName::Standard => "Documents are in random order.",
            MethodName::Knn => {
                "Each document is followed by its nearest neighbours, nearest first; documents may \
                 repeat across sequences."
            }
            MethodName::Iclm => {
                "Documents follow a path from neighbour to neighbour (In-Context Pretraining, \
                 arXiv 2310.10638)."
            }
            MethodName::Long => {
                "Long documents are in random order, alone or as a larger share (Fu et al., arXiv \
                 2402.10171)."
            }
            MethodName::Nextlong => {
                "Chunks of a document are in order, each followed by its nearest chunks of others \
                 (NExtLong, arXiv 2501.12766)."
            }
            MethodName::Topics => {
                "Documents that BM25 finds for a topic share a sequence (LiteLong, arXiv \
                 2509.15568)."
            }
            MethodName::Interleave => {
                "Documents in random order are cut into parts, and the parts of some documents are \
                 interleaved (LongSkywork, arXiv 2406.00605; Untie the Knots, arXiv 2409.04774)."
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuestOptions {
    /// The documents it draws from.
    pub pool: Pool,
    /// Share of the lists, measured by `split_by`, that the short set may reach, 0 to 1.
    pub split_ratio: f64,
    /// The unit of `split_ratio`.
    pub split_by: SplitBy,
    /// Uses of a short list in an epoch, a real number of at least 1; not used when `short_share`
    /// is given.
    pub oversample: f64,
    /// Share of the tokens that the short set is to make up, above 0 and below 1; `oversample`
    /// follows from it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub short_share: Option<f64>,
    /// A keyword with fewer documents is a singleton, never oversampled; at least 1.
    pub min_keyword_documents: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandardOptions {
    /// The documents it draws from.
    pub pool: Pool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnnOptions {
    /// The documents it draws from.
    pub pool: Pool,
    /// Most neighbours of a document.
    pub k: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IclmOptions {
    /// The documents it draws from.
    pub pool: Pool,
    /// Neighbours of a document that are edges of the graph.
    pub k: u32,
    /// The path of the paper, or that of the authors' code.
    pub variant: IclmVariant,
}

/// The path of `iclm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IclmVariant {
    /// Over the undirected graph, begun at the documents with the fewest edges.
    Paper,
    /// Short paths along the lists, joined; near-duplicates dropped.
    Release,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LongOptions {
    /// The documents it draws from.
    pub pool: Pool,
    /// Fewest tokens of a long document.
    pub threshold: u32,
    /// The use of documents that are not long.
    pub mode: LongMode,
    /// `upsample`: share of a source's tokens that long documents are to make up, above 0 and below
    /// 1.
    pub long_share: f64,
}

/// The use that `long` makes of documents that are not long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LongMode {
    /// They are left out.
    Filter,
    /// They are sampled down, and long ones up, within each source.
    Upsample,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NextlongOptions {
    /// The documents it draws from.
    pub pool: Pool,
    /// Most neighbours of a chunk.
    pub k: u32,
    /// Most characters of a chunk of lines.
    pub chunk_chars: u32,
    /// How often a chunk can be a neighbour.
    pub reuse: Reuse,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicsOptions {
    /// The documents it draws from.
    pub pool: Pool,
    /// Most documents found for a topic.
    pub documents: u32,
    /// The order of a topic's documents.
    pub order: TopicOrder,
    /// Most sequences of a topic in an epoch.
    pub sequences: u32,
    /// The content of these sequences.
    pub within: Within,
    /// Of `within: nextlong`, as in [`NextlongOptions`].
    pub k: u32,
    pub chunk_chars: u32,
    pub reuse: Reuse,
}

impl TopicsOptions {
    /// The options of the construction within a topic, where it is `nextlong`.
    pub(crate) fn chunks(&self) -> Option<NextlongOptions> {
        let TopicsOptions { pool, k, chunk_chars, reuse, .. } = *self;
        (self.within == Within::Nextlong).then_some(NextlongOptions { pool, k, chunk_chars, reuse })
    }
}

/// The order of a topic's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TopicOrder {
    /// A random one.
    Shuffle,
    /// The best first.
    Score,
    /// The best last.
    Reversed,
}

/// The content of a topic's sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Within {
    /// Whole documents.
    Documents,
    /// Chunks of one document of the topic, each followed by its nearest chunks.
    Nextlong,
}

/// How often a chunk can be a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reuse {
    /// Once in a group.
    Sequence,
    /// Once in an epoch.
    Run,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InterleaveOptions {
    /// The documents it draws from.
    pub pool: Pool,
    /// Documents of a group; `None` for as many as fill a sequence.
    #[serde(rename = "groupDocuments", deserialize_with = "Option::deserialize")]
    pub documents: Option<u32>,
    /// Parts of a document, of equal length.
    pub parts: u32,
    /// Tokens of a part; in place of `parts`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub part_tokens: Option<u32>,
    /// The marker at the end of each part but the last: `none`, `token:TEXT` or `text:TEXT`. The
    /// planner knows its length alone, [`Policies::part_end`].
    pub part_end: String,
    /// The marker at the beginning of each part but the first, as `part_end`.
    pub part_begin: String,
    /// The order of the parts of a group.
    #[serde(rename = "partOrder")]
    pub order: PartOrder,
}

/// The order of the parts of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PartOrder {
    /// The first part of each document, then the second of each, and so on.
    Turns,
    /// Random.
    Shuffle,
    /// Random, but the parts of each document keep their order.
    ShuffleInOrder,
}

/// The documents a method draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pool {
    /// Documents with a representative keyword.
    Keyworded,
    /// All documents.
    All,
}

/// The unit of `splitRatio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SplitBy {
    Keywords,
    /// Documents of the lists.
    Documents,
    /// Virtual tokens of the lists.
    Tokens,
}

/// Which documents take part, whatever the method.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolOptions {
    /// Fewest tokens of a document.
    pub min_tokens: u32,
    /// Most tokens of a document.
    pub max_tokens: Option<u32>,
    /// Share of documents set aside by the hash of their id, 0 to 1.
    pub holdout: f64,
    /// The definition of a duplicate.
    pub dedup: Dedup,
    /// The lengths that share the documents, in order; empty where one length has them all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lengths: Vec<LengthShare>,
}

impl PoolOptions {
    /// All documents that have a token.
    pub const ALL: PoolOptions = PoolOptions {
        min_tokens: 1,
        max_tokens: None,
        holdout: 0.0,
        dedup: Dedup::None,
        lengths: Vec::new(),
    };
}

/// A length, and its part of the documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LengthShare {
    /// Tokens of a sequence.
    pub length: u32,
    /// Its share, above 0, in any unit.
    pub share: f64,
}

/// The definition of a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Dedup {
    /// Nothing.
    None,
    /// Equal text; the smallest `DocId` stays.
    Exact,
    /// Equal text first, then a text of the same cluster of [`PlanInput::near`](crate::PlanInput).
    Near(Keep),
}

/// The document of a cluster of near-duplicates that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Keep {
    /// The one with the most tokens, of equals the first.
    Longest,
    /// The smallest `DocId`.
    First,
}

/// How groups become sequences, whatever the method.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// Tokens of a sequence, 1 to 2³¹−1.
    pub length: u32,
    /// Begin tokens before each document (`bos: document`): 0 or 1.
    pub lead: u32,
    /// Tokens of the separator after each document; 0 for none.
    pub separator: u32,
    /// Whether each sequence starts with a begin token (`bos: sequence`), which counts in `length`.
    pub sequence_bos: bool,
    /// Tokens of the marker at the end of each part of a document but the last (`interleave`).
    pub part_end: u32,
    /// Tokens of the marker at the beginning of each part of a document but the first
    /// (`interleave`).
    pub part_begin: u32,
    /// The treatment of a piece that crosses the end of a sequence.
    pub overflow: Overflow,
    /// The treatment of the tail of a group: its last tokens, fewer than a sequence.
    pub fill: Fill,
    /// The treatment of the last, incomplete sequence.
    pub incomplete: Incomplete,
    /// Tokens of the output, at least 1: ⌈tokens / length⌉ sequences; `None` for one epoch.
    pub tokens: Option<u64>,
    /// Seed of every draw.
    pub seed: u64,
    /// Most uses of a document over all passes and epochs, at least 1.
    pub max_uses: Option<u32>,
}

/// The treatment of a piece that crosses the end of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Overflow {
    /// It is cut. Its remainder begins the next sequence.
    Split,
    /// It is cut. Its remainder is dropped.
    Truncate,
    /// It is not cut unless it fills a sequence by itself; pieces are placed best-fit.
    Whole,
}

/// The treatment of the tail of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fill {
    /// Tails follow each other in random order.
    Next,
    /// Tails meet up the hierarchy of phrases, then as `Next`.
    Related,
    /// They are dropped.
    Drop,
    /// Each is padded to a sequence.
    Pad,
}

/// The treatment of a sequence that cannot be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Incomplete {
    /// It is dropped.
    Drop,
    /// It is padded.
    Pad,
}

impl PlanOptions {
    /// Checks ranges.
    ///
    /// Errors: `OPTIONS_INVALID`, naming the option, what it may be and what it is.
    pub fn check(&self) -> Result<()> {
        let policies = &self.policies;
        expect(
            policies.length > u32::from(policies.sequence_bos),
            "length",
            "room for at least one token in addition to the begin token",
            policies.length,
        )?;
        expect(
            policies.length <= i32::MAX as u32,
            "length",
            "at most 2147483647",
            policies.length,
        )?;
        expect(policies.lead <= 1, "lead", "0 or 1", policies.lead)?;
        for (option, tokens) in [
            ("separator", policies.separator),
            ("partEnd", policies.part_end),
            ("partBegin", policies.part_begin),
        ] {
            expect(tokens <= 1 << 20, option, "at most 1048576 tokens", tokens)?;
        }
        expect(policies.tokens != Some(0), "tokens", "at least 1", 0)?;
        expect(policies.max_uses != Some(0), "maxUses", "at least 1", 0)?;
        expect(
            (0.0..=1.0).contains(&self.pool.holdout),
            "holdout",
            "from 0 to 1",
            self.pool.holdout,
        )?;
        self.check_lengths()?;
        let related =
            self.policies.fill == Fill::Related && !matches!(self.method, Method::Quest(_));
        expect(!related, "fill", "next, drop or pad with a method without keywords", "related")?;
        expect(self.method.neighbours() != Some(0), "k", "at least 1", 0)?;
        if let Method::Topics(topics) = &self.method {
            expect(topics.documents >= 1, "documents", "at least 1", topics.documents)?;
            expect(topics.sequences >= 1, "sequences", "at least 1", topics.sequences)?;
        }
        if let Method::Long(long) = &self.method {
            expect(long.threshold >= 1, "threshold", "at least 1", long.threshold)?;
            expect(
                long.long_share > 0.0 && long.long_share < 1.0,
                "longShare",
                "above 0 and below 1",
                long.long_share,
            )?;
        }
        if let Method::Interleave(interleave) = &self.method {
            for (option, value) in [
                ("groupDocuments", interleave.documents),
                ("parts", Some(interleave.parts)),
                ("partTokens", interleave.part_tokens),
            ] {
                expect(value != Some(0), option, "at least 1", 0)?;
            }
        }
        if let Method::Quest(quest) = &self.method {
            expect(
                (0.0..=1.0).contains(&quest.split_ratio),
                "splitRatio",
                "from 0 to 1",
                quest.split_ratio,
            )?;
            expect(
                quest.oversample >= 1.0 && quest.oversample.is_finite(),
                "oversample",
                "at least 1",
                quest.oversample,
            )?;
            expect(
                quest.min_keyword_documents >= 1,
                "minKeywordDocuments",
                "at least 1",
                quest.min_keyword_documents,
            )?;
            if let Some(share) = quest.short_share {
                expect(share > 0.0 && share < 1.0, "shortShare", "above 0 and below 1", share)?;
            }
        }
        Ok(())
    }
}

impl PlanOptions {
    fn check_lengths(&self) -> Result<()> {
        let (lengths, length) = (&self.pool.lengths, self.policies.length);
        for (place, own) in lengths.iter().enumerate() {
            let positive = own.share > 0.0 && own.share.is_finite();
            expect(positive, "lengths", "shares above 0", own.share)?;
            let twice = lengths[..place].iter().any(|other| other.length == own.length);
            expect(!twice, "lengths", "lengths that differ", own.length)?;
        }
        let listed = lengths.is_empty() || lengths.iter().any(|own| own.length == length);
        expect(listed, "length", "one of `lengths`", length)
    }
}

fn expect(holds: bool, option: &str, expected: &str, found: impl std::fmt::Display) -> Result<()> {
    if holds {
        return Ok(());
    }
    let message = format!("`{option}` must be {expected}, but is {found}");
    Err(Error::new(Code::OptionsInvalid, message)
        .with("option", option)
        .with("expected", expected)
        .with("found", found.to_string()))
}
