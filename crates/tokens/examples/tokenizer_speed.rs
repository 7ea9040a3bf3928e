//! Speed of one tokenizer on one thread: megabytes a second of processor time for texts that follow
//! the load (`cold`) and for others after them (`steady`). `benches/tokenize/speed.py` runs it.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;

use cpu_time::ThreadTime;
use longweave_tokens::load;
use serde_json::{Value, json};

fn main() {
    let [_, path, texts] = &std::env::args().collect::<Vec<_>>()[..] else {
        panic!("say a tokenizer and a file of texts")
    };
    let texts: Value = serde_json::from_slice(&std::fs::read(texts).unwrap()).unwrap();
    let start = ThreadTime::now();
    let encoder = load(Path::new(path)).unwrap().encoder;
    let mut out = json!({ "load": start.elapsed().as_secs_f64(), "encoder": encoder.name() });
    for phase in ["cold", "steady"] {
        let texts: Vec<&str> =
            texts[phase].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        let mut ids = Vec::new();
        let start = ThreadTime::now();
        for text in &texts {
            encoder.encode(text, None, &mut ids).unwrap();
        }
        let seconds = start.elapsed().as_secs_f64();
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let sum = ids.iter().fold(0u64, |sum, &id| (sum * 31 + u64::from(id)) % 1_000_000_007);
        out[phase] = json!({ "speed": bytes as f64 / 1e6 / seconds, "ids": ids.len(), "sum": sum });
    }
    println!("{out}");
}
