"""The Python side of the protocol of docs/worker.md, held by stand-ins of the driver and the workers. Needs no Ray: `python3 -m unittest discover -s tests`"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from longweave.carry import Inbox, Place, carry, drive, is_json
from longweave.processes import Worker

HERE = Path(__file__).parent
os.environ["LONGWEAVE_WORKER"] = str(HERE / "fake_worker.py")


class Local:
    """A cluster of processes of this machine."""

    def __init__(self, inbox, places):
        self.inbox, self.workers, self.gpus, self.dropped = inbox, {}, 0, []
        for name in places:
            self.add(name, 0)

    def add(self, name, gpus):
        self.workers[name] = Worker(2, 1 << 30)
        self.inbox.put(("place", Place(name, 2, 1 << 30, gpus)))
        threading.Thread(target=self.watch, args=(name,), daemon=True).start()

    def watch(self, name):
        end = None
        while end is None:
            lines, end = self.workers[name].read(0.2)
            for line in lines:
                self.inbox.put(("line", name, line))
        self.inbox.put(("lost", name, end["reason"], end["memory"]))

    def send(self, name, line):
        self.workers[name].send([line])

    def drop(self, name, reason):
        self.dropped.append((name, reason))
        self.workers[name].process.process.kill()

    def need(self, gpus):
        self.gpus += gpus
        self.add("gpu", gpus)


class Carrying(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.options = Path(folder.name) / "options.json"
        self.options.write_text(json.dumps({"output": {"directory": "/shared/out"}}))
        self.addCleanup(os.environ.pop, "FAKE", None)
        self.addCleanup(os.environ.pop, "FAKE_PLACES", None)

    def carry(self, mode="", places=("a", "b"), meanwhile=lambda line, inbox, cluster: None):
        os.environ["FAKE"], os.environ["FAKE_PLACES"] = mode, str(len(places))
        inbox, shown = Inbox(), []
        driver = drive(inbox, ["--out", "out", "--options", self.options])
        cluster = Local(inbox, places)

        def show(line):
            shown.append(line)
            meanwhile(line, inbox, cluster)

        status = carry(inbox, driver, cluster, show)
        for worker in cluster.workers.values():
            worker.stop(0.5)
        return status, shown, cluster

    def test_tasks_are_run_at_the_places_and_events_are_shown(self):
        status, shown, _ = self.carry()
        self.assertEqual(status, 0)
        self.assertEqual(sorted(shown[-1]["summary"]["tasks"]), [0, 1, 2])
        self.assertEqual(sum(line["type"] == "event" for line in shown), 3)
        self.assertEqual(shown[-1]["summary"]["places"][0], {"type": "place", "place": "a", "threads": 2, "memory": 1 << 30, "gpus": 0})

    def test_a_worker_that_is_killed_is_lost_and_its_task_is_run_elsewhere(self):
        def kill(line, _, cluster):
            if line.get("event", {}).get("type") == "progress" and cluster.workers["a"].process.process.poll() is None:
                cluster.workers["a"].process.process.kill()

        status, shown, _ = self.carry("hangs", meanwhile=kill)
        self.assertEqual((status, sorted(shown[-1]["summary"]["tasks"])), (0, [0, 1, 2]))
        self.assertIn("lost a: its worker ended with signal 9, memory False", [line["event"].get("message") for line in shown[:-1]])

    def test_a_place_that_the_driver_gives_up_is_ended(self):
        status, _, cluster = self.carry("drops")
        self.assertEqual((status, cluster.dropped), (0, [("a", "silent for 60 s")]))

    def test_a_place_whose_worker_writes_no_json_is_lost_once(self):
        status, shown, cluster = self.carry("noise")
        self.assertEqual((status, sorted(shown[-1]["summary"]["tasks"])), (0, [0, 1, 2]))
        reason = "its worker wrote a line that is not JSON: '\ufffd: a warning of a library'"
        self.assertEqual(cluster.dropped, [("a", reason)])
        messages = [line["event"].get("message", "") for line in shown[:-1]]
        self.assertEqual([message for message in messages if message.startswith("lost")], [f"lost a: {reason}, memory False"])

    def test_json_is_that_of_the_driver(self):
        for text, truth in (('{"a":1}', True), ("", False), ("NaN", False), ("[" * 100_000, False)):
            self.assertEqual(is_json(text), truth)

    def test_a_gpu_is_offered_once_the_driver_needs_it(self):
        status, shown, cluster = self.carry("needs", ("a",))
        self.assertEqual((status, cluster.gpus), (0, 1))
        self.assertEqual([place["gpus"] for place in shown[-1]["summary"]["places"]], [0, 1])

    def test_cancelling_ends_the_driver(self):
        def cancel(line, inbox, _):
            if line["type"] == "event":
                inbox.cancel()

        status, shown, _ = self.carry("silent", meanwhile=cancel)
        self.assertEqual((status, shown[-1]["error"]["code"]), (130, "CANCELLED"))

    def test_a_driver_that_dies_is_an_error_that_can_be_repeated(self):
        status, shown, _ = self.carry("dies")
        self.assertEqual((status, shown[-1]["error"]["code"]), (3, "ENGINE_FAILED"))
        self.assertIn("status 3", shown[-1]["error"]["message"])


class Processes(unittest.TestCase):
    def test_a_worker_dies_with_its_parent(self):
        program = "import sys; from longweave.processes import Worker; w = Worker(1, 1 << 24); print(w.process.process.pid, flush=True); sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE.parent) as parent:
            worker = int(parent.stdout.readline())
            os.kill(worker, signal.SIGSTOP)  # it cannot see the end of its input
            parent.kill()
        for _ in range(1000):
            with contextlib.suppress(OSError, IndexError):
                if Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    threading.Event().wait(0.02)
                    continue
            return
        self.fail("the worker lives")

    def test_reading_waits_no_longer_than_asked_and_says_why_a_worker_ended(self):
        worker = Worker(1, 1 << 24)
        self.assertEqual(worker.read(0), ([], None))
        worker.stop(5)
        lines, end = [], None
        while end is None:
            lines, end = worker.read(1)
        self.assertEqual((lines, end), ([], {"reason": "its worker ended with status 0", "memory": False}))


if __name__ == "__main__":
    unittest.main()
