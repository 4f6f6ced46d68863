//! The control loop against the embedded cluster while something goes wrong: nothing is decided or written on old or partial data, the
//! last good rows stay, a loss is said within fifteen seconds in words that name it, and everything comes back by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../support/embedded.rs"]
mod embedded;
mod ownership;
mod rights;
mod server;
mod sockets;
mod switch;
mod workload;

use std::time::Duration;

use embedded::Flight;
use flightdeck::domain::command::{CommandStage, Intent, Interest};
use flightdeck::domain::kubernetes::{KubeAction, RolloutEffect};
use flightdeck::domain::pods::PodRole;

/// The job of the demo that wants more.
const JOB: &str = "orders-enrichment";

/// Why a command did not reach its end; what went through has no reason.
fn why(stage: &CommandStage) -> &str {
    match stage {
        CommandStage::Refused { why } | CommandStage::Failed { why } | CommandStage::Superseded { why } => why,
        CommandStage::Requested
        | CommandStage::Sent
        | CommandStage::Accepted
        | CommandStage::Observed
        | CommandStage::TimedOut => panic!("nothing stopped it: {stage:?}"),
    }
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

#[tokio::test(start_paused = true)]
async fn pods_rights_events_documents_room_and_a_rehearsal_are_seen() {
    let mut bench = Flight::demo();
    let seen = bench.pending(JOB).await;
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

    let before = bench.written(JOB);
    assert_eq!(bench.send(Intent::Preview { decision: seen.id }, Some(&seen)).await, CommandStage::Observed);
    let preview = bench.snapshot().job(&job.key).unwrap().resource.clone().unwrap().preview.clone().unwrap().value;
    assert!(preview.changes.iter().any(|c| c.path.contains("jobvertex-parallelism-overrides")), "{preview:?}");
    assert!(preview.changes.iter().any(|c| c.path.contains("flightdeck/applied")), "{preview:?}");
    assert!(matches!(preview.effect, RolloutEffect::InPlace | RolloutEffect::Redeploy { .. }));
    assert_eq!(bench.written(JOB), before, "a rehearsal writes nothing");

    bench.handle.interest.send_replace(Interest::default());
    bench
        .until(30, "nobody looks any more", |s| s.kubernetes[0].events.is_none() && s.kubernetes[0].capacity.is_none())
        .await;
}
