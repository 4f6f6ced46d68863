//! The control loop on the embedded cluster of the demo, from end to end through the Kubernetes API, in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flightdeck::clock::{Clock, TokioClock};
use flightdeck::control::{ControlConfig, Handle, KubernetesApi, KubernetesSource, Parts, Periods, start};
use flightdeck::domain::command::{Command, CommandId, CommandStage, Intent, Issuer};
use flightdeck::domain::decision::Decision;
use flightdeck::domain::health::HealthWord;
use flightdeck::domain::ids::SourceId;
use flightdeck::domain::job::JobView;
use flightdeck::domain::reason::ReasonCode;
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::kubernetes::{KubeClient, Limits, Namespaces};
use flightdeck::sim::flink_face::FlinkFace;
use flightdeck::sim::kubernetes::{ApiServer, KubernetesFace};
use flightdeck::sim::operator::Operator;
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::world::SharedWorld;
use flightdeck::state::{Journal, MemoryStore, Recovery};
use tokio_util::task::AbortOnDropHandle;

struct Demo {
    handle: Handle,
    next: u64,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

fn demo(scenario: &Scenario) -> Demo {
    let began = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(began));
    let world = SharedWorld::new(scenario.build(clock.now()).unwrap(), Arc::clone(&clock));
    let faces: Mutex<HashMap<String, FlinkFace>> = Mutex::default();
    let of_world = world.clone();
    let server = ApiServer::new(
        world,
        Arc::new(move |name: &str| {
            of_world.with(|w| w.cluster(name).is_some()).then(|| {
                let mut faces = faces.lock().unwrap();
                faces.entry(name.to_owned()).or_insert_with(|| FlinkFace::new(of_world.clone(), name)).router()
            })
        }),
    );
    let operator = Operator::install(server.clone(), scenario);
    let operator = AbortOnDropHandle::new(tokio::spawn(operator.run()));
    let client = KubeClient::from_service(KubernetesFace::new(server), "https://embedded", Limits::default());
    let api = KubernetesApi::new(client, Namespaces::All, Arc::clone(&clock));
    let options = scenario.options.iter().filter(|(k, _)| k.starts_with("job.")).map(|(k, v)| (k.clone(), v.clone()));
    let config = ControlConfig {
        periods: Periods { turn: Duration::from_secs(5), ..Periods::default() },
        options: options.collect(),
        ..ControlConfig::default()
    };
    let parts = Parts {
        contexts: None,
        clock,
        store: Arc::new(MemoryStore::new()),
        journal: Journal::in_memory(),
        recovery: Recovery::default(),
        flink: vec![],
        kubernetes: vec![KubernetesSource {
            id: SourceId::new("demo"),
            address: "https://embedded".into(),
            api: Arc::new(api),
            insecure: false,
        }],
    };
    let (handle, task) = start(config, parts);
    Demo { handle, next: 1, _tasks: vec![operator, AbortOnDropHandle::new(task)] }
}

impl Demo {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshots.borrow().clone()
    }

    async fn until(&mut self, seconds: u64, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let mut snapshots = self.handle.snapshots.clone();
        let waited = tokio::time::timeout(Duration::from_secs(seconds), snapshots.wait_for(|s| wanted(s))).await;
        let found = waited.is_ok();
        assert!(found, "not within {seconds} s: {what}\n{}", describe(&self.snapshot()));
    }

    async fn approve(&mut self, decision: &Decision) -> CommandId {
        let id = CommandId(self.next);
        self.next += 1;
        let intent = Intent::Approve { decision: decision.id };
        let target = Some(decision.target.clone());
        let command = Command { id, intent, issuer: Issuer::Screen, target, at: decision.proposed_at };
        self.handle.commands.send(command).await.unwrap();
        id
    }
}

fn describe(snapshot: &Snapshot) -> String {
    let jobs = snapshot.jobs.iter().map(|j| {
        let turn = j.turn.as_ref().map(|t| format!("{:?}: {}", t.reason.code, t.reason.sentence));
        let rates = j.rates.as_ref().map(|r| (r.value.records_in, r.value.lag, r.value.lag_rate, r.value.backpressure));
        format!(
            "{} {:?} {:?} {:?} {:?} {turn:?} {rates:?} {:?}",
            j.name, j.kind, j.state, j.tasks, j.health, j.progress
        )
    });
    let decisions = snapshot.decisions.iter().map(|d| {
        let changes: Vec<_> = d.changes.iter().map(|c| (&c.name, c.from, c.to)).collect();
        format!("{} {} {:?} {changes:?} {:?}", d.target.name, d.id, d.state, d.outcome)
    });
    let commands = snapshot.commands.iter().map(|c| format!("{:?}", c.stage));
    let sources = snapshot.sources.iter().map(|s| format!("{s:?}"));
    jobs.chain(decisions).chain(commands).chain(sources).collect::<Vec<_>>().join("\n")
}

fn job<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Arc<JobView>> {
    snapshot.jobs.iter().find(|j| j.name == name)
}

fn decision<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Arc<Decision>> {
    snapshot.decisions.iter().find(|d| d.target.name == name)
}

fn word(snapshot: &Snapshot, name: &str) -> &'static str {
    decision(snapshot, name).map_or("none", |d| d.state.word())
}

#[tokio::test(start_paused = true)]
async fn the_demo_keeps_its_promises() {
    let mut demo = demo(&Scenario::demo().unwrap());
    demo.until(10, "every workload is shown", |s| s.loaded && s.jobs.len() >= 6).await;
    demo.until(90, "a scale-up waits", |s| word(s, "orders-enrichment") == "pending").await;
    let up = decision(&demo.snapshot(), "orders-enrichment").unwrap().clone();
    assert!(up.changes.iter().any(|c| c.to > c.from), "{:?}", up.changes);
    demo.until(60, "a scale-down waits", |s| word(s, "clickstream-sessions") == "pending").await;
    let down = decision(&demo.snapshot(), "clickstream-sessions").unwrap().clone();
    assert!(down.changes.iter().any(|c| c.to < c.from), "{:?}", down.changes);
    let snapshot = demo.snapshot();
    let well = job(&snapshot, "inventory-sync").unwrap();
    assert_eq!(word(&snapshot, "inventory-sync"), "none", "{}", describe(&snapshot));
    assert!(
        matches!(well.turn.as_ref().unwrap().reason.code, ReasonCode::WithinBand | ReasonCode::NoEffectiveChange),
        "{}",
        describe(&snapshot)
    );
    demo.until(60, "one keeps failing", |s| s.jobs.iter().any(|j| j.health.word == HealthWord::Failing)).await;

    let up = decision(&demo.snapshot(), "orders-enrichment").unwrap().clone();
    let id = demo.approve(&up).await;
    let stage = |s: &Snapshot| s.commands.iter().find(|c| c.command.id == id).map(|c| c.stage.clone());
    demo.until(60, "the approval ends", |s| stage(s).is_some_and(|s| s.is_final())).await;
    assert_eq!(stage(&demo.snapshot()), Some(CommandStage::Observed), "{}", describe(&demo.snapshot()));
    demo.until(120, "the outcome is judged", |s| s.decision(up.id).is_some_and(|d| d.state.is_final())).await;
    let judged = demo.snapshot().decision(up.id).unwrap().clone();
    assert_eq!(judged.state.word(), "confirmed", "{}", describe(&demo.snapshot()));
    assert!(judged.outcome.as_ref().unwrap().downtime.is_some());
}

#[tokio::test(start_paused = true)]
async fn another_step_in_the_scenario_is_another_proposal() {
    let proposed = async |to: &str| {
        let text = include_str!("../assets/scenarios/demo.toml");
        let changed = text.replace("to = 2600", &format!("to = {to}"));
        assert!(to == "2600" || changed != text);
        let mut demo = demo(&Scenario::parse("demo.toml", &changed).unwrap());
        demo.until(90, "a proposal", |s| word(s, "orders-enrichment") == "pending").await;
        // One full window after the step, when the backlog of both is counted the same way.
        tokio::time::sleep(Duration::from_secs(40)).await;
        let changes = decision(&demo.snapshot(), "orders-enrichment").unwrap().changes.clone();
        changes.iter().map(|c| c.to).max().unwrap()
    };
    let (large, larger) = (proposed("2600").await, proposed("6000").await);
    assert!(larger > large, "{larger} is not more than {large}");
}
