//! A place: a worker that an engine carries lines to and from.

use std::collections::BTreeSet;
use std::time::Duration;

/// A worker that an engine offers, and where the driver is with it.
pub(super) struct Place {
    pub threads: u32,
    pub memory: u64,
    pub gpus: u32,
    pub state: State,
    /// Stages whose records were handed over.
    pub handed: BTreeSet<&'static str>,
    /// When it came.
    pub came: Duration,
    /// When it was last asked whether it lives.
    pub pinged: Duration,
    /// When it was asked so first since its last line.
    silent_since: Option<Duration>,
}

pub(super) enum State {
    /// It was asked to open the run, in the line of that id.
    Opening(u64),
    Idle,
    Busy(Call),
}

/// Tasks that a place works on.
pub(super) struct Call {
    pub id: u64,
    /// In rising order.
    pub tasks: Vec<u32>,
    /// Units of progress that it reported.
    pub units: u64,
}

impl Place {
    pub(super) fn new(threads: u32, memory: u64, gpus: u32, opening: u64, now: Duration) -> Place {
        Place {
            threads: threads.max(1),
            memory,
            gpus,
            state: State::Opening(opening),
            handed: BTreeSet::new(),
            came: now,
            pinged: now,
            silent_since: None,
        }
    }

    /// Whether it can be given tasks now.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Whether it has opened the run.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, State::Opening(_))
    }

    /// The tasks that it works on, if it works.
    pub(super) fn call(&self) -> Option<&Call> {
        match &self.state {
            State::Busy(call) => Some(call),
            State::Opening(_) | State::Idle => None,
        }
    }

    /// It wrote a line.
    pub(super) fn spoke(&mut self) {
        self.silent_since = None;
    }

    /// It is asked whether it lives.
    pub(super) fn ping(&mut self, now: Duration) {
        self.pinged = now;
        self.silent_since.get_or_insert(now);
    }

    /// How long it has not answered.
    pub(super) fn silent(&self, now: Duration) -> Duration {
        self.silent_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }
}
