"""Reads outputs with the datasets of OLMo-core, LitData, TRL and MaxText, most of which need torch. answers.py has the protocol."""
import importlib.util
import sys
import types
from pathlib import Path

from answers import serve
from stubs import empty
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

# LitData reads images with it. Transformers, which TRL brings, would look into it.
empty("torchvision")

import numpy  # noqa: E402
from datasets import load_from_disk  # noqa: E402
from grain.experimental import ParquetIterDataset  # noqa: E402
from litdata import StreamingDataset, TokensLoader  # noqa: E402
from olmo_core.data.numpy_dataset import NumpyFSLDataset  # noqa: E402
from olmo_core.data.utils import iter_document_indices  # noqa: E402


def maxtext(module):
    """A module of MaxText's input pipeline, without the package's own imports, of which there are a hundred."""
    if "maxtext" not in sys.modules:
        package = Path(importlib.util.find_spec("maxtext").origin).parent
        for name in ("maxtext", "maxtext.input_pipeline"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [str(package.joinpath(*name.split(".")[1:]))]
    return importlib.import_module(f"maxtext.input_pipeline.{module}")


def files(directory, pattern):
    return [str(file) for file in sorted(Path(directory).glob(pattern))]


def olmo(directory, length, dtype, eos, vocabulary):
    """The instances of OLMo-core's NumpyFSLDataset with their label masks and, where documents end with `eos`, their lengths; documents as it reads them from the csv."""
    paths = files(directory, "*.npy")
    data = NumpyFSLDataset(
        *paths, sequence_length=length, pad_token_id=vocabulary, eos_token_id=vocabulary if eos is None else eos, vocab_size=vocabulary + 1,
        dtype=getattr(numpy, dtype), label_mask_paths=files(directory, "label_mask/*.npy"), generate_doc_lengths=eos is not None,
    )
    rows = [data[number] for number in range(len(data))]
    return {
        "sequences": [row["input_ids"].tolist() for row in rows],
        "masks": [row["label_mask"].tolist() for row in rows],
        "lengths": None if eos is None else [row["doc_lens"].tolist() for row in rows],
        "documents": [list(iter_document_indices(path, use_array_if_local=False)) for path in paths],
    }


def olmo_grain(directory, length, dtype):
    """The instances of MaxText's reader of OLMo-core's files."""
    olmo_data, grain = maxtext("olmo_data"), maxtext("olmo_data_grain")
    index = olmo_data.build_index(
        [(path, "all") for path in files(directory, "*.npy")], length, tokenizer="", header_reader=lambda path: olmo_data.read_raw_metadata_from_path(path, dtype)
    )
    data = grain.OlmoNpyDataSource(index)
    return {"sequences": [data[number]["tokens"].tolist() for number in range(len(data))]}


def mmap(directory, length):
    """The entries of Megatron's files by MaxText's reader."""
    del length
    data = maxtext("_mmap_datasource").MultiShardMMapIndexedDataSource([path[:-4] for path in files(directory, "shard_*.idx")])
    return {"sequences": [data[number]["text"].tolist() for number in range(len(data))]}


def grain_parquet(directory, length):
    """The rows of Parquet by Grain's dataset, which MaxText opens."""
    del length
    rows = [row for path in files(directory, "*.parquet") for row in ParquetIterDataset(path)]
    return {"sequences": [row["input_ids"].tolist() for row in rows]}


def litdata(directory, length):
    """The blocks of LitData's TokensLoader."""
    data = StreamingDataset(input_dir=directory, item_loader=TokensLoader(block_size=length), shuffle=False, drop_last=False)
    blocks = [data[number] for number in range(len(data))]
    return {"sequences": [block.tolist() for block in blocks], "types": sorted({str(block.dtype).removeprefix("torch.") for block in blocks})}


def trl(directory, length):
    """Of each row of a saved dataset, the batch of TRL's collator for training without padding."""
    del length
    collator = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    rows = []
    for row in load_from_disk(directory):
        batch = collator([{name: row[name] for name in ("input_ids", "labels", "seq_lengths")}])
        rows.append({name: batch[name].flatten().tolist() for name in ("input_ids", "labels", "position_ids", "cu_seq_lens_q")})
    return {"batches": rows}


serve(olmo, olmo_grain, mmap, grain_parquet, litdata, trl)
