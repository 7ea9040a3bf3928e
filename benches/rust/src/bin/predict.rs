//! Extractive queries of texts that a NUL ends, one thread: `predict TEXTS PASSES`.

use std::hash::{DefaultHasher, Hasher};

use longweave_benches::{arguments, parts, print, time};
use longweave_common::Ctx;
use longweave_language::Language;
use longweave_predict::{DocumentRef, Extractive, ExtractiveOptions, Predictor, Queries};
use serde_json::json;

fn main() {
    let arguments = arguments();
    let texts = parts(&arguments[0], '\0');
    let ctx = Ctx::new(1, 1 << 30).expect("a context");
    let predictor = Extractive::new(ExtractiveOptions { segment_tokens: 384 });
    let (seconds, digest) = time(arguments[1].parse().expect("a number of passes"), || {
        let mut digest = DefaultHasher::new();
        for batch in texts.chunks(256) {
            let documents: Vec<DocumentRef<'_>> = batch
                .iter()
                .map(|text| DocumentRef { id: "", text, language: Language::ENGLISH, queries: &[] })
                .collect();
            let mut queries = Queries::default();
            predictor.predict(&ctx, &documents, &mut queries).expect("queries");
            for (segment, query) in (0..queries.documents()).flat_map(|i| queries.of(i)) {
                digest.write_u32(segment);
                digest.write(query.as_bytes());
            }
        }
        format!("{:016x}", digest.finish())
    });
    let bytes: usize = texts.iter().map(String::len).sum();
    print(json!({ "seconds": seconds, "bytes": bytes, "digest": digest }));
}
