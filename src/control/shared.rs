//! What every task of the loop shares: settings, parts, the board, the way of commands, and supervision.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::board::Board;
use super::cluster::ClusterLink;
use super::config::ControlConfig;
use super::operations::Desk;
use super::ports::{ClusterApi, Contexts};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::command::{Command, CommandId, Interest};
use crate::domain::ids::{ClusterKey, JobKey, SourceId};
use crate::state::journal::{Journal, Opened, Recovery};
use crate::state::store::StateStore;

/// Orders that wait for one job; a person is not faster.
const ORDERS: usize = 16;
/// First pause before a failed task is started again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A command on its way to a job. Boxed: a channel keeps room for 32 at once, and there is one for every job.
pub(super) type Order = Box<Command>;

/// What every task shares.
pub(super) struct Shared {
    pub config: ControlConfig,
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn StateStore>,
    pub journal: Journal,
    pub board: Arc<Board>,
    pub interest: watch::Receiver<Interest>,
    /// Ends the pauses of pollers whose source does not answer.
    pub reconnect: Notify,
    pub desk: Desk,
    /// Other contexts that can be looked at.
    pub contexts: Option<Arc<dyn Contexts>>,
    recovered: Mutex<Vec<Opened>>,
    links: Mutex<HashMap<ClusterKey, Weak<ClusterLink>>>,
    pilots: Mutex<HashMap<JobKey, mpsc::Sender<Order>>>,
    fleets: Mutex<HashMap<SourceId, mpsc::Sender<Command>>>,
    apis: Mutex<HashMap<SourceId, Arc<dyn ClusterApi>>>,
    tasks: Mutex<JoinSet<()>>,
    ids: AtomicU64,
}

impl Shared {
    #[allow(clippy::too_many_arguments)] // each is a part of its own
    pub fn new(
        config: ControlConfig,
        clock: Arc<dyn Clock>,
        store: Arc<dyn StateStore>,
        journal: Journal,
        recovery: Recovery,
        board: Arc<Board>,
        interest: watch::Receiver<Interest>,
        contexts: Option<Arc<dyn Contexts>>,
    ) -> Self {
        Self {
            config,
            clock,
            store,
            journal,
            board,
            interest,
            reconnect: Notify::new(),
            contexts,
            desk: Desk::with_recovered(recovery.plans, recovery.ended),
            recovered: Mutex::new(recovery.open),
            links: Mutex::default(),
            pilots: Mutex::default(),
            fleets: Mutex::default(),
            apis: Mutex::default(),
            tasks: Mutex::default(),
            ids: AtomicU64::new(1),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh id for a command of the auto mode, or for a journal record.
    pub fn next_id(&self) -> CommandId {
        CommandId(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Opens the way of orders to a job's pilot; `None` if one flies already.
    pub fn register(&self, job: &JobKey) -> Option<mpsc::Receiver<Order>> {
        let mut pilots = lock(&self.pilots);
        if pilots.contains_key(job) {
            return None;
        }
        let (send, receive) = mpsc::channel(ORDERS);
        pilots.insert(job.clone(), send);
        Some(receive)
    }

    /// Closes the way of orders to a job.
    pub fn unregister(&self, job: &JobKey) {
        lock(&self.pilots).remove(job);
    }

    /// The way of orders to a job.
    pub fn pilot(&self, job: &JobKey) -> Option<mpsc::Sender<Order>> {
        lock(&self.pilots).get(job).cloned()
    }

    /// Makes a cluster known to operations for as long as it is watched.
    pub fn register_link(&self, link: &Arc<ClusterLink>) {
        let mut links = lock(&self.links);
        // Looked through before it would grow, so that a thousand clusters are not looked through a thousand times.
        if links.len() == links.capacity() {
            links.retain(|_, link| link.strong_count() > 0);
        }
        links.insert(link.key.clone(), Arc::downgrade(link));
    }

    /// How many clusters are watched, those that are gone since the last look among them.
    pub fn links(&self) -> usize {
        lock(&self.links).len()
    }

    /// A cluster that is watched.
    pub fn link(&self, cluster: &ClusterKey) -> Option<Arc<ClusterLink>> {
        lock(&self.links).get(cluster).and_then(Weak::upgrade)
    }

    /// Opens the way of orders to a Kubernetes cluster; an earlier way ends.
    pub fn register_fleet(&self, source: &SourceId, api: &Arc<dyn ClusterApi>) -> mpsc::Receiver<Command> {
        let (send, receive) = mpsc::channel(ORDERS);
        lock(&self.apis).insert(source.clone(), Arc::clone(api));
        lock(&self.fleets).insert(source.clone(), send);
        receive
    }

    /// Closes the way of orders to a Kubernetes cluster.
    pub fn unregister_fleet(&self, source: &SourceId) {
        lock(&self.fleets).remove(source);
        lock(&self.apis).remove(source);
    }

    /// The way of orders to a Kubernetes cluster.
    pub fn fleet(&self, source: &SourceId) -> Option<mpsc::Sender<Command>> {
        lock(&self.fleets).get(source).cloned()
    }

    /// A Kubernetes cluster that is watched.
    pub fn api(&self, source: &SourceId) -> Option<Arc<dyn ClusterApi>> {
        lock(&self.apis).get(source).cloned()
    }

    /// Takes the effects that an earlier process left open and that `belongs` claims.
    pub fn take_recovered(&self, belongs: impl Fn(&Opened) -> bool) -> Vec<Opened> {
        let mut all = lock(&self.recovered);
        let (taken, rest) = std::mem::take(&mut *all).into_iter().partition(|o| belongs(o));
        *all = rest;
        taken
    }

    /// Gives back an effect that could not be looked into yet.
    pub fn give_back(&self, open: Opened) {
        lock(&self.recovered).push(open);
    }

    /// Spawns a task that ends with the loop.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Ends all tasks.
    pub fn abort_all(&self) {
        lock(&self.tasks).abort_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a task and starts it again when it panics, with pauses that double up to a minute; `failed` is told each time.
pub(super) async fn supervise<F, T>(name: &str, mut failed: impl FnMut(&str, Duration), mut make: F)
where
    F: FnMut() -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let began = tokio::time::Instant::now();
        let Err(error) = AbortOnDropHandle::new(tokio::spawn(make())).await else { return };
        let Ok(panic) = error.try_into_panic() else { return };
        let why = panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a defect".into());
        if began.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        tracing::error!(task = name, why, pause_seconds = pause.as_secs(), "a task failed and is started again");
        failed(&why, pause);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A pause before attempt `attempt` (from 1) to reach a source: 1 s, doubling up to `longest`, with jitter of a quarter so that
/// many clients do not come back at once.
pub(super) fn pause_before(attempt: u32, longest: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher};
    let base = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest);
    let random = std::hash::RandomState::new().build_hasher().finish();
    base.mul_f64(0.75 + 0.5 * (random as f64 / u64::MAX as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_with_growing_pauses() {
        let runs = Arc::new(AtomicU32::new(0));
        let mut told = Vec::new();
        let counter = Arc::clone(&runs);
        supervise(
            "t",
            |why, pause| told.push((why.to_owned(), pause.as_secs())),
            move || {
                let counter = Arc::clone(&counter);
                async move {
                    let run = counter.fetch_add(1, Ordering::Relaxed);
                    assert!(run >= 3, "run {run}");
                }
            },
        )
        .await;
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        assert_eq!(told, [("run 0".into(), 1), ("run 1".into(), 2), ("run 2".into(), 4)]);
    }

    #[test]
    fn pauses_double_up_to_their_limit() {
        for _ in 0..100 {
            let longest = Duration::from_secs(30);
            let third = pause_before(3, longest).as_secs_f64();
            assert!((3.0..=5.0).contains(&third), "{third}");
            assert!(pause_before(60, longest) <= longest.mul_f64(1.25));
        }
    }
}
