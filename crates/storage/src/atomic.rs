//! Files that appear whole or not at all: written as `.NAME.TOKEN-N.part` next to the target,
//! fsynced, renamed. The token is the process's own ([`process_token`]), so that no two processes
//! write one attempt, on whatever machines. An attempt is locked while it is written, so that a
//! sweep can tell attempts of killed processes from attempts in progress.

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use longweave_common::{Code, Error, Result, ResultExt};
use xxhash_rust::xxh3::Xxh3Default;

use crate::failpoint;

static ATTEMPT: AtomicU64 = AtomicU64::new(0);

/// Sixteen hexadecimal digits that no other process has: process ids repeat on other machines, and
/// in containers on the same one.
pub fn process_token() -> &'static str {
    static TOKEN: LazyLock<String> = LazyLock::new(|| {
        let now = std::time::SystemTime::now();
        format!("{:016x}", RandomState::new().hash_one((std::process::id(), now)))
    });
    &TOKEN
}

/// A file being written. Dropped without [`AtomicFile::commit`], it leaves nothing behind.
pub struct AtomicFile {
    target: PathBuf,
    attempt: PathBuf,
    writer: Option<BufWriter<Attempt>>,
    /// None where the writer of the file knows a checksum by itself.
    hash: Option<Box<Xxh3Default>>,
    bytes: u64,
}

/// The file of an attempt.
struct Attempt {
    file: File,
    target: PathBuf,
}

impl Write for Attempt {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        failpoint::hit("write", &self.target)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The length of a committed file in bytes and the xxh3-64 of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Length in bytes.
    pub bytes: u64,
    /// xxh3-64 (seed 0) of the whole content.
    pub xxh3: u64,
}

impl AtomicFile {
    /// Creates a file that will be renamed to `target`; creates missing directories.
    ///
    /// Errors: `OUTPUT_DENIED`, `DISK_FULL`, `IO`.
    pub fn create(target: &Path) -> Result<AtomicFile> {
        let mut file = AtomicFile::create_unsummed(target)?;
        file.hash = Some(Box::default());
        Ok(file)
    }

    /// As [`AtomicFile::create`], for [`AtomicFile::commit_with_header`], which is given the
    /// checksum.
    pub(crate) fn create_unsummed(target: &Path) -> Result<AtomicFile> {
        let directory = target.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).at("create", directory)?;
        failpoint::hit("create", target).at("create", target)?;
        let (attempt, file) =
            begin(directory, &target.file_name().unwrap_or_default().to_string_lossy())
                .at("create", target)?;
        let writer =
            Some(BufWriter::with_capacity(256 << 10, Attempt { file, target: target.to_owned() }));
        Ok(AtomicFile { target: target.to_owned(), attempt, writer, hash: None, bytes: 0 })
    }

    /// The final path of the file.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `io::Error` of a write to this file as longweave's error.
    pub fn error(&self, error: &io::Error) -> Error {
        Error::io(error, "write", &self.target)
    }

    /// Appends `bytes`.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| self.error(&e))
    }

    /// The written bytes as a file without a name, to be read and never renamed: for data that does
    /// not fit into memory. Where an open file keeps its name, it is swept as attempts are.
    ///
    /// Errors: those of writing.
    pub fn into_unlinked(mut self) -> Result<UnlinkedFile> {
        let writer =
            self.writer.take().expect("the writer is taken only by what consumes the file");
        let attempt = writer.into_inner().map_err(|e| self.error(e.error()))?;
        Ok(UnlinkedFile { file: attempt.file, path: self.target.clone() })
    }

    /// Flushes, fsyncs, renames into place, and fsyncs the directory.
    pub fn commit(self) -> Result<Sealed> {
        self.finish(None)
    }

    /// Like [`AtomicFile::commit`], first replacing the leading bytes, which were written as zeros
    /// of the same length.
    pub(crate) fn commit_with_header(
        self,
        header: &[u8],
        header_and_body_xxh3: u64,
    ) -> Result<Sealed> {
        self.finish(Some((header, header_and_body_xxh3)))
    }

    /// As [`AtomicFile::commit`], unless the target exists. Returns whether the file is new. A link
    /// is made in place of renaming, which replaces a file.
    fn commit_new(mut self) -> Result<bool> {
        let target = self.target.clone();
        let writer =
            self.writer.take().expect("the writer is taken only by what consumes the file");
        let done = (|| {
            let attempt = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            failpoint::hit("sync", &target)?;
            attempt.file.sync_all()?;
            failpoint::hit("rename", &target)?;
            let new = link_or_rename(&self.attempt, &target, &attempt.file)?;
            failpoint::hit("renamed", &target)?;
            Ok(new)
        })();
        let new = done.map_err(|e| not_placed(&e, &target))?;
        sync_directory(target.parent().unwrap_or(Path::new(".")))?;
        Ok(new)
    }

    fn finish(mut self, header: Option<(&[u8], u64)>) -> Result<Sealed> {
        let target = self.target.clone();
        let xxh3 = self.hash.as_ref().map_or(0, |hash| hash.digest());
        let mut sealed = Sealed { bytes: self.bytes, xxh3 };
        let writer =
            self.writer.take().expect("the writer is taken only by what consumes the file");
        let done = (|| {
            let mut attempt = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            if let Some((header, xxh3)) = header {
                attempt.file.seek(SeekFrom::Start(0))?;
                attempt.write_all(header)?;
                sealed.xxh3 = xxh3;
            }
            failpoint::hit("sync", &target)?;
            attempt.file.sync_all()?;
            failpoint::hit("rename", &target)?;
            fs::rename(&self.attempt, &target)?;
            failpoint::hit("renamed", &target)
        })();
        done.map_err(|e| not_placed(&e, &target))?;
        sync_directory(target.parent().unwrap_or(Path::new(".")))?;
        Ok(sealed)
    }
}

/// The error of a file that did not get its name.
fn not_placed(error: &io::Error, target: &Path) -> Error {
    if error.kind() != io::ErrorKind::NotFound {
        return Error::io(error, "write", target);
    }
    let message = format!(
        "cannot write {}: another process removed its unfinished file or its directory; run again",
        target.display()
    );
    Error::new(Code::Io, message).with_file(target)
}

/// A file that was set aside.
pub struct UnlinkedFile {
    pub(crate) file: File,
    /// The path that the file would have got.
    pub(crate) path: PathBuf,
}

impl UnlinkedFile {
    /// Fills `buffer` from `offset`. Threads can share the file.
    ///
    /// Errors: those of reading.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        read_exact_at(&self.file, buffer, offset).at("read", &self.path)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let writer = self
            .writer
            .as_mut()
            .expect("the writer is taken only by commit, which consumes the file");
        writer.write_all(bytes)?;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        self.writer = None;
        if self.attempt.as_os_str().is_empty() {
            return;
        }
        // After a commit the attempt's name is gone; a failure to remove leaves a hidden file that
        // nobody reads.
        let _ = fs::remove_file(&self.attempt);
    }
}

/// A new attempt's path and its file, locked.
fn begin(directory: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    loop {
        let number = ATTEMPT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".{name}.{}-{number}.part", process_token()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        match file.try_lock() {
            // Between the two lines above a sweep took it for one that is left behind.
            Err(TryLockError::WouldBlock) => {}
            Ok(()) if !path.exists() => {}
            // Where there are no locks, nothing is swept either.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok((path, file)),
        }
    }
}

/// Gives an attempt's file the name of its target, unless that is taken.
fn link_or_rename(attempt: &Path, target: &Path, file: &File) -> io::Result<bool> {
    match fs::hard_link(attempt, target) {
        Ok(()) => Ok(true),
        // A server whose answer was lost is asked twice, and the second time it is taken: by us.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(links(file)? > 1),
        // A file system without links: two processes may both succeed, and the last counts.
        Err(_) if target.exists() => Ok(false),
        Err(_) => fs::rename(attempt, target).map(|()| true),
    }
}

/// The names of a file.
#[cfg(unix)]
fn links(file: &File) -> io::Result<u64> {
    file.metadata().map(|found| std::os::unix::fs::MetadataExt::nlink(&found))
}

#[cfg(not(unix))]
fn links(_: &File) -> io::Result<u64> {
    Ok(1)
}

/// Whether a name is one that [`begin`] gives.
fn is_attempt(name: &str) -> bool {
    let numbers = name
        .strip_prefix('.')
        .and_then(|n| n.strip_suffix(".part"))
        .and_then(|n| n.rsplit_once('.'));
    let numbers = numbers.and_then(|(_, numbers)| numbers.split_once('-'));
    numbers.is_some_and(|(token, number)| {
        !token.is_empty()
            && token.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
            && !number.is_empty()
            && number.bytes().all(|c| c.is_ascii_digit())
    })
}

/// Deletes the attempts in `directory` that no living process writes. Returns their number. An
/// attempt that cannot be deleted is ignored: it costs only space.
pub fn sweep(directory: &Path) -> u64 {
    let mut swept = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_str().is_some_and(is_attempt)
            && let Ok(file) = File::options().read(true).write(true).open(&path)
            && file.try_lock().is_ok()
            && failpoint::hit("remove", &path).is_ok()
            && fs::remove_file(&path).is_ok()
        {
            swept += 1;
        }
    }
    swept
}

/// As [`sweep`], in the folders below `directory` too.
pub fn sweep_below(directory: &Path) -> u64 {
    let folders = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    sweep(directory) + folders.map(|folder| sweep_below(&folder.path())).sum::<u64>()
}

/// Writes a whole small file atomically.
pub fn write_file(target: &Path, content: &[u8]) -> Result<Sealed> {
    let mut file = AtomicFile::create(target)?;
    file.put(content)?;
    file.commit()
}

/// Writes a whole small file unless there is one of that name. Returns whether it did. Of several
/// processes, on any machines, one does.
pub(crate) fn write_new_file(target: &Path, content: &[u8]) -> Result<bool> {
    let mut file = AtomicFile::create(target)?;
    file.put(content)?;
    file.commit_new()
}

/// Makes renames in `directory` durable. A no-op where directories cannot be opened (Windows).
pub fn sync_directory(directory: &Path) -> Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    if cfg!(unix) {
        File::open(directory).and_then(|d| d.sync_all()).at("sync", directory)?;
    }
    Ok(())
}

/// The file of a group of files that share a prefix: `PREFIX` + `suffix`.
pub fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Fills `buffer` from `offset` without moving a shared file position, so that threads can share
/// one handle.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
    }
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            match std::os::windows::fs::FileExt::seek_read(
                file,
                &mut buffer[done..],
                offset + done as u64,
            )? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                n => done += n,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_dropped_attempt_leaves_nothing_and_a_committed_one_only_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b.bin");
        let mut file = AtomicFile::create(&path).unwrap();
        file.put(b"half").unwrap();
        drop(file);
        assert_eq!(names(path.parent().unwrap()), Vec::<String>::new());

        let sealed = write_file(&path, b"whole").unwrap();
        assert_eq!(sealed, Sealed { bytes: 5, xxh3: xxhash_rust::xxh3::xxh3_64(b"whole") });
        assert_eq!(names(path.parent().unwrap()), ["b.bin"]);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn of_many_who_write_a_new_file_one_does_and_its_content_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below/new");
        let wrote: Vec<bool> = std::thread::scope(|scope| {
            let write = |n: u8| write_new_file(&path, &[n; 1000]).unwrap();
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || write(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let first = wrote.iter().position(|&wrote| wrote).unwrap();
        assert_eq!(wrote.iter().filter(|&&wrote| wrote).count(), 1);
        assert_eq!(fs::read(&path).unwrap(), [first as u8; 1000]);
        assert!(!write_new_file(&path, b"late").unwrap());
        assert_eq!(names(path.parent().unwrap()), ["new"]);
    }

    #[test]
    fn a_sweep_removes_what_nobody_writes_any_more_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut live = AtomicFile::create(&path("below/live")).unwrap();
        live.put(b"on the way").unwrap();
        for left in
            [".a.b.12-3.part", "below/.live.0123456789abcdef-3.part", "below/deeper/.x.1-0.part"]
        {
            fs::create_dir_all(path(left).parent().unwrap()).unwrap();
            fs::write(path(left), b"left behind").unwrap();
        }
        let strangers = [
            "a",
            ".part",
            ".a.part",
            "a.1-2.part",
            ".a.1-.part",
            ".a.x-1.part",
            ".a.1-2.parts",
            "below/b",
        ];
        strangers.iter().for_each(|name| fs::write(path(name), b"").unwrap());
        assert_eq!((sweep(directory.path()), sweep(directory.path())), (1, 0));
        assert_eq!((sweep_below(directory.path()), sweep_below(&path("nowhere"))), (2, 0));
        assert!(strangers.iter().all(|name| path(name).exists()));
        live.commit().unwrap();
        assert_eq!(fs::read(path("below/live")).unwrap(), b"on the way");
        assert_eq!(names(&path("below")), ["b", "deeper", "live"]);
    }

    #[test]
    fn files_are_written_while_sweeps_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    sweep(directory.path());
                }
            });
            let write = |n: u64| {
                write_file(&directory.path().join(format!("{n}")), &n.to_le_bytes()).map(drop)
            };
            let written = (0..300).try_for_each(write);
            stop.store(true, Ordering::Relaxed);
            written.unwrap();
        });
        assert_eq!(names(directory.path()).len(), 300);
    }

    #[test]
    fn a_target_whose_directory_is_a_file_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), b"").unwrap();
        let error = write_file(&directory.path().join("file/x"), b"").unwrap_err();
        assert!(error.message().contains("file"), "{error}");
    }
}
