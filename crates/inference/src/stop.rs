//! Stopping a model while it runs.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use longweave_common::{Cancel, Result};
use ort::session::RunOptions;

use crate::runtime::runtime_error;

/// Stops what graphs run: ONNX Runtime looks at it between two operators.
#[derive(Clone)]
pub(crate) struct Stop(Arc<RunOptions>);

/// How often a run looks whether it is to stop.
const WATCH: Duration = Duration::from_millis(20);

impl Stop {
    pub(crate) fn new() -> Result<Stop> {
        Ok(Stop(Arc::new(
            RunOptions::new().map_err(|e| runtime_error("make options of a run", &e))?,
        )))
    }

    pub(crate) fn options(&self) -> &RunOptions {
        &self.0
    }

    /// Does work with graphs that were opened with this, and has it end early when `cancel` is
    /// raised.
    ///
    /// Errors: `CANCELLED`, and those of the work.
    pub(crate) fn watching<T>(
        &self,
        cancel: &Cancel,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        cancel.check()?;
        let (ended, end) = channel::<()>();
        let result = std::thread::scope(|scope| {
            scope.spawn(move || {
                while end.recv_timeout(WATCH) == Err(RecvTimeoutError::Timeout) {
                    if cancel.is_cancelled() {
                        // Where it cannot be said, the work ends later, at its own look at the
                        // flag.
                        let _ = self.0.terminate();
                        return;
                    }
                }
            });
            let result = work();
            drop(ended);
            result
        });
        self.0.unterminate().map_err(|e| runtime_error("continue after a run was stopped", &e))?;
        cancel.check()?;
        result
    }
}
