//! Promises that are settled from our own threads.

use std::sync::Arc;

use longweave_common::Error;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsDeferred};

use crate::error::to_napi;

type Resolver<T> = Box<dyn FnOnce(Env) -> napi::Result<T> + Send>;

/// The half of a promise that settles it.
pub(crate) struct Settle<T: ToNapiValue + 'static>(JsDeferred<T, Resolver<T>>);

/// A promise and what settles it.
pub(crate) fn promise<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
) -> napi::Result<(Settle<T>, Object<'env>)> {
    let (deferred, promise) = env.create_deferred::<T, Resolver<T>>()?;
    Ok((Settle(deferred), promise))
}

impl<T: ToNapiValue + Send + 'static> Settle<T> {
    /// Resolves or rejects.
    pub(crate) fn settle(self, result: Result<T, Error>) {
        match result {
            Ok(value) => self.0.resolve(Box::new(move |_| Ok(value))),
            Err(error) => self.0.reject(to_napi(&error)),
        }
    }

    /// Resolves or rejects with an error that others hold too.
    pub(crate) fn settle_shared(self, result: Result<T, Arc<Error>>) {
        match result {
            Ok(value) => self.0.resolve(Box::new(move |_| Ok(value))),
            Err(error) => self.0.reject(to_napi(&error)),
        }
    }
}

/// Runs `work` on a thread of its own and settles a promise with what it gives; a panic rejects it.
pub(crate) fn on_thread<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> napi::Result<Object<'env>> {
    let (settle, promise) = promise(env)?;
    std::thread::Builder::new()
        .name("longweave-call".into())
        .spawn(move || settle.settle(longweave_pipeline::driver::guarded(work)))
        .map_err(|e| napi::Error::from_reason(format!("cannot start a thread: {e}")))?;
    Ok(promise)
}
