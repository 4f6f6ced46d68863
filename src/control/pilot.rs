//! The pilot of one job: the task that watches it, runs its turns, keeps its decisions and carries out its commands.
//!
//! One task per job, so that commands on a job are carried out one after the other. Jobs that nobody pilots or looks at cost
//! nothing but the lists of their cluster.

mod advice;
mod apply;
mod orders;
mod switch;
mod turn;
mod view;
mod watching;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::cluster::{Attention, CloseWatch, ClusterLink, ClusterState};
use super::collect::Collecting;
use super::decisions::outcome::Pursuit;
use super::decisions::{Book, StableHash};
use super::kube::{Around, KubeLink};
use super::ports::Resource;
use super::rates::Readings;
use super::shared::{Order, Shared, supervise};
use crate::autoscaler::options::{Layer, Options};
use crate::domain::Timestamp;
use crate::domain::command::{CommandId, Interest, Issuer};
use crate::domain::decision::DecisionId;
use crate::domain::evaluation::Evaluation;
use crate::domain::freshness::Observed;
use crate::domain::ids::{JobId, JobKey, RunId, VertexId};
use crate::domain::job::{
    CheckpointsView, JobKind, JobState, Mode, Ownership, ProblemsView, Realization, TaskCounts, VertexView,
};
use crate::domain::kubernetes::{ChangePreview, ConflictRow, ResourceDocuments};
use crate::domain::memory::MemoryOutlook;
use crate::domain::reason::Reason;
use crate::domain::scaling::ScalingState;
use crate::domain::topology::Topology;
use crate::domain::window::{MetricWindow, WindowStatus};
use crate::flink::{CheckpointConfig, JobDetails};
use crate::state::store::StoredJob;

/// A wake-up that never comes while something else is due.
const FAR: Duration = Duration::from_secs(3600);

/// Which job, as its cluster or its resource describes it.
#[derive(Clone)]
pub(super) struct Subject {
    pub key: JobKey,
    pub kind: JobKind,
    pub namespace: Option<String>,
    pub name: String,
    /// Flink's id, once known.
    pub job: Option<JobId>,
    /// The resource that describes it, if an operator manages it.
    pub resource: Option<Arc<Resource>>,
    /// The Kubernetes cluster where that resource is.
    pub kube: Option<Arc<KubeLink>>,
    /// What that cluster says around the resource.
    pub around: Around,
}

/// The decision that is being applied or measured, and the command behind it.
struct Chase {
    decision: DecisionId,
    command: (Issuer, CommandId),
    pursuit: Pursuit,
    /// Until the effect is seen.
    close_watch: Option<CloseWatch>,
}

/// A take-over or hand-back that was accepted and is not seen yet.
struct Switching {
    command: (Issuer, CommandId),
    generation: i64,
    patience: Instant,
}

/// When what is due.
struct Schedule {
    turn: Instant,
    details: Instant,
    checkpoints: Instant,
    problems: Instant,
    subtasks: Instant,
    watermarks: Instant,
    documents: Instant,
}

pub(super) struct Pilot {
    shared: Arc<Shared>,
    link: Arc<ClusterLink>,
    subjects: watch::Receiver<Subject>,
    subjects_end: bool,
    orders: mpsc::Receiver<Order>,
    clusters: watch::Receiver<Arc<ClusterState>>,
    interests: watch::Receiver<Interest>,

    subject: Subject,
    cluster: Arc<ClusterState>,
    interest: Interest,
    mode: Mode,
    ownership: Ownership,
    realization: Realization,
    options: Options,
    /// Those that are configured somewhere: key, value, layer.
    options_shown: Arc<Vec<(String, String, String)>>,
    /// Why the options forbid to act, if they do.
    options_wrong: Option<String>,

    state: JobState,
    state_since: Timestamp,
    tasks: TaskCounts,
    ran: bool,
    details: Option<Observed<JobDetails>>,
    topology: Option<Arc<Topology>>,
    incomplete: Vec<VertexId>,

    collecting: Collecting,
    readings: Readings,
    /// The vertices by the latest readings.
    vertices: Arc<Vec<VertexView>>,
    window: MetricWindow,
    window_shown: Option<Arc<MetricWindow>>,
    window_run: Option<RunId>,
    status: Option<WindowStatus>,
    scaling: ScalingState,
    evaluation: Option<Arc<Evaluation>>,
    memory_advice: Option<Arc<MemoryOutlook>>,
    checkpoints: Option<Observed<Arc<CheckpointsView>>>,
    checkpoint_config: Option<CheckpointConfig>,
    problems: Option<Observed<Arc<ProblemsView>>>,
    /// Something happened that may have left an entry in the exception history.
    problems_owed: bool,

    book: Book,
    chase: Option<Chase>,
    progress: Option<String>,
    /// Why the last turn did not collect, if it did not.
    told: Option<Reason>,
    schedule: Schedule,
    loaded: bool,
    recovered: bool,
    /// Who else writes or scales the same.
    conflicts: Arc<Vec<ConflictRow>>,
    /// What the change somebody asked about would do.
    preview: Option<Observed<Arc<ChangePreview>>>,
    documents: Option<Observed<Arc<ResourceDocuments>>>,
    /// A take-over or hand-back that was accepted: its command, and the generation in which it is seen.
    switching: Option<Switching>,
    /// A person wants what fits of what is proposed, in this run of the job.
    within_room: Option<RunId>,
    /// The operator's lifecycle state, and since when.
    lifecycle: (Option<String>, Timestamp),
    /// Decisions that were written to the resource from here.
    ours: BTreeSet<DecisionId>,
    /// Another flightdeck wrote the resource: when, and until when that counts.
    another: Option<(Timestamp, Instant)>,
    /// Held while the lists of the cluster are wanted at the usual period.
    attention: Option<Attention>,
}

/// Starts a pilot for a job, unless one flies already. The sender is the way to tell it of changes of its resource.
pub(super) fn spawn(shared: &Arc<Shared>, link: &Arc<ClusterLink>, subject: Subject) -> Option<watch::Sender<Subject>> {
    let orders = shared.register(&subject.key)?;
    let (send, subjects) = watch::channel(subject);
    let pilot = Pilot::new(Arc::clone(shared), Arc::clone(link), subjects, orders);
    pilot.put_view();
    let key = pilot.subject.key.clone();
    let pilot = Arc::new(tokio::sync::Mutex::new(pilot));
    let supervised = Arc::clone(shared);
    shared.spawn(async move {
        let told = Arc::clone(&supervised);
        let failed = |why: &str, pause: Duration| {
            told.board.update_job(&key, |view| {
                view.progress =
                    Some(format!("the loop of this job failed ({why}); next attempt in {} s", pause.as_secs()));
            });
        };
        supervise(&format!("job {key}"), failed, || {
            let pilot = Arc::clone(&pilot);
            async move {
                let mut pilot = pilot.lock().await;
                pilot.forget_what_passes();
                pilot.run().await;
            }
        })
        .await;
        supervised.unregister(&key);
        supervised.board.remove_job(&key);
    });
    Some(send)
}

impl Pilot {
    fn new(
        shared: Arc<Shared>,
        link: Arc<ClusterLink>,
        mut subjects: watch::Receiver<Subject>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        let subject = subjects.borrow_and_update().clone();
        let mut interests = shared.interest.clone();
        let interest = interests.borrow_and_update().clone();
        let mut clusters = link.subscribe();
        let cluster = Arc::clone(&clusters.borrow_and_update());
        let now = Instant::now();
        let offset = first_turn(&subject.key, shared.config.periods.turn);
        let rules = shared.config.rules();
        let mut pilot = Self {
            subjects,
            subjects_end: false,
            orders,
            clusters,
            interests,
            mode: Mode::Off,
            ownership: Ownership::Pilot { why: String::new() },
            realization: Realization::AdviseOnly { why: "not known yet".into() },
            options: Options::built_in(shared.config.compat),
            options_shown: Arc::default(),
            options_wrong: None,
            state: JobState::Unknown,
            state_since: shared.now(),
            tasks: TaskCounts::default(),
            ran: false,
            details: None,
            topology: None,
            incomplete: Vec::new(),
            collecting: Collecting::default(),
            readings: Readings::default(),
            vertices: Arc::default(),
            window: MetricWindow::new(),
            window_shown: None,
            window_run: None,
            status: None,
            scaling: ScalingState::default(),
            evaluation: None,
            memory_advice: None,
            checkpoints: None,
            checkpoint_config: None,
            problems: None,
            problems_owed: true,
            book: Book::new(rules),
            within_room: None,
            chase: None,
            progress: None,
            told: None,
            schedule: Schedule {
                turn: now + offset,
                details: now,
                checkpoints: now,
                problems: now,
                subtasks: now,
                watermarks: now,
                documents: now,
            },
            loaded: false,
            recovered: false,
            conflicts: Arc::default(),
            preview: None,
            documents: None,
            switching: None,
            lifecycle: (None, shared.now()),
            ours: BTreeSet::new(),
            another: None,
            attention: None,
            shared,
            link,
            subject,
            cluster,
            interest,
        };
        pilot.settle_settings();
        pilot
    }

    /// What a defect may have spoiled: everything that can be asked again. Decisions and the change under way stay.
    fn forget_what_passes(&mut self) {
        self.collecting = Collecting::default();
        self.readings = Readings::default();
        self.vertices = Arc::default();
        self.details = None;
        self.topology = None;
    }

    /// Flies until the job is gone. What it does now and then is boxed: there is one such task for every job, and most of them rest.
    async fn run(&mut self) {
        if !self.loaded {
            Box::pin(self.load()).await;
        }
        loop {
            if self.absorb() {
                return self.land();
            }
            let wake = self.next_wake();
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(order) => Box::pin(self.carry_out(*order)).await,
                    None => return self.land(),
                },
                changed = self.subjects.changed(), if !self.subjects_end => self.subjects_end = changed.is_err(),
                changed = self.clusters.changed() => if changed.is_err() { return self.land() },
                changed = self.interests.changed() => if changed.is_err() { return self.land() },
                () = tokio::time::sleep_until(wake) => Box::pin(self.due()).await,
            }
        }
    }

    /// The state of an earlier life of this job, if the store has one.
    async fn load(&mut self) {
        match self.shared.store.load(&self.subject.key).await {
            Ok(Some(StoredJob { scaling, window, run })) => {
                self.scaling = scaling;
                self.window = window;
                self.window_run = run;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "starting without the stored state"),
        }
        self.loaded = true;
    }

    async fn save(&self) {
        let state = StoredJob { scaling: self.scaling.clone(), window: self.window.clone(), run: self.window_run };
        if let Err(error) = self.shared.store.save(&self.subject.key, state).await {
            tracing::error!(%error, "the state of a job is not stored");
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// The run as it was last seen in the job's details.
    fn run_seen(&self) -> Option<RunId> {
        self.details.as_ref().and_then(|d| d.value.run())
    }

    /// The loop of this job computes.
    fn piloted(&self) -> bool {
        self.mode != Mode::Off && matches!(self.ownership, Ownership::Pilot { .. })
    }

    /// A turn has something to do. One that would only say again why no loop runs for this job has not.
    fn wants_turn(&self) -> bool {
        let works = self.piloted() || self.selected() || self.book.current().is_some() || !self.recovered;
        !self.state.is_terminal() && (works || self.standing() != self.told)
    }

    fn selected(&self) -> bool {
        self.interest.visible && self.interest.job.as_ref() == Some(&self.subject.key)
    }

    /// Its row is on screen.
    fn on_screen(&self) -> bool {
        self.interest.visible && self.interest.rows.contains(&self.subject.key)
    }

    fn next_wake(&self) -> Instant {
        let mut wake = Instant::now() + FAR;
        for (due, wanted) in [
            (self.schedule.turn, self.wants_turn()),
            (self.schedule.details, self.wants_details()),
            (self.schedule.checkpoints, self.wants_checkpoints()),
            (self.schedule.problems, self.wants_problems()),
            (self.schedule.subtasks, self.wants_subtasks()),
            (self.schedule.watermarks, self.wants_watermarks()),
            (self.schedule.documents, self.wants_documents()),
            (self.switching.as_ref().map_or(wake, |s| s.patience), self.switching.is_some()),
            (self.another.map_or(wake, |(_, until)| until), self.another.is_some()),
        ] {
            if wanted {
                wake = wake.min(due);
            }
        }
        wake
    }

    /// Does what is due.
    async fn due(&mut self) {
        let now = Instant::now();
        if self.another.is_some_and(|(_, until)| now >= until) {
            self.another = None;
            self.settle_settings();
        }
        if now >= self.schedule.turn && self.wants_turn() {
            self.schedule.turn = next(self.schedule.turn, self.shared.config.periods.turn, now);
            self.turn().await;
        }
        self.watch_due(now).await;
    }

    /// Options, mode, ownership and realization, by what is known now.
    fn settle_settings(&mut self) {
        let config = &self.shared.config;
        let none = std::collections::BTreeMap::new();
        let job = self.subject.resource.as_ref().map_or(&none, |r| &r.configuration);
        let (namespace, name) = (self.subject.namespace.as_deref(), self.subject.name.as_str());
        let own = config.options_of(namespace, name);
        let layers = [(Layer::File, own.as_ref()), (Layer::Cluster, &self.cluster.settings), (Layer::Job, job)];
        let (mut options, problems) = Options::from_layers(config.compat, &layers);
        // Here a mode of our own takes the place of the operator's two switches; they only tell who scales.
        options.enabled = true;
        options.scaling_enabled = true;
        self.options_wrong = problems.iter().find(|p| p.kind.is_error()).map(|p| format!("{}: {}", p.key, p.message));
        self.options_shown = Arc::new(view::configured(&options));
        self.options = options;
        self.mode = config.mode_of(namespace, name);
        let another = self.another.map(|(at, _)| at);
        let subject = &self.subject;
        match &subject.resource {
            Some(resource) => {
                if subject.kind == JobKind::SessionCluster {
                    self.mode = Mode::Off;
                }
                let conflicts = super::conflicts::conflicts(resource, &subject.around.scalers, another);
                if conflicts != *self.conflicts {
                    self.conflicts = Arc::new(conflicts);
                }
                self.ownership = super::ownership::of_resource(resource, &self.conflicts);
                self.realization = super::ownership::realization_of_resource(resource);
            }
            None => {
                let cluster = &self.cluster;
                self.ownership = match subject.namespace {
                    None => super::ownership::of_plain_flink(),
                    Some(_) => super::ownership::of_outsider(&self.link.name),
                };
                self.realization = super::ownership::realization_of_flink(
                    cluster.scheduler(),
                    cluster.web_rescale(),
                    cluster.version(),
                );
            }
        }
    }
}

/// The next instant of a period after `now`; missed ones are not made up for.
fn next(last: Instant, period: Duration, now: Instant) -> Instant {
    let next = last + period;
    if next > now { next } else { now + period }
}

/// Turns of different jobs are spread over the period.
fn first_turn(key: &JobKey, period: Duration) -> Duration {
    let hash = StableHash::new().field(key.as_str().as_bytes()).finish();
    period.mul_f64((hash % 1000) as f64 / 1000.0)
}
