"""Tokens of texts as packing takes them: `tokens_peer.py TOKENIZER IDS ENDS TEXTS…`. IDS: u32, documents end to end; ENDS: u64, where each ends."""
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
texts = [text for path in sys.argv[4:] for text in Path(path).read_text(encoding="utf-8").split("\0") if text]
lengths = []
with open(sys.argv[2], "wb") as file:
    for at in range(0, len(texts), 1000):
        for encoding in tokenizer.encode_batch_fast(texts[at:at + 1000], add_special_tokens=False):
            np.array(encoding.ids, np.uint32).tofile(file)
            lengths.append(len(encoding.ids))
np.cumsum(np.array(lengths, np.uint64)).tofile(sys.argv[3])
