"""An earlier build to measure against: a commit of this repository, unpacked and built in out/benches/baseline/COMMIT by its own set-up."""
import os
import subprocess
import sys

from measure import ROOT

# The build that the aims of speed are stated against.
COMMIT = "ccd743b"


def baseline(commit=COMMIT):
    """Where the commit is built. The first call takes as long as a cold build."""
    folder = ROOT / "out" / "benches" / "baseline" / commit
    built = folder / ".built"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
        if archive.returncode != 0:
            raise SystemExit(f"commit {commit} is not in this clone: fetch its history first (git fetch --unshallow)")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        # What it prints goes to the other stream: standard output is the benchmarks'.
        environment = {**os.environ, "CARGO_TARGET_DIR": str(folder / "target")}
        subprocess.run(["node", "scripts/setup.mjs"], cwd=folder, env=environment, stdout=sys.stderr, check=True)
        built.touch()
    return folder


def cli(folder=ROOT):
    """The command line of a built checkout."""
    return ["node", folder / "dist" / "cli" / "main.js"]
