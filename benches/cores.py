"""How many cores a run can use: which part of its processor time is spent while exactly one thread has work.

A run with many threads is watched from outside. `/proc/PID/task/*/stat` says which threads have work (state R), whether or not a core is free
for them, so a machine with two cores shows what sixteen threads would do. A moment with one such thread is serial; the stage is the one that
the run's log names at that moment."""
import json
import os
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

THREADS = 16
PERIOD = 0.004
CORES = os.cpu_count()


def busy(tasks):
    """Threads of a process that have work."""
    count = 0
    for name in os.listdir(tasks):
        try:
            with open(f"{tasks}/{name}/stat", "rb") as file:
                # The name before it may hold spaces and parentheses.
                count += file.read(512).rpartition(b") ")[2][:1] == b"R"
        except OSError:
            continue
    return count


def watch(command):
    """Runs a command; moments as (seconds since 1970, seconds since the last one, threads with work)."""
    moments = []
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(c) for c in command], stdout=output)
        tasks, then = f"/proc/{process.pid}/task", time.time()
        while process.poll() is None:
            time.sleep(PERIOD)
            try:
                count = busy(tasks)
            except OSError:
                break
            now = time.time()
            moments.append((now, now - then, count))
            then = now
        if process.wait() != 0:
            raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return moments


def at(line):
    return datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()


def stages(log):
    """(stage, begin, end) of each stage that the log tells of."""
    begun, found = {}, []
    for line in map(json.loads, Path(log).read_text().splitlines()):
        if line["event"] == "stage" and line["state"] == "started":
            begun[line["stage"]] = at(line)
        elif line["event"] == "stage" and line["state"] == "done":
            found.append((line["stage"], begun[line["stage"]], at(line)))
    return found


def work(moments, threads):
    """Processor seconds at moments with one thread, and with more, by their number."""
    by = {}
    for _, seconds, count in moments:
        if count:
            used = min(count, CORES) * seconds
            by[min(count, threads)] = by.get(min(count, threads), 0) + used
    return by


def measure(command, log, threads=THREADS):
    """(stage, processor seconds by threads with work) of each stage, and of what lies between them."""
    moments = watch([*command, "--threads", threads])
    rows, inside = [], set()
    for stage, begin, end in stages(log):
        numbers = [n for n, (now, _, _) in enumerate(moments) if begin <= now <= end]
        inside.update(numbers)
        rows.append((stage, work([moments[n] for n in numbers], threads)))
    rows.append(("start, end and between", work([m for n, m in enumerate(moments) if n not in inside], threads)))
    return rows


def total(rows):
    return sum(sum(by.values()) for _, by in rows)


def serial(by):
    return by.get(1, 0.0)


def speedup(rows, cores):
    """How many times as fast as on one core the run can be at most: work that had few threads stays on that many, the rest takes all cores."""
    bound = sum(used / (cores if count >= THREADS else min(count, cores)) for _, by in rows for count, used in by.items())
    return total(rows) / bound
