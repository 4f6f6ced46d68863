//! The embedded cluster with its operator, and one flightdeck process after another that looks after it.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Method, Request, Response};
use flightdeck::clock::{Clock, TokioClock};
use flightdeck::control::{ControlConfig, Handle, KubernetesApi, KubernetesSource, Parts, Periods, start};
use flightdeck::domain::command::{Command, CommandId, CommandStage, Intent, Issuer};
use flightdeck::domain::ids::SourceId;
use flightdeck::domain::job::{JobState, Mode};
use flightdeck::domain::plan::{Confirmation, Danger, Operation, Plan, PlanId, PlanOrder, PlanSubject};
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::kubernetes::{KubeClient, Limits, Namespaces};
use flightdeck::sim::fault::{Fault, FaultSpec};
use flightdeck::sim::kubernetes::kinds::Kind;
use flightdeck::sim::kubernetes::store::{Key, Part, Write};
use flightdeck::sim::kubernetes::{ApiServer, KubernetesFace};
use flightdeck::sim::operator::Operator;
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::serve::Faces;
use flightdeck::sim::world::SharedWorld;
use flightdeck::state::journal::{Record, recover};
use flightdeck::state::{Journal, MemoryStore, Recovery};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

const HEAD: &str = r#"
name = "managed"
seed = 1
prerun = "20s"
namespace = "flink"
[operator]
version = "1.15"
reconcile = "3s"
"#;

/// An application that is stopped with a savepoint.
const ORDERS: &str = r#"
[[workload]]
name = "orders"
upgrade-mode = "savepoint"
checkpoints = { interval = "4s" }
[workload.application]
version = "1.20.5"
taskmanagers = { count = 1, max = 4, slots = 2 }
timings = { cooldown = "1s", stabilization = "1s", taskmanager-start = "2s" }
[[workload.vertex]]
name = "Source: orders"
cost = "90us"
source = { rate = { kind = "constant", rate = 100 } }
"#;

/// An application that comes back by its high availability.
const LEDGER: &str = r#"
[[workload]]
name = "ledger"
upgrade-mode = "last-state"
checkpoints = { interval = "4s" }
[workload.application]
version = "1.20.5"
taskmanagers = { count = 1, max = 4, slots = 2 }
timings = { cooldown = "1s", stabilization = "1s", taskmanager-start = "2s" }
[workload.application.config]
"high-availability.type" = "kubernetes"
[[workload.vertex]]
name = "Source: ledger"
cost = "90us"
source = { rate = { kind = "constant", rate = 100 } }
"#;

/// A session cluster with jobs of resources and one submitted by hand.
const SESSION: &str = r#"
[[cluster]]
name = "session"
kind = "session"
version = "1.20.5"
taskmanagers = { count = 2, max = 4, slots = 4 }

[[workload]]
name = "clicks"
cluster = "session"
upgrade-mode = "savepoint"
checkpoints = { interval = "4s" }
[[workload.vertex]]
name = "Source: clicks"
cost = "90us"
source = { rate = { kind = "constant", rate = 100 } }

[[workload]]
name = "counts"
cluster = "session"
upgrade-mode = "stateless"
[[workload.vertex]]
name = "Source: counts"
cost = "90us"
source = { rate = { kind = "constant", rate = 100 } }

[[workload]]
name = "trial"
cluster = "session"
unmanaged = true
[[workload.vertex]]
name = "Source: trial"
cost = "90us"
source = { rate = { kind = "constant", rate = 50 } }
"#;

/// The scenario with what an operation on this target needs, and how many jobs run in it.
fn scenario(on: &str, release: &str) -> (String, usize) {
    let (part, jobs) = match on {
        "orders" => (ORDERS, 1),
        "ledger" => (LEDGER, 1),
        _ => (SESSION, 3),
    };
    let text = format!("{HEAD}{part}");
    (text.replace("version = \"1.15\"", &format!("version = \"{release}\"")), jobs)
}

/// Every journal write and every effect has a moment before and one after; a process can be ended at any of them.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Mutex<(usize, Option<usize>)>>, Arc<tokio::sync::Notify>);

impl Gate {
    /// Counts from here on, and ends the process at this moment, if one is given.
    pub fn arm(&self, moment: Option<usize>) {
        *self.0.lock().unwrap() = (0, moment);
    }

    async fn pass(&self) {
        let here = {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            state.1 == Some(state.0)
        };
        if here {
            self.1.notify_one();
            std::future::pending::<()>().await;
        }
    }

    pub fn passed(&self) -> usize {
        self.0.lock().unwrap().0
    }

    pub async fn reached(&self) -> bool {
        tokio::time::timeout(Duration::from_secs(1800), self.1.notified()).await.is_ok()
    }
}

/// The way to the embedded API server, with the effects that arrived and were taken.
#[derive(Debug, Clone)]
struct Tapped {
    face: KubernetesFace,
    gate: Gate,
    effects: Arc<Mutex<Vec<String>>>,
}

/// A request that changes something.
fn effect(request: &Request<Body>) -> Option<String> {
    let uri = request.uri();
    let rehearsal = uri.query().is_some_and(|query| query.contains("dryRun"));
    if request.method() == Method::GET || rehearsal || uri.path().contains("selfsubject") {
        return None;
    }
    let short = |part: &str| if part.len() == 32 { "ID".to_owned() } else { part.to_owned() };
    let path: Vec<String> = uri.path().split('/').map(short).collect();
    let path = path.join("/");
    let path = path.rsplit_once("/proxy/").map_or(path.as_str(), |(_, rest)| rest);
    let tail = path.rsplit_once("/namespaces/flink/").map_or(path, |(_, tail)| tail);
    // A name that a plan chose ends in the plan's id.
    let tail = tail.split("-flightdeck-").next().unwrap_or(tail);
    Some(format!("{} {tail}", request.method()))
}

impl<B> tower::Service<Request<B>> for Tapped
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = flightdeck::sim::kubernetes::Gone;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut this = self.clone();
        let request = request.map(Body::new);
        async move {
            let effect = effect(&request);
            if effect.is_some() {
                this.gate.pass().await;
            }
            let answer = this.face.call(request).await?;
            if let Some(line) = effect {
                if answer.status().is_success() {
                    this.effects.lock().unwrap().push(line);
                }
                this.gate.pass().await;
            }
            Ok(answer)
        }
        .boxed()
    }
}

pub struct Bench {
    clock: Arc<dyn Clock>,
    pub server: ApiServer,
    pub gate: Gate,
    effects: Arc<Mutex<Vec<String>>>,
    pub journal: Journal,
    handle: Handle,
    next: u64,
    config: ControlConfig,
    task: Option<AbortOnDropHandle<()>>,
    _operator: AbortOnDropHandle<()>,
}

pub fn config() -> ControlConfig {
    ControlConfig {
        periods: Periods { turn: Duration::from_secs(10), ..Periods::default() },
        mode: Mode::Off,
        ..ControlConfig::default()
    }
}

impl Bench {
    /// The cluster with what an operation on this target needs.
    pub async fn on(target: &str) -> Self {
        Self::with(target, "1.15", config()).await
    }

    pub async fn with(target: &str, release: &str, config: ControlConfig) -> Self {
        let gate = Gate::default();
        let (text, jobs) = scenario(target, release);
        let began = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(began));
        let scenario = Scenario::parse("managed", &text).unwrap();
        let world = SharedWorld::new(scenario.build(clock.now()).unwrap(), Arc::clone(&clock));
        let faces = Faces::new(world.clone());
        let server = ApiServer::new(world, Arc::new(move |name: &str| faces.router(name)));
        let operator = Operator::install(server.clone(), &scenario);
        let operator = AbortOnDropHandle::new(tokio::spawn(operator.run()));
        let effects: Arc<Mutex<Vec<String>>> = Arc::default();
        let journal = tapped(Journal::in_memory(), &gate);
        let (handle, task) = begin(&clock, &server, &gate, &effects, &journal, Recovery::default(), &config);
        let mut bench = Self {
            clock,
            server,
            gate,
            effects,
            journal,
            handle,
            next: 1,
            config,
            task: Some(task),
            _operator: operator,
        };
        let running = |s: &Snapshot| s.jobs.iter().filter(|j| j.state == JobState::Running).count();
        bench.until("the jobs are seen", |s| running(s) >= jobs).await;
        bench
    }

    /// Ends the process where it stands and starts another one, which is not ended.
    pub async fn crash(&mut self) {
        drop(self.task.take());
        tokio::task::yield_now().await;
        self.gate = Gate::default();
        let records = self.journal.records();
        self.journal = Journal::in_memory();
        for record in &records {
            self.journal.append(record.clone()).await.unwrap();
        }
        let recovery = recover(&records);
        let (handle, task) =
            begin(&self.clock, &self.server, &self.gate, &self.effects, &self.journal, recovery, &self.config);
        (self.handle, self.task) = (handle, Some(task));
        self.until("it was asked once", |s| s.loaded).await;
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshots.borrow().clone()
    }

    pub fn plan(&self, id: PlanId) -> Arc<Plan> {
        self.snapshot().plan(id).unwrap().clone()
    }

    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let mut snapshots = self.handle.snapshots.clone();
        let found = tokio::time::timeout(Duration::from_secs(7200), snapshots.wait_for(|s| wanted(s))).await.is_ok();
        let snapshot = self.snapshot();
        let jobs: Vec<_> = snapshot.jobs.iter().map(|j| (&j.name, j.kind, j.state)).collect();
        assert!(found, "never: {what}; {jobs:?}; plans {:#?}, commands {:#?}", snapshot.plans, snapshot.commands);
    }

    pub async fn order(&mut self, order: PlanOrder) -> CommandId {
        let id = CommandId(self.next);
        self.next += 1;
        let command =
            Command { id, intent: Intent::Plan(order), issuer: Issuer::Screen, target: None, at: self.clock.now() };
        self.handle.commands.send(command).await.unwrap();
        id
    }

    pub async fn stage(&mut self, order: PlanOrder) -> CommandStage {
        let id = self.order(order).await;
        let of = move |s: &Snapshot| s.commands.iter().find(|c| c.command.id == id).map(|c| c.stage.clone());
        self.until("the command ends", move |s| of(s).is_some_and(|stage| stage.is_final())).await;
        self.snapshot().commands.iter().find(|c| c.command.id == id).unwrap().stage.clone()
    }

    pub fn subject(&self, name: &str) -> PlanSubject {
        let snapshot = self.snapshot();
        let job = snapshot.jobs.iter().find(|j| j.name == name);
        PlanSubject::Job(job.unwrap_or_else(|| panic!("no row {name}")).key.clone())
    }

    pub async fn propose(&mut self, name: &str, operation: Operation) -> Arc<Plan> {
        let id = PlanId(u32::try_from(self.next).unwrap());
        let subject = self.subject(name);
        let stage = self.stage(PlanOrder::Propose { plan: id, subject, operation }).await;
        assert_eq!(stage, CommandStage::Observed);
        self.plan(id)
    }

    pub fn confirmation(plan: &Plan) -> Confirmation {
        match plan.danger {
            Danger::Effect | Danger::Restart => Confirmation::Yes,
            Danger::Loss => Confirmation::Name { name: plan.target.name.clone() },
        }
    }

    pub async fn begin(&mut self, plan: &Plan) {
        self.order(PlanOrder::Run { plan: plan.id, confirmation: Self::confirmation(plan) }).await;
    }

    pub async fn run(&mut self, name: &str, operation: Operation) -> (CommandStage, Arc<Plan>) {
        let plan = self.propose(name, operation).await;
        assert_eq!(plan.blocks, Vec::<String>::new());
        let stage = self.stage(PlanOrder::Run { plan: plan.id, confirmation: Self::confirmation(&plan) }).await;
        (stage, self.plan(plan.id))
    }

    /// Runs a plan that must come to its end.
    pub async fn done(&mut self, name: &str, operation: Operation) -> Arc<Plan> {
        let (stage, plan) = self.run(name, operation).await;
        assert_eq!(stage, CommandStage::Observed, "{plan:#?}");
        plan
    }

    /// Forgets the effects so far.
    pub fn forget(&self) {
        self.effects.lock().unwrap().clear();
    }

    pub fn effects(&self) -> Vec<String> {
        self.effects.lock().unwrap().clone()
    }

    pub fn fault(&self, fault: Fault, lasts: f64) {
        self.server.world().with(|w| w.inject(FaultSpec { at: 0.0, lasts, fault }).unwrap());
    }

    pub fn heal(&self) {
        self.server.world().with(flightdeck::sim::world::World::clear_faults);
    }

    pub fn object(&self, kind: Kind, name: &str) -> Option<Value> {
        self.server.get(&Key::new(kind, "flink", name)).map(|object| (*object).clone())
    }

    /// `lifecycle/job` of a resource, or `gone`.
    pub fn state(&self, kind: Kind, name: &str) -> String {
        let Some(object) = self.object(kind, name) else { return "gone".to_owned() };
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        format!("{}/{}", text("/status/lifecycleState"), text("/status/jobStatus/state"))
    }

    /// Somebody else changes a resource.
    pub fn edit(&self, kind: Kind, name: &str, change: impl FnOnce(&mut Value)) {
        let key = Key::new(kind, "flink", name);
        let changed = self.server.with_store(|store, now| {
            store.update(&key, Part::Main, now, Write::Real, |object| {
                change(object);
                Ok(())
            })
        });
        changed.unwrap();
    }

    /// The journal tells the whole story and nothing is open in it.
    pub fn assert_told(&self, plan: &Plan) {
        let records = self.journal.records();
        assert_eq!(recover(&records).plans, vec![], "nothing is open");
        assert!(records.iter().any(|r| matches!(r, Record::Plan { plan: id, .. } if *id == plan.id)));
    }
}

fn tapped(journal: Journal, gate: &Gate) -> Journal {
    let gate = gate.clone();
    journal.tapped(Arc::new(move |_, _| {
        let gate = gate.clone();
        Box::pin(async move { gate.pass().await })
    }))
}

fn begin(
    clock: &Arc<dyn Clock>,
    server: &ApiServer,
    gate: &Gate,
    effects: &Arc<Mutex<Vec<String>>>,
    journal: &Journal,
    recovery: Recovery,
    config: &ControlConfig,
) -> (Handle, AbortOnDropHandle<()>) {
    let way = Tapped { face: KubernetesFace::new(server.clone()), gate: gate.clone(), effects: Arc::clone(effects) };
    let client = KubeClient::from_service(way, "https://embedded", Limits::default());
    let api = KubernetesApi::new(client, Namespaces::All, Arc::clone(clock));
    let parts = Parts {
        contexts: None,
        clock: Arc::clone(clock),
        store: Arc::new(MemoryStore::new()),
        journal: journal.clone(),
        recovery,
        flink: vec![],
        kubernetes: vec![KubernetesSource {
            id: SourceId::new("embedded"),
            address: "https://embedded".into(),
            api: Arc::new(api),
            insecure: false,
        }],
    };
    let (handle, task) = start(config.clone(), parts);
    (handle, AbortOnDropHandle::new(task))
}
