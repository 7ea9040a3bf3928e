"""Writing ONNX graphs by hand: a graph that names its own values, and the one file of weights that several graphs share."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
IR_VERSION = 10
CONTRIB = "com.microsoft"
PAGE = 4096  # external data is mapped; a large tensor that starts on a page is used where it lies
LARGE = 16 * PAGE
INLINE_BYTES = 1024


class WeightFile:
    """`weights.bin`: each distinct array stands once, however many graphs and names use it."""

    def __init__(self, path: Path):
        self.name = path.name
        self.file = path.open("wb")
        self.places: dict[bytes, tuple[int, int]] = {}

    def put(self, array: np.ndarray) -> tuple[int, int]:
        """(offset, bytes) of the array in the file."""
        data = np.ascontiguousarray(array)
        key = hashlib.sha256(f"{data.dtype}{data.shape}".encode() + data.tobytes()).digest()
        if key not in self.places:
            unit = PAGE if data.nbytes >= LARGE else 64
            self.file.write(b"\0" * (-self.file.tell() % unit))
            self.places[key] = (self.file.tell(), data.nbytes)
            self.file.write(data.tobytes())
        return self.places[key]

    def close(self) -> None:
        self.file.close()


class Graph:
    def __init__(self, name: str, weights: WeightFile):
        self.name = name
        self.weights = weights
        self.nodes: list = []
        self.initializers: dict[str, TensorProto] = {}
        self.inputs: list = []
        self.outputs: list = []
        self.counter = 0

    def op(self, kind: str, *inputs: str, outputs: int | list[str] = 1, domain: str = "", **attributes):
        """Appends a node. Returns its output's name, or the list of names when there are several."""
        if isinstance(outputs, int):
            self.counter += 1
            outputs = [f"{kind}_{self.counter}" + (f".{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, name=f"{kind}/{outputs[0]}", domain=domain, **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def contrib(self, kind: str, *inputs: str, **attributes):
        return self.op(kind, *inputs, domain=CONTRIB, **attributes)

    def constant(self, value, dtype) -> str:
        """A small array within the graph file."""
        array = np.asarray(value, dtype=dtype)
        assert array.nbytes <= INLINE_BYTES
        name = f"const.{array.dtype}.{'x'.join(map(str, array.shape))}.{hashlib.sha256(array.tobytes()).hexdigest()[:12]}"
        self.initializers.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def weight(self, name: str, array: np.ndarray) -> str:
        """An array in the shared file, under a name of its own in this graph."""
        if name in self.initializers:
            return name
        offset, size = self.weights.put(array)
        tensor = TensorProto(
            name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape, data_location=TensorProto.EXTERNAL
        )
        for key, value in (("location", self.weights.name), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        self.initializers[name] = tensor
        return name

    def input(self, name: str, dtype, shape: list) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape))
        return name

    def output(self, value: str, name: str, dtype, shape: list) -> None:
        """Gives the value the output's name, by renaming it where it is made and used."""
        for node in self.nodes:
            node.input[:] = [name if used == value else used for used in node.input]
            node.output[:] = [name if made == value else made for made in node.output]
        self.outputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape))

    def save(self, path: Path) -> None:
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, list(self.initializers.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="longweave-export")
        path.write_bytes(model.SerializeToString(deterministic=True))
