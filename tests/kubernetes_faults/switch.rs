//! Another context takes the place of the one that is looked at.

use std::sync::Arc;

use flightdeck::control::KubernetesSource;
use flightdeck::control::Ways;
use flightdeck::control::ports::Contexts;
use flightdeck::domain::command::{Intent, Interest};
use flightdeck::domain::ids::SourceId;
use flightdeck::domain::kubernetes::ContextRow;
use flightdeck::kubernetes::Namespaces;
use flightdeck::sim::scenario::Scenario;
use futures::future::BoxFuture;

use super::embedded::{Embedded, Flight, all_watch, describe, job};
use super::{JOB, seconds, why};

/// Two clusters, each known by its context.
struct Two {
    demo: KubernetesSource,
    other: KubernetesSource,
}

impl Contexts for Two {
    fn list(&self, current: &SourceId) -> Vec<ContextRow> {
        let row = |name: &str| ContextRow { name: name.into(), namespace: None, current: current.as_str() == name };
        ["demo", "other"].map(row).into()
    }

    fn connect<'a>(
        &'a self,
        current: &'a SourceId,
        context: Option<&'a str>,
        _: &'a [String],
    ) -> BoxFuture<'a, Result<KubernetesSource, String>> {
        Box::pin(async move {
            match context.unwrap_or(current.as_str()) {
                "demo" => Ok(self.demo.clone()),
                "other" => Ok(self.other.clone()),
                name => Err(format!("there is no context {name:?}")),
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn another_context_replaces_every_row_and_the_way_back_is_open() {
    let demo = Embedded::of(Scenario::demo().unwrap());
    let other = Embedded::parse(include_str!("../../assets/scenarios/kubernetes.toml"));
    let source = |embedded: &Embedded, id: &str| embedded.source(id, Namespaces::All, Ways::default());
    let two = Two { demo: source(&demo, "demo"), other: source(&other, "other") };
    let first = two.demo.clone();
    let mut flight = Flight::switching(demo, first, Some(Arc::new(two)), |config| config);
    flight.pending(JOB).await;
    let demo = SourceId::new("demo");
    let to = |source: &SourceId, context: &str| Intent::SwitchContext {
        source: source.clone(),
        context: Some(context.into()),
        namespaces: vec![],
    };

    let stage = flight.send(to(&demo, "nowhere"), None).await;
    assert!(why(&stage).contains("no context"), "{stage:?}");
    assert!(job(&flight.snapshot(), JOB).is_some(), "nothing is lost by a wrong name");

    assert_eq!(flight.send(to(&demo, "other"), None).await.word(), "observed");
    flight
        .until(30, "the other cluster and nothing else", |s| {
            job(s, "ad-clicks").is_some() && job(s, JOB).is_none() && s.sources.len() == 1 && all_watch(s)
        })
        .await;
    let snapshot = flight.snapshot();
    let known = |s: &flightdeck::domain::snapshot::Snapshot, id: &str| {
        s.sources[0].id.as_str() == id
            && s.kubernetes.len() == 1
            && s.kubernetes[0].contexts.iter().any(|c| c.current && c.name == id)
            && s.clusters.iter().all(|c| c.source.as_str() == id)
            && s.jobs.iter().all(|j| j.source.as_str() == id)
    };
    assert!(known(&snapshot, "other"), "{}", describe(&snapshot));
    // The clusters that were left are asked no more.
    flight.embedded.requests();
    seconds(60).await;
    assert_eq!(flight.embedded.requests(), [], "the cluster that was left is left alone");
    let key = job(&flight.snapshot(), "ad-clicks").unwrap().key.clone();
    flight.handle.interest.send_replace(Interest {
        visible: true,
        job: Some(key),
        documents: true,
        ..Interest::default()
    });
    flight
        .until(30, "its documents", |s| {
            job(s, "ad-clicks").and_then(|j| j.resource.clone()).is_some_and(|r| r.documents.is_some())
        })
        .await;

    assert_eq!(flight.send(to(&SourceId::new("other"), "demo"), None).await.word(), "observed");
    flight.until(60, "the way back", |s| job(s, JOB).is_some() && known(s, "demo")).await;
    assert_eq!(flight.approve_newest(JOB).await.word(), "observed", "{}", describe(&flight.snapshot()));
}
