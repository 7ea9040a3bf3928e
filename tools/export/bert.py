"""A BERT-family checkpoint directory (safetensors) to the model.onnx that longweave's Embedder runs; needs numpy, onnx and safetensors alone.

    python bert.py CHECKPOINT_DIR OUT_DIR

For encoders such as MiniLM, E5, contriever or BERT itself: absolute positions, exact GELU. What stands beside the weights and matters for embedding
(tokenizer.json, config.json, sentence-transformers' pooling and bound) is carried over."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open

OPSET = 20
IR_VERSION = 10
CARRIED = ("tokenizer.json", "config.json", "sentence_bert_config.json", "1_Pooling/config.json", "LICENSE", "README.md")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Bert:
    """The graph under construction."""

    def __init__(self, config: dict, weights):
        self.config = config
        self.heads = config["num_attention_heads"]
        self.width = config["hidden_size"] // self.heads
        self.weights = weights
        names = list(weights.keys())
        self.prefix = next(n[: -len("embeddings.word_embeddings.weight")] for n in names if n.endswith("embeddings.word_embeddings.weight"))
        self.nodes: list = []
        self.initializers: dict[str, TensorProto] = {}

    def op(self, kind: str, *inputs: str, **attributes) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def weight(self, name: str, transpose: bool = False) -> str:
        array = self.weights.get_tensor(self.prefix + name).astype(np.float32)
        return self.constant(name, array.T if transpose else array)

    def integers(self, *values: int) -> str:
        return self.constant("i." + ".".join(map(str, values)), np.array(values, np.int64))

    def dense(self, x: str, name: str) -> str:
        return self.op("Add", self.op("MatMul", x, self.weight(f"{name}.weight", transpose=True)), self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        return self.op("LayerNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), axis=-1, epsilon=self.config["layer_norm_eps"])

    def split(self, x: str, order: list[int]) -> str:
        """[B, S, heads · width] to heads, axes in the given order."""
        return self.op("Transpose", self.op("Reshape", x, self.integers(0, 0, self.heads, self.width)), perm=order)

    def attention(self, x: str, mask: str, name: str) -> str:
        query = self.split(self.dense(x, f"{name}.self.query"), [0, 2, 1, 3])
        key = self.split(self.dense(x, f"{name}.self.key"), [0, 2, 3, 1])
        value = self.split(self.dense(x, f"{name}.self.value"), [0, 2, 1, 3])
        scale = self.constant("scale", np.array(1 / np.sqrt(self.width), np.float32))
        scores = self.op("Add", self.op("Mul", self.op("MatMul", query, key), scale), mask)
        context = self.op("Transpose", self.op("MatMul", self.op("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
        merged = self.op("Reshape", context, self.integers(0, 0, self.heads * self.width))
        return self.norm(self.op("Add", self.dense(merged, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    def layer(self, x: str, mask: str, name: str) -> str:
        x = self.attention(x, mask, f"{name}.attention")
        inner = self.op("Gelu", self.dense(x, f"{name}.intermediate.dense"))
        return self.norm(self.op("Add", self.dense(inner, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    def embeddings(self) -> str:
        word = self.op("Gather", self.weight("embeddings.word_embeddings.weight"), "input_ids")
        kind = self.op("Gather", self.weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        length = self.op("Shape", "input_ids", start=1, end=2)
        position = self.op("Slice", self.weight("embeddings.position_embeddings.weight"), self.integers(0), length, self.integers(0))
        return self.norm(self.op("Add", self.op("Add", word, kind), position), "embeddings.LayerNorm")

    def mask(self) -> str:
        """0 where there is a token, the least float32 where there is none, as [B, 1, 1, S]."""
        present = self.op("Cast", self.op("Unsqueeze", "attention_mask", self.integers(1, 2)), to=TensorProto.FLOAT)
        absent = self.op("Sub", self.constant("1.0", np.array(1, np.float32)), present)
        return self.op("Mul", absent, self.constant("least", np.array(np.finfo(np.float32).min, np.float32)))

    def model(self) -> onnx.ModelProto:
        mask, x = self.mask(), self.embeddings()
        for layer in range(self.config["num_hidden_layers"]):
            x = self.layer(x, mask, f"encoder.layer.{layer}")
        self.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "S"]) for name in INPUTS]
        output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["B", "S", self.config["hidden_size"]])
        graph = helper.make_graph(self.nodes, "bert", inputs, [output], list(self.initializers.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="longweave-export")


def export(checkpoint: Path, out: Path) -> None:
    if out.exists():
        raise SystemExit(f"{out} exists already; name another directory or delete it")
    missing = [name for name in ("config.json", "model.safetensors", "tokenizer.json") if not (checkpoint / name).is_file()]
    if missing:
        raise SystemExit(f"{checkpoint} lacks {', '.join(missing)}")
    config = json.loads((checkpoint / "config.json").read_text())
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise SystemExit(f"{checkpoint} is no BERT with exact GELU and absolute positions: optimum-cli exports other encoders")
    attempt = out.with_name(f".{out.name}.part")
    shutil.rmtree(attempt, ignore_errors=True)
    attempt.mkdir(parents=True)
    with safe_open(checkpoint / "model.safetensors", "np") as weights:
        onnx.save(Bert(config, weights).model(), attempt / "model.onnx")
    for name in CARRIED:
        if (checkpoint / name).is_file():
            (attempt / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(checkpoint / name, attempt / name)
    attempt.rename(out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    export(Path(sys.argv[1]), Path(sys.argv[2]))
