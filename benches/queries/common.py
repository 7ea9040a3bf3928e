"""Writes crates/language/data/common.txt: `python common.py simplewiki.jsonl.zst smart.txt OUT`. Needs zstandard.
Words are counted in lower case only, so that names stay out, once a document."""
import collections
import io
import json
import re
import sys

import zstandard

stop = {line.strip() for line in open(sys.argv[2], encoding="utf-8") if not line.startswith("#")}
count = collections.Counter()
with open(sys.argv[1], "rb") as file:
    for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8", newline="\n"):
        words = set(re.findall(r"(?<![\w'-])[a-z]{2,}(?![\w'-])", json.loads(line)["text"]))
        count.update(words - stop)
with open(sys.argv[3], "w", encoding="utf-8") as out:
    out.write("# The 2,048 commonest words of Simple English Wikipedia that are not in the SMART list, commonest first (benches/queries/common.py).\n")
    out.writelines(word + "\n" for word, _ in sorted(count.items(), key=lambda c: (-c[1], c[0]))[:2048])
