//! A user with rights in one namespace.

use flightdeck::domain::command::Interest;
use flightdeck::domain::snapshot::SourceState;
use flightdeck::kubernetes::Namespaces;
use flightdeck::sim::scenario::Scenario;

use super::JOB;
use super::embedded::{Embedded, Flight, all_watch, describe, job};

const RIGHTS: &str = r#"
[[access]]
verbs = ["*"]
resources = ["*"]
namespaces = ["NAMESPACE"]
"#;

/// The demo for a user whose rights end at the border of its namespace.
fn demo_in_one_namespace() -> (Embedded, String) {
    let text = include_str!("../../assets/scenarios/demo.toml");
    let scenario = Scenario::parse("demo.toml", text).unwrap();
    let namespace = scenario.namespace.clone();
    let text = format!("{text}{}", RIGHTS.replace("NAMESPACE", &namespace));
    (Embedded::of(Scenario::parse("demo.toml", &text).unwrap()), namespace)
}

#[tokio::test(start_paused = true)]
async fn rights_in_one_namespace_do_everything_there_and_what_is_missing_is_named() {
    let (embedded, namespace) = demo_in_one_namespace();
    let mut flight = Flight::with(embedded, Namespaces::Only(vec![namespace.clone()]), |config| config);
    flight.pending(JOB).await;
    assert!(all_watch(&flight.snapshot()), "{}", describe(&flight.snapshot()));
    let key = job(&flight.snapshot(), JOB).unwrap().key.clone();
    let looks = Interest {
        visible: true,
        job: Some(key),
        events: true,
        documents: true,
        capacity: true,
        ..Interest::default()
    };
    flight.handle.interest.send_replace(looks);
    flight
        .until(60, "events, documents and room", |s| {
            let resource = job(s, JOB).and_then(|j| j.resource.clone());
            resource.is_some_and(|r| r.events.is_some() && r.documents.is_some()) && s.kubernetes[0].capacity.is_some()
        })
        .await;
    let room = flight.snapshot().kubernetes[0].capacity.clone().unwrap().value;
    assert!(room.gaps.iter().any(|gap| gap.contains("missing right: list nodes")), "{:?}", room.gaps);
    let rights = flight.snapshot().kubernetes[0].rights.clone().unwrap().value;
    let missing: Vec<_> = rights.iter().filter(|r| !r.allowed).map(|r| r.action).collect();
    assert!(missing.iter().all(|action| action.is_cluster_wide()), "{missing:?}");
    assert_eq!(flight.approve_newest(JOB).await.word(), "observed", "{}", describe(&flight.snapshot()));
}

#[tokio::test(start_paused = true)]
async fn a_look_at_everything_without_the_right_names_it() {
    let (embedded, _) = demo_in_one_namespace();
    let flight = Flight::of(embedded);
    flight.until(15, "the missing right", |s| matches!(&s.sources[0].state, SourceState::Lost { .. })).await;
    let SourceState::Lost { error, .. } = flight.snapshot().sources[0].state.clone() else { panic!() };
    assert!(error.contains("missing right: watch flinkdeployments.flink.apache.org in the whole cluster"), "{error}");
    let watch = flight.snapshot().kubernetes[0].watches.iter().find(|w| w.resource == "pods").cloned();
    assert!(watch.is_some_and(|w| w.forbidden), "{}", describe(&flight.snapshot()));
}
