//! The loop from end to end in paused time, against a small Flink in memory.

mod fake;
mod flink;
mod kubernetes;
mod looking;
mod rollback;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use self::fake::Fake;
use super::*;
use crate::clock::TokioClock;
use crate::domain::command::{Command, CommandId, CommandStage, Intent, Issuer};
use crate::domain::decision::{Decision, DecisionState, Target};
use crate::domain::ids::{JobKey, SourceId};
use crate::domain::job::JobView;
use crate::domain::reason::ReasonCode;
use crate::domain::snapshot::Snapshot;
use crate::state::journal::{Journal, Recovery};
use crate::state::store::MemoryStore;

/// A running loop over the fake, and how to look at it.
struct Bench {
    fake: Fake,
    handle: Handle,
    journal: Journal,
    store: Arc<MemoryStore>,
    next_command: u64,
    task: JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config() -> ControlConfig {
    let options = [
        ("job.autoscaler.stabilization.interval", "10 s"),
        ("job.autoscaler.metrics.window", "40 s"),
        ("job.autoscaler.scale-down.interval", "0 s"),
        ("job.autoscaler.restart.time", "10 s"),
        ("job.autoscaler.catch-up.duration", "2 min"),
        ("job.autoscaler.target.utilization.boundary", "0.1"),
    ];
    ControlConfig {
        periods: Periods { turn: Duration::from_secs(5), ..Periods::default() },
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..ControlConfig::default()
    }
}

impl Bench {
    fn start(fake: Fake, config: ControlConfig) -> Self {
        Self::start_with(fake, config, Recovery::default())
    }

    fn start_with(fake: Fake, config: ControlConfig, recovery: Recovery) -> Self {
        let journal = Journal::in_memory();
        let store = Arc::new(MemoryStore::new());
        let parts = Parts {
            contexts: None,
            clock: Arc::new(TokioClock::starting_at(Fake::start())),
            store: store.clone(),
            journal: journal.clone(),
            recovery,
            flink: vec![FlinkSource {
                id: SourceId::new("fake"),
                transport: Arc::new(fake.clone()),
                ui_url: None,
                insecure: false,
            }],
            kubernetes: vec![],
        };
        let (handle, task) = start(config, parts);
        Self { fake, handle, journal, store, next_command: 1, task }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshots.borrow().clone()
    }

    fn key() -> JobKey {
        JobKey::new(format!("flink:fake:{}", fake::JOB))
    }

    fn job(&self) -> Arc<JobView> {
        self.snapshot().job(&Self::key()).expect("the job is there").clone()
    }

    fn code(&self) -> ReasonCode {
        self.job().turn.as_ref().expect("a turn was made").reason.code
    }

    fn sentence(&self) -> String {
        self.job().turn.as_ref().expect("a turn was made").reason.sentence.clone()
    }

    fn decision(&self) -> Arc<Decision> {
        self.snapshot().decisions.first().expect("a decision is there").clone()
    }

    /// Waits until the snapshot is as wanted, at most `seconds` of virtual time.
    async fn until(&mut self, seconds: u64, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let mut snapshots = self.handle.snapshots.clone();
        let waited = tokio::time::timeout(Duration::from_secs(seconds), snapshots.wait_for(|s| wanted(s))).await;
        let found = waited.is_ok();
        assert!(found, "not within {seconds} s: {what}\n{}", self.describe());
    }

    async fn until_decision(&mut self, seconds: u64, word: &str) {
        self.until(seconds, word, |s| s.decisions.first().is_some_and(|d| d.state.word() == word)).await;
    }

    async fn until_code(&mut self, seconds: u64, code: ReasonCode) {
        self.until(seconds, code.id(), |s| {
            s.jobs.first().and_then(|j| j.turn.as_ref()).is_some_and(|t| t.reason.code == code)
        })
        .await;
    }

    async fn wait(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    fn describe(&self) -> String {
        let snapshot = self.snapshot();
        let job = snapshot.jobs.first();
        format!(
            "turn {:?}\nhealth {:?}\nrates {:?}\nprogress {:?}\ndecisions {:#?}\ncommands {:?}",
            job.and_then(|j| j.turn.as_ref()).map(|t| &t.reason),
            job.map(|j| &j.health),
            job.map(|j| &j.rates),
            job.map(|j| &j.progress),
            snapshot.decisions.iter().map(|d| (d.id, &d.state, &d.changes)).collect::<Vec<_>>(),
            snapshot.commands.iter().map(|c| (c.command.id, &c.stage)).collect::<Vec<_>>(),
        )
    }

    async fn send(&mut self, intent: Intent, target: Option<Target>) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        let command = Command { id, intent, issuer: Issuer::Screen, target, at: Fake::start() };
        self.handle.commands.send(command).await.unwrap();
        id
    }

    /// Approves the newest decision as a person who saw it.
    async fn approve(&mut self) -> CommandId {
        let decision = self.decision();
        self.send(Intent::Approve { decision: decision.id }, Some(decision.target.clone())).await
    }

    async fn until_final(&mut self, id: CommandId) -> CommandStage {
        let stage = |s: &Snapshot| s.commands.iter().find(|c| c.command.id == id).map(|c| c.stage.clone());
        self.until(700, "the command ends", |s| stage(s).is_some_and(|s| s.is_final())).await;
        stage(&self.snapshot()).unwrap()
    }

    fn words(&self) -> Vec<&'static str> {
        self.decision().life.iter().map(|e| e.state.word()).collect()
    }
}

/// A rate that parallelism 2 cannot do: a backlog grows.
const OVERLOAD: f64 = 350.0;
/// A rate that parallelism 2 can just do, above its band: no backlog, so the proposal stays the same for hours.
const BUSY: f64 = 190.0;

/// A loop with a pending decision to scale up.
async fn with_pending() -> Bench {
    with_pending_by(config()).await
}

async fn with_pending_by(config: ControlConfig) -> Bench {
    with_pending_at(OVERLOAD, config).await
}

async fn with_pending_at(rate: f64, config: ControlConfig) -> Bench {
    let mut bench = Bench::start(Fake::new(rate), config);
    bench.until_decision(120, "pending").await;
    bench
}
