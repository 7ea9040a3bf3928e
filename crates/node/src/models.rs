//! Query prediction, embedding, and the documents of a corpus.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longweave_api::models::{DocumentReader, QueryMaker, Vectors, offer_packaged};
use longweave_common::{Cancel, Code, Error, Result};
use napi::Env;
use napi::bindgen_prelude::{Float32Array, Object};
use napi_derive::napi;

use crate::promise::{Cancellation, on_thread};

/// Names the ONNX Runtime library of an installed package; it is looked at when no other is named.
#[napi(catch_unwind)]
pub fn offer_onnx_runtime(path: String) {
    offer_packaged(PathBuf::from(path));
}

/// Something that is shared with calls under way until it is closed.
struct Handle<T: Send + Sync + 'static>(Mutex<Option<Arc<T>>>);

impl<T: Send + Sync + 'static> Handle<T> {
    fn new(value: T) -> Handle<T> {
        Handle(Mutex::new(Some(Arc::new(value))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shared model; an error, to be met on the call's thread, once it is closed.
    fn get(&self) -> impl FnOnce() -> Result<Arc<T>> + Send + 'static {
        let value = self.lock().clone();
        move || {
            value.ok_or_else(|| {
                Error::new(Code::HandleClosed, "the model was closed; open it again")
            })
        }
    }

    fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let value = self.lock().take();
        on_thread(env, &Cancellation::default(), move |_| {
            drop(value);
            Ok(())
        })
    }
}

impl<T: Send + Sync + 'static> Drop for Handle<T> {
    fn drop(&mut self) {
        // Collected on the JavaScript thread, which waits for no model's thread.
        let value = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(value), Some(threads)) = (value, crate::threads::current()) {
            threads.spawn(Cancel::new(), move || drop(value));
        }
    }
}

/// A query predictor.
#[napi]
pub struct NativePredictor {
    maker: Handle<QueryMaker>,
    info: String,
}

#[napi]
impl NativePredictor {
    /// A predictor with options as JSON; resolves once its model is loaded.
    #[napi(ts_return_type = "Promise<NativePredictor>", catch_unwind)]
    pub fn open<'env>(
        env: &'env Env,
        options: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        on_thread(env, cancellation, move |_| {
            let maker = QueryMaker::new(&options)?;
            let info = maker.info();
            Ok(NativePredictor { maker: Handle::new(maker), info })
        })
    }

    /// The predictor, as JSON.
    #[napi(getter, catch_unwind)]
    pub fn info(&self) -> String {
        self.info.clone()
    }

    /// Queries of documents, a JSON array of `{id, text}`; resolves with a JSON array of `{queries,
    /// tokenIds}`.
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn predict<'env>(
        &self,
        env: &'env Env,
        documents: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let maker = self.maker.get();
        on_thread(env, cancellation, move |cancel| maker()?.predict(&documents, cancel))
    }

    /// Gives up the model; resolves once no call uses it.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.maker.close(env)
    }
}

#[cfg(feature = "testing")]
#[napi]
impl NativePredictor {
    /// Where the time of the model's thread went, as JSON; for tests and benchmarks.
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn timing<'env>(
        &self,
        env: &'env Env,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let maker = self.maker.get();
        on_thread(env, cancellation, move |_| maker()?.timing())
    }
}

/// An embedding model.
#[napi]
pub struct NativeEmbedder {
    vectors: Handle<Vectors>,
    dimensions: u32,
    device: String,
}

#[napi]
impl NativeEmbedder {
    /// A model with options as JSON; resolves once it is loaded.
    #[napi(ts_return_type = "Promise<NativeEmbedder>", catch_unwind)]
    pub fn open<'env>(
        env: &'env Env,
        options: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        on_thread(env, cancellation, move |_| {
            let vectors = Vectors::new(&options)?;
            let (dimensions, device) = (vectors.dimensions(), vectors.device());
            Ok(NativeEmbedder { vectors: Handle::new(vectors), dimensions, device })
        })
    }

    /// Numbers of a vector.
    #[napi(getter)]
    pub fn dimensions(&self) -> u32 {
        self.dimensions
    }

    /// The execution provider in use.
    #[napi(getter, catch_unwind)]
    pub fn device(&self) -> String {
        self.device.clone()
    }

    /// Vectors of texts, end to end.
    #[napi(ts_return_type = "Promise<Float32Array>", catch_unwind)]
    pub fn embed<'env>(
        &self,
        env: &'env Env,
        texts: Vec<String>,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let vectors = self.vectors.get();
        on_thread(env, cancellation, move |cancel| {
            vectors()?.embed(&texts, cancel).map(Float32Array::new)
        })
    }

    /// Gives up the model; resolves once no call uses it.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.vectors.close(env)
    }
}

/// The documents of a corpus.
#[napi]
pub struct NativeDocuments {
    reader: Arc<Mutex<DocumentReader>>,
}

#[napi]
impl NativeDocuments {
    /// Opens a corpus with its options as JSON; the cancellation holds for `next` too.
    #[napi(ts_return_type = "Promise<NativeDocuments>", catch_unwind)]
    pub fn open<'env>(
        env: &'env Env,
        options: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        on_thread(env, cancellation, move |cancel| {
            Ok(NativeDocuments {
                reader: Arc::new(Mutex::new(DocumentReader::new(&options, cancel)?)),
            })
        })
    }

    /// The next documents, at most `most`, as a JSON array of `{id, text}`; null after the last.
    #[napi(ts_return_type = "Promise<string | null>", catch_unwind)]
    pub fn next<'env>(
        &self,
        env: &'env Env,
        most: u32,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let reader = Arc::clone(&self.reader);
        on_thread(env, cancellation, move |_| {
            reader.lock().unwrap_or_else(PoisonError::into_inner).next(most as usize)
        })
    }
}
