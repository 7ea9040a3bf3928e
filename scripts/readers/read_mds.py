"""Reads an MDS output with mosaicml-streaming's LocalDataset, a sample a line of JSON: `read_mds.py DIRECTORY`.

The library imports torch and others that its reading of MDS does not use; importing torch costs five gigabytes. So empty modules stand in for them; the code
that reads shards is the real one."""
import importlib.abc
import importlib.machinery
import json
import sys
import types


class Stub(types.ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    roots = {"torch", "torchvision", "transformers", "pandas"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.roots:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Finder())

from streaming import LocalDataset  # noqa: E402

data = LocalDataset(sys.argv[1])
for number in range(len(data)):
    sample = data[number]
    types_ = [str(sample["input_ids"].dtype), str(sample["indices"].dtype)]
    print(json.dumps({
        "input_ids": sample["input_ids"].tolist(), "indices": sample["indices"].tolist(), "length": int(sample["length"]), "domain": sample["domain"], "types": types_,
    }))
