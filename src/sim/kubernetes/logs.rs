//! Logs of pods: the last lines of every container, bounded, and their way to `kubectl logs`.
//!
//! What simulates the containers writes with [`Logs::write`] and tells of a new start with [`Logs::restart`]; the lines go with their pod.

mod answer;

pub(super) use answer::answer;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// Kept of one run of a container, bytes.
const OF_CONTAINER: usize = 64 << 10;
/// Kept of all, bytes; beyond that each container keeps its last lines only.
const OF_ALL: usize = 64 << 20;
/// What a container keeps when all are too much, bytes.
const LEAST: usize = 4 << 10;
/// Longest line, bytes, as the container runtime splits them.
const LINE: usize = 16 << 10;

/// A line with its time, epoch milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: i64,
    /// Without its end.
    pub text: String,
}

/// One run of a container.
#[derive(Debug, Clone, Default)]
struct Run {
    lines: VecDeque<Line>,
    /// Lines that were there before the first kept one.
    dropped: u64,
    bytes: usize,
}

impl Run {
    fn keep(&mut self, most: usize) -> usize {
        let before = self.bytes;
        while self.bytes > most {
            let Some(line) = self.lines.pop_front() else { break };
            self.bytes -= line.text.len() + size_of::<Line>();
            self.dropped += 1;
        }
        before - self.bytes
    }
}

#[derive(Debug, Default)]
struct Container {
    /// Starts before the present one.
    starts: u64,
    present: Run,
    previous: Option<Run>,
}

type Pod = (String, String);

#[derive(Debug, Default)]
struct Kept {
    pods: HashMap<Pod, HashMap<String, Container>>,
    bytes: usize,
}

/// The logs of all pods.
#[derive(Debug)]
pub struct Logs {
    kept: Mutex<Kept>,
    changed: watch::Sender<u64>,
}

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    starts: u64,
    next: u64,
}

impl Default for Logs {
    fn default() -> Self {
        Self { kept: Mutex::default(), changed: watch::channel(0).0 }
    }
}

impl Logs {
    /// Adds what a container wrote at `at` (epoch milliseconds): one line or several.
    pub fn write(&self, namespace: &str, pod: &str, container: &str, at: i64, text: &str) {
        self.with(|kept| {
            let pod = kept.pods.entry((namespace.to_owned(), pod.to_owned())).or_default();
            let run = &mut pod.entry(container.to_owned()).or_default().present;
            let mut added = 0;
            for line in text.lines() {
                let end = line.floor_char_boundary(LINE);
                let line = Line { at, text: line[..end].to_owned() };
                added += line.text.len() + size_of::<Line>();
                run.lines.push_back(line);
            }
            run.bytes += added;
            let gone = run.keep(OF_CONTAINER);
            kept.bytes = kept.bytes + added - gone;
            if kept.bytes > OF_ALL {
                let runs = kept.pods.values_mut().flat_map(HashMap::values_mut);
                let gone: usize = runs
                    .map(|c| c.present.keep(LEAST) + c.previous.as_mut().map_or(0, |previous| previous.keep(LEAST)))
                    .sum();
                kept.bytes -= gone;
            }
        });
    }

    /// The container starts again: what it wrote up to now is its previous log.
    pub fn restart(&self, namespace: &str, pod: &str, container: &str) {
        self.with(|kept| {
            let pod = kept.pods.entry((namespace.to_owned(), pod.to_owned())).or_default();
            let container = pod.entry(container.to_owned()).or_default();
            container.starts += 1;
            let old = container.previous.replace(std::mem::take(&mut container.present));
            kept.bytes -= old.map_or(0, |old| old.bytes);
        });
    }

    /// The pod is gone.
    pub fn forget(&self, namespace: &str, pod: &str) {
        self.with(|kept| {
            let gone = kept.pods.remove(&(namespace.to_owned(), pod.to_owned()));
            let bytes = gone.into_iter().flat_map(HashMap::into_values);
            kept.bytes -= bytes.map(|c| c.present.bytes + c.previous.map_or(0, |p| p.bytes)).sum::<usize>();
        });
    }

    /// Bytes kept of all logs.
    pub fn bytes(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Told of every line.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The kept lines of the present or the previous run; none if there was no such run.
    pub(super) fn read(&self, pod: (&str, &str), container: &str, previous: bool) -> Option<(Vec<Line>, Cursor)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.pods.get(&(pod.0.to_owned(), pod.1.to_owned())).and_then(|p| p.get(container));
        match (found, previous) {
            (None, true) => None,
            (None, false) => Some((Vec::new(), Cursor { starts: 0, next: 0 })),
            (Some(c), true) => c
                .previous
                .as_ref()
                .map(|run| (run.lines.iter().cloned().collect(), Cursor { starts: c.starts, next: 0 })),
            (Some(c), false) => {
                let next = c.present.dropped + c.present.lines.len() as u64;
                Some((c.present.lines.iter().cloned().collect(), Cursor { starts: c.starts, next }))
            }
        }
    }

    /// The lines after a cursor; none when the run is over.
    pub(super) fn after(&self, pod: (&str, &str), container: &str, cursor: Cursor) -> Option<(Vec<Line>, Cursor)> {
        let (lines, end) = self.read(pod, container, false)?;
        if end.starts != cursor.starts {
            return None;
        }
        let new = usize::try_from(end.next.saturating_sub(cursor.next)).unwrap_or(usize::MAX).min(lines.len());
        Some((lines[lines.len() - new..].to_vec(), end))
    }

    fn with(&self, act: impl FnOnce(&mut Kept)) {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|n| *n += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(read: Option<(Vec<Line>, Cursor)>) -> Vec<String> {
        read.unwrap().0.into_iter().map(|l| l.text).collect()
    }

    #[test]
    fn a_restart_makes_the_log_the_previous_one_and_ends_those_who_follow() {
        let logs = Logs::default();
        logs.write("flink", "p", "main", 1, "one\ntwo");
        let (_, cursor) = logs.read(("flink", "p"), "main", false).unwrap();
        logs.write("flink", "p", "main", 2, "three");
        assert_eq!(texts(logs.after(("flink", "p"), "main", cursor)), ["three"]);
        assert_eq!(logs.read(("flink", "p"), "main", true), None);
        logs.restart("flink", "p", "main");
        assert_eq!(logs.after(("flink", "p"), "main", cursor), None);
        assert_eq!(texts(logs.read(("flink", "p"), "main", true)), ["one", "two", "three"]);
        assert_eq!(texts(logs.read(("flink", "p"), "main", false)), [""; 0]);
        logs.forget("flink", "p");
        assert_eq!(logs.bytes(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded_by_container_and_in_all() {
        let logs = Logs::default();
        let line = "x".repeat(1_000);
        for _ in 0..200 {
            logs.write("flink", "p", "main", 0, &line);
        }
        assert!(logs.bytes() <= OF_CONTAINER);
        for pod in 0..2 * OF_ALL / OF_CONTAINER {
            logs.write("flink", &pod.to_string(), "main", 0, &format!("{line}\n").repeat(60));
        }
        assert!(logs.bytes() <= OF_ALL + OF_CONTAINER);
        assert_eq!(texts(logs.read(("flink", "p"), "main", false)).last(), Some(&line));
    }
}
