"""What each reader gives, compared token by token and piece by piece with what Python's tokenizers gives for the documents."""
import io
import json
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.parquet as parquet
import zstandard
from datasets import load_dataset, load_from_disk
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
        #: The largest id that can occur.
        self.largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
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


#: Columns that `columns` adds, and the numbers that they have.
TRAINER_COLUMNS = {
    "seq_lengths": lambda row, length: [end - start for start, end in spans(row, length)],
    "position_ids": lambda row, length: positions(row, length),
    "attention_mask": lambda row, length: [
        number if at < row["n_tokens"] else 0 for number, (start, end) in enumerate(spans(row, length), 1) for at in range(start, end)
    ],
    "labels": lambda row, length: row["input_ids"][: row["n_tokens"]] + [-100] * (length - row["n_tokens"]),
    "label_mask": lambda row, length: [int(at < row["n_tokens"]) for at in range(length)],
}


def check_columns(rows, length):
    """Rows with all columns for trainers."""
    by_context = defaultdict(set)
    for row in rows:
        assert len(row["loss_weights"]) == length
        for start, end in spans(row, length):
            for at in range(start, end):
                weight = row["loss_weights"][at]
                if at < row["n_tokens"]:
                    by_context[(at - start + 1).bit_length()].add(weight)
                else:
                    assert weight == 0
    weights = [by_context[context] for context in sorted(by_context)]
    assert all(len(same) == 1 for same in weights) and weights == sorted(weights, key=min), weights
    for number, row in enumerate(rows):
        for name, told in TRAINER_COLUMNS.items():
            assert row[name] == told(row, length), f"{name} of sequence {number}"
    return rows


def read_trainer_parquet(directory):
    return [row for file in sorted(directory.glob("*.parquet")) for row in rows_of(parquet.read_table(file))]


def read_saved(directory):
    """The rows of a saved dataset, with the provenance."""
    data = load_from_disk(str(directory))
    rows = beside(directory, list(data["input_ids"]))
    for row, more in zip(rows, data):
        row.update(more)
    return rows


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


def local_mds(directory, python):
    """The samples of MDS by mosaicml-streaming's LocalDataset."""
    output = subprocess.run([python, Path(__file__).parent / "read_mds.py", directory], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def beside(directory, sequences):
    """The rows of the provenance, each with its token ids."""
    rows = [row for file in sorted((directory / "provenance").glob("*.parquet")) for row in rows_of(parquet.read_table(file))]
    assert len(sequences) == len(rows), f"{len(sequences)} sequences, {len(rows)} rows of provenance"
    for ids, row in zip(sequences, rows):
        row["input_ids"] = ids
    return rows


def spans(row, length):
    """Begin and end of each document: a begin token of the sequence belongs to the first, padding to the last."""
    starts = [0] + [int(start) for start in row["doc_starts"][1:]]
    return [list(span) for span in zip(starts, starts[1:] + [length])]


def positions(row, length):
    """Places of tokens, counted from each document's first."""
    return [place for start, end in spans(row, length) for place in range(end - start)]


def check_mds(samples, directory, length, indices):
    """What a reader of MDS gave, with the provenance from beside it."""
    rows = beside(directory, [sample["input_ids"] for sample in samples])
    for sample, row in zip(samples, rows):
        assert sample["types"] == ["uint32", "uint32"] and sample["length"] == length, sample["types"]
        assert sample["indices"] == ([[0, length]] if indices == "sequence" else spans(row, length)), "indices"
    return rows


class Process:
    """Readers in a process of their own: `script` answers as answers.py says."""

    def __init__(self, python, script):
        self.process = subprocess.Popen([python, Path(__file__).parent / script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, reader, directory, length, **more):
        self.process.stdin.write(json.dumps({"reader": reader, "directory": str(directory), "length": length, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the process of {reader} ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Trainers(Process):
    """The datasets of Megatron-LM, datatrove and mosaicml-streaming."""

    def __init__(self, python):
        super().__init__(python, "read_trainers.py")

    def megatron(self, directory, length, wide):
        """Megatron's IndexedDataset."""
        answer = self.ask("megatron", directory, length)
        assert answer["types"] == ["int32" if wide else "uint16"], answer["types"]
        return beside(directory, answer["sequences"])

    def gpt(self, directory, length, rows, eod):
        """Megatron's GPTDataset: each sample is a sequence. Its own positions, begun anew after each `eod`, are the documents'."""
        samples = self.ask("gpt", directory, length, eod=eod)["samples"]
        assert len({sample["sequence"] for sample in samples}) == len(samples) > 0, "each sequence at most once"
        for sample in samples:
            row = rows[sample["sequence"]]
            told, n = positions(row, length), row["n_tokens"]
            assert sample["positions"][:n] == told[:n], f"positions of sequence {sample['sequence']}"
        return len(samples)

    def datatrove(self, directory, length):
        """datatrove's folder dataset, windows of `length` tokens and their positions."""
        answer = self.ask("datatrove", directory, length)
        rows = beside(directory, answer["sequences"])
        for number, (row, told) in enumerate(zip(rows, answer["positions"])):
            assert told == positions(row, length), f"positions of sequence {number}"
        return rows

    def streaming(self, directory, length, indices, hash=None):
        """mosaicml-streaming's StreamingDataset."""
        return check_mds(self.ask("streaming", directory, length, hash=hash)["samples"], directory, length, indices)


class Examples(Process):
    """The datasets of OLMo-core, LitData, TRL and MaxText."""

    def __init__(self, python):
        super().__init__(python, "read_examples.py")

    def olmo(self, directory, length, largest, eos):
        """OLMo-core's NumpyFSLDataset: windows, label masks, documents of the csv and, where each document ends with the token `eos`, of the windows."""
        dtype = "uint16" if largest < 65_536 else "uint32"
        answer = self.ask("olmo", directory, length, dtype=dtype, eos=eos, vocabulary=largest + 1)
        rows, first = beside(directory, answer["sequences"]), 0
        for file, documents in zip(sorted(directory.glob("*.npy")), answer["documents"]):
            count = file.stat().st_size // (int(dtype[4:]) // 8) // length
            told = [[at * length + start, at * length + end] for at, row in enumerate(rows[first:first + count]) for start, end in spans(row, length)]
            assert documents == told, f"documents of {file.name}"
            first += count
        for number, (row, mask) in enumerate(zip(rows, answer["masks"])):
            assert mask == [at < row["n_tokens"] for at in range(length)], f"label mask of sequence {number}"
            if eos is not None and row["n_tokens"] == length:
                assert answer["lengths"][number] == [end - start for start, end in spans(row, length)], f"documents of sequence {number}"
        return rows

    def maxtext(self, reader, directory, length, **more):
        """A dataset of MaxText over files that have no more than ids."""
        return beside(directory, self.ask(reader, directory, length, **more)["sequences"])

    def grain_parquet(self, directory, length):
        """Grain's dataset over Parquet."""
        rows = read_pyarrow(directory)
        sequences = self.ask("grain_parquet", directory, length)["sequences"]
        assert sequences == [row["input_ids"] for row in rows], "ids"
        return rows

    def litdata(self, directory, length, largest):
        """LitData's TokensLoader."""
        answer = self.ask("litdata", directory, length)
        assert answer["types"] == ["uint16" if largest < 65_536 else "int32"], answer["types"]
        return beside(directory, answer["sequences"])

    def trl(self, directory, length):
        """TRL's collator: positions and ends of documents. The first token of a document has no label."""
        batches = self.ask("trl", directory, length)["batches"]
        rows = beside(directory, [batch["input_ids"] for batch in batches])
        for number, (row, batch) in enumerate(zip(rows, batches)):
            told = positions(row, length)
            assert batch["position_ids"] == told, f"positions of sequence {number}"
            assert batch["cu_seq_lens_q"] == [0] + [end for _, end in spans(row, length)], f"ends of documents of sequence {number}"
            labels = [-100 if place == 0 or at >= row["n_tokens"] else id for at, (id, place) in enumerate(zip(row["input_ids"], told))]
            assert batch["labels"] == labels, f"labels of sequence {number}"
        return rows


class Levanter(Process):
    """Levanter's `prebuilt` format."""

    def __init__(self, python):
        super().__init__(python, "read_levanter.py")

    def parquet(self, directory, length):
        """Its examples, with each column of weights. The last token of a sequence has no label, and padding has no weight."""
        rows = read_trainer_parquet(directory)
        for column in ("label_mask", "loss_weights"):
            answer = self.ask("levanter", directory, length, weights=column)
            assert answer["sequences"] == [row["input_ids"] for row in rows], "ids"
            for number, (row, weights) in enumerate(zip(rows, answer["weights"])):
                assert weights == [float(weight) for weight in row[column][:-1]] + [0.0], f"{column} of sequence {number}"
        return rows
