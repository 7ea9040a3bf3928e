//! Finding and loading ONNX Runtime: once a process, for ever, from an absolute path.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use longweave_common::{Code, Error, Result};
use ort::environment::Environment;
use ort::logging::LogLevel;

/// Where to look for the library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// The library that the caller named; nothing else is tried then.
    pub library: Option<PathBuf>,
}

/// The library of an installed package, which only the caller's module system can find.
static PACKAGED: OnceLock<PathBuf> = OnceLock::new();

/// Names the library of an installed package, to be tried after what a person named. The first one
/// named stays.
pub fn offer_packaged(library: PathBuf) {
    // Named twice, it is the same package.
    let _ = PACKAGED.set(library);
}

/// ONNX Runtime as it was loaded.
#[derive(Debug)]
pub struct Runtime {
    pub(crate) environment: Environment,
    path: PathBuf,
}

/// The loaded library. It is never unloaded: sessions of other threads may use it.
static LOADED: Mutex<Option<&'static Runtime>> = Mutex::new(None);

const VARIABLE: &str = "ONNXRUNTIME_LIB";
/// Minor version of ONNX Runtime 1.x whose interface is used.
const LEAST_MINOR: u32 = ort::MINOR_VERSION;

#[cfg(target_os = "linux")]
const PLACES: &[&str] = &[
    "/usr/local/lib/libonnxruntime.so",
    "/usr/lib/libonnxruntime.so",
    "/usr/lib64/libonnxruntime.so",
    "/usr/lib/x86_64-linux-gnu/libonnxruntime.so",
    "/usr/lib/aarch64-linux-gnu/libonnxruntime.so",
    "/opt/onnxruntime/lib/libonnxruntime.so",
];
#[cfg(target_os = "macos")]
const PLACES: &[&str] =
    &["/opt/homebrew/lib/libonnxruntime.dylib", "/usr/local/lib/libonnxruntime.dylib"];
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
const PLACES: &[&str] = &["C:\\Program Files\\onnxruntime\\lib\\onnxruntime.dll"];

const INSTALL: &str = "install it with `npm install onnxruntime-node` (CPU), or `pip install \
                       onnxruntime` (CPU) or `onnxruntime-gpu` (CUDA) and set ONNXRUNTIME_LIB to \
                       the libonnxruntime in its `capi` folder";

impl Runtime {
    /// The library, loaded when this is first called: the one that the options name, else that of
    /// `ONNXRUNTIME_LIB`, else an installed package's, else the first in a well-known place of the
    /// system.
    ///
    /// Errors: `ONNXRUNTIME_MISSING`, which says where was looked and what to install;
    /// `ONNXRUNTIME_INCOMPATIBLE` for one that is too old, or where this process has loaded another
    /// one.
    pub fn load(options: &RuntimeOptions) -> Result<&'static Runtime> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let named = named(options)?;
        if let Some(runtime) = *loaded {
            return match named {
                Some((path, by)) if absolute(&path, &by)? != runtime.path => {
                    let message = format!(
                        "{by} names {}, but this process has loaded {} already, and can hold one \
                         only; start another process",
                        path.display(),
                        runtime.path.display()
                    );
                    Err(Error::new(Code::OnnxRuntimeIncompatible, message).with_file(&path))
                }
                _ => Ok(runtime),
            };
        }
        let path = match named {
            Some((path, by)) => absolute(&path, &by)?,
            None => search(PACKAGED.get().map(PathBuf::as_path))?,
        };
        let runtime = &*Box::leak(Box::new(open(path)?));
        *loaded = Some(runtime);
        Ok(runtime)
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The library that the caller or the environment names, and which of them.
fn named(options: &RuntimeOptions) -> Result<Option<(PathBuf, String)>> {
    if let Some(path) = &options.library {
        return Ok(Some((path.clone(), "the option `onnxRuntime`".into())));
    }
    match std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        Some(path) => Ok(Some((path.into(), format!("the variable {VARIABLE}")))),
        None => Ok(None),
    }
}

fn absolute(path: &Path, by: &str) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(|e| {
        let message = format!(
            "{by} names {}, which cannot be opened ({e}); name a libonnxruntime that exists, or \
             {INSTALL}",
            path.display()
        );
        Error::new(Code::OnnxRuntimeMissing, message).with_file(path)
    })
}

fn search(packaged: Option<&Path>) -> Result<PathBuf> {
    let places = || packaged.into_iter().chain(PLACES.iter().map(Path::new));
    if let Some(found) = places().find_map(|place| std::fs::canonicalize(place).ok()) {
        return Ok(found);
    }
    let looked: Vec<String> = places().map(|p| p.display().to_string()).collect();
    let package =
        if packaged.is_none() { " (no package onnxruntime-node that can be resolved)" } else { "" };
    let message = format!(
        "ONNX Runtime was not found: the option `onnxRuntime` and the variable {VARIABLE} are not \
         set, and no file exists at: {}{package}; {INSTALL}",
        looked.join(", ")
    );
    Err(Error::new(Code::OnnxRuntimeMissing, message).with("looked", looked))
}

fn open(path: PathBuf) -> Result<Runtime> {
    use ort::LoadDynamicError as Failure;
    let file = path.display().to_string();
    let builder = ort::init_from(&path).map_err(|e| {
        let (code, what) = match e {
            Failure::BadVersion { version_str, .. } => {
                let what = format!(
                    "{file} is ONNX Runtime {version_str}, but 1.{LEAST_MINOR} or newer is needed; \
                     {INSTALL}"
                );
                return Error::new(Code::OnnxRuntimeIncompatible, what)
                    .with("file", file.as_str())
                    .with("found", version_str);
            }
            Failure::Dlopen { error, .. } => {
                (Code::OnnxRuntimeMissing, format!("{file} does not load ({error})"))
            }
            other => (Code::OnnxRuntimeMissing, format!("{file} is not an ONNX Runtime ({other})")),
        };
        Error::new(code, format!("{what}; {INSTALL}")).with("file", file.as_str())
    })?;
    let environment =
        builder.with_name("longweave").with_telemetry(false).build().map_err(|e| {
            Error::new(
                Code::OnnxRuntimeMissing,
                format!("{file} loads but does not start ({e}); {INSTALL}"),
            )
            .with("file", file.as_str())
        })?;
    // Failures are returned as errors; the library's own lines on stderr would repeat them.
    environment.set_log_level(LogLevel::Fatal);
    Ok(Runtime { environment, path })
}

/// The message of ONNX Runtime without the place in its own source that precedes it.
pub(crate) fn reason(text: &str) -> String {
    let text = text.rsplit_once(" FAIL : ").map_or(text, |(_, after)| after);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// ONNX Runtime's error while doing something that should work.
pub(crate) fn runtime_error(action: &str, error: &dyn Display) -> Error {
    let text = reason(&error.to_string());
    let remedy = if text.contains("allocate")
        || text.contains("out of memory")
        || text.contains("bad_alloc")
    {
        "; memory is short: lower `batchTokens` and `decodeRows`"
    } else {
        ""
    };
    Error::new(Code::InferenceFailed, format!("ONNX Runtime could not {action}: {text}{remedy}"))
}
