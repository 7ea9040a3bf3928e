//! Uploads a local file to an object, in parts, so that an interrupted upload resumes with the
//! missing parts. The state of an upload is in a small file; the object appears when the last step
//! completes, whole.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::path::Path;

use bytes::Bytes;
use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_storage::{read_exact_at, write_file};
use serde::{Deserialize, Serialize};

use crate::pending::Pending;
use crate::{Location, Remote, Stat};

/// Bytes of a part, unless the file has too many parts; a file of at most this size goes in one
/// request.
const PART: u64 = 8 << 20;
/// Most parts of an upload, a limit of S3.
const PARTS: u64 = 10_000;
/// Most parts on their way at once.
const AHEAD: u64 = 4;
/// Changes when the state file does.
const FORMAT: u32 = 1;

/// The state of an upload that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadState {
    format: u32,
    /// The location of the object.
    url: String,
    /// Length of the file.
    bytes: u64,
    /// Its xxh3-64, as a done record has it.
    xxh3: String,
    part_bytes: u64,
    /// The store's name of the upload.
    upload_id: String,
    /// Etags of the parts that have arrived, by number from 0.
    parts: BTreeMap<u32, String>,
}

impl UploadState {
    /// The state at `path`; `None` where there is none, or none that can be understood.
    fn read(path: &Path) -> Result<Option<UploadState>> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(serde_json::from_str(&text).ok()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&e, "read", path)),
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self)
            .map_err(|e| Error::new(Code::Internal, format!("an upload's state: {e}")))?;
        write_file(path, text.as_bytes()).map(drop)
    }

    /// Whether it is of the same file, on the way to the same place.
    fn fits(&self, other: &UploadState) -> bool {
        let same =
            |s: &UploadState| (s.format, s.url.clone(), s.bytes, s.xxh3.clone(), s.part_bytes);
        same(self) == same(other)
    }
}

/// Bytes of a part of a file.
fn part_bytes(bytes: u64) -> u64 {
    PART.max(bytes.div_ceil(PARTS).next_multiple_of(1 << 20))
}

/// Says of an error that the bucket is what is missing: the object need not be there when it is
/// written.
fn no_bucket(error: Error, at: &Location) -> Error {
    if error.code() != Code::InputNotFound {
        return error;
    }
    let message = format!("cannot write {at}: there is no such bucket; create it, or name another");
    Error::new(Code::OutputDenied, message).with("url", at.to_string())
}

impl Remote {
    /// Writes a small object.
    ///
    /// Errors: `OUTPUT_DENIED` where there is no such bucket, `REMOTE_DENIED`, `REMOTE_FAILED`,
    /// `CANCELLED`.
    pub fn put(&self, at: &Location, content: Bytes) -> Result<Stat> {
        self.store.put(at, content).wait(&self.cancel).map_err(|e| no_bucket(e, at))
    }

    /// Makes an object of a local file whose xxh3-64 is `xxh3`. The file `state` is left to the
    /// caller, who deletes it; an upload that it records is resumed. Parts in progress count
    /// against the memory bound.
    ///
    /// Errors: `OUTPUT_DENIED` where there is no such bucket, `REMOTE_DENIED`, `REMOTE_FAILED`,
    /// `CANCELLED`, `IO`.
    pub fn upload(
        &self,
        ctx: &Ctx,
        file: &Path,
        xxh3: &str,
        at: &Location,
        state: &Path,
    ) -> Result<Stat> {
        let source = File::open(file).at("open", file)?;
        let bytes = source.metadata().at("read", file)?.len();
        if bytes <= PART {
            let _held = ctx.budget.reserve(bytes.min(ctx.budget.limit()), &ctx.cancel)?;
            return self.put(at, part(&source, file, 0, bytes)?);
        }
        let part_bytes = part_bytes(bytes);
        let (url, parts) = (at.to_string(), BTreeMap::new());
        let new = UploadState {
            format: FORMAT,
            url,
            bytes,
            xxh3: xxh3.to_owned(),
            part_bytes,
            upload_id: String::new(),
            parts,
        };
        let known = UploadState::read(state)?;
        if let Some(known) = known {
            if known.fits(&new) {
                match self.send(ctx, &source, file, known, at, state) {
                    // The store knows the upload no longer: it was given up, or completed and its
                    // answer was lost.
                    Err(e) if e.code() == Code::InputNotFound => {}
                    other => return other,
                }
            } else {
                self.give_up(&known);
            }
        }
        let begun = self.store.begin(at).wait(&self.cancel).map_err(|e| no_bucket(e, at))?;
        let new = UploadState { upload_id: begun, ..new };
        new.write(state)?;
        self.send(ctx, &source, file, new, at, state).map_err(|e| match e.code() {
            Code::InputNotFound => {
                let message = format!(
                    "another process gave up the upload of {at} while it was in progress; run \
                     again to restart it"
                );
                Error::new(Code::RemoteFailed, message).with("url", at.to_string())
            }
            _ => e,
        })
    }

    /// Sends the parts that are missing and completes the object.
    fn send(
        &self,
        ctx: &Ctx,
        source: &File,
        file: &Path,
        mut known: UploadState,
        at: &Location,
        path: &Path,
    ) -> Result<Stat> {
        let count = known.bytes.div_ceil(known.part_bytes) as u32;
        let missing: Vec<u32> =
            (0..count).filter(|number| !known.parts.contains_key(number)).collect();
        let ahead =
            (ctx.budget.limit() / 4 / known.part_bytes).clamp(1, AHEAD).min(missing.len() as u64);
        let _held =
            ctx.budget.reserve((ahead * known.part_bytes).min(ctx.budget.limit()), &ctx.cancel)?;
        let mut waiting: VecDeque<(u32, Pending<String>)> = VecDeque::new();
        for number in missing {
            if waiting.len() as u64 == ahead {
                self.arrived(&mut waiting, &mut known, path)?;
            }
            let start = u64::from(number) * known.part_bytes;
            let content = part(source, file, start, known.part_bytes.min(known.bytes - start))?;
            waiting.push_back((number, self.store.part(at, &known.upload_id, number, content)));
        }
        while !waiting.is_empty() {
            self.arrived(&mut waiting, &mut known, path)?;
        }
        let etag = self
            .store
            .complete(at, &known.upload_id, known.parts.into_values().collect())
            .wait(&self.cancel)?;
        Ok(Stat { bytes: known.bytes, etag })
    }

    /// Waits for the part that was sent first and writes down that it arrived.
    fn arrived(
        &self,
        waiting: &mut VecDeque<(u32, Pending<String>)>,
        known: &mut UploadState,
        path: &Path,
    ) -> Result<()> {
        if let Some((number, pending)) = waiting.pop_front() {
            let etag = pending.wait(&self.cancel)?;
            known.parts.insert(number, etag);
            known.write(path)?;
        }
        Ok(())
    }

    /// Gives up the upload that the state at `path` tells of, if there is one.
    ///
    /// Errors: `IO`.
    pub fn give_up_upload(&self, path: &Path) -> Result<()> {
        if let Some(known) = UploadState::read(path)? {
            self.give_up(&known);
        }
        Ok(())
    }

    fn give_up(&self, known: &UploadState) {
        if let Ok(at) = Location::parse(&known.url) {
            // Parts that cannot be aborted cost storage until the bucket's own rules delete them;
            // nobody sees them.
            let _ = self.store.abort(&at, &known.upload_id).wait(&self.cancel);
        }
    }
}

/// `len` bytes of a file from `start`.
fn part(source: &File, file: &Path, start: u64, len: u64) -> Result<Bytes> {
    let mut content = vec![0; len as usize];
    read_exact_at(source, &mut content, start).at("read", file)?;
    Ok(content.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longweave_common::Cancel;

    use super::*;
    use crate::store::memory::Memory;

    /// A file of 40 MiB and a bit, a handle on an empty store, and where the file is to go.
    struct Place {
        directory: tempfile::TempDir,
        content: Vec<u8>,
        memory: Arc<Memory>,
        remote: Remote,
        at: Location,
        ctx: Ctx,
    }

    impl Place {
        fn new() -> Place {
            let directory = tempfile::tempdir().unwrap();
            let content: Vec<u8> = (0..(40 << 20) + 5)
                .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect();
            fs::write(directory.path().join("file"), &content).unwrap();
            let memory = Arc::new(Memory::default());
            let remote =
                Remote { store: Arc::<Memory>::clone(&memory) as _, cancel: Cancel::new() };
            let at = Location::parse("s3://bucket/out/file").unwrap();
            Place { directory, content, memory, remote, at, ctx: Ctx::new(1, 64 << 20).unwrap() }
        }

        fn upload(&self, xxh3: &str) -> Result<Stat> {
            self.remote.upload(
                &self.ctx,
                &self.directory.path().join("file"),
                xxh3,
                &self.at,
                &self.directory.path().join("state"),
            )
        }

        /// Takes the requests made since the last call.
        fn log(&self) -> Vec<String> {
            std::mem::take(&mut self.memory.0.lock().unwrap().log)
        }

        fn object(&self) -> Option<Bytes> {
            self.memory.0.lock().unwrap().objects.get(&self.at).cloned()
        }

        fn fail(&self, what: &str, at: usize) {
            self.memory.0.lock().unwrap().fail = Some((what.to_owned(), at));
        }
    }

    #[test]
    fn a_small_file_goes_in_one_request() {
        let place = Place::new();
        fs::write(place.directory.path().join("file"), b"abc").unwrap();
        assert_eq!(place.upload("00").unwrap().bytes, 3);
        assert_eq!(place.log(), ["put s3://bucket/out/file"]);
        assert_eq!(place.object().unwrap(), b"abc".as_slice());
    }

    #[test]
    fn a_large_file_arrives_whole() {
        let place = Place::new();
        assert_eq!(place.upload("00").unwrap().bytes, place.content.len() as u64);
        assert_eq!(
            place.log(),
            ["begin", "part 0", "part 1", "part 2", "part 3", "part 4", "part 5", "complete"]
        );
        assert_eq!(place.object().unwrap(), place.content);
    }

    #[test]
    fn an_upload_that_stopped_goes_on_with_the_parts_that_are_missing() {
        let place = Place::new();
        place.fail("part", 4);
        assert_eq!(place.upload("00").unwrap_err().code(), Code::RemoteFailed);
        assert_eq!(place.object(), None);
        let arrived =
            UploadState::read(&place.directory.path().join("state")).unwrap().unwrap().parts.len();
        assert!(arrived >= 1, "{arrived}");
        place.fail("none", 0);
        place.log();
        place.upload("00").unwrap();
        let asked = place.log();
        assert_eq!(asked.len(), 6 - arrived + 1, "{asked:?}");
        assert!(!asked.contains(&"begin".to_owned()), "{asked:?}");
        assert_eq!(place.object().unwrap(), place.content);
    }

    #[test]
    fn an_upload_that_the_store_forgot_begins_again() {
        let place = Place::new();
        place.fail("complete", 1);
        place.upload("00").unwrap_err();
        place.fail("none", 0);
        place.memory.0.lock().unwrap().uploads.clear();
        place.log();
        place.upload("00").unwrap();
        assert_eq!(place.log()[..2], ["complete", "begin"]);
        assert_eq!(place.object().unwrap(), place.content);
    }

    #[test]
    fn the_upload_of_another_file_is_given_up() {
        let place = Place::new();
        place.fail("part", 2);
        place.upload("00").unwrap_err();
        place.fail("none", 0);
        place.log();
        place.upload("11").unwrap();
        assert_eq!(place.log()[..2], ["abort", "begin"]);
        assert_eq!(place.object().unwrap(), place.content);
        assert!(place.memory.0.lock().unwrap().uploads.is_empty());
    }

    #[test]
    fn parts_grow_with_the_file_so_that_there_are_not_too_many() {
        assert_eq!(part_bytes(1), PART);
        assert_eq!(part_bytes(PART * PARTS), PART);
        for bytes in [PART * PARTS + 1, 5 << 40] {
            assert!(bytes.div_ceil(part_bytes(bytes)) <= PARTS, "{bytes}");
            assert!(part_bytes(bytes) - bytes.div_ceil(PARTS) < 1 << 20, "{bytes}");
        }
    }
}
