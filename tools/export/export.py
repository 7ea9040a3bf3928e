"""A T5-family checkpoint directory to the two-graph layout that longweave runs: see README.md."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

import t5
from checkpoint import Checkpoint, ExportError
from graph import WeightFile
from precision import PRECISIONS

VERSION = 1
CARRIED = ("LICENSE", "LICENSE.txt", "LICENSE.md", "README.md")


def digest(path: Path) -> dict:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def describe(checkpoint: Checkpoint, precision: str, prefix: str, max_input_tokens: int, files: dict) -> dict:
    shape = checkpoint.shape
    return {
        "format": "longweave-seq2seq",
        "version": VERSION,
        "architecture": "t5",
        "precision": precision,
        "layers": shape.decoder_layers,
        "heads": shape.heads,
        "head_dim": shape.head_dim,
        "d_model": shape.d_model,
        "vocab_size": shape.vocab_size,
        **checkpoint.special_tokens(),
        "cache_type": PRECISIONS[precision].compute.name,
        "prefix": prefix,
        "max_input_tokens": max_input_tokens,
        "generation": checkpoint.generation(),
        "files": files,
        "source": {"model_type": checkpoint.config["model_type"], "exporter": f"longweave-export {VERSION}"},
    }


def check_tokenizer(data: bytes, vocab_size: int) -> None:
    from tokenizers import Tokenizer

    size = Tokenizer.from_str(data.decode()).get_vocab_size()
    if size > vocab_size:
        raise ExportError(f"the tokenizer has {size} tokens, the model's embedding only {vocab_size} rows")


def verify(directory: Path, checkpoint: Checkpoint, tolerance: float) -> float:
    """Runs the written graphs beside the checkpoint on a few rows. Returns the largest difference of the first three steps' logits,
    relative to their largest magnitude."""
    import torch

    from runtime import Seq2Seq

    written, vocab = Seq2Seq(directory), checkpoint.shape.vocab_size
    draw = np.random.default_rng(0)
    rows = [draw.integers(2, vocab, length).tolist() for length in (7, 40, 1)]
    start = checkpoint.special_tokens()["decoder_start_token_id"]
    forced = np.concatenate([np.full((3, 1), start), draw.integers(2, vocab, (3, 2))], axis=1)
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    with torch.inference_mode():
        wanted = checkpoint.model(input_ids=ids, attention_mask=mask, decoder_input_ids=torch.tensor(forced)).logits.numpy()
    lengths, cross = written.encode(rows)
    past, worst = written.empty(len(rows)), 0.0
    for at in range(forced.shape[1]):
        out, past = written.step(forced[:, at], lengths, cross, past, logits=True)
        if not np.isfinite(out["logits"]).all():
            raise ExportError("the exported graphs give logits that are not finite")
        worst = max(worst, float(np.abs(out["logits"] - wanted[:, at]).max() / np.abs(wanted[:, at]).max()))
    if worst > tolerance:
        raise ExportError(f"the exported graphs differ from the checkpoint: logits by {worst:.2g} of their largest, allowed {tolerance:g}")
    return worst


def export(source: str | Path, destination: str | Path, precision: str = "fp32", prefix: str = "", max_input_tokens: int = 512) -> float:
    """Writes the directory `destination`, whole or not at all. Returns `verify`'s difference."""
    destination = Path(destination)
    if destination.exists():
        raise ExportError(f"{destination} exists: name a new directory, or remove it first")
    checkpoint = Checkpoint(source)
    tokenizer = checkpoint.tokenizer_json()
    check_tokenizer(tokenizer, checkpoint.shape.vocab_size)
    destination.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        weights = WeightFile(unfinished / "weights.bin")
        for part in (t5.encoder, t5.decoder):
            part(checkpoint, weights, PRECISIONS[precision]()).save(unfinished / f"{part.__name__}.onnx")
        weights.close()
        (unfinished / "tokenizer.json").write_bytes(tokenizer)
        for name in CARRIED:
            if (checkpoint.directory / name).is_file():
                shutil.copyfile(checkpoint.directory / name, unfinished / name)
        files = {name: digest(unfinished / name) for name in ("encoder.onnx", "decoder.onnx", "weights.bin", "tokenizer.json")}
        described = describe(checkpoint, precision, prefix, max_input_tokens, files)
        (unfinished / "longweave-model.json").write_text(json.dumps(described, indent=2) + "\n")
        difference = verify(unfinished, checkpoint, PRECISIONS[precision].tolerance)
        unfinished.chmod(0o755)
        os.rename(unfinished, destination)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return difference


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", metavar="CHECKPOINT_DIR", help="config.json, weights, tokenizer.json or spiece.model")
    parser.add_argument("out", metavar="OUT_DIR", help="a directory that does not exist yet")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--prefix", default="", help="text that the engine puts before every input")
    parser.add_argument("--max-input-tokens", type=int, default=512)
    args = parser.parse_args()
    try:
        difference = export(args.checkpoint, args.out, args.precision, args.prefix, args.max_input_tokens)
    except ExportError as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in Path(args.out).iterdir())
    print(f"{args.out}: {args.precision}, {size:,} bytes, logits within {difference:.1e} of the checkpoint's largest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
