"""What each reader gives, compared token by token and piece by piece with what Python's tokenizers gives for the documents."""
import io
import json
import subprocess
import tempfile
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.parquet as parquet
import zstandard
from datasets import load_dataset
from tokenizers import Tokenizer

SCHEMA = {
    "input_ids": pyarrow.list_(pyarrow.field("element", pyarrow.int32(), nullable=False)),
    "n_tokens": pyarrow.int32(),
    "doc_ids": pyarrow.list_(pyarrow.field("element", pyarrow.string(), nullable=False)),
    **{name: pyarrow.list_(pyarrow.field("element", pyarrow.uint32(), nullable=False)) for name in ("doc_starts", "doc_lens", "doc_offsets")},
    "reasons": pyarrow.list_(pyarrow.field("element", pyarrow.string(), nullable=True)),
    "groups": pyarrow.list_(pyarrow.field("element", pyarrow.uint32(), nullable=False)),
}


class Expected:
    """The documents' tokens by Python's tokenizers, and what stands around them."""

    def __init__(self, corpus, tokenizer, special):
        tokenizer = Tokenizer.from_file(str(tokenizer))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        rows = [json.loads(line) for line in open(corpus, encoding="utf-8", newline="\n")]
        encodings = tokenizer.encode_batch([row["text"] for row in rows], add_special_tokens=False)
        self.tokens = {row["id"]: encoding.ids for row, encoding in zip(rows, encodings)}
        one = lambda name: [tokenizer.token_to_id(name)] if name else []
        separator = special.get("separator", "<|endoftext|>")
        self.separator = tokenizer.encode(separator[5:], add_special_tokens=False).ids if separator.startswith("text:") else one(separator)
        self.sequence, self.document, self.pad = one(special.get("sequence")), one(special.get("document")), one(special.get("pad"))

    def check(self, row, length):
        """Raises where a sequence is not what its pieces say."""
        ids, at = list(row["input_ids"]), len(self.sequence)
        assert len(ids) == length, f"{len(ids)} tokens"
        assert ids[:at] == self.sequence, "the begin token of the sequence"
        assert len(set(row["doc_ids"])) == len(row["doc_ids"]), "a document stands twice"
        for doc, start, size, offset in zip(row["doc_ids"], row["doc_starts"], row["doc_lens"], row["doc_offsets"]):
            assert start == at and size > 0, f"piece of {doc} begins at {start}, not at {at}"
            whole = self.document + self.tokens[doc] + self.separator
            # A piece at offset 0 begins with the begin token, or right after it where that stood at the end of the sequence before.
            starts = {offset + len(self.document)} | ({0} if offset == 0 else set())
            assert any(whole[s:s + size] == ids[at:at + size] for s in starts), f"tokens of {doc} from {offset} on"
            at += size
        assert at == row["n_tokens"], f"pieces end at {at}, n_tokens is {row['n_tokens']}"
        assert ids[at:] == self.pad * (length - at), "padding"


def rows_of(table):
    return table.to_pylist()


def read_pyarrow(directory):
    tables = [parquet.read_table(file) for file in sorted(directory.glob("*.parquet"))]
    for table in tables:
        assert {field.name: field.type for field in table.schema} == SCHEMA, table.schema
    return [row for table in tables for row in rows_of(table)]


def read_duckdb(directory):
    relation = duckdb.sql(f"select * from read_parquet('{directory}/*.parquet', filename = true) order by filename, file_row_number")
    names = [column for column in relation.columns if column not in ("filename", "file_row_number")]
    return [dict(zip(relation.columns, row)) for row in relation.fetchall()] if names else []


def read_polars(directory):
    return polars.concat([polars.read_parquet(file) for file in sorted(directory.glob("*.parquet"))]).to_dicts()


def read_datasets(directory):
    with tempfile.TemporaryDirectory() as cache:
        data = load_dataset("parquet", data_files=[str(file) for file in sorted(directory.glob("*.parquet"))], split="train", cache_dir=cache)
        return [dict(row) for row in data]


def read_jsonl(directory):
    rows = []
    for file in sorted(directory.glob("*.jsonl*")):
        raw = open(file, "rb")
        stream = zstandard.ZstdDecompressor().stream_reader(raw) if file.suffix == ".zst" else raw
        rows += [json.loads(line) for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n")]
    return rows


def read_mds(directory, python, length, indices):
    """MDS by mosaicml-streaming, provenance from beside it."""
    output = subprocess.run([python, Path(__file__).parent / "read_mds.py", directory], check=True, capture_output=True, text=True).stdout
    samples = [json.loads(line) for line in output.splitlines()]
    provenance = [row for file in sorted((directory / "provenance").glob("*.parquet")) for row in rows_of(parquet.read_table(file))]
    assert len(samples) == len(provenance), f"{len(samples)} samples, {len(provenance)} rows of provenance"
    for sample, row in zip(samples, provenance):
        assert sample["types"] == ["uint32", "uint32"] and sample["length"] == length, sample["types"]
        starts = [0] + [int(s) for s in row["doc_starts"][1:]]
        spans = [[0, length]] if indices == "sequence" else [list(span) for span in zip(starts, starts[1:] + [length])]
        assert sample["indices"] == spans, "indices"
        row["input_ids"] = sample["input_ids"]
    return provenance
