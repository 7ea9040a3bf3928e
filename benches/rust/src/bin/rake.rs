//! RAKE over lines, one thread: `rake LINES PASSES`.

use longweave_benches::{arguments, parts, print, time};
use longweave_keywords::{Rake, RakeOptions, StopList};
use serde_json::json;

fn main() {
    let arguments = arguments();
    let lines = parts(&arguments[0], '\n');
    let rake = Rake::new(StopList::smart(), RakeOptions::default());
    let mut scratch = rake.scratch();
    let (seconds, keywords) = time(arguments[1].parse().expect("a number of passes"), || {
        let mut found = 0u64;
        for line in &lines {
            rake.extract(&mut scratch, line, |_, _| found += 1);
        }
        found
    });
    print(json!({ "seconds": seconds, "queries": lines.len(), "keywords": keywords }));
}
