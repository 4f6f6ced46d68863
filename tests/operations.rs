//! Plans on plain Flink against the embedded cluster, in paused time: what they do, what they refuse, what faults make of them, and
//! that a process which dies at any moment leaves a plan that can be resumed without anything being done twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/plans.rs"]
mod plans;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flightdeck::clock::{Clock, TokioClock};
use flightdeck::control::{ControlConfig, FlinkSource, JobRule, Periods};
use flightdeck::domain::command::CommandStage;
use flightdeck::domain::ids::{ClusterKey, SourceId};
use flightdeck::domain::job::{JobState, Mode};
use flightdeck::domain::plan::{
    Confirmation, Danger, Launch, Operation, Origin, Plan, PlanOrder, PlanState, PlanSubject, SavepointFormat, Shutdown,
};
use flightdeck::flink::{BoxFuture, Request, Response, Transport, TransportError};
use flightdeck::sim::fault::{Fault, FaultSpec};
use flightdeck::sim::flink_face::{FlinkFace, Request as Asked};
use flightdeck::sim::job::JobStatus;
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::world::SharedWorld;
use plans::{Desk, Gate};

const SCENARIO: &str = r#"
name = "operations"
seed = 1
prerun = "2min"
[[cluster]]
name = "main"
version = "1.20.5"
scheduler = "adaptive"
config = { "execution.checkpointing.savepoint-dir" = "s3://bucket/savepoints" }
taskmanagers = { count = 2, slots = 4, memory = "1728m" }
[[workload]]
name = "orders"
cluster = "main"
checkpoints = { interval = "10s" }
[[workload.vertex]]
name = "Source: orders"
parallelism = 1
cost = "20us"
source = { rate = { kind = "constant", rate = 100 }, partitions = 2 }
[[workload.vertex]]
name = "Sink: out"
parallelism = 1
cost = "20us"
inputs = [{ from = "Source: orders", ship = "hash" }]
"#;

/// The way to the embedded JobManager, with the effects that arrived.
#[derive(Debug, Clone)]
struct Way {
    face: FlinkFace,
    gate: Gate,
    effects: Arc<Mutex<Vec<String>>>,
    /// The answer to this effect is lost, once.
    lose: Arc<Mutex<Option<&'static str>>>,
    /// Something in front accepts connections although the JobManager is gone.
    proxied: Arc<std::sync::atomic::AtomicBool>,
}

impl Way {
    fn source(&self) -> FlinkSource {
        FlinkSource { id: SourceId::new("main"), transport: Arc::new(self.clone()), ui_url: None, insecure: false }
    }
}

impl Transport for Way {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(async move {
            let effect = request.method != http::Method::GET && !request.path.ends_with("/plan");
            if effect {
                self.gate.pass().await;
            }
            let asked =
                Asked { method: request.method.to_string(), target: request.path.clone(), body: request.body.to_vec() };
            let gone = match self.proxied.load(std::sync::atomic::Ordering::Relaxed) {
                true => TransportError::Broken("reset".into()),
                false => TransportError::Connect("refused".into()),
            };
            let answer = self.face.call(&asked).await.map_err(|_| gone)?;
            if effect {
                let line = format!("{} {}", request.method, request.path);
                let lost = self.lose.lock().unwrap().take_if(|lose| line.contains(*lose)).is_some();
                self.effects.lock().unwrap().push(line);
                self.gate.pass().await;
                if lost {
                    return Err(TransportError::Broken("reset".into()));
                }
            }
            Ok(Response {
                status: http::StatusCode::from_u16(answer.status).unwrap(),
                headers: http::HeaderMap::new(),
                body: answer.body.to_string().into(),
            })
        })
    }

    fn target(&self) -> &str {
        "http://embedded"
    }
}

/// The embedded cluster, and one process after another that looks after it.
struct Bench {
    world: SharedWorld,
    way: Way,
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

fn launch() -> Launch {
    Launch { jar: "orders.jar".into(), args: vec!["--token=hunter2".into()], ..Launch::default() }
}

fn config() -> ControlConfig {
    ControlConfig {
        periods: Periods { turn: Duration::from_secs(10), ..Periods::default() },
        mode: Mode::Off,
        jobs: vec![JobRule { name: "orders".into(), launch: Some(launch()), ..JobRule::default() }],
        ..ControlConfig::default()
    }
}

impl Bench {
    async fn new(gate: Gate) -> Self {
        Self::with(SCENARIO, gate, config()).await
    }

    async fn with(scenario: &str, gate: Gate, config: ControlConfig) -> Self {
        let began = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(began));
        let scenario = Scenario::parse("operations", scenario).unwrap();
        let world = SharedWorld::new(scenario.build(clock.now()).unwrap(), Arc::clone(&clock));
        let way = Way {
            face: FlinkFace::new(world.clone(), "main"),
            gate: gate.clone(),
            effects: Arc::default(),
            lose: Arc::default(),
            proxied: Arc::default(),
        };
        let patience = Duration::from_secs(1800);
        let desk = Desk::begin(clock, gate.journal(), config, patience, |parts| parts.flink.push(way.source()));
        let bench = Self { world, way, desk };
        bench.until("the job is seen", |s| s.jobs.iter().any(|j| j.state == JobState::Running)).await;
        bench
    }

    /// Ends the process where it stands and starts another one, which is not ended.
    async fn crash(&mut self) {
        self.way.gate = Gate::default();
        let source = self.way.source();
        self.desk.crash(|parts| parts.flink.push(source)).await;
    }

    fn subject(&self, operation: &Operation) -> PlanSubject {
        match operation {
            Operation::Shutdown { .. } => PlanSubject::Cluster(ClusterKey::new("flink:main")),
            _ => {
                let snapshot = self.snapshot();
                let job = snapshot.jobs.iter().find(|j| !j.state.is_terminal()).or(snapshot.jobs.first()).unwrap();
                PlanSubject::Job(job.key.clone())
            }
        }
    }

    async fn propose(&mut self, operation: Operation) -> Arc<Plan> {
        let subject = self.subject(&operation);
        self.desk.propose(subject, operation).await
    }

    async fn run(&mut self, operation: Operation) -> (CommandStage, Arc<Plan>) {
        let plan = self.propose(operation).await;
        self.carry_out(&plan).await
    }

    fn effects(&self) -> Vec<String> {
        let names = |line: &String| {
            let mut words =
                line.split(['/', '?']).map(|part| if part.len() == 32 { "ID" } else { part }).collect::<Vec<_>>();
            words.iter_mut().filter(|w| w.ends_with(".jar")).for_each(|w| *w = "JAR");
            words.join("/")
        };
        self.way.effects.lock().unwrap().iter().map(names).collect()
    }

    fn jobs(&self) -> Vec<JobStatus> {
        self.world.with(|w| w.cluster("main").map(|c| c.jobs.iter().map(|j| j.status).collect()).unwrap_or_default())
    }

    fn fault(&self, fault: Fault, lasts: f64) {
        self.world.with(|w| w.inject(FaultSpec { at: 0.0, lasts, fault }).unwrap());
    }

    fn assert_told(&self, plan: &Plan) {
        let text = serde_json::to_string(&self.journal.records()).unwrap();
        assert!(!text.contains("hunter2"), "no argument of a program is in the journal");
        self.desk.assert_told(plan);
    }
}

fn savepoint() -> Operation {
    Operation::Savepoint { format: SavepointFormat::Native, directory: None }
}

fn stop() -> Operation {
    Operation::StopWithSavepoint { format: SavepointFormat::Canonical, directory: None }
}

fn redeploy(origin: Origin) -> Operation {
    Operation::Redeploy { origin, allow_non_restored: false, launch: None }
}

fn shutdown(form: Shutdown, savepoint: bool) -> Operation {
    Operation::Shutdown { form, savepoint }
}

/// Every operation, the effects it has, and the jobs it leaves.
fn operations() -> Vec<(Operation, Vec<&'static str>, Vec<JobStatus>)> {
    use JobStatus::{Canceled, Finished, Running};
    let (cancel, run, stops) = ("PATCH /jobs/ID/mode=cancel", "POST /jars/JAR/run", "POST /jobs/ID/stop");
    vec![
        (savepoint(), vec!["POST /jobs/ID/savepoints"], vec![Running]),
        (Operation::Checkpoint, vec!["POST /jobs/ID/checkpoints"], vec![Running]),
        (stop(), vec![stops], vec![Finished]),
        (Operation::Cancel, vec![cancel], vec![Canceled]),
        (redeploy(Origin::Now), vec![stops, run], vec![Finished, Running]),
        (redeploy(Origin::Empty), vec![cancel, run], vec![Canceled, Running]),
        (shutdown(Shutdown::Stop, true), vec![stops], vec![Finished]),
        (shutdown(Shutdown::Remove, false), vec![cancel, "DELETE /cluster"], vec![]),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_operation_does_what_it_says_once() {
    for (operation, effects, jobs) in operations() {
        let mut bench = Bench::new(Gate::default()).await;
        let (stage, plan) = bench.run(operation.clone()).await;
        assert_eq!(stage, CommandStage::Observed, "{operation:?}: {plan:#?}");
        assert_eq!(plan.state, PlanState::Done);
        assert_eq!(bench.effects(), effects, "{operation:?}");
        if !jobs.is_empty() {
            assert_eq!(bench.jobs(), jobs, "{operation:?}");
        }
        bench.assert_told(&plan);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_at_any_moment_leaves_a_plan_that_is_resumed_and_nothing_is_done_twice() {
    for (operation, effects, jobs) in operations() {
        let gate = Gate::default();
        let mut bench = Bench::new(gate.clone()).await;
        let (stage, _) = bench.run(operation.clone()).await;
        assert_eq!(stage, CommandStage::Observed);
        let moments = gate.passed();
        assert!(moments >= 8, "{operation:?} has {moments} moments");
        for moment in 1..=moments {
            let gate = Gate::default();
            gate.arm(Some(moment));
            let mut bench = Bench::new(gate.clone()).await;
            let plan = bench.propose(operation.clone()).await;
            bench.order(PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) }).await;
            assert!(gate.reached().await, "{operation:?}: moment {moment} of {moments} was not reached");
            bench.crash().await;
            let known = bench.snapshot().plan(plan.id).cloned();
            let what = format!("{operation:?} at moment {moment} of {moments}");
            match known.map(|plan| plan.state.clone()) {
                Some(PlanState::Interrupted { .. }) => {
                    let stage = PlanOrder::Resume { plan: plan.id, confirmation: Desk::confirmation(&plan) };
                    let stage = bench.stage(stage).await;
                    assert_eq!(stage, CommandStage::Observed, "{what}: {:#?}", bench.snapshot().plans);
                    assert_eq!(bench.effects(), effects, "{what}");
                    if !jobs.is_empty() {
                        assert_eq!(bench.jobs(), jobs, "{what}");
                    }
                    bench.assert_told(&plan);
                }
                // Before the first record nothing was done, after the last one everything.
                Some(PlanState::Done) | None if moment == moments => assert_eq!(bench.effects(), effects, "{what}"),
                None => {
                    assert!(moment <= 1, "{what}: the plan is forgotten");
                    assert_eq!(bench.effects(), Vec::<String>::new(), "{what}");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_up_and_nothing_is_sent_again() {
    for (operation, effects, _) in operations() {
        for lose in ["savepoints", "checkpoints", "stop", "run", "cancel", "cluster"] {
            if !effects.iter().any(|effect| effect.contains(lose)) {
                continue;
            }
            let mut bench = Bench::new(Gate::default()).await;
            *bench.way.lose.lock().unwrap() = Some(lose);
            let (stage, plan) = bench.run(operation.clone()).await;
            assert_eq!(stage, CommandStage::Observed, "{operation:?} without the answer to {lose}: {plan:#?}");
            assert_eq!(bench.effects(), effects);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_jobmanager_behind_a_proxy_is_seen_to_be_gone() {
    let mut bench = Bench::new(Gate::default()).await;
    bench.way.proxied.store(true, std::sync::atomic::Ordering::Relaxed);
    let (stage, plan) = bench.run(shutdown(Shutdown::Remove, true)).await;
    assert_eq!(stage, CommandStage::Observed, "{plan:#?}");
    assert_eq!(bench.effects(), ["POST /jobs/ID/stop", "DELETE /cluster"]);
}

#[tokio::test(start_paused = true)]
async fn a_redeploy_restores_from_the_savepoint_and_goes_on_where_the_old_job_stopped() {
    let mut bench = Bench::new(Gate::default()).await;
    let (stage, plan) = bench.run(redeploy(Origin::Now)).await;
    assert_eq!(stage, CommandStage::Observed);
    let path = plan.steps.iter().find_map(|s| s.result.clone()).unwrap();
    assert!(path.starts_with("s3://bucket/savepoints/"), "{path}");
    bench.world.with(|w| {
        let jobs = &w.cluster("main").unwrap().jobs;
        let restored = jobs[1].checkpoints.restored.as_ref().unwrap();
        assert_eq!(restored.path, path);
    });
    // Now from there again, by path: state since then is given up, so the name is needed.
    let again = bench.propose(redeploy(Origin::Path(path.clone()))).await;
    assert_eq!(again.danger, Danger::Loss);
    assert!(again.lost.iter().any(|l| l.contains("checkpoint")), "{:?}", again.lost);
    let stage = bench.stage(PlanOrder::Run { plan: again.id, confirmation: Confirmation::Yes }).await;
    assert!(matches!(stage, CommandStage::Refused { .. }), "{stage:?}");
    let before = bench.effects().len();
    let wrong = Confirmation::Name { name: "order".into() };
    let stage = bench.stage(PlanOrder::Run { plan: again.id, confirmation: wrong }).await;
    assert!(matches!(stage, CommandStage::Refused { .. }), "{stage:?}");
    assert_eq!(bench.effects().len(), before, "nothing was sent");
    let right = Confirmation::Name { name: "orders".into() };
    let stage = bench.stage(PlanOrder::Run { plan: again.id, confirmation: right }).await;
    assert_eq!(stage, CommandStage::Observed);
}

#[tokio::test(start_paused = true)]
async fn a_path_where_nothing_is_fails_with_flinks_cause_and_says_how_things_stand() {
    let mut bench = Bench::new(Gate::default()).await;
    let (stage, plan) = bench.run(redeploy(Origin::Path("s3://bucket/savepoints/nope".into()))).await;
    let CommandStage::Failed { why } = stage else { panic!("{stage:?}") };
    assert!(why.contains("FAILED") && why.contains("the new one does not run"), "{why}");
    assert!(matches!(plan.state, PlanState::Failed { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_again_is_not_stopped() {
    let mut none = config();
    none.jobs.clear();
    let other = Launch { jar: "payments.jar".into(), ..Launch::default() };
    let class = Launch { entry_class: Some("com.example.Nope".into()), ..launch() };
    let with = |launch: Option<Launch>| Operation::Redeploy { origin: Origin::Now, allow_non_restored: false, launch };
    let off = SCENARIO.replace("config = {", "config = { \"web.submit.enable\" = \"false\",");
    let cases = [
        (SCENARIO, none.clone(), None, "launch"),
        (SCENARIO, none.clone(), Some(other), "no jar"),
        (SCENARIO, none.clone(), Some(class), "entry point"),
        (off.as_str(), config(), None, "/jars"),
    ];
    for (scenario, config, launch, word) in cases {
        let mut bench = Bench::with(scenario, Gate::default(), config).await;
        let plan = bench.propose(with(launch)).await;
        assert!(plan.blocks.iter().any(|b| b.contains(word)), "{word}: {:?}", plan.blocks);
        let stage = bench.stage(PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) }).await;
        assert!(matches!(stage, CommandStage::Refused { .. }), "{stage:?}");
        assert_eq!(bench.effects(), Vec::<String>::new());
        assert_eq!(bench.jobs(), [JobStatus::Running]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_that_fails_leaves_the_job_running_and_says_why() {
    for operation in [savepoint(), stop(), redeploy(Origin::Now)] {
        let mut bench = Bench::new(Gate::default()).await;
        bench.fault(Fault::SavepointFailures { job: "orders".into() }, 3_600.0);
        let (stage, plan) = bench.run(operation.clone()).await;
        let CommandStage::Failed { why } = stage else { panic!("{operation:?}: {stage:?}") };
        assert!(why.contains("failed"), "{why}");
        assert_eq!(bench.jobs(), [JobStatus::Running], "{operation:?}");
        bench.assert_told(&plan);
    }
}

#[tokio::test(start_paused = true)]
async fn a_jobmanager_that_is_away_for_a_while_only_delays_a_plan() {
    for (operation, effects, jobs) in operations() {
        let mut bench = Bench::new(Gate::default()).await;
        let plan = bench.propose(operation.clone()).await;
        bench.fault(Fault::FlinkGone { cluster: "main".into() }, 8.0);
        // While it is away the plan cannot even be checked again.
        let order = PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) };
        let stage = bench.stage(order.clone()).await;
        assert!(matches!(&stage, CommandStage::Failed { why } if why.contains("nothing was sent")), "{stage:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        bench.order(order).await;
        bench.until("it runs", |s| s.plan(plan.id).unwrap().steps.iter().any(|step| step.sent_at.is_some())).await;
        if !matches!(operation, Operation::Shutdown { form: Shutdown::Remove, .. }) {
            bench.fault(Fault::FlinkGone { cluster: "main".into() }, 8.0);
        }
        bench.until("it ends", |s| s.plan(plan.id).unwrap().state.is_final()).await;
        assert_eq!(bench.snapshot().plan(plan.id).unwrap().state, PlanState::Done, "{operation:?}");
        assert_eq!(bench.effects(), effects, "{operation:?}");
        if !jobs.is_empty() {
            assert_eq!(bench.jobs(), jobs);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn read_only_shows_plans_and_runs_none() {
    let mut bench = Bench::with(SCENARIO, Gate::default(), ControlConfig { read_only: true, ..config() }).await;
    for (operation, ..) in operations() {
        let plan = bench.propose(operation).await;
        assert!(plan.blocks.iter().any(|b| b.contains("read-only")));
        let stage = bench.stage(PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) }).await;
        assert!(matches!(stage, CommandStage::Refused { .. }));
    }
    assert_eq!(bench.effects(), Vec::<String>::new());
    assert_eq!(bench.journal.records(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn only_one_plan_at_a_time_touches_a_job() {
    let mut bench = Bench::new(Gate::default()).await;
    let first = bench.propose(redeploy(Origin::Now)).await;
    let second = bench.propose(stop()).await;
    let of_cluster = bench.propose(shutdown(Shutdown::Stop, true)).await;
    bench.order(PlanOrder::Run { plan: first.id, confirmation: Desk::confirmation(&first) }).await;
    bench.until("it runs", |s| s.plan(first.id).unwrap().state == PlanState::Running).await;
    for other in [&second, &of_cluster] {
        let stage = bench.stage(PlanOrder::Run { plan: other.id, confirmation: Desk::confirmation(other) }).await;
        assert!(matches!(&stage, CommandStage::Refused { why } if why.contains("is open on it")), "{stage:?}");
    }
    bench.until("it ends", |s| s.plan(first.id).unwrap().state == PlanState::Done).await;
    // What was shown before is about another run.
    let stage = bench.stage(PlanOrder::Run { plan: second.id, confirmation: Desk::confirmation(&second) }).await;
    assert!(!matches!(stage, CommandStage::Observed), "{stage:?}");
    assert_eq!(bench.jobs(), [JobStatus::Finished, JobStatus::Running]);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_plan_can_be_left_as_it_is_and_the_journal_says_how_things_stand() {
    let gate = Gate::default();
    gate.arm(Some(8));
    let mut bench = Bench::new(gate.clone()).await;
    let plan = bench.propose(redeploy(Origin::Now)).await;
    bench.order(PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) }).await;
    assert!(gate.reached().await);
    bench.crash().await;
    let stage = bench.stage(PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) }).await;
    assert!(matches!(stage, CommandStage::Refused { .. }), "an open plan is resumed, not run: {stage:?}");
    assert_eq!(bench.stage(PlanOrder::Abandon { plan: plan.id }).await, CommandStage::Observed);
    let left = bench.snapshot().plan(plan.id).unwrap().clone();
    assert!(matches!(&left.state, PlanState::Abandoned { standing } if !standing.is_empty()));
    bench.assert_told(&left);
    bench.crash().await;
    let stage = bench.stage(PlanOrder::Resume { plan: plan.id, confirmation: Desk::confirmation(&plan) }).await;
    assert!(matches!(stage, CommandStage::Refused { .. }), "{stage:?}");
}
