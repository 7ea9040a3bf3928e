//! `Run`: a session of the pipeline as a class.

use std::sync::Arc;

use longweave_common::{Code, Error};
use longweave_pipeline::memory::MemoryBatch;
use longweave_pipeline::session::{Mode, PushedDocument, Session};
use napi::Env;
use napi::bindgen_prelude::{Object, Uint32Array};
use napi_derive::napi;

use crate::error::call;
use crate::promise::promise;

/// Sequences end to end.
#[napi(object)]
pub struct Batch {
    /// `sequences · length` token ids.
    pub input_ids: Uint32Array,
    /// Tokens of a sequence.
    pub length: u32,
    /// Number of sequences.
    pub sequences: u32,
    /// Provenance of each sequence as a JSON array of objects.
    pub pieces: String,
}

impl From<MemoryBatch> for Batch {
    fn from(batch: MemoryBatch) -> Batch {
        let MemoryBatch { input_ids, length, sequences, pieces } = batch;
        Batch { input_ids: Uint32Array::new(input_ids), length, sequences, pieces }
    }
}

/// A run on its own threads.
#[napi]
pub struct Run {
    session: Arc<Session>,
}

#[napi]
impl Run {
    /// Starts a run with resolved options as JSON; `mode` is `run`, `prepare` or `plan`.
    #[napi(factory, catch_unwind)]
    pub fn start(
        env: &Env,
        options: String,
        #[napi(ts_arg_type = "'run' | 'prepare' | 'plan'")] mode: String,
    ) -> napi::Result<Run> {
        let session = call(|| {
            let mode = match mode.as_str() {
                "run" => Mode::Run,
                "prepare" => Mode::Prepare,
                "plan" => Mode::Plan,
                other => {
                    return Err(Error::new(
                        Code::OptionsInvalid,
                        format!("mode must be run, prepare or plan, but is {other}"),
                    ));
                }
            };
            Session::start(&options, mode).map(Arc::new)
        })?;
        // When the environment ends (exit, a worker that is terminated), its runs are cancelled and joined.
        env.add_env_cleanup_hook(Arc::clone(&session), |session| session.close())?;
        Ok(Run { session })
    }

    /// The next event as JSON; null after the last.
    #[napi(ts_return_type = "Promise<string | null>", catch_unwind)]
    pub fn next_event<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<Option<String>>(env)?;
        self.session.next_event(move |event| {
            let text = event.map(|e| serde_json::to_string(&e)).transpose();
            settle.settle(
                text.map_err(|e| Error::new(Code::Internal, format!("an event as JSON: {e}"))),
            );
        });
        Ok(promise)
    }

    /// Hands over documents, a JSON array; resolves once they are spooled.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn push<'env>(&self, env: &'env Env, documents: String) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<()>(env)?;
        match serde_json::from_str::<Vec<PushedDocument>>(&documents) {
            Ok(documents) => self.session.push(documents, move |result| settle.settle(result)),
            Err(e) => {
                let message = format!(
                    "pushed documents must be objects with a string `text` and optional `id`, `source` and `queries`: {e}"
                );
                settle.settle(Err(Error::new(Code::BadRow, message)));
            }
        }
        Ok(promise)
    }

    /// Says that no more documents come; resolves once all are spooled.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn end_input<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<()>(env)?;
        self.session.end_input(move |result| settle.settle(result));
        Ok(promise)
    }

    /// The next batch of sequences (`output.format: memory`); null after the last.
    #[napi(ts_return_type = "Promise<Batch | null>", catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<Option<Batch>>(env)?;
        self.session.next(move |result| settle.settle(result.map(|batch| batch.map(Batch::from))));
        Ok(promise)
    }

    /// The summary as JSON once the run has ended; rejects with the run's error.
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn finished<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (settle, promise) = promise::<String>(env)?;
        self.session.finished(move |result| settle.settle_shared(result));
        Ok(promise)
    }

    /// Asks the run to stop; what is finished is kept.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.session.cancel();
    }

    /// Cancels and resolves once the run's threads have ended.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let session = Arc::clone(&self.session);
        crate::promise::on_thread(env, move || {
            session.close();
            Ok(())
        })
    }
}
