//! The places that an engine offers, through all stages of a run: lines to and from them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use longweave_common::{Error, Result};
use longweave_driver::Events;
use longweave_run::{RunContext, Stage};

use super::clock::Clock;
use super::lines::{FromEngine, ToEngine};
use super::place::Place;
use crate::wire::{self, Output, Request};

/// How long a driver waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a line of a place, before its tasks are given to others.
    pub silence: Duration,
    /// For a place that can take the tasks that wait.
    pub need: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { silence: Duration::from_secs(60), need: Duration::from_secs(300) }
    }
}

/// How long calls that were asked to stop are waited for.
pub(super) const STOP: Duration = Duration::from_secs(10);

pub(super) struct Hub<W> {
    /// The run's directory, as all machines see it.
    run: PathBuf,
    inbox: Receiver<FromEngine>,
    output: Arc<Output<W>>,
    pub events: Arc<Events>,
    pub patience: Patience,
    pub clock: Clock,
    pub places: BTreeMap<String, Place>,
    /// Places that will come, as far as the engine says.
    pub expected: u32,
    /// Places that have come.
    pub came: u32,
    /// Whether one of them could open the run.
    pub opened: bool,
    /// Why the last one could not that could not.
    pub refused: Option<Error>,
    /// Whether no line comes any more: the engine has ended, and the run is cancelled.
    pub ended: bool,
    last: u64,
}

impl<W: Write> Hub<W> {
    pub(super) fn new(
        run: PathBuf,
        inbox: Receiver<FromEngine>,
        output: Arc<Output<W>>,
        events: Arc<Events>,
        patience: Patience,
    ) -> Hub<W> {
        Hub {
            run,
            inbox,
            output,
            events,
            patience,
            clock: Clock::new(),
            places: BTreeMap::new(),
            expected: 0,
            came: 0,
            opened: false,
            refused: None,
            ended: false,
            last: 0,
        }
    }

    /// The lines that have come; waits for the first for at most `wait`.
    pub(super) fn listen(&mut self, wait: Duration) -> Vec<FromEngine> {
        let first = self.inbox.recv_timeout(wait);
        self.ended |= matches!(first, Err(RecvTimeoutError::Disconnected));
        first.ok().into_iter().chain(self.inbox.try_iter()).collect()
    }

    pub(super) fn write(&self, line: &ToEngine<'_>) {
        self.output.write(line);
    }

    /// Sends a worker a request; its id.
    pub(super) fn ask(&mut self, place: &str, request: impl FnOnce(PathBuf) -> Request) -> u64 {
        self.last += 1;
        let line = wire::Line { id: self.last, request: request(self.run.clone()) };
        self.write(&ToEngine::Line { place, line: &line });
        self.last
    }

    /// A place that came: it is asked to open the run.
    pub(super) fn welcome(&mut self, id: String, threads: u32, memory: u64, gpus: u32) {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let opening = self.ask(&id, |run| Request::Open { run, version, driven: true });
        self.came += 1;
        self.places.insert(id, Place::new(threads, memory, gpus, opening, self.clock.now()));
    }

    /// Hands over the records of the stages before `stage` that the place does not have.
    pub(super) fn hand_over(&mut self, id: &str, run: &RunContext, stage: Stage) -> Result<()> {
        for before in run.stages_to(stage).filter(|&before| before != stage) {
            let known = self.places.get_mut(id).is_none_or(|p| !p.handed.insert(before.name));
            if !known {
                let records = run.all_done(before)?;
                let records = (0..).zip(records.iter().cloned());
                let records = records.map(|(task, record)| wire::Handed::new(task, record));
                let (stage, records) = (before.name.to_owned(), records.collect());
                self.ask(id, |run| Request::Records { run, stage, records });
            }
        }
        Ok(())
    }

    /// A task was made again: open files of it are closed, and records that name others forgotten.
    pub(super) fn reopen(&mut self, stage: Stage, task: u32) {
        let open = self.places.iter().filter(|(_, place)| place.is_open());
        let ids: Vec<String> = open.map(|(id, _)| id.clone()).collect();
        for id in ids {
            let name = stage.name.to_owned();
            self.ask(&id, |run| Request::Reopen { run, stage: name, task });
            if let Some(place) = self.places.get_mut(&id) {
                place.handed.remove(stage.name);
            }
        }
    }

    /// Places that have not opened the run for too long.
    pub(super) fn slow(&self) -> Vec<String> {
        let now = self.clock.now();
        let slow = |p: &Place| !p.is_open() && now.saturating_sub(p.came) >= self.patience.need;
        self.places.iter().filter(|(_, p)| slow(p)).map(|(id, _)| id.clone()).collect()
    }

    /// Asks places whether they live; those that have not said so for too long.
    pub(super) fn watch(&mut self) -> Vec<String> {
        let now = self.clock.look();
        let due = self.patience.silence / 6;
        let quiet = |place: &Place| now.saturating_sub(place.pinged) >= due;
        let ids: Vec<String> =
            self.places.iter().filter(|(_, p)| quiet(p)).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            self.ask(id, |_| Request::Ping);
            if let Some(place) = self.places.get_mut(id) {
                place.ping(now);
            }
        }
        let silent = |place: &Place| place.silent(now) >= self.patience.silence;
        self.places.iter().filter(|(_, p)| silent(p)).map(|(id, _)| id.clone()).collect()
    }
}
