//! The thread that owns a model. Others send it work and wait for the result; the device has no
//! other user.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use longweave_common::{Code, Error, Result, catch_panic};

type Work<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A model on its thread. Dropping it waits for work that was begun; what is queued is dropped when
/// it is asked to stop by its flag.
pub(crate) struct Worker<T> {
    sender: Option<Sender<Work<T>>>,
    thread: Option<JoinHandle<()>>,
}

/// A result to come.
pub(crate) struct Pending<R>(Receiver<Result<R>>);

impl<R> Pending<R> {
    /// Waits for it.
    pub(crate) fn wait(self) -> Result<R> {
        self.0.recv().unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Error {
    Error::new(Code::Internal, "the thread of a model has ended")
}

impl<T: 'static> Worker<T> {
    /// Starts the thread and makes the model on it.
    ///
    /// Errors: those of `make`; `INTERNAL` when the thread cannot be started.
    pub(crate) fn start(
        name: &str,
        make: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Worker<T>> {
        let (sender, receiver) = channel::<Work<T>>();
        let (ready, made) = channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let model = guarded(make);
            let mut model = match model {
                Ok(model) => {
                    // The one who waits may have gone: then the queue is closed too.
                    let _ = ready.send(Ok(()));
                    model
                }
                Err(e) => {
                    let _ = ready.send(Err(e));
                    return;
                }
            };
            while let Ok(work) = receiver.recv() {
                work(&mut model);
            }
        });
        let thread = thread.map_err(|e| {
            Error::new(Code::Internal, format!("cannot start the thread of a model: {e}"))
        })?;
        made.recv().unwrap_or_else(|_| Err(gone()))?;
        Ok(Worker { sender: Some(sender), thread: Some(thread) })
    }

    /// Queues work; a panic in it is an error of this work alone.
    pub(crate) fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> Result<R> + Send + 'static,
    ) -> Pending<R> {
        let (answer, pending) = channel();
        if let Some(sender) = &self.sender {
            // Where the thread has ended, `answer` is dropped with the work, and waiting says so.
            // Who no longer waits loses nothing.
            let _ = sender.send(Box::new(move |model| {
                let _ = answer.send(guarded(|| work(model)));
            }));
        }
        Pending(pending)
    }
}

fn guarded<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_panic(work, |what| {
        Error::new(
            Code::Panic,
            format!("a bug in longweave, in the thread of a model: {what}; please report this"),
        )
    })
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_in_order_and_a_panic_is_an_error_of_one_piece() {
        let worker = Worker::start("test", || Ok(Vec::new())).unwrap();
        let first = worker.ask(|list: &mut Vec<u32>| {
            list.push(1);
            Ok(list.len())
        });
        let broken = worker.ask(|_| -> Result<()> { panic!("on purpose") });
        let second = worker.ask(|list| {
            list.push(2);
            Ok(list.clone())
        });
        assert_eq!(first.wait().unwrap(), 1);
        assert_eq!(broken.wait().unwrap_err().code(), Code::Panic);
        assert_eq!(second.wait().unwrap(), [1, 2]);
    }

    #[test]
    fn a_model_that_cannot_be_made_is_an_error_of_the_start() {
        let failed = Worker::<u32>::start("test", || Err(Error::new(Code::ModelInvalid, "no")));
        assert_eq!(failed.err().unwrap().code(), Code::ModelInvalid);
    }
}
