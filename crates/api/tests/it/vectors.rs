//! Methods over vectors, from end to end: the same sequences for any number of threads and any
//! division into splits; vectors from files.

use longweave_run::RunOptions;
use longweave_stages::{EMBED, LISTS, NEIGHBOURS, VECTORS};
use serde_json::{Value, json};

use crate::{Place, code, sequences};

fn methods() -> Vec<(&'static str, Value)> {
    vec![
        ("knn", json!({ "name": "knn", "pool": "all", "k": 4, "fill": "next" })),
        (
            "iclm",
            json!({ "name": "iclm", "pool": "keyworded", "k": 4, "variant": "paper", "fill": "next" }),
        ),
        (
            "release",
            json!({ "name": "iclm", "pool": "all", "k": 9, "variant": "release", "fill": "next" }),
        ),
        (
            "nextlong",
            json!({ "name": "nextlong", "pool": "all", "k": 9, "chunkChars": 30, "reuse": "run", "fill": "next" }),
        ),
        (
            "upsample",
            json!({ "name": "long", "pool": "all", "threshold": 90, "mode": "upsample", "longShare": 0.7, "fill": "next" }),
        ),
    ]
}

/// One number for each row.
fn npy(rows: usize, dims: usize, value: impl Fn(usize, usize) -> f32) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dims}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    (0..rows)
        .flat_map(|row| (0..dims).map(move |d| (row, d)))
        .for_each(|(row, d)| bytes.extend(value(row, d).to_le_bytes()));
    bytes
}

#[test]
fn sequences_are_the_same_for_any_threads_and_splits() {
    let place = Place::with_documents(90);
    for (name, method) in methods() {
        let made = |label: &str, more: &[(&str, Value)]| {
            let out = format!("{name}-{label}");
            let work = ("/work", json!(place.path(&format!("{out}-work")).to_str().unwrap()));
            place
                .run_in(&out, &[&[("/method", method.clone()), work], more].concat())
                .unwrap_or_else(|e| panic!("{out}: {e}"));
            sequences(&place.path(&out))
        };
        let whole = made("whole", &[("/threads", json!(1))]);
        assert!(made("threads", &[("/threads", json!(5))]) == whole, "{name}: threads");
        assert!(made("splits", &[("/splitBytes", json!(900))]) == whole, "{name}: splits");
        let exact = made("exact", &[("/neighbours/search", json!("exact"))]);
        assert!(exact == whole, "{name}: so few vectors are compared with each other");
        let all = ("/neighbours/search", json!("inverted"));
        let inverted = made(
            "inverted",
            &[all, ("/neighbours/lists", json!(5)), ("/neighbours/probes", json!(5))],
        );
        assert!(inverted == whole, "{name}: all lists are looked at");
    }
}

#[test]
fn vectors_come_from_a_file_and_equal_ones_give_equal_sequences() {
    let place = Place::with_documents(40);
    let write = |name: &str, bytes: Vec<u8>| {
        std::fs::write(place.path(name), bytes).unwrap();
        json!(place.path(name).to_str().unwrap())
    };
    let value = |row: usize, d: usize| ((row * 7 + d * 3) % 11) as f32 - 4.0;
    let single = write("single.npy", npy(40, 3, value));
    let scaled = write("scaled.npy", npy(40, 3, |row, d| 2.5 * value(row, d)));
    let other =
        write("other.npy", npy(40, 3, |row, d| ((row * row * 5 + d * 7) % 13) as f32 - 5.0));
    let short = write("short.npy", npy(39, 3, value));
    let made = |name: &str, file: &Value| {
        let file = [
            ("/method", methods()[0].1.clone()),
            ("/vectors/source", json!("file")),
            ("/vectors/file", file.clone()),
        ];
        place.run_in(name, &file).map(|_| sequences(&place.path(name)))
    };
    let base = made("single", &single).unwrap();
    assert!(made("scaled", &scaled).unwrap() == base, "only directions count");
    assert!(made("other", &other).unwrap() != base);
    assert_eq!(code(made("short", &short)), "VECTORS_INVALID");
}

#[test]
fn neighbours_and_heads_of_many_tasks_are_those_of_one() {
    let (rows, place) = (4300, Place::with_documents(4300));
    let value = |row: usize, d: usize| ((row * 7 + d * d * 3 + row * d) % 101) as f32 - 50.0;
    let file = place.path("vectors.npy");
    std::fs::write(&file, npy(rows, 6, value)).unwrap();
    let (_, release) = methods().swap_remove(2);
    let made = |name: &str, search: &str| {
        let changes = [
            ("/method", release.clone()),
            ("/vectors/source", json!("file")),
            ("/vectors/file", json!(file.to_str().unwrap())),
            ("/neighbours/search", json!(search)),
            ("/neighbours/lists", json!(9)),
            ("/neighbours/probes", json!(9)),
        ];
        let run = place.run_in(name, &changes).unwrap();
        (run.tasks(NEIGHBOURS).unwrap(), run.tasks(LISTS).unwrap(), sequences(run.out()))
    };
    let (exact, inverted) = (made("exact", "exact"), made("inverted", "inverted"));
    assert_eq!((exact.0, exact.1, inverted.0, inverted.1), (Some(2), Some(0), Some(1), Some(1)));
    assert!(exact.2 == inverted.2);
}

#[test]
fn a_run_reuses_vectors_and_neighbours_for_another_length_and_seed() {
    let place = Place::with_documents(40);
    let work = ("/work", json!(place.path("work").to_str().unwrap()));
    let knn = ("/method", methods()[0].1.clone());
    let first = place.run_in("first", &[knn.clone(), work.clone()]).unwrap();
    let second =
        place.run_in("second", &[knn, work, ("/length", json!(32)), ("/seed", json!(5))]).unwrap();
    for stage in [EMBED, VECTORS, NEIGHBOURS] {
        assert_eq!(first.directory(stage), second.directory(stage));
    }
    assert!(sequences(first.out()) != sequences(second.out()));
}

#[test]
fn tasks_of_a_model_on_a_gpu_say_so() {
    let place = Place::with_documents(5);
    let fixtures =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../__test__/fixtures/models");
    let onnx = |device: &str| {
        let model = json!(fixtures.join("bert").to_str().unwrap());
        let run = place.prepare_in(
            device,
            &[
                ("/method", methods()[0].1.clone()),
                ("/vectors/source", json!("onnx")),
                ("/vectors/model", model),
                ("/vectors/device", json!(device)),
            ],
        );
        let list = longweave_api::tasks::list(&run.unwrap()).unwrap();
        list.into_iter().map(|s| s.resources.gpus).sum::<u32>()
    };
    assert_eq!((onnx("cpu"), onnx("cuda:1")), (0, 1));
}

#[test]
fn quest_climbs_a_hierarchy_of_vectors() {
    let place = Place::with_documents(60);
    let hierarchy = ("/keywords/hierarchy", json!("vectors"));
    let one = place.run_in("one", &[hierarchy.clone(), ("/threads", json!(1))]).unwrap();
    let many = place.run_in("many", &[hierarchy.clone(), ("/splitBytes", json!(700))]).unwrap();
    assert!(sequences(one.out()) == sequences(many.out()));
    let chunks = [
        hierarchy,
        (
            "/method",
            json!({ "name": "nextlong", "pool": "keyworded", "k": 9, "chunkChars": 30, "reuse": "run", "fill": "next" }),
        ),
    ];
    assert_eq!(
        code(RunOptions::parse(&place.json(&chunks).to_string())),
        "OPTIONS_INVALID",
        "chunks have no keywords to join"
    );
}
