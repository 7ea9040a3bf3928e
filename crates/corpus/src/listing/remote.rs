//! The files of a corpus of URLs: single files, prefixes that are read as directories, globs.

use std::collections::BTreeMap;

use longweave_common::{Cancel, Code, Error, Result};
use longweave_remote::{Location, Remote, Scheme, Stat, is_remote};

use super::patterns::{glob, is_wild, nothing, unsupported, without_companion};
use super::rules::{Rules, UnreadFiles, partition, without_cards};
use crate::CorpusOptions;
use crate::inventory::{InputFile, Kind, UnreadReason, url};

/// The root and the files, in any order.
///
/// Errors: as `inventory`; `OPTIONS_INVALID` where local and remote paths, or two kinds of remote ones, are mixed.
pub(super) fn files(
    cancel: &Cancel,
    options: &CorpusOptions,
    unread: &mut UnreadFiles,
) -> Result<(String, Vec<InputFile>)> {
    let rules = Rules::new(options)?;
    let refuse = |option: &str, message: String| {
        Err(Error::new(Code::OptionsInvalid, message).with("option", option))
    };
    if let Some(local) = options.paths.iter().find(|path| !is_remote(path)) {
        return refuse(
            "corpus",
            format!(
                "`corpus` names URLs and the local path {local}; give one kind, or copy the files to one place"
            ),
        );
    }
    let remote = Remote::open(cancel)?;
    let mut found: BTreeMap<Location, (Found, u32)> = BTreeMap::new();
    let mut bases = Vec::new();
    for (number, path) in (0..).zip(&options.paths) {
        let mut own = BTreeMap::new();
        let mut base = find(&remote, path, &rules, &mut own, unread)?;
        for (file, of_file) in own {
            found.entry(file).or_insert((of_file, number));
        }
        while base.key().rsplit('/').next().and_then(partition).is_some() {
            base = base.parent();
        }
        bases.push(base);
    }
    if let Some(other) = bases.iter().find(|base| base.scheme() != bases[0].scheme()) {
        return refuse(
            "corpus",
            format!("`corpus` names {} and {other}; give URLs of one kind", bases[0]),
        );
    }
    let root = match &options.root {
        Some(root) => root.trim_end_matches('/').to_owned(),
        None => common(&bases),
    };
    let mut files = Vec::with_capacity(found.len());
    for (at, (Found { kind, stat, companion }, number)) in found {
        let whole = at.to_string();
        let Some(path) = whole
            .strip_prefix(&root)
            .map(|rest| rest.trim_start_matches('/'))
            .filter(|path| url(&root, path) == whole)
        else {
            return refuse(
                "corpusRoot",
                format!("{whole} is not below the corpus root {root}; give another `corpusRoot`"),
            );
        };
        let listed = |path: &str, Stat { bytes, etag }: Stat, companion| InputFile {
            path: path.to_owned(),
            kind,
            bytes,
            modified_ns: 0,
            etag: Some(etag),
            named_by: (!options.source_names.is_empty()).then_some(number),
            companion,
        };
        let other = kind.companion(path).zip(companion);
        let other = other.map(|(path, stat)| Box::new(listed(&path, stat, None)));
        files.push(listed(path, stat, other));
    }
    Ok((root, files))
}

/// A file, and the other file of a token file.
struct Found {
    kind: Kind,
    stat: Stat,
    companion: Option<Stat>,
}

/// Adds the files that `path` names to `found`. Returns the place that they start from.
fn find(
    remote: &Remote,
    path: &str,
    rules: &Rules,
    found: &mut BTreeMap<Location, Found>,
    unread: &mut UnreadFiles,
) -> Result<Location> {
    let at = Location::parse(path)?;
    let steps: Vec<&str> = at.key().split('/').collect();
    let fixed = steps.iter().take_while(|step| !is_wild(step)).count();
    let patterns = at.scheme() == Scheme::S3 && fixed < steps.len();
    if !patterns && !path.ends_with('/') {
        let kind = Kind::of(path);
        match (kind, at.scheme()) {
            // A key that looks like a file is one, unless there is no such object.
            (Some(kind), _) => match remote.stat(&at) {
                Ok(stat) => {
                    let other = kind.companion(at.key()).map(|key| remote.stat(&at.with_key(&key)));
                    let companion = other.transpose().map_err(|e| match e.code() {
                        Code::InputNotFound => without_companion(path, kind),
                        _ => e,
                    })?;
                    found.insert(at.clone(), Found { kind, stat, companion });
                    return Ok(at.parent());
                }
                Err(e) if e.code() == Code::InputNotFound && at.scheme() == Scheme::S3 => {}
                Err(e) => return Err(e),
            },
            (None, Scheme::S3) => {}
            (None, _) => return Err(unsupported(path)),
        }
    }
    let base = if patterns { at.with_key(&steps[..fixed].join("/")) } else { at.clone() };
    let glob = if patterns { Some(glob(&steps[fixed..].join("/"), path)?) } else { None };
    let listed: BTreeMap<Location, Stat> = remote.list(&base)?.into_iter().collect();
    let mut matched = BTreeMap::new();
    for (file, stat) in &listed {
        let next_to = |key: String| listed.get(&file.with_key(&key));
        let below = file.below(&base).unwrap_or_default();
        if below.is_empty() || glob.as_ref().is_some_and(|g| !g.is_match(below)) {
            continue;
        }
        if let Some(pattern) = below.split('/').find_map(|step| rules.skipped(step)) {
            if glob.is_none() {
                unread.add(UnreadReason::Skipped, pattern, below);
            }
            continue;
        }
        let kind = Kind::of(below);
        let companion = kind.and_then(|kind| kind.companion(file.key()));
        let is_alone = companion.is_some();
        let companion = companion.and_then(next_to).cloned();
        match kind {
            Some(kind) if companion.is_some() || !is_alone => {
                matched.insert(file.clone(), Found { kind, stat: stat.clone(), companion });
            }
            None if below.ends_with('/') || Kind::owner(file.key()).and_then(next_to).is_some() => {
            }
            _ => unread.add_kind(below),
        }
    }
    if !matched.is_empty() {
        if glob.is_none() {
            let name = |file: &Location| file.below(&base).unwrap_or_default().to_owned();
            without_cards(&mut matched, |found| found.kind, name, unread);
        }
        found.extend(matched);
        return Ok(base);
    }
    if !patterns && Kind::of(path).is_none() && remote.stat(&at).is_ok() {
        return Err(unsupported(path));
    }
    Err(nothing(path))
}

/// The longest URL that contains all of `bases`; only the scheme where buckets differ.
fn common(bases: &[Location]) -> String {
    let Some(first) = bases.first() else { return String::new() };
    if bases.iter().any(|base| base.host() != first.host()) {
        return first.scheme().prefix().to_owned();
    }
    let mut root = first.clone();
    while !bases.iter().all(|base| *base == root || base.below(&root).is_some()) {
        root = root.parent();
    }
    root.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(urls: &[&str]) -> Vec<Location> {
        urls.iter().map(|url| Location::parse(url).unwrap()).collect()
    }

    #[test]
    fn the_root_is_the_longest_common_place() {
        for (bases, root) in [
            (vec!["s3://b/x/y"], "s3://b/x/y"),
            (vec!["s3://b/x/y", "s3://b/x/z"], "s3://b/x"),
            (vec!["s3://b/x", "s3://b/xy"], "s3://b"),
            (vec!["s3://b/x", "s3://c/x"], "s3://"),
        ] {
            assert_eq!(common(&places(&bases)), root, "{bases:?}");
        }
    }
}
