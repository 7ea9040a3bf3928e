//! Holds what the inner loops cost, on any machine: allocations of each kernel, and its
//! instructions where valgrind is there to count them, against `counts.json`.
//!
//! `LONGWEAVE_KERNELS=write cargo test --profile quick --workspace --test kernels` writes the file
//! again, after a change that was meant. Other compilers and processors make other instructions;
//! those of `counts.json` hold for the one it names.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod allocations;
mod inputs;
mod kernels;

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use longweave_common::Ctx;
use serde::{Deserialize, Serialize};

use crate::kernels::{KERNELS, Kernel, Work};

/// How far a count may lie from the one written down, as a share of it.
const TOLERANCE: f64 = 0.05;
/// Allocations more or fewer that count as equal: threads of the pool start when they like.
const FEW: u64 = 8;

#[derive(Default, Serialize, Deserialize)]
struct Counts {
    /// The compiler and the target that the instructions are of.
    build: String,
    kernels: BTreeMap<String, Count>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Count {
    allocations: u64,
    instructions: Option<u64>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && flag == "--measure"
    {
        let ctx = ctx();
        let mut work = prepared(&ctx, kernel(name));
        ctx.pool.install(|| measured(&mut work));
        return ExitCode::SUCCESS;
    }
    // The harness' arguments: a list, another tier, or a name that is not ours.
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    if arguments.iter().any(|a| a == "--list" || a == "--ignored")
        || !(names.is_empty() || names.iter().any(|name| "kernels".contains(name.as_str())))
    {
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels/counts.json");
    let known: Counts = std::fs::read(&path)
        .ok()
        .map(|text| serde_json::from_slice(&text).unwrap())
        .unwrap_or_default();
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    let made = Counts { build: build(), kernels: count_all(valgrind) };
    if std::env::var("LONGWEAVE_KERNELS").is_ok_and(|mode| mode == "write") {
        let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
        std::fs::write(&path, text).unwrap();
        return ExitCode::SUCCESS;
    }
    let faults = compare(&known, &made);
    let counted = if !valgrind {
        "instructions not counted: valgrind is missing"
    } else if known.build != made.build {
        "instructions not compared: another compiler"
    } else {
        "instructions compared"
    };
    println!("kernels: {} kernels, {counted}, {} differ", KERNELS.len(), faults.len());
    faults.iter().for_each(|fault| println!("  {fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn kernel(name: &str) -> &'static Kernel {
    KERNELS.iter().find(|kernel| kernel.name == name).unwrap()
}

/// One thread: the pool's own, on which everything is measured.
fn ctx() -> Ctx {
    Ctx::new(1, 1 << 30).unwrap()
}

/// The work of a kernel, done once, so that buffers and tables have their size.
fn prepared(ctx: &Ctx, kernel: &Kernel) -> Work {
    ctx.pool.install(|| {
        let mut work = (kernel.prepare)(ctx);
        black_box(work());
        work
    })
}

/// The one function inside which valgrind counts.
#[inline(never)]
fn measured(work: &mut Work) -> u64 {
    black_box(work())
}

fn count_all(valgrind: bool) -> BTreeMap<String, Count> {
    let count = |kernel: &Kernel| {
        let ctx = ctx();
        let mut work = prepared(&ctx, kernel);
        let allocations = ctx.pool.install(|| allocations::of(|| measured(&mut work)));
        let instructions = valgrind.then(|| instructions(kernel.name));
        (kernel.name.to_owned(), Count { allocations, instructions })
    };
    KERNELS.iter().map(count).collect()
}

/// Instructions inside `measured`, in a process of its own. Without those of SHA-256: valgrind has
/// not the processor's instructions for it, and ten times as many others would hide the kernel's.
fn instructions(name: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let out: PathBuf = folder.path().join("counts");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--measure", name])
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(out).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.trim().parse::<u64>().unwrap() - own(&text, "sha2::")
}

/// Instructions of the functions alone whose names have `part`, of a file of callgrind.
fn own(text: &str, part: &str) -> u64 {
    let (mut numbers, mut inside, mut total) = (BTreeSet::new(), false, 0);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=") {
            // A name is given once, with its number.
            let number = function.split(' ').next().unwrap();
            if function.contains(part) {
                numbers.insert(number);
            }
            inside = numbers.contains(number);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            if function.contains(part) {
                numbers.insert(function.split(' ').next().unwrap());
            }
        } else if line.starts_with("calls=") {
            // The costs of the call follow.
            lines.next();
        } else if inside && line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            total += line.split(' ').nth(1).map_or(0, |cost| cost.parse::<u64>().unwrap());
        }
    }
    total
}

fn build() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    format!("{} {}", version.unwrap_or_default(), std::env::consts::ARCH)
}

fn compare(known: &Counts, made: &Counts) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, now) in &made.kernels {
        let Some(then) = known.kernels.get(name) else {
            faults.push(format!("{name} is not in counts.json: write it again"));
            continue;
        };
        let mut check = |what: &str, now: u64, then: u64, few: u64| {
            let room = (then as f64 * TOLERANCE) as u64 + few;
            if now.abs_diff(then) > room {
                faults.push(format!("{name}: {now} {what}, {then} before"));
            }
        };
        check("allocations", now.allocations, then.allocations, FEW);
        if let (Some(now), Some(then)) = (now.instructions, then.instructions)
            && made.build == known.build
        {
            check("instructions", now, then, 0);
        }
    }
    faults.extend(
        known
            .kernels
            .keys()
            .filter(|name| !made.kernels.contains_key(*name))
            .map(|name| format!("{name} is gone")),
    );
    faults
}
