//! Which files of a directory are documents, and the list of those that are not read.
//!
//! In this order: files of the run itself, outputs of other runs, names that match `corpusSkip`,
//! unknown kinds; of a directory with data, also its card (`README.md`) and licence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use longweave_common::{Code, Error, Result};

use crate::CorpusOptions;
use crate::inventory::{Kind, Unread, UnreadReason};

/// Most paths that are kept as examples.
const EXAMPLES: usize = 3;
/// Names, in lower case and without ending, that are not documents in a directory of data.
const CARDS: [&str; 6] = ["readme", "license", "licence", "notice", "changelog", "citation"];

/// The rules, for names below a directory or pattern.
pub(super) struct Rules {
    patterns: Vec<String>,
    names: GlobSet,
    own: Vec<PathBuf>,
}

/// The files that are not read, by reason and name.
#[derive(Default)]
pub(super) struct UnreadFiles(BTreeMap<(UnreadReason, String), (u64, Vec<String>)>);

impl Rules {
    /// Errors: `OPTIONS_INVALID` for a pattern that is not valid.
    pub(super) fn new(options: &CorpusOptions) -> Result<Rules> {
        let mut names = GlobSetBuilder::new();
        for pattern in &options.skip {
            let glob = GlobBuilder::new(pattern).case_insensitive(true).build().map_err(|e| {
                let message = format!("`corpusSkip`: {pattern} is not a valid pattern: {e}");
                Error::new(Code::OptionsInvalid, message).with("option", "corpusSkip")
            })?;
            names.add(glob);
        }
        let names = names.build().map_err(|e| {
            Error::new(Code::OptionsInvalid, format!("`corpusSkip` has too many patterns: {e}"))
                .with("option", "corpusSkip")
        })?;
        let own = options.own.iter().filter_map(|path| path.canonicalize().ok()).collect();
        Ok(Rules { patterns: options.skip.clone(), names, own })
    }

    /// The pattern that a name matches. A directory of a partition (`_kind=web`) matches none.
    pub(super) fn skipped(&self, name: &str) -> Option<&str> {
        if partition(name).is_some() {
            return None;
        }
        self.names.matches(name).first().map(|&at| self.patterns[at].as_str())
    }

    /// Whether a path below `base` belongs to the run. A corpus within the run's own directories is
    /// read.
    pub(super) fn is_own(&self, path: &Path, base: &Path) -> bool {
        self.own.iter().any(|own| own == path && !base.starts_with(own))
    }
}

impl UnreadFiles {
    /// Adds a file, or a directory, whose path ends with a slash.
    pub(super) fn add(&mut self, reason: UnreadReason, name: &str, path: &str) {
        let (count, examples) = self.0.entry((reason, name.to_owned())).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(path.to_owned());
        }
    }

    /// Adds a file of a kind that is not read.
    pub(super) fn add_kind(&mut self, path: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let ending = if ending.is_empty() { String::new() } else { format!(".{ending}") };
        self.add(UnreadReason::Kind, &ending, path);
    }

    pub(super) fn finish(self) -> Vec<Unread> {
        let unread = self.0.into_iter().map(|((reason, name), (count, examples))| Unread {
            reason,
            name,
            count,
            examples,
        });
        unread.collect()
    }
}

/// Removes cards and licences from the files of a directory that also has data.
pub(super) fn without_cards<P: Ord + Clone, F>(
    found: &mut BTreeMap<P, F>,
    kind: impl Fn(&F) -> Kind,
    path: impl Fn(&P) -> String,
    unread: &mut UnreadFiles,
) {
    if found.values().all(|file| kind(file) == Kind::Text) {
        return;
    }
    found.retain(|at, file| {
        let path = path(at);
        let is_card = kind(file) == Kind::Text && is_card(&path);
        if is_card {
            unread.add(UnreadReason::Card, "", &path);
        }
        !is_card
    });
}

fn is_card(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or(&name);
    CARDS.contains(&stem)
}

/// The column and value of a directory `column=value`, as Hive names partitions.
pub(crate) fn partition(step: &str) -> Option<(&str, &str)> {
    step.split_once('=').filter(|(column, _)| !column.is_empty())
}
