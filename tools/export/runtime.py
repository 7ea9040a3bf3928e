"""The exported graphs run by onnxruntime in Python: for checks and measurements, not for production."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime


def session(path: Path, threads: int = 0, providers: tuple[str, ...] = ("CPUExecutionProvider",)) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=list(providers))


class Seq2Seq:
    def __init__(self, directory: str | Path, threads: int = 0):
        directory = Path(directory)
        self.config = json.loads((directory / "longweave-model.json").read_text())
        self.encoder = session(directory / "encoder.onnx", threads)
        self.decoder = session(directory / "decoder.onnx", threads)
        self.cache_type = np.dtype(self.config["cache_type"])
        self.caches = [f"{part}.{layer}" for layer in range(self.config["layers"]) for part in ("key", "value")]

    def encode(self, rows: list[list[int]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(lengths, cross keys and values) of a batch of token ids."""
        lengths = np.array([len(row) for row in rows], np.int32)
        ids = np.full((len(rows), lengths.max()), self.config["pad_token_id"], np.int32)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
        names = [output.name for output in self.encoder.get_outputs()]
        return lengths, dict(zip(names, self.encoder.run(names, {"input_ids": ids, "lengths": lengths})))

    def empty(self, rows: int) -> dict[str, np.ndarray]:
        shape = (rows, self.config["heads"], 0, self.config["head_dim"])
        return {f"past_{cache}": np.zeros(shape, self.cache_type) for cache in self.caches}

    def step(self, tokens, lengths, cross: dict, past: dict, k: int = 1, logits: bool = False):
        """({output: value} of logits and top k, the next past)."""
        wanted = ["top_logits", "top_ids"] + (["logits"] if logits else [])
        names = wanted + [f"present_{cache}" for cache in self.caches]
        feeds = {"token": np.asarray(tokens, np.int32), "lengths": lengths, "k": np.array([k], np.int64)} | cross | past
        made = dict(zip(names, self.decoder.run(names, feeds)))
        return {name: made[name] for name in wanted}, {f"past_{cache}": made[f"present_{cache}"] for cache in self.caches}

    def greedy(self, rows: list[list[int]], max_new_tokens: int) -> list[list[int]]:
        """The ids of each row, without the start token, up to and with the end token."""
        lengths, cross = self.encode(rows)
        past, tokens = self.empty(len(rows)), [self.config["decoder_start_token_id"]] * len(rows)
        made: list[list[int]] = [[] for _ in rows]
        end = self.config["eos_token_id"]
        for _ in range(max_new_tokens):
            out, past = self.step(tokens, lengths, cross, past)
            tokens = out["top_ids"][:, 0]
            for ids, token in zip(made, tokens):
                if not ids or ids[-1] != end:
                    ids.append(int(token))
            if all(ids[-1] == end for ids in made):
                break
        return made
