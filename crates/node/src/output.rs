//! A finished output.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use longweave_api::commands::show_options;
use longweave_api::read::OutputReader;
use longweave_common::{Cancel, Code, Error, Result};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use serde_json::json;

use crate::batch::NativeBatch;
use crate::promise::{Cancellation, on_thread};

/// A reader of an output; empty once it is closed.
type Shared = Arc<Mutex<Option<OutputReader>>>;

/// An opened output.
#[napi]
pub struct NativeOutput {
    reader: Shared,
    sequences: u64,
    manifest: String,
}

/// The reader, once other calls have done with it.
fn wait<'a>(reader: &'a Shared, cancel: &Cancel) -> Result<MutexGuard<'a, Option<OutputReader>>> {
    loop {
        match reader.try_lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                cancel.check()?;
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

fn closed() -> Error {
    Error::new(Code::HandleClosed, "the output was closed; open it again")
}

#[napi]
impl NativeOutput {
    /// Opens a directory or a URL.
    #[napi(ts_return_type = "Promise<NativeOutput>", catch_unwind)]
    pub fn open<'env>(
        env: &'env Env,
        location: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        on_thread(env, cancellation, move |cancel| {
            let reader = OutputReader::open(&PathBuf::from(location), cancel)?;
            let (sequences, manifest) = (reader.count(), json!(reader.manifest()).to_string());
            Ok(NativeOutput { reader: Arc::new(Mutex::new(Some(reader))), sequences, manifest })
        })
    }

    /// Number of sequences.
    #[napi(getter)]
    pub fn sequences(&self) -> f64 {
        self.sequences as f64
    }

    /// The manifest as JSON.
    #[napi(getter)]
    pub fn manifest(&self) -> String {
        self.manifest.clone()
    }

    /// Sequences from `first` on, at most `max`; null behind the last.
    #[napi(ts_return_type = "Promise<NativeBatch | null>", catch_unwind)]
    pub fn read<'env>(
        &self,
        env: &'env Env,
        first: f64,
        max: u32,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let reader = Arc::clone(&self.reader);
        on_thread(env, cancellation, move |cancel| {
            let mut guard = wait(&reader, cancel)?;
            let reader = guard.as_mut().ok_or_else(closed)?;
            Ok(reader.read(first as u64, u64::from(max), cancel)?.map(NativeBatch::from))
        })
    }

    /// A sequence as a person reads it, as JSON.
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn show<'env>(
        &self,
        env: &'env Env,
        sequence: f64,
        options: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let reader = Arc::clone(&self.reader);
        on_thread(env, cancellation, move |cancel| {
            let options = show_options(&options)?;
            let mut guard = wait(&reader, cancel)?;
            let shown =
                guard.as_mut().ok_or_else(closed)?.show(sequence as u64, &options, cancel)?;
            Ok(json!(shown).to_string())
        })
    }

    /// Gives up files and connections; resolves once calls under way have ended.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let reader = Arc::clone(&self.reader);
        on_thread(env, &Cancellation::default(), move |_| {
            drop(reader.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        })
    }
}

impl Drop for NativeOutput {
    fn drop(&mut self) {
        // Collected on the JavaScript thread, which removes no files.
        let reader = Arc::clone(&self.reader);
        if let Some(threads) = crate::threads::current() {
            threads.spawn(Cancel::new(), move || drop(reader));
        }
    }
}
