//! The embedded cluster with its operator, and one flightdeck process after another that looks after it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Method, Request, Response};
use flightdeck::clock::Clock;
use flightdeck::control::{ControlConfig, KubernetesApi, KubernetesSource, Periods};
use flightdeck::domain::command::CommandStage;
use flightdeck::domain::ids::SourceId;
use flightdeck::domain::job::{JobState, Mode};
use flightdeck::domain::plan::{Operation, Plan, PlanOrder, PlanSubject};
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::kubernetes::{KubeClient, Limits, Namespaces};
use flightdeck::sim::fault::Fault;
use flightdeck::sim::kubernetes::KubernetesFace;
use flightdeck::sim::kubernetes::kinds::Kind;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::embedded::Embedded;
use super::plans::{Desk, Gate};

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
    pub embedded: Embedded,
    pub gate: Gate,
    effects: Arc<Mutex<Vec<String>>>,
    desk: Desk,
}

impl Deref for Bench {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }
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
        let embedded = Embedded::parse(&text);
        let effects: Arc<Mutex<Vec<String>>> = Arc::default();
        let (clock, patience): (Arc<dyn Clock>, _) = (embedded.clock.clone(), Duration::from_secs(7200));
        let source = source(&embedded, &gate, &effects);
        let desk = Desk::begin(clock, gate.journal(), config, patience, |parts| parts.kubernetes.push(source));
        let bench = Self { embedded, gate, effects, desk };
        let running = |s: &Snapshot| s.jobs.iter().filter(|j| j.state == JobState::Running).count();
        bench.until("the jobs are seen", |s| running(s) >= jobs).await;
        bench
    }

    /// Ends the process where it stands and starts another one, which is not ended.
    pub async fn crash(&mut self) {
        self.gate = Gate::default();
        let source = source(&self.embedded, &self.gate, &self.effects);
        self.desk.crash(|parts| parts.kubernetes.push(source)).await;
    }

    pub fn subject(&self, name: &str) -> PlanSubject {
        let snapshot = self.snapshot();
        let job = snapshot.jobs.iter().find(|j| j.name == name);
        PlanSubject::Job(job.unwrap_or_else(|| panic!("no row {name}")).key.clone())
    }

    pub async fn propose(&mut self, name: &str, operation: Operation) -> Arc<Plan> {
        let subject = self.subject(name);
        self.desk.propose(subject, operation).await
    }

    pub async fn begin(&mut self, plan: &Plan) {
        self.order(PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(plan) }).await;
    }

    pub async fn run(&mut self, name: &str, operation: Operation) -> (CommandStage, Arc<Plan>) {
        let plan = self.propose(name, operation).await;
        self.carry_out(&plan).await
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
        self.embedded.inject(fault, lasts);
    }

    pub fn heal(&self) {
        self.embedded.clear_faults();
    }

    pub fn object(&self, kind: Kind, name: &str) -> Option<Value> {
        self.embedded.object(kind, name)
    }

    /// `lifecycle/job` of a resource, or `gone`.
    pub fn state(&self, kind: Kind, name: &str) -> String {
        let Some(object) = self.object(kind, name) else { return "gone".to_owned() };
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        format!("{}/{}", text("/status/lifecycleState"), text("/status/jobStatus/state"))
    }

    /// Somebody else changes a resource.
    pub fn edit(&self, kind: Kind, name: &str, change: impl FnOnce(&mut Value)) {
        self.embedded.change(kind, "flink", name, change);
    }
}

/// The embedded cluster as a source of a loop, through a way with a gate.
fn source(embedded: &Embedded, gate: &Gate, effects: &Arc<Mutex<Vec<String>>>) -> KubernetesSource {
    let face = KubernetesFace::new(embedded.server.clone());
    let way = Tapped { face, gate: gate.clone(), effects: Arc::clone(effects) };
    let client = KubeClient::from_service(way, "https://embedded", Limits::default());
    let clock: Arc<dyn Clock> = embedded.clock.clone();
    KubernetesSource {
        id: SourceId::new("embedded"),
        address: "https://embedded".into(),
        api: Arc::new(KubernetesApi::new(client, Namespaces::All, clock)),
        insecure: false,
    }
}
