"""A T5-family checkpoint directory as numpy arrays: what the graphs need of its config, its weights as float32, its tokenizer.

T5 v1.0 and v1.1, flan-T5 and mT5 differ in four points, all of which `Shape` names: the activation, whether it is gated, whether the
output projection is the embedding, and the sizes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "gelu_new": "gelu_new", "silu": "silu", "swish": "silu"}
MODEL_TYPES = ("t5", "mt5")


class ExportError(Exception):
    """What is wrong with the checkpoint or the destination, in words for the person who called."""


@dataclass(frozen=True)
class Shape:
    d_model: int
    heads: int
    head_dim: int
    d_ff: int
    encoder_layers: int
    decoder_layers: int
    vocab_size: int  # rows of the embedding and of the logits, padding rows included
    buckets: int
    max_distance: int
    epsilon: float
    activation: str  # one of ACTIVATIONS' values
    gated: bool
    tied: bool  # logits = hidden · d_model^-0.5 · embeddingᵀ

    @property
    def inner(self) -> int:
        return self.heads * self.head_dim


class Checkpoint:
    """`weights[name]` has the names of the checkpoint and float32 values; a linear layer's are [out, in], as torch has them."""

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        self.config = self._read_config()
        self.model = self._load()
        self.weights = {name: tensor.detach().numpy() for name, tensor in self.model.state_dict().items()}
        self.shape = self._shape()
        for name, values in self.weights.items():
            if not np.isfinite(values).all():
                raise ExportError(f"{self.directory}: the weight {name} holds values that are not finite")

    def _read_config(self) -> dict:
        path = self.directory / "config.json"
        if not path.is_file():
            raise ExportError(f"{self.directory} is no checkpoint directory: it has no config.json")
        config = json.loads(path.read_text())
        if config.get("model_type") not in MODEL_TYPES:
            raise ExportError(f"{path}: model_type is {config.get('model_type')!r}; this exporter reads {' and '.join(MODEL_TYPES)}")
        return config

    def _load(self):
        import torch
        from transformers import AutoModelForSeq2SeqLM

        if not any(self.directory.glob("*.safetensors")) and not any(self.directory.glob("pytorch_model*.bin")):
            raise ExportError(f"{self.directory} has no weights: neither *.safetensors nor pytorch_model*.bin")
        try:
            model, info = AutoModelForSeq2SeqLM.from_pretrained(
                self.directory, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
        except Exception as error:  # a damaged file raises whatever its reader raises
            raise ExportError(f"{self.directory}: the weights cannot be read: {error}") from error
        absent = sorted(set(info["missing_keys"])) + sorted(str(key) for key in info["mismatched_keys"])
        if absent:
            raise ExportError(f"{self.directory}: weights are missing or of another shape: {', '.join(absent[:5])}")
        return model.eval()

    def _shape(self) -> Shape:
        config = self.model.config
        if config.dense_act_fn not in ACTIVATIONS:
            raise ExportError(f"{self.directory}: the activation {config.dense_act_fn!r} is not one of {', '.join(ACTIVATIONS)}")
        return Shape(
            d_model=config.d_model,
            heads=config.num_heads,
            head_dim=config.d_kv,
            d_ff=config.d_ff,
            encoder_layers=config.num_layers,
            decoder_layers=config.num_decoder_layers,
            vocab_size=self.weights["shared.weight"].shape[0],
            buckets=config.relative_attention_num_buckets,
            max_distance=config.relative_attention_max_distance,
            epsilon=config.layer_norm_epsilon,
            activation=ACTIVATIONS[config.dense_act_fn],
            gated=config.is_gated_act,
            tied=bool(config.tie_word_embeddings),
        )

    def special_tokens(self) -> dict[str, int]:
        config = self.model.config
        start = config.pad_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
        end = config.eos_token_id[0] if isinstance(config.eos_token_id, list) else config.eos_token_id
        return {"decoder_start_token_id": start, "eos_token_id": end, "pad_token_id": config.pad_token_id}

    def tokenizer_json(self) -> bytes:
        """The checkpoint's tokenizer.json; made from its SentencePiece model where it has only that."""
        path = self.directory / "tokenizer.json"
        if path.is_file():
            return path.read_bytes()
        if not (self.directory / "spiece.model").is_file():
            raise ExportError(f"{self.directory} has no tokenizer: neither tokenizer.json nor spiece.model")
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.directory, local_files_only=True, use_fast=True)
        return tokenizer.backend_tokenizer.to_str(pretty=False).encode()

    def generation(self) -> dict:
        """What generation_config.json says of the length and of sampling; empty without that file."""
        path = self.directory / "generation_config.json"
        said = json.loads(path.read_text()) if path.is_file() else {}
        return {key: said[key] for key in ("max_length", "max_new_tokens", "do_sample", "temperature", "top_k", "top_p") if key in said}
