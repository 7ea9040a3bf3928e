"""Makes `__test__/fixtures/models`: tiny random models in every layout that the engine reads, with what torch and transformers answer.

    python fixtures.py [OUT]

t5-v1_0, t5-v1_1: longweave/ (two graphs, fp32), optimum/ (as `optimum-cli export onnx --task text2text-generation-with-past` writes),
golden.json. bert: model.onnx (optimum's feature extraction), golden.json."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch

import tiny
from export import export

PASSAGES = 60
MAX_NEW_TOKENS = 24
UNREAD = ("tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def optimum(checkpoint: Path, out: Path, task: str) -> None:
    from optimum.exporters.onnx import main_export

    main_export(str(checkpoint), output=out, task=task, device="cpu", do_validation=False, local_files_only=True)
    for name in UNREAD:
        (out / name).unlink(missing_ok=True)


def t5(kind: str, out: Path, passages: list[str]) -> None:
    tokenizer = tiny.unigram()
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = Path(directory)
        model = tiny.t5(kind, tokenizer.get_vocab_size(), checkpoint)
        tokenizer.save(str(checkpoint / "tokenizer.json"), pretty=False)
        export(checkpoint, out / "longweave")
        optimum(checkpoint, out / "optimum", "text2text-generation-with-past")
    shutil.copyfile(out / "longweave" / "tokenizer.json", out / "optimum" / "tokenizer.json")
    rows = [tokenizer.encode(text).ids for text in passages]
    answers = tiny.greedy(model, rows, MAX_NEW_TOKENS)
    tiny.check_varied(answers)
    cases = [dict(text=text, input_ids=row, ids=ids) for text, row, ids in zip(passages, rows, answers)]
    write(out / "golden.json", dict(max_new_tokens=MAX_NEW_TOKENS, cases=cases))


def bert(out: Path, passages: list[str]) -> None:
    tokenizer = tiny.wordpiece()
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = Path(directory)
        model = tiny.bert(tokenizer.get_vocab_size(), checkpoint)
        tokenizer.save(str(checkpoint / "tokenizer.json"), pretty=False)
        optimum(checkpoint, out, "feature-extraction")
        shutil.copyfile(checkpoint / "tokenizer.json", out / "tokenizer.json")
    cases = []
    limit = model.config.max_position_embeddings
    for text in passages:
        tokenizer.enable_truncation(limit)
        ids = tokenizer.encode(text).ids
        with torch.inference_mode():
            mean = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(dim=0)
        cases.append(dict(text=text, input_ids=ids, mean=[round(value, 6) for value in mean.tolist()]))
    write(out / "golden.json", dict(max_tokens=limit, cases=cases))


def write(path: Path, golden: dict) -> None:
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in golden.pop("cases"))
    path.write_text(json.dumps(golden)[:-1] + f', "cases": [\n{rows}\n]}}\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=tiny.REPOSITORY / "__test__/fixtures/models")
    out = parser.parse_args().out
    torch.set_num_threads(1)  # the models are tiny: threads cost more than they bring
    passages = tiny.passages(PASSAGES)
    for name, make in (*((kind, lambda to, texts, kind=kind: t5(kind, to, texts)) for kind in tiny.T5_KINDS), ("bert", bert)):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
        make(out / name, passages)
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {total:,} bytes")


if __name__ == "__main__":
    main()
