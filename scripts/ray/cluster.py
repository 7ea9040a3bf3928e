"""A Ray cluster of logical nodes on loopback, and what can happen to its processes."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import suite

TOKEN = "a-token-of-a-cluster-that-lives-for-a-test"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def processes():
    """Parent and command line of each process, by its id."""
    found = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            found[int(folder.name)] = parent, (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def below(root):
    """A process and all that descend from it, children after their parents."""
    known, tree = processes(), [root]
    for one in tree:
        tree += [child for child, (parent, _) in known.items() if parent == one]
    return tree


def send(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def until(truth, what, seconds=180):
    return suite.until(truth, what, seconds)


class Node:
    """A logical node: `ray start --block` and its processes."""

    def __init__(self, cluster, *flags, before=(), **environment):
        command = [*before, cluster.bin / "ray", "start", *flags, "--block", "--disable-usage-stats"]
        self.log = cluster.place / f"node-{len(cluster.nodes)}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env={**cluster.environment(), **environment})
        cluster.nodes.append(self)

    def pids(self):
        return below(self.process.pid)

    def workers(self, kind="longweave-worker"):
        """Its worker processes: those of longweave, or with `ray::` those of Ray that own them."""
        known = processes()
        own = [pid for pid in self.pids() if pid in known and "longweave-worker" in known[pid][1] and " drive " not in known[pid][1]]
        return own if kind == "longweave-worker" else [known[pid][0] for pid in own]

    def kill(self):
        send(reversed(self.pids()), signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        self.frozen = self.pids()
        send(self.frozen, signal.SIGSTOP)

    def thaw(self):
        send(self.frozen, signal.SIGCONT)


class Cluster:
    """A head without CPUs, and nodes with one each, started one after the other."""

    def __init__(self, place, bin, nodes=3):
        self.place, self.bin, self.nodes = place, bin, []
        place.mkdir(parents=True, exist_ok=True)
        self.port, self.dashboard = free_port(), free_port()
        self.address, self.url = f"127.0.0.1:{self.port}", f"http://127.0.0.1:{self.dashboard}"
        # Sockets have short paths.
        self.sockets = f"/tmp/longweave-ray-{self.port}"
        self.start_head()
        for _ in range(nodes):
            self.add()

    def start_head(self):
        self.head = Node(self, "--head", "--port", str(self.port), "--dashboard-port", str(self.dashboard), "--num-cpus", "0", "--temp-dir", self.sockets)
        until(self.answers, "the head")

    def environment(self):
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_raylet_start_wait_time_s": "120", "RAY_USAGE_STATS_ENABLED": "0", "PATH": f"{self.bin}:{os.environ['PATH']}"}
        return {**{name: value for name, value in os.environ.items() if not name.startswith("RAY_")}, **own}

    def ask(self, path):
        request = urllib.request.Request(f"{self.url}/{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def answers(self):
        with contextlib.suppress(OSError):
            return self.ask("api/version") and any(node["raylet"].get("state") == "ALIVE" for node in self.summary())

    def summary(self):
        return self.ask("nodes?view=summary")["data"]["summary"]

    def alive(self):
        return sum(node["raylet"].get("state") == "ALIVE" for node in self.summary())

    def add(self, *flags, before=(), **environment):
        """A further node, whose command follows the words of `before`; it has joined when this returns."""
        node = Node(self, "--address", self.address, *(flags or ("--num-cpus", "1")), before=before, **environment)
        # As many as there are processes: a node that was killed counts for a while.
        until(lambda: self.alive() == 1 + len(self.workers()), f"a node ({node.log})")
        return node

    def workers(self):
        return [node for node in self.nodes if node is not self.head and node.process.poll() is None]

    def stop(self):
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.sockets, ignore_errors=True)
