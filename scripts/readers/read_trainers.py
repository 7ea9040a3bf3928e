"""Reads outputs with the datasets of Megatron-LM, datatrove and mosaicml-streaming, which need torch. answers.py has the protocol. One process for all, because importing
megatron-core alone takes many seconds."""
import os
import tempfile
from pathlib import Path

from answers import serve
from stubs import empty

# Of mosaicml-streaming only what collates batches of transformers uses these.
empty("torchvision", "transformers", "pandas")
os.environ["LOGURU_LEVEL"] = "ERROR"

import numpy  # noqa: E402
import humanize  # noqa: E402
from datatrove.pipeline.tokens.merger import load_doc_ends  # noqa: E402
from datatrove.utils.dataset import DatatroveFolderDataset  # noqa: E402
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig  # noqa: E402
from megatron.core.datasets.indexed_dataset import IndexedDataset  # noqa: E402
from megatron.core.datasets.utils import Split  # noqa: E402
from streaming import StreamingDataset  # noqa: E402
from streaming.base.util import clean_stale_shared_memory  # noqa: E402


def prefixes(directory):
    return [str(file)[:-4] for file in sorted(Path(directory).glob("shard_*.idx"))]


def megatron(directory, length):
    """The entries of all pairs of files."""
    sequences, types = [], set()
    for prefix in prefixes(directory):
        data = IndexedDataset(prefix)
        assert data.sequence_lengths.tolist() == [length] * len(data), "lengths of entries"
        assert data.document_indices.tolist() == list(range(len(data) + 1)), "documents of entries"
        types.add(str(data[0].dtype))
        sequences += [data[number].tolist() for number in range(len(data))]
    return {"sequences": sequences, "types": sorted(types)}


class Tokenizer:
    """What GPTDataset asks of a tokenizer; the padding token is one that never occurs, so that no token is replaced."""

    def __init__(self, eod):
        self.eod, self.eos, self.pad, self.vocab_size, self.unique_identifiers = eod, eod, -1, None, {"eod": eod}


def gpt(directory, length, eod):
    """The samples of GPTDataset over one epoch with `--seq-length length`, pair by pair, as entries of the pair: which, the label after it, positions that begin anew at `eod`."""
    # A mask has length² elements.
    samples, first, masks = [], 0, length <= 4096
    for prefix in prefixes(directory):
        entries = IndexedDataset(prefix)
        if len(entries) > 1:
            with tempfile.TemporaryDirectory() as cache:
                config = GPTDatasetConfig(
                    random_seed=7, sequence_length=length, split="1,0,0", path_to_cache=cache, tokenizer=Tokenizer(eod),
                    reset_position_ids=True, reset_attention_mask=True, eod_mask_loss=False, create_attention_mask=masks,
                )
                data = GPTDataset(entries, prefix, numpy.arange(len(entries), dtype=numpy.int32), None, Split.train, config)
                order = data.document_index.tolist()
                assert sorted(order) == list(range(len(entries))), "an epoch has every entry once"
                assert len(data) == len(entries) - 1, "all entries but the last, which no token follows"
                for number in range(len(data)):
                    sample, at = data[number], int(data.shuffle_index[number])
                    tokens, labels = sample["tokens"].tolist(), sample["labels"].tolist()
                    assert tokens == entries[order[at]].tolist(), f"sample {number} is one entry"
                    assert labels == tokens[1:] + [int(entries[order[at + 1]][0])], f"labels of sample {number}"
                    positions = sample["position_ids"].numpy()
                    if masks:
                        # It says True where a token may not look.
                        rows = numpy.arange(length)
                        begins = rows - positions
                        allowed = (rows[None, :] <= rows[:, None]) & (rows[None, :] >= begins[:, None])
                        assert (sample["attention_mask"][0].numpy() != allowed).all(), f"attention mask of sample {number}"
                    samples.append({"sequence": first + order[at], "positions": positions.tolist()})
        first += len(entries)
    return {"samples": samples}


def datatrove(directory, length):
    """The windows of a folder's dataset, their positions from the index, and what the metadata say."""
    files = sorted(Path(directory).glob("*.ds"))
    sizes = set()
    for file in files:
        name, tokens, words = Path(f"{file}.metadata").read_text().split("\n")
        size = int(name.split("|")[1])
        sizes.add(size)
        assert file.stat().st_size == size * int(tokens), f"{file.name}.metadata"
        assert words == humanize.metric(int(tokens), unit="T"), f"{file.name}.metadata says {words}"
        with open(f"{file}.index", "rb") as index:
            assert int(load_doc_ends(index)[-1]) == int(tokens), f"{file.name}.index"
    assert len(sizes) == 1, sizes
    data = DatatroveFolderDataset(directory, length - 1, token_size=sizes.pop(), return_positions=True)
    rows = [data[number] for number in range(len(data))]
    return {"sequences": [row["input_ids"].tolist() for row in rows], "positions": [row["positions"].tolist() for row in rows]}


def streaming(directory, length, hash=None):
    """The samples of StreamingDataset, which copies and unpacks shards from `directory` as from a bucket, checks them, and leaves them as they are."""
    del length
    before = sorted(file.name for file in Path(directory).iterdir())
    with tempfile.TemporaryDirectory() as local:
        clean_stale_shared_memory()
        data = StreamingDataset(remote=directory, local=local, shuffle=False, batch_size=1, num_canonical_nodes=1, validate_hash=hash)
        samples = [
            {"input_ids": sample["input_ids"].tolist(), "indices": sample["indices"].tolist(), "length": int(sample["length"]), "types": [str(sample["input_ids"].dtype), str(sample["indices"].dtype)]}
            for sample in data
        ]
        del data
    assert sorted(file.name for file in Path(directory).iterdir()) == before
    return {"samples": samples}


serve(megatron, gpt, datatrove, streaming)
