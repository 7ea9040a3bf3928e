//! Compares the ids of the fast encoder with those of tokenizers 0.23 on whole corpora: `cargo run
//! --profile quick -p longweave-tokens --example id_equality -- DATA [MAX_MB]` prints a Markdown
//! table.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

use longweave_tokens::{load_exact, load_fast};
use serde_json::Value;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let data = PathBuf::from(arguments.next().expect("the folder of the data"));
    let most = arguments.next().map_or(u64::MAX, |mb| mb.parse::<u64>().unwrap() << 20);
    println!(
        "| tokenizer | corpus | texts | MB | tokens | texts that differ | fast MB/s | 0.23 MB/s |\n|---|---|---|---|---|---|---|---|"
    );
    for tokenizer in [
        "pythia-20b_tokenizer.json",
        "gpt2-tokenizer.json",
        "bert-base-uncased-tokenizer.json",
        "t5-base-tokenizer.json",
    ] {
        let path = data.join("tokenizers").join(tokenizer);
        let (fast, exact) = (load_fast(&path).unwrap(), load_exact(&path).unwrap());
        for corpus in [
            "news20",
            "reuters",
            "cppdocs",
            "simplewiki",
            "qa-pairs",
            "needle/paul-graham-essays",
            "rake/inspec500",
        ] {
            let file = std::fs::File::open(data.join(format!("{corpus}.jsonl.zst"))).unwrap();
            let lines = std::io::BufReader::new(zstd::Decoder::new(file).unwrap()).split(b'\n');
            let (mut texts, mut bytes, mut tokens, mut differ) = (0u64, 0u64, 0u64, 0u64);
            let (mut fast_time, mut exact_time) = (0.0, 0.0);
            let mut seen = String::new();
            for line in lines {
                let row: Value = serde_json::from_slice(&line.unwrap()).unwrap();
                let text = row["text"].as_str().or(row["passage"].as_str()).unwrap();
                if text == seen {
                    continue; // passages come once for each question
                }
                seen = text.to_owned();
                let (mut a, mut b) = (vec![], vec![]);
                let start = Instant::now();
                fast.encode(text, &mut a).unwrap();
                let middle = Instant::now();
                exact.encode(text, &mut b).unwrap();
                fast_time += (middle - start).as_secs_f64();
                exact_time += middle.elapsed().as_secs_f64();
                texts += 1;
                bytes += text.len() as u64;
                tokens += b.len() as u64;
                differ += u64::from(a != b);
                if bytes >= most {
                    break;
                }
            }
            let mb = bytes as f64 / 1e6;
            println!(
                "| {tokenizer} | {corpus} | {texts} | {mb:.1} | {tokens} | {differ} | {:.0} | {:.1} |",
                mb / fast_time,
                mb / exact_time
            );
        }
    }
}
