//! Nearest neighbours among vectors of a `.npy` file: `neighbours FILE K THREADS PASSES [exact]`.
//! All rows are queries.

use std::path::Path;

use longweave_benches::{arguments, print, time};
use longweave_common::Ctx;
use longweave_neighbours::{Npy, Query, Search, VectorSet, Vectors, nearest, recall};
use serde_json::json;

fn main() {
    let arguments = arguments();
    let mut file = Npy::open(Path::new(&arguments[0])).expect("vectors");
    let k: usize = arguments[1].parse().expect("k");
    let ctx = Ctx::new(arguments[2].parse().expect("threads"), 1 << 30).expect("threads");
    let passes: usize = arguments[3].parse().expect("passes");
    let mut vectors = Vectors::with_capacity(file.dims(), file.rows() as usize);
    let (dims, mut numbers) = (file.dims(), Vec::new());
    while file.read(4096, &mut numbers).expect("rows") > 0 {
        numbers.chunks_exact(dims).for_each(|row| vectors.push_f64(row));
    }
    let vectors = VectorSet::held(&ctx, vectors).expect("vectors");
    let search = if arguments.get(4).is_some() {
        Search::Exact
    } else {
        Search::Inverted { lists: None, probes: None }
    };
    let query = Query { vectors: &vectors, owners: None, k, search, seed: 0 };
    let (seconds, lists) = time(passes, || nearest(&ctx, &query).expect("lists"));
    let found = recall(&ctx, &query, &lists, 500).expect("recall");
    print(
        json!({ "seconds": seconds, "rows": vectors.rows(), "recall": found.found as f64 / found.expected.max(1) as f64 }),
    );
}
