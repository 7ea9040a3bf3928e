//! Index: gathers all candidates, drops boilerplate phrases, chooses each document's keyword,
//! builds lists and hierarchy.

use longweave_common::{Ctx, Result};
use longweave_index::{Hierarchy, Index, IndexOptions};
use longweave_storage::DoneRecord;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::documents::Documents;
use crate::resources::Resources;
use crate::{RunContext, Stage};

/// Counts of the task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct IndexCounts {
    /// Distinct keywords.
    pub(crate) keywords: u64,
    /// Documents with a keyword.
    pub(crate) documents: u64,
}

pub(crate) fn run(ctx: &Ctx, run: &RunContext) -> Result<DoneRecord> {
    let options = run.options();
    let documents = Documents::read(run, false)?;
    let directory = run.directory(Stage::Extract);
    let files: Vec<_> = documents.first[..documents.first.len() - 1]
        .iter()
        .enumerate()
        .map(|(split, &first)| (directory.join(format!("{split:05}")), first))
        .collect();
    let keywords = &options.keywords;
    let index_options = IndexOptions {
        seed: options.seed,
        representative: keywords.representative,
        max_keyword_share: keywords.max_keyword_share,
        min_keyword_cap: keywords.min_keyword_cap,
        hierarchy: keywords.hierarchy,
    };
    let vectors = if keywords.hierarchy == Hierarchy::Vectors {
        Some(super::vectors::open(run)?)
    } else {
        None
    };
    let target = run.directory(Stage::Index);
    let words = Resources::boilerplate(options);
    let scratch = target.join(".scratch");
    let index = longweave_index::build_from_files(
        ctx,
        &files,
        &documents.keys,
        &words,
        &index_options,
        vectors.as_ref(),
        &scratch,
    )?;
    let files = index.write(&target)?;
    let with_keyword = index.keyword_of().iter().filter(|k| !k.is_none()).count();
    let counts = IndexCounts { keywords: index.len() as u64, documents: with_keyword as u64 };
    ctx.progress.advance(1);
    Ok(DoneRecord { files, counts: json!(counts) })
}

/// Used by other stages to name keywords.
pub(crate) fn open(run: &RunContext) -> Result<Option<Index>> {
    if run.options().needs_keywords() {
        Index::open(&run.directory(Stage::Index)).map(Some)
    } else {
        Ok(None)
    }
}
