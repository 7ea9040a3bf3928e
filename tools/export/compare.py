"""Token for token: an engine's greedy answers beside transformers' own, on real passages, for both layouts of each model.

    python compare.py --data DATA --out WORK --engine 'COMMAND {model} {input} {output}'
    python compare.py --data DATA --out WORK --engine python

DATA holds qa-pairs.jsonl.zst (rows with passage and source) and tokenizers/t5-base-tokenizer.json. Models are a random T5 v1.0 and v1.1 of
t5-small's shape, and each --checkpoint DIR. {input} is JSONL of {"id", "text"}; the engine writes {output}, JSONL of {"id", "ids"}: the ids of
the greedy answer, at most --max-new-tokens of them, with or without the end token, in any order of rows. What is in WORK is used again.
Exit code 1 where a row differs, unless transformers' two best logits at the first difference are within 1e-4 of each other."""

from __future__ import annotations

import argparse
import io
import itertools
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import tiny
from export import export
from runtime import Seq2Seq, session

TIE = 1e-4
WORDS = 120
MAX_INPUT_TOKENS = 512
SMALL = {
    "t5-v1_0": dict(d_model=512, d_kv=64, num_heads=8, d_ff=2048, num_layers=6),
    "t5-v1_1": dict(d_model=512, d_kv=64, num_heads=6, d_ff=1024, num_layers=8),
}
DRAW = {"t5-v1_0": dict(spread=0.9, end=4.0), "t5-v1_1": dict(spread=0.6, end=3.0)}  # varied answers, yet no chaos that enlarges rounding
VOCAB = 32128


def real_passages(data: Path, count: int) -> list[dict]:
    """The first words of passages, the sources in turn."""
    import zstandard

    by_source: dict[str, dict[str, None]] = {}
    with (data / "qa-pairs.jsonl.zst").open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n"):
            row = json.loads(line)
            texts = by_source.setdefault(row["source"], {})
            if len(texts) < count:
                texts.setdefault(" ".join(row["passage"].split()[:WORDS]))
    mixed = [text for texts in itertools.zip_longest(*by_source.values()) for text in texts if text][:count]
    return [dict(id=str(i), text=text) for i, text in enumerate(mixed)]


def random_checkpoint(kind: str, data: Path, directory: Path) -> None:
    tiny.t5(kind, VOCAB, directory, sizes=SMALL[kind], **DRAW[kind])
    tokenizer = json.loads((data / "tokenizers" / "t5-base-tokenizer.json").read_text()) | dict(truncation=None, padding=None)
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))


def optimum_export(checkpoint: Path, out: Path) -> None:
    from optimum.exporters.onnx import main_export

    main_export(str(checkpoint), output=out, task="text2text-generation-with-past", device="cpu", do_validation=False, local_files_only=True)


def input_ids(model: Path, rows: list[dict]) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_INPUT_TOKENS)
    return [tokenizer.encode(row["text"]).ids for row in rows]


def cached(path: Path, make) -> Path:
    if not path.exists():
        make()
    return path


def write_answers(path: Path, rows: list[dict], answers: list[list[int]]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(json.dumps(dict(id=row["id"], ids=ids)) + "\n" for row, ids in zip(rows, answers)))
    unfinished.rename(path)


def read_answers(path: Path, end: int) -> dict[str, list[int]]:
    """Ids before the end token, by row."""
    rows = (json.loads(line) for line in path.read_text().split("\n") if line)
    ids = lambda row: row["ids"] if "ids" in row else row["tokenIds"][0]  # longweave's own rows hold a list for each query
    return {str(row["id"]): list(itertools.takewhile(lambda token: token != end, ids(row))) for row in rows}


def python_engine(layout: str, model: Path, rows: list[dict], max_new_tokens: int) -> list[list[int]]:
    ids = input_ids(model, rows)
    order = sorted(range(len(rows)), key=lambda i: len(ids[i]))
    batches = [order[at : at + 16] for at in range(0, len(order), 16)]
    answers: dict[int, list[int]] = {}
    run = Seq2Seq(model).greedy if layout == "longweave" else optimum_greedy(model)
    for batch in batches:
        answers |= zip(batch, run([ids[i] for i in batch], max_new_tokens))
    return [answers[i] for i in range(len(rows))]


def optimum_greedy(model: Path):
    """Greedy over decoder_model and decoder_with_past_model. (Optimum's own generate needs heads · head_dim = d_model.)"""
    encoder, first, further = (session(model / f"{name}.onnx") for name in ("encoder_model", "decoder_model", "decoder_with_past_model"))
    config = json.loads((model / "config.json").read_text())

    def greedy(rows: list[list[int]], max_new_tokens: int) -> list[list[int]]:
        width = max(map(len, rows))
        ids = np.array([row + [config["pad_token_id"]] * (width - len(row)) for row in rows], np.int64)
        mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows], np.int64)
        hidden = encoder.run(["last_hidden_state"], dict(input_ids=ids, attention_mask=mask))[0]
        made = np.full((len(rows), 1), config["decoder_start_token_id"], np.int64)
        past: dict[str, np.ndarray] = {}
        for step in range(max_new_tokens):
            decoder = further if step else first
            feeds = dict(input_ids=made[:, -1:], encoder_attention_mask=mask, encoder_hidden_states=hidden) | past
            names = [value.name for value in decoder.get_outputs()]
            out = dict(zip(names, decoder.run(names, {value.name: feeds[value.name] for value in decoder.get_inputs()})))
            made = np.concatenate([made, out.pop("logits")[:, -1].argmax(-1)[:, None]], axis=1)
            past |= {name.replace("present", "past_key_values"): value for name, value in out.items()}
        return made[:, 1:].tolist()

    return greedy


def gap(model, row: list[int], before: list[int]) -> float:
    """The distance of the two best logits of the token after `before`."""
    start = model.config.decoder_start_token_id
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([row]), decoder_input_ids=torch.tensor([[start, *before]])).logits[0, -1]
    best = torch.topk(logits, 2).values
    return float(best[0] - best[1])


def compare(name: str, checkpoint: Path, args, rows: list[dict]) -> bool:
    from transformers import AutoModelForSeq2SeqLM

    work = args.out / name
    work.mkdir(parents=True, exist_ok=True)
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint, local_files_only=True).eval()
    given = work / "input.jsonl"
    given.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    layouts = {
        "longweave": cached(work / "longweave", lambda: export(checkpoint, work / "longweave")),
        "optimum": cached(work / "optimum", lambda: optimum_export(checkpoint, work / "optimum")),
    }
    ids = input_ids(checkpoint, rows)
    wanted_at = work / f"transformers-{len(rows)}-{args.max_new_tokens}.jsonl"
    cached(wanted_at, lambda: write_answers(wanted_at, rows, tiny.greedy(model, ids, args.max_new_tokens)))
    end = model.config.eos_token_id
    wanted = read_answers(wanted_at, end)
    distinct, ended = len({tuple(answer) for answer in wanted.values()}), sum(len(answer) < args.max_new_tokens for answer in wanted.values())
    print(f"{name}: {len(rows)} passages, {distinct} distinct answers by transformers, {ended} of them end before {args.max_new_tokens} tokens")

    passed = True
    for layout, exported in layouts.items():
        made = work / f"{layout}.jsonl"
        made.unlink(missing_ok=True)
        if args.engine == "python":
            write_answers(made, rows, python_engine(layout, exported, rows, args.max_new_tokens))
        else:
            places = dict(model=exported, input=given, output=made)
            subprocess.run([part.format(**places) for part in shlex.split(args.engine)], check=True)
        got = read_answers(made, end)
        ties, wrong = [], []
        for row, source in zip(rows, ids):
            answer, expected = got.get(row["id"]), wanted[row["id"]]
            if answer == expected:
                continue
            at = next((i for i, pair in enumerate(zip(answer or [], expected)) if pair[0] != pair[1]), min(len(answer or []), len(expected)))
            distance = gap(model, source, expected[:at]) if answer is not None else float("inf")
            (ties if distance <= TIE else wrong).append((row["id"], at, distance))
        print(f"  {layout}: {len(rows) - len(ties) - len(wrong)} of {len(rows)} token-equal, {len(ties)} ties, {len(wrong)} different")
        for kind, found in (("tie", ties), ("DIFFERENT", wrong)):
            for row, at, distance in found[:10]:
                print(f"    {kind}: row {row}, token {at}, best two logits {distance:.2g} apart")
        passed &= not wrong
    return passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="working directory; its models and transformers' answers are kept")
    parser.add_argument("--engine", default="python", help="a command with {model}, {input} and {output}, or python: onnxruntime in Python")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a further model, by its checkpoint directory")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--max-new-tokens", type=int, default=24)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    checkpoints = {kind: args.out / kind / "checkpoint" for kind in SMALL}
    for kind, directory in checkpoints.items():
        cached(directory, lambda: random_checkpoint(kind, args.data, directory))
    checkpoints |= {directory.name: directory for directory in args.checkpoint}
    rows = real_passages(args.data, args.rows)
    return 0 if all([compare(name, directory, args, rows) for name, directory in checkpoints.items()]) else 1


if __name__ == "__main__":
    sys.exit(main())
