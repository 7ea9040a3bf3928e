//! Our own layout: the encoder gives the keys and values that the decoder attends to, once; the
//! decoder keeps its caches where they are and picks the largest logits itself. tools/export makes
//! it; FORMATS.md describes it.

use std::path::Path;

use longweave_common::{Code, Error, Result};
use ort::memory::{Allocator, MemoryInfo};
use ort::value::{DynTensor, DynValue, TensorElementType};

use crate::device::Sessions;
use crate::files::{ModelConfig, OwnLayout};
use crate::graph::Graph;
use crate::runtime::runtime_error;
use crate::seq2seq::{Candidates, Seq2Seq, State, floats, ids, integers, padded};

const I32: TensorElementType = TensorElementType::Int32;
const I64: TensorElementType = TensorElementType::Int64;

pub(crate) struct TwoGraph {
    encoder: Graph,
    decoder: Graph,
    /// `cross_key.0`, `cross_value.0`, `cross_key.1` …, as the encoder gives and the decoder takes
    /// them.
    cross: Vec<String>,
    past: Vec<String>,
    present: Vec<String>,
    cache: TensorElementType,
    heads: usize,
    head_dim: usize,
    pad: u32,
    vocabulary: usize,
    device: MemoryInfo<'static>,
    host: MemoryInfo<'static>,
}

impl TwoGraph {
    pub(crate) fn open(
        sessions: &Sessions,
        directory: &Path,
        config: &ModelConfig,
        layout: &OwnLayout,
    ) -> Result<TwoGraph> {
        let names = |key: &str, value: &str| -> Vec<String> {
            (0..layout.layers)
                .flat_map(|l| [format!("{key}.{l}"), format!("{value}.{l}")])
                .collect()
        };
        let (cross, past, present) = (
            names("cross_key", "cross_value"),
            names("past_key", "past_value"),
            names("present_key", "present_value"),
        );
        let all = |lists: &[&[String]], more: &[&str]| -> Vec<String> {
            lists
                .iter()
                .flat_map(|l| l.iter().cloned())
                .chain(more.iter().map(|&n| n.to_owned()))
                .collect()
        };
        let encoder = Graph::open(sessions, &directory.join("encoder.onnx"))?;
        encoder.require(&all(&[], &["input_ids", "lengths"]), &cross)?;
        let decoder = Graph::open(sessions, &directory.join("decoder.onnx"))?;
        decoder.require(
            &all(&[&cross, &past], &["token", "lengths", "k"]),
            &all(&[&present], &["top_logits", "top_ids", "logits"]),
        )?;
        let (cache, _) = decoder.input_type(&past[0])?;
        for (graph, name, expected) in [
            (&encoder, "input_ids", I32),
            (&encoder, "lengths", I32),
            (&decoder, "token", I32),
            (&decoder, "k", I64),
        ] {
            let (found, _) = graph.input_type(name)?;
            if found != expected {
                let message = format!(
                    "{}: the input `{name}` is {found}, where {expected} was expected",
                    graph.file().display()
                );
                return Err(Error::new(Code::ModelMismatch, message)
                    .with("expected", expected.to_string())
                    .with("found", found.to_string()));
            }
        }
        let (device, host) = (sessions.memory()?, Sessions::host()?);
        Ok(TwoGraph {
            encoder,
            decoder,
            cross,
            past,
            present,
            cache,
            heads: layout.heads,
            head_dim: layout.head_dim,
            pad: config.pad,
            vocabulary: config.vocabulary,
            device,
            host,
        })
    }
}

impl Seq2Seq for TwoGraph {
    fn encode(&mut self, rows: &[&[u32]], width: usize) -> Result<Vec<DynValue>> {
        self.encoder.input(
            "input_ids",
            &integers(I32, &[rows.len(), width], padded(rows, width, self.pad))?,
        )?;
        self.encoder.input(
            "lengths",
            &integers(I32, &[rows.len()], rows.iter().map(|r| r.len() as i64))?,
        )?;
        self.encoder.run(self.cross.iter().map(|n| (n.as_str(), &self.device)))
    }

    fn begin(&mut self, encoded: Vec<DynValue>, lengths: Vec<u32>, width: usize) -> Result<State> {
        let mut values = encoded;
        for _ in &self.past {
            // No token is cached yet: a tensor without elements, which needs no device.
            let shape = [lengths.len() as i64, self.heads as i64, 0, self.head_dim as i64];
            let empty = DynTensor::new(&Allocator::default(), self.cache, shape)
                .map_err(|e| runtime_error("make an empty cache", &e))?;
            values.push(empty.into_dyn());
        }
        Ok(State { values, lengths, width, steps: 0 })
    }

    fn step(
        &mut self,
        state: &mut State,
        tokens: &[u32],
        top: Option<usize>,
    ) -> Result<Vec<Candidates>> {
        let rows = tokens.len();
        let k = top.unwrap_or(1).min(self.vocabulary);
        self.decoder
            .input("token", &integers(I32, &[rows], tokens.iter().map(|&t| i64::from(t)))?)?;
        self.decoder.input(
            "lengths",
            &integers(I32, &[rows], state.lengths.iter().map(|&n| i64::from(n)))?,
        )?;
        self.decoder.input("k", &integers(I64, &[1], std::iter::once(k as i64))?)?;
        for (name, value) in self.cross.iter().chain(&self.past).zip(&state.values) {
            self.decoder.input(name, value)?;
        }
        let scores: &[&str] = if top.is_some() { &["top_logits", "top_ids"] } else { &["logits"] };
        let outputs = self
            .present
            .iter()
            .map(|n| (n.as_str(), &self.device))
            .chain(scores.iter().map(|&n| (n, &self.host)));
        let mut values = self.decoder.run(outputs)?;
        let scores = values.split_off(self.present.len());
        state.values.truncate(self.cross.len());
        state.values.append(&mut values);
        state.steps += 1;
        if top.is_none() {
            let logits = floats(&scores[0])?;
            return Ok(logits
                .chunks_exact(logits.len() / rows)
                .map(|row| row.iter().copied().zip(0..).collect())
                .collect());
        }
        let (logits, found) = (floats(&scores[0])?, ids(&scores[1])?);
        Ok(logits
            .chunks_exact(k)
            .zip(found.chunks_exact(k))
            .map(|(l, i)| l.iter().zip(i).map(|(&l, &i)| (l, i as u32)).collect())
            .collect())
    }
}
