"""All methods over one corpus, their diagnostics in one table: `python3 benches/methods/run.py [CORPUS…] [--length N…] [--out DIR]`.

CORPUS: names of the shared data (news20, simplewiki; LONGWEAVE_DATA or ../shared/data), or `brown`, the demo corpus, which needs no shared data.
Needs a built clone (`npm run setup`), and for `brown` the demo's files (`npm run demo`). Prints Markdown; with `--write` it replaces the tables of
docs/methods/comparison.md. The page with all runs of a corpus and length side by side goes to DIR/report-CORPUS-LENGTH.html."""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = Path(os.environ.get("LONGWEAVE_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs/methods/comparison.md"
CLI = ["node", str(ROOT / "dist/cli/main.js")]
# The pool is the same for all: every document. Thresholds of `long` are a quarter of the length.
METHODS = {
    "standard": ["--method", "standard"],
    "standard, whole": ["--method", "standard", "--overflow", "whole"],
    "long, upsample": ["--method", "long", "--long-mode", "upsample", "--long-threshold", "{quarter}"],
    "quest": ["--method", "quest", "--pool", "all"],
    "quest, vectors": ["--method", "quest", "--pool", "all", "--keyword-hierarchy", "vectors"],
    "quest, next": ["--method", "quest", "--pool", "all", "--fill", "next"],
    "iclm": ["--method", "iclm"],
    "iclm, release": ["--method", "iclm", "--iclm-variant", "release"],
    "nextlong, k 256": ["--method", "nextlong", "--neighbours-k", "256"],
    "topics": ["--method", "topics"],
    "interleave": ["--method", "interleave"],
    "topics, nextlong": ["--method", "topics", "--topic-within", "nextlong", "--neighbours-k", "256", "--fill", "drop"],
    "knn": ["--method", "knn"],
    "knn, k 100": ["--method", "knn", "--neighbours-k", "100"],
}


def corpus_options(name: str) -> list[str]:
    if name == "brown":
        demo = ROOT / "out/demo"
        return ["--corpus", demo / "brown.jsonl", "--id-field", "id", "--source-field", "source", "--tokenizer", demo / "tokenizer.json"]
    source = {"news20": "topic"}.get(name)
    options = ["--corpus", DATA / f"{name}.jsonl.zst", "--id-field", "id", "--tokenizer", DATA / "tokenizers/pythia-20b_tokenizer.json"]
    return options + (["--source-field", source] if source else [])


def run(command: list) -> tuple[dict, float]:
    start = time.monotonic()
    done = subprocess.run([*map(str, command), "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1]), time.monotonic() - start


def number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def table(name: str, length: int, out: Path) -> str:
    lines = [
        "| method | sequences | documents a sequence | similarity | near-duplicates | distinct-4 | documents in no sequence | tokens dropped | time, s |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    directories = []
    for method, flags in METHODS.items():
        directory = out / f"{name}-{length}-{method.replace(', ', '-').replace(' ', '')}"
        flags = [flag.format(quarter=length // 4) for flag in flags]
        common = [*corpus_options(name), "--length", length, "--work", out / f"{name}-work", "--incomplete", "pad"]
        # What all runs share is made first, so that the time is the method's own.
        run([*CLI, "plan", *common, *flags, "--out", f"{directory}-plan", "--seed", 1])
        summary, seconds = run([*CLI, "run", *common, *flags, "--out", directory])
        report = json.loads((directory / "report.json").read_text())
        sample, documents = report["sample"], report["documents"]
        unused = (documents["byUses"] or [0])[0] / max(documents["pool"], 1)
        cells = [
            f"{report['sequences']:,}", number(report["documentsPerSequence"]["mean"], 1), number(sample["similarity"]["mean"]),
            number(sample["nearDuplicates"]["mean"], 4), number(sample["distinct"][3]), f"{unused:.0%}", f"{report['shares']['dropped']:.1%}", f"{seconds:.1f}",
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
        print(f"{name}, {length:,}: {method}", file=sys.stderr, flush=True)
        directories.append(directory)
    page = out / f"report-{name}-{length}.html"
    subprocess.run([*CLI, "report", *map(str, directories), "--out", str(page)], check=True, stdout=subprocess.DEVNULL)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="*", default=["news20", "simplewiki"])
    parser.add_argument("--length", type=int, nargs="+", default=[8192, 32768])
    parser.add_argument("--out", type=Path, default=ROOT / "out/benches/methods")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    for name in given.corpus:
        if name != "brown" and not (DATA / f"{name}.jsonl.zst").exists():
            print(f"{name}: skipped, {DATA} holds no {name}.jsonl.zst", file=sys.stderr)
            continue
        for length in given.length:
            made = table(name, length, given.out)
            print(f"\n### {name}, {length:,} tokens\n\n{made}", flush=True)
            if given.write:
                begin, end = f"<!-- {name}-{length} -->\n", f"<!-- end of {name}-{length} -->"
                before, rest = PAGE.read_text().split(begin)
                PAGE.write_text(f"{before}{begin}{made}\n{end}{rest.split(end, 1)[1]}")


if __name__ == "__main__":
    main()
