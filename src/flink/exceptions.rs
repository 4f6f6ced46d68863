//! The exception history of a job, in the shapes of 1.x and 2.x, with the root cause unwrapped (`flink-rest.md` §1.3).

use serde::Deserialize;

use crate::domain::Timestamp;
use crate::domain::ids::JobId;
use crate::domain::job::{ProblemEntry, ProblemsView};

use super::client::FlinkClient;
use super::decode;
use super::error::{FlinkError, root_cause};

/// Longest stack trace that is kept, bytes.
const MAX_STACK: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Wire {
    // Until 1.20.
    root_exception: Option<String>,
    #[serde(deserialize_with = "decode::instant", default)]
    timestamp: Option<Timestamp>,
    #[serde(rename = "exceptionHistory")]
    history: Option<WireHistory>,
}

#[derive(Deserialize)]
struct WireHistory {
    entries: Vec<WireEntry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    exception_name: String,
    stacktrace: String,
    #[serde(deserialize_with = "decode::instant_required")]
    timestamp: Timestamp,
    task_name: Option<String>,
    /// Until 1.20.
    location: Option<String>,
    /// From 1.19 on.
    endpoint: Option<String>,
    task_manager_id: Option<String>,
    #[serde(default)]
    concurrent_exceptions: Vec<WireEntry>,
}

impl WireEntry {
    fn into_problem(self) -> ProblemEntry {
        // When a job has used up its restarts the entry only says so; what went wrong stands beside it.
        let suppressed = self.exception_name.ends_with(".JobException") && !self.stacktrace.contains("\nCaused by: ");
        let cause = match self.concurrent_exceptions.first() {
            Some(first) if suppressed => first,
            _ => &self,
        };
        let (root_class, root_message) = root_cause(&cause.stacktrace);
        let root_class = if root_class.is_empty() { cause.exception_name.clone() } else { root_class };
        let mut stack = self.stacktrace.clone();
        if !std::ptr::eq(cause, &self) {
            stack.push_str("\n\nTogether with: ");
            stack.push_str(&cause.stacktrace);
        }
        ProblemEntry {
            at: self.timestamp,
            root_class,
            root_message,
            task: self.task_name.clone().or_else(|| cause.task_name.clone()),
            endpoint: [&self.endpoint, &self.location, &cause.endpoint, &cause.location]
                .into_iter()
                .flatten()
                .next()
                .cloned(),
            task_manager: self.task_manager_id.clone().or_else(|| cause.task_manager_id.clone()),
            concurrent: self.concurrent_exceptions.len(),
            class: self.exception_name.clone(),
            stack: bounded(stack),
        }
    }
}

/// At most [`MAX_STACK`] bytes: the head (what was thrown) and the tail (the deepest cause).
fn bounded(stack: String) -> String {
    if stack.len() <= MAX_STACK {
        return stack;
    }
    let head = stack.floor_char_boundary(MAX_STACK / 2);
    let tail = stack.ceil_char_boundary(stack.len() - MAX_STACK / 2);
    format!("{}\n\t[{} bytes left out]\n{}", &stack[..head], tail - head, &stack[tail..])
}

impl FlinkClient {
    /// `GET /jobs/:id/exceptions`: at most `limit` failures, newest first. [`ProblemsView::restarts`] stays `None`: it is not in
    /// this answer.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn exceptions(&self, job: JobId, limit: u32) -> Result<ProblemsView, FlinkError> {
        let wire: Wire = self.get(&format!("/jobs/{job}/exceptions?maxExceptions={limit}")).await?;
        let (mut entries, truncated) = match wire.history {
            Some(history) => {
                (history.entries.into_iter().map(WireEntry::into_problem).collect::<Vec<_>>(), history.truncated)
            }
            None => (Vec::new(), false),
        };
        // 1.x may know a root exception that its history has lost or never had.
        if let (true, Some(stack), Some(at)) = (entries.is_empty(), wire.root_exception, wire.timestamp) {
            let (root_class, root_message) = root_cause(&stack);
            let class = super::JavaError::parse(&stack).class;
            entries.push(ProblemEntry {
                at,
                root_class,
                root_message,
                class,
                stack: bounded(stack),
                task: None,
                endpoint: None,
                task_manager: None,
                concurrent: 0,
            });
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        Ok(ProblemsView { entries, truncated, restarts: None })
    }
}
