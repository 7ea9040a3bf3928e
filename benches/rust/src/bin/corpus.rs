//! A large corpus from a small one: `corpus TEXTS BYTES FOLDER [MEDIAN]`. TEXTS holds real documents, a zero
//! byte after each; FOLDER gets `NNNNN.jsonl` with about BYTES bytes of text in all. The same input
//! gives the same files.
//!
//! A document's length is drawn from a log-normal distribution (median 1,700 bytes or MEDIAN, mean
//! 1.8 times that, at most 1 MB), as web pages have it: most are short, and a few hold a large share of the text. It
//! is made of consecutive paragraphs of the real documents from a random place on. So that phrases
//! keep growing with the corpus, as they do in the world, three in ten capitalised words become
//! made-up names, of which a document has a few and the corpus as many as a third of its documents.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use longweave_benches::{arguments, parts, print};
use rayon::prelude::*;
use serde_json::json;

/// Bytes of text in a file.
const FILE_BYTES: u64 = 128 << 20;
const MEDIAN: u64 = 1_700;
const SIGMA: f64 = 1.1;
const LONGEST: usize = 1 << 20;
/// The mean of the lengths, of the median: e to the half of SIGMA's square.
const MEAN: f64 = 3_100.0 / 1_700.0;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn length(&mut self, median: u64) -> usize {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        ((median as f64 * (SIGMA * normal).exp()) as usize).clamp(40, LONGEST)
    }
}

/// The made-up name of a number.
fn name(mut number: u64, out: &mut String) {
    const SYLLABLES: [&str; 32] = [
        "Ba", "ko", "ri", "ta", "mel", "dor", "sen", "vi", "lu", "pra", "ne", "gol", "har", "quin",
        "sa", "te", "or", "win", "da", "fel", "mar", "jo", "ex", "li", "ran", "bu", "cas", "to",
        "vel", "no", "zim", "ka",
    ];
    let first = out.len();
    loop {
        out.push_str(SYLLABLES[(number % 32) as usize]);
        number /= 32;
        if number == 0 && out.len() - first > 3 {
            break;
        }
    }
    let initial = out[first..first + 1].to_ascii_uppercase();
    out.replace_range(first..first + 1, &initial);
}

/// Appends a paragraph with some of its names exchanged.
fn rewrite(paragraph: &str, names: &[u64], random: &mut Random, out: &mut String) {
    for (i, word) in paragraph.split(' ').enumerate() {
        if i > 0 {
            out.push(' ');
        }
        if i > 0
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.len() > 3
            && random.below(10) < 3
        {
            name(names[random.below(names.len() as u64) as usize], out);
            out.push_str(word.trim_start_matches(char::is_alphanumeric));
        } else {
            out.push_str(word);
        }
    }
}

fn write_file(
    paragraphs: &[&str],
    number: u64,
    (bytes, median): (u64, u64),
    all_names: u64,
    path: &Path,
) -> (u64, u64) {
    let mut random = Random(number.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
    let mut file =
        BufWriter::with_capacity(1 << 20, File::create(path).expect("the folder can be written"));
    let (mut documents, mut written, mut text) = (0, 0, String::new());
    while written < bytes {
        let length = random.length(median);
        // Few names are on many lips: numbers fall off like a power law.
        let names: Vec<u64> =
            (0..4).map(|_| (all_names as f64).powf(random.unit()) as u64).collect();
        let mut at = random.below(paragraphs.len() as u64) as usize;
        text.clear();
        while text.len() < length {
            rewrite(paragraphs[at], &names, &mut random, &mut text);
            text.push('\n');
            at = (at + 1) % paragraphs.len();
        }
        let mut end = length;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        let line = json!({ "id": format!("{number}-{documents}"), "text": text });
        writeln!(file, "{line}").expect("the disk takes it");
        documents += 1;
        written += text.len() as u64;
    }
    file.flush().expect("the disk takes it");
    (documents, written)
}

fn main() {
    let arguments = arguments();
    let documents = parts(&arguments[0], '\0');
    let paragraphs: Vec<&str> =
        documents.iter().flat_map(|d| d.split('\n')).filter(|p| !p.trim().is_empty()).collect();
    let bytes: u64 = arguments[1].parse().expect("a number of bytes");
    let folder = Path::new(&arguments[2]);
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let median = arguments.get(3).map_or(MEDIAN, |m| m.parse().expect("a number of bytes"));
    let all_names = ((bytes as f64 / (median as f64 * MEAN) / 3.0) as u64).max(10);
    let files = bytes.div_ceil(FILE_BYTES);
    let of = |n: u64| {
        let path = folder.join(format!("{n:05}.jsonl"));
        write_file(&paragraphs, n, (bytes / files, median), all_names, &path)
    };
    let written: Vec<(u64, u64)> = (0..files).into_par_iter().map(of).collect();
    let sum = |of: fn(&(u64, u64)) -> u64| written.iter().map(of).sum::<u64>();
    print(json!({ "files": files, "documents": sum(|w| w.0), "bytes": sum(|w| w.1) }));
}
