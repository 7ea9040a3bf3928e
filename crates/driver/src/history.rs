//! When which tasks of a run were worked on, from its log.

use std::collections::{HashMap, HashSet};

use longweave_run::{LogRecord, TaskState};
use longweave_storage::host;

/// Spans of seconds since 1970.
pub(crate) struct History {
    spans: HashMap<String, Vec<(f64, f64)>>,
    ended: HashSet<(String, u32)>,
}

/// The process that wrote a line: its token, because ids repeat on other machines; its id.
type Writer<'a> = (Option<&'a str>, u32);

fn writer(line: &LogRecord) -> Writer<'_> {
    (line.attempt.as_deref(), line.process)
}

impl History {
    /// `living` are the processes of this machine that still work on the run.
    pub(crate) fn of(records: &[LogRecord], living: &HashSet<u32>, now: f64) -> History {
        let (mut spans, mut ended): (HashMap<String, Vec<_>>, _) = (HashMap::new(), HashSet::new());
        let mut open: HashMap<(&str, u32, Writer<'_>), &LogRecord> = HashMap::new();
        for line in records {
            let (Some(stage), Some(task), Some(state)) = (&line.stage, line.task, line.state)
            else {
                continue;
            };
            let key = (stage.as_str(), task, writer(line));
            if state == TaskState::Started {
                open.insert(key, line);
                continue;
            }
            open.remove(&key);
            let seconds = line.seconds.unwrap_or(0.0);
            spans.entry(stage.clone()).or_default().push((line.at() - seconds, line.at()));
            if state == TaskState::Done {
                ended.insert((stage.clone(), task));
            }
        }
        // A task that began and did not end either runs, or its process died some time after its
        // last entry.
        let here = host();
        let is_living = |line: &LogRecord| {
            line.host.as_ref().is_none_or(|host| *host == here) && living.contains(&line.process)
        };
        let last_word =
            |of| records.iter().rfind(|line| writer(line) == of).map_or(now, LogRecord::at);
        for ((stage, _, of), line) in open {
            let end = if is_living(line) { now } else { last_word(of) };
            spans.entry(stage.to_owned()).or_default().push((line.at(), end));
        }
        History { spans, ended }
    }

    pub(crate) fn ended(&self, stage: &str, task: u32) -> bool {
        self.ended.contains(&(stage.to_owned(), task))
    }

    /// Seconds in which a stage, or any, was worked on: spans that overlap count once.
    pub(crate) fn worked(&self, stage: Option<&str>) -> f64 {
        let wanted = self.spans.iter().filter(|(of, _)| stage.is_none_or(|stage| *of == stage));
        let mut spans: Vec<(f64, f64)> =
            wanted.flat_map(|(_, spans)| spans.iter().copied()).collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut total, mut until) = (0.0, f64::MIN);
        for (start, end) in spans {
            total += (end - start.max(until)).max(0.0);
            until = until.max(end);
        }
        total
    }
}

/// A record of a log, with `more` fields.
#[cfg(test)]
pub(crate) fn line(second: u32, event: &str, more: serde_json::Value) -> LogRecord {
    let mut value = serde_json::json!({
        "time": format!("2026-01-01T00:00:{second:02}.000Z"), "process": u32::MAX - 1,
        "event": event,
    });
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_worked_count_once_where_tasks_overlap_and_end_where_a_process_died() {
        let task = |second, task, state: &str, seconds: f64| {
            line(
                second,
                "task",
                json!({ "stage": "ingest", "task": task, "state": state, "seconds": seconds }),
            )
        };
        let mut records = vec![
            task(0, 0, "started", 0.0),
            task(1, 1, "started", 0.0),
            task(10, 0, "done", 10.0),
            task(12, 1, "done", 11.0),
            task(40, 2, "started", 0.0),
            line(44, "warning", json!({ "message": "the last word" })),
        ];
        let history = History::of(&records, &HashSet::new(), 1e12);
        assert_eq!(history.worked(Some("ingest")), 16.0);
        assert_eq!((history.worked(None), history.worked(Some("scan"))), (16.0, 0.0));
        assert!(history.ended("ingest", 1) && !history.ended("ingest", 2));
        records.push(task(45, 2, "failed", 5.0));
        assert_eq!(History::of(&records, &HashSet::new(), 1e12).worked(None), 17.0);
    }

    #[test]
    fn processes_with_one_id_on_two_machines_are_two() {
        let task = |second, host: &str, state: &str, seconds: f64| {
            line(
                second,
                "task",
                json!({
                    "stage": "ingest", "task": 0, "state": state, "seconds": seconds,
                    "host": host, "attempt": host, "process": 1,
                }),
            )
        };
        let records =
            [task(0, "a", "started", 0.0), task(5, "b", "started", 0.0), task(9, "b", "done", 4.0)];
        // That of `a` ended after its own last word, not after that of `b`, and does not live on
        // because a process of this machine has its id.
        let history = History::of(&records, &HashSet::from([1]), 1e12);
        assert_eq!(history.worked(None), 4.0);
    }
}
