//! Tasks run by workers elsewhere: places, which an engine offers, and whose lines it carries.
//!
//! In: lines of the engine. Out: lines for it, and the records of tasks. The engine knows places,
//! and nothing of stages; which tasks a place gets, and what happens when it is lost, is decided
//! here.

mod clock;
mod hub;
mod lines;
mod place;
mod queue;
mod round;

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use longweave_common::{Ctx, Result};
use longweave_driver::{Engine, Events, StageProgress};
use longweave_run::{RunContext, Stage};
use longweave_storage::DoneRecord;

use crate::wire::Output;
use hub::Hub;
use round::Round;

pub use hub::Patience;
pub(crate) use lines::{FromEngine, ToEngine};

/// Places as an engine of the driver.
pub(crate) struct Places<W>(RefCell<Hub<W>>);

impl<W: Write> Places<W> {
    /// Places for the run in `run`, as all machines see it. Lines of the engine come by `inbox`.
    pub(crate) fn new(
        run: PathBuf,
        inbox: Receiver<FromEngine>,
        output: Arc<Output<W>>,
        events: Arc<Events>,
        patience: Patience,
    ) -> Places<W> {
        Places(RefCell::new(Hub::new(run, inbox, output, events, patience)))
    }
}

impl<W: Write> Engine for Places<W> {
    fn is_here(&self) -> bool {
        false
    }

    fn run(
        &self,
        ctx: &Ctx,
        run: &RunContext,
        stage: Stage,
        tasks: &[u32],
        progress: Option<&Arc<StageProgress>>,
    ) -> Result<Vec<DoneRecord>> {
        Round::new(&mut self.0.borrow_mut(), ctx, run, stage, tasks, progress).run()
    }

    fn reopen(&self, run: &RunContext, stage: Stage, task: u32) {
        stage.reopen(run, task);
        self.0.borrow_mut().reopen(stage, task);
    }
}
