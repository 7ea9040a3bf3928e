//! Promises that are settled from threads of our own, exactly once.

use std::sync::Arc;

use longweave_common::{Cancel, Code, Error};
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsDeferred};
use napi_derive::napi;

use crate::error::to_napi;
use crate::threads;

type Resolver<T> = Box<dyn FnOnce(Env) -> napi::Result<T> + Send>;

/// Asks a call to stop.
#[napi]
#[derive(Default)]
pub struct Cancellation {
    pub(crate) flag: Cancel,
}

#[napi]
impl Cancellation {
    /// Not yet asked for.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Cancellation {
        Cancellation::default()
    }

    /// Asks; it cannot be taken back.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.flag.cancel();
    }
}

/// The half of a promise that settles it. Dropped unsettled, it rejects: no promise waits for ever.
pub(crate) struct Settle<T: ToNapiValue + Send + 'static>(Option<JsDeferred<T, Resolver<T>>>);

/// A promise and what settles it.
pub(crate) fn promise<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
) -> napi::Result<(Settle<T>, Object<'env>)> {
    let (deferred, promise) = env.create_deferred::<T, Resolver<T>>()?;
    Ok((Settle(Some(deferred)), promise))
}

impl<T: ToNapiValue + Send + 'static> Settle<T> {
    /// Resolves or rejects.
    pub(crate) fn settle(mut self, result: Result<T, Error>) {
        self.now(result.map_err(|e| to_napi(&e)));
    }

    /// Resolves or rejects with an error that others hold too.
    pub(crate) fn settle_shared(mut self, result: Result<T, Arc<Error>>) {
        self.now(result.map_err(|e| to_napi(&e)));
    }

    fn now(&mut self, result: napi::Result<T>) {
        let Some(deferred) = self.0.take() else { return };
        match result {
            Ok(value) => deferred.resolve(Box::new(move |_| Ok(value))),
            Err(error) => deferred.reject(error),
        }
    }
}

impl<T: ToNapiValue + Send + 'static> Drop for Settle<T> {
    fn drop(&mut self) {
        let message = "the call ended without a result: its thread could not be started, or a bug \
                       in longweave lost it; please report this if the system has threads to spare";
        self.now(Err(to_napi(&Error::new(Code::Internal, message))));
    }
}

/// Runs `work` on a thread of its own and settles a promise with its result; a panic rejects it.
pub(crate) fn on_thread<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    cancellation: &Cancellation,
    work: impl FnOnce(&Cancel) -> Result<T, Error> + Send + 'static,
) -> napi::Result<Object<'env>> {
    let threads = threads::of(env)?;
    let (settle, promise) = promise(env)?;
    let cancel = cancellation.flag.clone();
    threads.spawn(cancel.clone(), move || {
        let guarded = longweave_api::guarded(|| {
            cancel.check()?;
            work(&cancel)
        });
        settle.settle(guarded);
    });
    Ok(promise)
}
