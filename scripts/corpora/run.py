"""Corpora as other libraries write them: `python3 scripts/corpora/run.py` (a built clone; PyPI the first time).

Sets up an environment below out/corpora. Writes columns with pyarrow, DuckDB, Polars, fastparquet and datasets in every codec, encoding and type that each offers (write.py),
and files and directories of every kind (kinds.py). Reads all with longweave, compares documents and ids with those written, and writes the tables of docs/columns.md and
docs/corpora.md. Ends with 1 where something differs."""
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
    home, lists = OUT / "environment", [HERE / "requirements.txt", HERE / "requirements-alone.txt"]
    python, stamp = home / "bin" / "python", home / "requirements"
    wanted = "".join(file.read_text() for file in lists)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"▸ Setting up {home.relative_to(ROOT)}", flush=True)
        venv.create(home, with_pip=True, clear=True)
        for file in lists:
            # Of the writers of token files only their own modules are imported: without it they bring gigabytes.
            alone = ["--no-deps"] if file == lists[1] else []
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *alone, "-r", file], check=True)
        stamp.write_text(wanted)
    return python


PYTHON = environment()
if Path(sys.executable) != PYTHON:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

sys.path.insert(0, str(HERE))
import kinds  # noqa: E402
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


def judge(corpora):
    """The corpora that were read as they were written, by library and shape and note; and what differs."""
    rows, bad = {}, []
    for corpus, found in zip(corpora, read(corpora)):
        good, note = verdict(corpus, found)
        if not good:
            bad.append(f"{corpus.library}, {corpus.shape}, {corpus.variant}: {note[:1000]}\n  {corpus.options}\n  {found.get('message', '')}")
        rows.setdefault((corpus.library, corpus.shape), {}).setdefault(note if good else "no", []).append(corpus.variant)
    print(f"{len(corpora)} corpora, {len(corpora) - len(bad)} as expected.")
    print("\n".join(bad), file=sys.stderr)
    return rows, bad


def columns_table(rows):
    yield ["written by", "shape", "files", "read", "of these kinds"]
    for (library, shape), notes in rows.items():
        for note, variants in notes.items():
            names = dict.fromkeys(variant.split(", ")[0].split(" (")[0] for variant in variants)
            yield [library, shape, len(variants), note, ", ".join(names)]


def kinds_table(rows, shapes, titles):
    """A row for each shape with its words, then how many corpora of it were read, and who wrote them."""
    yield [*titles, "read", "written by"]
    for shape, words in shapes.items():
        notes = {library: found for (library, of), found in rows.items() if of == shape}
        read, all_of_it = (sum(len(v) for found in notes.values() for note, v in found.items() if note in wanted) for wanted in [["yes"], ["yes", "no"]])
        yield [shape, *words, f"{read} of {all_of_it}", ", ".join(notes)]


def fill(page, name, table):
    """Writes a table between the two comments of a page that name it."""
    path = ROOT / "docs" / page
    head, *rows = (f"| {' | '.join(map(str, row))} |" for row in table)
    text = "\n".join([head, "| --- " * (head.count("|") - 1) + "|", *rows])
    before, rest = path.read_text().split(f"<!-- {name} -->")
    _, after = rest.split(f"<!-- end of {name} -->")
    path.write_text(f"{before}<!-- {name} -->\n\n{text}\n\n<!-- end of {name} -->{after}")
    subprocess.run(["npx", "prettier", "--log-level", "warn", "--write", path], check=True, cwd=ROOT)


def main():
    columns, wrong = judge(write.everything(OUT / "files"))
    found, wrong_kinds = judge(kinds.everything(OUT / "files"))
    fill("columns.md", "columns", columns_table(columns))
    fill("corpora.md", "kinds", kinds_table(found, kinds.KINDS, ["kind", "names", "a row is"]))
    fill("corpora.md", "directories", kinds_table(found, kinds.DIRECTORIES, ["directory", "left out"]))
    return 1 if wrong or wrong_kinds else 0


if __name__ == "__main__":
    sys.exit(main())
