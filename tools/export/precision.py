"""How a graph computes its products: float32, float16 with float32 where T5 needs it, int8.

Between layers values are float32 [R, N] in every precision (R rows: tokens). A row's result never depends on the other rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from onnx import TensorProto

from graph import Graph

TINY = 1e-20  # keeps the scale of a row of zeros from being 0


def activate(graph: Graph, kind: str, value: str) -> str:
    match kind:
        case "relu":
            return graph.op("Relu", value)
        case "gelu":
            return graph.op("Gelu", value)
        case "gelu_new":
            return graph.op("Gelu", value, approximate="tanh")
        case "silu":
            return graph.op("Mul", value, graph.op("Sigmoid", value))
    raise AssertionError(kind)


class Weight(NamedTuple):
    """A linear layer's values [out, in] under the name that its forms in the weight file start with."""

    name: str
    values: np.ndarray


class Precision:
    """float32. The others differ in what they override.

    `compute` is the type of attention's values and of the caches. `tolerance` is what logits may differ from the checkpoint's in the
    exporter's own check, relative to the largest: against a wrong graph, not against rounding."""

    compute = np.dtype(np.float32)
    tolerance = 1e-3

    def operand(self, graph: Graph, value: str):
        """A value, float32 or `compute`, made ready to be multiplied by weights, once for all of them."""
        return value

    def linear(self, graph: Graph, operand, weight: Weight) -> str:
        """operand · weightᵀ, as `compute`."""
        return graph.op("MatMul", operand, graph.weight(weight.name, np.ascontiguousarray(weight.values.T)))

    def wide(self, graph: Graph, value: str) -> str:
        """A `compute` value as float32."""
        return value

    def narrow(self, graph: Graph, value: str) -> str:
        """A float32 value as `compute`."""
        return value

    def feed_forward(self, graph: Graph, operand, first: list[Weight], activation: str, second: Weight) -> str:
        """second · (activation(first[0] · operand) [* first[1] · operand]), float32."""
        made = [self.wide(graph, self.linear(graph, operand, weight)) for weight in first]
        active = activate(graph, activation, made[0])
        for gate in made[1:]:
            active = graph.op("Mul", active, gate)
        return self.second(graph, active, second)

    def second(self, graph: Graph, value: str, weight: Weight) -> str:
        """The feed-forward's second product, float32 to float32."""
        return self.linear(graph, value, weight)

    def embedding(self, graph: Graph, table: Weight, ids: str) -> str:
        """Rows of the table, float32, for ids of one dimension."""
        return graph.op("Gather", graph.weight(table.name, table.values), ids)

    def softmax(self, graph: Graph, scores: str, bias: str) -> str:
        """Softmax of scores + bias over the last axis; scores are `compute`, bias float32, the result `compute`."""
        return self.narrow(graph, graph.op("Softmax", graph.op("Add", self.wide(graph, scores), bias), axis=-1))

    def output(self, graph: Graph, operand, table: Weight) -> str:
        """float32 logits: operand · tableᵀ. The table lies as the embedding does, so that a tied one stands once."""
        return graph.op("Gemm", operand, graph.weight(table.name, table.values), transB=1)


class Float16(Precision):
    """Weights, products and caches in float16; norms, sums, activations and softmax in float32. The feed-forward's inner values may
    exceed float16's range, so each of their rows is divided by its largest before its second product and multiplied after."""

    compute = np.dtype(np.float16)
    tolerance = 0.03

    def operand(self, graph: Graph, value: str) -> str:
        return self.narrow(graph, value)

    def linear(self, graph: Graph, operand, weight: Weight) -> str:
        return graph.op("MatMul", operand, graph.weight(weight.name, np.ascontiguousarray(weight.values.T.astype(np.float16))))

    def wide(self, graph: Graph, value: str) -> str:
        return graph.op("Cast", value, to=TensorProto.FLOAT)

    def narrow(self, graph: Graph, value: str) -> str:
        return graph.op("Cast", value, to=TensorProto.FLOAT16)

    def second(self, graph: Graph, value: str, weight: Weight) -> str:
        largest = row_largest(graph, value, keepdims=1)
        product = self.linear(graph, self.narrow(graph, graph.op("Div", value, largest)), weight)
        return graph.op("Mul", self.wide(graph, product), largest)

    def embedding(self, graph: Graph, table: Weight, ids: str) -> str:
        return self.wide(graph, graph.op("Gather", graph.weight(table.name, table.values.astype(np.float16)), ids))

    def output(self, graph: Graph, operand, table: Weight) -> str:
        return self.wide(graph, super().output(graph, operand, Weight(table.name, table.values.astype(np.float16))))


class Quantised(NamedTuple):
    values: str  # uint8 [R, K]
    zero: int
    scale: str  # float32 [R, 1]


class Int8(Precision):
    """Weights int8 with a scale for each output; activations quantised on the way with a scale for each row (onnxruntime's own dynamic
    quantisation has one scale for the whole tensor, which makes a row depend on its batch). Sums are exact integers.

    Weights of layers keep to ±64: two products of uint8 and int8 then fit into the 16 bits in which processors without VNNI add them,
    so every processor gives the same sums. The embedding and the output projection are uint8 around 128, a slower product without
    that limit, because their rows are one table when tied."""

    tolerance = 0.5  # random weights say little; compare.py and a validation set say more
    limit = 64

    def operand(self, graph: Graph, value: str) -> Quantised:
        scale = graph.op("Mul", row_largest(graph, value, keepdims=0), graph.constant(1 / 127, np.float32))
        return self.quantise(graph, value, scale, 128)

    def quantise(self, graph: Graph, value: str, scale: str, zero: int) -> Quantised:
        zeros = graph.op("Expand", graph.constant(zero, np.uint8), graph.op("Shape", scale))
        quantised = graph.op("QuantizeLinear", value, scale, zeros, axis=0)
        return Quantised(quantised, zero, graph.op("Unsqueeze", scale, graph.ints(1)))

    def product(self, graph: Graph, operand: Quantised, weight: Weight) -> str:
        """The product but for the operand's scale."""
        scale = np.maximum(np.abs(weight.values).max(axis=1), TINY) / np.float32(self.limit)
        values = np.rint(weight.values.T / scale).astype(np.int8)
        inputs = graph.weight(weight.name, values), graph.constant(1, np.float32), graph.weight(f"{weight.name}.scale", scale)
        return graph.contrib("MatMulIntegerToFloat", operand.values, *inputs, graph.constant(operand.zero, np.uint8))

    def linear(self, graph: Graph, operand: Quantised, weight: Weight) -> str:
        return graph.op("Mul", self.product(graph, operand, weight), operand.scale)

    def feed_forward(self, graph: Graph, operand: Quantised, first: list[Weight], activation: str, second: Weight) -> str:
        if activation != "relu" or len(first) > 1:
            return super().feed_forward(graph, operand, first, activation, second)
        inner = self.product(graph, operand, first[0])  # relu needs no scale, and quantising to 0…255 is relu
        largest = graph.op("Max", graph.op("ReduceMax", inner, graph.ints(1), keepdims=0), graph.constant(TINY, np.float32))
        quantised = self.quantise(graph, inner, graph.op("Mul", largest, graph.constant(1 / 255, np.float32)), 0)
        scale = graph.op("Mul", quantised.scale, operand.scale)
        return self.linear(graph, quantised._replace(scale=scale), second)

    def second(self, graph: Graph, value: str, weight: Weight) -> str:
        return self.linear(graph, self.operand(graph, value), weight)

    def table(self, graph: Graph, table: Weight) -> tuple[str, str]:
        scale = np.maximum(np.abs(table.values).max(axis=1), TINY) / np.float32(127)
        values = (np.rint(table.values / scale[:, None]) + 128).astype(np.uint8)
        return graph.weight(table.name, values), graph.weight(f"{table.name}.scale", scale)

    def embedding(self, graph: Graph, table: Weight, ids: str) -> str:
        values, scale = self.table(graph, table)
        scale = graph.op("Gather", scale, ids)
        zeros = graph.op("Expand", graph.constant(128, np.uint8), graph.op("Shape", scale))
        return graph.op("DequantizeLinear", graph.op("Gather", values, ids), scale, zeros, axis=0)

    def output(self, graph: Graph, operand: Quantised, table: Weight) -> str:
        values, scale = self.table(graph, table)
        zeros = graph.weight(f"{table.name}.zero", np.full(table.values.shape[0], 128, np.uint8))
        inputs = graph.op("Transpose", values, perm=[1, 0]), graph.constant(1, np.float32), scale
        made = graph.contrib("MatMulIntegerToFloat", operand.values, *inputs, graph.constant(operand.zero, np.uint8), zeros)
        return graph.op("Mul", made, operand.scale)


def row_largest(graph: Graph, value: str, keepdims: int) -> str:
    """The largest magnitude of each row, at least TINY."""
    highest, lowest = (graph.op(kind, value, graph.ints(1), keepdims=keepdims) for kind in ("ReduceMax", "ReduceMin"))
    return graph.op("Max", highest, graph.op("Neg", lowest), graph.constant(TINY, np.float32))


PRECISIONS = {"fp32": Precision, "fp16": Float16, "int8": Int8}
