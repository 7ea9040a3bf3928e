//! `NativeRun`: a run as a class.

use std::sync::Arc;

use longweave_api::run::{Mode, Run};
use longweave_common::{Cancel, Code, Error};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::error::call;
use crate::promise::{Cancellation, on_thread, promise};
use crate::threads;

/// A run on its own threads.
#[napi]
pub struct NativeRun {
    run: Arc<Run>,
}

#[napi]
impl NativeRun {
    /// Starts a run with resolved options as JSON.
    #[napi(factory, catch_unwind)]
    pub fn start(
        env: &Env,
        options: String,
        #[napi(ts_arg_type = "'run' | 'prepare' | 'plan'")] mode: String,
    ) -> napi::Result<NativeRun> {
        let threads = threads::of(env)?;
        let run = call(|| {
            let mode = match mode.as_str() {
                "run" => Mode::Run,
                "prepare" => Mode::Prepare,
                "plan" => Mode::Plan,
                other => {
                    let message = format!("mode must be run, prepare or plan, but is {other}");
                    return Err(Error::new(Code::OptionsInvalid, message));
                }
            };
            Run::start(&options, mode).map(Arc::new)
        })?;
        threads.watch(&run);
        Ok(NativeRun { run })
    }

    /// The next event as JSON; null after the last.
    #[napi(ts_return_type = "Promise<string | null>", catch_unwind)]
    pub fn next_event<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<Option<String>>(env)?;
        self.run.next_event(move |event| {
            let text = event.map(|e| serde_json::to_string(&e)).transpose();
            settle.settle(
                text.map_err(|e| Error::new(Code::Internal, format!("an event as JSON: {e}"))),
            );
        });
        Ok(promise)
    }

    /// Hands over documents, JSON with one a line; resolves once they are spooled.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn push<'env>(&self, env: &'env Env, documents: String) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<()>(env)?;
        self.run.push(documents, move |result| settle.settle(result));
        Ok(promise)
    }

    /// Ends the corpus; resolves once all documents are spooled.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn end_input<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<()>(env)?;
        self.run.end_input(move |result| settle.settle(result));
        Ok(promise)
    }

    /// Sequences from `first` on of an ended run in memory, or of a plan; at most `max`, 0 for as
    /// many as suit the memory. Null behind the last.
    #[napi(ts_return_type = "Promise<NativeBatch | null>", catch_unwind)]
    pub fn read<'env>(
        &self,
        env: &'env Env,
        first: f64,
        max: u32,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let run = Arc::clone(&self.run);
        on_thread(env, cancellation, move |cancel| {
            Ok(run.read(first as u64, u64::from(max), cancel)?.map(NativeBatch::from))
        })
    }

    /// The keywords with most documents of a plan; resolves with JSON.
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn top_keywords<'env>(
        &self,
        env: &'env Env,
        n: u32,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let run = Arc::clone(&self.run);
        on_thread(env, cancellation, move |_| run.top_keywords(n as usize))
    }

    /// The summary as JSON once the run has ended; rejects with the run's error.
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn result<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<String>(env)?;
        self.run.finished(move |result| settle.settle_shared(result));
        Ok(promise)
    }

    /// Asks the run to stop; what is finished is kept.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.run.cancel();
    }

    /// Cancels and resolves once the run's threads have ended and its temporary files are removed.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let run = Arc::clone(&self.run);
        on_thread(env, &Cancellation::default(), move |_| {
            run.close();
            Ok(())
        })
    }
}

impl Drop for NativeRun {
    fn drop(&mut self) {
        // Collected on the JavaScript thread, which removes no files.
        let planned = self.run.release();
        if let (Some(planned), Some(threads)) = (planned, threads::current()) {
            threads.spawn(Cancel::new(), move || drop(planned));
        }
    }
}
