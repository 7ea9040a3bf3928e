"""Remote storage against a real S3-compatible server: `python3 scripts/remote/run.py [WORDS]` (a built clone; PyPI the first time). WORDS select tests by name.

Builds the addon with the feature `remote` into out/remote/binding, beside the default one; starts moto, a proxy before it that drops, truncates, delays and refuses, and web
servers. What runs read and write through them is compared, byte for byte, with what local runs do."""
import gzip
import itertools
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
OUT = ROOT / "out" / "remote"


def environment():
    """The Python of an environment with the packages of requirements.txt."""
    home = OUT / "venv"
    python, stamp, wanted = home / "bin" / "python", home / "requirements", (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"▸ Installing requirements.txt in {home.relative_to(ROOT)}", flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    return python


PYTHON = environment()
if Path(sys.prefix) != PYTHON.parents[1]:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

sys.path[:0] = [str(HERE), str(HERE.parent)]
import boto3  # noqa: E402
import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
import zstandard  # noqa: E402
import suite  # noqa: E402
from servers import Proxy, Store, Web, free_port, self_signed  # noqa: E402
from suite import check, equal, files, test  # noqa: E402

KEY, SECRET = "AKIATESTKEYOFNOBODY", "verySecretOfNobody/x+y"
DISTRIBUTION = OUT / "binding"


def addon():
    """The addon with remote storage: the one that NAPI_RS_NATIVE_LIBRARY_PATH names, else built if it is not up to date."""
    if "NAPI_RS_NATIVE_LIBRARY_PATH" in os.environ:
        return Path(os.environ["NAPI_RS_NATIVE_LIBRARY_PATH"])
    print("▸ Building the addon with remote storage in out/remote/binding", flush=True)
    target = re.search(r"^host: (.+)$", subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout, re.M)[1]
    command = ["npx", "napi", "build", "--manifest-path", "crates/node/Cargo.toml", "--package-json-path", "package.json", "--platform", "--profile", "quick"]
    command += ["--no-const-enum", "--features", "remote", "--output-dir", str(DISTRIBUTION), "--js", "index.cjs", "--dts", "index.d.ts"]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "CARGO_BUILD_TARGET": target})
    return next(DISTRIBUTION.glob("*.node"))


class World:
    """Servers, corpora, and runs over them."""

    def __init__(self):
        self.place = OUT / "work"
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        self.addon = addon()
        self.store = Store()
        self.proxy = Proxy(self.store)
        self.s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.store.port}", aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")
        for bucket in ("corpus", "outputs"):
            self.s3.create_bucket(Bucket=bucket)
        self.number = 0
        self.write_corpora()

    def mend(self):
        pass

    def close(self):
        self.store.stop()

    def write_corpora(self):
        draw = random.Random(7)
        words = [f"w{i}" for i in range(100)]
        vocabulary = {"<|endoftext|>": 0, "<pad>": 1, "<unk>": 102, **{word: i + 2 for i, word in enumerate(words)}}
        special = [{"id": vocabulary[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for t in ("<|endoftext|>", "<pad>", "<unk>")]
        tokenizer = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None, "decoder": None, "added_tokens": special}
        tokenizer |= {"pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}}
        self.tokenizer = self.place / "tokenizer.json"
        self.tokenizer.write_text(json.dumps(tokenizer))
        self.vocabulary = vocabulary
        self.corpus = self.place / "corpus"
        self.corpus.mkdir()
        rows = self.rows = [{"id": f"d{i}", "text": " ".join(draw.choices(words, k=draw.randint(20, 400)))} for i in range(9000)]
        lines = [json.dumps(row) + "\n" for row in rows]
        plain, packed = "".join(lines[:4000]).encode(), "".join(lines[4000:6000]).encode()
        (self.corpus / "a.jsonl").write_bytes(plain)
        (self.corpus / "b.jsonl.gz").write_bytes(gzip.compress(packed, mtime=0))
        (self.corpus / "c").mkdir()
        (self.corpus / "c" / "d.jsonl.zst").write_bytes(zstandard.compress("".join(lines[6000:7500]).encode()))
        table = pyarrow.Table.from_pylist(rows[7500:])
        pyarrow.parquet.write_table(table, self.corpus / "e.parquet", row_group_size=300)
        (self.corpus / ".hidden.jsonl").write_text("no row\n")
        (self.corpus / "notes.csv").write_text("not,read\n")
        self.texts = self.place / "texts"
        (self.texts / "deep").mkdir(parents=True)
        for i in range(60):
            (self.texts / ("deep" if i % 2 else ".") / f"{i}.txt").write_text(rows[i]["text"])
        for folder, prefix in ((self.corpus, "data/"), (self.texts, "texts/")):
            self.put(folder, prefix)

    def put(self, folder, prefix):
        """Uploads the files of a directory into the bucket of corpora."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.s3.put_object(Bucket="corpus", Key=prefix + str(path.relative_to(folder)), Body=path.read_bytes())

    def fresh(self):
        self.number += 1
        return self.place / f"{self.number:03}"

    def environment(self, proxied=False, **more):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
        port = self.proxy.port if proxied else self.store.port
        aws = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true"}
        whole = {**clean, **aws, "NAPI_RS_NATIVE_LIBRARY_PATH": str(self.addon), **more}
        return {name: value for name, value in whole.items() if value is not None}

    def command(self, *arguments, proxied=False, wait=True, **more):
        """The command line in a process: finished with its output, or running."""
        line = ["node", "dist/cli/main.js", *map(str, arguments)]
        options = {"cwd": ROOT, "env": self.environment(proxied, **more), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        if not wait:
            return subprocess.Popen(line, **options)
        return subprocess.run(line, **options, timeout=600)

    def flags(self, corpus, out, *more):
        paths = corpus if isinstance(corpus, list) else [corpus]
        named = [flag for path in paths for flag in ("--corpus", path)]
        usual = {"--tokenizer": self.tokenizer, "--method": "standard", "--length": "512", "--shard-tokens": "200000", "--split-bytes": "300000", "--out": out}
        return ["run", *named, *[part for flag, value in usual.items() if flag not in more for part in (flag, value)], *more]

    def weave(self, corpus, *more, out=None, proxied=False, **env):
        """A run that must succeed; its output directory."""
        out = out or self.fresh()
        done = self.command(*self.flags(corpus, out, *more), proxied=proxied, **env)
        check(done.returncode == 0, f"the run failed: {done.stderr}")
        return out

    def fails(self, *arguments, proxied=False, **env):
        """The code and the message of a command that must fail."""
        done = self.command(*arguments, proxied=proxied, **env)
        check(done.returncode in (1, 2), f"it ended with {done.returncode}: {done.stdout}{done.stderr}")
        found = re.search(r"longweave: ([\s\S]*) \[([A-Z_]+)\]", done.stderr)
        check(found is not None, f"no error with a code: {done.stderr}")
        for secret in (KEY, SECRET):
            check(secret not in done.stderr + done.stdout, f"a credential stands in a message: {done.stderr}")
        return found[2], found[1]

    def objects(self, prefix, bucket="outputs"):
        """All objects below a prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key.removeprefix(prefix): self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def unfinished(self, prefix, bucket="outputs"):
        """Uploads to objects below a prefix that were begun and neither completed nor given up: a kill before the answer to the first request leaves one (docs/remote.md)."""
        return [upload for upload in self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) if upload["Key"].startswith(prefix)]


def sequences(out):
    """Files with sequences and what stands beside them: what does not say where the corpus came from."""
    return {name: content for name, content in files(out).items() if name.split("/")[-1] not in ("longweave.json", "SHA256SUMS")}


LARGE = ["--format", "jsonl", "--compression", "none", "--tokens", "20000000", "--shard-tokens", "10000000", "--length", "4096"]


@test
def a_remote_corpus_gives_the_bytes_of_a_local_one(world):
    expected = sequences(world.weave(world.corpus, "--id-field", "id"))
    for corpus in ("s3://corpus/data", "s3://corpus/data/", ["s3://corpus/data/**/*.jsonl*", "s3://corpus/data/e.parquet"]):
        equal(sequences(world.weave(corpus, "--id-field", "id")), expected, str(corpus))
    numbered = sequences(world.weave(world.corpus))
    equal(sequences(world.weave("s3://corpus/data")), numbered, "ids that are path:row")
    small = world.weave("s3://corpus/data", "--memory", "16MiB")
    equal(sequences(small), numbered, "with little memory")
    equal(sequences(world.weave("s3://corpus/texts")), sequences(world.weave(world.texts)), "text files")
    quest = ["--method", "quest", "--id-field", "id", "--min-keyword-score", "0"]
    equal(sequences(world.weave("s3://corpus/data", *quest)), sequences(world.weave(world.corpus, *quest)), "a method that reads texts twice")


@test
def a_corpus_is_read_with_few_requests(world):
    world.proxy.reset()
    world.weave("s3://corpus/data/e.parquet", "--split-bytes", "100000000", proxied=True)
    size = (world.corpus / "e.parquet").stat().st_size
    gets = [r for r in world.proxy.seen if r.method == "GET" and "e.parquet" in r.path]
    blocks = -(-size // (4 << 20))
    check(len(gets) <= 3 * (blocks + 1), f"{len(gets)} requests for a Parquet file of {size} bytes")


@test
def files_of_web_servers_are_read(world):
    certificate, trusted = self_signed(world.place)
    names, whole = ["a.jsonl", "b.jsonl.gz", "c/d.jsonl.zst", "e.parquet"], ["--split-bytes", "100000000"]
    expected = sequences(world.weave([world.corpus / name for name in names], *whole))
    # The last one knows neither ranges nor etags; its files are small enough to come as a whole.
    for web, scheme in ((Web(world.corpus), "http"), (Web(world.corpus, certificate=certificate), "https"), (Web(world.corpus, ranges=False), "http")):
        found = world.weave([f"{scheme}://127.0.0.1:{web.port}/{name}" for name in names], *whole, SSL_CERT_FILE=str(trusted))
        equal(sequences(found), expected, scheme)
    code, message = world.fails(*world.flags(f"http://127.0.0.1:{web.port}/none.jsonl", world.fresh()))
    check((code, "none.jsonl" in message) == ("INPUT_NOT_FOUND", True), message)
    code, message = world.fails(*world.flags(f"http://127.0.0.1:{web.port}/", world.fresh()))
    check(code == "OPTIONS_INVALID" and "name each one" in message, message)


@test
def json_is_lines_or_an_array_by_its_bytes(world):
    folder = world.place / "json"
    folder.mkdir()
    rows = world.rows[:2000]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    array = json.dumps(rows, indent=1).encode()
    # The last two are packed, or not, against their names; names without json are believed.
    written = {"a.json": lines, "b.json": array, "c.json.gz": gzip.compress(array, mtime=0), "d.json": zstandard.compress(lines), "e.json.zst": gzip.compress(array, mtime=0)}
    for name, content in written.items():
        (folder / name).write_bytes(content)
    world.put(folder, "json/")
    web = Web(folder)
    expected = sequences(world.weave(folder))
    equal(sequences(world.weave("s3://corpus/json")), expected, "a prefix")
    equal(sequences(world.weave([f"http://127.0.0.1:{web.port}/{name}" for name in written])), expected, "a web server")
    array = sequences(world.weave(folder / "b.json", "--id-field", "id"))
    equal(array, sequences(world.weave(folder / "a.json", "--id-field", "id")), "lines and an array")


def write_token_files(folder, documents):
    """Documents of ids as Megatron-LM, datatrove and dolma hold them."""
    ids = b"".join(struct.pack(f"<{len(document)}H", *document) for document in documents)
    ends = [0, *itertools.accumulate(map(len, documents))]
    count = len(documents)
    head = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, 8, count, count + 1)
    lens = struct.pack(f"<{count}I", *map(len, documents))
    starts = struct.pack(f"<{count}Q", *(2 * end for end in ends[:-1]))
    (folder / "a.idx").write_bytes(head + lens + starts + struct.pack(f"<{count + 1}Q", *range(count + 1)))
    (folder / "b.ds.index").write_bytes(struct.pack(f"<{count}Q", *ends[1:]))
    rows = "".join(f"{start},{end},id{i},x.json.gz,{i}\r\n" for i, (start, end) in enumerate(itertools.pairwise(ends)))
    (folder / "c.csv.gz").write_bytes(gzip.compress(rows.encode(), mtime=0))
    for name in ("a.bin", "b.ds", "c.npy"):
        (folder / name).write_bytes(ids)


@test
def token_files_are_read_with_the_files_next_to_them(world):
    folder = world.place / "tokens"
    folder.mkdir()
    write_token_files(folder, [[world.vocabulary[word] for word in row["text"].split()] for row in world.rows[:3000]])
    world.put(folder, "tokens/")
    pairs = {"a.idx": "a.bin", "b.ds": "b.ds.index", "c.npy": "c.csv.gz"}
    expected = sequences(world.weave(folder))
    equal(sequences(world.weave("s3://corpus/tokens")), expected, "a prefix")
    equal(sequences(world.weave("s3://corpus/tokens/?.*")), expected, "a pattern")
    equal(sequences(world.weave("s3://corpus/tokens", "--memory", "16MiB")), expected, "with little memory")
    web = Web(folder)
    for name, other in pairs.items():
        named = ["--id-field", "id"] if name == "c.npy" else []
        expected = sequences(world.weave(folder / name, *named))
        for place in ("s3://corpus/tokens", f"http://127.0.0.1:{web.port}"):
            equal(sequences(world.weave(f"{place}/{name}", *named)), expected, f"{place}/{name}")
        for changed in (name, other):
            out, key = world.fresh(), f"tokens/{changed}"
            check(world.command("prepare", *world.flags(f"s3://corpus/tokens/{name}", out)[1:]).returncode == 0, "prepare failed")
            check(world.command("task", "run", out, "scan", "--all").returncode == 0, "scan failed")
            world.s3.put_object(Bucket="corpus", Key=key, Body=(folder / changed).read_bytes() + b" ")
            code, message = world.fails("task", "run", out, "ingest", "--shard", "0/1")
            check(code == "INPUT_CHANGED" and f"s3://corpus/{key}" in message, f"{code}: {message}")
            world.put(folder, "tokens/")
        world.s3.delete_object(Bucket="corpus", Key=f"tokens/{other}")
        code, message = world.fails(*world.flags(f"s3://corpus/tokens/{name}", world.fresh()))
        check(code == "INPUT_NOT_FOUND" and f"{name} needs s3://corpus/tokens/{other}" in message, f"{code}: {message}")
        world.put(folder, "tokens/")


@test
def an_uploaded_output_is_that_of_a_local_run(world):
    for number, flags in enumerate((["--holdout", "0.2"], ["--format", "mds", "--holdout", "0.2"], ["--format", "jsonl"], LARGE)):
        local = world.weave(world.corpus, *flags)
        prefix = f"plain/{number}/"
        out = world.weave(world.corpus, *flags, "--upload", f"s3://outputs/{prefix}")
        equal(world.objects(prefix), files(local), f"objects of {flags}")
        kept = {name for name in files(out) if name.split("/")[-1] not in ("longweave.json", "SHA256SUMS", "README.md", "report.json", "index.json")}
        equal(kept, set(), f"files that stay in the output directory of {flags}")
        check(not list((out / ".state").rglob("staged/*")), "staged files are left")
        report = json.loads(world.command("verify", f"s3://outputs/{prefix}", "--json").stdout)
        equal(json.loads(world.command("verify", out, "--json").stdout), report, "verify by URL and by directory")
        equal(report, json.loads(world.command("verify", local, "--json").stdout), "verify of the local output")
        again = world.command(*world.flags(world.corpus, out, *flags, "--upload", f"s3://outputs/{prefix}"), "--json")
        check(again.returncode == 0 and '"stage":"pack","state":"reused"' in again.stdout, "a finished run packs again")
    equal(world.unfinished("plain/"), [], "uploads left unfinished")
    text = "".join(path.read_text(errors="replace") for path in out.rglob("*") if path.is_file() and path.suffix in (".json", ".md", ".log", ""))
    check(KEY not in text and SECRET not in text, "a credential stands in the output directory")


@test
def sequences_of_a_remote_output_are_read(world):
    program = """
        import { readSequences } from './dist/index.js'
        import { createHash } from 'node:crypto'
        const hash = createHash('sha256')
        for await (const s of readSequences(process.argv[1])) hash.update(JSON.stringify([s.number, [...s.inputIds], s.doc_ids, s.reasons]))
        console.log(hash.digest('hex'))"""
    digest = lambda place: subprocess.run(["node", "--input-type=module", "-e", program, str(place)], cwd=ROOT, env=world.environment(), capture_output=True, text=True)
    for number, flags in enumerate(([], ["--format", "mds"], ["--format", "jsonl"])):
        local, url = world.weave(world.corpus, *flags), f"s3://outputs/read/{number}"
        out = world.weave(world.corpus, *flags, "--upload", url)
        expected = digest(local)
        check(len(expected.stdout) == 65, expected.stderr)
        equal(digest(url).stdout, expected.stdout, url)
        equal(digest(out).stdout, expected.stdout, "the directory of an uploaded run")
    check("OUTPUT_NOT_FOUND" in digest("s3://outputs/none").stderr, "an output that is not there")


def often(seed, kinds, share):
    """Faults of these kinds in a share of the requests, the same for a seed; never twice in a row for one path."""
    draw, last, lock = random.Random(seed), {}, threading.Lock()

    def fault(request):
        with lock:
            path = (request.method, request.path)
            if last.get(path, 0) >= 2 or draw.random() > share:
                last[path] = 0
                return None
            last[path] = last.get(path, 0) + 1
            return draw.choice(kinds)

    return fault


SLOW_DOWN = (503, "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
BROKEN = (500, "<?xml version='1.0'?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>")
KINDS = ["drop", "lose", "truncate", 0.3, SLOW_DOWN, BROKEN]


@test
def faults_of_the_network_change_nothing(world):
    local = world.weave(world.corpus, *LARGE)
    for seed in range(3):
        world.proxy.reset(often(seed, KINDS, 0.3))
        prefix = f"faults/{seed}/"
        out = world.weave("s3://corpus/data", *LARGE, "--upload", f"s3://outputs/{prefix}", proxied=True)
        check(world.proxy.faults >= 8, f"only {world.proxy.faults} faults among {len(world.proxy.seen)} requests")
        found = world.objects(prefix)
        skipped = {"longweave.json", "SHA256SUMS"}
        equal({n: c for n, c in found.items() if n not in skipped}, sequences(local), f"objects, {world.proxy.faults} faults among {len(world.proxy.seen)} requests")
        print(f"    {world.proxy.faults} faults among {len(world.proxy.seen)} requests", flush=True)
        done = world.command("verify", out, proxied=True)
        check(done.returncode == 0, done.stderr)


@test
def a_large_packed_object_is_spooled_in_spite_of_the_network(world):
    draw, words, folder = random.Random(5), [f"w{i}" for i in range(100)], world.fresh()
    folder.mkdir()
    text = "".join(json.dumps({"id": f"d{i}", "text": " ".join(draw.choices(words, k=2000))}) + "\n" for i in range(6000)).encode()
    for name, packed in (("a.jsonl.zst", zstandard.compress(text)), ("b.jsonl.gz", gzip.compress(text, 1, mtime=0))):
        (folder / name).write_bytes(packed)
        world.s3.put_object(Bucket="corpus", Key="large/" + name, Body=packed)
    flags = ["--split-bytes", str(8 << 20), "--length", "4096"]
    local = world.weave(folder, *flags)
    world.proxy.reset(often(9, ["drop", "truncate", BROKEN], 0.5))
    out = world.weave("s3://corpus/large", *flags, proxied=True)
    for name in ("a.jsonl.zst", "b.jsonl.gz"):
        gets = sum(r.method == "GET" and name in r.path for r in world.proxy.seen)
        check(gets > 3, f"{gets} requests for {name}")
    check(world.proxy.faults >= 3, f"only {world.proxy.faults} faults among {len(world.proxy.seen)} requests")
    ranges = [split["range"] for split in json.loads((out / "run.json").read_text())["inventory"]["splits"]]
    check(len(ranges) > 8 and all("part" in range for range in ranges), f"splits {ranges}")
    equal(sequences(out), sequences(local), "sequences")


def killed_when(world, arguments, moment):
    """A run that is killed at a moment, a function that is asked again and again; whether it was."""
    process = world.command(*arguments, proxied=True, wait=False)
    try:
        while process.poll() is None:
            if moment():
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.005)
        return False
    finally:
        process.communicate()


@test
def an_upload_that_was_killed_goes_on_where_it_stopped(world):
    flags = ["--format", "jsonl", "--compression", "none", "--tokens", "10000000", "--shard-tokens", "20000000", "--length", "4096", "--threads", "1"]
    expected = files(world.weave(world.corpus, *flags))
    out, prefix = world.fresh(), "killed/one/"
    arguments = world.flags(world.corpus, out, *flags, "--upload", f"s3://outputs/{prefix}")
    # Four parts are on their way at once: the later ones take longer, so that the kill comes between.
    world.proxy.reset(lambda request: (0.4 if request.part <= 2 else 4) if request.part else None)
    states = lambda: [json.loads(path.read_text()) for path in out.glob(".state/pack-*/staged/*/upload-0.json")]
    check(killed_when(world, arguments, lambda: any(len(state["parts"]) >= 2 for state in states())), "the run ended before it was killed")
    arrived = {int(number) + 1 for number in states()[0]["parts"]}
    equal(set(world.objects(prefix)), set(), "objects in the middle of an upload")
    equal(len(world.unfinished(prefix)), 1, "unfinished uploads")
    check("OUTPUT_NOT_FOUND" == world.fails("verify", f"s3://outputs/{prefix}")[0], "an unfinished output verifies")
    world.proxy.reset()
    done = world.command(*arguments, proxied=True)
    check(done.returncode == 0, done.stderr)
    sent = {request.part for request in world.proxy.seen if request.part}
    check(len(arrived) >= 2 and sent and not sent & arrived, f"parts {sorted(arrived)} had arrived, parts {sorted(sent)} were sent")
    equal(sum("uploads" in request.path and request.method == "POST" and "uploadId" not in request.path for request in world.proxy.seen), 0, "uploads that were begun anew")
    equal(world.objects(prefix), expected, "objects after resuming")
    equal(world.unfinished(prefix), [], "uploads left unfinished")


@test
def kills_at_any_moment_change_nothing(world):
    expected = files(world.weave(world.corpus, *LARGE))
    draw = random.Random(11)
    out, prefix = world.fresh(), "killed/many/"
    arguments = world.flags(world.corpus, out, *LARGE, "--upload", f"s3://outputs/{prefix}")
    kills = 0
    for round in range(40):
        world.proxy.reset(often(round, [0.2, "drop", "lose", SLOW_DOWN], 0.5))
        wanted = draw.randint(1, 12)
        if not killed_when(world, arguments, lambda: len(world.proxy.seen) >= wanted):
            break
        kills += 1
    else:
        raise AssertionError("40 rounds were not enough")
    world.proxy.reset()
    check(world.command(*arguments, proxied=True).returncode == 0, "the last run failed")
    equal(world.objects(prefix), expected, f"objects after {kills} kills")
    check(kills >= 3, f"only {kills} kills")
    print(f"    {kills} kills", flush=True)
    check(world.command("verify", out).returncode == 0, "the output does not verify")


@test
def objects_that_vanish_or_change_are_found_and_made_again(world):
    prefix = "mended/"
    out = world.weave(world.corpus, "--upload", f"s3://outputs/{prefix}")
    expected = world.objects(prefix)
    shard, bytes = "00001.parquet", bytearray(expected["00001.parquet"])
    bytes[len(bytes) // 2] ^= 1
    for damage in (lambda: world.s3.put_object(Bucket="outputs", Key=prefix + shard, Body=bytes), lambda: world.s3.delete_object(Bucket="outputs", Key=prefix + shard)):
        damage()
        code, message = world.fails("verify", out)
        check(code == "VERIFY_FAILED" and shard in message, message)
        world.weave(world.corpus, "--upload", f"s3://outputs/{prefix}", out=out)
        equal(world.objects(prefix), expected, "objects after mending")
    world.s3.delete_object(Bucket="outputs", Key=prefix + "longweave.json")
    world.weave(world.corpus, "--upload", f"s3://outputs/{prefix}", out=out)
    equal(world.objects(prefix), expected, "objects after sealing again")
    world.s3.put_object(Bucket="outputs", Key=prefix + "other", Body=b"x")
    check("other" in world.fails("verify", out)[1], "a stray object is not found")


@test
def another_place_gets_its_own_copy_and_a_full_one_is_refused(world):
    out = world.weave(world.corpus, "--upload", "s3://outputs/first")
    world.weave(world.corpus, "--upload", "s3://outputs/second", out=out)
    equal(world.objects("second/"), world.objects("first/"), "objects at another place")
    code, message = world.fails(*world.flags(world.corpus, world.fresh(), "--upload", "s3://outputs/first"))
    check(code == "OUTPUT_EXISTS" and "s3://outputs/first" in message and "--upload" in message, message)


@test
def an_upload_to_an_earlier_place_is_given_up(world):
    out = world.fresh()
    world.proxy.reset(lambda request: 0.4 if request.part else None)
    first = world.flags(world.corpus, out, *LARGE, "--threads", "1", "--upload", "s3://outputs/earlier")
    check(killed_when(world, first, lambda: any(r.part and r.part > 1 for r in world.proxy.seen)), "the run ended before it was killed")
    check(world.unfinished("earlier/"), "no upload was under way")
    world.weave(world.corpus, *LARGE, "--upload", "s3://outputs/later", out=out)
    equal(world.unfinished(("earlier/", "later/")), [], "uploads left unfinished")
    equal(world.objects("earlier/"), {}, "objects at the earlier place")


@test
def tasks_of_one_run_pack_in_several_processes(world):
    expected = files(world.weave(world.corpus))
    out, prefix = world.fresh(), "tasks/"
    flags = world.flags(world.corpus, out, "--upload", f"s3://outputs/{prefix}")
    check(world.command("prepare", *flags[1:]).returncode == 0, "prepare failed")
    stages = [entry["stage"] for entry in json.loads(world.command("task", "list", out, "--json").stdout)]
    for stage in stages[: stages.index("pack")]:
        done = world.command("task", "run", out, stage, "--shard", "0/1")
        check(done.returncode == 0, done.stderr)
    halves = [world.command("task", "run", out, "pack", "--shard", f"{k}/2", wait=False) for k in (0, 1)]
    for half in halves:
        _, err = half.communicate()
        check(half.returncode == 0, err)
    done = world.command("task", "run", out, "seal", "--shard", "0/1")
    check(done.returncode == 0, done.stderr)
    equal(world.objects(prefix), expected, "objects")


@test
def a_file_that_changes_is_noticed(world):
    world.s3.put_object(Bucket="corpus", Key="changing/a.jsonl", Body=(world.corpus / "a.jsonl").read_bytes())
    out = world.fresh()
    check(world.command("prepare", *world.flags("s3://corpus/changing", out)[1:]).returncode == 0, "prepare failed")
    entry = json.loads((out / "run.json").read_text())["inventory"]["files"][0]
    check(entry["etag"].startswith('"') and "modifiedNs" not in entry, f"an entry of run.json: {entry}")
    world.s3.put_object(Bucket="corpus", Key="changing/a.jsonl", Body=(world.corpus / "a.jsonl").read_bytes().replace(b"w1", b"w2"))
    code, message = world.fails("task", "run", out, "scan", "--shard", "0/1")
    check(code == "INPUT_CHANGED" and "s3://corpus/changing/a.jsonl" in message, message)
    world.s3.delete_object(Bucket="corpus", Key="changing/a.jsonl")
    code, message = world.fails("task", "run", out, "scan", "--shard", "0/1")
    check(code == "INPUT_NOT_FOUND" and "s3://corpus/changing/a.jsonl" in message, message)


@test
def what_fails_says_what_and_what_to_do(world):
    data, out = "s3://corpus/data/a.jsonl", world.fresh
    denied = (403, f"<?xml version='1.0'?><Error><Code>InvalidAccessKeyId</Code><Message>The key does not exist.</Message><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>")
    elsewhere = (301, "<?xml version='1.0'?><Error><Code>PermanentRedirect</Code><Message>Use another endpoint.</Message></Error>")
    region = (400, "<?xml version='1.0'?><Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong</Message></Error>")
    closed = f"http://127.0.0.1:{free_port()}"
    quick = {"AWS_MAX_ATTEMPTS": "2"}
    cases = [
        ("no object", world.flags("s3://corpus/data/none.jsonl", out()), None, {}, "INPUT_NOT_FOUND", ["s3://corpus/data/none.jsonl"]),
        ("nothing below a prefix", world.flags("s3://corpus/none/", out()), None, {}, "INPUT_NOT_FOUND", ["s3://corpus/none/", ".jsonl"]),
        ("no match", world.flags("s3://corpus/data/*.json", out()), None, {}, "INPUT_NOT_FOUND", ["s3://corpus/data/*.json"]),
        ("no bucket", world.flags("s3://nobucket/data/", out()), None, {}, "INPUT_NOT_FOUND", ["no bucket nobucket"]),
        ("an unknown kind", world.flags("s3://corpus/data/notes.csv", out()), None, {}, "INPUT_UNSUPPORTED", ["notes.csv"]),
        ("no output bucket", world.flags(world.corpus, out(), "--upload", "s3://nobucket/out"), None, {}, "OUTPUT_DENIED", ["s3://nobucket/out", "create it"]),
        ("a refused key", world.flags("s3://corpus/data/", out()), denied, {}, "REMOTE_DENIED", ["InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"]),
        ("a refused key, writing", world.flags(world.corpus, out(), "--upload", "s3://outputs/denied"), denied, {}, "REMOTE_DENIED", ["s3://outputs/denied", "AWS_ACCESS_KEY_ID"]),
        ("another endpoint", world.flags("s3://corpus/data/", out()), elsewhere, {}, "REMOTE_FAILED", ["AWS_REGION", "AWS_ENDPOINT_URL"]),
        ("another region", world.flags("s3://corpus/data/", out()), region, {}, "REMOTE_FAILED", ["AWS_REGION", "AuthorizationHeaderMalformed"]),
        ("a server that stays broken", world.flags("s3://corpus/data/", out()), BROKEN, quick, "REMOTE_FAILED", ["500", "InternalError"]),
        ("a server that stays slow", world.flags("s3://corpus/data/", out()), "stall", {**quick, "AWS_TIMEOUT": "1s"}, "REMOTE_FAILED", ["in time", "AWS_TIMEOUT"]),
        ("nobody there", world.flags(data, out()), None, {**quick, "AWS_ENDPOINT_URL": closed}, "REMOTE_FAILED", ["cannot be reached", "refused", "AWS_ENDPOINT_URL"]),
        ("no encryption", world.flags(data, out()), None, {**quick, "AWS_ALLOW_HTTP": "false"}, "REMOTE_FAILED", ["AWS_ALLOW_HTTP=true"]),
        ("no credentials", world.flags(data, out()), None, {**quick, "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_METADATA_ENDPOINT": closed}, "REMOTE_DENIED", ["AWS_ACCESS_KEY_ID"]),
        ("no output there", ["verify", "s3://outputs/none"], None, {}, "OUTPUT_NOT_FOUND", ["longweave.json"]),
    ]
    wrong = []
    for name, arguments, fault, env, expected, says in cases:
        world.proxy.reset((lambda request: fault) if fault else (lambda request: None))
        start = time.time()
        try:
            code, message = world.fails(*arguments, proxied=fault is not None, **env)
            check(code == expected and all(part in message for part in says), f"{code}: {message}")
            check(time.time() - start < 30, f"it took {time.time() - start:.0f} s")
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    check(not wrong, "\n      ".join(wrong))


@test
def a_cancelled_run_does_not_wait_for_the_network(world):
    world.proxy.reset(lambda request: "stall" if request.method == "GET" and "a.jsonl" in request.path else None)
    process = world.command(*world.flags("s3://corpus/data", world.fresh()), proxied=True, wait=False)
    while not any("a.jsonl" in r.path and r.method == "GET" for r in world.proxy.seen):
        check(process.poll() is None, "the run ended")
        time.sleep(0.05)
    start = time.time()
    process.send_signal(signal.SIGINT)
    process.communicate()
    check(process.returncode == 130, f"it ended with {process.returncode}")
    check(time.time() - start < 5, f"it took {time.time() - start:.1f} s")


if __name__ == "__main__":
    sys.exit(suite.run(World, sys.argv[1:]))
