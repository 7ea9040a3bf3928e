"""A run on a Ray cluster: `python -m longweave.ray --config run.json`. Each node gets an actor with all of its CPUs, and each GPU one where a stage needs it; an actor owns
a worker process. This process, the job's, runs the driver and carries lines. Nothing is kept in Ray: finished tasks are on the shared storage, so the same command resumes."""
import argparse
import json
import os
import queue
import signal
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from . import __version__
from .carry import Inbox, Place, carry, drive
from .options import Failure, read_config, resolve, to_bytes
from .processes import Worker

# Seconds between two looks at the nodes; that a call waits for lines; that a worker may take to stop.
LOOK, WAIT, STOP = 5, 2, 10
# Actors that a node may lose in a run before it is left out.
LOSSES = 5


@dataclass
class Seat:
    """An actor, and what is asked of it now."""

    node: str
    host: str
    actor: object
    place: Place
    # The call that waits for lines, and since when.
    call: object
    since: float = field(default_factory=time.monotonic)
    started: bool = False
    warned: bool = False


class Cluster:
    """Nodes, actors and their calls. One thread looks after them; every wait has an end."""

    def __init__(self, ray, inbox, threads, memory, silence, expected=0, scratch=None):
        self.ray, self.inbox, self.threads, self.memory, self.silence = ray, inbox, threads, memory, silence
        self.scratch = scratch
        # A worker is written to while a call waits for its lines.
        self.actor = ray.remote(concurrency_groups={"send": 1})(Worker)
        self.seats, self.losses, self.nodes = {}, {}, {}
        self.gpus, self.number = False, 0
        # Places that the driver was told to expect: nodes may join later.
        self.expected = 0
        self._expect(expected)
        self.orders, self.stopping = queue.SimpleQueue(), threading.Event()
        # Looking at the nodes waits for the head, which may be gone: it has a thread of its own.
        threading.Thread(target=self._watch, daemon=True).start()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def send(self, name, line):
        # At once, not after the calls that `_poll` waits for.
        seat = self.seats.get(name)
        if seat is not None:
            self._call(seat, "send", [line])

    def drop(self, name, reason):
        self.orders.put(lambda: name in self.seats and self._remove(name, reason))

    def need(self, gpus):
        if gpus > 0:
            self.orders.put(lambda: setattr(self, "gpus", True))

    def stop(self):
        """Asks each worker to stop, waits for at most STOP seconds and ends the actors."""
        self.stopping.set()
        self.thread.join(STOP)
        calls = [self._call(seat, "stop", STOP / 2) for seat in self.seats.values() if seat.started]
        if calls:
            self.ray.wait(calls, num_returns=len(calls), timeout=STOP)
        for seat in self.seats.values():
            self.ray.kill(seat.actor)

    def _call(self, seat, method, *arguments):
        return getattr(seat.actor, method).options(concurrency_group="send").remote(*arguments)

    def _expect(self, places):
        if places > self.expected:
            self.expected = places
            self.inbox.put(("expect", places))

    def _watch(self):
        while not self.stopping.is_set():
            try:
                nodes = {node["NodeID"]: node for node in self.ray.nodes() if node["Alive"]}
            except Exception as error:  # noqa: BLE001: the head may be back at the next look
                self._warn(f"the head does not tell its nodes: {first_line(error)}")
            else:
                self._expect(sum(node["Resources"].get("CPU", 0) >= 1 for node in nodes.values()))
                self.orders.put(lambda nodes=nodes: setattr(self, "nodes", nodes))
            self.stopping.wait(LOOK)

    def _serve(self):
        while not self.stopping.is_set():
            try:
                while True:
                    self.orders.get_nowait()()
            except queue.Empty:
                pass
            try:
                self._fit()
                self._poll()
            except Exception as error:  # noqa: BLE001: without this thread the run would wait for ever
                self._warn(f"Ray failed: {first_line(error)}")
                self.stopping.wait(LOOK)

    def _fit(self):
        """Actors for nodes that have come, and none for those that are gone."""
        for name, seat in list(self.seats.items()):
            if seat.node not in self.nodes:
                self._lose(name, "its node is gone")
        for key, node in self.nodes.items():
            if self.losses.get(key, 0) >= LOSSES:
                continue
            cpus, gpus = (int(node["Resources"].get(kind, 0)) for kind in ("CPU", "GPU"))
            has = [seat.place.gpus for seat in self.seats.values() if seat.node == key]
            if cpus > 0 and 0 not in has:
                self._seat(key, node, cpus, cpus, 0)
            for _ in range(gpus - sum(has) if self.gpus else 0):
                self._seat(key, node, 0, max(1, cpus // gpus), 1)

    def _seat(self, key, node, cpus, threads, gpus):
        self.number += 1
        host = node["NodeManagerHostname"]
        # Half of what Ray counts, since tables of the whole corpus come on top, for the worker of the CPUs and those of the GPUs.
        workers = 1 + int(node["Resources"].get("GPU", 0))
        memory = self.memory or max(256 << 20, int(node["Resources"].get("memory", 4 << 30)) // (2 * workers))
        place = Place(f"{host}-{key[:6]}-{self.number}", self.threads or threads, memory, gpus)
        strategy = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=key, soft=False)
        wanted = {"num_cpus": cpus, "num_gpus": gpus, "scheduling_strategy": strategy, "max_restarts": 0, "max_task_retries": 0}
        actor = self.actor.options(**wanted).remote(place.threads, memory, self.scratch)
        self.seats[place.name] = Seat(key, host, actor, place, actor.read.remote(0))

    def _poll(self):
        """Takes what the calls have brought, and looks for actors that are silent."""
        calls = {seat.call: name for name, seat in self.seats.items()}
        if not calls:
            self.stopping.wait(0.2)
        elif self.ray.wait(list(calls), timeout=0.2)[0]:
            for call in self.ray.wait(list(calls), num_returns=len(calls), timeout=0)[0]:
                self._take(calls[call], call)
        now = time.monotonic()
        for name, seat in list(self.seats.items()):
            if now - seat.since <= self.silence or seat.warned:
                continue
            if seat.started:
                self._lose(name, f"its actor has not answered for {self.silence:g} seconds")
            else:
                seat.warned = True
                self._warn(f"{seat.host} has no worker yet: its CPUs or GPUs are in use, or Ray is slow to start one")

    def _take(self, name, call):
        seat = self.seats[name]
        try:
            lines, end = self.ray.get(call, timeout=STOP)
        except Exception as error:  # noqa: BLE001: whatever an actor raises, it is lost
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            self._lose(name, reason, "OutOfMemory" in repr(error) or "low on memory" in str(error))
            return
        if not seat.started:
            self.inbox.put(("place", seat.place))
        for line in lines:
            self.inbox.put(("line", name, line))
        seat.started, seat.since = True, time.monotonic()
        if end is None:
            seat.call = seat.actor.read.remote(WAIT)
        else:
            self._lose(name, end["reason"], end["memory"])

    def _remove(self, name, reason):
        seat = self.seats.pop(name)
        # Not waited for: its node may be gone.
        threading.Thread(target=self.ray.kill, args=(seat.actor,), daemon=True).start()
        self.losses[seat.node] = self.losses.get(seat.node, 0) + 1
        if self.losses[seat.node] == LOSSES:
            self._warn(f"{seat.host} has lost {LOSSES} workers and is left out; the last: {reason}")
        return seat

    def _lose(self, name, reason, memory=False):
        seat = self._remove(name, reason)
        if seat.started:
            self.inbox.put(("lost", name, reason, memory))
        else:
            self._warn(f"{seat.host} has no worker: {reason}")

    def _warn(self, message):
        self.inbox.put(("warning", message))


def first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def as_json(line):
    """Prints a line for programs."""
    print(json.dumps(line), flush=True)


def as_text(line):
    """Prints a line for people."""
    event = line.get("event", {})
    if event.get("type") == "stage":
        print(f"longweave: [{event['number']} of {event['stages']}] {event['stage']} {event['state']}", flush=True)
    elif event.get("type") == "warning":
        print(f"longweave: {event['message']}", file=sys.stderr, flush=True)
    elif "error" in line:
        print(f"longweave: {line['error']['message']} [{line['error']['code']}]", file=sys.stderr, flush=True)
    elif "summary" in line:
        print(f"longweave: finished; `longweave status {line['summary'].get('directory')}` has more", flush=True)


def connect(address):
    """Ray, connected to the cluster."""
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise Failure("ENGINE_FAILED", f"{error}; install it with `pip install 'longweave[ray]'`") from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:
        # Ray wraps the refusal of a token into errors of connecting.
        whole = "".join(traceback.format_exception(error))
        if "AuthenticationError" in whole or "Unauthenticated" in whole:
            message = "the Ray cluster refused the token, or requires one; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to its token"
            raise Failure("ENGINE_DENIED", message) from error
        if isinstance(error, (ConnectionError, RuntimeError, ValueError, TimeoutError)):
            message = f"no Ray cluster answers at {address}: {first_line(error)}; start one with `ray start --head`"
            raise Failure("ENGINE_UNREACHABLE", message) from error
        raise
    return ray


def run(arguments, show):
    """Runs it; the exit status."""
    if arguments.expect not in (None, __version__):
        message = f"the cluster has longweave {__version__}, but {arguments.expect} sent the run; install the same version on all nodes"
        raise Failure("VERSION_MISMATCH", message)
    config = read_config(arguments.config)
    if arguments.out is not None:
        config["output"] = {**(config.get("output") or {}), "directory": arguments.out}
    options = resolve(config)
    memory = {"minimum": 16 << 20, "maximum": 2**53 - 1}
    heap, threads = arguments.memory or config.get("memory"), arguments.threads or options["threads"]
    heap = None if heap is None else to_bytes(heap, memory, "memory")
    # Places see the run by this path, whatever their own directories.
    out = os.path.abspath(options["output"]["directory"])
    options["output"]["directory"] = out
    ray = connect(arguments.address)
    inbox = Inbox()
    with tempfile.TemporaryDirectory(prefix="longweave-") as folder:
        path = Path(folder) / "options.json"
        path.write_text(json.dumps(options), encoding="utf-8")
        driver = drive(inbox, ["--out", out, "--options", path, "--silence", arguments.silence, "--patience", arguments.patience])
        # After ray.init, which sets its own.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, inbox.cancel)
        cluster = Cluster(ray, inbox, threads, heap, arguments.silence, arguments.nodes, arguments.scratch)
        status = carry(inbox, driver, cluster, show)
    # With the head gone, a call of Ray may not return.
    stopping = threading.Thread(target=lambda: (cluster.stop(), ray.shutdown()), daemon=True)
    stopping.start()
    stopping.join(3 * STOP)
    return status


def main():
    parser = argparse.ArgumentParser(prog="python -m longweave.ray", description="Make sequences from a corpus on a Ray cluster; again: resume.")
    parser.add_argument("--config", required=True, metavar="FILE", help="JSON file of options, as of `longweave run --config`")
    parser.add_argument("--out", metavar="DIR", help="output directory, in place of the file's; all nodes must see it under this path")
    parser.add_argument("--address", default="auto", help="address of the cluster  [default: auto, the one of this job or machine]")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads of a worker  [default: the option `threads`, then the CPUs of its node]")
    parser.add_argument("--memory", metavar="SIZE", help="most heap of a worker, like 8GiB  [default: the option `memory`, then half of its node's memory as Ray counts it, shared with the workers of GPUs]")
    parser.add_argument("--scratch", metavar="DIR", help="directory on a disk of each node for temporary files  [default: the work directory]")
    parser.add_argument("--nodes", type=int, default=0, metavar="N", help="nodes that will join: the first leave work for the others  [default: those that are there]")
    parser.add_argument("--silence", type=float, default=60, metavar="SECONDS", help="give the tasks of a worker to others after this long without an answer  [default: 60]")
    parser.add_argument("--patience", type=float, default=300, metavar="SECONDS", help="fail where no worker comes for tasks for this long  [default: 300]")
    parser.add_argument("--json", action="store_true", help="print events as JSON, one a line")
    parser.add_argument("--expect", metavar="VERSION", help="fail unless this is the installed version")
    arguments = parser.parse_args()
    show = as_json if arguments.json else as_text
    try:
        status = run(arguments, show)
    except Failure as failure:
        show({"type": "end", "error": {"code": failure.code, "message": str(failure), "details": failure.details}})
        status = 2 if failure.code == "OPTIONS_INVALID" else 1
    except Exception as error:  # noqa: BLE001: whoever reads the lines waits for an end
        traceback.print_exc()
        show({"type": "end", "error": {"code": "ENGINE_FAILED", "message": f"{type(error).__name__}: {first_line(error)}", "details": {}}})
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: Ray's clean-up may wait for a head that is gone.
    os._exit(status)


if __name__ == "__main__":
    main()
