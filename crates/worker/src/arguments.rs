//! Arguments of the command line.

use std::path::PathBuf;
use std::time::Duration;

use longweave_api::drive::{DriveOptions, Patience};
use longweave_api::worker::WorkerOptions;

const USAGE: &str = "longweave-worker: run tasks of prepared runs for a scheduler

Usage: longweave-worker [--threads N] [--memory SIZE] [--scratch DIR]
       longweave-worker drive --out OUT [--options FILE] [--until STAGE]
                              [--silence SECONDS] [--patience SECONDS]
                              [--beat SECONDS] [--threads N] [--memory SIZE]

Reads requests from the standard input, a JSON object a line, and answers on
the standard output; docs/worker.md lists them. Ends with its input.

  --threads N    Threads of each run; 0 for one per core.  [default: 0]
  --memory SIZE  Most heap of each run, in bytes or like 2GiB.  [default: 2GiB]
  --scratch DIR  Directory on a disk of this machine for temporary files;
                 without it they are in the work directory.
  --version      Prints the version.

drive: gives the tasks of a run to workers, whose lines an engine carries.

  --out OUT           The output directory.
  --options FILE      Resolved options as JSON to prepare the run with; without
                      it OUT must hold a prepared run.
  --until STAGE       The last stage to run.
  --silence SECONDS   Gives the tasks of a worker that has not answered for so
                      long to others.  [default: 60]
  --patience SECONDS  Fails where no worker that can take the tasks that wait
                      comes for so long.  [default: 300]
  --beat SECONDS      Says so often that this process drives the run; another
                      may take over after six times as long.  [default: 5]
";

/// The remedy for arguments that are not understood.
const TRY: &str = "try `longweave-worker --help`";

/// A command line.
#[derive(Debug)]
pub(crate) enum Wish {
    Serve(WorkerOptions),
    Drive(DriveOptions),
    Print(String),
}

/// Bytes, of a number with or without a unit.
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let unit = units.iter().find_map(|&(unit, bits)| Some((text.strip_suffix(unit)?, bits)));
    let (number, bits) = unit.unwrap_or((text, 0));
    number.trim_end().parse::<u64>().ok()?.checked_mul(1 << bits)
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok().filter(|&seconds: &f64| seconds > 0.0)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The values of all arguments; what a mode lacks is refused.
#[derive(Default)]
struct Values {
    threads: usize,
    memory: Option<u64>,
    scratch: Option<PathBuf>,
    out: Option<PathBuf>,
    options: Option<PathBuf>,
    until: Option<String>,
    patience: Patience,
    beat: Option<Duration>,
}

/// Reads a command line.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Wish, String> {
    let mut arguments = arguments.peekable();
    let drives = arguments.next_if_eq("drive").is_some();
    let mut values = Values::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value; {TRY}"));
        match argument.as_str() {
            "--threads" => {
                let text = value()?;
                values.threads = text
                    .parse()
                    .map_err(|_| format!("--threads must be a whole number, but is \"{text}\""))?;
            }
            "--memory" => {
                let text = value()?;
                let wrong = format!(
                    "--memory must be a number of bytes, like 1073741824 or 2GiB, but is \"{text}\""
                );
                values.memory = Some(size(&text).ok_or(wrong)?);
            }
            "--scratch" if !drives => values.scratch = Some(value()?.into()),
            "--out" if drives => values.out = Some(value()?.into()),
            "--options" if drives => values.options = Some(value()?.into()),
            "--until" if drives => values.until = Some(value()?),
            "--silence" | "--patience" | "--beat" if drives => {
                let text = value()?;
                let wrong = format!("{argument} must be a number of seconds, but is \"{text}\"");
                let time = seconds(&text).ok_or(wrong)?;
                match argument.as_str() {
                    "--silence" => values.patience.silence = time,
                    "--beat" => values.beat = Some(time),
                    _ => values.patience.need = time,
                }
            }
            "--version" => return Ok(Wish::Print(format!("{}\n", env!("CARGO_PKG_VERSION")))),
            "--help" => return Ok(Wish::Print(USAGE.to_owned())),
            other => return Err(format!("there is no argument \"{other}\"; {TRY}")),
        }
    }
    let Values { threads, memory, scratch, out, options, until, patience, beat } = values;
    let beat = beat.unwrap_or(Duration::from_secs(5));
    let memory = memory.unwrap_or(2 << 30);
    if !drives {
        return Ok(Wish::Serve(WorkerOptions { threads, memory, scratch }));
    }
    let out = out.ok_or(format!("--out must be given; {TRY}"))?;
    Ok(Wish::Drive(DriveOptions { out, options, until, threads, memory, patience, beat }))
}
