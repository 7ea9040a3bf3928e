"""Query generation against transformers and CTranslate2, each in one run, into benches/inference/README.md: `python3 benches/inference/run.py [--dry]`.

A model of T5-base's shape with random weights (the speed does not depend on them), 32 texts of 128 tokens at a time, 16 tokens out, on all cores. Needs a built clone
(`npm run setup`), the T5 tokenizer of the shared data (LONGWEAVE_DATA or ../shared/data) and PyPI for torch and CTranslate2 (5 GB), which go into out/benches/.venv-inference
unless the Python that runs this has them. The machine should do nothing else."""
import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import random
import shutil
import subprocess
import sys
import venv
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "out" / "benches" / "inference"
PYTHON = ROOT / "out" / "benches" / ".venv-inference" / "bin" / "python"
NEEDED = ("torch", "transformers", "onnx", "ctranslate2")

if any(importlib.util.find_spec(name) is None for name in NEEDED):
    if Path(sys.executable) == PYTHON:
        raise SystemExit(f"{PYTHON} lacks one of {', '.join(NEEDED)}; delete its folder and run this again")
    venv.create(PYTHON.parent.parent, with_pip=True, clear=True)
    for file in (ROOT / "tools/export/requirements.txt", ROOT / "benches/inference/requirements.txt"):
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", file], check=True)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

sys.path.insert(0, str(ROOT / "benches"))
from measure import mb, median, peer, run, table

DATA = Path(os.environ.get("LONGWEAVE_DATA", ROOT.parent / "shared" / "data"))
TOKENIZER = DATA / "tokenizers" / "t5-base-tokenizer.json"
CORES, BATCH, STEPS, TEXTS, PASSES = os.cpu_count(), 32, 16, 64, 1


def checkpoint():
    """A random T5-base, exported as longweave and CTranslate2 read it; made once."""
    target = OUT / "checkpoint"
    if not target.exists():
        import torch
        from transformers import T5Config, T5ForConditionalGeneration

        torch.manual_seed(1)
        config = T5Config(vocab_size=32128, d_model=768, d_kv=64, num_heads=12, num_layers=12, d_ff=3072, feed_forward_proj="relu", decoder_start_token_id=0)
        T5ForConditionalGeneration(config).save_pretrained(target)
        shutil.copy(TOKENIZER, target / "tokenizer.json")
    for precision in ("fp32", "int8"):
        if not (OUT / precision).exists():
            subprocess.run([sys.executable, ROOT / "tools/export/export.py", target, OUT / precision, "--precision", precision], check=True)
    if not (OUT / "ctranslate2").exists():
        import ctranslate2

        class Converter(ctranslate2.converters.TransformersConverter):
            """Takes the tokenizer.json: a slow tokenizer of the same ids would want the SentencePiece file."""

            def load_tokenizer(self, tokenizer_class, name, **_):
                from transformers import PreTrainedTokenizerFast

                return PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZER), eos_token="</s>", unk_token="<unk>", pad_token="<pad>")

        Converter(str(target)).convert(str(OUT / "ctranslate2"), force=True)


def inputs():
    """Texts of 127 words that are one token each, and their ids with the end token."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    words = [token[1:] for token in tokenizer.get_vocab() if token.startswith("▁") and token[1:].isalpha() and token[1:].isascii()]
    words = sorted(word for word in words if len(tokenizer.encode(word, add_special_tokens=False).ids) == 1)
    choose = random.Random(1)
    texts = [" ".join(choose.choices(words, k=127)) for _ in range(TEXTS)]
    ids = [tokenizer.encode(text).ids for text in texts]
    assert all(len(row) == 128 and row[-1] == 1 for row in ids)
    path = OUT / "inputs.json"
    path.write_text(json.dumps({"texts": texts, "ids": ids, "steps": STEPS}))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print the table, do not write it")
    given = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    # In a process of its own: what is measured below would begin with this one's memory, torch and all.
    preparation = multiprocessing.get_context("spawn").Process(target=checkpoint)
    preparation.start()
    preparation.join()
    if preparation.exitcode != 0:
        raise SystemExit("the model could not be prepared")
    path = inputs()
    numbers = [path, CORES, BATCH, PASSES]
    engines = {
        "longweave, fp32": lambda: run(["node", ROOT / "benches/node/generate.mjs", OUT / "fp32", *numbers]),
        "transformers, fp32": lambda: peer("generate", "transformers", OUT / "checkpoint", *numbers),
        "CTranslate2, fp32": lambda: peer("generate", "ctranslate2:float32", OUT / "ctranslate2", *numbers),
        "longweave, int8": lambda: run(["node", ROOT / "benches/node/generate.mjs", OUT / "int8", *numbers]),
        "CTranslate2, int8": lambda: peer("generate", "ctranslate2:int8", OUT / "ctranslate2", *numbers),
    }
    rates, memory, timing, ids = {name: [] for name in engines}, {}, {}, {}
    for number in range(given.rounds):
        for name, measure in engines.items():
            result, _, peak = measure()
            rates[name] += [TEXTS / seconds for seconds in result["seconds"]]
            memory[name] = max(memory.get(name, 0), peak)
            timing[name] = result.get("timing")
            ids[name] = result["ids"]
            print(f"round {number + 1}: {name} {rates[name][-1]:.2f} texts/s", flush=True)
    reference = ids["transformers, fp32"]
    same = lambda name: sum(a == b for a, b in zip(ids[name], reference))
    base = median(rates["longweave, fp32"]), median(rates["longweave, int8"])
    rows = []
    for name in engines:
        rate = median(rates[name])
        rows.append([name, f"{rate:.2f}", f"{base['int8' in name] / rate:.2f}", mb(memory[name]), f"{same(name)} of {len(reference)}"])
    text = table(["", "texts/s", "longweave of this precision is … times as fast", "peak memory", "texts whose 16 tokens are transformers'"], rows)
    parts = []
    for name in ("longweave, fp32", "longweave, int8"):
        t = timing[name]
        parts.append(f"{name}: encoder {t['encode']:.2f} s, {t['steps']:.0f} steps of the decoder {t['decode']:.2f} s, joining and leaving rows {t['rows']:.3f} s, choosing tokens {t['choose']:.3f} s for {TEXTS} texts.")
    foot = f"{date.today()}, {CORES} cores ({platform.machine()}), median of {given.rounds} rounds, `python3 benches/inference/run.py`"
    whole = f"{text}\n\nWhere the time of a pass went, tokenizing aside: {' '.join(parts)}\n\n{foot}\n"
    print(f"\n{whole}")
    if not given.dry:
        page = ROOT / "benches/inference/README.md"
        before, _, after = page.read_text().partition("<!-- figures -->\n")
        page.write_text(before + "<!-- figures -->\n" + whole + "<!-- end of figures -->\n" + after.partition("<!-- end of figures -->\n")[2])


if __name__ == "__main__":
    main()
