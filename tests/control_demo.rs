//! The control loop on the embedded cluster of the demo, from end to end through the Kubernetes API, in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/embedded.rs"]
mod embedded;

use std::time::Duration;

use embedded::{Embedded, Flight, decision, describe, job, stage};
use flightdeck::domain::command::{CommandStage, Intent};
use flightdeck::domain::health::HealthWord;
use flightdeck::domain::job::JobState;
use flightdeck::domain::plan::{Confirmation, Operation, Plan, PlanId, PlanOrder, PlanState, PlanSubject};
use flightdeck::domain::reason::ReasonCode;
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::sim::kubernetes::kinds::Kind;
use flightdeck::sim::scenario::Scenario;

fn word(snapshot: &Snapshot, name: &str) -> &'static str {
    decision(snapshot, name).map_or("none", |d| d.state.word())
}

#[tokio::test(start_paused = true)]
async fn the_demo_keeps_its_promises() {
    let mut demo = Flight::demo();
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
    let id = demo.give(Intent::Approve { decision: up.id }, Some(&up)).await;
    demo.until(60, "the approval ends", |s| stage(s, id).is_some_and(|s| s.is_final())).await;
    assert_eq!(stage(&demo.snapshot(), id), Some(CommandStage::Observed), "{}", describe(&demo.snapshot()));
    demo.until(120, "the outcome is judged", |s| s.decision(up.id).is_some_and(|d| d.state.is_final())).await;
    let judged = demo.snapshot().decision(up.id).unwrap().clone();
    assert_eq!(judged.state.word(), "confirmed", "{}", describe(&demo.snapshot()));
    assert!(judged.outcome.as_ref().unwrap().downtime.is_some());
}

/// Rates that ramp up after the restart, with a backlog to catch up, are no reason for more.
#[tokio::test(start_paused = true)]
async fn what_was_enough_stays_enough() {
    const JOB: &str = "orders-enrichment";
    let mut demo = Flight::demo();
    let seen = demo.pending(JOB).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let stage = demo.approve_newest(JOB).await;
    assert_eq!(stage, CommandStage::Observed, "{}", describe(&demo.snapshot()));
    tokio::time::sleep(Duration::from_secs(240)).await;
    let later = demo.snapshot();
    let last = decision(&later, JOB).unwrap();
    assert_eq!(last.state.word(), "confirmed", "{}", describe(&later));
    assert_eq!(last.changes.len(), seen.changes.len(), "{}", describe(&later));
}

/// An operation on a job, as a person gives it.
async fn plan(flight: &mut Flight, name: &str, operation: Operation) -> std::sync::Arc<Plan> {
    let id = PlanId(u32::try_from(flight.snapshot().plans.len()).unwrap() + 1);
    let subject = PlanSubject::Job(job(&flight.snapshot(), name).unwrap().key.clone());
    let stage = flight.send(Intent::Plan(PlanOrder::Propose { plan: id, subject, operation }), None).await;
    assert_eq!(stage, CommandStage::Observed);
    flight.snapshot().plan(id).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_scaling_is_taken_back_unless_the_resource_holds_something_else() {
    const JOB: &str = "orders-enrichment";
    let mut demo = Flight::demo();
    let seen = demo.pending(JOB).await;
    let none = plan(&mut demo, JOB, Operation::Rollback).await;
    assert!(none.blocks.iter().any(|why| why.contains("no scaling")), "{:?}", none.blocks);
    let approved = demo.approve(&seen).await;
    assert_eq!(approved, CommandStage::Observed, "{}", describe(&demo.snapshot()));
    let done = decision(&demo.snapshot(), JOB).unwrap().clone();

    // Somebody else's numbers are not taken back.
    let namespace = job(&demo.snapshot(), JOB).unwrap().namespace.clone().unwrap();
    let key = "pipeline.jobvertex-parallelism-overrides";
    let map = demo.embedded.object(Kind::FlinkDeployment, JOB).unwrap()["spec"]["flinkConfiguration"][key].clone();
    let set = |demo: &Flight, value: serde_json::Value| {
        demo.embedded.change(Kind::FlinkDeployment, &namespace, JOB, |o| o["spec"]["flinkConfiguration"][key] = value);
    };
    set(&demo, "".into());
    let foreign = plan(&mut demo, JOB, Operation::Rollback).await;
    assert!(foreign.blocks.iter().any(|why| why.contains("nothing to take back")), "{:?}", foreign.blocks);
    set(&demo, map);
    let settled = |s: &Snapshot| {
        let job = job(s, JOB).unwrap();
        let observed = job.resource.as_ref().and_then(|resource| resource.observed_generation);
        job.state == JobState::Running && job.tasks.all_running() && observed >= job.generation
    };
    demo.until(120, "the operator has settled", settled).await;

    let back = plan(&mut demo, JOB, Operation::Rollback).await;
    assert_eq!(back.blocks, Vec::<String>::new());
    let order = PlanOrder::Run { plan: back.id, confirmation: Confirmation::Yes };
    let run = demo.give(Intent::Plan(order), None).await;
    // Nothing else changes the job meanwhile.
    demo.until(10, "it runs", |s| s.plan(back.id).is_some_and(|p| p.state == PlanState::Running)).await;
    let key = job(&demo.snapshot(), JOB).unwrap().key.clone();
    let taken = demo.send(Intent::TakeOver { job: key }, None).await;
    assert!(matches!(&taken, CommandStage::Refused { why } if why.contains("plan")), "{taken:?}");
    demo.until(600, "it ends", |s| stage(s, run).is_some_and(|s| s.is_final())).await;
    assert_eq!(demo.snapshot().plan(back.id).unwrap().state, PlanState::Done, "{}", describe(&demo.snapshot()));
    let as_before = |s: &Snapshot| {
        let topology = job(s, JOB).and_then(|job| job.topology.clone()).unwrap();
        done.changes.iter().all(|c| topology.vertex(c.vertex).unwrap().parallelism == c.from)
    };
    demo.until(30, "the parallelism is what it was", as_before).await;
}

#[tokio::test(start_paused = true)]
async fn another_step_in_the_scenario_is_another_proposal() {
    let proposed = async |to: &str| {
        let text = include_str!("../assets/scenarios/demo.toml");
        let changed = text.replace("to = 2600", &format!("to = {to}"));
        assert!(to == "2600" || changed != text);
        let demo = Flight::of(Embedded::of(Scenario::parse("demo.toml", &changed).unwrap()));
        demo.until(90, "a proposal", |s| word(s, "orders-enrichment") == "pending").await;
        // One full window after the step, when the backlog of both is counted the same way.
        tokio::time::sleep(Duration::from_secs(40)).await;
        let changes = decision(&demo.snapshot(), "orders-enrichment").unwrap().changes.clone();
        changes.iter().map(|c| c.to).max().unwrap()
    };
    let (large, larger) = (proposed("2600").await, proposed("6000").await);
    assert!(larger > large, "{larger} is not more than {large}");
}
