//! Starts a loop and routes its commands.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::board::Board;
use super::cluster::{self, ClusterLink, ClusterState};
use super::config::{ControlConfig, FlinkSource, KubernetesSource, Parts};
use super::handle::Handle;
use super::operations;
use super::pilot::{self, Subject};
use super::ports::ClusterApi;
use super::realize;
use super::shared::{Shared, supervise};
use crate::domain::command::{Command, CommandStage, Intent, Interest};
use crate::domain::ids::{ClusterKey, JobKey};
use crate::domain::job::{JobKind, Mode};
use crate::domain::snapshot::{Notice, SourceKind, SourceState, SourceView};
use crate::flink::FlinkClient;
use crate::state::journal::Closing;

/// Commands that wait to be routed.
const COMMANDS: usize = 64;

/// Starts a control loop. It runs until every clone of the handle's command sender is dropped or the join handle is aborted.
pub fn start(config: ControlConfig, parts: Parts) -> (Handle, JoinHandle<()>) {
    let Parts { clock, store, journal, recovery, flink, kubernetes, contexts } = parts;
    let views = flink.iter().map(flink_view).chain(kubernetes.iter().map(kubernetes_view)).collect();
    let notices = config.notices.iter().cloned().chain(armed(&config)).collect();
    let board = Arc::new(Board::new(Arc::clone(&clock), config.read_only, notices, views));
    let (commands, orders) = mpsc::channel(COMMANDS);
    let (interest, seen) = watch::channel(Interest::default());
    let (snapshots, published) = watch::channel(Arc::new(board.snapshot(0, clock.now())));
    let shared = Arc::new(Shared::new(config, clock, store, journal, recovery, board, seen, contexts));
    shared.board.put_plans(shared.desk.shown());
    let task = tokio::spawn(run(shared, orders, snapshots, flink, kubernetes));
    (Handle { snapshots: published, commands, interest }, task)
}

/// The auto mode is armed by configuration and stands in the header.
fn armed(config: &ControlConfig) -> Option<Notice> {
    let named: Vec<&str> = config.jobs.iter().filter(|j| j.mode == Some(Mode::Auto)).map(|j| j.name.as_str()).collect();
    let text = match (config.mode, named.as_slice()) {
        (Mode::Auto, _) => "the auto mode is armed: decisions are applied without asking".to_owned(),
        (_, []) => return None,
        (_, named) => format!("the auto mode is armed for {}: decisions are applied without asking", named.join(", ")),
    };
    let disarmed = if config.read_only { " (not while --read-only is set)" } else { "" };
    Some(Notice { short: "auto".to_owned(), text: text + disarmed })
}

fn flink_view(source: &FlinkSource) -> SourceView {
    SourceView {
        id: source.id.clone(),
        kind: SourceKind::Flink,
        address: source.transport.target().to_owned(),
        state: SourceState::Connecting,
        last_ok: None,
        version: None,
        insecure: source.insecure,
    }
}

pub(super) fn kubernetes_view(source: &KubernetesSource) -> SourceView {
    SourceView {
        id: source.id.clone(),
        kind: SourceKind::Kubernetes,
        address: source.address.clone(),
        state: SourceState::Connecting,
        last_ok: None,
        version: None,
        insecure: source.insecure,
    }
}

/// Ends every task of the loop when the supervisor itself ends, in whatever way.
struct EndAll(Arc<Shared>);

impl Drop for EndAll {
    fn drop(&mut self) {
        self.0.abort_all();
    }
}

async fn run(
    shared: Arc<Shared>,
    mut orders: mpsc::Receiver<Command>,
    snapshots: watch::Sender<Arc<crate::domain::snapshot::Snapshot>>,
    flink: Vec<FlinkSource>,
    kubernetes: Vec<KubernetesSource>,
) {
    let _end = EndAll(Arc::clone(&shared));
    let board = Arc::clone(&shared.board);
    shared.spawn(async move { board.publish(snapshots).await });
    for source in flink {
        shared.spawn(watch_flink(Arc::clone(&shared), source));
    }
    let apis: Vec<Arc<dyn ClusterApi>> = kubernetes.iter().map(|source| Arc::clone(&source.api)).collect();
    for source in kubernetes {
        shared.spawn(super::fleet::watch_kubernetes(Arc::clone(&shared), source));
    }
    while let Some(command) = orders.recv().await {
        if command.intent == Intent::Reconnect {
            reconnect(&shared, &apis, command);
        } else {
            route(&shared, command);
        }
    }
}

/// Ends every pause between two attempts to reach a source.
fn reconnect(shared: &Shared, apis: &[Arc<dyn ClusterApi>], command: Command) {
    let (issuer, id) = (command.issuer, command.id);
    shared.board.put_command(command, CommandStage::Requested);
    shared.reconnect.notify_waiters();
    for api in apis {
        api.retry_now();
    }
    shared.board.stage(issuer, id, CommandStage::Observed, None);
}

/// Polls a plain Flink cluster and starts a pilot for every job of it.
async fn watch_flink(shared: Arc<Shared>, source: FlinkSource) {
    let link = Arc::new(ClusterLink::new(
        ClusterKey::new(format!("flink:{}", source.id)),
        source.id.clone(),
        source.id.to_string(),
        None,
        source.ui_url.clone(),
        FlinkClient::new(Arc::clone(&source.transport), shared.config.client),
        true,
    ));
    shared.register_link(&link);
    let name = format!("cluster {}", link.key);
    let told = Arc::clone(&shared);
    let id = source.id.clone();
    let failed = move |why: &str, pause: std::time::Duration| {
        let now = told.now();
        told.board.update_source(&id, true, |view| {
            let error = format!("the poller failed ({why}) and is started again");
            view.state = SourceState::Lost { since: now, attempt: 1, next_attempt_at: now + pause, error };
        });
    };
    supervise(&name, failed, move || {
        let (shared, link) = (Arc::clone(&shared), Arc::clone(&link));
        async move {
            let listed = {
                let (shared, link) = (Arc::clone(&shared), Arc::clone(&link));
                move |state: &ClusterState| plain_jobs(&shared, &link, state)
            };
            cluster::poll(shared, link, listed).await;
        }
    })
    .await;
}

/// Starts a pilot for every job of a plain Flink cluster that has none.
fn plain_jobs(shared: &Arc<Shared>, link: &Arc<ClusterLink>, state: &ClusterState) {
    let prefix = format!("flink:{}:", link.source);
    for job in state.jobs.values() {
        let subject = Subject {
            key: JobKey::new(format!("{prefix}{}", job.id)),
            kind: JobKind::FlinkJob,
            namespace: None,
            name: job.name.clone(),
            job: Some(job.id),
            resource: None,
            kube: None,
            around: crate::control::kube::Around::default(),
        };
        pilot::spawn(shared, link, subject);
    }
    // Effects that were open when an earlier process ended, on jobs that are gone since.
    let gone = |subject: &str| {
        let id = subject.strip_prefix(&prefix).and_then(|id| id.parse().ok());
        id.is_some_and(|id| !state.jobs.contains_key(&id))
    };
    for open in shared.take_recovered(|o| gone(&o.subject)) {
        let shared = Arc::clone(shared);
        let result = Closing::FoundNotApplied { why: "the job is gone".into() };
        shared.clone().spawn(async move { realize::close(&shared, open.id, result).await });
    }
}

/// Hands a command to the job it is about, or refuses it.
fn route(shared: &Arc<Shared>, command: Command) {
    let board = &shared.board;
    let (issuer, id) = (command.issuer, command.id);
    if board.has_command(issuer, id) {
        // The same command twice (a resent line, a repeated key) is one command.
        tracing::debug!(?issuer, ?id, "a command came twice");
        return;
    }
    let mut shown = command.clone();
    if let Intent::Plan(order) = &mut shown.intent {
        *order = order.redacted();
    }
    board.put_command(shown, CommandStage::Requested);
    let refuse = |why: String| board.stage(issuer, id, CommandStage::Refused { why }, None);
    let job = match &command.intent {
        Intent::Approve { decision }
        | Intent::Reject { decision, .. }
        | Intent::Snooze { decision, .. }
        | Intent::Reduce { decision }
        | Intent::Preview { decision } => match board.job_of(*decision) {
            Some(job) => job,
            None => return refuse(format!("there is no decision {decision}")),
        },
        Intent::Refresh { job } | Intent::TakeOver { job } | Intent::HandBack { job } => job.clone(),
        Intent::Reconnect => return refuse("asked of no job".into()),
        Intent::Plan(order) => {
            let order = order.clone();
            return shared.spawn(operations::carry_out(Arc::clone(shared), command, order));
        }
        Intent::AskRights { source } | Intent::SwitchContext { source, .. } => {
            return match shared.fleet(source) {
                Some(fleet) if fleet.try_send(command.clone()).is_ok() => {}
                Some(_) => refuse("too many commands wait for this cluster; try again".into()),
                None => refuse(format!("{source} is no Kubernetes cluster")),
            };
        }
    };
    let Some(pilot) = shared.pilot(&job) else {
        return refuse(format!("the job {job} is gone"));
    };
    match pilot.try_send(Box::new(command)) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(_)) => refuse("too many commands wait for this job; try again".into()),
        Err(mpsc::error::TrySendError::Closed(_)) => refuse(format!("the job {job} is gone")),
    }
}
