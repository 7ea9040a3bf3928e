"""The actors of a cluster and the command, with a stand-in of Ray."""
import contextlib
import io
import json
import queue
import threading
import types
import unittest
from unittest import mock

from longweave import ray as program


class FakeRay:
    """Nodes that a test chooses, and actors that never answer. `created` has the arguments of each actor."""

    def __init__(self, *nodes):
        self.alive, self.created = list(nodes), queue.Queue()
        affinity = types.SimpleNamespace(NodeAffinitySchedulingStrategy=lambda **_: None)
        self.util = types.SimpleNamespace(scheduling_strategies=affinity)

    def nodes(self):
        return [{"NodeID": f"node-{i}", "Alive": True, "NodeManagerHostname": "here", "Resources": node} for i, node in enumerate(self.alive)]

    def remote(self, **_):
        def create(*arguments):
            self.created.put(arguments)
            return types.SimpleNamespace(read=types.SimpleNamespace(remote=lambda _: object()))

        return lambda _: types.SimpleNamespace(options=lambda **_: types.SimpleNamespace(remote=create))

    def wait(self, calls, timeout, **_):
        threading.Event().wait(min(timeout, 0.01))
        return [], calls

    def kill(self, _):
        pass


class Clusters(unittest.TestCase):
    def cluster(self, *nodes, expected=0, memory=None, scratch=None):
        often = mock.patch.object(program, "LOOK", 0.01)
        often.start()
        self.addCleanup(often.stop)
        ray, inbox = FakeRay(*nodes), queue.Queue()
        cluster = program.Cluster(ray, inbox, 0, memory, 60, expected, scratch)
        self.addCleanup(cluster.stop)
        return cluster, ray, inbox

    def test_the_driver_expects_the_nodes_that_are_there_and_those_that_join(self):
        _, ray, inbox = self.cluster({"CPU": 4}, {"CPU": 0})
        self.assertEqual(inbox.get(timeout=60), ("expect", 1))
        ray.alive = [{"CPU": 4}] * 3
        self.assertEqual(inbox.get(timeout=60), ("expect", 3))
        ray.alive = [{"CPU": 4}] * 2
        ray.alive = [{"CPU": 4}] * 5
        self.assertEqual(inbox.get(timeout=60), ("expect", 5))

    def test_the_driver_expects_as_many_nodes_as_will_join(self):
        _, ray, inbox = self.cluster({"CPU": 4}, expected=3)
        ray.created.get(timeout=60)
        ray.alive = [{"CPU": 4}] * 4
        self.assertEqual([inbox.get(timeout=60) for _ in range(2)], [("expect", 3), ("expect", 4)])

    def test_the_workers_of_a_node_share_half_of_its_memory(self):
        cluster, ray, _ = self.cluster({"CPU": 6, "GPU": 3, "memory": 64 << 30})
        cluster.need(1)
        found = [ray.created.get(timeout=60) for _ in range(4)]
        self.assertEqual(found, [(threads, 8 << 30, None) for threads in (6, 2, 2, 2)])

    def test_memory_and_scratch_of_a_worker_can_be_chosen(self):
        _, ray, _ = self.cluster({"CPU": 1, "memory": 64 << 30}, memory=3 << 30, scratch="/local")
        self.assertEqual(ray.created.get(timeout=60), (1, 3 << 30, "/local"))


class Command(unittest.TestCase):
    def test_an_error_that_nobody_foresaw_is_the_end_of_the_run(self):
        out, errors = io.StringIO(), io.StringIO()
        raises = mock.patch.object(program, "run", side_effect=FileNotFoundError("longweave-worker is not in /bin"))
        ends = mock.patch.object(program.os, "_exit", side_effect=SystemExit)
        words = mock.patch.object(program.sys, "argv", ["longweave.ray", "--config", "run.json", "--json"])
        with raises, ends as exit_, words, contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors), self.assertRaises(SystemExit):
            program.main()
        exit_.assert_called_once_with(1)
        end = json.loads(out.getvalue())
        self.assertEqual((end["type"], end["error"]["code"]), ("end", "ENGINE_FAILED"))
        self.assertIn("longweave-worker is not in /bin", end["error"]["message"])


if __name__ == "__main__":
    unittest.main()
