//! The layouts of `optimum-cli export onnx`: an encoder, and a decoder of one graph with a switch
//! or of two graphs, one for the first step and one that continues from caches.

use std::path::Path;

use longweave_common::{Code, Error, Result};
use ort::memory::{Allocator, MemoryInfo};
use ort::value::{DynTensor, DynValue, Tensor, TensorElementType};

use crate::device::Sessions;
use crate::files::{Layout, ModelConfig};
use crate::graph::Graph;
use crate::runtime::runtime_error;
use crate::seq2seq::{Candidates, Seq2Seq, State, floats, integers, largest, mask, padded};

const I64: TensorElementType = TensorElementType::Int64;
const TOKEN: &str = "input_ids";
const MASK: &str = "encoder_attention_mask";
const HIDDEN: &str = "encoder_hidden_states";
const SWITCH: &str = "use_cache_branch";

pub(crate) struct Optimum {
    encoder: Graph,
    decoder: Decoder,
    /// Names of the caches without their prefix: `0.decoder.key` of
    /// `past_key_values.0.decoder.key`, by layer key and value.
    own: Vec<String>,
    cross: Vec<String>,
    pad: u32,
    device: MemoryInfo<'static>,
    host: MemoryInfo<'static>,
}

enum Decoder {
    /// The caches before the first step: type, heads, size of a head.
    Merged(Box<Graph>, (TensorElementType, i64, i64)),
    Split {
        first: Box<Graph>,
        next: Box<Graph>,
    },
}

impl Optimum {
    pub(crate) fn open(
        sessions: &Sessions,
        directory: &Path,
        config: &ModelConfig,
        layout: &Layout,
    ) -> Result<Optimum> {
        let strings = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let encoder = Graph::open(sessions, &directory.join("encoder_model.onnx"))?;
        encoder.require(
            &strings(&["input_ids", "attention_mask"]),
            &strings(&["last_hidden_state"]),
        )?;
        let names = |graph: &Graph| {
            let layers = (0..)
                .take_while(|l| {
                    graph.outputs().contains(&format!("present.{l}.decoder.key").as_str())
                })
                .count()
                .max(1);
            let of = |part: &str| -> Vec<String> {
                (0..layers)
                    .flat_map(|l| [format!("{l}.{part}.key"), format!("{l}.{part}.value")])
                    .collect()
            };
            (of("decoder"), of("encoder"))
        };
        let with = |prefix: &str, lists: &[&[String]], more: &[&str]| -> Vec<String> {
            lists
                .iter()
                .flat_map(|l| l.iter().map(|n| format!("{prefix}.{n}")))
                .chain(strings(more))
                .collect()
        };
        let (decoder, own, cross) = match layout {
            Layout::Merged(path) => {
                let graph = Graph::open(sessions, path)?;
                let (own, cross) = names(&graph);
                graph.require(
                    &with("past_key_values", &[&own, &cross], &[TOKEN, MASK, HIDDEN, SWITCH]),
                    &with("present", &[&own, &cross], &["logits"]),
                )?;
                let (ty, shape) = graph.input_type(&format!("past_key_values.{}", own[0]))?;
                let sizes = match shape[..] {
                    [_, heads, _, size] if heads > 0 && size > 0 => (ty, heads, size),
                    _ => {
                        let message = format!(
                            "{}: the caches do not say their heads: their shape is {shape:?}",
                            path.display()
                        );
                        return Err(Error::new(Code::ModelMismatch, message).with_file(path));
                    }
                };
                (Decoder::Merged(Box::new(graph), sizes), own, cross)
            }
            Layout::Split { first, with_past } => {
                let (first, next) =
                    (Graph::open(sessions, first)?, Graph::open(sessions, with_past)?);
                let (own, cross) = names(&first);
                first.require(
                    &strings(&[TOKEN, MASK, HIDDEN]),
                    &with("present", &[&own, &cross], &["logits"]),
                )?;
                // Newer exports leave the hidden states out, since the caches hold all that is
                // needed of them.
                let more: &[&str] = if next.inputs().contains(&HIDDEN) {
                    &[TOKEN, MASK, HIDDEN]
                } else {
                    &[TOKEN, MASK]
                };
                next.require(
                    &with("past_key_values", &[&own, &cross], more),
                    &with("present", &[&own], &["logits"]),
                )?;
                (Decoder::Split { first: Box::new(first), next: Box::new(next) }, own, cross)
            }
            Layout::Own(_) => {
                return Err(Error::new(
                    Code::Internal,
                    "a layout of longweave's own was opened as optimum's",
                ));
            }
        };
        Ok(Optimum {
            encoder,
            decoder,
            own,
            cross,
            pad: config.pad,
            device: sessions.memory()?,
            host: Sessions::host()?,
        })
    }

    /// The caches of no token, for the branch that does not read them.
    fn unused(rows: usize, (ty, heads, size): (TensorElementType, i64, i64)) -> Result<DynValue> {
        let tensor = DynTensor::new(&Allocator::default(), ty, [rows as i64, heads, 1, size]);
        Ok(tensor.map_err(|e| runtime_error("make an empty cache", &e))?.into_dyn())
    }
}

impl Seq2Seq for Optimum {
    fn encode(&mut self, rows: &[&[u32]], width: usize) -> Result<Vec<DynValue>> {
        let lengths: Vec<u32> = rows.iter().map(|r| r.len() as u32).collect();
        self.encoder.input(
            "input_ids",
            &integers(I64, &[rows.len(), width], padded(rows, width, self.pad))?,
        )?;
        self.encoder.input(
            "attention_mask",
            &integers(I64, &[rows.len(), width], mask(&lengths, width))?,
        )?;
        self.encoder.run([("last_hidden_state", &self.device)])
    }

    fn begin(&mut self, encoded: Vec<DynValue>, lengths: Vec<u32>, width: usize) -> Result<State> {
        Ok(State { values: encoded, lengths, width, steps: 0 })
    }

    /// Values of the state: hidden states, then the decoder's own caches, then those over the
    /// input.
    fn step(
        &mut self,
        state: &mut State,
        tokens: &[u32],
        top: Option<usize>,
    ) -> Result<Vec<Candidates>> {
        let rows = tokens.len();
        let begins = state.steps == 0;
        let (graph, merged) = match &mut self.decoder {
            Decoder::Merged(graph, sizes) => (graph, Some(*sizes)),
            Decoder::Split { first, .. } if begins => (first, None),
            Decoder::Split { next, .. } => (next, None),
        };
        graph.input(TOKEN, &integers(I64, &[rows, 1], tokens.iter().map(|&t| i64::from(t)))?)?;
        graph.input(
            MASK,
            &integers(I64, &[rows, state.width], mask(&state.lengths, state.width))?,
        )?;
        if graph.inputs().contains(&HIDDEN) {
            graph.input(HIDDEN, &state.values[0])?;
        }
        if merged.is_some() {
            let switch = Tensor::from_array(([1usize], vec![!begins]))
                .map_err(|e| runtime_error("make a tensor", &e))?;
            graph.input(SWITCH, &switch.into_dyn())?;
        }
        let caches = self.own.iter().chain(&self.cross);
        if !begins {
            for (name, value) in caches.zip(&state.values[1..]) {
                graph.input(&format!("past_key_values.{name}"), value)?;
            }
        } else if let Some(sizes) = merged {
            let unused = Self::unused(rows, sizes)?;
            for name in caches {
                graph.input(&format!("past_key_values.{name}"), &unused)?;
            }
        }
        let kept: Vec<String> = self
            .own
            .iter()
            .chain(self.cross.iter().filter(|_| begins))
            .map(|n| format!("present.{n}"))
            .collect();
        let outputs =
            kept.iter().map(|n| (n.as_str(), &self.device)).chain([("logits", &self.host)]);
        let mut values = graph.run(outputs)?;
        let logits =
            values.pop().ok_or_else(|| Error::new(Code::Internal, "a decoder gave no logits"))?;
        let after = if begins { state.values.len() } else { 1 + self.own.len() };
        state.values.splice(1..after, values);
        state.steps += 1;
        let logits = floats(&logits)?;
        Ok(logits.chunks_exact(logits.len() / rows).map(|row| largest(row, top)).collect())
    }
}
