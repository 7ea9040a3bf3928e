//! Index: gathers all candidates, drops boilerplate phrases, chooses each document's keyword,
//! builds lists and hierarchy.

use longweave_common::{Code, Error};
use longweave_index::{
    Hierarchy, Index, IndexOptions, IndexedDocuments, KeywordColumns, Representative,
};
use longweave_keywords::Boilerplate;
use longweave_predict::Precomputed;
use longweave_run::{BoilerplateList, KeywordPhrases, PredictorName};
use longweave_storage::Lock;

use crate::documents::{self, DOCUMENTS, DocumentCounts};
use crate::extract::EXTRACT;
use crate::predict::PredictCounts;
use crate::prelude::*;
use crate::scan;
use crate::vectors::{self, VECTORS};

/// Counts of the task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct IndexCounts {
    /// Distinct keywords.
    pub keywords: u64,
    /// Documents with a keyword.
    pub documents: u64,
}

pub const INDEX: Stage =
    Stage::new("index", "Building the index", ProgressUnit::Tasks, 3, &IndexStage);

struct IndexStage;

/// The folder of an attempt, to which its token is added.
const SCRATCH: &str = ".scratch";

impl StageSpec for IndexStage {
    fn inputs(&self, options: &RunOptions) -> Vec<Stage> {
        let mut inputs = vec![DOCUMENTS, EXTRACT];
        // It looks at vectors only to build its hierarchy from them.
        if options.keywords.hierarchy == Hierarchy::Vectors {
            inputs.push(VECTORS);
        }
        inputs
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_keywords()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let keywords = &file.options.keywords;
        let random = keywords.representative == Representative::Random;
        json!({
            "boilerplate": keywords.boilerplate, "extra": keywords.boilerplate_phrases,
            "representative": keywords.representative, "cap": keywords.max_keyword_share,
            "floor": keywords.min_keyword_cap,
            "hierarchy": keywords.hierarchy, "seed": random.then_some(file.options.seed),
        })
    }

    fn bytes(&self, _run: &RunContext, facts: &Facts) -> Result<f64> {
        Ok(facts.rows * 36.0)
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        // Choices of documents, and seven bytes a distinct phrase: about six a document.
        let options = run.options();
        let random = options.keywords.representative == Representative::Random;
        let keys = if random { 16.0 } else { 0.0 };
        let vectors = match options.keywords.hierarchy {
            // Keys, the vectors, the centroids of a round, and sums of eight bytes for half as many.
            Hierarchy::Vectors => facts.units * (16.0 + options.vector_bytes() * 4.5),
            Hierarchy::Suffix | Hierarchy::Affinity => 0.0,
        };
        facts.rows * (42.0 + keys) + vectors
    }

    fn sweep(&self, run: &RunContext) {
        if !Lock::is_held(&run.lease_file(INDEX, 0)) {
            longweave_index::sweep_scratch(&run.directory(INDEX).join(SCRATCH));
        }
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let options = run.options();
        check_queries(ctx, run)?;
        let rows = scan::rows(run)?;
        let directory = run.directory(EXTRACT);
        let files: Vec<_> = rows.first[..rows.first.len() - 1]
            .iter()
            .enumerate()
            .map(|(split, &first)| (directory.join(format!("{split:05}")), first))
            .collect();
        let keywords = &options.keywords;
        let index_options = IndexOptions {
            seed: options.seed,
            representative: keywords.representative,
            searchable: keywords.phrases == KeywordPhrases::Searchable,
            max_keyword_share: keywords.max_keyword_share,
            min_keyword_cap: keywords.min_keyword_cap,
            hierarchy: keywords.hierarchy,
        };
        let vectors =
            if keywords.hierarchy == Hierarchy::Vectors { Some(vectors::open(run)?) } else { None };
        let keys = if index_options.needs_keys() { documents::keys(run)? } else { Vec::new() };
        let target = run.directory(INDEX);
        let words = match keywords.boilerplate {
            BoilerplateList::Builtin => Boilerplate::built_in(),
            BoilerplateList::None => Boilerplate::none(),
        };
        let words = words.with(keywords.boilerplate_phrases.iter().map(String::as_str));
        let scratch = ctx.scratch_for(&target).join(SCRATCH);
        let index = longweave_index::build_from_files(
            ctx,
            &files,
            IndexedDocuments {
                number: rows.total() as usize,
                keys: &keys,
                vectors: vectors.as_ref(),
            },
            &words,
            &index_options,
            &scratch,
        )?;
        let files = index.write(&target)?;
        let with_keyword = index.keyword_of().iter().filter(|k| !k.is_none()).count();
        let counts = IndexCounts { keywords: index.len() as u64, documents: with_keyword as u64 };
        ctx.progress.advance(1);
        (counts).done(files)
    }
}

impl Counts for IndexCounts {
    const STAGE: Stage = INDEX;
}

/// Refuses precomputed queries of which none belongs to a document.
///
/// Errors: `QUERIES_INVALID`.
fn check_queries(ctx: &Ctx, run: &RunContext) -> Result<()> {
    let options = run.options();
    if options.queries.predictor != PredictorName::Precomputed
        || run.all_counts::<PredictCounts>()?.iter().any(|counts| counts.documents > 0)
    {
        return Ok(());
    }
    let documents = run.counts::<DocumentCounts>(0)?.accepted;
    let message = if let Some(file) = &options.queries.file {
        let path = run.resources.path(file);
        let theirs = Precomputed::first_id(ctx, &path)?.unwrap_or_default();
        let ours = documents::first_id(run)?;
        format!(
            "none of {documents} documents has a query: no id of {} is that of a document (its first is \"{theirs}\", the first document's is \
             \"{ours}\"); set `idField` to the field that holds these ids",
            path.display()
        )
    } else {
        let field = options.query_field.as_deref().unwrap_or_default();
        format!(
            "none of {documents} documents has a query: no row has one in the field \"{field}\"; check `queryField`"
        )
    };
    Err(Error::new(Code::QueriesInvalid, message))
}

/// Used to name keywords.
pub fn open(run: &RunContext) -> Result<Option<Index>> {
    run.options().needs_keywords().then(|| Index::open(&run.directory(INDEX))).transpose()
}

/// The columns of the index that planning needs.
pub(crate) fn open_columns(run: &RunContext) -> Result<Option<KeywordColumns>> {
    run.options().needs_keywords().then(|| KeywordColumns::open(&run.directory(INDEX))).transpose()
}
