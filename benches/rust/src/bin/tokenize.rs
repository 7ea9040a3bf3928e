//! Tokenizing texts that a NUL ends: `tokenize TOKENIZER TEXTS THREADS [WARM]`. With `WARM`, other
//! texts are encoded first, not timed.

use longweave_benches::{arguments, parts, print, time};
use rayon::prelude::*;
use serde_json::json;

fn main() {
    let arguments = arguments();
    let encoder = longweave_tokens::load(arguments[0].as_ref()).expect("a tokenizer.json").encoder;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments[2].parse().expect("threads"))
        .build()
        .expect("threads start");
    let encode = |texts: &[String]| -> u64 {
        let chunk = |texts: &[String]| {
            let mut ids = Vec::new();
            texts
                .iter()
                .for_each(|text| encoder.encode(text, None, &mut ids).expect("texts encode"));
            ids.len() as u64
        };
        pool.install(|| texts.par_chunks(256).map(chunk).sum())
    };
    if let Some(warm) = arguments.get(3) {
        encode(&parts(warm, '\0'));
    }
    let texts = parts(&arguments[1], '\0');
    let bytes: usize = texts.iter().map(String::len).sum();
    let (seconds, tokens) = time(1, || encode(&texts));
    print(
        json!({ "seconds": seconds, "bytes": bytes, "tokens": tokens, "encoder": encoder.name() }),
    );
}
