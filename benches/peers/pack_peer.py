"""Packing documents in random order as Python users do: `pack_peer.py IDS ENDS LENGTH PASSES FOLDER PEER`.

`numpy` gathers in memory; `tofile` writes what numpy has gathered, and all others do with their own writers. Seconds include gathering, but for `write`, which
are those of the writer alone. Nothing here calls fsync, which longweave does. Of megatron-core only the file with its builder is loaded: the package needs torch."""
import importlib.util
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "readers"))
from stubs import empty  # noqa: E402

ids = np.fromfile(sys.argv[1], np.uint32).astype(np.int32)
ends = np.fromfile(sys.argv[2], np.uint64).astype(np.int64)
length, passes, folder, peer = int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]), sys.argv[6]
random = np.random.default_rng(0)
starts = np.concatenate([[0], ends[:-1]])
end = np.zeros(1, np.int32)


def gather():
    parts = []
    for document in random.permutation(len(ends)):
        parts.append(ids[starts[document]:ends[document]])
        parts.append(end)
    packed = np.concatenate(parts)
    return packed[: len(packed) // length * length].reshape(-1, length)


def numpy():
    return lambda rows: None


def pyarrow():
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(rows):
        offsets = pa.array(np.arange(0, rows.size + 1, length), pa.int32())
        column = pa.ListArray.from_arrays(offsets, pa.array(rows.reshape(-1)))
        pq.write_table(pa.table({"input_ids": column}), folder / "peer.parquet", compression="zstd", row_group_size=max(1, (64 << 20) // (4 * length)))
        return (folder / "peer.parquet").stat().st_size

    return write


def mosaicml_streaming():
    # Its reading side imports these; the writer does not use them.
    empty("torch", "torchvision", "transformers", "pandas")
    from streaming.base.format.mds.writer import MDSWriter

    columns = {"domain": "str", "indices": "ndarray:uint32", "input_ids": "ndarray:uint32", "length": "int"}

    def write(rows):
        shutil.rmtree(folder / "peer", ignore_errors=True)
        spans = np.array([[0, length]], np.uint32)
        with MDSWriter(out=str(folder / "peer"), columns=columns, size_limit="1gb", progress_bar=False) as out:
            for row in rows.astype(np.uint32):
                out.write({"domain": "standard", "indices": spans, "input_ids": row, "length": length})

    return write


def megatron_core():
    found = importlib.util.find_spec("megatron")
    path = Path(next(iter(found.submodule_search_locations))) / "core" / "datasets" / "indexed_dataset.py"
    empty("torch", "megatron", "boto3")
    import torch.utils.data  # noqa: F401

    spec = importlib.util.spec_from_file_location("indexed_dataset", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.MultiStorageClientFeature = type("None", (), {"is_enabled": staticmethod(lambda: False)})
    module.log_single_rank = lambda *_: None

    def write(rows):
        builder = module.IndexedDatasetBuilder(str(folder / "peer.bin"), dtype=np.uint16)
        for row in rows:
            builder.add_document(row, [length])
        builder.finalize(str(folder / "peer.idx"))

    return write


def datatrove():
    from datatrove.pipeline.tokens.tokenizer import TokenizedFile

    def write(rows):
        file = TokenizedFile(str(folder), "peer.ds", save_final_metadata=True, tokenizer_name_or_path="pythia", token_size=2)
        for row in rows:
            file.write(row.tolist(), None)
        file.close()

    return write


def tofile():
    def write(rows):
        rows.astype(np.uint16).tofile(folder / "peer.npy")

    return write


def datasets():
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars
    from datasets.table import InMemoryTable

    disable_progress_bars()

    def write(rows):
        offsets = pa.array(np.arange(0, rows.size + 1, length), pa.int32())
        column = pa.ListArray.from_arrays(offsets, pa.array(rows.reshape(-1)))
        Dataset(InMemoryTable(pa.table({"input_ids": column}))).save_to_disk(folder / "peer-datasets", num_shards=1)

    return write


def litdata():
    # Its reading side imports these; of torch the writer asks only whether it is one of several processes.
    empty("torch", "torchvision", "boto3", "botocore", "obstore", "requests", "tifffile", "urllib3")
    import torch.distributed
    import torch.utils.data

    torch.distributed.is_initialized = lambda: False
    torch.utils.data.get_worker_info = lambda: None
    from litdata.streaming.item_loader import TokensLoader
    from litdata.streaming.writer import BinaryWriter

    def write(rows):
        shutil.rmtree(folder / "peer-litdata", ignore_errors=True)
        writer = BinaryWriter(str(folder / "peer-litdata"), chunk_bytes=1 << 28, item_loader=TokensLoader())
        for number, row in enumerate(rows.astype(np.uint16)):
            writer[number] = row
        writer.done()
        writer.merge()

    return write


write = globals()[peer.replace("-", "_")]()
seconds, writing, written = [], [], None
for _ in range(passes):
    start = time.perf_counter()
    rows = gather()
    middle = time.perf_counter()
    written = write(rows)
    writing.append(time.perf_counter() - middle)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"tokens": rows.size, "seconds": seconds, "write": writing, "bytes": written}))
