"""Every format, read by the libraries that people read it with: `python3 scripts/readers/run.py` (a built clone; PyPI the first time).

Sets up environments below out/readers, weaves outputs with the command line, and compares each, as each reader gives it, with what Python's tokenizers gives for
the documents. Uses the Brown corpus; with the shared data (LONGWEAVE_DATA or ../shared/data) news20 and the tokenizers of GPT-2 and Pythia too, else says what it skipped.

The datasets of Megatron-LM, datatrove, mosaicml-streaming, OLMo-core, LitData and TRL need torch, which is five gigabytes from PyPI. LONGWEAVE_TORCH names a
site-packages folder that has it already; `LONGWEAVE_TORCH=none` skips them, and those of MaxText and Levanter."""
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


def environment(name, *installs, beside=None):
    """The Python of an environment: `installs` are pip's arguments, one list after another, `beside` a folder of packages that are there already."""
    home = OUT / name
    python, stamp = home / "bin" / "python", home / "requirements"
    texts = [Path(part).read_text() if str(part).endswith(".txt") else str(part) for install in installs for part in install]
    wanted = "\n".join([*texts, str(beside)])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"▸ Setting up {home.relative_to(ROOT)}", flush=True)
        venv.create(home, with_pip=True, clear=True)
        for install in installs:
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *install], check=True)
        if beside is not None:
            next((home / "lib").glob("python*/site-packages")).joinpath("beside.pth").write_text(f"{beside}\n")
        stamp.write_text(wanted)
    return python


def trainers():
    """The Python with torch and the datasets that need it, None where it is not wanted."""
    torch = os.environ.get("LONGWEAVE_TORCH")
    if torch == "none":
        return None
    # What would bring torch or a hundred packages that reading does not use comes without its dependencies.
    alone = ["mds", "megatron", "examples"]
    # MaxText asks for a newer Python than its reading code needs.
    installs = [
        ["-r", HERE / "requirements-trainers.txt"],
        ["--no-deps", "--ignore-requires-python", *(part for name in alone for part in ("-r", HERE / f"requirements-{name}.txt"))],
    ]
    return environment("trainers", *installs, *([] if torch else [["torch==2.15.0"]]), beside=torch)


MAIN = environment("main", ["-r", HERE / "requirements.txt"])
if Path(sys.executable) != MAIN:
    os.execv(MAIN, [str(MAIN), *sys.argv])
# Without its dependencies, of which there are a hundred; those that reading needs are named.
MDS = environment("mds", ["--no-deps", "-r", HERE / "requirements-mds.txt"])
TRAINERS = trainers()

sys.path.insert(0, str(HERE))
import checks  # noqa: E402

PARQUET = {"pyarrow": checks.read_pyarrow, "DuckDB": checks.read_duckdb, "Polars": checks.read_polars, "datasets": checks.read_datasets}
GPT2_PAD = {"pad": "<|endoftext|>"}
# name, corpus, tokenizer, flags, special tokens.
OUTPUTS = [
    ("quest, split", "brown", "brown", ["--length", "2048"], {}),
    ("quest, best fit, begin tokens", "brown", "brown", ["--length", "1024", "--overflow", "whole", "--bos", "document", "--bos-token", "token:<|endoftext|>"], {"document": "<|endoftext|>", "pad": "<|pad|>"}),
    ("standard, a string between", "brown", "brown", ["--method", "standard", "--length", "700", "--separator", "text:\n\n--\n\n", "--incomplete", "pad"], {"separator": "text:\n\n--\n\n", "pad": "<|pad|>"}),
    ("standard, ids above 65,535", "brown", "wide", ["--method", "standard", "--length", "1500"], {}),
    ("quest, GPT-2, truncated", "news20", "gpt2-tokenizer.json", ["--length", "4096", "--overflow", "truncate", "--bos", "sequence", "--bos-token", "token:<|endoftext|>", "--incomplete", "pad", "--pad-token", "token:<|endoftext|>"], {"sequence": "<|endoftext|>", **GPT2_PAD}),
    ("standard, Pythia", "news20", "pythia-20b_tokenizer.json", ["--method", "standard", "--length", "8192"], {}),
]


def wide(tokenizer):
    """The same tokenizer with ids that do not fit two bytes."""
    made, more = json.loads(tokenizer.read_text()), 66_000
    made["model"]["vocab"] = {token: id + more for token, id in made["model"]["vocab"].items()}
    for token in made["added_tokens"]:
        token["id"] += more
    path = OUT / "wide-tokenizer.json"
    path.write_text(json.dumps(made))
    return path


# Spans, compression, most bytes of a file.
MDS_OUTPUTS = [("sequence", "none", None), ("document", "none", "1MB"), ("sequence", "zstd", None), ("document", "zstd", "1MB")]


def masks(parquet, datatrove):
    """The torch program over two outputs of the same sequences; what it found."""
    output = subprocess.run([TRAINERS, HERE / "mask.py", parquet, datatrove], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(output.splitlines()[-1])
    print(f"    {found['documents']} documents differ by {found['largest']:.1e} at most from themselves alone; without the mask, by {found['smallestWithout']:.2f} at least")
    return found["sequences"]


def command(*arguments):
    subprocess.run(["node", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def corpora():
    """Path of each corpus, None where it cannot be had."""
    brown = OUT / "brown.jsonl"
    command("--input-type=module", "-e", f"import {{ brown }} from './scripts/brown.mjs'; brown({json.dumps(str(brown))})")
    tokenizer = OUT / "brown-tokenizer.json"
    if not tokenizer.exists():
        command("scripts/tokenizer.mjs", str(brown), str(tokenizer), "4096")
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
    ours = {"brown": brown_tokenizer, "wide": wide(brown_tokenizer)}
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    datasets, examples, levanter = (None, None, None) if TRAINERS is None else (kind(TRAINERS) for kind in (checks.Trainers, checks.Examples, checks.Levanter))

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
        tokenizer = ours.get(tokenizer, DATA / "tokenizers" / tokenizer)
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

        def skip(what):
            counts["skipped"] += 1
            print(f"  - {what}: skipped, LONGWEAVE_TORCH=none", flush=True)

        for compression in ("zstd", "none"):
            out = weave(f"parquet-{compression}", "--compression", compression)
            for reader, read in PARQUET.items():
                check(f"parquet, {compression}, by {reader}", lambda: compare(read(out), sequences(out)))
        for compression in ("zstd", "none"):
            out = weave(f"jsonl-{compression}", "--format", "jsonl", "--compression", compression)
            check(f"jsonl, {compression}, by json", lambda: compare(checks.read_jsonl(out), sequences(out)))
        # Whole shards, and files of at most a megabyte; local, and as from a bucket.
        for indices, compression, limit in MDS_OUTPUTS:
            files = [] if limit is None else ["--mds-shard-bytes", limit]
            kind = f"mds, a span for each {indices}, {compression}, {'whole shards' if limit is None else limit}"
            out = weave("-".join(["mds", indices, compression, limit or "whole"]), "--format", "mds", "--mds-indices", indices, "--compression", compression, *files)
            if compression == "none":
                check(f"{kind}, by LocalDataset", lambda: compare(checks.check_mds(checks.local_mds(out, MDS), out, length, indices), sequences(out)))
            if datasets is None:
                skip(f"{kind}, by StreamingDataset")
            else:
                hash = None if (compression, limit) == ("none", None) else "xxh3_64"
                check(f"{kind}, by StreamingDataset", lambda: compare(datasets.streaming(out, length, indices, hash), sequences(out)))
        out = weave("megatron", "--format", "megatron")
        if datasets is None:
            skip("megatron, by IndexedDataset and GPTDataset")
        else:
            check("megatron, by IndexedDataset", lambda: compare(datasets.megatron(out, length, expected.largest >= 65_500), sequences(out)))
            # Megatron knows documents by the token at their end.
            if len(expected.separator) == 1 and not expected.sequence + expected.document:
                rows = datasets.megatron(out, length, expected.largest >= 65_500)
                check("megatron, by GPTDataset, documents told by their separator", lambda: datasets.gpt(out, length, rows, expected.separator[0]))
        windows = out = weave("datatrove", "--format", "datatrove", "--holdout", "0.1")
        if datasets is None:
            skip("datatrove, by DatatroveFolderDataset")
        else:
            check("datatrove, by DatatroveFolderDataset", lambda: compare(datasets.datatrove(out, length), sequences(out)))
            check("datatrove, documents set aside", lambda: compare(datasets.datatrove(out / "holdout", length), sequences(out / "holdout")))
        every = [part for name in (*checks.TRAINER_COLUMNS, "loss_weights") for part in ("--columns", name)]
        # Documents that begin with a token or end with several have other ends by their last token.
        eos = expected.separator[0] if len(expected.separator) == 1 and not expected.sequence + expected.document else None
        dtype = "uint16" if expected.largest < 65_536 else "uint32"
        out = weave("parquet-columns", *every)
        check("parquet with columns for trainers, by pyarrow", lambda: compare(checks.check_columns(checks.read_trainer_parquet(out), length), sequences(out)))
        if datasets is None:
            skip("parquet with columns for trainers, by Levanter")
        else:
            check("parquet with columns for trainers, by Levanter", lambda: compare(levanter.parquet(out, length), sequences(out)))
            plain = weave("parquet-grain")
            check("parquet, by Grain, as MaxText opens it", lambda: compare(examples.grain_parquet(plain, length), sequences(plain)))
            entries = weave("megatron-maxtext", "--format", "megatron")
            check("megatron, by MaxText", lambda: compare(examples.maxtext("mmap", entries, length), sequences(entries)))
        out = weave("datasets", "--format", "datasets", "--holdout", "0.1", *every)
        check("datasets, by load_from_disk", lambda: compare(checks.check_columns(checks.read_saved(out), length), sequences(out)))
        check("datasets, documents set aside", lambda: compare(checks.check_columns(checks.read_saved(out / "holdout"), length), sequences(out / "holdout")))
        if datasets is None:
            skip("datasets, by TRL's collator")
        else:
            check("datasets, by TRL's collator", lambda: compare(examples.trl(out, length), sequences(out)))
        out = weave("numpy", "--format", "numpy", "--columns", "label_mask")
        if datasets is None:
            skip("numpy, by OLMo-core and MaxText")
        else:
            check("numpy, by OLMo-core's NumpyFSLDataset", lambda: compare(examples.olmo(out, length, expected.largest, eos), sequences(out)))
            check("numpy, by MaxText's olmo_grain", lambda: compare(examples.maxtext("olmo_grain", out, length, dtype=dtype), sequences(out)))
        out = weave("litdata", "--format", "litdata")
        if datasets is None:
            skip("litdata, by TokensLoader")
        else:
            check("litdata, by TokensLoader", lambda: compare(examples.litdata(out, length, expected.largest), sequences(out)))
        if datasets is None:
            skip("masks from doc_starts")
        else:
            same = weave("parquet-masks", "--holdout", "0.1")
            check("masks from doc_starts, by torch", lambda: masks(same, windows))
    for process in (datasets, examples, levanter):
        if process is not None:
            process.close()
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    if counts["skipped"] and os.environ.get("LONGWEAVE_REQUIRE_DATA") == "1":
        sys.exit(1)
    sys.exit(1 if counts["failed"] else 0)


main()
