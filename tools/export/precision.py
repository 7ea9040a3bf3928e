"""How a graph computes its products: float32, float16 with float32 where T5 needs it, int8."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from graph import Graph


class Precision:
    """float32. The others differ in what they override.

    `compute` is the type of attention's values and of the caches; what runs between layers is float32 in every precision."""

    name = "fp32"
    compute = np.dtype(np.float32)
    tolerance = 1e-3  # of logits, relative to the largest; the check is against a wrong graph, not against rounding

    def operand(self, graph: Graph, value: str):
        """A float32 or `compute` value made ready to be multiplied by weights, once for all of them."""
        return value

    def linear(self, graph: Graph, operand, name: str, weight: np.ndarray) -> str:
        """operand · weightᵀ, as `compute`. `weight` is [out, in]."""
        return graph.op("MatMul", operand, graph.weight(name, np.ascontiguousarray(weight.T)))

    def wide(self, graph: Graph, value: str) -> str:
        """A `compute` value as float32."""
        return value

    def narrow(self, graph: Graph, value: str) -> str:
        """A float32 value as `compute`."""
        return value

    def narrowing(self, graph: Graph, value: str, name: str, weight: np.ndarray) -> str:
        """The feed-forward's second product, float32 to float32."""
        return self.wide(graph, self.linear(graph, self.operand(graph, value), name, weight))

    def embedding(self, graph: Graph, name: str, table: np.ndarray, ids: str) -> str:
        """The rows of the table, float32."""
        return graph.op("Gather", graph.weight(name, table), ids)

    def softmax(self, graph: Graph, scores: str, bias: str) -> str:
        """Softmax of scores + bias over the last axis; scores are `compute`, bias float32, the result `compute`."""
        return self.narrow(graph, graph.op("Softmax", graph.op("Add", self.wide(graph, scores), bias), axis=-1))

    def output(self, graph: Graph, operand, name: str, table: np.ndarray) -> str:
        """float32 logits: operand · tableᵀ. The table lies as the embedding does, so that a tied one stands once."""
        return graph.op("Gemm", operand, graph.weight(name, table), transB=1)


PRECISIONS = {"fp32": Precision}
