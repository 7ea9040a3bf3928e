"""Which near-duplicates does longweave find, which does datasketch, and which are there?

Writes the texts of a corpus as JSONL, runs longweave with `--dedup near` over them, and datasketch (MinHashLSH) over the same sets of runs
of words. The exact pairs come from all sets: those with a Jaccard index of at least the threshold, found by prefix filtering (Bayardo et
al. 2007). Printed for each:

  pairs      pairs that were found: of longweave those in the files of the stage `pairs`, of datasketch those that share a band, and those of
             them whose estimated Jaccard index reaches the threshold
  precision  share of these pairs whose exact Jaccard index reaches the threshold
  recall     share of the exact pairs whose two documents the found pairs connect
  left out   documents that go if one of each cluster stays

Seconds are of one processor. Those of longweave are what `--dedup near` adds to a run, decoding of texts from their tokens included; those of
datasketch begin with the sets.

    python study.py news20 --data DIR --tokenizer FILE
"""

import argparse
import io
import json
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import zstandard
from datasketch import MinHash, MinHashLSH

ROOT = Path(__file__).resolve().parents[2]
WORDS = 5
HASHES = 128


def read_corpus(path):
    with open(path, "rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n"):
            yield json.loads(line)["text"]


def is_word(character):
    return unicodedata.category(character)[0] in "LMN" or character.isalnum()


ASCII_WORD = re.compile("[a-z0-9]+")


def runs(text):
    lower = text.lower()
    words = ASCII_WORD.findall(lower) if lower.isascii() else "".join(c if is_word(c) else " " for c in lower).split()
    if not words:
        return frozenset()
    size = min(WORDS, len(words))
    return frozenset(" ".join(words[i : i + size]) for i in range(len(words) - size + 1))


def jaccard(a, b):
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def exact_pairs(sets, threshold):
    """Pairs of documents with at least the threshold: two sets that have it share one of the rarest features of each."""
    frequency = Counter(run for own in sets for run in own)
    index = defaultdict(list)
    found = set()
    for document, own in sorted(enumerate(sets), key=lambda pair: len(pair[1])):
        if not own:
            continue
        least = -int(-threshold * len(own) // 1)
        prefix = sorted(own, key=lambda run: (frequency[run], run))[: len(own) - least + 1]
        candidates = {other for run in prefix for other in index[run] if len(sets[other]) >= threshold * len(own)}
        found.update((min(document, o), max(document, o)) for o in candidates if jaccard(own, sets[o]) >= threshold)
        for run in prefix:
            index[run].append(document)
    return found


class Clusters:
    def __init__(self, size, pairs):
        self.parents = list(range(size))
        for a, b in pairs:
            self.parents[self.root(a)] = self.root(b)

    def root(self, document):
        while self.parents[document] != document:
            self.parents[document] = self.parents[self.parents[document]]
            document = self.parents[document]
        return document


def report(name, pairs, sets, exact, threshold, seconds):
    clusters = Clusters(len(sets), pairs)
    right = sum(jaccard(sets[a], sets[b]) >= threshold for a, b in pairs)
    found = sum(clusters.root(a) == clusters.root(b) for a, b in exact)
    left_out = len(sets) - len({clusters.root(document) for document in range(len(sets))})
    share = lambda part, all: f"{part / all:.2%}" if all else "–"
    print(f"{name:24} {len(pairs):9,} pairs  precision {share(right, len(pairs)):>8}  recall {share(found, len(exact)):>8}  {left_out:7,} left out  {seconds:8.1f} s")


def run(texts, folder, flags):
    """Weaves the texts; returns the processor seconds of the process."""
    with open(folder / "corpus.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    command = ["node", str(ROOT / "dist/cli/main.js"), "run", "--corpus", str(folder / "corpus.jsonl"), "--method", "standard", "--length", "4096"]
    command += ["--format", "megatron", "--threads", "1", "--out", str(folder / "out"), "--quiet", *flags]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def longweave(texts, tokenizer, threshold):
    """The pairs, and the seconds that a run takes longer with `--dedup near` than without."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as plain:
        folder, tokenizer = Path(folder), ["--tokenizer", str(tokenizer)]
        near = ["--dedup", "near", "--near-threshold", str(threshold), "--near-words", str(WORDS), "--near-hashes", str(HASHES)]
        seconds = run(texts, folder, tokenizer + near) - run(texts, Path(plain), tokenizer)
        pairs = set()
        for path in folder.glob("out/.work/pairs-*/*.pairs"):
            body = path.read_bytes()[32:]
            numbers = struct.unpack(f"<{len(body) // 4}I", body)
            pairs.update((min(a, b), max(a, b)) for a, b in zip(numbers[::2], numbers[1::2]))
        return pairs, seconds


def datasketch(sets, threshold):
    start = time.process_time()
    lsh = MinHashLSH(threshold=threshold, num_perm=HASHES)
    signatures = []
    for document, own in enumerate(sets):
        signature = MinHash(num_perm=HASHES)
        signature.update_batch([run.encode() for run in own])
        signatures.append(signature)
        if own:
            lsh.insert(document, signature)
    pairs = set()
    for document, own in enumerate(sets):
        if own:
            pairs.update((min(document, o), max(document, o)) for o in lsh.query(signatures[document]) if o != document)
    seconds = time.process_time() - start
    near = {(a, b) for a, b in pairs if signatures[a].jaccard(signatures[b]) >= threshold}
    return pairs, near, seconds, (lsh.b, lsh.r)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="name of DIR/NAME.jsonl.zst, whose rows have `text`")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--documents", type=int, default=None, help="the first N only")
    options = parser.parse_args()
    texts = list(read_corpus(options.data / f"{options.corpus}.jsonl.zst"))[: options.documents]
    sets = [runs(text) for text in texts]
    print(f"{options.corpus}: {len(texts):,} documents, threshold {options.threshold}")
    exact = exact_pairs(sets, options.threshold)
    report("exact", exact, sets, exact, options.threshold, 0)
    pairs, seconds = longweave(texts, options.tokenizer, options.threshold)
    report("longweave", pairs, sets, exact, options.threshold, seconds)
    candidates, near, seconds, (bands, rows) = datasketch(sets, options.threshold)
    report(f"datasketch {bands} × {rows}", candidates, sets, exact, options.threshold, seconds)
    report("  compared", near, sets, exact, options.threshold, seconds)
    print(f"peak memory of this process, sets included: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
