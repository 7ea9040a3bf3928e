"""Writes the queries of an exported model for a corpus, as JSON lines {"id", "queries"}, for the study in crates/predict/examples.

In: the model's directory (tools/export makes it) and rows of qa-pairs.jsonl.zst, one line for each different passage of a split, or of another
corpus with id and text. A text is read to its first 128 tokens, as the model was trained. Out: FILE.greedy.jsonl, and FILE.3.jsonl and FILE.6.jsonl
with so many samples (top-k 25, top-p 0.95; each text's random numbers are keyed by seed and id).
"""
import argparse, io, json, sys, time, zlib
from pathlib import Path

import numpy as np
import zstandard
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/export"))
from runtime import Seq2Seq

FREE = {"MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0"}
INPUT, TARGET, SAMPLES, TOP_K, TOP_P = 128, 32, 6, 25, 0.95


def texts(path, split, free):
    seen = set()
    with open(path, "rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n"):
            row = json.loads(line)
            if split and (row["split"] != split or (free and row["license"] not in FREE)):
                continue
            text = row["passage"] if split else row["text"]
            key = (row["source"], text) if split else row["id"]
            if key not in seen:
                seen.add(key)
                yield row["id"], text


def choose(logits, uniform):
    """For each row the place among its k best: of the fewest that together have TOP_P, one drawn by their shares. uniform < 0: the best."""
    share = np.exp(logits - logits[:, :1])
    share /= share.sum(axis=1, keepdims=True)
    before = np.cumsum(share, axis=1) - share
    share[before >= TOP_P] = 0
    bounds = np.cumsum(share, axis=1)
    return np.where(uniform < 0, 0, (bounds < (uniform * bounds[:, -1])[:, None]).sum(axis=1))


def generate(model, rows, uniform):
    """uniform: [texts, ways, TARGET]. The ids of each text and way, without marks."""
    ways = uniform.shape[1]
    lengths, cross = model.encode(rows)
    lengths, cross = np.repeat(lengths, ways), {name: np.repeat(value, ways, axis=0) for name, value in cross.items()}
    live = np.arange(len(lengths))
    uniform = uniform.reshape(len(lengths), -1)
    past, tokens, made = model.empty(len(lengths)), np.full(len(lengths), model.config["decoder_start_token_id"]), [[] for _ in lengths]
    end = model.config["eos_token_id"]
    open_ = np.ones(len(lengths), bool)
    for at in range(TARGET):
        out, past = model.step(tokens, lengths, cross, past, k=TOP_K)
        tokens = np.take_along_axis(out["top_ids"], choose(out["top_logits"], uniform[live, at])[:, None], axis=1)[:, 0]
        open_[live[tokens == end]] = False
        for row, token in zip(live, tokens):
            if open_[row]:
                made[row].append(int(token))
        going = open_[live]
        if not going.any():
            break
        if 2 * going.sum() <= len(live):
            live, tokens, lengths = live[going], tokens[going], lengths[going]
            cross, past = ({name: value[going] for name, value in part.items()} for part in (cross, past))
    return [made[i : i + ways] for i in range(0, len(made), ways)]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("model", type=Path)
    ap.add_argument("data", help="a .jsonl.zst file")
    ap.add_argument("out", metavar="FILE")
    ap.add_argument("--split", help="of qa-pairs: train or valid")
    ap.add_argument("--free", action="store_true", help="only the sources that the model was trained on")
    ap.add_argument("--every", type=int, default=1, help="only one text in so many")
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()
    model, tokenizer = Seq2Seq(args.model, args.threads), Tokenizer.from_file(str(args.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(INPUT)
    ids, every = zip(*list(texts(args.data, args.split, args.free))[:: args.every])
    encoded = [e.ids for e in tokenizer.encode_batch(list(every))]
    order = sorted(range(len(ids)), key=lambda i: len(encoded[i]))
    found, begun, told = [[]] * len(ids), time.time(), time.time()
    for at in range(0, len(order), args.batch):
        chosen = order[at : at + args.batch]
        drawn = np.stack([np.random.default_rng([args.seed, zlib.crc32(ids[i].encode())]).random((SAMPLES + 1, TARGET)) for i in chosen])
        drawn[:, 0] = -1
        for i, ways in zip(chosen, generate(model, [encoded[i] for i in chosen], drawn)):
            found[i] = [tokenizer.decode(way).strip() for way in ways]
        if time.time() - told > 30:
            told = time.time()
            print(f"{at + len(chosen)} of {len(ids)} texts in {told - begun:.0f} s", flush=True)
    for name, part in (("greedy", slice(0, 1)), ("3", slice(1, 4)), ("6", slice(1, 7))):
        with open(f"{args.out}.{name}.jsonl", "w", encoding="utf-8") as out:
            for i, queries in zip(ids, found):
                out.write(json.dumps({"id": i, "queries": queries[part]}, ensure_ascii=False) + "\n")
    print(f"{len(ids)} texts in {time.time() - begun:.0f} s")


if __name__ == "__main__":
    main()
