#!/bin/sh
# mosaicml-streaming 0.13.0: with `num_canonical_nodes` that does not divide the samples, an epoch has samples twice.
# Canonical nodes get equal numbers of samples, so that some samples are given to two. Expected: an epoch of len() samples, or
# a last canonical node that has fewer. Seen: 10 samples and 3 canonical nodes make an epoch of 12, in which two samples come
# twice, while len() says 10. Its own partitioning function shows it, without a process group or files.
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
from streaming.base.partition import get_partitions
print(f"mosaicml-streaming {streaming.__version__}, 10 samples")
counts = {}
for nodes in (1, 2, 3, 4):
    order = [sample for sample in get_partitions("relaxed", 10, nodes, 1, 1, 1, 1).flatten().tolist() if sample >= 0]
    counts[nodes] = len(order)
    print(f"  {nodes} canonical nodes: {len(order)} samples, {len(order) - len(set(order))} of them again: {order}")
if counts != {1: 10, 2: 10, 3: 12, 4: 12}:
    sys.exit("changed: 10, 10, 12 and 12 samples were expected")
P
