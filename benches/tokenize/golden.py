"""Writes the ids that the Python packages give for texts and any tokenizers.

    pip install tokenizers==0.23.3 sentencepiece mistral-common
    python benches/tokenize/golden.py --out golden.json --each 200 --texts DATA/*.jsonl.zst -- FILE...
    cargo run --profile quick -p longweave-tokens --example tokenizer_table -- golden.json

A tokenizer.json is read by tokenizers, a SentencePiece model by sentencepiece, a tekken.json by
mistral-common. Besides the texts of the corpora (`--each` of each file, at equal distances) there
are texts of ties, punctuation, unusual characters, and around each tokenizer's own added tokens.
golden.json holds the texts, and a checksum of each text's ids. It belongs outside the repository:
texts and tokenizers are other people's.
"""

import argparse
import array
import json
import pathlib
import random
import subprocess
import time
import zlib

FIXTURES = pathlib.Path(__file__).parent.parent.parent / "crates/tokens/tests/fixtures/tokenizers/golden.json"


def lines(path):
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", str(path)], check=True, capture_output=True).stdout.split(b"\n")
    return path.read_bytes().split(b"\n")


def corpus(paths, each):
    texts = []
    for path in paths:
        rows = [line for line in lines(path) if line]
        for line in rows[:: max(1, len(rows) // each)][:each]:
            row = json.loads(line)
            texts.append(row.get("text") or row.get("passage") or "")
    return texts


def odd_texts(count):
    """Texts of runs, ties and characters of all planes, the same each time."""
    draw = random.Random(17)
    runs = [mark * n for mark in "-_=.!#*~ \n" for n in range(1, 40)]
    pieces = ["the", " The", "x", " 12", "3", "\n", "\t", "  ", "'s", "'LL", "é", "ß", "你好", "の", "한", "ا", "ह", "ก", "😀", "\u200d", "\u0301", "-", "--", "…", "“", "</", ">", "<", "\r\n", "\u00a0", "▁", "ﬁ", "①", "Ａ", "\u2e80", "\U0001d54f"]
    mixed = ["".join(draw.choice(pieces) for _ in range(draw.randrange(1, 40))) for _ in range(count)]
    characters = [f"a{chr(draw.randrange(0x20, 0x33480))}b" for _ in range(count)]
    characters = [text for text in characters if not 0xD800 <= ord(text[1]) <= 0xDFFF]
    return runs + mixed + characters + json.loads(FIXTURES.read_text(encoding="utf-8"))["texts"]


def around(tokens):
    return [text for t in tokens for text in (t, f"x{t}y", f" {t} ", f"a {t}  {t}{t}\n", t[:-1], t.upper())]


def checksum(ids):
    return zlib.crc32(array.array("I", ids).tobytes())


def open_tokenizer(path):
    """Its encoding, its own tokens, and whether special tokens are text."""
    if path.suffix == ".model":
        import sentencepiece
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        return model.encode, [], True
    if path.name.startswith("tekken"):
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer
        model = Tekkenizer.from_file(str(path))
        return lambda text: model.encode(text, bos=False, eos=False), ["<s>", "</s>", "[INST]"], True
    from tokenizers import Tokenizer
    model = Tokenizer.from_file(str(path))
    model.no_padding()
    model.no_truncation()
    own = [token.content for token in model.get_added_tokens_decoder().values()]
    return lambda text: model.encode(text, add_special_tokens=False).ids, own[:60] + own[-20:], False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--texts", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    texts = corpus(arguments.texts, arguments.each)
    odd = odd_texts(600)
    golden = {"texts": texts, "odd": odd, "tokenizers": []}
    for path in arguments.files:
        start = time.process_time()
        try:
            encode, own, as_text = open_tokenizer(path)
        except Exception as error:
            print(f"{path}: {error}")
            golden["tokenizers"].append({"path": str(path), "error": str(error)})
            continue
        load = time.process_time() - start
        own = around(own)
        start = time.process_time()
        sums = [checksum(encode(text)) for text in texts]
        seconds = time.process_time() - start
        sums += [checksum(encode(text)) for text in odd + own]
        golden["tokenizers"].append({
            "path": str(path), "asText": as_text, "loadSeconds": load, "seconds": seconds, "own": own, "checksums": sums,
        })
        print(path, round(load, 2), round(seconds, 1))
    arguments.out.write_text(json.dumps(golden), encoding="utf-8")


main()
