"""What the benchmarks share: programs run in processes of their own, medians, sizes in words."""
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent


def run(command, env=None):
    """Runs a program; its last line of output as JSON, and (seconds of processor time, most bytes of memory) of the process."""
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **(env or {})}) as process:
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    lines = output.strip().splitlines()
    try:
        result = json.loads(lines[-1]) if lines else {}
    except json.JSONDecodeError:
        result = {}
    peak = result.get("peak") if isinstance(result, dict) else None
    return result, usage.ru_utime + usage.ru_stime, peak or usage.ru_maxrss * 1024


def peer(name, *arguments, env=None):
    """Runs benches/peers/NAME_peer.py."""
    return run([sys.executable, HERE / "peers" / f"{name}_peer.py", *arguments], env)


def median(values):
    return statistics.median(values)


def mb(size):
    return f"{size / 1e6:.0f} MB"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])
