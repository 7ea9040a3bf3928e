//! Choosing and joining rows of values that stay on a device: two small graphs, made here, over a
//! list of tensors whose first axis is the row. So finished rows leave a batch, a segment's row
//! stands for several queries, and encoder batches join into one for the decoder.

use std::path::Path;

use longweave_common::Result;
use ort::editor::{Graph as EditorGraph, Model, Node, ONNX_DOMAIN, Opset};
use ort::memory::MemoryInfo;
use ort::operator::Attribute;
use ort::value::{
    DynValue, Outlet, Shape, SymbolicDimensions, Tensor, TensorElementType, ValueType,
};

use crate::device::Sessions;
use crate::graph::Graph;
use crate::runtime::runtime_error;

/// Opset of the graphs made here: both operators have been the same since 13.
const OPSET: u32 = 17;

/// The key of a value's graph.
type Kinds = Vec<(TensorElementType, usize)>;

/// The graphs made so far, by kinds of values and number of parts; the number is 0 for a choice of
/// rows.
pub(crate) struct Rows {
    sessions: Sessions,
    memory: MemoryInfo<'static>,
    graphs: Vec<((Kinds, usize), Graph)>,
}

impl Rows {
    pub(crate) fn new(sessions: Sessions) -> Result<Rows> {
        Ok(Rows { memory: sessions.memory()?, sessions, graphs: Vec::new() })
    }

    /// Of each value, these rows in this order; a row may come more than once.
    pub(crate) fn choose(&mut self, values: &[DynValue], rows: &[usize]) -> Result<Vec<DynValue>> {
        let index: Vec<i64> = rows.iter().map(|&r| r as i64).collect();
        let index = Tensor::from_array(([index.len()], index))
            .map_err(|e| runtime_error("make a tensor", &e))?
            .into_dyn();
        let kinds = kinds(values);
        let graph = self.graph(&kinds, 0)?;
        graph.input("rows", &index)?;
        for (i, value) in values.iter().enumerate() {
            graph.input(&format!("in.{i}.0"), value)?;
        }
        self.run(&kinds, 0)
    }

    /// Of each value, the rows of all parts one after the other. Other axes must be the same in all
    /// parts.
    pub(crate) fn join(&mut self, parts: Vec<Vec<DynValue>>) -> Result<Vec<DynValue>> {
        let mut parts = parts;
        if parts.len() < 2 {
            return Ok(parts.pop().unwrap_or_default());
        }
        let kinds = kinds(&parts[0]);
        let n = parts.len();
        let graph = self.graph(&kinds, n)?;
        for (p, part) in parts.iter().enumerate() {
            for (i, value) in part.iter().enumerate() {
                graph.input(&format!("in.{i}.{p}"), value)?;
            }
        }
        drop(parts);
        self.run(&kinds, n)
    }

    fn run(&mut self, kinds: &Kinds, parts: usize) -> Result<Vec<DynValue>> {
        let names: Vec<String> = (0..kinds.len()).map(|i| format!("out.{i}")).collect();
        let memory = self.memory.clone();
        self.graph(kinds, parts)?.run(names.iter().map(|n| (n.as_str(), &memory)))
    }

    fn graph(&mut self, kinds: &Kinds, parts: usize) -> Result<&mut Graph> {
        let found = self.graphs.iter().position(|((k, n), _)| k == kinds && *n == parts);
        let at = match found {
            Some(at) => at,
            None => {
                let model =
                    build(kinds, parts).map_err(|e| runtime_error("make a graph of rows", &e))?;
                let graph =
                    Graph::of(&self.sessions, self.sessions.build(model)?, Path::new("rows"))?;
                self.graphs.push(((kinds.clone(), parts), graph));
                self.graphs.len() - 1
            }
        };
        Ok(&mut self.graphs[at].1)
    }
}

fn kinds(values: &[DynValue]) -> Kinds {
    let kind = |value: &DynValue| match value.dtype() {
        ValueType::Tensor { ty, shape, .. } => (*ty, shape.len()),
        _ => (TensorElementType::Float32, 0),
    };
    values.iter().map(kind).collect()
}

fn build(kinds: &Kinds, parts: usize) -> ort::Result<Model> {
    let outlet = |name: &str, ty: TensorElementType, rank: usize| {
        let shape = Shape::new(std::iter::repeat_n(-1, rank));
        Outlet::new(
            name,
            ValueType::Tensor { ty, shape, dimension_symbols: SymbolicDimensions::empty(rank) },
        )
    };
    let (mut inputs, mut outputs, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    if parts == 0 {
        inputs.push(outlet("rows", TensorElementType::Int64, 1));
    }
    for (i, &(ty, rank)) in kinds.iter().enumerate() {
        let names: Vec<String> = (0..parts.max(1)).map(|p| format!("in.{i}.{p}")).collect();
        inputs.extend(names.iter().map(|n| outlet(n, ty, rank)));
        let out = format!("out.{i}");
        outputs.push(outlet(&out, ty, rank));
        let axis = Attribute::new("axis", 0i64)?;
        nodes.push(match parts {
            0 => Node::new(
                "Gather",
                ONNX_DOMAIN,
                &out,
                [names[0].as_str(), "rows"],
                [out.as_str()],
                [axis],
            )?,
            _ => Node::new("Concat", ONNX_DOMAIN, &out, names, vec![out.clone()], [axis])?,
        });
    }
    let mut graph = EditorGraph::new()?;
    graph.set_inputs(inputs)?;
    graph.set_outputs(outputs)?;
    for node in nodes {
        graph.add_node(node)?;
    }
    let mut model = Model::new([Opset::new(ONNX_DOMAIN, OPSET)?])?;
    model.set_graph(graph)?;
    Ok(model)
}
