//! The size of a run: counted by finished stages, or estimated from a sample.

use serde::Serialize;
use ts_rs::TS;

/// The size of a corpus: counted by an earlier run over the same work directory, or estimated from
/// a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "CorpusFacts")]
pub struct Facts {
    /// Rows of all files.
    pub rows: f64,
    /// Bytes of text in UTF-8.
    pub text_bytes: f64,
    /// Tokens of that text.
    pub tokens: f64,
    /// True for counts, false for estimates.
    pub counted: bool,
    /// Bytes of an id, in the mean.
    #[serde(skip)]
    pub id: f64,
    /// Bytes of a row's queries in the corpus, in the mean.
    #[serde(skip)]
    pub queries: f64,
    /// Documents or chunks that can have vectors.
    #[serde(skip)]
    pub units: f64,
    /// Sequences of the plan, main and held out together.
    #[serde(skip)]
    pub sequences: f64,
    /// Pieces of the plan.
    #[serde(skip)]
    pub pieces: f64,
    /// Groups of the plan.
    #[serde(skip)]
    pub groups: f64,
}
