//! The names with which every stage is specified.

pub(crate) use longweave_common::{Ctx, Result};
pub(crate) use longweave_corpus::Inventory;
pub(crate) use longweave_run::{
    Counts, Facts, Needs, Place, ProgressUnit, RunContext, RunFile, RunOptions, Stage, StageSpec,
};
pub(crate) use longweave_storage::DoneRecord;
pub(crate) use serde::{Deserialize, Serialize};
pub(crate) use serde_json::{Value, json};
