//! Query prediction, embedding, and the documents of a corpus.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::Cancel;
use longweave_pipeline::models::{DocumentReader, QueryMaker, Vectors, offer_packaged};
use napi::Env;
use napi::bindgen_prelude::{Float32Array, Object};
use napi_derive::napi;

use crate::error::call;
use crate::promise::on_thread;

/// Names the ONNX Runtime library of an installed package; it is looked at when no other is named.
#[napi(catch_unwind)]
pub fn offer_onnx_runtime(path: String) {
    offer_packaged(PathBuf::from(path));
}

/// Asks calls to stop.
#[napi]
#[derive(Default)]
pub struct Cancellation {
    flag: Cancel,
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

/// A query predictor.
#[napi]
pub struct Predictor {
    maker: Arc<QueryMaker>,
}

#[napi]
impl Predictor {
    /// A predictor with options as JSON; resolves once its model is loaded.
    #[napi(ts_return_type = "Promise<Predictor>", catch_unwind)]
    pub fn load<'env>(env: &'env Env, options: String) -> napi::Result<Object<'env>> {
        on_thread(env, move || Ok(Predictor { maker: Arc::new(QueryMaker::new(&options)?) }))
    }

    /// A predictor without a model, at once.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: String) -> napi::Result<Predictor> {
        Ok(Predictor { maker: Arc::new(call(|| QueryMaker::new(&options))?) })
    }

    /// What predicts, as JSON.
    #[napi(getter, catch_unwind)]
    pub fn info(&self) -> String {
        self.maker.info()
    }

    /// Where the model's time went, as JSON.
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn timing<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let maker = Arc::clone(&self.maker);
        on_thread(env, move || maker.timing())
    }

    /// Queries of documents, a JSON array of `{id, text}`; resolves with a JSON array of `{queries, tokenIds}`.
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn predict<'env>(
        &self,
        env: &'env Env,
        documents: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let (maker, cancel) = (Arc::clone(&self.maker), cancellation.flag.clone());
        on_thread(env, move || maker.predict(&documents, &cancel))
    }
}

/// An embedding model.
#[napi]
pub struct EmbeddingModel {
    vectors: Arc<Vectors>,
}

#[napi]
impl EmbeddingModel {
    /// A model with options as JSON; resolves once it is loaded.
    #[napi(ts_return_type = "Promise<EmbeddingModel>", catch_unwind)]
    pub fn load<'env>(env: &'env Env, options: String) -> napi::Result<Object<'env>> {
        on_thread(env, move || Ok(EmbeddingModel { vectors: Arc::new(Vectors::new(&options)?) }))
    }

    /// Numbers of a vector.
    #[napi(getter)]
    pub fn dimensions(&self) -> u32 {
        self.vectors.dimensions()
    }

    /// The device that is really used.
    #[napi(getter, catch_unwind)]
    pub fn device(&self) -> String {
        self.vectors.device()
    }

    /// Vectors of texts, end to end.
    #[napi(ts_return_type = "Promise<Float32Array>", catch_unwind)]
    pub fn embed<'env>(
        &self,
        env: &'env Env,
        texts: Vec<String>,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        let (vectors, cancel) = (Arc::clone(&self.vectors), cancellation.flag.clone());
        on_thread(env, move || vectors.embed(&texts, &cancel).map(Float32Array::new))
    }
}

/// The documents of a corpus.
#[napi]
pub struct Documents {
    reader: Arc<Mutex<DocumentReader>>,
}

#[napi]
impl Documents {
    /// Opens a corpus with its options as JSON.
    #[napi(factory, catch_unwind)]
    pub fn open(options: String) -> napi::Result<Documents> {
        Ok(Documents { reader: Arc::new(Mutex::new(call(|| DocumentReader::new(&options))?)) })
    }

    /// The next documents, at most `most`, as a JSON array of `{id, text}`; null after the last.
    #[napi(ts_return_type = "Promise<string | null>", catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env, most: u32) -> napi::Result<Object<'env>> {
        let reader = Arc::clone(&self.reader);
        on_thread(env, move || {
            reader.lock().unwrap_or_else(PoisonError::into_inner).next(most as usize)
        })
    }
}
