"""Quest as a user would write it today from pip packages: `whole_peer.py CORPUS.jsonl TOKENIZER LENGTH OUT`.
Query: the first three sentences; keywords: RAKE, score at least 3; representative: the commonest below a cap of 0.2 %; documents of one
keyword one after another in random order, cut at the length; Parquet with the documents' ids."""
import json
import random
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nltk.tokenize import wordpunct_tokenize
from rake_nltk import Rake
from tokenizers import Tokenizer

corpus, tokenizer_file, length, out, stop_list = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5]
random.seed(0)
tokenizer = Tokenizer.from_file(tokenizer_file)
separator = np.array([tokenizer.token_to_id("<|endoftext|>")], np.int32)
stop = {w for w in open(stop_list, encoding="utf-8").read().split("\n") if w and not w.startswith("#")}
rake = Rake(stopwords=stop, sentence_tokenizer=lambda text: [text], word_tokenizer=wordpunct_tokenize)
sentence = re.compile(r"(?<=[.!?])\s+")

ids, tokens, candidates = [], [], []
batch = []


def flush():
    for encoding in tokenizer.encode_batch_fast([text for _, text in batch], add_special_tokens=False):
        tokens.append(np.array(encoding.ids, np.int32))
    for name, text in batch:
        ids.append(name)
        rake.extract_keywords_from_text(" ".join(sentence.split(text, 3)[:3]))
        candidates.append({phrase for score, phrase in rake.get_ranked_phrases_with_scores() if score >= 3})
    batch.clear()


with open(corpus, encoding="utf-8", newline="\n") as lines:
    for line in lines:
        row = json.loads(line)
        batch.append((row["id"], row["text"]))
        if len(batch) == 1000:
            flush()
flush()

frequency = Counter(phrase for phrases in candidates for phrase in phrases)
cap = max(50, int(0.002 * len(ids)))
groups = defaultdict(list)
for document, phrases in enumerate(candidates):
    allowed = [p for p in phrases if frequency[p] <= cap] or list(phrases)
    if allowed:
        groups[max(allowed, key=lambda p: (frequency[p], p))].append(document)

order = []
names = sorted(groups)
random.shuffle(names)
for name in names:
    random.shuffle(groups[name])
    order.extend(groups[name])
stream = np.concatenate([part for document in order for part in (tokens[document], separator)])
rows = len(stream) // length
documents, at, row = [[] for _ in range(rows)], 0, 0
for document in order:
    size = len(tokens[document]) + 1
    for row in range(at // length, min((at + size - 1) // length, rows - 1) + 1):
        documents[row].append(ids[document])
    at += size
flat = stream[: rows * length]
column = pa.ListArray.from_arrays(pa.array(np.arange(0, rows * length + 1, length), pa.int32()), pa.array(flat))
out.mkdir(parents=True, exist_ok=True)
pq.write_table(pa.table({"input_ids": column, "doc_ids": documents}), out / "peer.parquet", compression="zstd")
print(json.dumps({"sequences": rows, "tokens": int(flat.size), "documents": len(ids)}))
