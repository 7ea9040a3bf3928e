"""Every format, read by the libraries that people read it with: `python3 scripts/readers/run.py` (a built clone; PyPI the first time).

Sets up two environments below out/readers, weaves outputs with the command line, and compares each, as each reader gives it, with what Python's tokenizers gives for
the documents. Uses the Brown corpus; with the shared data (LONGWEAVE_DATA or ../shared/data) news20 and the tokenizers of GPT-2 and Pythia too, else says what it skipped."""
import json
import os
import subprocess
import sys
import traceback
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
OUT = ROOT / "out" / "readers"
DATA = Path(os.environ.get("LONGWEAVE_DATA", ROOT.parent / "shared" / "data"))


def environment(name, requirements, *pip_options):
    """The Python of an environment with the packages of a requirements file."""
    home = OUT / name
    python, stamp, wanted = home / "bin" / "python", home / "requirements", (HERE / requirements).read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"▸ Installing {requirements} in {home.relative_to(ROOT)}", flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pip_options, "-r", HERE / requirements], check=True)
        stamp.write_text(wanted)
    return python


MAIN = environment("main", "requirements.txt")
if Path(sys.executable) != MAIN:
    os.execv(MAIN, [str(MAIN), *sys.argv])
# Without its dependencies, of which there are a hundred; those that reading needs are named.
MDS = environment("mds", "requirements-mds.txt", "--no-deps")

sys.path.insert(0, str(HERE))
import checks  # noqa: E402

PARQUET = {"pyarrow": checks.read_pyarrow, "DuckDB": checks.read_duckdb, "Polars": checks.read_polars, "datasets": checks.read_datasets}
GPT2_PAD = {"pad": "<|endoftext|>"}
# name, corpus, tokenizer, flags, special tokens.
OUTPUTS = [
    ("quest, split", "brown", "brown", ["--length", "2048"], {}),
    ("quest, best fit, begin tokens", "brown", "brown", ["--length", "1024", "--overflow", "whole", "--bos", "document", "--bos-token", "token:<|endoftext|>"], {"document": "<|endoftext|>", "pad": "<|pad|>"}),
    ("standard, a string between", "brown", "brown", ["--method", "standard", "--length", "700", "--separator", "text:\n\n--\n\n", "--last-fill", "pad"], {"separator": "text:\n\n--\n\n", "pad": "<|pad|>"}),
    ("quest, GPT-2, truncated", "news20", "gpt2-tokenizer.json", ["--length", "4096", "--overflow", "truncate", "--bos", "sequence", "--bos-token", "token:<|endoftext|>", "--last-fill", "pad", "--pad-token", "token:<|endoftext|>"], {"sequence": "<|endoftext|>", **GPT2_PAD}),
    ("standard, Pythia", "news20", "pythia-20b_tokenizer.json", ["--method", "standard", "--length", "8192"], {}),
]


def command(*arguments):
    subprocess.run(["node", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def corpora():
    """Path of each corpus, None where it cannot be had."""
    brown = OUT / "brown.jsonl"
    command("--input-type=module", "-e", f"import {{ brown }} from './scripts/brown.mjs'; brown({json.dumps(str(brown))})")
    tokenizer = OUT / "brown-tokenizer.json"
    if not tokenizer.exists():
        command("dist/cli/main.js", "train-tokenizer", "--corpus", str(brown), "--vocab-size", "4096", "--out", str(tokenizer))
    news = None
    if (DATA / "news20.jsonl.zst").exists():
        import io

        import zstandard

        news = OUT / "news20.jsonl"
        with open(DATA / "news20.jsonl.zst", "rb") as raw:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8", newline="\n")
            rows = [json.loads(line) for _, line in zip(range(3000), lines)]
        news.write_text("".join(json.dumps({"id": str(row["id"]), "text": row["text"]}) + "\n" for row in rows), newline="\n")
    return {"brown": brown, "news20": news}, tokenizer


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    paths, brown_tokenizer = corpora()
    counts = {"passed": 0, "failed": 0, "skipped": 0}

    def check(what, work):
        try:
            number = work()
            counts["passed"] += 1
            print(f"  ✓ {what}{'' if number is None else f': {number} sequences'}", flush=True)
        except Exception as error:
            counts["failed"] += 1
            print(f"  ✗ {what}: {error}", flush=True)
            if not isinstance(error, AssertionError):
                traceback.print_exc()

    for name, corpus, tokenizer, flags, special in OUTPUTS:
        if paths[corpus] is None:
            counts["skipped"] += 1
            print(f"- {name}: skipped, {DATA} is missing", flush=True)
            continue
        tokenizer = brown_tokenizer if tokenizer == "brown" else DATA / "tokenizers" / tokenizer
        print(f"▸ {name}", flush=True)
        expected = checks.Expected(paths[corpus], tokenizer, special)
        length = int(flags[flags.index("--length") + 1])
        work = OUT / "work" / corpus
        shards = str(length * 100)

        def weave(kind, *more):
            out = OUT / "outputs" / f"{name.replace(' ', '-').replace(',', '')}-{kind}"
            subprocess.run(["rm", "-rf", out], check=True)
            command("dist/cli/main.js", "run", "--corpus", str(paths[corpus]), "--id-field", "id", "--tokenizer", str(tokenizer), "--out", str(out), "--work", str(work), "--shard-tokens", shards, *flags, *more)
            check(f"{kind}: sha256sum", lambda: subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=True) and None)
            return out

        def compare(rows, sequences):
            assert len(rows) == sequences > 0, f"{len(rows)} sequences, the manifest says {sequences}"
            for number, row in enumerate(rows):
                try:
                    expected.check(row, length)
                except AssertionError as error:
                    raise AssertionError(f"sequence {number}: {error}") from error
            return len(rows)

        def sequences(out):
            return json.loads((out / "longweave.json").read_text())["sequences"]

        out = weave("parquet")
        for reader, read in PARQUET.items():
            check(f"parquet by {reader}", lambda: compare(read(out), sequences(out)))
        for compression in ("zstd", "none"):
            out = weave(f"jsonl-{compression}", "--format", "jsonl", "--compression", compression)
            check(f"jsonl, {compression}, by json", lambda: compare(checks.read_jsonl(out), sequences(out)))
        for indices in ("sequence", "document"):
            out = weave(f"mds-{indices}", "--format", "mds", "--mds-indices", indices)
            check(f"mds, a span for each {indices}, by mosaicml-streaming", lambda: compare(checks.read_mds(out, MDS, length, indices), sequences(out)))
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    if counts["skipped"] and os.environ.get("LONGWEAVE_REQUIRE_DATA") == "1":
        sys.exit(1)
    sys.exit(1 if counts["failed"] else 0)


main()
