"""The two graphs of a T5: an encoder that ends in the cross-attention keys and values of every decoder layer, and one decoding step.

Inputs, outputs and shapes are those of README.md. B rows, S encoder positions, T decoded positions, H heads of width D, N = d_model."""

from __future__ import annotations

import numpy as np

from checkpoint import Checkpoint, Shape
from graph import Graph, WeightFile
from precision import Precision, Weight

MASKED = -30000.0  # added to a padded position's score: its probability is exactly 0; float16 can hold it


class Stack:
    """What encoder and decoder share: embedding, attention's parts, feed-forward. Values between layers are float32."""

    def __init__(self, part: str, checkpoint: Checkpoint, weights: WeightFile, precision: Precision):
        self.part = part
        self.shape: Shape = checkpoint.shape
        self.source = checkpoint.weights
        self.checkpoint = checkpoint
        self.graph = Graph(part, weights)
        self.precision = precision

    def name(self, layer: int, sub: int, rest: str) -> str:
        return f"{self.part}.block.{layer}.layer.{sub}.{rest}.weight"

    def linear(self, operand, *names: str):
        """One product with the weights of these names side by side."""
        weight = Weight("+".join(names), np.concatenate([self.source[name] for name in names]))
        return self.precision.linear(self.graph, operand, weight)

    def weight(self, name: str) -> Weight:
        return Weight(name, self.source[name])

    def operand(self, hidden: str):
        return self.precision.operand(self.graph, hidden)

    def norm(self, hidden: str, name: str, factor: float = 1.0, added: str | None = None) -> tuple[str, str]:
        """(normalised, hidden) of hidden, or of hidden + added."""
        scale = self.graph.weight(name, (self.source[name] * np.float32(factor)).astype(np.float32))
        if added is None:
            return self.graph.op("SimplifiedLayerNormalization", hidden, scale, axis=-1, epsilon=self.shape.epsilon, stash_type=1), hidden
        made = self.graph.contrib("SkipSimplifiedLayerNormalization", added, hidden, scale, outputs=4, epsilon=self.shape.epsilon)
        node = self.graph.nodes[-1]
        node.output[1] = node.output[2] = ""  # mean and inverse deviation are for training
        return made[0], made[3]

    def heads(self, value: str, *dims: int) -> str:
        return self.graph.op("Reshape", value, self.graph.ints(*dims))

    def positions(self, count: str) -> str:
        """0, 1, … count - 1 of an int64 scalar."""
        return self.graph.op("Range", self.graph.constant(0, np.int64), count, self.graph.constant(1, np.int64))

    def dimension(self, value: str, axis: int) -> str:
        shape = self.graph.op("Shape", value, start=axis, end=axis + 1)
        return self.graph.op("Squeeze", shape)

    def mask(self, count: str) -> str:
        """[B,1,1,S]: 0 where position < length, MASKED elsewhere."""
        graph = self.graph
        positions = graph.op("Cast", self.positions(count), to=6)
        inside = graph.op("Less", positions, graph.op("Unsqueeze", "lengths", graph.ints(1)))
        bias = graph.op("Where", inside, graph.constant(0, np.float32), graph.constant(MASKED, np.float32))
        return graph.op("Unsqueeze", bias, graph.ints(1, 2))

    def bias_table(self, lowest: int, highest: int) -> str:
        """[H, highest - lowest + 1]: the bias of each relative position (key - query) from lowest to highest.
        At max_distance and beyond all positions of a side share one bucket, so a clipped distance loses nothing."""
        import torch

        attention = getattr(self.checkpoint.model, self.part).block[0].layer[0].SelfAttention
        buckets = attention._relative_position_bucket(
            torch.arange(lowest, highest + 1),
            bidirectional=self.part == "encoder",
            num_buckets=self.shape.buckets,
            max_distance=self.shape.max_distance,
        )
        table = self.source[self.name(0, 0, "SelfAttention.relative_attention_bias")]
        return self.graph.weight(f"{self.part}.position_bias", np.ascontiguousarray(table[buckets.numpy()].T))

    def feed_forward(self, hidden: str, layer: int, sub: int) -> str:
        parts = ("wi_0", "wi_1", "wo") if self.shape.gated else ("wi", "wo")
        *first, second = (self.weight(self.name(layer, sub, f"DenseReluDense.{part}")) for part in parts)
        return self.precision.feed_forward(self.graph, self.operand(hidden), first, self.shape.activation, second)


def encoder(checkpoint: Checkpoint, weights: WeightFile, precision: Precision) -> Graph:
    stack = Stack("encoder", checkpoint, weights, precision)
    graph, shape = stack.graph, stack.shape
    graph.input("input_ids", np.int32, ["B", "S"])
    graph.input("lengths", np.int32, ["B"])

    count = stack.dimension("input_ids", 1)
    farthest = shape.max_distance
    positions = stack.positions(count)
    distance = graph.op("Sub", graph.op("Unsqueeze", positions, graph.ints(0)), graph.op("Unsqueeze", positions, graph.ints(1)))
    limits = graph.constant(-farthest, np.int64), graph.constant(farthest, np.int64)
    places = graph.op("Add", graph.op("Clip", distance, *limits), graph.constant(farthest, np.int64))
    bias = graph.op("Gather", stack.bias_table(-farthest, farthest), places, axis=1)
    bias = graph.op("Add", graph.op("Unsqueeze", bias, graph.ints(0)), stack.mask(count))
    bias = precision.narrow(graph, bias)

    size = graph.op("Concat", graph.op("Shape", "input_ids"), graph.ints(shape.inner), axis=0)

    def split(value: str) -> str:
        """[R, inner] as [B, S, inner]."""
        return graph.op("Reshape", value, size)

    hidden = precision.embedding(graph, stack.weight("shared.weight"), graph.op("Reshape", "input_ids", graph.ints(-1)))
    added = None
    for layer in range(shape.encoder_layers):
        normed, hidden = stack.norm(hidden, stack.name(layer, 0, "layer_norm"), added=added)
        operand = stack.operand(normed)
        q, k, v = (split(stack.linear(operand, stack.name(layer, 0, f"SelfAttention.{part}"))) for part in "qkv")
        context = graph.contrib("MultiHeadAttention", q, k, v, "", "", bias, num_heads=shape.heads, scale=1.0)
        context = graph.op("Reshape", context, graph.ints(-1, shape.inner))
        added = precision.wide(graph, stack.linear(stack.operand(context), stack.name(layer, 0, "SelfAttention.o")))
        normed, hidden = stack.norm(hidden, stack.name(layer, 1, "layer_norm"), added=added)
        added = stack.feed_forward(normed, layer, 1)

    final, _ = stack.norm(hidden, "encoder.final_layer_norm.weight", added=added)
    operand = stack.operand(final)
    for layer in range(shape.decoder_layers):
        for part, order in (("key", "BHDS"), ("value", "BHSD")):
            value = stack.linear(operand, f"decoder.block.{layer}.layer.1.EncDecAttention.{part[0]}.weight")
            value = stack.heads(split(value), 0, 0, shape.heads, shape.head_dim)
            value = graph.op("Transpose", value, perm=["BSHD".index(axis) for axis in order])
            sizes = dict(B="B", S="S", H=shape.heads, D=shape.head_dim)
            graph.output(value, f"cross_{part}.{layer}", precision.compute, [sizes[axis] for axis in order])
    return graph


def decoder(checkpoint: Checkpoint, weights: WeightFile, precision: Precision) -> Graph:
    stack = Stack("decoder", checkpoint, weights, precision)
    graph, shape = stack.graph, stack.shape
    graph.input("token", np.int32, ["B"])
    graph.input("lengths", np.int32, ["B"])
    graph.input("k", np.int64, [1])
    for layer in range(shape.decoder_layers):
        graph.input(f"cross_key.{layer}", precision.compute, ["B", shape.heads, shape.head_dim, "S"])
        graph.input(f"cross_value.{layer}", precision.compute, ["B", shape.heads, "S", shape.head_dim])
    for layer in range(shape.decoder_layers):
        for part in ("key", "value"):
            graph.input(f"past_{part}.{layer}", precision.compute, ["B", shape.heads, "T", shape.head_dim])

    mask = stack.mask(stack.dimension("cross_value.0", 2))
    past = stack.dimension("past_value.0", 2)
    count = graph.op("Add", past, graph.constant(1, np.int64))
    distance = graph.op("Clip", graph.op("Sub", stack.positions(count), past), graph.constant(-shape.max_distance, np.int64))
    places = graph.op("Add", distance, graph.constant(shape.max_distance, np.int64))
    bias = graph.op("Gather", stack.bias_table(-shape.max_distance, 0), places, axis=1)
    bias = graph.op("Unsqueeze", bias, graph.ints(0, 2))

    hidden = precision.embedding(graph, stack.weight("shared.weight"), "token")
    added = None
    per_head = (0, shape.heads, 1, shape.head_dim)
    for layer in range(shape.decoder_layers):
        normed, hidden = stack.norm(hidden, stack.name(layer, 0, "layer_norm"), added=added)
        joined = stack.linear(stack.operand(normed), *(stack.name(layer, 0, f"SelfAttention.{part}") for part in "qkv"))
        q, k, v = (stack.heads(part, *per_head) for part in graph.op("Split", joined, axis=1, num_outputs=3, outputs=3))
        present = {}
        for part, new in (("key", k), ("value", v)):
            present[part] = f"present_{part}.{layer}"
            graph.op("Concat", f"past_{part}.{layer}", new, axis=2, outputs=[present[part]])
            graph.output(present[part], present[part], precision.compute, ["B", shape.heads, "T1", shape.head_dim])
        scores = graph.contrib("FusedMatMul", q, present["key"], transB=1)
        probabilities = precision.softmax(graph, scores, bias)
        context = stack.heads(graph.op("MatMul", probabilities, present["value"]), 0, shape.inner)
        added = precision.wide(graph, stack.linear(stack.operand(context), stack.name(layer, 0, "SelfAttention.o")))

        normed, hidden = stack.norm(hidden, stack.name(layer, 1, "layer_norm"), added=added)
        q = stack.heads(stack.linear(stack.operand(normed), stack.name(layer, 1, "EncDecAttention.q")), *per_head)
        probabilities = precision.softmax(graph, graph.op("MatMul", q, f"cross_key.{layer}"), mask)
        context = stack.heads(graph.op("MatMul", probabilities, f"cross_value.{layer}"), 0, shape.inner)
        added = precision.wide(graph, stack.linear(stack.operand(context), stack.name(layer, 1, "EncDecAttention.o")))

        normed, hidden = stack.norm(hidden, stack.name(layer, 2, "layer_norm"), added=added)
        added = stack.feed_forward(normed, layer, 2)

    factor = shape.d_model**-0.5 if shape.tied else 1.0
    final, _ = stack.norm(hidden, "decoder.final_layer_norm.weight", factor, added)
    name = "shared.weight" if shape.tied else "lm_head.weight"
    logits = precision.output(graph, stack.operand(final), stack.weight(name))
    graph.output(logits, "logits", np.float32, ["B", shape.vocab_size])
    top, ids = graph.op("TopK", "logits", "k", axis=1, largest=1, sorted=1, outputs=2)
    graph.output(top, "top_logits", np.float32, ["B", "K"])
    graph.output(ids, "top_ids", np.int64, ["B", "K"])
    return graph
