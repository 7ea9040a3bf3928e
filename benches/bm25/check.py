"""BM25 lists of `topics` against bm25s (method `robertson`, the same k1 and b): `python benches/bm25/check.py [CORPUS…] [--topics N] [--out DIR]`.

CORPUS: names of the shared data (LONGWEAVE_DATA or ../shared/data). Topics are words of random documents, one to four of each, common ones
among them. Letters other than Latin and Cyrillic, and combining marks, where the two cut words differently, are left out of both. Needs a built clone
(`npm run setup`). Prints, for each corpus, the largest difference of a score and how many lists hold the
same documents; fails where a score differs by more than the rounding of float32 or a document is missing whose score no other has.
"""

import argparse
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import bm25s
import numpy as np
import zstandard

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LONGWEAVE_DATA", ROOT.parent / "shared" / "data"))
K1, B, DOCUMENTS = 1.2, 0.75, 256
# A score is a sum of a few whole numbers of 2⁻²⁰ here, of floats of 24 bits there.
TOLERANCE = 1e-5
# Characters that are neither Latin nor Cyrillic, and combining marks.
OTHERS = re.compile("[^\0-\u02ff\u0400-\u0482\u048a-\u052f]")


def rows(path):
    with open(path, "rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n"):
            yield OTHERS.sub(" ", json.loads(line)["text"])


def words(text):
    # A capital can become a letter and a mark: it is cut first.
    return [word.lower() for word in re.findall(r"[^\W_]+", text)]


def column(path, kind):
    """A column of longweave: 32 bytes, then its numbers."""
    return np.fromfile(path, dtype=kind, offset=32)


def found(texts, topics, out):
    """Documents and scores of each topic, by a run's work directory."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    corpus = out / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (out / "topics.txt").write_text("".join(json.dumps({"topic": f"{i}", "query": query}) + "\n" for i, query in enumerate(topics)))
    command = ["node", str(ROOT / "dist/cli/main.js"), "plan", "--corpus", corpus, "--tokenizer", DATA / "tokenizers/pythia-20b_tokenizer.json"]
    command += ["--method", "topics", "--topics", "file", "--topics-file", out / "topics.txt", "--topics-match", "any", "--topic-documents", DOCUMENTS, "--bm25-k1", K1, "--bm25-b", B]
    command += ["--length", 8192, "--incomplete", "pad", "--pad-token", "token:<|endoftext|>", "--work", out / "work", "--out", out / "run", "--quiet"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    (folder,) = (out / "work").glob("matches-*")
    ends, docs = column(folder / "00000.ends", "<u8").astype(int), column(folder / "00000.docs", "<u4")
    scores = column(folder / "00000.scores", "<u4") / 2**20
    starts = [0, *ends[:-1]]
    return [(docs[a:b], scores[a:b]) for a, b in zip(starts, ends)]


def check(name, number, out):
    raw = list(rows(DATA / f"{name}.jsonl.zst"))
    texts = [words(text) for text in raw]
    # Documents without a word count nowhere.
    numbers = [i for i, text in enumerate(texts) if text]
    draw = random.Random(name)
    topics = []
    while len(topics) < number:
        text = texts[draw.choice(numbers)]
        topics.append(" ".join(draw.choices(text, k=draw.randint(1, 4))))
    ours = found(raw, topics, out / name)
    peer = bm25s.BM25(method="robertson", idf_method="robertson", k1=K1, b=B)
    peer.index([texts[i] for i in numbers], show_progress=False)
    largest, same = 0.0, 0
    for query, (docs, scores) in zip(topics, ours):
        theirs = np.zeros(len(texts))
        theirs[numbers] = peer.get_scores(words(query))
        order = np.lexsort((np.arange(len(texts)), -theirs))
        best = [i for i in order[:DOCUMENTS] if theirs[i] > 0]
        assert len(best) == len(docs), f"{query}: {len(docs)} documents, not {len(best)}"
        if best:
            largest = max(largest, float(np.abs(theirs[docs] - scores).max()))
            # Documents whose scores hardly differ from the last one's may stand for each other.
            clear = {i for i in best if theirs[i] > theirs[best[-1]] + TOLERANCE}
            assert clear <= set(docs.tolist()), f"{query}: {sorted(clear - set(docs.tolist()))} are missing"
        same += set(best) == set(docs.tolist())
    assert largest < TOLERANCE, f"a score differs by {largest}"
    print(f"{name}: {len(texts):,} documents, {number} topics: scores differ by at most {largest:.1e}; {same} lists hold the same documents")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="*", default=["news20", "simplewiki"])
    parser.add_argument("--topics", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ROOT / "out/benches/bm25")
    given = parser.parse_args()
    for name in given.corpus:
        check(name, given.topics, given.out)


if __name__ == "__main__":
    main()
