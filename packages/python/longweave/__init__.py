"""longweave on a cluster: `longweave-worker`, an executable that runs tasks, and `longweave.ray`, which starts one on each node of a Ray cluster."""
import os
import sysconfig
from pathlib import Path

__version__ = "0.1.0"


def executable():
    """The path of `longweave-worker`: the one that LONGWEAVE_WORKER names, else that of this package."""
    named = os.environ.get("LONGWEAVE_WORKER")
    if named:
        return named
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", scheme=sysconfig.get_preferred_scheme("user"))]
    found = [path for folder in folders if (path := Path(folder) / "longweave-worker").exists()]
    if not found:
        raise FileNotFoundError(f"longweave-worker is not in {' or '.join(folders)}; install longweave again with pip")
    return str(found[0])
