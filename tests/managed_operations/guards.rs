//! What is refused before anything is sent and why, what is offered, and how older operators are used.

use flightdeck::domain::command::CommandStage;
use flightdeck::domain::plan::{
    Confirmation, Danger, Operation, Origin, Plan, PlanOrder, PlanState, SavepointFormat, Shutdown, SnapshotSource,
    Standing,
};
use flightdeck::sim::fault::Fault;
use serde_json::json;

use super::bench::{Bench, config};
use super::plans::Desk;
use super::{APP, redeploy, savepoint, shutdown};

/// The plan is blocked with these words, and nothing comes of running it.
async fn blocked(bench: &mut Bench, on: &str, operation: Operation, words: &str) {
    let plan = bench.propose(on, operation.clone()).await;
    assert!(plan.blocks.iter().any(|b| b.contains(words)), "{operation:?} of {on}: {words}: {:?}", plan.blocks);
    let before = bench.effects();
    let order = PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) };
    let stage = bench.stage(order).await;
    assert!(matches!(stage, CommandStage::Refused { .. }), "{stage:?}");
    assert_eq!(bench.effects(), before);
}

fn somewhere() -> Operation {
    redeploy(Origin::Path("s3://bucket/savepoints/savepoint-1".into()))
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_would_undo_or_lose_is_refused() {
    let mut bench = Bench::on("orders").await;
    let stop = Operation::StopWithSavepoint { format: SavepointFormat::Native, directory: None };
    blocked(&mut bench, "orders", stop, "use suspend").await;
    blocked(&mut bench, "orders", Operation::Cancel, "use suspend").await;
    blocked(&mut bench, "orders", redeploy(Origin::Empty), "from a path only").await;
    blocked(&mut bench, "orders", redeploy(Origin::Path("savepoint-1".into())), "not the path of a savepoint").await;
    let marker = redeploy(Origin::Path("KUBERNETES_OPERATOR_LAST_STATE".into()));
    blocked(&mut bench, "orders", marker, "not the path of a savepoint").await;
    blocked(&mut bench, "orders", Operation::Resume, "it is not suspended").await;
    blocked(&mut bench, "orders", Operation::Rollback, "no scaling of this job").await;
    bench.fault(Fault::WebhookDenied { message: "not on Fridays".into() }, 60.0);
    blocked(&mut bench, "orders", Operation::Restart, "not on Fridays").await;
    bench.heal();
    bench.done("orders", Operation::Suspend).await;
    blocked(&mut bench, "orders", Operation::Suspend, "suspended already").await;
    blocked(&mut bench, "orders", Operation::Restart, "resume it instead").await;
    blocked(&mut bench, "orders", savepoint(), "must be RUNNING").await;
    blocked(&mut bench, "orders", shutdown(Shutdown::Stop, false), "nothing to stop").await;

    let mut bench = Bench::on("session").await;
    blocked(&mut bench, "session", Operation::Suspend, "no job of its own").await;
    bench.done("clicks", Operation::Suspend).await;
    // The operator would fail for ever: it knows no job of it (`operator.md` §3.2).
    blocked(&mut bench, "clicks", somewhere(), "cannot redeploy a suspended session job").await;
}

#[tokio::test(start_paused = true)]
async fn losing_state_needs_the_name_and_keeping_it_does_not() {
    let mut bench = Bench::on("session").await;
    let danger = async |bench: &mut Bench, on: &str, operation: Operation| bench.propose(on, operation).await.danger;
    assert_eq!(danger(&mut bench, "clicks", savepoint()).await, Danger::Effect);
    assert_eq!(danger(&mut bench, "clicks", Operation::Suspend).await, Danger::Restart);
    assert_eq!(danger(&mut bench, "clicks", somewhere()).await, Danger::Loss);
    assert_eq!(danger(&mut bench, "session", shutdown(Shutdown::Remove, true)).await, Danger::Loss);
    for operation in [Operation::Suspend, Operation::Restart, shutdown(Shutdown::Stop, false)] {
        let on = if matches!(operation, Operation::Shutdown { .. }) { "session" } else { "counts" };
        let plan = bench.propose(on, operation).await;
        assert_eq!(plan.danger, Danger::Loss, "{plan:#?}");
        assert!(plan.lost.iter().any(|l| l.contains("all state of counts")), "{:?}", plan.lost);
        for wrong in [Confirmation::Yes, Confirmation::Name { name: "count".into() }] {
            let stage = bench.stage(PlanOrder::Run { plan: plan.id, confirmation: wrong }).await;
            assert!(matches!(stage, CommandStage::Refused { .. }), "{stage:?}");
        }
    }
    assert_eq!(bench.effects(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_what_the_server_would_change() {
    let mut bench = Bench::on("ledger").await;
    let plan = bench.propose("ledger", Operation::Suspend).await;
    let [change] = plan.changes.as_slice() else { panic!("{:?}", plan.changes) };
    assert_eq!((change.path.as_str(), change.after.as_deref()), ("spec.job.state", Some("suspended")));
    assert!(plan.summary.contains("last-state") && plan.summary.contains("high availability"), "{}", plan.summary);
    assert!(plan.lost.iter().any(|l| l.contains("since its last checkpoint, ")), "{:?}", plan.lost);
    let plan = bench.propose("ledger", somewhere()).await;
    let paths: Vec<_> = plan.changes.iter().map(|c| c.path.as_str()).collect();
    assert_eq!(paths, ["spec.job.initialSavepointPath", "spec.job.savepointRedeployNonce"]);
    assert!(plan.notes.iter().any(|n| n.contains("lifecycle stays STABLE")), "{:?}", plan.notes);
}

#[tokio::test(start_paused = true)]
async fn read_only_shows_plans_and_runs_none() {
    let mut bench =
        Bench::with("orders", "1.15", flightdeck::control::ControlConfig { read_only: true, ..config() }).await;
    for operation in [savepoint(), Operation::Suspend, shutdown(Shutdown::Remove, false)] {
        blocked(&mut bench, "orders", operation, "read-only").await;
    }
    assert_eq!(bench.journal.records(), vec![]);
}

fn path_of(plan: &Plan) -> String {
    plan.steps.iter().find_map(|step| step.result.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_redeploy_restores_from_what_was_picked_and_the_inventory_offers_it() {
    let mut bench = Bench::on("orders").await;
    let first = path_of(&*bench.done("orders", savepoint()).await);
    let second = path_of(&*bench.done("orders", savepoint()).await);
    let plan = bench.propose("orders", redeploy(Origin::Path(first.clone()))).await;
    let savepoints: Vec<_> = plan.choices.iter().filter(|fact| fact.savepoint).collect();
    let paths: Vec<_> = savepoints.iter().map(|fact| fact.path.as_str()).collect();
    assert_eq!(paths, [second.as_str(), first.as_str()], "newest first");
    assert!(savepoints.iter().all(|fact| fact.standing == Standing::Verified));
    assert!(plan.choices.iter().any(|fact| !fact.savepoint), "Flink's checkpoints are there too");
    bench.done("orders", redeploy(Origin::Path(first.clone()))).await;
    let restored = || {
        bench.embedded.server.world().with(|w| {
            let jobs = &w.cluster("orders").unwrap().jobs;
            jobs.last().unwrap().checkpoints.restored.as_ref().unwrap().path.clone()
        })
    };
    assert_eq!(restored(), first);
    // The new JobManager knows nothing of the second one: the FlinkStateSnapshot does.
    let plan = bench.propose("orders", redeploy(Origin::Path(second.clone()))).await;
    let fact = plan.choices.iter().find(|fact| fact.path == second).unwrap();
    assert_eq!(fact.source, SnapshotSource::StateSnapshot);
    // A suspended application is started by its redeploy.
    bench.done("orders", Operation::Suspend).await;
    bench.done("orders", redeploy(Origin::Path(second))).await;
    assert_eq!(bench.state(APP, "orders"), "STABLE/RUNNING");
}

#[tokio::test(start_paused = true)]
async fn a_path_where_nothing_is_fails_with_the_cause() {
    let mut bench = Bench::on("orders").await;
    let (stage, plan) = bench.run("orders", somewhere()).await;
    let CommandStage::Failed { why } = stage else { panic!("{stage:?}") };
    assert!(why.contains("the job does not start") && why.contains("s3://bucket"), "{why}");
    assert!(matches!(plan.state, PlanState::Failed { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_step_took_before_is_what_it_is_expected_to_take() {
    let mut bench = Bench::on("orders").await;
    let first = bench.propose("orders", Operation::Restart).await;
    assert_eq!(first.steps[1].expected, None);
    let ran = bench.done("orders", Operation::Restart).await;
    let took = (ran.steps[1].ended_at.unwrap() - ran.steps[1].began_at.unwrap()).to_std().unwrap();
    let second = bench.propose("orders", Operation::Restart).await;
    assert_eq!(second.steps[1].expected, Some(took));
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_without_a_place_names_the_key() {
    let mut bench = Bench::on("orders").await;
    bench.edit(APP, "orders", |o| {
        let config = o["spec"]["flinkConfiguration"].as_object_mut().unwrap();
        config.retain(|key, _| !key.contains("savepoint"));
        o["spec"]["job"]["upgradeMode"] = json!("stateless");
    });
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    assert_eq!(bench.state(APP, "orders"), "STABLE/RUNNING");
    let plan = bench.propose("orders", savepoint()).await;
    assert!(plan.notes.iter().any(|n| n.contains("savepoint-dir is not set")), "{:?}", plan.notes);
    let (stage, _) = bench.run("orders", savepoint()).await;
    assert!(matches!(&stage, CommandStage::Failed { why } if why.contains("savepoint-dir")), "{stage:?}");
    let named = Operation::Savepoint { format: SavepointFormat::Native, directory: Some("file:///named".into()) };
    let plan = bench.done("orders", named).await;
    assert!(path_of(&plan).starts_with("file:///named"), "{}", path_of(&plan));
}

#[tokio::test(start_paused = true)]
async fn operator_1_8_takes_savepoints_by_nonce() {
    let mut bench = Bench::with("orders", "1.8", config()).await;
    let plan = bench.done("orders", savepoint()).await;
    assert!(path_of(&plan).contains("savepoint"), "{plan:#?}");
    assert_eq!(bench.effects(), ["PATCH flinkdeployments/orders"]);
    let named = Operation::Savepoint { format: SavepointFormat::Native, directory: Some("s3://bucket/x".into()) };
    blocked(&mut bench, "orders", named, "name no directory").await;
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;

    // A redeploy from one that is taken now: both patches are ours, the second knows of the first.
    bench.forget();
    bench.done("orders", redeploy(Origin::Now)).await;
    assert_eq!(bench.effects(), ["PATCH flinkdeployments/orders", "PATCH flinkdeployments/orders"]);
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;

    bench.fault(Fault::SavepointFailures { job: "orders".into() }, 36_000.0);
    let (stage, _) = bench.run("orders", savepoint()).await;
    let CommandStage::Failed { why } = stage else { panic!("{stage:?}") };
    assert!(why.contains("Savepoint failed") && why.contains("set it back to"), "{why}");
    bench.heal();
}
