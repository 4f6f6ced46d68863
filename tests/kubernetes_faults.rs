//! The control loop against the embedded cluster while its API server misbehaves: nothing is decided or written on old or partial data,
//! the last good rows stay, a loss is said within fifteen seconds, and everything comes back by itself. In paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flightdeck::clock::{Clock, TokioClock};
use flightdeck::control::{ControlConfig, Handle, KubernetesApi, KubernetesSource, Parts, Periods, start};
use flightdeck::domain::command::{Command, CommandId, CommandStage, Intent, Interest, Issuer};
use flightdeck::domain::decision::{Decision, DecisionState};
use flightdeck::domain::ids::SourceId;
use flightdeck::domain::kubernetes::{KubeAction, RolloutEffect, WatchState};
use flightdeck::domain::pods::PodRole;
use flightdeck::domain::snapshot::{Snapshot, SourceState};
use flightdeck::kubernetes::{KubeClient, Limits, Namespaces};
use flightdeck::sim::fault::{Fault, FaultSpec};
use flightdeck::sim::flink_face::FlinkFace;
use flightdeck::sim::kubernetes::kinds::Kind;
use flightdeck::sim::kubernetes::{ApiServer, KubernetesFace};
use flightdeck::sim::operator::Operator;
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::world::SharedWorld;
use flightdeck::state::{Journal, MemoryStore, Recovery};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

/// The job of the demo that wants more.
const JOB: &str = "orders-enrichment";

struct Bench {
    server: ApiServer,
    handle: Handle,
    next: u64,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

fn bench() -> Bench {
    let scenario = Scenario::demo().unwrap();
    let began = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(began));
    let world = SharedWorld::new(scenario.build(clock.now()).unwrap(), Arc::clone(&clock));
    let (of_world, faces) = (world.clone(), Mutex::new(HashMap::<String, FlinkFace>::new()));
    let router = move |name: &str| {
        of_world.with(|w| w.cluster(name).is_some()).then(|| {
            let mut faces = faces.lock().unwrap();
            faces.entry(name.to_owned()).or_insert_with(|| FlinkFace::new(of_world.clone(), name)).router()
        })
    };
    let server = ApiServer::new(world, Arc::new(router));
    let operator = AbortOnDropHandle::new(tokio::spawn(Operator::install(server.clone(), &scenario).run()));
    let face = KubernetesFace::new(server.clone());
    let client = KubeClient::from_service(face, "https://embedded", Limits::default());
    let api = KubernetesApi::new(client, Namespaces::All, Arc::clone(&clock));
    let options = scenario.options.iter().filter(|(k, _)| k.starts_with("job.")).map(|(k, v)| (k.clone(), v.clone()));
    let config = ControlConfig {
        periods: Periods { turn: Duration::from_secs(5), ..Periods::default() },
        options: options.collect(),
        ..ControlConfig::default()
    };
    let source = KubernetesSource {
        id: SourceId::new("demo"),
        address: "https://embedded".into(),
        api: Arc::new(api),
        insecure: false,
    };
    let parts = Parts {
        contexts: None,
        clock,
        store: Arc::new(MemoryStore::new()),
        journal: Journal::in_memory(),
        recovery: Recovery::default(),
        flink: vec![],
        kubernetes: vec![source],
    };
    let (handle, task) = start(config, parts);
    Bench { server, handle, next: 1, _tasks: vec![operator, AbortOnDropHandle::new(task)] }
}

impl Bench {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshots.borrow().clone()
    }

    async fn until(&self, seconds: u64, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let mut snapshots = self.handle.snapshots.clone();
        let waited = tokio::time::timeout(Duration::from_secs(seconds), snapshots.wait_for(|s| wanted(s))).await;
        let found = waited.is_ok();
        let snapshot = self.snapshot();
        let sources: Vec<_> = snapshot.sources.iter().map(|s| &s.state).collect();
        let decision = decision(&snapshot).map(|d| (&d.state, &d.blocked));
        assert!(found, "not within {seconds} s: {what}\n{sources:?}\n{decision:?}");
    }

    async fn pending(&self) -> Arc<Decision> {
        self.until(120, "a decision waits", |s| decision(s).is_some_and(|d| d.state == DecisionState::Pending)).await;
        decision(&self.snapshot()).unwrap().clone()
    }

    fn inject(&self, fault: Fault, seconds: f64) {
        self.server.world().with(|w| w.inject(FaultSpec { at: 0.0, lasts: seconds, fault })).unwrap();
    }

    async fn send(&mut self, intent: Intent, decision: Option<&Decision>) -> CommandStage {
        let id = CommandId(self.next);
        self.next += 1;
        let target = decision.map(|d| d.target.clone());
        let at = self.snapshot().at;
        self.handle.commands.send(Command { id, intent, issuer: Issuer::Screen, target, at }).await.unwrap();
        let stage = |s: &Snapshot| s.commands.iter().find(|c| c.command.id == id).map(|c| c.stage.clone());
        self.until(120, "the command ends", |s| stage(s).is_some_and(|s| s.is_final())).await;
        stage(&self.snapshot()).unwrap()
    }

    /// Generation and annotations of the resource, as the server has them.
    fn resource(&self) -> (Value, Value) {
        self.server.with_store(|s, _| {
            let (_, object) = s.list(Kind::FlinkDeployment, "").find(|(key, _)| key.name == JOB).unwrap();
            (object["metadata"]["generation"].clone(), object["metadata"]["annotations"]["flightdeck/applied"].clone())
        })
    }
}

fn decision(snapshot: &Snapshot) -> Option<&Arc<Decision>> {
    snapshot.decisions.iter().find(|d| d.target.name == JOB)
}

fn lost(snapshot: &Snapshot) -> bool {
    matches!(snapshot.sources[0].state, SourceState::Lost { .. })
}

fn live(snapshot: &Snapshot) -> bool {
    snapshot.sources[0].state == SourceState::Live
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_the_api_server_misbehaves_and_all_comes_back() {
    let mut bench = bench();
    bench.pending().await;
    let (rows, untouched) = (bench.snapshot().jobs.len(), bench.resource());
    let errors = |status| Fault::ApiErrors { status };
    for (fault, is_lost) in [
        (Fault::ApiGone, true),
        // Open watches go on telling: what is known is current, and only new questions fail.
        (errors(503), false),
        (Fault::ApiSlow { delay: 3_600_000 }, false),
        (errors(429), false),
        (errors(401), false),
        (errors(403), false),
    ] {
        let seen = bench.pending().await;
        bench.until(60, "the source answers", live).await;
        bench.inject(fault.clone(), 25.0);
        let began = tokio::time::Instant::now();
        let intent = Intent::Approve { decision: seen.id };
        let (stage, said) = if is_lost {
            bench.until(15, &format!("the loss by {fault:?} is said"), lost).await;
            (bench.send(intent, Some(&seen)).await, true)
        } else {
            (bench.send(intent, Some(&seen)).await, false)
        };
        assert!(!said || began.elapsed() < Duration::from_secs(60), "{fault:?}");
        assert!(
            matches!(
                stage,
                CommandStage::Refused { .. } | CommandStage::Failed { .. } | CommandStage::Superseded { .. }
            ),
            "{fault:?}: {stage:?}"
        );
        assert_eq!(bench.resource(), untouched, "{fault:?}: something was written");
        assert_eq!(bench.snapshot().jobs.len(), rows, "{fault:?}: rows vanished");
        bench.until(120, "the source is back", live).await;
    }
    // With the server well again the same approval goes through.
    tokio::time::sleep(Duration::from_secs(40)).await;
    let seen = bench.pending().await;
    let stage = bench.send(Intent::Approve { decision: seen.id }, Some(&seen)).await;
    assert_eq!(stage, CommandStage::Observed);
    assert_ne!(bench.resource(), untouched);
}

#[tokio::test(start_paused = true)]
async fn cut_watches_and_a_storm_of_410_lose_no_row_and_no_word() {
    let bench = bench();
    bench.pending().await;
    let rows = bench.snapshot().jobs.len();
    for fault in [Fault::WatchDropped, Fault::WatchExpired] {
        bench.inject(fault, 30.0);
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(bench.snapshot().jobs.len(), rows);
        }
        bench
            .until(120, "every watch is live", |s| {
                let watches = &s.kubernetes[0].watches;
                live(s) && !watches.is_empty() && watches.iter().all(|w| w.state == WatchState::Live)
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn pods_rights_events_documents_room_and_a_rehearsal_are_seen() {
    let mut bench = bench();
    let seen = bench.pending().await;
    let snapshot = bench.snapshot();
    let job = snapshot.jobs.iter().find(|j| j.name == JOB).unwrap().clone();
    let pods = snapshot.cluster(&job.cluster).unwrap().pods.clone().unwrap().value;
    assert_eq!(pods.pods.iter().filter(|p| p.role == PodRole::JobManager).count(), 1);
    assert!(pods.pods.iter().any(|p| p.role == PodRole::TaskManager));
    assert!(snapshot.cluster(&job.cluster).unwrap().way.as_ref().unwrap().contains("services proxy"));
    assert!(snapshot.kubernetes[0].features.is_some_and(|f| f.deployments && f.session_jobs));
    assert!(snapshot.kubernetes[0].rights.is_some());
    assert_eq!(snapshot.missing_right(&job, KubeAction::PatchDeployment), None);
    assert_eq!(snapshot.kubernetes[0].events, None, "nobody looks at events");

    let looks = Interest {
        visible: true,
        job: Some(job.key.clone()),
        events: true,
        documents: true,
        capacity: true,
        ..Interest::default()
    };
    bench.handle.interest.send_replace(looks);
    bench
        .until(30, "events, documents and room", |s| {
            let resource = s.job(&job.key).and_then(|j| j.resource.clone()).unwrap();
            let events = resource.events.as_ref().is_some_and(|e| !e.value.is_empty());
            events && resource.documents.is_some() && s.kubernetes[0].capacity.is_some()
        })
        .await;
    let snapshot = bench.snapshot();
    let resource = snapshot.job(&job.key).unwrap().resource.clone().unwrap();
    assert!(resource.documents.as_ref().unwrap().value.spec.contains("flinkConfiguration"));
    let room = &snapshot.kubernetes[0].capacity.as_ref().unwrap().value;
    assert!(room.nodes.iter().all(|n| n.usage.is_some()), "{room:?}");

    let before = bench.resource();
    assert_eq!(bench.send(Intent::Preview { decision: seen.id }, Some(&seen)).await, CommandStage::Observed);
    let preview = bench.snapshot().job(&job.key).unwrap().resource.clone().unwrap().preview.clone().unwrap().value;
    assert!(preview.changes.iter().any(|c| c.path.contains("jobvertex-parallelism-overrides")), "{preview:?}");
    assert!(preview.changes.iter().any(|c| c.path.contains("flightdeck/applied")), "{preview:?}");
    assert!(matches!(preview.effect, RolloutEffect::InPlace | RolloutEffect::Redeploy { .. }));
    assert_eq!(bench.resource(), before, "a rehearsal writes nothing");

    bench.handle.interest.send_replace(Interest::default());
    bench
        .until(30, "nobody looks any more", |s| s.kubernetes[0].events.is_none() && s.kubernetes[0].capacity.is_none())
        .await;
}
