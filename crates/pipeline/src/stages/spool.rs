//! Spool: a large packed file is read once and written again as parts that tasks read side by side.

use longweave_common::{Code, Ctx, Error, Result};
use longweave_storage::DoneRecord;
use serde_json::json;

use crate::RunContext;

pub(crate) fn run(ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
    let inventory = &run.file.inventory;
    let missing = || Error::new(Code::Internal, format!("no packed file has the number {task}"));
    let (file, parts) = inventory.spooled().nth(task as usize).ok_or_else(missing)?;
    longweave_corpus::check_file_unchanged(inventory, file)?;
    let files = longweave_corpus::spool_file(ctx, &run.corpus(), inventory, file, parts)?;
    let bytes: u64 = files.iter().map(|f| f.bytes).sum();
    Ok(DoneRecord { files, counts: json!({ "parts": parts, "bytes": bytes }) })
}
