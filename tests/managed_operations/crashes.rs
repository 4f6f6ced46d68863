//! A process that dies at any moment of a plan, and answers that are lost.

use flightdeck::domain::command::CommandStage;
use flightdeck::domain::plan::{Operation, Origin, PlanOrder, PlanState, Shutdown};

use super::plans::Desk;
use super::{Case, assert_leaves, cases, redeploy, savepoint, shutdown};

/// Dies at each moment of one operation.
async fn dies_everywhere(case: &Case) {
    let operation = &case.operation;
    let mut bench = case.bench().await;
    bench.gate.arm(None);
    bench.done(case.on, operation.clone()).await;
    let moments = bench.gate.passed();
    assert!(moments >= 8, "{operation:?} has {moments} moments");
    for moment in 1..=moments {
        let what = format!("{operation:?} of {} at moment {moment} of {moments}", case.on);
        let mut bench = case.bench().await;
        let plan = bench.propose(case.on, operation.clone()).await;
        bench.gate.arm(Some(moment));
        bench.begin(&plan).await;
        assert!(bench.gate.reached().await, "{what} was not reached");
        bench.crash().await;
        let known = bench.snapshot().plan(plan.id).cloned();
        match known.map(|plan| plan.state.clone()) {
            Some(PlanState::Interrupted { .. }) => {
                let order = PlanOrder::Resume { plan: plan.id, confirmation: Desk::confirmation(&plan) };
                let stage = bench.stage(order).await;
                assert_eq!(stage, CommandStage::Observed, "{what}: {:#?}", bench.plan(plan.id));
                assert_leaves(&bench, case, &what);
                bench.assert_told(&plan);
            }
            // Before the first record nothing was done, after the last one everything.
            Some(PlanState::Done) | None if moment == moments => assert_leaves(&bench, case, &what),
            None => {
                assert!(moment <= 1, "{what}: the plan is forgotten");
                assert_eq!(bench.effects(), Vec::<String>::new(), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// One test an operation, so that they run side by side; one target of each shape of steps.
macro_rules! dies {
    ($($name:ident: $operation:expr, on $on:expr;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let cases = cases();
            let wanted = |case: &&Case| case.on == $on && case.operation == $operation;
            dies_everywhere(cases.iter().find(wanted).unwrap()).await;
        }
    )*};
}

dies! {
    while_it_takes_a_savepoint: savepoint(), on "orders";
    while_it_suspends: Operation::Suspend, on "orders";
    while_nobody_waits_for_the_cancellation: Operation::Suspend, on "counts";
    while_it_resumes: Operation::Resume, on "ledger";
    while_it_restarts: Operation::Restart, on "clicks";
    while_it_redeploys: redeploy(Origin::Now), on "orders";
    while_it_stops_a_session_cluster: shutdown(Shutdown::Stop, false), on "session";
    while_it_removes_a_session_cluster: shutdown(Shutdown::Remove, false), on "session";
    while_it_removes_an_application: shutdown(Shutdown::Remove, true), on "orders";
}
