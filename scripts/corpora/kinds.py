"""Writes a corpus of each kind that docs/corpora.md lists: files and directories, with the libraries that people write them with."""
import bz2
import gzip
import importlib
import importlib.util
import io
import itertools
import json
import lzma
import sys
import sysconfig
import tarfile
import types
from pathlib import Path

import datasets
import duckdb
import lz4.frame
import numpy
import pandas
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet as pq
import zstandard
from write import NUMBERS, ROWS, TEXTS, Corpus

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "readers"))
from stubs import empty  # noqa: E402

PACK = {
    "gz": ("gzip", lambda data: gzip.compress(data, mtime=0)),
    "zst": ("zstandard", zstandard.compress),
    "bz2": ("bz2", bz2.compress),
    "xz": ("lzma", lzma.compress),
    "lz4": ("lz4", lz4.frame.compress),
}
WORDS = 500
IDS = [[(i * 31 + j * 7) % WORDS + 2 for j in range(i % 40 * 9 + 1)] for i in range(ROWS)]


# The kinds of files, with their names and rows as the page shows them.
KINDS = {
    "JSON lines": ("`.jsonl`, `.ndjson`, `.json`", "a line"),
    "JSON array": ("`.json` that begins with `[`", "an element"),
    "tar archive (WebDataset)": ("`.tar`, `.tgz`", "a sample, or a line of `.jsonl`"),
    "packings of JSON and tar": ("`NAME.gz`, `.zst`, `.bz2`, `.xz`, `.lz4`", "that of the unpacked file"),
    "Parquet": ("`.parquet`", "a row"),
    "Arrow IPC, stream and file": ("`.arrow`, `.feather` (version 2), `.ipc`", "a row"),
    "lists of token ids (`tokensField`)": ("those of JSON, tar, Parquet and Arrow", "that of the file"),
    "token ids of Megatron-LM": ("`.idx`, with its `.bin`", "a document"),
    "token ids of datatrove": ("`.ds`, with its `.ds.index`", "a document"),
    "token ids of NumPy (OLMo)": ("`.npy`, with its `.csv.gz`", "a document"),
    "text": ("`.txt`, `.md`", "the whole file"),
}
# Directories as others leave them, with their contents that are left out.
DIRECTORIES = {
    "hive partitions": ("nothing; `lang=en` gives the column `lang`",),
    "`save_to_disk`": ("`dataset_info.json`, `dataset_dict.json`, `state.json`",),
    "clone of a dataset": ("`README.md`, `LICENSE.txt`, `dataset_infos.json`, `.git`, `.cache`",),
    "output of Spark": ("`_SUCCESS`, `.crc` files, `_temporary`",),
    "Delta table": ("`_delta_log`",),
    "model and corpus in one place": ("`tokenizer.json`, `config.json` and others of models",),
}


class Kinds:
    """Collects corpora by the kind, or shape, that the page shows."""

    def __init__(self, folder):
        self.folder, self.made = folder, []
        self.tokenizer = folder / "tokenizer.json"
        write_tokenizer(self.tokenizer)

    def directory(self):
        path = self.folder / f"kind-{len(self.made)}"
        path.mkdir()
        return path

    def add(self, kind, writer, path, documents=None, **options):
        """Documents as written, by default those of all kinds with the field `id`."""
        if documents is None:
            documents, options = [[str(n), text] for n, text in zip(NUMBERS, TEXTS)], {"idField": "id", **options}
        self.made.append(Corpus(writer, kind, "", {"corpus": str(path), **options}, documents))

    def add_tokens(self, kind, writer, path, ids, **options):
        documents = sorted([i, document] for i, document in zip(ids, IDS))
        self.add(kind, writer, path, documents, tokenizer=str(self.tokenizer), **options)

    def write(self, kind, writer, name, content, **of):
        path = self.directory() / name
        path.write_bytes(content)
        self.add(kind, writer, path, **of)


def write_tokenizer(path):
    vocabulary = {"<|endoftext|>": 0, "<pad>": 1, **{f"w{i}": i + 2 for i in range(WORDS)}}
    special = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for t, i in vocabulary.items() if i < 2]
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None, "decoder": None, "added_tokens": special}
    tokenizer |= {"pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<pad>"}}
    path.write_text(json.dumps(tokenizer))


ROWS_OF_JSON = [{"id": n, "text": text, "meta": {"n": i}} for i, (n, text) in enumerate(zip(NUMBERS, TEXTS))]


def json_lines(kinds):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS_OF_JSON).encode()
    frame = polars.DataFrame({"id": NUMBERS, "text": TEXTS})
    for ending in ["jsonl", "ndjson", "json"]:
        kinds.write("JSON lines", "json", f"a.{ending}", lines)
    kinds.write("JSON lines", "json", "a.jsonl", b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n\r\n"))
    for name, write in [
        ("pandas", lambda path: pandas.DataFrame(ROWS_OF_JSON).to_json(path, orient="records", lines=True)),
        ("polars", frame.write_ndjson),
        ("datasets", datasets.Dataset.from_list(ROWS_OF_JSON).to_json),
        ("duckdb", lambda path: duckdb_copy(path, "FORMAT json")),
    ]:
        path = kinds.directory() / "a.jsonl"
        write(str(path))
        kinds.add("JSON lines", name, path)


def duckdb_copy(path, how):
    connection = duckdb.connect()
    connection.register("frame", pandas.DataFrame({"id": NUMBERS, "text": TEXTS}))
    connection.sql(f"COPY (SELECT * FROM frame) TO '{path}' ({how})")


def json_arrays(kinds):
    for indent in [None, 1]:
        kinds.write("JSON array", "json", "a.json", json.dumps(ROWS_OF_JSON, indent=indent).encode())
    for name, write in [
        ("pandas", lambda path: pandas.DataFrame(ROWS_OF_JSON).to_json(path, orient="records")),
        ("polars", polars.DataFrame({"id": NUMBERS, "text": TEXTS}).write_json),
        ("duckdb", lambda path: duckdb_copy(path, "FORMAT json, ARRAY true")),
    ]:
        path = kinds.directory() / "a.json"
        write(str(path))
        kinds.add("JSON array", name, path)


def packings(kinds):
    lines = [json.dumps(row).encode() + b"\n" for row in ROWS_OF_JSON]
    array = json.dumps(ROWS_OF_JSON).encode()
    for ending, (library, pack) in PACK.items():
        whole, halves = pack(b"".join(lines)), pack(b"".join(lines[:99])) + pack(b"".join(lines[99:]))
        kinds.write("packings of JSON and tar", library, f"a.jsonl.{ending}", whole)
        kinds.write("packings of JSON and tar", library, f"a.ndjson.{ending}", halves)
        kinds.write("packings of JSON and tar", library, f"a.json.{ending}", pack(array))
        # Under a name that says another packing, or none.
        kinds.write("packings of JSON and tar", library, "a.jsonl", whole)
        kinds.write("packings of JSON and tar", library, "a.jsonl.gz", whole)
        kinds.write("packings of JSON and tar", library, f"a.tar.{ending}", pack(samples(tarfile.PAX_FORMAT)))
    kinds.write("packings of JSON and tar", "gzip", "a.jsonl.gz", PACK["gz"][1](b"".join(lines)) + bytes(512))
    kinds.write("packings of JSON and tar", "gzip", "a.tgz", PACK["gz"][1](samples(tarfile.GNU_FORMAT)))


def samples(form, members=None):
    """An archive of a `.json` and a `.txt` for each document, and a member that is passed over."""
    if members is None:
        of = [(f"{i:05}", n, text) for i, (n, text) in enumerate(zip(NUMBERS, TEXTS))]
        members = [part for key, n, text in of for part in ((f"{key}.json", json.dumps({"id": n})), (f"{key}.txt", text), (f"{key}.jpg", "\x00"))]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))
    return target.getvalue()


def archives(kinds):
    lines = [json.dumps(row) + "\n" for row in ROWS_OF_JSON]
    for name, form in [("ustar", tarfile.USTAR_FORMAT), ("GNU", tarfile.GNU_FORMAT), ("PAX", tarfile.PAX_FORMAT)]:
        writer, long = f"tarfile ({name})", "a" * 90 + "/" + "b" * 60
        kinds.write("tar archive (WebDataset)", writer, "a.tar", samples(form))
        members = [(f"{long}.jsonl", "".join(lines[:99])), ("README", "x"), ("z.jsonl", "".join(lines[99:]))]
        kinds.write("tar archive (WebDataset)", writer, "a.tar", samples(form, members))


def columns(kinds):
    table = pa.table({"id": NUMBERS, "text": TEXTS})
    frame = polars.DataFrame({"id": NUMBERS, "text": TEXTS})
    for kind, name, writer, write in [
        ("Parquet", "a.parquet", "pyarrow", lambda path: pq.write_table(table, path)),
        ("Parquet", "a.parquet", "polars", frame.write_parquet),
        ("Parquet", "a.parquet", "duckdb", lambda path: duckdb_copy(path, "FORMAT parquet")),
        ("Arrow IPC, stream and file", "a.feather", "pyarrow", lambda path: pyarrow.feather.write_feather(table, path)),
        ("Arrow IPC, stream and file", "a.arrow", "polars", frame.write_ipc),
        ("Arrow IPC, stream and file", "a.ipc", "polars", frame.write_ipc_stream),
    ]:
        path = kinds.directory() / name
        write(str(path))
        kinds.add(kind, writer, path)


def text_files(kinds):
    for ending, start in [("txt", ""), ("md", ""), ("txt", "\ufeff")]:
        folder, documents = kinds.directory(), []
        for i, text in enumerate(TEXTS[:50]):
            path = folder / ("deep" if i % 2 else ".") / f"{i}.{ending}"
            path.parent.mkdir(exist_ok=True)
            path.write_text(start + text)
            documents.append([f"{path.relative_to(folder)}:0", text])
        kinds.add("text", "open", folder, sorted(documents))


def token_lists(kinds):
    names = [f"d{i}" for i in range(ROWS)]
    rows = [{"id": name, "x": {"input_ids": ids}} for name, ids in zip(names, IDS)]
    path = kinds.directory() / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kinds.add_tokens("lists of token ids (`tokensField`)", "json", path, names, idField="id", tokensField="x.input_ids")
    of = {"id": names, "input_ids": IDS}
    data = datasets.Dataset.from_dict(of, features=datasets.Features(id=datasets.Value("string"), input_ids=datasets.List(datasets.Value("int32"))))
    for writer, name, write in [
        ("pyarrow", "a.parquet", lambda path: pq.write_table(pa.table({"id": names, "input_ids": pa.array(IDS, pa.list_(pa.uint16()))}), path)),
        ("polars", "a.arrow", polars.DataFrame(of).write_ipc),
        ("datasets", "saved", data.save_to_disk),
    ]:
        path = kinds.directory() / name
        write(str(path))
        kinds.add_tokens("lists of token ids (`tokensField`)", writer, path, names, idField="id", tokensField="input_ids")


def module(name):
    """A module of a package, without the modules that its packages import for other purposes."""
    steps = name.split(".")
    for n in range(1, len(steps)):
        package = types.ModuleType(".".join(steps[:n]))
        package.__path__ = [str(Path(sysconfig.get_paths()["purelib"], *steps[:n]))]
        sys.modules.setdefault(package.__name__, package)
    return importlib.import_module(name)


def megatron(kinds):
    empty("megatron", "torch")
    import megatron.core.msc_utils
    import torch.utils.data  # noqa: F401

    megatron.core.msc_utils.MultiStorageClientFeature.is_enabled = staticmethod(lambda: False)
    file = Path(sysconfig.get_paths()["purelib"], "megatron", "core", "datasets", "indexed_dataset.py")
    spec = importlib.util.spec_from_file_location("indexed_dataset", file)
    library = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(library)

    class Tensor(numpy.ndarray):
        def numpy(self):
            return self

        def numel(self):
            return self.size

    for kind in [numpy.uint16, numpy.int32, numpy.int64]:
        path = kinds.directory() / "a.idx"
        builder = library.IndexedDatasetBuilder(str(path.with_suffix(".bin")), dtype=kind)
        for i, document in enumerate(IDS):
            # Sentences of a document are sequences of their own.
            for part in [document[:5], document[5:]] if i % 3 == 0 and len(document) > 5 else [document]:
                builder.add_item(numpy.array(part).view(Tensor))
            builder.end_document()
        builder.finalize(str(path))
        kinds.add_tokens("token ids of Megatron-LM", "megatron-core", path.parent, [f"a.idx:{i}" for i in range(ROWS)])


def datatrove(kinds):
    from datatrove.pipeline.tokens.tokenizer import TokenizedFile

    for width in [2, 4]:
        folder = kinds.directory()
        file = TokenizedFile(str(folder), "a.ds", tokenizer_name_or_path="x", save_final_metadata=True, token_size=width)
        for document in IDS:
            file.write(document, None)
        file.close()
        kinds.add_tokens("token ids of datatrove", "datatrove", folder, [f"a.ds:{i}" for i in range(ROWS)])


def numpy_files(kinds):
    kind = "token ids of NumPy (OLMo)"
    library, data = module("dolma.tokenizer.memmap_writer"), module("dolma.tokenizer.data_types")
    names = [f'd{i},"x"' for i in range(ROWS)]
    for width in ["uint16", "uint32"]:
        folder = kinds.directory()
        with library.MemmapWriter(str(folder / "part-00000"), dtype=numpy.dtype(width), max_tokens=1 << 20) as writer:
            outputs = [data.TokenizerOutput.from_tokens(name, "a.json.gz", i, ids) for i, (name, ids) in enumerate(zip(names, IDS))]
            writer.write_many(outputs, flush=True)
        kinds.add_tokens(kind, "dolma", folder, [f"part-00000.npy:{i}" for i in range(ROWS)])
        kinds.add_tokens(kind, "dolma", folder, names, idField="id", sourceField="src")
    for width in ["uint8", "uint16", "int32", "int64"]:
        folder, small = kinds.directory(), [[i % 256 for i in ids] for ids in IDS]
        ends = [0, *itertools.accumulate(map(len, IDS))]
        numpy.save(folder / "a.npy", numpy.concatenate(small if width == "uint8" else IDS).astype(width))
        rows = "".join(f"{start},{end}\n" for start, end in itertools.pairwise(ends))
        (folder / "a.csv.gz").write_bytes(gzip.compress(rows.encode()))
        kinds.add_tokens(kind, "numpy", folder, [f"a.npy:{i}" for i in range(ROWS)])
        if width == "uint8":
            kinds.made[-1].documents = sorted([f"a.npy:{i}", ids] for i, ids in enumerate(small))


def directories(kinds):
    table = pa.table({"id": NUMBERS, "text": TEXTS, "lang": [["en", "de", None][i % 3] for i in range(ROWS)]})
    ordered = [[str(n), text] for part in [2, 1, 0] for i, (n, text) in enumerate(zip(NUMBERS, TEXTS)) if i % 3 == part]
    folder = kinds.directory()
    pyarrow.dataset.write_dataset(table, folder, format="parquet", partitioning=["lang"], partitioning_flavor="hive")
    kinds.add("hive partitions", "pyarrow", folder, ordered, idField="id")
    folder = kinds.directory()
    polars.DataFrame(table).write_parquet(folder, partition_by="lang", mkdir=True)
    kinds.add("hive partitions", "polars", folder, ordered, idField="id")
    folder = kinds.directory()
    connection = duckdb.connect()
    connection.register("frame", table)
    connection.sql(f"COPY frame TO '{folder}' (FORMAT json, PARTITION_BY (lang), OVERWRITE_OR_IGNORE)")
    kinds.add("hive partitions", "duckdb", folder, ordered, idField="id")
    path = kinds.directory() / "saved"
    datasets.Dataset.from_list(ROWS_OF_JSON).save_to_disk(str(path), num_shards=3)
    kinds.add("`save_to_disk`", "datasets", path)
    path = kinds.directory() / "saved"
    datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS_OF_JSON)).save_to_disk(str(path))
    kinds.add("`save_to_disk`", "datasets", path)
    lines = "".join(json.dumps(row) + "\n" for row in ROWS_OF_JSON)

    def beside(shape, writer, others):
        folder = kinds.directory()
        (folder / "part-00000.jsonl").write_text(lines)
        for name, content in others.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        kinds.add(shape, writer, folder)

    row = '{"id": 0, "text": "not a document"}\n'
    beside("clone of a dataset", "by hand", {"README.md": "card", "LICENSE.txt": "terms", "dataset_infos.json": "{}", ".gitattributes": "", ".git/a.txt": "x", ".cache/a.jsonl": row})
    beside("output of Spark", "by hand", {"_SUCCESS": "", ".part-00000.jsonl.crc": "x", "_temporary/0/a.jsonl": row})
    beside("Delta table", "by hand", {"_delta_log/00000000000000000000.json": row, "_delta_log/_last_checkpoint": "{}"})
    beside("model and corpus in one place", "by hand", {"tokenizer.json": "{}", "config.json": "{}", "tokenizer_config.json": "{}"})


def everything(folder):
    """Writes all kinds below a folder, which exists."""
    kinds = Kinds(folder)
    # megatron last: with an empty torch other libraries would not work.
    for make in [json_lines, json_arrays, archives, columns, token_lists, datatrove, numpy_files, text_files, packings, directories, megatron]:
        make(kinds)
    return kinds.made
