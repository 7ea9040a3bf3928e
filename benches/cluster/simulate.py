"""How long a run would take on a cluster, and what bounds it: `python3 benches/cluster/simulate.py [--help]`.

In: of each stage the processor time with its part that is serial, and the bytes that it reads and writes (`cores` and `scale` of ../results.json,
measured per billion tokens by ../run.py); and the figures of the cluster, each an option. Out: for each number of tokens and nodes the time, the stage that takes most of it with its bound, and node
hours. check.py compares it with runs on workers of this machine.

A stage of one task runs on one node: its serial part, then the rest on all cores. The tasks of other stages are dealt in ranges, four a worker, to
workers that are free; a stage ends with its last task. The bytes of a stage pass through storage that all nodes share, the names of files through
one server of metadata, and records through one driver. What takes longest of these counts."""
import argparse
import heapq
import json
from dataclasses import dataclass, replace
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results.json"
# Work that does not grow as the tokens do, as a power of them: vectors are divided into lists, whose number is the root of that of vectors; a
# projection is fitted on a sample of fixed size.
GROWTH = {"lists": 1.5, "neighbours": 1.5, "projection": 0}
# Stages by their tasks; others have one.
BY_SPLIT = ("scan", "ingest", "predict", "extract", "embed", "scatter")
BY_SHARD = ("pack",)
# Stages that have tasks of so many vectors (crates/stages/src/vectors.rs, neighbours.rs), and at most that many tasks.
BY_VECTOR = {"vectors": (1 << 20, 256), "lists": (1 << 20, 256), "neighbours": (1 << 16, 4096)}
# Tokens of a document, whose vector is one: of the corpus that `scale` measures.
DOCUMENT = 764
# Bytes of text of a token.
TEXT = 4.2


@dataclass(frozen=True)
class Cluster:
    nodes: int
    cores: int
    # Bytes a second of the shared storage, and names a second that its metadata server answers.
    bandwidth: float
    names: float
    # Names that a task asks for and makes; seconds that a call costs in addition to its tasks; seconds until workers are there.
    names_a_task: float
    call: float
    start: float
    # Bytes of a done record, and bytes of records a second that a driver reads and hands on.
    record: float
    driver: float
    # Text in a split, tokens in a shard.
    split: float
    shard: float


def makespan(tasks, seconds, workers, cores, call, calls=4):
    """Seconds until the last of equal tasks is done by workers that take ranges of them when they are free."""
    size = max(1, tasks // (workers * calls))
    # Tasks of a range run side by side, one a core.
    lasts = lambda size: call + -(-size // cores) * seconds
    whole, rest = divmod(tasks, size)
    free = [0.0] * min(workers, whole + (rest > 0))
    for size in [size] * whole + [rest] * (rest > 0):
        heapq.heappush(free, heapq.heappop(free) + lasts(size))
    return max(free)


@dataclass(frozen=True)
class Stage:
    """Measured per billion tokens: processor seconds, those of them that are serial, bytes that are read and written."""

    name: str
    work: float
    serial: float
    bytes: float

    def of(self, tokens):
        """The same for as many tokens."""
        times = (tokens / 1e9) ** GROWTH.get(self.name, 1)
        return replace(self, work=self.work * times, serial=self.serial * times, bytes=self.bytes * tokens / 1e9)

    def tasks(self, tokens, cluster):
        # As crates/corpus/src/split.rs.
        part = tokens * TEXT / 4096
        if self.name in BY_SPLIT:
            return max(1, round(tokens * TEXT / (cluster.split or max(part, 64 << 20))))
        if self.name in BY_VECTOR:
            vectors, most = BY_VECTOR[self.name]
            return min(most, max(1, round(tokens / DOCUMENT / vectors)))
        return max(1, round(tokens / (cluster.shard or max(part / 4, 1 << 26)))) if self.name in BY_SHARD else 1


def seconds(stage, tokens, cluster):
    """Seconds of a stage, and what bounds it."""
    stage, tasks = stage.of(tokens), stage.tasks(tokens, cluster)
    if stage.name in BY_SPLIT or stage.name in BY_SHARD or stage.name in BY_VECTOR:
        # The parts of a shard keep about eight threads busy; tasks of vectors all that are left for them.
        side_by_side = min(cluster.cores, -(-tasks // cluster.nodes))
        threads = min(8, cluster.cores) if stage.name in BY_SHARD else cluster.cores // side_by_side if stage.name in BY_VECTOR else 1
        compute = makespan(tasks, stage.work / tasks / threads, cluster.nodes, max(1, cluster.cores // threads), cluster.call)
        bound = "processors"
    else:
        compute, bound = cluster.call + stage.serial + (stage.work - stage.serial) / cluster.cores, "one node"
    bounds = {
        bound: compute,
        "storage": stage.bytes / cluster.bandwidth,
        "metadata": tasks * cluster.names_a_task / cluster.names,
        "driver": tasks * cluster.record * min(cluster.nodes, tasks) / cluster.driver,
    }
    bound = max(bounds, key=bounds.get)
    return bounds[bound], bound


def run(tokens, stages, cluster):
    """(stage, seconds, bound) of each stage."""
    return [(stage.name, *seconds(stage, tokens, cluster)) for stage in stages]


def measured(method, speed=1):
    """The stages of a method; the time between them is the driver's."""
    results = json.loads(RESULTS.read_text())
    largest = max(results["scale"]["sizes"], key=lambda size: size["tokens"])
    moved = largest["quest"]["now"]["bytes"] | largest[method]["now"]["bytes"]
    times = results["cores"]["stages"][method]
    of = lambda name, work, serial: Stage(name, work / speed, serial / speed, moved.get(name, 0) * 1e9 / largest["tokens"])
    return [of(name, *both) for name, both in times.items() if " " not in name]


def words(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=["quest", "knn"], default="quest")
    parser.add_argument("--tokens", type=float, nargs="+", default=[1e9, 1e11, 1e12])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 8, 64, 512])
    parser.add_argument("--cores", type=int, default=32)
    parser.add_argument("--speed", type=float, default=1, help="of a core, in cores of the machine that was measured")
    parser.add_argument("--price", type=float, default=0, help="of a node hour")
    for name, default, meaning in (
        ("bandwidth", 10e9, "bytes a second of the shared storage"),
        ("names", 1e5, "names a second that its metadata server answers"),
        ("names-a-task", 150, "names that a task asks for and makes (crates/worker/tests/machines.rs bounds them)"),
        ("call", 0.05, "seconds that a call of tasks costs"),
        ("start", 10, "seconds until workers are there"),
        ("record", 700, "bytes of a done record"),
        ("driver", 100e6, "bytes of records a second through the driver"),
        ("split", 0, "bytes of text in a split; with 0 what splitBytes is by default"),
        ("shard", 0, "tokens in a shard; with 0 what output.shardTokens is by default"),
    ):
        parser.add_argument(f"--{name}", type=float, default=default, help=f"{meaning}; {default:g}")
    return parser.parse_args()


def main():
    given = options()
    stages = measured(given.method, given.speed)
    fields = {name: getattr(given, name) for name in Cluster.__dataclass_fields__ if name != "nodes"}
    cluster = Cluster(nodes=1, **fields)
    print(f"{given.method}, {given.cores} cores a node, {given.bandwidth / 1e9:g} GB/s\n")
    print("| tokens | nodes | time | most of it | bound | node hours |" + (" price |" if given.price else ""))
    print("| --- | --- | --- | --- | --- | --- |" + (" --- |" if given.price else ""))
    for tokens in given.tokens:
        for nodes in given.nodes:
            rows = run(tokens, stages, replace(cluster, nodes=nodes))
            all_of_it = given.start + sum(row[1] for row in rows)
            name, most, bound = max(rows, key=lambda row: row[1])
            hours = nodes * all_of_it / 3600
            price = f" {hours * given.price:,.2f} |" if given.price else ""
            print(f"| {tokens:.0e} | {nodes} | {words(all_of_it)} | {name}, {words(most)} | {bound} | {hours:,.2f} |{price}")


if __name__ == "__main__":
    main()
