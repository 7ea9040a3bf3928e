//! The tasks of one stage, given to places until all are done.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longweave_common::{CATALOGUE, Code, Ctx, Error, Result};
use longweave_driver::{Event, StageProgress};
use longweave_run::{RunContext, Stage};
use longweave_storage::DoneRecord;
use serde_json::{Map, Value};

use super::hub::{Hub, STOP};
use super::lines::{FromEngine, ToEngine};
use super::place::{Call, Place, State};
use super::queue::{AGAIN, Offer, Queue};
use crate::tasks::TaskSelection;
use crate::wire::{Answered, Handed, Request, Told};

/// How long a round listens before it looks at the time.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Round<'a, W> {
    hub: &'a mut Hub<W>,
    ctx: &'a Ctx,
    run: &'a RunContext,
    stage: Stage,
    progress: Option<&'a Arc<StageProgress>>,
    queue: Queue,
    done: BTreeMap<u32, DoneRecord>,
    /// Units of progress of the tasks that are done.
    units: u64,
    /// Since when tasks wait that no place can take.
    needs_since: Option<Duration>,
    /// The error that ends the round.
    failed: Option<Error>,
    /// Whether it is ending: nothing is given again.
    stopping: bool,
}

/// The work that a place was lost with, in words.
struct Loss<'a> {
    place: &'a str,
    reason: &'a str,
    /// Whether its process was killed because memory was short.
    memory: bool,
}

impl<'a, W: Write> Round<'a, W> {
    pub(super) fn new(
        hub: &'a mut Hub<W>,
        ctx: &'a Ctx,
        run: &'a RunContext,
        stage: Stage,
        tasks: &[u32],
        progress: Option<&'a Arc<StageProgress>>,
    ) -> Round<'a, W> {
        Round {
            hub,
            ctx,
            run,
            stage,
            progress,
            queue: Queue::new(tasks),
            done: BTreeMap::new(),
            units: 0,
            needs_since: None,
            failed: None,
            stopping: false,
        }
    }

    /// The records of all tasks, in their order.
    ///
    /// Errors: those of tasks, `PLACE_LOST`, `DEVICE_UNAVAILABLE`, `MEMORY_BUDGET`, `CANCELLED`.
    pub(super) fn run(mut self) -> Result<Vec<DoneRecord>> {
        self.hub.clock.resume();
        loop {
            if let Err(error) = self.give() {
                self.failed.get_or_insert(error);
            }
            if self.failed.is_none() {
                if self.queue.len() == 0 && !self.is_working() {
                    return Ok(self.done.into_values().collect());
                }
                self.listen();
                self.check_needs();
            }
            if let Err(error) = self.ctx.cancel.check() {
                self.failed.get_or_insert(error);
            }
            if let Some(error) = self.failed.take() {
                self.stop();
                return Err(error);
            }
        }
    }

    /// Takes the lines that have come, and gives up places that are silent.
    fn listen(&mut self) {
        for line in self.hub.listen(LOOK) {
            self.take(line);
        }
        for place in self.hub.watch() {
            let reason = format!("silent for {} s", self.hub.patience.silence.as_secs_f64());
            self.give_up(&place, &reason);
        }
        for place in self.hub.slow() {
            let seconds = self.hub.patience.need.as_secs_f64();
            self.give_up(&place, &format!("has not opened the run in {seconds} s"));
        }
        self.report();
    }

    fn take(&mut self, line: FromEngine) {
        match line {
            FromEngine::Place { place, threads, memory, gpus } => {
                let again = Loss { place: &place, reason: "started again", memory: false };
                self.lost(&again);
                self.hub.welcome(place, threads, memory, gpus);
            }
            FromEngine::Expect { places } => self.hub.expected = places,
            FromEngine::Lost { place, reason, memory } => {
                self.lost(&Loss { place: &place, reason: &reason, memory });
            }
            FromEngine::Line { place, line } => self.heard(&place, line),
            // The flag is raised already.
            FromEngine::Cancel => {}
            FromEngine::Unreadable(why) => {
                let message = format!("the driver cannot read a line of its input: {why}");
                self.failed.get_or_insert(Error::new(Code::OptionsInvalid, message));
            }
        }
    }

    /// A line of a worker. Those of places that were given up are not read.
    fn heard(&mut self, id: &str, line: Value) {
        let Some(place) = self.hub.places.get_mut(id) else { return };
        place.spoke();
        let told: Told = match serde_json::from_value(line) {
            Ok(told) => told,
            Err(error) => return self.give_up(id, &format!("wrote an unknown line: {error}")),
        };
        if let Answered::Warning { message } = told.answer {
            // The worker has written it to the log.
            return self.hub.events.send(Event::Warning { message });
        }
        let asked = match &mut place.state {
            State::Opening(opening) => Some(*opening),
            State::Busy(call) => Some(call.id),
            State::Idle => None,
        };
        let is_answer = told.id.is_some() && told.id == asked;
        match (told.answer, &mut place.state) {
            (Answered::Opened, State::Opening(_)) if is_answer => {
                place.state = State::Idle;
                self.hub.opened = true;
            }
            (Answered::Error { message, code, details }, State::Opening(_)) if is_answer => {
                self.refused(id, error_of(self.run, &code, message, &details));
            }
            (Answered::Progress { done }, State::Busy(call)) if is_answer => call.units = done,
            (Answered::Done { records }, State::Busy(_)) if is_answer => self.finished(id, records),
            (Answered::Error { message, code, details }, State::Busy(_)) if is_answer => {
                self.failed(id, error_of(self.run, &code, message, &details));
            }
            // Records that it does not take, say.
            (Answered::Error { message, .. }, _) => self.give_up(id, &message),
            _ => {}
        }
    }

    /// The call of a place, which is idle from then on.
    fn ended(&mut self, id: &str) -> Option<Call> {
        let place = self.hub.places.get_mut(id)?;
        match std::mem::replace(&mut place.state, State::Idle) {
            State::Busy(call) => Some(call),
            other => {
                place.state = other;
                None
            }
        }
    }

    fn finished(&mut self, id: &str, records: Vec<Handed>) {
        let Some(call) = self.ended(id) else { return };
        let mut records: BTreeMap<u32, DoneRecord> =
            records.into_iter().map(|handed| (handed.task, handed.record())).collect();
        records.retain(|task, _| call.tasks.binary_search(task).is_ok());
        let missing: Vec<u32> =
            call.tasks.iter().copied().filter(|task| !records.contains_key(task)).collect();
        self.settle(records);
        if !missing.is_empty() {
            self.lose(&missing, &Loss { place: id, reason: "left out tasks", memory: false });
        }
    }

    /// Counts records as done.
    fn settle(&mut self, records: BTreeMap<u32, DoneRecord>) {
        let tasks: Vec<u32> = records.keys().copied().collect();
        // Units are for people to see: they fail no run.
        self.units += self.run.units(self.stage, &tasks).unwrap_or(0);
        self.done.extend(records);
    }

    /// Counts what a call has finished before it failed; the tasks that are left.
    fn left_of(&mut self, call: Call) -> Vec<u32> {
        let (mut records, mut left) = (BTreeMap::new(), Vec::new());
        for task in call.tasks {
            // One that cannot be read is met by the worker that gets it.
            match self.run.done(self.stage, task).ok().flatten() {
                Some(record) => _ = records.insert(task, record),
                None => left.push(task),
            }
        }
        self.settle(records);
        left
    }

    /// A call that ended with an error.
    fn failed(&mut self, id: &str, error: Error) {
        let Some(call) = self.ended(id).filter(|_| !self.stopping) else { return };
        match error.code() {
            // Nobody asked it to: its process is about to end.
            Code::Cancelled => {
                let left = self.left_of(call);
                self.lose(&left, &Loss { place: id, reason: "it was stopped", memory: false });
            }
            // A disk may be that of the place alone.
            Code::Io | Code::DiskFull | Code::RemoteFailed => {
                let left = self.left_of(call);
                self.warn(&format!(
                    "place {id} failed ({}); {} of stage {} run again",
                    error.message(),
                    tasks(&left),
                    self.stage.name
                ));
                if self.queue.failed(&left, id).is_some() {
                    self.failed.get_or_insert(error);
                }
            }
            _ => _ = self.failed.get_or_insert(error),
        }
    }

    fn refused(&mut self, id: &str, error: Error) {
        let host = error.details().get("host").and_then(Value::as_str);
        let host = host.map_or(String::new(), |host| format!(" on {host}"));
        self.warn(&format!("place {id}{host} is not used: {}", error.message()));
        self.hub.places.remove(id);
        self.hub.write(&ToEngine::Drop { place: id, reason: error.message() });
        self.hub.refused = Some(error);
    }

    /// Has the engine end a place, whose tasks are for others.
    fn give_up(&mut self, id: &str, reason: &str) {
        self.hub.write(&ToEngine::Drop { place: id, reason });
        self.lost(&Loss { place: id, reason, memory: false });
    }

    fn lost(&mut self, loss: &Loss<'_>) {
        let place = self.hub.places.remove(loss.place);
        let Some(place) = place.filter(|_| !self.stopping) else { return };
        let left = match place.state {
            State::Busy(call) => self.left_of(call),
            _ => Vec::new(),
        };
        self.lose(&left, loss);
    }

    fn lose(&mut self, left: &[u32], loss: &Loss<'_>) {
        let Loss { place, reason, memory } = *loss;
        let mut message = format!("place {place} was lost ({reason})");
        if !left.is_empty() {
            message += &format!("; {} of stage {} run again", tasks(left), self.stage.name);
        }
        self.warn(&message);
        let last = if memory { self.queue.short_of_memory(left) } else { self.queue.lost(left) };
        let Some(task) = last else { return };
        let stage = self.stage.name;
        let error = if memory {
            let message = format!(
                "the process of task {task} of stage {stage} was killed because memory was short \
                 ({reason}), also alone on the place with most memory ({place}); give places more \
                 memory, or workers a lower `--memory`"
            );
            Error::new(Code::MemoryBudget, message)
        } else {
            let message = format!(
                "task {task} of stage {stage} was lost {} times, last with place {place} \
                 ({reason}); see there why processes end, then run again to resume",
                AGAIN + 1
            );
            Error::new(Code::PlaceLost, message)
        };
        self.failed.get_or_insert(error.with("stage", stage).with("task", task));
    }

    fn warn(&self, message: &str) {
        self.hub.events.warn(self.run, message);
    }

    fn is_working(&self) -> bool {
        self.hub.places.values().any(|place| place.call().is_some())
    }

    /// Whether a place can take tasks of the stage. Places with GPUs share the cores of their machine
    /// with another, so they get other tasks only where all have GPUs.
    fn suits(&self, place: &Place) -> bool {
        if self.stage.needs(self.run.options()).gpus > 0 {
            return place.gpus > 0;
        }
        place.gpus == 0 || self.hub.places.values().all(|other| other.gpus > 0)
    }

    /// Gives tasks to places that are idle, those with most threads first.
    fn give(&mut self) -> Result<()> {
        let open: Vec<(&String, &Place)> =
            self.hub.places.iter().filter(|(_, p)| p.is_open() && self.suits(p)).collect();
        let most = open.iter().map(|(_, place)| place.memory).max().unwrap_or(0);
        let places = (self.hub.places.values().filter(|p| self.suits(p)).count() as u32)
            .max(self.hub.expected);
        let others = open.len() > 1;
        let mut idle: Vec<(u32, u64, String)> = open
            .iter()
            .filter(|(_, place)| place.is_idle())
            .map(|(id, place)| (place.threads, place.memory, (*id).clone()))
            .collect();
        idle.sort_by_key(|(threads, memory, _)| Reverse((*threads, *memory)));
        for (threads, memory, id) in idle {
            let is_largest = memory == most;
            let offer = Offer { place: &id, threads, places, others, is_largest };
            let tasks = self.queue.take(&offer);
            if tasks.is_empty() {
                continue;
            }
            self.hub.hand_over(&id, self.run, self.stage)?;
            let (stage, selection) = (self.stage.name.to_owned(), selection(&tasks));
            let call = self.hub.ask(&id, |run| Request::Run { run, stage, tasks: selection });
            if let Some(place) = self.hub.places.get_mut(&id) {
                place.state = State::Busy(Call { id: call, tasks, units: 0 });
            }
        }
        Ok(())
    }

    /// Reports how far all places are.
    fn report(&self) {
        if let Some(progress) = self.progress {
            let calls = self.hub.places.values().filter_map(Place::call);
            progress.set(self.units + calls.map(|call| call.units).sum::<u64>());
        }
    }

    /// Asks the engine for a place where tasks wait that no place can take, and fails when it has
    /// none for too long.
    fn check_needs(&mut self) {
        if self.queue.len() == 0 || self.hub.places.values().any(|place| self.suits(place)) {
            self.needs_since = None;
            return;
        }
        let now = self.hub.clock.now();
        let gpus = self.stage.needs(self.run.options()).gpus;
        let since = match self.needs_since {
            Some(since) => since,
            None => {
                let places = (self.queue.len() as u32).min(self.hub.expected.max(1));
                self.hub.write(&ToEngine::Need { gpus, places });
                *self.needs_since.insert(now)
            }
        };
        // Where all places refuse the run, others will too.
        let all = self.hub.places.is_empty() && self.hub.came >= self.hub.expected;
        if let Some(error) = self.hub.refused.clone().filter(|_| all && !self.hub.opened) {
            self.failed.get_or_insert(error);
        } else if now.saturating_sub(since) >= self.hub.patience.need {
            self.failed.get_or_insert(self.nowhere(gpus));
        }
    }

    fn nowhere(&self, gpus: u32) -> Error {
        let (stage, seconds) = (self.stage.name, self.hub.patience.need.as_secs_f64());
        if gpus > 0 && !self.hub.places.is_empty() {
            let message = format!(
                "stage {stage} needs a place with a GPU, and none came in {seconds} s; offer one, \
                 or run with `--device cpu`"
            );
            return Error::new(Code::DeviceUnavailable, message).with("stage", stage);
        }
        let message = format!(
            "no place came in {seconds} s to run stage {stage}; see the engine's log, then run \
             again to resume"
        );
        Error::new(Code::PlaceLost, message).with("stage", stage)
    }

    /// Asks calls to stop, and waits for those that soon do. The places of others are given up.
    fn stop(&mut self) {
        self.stopping = true;
        let working: Vec<String> = self.working();
        for id in &working {
            if let Some(of) = self.hub.places.get(id).and_then(Place::call).map(|call| call.id) {
                self.hub.ask(id, |_| Request::Cancel { of });
            }
        }
        let from = self.hub.clock.now();
        while self.is_working()
            && !self.hub.ended
            && self.hub.clock.now().saturating_sub(from) < STOP
        {
            self.listen();
        }
        for id in self.working() {
            self.hub.write(&ToEngine::Drop { place: &id, reason: "does not stop" });
            self.hub.places.remove(&id);
        }
    }

    /// The places with a call.
    fn working(&self) -> Vec<String> {
        let places = self.hub.places.iter().filter(|(_, place)| place.call().is_some());
        places.map(|(id, _)| id.clone()).collect()
    }
}

/// Tasks as a request names them: neighbours as a range.
fn selection(tasks: &[u32]) -> TaskSelection {
    match tasks {
        [one] => TaskSelection::One(*one),
        [from, .., last] if (last - from) as usize == tasks.len() - 1 => {
            TaskSelection::Range(crate::tasks::TaskRange { from: *from, to: last + 1 })
        }
        _ => TaskSelection::Many(tasks.to_vec()),
    }
}

/// Tasks in words.
fn tasks(tasks: &[u32]) -> String {
    match tasks {
        [one] => format!("task {one}"),
        _ => format!("{} tasks", tasks.len()),
    }
}

/// The error of a worker's line.
fn error_of(run: &RunContext, code: &str, message: String, details: &Map<String, Value>) -> Error {
    let known = CATALOGUE.iter().map(|(known, _)| *known).find(|known| known.name() == code);
    let text = |key: &str| details.get(key).and_then(Value::as_str);
    let mut error = match (known, text("file")) {
        (Some(Code::FileCorrupt), Some(file)) => Error::corrupt(Path::new(file), message),
        (known, _) => Error::new(known.unwrap_or(Code::Internal), message),
    };
    for (key, value) in details {
        error = error.with(key, value.clone());
    }
    let task = details.get("task").and_then(Value::as_u64).and_then(|task| task.try_into().ok());
    match (text("stage").and_then(|stage| run.stage(stage).ok()), task) {
        (Some(stage), Some(task)) if error.code() == Code::FileCorrupt => {
            error.made_by(stage.name, task)
        }
        _ => error,
    }
}
