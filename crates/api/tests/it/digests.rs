//! Which stages an option touches: a changed digest means that the stage runs again, an equal one
//! that its results are reused.

use std::collections::BTreeMap;

use longweave_run::{RunContext, Stage};
use longweave_stages::{
    CENTROIDS, CLUSTERS, DOCUMENTS, EMBED, EXTRACT, INDEX, LISTS, MATCHES, NEIGHBOURS, PACK, PAIRS,
    PLAN, POSTINGS, PREDICT, PROJECTION, REPORT, ROUTE, SCATTER, SEAL, SIGNATURES, STAGES, TOPICS,
    VECTORS,
};
use serde_json::{Value, json};

use crate::{Place, at, corpus};

const FROM_PLAN: &[Stage] = &[PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];
const OUTPUT: &[Stage] = &[PACK, SEAL];
const FROM_INDEX: &[Stage] = &[INDEX, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];
const FROM_EXTRACT: &[Stage] = &[EXTRACT, INDEX, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];
const FROM_PREDICT: &[Stage] = &[PREDICT, EXTRACT, INDEX, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];
const FROM_DOCUMENTS: &[Stage] = &[DOCUMENTS, INDEX, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];

/// The digests of the run's stages.
fn digests(run: &RunContext) -> BTreeMap<usize, String> {
    run.stages().map(|s| (at(s), run.digest(s).as_str().to_owned())).collect()
}

/// The stages whose digests differ.
fn changed(a: &BTreeMap<usize, String>, b: &BTreeMap<usize, String>) -> Vec<Stage> {
    assert!(a.keys().eq(b.keys()));
    a.keys().filter(|stage| a[stage] != b[stage]).map(|&stage| STAGES[stage]).collect()
}

#[test]
fn each_option_touches_the_stages_that_it_decides_and_no_other() {
    let place = Place::with_documents(40);
    let other = place.path("other.json");
    std::fs::write(
        &other,
        crate::tokenizer().replacen("\"version\": \"1.0\"", "\"version\":  \"1.0\"", 1),
    )
    .unwrap();
    std::fs::write(place.path("stop.txt"), "the\n").unwrap();
    let path = |name: &str| json!(place.path(name).to_str().unwrap());
    let file = place.path("corpus.jsonl").to_str().unwrap().to_owned();
    let base_run = place.prepare_in("base", &[]).unwrap();
    let stages: Vec<Stage> = base_run.stages().collect();
    let (all, from_ingest) = (&stages[..], &stages[1..]);
    let cases: Vec<(&str, Value, &[Stage])> = vec![
        ("/threads", json!(1), &[]),
        ("/memory", json!(32 << 20), &[]),
        ("/packing", json!("scatter"), &[ROUTE, SCATTER]),
        ("/diskCheck", json!("off"), &[]),
        ("/clean", json!("sealed"), &[]),
        ("/work", path("work"), &[]),
        ("/splitBytes", json!(1000), all),
        ("/textField", json!("q"), from_ingest),
        ("/tokensField", json!("ids"), from_ingest),
        ("/idField", Value::Null, from_ingest),
        ("/sourceField", json!("q"), from_ingest),
        ("/sources", json!({ &file: 1.0 }), all),
        ("/onBadRow", json!("skip"), from_ingest),
        ("/textJoin", json!(" "), from_ingest),
        ("/loneSurrogates", json!("reject"), from_ingest),
        ("/maxDocumentBytes", json!(1000), from_ingest),
        ("/tokenizer", path("other.json"), from_ingest),
        ("/onDuplicateId", json!("suffix"), FROM_DOCUMENTS),
        ("/queryField", json!("text"), FROM_PREDICT),
        ("/queries/predictor", json!("extractive"), FROM_PREDICT),
        ("/queries/file", path("corpus.jsonl"), FROM_PREDICT),
        ("/languageField", json!("q"), FROM_PREDICT),
        ("/keywords/language", json!("de"), FROM_PREDICT),
        ("/keywords/stopWords", json!("fox"), FROM_EXTRACT),
        ("/keywords/stopWords", path("stop.txt"), FROM_EXTRACT),
        ("/keywords/minScore", json!(1.0), FROM_EXTRACT),
        ("/keywords/phrases", json!("searchable"), FROM_EXTRACT),
        ("/keywords/boilerplate", json!("none"), FROM_INDEX),
        ("/keywords/boilerplatePhrases", json!(["tin whistle"]), FROM_INDEX),
        ("/keywords/representative", json!("random"), FROM_INDEX),
        ("/keywords/maxKeywordShare", json!(0.5), FROM_INDEX),
        ("/keywords/minKeywordCap", json!(3), FROM_INDEX),
        ("/keywords/hierarchy", json!("affinity"), FROM_INDEX),
        ("/method/pool", json!("all"), FROM_PLAN),
        ("/method/splitRatio", json!(0.3), FROM_PLAN),
        ("/method/splitBy", json!("tokens"), FROM_PLAN),
        ("/method/oversample", json!(3.0), FROM_PLAN),
        ("/method/shortShare", json!(0.2), FROM_PLAN),
        ("/method/minKeywordDocuments", json!(3), FROM_PLAN),
        ("/method/fill", json!("next"), FROM_PLAN),
        ("/length", json!(32), FROM_PLAN),
        (
            "/lengths",
            json!([{ "length": 64, "share": 1.0 }, { "length": 32, "share": 2.0 }]),
            FROM_PLAN,
        ),
        ("/tokens", json!(1000), FROM_PLAN),
        ("/seed", json!(1), FROM_PLAN),
        ("/bos", json!("sequence"), FROM_PLAN),
        ("/bos", json!("document"), FROM_PLAN),
        ("/separator", json!("none"), FROM_PLAN),
        ("/separator", json!("token:<pad>"), OUTPUT),
        ("/padToken", json!("token:<s>"), OUTPUT),
        ("/specialText", json!("token"), from_ingest),
        ("/overflow", json!("whole"), FROM_PLAN),
        ("/incomplete", json!("pad"), FROM_PLAN),
        ("/minTokens", json!(2), FROM_PLAN),
        ("/maxTokens", json!(100), FROM_PLAN),
        ("/maxUses", json!(1), FROM_PLAN),
        ("/holdout", json!(0.5), FROM_PLAN),
        ("/dedup", json!("exact"), FROM_PLAN),
        ("/near/threshold", json!(0.5), &[]),
        ("/near/keep", json!("first"), &[]),
        ("/vectors/dimensions", json!(8), &[]),
        ("/neighbours/search", json!("exact"), &[]),
        ("/output/shardTokens", json!(512), FROM_PLAN),
        ("/output/format", json!("parquet"), OUTPUT),
        ("/output/provenance", json!("ids"), OUTPUT),
        ("/output/format", json!("megatron"), OUTPUT),
        ("/output/format", json!("datatrove"), OUTPUT),
        ("/output/format", json!("numpy"), OUTPUT),
        ("/output/format", json!("datasets"), OUTPUT),
        ("/output/format", json!("litdata"), OUTPUT),
        ("/output/compression", json!("zstd"), OUTPUT),
        ("/output/mdsIndices", json!("document"), OUTPUT),
        ("/output/lossWeightScale", json!("inverse"), OUTPUT),
        ("/output/lossWeightLimit", json!(3.0), OUTPUT),
    ];
    let base = digests(&base_run);
    assert_eq!(
        digests(&place.prepare_in("again", &[]).unwrap()),
        base,
        "the output directory decides nothing"
    );
    for (i, (pointer, value, expected)) in cases.into_iter().enumerate() {
        let run = place.prepare_in(&format!("out{i}"), &[(pointer, value.clone())]).unwrap();
        assert_eq!(changed(&digests(&run), &base), expected, "{pointer}: {value}");
    }
    // The first token is masked in columns alone.
    let labels = [("/output/format", json!("parquet")), ("/output/columns", json!(["labels"]))];
    let all_labels = digests(&place.prepare_in("labels", &labels).unwrap());
    let masked = [&labels[..], &[("/output/maskFirst", json!(true))]].concat();
    let masked = digests(&place.prepare_in("labels-masked", &masked).unwrap());
    assert_eq!(changed(&all_labels, &masked), OUTPUT);
    // Weights of sources that a field names decide the plan alone.
    let field = ("/sourceField", json!("q"));
    let named = digests(&place.prepare_in("field", std::slice::from_ref(&field)).unwrap());
    let weighed = [field, ("/sources", json!({ "q0": 1.0 }))];
    let weighed = digests(&place.prepare_in("field-weighed", &weighed).unwrap());
    assert_eq!(changed(&named, &weighed), FROM_PLAN);
    // Separators at the end of a row of token ids are left out, so that they decide the tokens.
    let ids = ("/tokensField", json!("ids"));
    let tokens = digests(&place.prepare_in("ids", std::slice::from_ref(&ids)).unwrap());
    let other = [ids, ("/separator", json!("token:<pad>"))];
    let other = digests(&place.prepare_in("ids-other", &other).unwrap());
    assert_eq!(changed(&tokens, &other), from_ingest);
    for (name, option, value) in [
        ("mds", "/output/mdsShardBytes", json!(1000)),
        ("parquet", "/output/columns", json!(["labels"])),
    ] {
        let format = ("/output/format", json!(name));
        let digests = |to: &str, changes: &[_]| {
            digests(&place.prepare_in(&format!("{name}-{to}"), changes).unwrap())
        };
        let plain = digests("plain", std::slice::from_ref(&format));
        let other = digests("other", &[format, (option, value)]);
        assert_eq!(changed(&other, &plain), OUTPUT, "{option}");
    }
    std::fs::write(place.path("corpus.jsonl"), corpus(41)).unwrap();
    let longer = digests(&place.prepare_in("longer", &[]).unwrap());
    assert_eq!(changed(&longer, &base), stages, "a changed corpus changes everything");
}

#[test]
fn options_that_nothing_reads_change_nothing() {
    let place = Place::with_documents(10);
    let extractive = ("/queries/predictor", json!("extractive"));
    let base = digests(&place.prepare_in("base", std::slice::from_ref(&extractive)).unwrap());
    let other =
        digests(&place.prepare_in("other", &[extractive, ("/queryField", Value::Null)]).unwrap());
    assert_eq!(other, base, "the field of queries is not read by the extractive predictor");
    for predictor in ["extractive", "precomputed"] {
        let base = digests(
            &place
                .prepare_in(
                    &format!("{predictor}-base"),
                    &[("/queries/predictor", json!(predictor))],
                )
                .unwrap(),
        );
        let more = [
            ("/queries/predictor", json!(predictor)),
            ("/queries/topK", json!(3)),
            ("/queries/batchTokens", json!(99)),
        ];
        assert_eq!(
            digests(&place.prepare_in(&format!("{predictor}-other"), &more).unwrap()),
            base,
            "options of a model"
        );
    }
    let random = ("/keywords/representative", json!("random"));
    let base = place.prepare_in("random", std::slice::from_ref(&random)).unwrap();
    let other = place.prepare_in("seeded", &[random, ("/seed", json!(1))]).unwrap();
    assert_ne!(base.digest(INDEX), other.digest(INDEX), "a random choice depends on the seed");
}

#[test]
fn what_a_model_writes_depends_on_the_model_and_how_it_is_asked_and_not_on_the_device() {
    let place = Place::with_documents(10);
    let fixtures =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../__test__/fixtures/models");
    let model = |name: &str| ("/queries/model", json!(fixtures.join(name).to_str().unwrap()));
    let base = [
        ("/queries/predictor", json!("onnx")),
        model("t5-v1_0/longweave"),
        ("/queries/decoding", json!("sample")),
    ];
    let prepared = |name: &str, more: &[(&str, Value)]| {
        digests(&place.prepare_in(name, &[&base[..], more].concat()).unwrap())
    };
    let reference = prepared("base", &[]);
    let cases: Vec<(&str, Value, &[Stage])> = vec![
        ("/queries/device", json!("cuda:1"), &[]),
        ("/queries/deviceMemory", json!(1 << 30), &[]),
        ("/queries/onnxRuntime", json!("elsewhere.so"), &[]),
        ("/queries/checkpointSeconds", json!(3.0), &[]),
        ("/queryField", Value::Null, &[]),
        (model("t5-v1_1/longweave").0, model("t5-v1_1/longweave").1, FROM_PREDICT),
        ("/queries/prefix", json!("q: "), FROM_PREDICT),
        ("/queries/decoding", json!("greedy"), FROM_PREDICT),
        ("/queries/temperature", json!(0.5), FROM_PREDICT),
        ("/queries/topK", json!(3), FROM_PREDICT),
        ("/queries/topP", json!(0.5), FROM_PREDICT),
        ("/queries/queriesPerSegment", json!(2), FROM_PREDICT),
        ("/queries/maxQueryTokens", json!(9), FROM_PREDICT),
        ("/queries/segmentTokens", json!(100), FROM_PREDICT),
        ("/queries/batchTokens", json!(100), FROM_PREDICT),
        ("/queries/decodeRows", json!(3), FROM_PREDICT),
        ("/queries/tf32", json!(false), FROM_PREDICT),
        ("/seed", json!(1), FROM_PREDICT),
    ];
    for (i, (pointer, value, expected)) in cases.into_iter().enumerate() {
        let now = prepared(&format!("out{i}"), &[(pointer, value.clone())]);
        assert_eq!(changed(&now, &reference), expected, "{pointer}: {value}");
    }
    let greedy = ("/queries/decoding", json!("greedy"));
    let seeded = prepared("greedy-seeded", &[greedy.clone(), ("/seed", json!(1))]);
    assert_eq!(
        seeded[&at(PREDICT)],
        prepared("greedy", &[greedy])[&at(PREDICT)],
        "greedy decoding draws nothing"
    );
}

type Change = (&'static str, Value);
type Case = (&'static str, Value, &'static [Stage]);

const FROM_LISTS: &[Stage] = &[LISTS, NEIGHBOURS, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];
const FROM_CENTROIDS: &[Stage] =
    &[CENTROIDS, LISTS, NEIGHBOURS, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];
const FROM_PROJECTION: &[Stage] =
    &[PROJECTION, VECTORS, CENTROIDS, LISTS, NEIGHBOURS, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];
const FROM_EMBED: &[Stage] =
    &[EMBED, VECTORS, CENTROIDS, LISTS, NEIGHBOURS, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];

#[test]
fn vectors_and_neighbours_depend_on_what_makes_them_and_not_on_length_seed_or_device() {
    let place = Place::with_documents(30);
    let knn = ("/method", json!({ "name": "knn", "pool": "all", "k": 5, "fill": "next" }));
    let fixtures =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../__test__/fixtures/models");
    let onnx = [
        ("/vectors/source", json!("onnx")),
        ("/vectors/model", json!(fixtures.join("bert").to_str().unwrap())),
    ];
    let plan = FROM_PLAN;
    let all_cases: [(&[Change], Vec<Case>); 2] = [
        (
            &[],
            vec![
                ("/method/k", json!(6), FROM_LISTS),
                ("/method/pool", json!("all"), &[]),
                ("/vectors/dimensions", json!(8), FROM_PROJECTION),
                ("/vectors/sample", json!(9), FROM_PROJECTION),
                ("/vectors/batchTokens", json!(9), &[]),
                ("/vectors/prefix", json!("q: "), &[]),
                ("/neighbours/search", json!("inverted"), FROM_CENTROIDS),
                ("/neighbours/lists", json!(3), FROM_CENTROIDS),
                ("/neighbours/probes", json!(3), FROM_CENTROIDS),
                ("/neighbours/recallSample", json!(3), FROM_CENTROIDS),
                ("/length", json!(32), plan),
                ("/seed", json!(3), plan),
                ("/queries/predictor", json!("extractive"), &[]),
            ],
        ),
        (
            &onnx,
            vec![
                ("/vectors/device", json!("cuda:1"), &[]),
                ("/vectors/deviceMemory", json!(1 << 30), &[]),
                ("/vectors/onnxRuntime", json!("elsewhere.so"), &[]),
                ("/vectors/dimensions", json!(8), &[]),
                ("/vectors/pooling", json!("cls"), FROM_EMBED),
                ("/vectors/prefix", json!("q: "), FROM_EMBED),
                ("/vectors/maxTokens", json!(9), FROM_EMBED),
                ("/vectors/batchTokens", json!(9), FROM_EMBED),
                ("/vectors/tf32", json!(false), FROM_EMBED),
            ],
        ),
    ];
    for (set, (more, cases)) in all_cases.into_iter().enumerate() {
        let with = |name: &str, change: &[Change]| {
            digests(
                &place
                    .prepare_in(name, &[std::slice::from_ref(&knn), more, change].concat())
                    .unwrap(),
            )
        };
        let base = with(&format!("base{set}"), &[]);
        assert!(base.contains_key(&at(EMBED)) && !base.contains_key(&at(INDEX)));
        for (i, (pointer, value, expected)) in cases.into_iter().enumerate() {
            let now = with(&format!("out{set}-{i}"), &[(pointer, value.clone())]);
            assert_eq!(changed(&now, &base), expected, "{pointer}: {value}");
        }
    }
    let nextlong = |chars: u32| {
        let method = json!({ "name": "nextlong", "pool": "all", "k": 5, "chunkChars": chars, "reuse": "sequence", "fill": "next" });
        digests(&place.prepare_in(&format!("chunks{chars}"), &[("/method", method)]).unwrap())
    };
    assert_eq!(changed(&nextlong(20), &nextlong(30)), [&[EMBED], FROM_PROJECTION].concat());
}

const FROM_MATCHES: &[Stage] = &[MATCHES, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];
const FROM_TOPICS: &[Stage] =
    &[TOPICS, POSTINGS, MATCHES, PLAN, REPORT, ROUTE, SCATTER, PACK, SEAL];

#[test]
fn topics_depend_on_their_source_and_what_is_found_for_them_on_neither_length_nor_seed() {
    let place = Place::with_documents(30);
    for (name, text) in [("a.txt", "w1\n"), ("b.txt", "w2\n")] {
        std::fs::write(place.path(name), text).unwrap();
    }
    let path = |name: &str| json!(place.path(name).to_str().unwrap());
    let method = json!({
        "name": "topics", "pool": "all", "documents": 9, "order": "score", "sequences": 2,
        "within": "documents", "k": 5, "chunkChars": 30, "reuse": "run", "fill": "next"
    });
    let method = ("/method", method);
    let of_file = [("/topics/source", json!("file")), ("/topics/file", path("a.txt"))];
    let of_command = [("/topics/source", json!("command")), ("/topics/command", json!("cat a"))];
    let cases: [(&[Change], Vec<Case>); 3] = [
        (
            &[],
            vec![
                ("/topics/most", json!(3), FROM_TOPICS),
                ("/topics/minDocuments", json!(3), FROM_TOPICS),
                ("/topics/file", path("a.txt"), &[]),
                ("/topics/match", json!("all"), FROM_MATCHES),
                ("/topics/k1", json!(2.0), FROM_MATCHES),
                ("/topics/b", json!(0.5), FROM_MATCHES),
                ("/method/documents", json!(8), FROM_MATCHES),
                ("/method/order", json!("reversed"), FROM_PLAN),
                ("/method/sequences", json!(3), FROM_PLAN),
                ("/length", json!(32), FROM_PLAN),
                ("/seed", json!(3), FROM_PLAN),
                ("/vectors/dimensions", json!(8), &[]),
            ],
        ),
        (
            &of_file,
            vec![
                ("/topics/file", path("b.txt"), FROM_TOPICS),
                ("/topics/most", json!(3), &[]),
                ("/queries/predictor", json!("extractive"), &[]),
            ],
        ),
        (
            &of_command,
            vec![
                ("/topics/command", json!("cat b"), FROM_TOPICS),
                ("/topics/file", path("a.txt"), &[]),
            ],
        ),
    ];
    for (set, (more, cases)) in cases.into_iter().enumerate() {
        let with = |name: &str, change: &[Change]| {
            let changes = [std::slice::from_ref(&method), more, change].concat();
            digests(&place.prepare_in(name, &changes).unwrap())
        };
        let base = with(&format!("base{set}"), &[]);
        assert_eq!(base.contains_key(&at(INDEX)), more.is_empty());
        assert!(!base.contains_key(&at(EMBED)));
        for (i, (pointer, value, expected)) in cases.into_iter().enumerate() {
            let now = with(&format!("out{set}-{i}"), &[(pointer, value.clone())]);
            assert_eq!(changed(&now, &base), expected, "{pointer}: {value}");
        }
    }
}

#[test]
fn near_duplicates_depend_on_what_finds_them_and_not_on_length_seed_or_method() {
    let place = Place::with_documents(30);
    let near = ("/dedup", json!("near"));
    let with = |name: &str, change: &[Change]| {
        digests(&place.prepare_in(name, &[std::slice::from_ref(&near), change].concat()).unwrap())
    };
    let base = with("base", &[]);
    let from_pairs = [&[PAIRS, CLUSTERS], FROM_PLAN].concat();
    let from_signatures = [&[SIGNATURES], from_pairs.as_slice()].concat();
    let cases: [(&str, Value, &[Stage]); 9] = [
        ("/near/words", json!(3), &from_signatures),
        ("/near/hashes", json!(64), &from_signatures),
        ("/near/bands", json!(3), &from_signatures),
        ("/near/rows", json!(3), &from_signatures),
        // The bands that follow from the threshold stay the same.
        ("/near/threshold", json!(0.801), &from_pairs),
        ("/near/keep", json!("first"), FROM_PLAN),
        ("/length", json!(32), FROM_PLAN),
        ("/seed", json!(3), FROM_PLAN),
        ("/memory", json!(32 << 20), &[]),
    ];
    for (i, (pointer, value, expected)) in cases.into_iter().enumerate() {
        let now = with(&format!("out{i}"), &[(pointer, value.clone())]);
        assert_eq!(changed(&now, &base), expected, "{pointer}: {value}");
    }
}

#[test]
fn a_new_version_of_a_stage_discards_its_results_and_those_made_of_them_alone() {
    let place = Place::with_documents(10);
    let run = place.prepare_in("base", &[]).unwrap();
    let newer: &'static [Stage] = STAGES
        .iter()
        .map(|&stage| Stage { version: stage.version + u32::from(stage == EXTRACT), ..stage })
        .collect::<Vec<_>>()
        .leak();
    let newer = RunContext::open(newer, run.out()).unwrap();
    assert_eq!(changed(&digests(&newer), &digests(&run)), FROM_EXTRACT);
}
