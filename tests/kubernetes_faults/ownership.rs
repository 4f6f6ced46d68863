//! A job that the operator scales by itself: looked at, taken over, scaled by hand, given back. Neither turn rescales anything.

use flightdeck::domain::command::Intent;
use flightdeck::domain::ids::JobKey;
use flightdeck::domain::job::Ownership;
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::kubernetes::PARALLELISM_OVERRIDES;
use flightdeck::sim::fault::Fault;
use flightdeck::sim::kubernetes::kinds::Kind;
use serde_json::{Value, json};

use super::embedded::{Embedded, Flight, decision, describe, job};
use super::{seconds, why};

/// The job whose autoscaler of the operator acts.
const ACTED_ON: &str = "ad-clicks";

fn cluster_of(release: &str) -> Embedded {
    let text = include_str!("../../assets/scenarios/kubernetes.toml");
    let changed = text.replace("version = \"1.15\"", &format!("version = \"{release}\""));
    assert!(release == "1.15" || changed != text);
    Embedded::parse(&changed)
}

fn observed(snapshot: &Snapshot) -> bool {
    job(snapshot, ACTED_ON).is_some_and(|j| matches!(j.ownership, Ownership::Observer { .. }))
}

fn piloted(snapshot: &Snapshot) -> bool {
    job(snapshot, ACTED_ON).is_some_and(|j| matches!(j.ownership, Ownership::Pilot { .. }))
}

/// What a rescale or redeploy would change: subtasks, Flink's id of the job and since when it runs.
#[derive(Debug, PartialEq)]
struct Runs {
    parallelism: Vec<u32>,
    id: String,
    since: i64,
}

struct Acted {
    flight: Flight,
    key: JobKey,
}

impl Acted {
    fn runs(&self) -> Runs {
        self.flight.embedded.server.world().with(|w| {
            let job = w.cluster(ACTED_ON).unwrap().jobs.last().unwrap();
            Runs { parallelism: job.parallelism.clone(), id: job.id.to_string(), since: job.times.running }
        })
    }

    fn data(&self) -> Value {
        self.flight.embedded.object(Kind::ConfigMap, &format!("autoscaler-{ACTED_ON}")).unwrap()["data"].clone()
    }

    fn spec(&self) -> Value {
        self.flight.embedded.object(Kind::FlinkDeployment, ACTED_ON).unwrap()["spec"].clone()
    }

    fn reports(&self) -> Value {
        let events = self.flight.embedded.server.with_store(|s, _| {
            let about =
                |o: &&std::sync::Arc<Value>| o["reason"] == "ScalingReport" && o["involvedObject"]["name"] == ACTED_ON;
            s.list(Kind::Event, "").map(|(_, o)| o).filter(about).map(|o| o["count"].clone()).collect::<Vec<_>>()
        });
        json!(events)
    }

    /// The operator has scaled the job by itself, and all is quiet again.
    async fn scaled_by_the_operator(release: &str) -> Self {
        let flight = Flight::of(cluster_of(release));
        flight
            .until(400, "the operator scales", |s| {
                let resource = job(s, ACTED_ON).and_then(|j| j.resource.clone());
                let scaled = |r: &flightdeck::domain::kubernetes::ResourceView| {
                    r.operator_scaling.as_ref().is_some_and(|o| !o.value.state.parallelism_overrides.is_empty())
                };
                resource.is_some_and(|r| scaled(&r) && r.lifecycle.as_deref() == Some("STABLE") && r.can_take_over)
            })
            .await;
        let key = job(&flight.snapshot(), ACTED_ON).unwrap().key.clone();
        let acted = Self { flight, key };
        // Until what is stored is what runs.
        for _ in 0..120 {
            let stored = acted.data()["parallelismOverrides"].as_str().unwrap_or_default().to_owned();
            let runs: Vec<String> = acted.runs().parallelism.iter().map(|p| format!(":{p}")).collect();
            if runs.iter().all(|p| stored.contains(p))
                && acted.flight.resource(ACTED_ON).job_state.as_deref() == Some("RUNNING")
            {
                return acted;
            }
            seconds(1).await;
        }
        panic!("not settled: {:?} {}", acted.runs(), acted.data());
    }

    /// Takes over; while the operator is at work it is refused and asked again, as a person would.
    async fn take_over(&mut self) {
        for _ in 0..20 {
            let stage = self.flight.send(Intent::TakeOver { job: self.key.clone() }, None).await;
            if stage.word() == "observed" {
                return;
            }
            assert!(why(&stage).contains("try again"), "{stage:?}");
            seconds(3).await;
        }
        panic!("never taken over: {}", describe(&self.flight.snapshot()));
    }
}

#[tokio::test(start_paused = true)]
async fn neither_taking_over_nor_handing_back_rescales_anything_whatever_the_release() {
    for release in ["1.8", "1.10", "1.11", "1.15", "main"] {
        let mut acted = Acted::scaled_by_the_operator(release).await;
        assert!(observed(&acted.flight.snapshot()), "{release}");
        assert!(acted.spec()["flinkConfiguration"].get(PARALLELISM_OVERRIDES).is_none(), "the operator writes no spec");
        assert!(decision(&acted.flight.snapshot(), ACTED_ON).is_none(), "{release}: an observer decides nothing");
        acted.take_over().await;
        let (before, spec) = (acted.runs(), acted.spec());
        assert!(before.parallelism[1] > 2, "{release}: the operator had scaled: {before:?}");
        // The map is whole and says what runs; the stored one is gone, so that nothing overrules the next approval.
        let map = spec["flinkConfiguration"][PARALLELISM_OVERRIDES].as_str().unwrap().to_owned();
        assert_eq!(map.split(',').count(), before.parallelism.len(), "{release}: {map}");
        let off = &spec["flinkConfiguration"]["job.autoscaler.enabled"];
        let gate = &spec["flinkConfiguration"]["job.autoscaler.scaling.enabled"];
        if matches!(release, "1.8" | "1.10") {
            assert_eq!(
                (off, gate),
                (&json!("false"), &Value::Null),
                "{release}: where nothing resets, it is switched off"
            );
        } else {
            assert_eq!((off, gate), (&json!("true"), &json!("false")), "{release}");
            assert!(spec["job"]["autoscalerResetNonce"].is_number(), "{release}");
        }
        acted.flight.until(30, "piloted", piloted).await;
        for _ in 0..60 {
            seconds(1).await;
            assert_eq!(acted.runs(), before, "{release}: taking over rescaled the job");
        }
        assert_eq!(acted.data().get("parallelismOverrides"), None, "{release}");

        let stage = acted.flight.send(Intent::HandBack { job: acted.key.clone() }, None).await;
        assert_eq!(stage.word(), "observed", "{release}: {stage:?}");
        acted.flight.until(30, "observed again", observed).await;
        let reports = acted.reports();
        for _ in 0..120 {
            seconds(1).await;
            // What the operator decides by itself from then on is its own affair, and it reports it.
            if acted.reports() != reports {
                break;
            }
            assert_eq!(acted.runs(), before, "{release}: handing back rescaled the job");
        }
        let spec = acted.spec();
        assert_eq!(spec["flinkConfiguration"][PARALLELISM_OVERRIDES], json!(map), "{release}: the map stays");
        let applied = acted.flight.written(ACTED_ON).1;
        assert_eq!(applied, Value::Null, "{release}: nothing is ours any more");
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_refused_while_stored_overrides_would_overrule_it() {
    for release in ["1.8", "1.15"] {
        let mut acted = Acted::scaled_by_the_operator(release).await;
        // Somebody closes the gate by hand: what is stored stays injected.
        acted.flight.embedded.change(Kind::FlinkDeployment, "flink", ACTED_ON, |object| {
            let options = &mut object["spec"]["flinkConfiguration"];
            options["job.autoscaler.scaling.enabled"] = "false".into();
            // No more than the cluster has room for, however long the backlog grows until somebody approves.
            options["job.autoscaler.vertex.max-parallelism"] = "8".into();
        });
        acted.flight.until(30, "piloted", piloted).await;
        assert_ne!(acted.data().get("parallelismOverrides"), None, "{release}");
        // The job needs a fifth more than it can do by now; at full speed a subtask does 1,000 records a second, and 2,600 arrive.
        let factor = f64::from(acted.runs().parallelism[1]) * 1_000.0 / 2_600.0 * 1.2;
        acted.flight.inject(Fault::Slow { job: ACTED_ON.into(), vertex: "Attribute".into(), factor }, 2_000.0);
        let seen = acted.flight.pending(ACTED_ON).await;
        assert!(
            seen.blocked.as_deref().is_some_and(|why| why.contains("take the job over first")),
            "{:?}",
            seen.blocked
        );
        let (untouched, before) = (acted.flight.written(ACTED_ON), acted.runs());
        let stage = acted.flight.approve(&seen).await;
        assert_eq!(stage.word(), "refused", "{release}: {stage:?}");
        assert!(why(&stage).contains("take the job over first"), "{release}: {stage:?}");
        assert_eq!((acted.flight.written(ACTED_ON), acted.runs()), (untouched, before), "{release}");
        // Taken over, the same approval goes through, and the operator does what it says.
        acted.take_over().await;
        let free = |s: &Snapshot| decision(s, ACTED_ON).is_some_and(|d| !d.state.is_final() && d.blocked.is_none());
        acted.flight.until(120, "nothing blocks it any more", free).await;
        let stage = acted.flight.approve_newest(ACTED_ON).await;
        let seen = decision(&acted.flight.snapshot(), ACTED_ON).unwrap().clone();
        assert_eq!(stage.word(), "observed", "{release}: {stage:?} {}", describe(&acted.flight.snapshot()));
        let wanted: Vec<i32> = seen.changes.iter().map(|c| c.to).collect();
        let runs = acted.runs().parallelism;
        assert!(wanted.iter().all(|to| runs.contains(&u32::try_from(*to).unwrap())), "{release}: {wanted:?} {runs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_keeps_must_be_known_where_its_autoscaler_is_on() {
    let mut flight = Flight::of(cluster_of("1.15"));
    let seen = flight.pending("orders").await;
    let untouched = flight.written("orders");
    let unreadable = Fault::Forbidden { verb: "get".into(), resource: "configmaps".into(), namespace: "*".into() };
    flight.inject(unreadable, 600.0);
    let stage = flight.approve(&seen).await;
    assert!(why(&stage).contains("missing right: get configmaps in namespace flink"), "{stage:?}");
    assert_eq!(flight.written("orders"), untouched);
    flight.clear_faults();
    seconds(20).await;
    assert_eq!(flight.approve_newest("orders").await.word(), "observed", "{}", describe(&flight.snapshot()));
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_of_kubernetes_is_a_conflict_from_its_creation_to_its_end() {
    let mut flight = Flight::of(cluster_of("1.15"));
    let seen = flight.pending("orders").await;
    let untouched = flight.written("orders");
    let spec = json!({"scaleTargetRef": {"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment", "name": "orders"},
        "minReplicas": 1, "maxReplicas": 4});
    flight.embedded.create(Kind::HorizontalPodAutoscaler, "flink", "orders-hpa", json!({"spec": spec}));
    let conflict = |s: &Snapshot| {
        job(s, "orders").is_some_and(
            |j| matches!(&j.ownership, Ownership::Conflict { why } if why.contains("a HorizontalPodAutoscaler (orders-hpa) scales FlinkDeployment orders")),
        )
    };
    flight.until(10, "the conflict", conflict).await;
    let stage = flight.approve(&seen).await;
    assert!(why(&stage).contains("HorizontalPodAutoscaler"), "{stage:?}");
    assert_eq!(flight.written("orders"), untouched);
    flight.embedded.delete(Kind::HorizontalPodAutoscaler, "flink", "orders-hpa");
    flight.until(10, "its end", |s| !conflict(s)).await;
    assert_eq!(flight.approve_newest("orders").await.word(), "observed", "{}", describe(&flight.snapshot()));
}
