//! Errors with a code, a message that says what, where and what to do, and typed details.
//!
//! The catalogue below is the only one: the TypeScript union, the docs and the test that raises
//! each code follow from it.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// `Result` with longweave's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($variant:ident $name:literal $doc:literal),* $(,)?) => {
        /// The kind of an error, as a stable name that programs can match on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $doc] $variant),* }

        impl Code {
            /// The name programs see, for example `BAD_ROW`.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }
        }

        /// Every code with one sentence on when it is raised.
        pub const CATALOGUE: &[(Code, &str)] = &[$((Code::$variant, $doc)),*];
    };
}

codes! {
    OptionsInvalid "OPTIONS_INVALID" "An option is unknown, missing, of the wrong type or out of range.",
    InputNotFound "INPUT_NOT_FOUND" "A corpus pattern, tokenizer or queries file matches nothing that exists.",
    InputUnsupported "INPUT_UNSUPPORTED" "The kind of a file is not supported, or the codec, encoding or encryption of a column.",
    InputChanged "INPUT_CHANGED" "An input file's size, modification time or etag differs from when the run was prepared.",
    InputTruncated "INPUT_TRUNCATED" "A .gz, .zst, Parquet or Arrow file ends early or is damaged.",
    CorpusEmpty "CORPUS_EMPTY" "The corpus holds no document that can be used.",
    BadRow "BAD_ROW" "A row is not a JSON object, or its text or id field is missing or has the wrong type.",
    BadUtf8 "BAD_UTF8" "A row or file is not valid UTF-8.",
    DocumentTooLarge "DOCUMENT_TOO_LARGE" "A document has more than `maxDocumentBytes` bytes.",
    MissingColumn "MISSING_COLUMN" "A Parquet or Arrow file lacks a column that an option names.",
    ColumnType "COLUMN_TYPE" "A column of a Parquet or Arrow file holds a type that does not fit the option that names it.",
    DuplicateId "DUPLICATE_ID" "Two documents have the same id.",
    TooManyRows "TOO_MANY_ROWS" "The corpus has more than 2³²−1 rows.",
    TokenizerInvalid "TOKENIZER_INVALID" "The tokenizer file does not load.",
    TokenNotFound "TOKEN_NOT_FOUND" "The tokenizer has no known separator, padding or begin-of-text token, or lacks the token that an option names.",
    QueriesInvalid "QUERIES_INVALID" "A file of precomputed queries is malformed or holds no query.",
    VectorsInvalid "VECTORS_INVALID" "A file of vectors is not in a supported format, is cut short, or lacks the vector of a document.",
    TopicsInvalid "TOPICS_INVALID" "A file or command of topics gives no topic or a line that is not one, or the command fails.",
    OnnxRuntimeMissing "ONNXRUNTIME_MISSING" "No ONNX Runtime library was found, or the one that was named does not load.",
    OnnxRuntimeIncompatible "ONNXRUNTIME_INCOMPATIBLE" "The ONNX Runtime that was found is too old, or another one is loaded in this process already.",
    DeviceUnavailable "DEVICE_UNAVAILABLE" "The requested device cannot be used: no CUDA provider, no such GPU, or its libraries are missing.",
    ModelMissing "MODEL_MISSING" "A model directory, or a file that it must hold, is missing.",
    ModelInvalid "MODEL_INVALID" "A file of a model is damaged, cut short, or of another kind than its name says.",
    ModelMismatch "MODEL_MISMATCH" "A model's graph has other inputs, outputs or types than its kind should have.",
    ModelTokenizer "MODEL_TOKENIZER" "A model's tokenizer has more tokens than the model knows.",
    ModelNotFinite "MODEL_NOT_FINITE" "A model gave numbers that are not finite.",
    InferenceFailed "INFERENCE_FAILED" "ONNX Runtime failed while it ran a model, perhaps because memory was short.",
    NoKeywords "NO_KEYWORDS" "No document has a representative keyword, so a keyworded pool is empty.",
    PlanEmpty "PLAN_EMPTY" "The pool is too small for a single sequence of `length` tokens.",
    PlanTooLarge "PLAN_TOO_LARGE" "A plan needs more groups than 2³²−1, or a document or sequence more tokens than 2³¹−1.",
    MemoryBudget "MEMORY_BUDGET" "A single buffer needs more than `memory`.",
    OutputExists "OUTPUT_EXISTS" "The output directory holds files that are not this run's.",
    OutputDenied "OUTPUT_DENIED" "The output or work directory cannot be written: read-only or no permission.",
    DiskSpace "DISK_SPACE" "The files that a run would write do not fit on the disk.",
    DiskFull "DISK_FULL" "The disk, or the user's quota, is full.",
    Io "IO" "The operating system failed to read or write.",
    RemoteNotBuilt "REMOTE_NOT_BUILT" "A URL was given to a build without remote storage.",
    RemoteDenied "REMOTE_DENIED" "A remote store refused the credentials, or they lack a permission.",
    RemoteFailed "REMOTE_FAILED" "A remote store could not be reached, or failed repeatedly.",
    EngineDenied "ENGINE_DENIED" "The cluster of `engine` requires a token, or refused the one that was sent.",
    EngineUnreachable "ENGINE_UNREACHABLE" "The cluster of `engine` could not be reached.",
    EngineFailed "ENGINE_FAILED" "The cluster of `engine` could not start the run's job, or lost it too often.",
    FileCorrupt "FILE_CORRUPT" "A file that longweave wrote has the wrong length, checksum or content.",
    VersionMismatch "VERSION_MISMATCH" "An incompatible version of longweave made the work directory, run or output.",
    PlaceLost "PLACE_LOST" "A task's machine or process was lost too often, or none came to run tasks.",
    RunLocked "RUN_LOCKED" "Another process drives the run, or holds the task.",
    RunMismatch "RUN_MISMATCH" "The output directory belongs to a run with other options.",
    RunNotPrepared "RUN_NOT_PREPARED" "The directory holds no run.json; prepare the run first.",
    StageNotFound "STAGE_NOT_FOUND" "The run has no stage of that name, or no task of that number.",
    NotKeyworded "NOT_KEYWORDED" "The run has no keywords: neither its method nor its output uses them.",
    StageNotReady "STAGE_NOT_READY" "The stage's inputs are not complete yet.",
    SequenceNotFound "SEQUENCE_NOT_FOUND" "The output has no sequence of that number.",
    OutputNotFound "OUTPUT_NOT_FOUND" "The directory or URL holds no longweave.json: it is not an output, or its run has not finished.",
    VerifyFailed "VERIFY_FAILED" "The files of an output differ from its manifest or checksums.",
    Cancelled "CANCELLED" "The caller cancelled. Finished tasks are kept, and the run can be resumed.",
    HandleClosed "HANDLE_CLOSED" "The handle was closed; open it again.",
    Panic "PANIC" "A bug in longweave broke an internal invariant. The process continues.",
    AddonMissing "ADDON_MISSING" "The native addon does not load on this platform.",
    Internal "INTERNAL" "The operating system or a library refused a request that it should accept.",
}

/// An error of longweave: a code, a message for people, details for programs.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    message: String,
    details: Map<String, Value>,
    corrupt: Option<Corrupt>,
}

/// The corrupt file of a `FILE_CORRUPT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt {
    pub file: PathBuf,
    /// Stage and task that make the file, where that is known.
    pub made_by: Option<(&'static str, u32)>,
}

impl Error {
    /// An error with a message that says what happened, where, and what to do.
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        let (message, details) = (message.into(), Map::new());
        Error(Box::new(Inner { code, message, details, corrupt: None }))
    }

    /// `FILE_CORRUPT` for a file that a task may make again.
    pub fn corrupt(file: &Path, message: impl Into<String>) -> Error {
        let mut error = Error::new(Code::FileCorrupt, message);
        error.0.corrupt = Some(Corrupt { file: file.to_owned(), made_by: None });
        error.with_file(file)
    }

    /// The same error of a corrupt file, with the task that makes it.
    #[must_use]
    pub fn made_by(mut self, stage: &'static str, task: u32) -> Error {
        if let Some(corrupt) = &mut self.0.corrupt {
            corrupt.made_by = Some((stage, task));
        }
        self.with("stage", stage).with("task", task)
    }

    /// The same error with a detail for programs: `file`, `row`, `option`, `expected`, `found` …
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Error {
        self.0.details.insert(key.to_owned(), value.into());
        self
    }

    /// The same error with the file that it is about.
    #[must_use]
    pub fn with_file(self, path: &Path) -> Error {
        self.with("file", path.display().to_string())
    }

    /// An operating-system error while doing `action` ("write", "open" …) to `path`: the code
    /// follows from its kind. An [`Error`] that a reader wrapped is returned unchanged.
    pub fn io(error: &io::Error, action: &str, path: &Path) -> Error {
        if let Some(own) = Error::within(error) {
            return own;
        }
        use io::ErrorKind as Kind;
        let (code, remedy) = match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => {
                (Code::DiskFull, "; free some space and run again to resume")
            }
            Kind::ReadOnlyFilesystem | Kind::PermissionDenied
                if action != "read" && action != "open" =>
            {
                (Code::OutputDenied, "; choose a directory that you may write to")
            }
            Kind::FileTooLarge => (
                Code::Io,
                "; the system allows no file of this size: raise the limit (`ulimit -f`) and run again",
            ),
            Kind::NotFound => (Code::InputNotFound, ""),
            _ if action == "lock" && is_no_locks(error) => (
                Code::Io,
                "; the file system does not support locks (NFS, Lustre): mount it with locks (Lustre: -o flock), or choose an output and a work directory on another disk",
            ),
            _ => (Code::Io, ""),
        };
        Error::new(code, format!("cannot {action} {}: {error}{remedy}", path.display()))
            .with_file(path)
    }

    /// The [`Error`] that a reader wrapped as the system's ([`io::Error::other`]).
    pub fn within(error: &io::Error) -> Option<Error> {
        error.get_ref()?.downcast_ref::<Error>().cloned()
    }

    /// The corrupt file of [`Error::corrupt`].
    pub fn corrupt_file(&self) -> Option<&Corrupt> {
        self.0.corrupt.as_ref()
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

/// Whether a file system refused a lock because it does not have locks: ENOLCK, ENOSYS, EOPNOTSUPP.
pub fn is_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || cfg!(target_os = "linux") && error.raw_os_error() == Some(37)
        || cfg!(target_os = "macos") && error.raw_os_error() == Some(77)
}

/// `io::Result` to [`Result`], naming the action and the path.
pub trait ResultExt<T> {
    /// `Err` becomes [`Error::io`].
    fn at(self, action: &str, path: &Path) -> Result<T>;
}

impl<T> ResultExt<T> for io::Result<T> {
    fn at(self, action: &str, path: &Path) -> Result<T> {
        self.map_err(|e| Error::io(&e, action, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_names_are_distinct_and_screaming() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|(code, _)| code.name()).collect();
        assert!(
            names.iter().all(|n| n
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }

    #[test]
    fn an_error_of_ours_comes_out_of_a_reader_as_it_went_in() {
        let wrapped =
            io::Error::other(Error::new(Code::InputChanged, "it changed").with("file", "x"));
        let error = Error::io(&wrapped, "read", Path::new("y"));
        assert_eq!((error.code(), error.message()), (Code::InputChanged, "it changed"));
        assert_eq!(error.details()["file"], "x");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_without_locks_is_explained() {
        for os_error in [37, 38, 95] {
            let error = io::Error::from_raw_os_error(os_error);
            let error = Error::io(&error, "lock", Path::new("out/.state/driver"));
            assert_eq!(error.code(), Code::Io);
            assert!(error.message().contains("does not support locks (NFS, Lustre)"), "{error}");
        }
        let other = Error::io(&io::Error::from_raw_os_error(5), "lock", Path::new("out"));
        assert!(!other.message().contains("NFS"), "{other}");
    }

    #[test]
    fn a_full_disk_is_told_from_a_denied_one() {
        let full =
            Error::io(&io::Error::from(io::ErrorKind::StorageFull), "write", Path::new("out/x"));
        assert_eq!(full.code(), Code::DiskFull);
        assert!(full.message().contains("out/x"));
        let denied = Error::io(
            &io::Error::from(io::ErrorKind::PermissionDenied),
            "create",
            Path::new("out"),
        );
        assert_eq!(denied.code(), Code::OutputDenied);
    }
}
