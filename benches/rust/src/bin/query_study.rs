//! The study that chose the extractive predictor (benches/queries/README.md): `cargo run --profile
//! quick --manifest-path benches/rust/Cargo.toml --bin query_study -- DATA MODE`, where MODE is
//! `questions train|valid`, `groups news20|reuters`, `speed`, or `dump FILE` (what train.py learns
//! from). Prints Markdown tables. `NAME=FILE…` after the first two adds methods whose queries a
//! model wrote beforehand: JSON lines {"id", "queries"} for each text; `questions` then counts only
//! passages that every file has.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Instant;

use longweave_common::Ctx;
use longweave_common::random::Key;
use longweave_index::{
    CandidateTable, CandidateWriter, Hierarchy, Index, IndexOptions, Representative,
};
use longweave_keywords::{Boilerplate, Rake, RakeOptions, StopList, candidates};
use longweave_language::Language;
use longweave_predict::{DocumentRef, Extractive, ExtractiveOptions, Predictor, Queries};
use serde_json::Value;

const SEGMENT_TOKENS: u32 = 384;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [data, "questions", split, ref written @ ..] => questions(Path::new(data), split, written),
        [data, "groups", corpus, ref written @ ..] => groups(Path::new(data), corpus, written),
        [data, "speed"] => speed(Path::new(data)),
        [data, "dump", file] => dump(Path::new(data), Path::new(file)),
        _ => panic!(
            "DATA questions train|valid [NAME=FILE…], DATA groups news20|reuters [NAME=FILE…], \
             DATA speed, or DATA dump FILE"
        ),
    }
}

fn rows(data: &Path, name: &str) -> impl Iterator<Item = Value> {
    let file = std::fs::File::open(data.join(format!("{name}.jsonl.zst"))).unwrap();
    let lines =
        std::io::BufReader::with_capacity(1 << 20, zstd::Decoder::new(file).unwrap()).split(b'\n');
    lines.map(|line| serde_json::from_slice(&line.unwrap()).unwrap())
}

/// A passage with the RAKE keywords of the questions on it.
struct Passage {
    text: String,
    document: String,
    source: String,
    /// Whether a released model may be trained on it.
    free: bool,
    keywords: HashSet<String>,
    heads: HashSet<String>,
}

fn head(phrase: &str) -> &str {
    phrase.rsplit(' ').next().unwrap_or(phrase)
}

/// The extractor of `extract`, by default.
static RAKE: LazyLock<Rake> = LazyLock::new(|| {
    Rake::new(StopList::smart(), RakeOptions { min_score: 3.0, ..RakeOptions::default() })
});

/// The passages of a split with at least one keyword in a question.
fn passages(data: &Path, split: &str) -> Vec<Passage> {
    let mut scratch = RAKE.scratch();
    let mut found: Vec<Passage> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for row in rows(data, "qa-pairs").filter(|r| r["split"] == split) {
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        let source = text("source").split(" (").next().unwrap().to_owned();
        let at = *known.entry((source.clone(), text("passage"))).or_insert_with(|| {
            let free = matches!(
                row["license"].as_str().unwrap(),
                "MIT" | "Apache-2.0" | "CC-BY-4.0" | "CC-BY-SA-4.0"
            );
            let (keywords, heads) = (HashSet::new(), HashSet::new());
            found.push(Passage {
                text: text("passage"),
                document: text("doc"),
                source,
                free,
                keywords,
                heads,
            });
            found.len() - 1
        });
        RAKE.extract(&mut scratch, row["question"].as_str().unwrap(), |phrase, _| {
            found[at].heads.insert(head(phrase).to_owned());
            found[at].keywords.insert(phrase.to_owned());
        });
    }
    found.retain(|p| !p.keywords.is_empty());
    found
}

fn queries(predictor: &dyn Predictor, ctx: &Ctx, text: &str) -> Vec<String> {
    let mut out = Queries::default();
    predictor
        .predict(
            ctx,
            &[DocumentRef { id: "", text, language: Language::ENGLISH, queries: &[] }],
            &mut out,
        )
        .unwrap();
    out.of(0).map(|(_, query)| query.to_owned()).collect()
}

/// Phrases of a text that RAKE keeps, with scores, in order.
fn phrases(text: &str) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    RAKE.extract(&mut RAKE.scratch(), text, |phrase, score| found.push((phrase.to_owned(), score)));
    found
}

fn best(mut found: Vec<(String, f64)>, most: usize) -> Vec<String> {
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.into_iter().take(most).map(|(phrase, _)| phrase).collect()
}

fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").or_else(|| text.find('\n')).unwrap_or(text.len());
    &text[..end]
}

type Method = (String, Box<dyn Fn(&str) -> Vec<String>>);

/// The keywords of the queries that a model wrote for the texts of a corpus, in the order of the
/// queries.
fn written(
    data: &Path,
    corpus: &str,
    field: &str,
    argument: &str,
) -> (String, HashMap<String, Vec<String>>) {
    let (name, file) = argument.split_once('=').expect("NAME=FILE");
    let lines = std::io::BufReader::new(std::fs::File::open(file).unwrap()).split(b'\n');
    let mut by_id: HashMap<String, Vec<String>> = HashMap::new();
    for line in lines {
        let row: Value = serde_json::from_slice(&line.unwrap()).unwrap();
        let queries = row["queries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|q| q.as_str().unwrap().to_owned())
            .collect();
        by_id.insert(row["id"].as_str().unwrap().to_owned(), queries);
    }
    let mut by_text: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows(data, corpus) {
        if let Some(queries) = by_id.get(row["id"].as_str().unwrap()) {
            by_text
                .entry(row[field].as_str().unwrap().to_owned())
                .or_insert_with(|| keywords_of(queries));
        }
    }
    (name.to_owned(), by_text)
}

fn lookup((name, by_text): (String, HashMap<String, Vec<String>>)) -> Method {
    (
        name,
        Box::new(move |text| {
            by_text.get(text).unwrap_or_else(|| panic!("no queries for: {text}")).clone()
        }),
    )
}

fn keywords_of(queries: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (phrase, _) in queries.iter().flat_map(|query| phrases(query)) {
        if !found.contains(&phrase) {
            found.push(phrase);
        }
    }
    found
}

/// Every way of finding candidates, best first; `texts` give TF-IDF its document frequencies.
fn methods(texts: &[&str]) -> Vec<Method> {
    let mut documents: HashMap<String, u32> = HashMap::new();
    for text in texts {
        for (phrase, _) in phrases(text) {
            *documents.entry(phrase).or_default() += 1;
        }
    }
    let total = texts.len() as f64;
    let tf_idf = move |text: &str| {
        let lower = text.to_lowercase();
        let weigh = |phrase: &str| {
            lower.matches(phrase).count().max(1) as f64
                * (total / f64::from(documents[phrase])).ln()
        };
        best(
            phrases(text).into_iter().map(|(p, _)| (weigh(&p), p)).map(|(w, p)| (p, w)).collect(),
            3,
        )
    };
    let mut all: Vec<Method> = vec![
        ("random phrase".into(), Box::new(|text| phrases(text).into_iter().map(|p| p.0).collect())),
        (
            "first sentence".into(),
            Box::new(|text| phrases(first_sentence(text)).into_iter().map(|p| p.0).collect()),
        ),
        ("RAKE on the whole text, best 3".into(), Box::new(|text| best(phrases(text), 3))),
        ("TF-IDF, best 3".into(), Box::new(tf_idf)),
        ("hand weights, 3 phrases".into(), Box::new(by_hand)),
    ];
    for n in [1, 2, 3, 4, 5, 6] {
        let predictor =
            Extractive::new(ExtractiveOptions { segment_tokens: SEGMENT_TOKENS }).with_phrases(n);
        let ctx = Ctx::new(1, 1 << 30).unwrap();
        let of = move |text: &str| keywords_of(&queries(&predictor, &ctx, text));
        all.push((format!("extractive, {n} a segment"), Box::new(of)));
    }
    all
}

/// Weights set by hand, as a learned scorer must beat them: frequency of words, place, length, of
/// whole RAKE phrases of up to four words.
fn by_hand(text: &str) -> Vec<String> {
    static WHOLE: LazyLock<Rake> = LazyLock::new(|| {
        Rake::new(StopList::smart(), RakeOptions { max_words: 4, ..RakeOptions::default() })
    });
    let mut words: HashMap<String, f64> = HashMap::new();
    let mut known: Vec<(String, f64, f64)> = Vec::new();
    for (number, sentence) in
        text.split_inclusive(['.', '!', '?', '\n']).filter(|s| !s.trim().is_empty()).enumerate()
    {
        WHOLE.extract(&mut WHOLE.scratch(), sentence, |phrase, _| {
            phrase.split(' ').for_each(|w| *words.entry(w.to_owned()).or_default() += 1.0);
            match known.iter_mut().find(|k| k.0 == phrase) {
                Some(k) => k.1 += 1.0,
                None => known.push((phrase.to_owned(), 1.0, number as f64)),
            }
        });
    }
    let scored = known.into_iter().filter(|k| k.0.contains(' ')).map(|(phrase, times, first)| {
        let count = phrase.split(' ').count();
        let frequency = phrase.split(' ').map(|w| words[w].sqrt()).sum::<f64>() / count as f64;
        let length = [0.0, 0.0, 1.0, 0.9, 0.6][count];
        (phrase, frequency * length * (1.0 + 1.0 / (1.0 + first)) * times.sqrt())
    });
    best(scored.collect(), 3)
}

/// Shares of passages: the first candidate, one drawn at random (expected), any; equal to a
/// keyword, with its head word.
#[derive(Clone, Copy, Default)]
struct Hits {
    passages: f64,
    none: f64,
    sums: [f64; 6],
}

impl Hits {
    fn add(&mut self, passage: &Passage, found: &[String]) {
        self.passages += 1.0;
        if found.is_empty() {
            self.none += 1.0;
            return;
        }
        let tests: [fn(&Passage, &str) -> bool; 2] =
            [|p, c| p.keywords.contains(c), |p, c| p.heads.contains(head(c))];
        for (t, test) in tests.into_iter().enumerate() {
            let hits: Vec<bool> = found.iter().map(|c| test(passage, c)).collect();
            let share = hits.iter().filter(|&&h| h).count() as f64 / hits.len() as f64;
            let values =
                [f64::from(u8::from(hits[0])), share, f64::from(u8::from(hits.contains(&true)))];
            values.into_iter().enumerate().for_each(|(k, v)| self.sums[k * 2 + t] += v);
        }
    }

    fn cells(&self) -> String {
        let percent = |v: f64| format!(" {:.1} |", 100.0 * v / self.passages);
        self.sums.iter().map(|&v| percent(v)).collect::<String>() + &percent(self.none)
    }
}

fn questions(data: &Path, split: &str, files: &[&str]) {
    let files: Vec<_> =
        files.iter().map(|argument| written(data, "qa-pairs", "passage", argument)).collect();
    let mut passages = passages(data, split);
    passages.retain(|p| files.iter().all(|(_, by_text)| by_text.contains_key(&p.text)));
    let texts: Vec<&str> = passages.iter().map(|p| p.text.as_str()).collect();
    let mut tables: BTreeMap<String, Vec<(String, Hits)>> = BTreeMap::new();
    for (name, method) in methods(&texts).into_iter().chain(files.into_iter().map(lookup)) {
        let mut hits: BTreeMap<&str, Hits> = BTreeMap::new();
        for passage in &passages {
            let found = method(&passage.text);
            for group in [
                passage.source.as_str(),
                "all",
                if passage.free { "all free to train on" } else { "all research only" },
            ] {
                hits.entry(group).or_default().add(passage, &found);
            }
        }
        for (source, hits) in hits {
            tables.entry(source.to_owned()).or_default().push((name.clone(), hits));
        }
    }
    for (source, table) in tables {
        println!("\n{source}: {} passages\n", table[0].1.passages);
        println!(
            "| {split} | first = | first ~ | random = | random ~ | any = | any ~ | no candidate |\n|---|---|---|---|---|---|---|---|"
        );
        table.iter().for_each(|(name, hits)| println!("| {name} |{}", hits.cells()));
    }
}

/// Share of pairs of documents in one group that share a topic, and the like for pairs of all
/// documents.
fn purity(groups: &[Vec<usize>], topics: &[Vec<String>]) -> f64 {
    let (mut pairs, mut same) = (0.0, 0.0);
    for group in groups {
        // Each document weighs the same, whatever the size of its group.
        let weight = 1.0 / (group.len() as f64 - 1.0);
        for (i, &a) in group.iter().enumerate() {
            for &b in &group[i + 1..] {
                pairs += weight;
                same +=
                    weight * f64::from(u8::from(topics[a].iter().any(|t| topics[b].contains(t))));
            }
        }
    }
    same / pairs
}

fn groups(data: &Path, corpus: &str, files: &[&str]) {
    let mut texts = Vec::new();
    let mut topics: Vec<Vec<String>> = Vec::new();
    for row in rows(data, corpus) {
        let of = |v: &Value| v.as_str().unwrap().to_owned();
        let labels: Vec<String> = if corpus == "reuters" {
            row["topics"].as_array().unwrap().iter().map(of).collect()
        } else {
            vec![of(&row["topic"])]
        };
        if !labels.is_empty() {
            texts.push(of(&row["text"]));
            topics.push(labels);
        }
    }
    // Chance: each document with 40 drawn from the whole corpus.
    let other =
        |i: usize, k: usize| (Key::of(&format!("{i} {k}")).0 % texts.len() as u128) as usize;
    let chance: Vec<Vec<usize>> = (0..texts.len())
        .flat_map(|i| (0..40).map(move |k| (i, k)))
        .map(|(i, k)| vec![i, other(i, k)])
        .collect();
    println!(
        "{corpus}: {} documents; two at random share a topic: {:.1} %\n",
        texts.len(),
        100.0 * purity(&chance, &topics)
    );
    println!(
        "| candidates | representative | with a keyword | in groups of 2 and more | pairs of one topic | keywords |\n|---|---|---|---|---|---|"
    );
    let keys: Vec<u128> = (0..texts.len()).map(|i| Key::of(&i.to_string()).0).collect();
    let ctx = Ctx::new(2, 1 << 32).unwrap();
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let from_files = files.iter().map(|argument| lookup(written(data, corpus, "text", argument)));
    for (name, method) in methods(&all).into_iter().chain(from_files) {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("all");
        let mut writer = CandidateWriter::create(&prefix).unwrap();
        for text in &texts {
            let found = method(text).join("; ");
            writer
                .push(
                    candidates(&RAKE, &mut RAKE.scratch(), [found.as_str()])
                        .iter()
                        .map(String::as_str),
                )
                .unwrap();
        }
        writer.commit().unwrap();
        let tables = [CandidateTable::open(&prefix, 0).unwrap()];
        for representative in [Representative::Random, Representative::Common] {
            let options = IndexOptions {
                seed: 1,
                representative,
                searchable: false,
                max_keyword_share: 0.002,
                min_keyword_cap: 50,
                hierarchy: Hierarchy::Suffix,
            };
            let index = longweave_index::build(
                &ctx,
                &tables,
                longweave_index::IndexedDocuments::with(&keys),
                &Boilerplate::built_in(),
                &options,
            )
            .unwrap();
            report(&name, representative, &index, &topics);
        }
    }
}

fn report(name: &str, representative: Representative, index: &Index, topics: &[Vec<String>]) {
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); index.len()];
    index
        .keyword_of()
        .iter()
        .enumerate()
        .filter(|(_, k)| !k.is_none())
        .for_each(|(doc, k)| groups[k.index()].push(doc));
    let with: usize = groups.iter().map(Vec::len).sum();
    groups.retain(|g| g.len() > 1);
    let grouped: usize = groups.iter().map(Vec::len).sum();
    let percent = |n: usize| 100.0 * n as f64 / topics.len() as f64;
    println!(
        "| {name} | {representative:?} | {:.1} % | {:.1} % | {:.1} % | {} |",
        percent(with),
        percent(grouped),
        100.0 * purity(&groups, topics),
        index.len()
    );
}

fn speed(data: &Path) {
    let ctx = Ctx::new(1, 1 << 30).unwrap();
    let predictor = Extractive::new(ExtractiveOptions { segment_tokens: SEGMENT_TOKENS });
    println!(
        "| texts | documents | mean bytes | documents a second | MB a second |\n|---|---|---|---|---|"
    );
    for (name, field) in [
        ("simplewiki", "text"),
        ("news20", "text"),
        ("cppdocs", "text"),
        ("reuters", "text"),
        ("qa-pairs", "passage"),
    ] {
        let texts: Vec<String> =
            rows(data, name).take(40_000).map(|r| r[field].as_str().unwrap().to_owned()).collect();
        let documents: Vec<DocumentRef<'_>> = texts
            .iter()
            .map(|text| DocumentRef { id: "", text, language: Language::ENGLISH, queries: &[] })
            .collect();
        let start = Instant::now();
        // As many at once as a stage gives.
        for batch in documents.chunks(512) {
            predictor.predict(&ctx, batch, &mut Queries::default()).unwrap();
        }
        let (seconds, bytes) =
            (start.elapsed().as_secs_f64(), texts.iter().map(String::len).sum::<usize>() as f64);
        let n = texts.len() as f64;
        println!(
            "| {name} | {n} | {:.0} | {:.0} | {:.1} |",
            bytes / n,
            n / seconds,
            bytes / 1e6 / seconds
        );
    }
}

/// One record for each phrase of each free passage of the training split: number of the passage
/// (u32 little-endian), of its document's fold (u8), of its source (u8), what it hit (u8: 1 a
/// keyword, 2 a head word), of its segment (u8), then the features.
fn dump(data: &Path, file: &Path) {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    let predictor = Extractive::new(ExtractiveOptions { segment_tokens: SEGMENT_TOKENS });
    let mut sources: Vec<String> = Vec::new();
    for (number, passage) in passages(data, "train").iter().filter(|p| p.free).enumerate() {
        let source = sources.iter().position(|s| *s == passage.source).unwrap_or_else(|| {
            sources.push(passage.source.clone());
            sources.len() - 1
        });
        let fold = (Key::of(&passage.document).0 % 5) as u8;
        for phrase in predictor.weigh(&passage.text) {
            let hit = u8::from(passage.keywords.contains(&phrase.text))
                + 2 * u8::from(passage.heads.contains(head(&phrase.text)));
            out.write_all(&(number as u32).to_le_bytes()).unwrap();
            out.write_all(&[fold, source as u8, hit, phrase.segment.min(255) as u8]).unwrap();
            out.write_all(&phrase.features).unwrap();
        }
    }
    out.flush().unwrap();
    println!("{sources:?}");
}
