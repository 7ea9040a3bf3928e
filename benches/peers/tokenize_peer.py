"""Tokenizing by Python's tokenizers in one batch call: `tokenize_peer.py TOKENIZER TEXTS [WARM]`. Threads by RAYON_NUM_THREADS."""
import json
import sys
import time

from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
tokenizer.no_truncation()
tokenizer.no_padding()
read = lambda path: open(path, encoding="utf-8", newline="").read().split("\0")[:-1]
if len(sys.argv) > 3:
    tokenizer.encode_batch_fast(read(sys.argv[3]), add_special_tokens=False)
texts = read(sys.argv[2])
size = sum(len(t.encode()) for t in texts)
start = time.perf_counter()
# As many texts in a call as a pipeline would hand over, so that encodings do not fill the memory.
tokens = sum(len(e.ids) for at in range(0, len(texts), 1000) for e in tokenizer.encode_batch_fast(texts[at:at + 1000], add_special_tokens=False))
print(json.dumps({"seconds": [time.perf_counter() - start], "bytes": size, "tokens": tokens}))
