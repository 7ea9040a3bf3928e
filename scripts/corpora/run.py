"""Corpora as other libraries write them: `python3 scripts/corpora/run.py` (a built clone; PyPI the first time).

Sets up an environment below out/corpora, writes files with pyarrow, DuckDB, Polars, fastparquet and datasets in every codec, encoding and type that each offers,
reads all with longweave, compares documents and ids with those written, and prints the tables of docs/columns.md. Ends with 1 where something differs."""
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
OUT = ROOT / "out" / "corpora"


def environment():
    """The Python that has the libraries."""
    home, requirements = OUT / "environment", HERE / "requirements.txt"
    python, stamp = home / "bin" / "python", home / "requirements"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        print(f"▸ Setting up {home.relative_to(ROOT)}", flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements], check=True)
        stamp.write_text(requirements.read_text())
    return python


PYTHON = environment()
if Path(sys.executable) != PYTHON:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

sys.path.insert(0, str(HERE))
import write  # noqa: E402


def read(corpora):
    """What longweave makes of each corpus: its documents, or code and message of its error."""
    lines = "".join(json.dumps(corpus.options) + "\n" for corpus in corpora)
    done = subprocess.run(["node", HERE / "read.mjs"], input=lines, capture_output=True, text=True, check=True, cwd=ROOT)
    return [json.loads(line) for line in done.stdout.splitlines()]


def verdict(corpus, found):
    """Whether a corpus was read as it was written, and a note."""
    if "code" in found:
        return found["code"] == corpus.code, f"`{found['code']}`"
    if corpus.code:
        return False, f"read, but `{corpus.code}` was expected"
    if found["documents"] == corpus.documents:
        return True, "yes"
    pairs = zip(found["documents"], corpus.documents)
    first = next((pair for pair in pairs if pair[0] != pair[1]), (len(found["documents"]), len(corpus.documents)))
    return False, f"{first[0]!r} for {first[1]!r}"


def main():
    corpora = write.everything(OUT / "files")
    rows, bad = {}, []
    for corpus, found in zip(corpora, read(corpora)):
        good, note = verdict(corpus, found)
        if not good:
            bad.append(f"{corpus.library}, {corpus.shape}, {corpus.variant}: {note}\n  {corpus.options}\n  {found.get('message', '')}")
        rows.setdefault((corpus.library, corpus.shape), {}).setdefault(note if good else "no", []).append(corpus.variant)
    print("| written by | shape | files | read | of these kinds |\n| --- | --- | --- | --- | --- |")
    for (library, shape), notes in rows.items():
        for note, variants in notes.items():
            kinds = dict.fromkeys(variant.split(", ")[0].split(" (")[0] for variant in variants)
            print(f"| {library} | {shape} | {len(variants)} | {note} | {', '.join(kinds)} |")
    print(f"\n{len(corpora)} corpora, {len(corpora) - len(bad)} as expected.")
    print("\n".join(bad), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
