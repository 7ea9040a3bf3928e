"""Speed of tokenizers on one thread, longweave beside gigatoken, fastokens and Python's tokenizers.

    pip install gigatoken==0.10.0 fastokens==0.3.5 tokenizers==0.23.3
    cargo build --profile quick -p longweave-tokens --example tokenizer_speed
    python benches/tokenize/speed.py --texts DATA/{simplewiki,news20,cppdocs}.jsonl.zst -- PROGRAM FILE...

PROGRAM is the example that cargo built, FILE a tokenizer.json. `cold`: 3.5 MB of documents after
the load. `steady`: 3 MB of others after them. Each document once, as many bytes of each corpus. MB
per second of processor time, medians of `--rounds`, in which all programs take turns. Ids are
compared by number and checksum.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PEERS = ["gigatoken", "fastokens", "tokenizers"]


def lines(path):
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", str(path)], check=True, capture_output=True).stdout.split(b"\n")
    return path.read_bytes().split(b"\n")


def choose(paths):
    """Documents of both phases, from all corpora in turn."""
    corpora = []
    for path in paths:
        rows = [line for line in lines(path) if line]
        rows = (json.loads(line) for line in rows[:: max(1, len(rows) // 3000)])
        corpora.append(row.get("text") or row.get("passage") or "" for row in rows)
    phases = {}
    for phase, size in [("cold", 3_500_000), ("steady", 3_000_000)]:
        sizes, phases[phase] = [0] * len(corpora), []
        while sum(sizes) < size:
            least = sizes.index(min(sizes))
            text = next(corpora[least])
            sizes[least] += len(text.encode())
            phases[phase].append(text)
    return phases


def peer(name, path, texts):
    """Prints the speeds of a Python package; runs in a process of its own."""
    if name == "gigatoken":
        import gigatoken

        tokenizer = gigatoken.Tokenizer(path)
        encode = lambda batch: tokenizer.encode_batch(batch, parallel=False)
    elif name == "fastokens":
        import fastokens

        tokenizer = fastokens.Tokenizer.from_file(path) if hasattr(fastokens.Tokenizer, "from_file") else fastokens.Tokenizer(path)
        encode = tokenizer.encode_batch_flat
    else:
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(path)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        encode = lambda batch: tokenizer.encode_batch_fast(batch, add_special_tokens=False)
    out = {}
    for phase, batch in json.loads(pathlib.Path(texts).read_text()).items():
        start = time.process_time()
        found = encode(batch)
        seconds = time.process_time() - start
        if name == "gigatoken":
            ids = [id for text in found.tolist() for id in text] if hasattr(found, "tolist") else [id for text in found for id in text]
        elif name == "fastokens":
            ids = memoryview(found[0]).cast("I").tolist()
        else:
            ids = [id for text in found for id in text.ids]
        checksum = 0
        for id in ids:
            checksum = (checksum * 31 + id) % 1_000_000_007
        out[phase] = {"speed": sum(len(text.encode()) for text in batch) / 1e6 / seconds, "ids": len(ids), "sum": checksum}
    print(json.dumps(out))


def measure(command):
    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 and done.stdout else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--texts", nargs="+", type=pathlib.Path, required=True)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("program")
    arguments.add_argument("files", nargs="+")
    given = arguments.parse_args()
    print("| tokenizer | phase | longweave | " + " | ".join(PEERS) + " | ids |\n|---|---|" + "---|" * (len(PEERS) + 2))
    with tempfile.TemporaryDirectory() as folder:
        texts = pathlib.Path(folder) / "texts.json"
        texts.write_text(json.dumps(choose(given.texts)))
        for file in given.files:
            commands = {"longweave": [given.program, file, texts]}
            commands |= {name: [sys.executable, __file__, "--peer", name, file, texts] for name in PEERS}
            runs = {name: [] for name in commands}
            for _ in range(given.rounds):
                for name, command in commands.items():
                    runs[name].append(measure(command))
            for phase in ["cold", "steady"]:
                cells, sums = [], set()
                for found in runs.values():
                    if None in found:
                        cells.append("–")
                        continue
                    cells.append(f"{statistics.median(run[phase]['speed'] for run in found):.1f}")
                    sums |= {(run[phase]["ids"], run[phase]["sum"]) for run in found}
                same = "equal" if len(sums) == 1 else "differ"
                print(f"| {pathlib.Path(file).parent.name} | {phase} | {' | '.join(cells)} | {same} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:5])
    else:
        main()
