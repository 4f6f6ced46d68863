//! Plans through the operator's resources against the embedded cluster, in paused time: what they do, what they refuse, what faults
//! make of them, and that a process which dies at any moment leaves a plan that can be resumed without anything being done twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bench;
mod crashes;
#[path = "../support/embedded.rs"]
mod embedded;
mod faults;
mod guards;
#[path = "../support/plans.rs"]
mod plans;

use bench::Bench;
use flightdeck::domain::command::CommandStage;
use flightdeck::domain::plan::{Operation, Origin, PlanOrder, SavepointFormat, Shutdown};
use flightdeck::sim::kubernetes::kinds::Kind;
use plans::Desk;
use serde_json::Value;

const APP: Kind = Kind::FlinkDeployment;
const JOB: Kind = Kind::FlinkSessionJob;

fn savepoint() -> Operation {
    Operation::Savepoint { format: SavepointFormat::Canonical, directory: None }
}

fn redeploy(origin: Origin) -> Operation {
    Operation::Redeploy { origin, allow_non_restored: false, launch: None }
}

fn shutdown(form: Shutdown, savepoint: bool) -> Operation {
    Operation::Shutdown { form, savepoint }
}

/// An operation on a target, the effects it has, and how the resources stand afterwards.
struct Case {
    on: &'static str,
    /// What was done before.
    before: Option<Operation>,
    operation: Operation,
    effects: Vec<&'static str>,
    leaves: Vec<(Kind, &'static str, &'static str)>,
}

fn case(
    on: &'static str,
    operation: Operation,
    effects: &[&'static str],
    leaves: &[(Kind, &'static str, &'static str)],
) -> Case {
    Case { on, before: None, operation, effects: effects.to_vec(), leaves: leaves.to_vec() }
}

impl Case {
    fn after(self, before: Operation) -> Self {
        Self { before: Some(before), ..self }
    }

    /// The cluster as it is before the operation.
    async fn bench(&self) -> Bench {
        let mut bench = Bench::on(self.on).await;
        if let Some(before) = &self.before {
            bench.done(self.on, before.clone()).await;
            bench.forget();
        }
        bench
    }
}

fn cases() -> Vec<Case> {
    let (orders, ledger, session) =
        ("PATCH flinkdeployments/orders", "PATCH flinkdeployments/ledger", "DELETE flinkdeployments/session");
    let (clicks, counts) = ("PATCH flinksessionjobs/clicks", "PATCH flinksessionjobs/counts");
    let snapshot = "POST flinkstatesnapshots";
    let (stable, suspended) = ("STABLE/RUNNING", "SUSPENDED/FINISHED");
    vec![
        case("orders", savepoint(), &[snapshot], &[(APP, "orders", stable)]),
        case("clicks", Operation::Checkpoint, &[snapshot], &[(JOB, "clicks", stable)]),
        case("orders", Operation::Suspend, &[orders], &[(APP, "orders", suspended)]),
        case("ledger", Operation::Suspend, &[ledger], &[(APP, "ledger", suspended)]),
        case("clicks", Operation::Suspend, &[clicks], &[(JOB, "clicks", suspended)]),
        // Nobody waits for a cancellation: the operator leaves the lifecycle as it is.
        case("counts", Operation::Suspend, &[counts], &[(JOB, "counts", "UPGRADING/CANCELED")]),
        case("orders", Operation::Resume, &[orders], &[(APP, "orders", stable)]).after(Operation::Suspend),
        case("ledger", Operation::Resume, &[ledger], &[(APP, "ledger", stable)]).after(Operation::Suspend),
        case("clicks", Operation::Resume, &[clicks], &[(JOB, "clicks", stable)]).after(Operation::Suspend),
        case("trial", Operation::Cancel, &["PATCH jobs/ID"], &[(APP, "session", "STABLE/-")]),
        case("orders", Operation::Restart, &[orders], &[(APP, "orders", stable)]),
        case("ledger", Operation::Restart, &[ledger], &[(APP, "ledger", stable)]),
        case("clicks", Operation::Restart, &[clicks], &[(JOB, "clicks", stable)]),
        case("orders", redeploy(Origin::Now), &[snapshot, orders], &[(APP, "orders", stable)]),
        case("clicks", redeploy(Origin::Now), &[snapshot, clicks], &[(JOB, "clicks", stable)]),
        case("orders", shutdown(Shutdown::Stop, true), &[orders], &[(APP, "orders", suspended)]),
        case(
            "session",
            shutdown(Shutdown::Stop, false),
            &[clicks, counts, "POST jobs/ID/stop"],
            &[(APP, "session", "STABLE/-"), (JOB, "clicks", suspended), (JOB, "counts", "UPGRADING/CANCELED")],
        ),
        case(
            "orders",
            shutdown(Shutdown::Remove, true),
            &[orders, "DELETE flinkdeployments/orders"],
            &[(APP, "orders", "gone")],
        ),
        case(
            "clicks",
            shutdown(Shutdown::Remove, false),
            &["DELETE flinksessionjobs/clicks"],
            &[(JOB, "clicks", "gone"), (APP, "session", "STABLE/-")],
        ),
        case(
            "session",
            shutdown(Shutdown::Remove, false),
            &["DELETE flinksessionjobs/clicks", "DELETE flinksessionjobs/counts", "PATCH jobs/ID", session],
            &[(APP, "session", "gone"), (JOB, "clicks", "gone"), (JOB, "counts", "gone")],
        ),
    ]
}

/// One of each shape of steps.
fn shapes() -> Vec<Case> {
    let ours = [
        ("savepoint", "orders"),
        ("suspend", "counts"),
        ("resume", "ledger"),
        ("redeploy", "clicks"),
        ("shutdown", "session"),
    ];
    cases().into_iter().filter(|case| ours.contains(&(case.operation.word(), case.on))).collect()
}

fn assert_leaves(bench: &Bench, case: &Case, what: &str) {
    assert_eq!(bench.effects(), case.effects, "{what}");
    for (kind, name, state) in &case.leaves {
        assert_eq!(bench.state(*kind, name), *state, "{what}: {name}");
        if *state == "gone" && *kind == APP {
            let left = bench.embedded.server.with_store(|store, _| {
                let ours = |pod: &Value| pod.pointer("/metadata/labels/app").and_then(Value::as_str) == Some(name);
                store.list(Kind::Pod, "flink").filter(|(_, pod)| ours(pod)).count()
            });
            assert_eq!(left, 0, "{what}: pods of {name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_does_what_it_says_once() {
    for case in cases() {
        let mut bench = case.bench().await;
        let what = format!("{} of {}", case.operation.word(), case.on);
        let plan = bench.propose(case.on, case.operation.clone()).await;
        assert_eq!(plan.blocks, Vec::<String>::new(), "{what}");
        assert_eq!(bench.effects(), Vec::<String>::new(), "{what}: a proposal changes nothing");
        let order = PlanOrder::Run { plan: plan.id, confirmation: Desk::confirmation(&plan) };
        let stage = bench.stage(order).await;
        assert_eq!(stage, CommandStage::Observed, "{what}: {:#?}", bench.plan(plan.id));
        assert_leaves(&bench, &case, &what);
        bench.assert_told(&plan);
    }
}
