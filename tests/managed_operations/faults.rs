//! What faults make of plans through the operator: each either ends with its cause said and the job as it was, or goes on by itself.

use flightdeck::domain::command::CommandStage;
use flightdeck::domain::plan::{Confirmation, Operation, Origin, Plan, PlanOrder, PlanState, Shutdown};
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::sim::fault::Fault;
use serde_json::json;

use super::bench::Bench;
use super::plans::Desk;
use super::{APP, JOB, assert_leaves, redeploy, savepoint, shapes, shutdown};

fn failed(stage: &CommandStage) -> &str {
    match stage {
        CommandStage::Failed { why } => why,
        other => panic!("{other:?}"),
    }
}

fn resume(plan: &Plan) -> PlanOrder {
    PlanOrder::Resume { plan: plan.id, confirmation: Desk::confirmation(plan) }
}

/// The effect of a step was sent.
fn sent(plan: &Plan) -> impl Fn(&Snapshot) -> bool + use<> {
    let id = plan.id;
    move |s: &Snapshot| s.plan(id).unwrap().steps.iter().any(|step| step.sent_at.is_some())
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_that_fails_ends_the_plan_with_its_cause_and_leaves_the_job_alone() {
    for (operation, effects) in
        [(savepoint(), vec!["POST flinkstatesnapshots"]), (redeploy(Origin::Now), vec!["POST flinkstatesnapshots"])]
    {
        let mut bench = Bench::on("orders").await;
        bench.fault(Fault::SavepointFailures { job: "orders".into() }, 36_000.0);
        let (stage, plan) = bench.run("orders", operation).await;
        let why = failed(&stage);
        assert!(why.contains("it failed: ") && why.contains("the job was not touched"), "{why}");
        assert_eq!(bench.effects(), effects);
        assert_eq!(bench.state(APP, "orders"), "STABLE/RUNNING");
        bench.assert_told(&plan);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_whose_savepoint_fails_says_so_and_removes_nothing() {
    for (operation, effects) in [
        (Operation::Suspend, vec!["PATCH flinkdeployments/orders"]),
        (shutdown(Shutdown::Remove, true), vec!["PATCH flinkdeployments/orders", "DELETE flinkdeployments/orders"]),
    ] {
        let mut bench = Bench::on("orders").await;
        bench.fault(Fault::SavepointFailures { job: "orders".into() }, 36_000.0);
        let (stage, plan) = bench.run("orders", operation.clone()).await;
        let why = failed(&stage);
        assert!(why.contains("Savepoint Error") && why.contains("tries on"), "{why}");
        assert!(matches!(plan.state, PlanState::Interrupted { .. }), "{plan:#?}");
        assert_eq!(bench.effects(), ["PATCH flinkdeployments/orders"], "nothing is deleted");
        assert!(bench.state(APP, "orders").ends_with("/RUNNING"));
        // The operator tries on, and the plan goes on where it stood.
        bench.heal();
        assert_eq!(bench.stage(resume(&plan)).await, CommandStage::Observed, "{:#?}", bench.plan(plan.id));
        assert_eq!(bench.effects(), effects);
        let taken = bench.plan(plan.id).steps.iter().find_map(|step| step.result.clone());
        assert!(taken.is_some_and(|path| path.contains("savepoint")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_jobmanager_that_dies_in_the_middle_only_delays_a_plan() {
    for operation in [Operation::Restart, redeploy(Origin::Path("file:///flink-data/savepoints/orders/a".into()))] {
        let mut bench = Bench::on("orders").await;
        let from = bench.done("orders", savepoint()).await.steps[0].result.clone().unwrap();
        let operation = match operation {
            Operation::Redeploy { .. } => redeploy(Origin::Path(from)),
            other => other,
        };
        let plan = bench.propose("orders", operation).await;
        bench.begin(&plan).await;
        bench
            .until("the operator says that it runs", |s| {
                let plan = s.plan(plan.id).unwrap();
                plan.current().is_none_or(|current| current >= 2)
            })
            .await;
        bench.fault(Fault::JobManagerRestart { cluster: "orders".into() }, 1.0);
        bench.until("it ends", |s| s.plan(plan.id).unwrap().state.is_final()).await;
        assert_eq!(bench.plan(plan.id).state, PlanState::Done, "{:#?}", bench.plan(plan.id));
        assert_eq!(bench.effects(), ["POST flinkstatesnapshots", "PATCH flinkdeployments/orders"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_a_while_only_delays_a_plan() {
    for case in shapes() {
        let mut bench = case.bench().await;
        let what = format!("{} of {}", case.operation.word(), case.on);
        let plan = bench.propose(case.on, case.operation.clone()).await;
        bench.fault(Fault::ApiGone, 8.0);
        // While it is away the plan cannot even be checked again.
        let order = PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) };
        let stage = bench.stage(order.clone()).await;
        assert!(failed(&stage).contains("nothing was sent"), "{stage:?}");
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        bench.order(order).await;
        bench.until("its effect was sent", sent(&plan)).await;
        bench.fault(Fault::ApiGone, 20.0);
        bench.until("it ends", |s| s.plan(plan.id).unwrap().state.is_final()).await;
        assert_eq!(bench.plan(plan.id).state, PlanState::Done, "{what}: {:#?}", bench.plan(plan.id));
        assert_leaves(&bench, &case, &what);
    }
}

#[tokio::test(start_paused = true)]
async fn writes_of_others_are_tried_again_and_never_overwritten() {
    // The status is written all the time: the same spec is no other one.
    let mut bench = Bench::on("orders").await;
    let plan = bench.propose("orders", Operation::Restart).await;
    bench.fault(Fault::WriteConflicts, 20.0);
    bench.begin(&plan).await;
    bench.until("it ends", |s| s.plan(plan.id).unwrap().state.is_final()).await;
    assert_eq!(bench.plan(plan.id).state, PlanState::Done, "{:#?}", bench.plan(plan.id));
    assert_eq!(bench.effects(), ["PATCH flinkdeployments/orders"]);

    // Conflicts without end: nothing was written, and it goes on when they end.
    let mut bench = Bench::on("orders").await;
    let plan = bench.propose("orders", Operation::Restart).await;
    bench.fault(Fault::WriteConflicts, 36_000.0);
    bench.begin(&plan).await;
    bench.until("it gives up", |s| matches!(s.plan(plan.id).unwrap().state, PlanState::Interrupted { .. })).await;
    assert_eq!(bench.effects(), Vec::<String>::new());
    bench.heal();
    assert_eq!(bench.stage(resume(&plan)).await, CommandStage::Observed);
    assert_eq!(bench.effects(), ["PATCH flinkdeployments/orders"]);
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_somebody_changed_is_not_written_over() {
    // Between the proposal and its confirmation.
    let mut bench = Bench::on("orders").await;
    let plan = bench.propose("orders", Operation::Restart).await;
    bench.edit(APP, "orders", |o| o["spec"]["flinkConfiguration"]["kubernetes.operator.x"] = "1".into());
    let order = PlanOrder::Run { plan: plan.id, confirmation: Confirmation::Yes };
    let stage = bench.stage(order).await;
    assert!(matches!(stage, CommandStage::Refused { .. } | CommandStage::Superseded { .. }), "{stage:?}");
    assert_eq!(bench.effects(), Vec::<String>::new());

    // In the middle, while its savepoint is taken.
    let mut bench = Bench::on("orders").await;
    let plan = bench.propose("orders", redeploy(Origin::Now)).await;
    bench.begin(&plan).await;
    bench.until("the savepoint is asked for", sent(&plan)).await;
    bench.edit(APP, "orders", |o| o["spec"]["flinkConfiguration"]["kubernetes.operator.x"] = "1".into());
    bench.until("it ends", |s| s.plan(plan.id).unwrap().state.is_final()).await;
    let plan = bench.plan(plan.id);
    let PlanState::Failed { why } = &plan.state else { panic!("{plan:#?}") };
    assert!(why.contains("somebody changed the spec") && why.contains("was not changed by this step"), "{why}");
    assert_eq!(bench.effects(), ["POST flinkstatesnapshots"]);
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing_is_said_before_and_one_that_is_lost_ends_the_plan() {
    let no_patch =
        || Fault::Forbidden { verb: "patch".into(), resource: "flinkdeployments".into(), namespace: "*".into() };
    let mut bench = Bench::on("orders").await;
    let before = bench.propose("orders", redeploy(Origin::Now)).await;
    bench.fault(no_patch(), 36_000.0);
    let plan = bench.propose("orders", Operation::Suspend).await;
    assert!(plan.blocks.iter().any(|b| b.contains("patch") && b.contains("flinkdeployments")), "{:?}", plan.blocks);
    // Lost between the proposal and its confirmation.
    let order = PlanOrder::Run { plan: before.id, confirmation: Desk::confirmation(&before) };
    let stage = bench.stage(order).await;
    assert!(matches!(&stage, CommandStage::Refused { why } if why.contains("flinkdeployments")), "{stage:?}");
    assert_eq!(bench.effects(), Vec::<String>::new());

    // Lost in the middle.
    bench.heal();
    let plan = bench.propose("orders", redeploy(Origin::Now)).await;
    bench.begin(&plan).await;
    bench.until("the savepoint is asked for", sent(&plan)).await;
    bench.fault(no_patch(), 36_000.0);
    bench.until("it ends", |s| s.plan(plan.id).unwrap().state.is_final()).await;
    let PlanState::Failed { why } = &bench.plan(plan.id).state else { panic!("{:#?}", bench.plan(plan.id)) };
    assert!(why.contains("its state is in") && why.contains("flinkdeployments"), "{why}");
    assert_eq!(bench.effects(), ["POST flinkstatesnapshots"]);
    assert_eq!(bench.state(APP, "orders"), "STABLE/RUNNING");

    // The right to delete is asked for as no rehearsal of a deletion is made.
    let mut bench = Bench::on("session").await;
    let no_delete =
        Fault::Forbidden { verb: "delete".into(), resource: "flinkdeployments".into(), namespace: "*".into() };
    bench.fault(no_delete, 36_000.0);
    let plan = bench.propose("session", shutdown(Shutdown::Remove, false)).await;
    assert!(plan.blocks.iter().any(|b| b.contains("delete flinkdeployments")), "{:?}", plan.blocks);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_for_a_while_only_delays_a_plan() {
    let mut bench = Bench::on("orders").await;
    let plan = bench.propose("orders", Operation::Restart).await;
    bench.begin(&plan).await;
    bench.until("its effect was sent", sent(&plan)).await;
    bench.fault(Fault::Forbidden { verb: "get".into(), resource: "*".into(), namespace: "*".into() }, 40.0);
    bench.until("it ends", |s| s.plan(plan.id).unwrap().state.is_final()).await;
    assert_eq!(bench.plan(plan.id).state, PlanState::Done, "{:#?}", bench.plan(plan.id));
}

#[tokio::test(start_paused = true)]
async fn a_slow_operator_is_waited_for() {
    for case in shapes() {
        let mut bench = case.bench().await;
        bench.fault(Fault::OperatorSlow { delay: 20_000 }, 36_000.0);
        let what = format!("{} of {}", case.operation.word(), case.on);
        bench.done(case.on, case.operation.clone()).await;
        bench.heal();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_leaves(&bench, &case, &what);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_is_gone_is_found_before_and_named_in_the_middle() {
    let mut bench = Bench::on("orders").await;
    let plan = bench.propose("orders", Operation::Restart).await;
    bench.begin(&plan).await;
    bench.fault(Fault::OperatorGone, 120.0);
    let names_it = |s: &Snapshot| {
        let plan = s.plan(plan.id).unwrap();
        plan.steps.iter().filter_map(|step| step.note.as_deref()).any(|note| note.contains("the operator does not run"))
    };
    bench.until("the plan says so", names_it).await;
    for operation in [Operation::Suspend, shutdown(Shutdown::Remove, false)] {
        let plan = bench.propose("orders", operation).await;
        assert!(plan.blocks.iter().any(|b| b.contains("the operator does not run")), "{:?}", plan.blocks);
    }
    bench.until("it ends", |s| s.plan(plan.id).unwrap().state.is_final()).await;
    assert_eq!(bench.plan(plan.id).state, PlanState::Done, "{:#?}", bench.plan(plan.id));
    assert_eq!(bench.effects(), ["PATCH flinkdeployments/orders"]);
}

#[tokio::test(start_paused = true)]
async fn pods_that_stay_terminating_and_foreign_finalizers_are_named() {
    let mut bench = Bench::on("orders").await;
    bench.fault(Fault::PodsStuck { cluster: "orders".into() }, 36_000.0);
    let (stage, plan) = bench.run("orders", shutdown(Shutdown::Remove, false)).await;
    let why = failed(&stage);
    assert!(why.contains("terminating: orders-"), "{why}");
    assert!(matches!(plan.state, PlanState::Interrupted { .. }));
    bench.heal();
    assert_eq!(bench.stage(resume(&plan)).await, CommandStage::Observed, "{:#?}", bench.plan(plan.id));
    assert_eq!(bench.state(APP, "orders"), "gone");
    assert_eq!(bench.effects(), ["DELETE flinkdeployments/orders"]);

    let mut bench = Bench::on("clicks").await;
    let finalizers = |o: &mut serde_json::Value, add: bool| {
        let all = o["metadata"]["finalizers"].as_array_mut().unwrap();
        all.retain(|f| f != "example.com/hold");
        if add {
            all.push(json!("example.com/hold"));
        }
    };
    bench.edit(JOB, "clicks", |o| finalizers(o, true));
    let (stage, plan) = bench.run("clicks", shutdown(Shutdown::Remove, false)).await;
    assert!(failed(&stage).contains("held by example.com/hold"), "{stage:?}");
    bench.edit(JOB, "clicks", |o| finalizers(o, false));
    assert_eq!(bench.stage(resume(&plan)).await, CommandStage::Observed, "{:#?}", bench.plan(plan.id));
    assert_eq!(bench.effects(), ["DELETE flinksessionjobs/clicks"], "no finalizer was touched");
}
