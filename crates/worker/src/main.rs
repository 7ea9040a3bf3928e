//! `longweave-worker`: runs tasks of prepared runs for a scheduler, without Node. Requests come in on
//! the standard input, a JSON object a line; answers go out on the standard output (docs/worker.md).

use std::io::{self, Write};
use std::process::ExitCode;

use longweave_api::worker::{WorkerOptions, serve};

const USAGE: &str = "longweave-worker: run tasks of prepared runs for a scheduler

Usage: longweave-worker [--threads N] [--memory SIZE]

Reads requests from the standard input, a JSON object a line, and answers on
the standard output; docs/worker.md lists them. Ends with its input.

  --threads N    Threads of each run; 0 for one per core.  [default: 0]
  --memory SIZE  Most heap of each run, in bytes or like 2GiB.  [default: 2GiB]
  --version      Prints the version.
";

/// The remedy for arguments that are not understood.
const TRY: &str = "try `longweave-worker --help`";

/// Bytes, of a number with or without a unit.
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let unit = units.iter().find_map(|&(unit, bits)| Some((text.strip_suffix(unit)?, bits)));
    let (number, bits) = unit.unwrap_or((text, 0));
    number.trim_end().parse::<u64>().ok()?.checked_mul(1 << bits)
}

enum Wish {
    Serve(WorkerOptions),
    Print(String),
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Wish, String> {
    let mut options = WorkerOptions { threads: 0, memory: 2 << 30 };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value; {TRY}"));
        match argument.as_str() {
            "--threads" => {
                let text = value()?;
                options.threads = text
                    .parse()
                    .map_err(|_| format!("--threads must be a whole number, but is \"{text}\""))?;
            }
            "--memory" => {
                let text = value()?;
                options.memory = size(&text).ok_or(format!(
                    "--memory must be a number of bytes, like 1073741824 or 2GiB, but is \"{text}\""
                ))?;
            }
            "--version" => return Ok(Wish::Print(format!("{}\n", env!("CARGO_PKG_VERSION")))),
            "--help" => return Ok(Wish::Print(USAGE.to_owned())),
            other => return Err(format!("there is no argument \"{other}\"; {TRY}")),
        }
    }
    Ok(Wish::Serve(options))
}

fn main() -> ExitCode {
    let done = match parse(std::env::args().skip(1)) {
        Ok(Wish::Print(text)) => io::stdout().write_all(text.as_bytes()),
        Ok(Wish::Serve(options)) => serve(options, io::stdin().lock(), io::stdout()),
        Err(message) => Err(io::Error::other(message)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where even this cannot be written, the exit code tells.
            let _ = writeln!(io::stderr(), "longweave-worker: {error}");
            ExitCode::FAILURE
        }
    }
}
