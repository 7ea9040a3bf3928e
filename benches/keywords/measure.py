"""How many keywords of a corpus no person would search for: the most frequent ones, and singletons drawn at random, by marks made by reading.

    npm run build:native && npm run build
    python3 benches/keywords/measure.py --data ../shared/data          # the table; phrases without a mark are printed
"""
import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPORA = ("simplewiki", "news20", "cppdocs", "brown")
MOST = 200


def longweave(*args):
    return subprocess.run(["node", ROOT / "dist" / "cli" / "main.js", *map(str, args)], check=True, capture_output=True, text=True).stdout


def corpus(name, data, folder):
    """The corpus as JSONL: of the shared data, or the Brown corpus that `npm run demo` makes."""
    path = folder / f"{name}.jsonl"
    if name == "brown":
        return ROOT / "out" / "demo" / "brown.jsonl"
    subprocess.run(["zstd", "-dqf", data / f"{name}.jsonl.zst", "-o", path], check=True)
    return path


def lists(name, data, phrases, folder):
    """The most frequent keywords, and singletons."""
    out = folder / f"{name}-{phrases}"
    common = ["--id-field", "id", "--tokenizer", data / "tokenizers" / "pythia-20b_tokenizer.json", "--length", 8192, "--incomplete", "pad", "--keyword-phrases", phrases]
    longweave("plan", "--corpus", corpus(name, data, folder), *common, "--out", out, "--work", folder / name, "--quiet")
    keywords = json.loads(longweave("keywords", out, "--top", 10_000_000, "--json"))
    top = [k["keyword"] for k in keywords[:MOST]]
    single = [k["keyword"] for k in keywords if k["documents"] == 1]
    return top, random.Random(1).sample(single, min(MOST, len(single)))


def marks(name):
    """Phrase → whether nobody would search for it."""
    path = Path(__file__).with_name("marked") / f"{name}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line[2:]: line[0] == "x" for line in lines}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    given = arguments.parse_args()
    print("| corpus | all: most frequent | singletons | searchable: most frequent | singletons |\n| --- | ---: | ---: | ---: | ---: |")
    unmarked = {}
    for name in CORPORA:
        known, cells = marks(name), []
        for phrases in ("all", "searchable"):
            with tempfile.TemporaryDirectory() as folder:
                for some in lists(name, given.data, phrases, Path(folder)):
                    unmarked.setdefault(name, []).extend(p for p in some if p not in known)
                    cells.append(f"{sum(known.get(p, False) for p in some) / max(1, len(some)):.0%}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for name, phrases in unmarked.items():
        for phrase in dict.fromkeys(phrases):
            print(f"unmarked\t{name}\t{phrase}")


if __name__ == "__main__":
    main()
