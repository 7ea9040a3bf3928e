//! `longweave-worker`: runs tasks of prepared runs for a scheduler, without Node; `longweave-worker
//! drive` gives the tasks of a run to such workers. Lines come in on the standard input and go out
//! on the standard output, a JSON object each (docs/worker.md).

mod arguments;

use std::io::{self, BufReader, Write};
use std::process::ExitCode;

use longweave_api::drive::{Ended, drive};
use longweave_api::worker::serve;

use arguments::{Wish, parse};

/// The exit code of a process that was interrupted.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let done = match parse(std::env::args().skip(1)) {
        Ok(Wish::Print(text)) => io::stdout().write_all(text.as_bytes()),
        Ok(Wish::Serve(options)) => serve(options, io::stdin().lock(), io::stdout()),
        Ok(Wish::Drive(options)) => {
            return match drive(&options, BufReader::new(io::stdin()), io::stdout()) {
                Ended::Done => ExitCode::SUCCESS,
                Ended::Failed => ExitCode::FAILURE,
                Ended::Cancelled => INTERRUPTED.into(),
            };
        }
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
