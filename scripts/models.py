"""Query models against transformers: `python3 scripts/models.py [--rows N]`. Part of the full tier of tests.

Runs the exporter's own tests, then compares longweave's greedy answers token by token with those of transformers' generate, on real passages of the shared data
(LONGWEAVE_DATA or ../shared/data; skipped where it is missing), for random models of T5-small's shape, in our layout and optimum's, in batches of
1, 7 and 64. Needs a built clone (`npm run setup`) and PyPI for torch (5 GB), which goes into out/models/.venv unless the Python that runs this has what is needed."""
import argparse
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXPORT = ROOT / "tools" / "export"
OUT = ROOT / "out" / "models"
PYTHON = OUT / ".venv" / "bin" / "python"
DATA = Path(os.environ.get("LONGWEAVE_DATA", ROOT.parent / "shared" / "data"))
NEEDED = ("torch", "transformers", "onnx", "onnxruntime", "optimum", "zstandard")

if any(importlib.util.find_spec(name) is None for name in NEEDED):
    if Path(sys.executable) == PYTHON:
        raise SystemExit(f"{PYTHON} lacks one of {', '.join(NEEDED)}; delete its folder and run this again")
    print(f"▸ Installing torch and transformers in {PYTHON.parent.parent.relative_to(ROOT)}", flush=True)
    venv.create(PYTHON.parent.parent, with_pip=True, clear=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", EXPORT / "requirements.txt", "zstandard"], check=True)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])


def engine(rows: int, tokens: int) -> str:
    """longweave as compare.py calls it."""
    command = ["node", ROOT / "dist/cli/main.js", "predict", "--corpus", "{input}", "--id-field", "id", "--model", "{model}", "--out", "{output}", "--token-ids"]
    command += ["--device", "cpu", "--decoding", "greedy", "--max-query-tokens", "24", "--segment-tokens", "511", "--decode-rows", rows, "--batch-tokens", tokens]
    return " ".join(f"'{part}'" for part in command)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a further checkpoint, that of models/doc2query-mini for one")
    given = parser.parse_args()
    subprocess.run([sys.executable, "-m", "unittest"], cwd=EXPORT, check=True)
    if not (DATA / "qa-pairs.jsonl.zst").exists():
        print(f"0 passed, 0 failed, 1 skipped: {DATA} holds no qa-pairs.jsonl.zst")
        return 1 if os.environ.get("LONGWEAVE_REQUIRE_DATA") == "1" else 0
    failed = 0
    for rows, tokens in ((64, 8192), (7, 2048), (1, 1)):
        print(f"▸ Batches of {rows}", flush=True)
        command = [sys.executable, EXPORT / "compare.py", "--data", DATA, "--out", OUT / "compare", "--rows", str(given.rows), "--engine", engine(rows, tokens)]
        command += [part for directory in given.checkpoint for part in ("--checkpoint", directory.resolve())]
        failed += subprocess.run(command).returncode != 0
    print(f"{3 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
