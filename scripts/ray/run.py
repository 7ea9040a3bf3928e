"""Runs on a Ray cluster of three logical nodes on loopback: `python3 scripts/ray/run.py [--ray VERSION] [--kills N] [WORDS]` (a built clone; PyPI the first time).

Sets up an environment with Ray (the release of requirements.txt, or VERSION, or `newest`) and the wheel of packages/python, whose executable it builds. WORDS select tests by
name. Outputs are compared, byte for byte, with those of local runs; processes of every kind are killed, stopped and frozen meanwhile."""
import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
OUT = ROOT / "out" / "ray"
sys.path[:0] = [str(HERE), str(HERE.parent)]
import suite  # noqa: E402
from cluster import TOKEN, Cluster, send, until  # noqa: E402
from suite import check, equal, files, test  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("words", nargs="*")
parser.add_argument("--ray")
parser.add_argument("--kills", type=int, default=30)
ARGUMENTS = parser.parse_args()


def environment():
    """The programs of an environment with Ray and the wheel."""
    wanted = (HERE / "requirements.txt").read_text()
    if ARGUMENTS.ray:
        wanted = re.sub(r"ray\[default\]==.*", "ray[default]" if ARGUMENTS.ray == "newest" else f"ray[default]=={ARGUMENTS.ray}", wanted)
    home = OUT / f"venv-{ARGUMENTS.ray or 'pinned'}"
    stamp, programs = home / "requirements", home / "bin"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"▸ Installing {' '.join(wanted.split())} in {home.relative_to(ROOT)}", flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([programs / "pip", "install", "--quiet", "--disable-pip-version-check", *wanted.split()], check=True)
        stamp.write_text(wanted)
    wheels = OUT / "wheels"
    print("▸ Building the wheel", flush=True)
    target = re.search(r"^host: (.+)$", subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout, re.M)[1]
    build = {**os.environ, "CARGO_BUILD_TARGET": target}
    subprocess.run([programs / "maturin", "build", "--quiet", "--profile", "quick", "--out", wheels], cwd=ROOT / "packages" / "python", env=build, check=True)
    subprocess.run([programs / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall", *wheels.glob("*.whl")], check=True)
    return programs


class World:
    """Corpora, local runs to compare with, and a cluster."""

    def __init__(self):
        self.place = OUT / "work"
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        self.bin = environment()
        self.write_corpus()
        self.number, self.local_runs = 0, {}
        self.cluster = Cluster(self.place / "cluster", self.bin)

    def write_corpus(self):
        draw = random.Random(7)
        subjects = [f"{a} {b}" for a in ("winter", "steam", "mountain", "silver", "wooden") for b in ("garden", "engine", "river", "bridge", "planet", "football")]
        words = [f"w{i}" for i in range(100)]
        names = ["<|endoftext|>", "<pad>", "<unk>", *words, *sorted({part for subject in subjects for part in subject.split()}), "of", "the", "."]
        vocabulary = {word: i for i, word in enumerate(names)}
        special = [{"id": vocabulary[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for t in names[:3]]
        tokenizer = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None, "decoder": None, "added_tokens": special}
        tokenizer |= {"pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}}
        (self.place / "tokenizer.json").write_text(json.dumps(tokenizer))

        def text():
            subject = draw.choice(subjects)
            return " . ".join(f"the {subject} of the {draw.choice(subjects)} . {' '.join(draw.choices(words, k=draw.randint(5, 60)))}" for _ in range(draw.randint(1, 6)))

        rows = [json.dumps({"id": f"d{i}", "text": text()}) + "\n" for i in range(6000)]
        (self.place / "corpus.jsonl").write_text("".join(rows))

    def large(self):
        """The corpus, many times over, with ids of their own."""
        path = self.place / "large.jsonl"
        if not path.exists():
            rows = [json.loads(line) for line in (self.place / "corpus.jsonl").read_text().splitlines()]
            with path.open("w") as file:
                for i in range(60):
                    file.writelines(json.dumps({**row, "id": f"{row['id']}-{i}", "text": f"w{i} " + row["text"]}) + "\n" for row in rows)
        return path

    def config(self, name, **more):
        """A config file: quest or knn, about fifteen splits and ten shards."""
        method = {"quest": {"method": "quest", "packing": "scatter", "holdout": 0.1}, "knn": {"method": "knn", "vectors": {"dimensions": 32, "sample": 1000}}}[name.split("-")[0]]
        common = {"corpus": str(self.place / "corpus.jsonl"), "idField": "id", "tokenizer": str(self.place / "tokenizer.json"), "length": 1024, "splitBytes": 300_000}
        options = {**common, **method, "memory": "256MiB", "diskCheck": "off", "output": {"shardTokens": 80_000}, **more}
        path = self.place / f"{name}.json"
        path.write_text(json.dumps(options))
        return path

    def fresh(self):
        self.number += 1
        return self.place / f"out-{self.number:03}"

    def local(self, name, **more):
        """The files of a local run."""
        if name not in self.local_runs:
            out = self.fresh()
            done = self.cli("run", "--config", self.config(name, **more), "--out", out)
            check(done.returncode == 0, done.stderr)
            self.local_runs[name] = files(out)
        return self.local_runs[name]

    def cli(self, *arguments, wait=True, **environment):
        command = ["node", ROOT / "dist/cli/main.js", *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.place, "env": {**self.cluster_environment(), **environment}, "start_new_session": True}
        return subprocess.run(command, **options, timeout=900) if wait else subprocess.Popen(command, **options)

    def cluster_environment(self):
        return {**os.environ, "RAY_AUTH_TOKEN": TOKEN}

    def start(self, name, out, *flags, config=None, **environment):
        """`python -m longweave.ray` as a process."""
        command = [self.bin / "python", "-m", "longweave.ray", "--config", config or self.config(name), "--out", out, "--address", self.cluster.address, "--json", *flags]
        log = Path(f"{out}.log").open("a")
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.place, env={**self.cluster.environment(), **environment}, start_new_session=True)

    def run(self, name, out, *flags, config=None, **environment):
        """The same to its end: its last line."""
        self.start(name, out, *flags, config=config, **environment).wait(900)
        return self.end(out)

    def end(self, out):
        lines = [json.loads(line) for line in Path(f"{out}.log").read_text().splitlines() if line.startswith('{"type": "end"')]
        check(lines, f"the driver ended without a word: {Path(f'{out}.log').read_text()[-2000:]}")
        return lines[-1]

    def same(self, out, name):
        equal(files(out), self.local(name), out.name)

    def reaches(self, out, stage):
        """Waits until a run is in a stage."""
        until(lambda: f'"stage": "{stage}"' in read(Path(f"{out}.log")), f"stage {stage}")

    def whole(self):
        """Three nodes again, after a test has ended some."""
        while len(self.cluster.workers()) < 3:
            self.cluster.add()

    def mend(self):
        self.whole()

    def close(self):
        self.cluster.stop()


def read(path):
    return path.read_text() if path.exists() else ""


@test
def quest_and_knn_have_the_bytes_of_a_local_run(world):
    for name in ("quest", "knn"):
        out = world.fresh()
        end = world.run(name, out)
        check("summary" in end, end)
        world.same(out, name)


@test
def a_job_over_rest_has_the_same_bytes_and_status_shows_it(world):
    out = world.fresh()
    flags = ["--config", world.config("quest"), "--out", out, "--engine", "ray", "--ray", world.cluster.url, "--ray-python", world.bin / "python"]
    done = world.cli("run", *flags, "--json")
    check(done.returncode == 0, done.stderr)
    types = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    check(types[-1] == "summary" and types.count("stage") > 10, types)
    world.same(out, "quest")
    state = json.loads(world.cli("status", out, "--json").stdout)
    check(state["state"] == "finished", state["state"])
    stored = "".join(path.read_text(errors="replace") for path in (out / ".state").rglob("*") if path.is_file()) + (out / "run.json").read_text()
    check(TOKEN not in stored + done.stdout + done.stderr + json.dumps(world.cluster.ask("api/jobs/")), "the token is stored")


@test
def an_interrupted_job_stops_and_the_same_command_resumes_it(world):
    out = world.fresh()
    flags = ["run", "--config", world.config("quest"), "--out", out, "--engine", "ray", "--ray", world.cluster.url, "--ray-python", world.bin / "python", "--json"]
    run = world.cli(*flags, wait=False)
    for line in run.stdout:
        if '"stage":"ingest"' in line:
            break
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=120)
    check(run.returncode == 130, f"it ended with {run.returncode}")
    jobs = world.cluster.ask("api/jobs/")
    check(all(job["status"] not in ("RUNNING", "PENDING") for job in jobs), jobs)
    done = world.cli(*flags)
    check(done.returncode == 0, done.stderr)
    world.same(out, "quest")


@test
def a_run_begins_here_continues_there_and_ends_here(world):
    out = world.fresh()
    here = world.cli("run", "--config", world.config("quest"), "--out", out, "--json", wait=False)
    for line in here.stdout:
        if '"stage":"predict"' in line:
            break
    here.send_signal(signal.SIGINT)
    here.communicate(timeout=60)
    there = world.start("quest", out)
    world.reaches(out, "plan")
    there.send_signal(signal.SIGTERM)
    check(there.wait(60) == 130, f"it ended with {there.returncode}")
    done = world.cli("run", "--config", world.config("quest"), "--out", out)
    check(done.returncode == 0, done.stderr)
    world.same(out, "quest")


def killing(world, who, stage, name="quest"):
    """Kills a process of the kind, in a stage; the output is the same."""
    out = world.fresh()
    run = world.start(name, out)
    world.reaches(out, stage)
    who(run)
    run.wait(900)
    check("summary" in world.end(out), world.end(out))
    world.same(out, name)
    world.whole()


def one(world, kind="longweave-worker"):
    """A worker of a node, or what owns it."""
    return until(lambda: [pid for node in world.cluster.workers() for pid in node.workers(kind)], "a worker")[0]


@test
def a_worker_that_is_killed_is_replaced(world):
    for stage in ("ingest", "scatter", "pack"):
        killing(world, lambda run: send([one(world)], signal.SIGKILL), stage)


@test
def a_worker_of_ray_that_is_killed_is_replaced(world):
    for stage in ("scan", "extract"):
        killing(world, lambda run: send([one(world, "ray::")], signal.SIGKILL), stage)
    killing(world, lambda run: send([one(world, "ray::")], signal.SIGKILL), "embed", "knn")


def memory_group(limit):
    """A control group of this much memory, of either version; None where they cannot be made."""
    old, new = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    root, file = (old, "memory.limit_in_bytes") if old.exists() else (new, "memory.max")
    group = root / f"longweave-{os.getpid()}"
    try:
        group.mkdir()
        (group / file).write_text(str(limit))
        if root == new:
            (group / "memory.swap.max").write_text("0")
    except OSError:
        if group.exists():
            group.rmdir()
        return None
    return group


@test
def the_task_of_a_worker_that_the_kernel_kills_for_memory_runs_again(world):
    group = memory_group(2 << 20)
    if group is None:
        return "skipped: no control groups"
    try:
        out = world.fresh()
        run = world.start("quest", out)
        world.reaches(out, "ingest")
        (group / "cgroup.procs").write_text(str(one(world)))
        run.wait(900)
        check("summary" in world.end(out), world.end(out))
        check("memory was short" in read(Path(f"{out}.log")), "no worker was killed for memory")
        world.same(out, "quest")
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), "the group's processes end")
        group.rmdir()
    world.whole()


@test
def the_tasks_of_a_node_that_is_killed_go_to_others(world):
    for stage in ("ingest", "predict"):
        killing(world, lambda run: world.cluster.workers()[0].kill(), stage)


@test
def a_task_that_fills_the_disk_of_its_node_goes_to_another(world):
    scratch = world.place / "scratch"
    scratch.mkdir(exist_ok=True)
    if subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", scratch], capture_output=True).returncode != 0:
        return "skipped: not allowed to mount"
    # The largest node gets what is one task.
    mount = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"', scratch]
    full = world.cluster.add("--num-cpus", "2", before=mount)
    more = {"corpus": str(world.large()), "splitBytes": 4_000_000, "output": {"shardTokens": 1_000_000}, "memory": "16MiB"}
    expected, out = world.local("quest-disk", **more), world.fresh()
    end = world.run("quest-disk", out, "--scratch", scratch, config=world.config("quest-disk", **more))
    check("summary" in end, end)
    check("free some space" in read(Path(f"{out}.log")), "no disk was full")
    equal(files(out), expected, out.name)
    full.kill()


@test
def nodes_that_join_are_used(world):
    for node in world.cluster.workers():
        node.kill()
    out = world.fresh()
    run = world.start("quest", out)
    world.whole()
    run.wait(900)
    check("summary" in world.end(out), world.end(out))
    world.same(out, "quest")


@test
def a_driver_that_is_killed_is_started_again(world):
    for stage in ("ingest", "plan"):
        out = world.fresh()
        run = world.start("quest", out)
        world.reaches(out, stage)
        run.kill()
        run.wait()
        until(lambda: not [pid for node in world.cluster.workers() for pid in node.workers()], "the workers end with their driver")
        end = world.run("quest", out)
        check("summary" in end, end)
        world.same(out, "quest")


@test
def a_node_that_freezes_is_given_up_and_does_no_harm_when_it_thaws(world):
    out = world.fresh()
    run = world.start("quest", out, "--silence", "15")
    world.reaches(out, "ingest")
    frozen = next(node for node in world.cluster.workers() if node.workers())
    frozen.freeze()
    run.wait(900)
    check("summary" in world.end(out), world.end(out))
    world.same(out, "quest")
    frozen.thaw()
    time.sleep(5)
    world.same(out, "quest")
    frozen.kill()
    world.whole()


@test
def a_second_driver_is_refused(world):
    out = world.fresh()
    run = world.start("quest", out)
    world.reaches(out, "ingest")
    # The first cannot end meanwhile.
    workers = [pid for node in world.cluster.workers() for pid in node.workers()]
    send(workers, signal.SIGSTOP)
    other = subprocess.run([world.bin / "python", "-m", "longweave.ray", "--config", world.config("quest"), "--out", out, "--address", world.cluster.address], capture_output=True, text=True, env=world.cluster.environment())
    send(workers, signal.SIGCONT)
    check(other.returncode == 1 and "RUN_LOCKED" in other.stderr, other.stderr)
    run.wait(900)
    world.same(out, "quest")


@test
def a_wrong_and_a_missing_token_are_errors(world):
    for environment, code in (({"RAY_AUTH_TOKEN": "another-token-of-another-cluster-xx"}, "ENGINE_DENIED"), ({"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": "/dev/null"}, "ENGINE_DENIED")):
        flags = ["--config", world.config("quest"), "--out", world.fresh(), "--engine", "ray", "--ray", world.cluster.url]
        done = world.cli("run", *flags, **environment)
        check(done.returncode == 1 and code in done.stderr, done.stderr)
    end = world.run("quest", world.fresh(), RAY_AUTH_TOKEN="another-token-of-another-cluster-xx")
    check(end.get("error", {}).get("code") == "ENGINE_DENIED", end)


@test
def a_gpu_stage_without_gpus_is_an_error(world):
    config = world.config("quest-gpu", queries={"predictor": "onnx", "model": str(ROOT / "__test__/fixtures/models/t5-v1_0/longweave"), "device": "cuda"})
    out = world.fresh()
    command = [world.bin / "python", "-m", "longweave.ray", "--config", config, "--out", out, "--address", world.cluster.address, "--patience", "5"]
    done = subprocess.run(command, capture_output=True, text=True, env=world.cluster.environment(), timeout=300)
    check(done.returncode == 1 and "DEVICE_UNAVAILABLE" in done.stderr, done.stderr)


@test
def a_node_with_another_version_is_not_used(world):
    for node in world.cluster.workers():
        node.kill()
    other = world.place / "other-worker"
    other.write_text(f"""#!{sys.executable}
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({{"id": asked["id"], "type": "error", "code": "VERSION_MISMATCH", "message": "this is 9.9.9", "details": {{}}}}), flush=True)
""")
    other.chmod(0o755)
    node = world.cluster.add(LONGWEAVE_WORKER=str(other))
    end = world.run("quest", world.fresh())
    check(end.get("error", {}).get("code") == "VERSION_MISMATCH", end)
    out = world.fresh()
    world.whole()
    end = world.run("quest", out)
    check("summary" in end, end)
    world.same(out, "quest")
    node.kill()
    world.whole()


def hurt(world, kind, run, draw):
    """Kills, or freezes, a process of a kind."""
    if kind == "driver":
        run.kill()
    elif kind == "node":
        draw.choice(world.cluster.workers()).kill()
    else:
        pids = [pid for node in world.cluster.workers() for pid in node.workers("ray::" if kind == "worker of Ray" else "longweave-worker")]
        send(draw.sample(pids, min(1, len(pids))), signal.SIGSTOP if kind == "frozen worker" else signal.SIGKILL)


@test
def processes_killed_as_each_stage_begins_change_no_byte(world):
    """Stages take a moment here: some kills fall into the stage after."""
    draw = random.Random(5)
    for name in ("quest", "knn"):
        for kind in ("worker", "worker of Ray", "node", "driver"):
            out, hit, kills = world.fresh(), set(), 0
            log, start = Path(f"{out}.log"), lambda: world.start(name, out)
            run = start()
            while run.poll() is None:
                begun = set(re.findall(r'"stage": "(\w+)"', read(log))) - hit
                busy = kind in ("node", "driver") or any(node.workers() for node in world.cluster.workers())
                if begun and busy:
                    hurt(world, kind, run, draw)
                    hit, kills = hit | begun, kills + 1
                    if kind == "driver":
                        run.wait()
                        until(lambda: not [pid for node in world.cluster.workers() for pid in node.workers()], "the workers end with their driver")
                        run = start()
                    # The others wait for the node that joins.
                    others = [pid for node in world.cluster.workers() for pid in node.workers()] if kind == "node" else []
                    send(others, signal.SIGSTOP)
                    world.whole()
                    send(others, signal.SIGCONT)
                time.sleep(0.02)
            check("summary" in world.end(out), f"{name}, {kind}: {world.end(out)}")
            world.same(out, name)
            check(kills > 4, f"{name}, {kind}: {kills} kills")
            print(f"  {name}: {kind}, {kills} kills", flush=True)
            shutil.rmtree(out)


@test
def seeded_kills_change_no_byte(world):
    draw = random.Random(11)
    for number in range(ARGUMENTS.kills):
        out, wait = world.fresh(), draw.uniform(2, 6.5)
        kind = draw.choice(["worker", "worker of Ray", "node", "driver", "frozen worker"])
        run = world.start("quest", out, "--silence", "10")
        time.sleep(wait)
        hit = run.poll() is None
        if hit:
            hurt(world, kind, run, draw)
        run.wait(600)
        end = world.run("quest", out) if hit and kind == "driver" else world.end(out)
        check("summary" in end, f"{number}: {kind} after {wait:.1f} s: {end}")
        world.same(out, "quest")
        world.whole()
        print(f"  {number}: {kind if hit else 'nothing: it had ended'} after {wait:.1f} s", flush=True)
        shutil.rmtree(out)


@test
def ray_costs_little_more_than_a_local_run(world):
    """A run of about 300 tasks with as many threads, three times: the middle times. Other programs on the machine spoil them."""
    config = world.config("quest-many", splitBytes=4_000_000, output={"shardTokens": 1_000_000}, corpus=str(world.large()))
    times, tasks = {"local": [], "Ray": [], "Ray, between its first and last stage": []}, 0
    for _ in range(3):
        out = world.fresh()
        began = time.monotonic()
        done = world.cli("run", "--config", config, "--out", out, "--threads", "3")
        check(done.returncode == 0, done.stderr)
        times["local"].append(time.monotonic() - began)
        tasks = sum(stage["tasks"] for stage in json.loads(world.cli("task", "list", out, "--json").stdout))
        expected = files(out)
        shutil.rmtree(out)
        began = time.monotonic()
        end = world.run("quest-many", out, config=config)
        check("summary" in end, end)
        times["Ray"].append(time.monotonic() - began)
        stages = [json.loads(line)["event"] for line in read(Path(f"{out}.log")).splitlines() if '"type": "stage"' in line]
        work = [json.loads(line)["event"]["seconds"] for line in read(Path(f"{out}.log")).splitlines() if '"type": "progress"' in line]
        times["Ray, between its first and last stage"].append(stages[-1]["seconds"] - work[0])
        equal(files(out), expected, out.name)
        shutil.rmtree(out)
    middle = {kind: sorted(found)[1] for kind, found in times.items()}
    print(f"  {tasks} tasks: " + ", ".join(f"{kind} {seconds:.1f} s ({seconds / middle['local']:.2f})" for kind, seconds in middle.items()), flush=True)
    check(middle["Ray"] <= 1.3 * middle["local"], "Ray costs more than 30 %")


@test
def a_head_that_is_killed_loses_no_finished_task(world):
    out = world.fresh()
    flags = ["run", "--config", world.config("quest"), "--out", out, "--engine", "ray", "--ray", world.cluster.url, "--ray-python", world.bin / "python", "--json"]
    run = world.cli(*flags, wait=False)
    for line in run.stdout:
        if '"stage":"ingest"' in line:
            break
    for node in world.cluster.nodes:
        node.kill()
    world.cluster.start_head()
    world.whole()
    shown, errors = run.communicate(timeout=600)
    check(run.returncode == 0, errors)
    check("submitting it again" in shown, "the job was not submitted again")
    world.same(out, "quest")


if __name__ == "__main__":
    sys.exit(suite.run(World, ARGUMENTS.words))
