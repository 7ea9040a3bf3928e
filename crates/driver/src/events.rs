//! Events of a run. They wait in a queue that never blocks the run: a new progress event of a stage
//! replaces the waiting one.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use longweave_run::{ProgressUnit, RunContext, Stage};
use serde::Serialize;
use ts_rs::TS;

/// Progress is given out at most this often.
const INTERVAL: Duration = Duration::from_millis(50);

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[ts(rename = "RunEvent")]
pub enum Event {
    /// A stage starts, is reused, or ends.
    Stage {
        /// The stage that the event is about.
        stage: Stage,
        /// `started`, `reused` (all its results exist already) or `done`.
        #[ts(inline)]
        state: StageState,
        /// Tasks that the stage is divided into.
        tasks: u32,
        /// The stage's place among the stages of the run, from 1.
        number: u32,
        /// Stages that the run has.
        stages: u32,
        /// Seconds since the run began.
        seconds: f64,
    },
    /// Progress of a stage.
    Progress {
        /// The stage that the event is about.
        stage: Stage,
        /// Units done. A resumed run counts only what was left.
        done: u64,
        /// Units to do.
        total: u64,
        /// The unit of `done` and `total`.
        unit: ProgressUnit,
        /// Seconds since the run began.
        seconds: f64,
        /// Seconds left of the stage at the rate so far. Null while too little is done for a rate.
        eta_seconds: Option<f64>,
    },
    /// Something a person should know before using the output.
    Warning {
        /// The warning in words.
        message: String,
    },
}

/// The change of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum StageState {
    /// It begins.
    Started,
    /// All its results were there already.
    Reused,
    /// It ended.
    Done,
}

type Waiter = Box<dyn FnOnce(Option<Event>) + Send>;

struct Queue {
    events: VecDeque<Event>,
    waiters: VecDeque<Waiter>,
    progress_given: Instant,
    ended: bool,
}

/// The queue between a run and its listeners.
pub struct Events {
    queue: Mutex<Queue>,
    start: Instant,
    /// The warnings so far.
    warned: Mutex<BTreeSet<String>>,
}

impl Default for Events {
    fn default() -> Events {
        let start = Instant::now();
        let queue = Queue {
            events: VecDeque::new(),
            waiters: VecDeque::new(),
            progress_given: start,
            ended: false,
        };
        Events { queue: Mutex::new(queue), start, warned: Mutex::default() }
    }
}

impl Events {
    /// Seconds since the run began.
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Adds an event.
    pub fn send(&self, event: Event) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Event::Progress { stage: new, .. }, Some(Event::Progress { stage: last, .. })) =
            (&event, queue.events.back())
            && new == last
        {
            queue.events.pop_back();
        }
        queue.events.push_back(event);
        self.settle(queue);
    }

    /// Tells a person something, and the run's log.
    pub fn warn(&self, run: &RunContext, message: &str) {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to_owned());
        run.log.warning(message);
        self.send(Event::Warning { message: message.to_owned() });
    }

    /// Warns, unless these words were said before.
    pub fn warn_once(&self, run: &RunContext, message: &str) {
        let said = self.warned.lock().unwrap_or_else(PoisonError::into_inner).contains(message);
        if !said {
            self.warn(run, message);
        }
    }

    /// Ends the events. Waiting listeners get `None`.
    pub fn end(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.ended = true;
        self.settle(queue);
    }

    /// Calls `waiter` with the next event, now or later, from whatever thread sends it; with `None`
    /// after the last.
    pub fn next(&self, waiter: impl FnOnce(Option<Event>) + Send + 'static) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiters.push_back(Box::new(waiter));
        self.settle(queue);
    }

    fn settle(&self, mut queue: std::sync::MutexGuard<'_, Queue>) {
        let mut settled = Vec::new();
        while !queue.waiters.is_empty() {
            let lone_progress =
                queue.events.len() == 1 && matches!(queue.events[0], Event::Progress { .. });
            if lone_progress && !queue.ended && queue.progress_given.elapsed() < INTERVAL {
                break;
            }
            let Some(event) = queue.events.pop_front() else {
                if queue.ended {
                    settled.extend(queue.waiters.drain(..).map(|w| (w, None)));
                }
                break;
            };
            if matches!(event, Event::Progress { .. }) {
                queue.progress_given = Instant::now();
            }
            let waiter = queue.waiters.pop_front().expect("the loop runs while there are waiters");
            settled.push((waiter, Some(event)));
        }
        drop(queue);
        for (waiter, event) in settled {
            waiter(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn progress(done: u64) -> Event {
        Event::Progress {
            stage: longweave_stages::ingest::INGEST,
            done,
            total: 10,
            unit: ProgressUnit::Documents,
            seconds: 0.0,
            eta_seconds: None,
        }
    }

    fn take(events: &Events) -> Option<Option<Event>> {
        let (send, receive) = mpsc::channel();
        events.next(move |event| send.send(event).unwrap());
        receive.try_recv().ok()
    }

    #[test]
    fn unread_progress_replaces_itself_and_the_end_is_told() {
        let events = Events::default();
        let warning = Event::Warning { message: "w".into() };
        (0..1000).for_each(|i| events.send(progress(i)));
        events.send(warning.clone());
        assert_eq!(take(&events), Some(Some(progress(999))));
        assert_eq!(take(&events), Some(Some(warning)));
        events.end();
        assert_eq!(take(&events), Some(None));
        assert_eq!(take(&events), Some(None));
    }

    #[test]
    fn whoever_waits_is_told_as_soon_as_something_happens() {
        let events = Events::default();
        let (send, receive) = mpsc::channel();
        events.next(move |event| send.send(event).unwrap());
        assert!(receive.try_recv().is_err());
        events.send(Event::Warning { message: "w".into() });
        assert!(receive.try_recv().unwrap().is_some());
    }
}
