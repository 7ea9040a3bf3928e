#!/bin/sh
# datasets 5.2.0: lists of int32 become int64 by format "numpy", and by a map of a stream unless its features are passed.
# Both are silent, and double the memory of token ids. Expected: a column keeps the type that `features` says it has, as it
# does in `map` of a dataset that is not a stream. Seen: with_format("numpy") gives int64, of a number and of lists;
# `map` of a stream forgets all features, and a file written from it has int64.
# Needs: python3; datasets 5.2.0, pyarrow 26.0.1 and numpy 2.1.3 from PyPI. Fails if the behaviour changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 numpy==2.1.3
HF_HOME=$folder HF_DATASETS_DISABLE_PROGRESS_BARS=1 venv/bin/python - <<'P'
import sys
import datasets
import pyarrow.parquet as parquet
datasets.disable_progress_bars()
features = datasets.Features({"ids": datasets.List(datasets.Value("int32"))})
data = datasets.Dataset.from_dict({"ids": [[1, 2], [3, 4]]}, features=features)
def written(stream, name):
    stream.to_parquet(name)
    return str(parquet.read_schema(name).field("ids").type.value_type)
def same(row):
    return {"ids": row["ids"]}
seen = {
    "format numpy": str(data.with_format("numpy")[0]["ids"].dtype),
    "map": data.map(same).features["ids"].feature.dtype,
    "map of a stream": written(data.to_iterable_dataset().map(same), "a.parquet"),
    "map of a stream, features passed": written(data.to_iterable_dataset().map(same, features=features), "b.parquet"),
}
print(f"datasets {datasets.__version__}, lists of int32:")
for way, dtype in seen.items():
    print(f"  {way}: {dtype}")
if list(seen.values()) != ["int64", "int32", "int64", "int32"]:
    sys.exit("changed: int64, int32, int64, int32 were expected")
P
