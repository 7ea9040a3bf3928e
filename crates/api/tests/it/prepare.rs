//! Preparing a run, taking it up again, and everything that can be wrong before the work begins.

use std::fs;

use longweave_run::{Claim, RunContext, registered};
use longweave_stages::{SCAN, SEAL, STAGES};
use serde_json::{Value, json};

use crate::{Place, code, corpus, ctx, run_tasks, sequences, standard};

#[test]
fn a_prepared_run_is_taken_up_again_by_anyone_who_sees_the_directory() {
    let place = Place::with_documents(10);
    let made = place.prepare(&[]).unwrap();
    let file = fs::read(place.path("out/run.json")).unwrap();
    let opened = RunContext::open(STAGES, &place.path("out")).unwrap();
    assert_eq!(opened.options(), made.options());
    assert!(
        STAGES.iter().all(
            |&s| opened.digest(s) == made.digest(s) && opened.directory(s) == made.directory(s)
        )
    );
    // Where and how fast may differ; what comes out may not.
    let volatile = [
        ("/threads", json!(7)),
        ("/memory", json!(1 << 30)),
        ("/packing", json!("scatter")),
        ("/diskCheck", json!("off")),
        ("/clean", json!("sealed")),
    ];
    place.prepare(&volatile).unwrap();
    place.prepare(&[]).unwrap();
    assert_eq!(fs::read(place.path("out/run.json")).unwrap(), file);
}

#[test]
fn a_run_goes_on_where_its_files_are_mounted_elsewhere() {
    let place = Place::with_documents(30);
    let work = |name: &str| [("/work", json!(place.path(name)))];
    let local = sequences(place.run_in("local", &work("local-work")).unwrap().out());
    let run = place.prepare_in("out", &work("work")).unwrap();
    let (then, now) = (place.directory.path(), place.directory.path().with_extension("now"));
    fs::rename(then, &now).unwrap();
    for stage in run.stages() {
        run_tasks(&now.join("out"), stage.name, json!("all")).unwrap();
    }
    let (found, runs) = (sequences(&now.join("out")), registered(&now.join("work")).unwrap());
    fs::rename(&now, then).unwrap();
    assert_eq!(found, local);
    assert_eq!(runs.into_iter().map(|(run, _)| run).collect::<Vec<_>>(), [now.join("out")]);
}

#[test]
fn a_directory_of_another_run_or_of_other_files_is_refused() {
    let place = Place::with_documents(10);
    place.prepare(&[]).unwrap();
    let error =
        place.prepare(&[("/length", json!(32)), ("/method/fill", json!("drop"))]).err().unwrap();
    assert_eq!(error.code().name(), "RUN_MISMATCH");
    assert!(
        error.message().contains("length: 64 → 32")
            && error.message().contains("method.fill: \"related\" → \"drop\""),
        "{error}"
    );
    assert_eq!(code(place.prepare(&[standard()])), "RUN_MISMATCH");

    fs::create_dir(place.path("full")).unwrap();
    fs::write(place.path("full/thesis.tex"), "").unwrap();
    let error = place.prepare_in("full", &[]).err().unwrap();
    assert!(
        error.code().name() == "OUTPUT_EXISTS" && error.message().contains("thesis.tex"),
        "{error}"
    );
    fs::create_dir_all(place.path("hidden/.git")).unwrap();
    assert_eq!(code(place.prepare_in("hidden", &[])), "NONE");
}

#[test]
fn inputs_that_change_are_noticed_by_tasks_and_once_packing_began_by_the_driver() {
    for (name, content) in [
        ("corpus.jsonl", corpus(81)),
        ("tokenizer.json", format!("{} ", crate::tokenizer())),
        ("stop.txt", "a\n".to_owned()),
    ] {
        let place = Place::with_documents(80);
        fs::write(place.path("stop.txt"), "the\n").unwrap();
        let options = [("/keywords/stopWords", json!(place.path("stop.txt").to_str().unwrap()))];
        for out in ["prepared", "packed"] {
            place.prepare_in(out, &options).unwrap();
        }
        place.run_in("packed", &options).unwrap();
        let run = RunContext::open(STAGES, &place.path("prepared")).unwrap();
        run.check_inputs().unwrap();
        fs::write(place.path(name), content).unwrap();
        if name == "corpus.jsonl" {
            assert_eq!(code(run.run_task(ctx(1), SCAN, 0)), "INPUT_CHANGED");
        } else {
            assert_eq!(code(run.check_inputs()), "INPUT_CHANGED", "{name}");
        }
        let error = place
            .prepare_in("packed", &options)
            .err()
            .unwrap_or_else(|| panic!("{name} may change"));
        assert!(
            error.code().name() == "INPUT_CHANGED" && error.message().contains(name),
            "{error}"
        );
        // Nothing is made of the old files yet: after a fix the run resumes in the same directory.
        let digest = run.digest(SEAL).clone();
        assert_ne!(place.prepare_in("prepared", &options).unwrap().digest(SEAL), &digest, "{name}");
    }
}

#[test]
fn one_driver_at_a_time() {
    let place = Place::with_documents(10);
    let (_job, lock) = RunContext::prepare(
        STAGES,
        ctx(1),
        place.options(&[]),
        &place.path("out"),
        &Claim::default(),
    )
    .unwrap();
    assert_eq!(
        code(RunContext::prepare(
            STAGES,
            ctx(1),
            place.options(&[]),
            &place.path("out"),
            &Claim::default()
        )),
        "RUN_LOCKED"
    );
    drop(lock);
    assert_eq!(
        code(RunContext::prepare(
            STAGES,
            ctx(1),
            place.options(&[]),
            &place.path("out"),
            &Claim::default()
        )),
        "NONE"
    );
}

#[test]
fn what_is_missing_or_of_another_version_is_told() {
    let place = Place::with_documents(10);
    assert_eq!(code(RunContext::open(STAGES, &place.path("out"))), "RUN_NOT_PREPARED");
    let nowhere = json!(place.path("nowhere").to_str().unwrap());
    for (pointer, value, expected) in [
        ("/corpus", json!([nowhere]), "INPUT_NOT_FOUND"),
        ("/tokenizer", nowhere.clone(), "INPUT_NOT_FOUND"),
        ("/tokenizer", json!(place.path("corpus.jsonl").to_str().unwrap()), "TOKENIZER_INVALID"),
        ("/keywords/stopWords", nowhere.clone(), "INPUT_NOT_FOUND"),
        ("/queries/file", nowhere.clone(), "INPUT_NOT_FOUND"),
        ("/separator", json!("token:<|nothing|>"), "TOKEN_NOT_FOUND"),
        ("/corpusRoot", nowhere, "INPUT_NOT_FOUND"),
        ("/corpusRoot", Value::from("/proc"), "OPTIONS_INVALID"),
    ] {
        assert_eq!(
            code(place.prepare(&[(pointer, value.clone())])),
            expected,
            "{pointer}: {value}"
        );
        assert!(
            !place.path("out").join("run.json").exists(),
            "{pointer}: nothing is half-prepared"
        );
    }
    place.prepare(&[]).unwrap();
    let run = place.path("out/run.json");
    let text = fs::read_to_string(&run).unwrap();
    let format = serde_json::from_str::<Value>(&text).unwrap()["format"].as_u64().unwrap();
    let format_line = |format: u64| format!("\"format\": {format},\n  \"version\"");
    for (content, expected) in [
        (text.replace(&format_line(format), &format_line(format + 1)), "VERSION_MISMATCH"),
        (text.replace("\"version\"", "\"vision\""), "FILE_CORRUPT"),
        (text.replace("\"seed\": 0", "\"seed\": 1"), "FILE_CORRUPT"),
        (text[..text.len() / 2].to_owned(), "FILE_CORRUPT"),
    ] {
        fs::write(&run, content).unwrap();
        assert_eq!(code(RunContext::open(STAGES, &place.path("out"))), expected);
    }
    fs::write(&run, text).unwrap();
    fs::write(place.path("out/.work/VERSION"), "longweave work directory, format 0\n").unwrap();
    assert_eq!(code(RunContext::open(STAGES, &place.path("out"))), "VERSION_MISMATCH");
}
