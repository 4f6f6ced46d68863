//! What can happen to the pods and the jobs of a cluster while the API server is well.

use flightdeck::domain::decision::DecisionState;
use flightdeck::domain::health::HealthWord;
use flightdeck::domain::pods::PodRole;
use flightdeck::domain::reason::ReasonCode;
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::sim::fault::Fault;
use flightdeck::sim::kubernetes::kinds::Kind;

use super::embedded::{Flight, decision, describe, job};
use super::{JOB, seconds, why};

fn reason(snapshot: &Snapshot) -> Option<ReasonCode> {
    job(snapshot, JOB)?.turn.as_ref().map(|turn| turn.reason.code)
}

fn word(snapshot: &Snapshot) -> HealthWord {
    job(snapshot, JOB).map_or(HealthWord::Unknown, |j| j.health.word)
}

fn is_pending(snapshot: &Snapshot) -> bool {
    decision(snapshot, JOB).is_some_and(|d| d.state == DecisionState::Pending)
}

/// What breaks the run of a job: the decision made of it is not carried out, none is made of pieces, and the next is of the new run.
#[tokio::test(start_paused = true)]
async fn a_broken_run_is_said_and_decides_nothing() {
    let cluster = || JOB.to_owned();
    for (fault, lasts, words) in [
        (
            Fault::JobManagerRestart { cluster: cluster() },
            1.0,
            [HealthWord::JobManagerLost, HealthWord::Unreachable, HealthWord::Restarting],
        ),
        (
            Fault::TaskManagerLost { cluster: cluster() },
            1.0,
            [HealthWord::Restarting, HealthWord::Failing, HealthWord::NoResources],
        ),
        (
            Fault::OomKill { cluster: cluster() },
            1.0,
            [HealthWord::Restarting, HealthWord::Failing, HealthWord::NoResources],
        ),
    ] {
        let mut flight = Flight::demo();
        let seen = flight.pending(JOB).await;
        let untouched = flight.written(JOB);
        flight.inject(fault.clone(), lasts);
        flight.until(20, &format!("{fault:?} is said"), |s| words.contains(&word(s))).await;
        let stage = flight.approve(&seen).await;
        assert!(!why(&stage).is_empty(), "{fault:?}: {stage:?}");
        assert_eq!(flight.written(JOB), untouched, "{fault:?}: something was written");
        // Nothing is decided until a whole window of the new run is there.
        let began = tokio::time::Instant::now();
        while word(&flight.snapshot()) != HealthWord::Healthy && began.elapsed().as_secs() < 120 {
            let snapshot = flight.snapshot();
            let decided = decision(&snapshot, JOB).filter(|d| d.proposed_at > seen.proposed_at && d.id != seen.id);
            if let (Some(decided), Some(now)) = (decided, job(&snapshot, JOB).and_then(|j| j.run)) {
                assert_eq!(decided.target.run, Some(now), "{fault:?}: decided of an earlier run");
            }
            seconds(1).await;
        }
        flight
            .until(240, "a decision of the new run", |s| {
                is_pending(s)
                    && decision(s, JOB).is_some_and(|d| d.target.run.is_some() && d.target.run != seen.target.run)
            })
            .await;
        assert_eq!(flight.approve_newest(JOB).await.word(), "observed", "{fault:?}: {}", describe(&flight.snapshot()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_pod_that_was_killed_for_its_memory_is_named_with_exit_code_and_count() {
    let flight = Flight::demo();
    flight.pending(JOB).await;
    flight.inject(Fault::OomKill { cluster: JOB.into() }, 1.0);
    flight
        .until(30, "the end of the container", |s| {
            let cluster = job(s, JOB).and_then(|j| s.cluster(&j.cluster)).and_then(|c| c.pods.clone());
            cluster.is_some_and(|pods| {
                pods.value.pods.iter().any(|p| {
                    let end = p.last_termination.as_ref();
                    p.role == PodRole::TaskManager && end.is_some_and(|end| end.exit_code == 137 && end.is_oom())
                })
            })
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_is_the_deepest_cause() {
    let mut flight = Flight::demo();
    let seen = flight.pending(JOB).await;
    let namespace = job(&flight.snapshot(), JOB).unwrap().namespace.clone().unwrap();
    flight.inject(Fault::ImagePullError { cluster: JOB.into() }, 90.0);
    flight.embedded.change(Kind::FlinkDeployment, &namespace, JOB, |object| {
        object["spec"]["image"] = "registry.example/orders:9".into();
    });
    flight
        .until(90, "the image is named", |s| {
            let health = &job(s, JOB).unwrap().health;
            let named = ["ImagePullBackOff", "ErrImagePull"].iter().any(|why| health.reason.contains(why));
            health.word == HealthWord::JobManagerLost && named
        })
        .await;
    let untouched = flight.written(JOB);
    let stage = flight.approve(&seen).await;
    assert!(!why(&stage).is_empty(), "{stage:?}");
    assert_eq!(flight.written(JOB), untouched);
    assert!(
        matches!(reason(&flight.snapshot()), Some(ReasonCode::NotRunning | ReasonCode::SourceLost)),
        "{}",
        describe(&flight.snapshot())
    );
    flight.until(300, "up again with a decision of the new run", is_pending).await;
}

#[tokio::test(start_paused = true)]
async fn a_scale_up_without_room_is_followed_and_said() {
    let mut flight = Flight::demo();
    let seen = flight.pending(JOB).await;
    flight.inject(Fault::NoCapacity { cluster: Some(JOB.into()) }, 90.0);
    let id = flight.give(flightdeck::domain::command::Intent::Approve { decision: seen.id }, Some(&seen)).await;
    flight
        .until(60, "the pod that waits", |s| {
            let pods = job(s, JOB).and_then(|j| s.cluster(&j.cluster)).and_then(|c| c.pods.clone());
            pods.is_some_and(|p| p.value.pods.iter().any(|p| p.unschedulable.is_some()))
        })
        .await;
    flight
        .until(60, "what keeps it waiting is said", |s| {
            job(s, JOB)
                .is_some_and(|j| j.health.word == HealthWord::Rescaling && j.health.reason.contains("unschedulable"))
        })
        .await;
    flight
        .until(200, "done once there is room", |s| {
            super::embedded::stage(s, id).is_some_and(|stage| stage.word() == "observed")
        })
        .await;
}
