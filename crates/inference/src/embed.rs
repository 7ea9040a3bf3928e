//! Text embedding: an encoder model, its last hidden states pooled to one vector a text.

use std::path::{Path, PathBuf};

use longweave_common::{Cancel, Code, Error, Result};
use ort::memory::MemoryInfo;
use ort::value::TensorElementType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Runtime;
use crate::batches::groups;
use crate::device::{DeviceOptions, Provider, Sessions};
use crate::files::{exists, read_json, required};
use crate::graph::Graph;
use crate::seq2seq::{floats, integers, mask, padded};
use crate::stop::Stop;
use crate::tokenizer::TextTokenizer;
use crate::worker::Worker;

/// How a text's vectors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pooling {
    /// The pooling of the model's own `1_Pooling/config.json`; the mean if there is no such file.
    Auto,
    /// The mean over the tokens, special ones counted.
    Mean,
    /// The first token's.
    Cls,
}

/// How to embed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderOptions {
    /// The exported model.
    pub model: PathBuf,
    /// Where it runs.
    pub device: DeviceOptions,
    /// How vectors are pooled.
    pub pooling: Pooling,
    /// Whether vectors get length 1.
    pub normalize: bool,
    /// Most tokens of a text, special ones counted; what is beyond is cut off. `None` for the
    /// model's own bound.
    pub max_tokens: Option<u32>,
    /// Text before every text, as some models want.
    pub prefix: String,
    /// Most tokens of a batch, padding counted.
    pub batch_tokens: u32,
}

/// An embedding model. Its thread ends when it is dropped.
pub struct Embedder {
    tokenizer: TextTokenizer,
    worker: Worker<Encoder>,
    provider: Provider,
    max_tokens: usize,
    prefix: String,
    batch_tokens: usize,
    dimensions: usize,
}

struct Encoder {
    stop: Stop,
    graph: Graph,
    output: String,
    ids: TensorElementType,
    types: Option<TensorElementType>,
    pad: u32,
    pooling: Pooling,
    normalize: bool,
    host: MemoryInfo<'static>,
}

impl Embedder {
    /// Loads a model of the BERT family, as exported for feature extraction.
    ///
    /// Errors: `MODEL_MISSING`, `MODEL_INVALID`, `MODEL_MISMATCH`, `MODEL_TOKENIZER`,
    /// `DEVICE_UNAVAILABLE`.
    pub fn load(runtime: &'static Runtime, options: &EmbedderOptions) -> Result<Embedder> {
        let directory = &options.model;
        exists(directory)?;
        let path = required(directory, "model.onnx", "an exported encoder model")?;
        let config = read_json(&required(directory, "config.json", "an exported encoder model")?)?;
        let tokenizer =
            TextTokenizer::open(directory, config["vocab_size"].as_u64().map(|n| n as usize))?;
        let bound = max_tokens(directory, &config)?;
        let max_tokens = options.max_tokens.map_or(bound, |n| (n as usize).min(bound));
        let around = tokenizer.encode("", true)?.len();
        if max_tokens <= around {
            let message = format!(
                "`maxTokens` must be above the {around} special tokens of a text, but is \
                 {max_tokens}"
            );
            return Err(Error::new(Code::OptionsInvalid, message).with("option", "maxTokens"));
        }
        let pooling = match options.pooling {
            Pooling::Auto => own_pooling(directory)?,
            given => given,
        };
        let sessions = Sessions::new(runtime, options.device)?;
        let provider = sessions.provider.clone();
        let (normalize, pad) =
            (options.normalize, config["pad_token_id"].as_u64().unwrap_or(0) as u32);
        let worker = Worker::start("longweave-model", move || {
            Encoder::open(&sessions, &path, pad, pooling, normalize)
        })?;
        let dimensions =
            worker.ask(|encoder| encoder.embed(&[&[encoder.pad]], 1).map(|v| v.len())).wait()?;
        let (prefix, batch_tokens) = (options.prefix.clone(), options.batch_tokens as usize);
        Ok(Embedder { tokenizer, worker, provider, max_tokens, prefix, batch_tokens, dimensions })
    }

    /// The execution provider that is really used.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Numbers of a vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Most tokens of a text that count, special ones among them.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Vectors of the texts end to end, in their order.
    ///
    /// Errors: `CANCELLED`, `MODEL_NOT_FINITE`, `INFERENCE_FAILED`.
    pub fn embed(&self, cancel: &Cancel, texts: &[&str]) -> Result<Vec<f32>> {
        let mut rows: Vec<Vec<u32>> =
            texts.iter().map(|text| self.ids(text)).collect::<Result<_>>()?;
        let lengths: Vec<u32> = rows.iter().map(|r| r.len() as u32).collect();
        let made = groups(&lengths, self.batch_tokens);
        let pending: Vec<_> = made
            .iter()
            .map(|group| {
                let ids: Vec<Vec<u32>> =
                    group.rows.iter().map(|&i| std::mem::take(&mut rows[i])).collect();
                let (width, cancel) = (group.width, cancel.clone());
                self.worker.ask(move |encoder| {
                    let stop = encoder.stop.clone();
                    stop.watching(&cancel, || {
                        encoder.embed(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>(), width)
                    })
                })
            })
            .collect();
        let mut vectors = vec![0.0; texts.len() * self.dimensions];
        for (group, pending) in made.iter().zip(pending) {
            let values = pending.wait()?;
            for (&place, vector) in group.rows.iter().zip(values.chunks_exact(self.dimensions)) {
                vectors[place * self.dimensions..][..self.dimensions].copy_from_slice(vector);
            }
        }
        Ok(vectors)
    }

    /// Ids of a text with special ones, cut at the bound; only as much of a long text is tokenized
    /// as can count.
    fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let whole = format!("{}{text}", self.prefix);
        let first = crate::tokenizer::pieces(&whole).next().unwrap_or("");
        let mut ids = self.tokenizer.encode(first, true)?;
        if ids.len() > self.max_tokens {
            let around = self.tokenizer.encode("", true)?;
            // The last special token closes the text wherever it is cut.
            let close = around.last().copied();
            ids.truncate(self.max_tokens - usize::from(close.is_some()));
            ids.extend(close);
        }
        Ok(ids)
    }
}

/// The model's bound: what sentence-transformers cuts at, else its positions.
fn max_tokens(directory: &Path, config: &Value) -> Result<usize> {
    let path = directory.join("sentence_bert_config.json");
    let own = if path.is_file() { read_json(&path)?["max_seq_length"].as_u64() } else { None };
    Ok(own.or_else(|| config["max_position_embeddings"].as_u64()).unwrap_or(512) as usize)
}

fn own_pooling(directory: &Path) -> Result<Pooling> {
    let path = directory.join("1_Pooling/config.json");
    let cls = path.is_file() && read_json(&path)?["pooling_mode_cls_token"] == Value::Bool(true);
    Ok(if cls { Pooling::Cls } else { Pooling::Mean })
}

impl Encoder {
    fn open(
        sessions: &Sessions,
        path: &Path,
        pad: u32,
        pooling: Pooling,
        normalize: bool,
    ) -> Result<Encoder> {
        let graph = Graph::open(sessions, path)?;
        let (inputs, outputs) = (graph.inputs(), graph.outputs());
        let has_types = inputs.contains(&"token_type_ids");
        let mut expected = vec!["input_ids".to_owned(), "attention_mask".to_owned()];
        expected.extend(has_types.then(|| "token_type_ids".to_owned()));
        let output = ["last_hidden_state", "token_embeddings"]
            .into_iter()
            .find(|n| outputs.contains(n))
            .unwrap_or("last_hidden_state")
            .to_owned();
        graph.require(&expected, std::slice::from_ref(&output))?;
        let (_, shape) = graph.output_type(&output)?;
        if shape.len() != 3 {
            let message = format!(
                "{}: the output `{output}` has the shape {shape:?}, where [texts, tokens, \
                 dimensions] was expected",
                path.display()
            );
            return Err(Error::new(Code::ModelMismatch, message).with_file(path));
        }
        let (ids, _) = graph.input_type("input_ids")?;
        let types = if has_types { Some(graph.input_type("token_type_ids")?.0) } else { None };
        Ok(Encoder {
            stop: sessions.stop.clone(),
            graph,
            output,
            ids,
            types,
            pad,
            pooling,
            normalize,
            host: Sessions::host()?,
        })
    }

    fn embed(&mut self, rows: &[&[u32]], width: usize) -> Result<Vec<f32>> {
        let shape = [rows.len(), width];
        let lengths: Vec<u32> = rows.iter().map(|r| r.len() as u32).collect();
        self.graph
            .input("input_ids", &integers(self.ids, &shape, padded(rows, width, self.pad))?)?;
        self.graph.input("attention_mask", &integers(self.ids, &shape, mask(&lengths, width))?)?;
        if let Some(types) = self.types {
            self.graph.input(
                "token_type_ids",
                &integers(types, &shape, std::iter::repeat_n(0, rows.len() * width))?,
            )?;
        }
        let mut values = self.graph.run([(self.output.as_str(), &self.host)])?;
        let hidden = values
            .pop()
            .ok_or_else(|| Error::new(Code::Internal, "an encoder gave no hidden states"))?;
        let hidden = floats(&hidden)?;
        let dimensions = hidden.len() / (rows.len() * width);
        let mut vectors = Vec::with_capacity(rows.len() * dimensions);
        for (row, &length) in hidden.chunks_exact(width * dimensions).zip(&lengths) {
            let tokens = if self.pooling == Pooling::Cls { 1 } else { length as usize };
            vectors.extend(pool(&row[..tokens * dimensions], dimensions, self.normalize));
        }
        match vectors.iter().all(|x| x.is_finite()) {
            true => Ok(vectors),
            false => Err(Error::new(
                Code::ModelNotFinite,
                "the model gave a vector that is not finite; its weights are damaged, or it \
                 overflows in half precision",
            )),
        }
    }
}

/// The mean of the tokens' vectors, of length 1 if asked for.
fn pool(tokens: &[f32], dimensions: usize, normalize: bool) -> impl Iterator<Item = f32> {
    let mut sums = vec![0f32; dimensions];
    for token in tokens.chunks_exact(dimensions) {
        sums.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
    }
    let count = (tokens.len() / dimensions) as f32;
    sums.iter_mut().for_each(|sum| *sum /= count);
    let length = sums.iter().map(|x| x * x).sum::<f32>().sqrt();
    let by = if normalize && length > 0.0 { length } else { 1.0 };
    sums.into_iter().map(move |x| x / by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_means_of_their_own_tokens() {
        assert_eq!(pool(&[1.0, 2.0, 5.0, 6.0], 2, false).collect::<Vec<_>>(), [3.0, 4.0]);
        assert_eq!(pool(&[1.0, 2.0, 5.0, 6.0], 2, true).collect::<Vec<_>>(), [0.6, 0.8]);
        assert_eq!(pool(&[0.0, 0.0], 2, true).collect::<Vec<_>>(), [0.0, 0.0]);
    }
}
