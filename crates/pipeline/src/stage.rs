//! The stages of a run, what each depends on, and the unit its progress counts.

use longweave_common::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A stage of a run, in the order in which stages run. A run has those that its options need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Per large packed file: parts that tasks can read side by side.
    Spool,
    /// Per split: counts rows.
    Scan,
    /// Per split: accepts rows, tokenizes them.
    Ingest,
    /// Once: numbers documents, finds duplicate ids, gathers lengths.
    Documents,
    /// Per split: queries of each document.
    Predict,
    /// Per split: candidate keywords of each document.
    Extract,
    /// Per split: what vectors are made of: a model's vectors, or counts of words; and chunks of
    /// documents.
    Embed,
    /// Once: the vectors of all documents or chunks.
    Vectors,
    /// Once: dictionary, representative keywords, posting lists, hierarchy.
    Index,
    /// Once: the nearest of each document or chunk.
    Neighbours,
    /// Once: sequences as pieces.
    Plan,
    /// Once: diagnostics of the outputs.
    Report,
    /// Once: whether packing gathers or scatters, and for the latter which pieces of each split go
    /// where.
    Route,
    /// Per split, where packing scatters: its tokens in the order of the plan.
    Scatter,
    /// Per output shard: tokens into the asked format.
    Pack,
    /// Once: manifest, checksums, dataset card.
    Seal,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Stage; 16] = [
        Stage::Spool,
        Stage::Scan,
        Stage::Ingest,
        Stage::Documents,
        Stage::Predict,
        Stage::Extract,
        Stage::Embed,
        Stage::Vectors,
        Stage::Index,
        Stage::Neighbours,
        Stage::Plan,
        Stage::Report,
        Stage::Route,
        Stage::Scatter,
        Stage::Pack,
        Stage::Seal,
    ];

    /// The name in commands, paths and events.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Spool => "spool",
            Stage::Scan => "scan",
            Stage::Ingest => "ingest",
            Stage::Documents => "documents",
            Stage::Predict => "predict",
            Stage::Extract => "extract",
            Stage::Embed => "embed",
            Stage::Vectors => "vectors",
            Stage::Index => "index",
            Stage::Neighbours => "neighbours",
            Stage::Plan => "plan",
            Stage::Report => "report",
            Stage::Route => "route",
            Stage::Scatter => "scatter",
            Stage::Pack => "pack",
            Stage::Seal => "seal",
        }
    }

    /// The stage of that name.
    ///
    /// Errors: `STAGE_NOT_FOUND`, naming those there are.
    pub fn parse(name: &str) -> Result<Stage> {
        Stage::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let names = Stage::ALL.map(Stage::name).join(", ");
            Error::new(
                Code::StageNotFound,
                format!("there is no stage `{name}`; the stages are {names}"),
            )
            .with("stage", name)
        })
    }

    /// The unit of its progress.
    pub const fn unit(self) -> ProgressUnit {
        match self {
            Stage::Spool | Stage::Scan | Stage::Seal => ProgressUnit::Bytes,
            Stage::Ingest | Stage::Documents | Stage::Predict | Stage::Extract | Stage::Embed => {
                ProgressUnit::Documents
            }
            Stage::Scatter => ProgressUnit::Tokens,
            Stage::Pack => ProgressUnit::Sequences,
            Stage::Vectors | Stage::Neighbours => ProgressUnit::Vectors,
            Stage::Index | Stage::Plan | Stage::Report | Stage::Route => ProgressUnit::Tasks,
        }
    }

    /// The stages whose results it reads, where they exist in the run.
    pub const fn inputs(self) -> &'static [Stage] {
        match self {
            Stage::Spool => &[],
            Stage::Scan => &[Stage::Spool],
            Stage::Ingest => &[Stage::Scan],
            Stage::Documents => &[Stage::Scan, Stage::Ingest],
            Stage::Predict => &[Stage::Ingest],
            Stage::Extract => &[Stage::Predict],
            Stage::Embed => &[Stage::Ingest],
            Stage::Vectors => &[Stage::Documents, Stage::Embed],
            Stage::Index => &[Stage::Documents, Stage::Extract, Stage::Vectors],
            Stage::Neighbours => &[Stage::Ingest, Stage::Documents, Stage::Embed, Stage::Vectors],
            Stage::Plan => &[Stage::Documents, Stage::Embed, Stage::Index, Stage::Neighbours],
            Stage::Route => &[Stage::Ingest, Stage::Documents, Stage::Plan],
            Stage::Scatter => &[Stage::Ingest, Stage::Route],
            Stage::Pack => &[
                Stage::Ingest,
                Stage::Documents,
                Stage::Index,
                Stage::Plan,
                Stage::Route,
                Stage::Scatter,
            ],
            Stage::Report => &[Stage::Ingest, Stage::Documents, Stage::Index, Stage::Plan],
            Stage::Seal => &[Stage::Report, Stage::Pack],
        }
    }
}

/// The unit of a stage's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum ProgressUnit {
    /// Bytes of files.
    Bytes,
    /// Tokens of documents.
    Tokens,
    /// Documents of the corpus.
    Documents,
    /// Vectors of documents or chunks.
    Vectors,
    /// Sequences of the output.
    Sequences,
    /// Tasks of the stage, where nothing smaller is counted.
    Tasks,
}
