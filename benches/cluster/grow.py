"""How time and memory of each stage grow with the number of documents: `python3 benches/cluster/grow.py [--documents N [N ...]] [--method knn] [--memory SIZE]` (a built clone, and the inputs of ../run.py).

Makes corpora of short documents (about 200 bytes) and plans them. Out: of each stage the seconds and the peak memory of the process at each number, the power of the number
that the time grows with between the last two, and what memory a billion documents would take by the bytes that each more takes between them."""
import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

from check import PROGRAMS, ROOT

MEDIAN, MEAN = 110, 200
TARGET = 10**9


def measure(given, documents, folder):
    """Of each stage seconds and peak memory, and the number of documents."""
    made = json.loads(subprocess.run([PROGRAMS / "corpus", ROOT / "out" / "benches" / "texts.nul", str(documents * MEAN), folder / "corpus", str(MEDIAN)], check=True, capture_output=True).stdout)
    flags = ["--corpus", folder / "corpus", "--id-field", "id", "--tokenizer", given.tokenizer, "--method", given.method, "--memory", given.memory, "--work", folder / "work"]
    stages = {}
    # The second run only plans, in a process that no other stage has left memory to.
    for length in (8192, 4096):
        out = folder / f"out-{length}"
        subprocess.run(["node", ROOT / "dist" / "cli" / "main.js", "plan", *flags, "--length", str(length), "--out", out, "--quiet"], check=True)
        lines = [json.loads(line) for line in (out / ".state" / "log.jsonl").read_text().splitlines()]
        stages |= {line["stage"]: (line["seconds"], line["stagePeakBytes"]) for line in lines if line["event"] == "stage" and line["state"] == "done"}
    return made["documents"], stages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[10**6, 10**7])
    parser.add_argument("--method", choices=["quest", "knn"], default="quest")
    parser.add_argument("--memory", default="512MiB")
    parser.add_argument("--tokenizer", default=ROOT.parent / "shared" / "data" / "tokenizers" / "pythia-20b_tokenizer.json")
    given = parser.parse_args()
    found = []
    for documents in given.documents:
        with tempfile.TemporaryDirectory(dir=ROOT / "out") as folder:
            found.append(measure(given, documents, Path(folder)))
    sizes = " | ".join(f"{documents:,} documents" for documents, _ in found)
    print(f"| stage | {sizes} | time grows with the power | memory of 10⁹ documents |\n| --- |{' --- |' * (len(found) + 2)}")
    (few, before), (many, after) = found[-2], found[-1]
    for stage in after:
        cells = [f"{stages[stage][0]:.1f} s, {stages[stage][1] / 1e6:,.0f} MB" for _, stages in found]
        (seconds, peak), (more_seconds, more_peak) = before[stage], after[stage]
        power = f"{math.log(more_seconds / seconds) / math.log(many / few):.2f}" if seconds >= 0.5 else ""
        memory = more_peak + max(0, more_peak - peak) / (many - few) * (TARGET - many)
        print(f"| {stage} | {' | '.join(cells)} | {power} | {memory / 1e9:.1f} GB |")


if __name__ == "__main__":
    main()
