#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]
use longweave_common::Ctx;
use longweave_common::random::{Key, draw};
use longweave_neighbours::*;
use std::time::Instant;

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads: usize = std::env::var("T").map_or(1, |t| t.parse().unwrap());
    let ctx = Ctx::new(threads, 1 << 30).unwrap();
    let dims: usize = args[3].parse().unwrap();
    match args[1].as_str() {
        "lsa" => {
            let text = std::fs::read_to_string(&args[2]).unwrap();
            let docs: Vec<&str> = text.split('\0').collect();
            let t = Instant::now();
            let mut counter = TermCounter::default();
            let (mut counts, mut row) = (Counts::default(), Vec::new());
            let mut df = vec![0u32; FEATURES];
            for d in &docs {
                counter.count(d, &mut row);
                counts.push(&row);
                row.iter().for_each(|&(f, _)| df[f as usize] += 1);
            }
            let s = t.elapsed().as_secs_f64();
            println!("terms: {} docs {:.1} MB/s", docs.len(), text.len() as f64 / s / 1e6);
            let weights = Weights::new(&df, docs.len() as u64);
            let mut order: Vec<usize> = (0..docs.len()).collect();
            order.sort_by_key(|&i| draw(1, "sample", Key(i as u128), 0));
            let mut sample = Counts::default();
            order.iter().take(8192).for_each(|&i| sample.push(counts.row(i)));
            let t = Instant::now();
            let it = std::env::var("I").map_or(3, |t| t.parse().unwrap());
            let p = Projection::fit(&ctx, &sample, &weights, dims, it, 1).unwrap();
            println!("fit: {:.2} s", t.elapsed().as_secs_f64());
            let t = Instant::now();
            let mut vectors = Vectors::with_capacity(dims, docs.len());
            let mut out = Vec::new();
            for i in 0..docs.len() {
                p.project(&weights, counts.row(i), &mut out);
                vectors.push(&out);
            }
            println!("project: {:.2} s", t.elapsed().as_secs_f64());
            let bytes: Vec<u8> = vectors.data().iter().flat_map(|x| x.to_le_bytes()).collect();
            std::fs::write(format!("{}.{dims}.vec", args[2]), bytes).unwrap();
        }
        "terms" => {
            let text = std::fs::read_to_string(&args[2]).unwrap();
            let mut counter = TermCounter::default();
            let mut row = Vec::new();
            for ascii in [true, false] {
                let docs: Vec<&str> = text.split('\0').filter(|d| d.is_ascii() == ascii).collect();
                let c = cpu();
                let mut n = 0;
                for _ in 0..3 {
                    for d in &docs {
                        counter.count(d, &mut row);
                        n += row.len();
                    }
                }
                let s = (cpu() - c) / 3.0;
                let bytes: usize = docs.iter().map(|d| d.len()).sum();
                println!("ascii {ascii}: {} docs {bytes} bytes {:.0} MB/s {n}", docs.len(), bytes as f64 / s / 1e6);
            }
        }
        "random" => {
            // Clusters: a centre plus noise.
            let n: usize = args[2].parse().unwrap();
            let g = |p: &str, i: u64, j: usize| {
                (0..4).map(|c| draw(1, p, Key(i as u128), (j * 4 + c) as u64) as f64 / 2f64.powi(64) - 0.5).sum::<f64>()
            };
            let mut vectors = Vectors::with_capacity(dims, n);
            for i in 0..n as u64 {
                let c = draw(1, "c", Key(i as u128), 0) % (n as u64 / 50);
                let v: Vec<f64> = (0..dims).map(|j| g("centre", c, j) + g("noise", i, j)).collect();
                vectors.push_f64(&v);
            }
            let bytes: Vec<u8> = vectors.data().iter().flat_map(|x| x.to_le_bytes()).collect();
            std::fs::write(format!("/tmp/k/random{n}.{dims}.vec"), bytes).unwrap();
        }
        "search" => {
            let bytes = std::fs::read(&args[2]).unwrap();
            let data: Vec<i16> = bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b)).collect();
            let all = Vectors::from_data(dims, data).unwrap();
            let n: usize = args.get(4).map_or(all.rows(), |n| n.parse().unwrap()).min(all.rows());
            let mut order: Vec<usize> = (0..all.rows()).collect();
            if n < all.rows() {
                order.sort_by_key(|&i| draw(1, "n", Key(i as u128), 0));
            }
            let mut vectors = Vectors::with_capacity(dims, n);
            order.iter().take(n).for_each(|&i| vectors.push_fixed(all.row(i)));
            let labels = std::fs::read_to_string("/tmp/k/news20.labels").unwrap();
            let labels: Vec<&str> = labels.split('\n').collect();
            let k = std::env::var("K").map_or(10, |t| t.parse().unwrap());
            let query = |search| Query { vectors: &vectors, owners: None, k, search, seed: 1 };
            for spec in &args[5..] {
                let search = if spec == "exact" {
                    Search::Exact
                } else {
                    let (l, p) = spec.split_once(',').unwrap();
                    Search::Inverted { lists: l.parse().ok(), probes: p.parse().ok() }
                };
                let q = query(search);
                let t = Instant::now();
                let c = cpu();
                let lists = nearest(&ctx, &q).unwrap();
                print!("cpu {:.2} ", cpu() - c);
                let s = t.elapsed().as_secs_f64();
                let t = Instant::now();
                let r = recall(&ctx, &q, &lists, 500).unwrap();
                print!(
                    "{n} {spec}: {s:.2} s {:.0} rows/s recall {:.4} ({:.2} s)",
                    n as f64 / s,
                    r.found as f64 / r.expected as f64,
                    t.elapsed().as_secs_f64()
                );
                if labels.len() == n {
                    let (mut same, mut of) = (0, 0);
                    for i in 0..n {
                        for (j, _) in lists.get(i) {
                            of += 1;
                            same += u32::from(labels[i] == labels[j as usize]);
                        }
                    }
                    print!(" purity {:.4}", f64::from(same) / f64::from(of));
                }
                println!();
            }
        }
        _ => panic!(),
    }
}
