//! Lines between a driver and the engine that offers it places: a JSON object each. docs/worker.md
//! describes them.

use longweave_driver::Event;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire;

/// A line of the engine.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum FromEngine {
    /// A worker is ready to be spoken to, a process with this much.
    Place {
        place: String,
        threads: u32,
        memory: u64,
        #[serde(default)]
        gpus: u32,
    },
    /// A worker, or its machine, is gone.
    Lost {
        place: String,
        reason: String,
        /// Whether it was killed because memory was short.
        #[serde(default)]
        memory: bool,
    },
    /// A line that a worker wrote.
    Line { place: String, line: Value },
    /// How many places will come.
    Expect { places: u32 },
    /// The run is to stop.
    Cancel,
    /// Not a line: one that could not be read, and why.
    #[serde(skip)]
    Unreadable(String),
}

/// A line of the driver.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum ToEngine<'a> {
    /// A request for a worker.
    Line { place: &'a str, line: &'a wire::Line },
    /// The driver has given a place up.
    Drop { place: &'a str, reason: &'a str },
    /// As `longweave run --json` prints it.
    Event { event: &'a Event },
    /// Tasks wait that no place can take.
    Need { gpus: u32, places: u32 },
    /// The last line: the summary, or the error.
    End {
        #[serde(skip_serializing_if = "Option::is_none")]
        summary: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Value>,
    },
}
