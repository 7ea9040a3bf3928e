//! Shared by the benchmarks: input files, timing, one line of JSON as a result.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Instant;

use serde_json::{Value, json};

/// The arguments.
pub fn arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

/// The parts of a file that a byte sets apart, the last ends with it too.
pub fn parts(path: &str, end: char) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.split_terminator(end).map(str::to_owned).collect()
}

/// Seconds of each of `passes` calls; the last result.
pub fn time<T>(passes: usize, mut work: impl FnMut() -> T) -> (Vec<f64>, T) {
    let mut seconds = Vec::new();
    loop {
        let start = Instant::now();
        let result = work();
        seconds.push(start.elapsed().as_secs_f64());
        if seconds.len() >= passes {
            return (seconds, result);
        }
    }
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Seconds of processor time that this process has used.
pub fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // Of user and system, in hundredths.
    fields.skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Memory that this process holds, in bytes.
pub fn memory() -> u64 {
    status("VmRSS:")
}

/// Prints a result with the process' peak memory.
pub fn print(mut result: Value) {
    result["peak"] = json!(status("VmHWM:"));
    println!("{result}");
}
