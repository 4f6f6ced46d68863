//! The embedded Kubernetes cluster with its operator in this process, as a service in place of a listener, so that time can be paused;
//! the clients that reach it, with every request they make; and a control loop on it. Each test uses a part of it.
#![allow(dead_code)]

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flightdeck::clock::{Clock, TokioClock};
use flightdeck::control::ports::Contexts;
use flightdeck::control::{ControlConfig, Handle, KubernetesApi, KubernetesSource, Parts, Periods, Ways, start};
use flightdeck::domain::Timestamp;
use flightdeck::domain::command::{Command, CommandId, CommandStage, Intent, Issuer};
use flightdeck::domain::decision::{Decision, DecisionState};
use flightdeck::domain::ids::SourceId;
use flightdeck::domain::job::JobView;
use flightdeck::domain::kubernetes::ResourceView;
use flightdeck::domain::snapshot::{Snapshot, SourceState};
use flightdeck::kubernetes::{KubeClient, Limits, Namespaces};
use flightdeck::sim::fault::{Fault, FaultSpec};
use flightdeck::sim::kubernetes::kinds::Kind;
use flightdeck::sim::kubernetes::store::{Key, Part, Write as Writes};
use flightdeck::sim::kubernetes::{ApiServer, KubernetesFace};
use flightdeck::sim::operator::Operator;
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::serve::Faces;
use flightdeck::sim::world::{SharedWorld, World};
use flightdeck::state::{Journal, MemoryStore, Recovery};
use http::Request;
use kube::client::Body;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

/// The embedded cluster; its operator works while this lives.
pub struct Embedded {
    pub server: ApiServer,
    pub clock: Arc<TokioClock>,
    pub scenario: Scenario,
    /// Every request of its clients: method and address.
    requests: Arc<Mutex<Vec<(String, String)>>>,
    _operator: AbortOnDropHandle<()>,
}

impl Embedded {
    pub fn parse(scenario: &str) -> Self {
        Self::of(Scenario::parse("test.toml", scenario).unwrap())
    }

    pub fn of(scenario: Scenario) -> Self {
        let began = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Arc::new(TokioClock::starting_at(began));
        let world = SharedWorld::new(scenario.build(began).unwrap(), clock.clone());
        let faces = Faces::new(world.clone());
        let server = ApiServer::new(world, Arc::new(move |name: &str| faces.router(name)));
        let operator = tokio::spawn(Operator::install(server.clone(), &scenario).run());
        Self { server, clock, scenario, requests: Arc::default(), _operator: AbortOnDropHandle::new(operator) }
    }

    /// A client of it, whose requests are counted.
    pub fn client(&self, limits: Limits) -> KubeClient {
        let (face, seen) = (KubernetesFace::new(self.server.clone()), Arc::clone(&self.requests));
        let counted = tower::service_fn(move |request: Request<Body>| {
            seen.lock().unwrap().push((request.method().to_string(), request.uri().to_string()));
            face.clone().oneshot(request)
        });
        KubeClient::from_service(counted, "https://embedded", limits)
    }

    /// A source of a loop, under this name.
    pub fn source(&self, id: &str, namespaces: Namespaces, ways: Ways) -> KubernetesSource {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let api = KubernetesApi::new(self.client(Limits::default()), namespaces, clock).with_ways(ways);
        KubernetesSource {
            id: SourceId::new(id),
            address: format!("https://{id}"),
            api: Arc::new(api),
            insecure: false,
        }
    }

    /// Takes the requests that were made since the last time.
    pub fn requests(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    pub fn inject(&self, fault: Fault, seconds: f64) {
        self.server.world().with(|w| w.inject(FaultSpec { at: 0.0, lasts: seconds, fault })).unwrap();
    }

    pub fn clear_faults(&self) {
        self.server.world().with(World::clear_faults);
    }

    /// The object as the server has it.
    pub fn object(&self, kind: Kind, name: &str) -> Option<Value> {
        self.server.with_store(|s, _| s.list(kind, "").find(|(key, _)| key.name == name).map(|(_, o)| (**o).clone()))
    }

    /// Changes an object as somebody else would.
    pub fn change(&self, kind: Kind, namespace: &str, name: &str, edit: impl FnOnce(&mut Value)) {
        let key = Key::new(kind, namespace, name);
        let changed = self.server.with_store(|s, now| {
            s.update(&key, Part::Main, now, Writes::Real, |object| {
                edit(object);
                Ok(())
            })
        });
        changed.unwrap();
    }

    pub fn create(&self, kind: Kind, namespace: &str, name: &str, object: Value) {
        let key = Key::new(kind, namespace, name);
        self.server.with_store(|s, now| s.create(key, object, now, Writes::Real)).unwrap();
    }

    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) {
        let key = Key::new(kind, namespace, name);
        self.server.with_store(|s, now| s.delete(&key, now, Writes::Real)).unwrap();
    }
}

/// A control loop on an embedded cluster.
pub struct Flight {
    pub embedded: Embedded,
    pub handle: Handle,
    next: u64,
    _task: AbortOnDropHandle<()>,
}

impl Flight {
    /// A loop with a turn of five seconds and the options of the scenario, on everything.
    pub fn of(embedded: Embedded) -> Self {
        Self::with(embedded, Namespaces::All, |config| config)
    }

    pub fn demo() -> Self {
        Self::of(Embedded::of(Scenario::demo().unwrap()))
    }

    pub fn with(
        embedded: Embedded,
        namespaces: Namespaces,
        settle: impl FnOnce(ControlConfig) -> ControlConfig,
    ) -> Self {
        Self::reaching(embedded, namespaces, Ways::default(), settle)
    }

    pub fn reaching(
        embedded: Embedded,
        namespaces: Namespaces,
        ways: Ways,
        settle: impl FnOnce(ControlConfig) -> ControlConfig,
    ) -> Self {
        let source = embedded.source("embedded", namespaces, ways);
        Self::switching(embedded, source, None, settle)
    }

    /// A loop on a source of this cluster, from which others can be switched to.
    pub fn switching(
        embedded: Embedded,
        source: KubernetesSource,
        contexts: Option<Arc<dyn Contexts>>,
        settle: impl FnOnce(ControlConfig) -> ControlConfig,
    ) -> Self {
        let clock: Arc<dyn Clock> = embedded.clock.clone();
        let options = embedded.scenario.options.iter().filter(|(key, _)| key.starts_with("job."));
        let config = settle(ControlConfig {
            periods: Periods { turn: Duration::from_secs(5), ..Periods::default() },
            options: options.map(|(key, value)| (key.clone(), value.clone())).collect(),
            ..ControlConfig::default()
        });
        let parts = Parts {
            contexts,
            clock,
            store: Arc::new(MemoryStore::new()),
            journal: Journal::in_memory(),
            recovery: Recovery::default(),
            flink: vec![],
            kubernetes: vec![source],
        };
        let (handle, task) = start(config, parts);
        Self { embedded, handle, next: 1, _task: AbortOnDropHandle::new(task) }
    }

    pub fn inject(&self, fault: Fault, seconds: f64) {
        self.embedded.inject(fault, seconds);
    }

    pub fn clear_faults(&self) {
        self.embedded.clear_faults();
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshots.borrow().clone()
    }

    /// Waits until a snapshot is as wanted.
    pub async fn until(&self, seconds: u64, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let mut snapshots = self.handle.snapshots.clone();
        let waited = tokio::time::timeout(Duration::from_secs(seconds), snapshots.wait_for(|s| wanted(s))).await;
        let found = waited.is_ok();
        assert!(found, "not within {seconds} s: {what}\n{}", describe(&self.snapshot()));
    }

    /// The decision of a job, once one waits for approval.
    pub async fn pending(&self, name: &str) -> Arc<Decision> {
        let waits = |s: &Snapshot| decision(s, name).is_some_and(|d| d.state == DecisionState::Pending);
        self.until(240, &format!("a decision of {name} waits"), waits).await;
        decision(&self.snapshot(), name).unwrap().clone()
    }

    /// Sends a command of a person.
    pub async fn give(&mut self, intent: Intent, decision: Option<&Decision>) -> CommandId {
        let id = CommandId(self.next);
        self.next += 1;
        let (target, at) = (decision.map(|d| d.target.clone()), self.snapshot().at);
        self.handle.commands.send(Command { id, intent, issuer: Issuer::Screen, target, at }).await.unwrap();
        id
    }

    /// Sends a command and waits for its end.
    pub async fn send(&mut self, intent: Intent, decision: Option<&Decision>) -> CommandStage {
        let id = self.give(intent, decision).await;
        self.until(240, "the command ends", |s| stage(s, id).is_some_and(|s| s.is_final())).await;
        stage(&self.snapshot(), id).unwrap()
    }

    pub async fn approve(&mut self, decision: &Decision) -> CommandStage {
        self.send(Intent::Approve { decision: decision.id }, Some(decision)).await
    }

    /// Approves what is proposed for a job; numbers that changed since are looked at and approved again, as a person would.
    pub async fn approve_newest(&mut self, name: &str) -> CommandStage {
        loop {
            let seen = self.pending(name).await;
            match self.approve(&seen).await {
                CommandStage::Superseded { why } if why.contains("numbers changed") => {}
                stage => return stage,
            }
        }
    }

    /// Generation and annotation of ours of a FlinkDeployment, as the server has them: what a write of ours changes.
    pub fn written(&self, name: &str) -> (Value, Value) {
        let object = self.embedded.object(Kind::FlinkDeployment, name).unwrap();
        let meta = &object["metadata"];
        (meta["generation"].clone(), meta["annotations"]["flightdeck/applied"].clone())
    }

    /// What Kubernetes says of a job.
    pub fn resource(&self, name: &str) -> Arc<ResourceView> {
        job(&self.snapshot(), name).unwrap().resource.clone().unwrap()
    }
}

pub fn stage(snapshot: &Snapshot, id: CommandId) -> Option<CommandStage> {
    snapshot.commands.iter().find(|c| c.command.id == id).map(|c| c.stage.clone())
}

pub fn job<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Arc<JobView>> {
    snapshot.jobs.iter().find(|j| j.name == name)
}

pub fn decision<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Arc<Decision>> {
    snapshot.decisions.iter().find(|d| d.target.name == name)
}

pub fn lost(snapshot: &Snapshot) -> bool {
    matches!(snapshot.sources[0].state, SourceState::Lost { .. })
}

pub fn live(snapshot: &Snapshot) -> bool {
    snapshot.sources[0].state == SourceState::Live
}

/// Every watch has contact.
pub fn all_watch(snapshot: &Snapshot) -> bool {
    let watches = &snapshot.kubernetes[0].watches;
    live(snapshot) && !watches.is_empty() && watches.iter().all(|w| w.state == SourceState::Live)
}

/// A snapshot in words, for the message of a test that fails.
pub fn describe(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for source in &snapshot.sources {
        writeln!(text, "{source:?}").unwrap();
    }
    for watch in snapshot.kubernetes.iter().flat_map(|k| k.watches.iter()) {
        writeln!(text, "{} {:?}: {:?}, {} rows", watch.resource, watch.namespace, watch.state, watch.rows).unwrap();
    }
    for job in &snapshot.jobs {
        let turn = job.turn.as_ref().map(|t| format!("{:?}: {}", t.reason.code, t.reason.sentence));
        let rates =
            job.rates.as_ref().map(|r| (r.value.records_in, r.value.lag, r.value.lag_rate, r.value.backpressure));
        let (kind, state, tasks) = (job.kind, &job.state, &job.tasks);
        writeln!(
            text,
            "{} {kind:?} {state:?} {tasks:?} {:?} {turn:?} {rates:?} {:?}",
            job.name, job.health, job.progress
        )
        .unwrap();
    }
    for decision in &snapshot.decisions {
        let changes: Vec<_> = decision.changes.iter().map(|c| (&c.name, c.from, c.to)).collect();
        let (name, id, state) = (&decision.target.name, decision.id, &decision.state);
        writeln!(text, "{name} {id} {state:?} {changes:?} {:?} {:?}", decision.blocked, decision.outcome).unwrap();
    }
    for command in &snapshot.commands {
        writeln!(text, "{:?}: {:?} {:?}", command.command.intent, command.stage, command.waiting_for).unwrap();
    }
    text
}
