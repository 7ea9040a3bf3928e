"""Packing documents in random order with numpy, and writing them with pyarrow: `pack_peer.py TOKENS LENGTH PASSES FOLDER`."""
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

wanted, length, passes, folder = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
random = np.random.default_rng(0)
lens = 20 + random.integers(0, 100, wanted // 400) * random.integers(0, 20, wanted // 400)
ends = np.cumsum(lens)
ends = ends[: np.searchsorted(ends, wanted) + 1]
ids = (50_000 // (1 + random.integers(0, 49_999, ends[-1]))).astype(np.int32)
starts = np.concatenate([[0], ends[:-1]])
end = np.zeros(1, np.int32)


def gather():
    parts = []
    for document in random.permutation(len(ends)):
        parts.append(ids[starts[document]:ends[document]])
        parts.append(end)
    packed = np.concatenate(parts)
    return packed[: len(packed) // length * length].reshape(-1, length)


def timed(work):
    seconds = []
    for _ in range(passes):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return seconds, result


seconds, packed = timed(gather)


def write():
    rows = gather()
    offsets = pa.array(np.arange(0, rows.size + 1, length), pa.int32())
    column = pa.ListArray.from_arrays(offsets, pa.array(rows.reshape(-1)))
    pq.write_table(pa.table({"input_ids": column}), folder / "peer.parquet", compression="zstd", row_group_size=max(1, (64 << 20) // (4 * length)))


print(json.dumps({"tokens": packed.size, "gather": seconds, "parquet": timed(write)[0]}))
