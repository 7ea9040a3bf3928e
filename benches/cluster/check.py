"""Whether simulate.py foretells runs on workers of this machine: `python3 benches/cluster/check.py [--bytes N]` (a built clone with `longweave-worker`).

Runs quest over a made corpus with one, two and three workers of one thread. The stages' times with one worker go into the simulator, which foretells
those with more; where workers outnumber the cores, each has its share of them."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from simulate import BY_SHARD, BY_SPLIT, TEXT, Cluster, Stage, run

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / os.environ.get("CARGO_BUILD_TARGET", "x86_64-unknown-linux-gnu") / "quick"
os.environ.setdefault("LONGWEAVE_WORKER", str(PROGRAMS / "longweave-worker"))
sys.path.insert(0, str(ROOT / "packages" / "python"))
from longweave.carry import Inbox, Place, carry, drive  # noqa: E402
from longweave.options import resolve  # noqa: E402
from longweave.processes import Worker  # noqa: E402

MEMORY = 512 << 20
CORES = os.cpu_count()


class Processes:
    """Places that are processes of this machine."""

    def __init__(self, inbox, places):
        self.workers = {f"place-{n}": Worker(1, MEMORY) for n in range(places)}
        inbox.put(("expect", places))
        for name, worker in self.workers.items():
            inbox.put(("place", Place(name, 1, MEMORY, 0)))
            threading.Thread(target=self.hand_on, args=(inbox, name, worker), daemon=True).start()

    @staticmethod
    def hand_on(inbox, name, worker):
        end = None
        while end is None:
            lines, end = worker.read(0.05)
            for line in lines:
                inbox.put(("line", name, line))

    def send(self, name, line):
        self.workers[name].send([line])

    def need(self, _gpus):
        pass

    def drop(self, name, reason):
        raise SystemExit(f"{name} was dropped: {reason}")


def measure(options, folder, workers):
    """Seconds of each stage of a run with so many workers, and tokens of the corpus."""
    out = folder / f"out-{workers}"
    path = folder / "options.json"
    path.write_text(json.dumps(options))
    inbox = Inbox()
    driver = drive(inbox, ["--out", out, "--options", path, "--threads", 1])
    cluster = Processes(inbox, workers)
    if carry(inbox, driver, cluster, lambda line: None) != 0:
        raise SystemExit("the run failed")
    for worker in cluster.workers.values():
        worker.stop(10)
    stages = {}
    for line in map(json.loads, (out / ".state" / "log.jsonl").read_text().splitlines()):
        if line["event"] == "stage" and line["state"] == "done":
            stages[line["stage"]] = line["seconds"]
    return stages, json.loads((out / "longweave.json").read_text())["counts"]["corpus"]["tokens"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=200_000_000)
    parser.add_argument("--tokenizer", default=ROOT.parent / "shared" / "data" / "tokenizers" / "pythia-20b_tokenizer.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = ROOT / "out" / "benches" / "texts.nul"
        subprocess.run([PROGRAMS / "corpus", texts, str(given.bytes), folder / "corpus"], check=True, stdout=subprocess.DEVNULL)
        split, shard = given.bytes // 40, int(given.bytes / TEXT / 16)
        config = {"corpus": str(folder / "corpus"), "idField": "id", "tokenizer": str(given.tokenizer), "length": 8192, "splitBytes": split, "output": {"directory": str(folder / "out"), "shardTokens": shard}}
        options = resolve(config)
        found = {workers: measure(options, folder, workers) for workers in (1, 2, 3)}
    alone, tokens = found[1]
    by_stage = [Stage(stage, seconds * 1e9 / tokens, 0 if stage in BY_SPLIT + BY_SHARD else seconds * 1e9 / tokens, 0) for stage, seconds in alone.items()]
    print(f"{tokens / 1e6:.0f} M tokens, {time.strftime('%Y-%m-%d')}, {CORES} cores, `python3 benches/cluster/check.py`\n")
    print("| workers | measured | foretold | ratio |\n| --- | --- | --- | --- |")
    for workers, (stages, _) in found.items():
        share = min(1, CORES / workers)
        cluster = Cluster(workers, 1, 1e12, 1e12, 0, 0.01, 0, 0, 1e12, split, shard)
        slower = [Stage(s.name, s.work / share if s.name in BY_SPLIT + BY_SHARD else s.work, s.serial, 0) for s in by_stage]
        foretold = sum(row[1] for row in run(tokens, slower, cluster))
        seconds = sum(stages.values())
        print(f"| {workers} | {seconds:.1f} s | {foretold:.1f} s | {foretold / seconds:.2f} |")


if __name__ == "__main__":
    main()
