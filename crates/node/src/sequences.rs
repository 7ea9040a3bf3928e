//! Sequences of a finished output, batch by batch.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use longweave_pipeline::read::OutputReader;
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::call;
use crate::promise::on_thread;
use crate::run::Batch;

/// A reader of an output directory.
#[napi]
pub struct Sequences {
    reader: Arc<Mutex<OutputReader>>,
    count: u64,
    info: String,
}

#[napi]
impl Sequences {
    /// Opens an output directory.
    #[napi(factory, catch_unwind)]
    pub fn open(directory: String) -> napi::Result<Sequences> {
        call(|| {
            let reader = OutputReader::open(&PathBuf::from(directory))?;
            let (count, info) = (reader.count(), reader.info());
            Ok(Sequences { reader: Arc::new(Mutex::new(reader)), count, info })
        })
    }

    /// Number of sequences.
    #[napi(getter)]
    pub fn count(&self) -> f64 {
        self.count as f64
    }

    /// The manifest, as JSON.
    #[napi(getter)]
    pub fn info(&self) -> String {
        self.info.clone()
    }

    /// The next sequences, at most `max`; null after the last.
    #[napi(ts_return_type = "Promise<Batch | null>", catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env, max: u32) -> napi::Result<Object<'env>> {
        let reader = Arc::clone(&self.reader);
        on_thread(env, move || {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(reader.next(max as usize)?.map(Batch::from))
        })
    }

    /// Makes `next` go on at sequence `n`.
    #[napi(catch_unwind)]
    pub fn seek(&self, n: f64) {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).seek(n as u64);
    }
}
