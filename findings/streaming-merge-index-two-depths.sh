#!/bin/sh
# mosaicml-streaming 0.13.0: merge_index over folders of two depths names one shard twice and the other never.
# The merged index has paths of shards relative to the root. Expected: "x/…" for root/x and "deep/x/…" for root/deep/x, which
# have the samples 0 and 1. Seen: only the last folder of a path is kept, so that both are "x/…": a reader of the merged index
# reads the samples of root/x twice, and those of root/deep/x never, without an error.
# Needs: python3; mosaicml-streaming 0.13.0 from PyPI, and of what it imports all but torch, torchvision, transformers and pandas,
# which are five gigabytes and not used here: empty modules take their places. Fails if the behaviour changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-deps mosaicml-streaming==0.13.0 brotli==1.2.1 catalogue==2.0.10 \
  cramjam==2.14.0 filelock==4.2.12 numpy==2.1.3 pillow==11.3.0 python-snappy==0.7.3 tqdm==4.70.1 typing_extensions==4.16.0 \
  xxhash==3.8.2 zstandard==0.25.0 zstd==1.5.7.2
venv/bin/python - <<'P'
import importlib.abc, importlib.machinery, json, logging, sys, types
class Empty(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__module__": self.__name__})
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "transformers", "pandas"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return Empty(spec.name)
    def exec_module(self, module):
        pass
sys.meta_path.insert(0, Finder())
logging.disable(logging.WARNING)
import streaming
from streaming import MDSWriter
from streaming.base.util import merge_index
for sample, folder in enumerate(("root/x", "root/deep/x")):
    with MDSWriter(out=folder, columns={"n": "int"}) as out:
        out.write({"n": sample})
merge_index("root", keep_local=True)
names = sorted(shard["raw_data"]["basename"] for shard in json.load(open("root/index.json"))["shards"])
print(f"mosaicml-streaming {streaming.__version__}, shards of the merged index: {names}")
if names != ["x/shard.00000.mds", "x/shard.00000.mds"]:
    sys.exit("changed: x/shard.00000.mds was expected twice")
P
