//! Paths of a run on a machine that mounts its files elsewhere than the one that prepared it.
//!
//! `run.json` says where its directory was. The directories in which the path of then and that of
//! now end alike are the same; of what precedes them, the path of then is replaced by that of now.
//! A path that does not exist so is taken as it was: the directory alone was moved.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Two paths of one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    then: PathBuf,
    now: PathBuf,
}

impl Moved {
    /// By two absolute paths of the same directory; `None` where they are equal.
    pub(crate) fn between(then: &Path, now: &Path) -> Option<Moved> {
        let (mut then, mut now) = (then, now);
        if then == now || !then.is_absolute() || !now.is_absolute() {
            return None;
        }
        while let (Some(a), Some(b)) = (then.file_name(), now.file_name())
            && let (Some(above_then), Some(above_now)) = (then.parent(), now.parent())
            && a == b
        {
            (then, now) = (above_then, above_now);
        }
        Some(Moved { then: then.to_owned(), now: now.to_owned() })
    }

    /// A path of then as it is now, if there is something.
    pub(crate) fn path(&self, path: PathBuf) -> PathBuf {
        match plain(&path).strip_prefix(&self.then) {
            Ok(below) => Some(self.now.join(below)).filter(|now| now.exists()).unwrap_or(path),
            Err(_) => path,
        }
    }
}

/// An absolute path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for step in path.components() {
        match step {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            step => plain.push(step),
        }
    }
    plain
}

/// The directory that relative paths in a run's options start from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub struct Base {
    directory: PathBuf,
    moved: Option<Moved>,
}

impl From<PathBuf> for Base {
    fn from(directory: PathBuf) -> Base {
        Base { directory, moved: None }
    }
}

impl From<Base> for PathBuf {
    fn from(base: Base) -> PathBuf {
        base.directory
    }
}

impl Base {
    /// As this machine sees it.
    pub(crate) fn relocate(&mut self, moved: Moved) {
        self.moved = Some(moved);
    }

    /// The path of a file that the options name.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.directory.join(path);
        match &self.moved {
            Some(moved) => moved.path(path),
            None => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_precedes_the_directories_that_are_the_same_is_replaced() {
        let moved = |then: &str, now: &str| {
            let found = Moved::between(Path::new(then), Path::new(now))?;
            Some((found.then.display().to_string(), found.now.display().to_string()))
        };
        let paths = |then: &str, now: &str| Some((then.to_owned(), now.to_owned()));
        assert_eq!(moved("/shared/runs/a", "/mnt/x/runs/a"), paths("/shared", "/mnt/x"));
        assert_eq!(moved("/runs/a", "/mnt/runs/a"), paths("/", "/mnt"));
        assert_eq!(moved("/runs/a", "/runs/b"), paths("/runs/a", "/runs/b"));
        assert_eq!(moved("/runs/a", "/runs/a"), None);
        assert_eq!(moved("runs/a", "/runs/a"), None);
    }

    #[test]
    fn a_path_is_replaced_where_something_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let (then, now) = (directory.path().join("then"), directory.path().join("now"));
        std::fs::create_dir_all(now.join("corpus")).unwrap();
        let mut base = Base::from(then.clone());
        assert_eq!(base.join("corpus"), then.join("corpus"));
        base.relocate(Moved::between(&then.join("out"), &now.join("out")).unwrap());
        assert_eq!(base.join("corpus"), now.join("corpus"));
        assert_eq!(base.join("../then/corpus"), now.join("corpus"));
        assert_eq!(base.join("gone"), then.join("gone"));
        assert_eq!(base.join("/elsewhere"), Path::new("/elsewhere"));
    }
}
