//! A table of tokenizers: vocabulary, encoder, equality of ids, speed and tokens found. The ids and
//! texts are those of `benches/tokenize/golden.py`, which says how to run both.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;

use cpu_time::ThreadTime;
use longweave_tokens::{ModelFiles, Origin, SpecialOptions, SpecialTokens, load};
use serde_json::Value;

/// CRC-32 of ids in four bytes each, as zlib has it.
fn checksum(ids: &[u32]) -> u64 {
    let byte = |mut c: u32| {
        (0..8).for_each(|_| c = if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 });
        c
    };
    let table: [u32; 256] = std::array::from_fn(|i| byte(i as u32));
    let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
    let sum = bytes.fold(!0u32, |c, b| table[((c ^ u32::from(b)) & 0xff) as usize] ^ c >> 8);
    u64::from(!sum)
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// The tokens that `auto` takes, with the file that names each.
fn tokens(path: &Path, encoder: &dyn longweave_tokens::Encoder) -> [String; 3] {
    let files = ModelFiles::beside(path).unwrap();
    let options = |separator: &str| SpecialOptions {
        separator: separator.into(),
        pad: "auto".into(),
        bos: "auto".into(),
        part_end: "none".into(),
        part_begin: "none".into(),
    };
    let found = SpecialTokens::resolve(encoder, &options("auto"), &files)
        .or_else(|_| SpecialTokens::resolve(encoder, &options("none"), &files))
        .unwrap();
    ["separator", "bosToken", "padToken"].map(|option| {
        let choice = found.choices.iter().find(|choice| choice.option == option);
        choice.map_or("–".into(), |choice| {
            let by = if choice.by == Origin::Name { "" } else { " (file)" };
            format!("`{}` {}{by}", choice.token.replace('|', "\\|"), choice.id)
        })
    })
}

fn main() {
    let path = std::env::args().nth(1).expect("the golden.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (corpus, odd) = (texts(&golden["texts"]), texts(&golden["odd"]));
    let bytes: usize = corpus.iter().map(|text| text.len()).sum();
    println!(
        "| tokenizer | vocabulary | encoder | texts | differ | MB/s | Python | load s | Python | separator | begin | padding |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for case in golden["tokenizers"].as_array().unwrap() {
        let path = Path::new(case["path"].as_str().unwrap());
        let name = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let start = ThreadTime::now();
        let loaded = match load(path) {
            Ok(loaded) => loaded,
            Err(error) => {
                let other = case["error"].as_str().unwrap_or("reads it");
                let said = error.message().replace('|', "\\|");
                let said = said.split_once("does not load: ").map_or(&*said, |(_, what)| what);
                println!("| {name} | | refused: {said} | | Python: {other} | | | | | | | |");
                continue;
            }
        };
        let load_seconds = start.elapsed().as_secs_f64();
        let encoder = &*loaded.encoder;
        let Some(sums) = case["checksums"].as_array() else {
            println!(
                "| {name} | | {} | | Python: {} | | | | | | | |",
                encoder.name(),
                case["error"]
            );
            continue;
        };
        let reserved = encoder.reserve(&[]).unwrap();
        let reserved = case["asText"].as_bool().unwrap().then_some(&reserved);
        let own = texts(&case["own"]);
        let (mut ids, mut differ, mut seconds) = (Vec::new(), Vec::new(), 0.0);
        let all = corpus.iter().chain(&odd).chain(&own);
        for (at, (text, sum)) in all.zip(sums).enumerate() {
            ids.clear();
            let start = ThreadTime::now();
            encoder.encode(text, reserved, &mut ids).unwrap();
            if at < corpus.len() {
                seconds += start.elapsed().as_secs_f64();
            }
            if checksum(&ids) != sum.as_u64().unwrap() {
                differ.push(*text);
            }
        }
        if std::env::var_os("SHOW").is_some() {
            println!("{name}: {:?}", loaded.exact_fallback);
            differ.iter().take(5).for_each(|text| {
                println!("{name}: {:?}", text.chars().take(200).collect::<String>());
            });
        }
        let number = |name: &str| case[name].as_f64().unwrap();
        let [separator, begin, padding] = tokens(path, encoder);
        println!(
            "| {name} | {} | {} | {} | {} | {:.1} | {:.1} | {load_seconds:.2} | {:.2} | {separator} | {begin} | {padding} |",
            encoder.max_id() + 1,
            encoder.name(),
            sums.len(),
            differ.len(),
            bytes as f64 / 1e6 / seconds,
            bytes as f64 / 1e6 / number("seconds"),
            number("loadSeconds"),
        );
    }
}
