//! Time as this process has lived it. While a machine sleeps or a process is stopped, nobody could
//! answer it either, so that time does not count.

use std::time::{Duration, Instant};

/// Most time that counts between two looks.
const MOST: Duration = Duration::from_secs(1);

pub(super) struct Clock {
    at: Instant,
    lived: Duration,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { at: Instant::now(), lived: Duration::ZERO }
    }

    /// Time since the last look does not count: nobody listened.
    pub(super) fn resume(&mut self) {
        self.at = Instant::now();
    }

    /// Looks; the time lived so far.
    pub(super) fn look(&mut self) -> Duration {
        let now = Instant::now();
        self.lived += (now - self.at).min(MOST);
        self.at = now;
        self.lived
    }

    /// The time lived up to the last look.
    pub(super) fn now(&self) -> Duration {
        self.lived
    }
}
