"""The scripts that `longweave script slurm` prints, under slurmctld and three slurmd on this machine: `python3 scripts/slurm/run.py [WORDS]` (a built clone).

Needs slurmctld, slurmd, slurm-client and munge (`apt-get install --no-install-recommends slurmctld slurmd slurm-client munge`) and root; else it skips and counts. The test with
Ray needs the environment of scripts/ray/run.py too. Outputs are compared, byte for byte, with that of a local run."""
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import suite  # noqa: E402
from suite import check, equal, files, test  # noqa: E402

OUT = ROOT / "out" / "slurm"
RAY = ROOT / "out" / "ray" / "venv-pinned" / "bin"
PROGRAMS = ["slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "munged"]
NODES = 3


def until(truth, what, seconds=300):
    return suite.until(truth, what, seconds)


class Slurm:
    """A cluster of three nodes with their daemons in the foreground, as children of this process."""

    def __init__(self, place):
        self.place, self.daemons = place, []
        host, port = socket.gethostname().split(".")[0], random.Random(os.getpid()).randint(20_000, 29_000)
        (place / "state").mkdir(parents=True)
        key = place / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        # Sockets have short paths.
        self.socket = f"/tmp/longweave-munge-{os.getpid()}"
        lines = [f"NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + 1 + i} CPUs={os.cpu_count()} State=UNKNOWN" for i in range(NODES)]
        for i in range(NODES):
            (place / f"spool-n{i}").mkdir()
        self.conf = place / "slurm.conf"
        self.conf.write_text(f"""ClusterName=longweave
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={self.socket}
SlurmUser=root
SlurmdUser=root
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
KillWait=2
MailProg=/bin/true
ReturnToService=2
SlurmdTimeout=20
SwitchType=switch/none
{chr(10).join(lines)}
PartitionName=all Nodes=ALL Default=YES State=UP
""")
        munge = ["--foreground", "--force", f"--socket={self.socket}", f"--key-file={key}", f"--pid-file={place}/munged.pid", f"--log-file={place}/munged.log", f"--seed-file={place}/munge.seed"]
        self.daemon("munged", *munge)
        until(lambda: Path(self.socket).exists(), "munged")
        self.daemon("slurmctld", "-D", "-f", self.conf)
        self.slurmd = [self.daemon("slurmd", "-D", "-N", f"n{i}", "-f", self.conf) for i in range(NODES)]
        until(lambda: self("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * NODES, "nodes")

    def daemon(self, name, *arguments):
        log = (self.place / f"{name}-{len(self.daemons)}.log").open("w")
        one = subprocess.Popen([name, *map(str, arguments)], stdout=log, stderr=log, env=self.environment(), start_new_session=True)
        self.daemons.append(one)
        return one

    def environment(self):
        programs = self.place.parent / "bin"
        paths = [str(programs), *([str(RAY)] if RAY.exists() else []), os.environ["PATH"]]
        return {**os.environ, "SLURM_CONF": str(self.conf), "PATH": ":".join(paths), "RAY_raylet_start_wait_time_s": "120"}

    def __call__(self, *command, fails=False):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=self.environment(), cwd=self.place)
        check(fails or done.returncode == 0 or command[0] == "sinfo", f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return done.stdout

    def finish(self, seconds=600):
        """Waits until no job is left."""
        until(lambda: not self("squeue", "-h").strip(), f"jobs:\n{self('squeue')}", seconds)

    def stop(self):
        self("scancel", "--user=root", fails=True)
        time.sleep(3)
        for one in reversed(self.daemons):
            one.terminate()
        for one in self.daemons:
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()


class World:
    def __init__(self):
        self.place = OUT / "work"
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "bin").mkdir(parents=True)
        program = self.place / "bin" / "longweave"
        program.write_text(f'#!/bin/sh\nexec node {ROOT}/dist/cli/main.js "$@"\n')
        program.chmod(0o755)
        self.number = 0
        self.write_corpus()
        out = self.fresh()
        done = subprocess.run([program, "run", "--config", self.config, "--out", out, "--quiet"], capture_output=True, text=True)
        check(done.returncode == 0, done.stderr)
        self.expected = files(out)
        self.slurm = Slurm(self.place / "slurm")

    def write_corpus(self):
        draw = random.Random(7)
        words = [f"w{i}" for i in range(100)]
        names = ["<|endoftext|>", "<pad>", "<unk>", *words]
        special = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i, t in enumerate(names[:3])]
        tokenizer = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None, "decoder": None, "added_tokens": special}
        tokenizer |= {"pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(names)}, "unk_token": "<unk>"}}
        (self.place / "tokenizer.json").write_text(json.dumps(tokenizer))
        rows = [json.dumps({"id": f"d{i}", "text": " ".join(draw.choices(words, k=draw.randint(5, 200)))}) + "\n" for i in range(4000)]
        (self.place / "corpus.jsonl").write_text("".join(rows))
        options = {"corpus": "corpus.jsonl", "idField": "id", "tokenizer": "tokenizer.json", "length": 1024, "splitBytes": 200_000, "memory": "256MiB", "diskCheck": "off"}
        options |= {"corpus": str(self.place / "corpus.jsonl"), "tokenizer": str(self.place / "tokenizer.json"), "packing": "scatter", "holdout": 0.1, "keywords": {"minScore": 0}, "output": {"shardTokens": 80_000}}
        self.config = self.place / "run it's.json"
        self.config.write_text(json.dumps(options))

    def fresh(self):
        self.number += 1
        return self.place / f"out {self.number}"

    def script(self, out, *flags):
        """The file of a printed script."""
        command = [self.place / "bin" / "longweave", "script", "slurm", "--config", self.config, "--out", out, "--nodes", str(NODES), "--cpus", "1", "--memory", "256MiB", *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        check(done.returncode == 0, done.stderr)
        path = Path(f"{out}.sh")
        path.write_text(done.stdout)
        return path

    def same(self, out):
        logs = "".join(path.read_text() for path in sorted((out / ".state" / "slurm").glob("*.log")))
        equal(files(out), self.expected, f"{logs[-2000:]}\n{out.name}")

    def mend(self):
        self.slurm("scancel", "--user=root", fails=True)

    def close(self):
        self.slurm.stop()


@test
def arrays_by_stage_run_as_printed(world):
    out = world.fresh()
    shown = world.slurm("bash", world.script(out))
    check("ingest: job " in shown and "seal: job " in shown, shown)
    world.slurm.finish()
    world.same(out)
    again = world.slurm("bash", world.script(out))
    check("job" not in again, f"finished stages are submitted again: {again}")


@test
def the_script_run_again_after_a_failure_does_what_is_left(world):
    out = world.fresh()
    script = world.script(out)
    world.slurm("bash", script)
    until(lambda: list((out / ".work").glob("ingest-*/done/*.json")), "a task of ingest")
    world.slurm("scancel", "--user=root")
    world.slurm.finish()
    check(not (out / "longweave.json").exists(), "it has finished already")
    world.slurm("bash", script)
    world.slurm.finish()
    world.same(out)


@test
def a_node_that_dies_gives_its_tasks_back(world):
    out = world.fresh()
    world.slurm("bash", world.script(out))
    until(lambda: list((out / ".work").glob("scan-*/done/*.json")), "a task of scan")
    busy = until(lambda: world.slurm("squeue", "-h", "-t", "running", "-o", "%N").split(), "a job on a node")[0]
    index = int(busy[1:])
    killed = [world.slurm.slurmd[index].pid, *processes_of(busy)]
    check(len(killed) > 2, "the node runs nothing")
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    world.slurm.slurmd[index].wait()
    world.slurm.slurmd[index] = world.slurm.daemon("slurmd", "-D", "-N", busy, "-f", world.slurm.conf)
    world.slurm.finish()
    if not (out / "longweave.json").exists():
        world.slurm("bash", world.script(out))
        world.slurm.finish()
    world.same(out)


def processes_of(node):
    """The processes of jobs on a node, and the daemons of their steps."""
    found = set()
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if f"SLURMD_NODENAME={node}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found |= {int(folder.name), int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])}
    return found - {1, os.getpid()}


@test
def one_job_with_ray_runs_as_printed(world):
    if not (RAY / "ray").exists():
        return "skipped: scripts/ray/run.py makes the environment"
    out = world.fresh()
    world.slurm("sbatch", world.script(out, "--form", "ray"))
    world.slurm.finish()
    log = "".join(path.read_text() for path in world.slurm.place.glob("longweave-*.log"))
    check("finished" in log, log[-3000:])
    world.same(out)


def main():
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        print(f"{len(suite.TESTS)} tests skipped: {', '.join(missing) or 'root'} missing.")
        return 0
    return suite.run(World, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
