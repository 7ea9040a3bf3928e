"""Writes corpora with the libraries that people write them with."""
import datetime
import decimal
import shutil
import uuid
from dataclasses import dataclass, field
from importlib.metadata import version

import datasets
import duckdb
import fastparquet
import pandas
import polars
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

ROWS = 300
TEXTS = [f"Document {i}. " + "Some words that repeat, as words do. " * (i % 23) + "ü" * (i % 3) for i in range(ROWS)]
NUMBERS = [i * 2_654_435_761 % 2**31 for i in range(ROWS)]
CODECS = ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]


@dataclass
class Corpus:
    library: str
    shape: str
    variant: str
    options: dict
    documents: list = field(default_factory=list)
    code: str | None = None


class Writer:
    """Collects the corpora of one library."""

    def __init__(self, folder, library):
        self.folder, self.library, self.made = folder, library, []
        self.name = f"{library} {version(library)}"

    def path(self, suffix):
        return str(self.folder / f"{self.library}-{len(self.made)}{suffix}")

    def add(self, shape, variant, path, ids=None, texts=TEXTS, text="text", id="id", code=None):
        """A corpus that was written; `ids` are strings or what `str` makes strings of."""
        ids = NUMBERS if ids is None else ids
        documents = [[str(i), t] for i, t in zip(ids, texts) if t]
        options = {"corpus": str(path), "textField": text, "idField": id}
        self.made.append(Corpus(self.name, shape, variant, options, documents, code))


def with_pyarrow(folder):
    out = Writer(folder, "pyarrow")
    table = pa.table({"id": pa.array(NUMBERS, pa.int64()), "text": TEXTS})
    for codec in CODECS:
        for page in ["1.0", "2.0"]:
            for encoding in ["dictionary", "PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]:
                path = out.path(".parquet")
                how = {} if encoding == "dictionary" else {"use_dictionary": False, "column_encoding": {"text": encoding, "id": "DELTA_BINARY_PACKED"}}
                pq.write_table(table, path, compression=codec, data_page_version=page, row_group_size=120, data_page_size=4096, **how)
                out.add("Parquet, codecs and encodings", f"{codec}, pages {page}, {encoding}", path)
    moments = [datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=i, microseconds=i * 1000) for i in range(ROWS)]
    iso = [moment.isoformat() if not moment.microsecond else moment.isoformat(timespec="milliseconds") for moment in moments]
    uuids = [uuid.UUID(int=i * 7**30 % 2**128) for i in range(ROWS)]
    ids = {
        "int8": (pa.array([i % 100 for i in range(ROWS)], pa.int8()), [i % 100 for i in range(ROWS)]),
        "uint64": (pa.array([2**64 - 1 - i for i in range(ROWS)], pa.uint64()), [2**64 - 1 - i for i in range(ROWS)]),
        "double": (pa.array([float(n) for n in NUMBERS]), NUMBERS),
        "float16": (pa.array([float(i) for i in range(ROWS)], pa.float16()), range(ROWS)),
        "decimal128": (pa.array([decimal.Decimal(n) for n in NUMBERS], pa.decimal128(20, 0)), NUMBERS),
        "decimal256": (pa.array([decimal.Decimal(n) for n in NUMBERS], pa.decimal256(50, 2)), NUMBERS),
        "uuid": (pa.array([u.bytes for u in uuids], pa.uuid()), uuids),
        "binary": (pa.array([u.bytes for u in uuids], pa.binary()), [u.hex for u in uuids]),
        "fixed binary": (pa.array([u.bytes for u in uuids], pa.binary(16)), [u.hex for u in uuids]),
        "timestamp[ms]": (pa.array(moments, pa.timestamp("ms")), iso),
        "timestamp[us] with a zone": (pa.array(moments, pa.timestamp("us", "UTC")), [moment + "Z" for moment in iso]),
        "date32": (pa.array([datetime.date(1969, 1, 1) + datetime.timedelta(i) for i in range(ROWS)]), [datetime.date(1969, 1, 1) + datetime.timedelta(i) for i in range(ROWS)]),
        "dictionary": (pa.array([f"k{i % 7}" for i in range(ROWS)]).dictionary_encode(), [f"k{i % 7}" for i in range(ROWS)]),
        "large string": (pa.array([f"k{i}" for i in range(ROWS)], pa.large_string()), [f"k{i}" for i in range(ROWS)]),
        "string view": (pa.array([f"k{i}" for i in range(ROWS)], pa.string_view()), [f"k{i}" for i in range(ROWS)]),
    }
    some = [None if i % 5 == 0 else t for i, t in enumerate(TEXTS)]
    pieces = [t.split(". ") for t in TEXTS]
    texts = {
        "binary": (pa.array([t.encode() for t in TEXTS]), TEXTS),
        "large binary": (pa.array([t.encode() for t in TEXTS], pa.large_binary()), TEXTS),
        "large string": (pa.array(TEXTS, pa.large_string()), TEXTS),
        "string view": (pa.array(TEXTS, pa.string_view()), TEXTS),
        "dictionary": (pa.array(TEXTS).dictionary_encode(), TEXTS),
        "nulls": (pa.array(some), some),
        "list": (pa.array(pieces), ["\n".join(p) for p in pieces]),
        "large list": (pa.array(pieces, pa.large_list(pa.string())), ["\n".join(p) for p in pieces]),
    }

    def all_ways(shape, variant, table, **of):
        for embedded in [True, False]:
            path = out.path(".parquet")
            pq.write_table(table, path, store_schema=embedded)
            plain = not embedded and shape == "ids by type" and variant == "binary"
            if not plain:
                out.add(f"Parquet, {shape}", variant, path, **of)
        for kind, codec in [("file", None), ("stream", None), ("file", "lz4"), ("stream", "zstd")]:
            path = out.path(".arrow")
            made = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
            with made(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
                writer.write_table(table, max_chunksize=100)
            out.add(f"Arrow, {shape}", f"{variant} ({kind}, {codec or 'plain'})", path, **of)

    for name, (column, shown) in ids.items():
        all_ways("ids by type", name, pa.table({"id": column, "text": TEXTS}), ids=list(shown))
    for name, (column, shown) in texts.items():
        all_ways("texts by type", name, pa.table({"id": NUMBERS, "text": column}), texts=shown)
    meta = pa.StructArray.from_arrays([pa.array(NUMBERS), pa.array([["x"]] * ROWS)], ["id", "tags"])
    doc = pa.StructArray.from_arrays([pa.array(TEXTS), pa.array([None] * ROWS, pa.string())], ["text", "title"])
    all_ways("fields within structs", "id and text", pa.table({"meta": meta, "doc": doc}), text="doc.text", id="meta.id")
    path = out.path(".parquet")
    pq.write_table(pa.table({"id": pa.array(moments, pa.timestamp("ns")), "text": [t.encode() for t in TEXTS]}), path, use_deprecated_int96_timestamps=True, store_schema=False)
    out.add("Parquet as Spark and Hive write it", "INT96 and text without annotation", path, ids=iso)
    path = out.path(".parquet")
    pq.write_table(pa.table({"id": [f"k{i}".encode() for i in range(ROWS)], "text": TEXTS}), path, store_schema=False)
    out.add("Parquet as Spark and Hive write it", "id without annotation", path, ids=[f"k{i}" for i in range(ROWS)])
    for codec in ["uncompressed", "lz4", "zstd"]:
        path = out.path(".feather")
        pyarrow.feather.write_feather(table, path, compression=codec)
        out.add("Feather 2", codec, path)
    return out.made


def with_duckdb(folder):
    out = Writer(folder, "duckdb")
    connection = duckdb.connect()
    connection.register("frame", pandas.DataFrame({"id": NUMBERS, "text": TEXTS}))

    def copy(query, codec="zstd", pages="V1"):
        path = out.path(".parquet")
        connection.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION {codec}, PARQUET_VERSION {pages}, ROW_GROUP_SIZE 2048)")
        return path

    for codec in ["uncompressed", "snappy", "gzip", "zstd", "lz4", "lz4_raw", "brotli"]:
        for pages in ["V1", "V2"]:
            out.add("Parquet, codecs", f"{codec}, {pages}", copy("SELECT id::BIGINT AS id, text FROM frame", codec, pages))
    for pages in ["V1", "V2"]:
        for kind, shown in [("INTEGER", NUMBERS), ("HUGEINT", NUMBERS), ("DECIMAL(20, 0)", NUMBERS), ("DOUBLE", NUMBERS), ("VARCHAR", NUMBERS), ("UBIGINT", NUMBERS)]:
            out.add("Parquet, ids by type", f"{kind.replace(', 0', '')}, {pages}", copy(f"SELECT id::{kind} AS id, text FROM frame", pages=pages), ids=shown)
        made = "('00000000-0000-4000-8000-' || lpad(id::VARCHAR, 12, '0'))::UUID"
        out.add("Parquet, ids by type", f"UUID, {pages}", copy(f"SELECT {made} AS id, text FROM frame", pages=pages), ids=[f"00000000-0000-4000-8000-{n:012}" for n in NUMBERS])
        out.add("Parquet, texts by type", f"struct, {pages}", copy("SELECT id, {'text': text, 'n': 1} AS doc FROM frame", pages=pages), text="doc.text")
        out.add("Parquet, texts by type", f"list, {pages}", copy("SELECT id, [text, 'end'] AS text FROM frame", pages=pages), texts=[t + "\nend" for t in TEXTS])
        hashes = "((hash(id) % 4294967296)::BIGINT - 2147483648)::INTEGER"
        shown = [row[0] for row in connection.sql(f"SELECT {hashes} FROM frame").fetchall()]
        code = "INPUT_UNSUPPORTED" if pages == "V2" else None
        out.add("Parquet, 32-bit hashes", pages, copy(f"SELECT {hashes} AS id, text FROM frame", pages=pages), ids=shown, code=code)
        out.add("Parquet, 32-bit hashes that are not asked for", pages, copy(f"SELECT {hashes} AS h, id, text FROM frame", pages=pages))
    return out.made


def with_polars(folder):
    out = Writer(folder, "polars")
    frame = polars.DataFrame({"id": NUMBERS, "text": TEXTS})
    words = [f"k{i % 7}" for i in range(ROWS)]
    shapes = {
        "plain": (frame, {}),
        "Categorical": (frame.with_columns(id=polars.Series(words, dtype=polars.Categorical)), {"ids": words}),
        "Enum": (frame.with_columns(id=polars.Series(words, dtype=polars.Enum(sorted(set(words))))), {"ids": words}),
        "Decimal": (frame.with_columns(id=polars.Series([decimal.Decimal(n) for n in NUMBERS], dtype=polars.Decimal(20, 0))), {}),
        "Binary": (frame.with_columns(id=polars.Series([b"\x00\xff"] * ROWS)), {"ids": ["00ff"] * ROWS}),
        "Float64": (frame.with_columns(id=polars.Series([float(n) for n in NUMBERS])), {}),
        "List": (frame.with_columns(text=polars.Series([[t, None, "end"] for t in TEXTS])), {"texts": [t + "\nend" for t in TEXTS]}),
        "Struct": (polars.DataFrame({"id": NUMBERS, "doc": [{"text": t, "n": 1} for t in TEXTS]}), {"text": "doc.text"}),
        "null texts": (frame.with_columns(text=polars.Series([None] * ROWS, dtype=polars.Null)), {"texts": [None] * ROWS}),
    }
    for codec in ["uncompressed", "snappy", "gzip", "zstd", "lz4", "brotli"]:
        path = out.path(".parquet")
        frame.write_parquet(path, compression=codec, row_group_size=100)
        out.add("Parquet, codecs", codec, path)
    for name, (shape, of) in shapes.items():
        path = out.path(".parquet")
        shape.write_parquet(path)
        out.add("Parquet, types", name, path, **of)
        for codec in ["uncompressed", "lz4", "zstd"]:
            path = out.path(".arrow")
            shape.write_ipc(path, compression=codec)
            out.add("Arrow, types", f"{name} (file, {codec})", path, **of)
            path = out.path(".ipc")
            shape.write_ipc_stream(path, compression=codec)
            out.add("Arrow, types", f"{name} (stream, {codec})", path, **of)
    return out.made


def with_fastparquet(folder):
    out = Writer(folder, "fastparquet")
    frame = pandas.DataFrame({"id": NUMBERS, "text": pandas.Series(TEXTS, dtype=object)})
    for codec in ["UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4", "LZ4_RAW", "BROTLI"]:
        path = out.path(".parquet")
        fastparquet.write(path, frame, compression=codec, row_group_offsets=100, object_encoding={"text": "utf8"})
        out.add("Parquet, codecs", codec, path)
    moments = pandas.date_range("2024-01-01", periods=ROWS, freq="s").astype("datetime64[ns]")
    iso = [moment.isoformat() for moment in moments]
    for name, shape, encoding, how, of in [
        ("text as bytes", frame.assign(text=[t.encode() for t in TEXTS]), "bytes", {}, {}),
        ("INT96", frame.assign(id=moments), "utf8", {"times": "int96"}, {"ids": iso}),
        ("categories", frame.assign(id=pandas.Categorical([f"k{i % 7}" for i in range(ROWS)])), "utf8", {}, {"ids": [f"k{i % 7}" for i in range(ROWS)]}),
        ("nullable integers", frame.assign(id=pandas.array(NUMBERS, dtype="Int64")), "utf8", {}, {}),
        ("null texts", frame.assign(text=pandas.Series([None if i % 3 else t for i, t in enumerate(TEXTS)], dtype=object)), "utf8", {}, {"texts": [None if i % 3 else t for i, t in enumerate(TEXTS)]}),
    ]:
        path = out.path(".parquet")
        fastparquet.write(path, shape, object_encoding={"text": encoding}, **how)
        out.add("Parquet, types", name, path, **of)
    return out.made


def with_datasets(folder):
    out = Writer(folder, "datasets")
    data = datasets.Dataset.from_dict({"id": NUMBERS, "text": TEXTS, "meta": [{"url": f"u{i}", "n": i} for i in range(ROWS)]})
    path = out.path(".parquet")
    data.to_parquet(path)
    out.add("Parquet", "to_parquet", path)
    path = out.path("")
    data.save_to_disk(path, num_shards=2)
    out.add("save_to_disk", "two shards", f"{path}/*.arrow")
    out.add("save_to_disk", "an id within a struct", f"{path}/*.arrow", ids=[f"u{i}" for i in range(ROWS)], id="meta.url")
    path = out.path("")
    labels = data.cast_column("id", datasets.Value("string"))
    labels.save_to_disk(path)
    out.add("save_to_disk", "ids as strings", f"{path}/*.arrow")
    return out.made


def everything(folder):
    """Writes all corpora below a folder, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return [corpus for make in [with_pyarrow, with_duckdb, with_polars, with_fastparquet, with_datasets] for corpus in make(folder)]
