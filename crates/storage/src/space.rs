//! Room on file systems: what is free where, and what directories hold, in bytes.

use std::fs;
use std::path::{Path, PathBuf};

/// Free space of the file system of a path, which need not exist yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free: u64,
    /// The file system's number: paths of equal numbers share their room.
    pub device: u64,
}

/// The room for files at `path`, which need not be there yet; `None` where the system does not
/// tell.
pub fn space(path: &Path) -> Option<Space> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|p| p.exists())?;
    room(there)
}

#[cfg(unix)]
fn room(path: &Path) -> Option<Space> {
    use std::os::unix::fs::MetadataExt;
    let found = rustix::fs::statvfs(path).ok()?;
    let device = fs::metadata(path).ok()?.dev();
    Some(Space { free: found.f_bavail.saturating_mul(found.f_frsize), device })
}

#[cfg(not(unix))]
fn room(_path: &Path) -> Option<Space> {
    None
}

/// Bytes of the files below a directory, without those in the directories `skip`; 0 for a missing
/// directory. Files that vanish meanwhile do not count.
pub fn directory_bytes(directory: &Path, skip: &[PathBuf]) -> u64 {
    let mut open: Vec<PathBuf> = vec![directory.to_owned()];
    let mut bytes = 0;
    while let Some(directory) = open.pop() {
        if skip.contains(&directory) {
            continue;
        }
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_below_a_directory_are_counted_without_what_is_to_be_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        fs::write(path("a/b/c"), [0; 10]).unwrap();
        fs::write(path("a/d"), [0; 5]).unwrap();
        assert_eq!(directory_bytes(directory.path(), &[]), 15);
        assert_eq!(directory_bytes(directory.path(), &[path("a/b")]), 5);
        assert_eq!(directory_bytes(&path("none"), &[]), 0);
    }

    #[test]
    #[cfg(unix)]
    fn the_room_of_a_path_to_come_is_that_of_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let (there, to_come) =
            (space(directory.path()).unwrap(), space(&directory.path().join("x/y/z")).unwrap());
        assert_eq!(there.device, to_come.device);
        assert!(there.free > 0);
    }
}
