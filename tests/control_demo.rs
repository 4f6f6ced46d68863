//! The control loop on the embedded cluster of the demo, from end to end through the Kubernetes API, in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/embedded.rs"]
mod embedded;

use std::time::Duration;

use embedded::{Embedded, Flight, decision, describe, job, stage};
use flightdeck::domain::command::{CommandStage, Intent};
use flightdeck::domain::health::HealthWord;
use flightdeck::domain::reason::ReasonCode;
use flightdeck::domain::snapshot::Snapshot;
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
