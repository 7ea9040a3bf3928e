"""Every benchmark against its peers, each in one run, into benches/README.md: `python3 benches/run.py [--only rake,index,…] [--mb N] [--dry]`.

Needs the shared corpora (LONGWEAVE_DATA or ../shared/data), a built clone (`npm run setup`) and, the first time, PyPI for the peers (benches/requirements.txt),
which go into out/benches/.venv. `--mb`: megabytes of simplewiki (default all). `--dry`: print the tables, do not write them."""
import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
import venv
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "benches"
PYTHON = OUT / ".venv" / "bin" / "python"

if Path(sys.executable) != PYTHON:
    stamp = OUT / ".venv" / "requirements"
    # Those of the second list come without their dependencies: torch, and a hundred packages that writing does not use.
    lists = [[], ["--no-deps"]], [ROOT / "benches" / "requirements.txt", ROOT / "benches" / "requirements-no-deps.txt"]
    wanted = "".join(path.read_text() for path in lists[1])
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(OUT / ".venv", with_pip=True, clear=True)
        for flags, path in zip(*lists):
            subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *flags, "-r", path], check=True)
        stamp.write_text(wanted)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

import zstandard

import cores as watched
from baseline import COMMIT, baseline, cli
from measure import mb, median, peer, run, table

DATA = Path(os.environ.get("LONGWEAVE_DATA", ROOT.parent / "shared" / "data"))
PYTHIA = DATA / "tokenizers" / "pythia-20b_tokenizer.json"
SMART = ROOT / "crates" / "language" / "data" / "smart.txt"
CORES = os.cpu_count()


def rows(name):
    with open(DATA / f"{name}.jsonl.zst", "rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    return [json.loads(line) for line in text.split("\n") if line]


def build():
    """The Rust programs; where they are."""
    host = next(line[6:] for line in subprocess.check_output(["rustc", "-vV"], text=True).splitlines() if line.startswith("host: "))
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    environment = {**os.environ, "CARGO_BUILD_TARGET": host, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "build", "--quiet", "--manifest-path", ROOT / "benches" / "rust" / "Cargo.toml", "--profile", "quick"], check=True, env=environment)
    return target / host / "quick"


def inputs(megabytes):
    """Files that programs of both sides read, made once: questions, texts in two halves, a plain corpus."""
    OUT.mkdir(parents=True, exist_ok=True)
    stamp = OUT / "inputs"
    if stamp.exists() and stamp.read_text() == str(megabytes):
        return
    questions = dict.fromkeys(" ".join(row["question"].split()) for row in rows("qa-pairs"))
    (OUT / "questions.txt").write_text("".join(f"{q}\n" for q in questions if q), encoding="utf-8")
    wiki, size = [], 0
    for row in rows("simplewiki"):
        if size >= megabytes * 1e6:
            break
        wiki.append(row)
        size += len(row["text"].encode())
    (OUT / "wiki.jsonl").write_text("".join(json.dumps({"id": r["id"], "text": r["text"]}, ensure_ascii=False) + "\n" for r in wiki), encoding="utf-8", newline="\n")
    half = len(wiki) // 2
    for name, part in (("texts", wiki[:half]), ("other", wiki[half:])):
        (OUT / f"{name}.nul").write_text("".join(r["text"].replace("\0", " ") + "\0" for r in part), encoding="utf-8", newline="")
    stamp.write_text(str(megabytes))


def rake(programs):
    """Queries per second of processor time."""
    # Alternately, since the machine's speed changes from minute to minute; the ratio is the median of the pairs'.
    pairs = [
        (run([programs / "rake", OUT / "questions.txt", 5]), run(["node", ROOT / "benches" / "node" / "rake.mjs", OUT / "questions.txt"]))
        for _ in range(7)
    ]
    ours, _, peak = pairs[0][0]
    best = median([ours["queries"] / median(rust["seconds"]) for (rust, _, _), _ in pairs])
    lines = [["longweave (Rust, one thread)", f"{best / 1e3:,.0f} k", "1", mb(peak)]]
    for name, key in (("`extractBatch`, as columns", "seconds"), ("`extractBatch`, and each phrase as a string", "withPhrases"), ("`extract`, question by question", "oneByOne")):
        rate = median([node["queries"] / median(node[key]) for _, (node, _, _) in pairs])
        slower = median([median(node[key]) / median(rust["seconds"]) for (rust, _, _), (node, _, _) in pairs])
        lines.append([f"longweave from Node, {name}", f"{rate / 1e3:,.0f} k", f"{slower:.1f}", mb(pairs[0][1][2])])
    ratios = {}
    for library in ("rake-nltk", "multi_rake"):
        theirs, _, peak = peer("rake", OUT / "questions.txt", 2, library, SMART)
        rate = theirs["queries"] / median(theirs["seconds"])
        lines.append([library, f"{rate / 1e3:,.1f} k", f"{best / rate:.0f}", mb(peak)])
        ratios[library] = best / rate
    head = f"RAKE with the SMART list over {ours['queries']:,} questions of people (qa-pairs); seconds of processor time."
    return head, table(["", "queries/s", "times slower", "peak memory"], lines), {"peers": ratios}


def tokenize(programs):
    """Megabytes a second, cold and after other text."""
    lines = []
    for threads in sorted({1, CORES}):
        environment = {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false"}
        rate = {}
        for state, warm in (("cold", []), ("warmed on other text", [OUT / "other.nul"])):
            ours, _, peak = run([programs / "tokenize", PYTHIA, OUT / "texts.nul", threads, *warm])
            theirs, _, their_peak = peer("tokenize", PYTHIA, OUT / "texts.nul", *warm, env=environment)
            if ours["tokens"] != theirs["tokens"]:
                raise SystemExit(f"{ours['tokens']} tokens, {theirs['tokens']} by the peer")
            a, b = ours["bytes"] / median(ours["seconds"]) / 1e6, theirs["bytes"] / median(theirs["seconds"]) / 1e6
            lines.append([f"{threads} thread{'s' if threads > 1 else ''}, {state}", f"{a:.0f} MB/s", f"{b:.1f} MB/s", f"{a / b:.0f}", mb(peak), mb(their_peak)])
    head = f"{ours['bytes'] / 1e6:.0f} MB of simplewiki, Pythia's vocabulary, against `encode_batch_fast` of Python's tokenizers 0.23 in batches of 1,000 texts; as many tokens in both."
    return head, table(["", "longweave", "tokenizers", "ratio", "peak memory", "peer's"], lines)


def index(programs):
    """Building an index from candidates of all documents of simplewiki."""
    candidates = OUT / "candidates.txt"
    run(["node", ROOT / "benches" / "node" / "candidates.mjs", OUT / "wiki.jsonl", candidates])
    lines = []
    folder = OUT / "tables"
    suffix, _, peak = run([programs / "index", candidates, CORES, 5, "suffix", folder])
    best = median(suffix["seconds"])
    lines.append([f"longweave, {CORES} threads, hierarchy of phrases included", f"{best:.2f} s", "1", mb(peak)])
    one, _, peak = run([programs / "index", candidates, 1, 3, "suffix", folder])
    lines.append(["longweave, 1 thread", f"{median(one['seconds']):.2f} s", f"{median(one['seconds']) / best:.1f}", mb(peak)])
    affinity, _, peak = run([programs / "index", candidates, CORES, 3, "affinity", folder])
    lines.append(["longweave, `hierarchy: affinity`, which the peers do not do", f"{median(affinity['seconds']):.2f} s", f"{median(affinity['seconds']) / best:.1f}", mb(peak)])
    ratios = {}
    for library in ("duckdb", "polars"):
        theirs, _, peak = peer("index", candidates, 3, library)
        seconds = median(theirs["seconds"])
        lines.append([f"{library}, {CORES} threads", f"{seconds:.2f} s", f"{seconds / best:.1f}", mb(peak)])
        ratios[library] = seconds / best
    head = (
        f"Input: candidates of {suffix['documents']:,} documents. Output: the commonest of each document, and the documents of each keyword ({suffix['keywords']:,} keywords). "
        "Tables start in memory. The peers count, choose and group; longweave also builds the hierarchy of phrases."
    )
    return head, table(["", "time", "times slower", "peak memory"], lines), {"peers": ratios}


def pack(programs):
    """Tokens of simplewiki into sequences of 8,192, in memory and into files."""
    folder, ids, ends = OUT / "packed", OUT / "tokens.ids", OUT / "tokens.ends"
    folder.mkdir(exist_ok=True)
    if not ends.exists() or ends.stat().st_mtime < (OUT / "inputs").stat().st_mtime:
        peer("tokens", PYTHIA, ids, ends, OUT / "texts.nul", OUT / "other.nul")
    length, passes = 8192, 5
    ours, _, _ = run([programs / "pack", ids, ends, length, passes, folder])
    # A process of its own for each format: a peak is that of a process.
    held = lambda key: run([programs / "pack", ids, ends, length, 1, folder, 0, key])[2]
    size = ids.stat().st_size / 4
    copy, gather = size / median(ours["memcpy"]), ours["tokens"] / median(ours["gather"])
    peers = {}
    for name in ("numpy", "pyarrow", "mosaicml-streaming", "megatron-core", "datatrove", "tofile", "datasets", "litdata"):
        peers[name], _, peers[name]["peak"] = peer("pack", ids, ends, length, passes, folder, name)
    speed = lambda result, key: result["tokens"] / median(result[key])
    of = lambda speed, other: f"{speed / other:.2f}"
    mtok = lambda speed: f"{speed / 1e6:,.0f} M"
    lines = [
        ["memcpy of the tokens (u32), one thread", mtok(copy), "", "", "", ""],
        [f"longweave, in memory, provenance included, {CORES} threads", mtok(gather), "", of(gather, copy), "", ""],
        ["numpy slices and concatenate, in memory", mtok(speed(peers["numpy"], "seconds")), "", of(speed(peers["numpy"], "seconds"), copy), of(gather, speed(peers["numpy"], "seconds")), mb(peers["numpy"]["peak"])],
    ]
    ratios = {"numpy, in memory": gather / speed(peers["numpy"], "seconds")}
    formats = (
        ("Parquet (zstd)", "parquet", "pyarrow"), ("MDS", "mds", "mosaicml-streaming"), ("MDS (zstd)", "mdsZstd", None),
        ("Megatron's IndexedDataset (u16)", "megatron", "megatron-core"), ("datatrove's files (u16)", "datatrove", "datatrove"), ("OLMo-core's files (u16)", "numpy", "tofile"),
        ("a saved dataset", "datasets", "datasets"), ("LitData's chunks (u16)", "litdata", "litdata"), ("JSONL (zstd)", "jsonl", None),
    )
    for title, key, name in formats:
        own = ours[key]
        rate, raw = ours["tokens"] / median(own["seconds"]), ours["tokens"] / median(own["write"])
        lines.append([f"longweave to {title}", mtok(rate), f"{own['idBytes'] / ours['tokens']:.2f}", of(rate, raw), "", mb(held(key))])
        if name is not None:
            theirs = peers[name]
            ratios[name] = rate / speed(theirs, "seconds")
            all, alone, bytes = speed(theirs, "seconds"), speed(theirs, "write"), theirs["bytes"]
            lines.append([f"numpy and {name}", mtok(all), "" if bytes is None else f"{bytes / theirs['tokens']:.2f}", "", of(rate, all), mb(theirs["peak"])])
            lines.append([f"{name}, its writer alone", mtok(alone), "", "", of(rate, alone), ""])
    head = (
        f"{size / 1e6:.0f} M tokens of simplewiki (Pythia's vocabulary), held in memory, its documents in random order, into sequences of {length:,}; tokens a second. longweave gathers, "
        f"writes provenance (always in its time; in the bytes of Parquet and JSONL, since it is in the same file), sums checksums (the SHA-256 of the manifest among them) and calls fsync; a peer gathers with numpy, and does none of the others. The fourth column compares in "
        f"memory with memcpy, files with `write` and fsync of the same bytes by one thread. The last column is the peak memory of a process that writes this format alone, the documents' {size * 4 / 1e6:.0f} MB included."
    )
    return head, table(["", "tokens/s", "bytes a token", "of memcpy, of write", "longweave is … times as fast", "peak memory"], lines), {"peers": ratios}


def neighbours(programs):
    """Ten nearest neighbours of every document, among LSA vectors of simplewiki."""
    folder, vectors = OUT / "vectors", OUT / "vectors.npy"
    common = ["--corpus", OUT / "wiki.jsonl", "--id-field", "id", "--tokenizer", PYTHIA, "--length", 8192, "--method", "knn", "--neighbours-k", 10]
    # An earlier build may have written it.
    subprocess.run(["rm", "-rf", folder / "out"], check=True)
    run(["node", ROOT / "dist" / "cli" / "main.js", "plan", *common, "--out", folder / "out", "--work", folder / "work", "--json"])
    write_npy(next((folder / "work").glob("vectors-*")) / "00000.vectors", 256, vectors)
    lines, ratios = [], {}
    for what, more in (("inverted lists", []), ("all pairs", ["exact"])):
        for threads in sorted({1, CORES}) if not more else [CORES]:
            passes = 1 if more else 3
            ours, _, peak = run([programs / "neighbours", vectors, 10, threads, passes, *more])
            theirs, _, their_peak = peer("neighbours", vectors, 10, threads, passes, *more)
            a, b = (r["rows"] / median(r["seconds"]) for r in (ours, theirs))
            name = f"{what}, {threads} thread{'s' if threads > 1 else ''}"
            ratios[f"faiss, {name}"] = a / b
            lines.append([name, f"{a:,.0f}/s", f"{ours['recall']:.3f}", f"{b:,.0f}/s", f"{theirs['recall']:.3f}", f"{a / b:.1f}", mb(peak), mb(their_peak)])
    head = (
        f"The ten nearest neighbours of each of {ours['rows']:,} documents of simplewiki, by the default vectors (256 numbers); training and building included. "
        "faiss-cpu: IndexIVFFlat with as many lists and probes, and IndexFlatIP. Documents a second; recall on a sample of 500."
    )
    return head, table(["", "longweave", "recall", "faiss", "recall", "ratio", "peak memory", "peer's"], lines), {"peers": ratios}


def write_npy(column, dims, path):
    """A longweave column of 16-bit numbers as a .npy of floats."""
    import numpy

    numbers = numpy.fromfile(column, dtype="<i2", offset=32).reshape(-1, dims)
    numpy.save(path, numbers.astype("<f4"))


def plan(programs):
    """Planning ten million synthetic documents."""
    lines = []
    for name in ("standard", "standard-whole", "long", "quest", "quest-next", "knn", "iclm", "iclm-release", "nextlong", "topics", "topics-nextlong", "interleave"):
        ours, _, peak = run([programs / "plan", name, 10_000_000, 32_768])
        own = (peak - ours["input"]) / 1e7
        lines.append([name, f"{ours['seconds'][0]:.0f} s", f"{ours['sequences']:,}", f"{ours['pieces'] / 1e6:.1f} M", mb(ours["input"]), mb(peak), f"{own:.0f}"])
    head = (
        "Ten million synthetic documents of 40 to 3,000 tokens (about 7 billion tokens) into sequences of 32,768; a million keywords by a power law, 20 neighbours a document for knn, "
        f"10 for iclm, 16 a chunk for nextlong; 32,768 topics of 256 documents; {CORES} threads. No peer plans these. The last column is the memory of a method in addition to its input."
    )
    return head, table(["method", "time", "sequences", "pieces", "input", "peak memory", "bytes a document"], lines)


def whole(_programs):
    """The whole run against an earlier build and a Python pipeline."""
    size = (OUT / "wiki.jsonl").stat().st_size
    folder = OUT / "whole"
    common = ["--corpus", OUT / "wiki.jsonl", "--id-field", "id", "--tokenizer", PYTHIA, "--length", 8192, "--out", folder, "--json"]
    ways = {
        "longweave": lambda: run([*cli(), "run", *common]),
        f"longweave at {COMMIT}": lambda: run([*cli(baseline()), "run", *common]),
        "Python pipeline": lambda: peer("whole", OUT / "wiki.jsonl", PYTHIA, 8192, folder, SMART),
    }
    baseline()
    found = {name: [] for name in ways}
    # Alternately, since the machine's speed changes from minute to minute.
    for turn in range(5):
        for name, way in ways.items():
            if name == "Python pipeline" and turn > 0:
                continue
            subprocess.run(["rm", "-rf", folder], check=True)
            start = time.perf_counter()
            _, cpu, peak = way()
            found[name].append((time.perf_counter() - start, cpu, peak))
    of = {name: [median(column) for column in zip(*runs)] for name, runs in found.items()}
    ours = of["longweave"]
    lines = [[name, f"{wall:.1f} s", f"{wall / ours[0]:.1f}", f"{cpu:.1f} s", f"{cpu / ours[1]:.1f}", mb(peak)] for name, (wall, cpu, peak) in of.items()]
    head = f"Quest from {size / 1e6:.0f} MB of JSONL (simplewiki) to Parquet sequences of 8,192, against an earlier build and benches/peers/whole_peer.py: rake-nltk on first sentences, tokenizers, numpy, pyarrow. Medians of five runs; the Python pipeline ran once."
    slower = {name: wall / ours[0] for name, (wall, _, _) in of.items() if name != "longweave"}
    return head, table(["", "time", "times slower", "processor time", "times more", "peak memory"], lines), {"peers": slower}


def single(_programs):
    """Stages on one thread, and a task that is done already, against the earlier build."""
    size = (OUT / "wiki.jsonl").stat().st_size
    builds = {"now": cli(), "then": cli(baseline())}
    found = {build: {} for build in builds}
    for _ in range(3):
        for build, command in builds.items():
            out = OUT / "single"
            subprocess.run(["rm", "-rf", out], check=True)
            run([*command, "run", "--corpus", OUT / "wiki.jsonl", "--id-field", "id", "--tokenizer", PYTHIA, "--length", 8192, "--threads", 1, "--out", out, "--json"])
            seconds = {stage["stage"]: stage["seconds"] for stage in stages_of(out)}
            for _ in range(5):
                start = time.perf_counter()
                # The earlier build has the name that the command had then.
                name = ["task", "run", out, "plan"] if build == "now" else ["stage", "plan", "--run", out]
                run([*command, *name, "--task", 0, "--json"])
                seconds["a task that is done"] = min(seconds.get("a task that is done", 9), time.perf_counter() - start)
            for name, value in seconds.items():
                found[build].setdefault(name, []).append(value)
    lines = []
    for name in ("scan", "ingest", "predict", "extract", "report", "a task that is done"):
        now, then = (median(found[build][name]) for build in ("now", "then"))
        speed = f"{size / now / 1e6:.0f} MB/s" if name in ("scan", "ingest", "predict", "extract") else ""
        lines.append([name, f"{now:.2f} s", speed, f"{then:.2f} s", f"{then / now:.1f}"])
    head = f"Stages of a Quest run over {size / 1e6:.0f} MB of JSONL (simplewiki) on one thread, and the whole process of a task that is done already, Node's start included; against the build of {COMMIT}. Medians of three."
    return head, table(["", "time", "speed", COMMIT, "times as fast"], lines), {}


def limits():
    """Bytes a second that the disk takes (fsync included) and gives (not from the page cache), and that memcpy copies."""
    import numpy

    path, block, size = OUT / "limits", os.urandom(4 << 20), 2 << 30
    start = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    write = size / (time.perf_counter() - start)
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        while file.read(4 << 20):
            pass
        read = size / (time.perf_counter() - start)
    path.unlink()
    source = numpy.ones(256 << 20, dtype=numpy.uint8)
    target = source.copy()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        numpy.copyto(target, source)
        seconds.append(time.perf_counter() - start)
    return write, read, len(source) / median(seconds)


SCALE_MEMORY = 512 << 20


def stages_of(out):
    """What the log of a run tells of each stage that it did."""
    # Logs of the earlier build can have empty lines.
    lines = [json.loads(line) for line in (out / ".state" / "log.jsonl").read_text().splitlines() if line]
    return [line for line in lines if line["event"] == "stage" and line["state"] == "done"]


def scaled(tokens, programs):
    """Whole runs of quest and knn over a made corpus of about so many tokens, knn with the tokens of quest, this build's and the earlier one's; what is known of them."""
    folder = OUT / "scale"
    subprocess.run(["rm", "-rf", folder], check=True)
    corpus, out = folder / "corpus", folder / "out"
    made, _, _ = run([programs / "corpus", OUT / "texts.nul", int(tokens * 4.4), corpus])
    common = ["--corpus", corpus, "--id-field", "id", "--tokenizer", PYTHIA, "--length", 32768, "--memory", f"{SCALE_MEMORY}B", "--packing", "scatter", "--work", folder / "work"]
    found = {}
    for build, at in (("now", ROOT), ("then", baseline())):
        for method in ("quest", "knn"):
            start = time.perf_counter()
            run([*cli(at), "run", *common, "--method", method, "--out", out, "--json"])
            found[method, build] = {"seconds": time.perf_counter() - start, "stages": stages_of(out)}
            tokens = json.loads((out / "longweave.json").read_text())["counts"]["corpus"]["tokens"]
            subprocess.run(["rm", "-rf", out], check=True)
        subprocess.run(["rm", "-rf", folder / "work"], check=True)
    subprocess.run(["rm", "-rf", folder], check=True)
    return {**made, "tokens": tokens, "runs": found}


def scale(programs):
    """Whole runs over ten million, a hundred million and a billion tokens."""
    write, read, copy = limits()
    whole, similar, totals, sizes = [], [], [], []
    gb = lambda size: "" if size is None else f"{size / 1e9:.2f} GB"
    for tokens in (10**7, 10**8, 10**9):
        of = scaled(tokens, programs)
        name = f"{of['tokens'] / 1e6:,.0f} M tokens"
        row = lambda name, seconds, then, peak, read, written: [
            name, f"{seconds:.1f} s", "" if then is None else f"{then:.1f} s", f"{of['tokens'] / max(seconds, 1e-9) / 1e6:,.1f} M", mb(peak), gb(read), gb(written),
        ]  # fmt: skip
        for method, rows, shown in (("quest", whole, None), ("knn", similar, ("embed", "vectors", "neighbours", "plan"))):
            now, then = (of["runs"][method, build] for build in ("now", "then"))
            before = {stage["stage"]: stage["seconds"] for stage in then["stages"]}
            total = lambda key: sum(stage.get(key) or 0 for stage in now["stages"])
            rows.append(row(f"**{name}**", now["seconds"], then["seconds"], max(stage["stagePeakBytes"] for stage in now["stages"]), total("readBytes"), total("writtenBytes")))
            rows += [
                row(stage["stage"], stage["seconds"], before.get(stage["stage"]), stage["stagePeakBytes"], stage["readBytes"], stage["writtenBytes"])
                for stage in now["stages"]
                if shown is None or stage["stage"] in shown
            ]
        of_stages = lambda run, value: {stage["stage"]: value(stage) for stage in run["stages"]}
        seconds = lambda run: {
            "seconds": run["seconds"],
            "stages": of_stages(run, lambda stage: stage["seconds"]),
            "bytes": of_stages(run, lambda stage: (stage["readBytes"] or 0) + (stage["writtenBytes"] or 0)),
        }
        sizes.append({"tokens": of["tokens"], **{method: {build: seconds(of["runs"][method, build]) for build in ("now", "then")} for method in ("quest", "knn")}})
        totals.append(f"{name} of {of['documents']:,} documents ({of['bytes'] / 1e9:.2f} GB)")
    head = (
        f"Quest over {', '.join(totals)} made by `benches/rust/src/bin/corpus.rs`, into Parquet sequences of 32,768; Pythia's vocabulary, `--memory {SCALE_MEMORY >> 20}MiB --packing scatter`, {CORES} threads. "
        f"The third column is the build of {COMMIT}, in the same minutes. Tokens are those of the corpus, per second of the stage; memory is resident, Node's included; bytes are those of read and write calls, from the page cache or the disk. "
        f"In the same run the disk wrote {write / 1e9:.2f} GB/s, fsync included, and read {read / 1e9:.2f} GB/s; memcpy copied {copy / 1e9:.1f} GB/s."
    )
    columns = ["stage", "time", COMMIT, "tokens/s", "peak memory", "read", "written"]
    between = "KNN over the same documents, reusing the tokens of Quest's run: the whole of it, and its stages in place of predict, extract and index."
    return head, "\n\n".join((table(columns, whole), between, table(columns, similar))), {"commit": COMMIT, "threads": CORES, "sizes": sizes}


def cores(programs):
    """What bounds a run on many cores: the processor time during which one thread alone has work."""
    folder = OUT / "cores"
    subprocess.run(["rm", "-rf", folder], check=True)
    made, _, _ = run([programs / "corpus", OUT / "texts.nul", 440_000_000, folder / "corpus"])
    parts, bounds, stages = [], {}, {}
    for method in ("quest", "knn"):
        out = folder / method
        rows = watched.measure([*cli(), "run", "--corpus", folder / "corpus", "--id-field", "id", "--tokenizer", PYTHIA, "--length", 8192, "--method", method, "--out", out, "--json"], out / ".state" / "log.jsonl")
        tokens = json.loads((out / "longweave.json").read_text())["counts"]["corpus"]["tokens"]
        everything, each = watched.total(rows), 1e9 / tokens
        line = lambda name, by: [name, f"{sum(by.values()) * each:,.1f} s", f"{watched.serial(by) * each:,.2f} s", f"{100 * watched.serial(by) / everything:.2f} %"]
        alone = sum(watched.serial(by) for _, by in rows)
        stages[method] = {stage: [round(sum(by.values()) * each, 3), round(watched.serial(by) * each, 3)] for stage, by in rows}
        lines = [line(f"**{method}**", {1: alone, 2: everything - alone}), *(line(*row) for row in rows)]
        bounds[method] = {n: round(watched.speedup(rows, n), 1) for n in (2, 4, 16, 64, 128)}
        told = ", ".join(f"{times} on {n}" for n, times in bounds[method].items() if n >= 16)
        parts.append(f"{table(['stage', 'processor time', 'serial', 'share of the run'], lines)}\n\nSo {method} can be at most this many times as fast as on one core: {told}.")
        subprocess.run(["rm", "-rf", out], check=True)
    subprocess.run(["rm", "-rf", folder], check=True)
    head = (
        f"Processor time per billion tokens, and the part of it spent while exactly one of {watched.THREADS} threads has work, seen from outside ({watched.PERIOD * 1e3:.0f} ms apart; `benches/cores.py` says how). "
        f"{made['documents']:,} documents of {tokens / 1e6:,.0f} M tokens into Parquet sequences of 8,192. Work that never had more than a few threads counts as bounded by that many."
    )
    return head, "\n\n".join(parts), {"bounds": bounds, "stages": stages}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="rake,tokenize,index,neighbours,plan,pack,whole,single,scale,cores")
    arguments.add_argument("--mb", type=float, default=1000)
    arguments.add_argument("--dry", action="store_true")
    given = arguments.parse_args()
    if not DATA.exists():
        raise SystemExit(f"{DATA} is missing: the benchmarks need the shared corpora")
    programs = build()
    # In a process of its own: what a program is said to have held is never less than what this one did when it started it.
    maker = multiprocessing.Process(target=inputs, args=(given.mb,))
    maker.start()
    maker.join()
    if maker.exitcode != 0:
        raise SystemExit("the inputs could not be made")
    page, numbers = ROOT / "benches" / "README.md", ROOT / "benches" / "results.json"
    text = page.read_text()
    for name in given.only.split(","):
        head, made, *figures = globals()[name](programs)
        print(f"\n## {name}\n{head}\n\n{made}", flush=True)
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        stamp = f"{date.today()}, {CORES} cores ({platform.machine()}), `python3 benches/run.py --only {name}`"
        text = f"{before}{begin}{head}\n\n{made}\n\n{stamp}\n{end}{rest.split(end, 1)[1]}"
        if given.dry:
            continue
        page.write_text(text)
        results = json.loads(numbers.read_text()) if numbers.exists() else {}
        results[name] = {"date": str(date.today()), **(figures[0] if figures else {})}
        numbers.write_text(json.dumps(results, indent=1) + "\n")
    if not given.dry:
        # Hyphens and widths as the format check wants them.
        subprocess.run(["npx", "prettier", "--write", "--log-level", "warn", page, numbers], cwd=ROOT, check=True)
        subprocess.run([PYTHON, ROOT / "benches" / "plots.py"], check=True)


if __name__ == "__main__":
    main()
