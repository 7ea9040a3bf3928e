//! The options of a plan. No defaults and no unknown fields: the TypeScript schema alone holds
//! defaults, every field must be given (`null` where one is optional).

use longweave_common::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// Everything that decides a plan, except its input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IclmOptions {
    /// The documents it draws from.
    pub pool: Pool,
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
    /// How often a chunk can be a neighbour.
    pub reuse: Reuse,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolOptions {
    /// Fewest tokens of a document.
    pub min_tokens: u32,
    /// Most tokens of a document.
    #[serde(deserialize_with = "Option::deserialize")]
    pub max_tokens: Option<u32>,
    /// Share of documents set aside by the hash of their id, 0 to 1.
    pub holdout: f64,
    /// The definition of a duplicate.
    pub dedup: Dedup,
}

/// The definition of a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dedup {
    /// Nothing.
    None,
    /// Equal text; the smallest `DocId` stays.
    Exact,
}

/// How groups become sequences, whatever the method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policies {
    /// Tokens of a sequence, 1 to 2³¹−1.
    pub length: u32,
    /// Begin tokens before each document (`bos: document`): 0 or 1.
    pub lead: u32,
    /// Tokens of the separator after each document; 0 for none.
    pub separator: u32,
    /// Whether each sequence starts with a begin token (`bos: sequence`), which counts in `length`.
    pub sequence_bos: bool,
    /// The treatment of a piece that crosses the end of a sequence.
    pub overflow: Overflow,
    /// The treatment of the tail of a group: its last tokens, fewer than a sequence.
    pub fill: Fill,
    /// The treatment of the last, incomplete sequence.
    pub incomplete: Incomplete,
    /// Tokens of the output, at least 1: ⌈tokens / length⌉ sequences; `None` for one epoch.
    #[serde(deserialize_with = "Option::deserialize")]
    pub tokens: Option<u64>,
    /// Seed of every draw.
    pub seed: u64,
    /// Most uses of a document over all passes and epochs, at least 1.
    #[serde(deserialize_with = "Option::deserialize")]
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
        expect(
            policies.separator <= 1 << 20,
            "separator",
            "at most 1048576 tokens",
            policies.separator,
        )?;
        expect(policies.tokens != Some(0), "tokens", "at least 1", 0)?;
        expect(policies.max_uses != Some(0), "maxUses", "at least 1", 0)?;
        expect(
            (0.0..=1.0).contains(&self.pool.holdout),
            "holdout",
            "from 0 to 1",
            self.pool.holdout,
        )?;
        let related =
            self.policies.fill == Fill::Related && !matches!(self.method, Method::Quest(_));
        expect(!related, "fill", "next, drop or pad with a method without keywords", "related")?;
        if let Method::Long(long) = &self.method {
            expect(long.threshold >= 1, "threshold", "at least 1", long.threshold)?;
            expect(
                long.long_share > 0.0 && long.long_share < 1.0,
                "longShare",
                "above 0 and below 1",
                long.long_share,
            )?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn whole() -> Value {
        json!({
            "method": { "name": "quest", "pool": "keyworded", "splitRatio": 0.2, "splitBy": "keywords", "oversample": 2.0, "shortShare": null, "minKeywordDocuments": 2 },
            "pool": { "minTokens": 1, "maxTokens": null, "holdout": 0.0, "dedup": "none" },
            "policies": {
                "length": 8192, "lead": 0, "separator": 1, "sequenceBos": false, "overflow": "split", "fill": "related", "incomplete": "drop",
                "tokens": null, "seed": 0, "maxUses": null
            }
        })
    }

    #[test]
    fn every_field_must_be_given_and_no_other() {
        let options: PlanOptions = serde_json::from_value(whole()).unwrap();
        assert_eq!(serde_json::to_value(&options).unwrap(), whole());
        for section in ["method", "pool", "policies"] {
            let fields: Vec<String> =
                whole()[section].as_object().unwrap().keys().cloned().collect();
            for field in fields {
                let mut lacking = whole();
                lacking[section].as_object_mut().unwrap().remove(&field);
                assert!(
                    serde_json::from_value::<PlanOptions>(lacking).is_err(),
                    "{section}.{field} may be left out"
                );
            }
            let mut extra = whole();
            extra[section]["colour"] = json!("blue");
            assert!(
                serde_json::from_value::<PlanOptions>(extra).is_err(),
                "{section}.colour is taken"
            );
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (pointer, value, option) in [
            ("/policies/length", json!(0), "length"),
            ("/policies/length", json!(2_147_483_648u32), "length"),
            ("/policies/lead", json!(2), "lead"),
            ("/policies/tokens", json!(0), "tokens"),
            ("/policies/maxUses", json!(0), "maxUses"),
            ("/pool/holdout", json!(1.5), "holdout"),
            ("/method/splitRatio", json!(-0.1), "splitRatio"),
            ("/method/oversample", json!(0.5), "oversample"),
            ("/method/shortShare", json!(1.0), "shortShare"),
            ("/method/minKeywordDocuments", json!(0), "minKeywordDocuments"),
        ] {
            let mut options = whole();
            *options.pointer_mut(pointer).unwrap() = value;
            let error =
                serde_json::from_value::<PlanOptions>(options).unwrap().check().unwrap_err();
            assert_eq!(
                (error.code(), error.details()["option"].as_str()),
                (Code::OptionsInvalid, Some(option))
            );
        }
    }
}
