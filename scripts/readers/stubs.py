"""Empty modules in place of packages that a library imports and that reading its format does not use: `empty('torchvision', …)` before the import."""
import importlib.abc
import importlib.machinery
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
    def __init__(self, roots):
        self.roots = roots

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.roots:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module):
        pass


def empty(*roots):
    """From here on these packages are empty."""
    sys.meta_path.insert(0, Finder(set(roots)))
