//! Steps in general: what a look says of one, how a sending ends, and who does what.

use super::{flink, operator};
use crate::control::ports::Objects;
use crate::domain::plan::{Action, Plan, Step};
use crate::flink::FlinkClient;

/// What a look at the world says of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// Its effect is there.
    Done {
        /// What later steps or people need of it.
        result: Option<String>,
        /// What was seen.
        note: String,
    },
    /// It is under way.
    Pending(String),
    /// Nothing of it is there: its effect is to be sent.
    Absent(String),
    /// It cannot succeed any more.
    Failed(String),
    /// The world does not answer.
    Blind(String),
}

/// How a sending ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// Taken. Done is when a look says so.
    Taken,
    /// Not known, or not possible at the moment: a look decides.
    Unclear(String),
    /// It will not be taken.
    Refused(String),
}

/// Done, and what was seen.
pub(super) fn done(note: impl Into<String>) -> Look {
    Look::Done { result: None, note: note.into() }
}

/// The ways to the world that steps act through.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    /// To a JobManager; none if its cluster is not known (any more).
    pub flink: Option<&'a FlinkClient>,
    /// To objects of Kubernetes.
    pub objects: Option<&'a dyn Objects>,
}

/// Who does a step.
enum Doer {
    Flink,
    Operator,
}

fn doer(action: &Action) -> Doer {
    match action {
        Action::CheckLaunch { .. }
        | Action::Savepoint { .. }
        | Action::Checkpoint { .. }
        | Action::Stop { .. }
        | Action::Cancel { .. }
        | Action::Run { .. }
        | Action::Rescale { .. }
        | Action::AwaitRunning { .. }
        | Action::AwaitCheckpoint { .. }
        | Action::ShutDownCluster => Doer::Flink,
        Action::Patch { .. } | Action::Snapshot { .. } | Action::Await { .. } | Action::Delete { .. } => Doer::Operator,
    }
}

const NO_FLINK: &str = "the cluster of the plan is not watched (any more)";
const NO_KUBERNETES: &str = "the Kubernetes cluster of the plan is not watched";

/// Looks whether a step is done.
pub(super) async fn look(ways: Ways<'_>, plan: &Plan, step: &Step) -> Look {
    match doer(&step.action) {
        Doer::Flink => match ways.flink {
            Some(client) => flink::look(client, plan, step).await,
            None => Look::Blind(NO_FLINK.into()),
        },
        Doer::Operator => match ways.objects {
            Some(objects) => operator::look(objects, ways.flink, plan, step).await,
            None => Look::Blind(NO_KUBERNETES.into()),
        },
    }
}

/// Sends the effect of a step.
pub(super) async fn send(ways: Ways<'_>, plan: &Plan, step: &Step) -> Sent {
    match doer(&step.action) {
        Doer::Flink => match ways.flink {
            Some(client) => flink::send(client, plan, step).await,
            None => Sent::Unclear(NO_FLINK.into()),
        },
        Doer::Operator => match ways.objects {
            Some(objects) => operator::send(objects, plan, step).await,
            None => Sent::Unclear(NO_KUBERNETES.into()),
        },
    }
}
