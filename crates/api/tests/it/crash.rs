//! Runs that die, or meet an error, at each place where they can, and results that are damaged
//! afterwards: what comes out in the end is, byte for byte, what an undisturbed run gives. The
//! places are those that a run tells itself (`LONGWEAVE_FAILPOINT_LOG`), whatever its stages are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use longweave_api::run::{Mode, Run};
use longweave_common::{Cancel, Ctx};
use longweave_driver::{Event, Events, Threads};
use longweave_run::{Claim, RunContext, RunOptions, Stage};
use longweave_stages::{DOCUMENTS, INGEST, PACK, PLAN, SCAN, SCATTER, SEAL, SIGNATURES, STAGES};
use serde_json::{Value, json};

use crate::{Place, at, before, code, ctx, files, output, row, run_tasks};

/// A corpus with rows that are rejected, empty, or of two sources.
fn corpus(documents: usize) -> String {
    let mut text = String::new();
    for i in 0..documents {
        let mut row = row(i);
        row["source"] = json!(if i % 3 == 0 { "web" } else { "books" });
        if i % 17 == 5 {
            row["text"] = json!("");
        }
        text += &format!("{row}\n");
        if i % 19 == 7 {
            text += "{\"id\": 7}\n";
        }
    }
    text
}

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("corpus.jsonl"), corpus(60)).unwrap();
    fs::write(
        place.path("corpus.jsonl.zst"),
        zstd::stream::encode_all(corpus(60).as_bytes(), 1).unwrap(),
    )
    .unwrap();
    place
}

/// The runs that tests go through.
const NAMES: [&str; 4] = ["quest", "iclm", "nextlong", "topics"];

type Changes = Vec<(&'static str, Value)>;

/// Runs that have all stages and kinds of files between them.
fn runs(place: &Place) -> Vec<(&'static str, Changes)> {
    let skip = ("/onBadRow", json!("skip"));
    let quest = vec![
        skip.clone(),
        ("/sourceField", json!("source")),
        ("/holdout", json!(0.2)),
        ("/dedup", json!("near")),
        ("/near/threshold", json!(0.6)),
        ("/near/hashes", json!(12)),
        ("/near/bands", json!(3)),
        ("/near/rows", json!(2)),
        ("/keywords/hierarchy", json!("vectors")),
        ("/packing", json!("scatter")),
        ("/output/format", json!("mds")),
        ("/output/shardTokens", json!(512)),
    ];
    let iclm = vec![
        skip.clone(),
        (
            "/method",
            json!({ "name": "iclm", "pool": "all", "k": 5, "variant": "release", "fill": "next" }),
        ),
        // Small parts of a packed file: it is spooled.
        ("/corpus", json!([place.path("corpus.jsonl.zst").to_str().unwrap()])),
        ("/splitBytes", json!(1000)),
        ("/output/format", json!("parquet")),
    ];
    let list = place.path("topics.txt");
    fs::write(&list, "w3 w50\n{\"topic\": \"seven\", \"query\": \"w7 w8\"}\nw90\n").unwrap();
    let topics = vec![
        skip.clone(),
        (
            "/method",
            json!({
                "name": "topics", "pool": "all", "documents": 9, "order": "shuffle", "sequences": 2,
                "within": "documents", "k": 5, "chunkChars": 30, "reuse": "run", "fill": "next"
            }),
        ),
        ("/topics/source", json!("command")),
        ("/topics/command", json!(format!("cat '{}'", list.display()))),
    ];
    let nextlong = vec![
        skip,
        (
            "/method",
            json!({ "name": "nextlong", "pool": "all", "k": 5, "chunkChars": 30, "reuse": "run", "fill": "next" }),
        ),
    ];
    vec![("quest", quest), ("iclm", iclm), ("nextlong", nextlong), ("topics", topics)]
}

/// Attempts that were left half written.
fn attempts(directory: &Path) -> usize {
    let mut found = BTreeMap::new();
    files(directory, "", &mut found);
    found.keys().filter(|name| name.ends_with(".part")).count()
}

/// A second process that does what [`child`] does.
fn process(role: &str, options: &Value, failpoint: &str, log: Option<&Path>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::child", "--ignored", "--nocapture"])
        .env("CRASH_ROLE", role)
        .env("CRASH_OPTIONS", options.to_string());
    command
        .env_remove("LONGWEAVE_FAILPOINT")
        .env_remove("LONGWEAVE_FAILPOINT_LOG")
        .stdin(Stdio::null());
    // An error that a child ends with is expected: finding names for its backtrace takes longer
    // than the run.
    command.env("RUST_BACKTRACE", "0");
    if !failpoint.is_empty() {
        command.env("LONGWEAVE_FAILPOINT", failpoint);
    }
    if let Some(log) = log {
        command.env("LONGWEAVE_FAILPOINT_LOG", log);
    }
    command
}

#[test]
#[ignore = "is run by the other tests as a second process"]
fn child() {
    let (Ok(role), Ok(options)) = (std::env::var("CRASH_ROLE"), std::env::var("CRASH_OPTIONS"))
    else {
        return;
    };
    let options = RunOptions::parse(&options).unwrap();
    let out = PathBuf::from(options.output.directory.clone().unwrap());
    let result = match role.split_once(' ') {
        Some((stage, "all")) => run_tasks(&out, stage, json!("all")).map(drop),
        Some((stage, tasks)) => {
            let number = |text: &str| text.parse::<u32>().expect("a task's number");
            let tasks = match tasks.split_once("..") {
                Some((from, to)) => json!({ "from": number(from), "to": number(to) }),
                None => json!(number(tasks)),
            };
            run_tasks(&out, stage, tasks).map(drop)
        }
        None => {
            // One thread: the places are met in the same order every time.
            let ctx = Ctx::new(1, 64 << 20).unwrap();
            RunContext::prepare(STAGES, &ctx, options, &out, &Claim::default()).and_then(
                |(run, _lock)| {
                    longweave_driver::run(&ctx, &run, &Arc::new(Events::default()), &Threads, SEAL)
                },
            )
        }
    };
    if let Err(error) = result {
        panic!("CODE {} {error}", error.code().name());
    }
}

/// A place where a run can be made to fail: which, the how many-th of its name, in which stage,
/// with which file.
#[derive(Clone)]
struct Hit {
    name: String,
    nth: usize,
    stage: String,
    file: String,
}

impl std::fmt::Display for Hit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({} of stage {})", self.name, self.nth, self.file, self.stage)
    }
}

/// Figures of the full tier, for the person who runs it.
fn tell(figures: &str) {
    std::io::stderr().write_all(format!("{figures}\n").as_bytes()).unwrap();
}

/// A run with what it is to give, and its places.
struct Watched {
    place: Place,
    changes: Changes,
    expected: BTreeMap<String, Vec<u8>>,
    hits: Vec<Hit>,
}

impl Watched {
    fn new(name: &str) -> Watched {
        let place = place();
        let (_, changes) = runs(&place).into_iter().find(|run| run.0 == name).unwrap();
        let log = place.path("hits");
        let watched = Watched { place, changes, expected: BTreeMap::new(), hits: vec![] };
        let ended = process("run", &watched.options("whole"), "", Some(&log)).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let hits = hits(&fs::read_to_string(log).unwrap());
        let run = RunContext::open(STAGES, &watched.place.path("whole")).unwrap();
        let stages: BTreeSet<&str> = hits.iter().map(|hit| hit.stage.as_str()).collect();
        let with_tasks = run.stages().filter(|&stage| run.tasks(stage).unwrap() != Some(0));
        let expected: BTreeSet<&str> =
            with_tasks.map(|stage| stage.name).chain(["prepare"]).collect();
        assert_eq!(stages, expected, "every stage of the run can be made to fail");
        let expected = output(&watched.place.path("whole"));
        Watched { expected, hits, ..watched }
    }

    fn options(&self, out: &str) -> Value {
        let directory = ("/output/directory", json!(self.place.path(out).to_str().unwrap()));
        self.place.json(&self.changes.iter().cloned().chain([directory]).collect::<Vec<_>>())
    }

    /// One place of each name in each stage, which one depends on the seed.
    fn one_of_each(&self, seed: usize) -> Vec<Hit> {
        let mut of: BTreeMap<(&str, &str), Vec<&Hit>> = BTreeMap::new();
        self.hits.iter().for_each(|hit| of.entry((&hit.stage, &hit.name)).or_default().push(hit));
        of.values().enumerate().map(|(i, hits)| hits[(seed + i * 7) % hits.len()].clone()).collect()
    }

    /// Every place; of the reads of a file in a stage, of which there can be thousands, the first.
    fn all(&self) -> Vec<Hit> {
        let mut read = BTreeSet::new();
        self.hits
            .iter()
            .filter(|hit| hit.name != "read" || read.insert((&hit.stage, &hit.file)))
            .cloned()
            .collect()
    }

    /// Runs with a failure at a place.
    fn disturbed(&self, out: &str, hit: &Hit, action: &str) -> Output {
        process("run", &self.options(out), &format!("{}={action}@{}", hit.name, hit.nth), None)
            .output()
            .unwrap()
    }

    /// Resumes undisturbed and compares the output; no leftover remains.
    fn goes_on(&self, out: &str, what: &str) {
        self.place.run_in(out, &self.changes).unwrap_or_else(|e| panic!("{what}: {e}"));
        let directory = self.place.path(out);
        assert!(output(&directory) == self.expected, "{what}: other bytes");
        assert_eq!(attempts(&directory), 0, "{what}: an attempt was left");
        fs::remove_dir_all(directory).unwrap();
    }

    /// Dies at each of `hits`; how many of these deaths left an attempt behind.
    fn dies_at(&self, hits: &[Hit]) -> usize {
        let mut left = 0;
        for (i, hit) in hits.iter().enumerate() {
            let out = format!("died-{i}");
            let ended = self.disturbed(&out, hit, "abort");
            let text = String::from_utf8_lossy(&ended.stderr);
            assert!(!ended.status.success() && !text.contains("CODE"), "{hit}: {text}");
            left += usize::from(attempts(&self.place.path(&out)) > 0);
            self.goes_on(&out, &format!("died at {hit}"));
        }
        left
    }

    /// Meets an error at a place; the run says so by its code, or gets over it.
    fn meets(&self, i: usize, hit: &Hit, action: &str) {
        let out = format!("failed-{i}-{action}");
        let ended = self.disturbed(&out, hit, action);
        let text = String::from_utf8_lossy(&ended.stderr);
        let expected = match action {
            "full" => "CODE DISK_FULL",
            "denied" => "CODE OUTPUT_DENIED",
            "io" => "CODE IO",
            // A result that seems to end early is looked at again.
            _ => "",
        };
        let what = format!("{action} at {hit}");
        assert_eq!(ended.status.success(), expected.is_empty(), "{what}: {text}");
        assert!(text.contains(expected), "{what}: {text}");
        if expected.is_empty() {
            assert!(output(&self.place.path(&out)) == self.expected, "{what}: other bytes");
        } else {
            assert_eq!(
                attempts(&self.place.path(&out)),
                0,
                "{what}: a process that lives on leaves nothing half written"
            );
        }
        self.goes_on(&out, &what);
    }
}

/// Failures other than death at a place.
fn actions(hit: &Hit) -> &'static [&'static str] {
    if hit.name == "read" { &["io", "short"] } else { &["full", "denied", "io"] }
}

/// The places of a run in order, from its log. A task says its stage as it begins.
fn hits(log: &str) -> Vec<Hit> {
    let (mut stage, mut counts) = ("prepare".to_owned(), BTreeMap::<String, usize>::new());
    let mut hits = vec![];
    for line in log.lines() {
        let (name, path) = line.split_once('\t').unwrap();
        let path = Path::new(path);
        if name == "task" {
            // …/STAGE-DIGEST/done/NNNNN.json
            let directory = path.ancestors().nth(2).unwrap().file_name().unwrap().to_str().unwrap();
            directory.split('-').next().unwrap().clone_into(&mut stage);
        }
        let nth = counts.entry(name.to_owned()).or_default();
        *nth += 1;
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        hits.push(Hit { name: name.to_owned(), nth: *nth, stage: stage.clone(), file });
    }
    hits
}

#[test]
fn a_run_that_dies_at_any_kind_of_place_in_any_stage_goes_on() {
    for (seed, name) in ["quest", "iclm", "topics"].into_iter().enumerate() {
        let run = Watched::new(name);
        let names: BTreeSet<&str> = run.hits.iter().map(|hit| hit.name.as_str()).collect();
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["create", "done", "read", "rename", "renamed", "sync", "task", "write"]
        );
        let hits = run.one_of_each(seed);
        assert!(hits.len() > 60 && run.hits.len() > 400, "{} of {}", hits.len(), run.hits.len());
        let left = run.dies_at(&hits);
        assert!(left > 20, "{left} of {} left an attempt behind", hits.len());
    }
}

#[test]
fn a_run_that_meets_an_error_at_any_kind_of_place_in_any_stage_says_so_and_goes_on() {
    let run = Watched::new("quest");
    for (i, hit) in run.one_of_each(1).iter().enumerate() {
        let actions = actions(hit);
        run.meets(i, hit, actions[i % actions.len()]);
    }
}

#[test]
#[ignore = "full tier: some minutes"]
fn a_run_that_dies_at_any_place_at_all_goes_on() {
    for name in NAMES {
        let run = Watched::new(name);
        let hits = run.all();
        let left = run.dies_at(&hits);
        tell(&format!(
            "{name}: died at {} places, {left} times with an attempt left behind",
            hits.len()
        ));
    }
}

#[test]
#[ignore = "full tier: some minutes"]
fn a_run_that_meets_any_error_at_any_place_at_all_says_so_and_goes_on() {
    for name in NAMES {
        let run = Watched::new(name);
        let mut errors = 0;
        let hits = run.all();
        for (i, hit) in hits.iter().enumerate() {
            actions(hit).iter().for_each(|action| run.meets(i, hit, action));
            errors += actions(hit).len();
        }
        tell(&format!("{name}: {errors} errors at {} places", hits.len()));
    }
}

/// Numbers from a seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// A finished run, whose work directory is copied and damaged.
struct Finished {
    place: Place,
    changes: Changes,
    expected: BTreeMap<String, Vec<u8>>,
    run: RunContext,
}

/// The effects of a run over a damaged work directory.
struct Mended {
    /// Stage and task of each record that was rewritten, of those that existed.
    again: Vec<(Stage, u32)>,
    warnings: Vec<String>,
}

impl Finished {
    fn new(name: &str) -> Finished {
        let place = place();
        let (_, changes) = runs(&place).into_iter().find(|run| run.0 == name).unwrap();
        let work = ("/work", json!(place.path("work").to_str().unwrap()));
        let run = place
            .run_in("whole", &changes.iter().cloned().chain([work]).collect::<Vec<_>>())
            .unwrap();
        let expected = output(run.out());
        Finished { place, changes, expected, run }
    }

    /// Files of the work directory that tasks left there.
    fn results(&self) -> Vec<(Stage, String)> {
        let mut results = vec![];
        for stage in self.run.stages().filter(|&s| before(s, PACK)) {
            let mut found = BTreeMap::new();
            files(&self.run.directory(stage), "", &mut found);
            results.extend(
                found
                    .into_iter()
                    .filter(|(name, bytes)| !name.starts_with("lease/") && !bytes.is_empty())
                    .map(|f| (stage, f.0)),
            );
        }
        results
    }

    /// Where a stage keeps its results in a copy of the work directory.
    fn directory(&self, stage: Stage) -> PathBuf {
        self.place.path("copy").join(self.run.directory(stage).file_name().unwrap())
    }

    /// Copies the work directory without the stages after `last`, so that who reads that stage's
    /// results runs again.
    fn copy(&self, last: Stage) {
        let _ = fs::remove_dir_all(self.place.path("copy"));
        for stage in self.run.stages().filter(|&s| !before(last, s) && before(s, PACK)) {
            let mut found = BTreeMap::new();
            files(&self.run.directory(stage), "", &mut found);
            for (name, bytes) in found {
                let path = self.directory(stage).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
    }

    /// Whether a reader can see it: the last digit of a fraction in a record may change and its
    /// value not; and of scattered tokens and their sums each shard reads its own, not the header's
    /// sum of them all.
    fn damage(&self, stage: Stage, name: &str, at: usize) -> bool {
        let path = self.directory(stage).join(name);
        let good = fs::read(&path).unwrap();
        let (mut bad, at) = (good.clone(), at % good.len());
        bad[at] ^= 1;
        fs::write(path, &bad).unwrap();
        let said = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
        match name.starts_with("done/") {
            true => said(&good) != said(&bad),
            false => stage != SCATTER || !(24..32).contains(&at),
        }
    }

    /// When each task's record was written.
    fn records(&self, last: Stage) -> BTreeMap<(usize, u32), std::time::SystemTime> {
        let mut times = BTreeMap::new();
        for stage in self.run.stages().filter(|&s| !before(last, s) && before(s, PACK)) {
            for task in 0..self.run.tasks(stage).unwrap().unwrap() {
                let path = self.directory(stage).join(format!("done/{task:05}.json"));
                times.insert((at(stage), task), fs::metadata(path).unwrap().modified().unwrap());
            }
        }
        times
    }

    /// Runs over the copy into a new output, which must be the right one.
    fn mended(&self, last: Stage, what: &str) -> Mended {
        let before = self.records(last);
        let out = self.place.path("again");
        let _ = fs::remove_dir_all(&out);
        let more = [("/work", self.place.path("copy")), ("/output/directory", out.clone())];
        let more = more.map(|(pointer, path)| (pointer, json!(path.to_str().unwrap())));
        let options =
            self.place.options(&self.changes.iter().cloned().chain(more).collect::<Vec<_>>());
        let (run, _lock) =
            RunContext::prepare(STAGES, ctx(2), options, &out, &Claim::default()).unwrap();
        let events = Arc::new(Events::default());
        longweave_driver::run(ctx(2), &run, &events, &Threads, SEAL)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(output(&out) == self.expected, "{what}: other bytes");
        events.end();
        let again = self
            .records(last)
            .into_iter()
            .filter(|(task, time)| before[task] != *time)
            .map(|((stage, task), _)| (STAGES[stage], task))
            .collect();
        Mended { again, warnings: warnings(&events) }
    }
}

fn warnings(events: &Events) -> Vec<String> {
    let mut warnings = vec![];
    loop {
        let (send, receive) = mpsc::channel();
        events.next(move |event| send.send(event).unwrap());
        match receive.recv().unwrap() {
            Some(Event::Warning { message }) => warnings.push(message),
            Some(_) => {}
            None => return warnings,
        }
    }
}

/// A file's kind: its stage and its name without the task's number.
fn kind(stage: Stage, name: &str) -> String {
    let name = name
        .split('/')
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join("/");
    format!("{} {name}", stage.name)
}

/// Results that no later stage reads: `longweave show` and people do.
const UNREAD: [&str; 1] = ["predict .segments"];

/// Damages each kind of result `times` times; how often damage was found in each, and how many
/// bytes were changed.
fn damage_all(name: &str, times: usize) -> (BTreeMap<String, usize>, usize) {
    let run = Finished::new(name);
    let mut kinds: BTreeMap<String, Vec<(Stage, String)>> = BTreeMap::new();
    run.results()
        .into_iter()
        .for_each(|(stage, name)| kinds.entry(kind(stage, &name)).or_default().push((stage, name)));
    let (mut found, mut flips, mut random) =
        (BTreeMap::<String, usize>::new(), 0, Random(0x5eed + name.len() as u64));
    for (kind, of) in &kinds {
        for _ in 0..times {
            let (stage, name) = &of[random.below(of.len())];
            run.copy(*stage);
            let mut at = random.below(1 << 30);
            while !run.damage(*stage, name, at) {
                run.copy(*stage);
                at = random.below(1 << 30);
            }
            let what = format!("byte {at} of {} {name}", stage.name);
            let mended = run.mended(*stage, &what);
            flips += 1;
            let number = |name: &str| {
                name.split('/')
                    .next_back()
                    .and_then(|n| n.get(..5))
                    .and_then(|n| n.parse::<u32>().ok())
            };
            let task =
                number(name).filter(|_| run.run.tasks(*stage).unwrap() != Some(1)).unwrap_or(0);
            // Of scattered tokens or hashes of bands and their sums it is the former that are said
            // not to fit, unless the sums cannot be read at all.
            let named = [
                name.clone(),
                if *stage == SCATTER { name.replace(".sums", ".ids") } else { name.clone() },
                if *stage == SIGNATURES { name.replace(".ranges", ".bands") } else { name.clone() },
            ];
            *found.entry(kind.clone()).or_default() += usize::from(!mended.again.is_empty());
            if mended.again.is_empty() {
                continue;
            }
            assert_eq!(mended.again, [(*stage, task)], "{what}: that task alone runs again");
            assert!(
                mended.warnings.iter().any(|w| named.iter().any(|name| w.contains(name.as_str()))
                    && w.contains("runs again")),
                "{what}: {:?}",
                mended.warnings
            );
        }
    }
    (found, flips)
}

/// Kinds in which no damage was found.
fn unread(found: &BTreeMap<String, usize>) -> Vec<&str> {
    found.iter().filter(|of| *of.1 == 0).map(|of| of.0.as_str()).collect()
}

#[test]
fn a_changed_byte_in_any_kind_of_result_is_found_and_its_task_alone_is_done_again() {
    let (mut found, mut flips) = (BTreeMap::new(), 0);
    for name in NAMES {
        let (of, n) = damage_all(name, 2);
        of.into_iter().for_each(|(kind, times)| *found.entry(kind).or_insert(0) += times);
        flips += n;
    }
    assert!(flips > 100, "{flips} bytes");
    assert_eq!(unread(&found), UNREAD);
}

#[test]
#[ignore = "full tier: some minutes"]
fn thousands_of_changed_bytes_are_found() {
    let mut found = BTreeMap::new();
    for name in NAMES {
        let (of, flips) = damage_all(name, 60);
        tell(&format!("{name}: {flips} bytes changed, {} times found", of.values().sum::<usize>()));
        assert!(
            of.values().all(|&times| times == 0 || times == 60),
            "a file that is read is read whole: {of:?}"
        );
        of.into_iter().for_each(|(kind, times)| *found.entry(kind).or_insert(0) += times);
    }
    assert_eq!(unread(&found), UNREAD);
}

#[test]
fn damage_that_is_met_while_damage_is_mended_is_mended_too() {
    let run = Finished::new("quest");
    run.copy(DOCUMENTS);
    run.damage(DOCUMENTS, "lens", 40);
    run.damage(INGEST, "00001.lens", 40);
    run.damage(SCAN, "done/00002.json", 40);
    let mended = run.mended(DOCUMENTS, "three stages");
    assert_eq!(mended.again, [(SCAN, 2), (INGEST, 1), (DOCUMENTS, 0)]);
    assert_eq!(
        mended.warnings.iter().filter(|w| w.contains("runs again")).count(),
        3,
        "{:?}",
        mended.warnings
    );
}

#[test]
fn packed_files_that_are_damaged_before_they_are_sealed_are_packed_again() {
    for (name, changes) in runs(&place()) {
        let place = place();
        place.run_in("whole", &changes).unwrap();
        let expected = output(&place.path("whole"));
        let run = place.prepare_in("out", &changes).unwrap();
        longweave_driver::run(ctx(2), &run, &Arc::new(Events::default()), &Threads, PACK).unwrap();
        let mut packed = BTreeMap::new();
        files(run.out(), "", &mut packed);
        packed.retain(|name, _| !name.starts_with('.') && name != "run.json");
        let mut random = Random(7);
        for (file, bytes) in &packed {
            let mut bad = bytes.clone();
            bad[random.below(bytes.len())] ^= 1;
            fs::write(run.out().join(file), bad).unwrap();
        }
        let events = Arc::new(Events::default());
        longweave_driver::run(ctx(2), &run, &events, &Threads, SEAL).unwrap();
        events.end();
        assert!(output(run.out()) == expected, "{name}");
        let found = warnings(&events);
        assert_eq!(
            found.iter().filter(|w| w.contains("of stage pack runs again")).count(),
            run.tasks(PACK).unwrap().unwrap() as usize
        );
    }
}

/// Changes a file as a fault of the disk would: without a new time of change.
fn change_unseen(path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let written = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, change(fs::read(path).unwrap())).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
}

#[test]
fn sealing_takes_the_sums_of_packing() {
    let (place, skip) = (place(), [("/onBadRow", json!("skip"))]);
    place.run_in("whole", &skip).unwrap();
    let expected = output(&place.path("whole"));
    type Change = fn(&Path);
    let changes: [(Change, bool); 4] = [
        (|path| change_unseen(path, |bytes| bytes[1..].to_vec()), true),
        (|path| fs::remove_file(path).unwrap(), true),
        (|path| fs::write(path, [fs::read(path).unwrap(), vec![0]].concat()).unwrap(), true),
        // Nobody reads it again before `verify` does.
        (
            |path| {
                change_unseen(path, |mut bytes| {
                    bytes[100] ^= 1;
                    bytes
                })
            },
            false,
        ),
    ];
    for (i, (change, again)) in changes.into_iter().enumerate() {
        let name = format!("out-{i}");
        let run = place.prepare_in(&name, &skip).unwrap();
        longweave_driver::run(ctx(2), &run, &Arc::new(Events::default()), &Threads, PACK).unwrap();
        let record = run.done(PACK, 0).unwrap().unwrap();
        let shard = run.out().join(&record.files[0].name);
        let good = fs::read(&shard).unwrap();
        change(&shard);
        longweave_driver::run(ctx(2), &run, &Arc::new(Events::default()), &Threads, SEAL).unwrap();
        assert_eq!(fs::read(&shard).unwrap() == good, again, "{i}");
        fs::write(&shard, good).unwrap();
        assert!(output(run.out()) == expected, "{i}");
    }
}

#[test]
fn damage_that_a_single_task_meets_is_told_with_the_command_that_mends_it() {
    let place = place();
    place.run_in("whole", &[("/onBadRow", json!("skip"))]).unwrap();
    let run = place.prepare_in("out", &[("/onBadRow", json!("skip"))]).unwrap();
    longweave_driver::run(ctx(2), &run, &Arc::new(Events::default()), &Threads, INGEST).unwrap();
    let lens = run.directory(INGEST).join("00001.lens");
    let mut bytes = fs::read(&lens).unwrap();
    bytes[40] ^= 1;
    fs::write(&lens, bytes).unwrap();
    let stage_of = |stage: &str, tasks: Value| run_tasks(run.out(), stage, tasks);
    let error = stage_of("documents", json!(0)).unwrap_err();
    assert_eq!(
        (error.code().name(), error.details()["stage"].as_str(), error.details()["task"].as_u64()),
        ("FILE_CORRUPT", Some("ingest"), Some(1))
    );
    assert!(
        error.message().contains("00001.lens")
            && error.message().contains("longweave task run")
            && error.message().contains("--task 1"),
        "{error}"
    );
    assert_eq!(code(stage_of("documents", json!(0))), "STAGE_NOT_READY");
    stage_of("ingest", json!(1)).unwrap();
    for stage in run.stages().filter(|&s| before(INGEST, s)) {
        stage_of(stage.name, json!("all")).unwrap();
    }
    assert!(output(run.out()) == output(&place.path("whole")));
}

#[test]
fn sequences_in_memory_are_made_of_what_is_mended() {
    let place = place();
    let work = ("/work", json!(place.path("work").to_str().unwrap()));
    let skip = ("/onBadRow", json!("skip"));
    let run = place.run_in("whole", &[skip.clone(), work.clone()]).unwrap();
    let pieces = run.directory(PLAN).join("main/00000.pieces");
    let good = fs::read(&pieces).unwrap();
    let memory = place.json(&[
        skip,
        work,
        ("/output/format", json!("memory")),
        ("/output/directory", Value::Null),
    ]);
    let read = || {
        let run = Run::start(&memory.to_string(), Mode::Run).unwrap();
        let (send, receive) = mpsc::channel();
        run.finished(move |outcome| send.send(outcome.map_err(|e| e.to_string())).unwrap());
        receive.recv_timeout(crate::PATIENCE).unwrap().unwrap();
        let (mut ids, mut next): (Vec<u32>, u64) = (vec![], 0);
        while let Some(batch) = run.read(next, 0, &Cancel::new()).unwrap() {
            next += u64::from(batch.sequences());
            ids.extend(batch.input_ids);
        }
        ids
    };
    let whole = read();
    let mut bad = good.clone();
    bad[50] ^= 1;
    fs::write(&pieces, bad).unwrap();
    assert!(!whole.is_empty() && read() == whole);
    assert_eq!(fs::read(&pieces).unwrap(), good);
}

/// Waits until a process has written a line that begins with `name` into its log.
fn reaches(log: &Path, name: &str) {
    let start = Instant::now();
    while !fs::read_to_string(log).is_ok_and(|text| text.lines().any(|line| line.starts_with(name)))
    {
        assert!(start.elapsed() < crate::PATIENCE, "no {name}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ended(child: Child) -> (bool, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn processes_share_a_stage_wait_for_the_task_of_another_and_take_over_from_one_that_was_killed() {
    let watched = Watched::new("nextlong");
    let run = watched.place.prepare_in("out", &watched.changes).unwrap();
    assert!(run.tasks(SCAN).unwrap().unwrap() >= 3);
    let start = |role: &str, failpoint: &str, log: &str| {
        let mut command =
            process(role, &watched.options("out"), failpoint, Some(&watched.place.path(log)));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // The first holds task 0 and does not get on.
    let mut first = start("scan 0", "done=hang", "first");
    reaches(&watched.place.path("first"), "done");
    let (ok, text) = ended(start("scan 1..3", "", "beside"));
    assert!(ok, "another task of the stage runs meanwhile: {text}");
    let mut second = start("scan 0", "", "second");
    std::thread::sleep(Duration::from_millis(300));
    assert!(second.try_wait().unwrap().is_none(), "the same task waits");
    first.kill().unwrap();
    first.wait().unwrap();
    let (ok, text) = ended(second);
    assert!(ok, "what a killed process held is free: {text}");
    // Twice the same task at once, in every stage that is left.
    for stage in run.stages() {
        let both = [
            start(&format!("{} all", stage.name), "", "a"),
            start(&format!("{} all", stage.name), "", "b"),
        ];
        for (ok, text) in both.map(ended) {
            assert!(ok, "{}: {text}", stage.name);
        }
    }
    assert!(output(run.out()) == watched.expected);
}

#[test]
fn a_second_driver_of_a_run_is_told_who_has_it() {
    let run = Watched::new("nextlong");
    let log = run.place.path("driver");
    let mut first = process("run", &run.options("out"), "done=hang@2", Some(&log))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    reaches(&log, "done");
    let refused = process("run", &run.options("out"), "", None).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success()
            && text.contains("CODE RUN_LOCKED")
            && text.contains(&format!("process {}", first.id())),
        "{text}"
    );
    first.kill().unwrap();
    first.wait().unwrap();
    run.goes_on("out", "killed");
}

#[test]
fn a_corpus_file_that_is_cut_after_it_was_listed_is_named() {
    let place = place();
    let skip = [("/onBadRow", json!("skip"))];
    let run = place.prepare(&skip).unwrap();
    longweave_driver::run(ctx(2), &run, &Arc::new(Events::default()), &Threads, SCAN).unwrap();
    let whole = fs::read_to_string(place.path("corpus.jsonl")).unwrap();
    fs::write(place.path("corpus.jsonl"), &whole[..whole.len() / 2]).unwrap();
    let error = longweave_driver::run(ctx(2), &run, &Arc::new(Events::default()), &Threads, SEAL)
        .unwrap_err();
    assert_eq!(error.code().name(), "INPUT_CHANGED", "{error}");
    assert!(error.message().contains("corpus.jsonl"), "{error}");
    // Prepared again, the run is one of the file as it is now.
    place.run_in("out", &skip).unwrap();
    let again = output(&place.path("out"));
    place.run_in("other", &skip).unwrap();
    assert!(again == output(&place.path("other")));
}
