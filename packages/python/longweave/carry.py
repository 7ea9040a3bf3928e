"""Carries lines between the driver of a run (`longweave-worker drive`, docs/worker.md) and the places of a cluster. All policy is the driver's.

A cluster is anything that puts into `inbox` the tuples ("place", Place), ("line", place, text), ("lost", place, reason, memory), ("expect", places) and ("warning", text), and has `send`, `drop`, `need` and `stop`."""
import json
import queue
import threading
from dataclasses import dataclass

from .processes import Process


@dataclass(frozen=True)
class Place:
    """A worker that is ready: its name, threads, bytes of heap, and GPUs."""

    name: str
    threads: int
    memory: int
    gpus: int


class Inbox(queue.SimpleQueue):
    """What comes from the driver, the cluster and signals, in one order."""

    def cancel(self, *_):
        self.put(("cancel",))


def drive(inbox, arguments):
    """Starts the driver. Its lines come as ("driver", text), its end as ("ended", status)."""
    process = Process("drive", *arguments)

    def receive():
        for line in process.lines():
            inbox.put(("driver", line))
        inbox.put(("ended", process.wait()))

    threading.Thread(target=receive, daemon=True).start()
    return process


def is_json(text):
    """Whether a line is JSON: without NaN and Infinity, which Python reads."""

    def refuse(constant):
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


def carry(inbox, driver, cluster, show):
    """Until the driver ends. `show` is called with its lines for people: events, and the end. Returns the exit status."""

    def tell(**line):
        driver.send(json.dumps(line))

    ended, broken = False, set()
    while True:
        kind, *rest = inbox.get()
        if kind in ("line", "lost") and rest[0] in broken:
            continue
        if kind == "place":
            place = rest[0]
            tell(type="place", place=place.name, threads=place.threads, memory=place.memory, gpus=place.gpus)
        elif kind == "expect":
            tell(type="expect", places=rest[0])
        elif kind == "line":
            name, text = rest
            if not is_json(text):
                reason = f"its worker wrote a line that is not JSON: {text[:200]!r}"
                broken.add(name)
                tell(type="lost", place=name, reason=reason, memory=False)
                cluster.drop(name, reason)
                continue
            # The line of a worker travels as it is.
            driver.send(f'{{"type":"line","place":{json.dumps(name)},"line":{text}}}')
        elif kind == "lost":
            name, reason, memory = rest
            tell(type="lost", place=name, reason=reason, memory=memory)
        elif kind == "warning":
            show({"type": "event", "event": {"type": "warning", "message": rest[0]}})
        elif kind == "cancel":
            tell(type="cancel")
        elif kind == "driver":
            line = json.loads(rest[0])
            if line["type"] == "line":
                cluster.send(line["place"], json.dumps(line["line"]))
            elif line["type"] == "drop":
                cluster.drop(line["place"], line["reason"])
            elif line["type"] == "need":
                cluster.need(line.get("gpus", 0))
            else:
                ended = ended or line["type"] == "end"
                show(line)
        elif kind == "ended":
            status = rest[0]
            if not ended:
                how = f"signal {-status}" if status < 0 else f"status {status}"
                message = f"the driver ended with {how} before the run did; the same command resumes it"
                show({"type": "end", "error": {"code": "ENGINE_FAILED", "message": message, "details": {}}})
            return status if status >= 0 else 1
