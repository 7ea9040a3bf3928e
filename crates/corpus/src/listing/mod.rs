//! Listing: from the paths that the options name to an [`Inventory`].

mod local;
mod patterns;
mod probe;
mod remote;
mod rules;

pub use local::{check_file_unchanged, check_unchanged};

use longweave_common::{Code, Ctx, Error, Result};
use longweave_remote::is_remote;
use rayon::prelude::*;

use crate::CorpusOptions;
use crate::inventory::{Inventory, Kind};
use crate::split::{divide, split_size};
use probe::probe;
use rules::UnreadFiles;

pub(crate) use rules::partition;

/// Finds the files and divides them.
///
/// Directories and patterns skip the files of `rules.rs`, and list them. A file is of the kind that
/// its bytes show where its name says another packing, or `.json` for an array.
///
/// Errors: `INPUT_NOT_FOUND` for a path or glob that matches nothing, `INPUT_UNSUPPORTED` for a named
/// file of an unknown kind, `INPUT_TRUNCATED` for a damaged Parquet file.
pub fn inventory(ctx: &Ctx, options: &CorpusOptions) -> Result<Inventory> {
    options.paths.iter().try_for_each(|path| refuse_other_places(path))?;
    let mut unread = UnreadFiles::default();
    let (root, mut files) = match options.paths.iter().find(|path| is_remote(path)) {
        Some(_) => remote::files(&ctx.cancel, options, &mut unread)?,
        None => local::files(options, &mut unread)?,
    };
    files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    let probed: Vec<Kind> = ctx
        .pool
        .install(|| files.par_iter().map(|file| probe(ctx, &root, file)).collect::<Result<_>>())?;
    files.iter_mut().zip(probed).for_each(|(file, kind)| file.kind = kind);
    let unread = unread.finish();
    let mut inventory = Inventory { root, files, splits: Vec::new(), unread };
    inventory.splits =
        divide(ctx, &inventory, options.split_bytes.unwrap_or_else(|| split_size(&inventory)))?;
    Ok(inventory)
}

/// Whether a path of a corpus is a path of this machine, not a URL or standard input.
pub fn is_local(path: &str) -> bool {
    path != "-" && !path.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// Refuses standard input and URLs of schemes that are not read: they would be taken for paths.
///
/// Errors: `INPUT_UNSUPPORTED`.
fn refuse_other_places(path: &str) -> Result<()> {
    let message = match path.split_once("://") {
        Some(("hf", _)) => format!(
            "{path}: names of a hub are not looked up; download the files (hf download REPOSITORY --repo-type dataset) and give their path"
        ),
        Some(("file", local)) => format!("{path}: give the path alone, {local}"),
        Some((scheme, _)) if is_scheme(scheme) && !is_remote(path) => format!(
            "{path}: URLs of {scheme}:// are not read, only s3://, https:// and http://; copy the files, or give a path"
        ),
        _ if path == "-" => {
            "`corpus`: - is not read as standard input; write the rows to a file, or push them through the API".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Error::new(Code::InputUnsupported, message).with("path", path))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}
