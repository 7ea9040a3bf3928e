"""How coherent are whole sequences? Label entropy and purity of the sequences that each choice of options gives.

Reads a corpus whose documents have topic labels (news20, reuters), weaves it with the command line of this checkout, and looks at which
labels stand together in each sequence. The labels are never shown to longweave. Printed for each configuration and length, as a share of
the way from Standard (0 %: all documents in one random order) to sequences made from the true labels (100 %: labels in random order, the
documents of each in random order, cut at the length):

  bits   label entropy of a sequence, weighted by tokens, the mean over sequences weighted by tokens
  near-duplicates  share of a sequence's documents that nearly repeat an earlier one (docs/report.md)
  documents used  share of the corpus's documents that are in some sequence
  purity share of a sequence's tokens that its most frequent label has, the mean weighted by tokens

    python study.py news20 --data DIR                      # every configuration, all three lengths
    python study.py reuters --data DIR --only defaults     # those whose name has the word
"""

import argparse
import io
import json
import math
import random
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as parquet
import zstandard

ROOT = Path(__file__).resolve().parents[2]
LENGTHS = (2048, 8192, 32768)
CORPORA = {
    "news20": lambda row: row["topic"],
    "reuters": lambda row: row["topics"][0] if row["topics"] else None,
}


def configurations():
    """Name → flags, in the order printed. Flags not named have their defaults."""
    fixed = json.loads((Path(__file__).parent / "configurations.json").read_text())
    return {name: [str(word) for flag, value in flags.items() for word in (f"--{flag}", value)] for name, flags in fixed.items()}


def read_corpus(name, data):
    label_of = CORPORA[name]
    with open(data / f"{name}.jsonl.zst", "rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n"):
            row = json.loads(line)
            label = label_of(row)
            if label is not None:
                yield {"id": str(row["id"]), "title": row.get("title") or "", "text": row["text"], "label": label}


def weave(corpus, tokenizer, work, length, seed, flags):
    """Sequences as lists of (document id, tokens), and the summary."""
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    command = ["node", str(ROOT / "dist/cli/main.js"), "run", "--corpus", str(corpus), "--id-field", "id", "--tokenizer", str(tokenizer)]
    command += ["--length", str(length), "--seed", str(seed), "--incomplete", "pad", "--pad-token", "token:<|endoftext|>", "--out", str(out), "--work", str(work / "stages"), "--json"]
    done = subprocess.run(command + flags, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    summary = json.loads(done.stdout.splitlines()[-1])
    sequences = []
    for file in sorted(out.glob("*.parquet")):
        table = parquet.read_table(file, columns=["doc_ids", "doc_lens"])
        sequences += [list(zip(ids, lens)) for ids, lens in zip(table["doc_ids"].to_pylist(), table["doc_lens"].to_pylist())]
    return sequences, summary


def coherence(sequences, label_of):
    """(bits, purity), each the mean over sequences weighted by tokens."""
    tokens = bits = purity = 0
    for sequence in sequences:
        counts = Counter()
        for doc, n in sequence:
            counts[label_of[doc]] += n
        total = sum(counts.values())
        tokens += total
        purity += max(counts.values())
        bits -= sum(n * math.log2(n / total) for n in counts.values())
    return bits / tokens, purity / tokens


def by_label(lens, label_of, length, seed):
    """Sequences made from the true labels."""
    draw = random.Random(seed)
    groups = defaultdict(list)
    for doc in lens:
        groups[label_of[doc]].append(doc)
    labels = sorted(groups)
    draw.shuffle(labels)
    sequences, now, room = [], [], length
    for label in labels:
        draw.shuffle(groups[label])
        for doc in groups[label]:
            left = lens[doc]
            while left > 0:
                take = min(left, room)
                now.append((doc, take))
                left, room = left - take, room - take
                if room == 0:
                    sequences.append(now)
                    now, room = [], length
    return sequences + ([now] if now else [])


def near_duplicates(runs):
    """The share of a sequence's documents that nearly repeat an earlier one, of a sample of each run, as docs/report.md defines it."""
    return f"{sum(summary['sample']['nearDuplicates'] for _, summary in runs) / len(runs) * 100:.1f} %"


def documents_used(sequences):
    """Distinct documents of which a sequence has tokens."""
    return len({doc for sequence in sequences for doc, n in sequence if n > 0})


def mean(pairs):
    pairs = list(pairs)
    return tuple(sum(values) / len(pairs) for values in zip(*pairs))


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("corpus", choices=CORPORA)
    parse.add_argument("--data", type=Path, required=True, help="directory with CORPUS.jsonl.zst and tokenizers/gpt2-tokenizer.json")
    parse.add_argument("--work", type=Path, default=ROOT / "out/coherence", help="where runs keep their stages and output")
    parse.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parse.add_argument("--seeds", type=int, default=3, help="runs whose mean is printed")
    parse.add_argument("--queries", choices=["extractive", "title"], default="extractive", help="built-in queries, or the documents' titles")
    parse.add_argument("--only", nargs="+", help="configurations whose names have one of these words")
    options = parse.parse_args()

    work = options.work / options.corpus
    work.mkdir(parents=True, exist_ok=True)
    rows = list(read_corpus(options.corpus, options.data))
    label_of = {row["id"]: row["label"] for row in rows}
    corpus = work / "corpus.jsonl"
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if not corpus.exists() or corpus.read_text() != text:
        corpus.write_text(text)
    tokenizer = options.data / "tokenizers/gpt2-tokenizer.json"
    queries = ["--predictor", "precomputed", "--query-field", "title"] if options.queries == "title" else []
    chosen = {name: flags for name, flags in configurations().items() if options.only is None or any(word in name for word in options.only)}
    seeds = range(options.seeds)

    print(f"{options.corpus}: {len(rows)} documents, {len(set(label_of.values()))} labels; queries: {options.queries}; mean of {options.seeds} seeds\n")
    print("| configuration | length | bits | of the way | purity | of the way | near-duplicates | one keyword | groups | documents used | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for length in options.lengths:
        runs = [weave(corpus, tokenizer, work, length, seed, ["--method", "standard"]) for seed in seeds]
        standard = [sequences for sequences, _ in runs]
        lens = Counter()
        for doc, n in (piece for sequence in standard[0] for piece in sequence):
            lens[doc] += n
        alone = (near_duplicates(runs), "", "", f"{len(lens) / len(rows) * 100:.1f} %", "")
        worst = mean(coherence(sequences, label_of) for sequences in standard)
        best = mean(coherence(by_label(lens, label_of, length, seed), label_of) for seed in seeds)

        def line(name, at, more=("", "", "", "", "")):
            way = [(low - x) / (low - high) * 100 for x, low, high in zip(at, worst, best)]
            print(f"| {name} | {length:,} | {at[0]:.3f} | {way[0]:.1f} % | {at[1]:.3f} | {way[1]:.1f} % | {' | '.join(more)} |", flush=True)

        line("Standard", worst, alone)
        for name, flags in chosen.items():
            start = time.time()
            runs = [weave(corpus, tokenizer, work, length, seed, queries + flags) for seed in seeds]
            shares, groups = runs[0][1]["shares"], runs[0][1]["plan"]["groupsPerSequence"]
            used = sum(documents_used(sequences) for sequences, _ in runs) / len(runs) / len(rows)
            more = (near_duplicates(runs), f"{shares['singleKeyword'] * 100:.0f} %", f"{groups['sum'] / max(1, runs[0][1]['plan']['sequences']):.1f}", f"{used * 100:.1f} %", f"{(time.time() - start) / options.seeds:.1f}")
            line(name, mean(coherence(sequences, label_of) for sequences, _ in runs), more)
        line("true labels", best)


main()
