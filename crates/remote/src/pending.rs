//! A pending answer. Dropping it before it arrives cancels its request.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use longweave_common::{Cancel, Code, Error, Result};

/// How often the cancel flag is looked at while an answer is awaited.
const LOOK: Duration = Duration::from_millis(50);

/// A pending answer.
pub(crate) struct Pending<T> {
    answer: Receiver<Result<T>>,
    abort: Option<Box<dyn FnOnce() + Send>>,
}

impl<T> Pending<T> {
    /// The answer that `answer` will receive; `abort` ends the request.
    #[cfg(any(feature = "remote", test))] // without a network nothing is ever begun
    pub(crate) fn new(
        answer: Receiver<Result<T>>,
        abort: impl FnOnce() + Send + 'static,
    ) -> Pending<T> {
        Pending { answer, abort: Some(Box::new(abort)) }
    }

    /// Waits for the answer.
    ///
    /// Errors: those of the answer; `CANCELLED`.
    pub(crate) fn wait(self, cancel: &Cancel) -> Result<T> {
        loop {
            cancel.check()?;
            match self.answer.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(Code::Internal, "a request ended without an answer"));
                }
            }
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(abort) = self.abort.take() {
            abort();
        }
    }
}
