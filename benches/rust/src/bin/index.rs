//! Building an index: `index ROWS THREADS PASSES HIERARCHY FOLDER`. A line of ROWS is a document:
//! its candidates in byte order, tabs between.

use longweave_benches::{arguments, parts, print, time};
use longweave_common::Ctx;
use longweave_common::random::Key;
use longweave_index::{
    CandidateTable, CandidateWriter, Hierarchy, IndexOptions, IndexedDocuments, Representative,
    build,
};
use longweave_keywords::Boilerplate;
use serde_json::json;

fn main() {
    let arguments = arguments();
    let rows = parts(&arguments[0], '\n');
    let folder = std::path::Path::new(&arguments[4]);
    let split = rows.len().div_ceil(8).max(1);
    let mut first = 0;
    let mut tables = Vec::new();
    for (number, rows) in rows.chunks(split).enumerate() {
        let prefix = folder.join(number.to_string());
        let mut writer = CandidateWriter::create(&prefix).expect("the folder can be written");
        for row in rows {
            writer.push(row.split('\t').filter(|p| !p.is_empty())).expect("a row");
        }
        writer.commit().expect("a table");
        tables.push(CandidateTable::open(&prefix, first).expect("the table just written"));
        first += rows.len() as u32;
    }
    let keys: Vec<u128> = (0..rows.len()).map(|i| Key::of(&i.to_string()).0).collect();
    let documents = rows.len();
    drop(rows);
    let ctx = Ctx::new(arguments[1].parse().expect("threads"), 2 << 30).expect("threads start");
    let hierarchy =
        if arguments[3] == "affinity" { Hierarchy::Affinity } else { Hierarchy::Suffix };
    let options = IndexOptions {
        seed: 0,
        representative: Representative::Common,
        searchable: true,
        max_keyword_share: 1.0,
        min_keyword_cap: 1,
        hierarchy,
    };
    let (seconds, index) = time(arguments[2].parse().expect("passes"), || {
        build(&ctx, &tables, IndexedDocuments::with(&keys), &Boilerplate::none(), &options)
            .expect("an index")
    });
    print(json!({ "seconds": seconds, "documents": documents, "keywords": index.len() }));
}
