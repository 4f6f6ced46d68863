mod failures;
mod scenario;
mod sequences;
mod snapshots;

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::clock::ManualClock;
use crate::sim::kubernetes::store::{Part, Write};
use crate::sim::world::SharedWorld;

const SCENARIO: &str = r#"
name = "operator"
prerun = "60s"
namespace = "flink"
[operator]
reconcile = "5s"

[[cluster]]
name = "session"
kind = "session"
taskmanagers = { count = 2, max = 4, slots = 4 }

[[workload]]
name = "orders"
upgrade-mode = "savepoint"
[workload.application]
version = "1.20.5"
taskmanagers = { count = 1, max = 6, slots = 2 }
timings = { cooldown = "1s", stabilization = "1s", taskmanager-start = "2s" }
[[workload.vertex]]
name = "Source: orders"
cost = "90us"
source = { rate = { kind = "constant", rate = 500 } }
[[workload.vertex]]
name = "Enrich"
parallelism = 2
cost = "900us"
inputs = [{ from = "Source: orders", ship = "hash" }]

[[workload]]
name = "clicks"
cluster = "session"
upgrade-mode = "stateless"
[[workload.vertex]]
name = "Source: clicks"
cost = "90us"
source = { rate = { kind = "constant", rate = 500 } }
"#;

struct Bench {
    clock: Arc<ManualClock>,
    server: ApiServer,
    operator: Operator,
}

impl Bench {
    fn new() -> Self {
        Self::of(SCENARIO)
    }

    fn of(scenario: &str) -> Self {
        let scenario = Scenario::parse("test", scenario).unwrap();
        let start = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let world = SharedWorld::new(scenario.build(start).unwrap(), clock.clone());
        let server = ApiServer::new(world, Arc::new(|_: &str| None));
        let operator = Operator::install(server.clone(), &scenario);
        Self { clock, server, operator }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 4 {
            self.clock.advance(TICK);
            self.operator.tick();
        }
    }

    /// Runs until `state` is reached; returns the distinct states on the way, as `lifecycle/JM/job`.
    fn until(&mut self, key: &Key, state: &str) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..120 * 4 {
            self.clock.advance(TICK);
            self.operator.tick();
            let now = self.state(key);
            if seen.last() != Some(&now) {
                seen.push(now.clone());
            }
            if now == state {
                return seen;
            }
        }
        panic!("{state} was not reached: {seen:?}");
    }

    /// Version of the API server now.
    fn mark(&self) -> u64 {
        self.server.with_store(|store, _| store.version())
    }

    /// Every status that was written since, as `lifecycle/JM/job/reconciliation`, each once in a row.
    fn story(&self, key: &Key, since: u64) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        self.server.with_store(|store, _| {
            for change in store.since(since).unwrap().filter(|c| c.key == *key && !c.removed) {
                let text = |pointer: &str| spec::text(&change.after, pointer).unwrap_or("-").to_owned();
                let now = format!(
                    "{}/{}/{}/{}",
                    text("/status/lifecycleState"),
                    text("/status/jobManagerDeploymentStatus"),
                    text("/status/jobStatus/state"),
                    text("/status/reconciliationStatus/state")
                );
                if all.last() != Some(&now) {
                    all.push(now);
                }
            }
        });
        all
    }

    /// The same without states that are seen or not by chance of the moment of a look.
    fn main_story(&self, key: &Key, since: u64) -> Vec<String> {
        let mut all = self.story(key, since);
        all.retain(|s| {
            !s.contains("/READY/CREATED/") && !s.contains("/READY/INITIALIZING/") && !s.contains("/READY/RESTARTING/")
        });
        all.dedup();
        all
    }

    /// Runs until `done`.
    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..240 * 4 {
            if done(self) {
                return;
            }
            self.clock.advance(TICK);
            self.operator.tick();
        }
        panic!("{what} did not come");
    }

    fn status(&self, key: &Key, pointer: &str) -> Value {
        self.object(key).pointer(&format!("/status{pointer}")).cloned().unwrap_or_default()
    }

    fn events(&self, reason: &str) -> Vec<(String, u64)> {
        self.server.with_store(|store, _| {
            store
                .list(Kind::Event, "")
                .filter(|(_, e)| spec::text(e, "/reason") == Some(reason))
                .map(|(_, e)| (spec::text(e, "/message").unwrap().to_owned(), e["count"].as_u64().unwrap()))
                .collect()
        })
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        self.server.with_store(|store, _| store.list(kind, "flink").map(|(k, _)| k.name.clone()).collect())
    }

    fn fault(&self, fault: crate::sim::fault::Fault, seconds: f64) {
        let spec = crate::sim::fault::FaultSpec { at: 0.0, lasts: seconds, fault };
        self.server.world().with(|w| w.inject(spec)).unwrap();
    }

    fn object(&self, key: &Key) -> Arc<Value> {
        self.server.get(key).unwrap()
    }

    fn state(&self, key: &Key) -> String {
        let object = self.object(key);
        let text = |pointer: &str| spec::text(&object, pointer).unwrap_or("-").to_owned();
        format!(
            "{}/{}/{}",
            text("/status/lifecycleState"),
            text("/status/jobManagerDeploymentStatus"),
            text("/status/jobStatus/state")
        )
    }

    fn patch(&self, key: &Key, patch: Value) {
        self.server
            .with_store(|store, now| {
                store.update(key, Part::Main, now, Write::Real, |object| {
                    crate::sim::kubernetes::patch::merge(object, &patch);
                    Ok(())
                })
            })
            .unwrap();
    }

    fn reasons(&self) -> Vec<String> {
        self.server.with_store(|store, _| {
            store.list(Kind::Event, "").filter_map(|(_, e)| spec::text(e, "/reason").map(str::to_owned)).collect()
        })
    }

    fn vertex(&self, job: &str, name: &str) -> crate::domain::ids::VertexId {
        let blueprint = &self.operator.blueprints.jobs[job];
        blueprint.vertex_id(blueprint.vertices.iter().find(|v| v.name == name).unwrap())
    }

    fn parallelism(&self, cluster: &str) -> Vec<u32> {
        self.server.world().with(|w| w.cluster(cluster).unwrap().jobs.last().unwrap().parallelism.clone())
    }

    fn job_id(&self, key: &Key) -> String {
        spec::text(&self.object(key), "/status/jobStatus/jobId").unwrap().to_owned()
    }

    fn recorded(&self, key: &Key) -> Value {
        let object = self.object(key);
        let text = spec::text(&object, "/status/reconciliationStatus/lastReconciledSpec").unwrap();
        serde_json::from_str(text).unwrap()
    }
}

fn orders() -> Key {
    Key::new(Kind::FlinkDeployment, "flink", "orders")
}

fn clicks() -> Key {
    Key::new(Kind::FlinkSessionJob, "flink", "clicks")
}

const HEALTHY: &str = "STABLE/READY/RUNNING";

#[test]
fn the_resources_of_a_scenario_are_stable_from_the_beginning() {
    let bench = Bench::new();
    assert_eq!(bench.state(&orders()), HEALTHY);
    assert_eq!(bench.state(&clicks()), "STABLE/-/RUNNING");
    assert_eq!(bench.state(&Key::new(Kind::FlinkDeployment, "flink", "session")), "STABLE/READY/-");
    let object = bench.object(&orders());
    assert_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"]);
    assert_eq!(object["status"]["taskManager"]["replicas"], 1);
    assert_eq!(object["status"]["clusterInfo"]["flink-version"], "1.20.5");
    let pods: Vec<String> =
        bench.server.with_store(|s, _| s.list(Kind::Pod, "flink").map(|(k, _)| k.name.clone()).collect());
    assert!(pods.contains(&"orders-taskmanager-1-1".to_owned()), "{pods:?}");
    assert!(bench.server.get(&Key::new(Kind::Service, "flink", "orders-rest")).is_some());
    assert!(bench.server.get(&Key::new(Kind::ConfigMap, "flink", "autoscaler-orders")).is_some());
}

#[test]
fn overrides_rescale_in_place_and_keep_the_job() {
    let mut bench = Bench::new();
    let id = bench.job_id(&orders());
    let map = format!("{}:1,{}:4", bench.vertex("orders", "Source: orders"), bench.vertex("orders", "Enrich"));
    bench.patch(&orders(), json!({"spec": {"flinkConfiguration": {spec::OVERRIDES: map}}}));
    let seen = bench.until(&orders(), HEALTHY);
    assert!(seen.iter().all(|s| !s.starts_with("UPGRADING")), "{seen:?}");
    bench.run(40);
    assert_eq!(bench.state(&orders()), HEALTHY);
    assert_eq!(bench.parallelism("orders"), [1, 4]);
    assert_eq!(bench.job_id(&orders()), id);
    assert!(bench.reasons().contains(&"Scaling".to_owned()));
    assert_eq!(bench.recorded(&orders())["spec"]["flinkConfiguration"][spec::OVERRIDES], map);
    let object = bench.object(&orders());
    assert_eq!(object["status"]["observedGeneration"], 2);
    assert_eq!(object["spec"]["job"]["parallelism"], 2, "an operator never changes a spec");
}

#[test]
fn an_upgrade_takes_a_savepoint_and_starts_from_it() {
    let mut bench = Bench::new();
    let id = bench.job_id(&orders());
    bench.patch(&orders(), json!({"spec": {"restartNonce": 7}}));
    bench.until(&orders(), "UPGRADING/READY/FINISHED");
    let path = spec::text(&bench.object(&orders()), "/status/jobStatus/upgradeSavepointPath").unwrap().to_owned();
    assert!(path.contains("savepoint"), "{path}");
    assert_eq!(bench.recorded(&orders())["spec"]["job"]["state"], "suspended");
    let seen = bench.until(&orders(), HEALTHY);
    for state in
        ["UPGRADING/MISSING/FINISHED", "DEPLOYED/DEPLOYING/RECONCILING", "DEPLOYED/DEPLOYED_NOT_READY/RECONCILING"]
    {
        assert!(seen.contains(&state.to_owned()), "{state} is missing in {seen:?}");
    }
    assert_ne!(bench.job_id(&orders()), id);
    let restored =
        bench.server.world().with(|w| w.cluster("orders").unwrap().jobs.last().unwrap().checkpoints.restored.clone());
    assert_eq!(restored.unwrap().path, path);
    let reasons = bench.reasons();
    for reason in ["SpecChanged", "Suspended", "Submit", "JobStatusChanged"] {
        assert!(reasons.contains(&reason.to_owned()), "{reason} is missing in {reasons:?}");
    }
}

#[test]
fn overrides_that_drop_a_vertex_cost_a_full_upgrade_and_count_at_the_start() {
    let mut bench = Bench::new();
    let (source, enrich) = (bench.vertex("orders", "Source: orders"), bench.vertex("orders", "Enrich"));
    let set = |map: String| json!({"spec": {"flinkConfiguration": {spec::OVERRIDES: map}}});
    bench.patch(&orders(), set(format!("{source}:1,{enrich}:4")));
    bench.run(40);
    bench.patch(&orders(), set(format!("{enrich}:3")));
    bench.until(&orders(), "UPGRADING/MISSING/FINISHED");
    bench.until(&orders(), HEALTHY);
    bench.run(15);
    assert_eq!(bench.parallelism("orders"), [1, 3]);
}

#[test]
fn a_job_is_suspended_with_its_state_and_resumed() {
    let mut bench = Bench::new();
    bench.patch(&orders(), json!({"spec": {"job": {"state": "suspended"}}}));
    bench.until(&orders(), "SUSPENDED/READY/FINISHED");
    bench.run(20);
    assert_eq!(bench.state(&orders()), "SUSPENDED/READY/FINISHED");
    bench.patch(&orders(), json!({"spec": {"job": {"state": "running"}}}));
    bench.until(&orders(), HEALTHY);
}

#[test]
fn a_session_job_restarts_without_its_cluster() {
    let mut bench = Bench::new();
    let id = bench.job_id(&clicks());
    bench.patch(&clicks(), json!({"spec": {"restartNonce": 1}}));
    bench.until(&clicks(), "UPGRADING/-/CANCELED");
    bench.until(&clicks(), "STABLE/-/RUNNING");
    assert_ne!(bench.job_id(&clicks()), id);
    assert_eq!(bench.state(&Key::new(Kind::FlinkDeployment, "flink", "session")), "STABLE/READY/-");
}

#[test]
fn a_deleted_deployment_takes_its_cluster_along() {
    let mut bench = Bench::new();
    bench.server.with_store(|store, now| store.delete(&orders(), now, Write::Real)).unwrap();
    bench.run(15);
    assert!(bench.server.get(&orders()).is_none());
    assert!(bench.server.world().with(|w| w.cluster("orders").is_none()));
    let left: Vec<Key> = bench.server.with_store(|s, _| {
        [Kind::Pod, Kind::Deployment, Kind::Service]
            .iter()
            .flat_map(|k| s.list(*k, "flink").map(|(k, _)| k.clone()).collect::<Vec<_>>())
            .filter(|k| k.name.starts_with("orders"))
            .collect()
    });
    assert_eq!(left, []);
}

#[test]
fn a_session_cluster_with_jobs_is_not_deleted() {
    let mut bench = Bench::new();
    let session = Key::new(Kind::FlinkDeployment, "flink", "session");
    bench.server.with_store(|store, now| store.delete(&session, now, Write::Real)).unwrap();
    bench.run(15);
    assert!(bench.server.get(&session).is_some());
    assert!(bench.reasons().contains(&"CleanupFailed".to_owned()));
    bench.server.with_store(|store, now| store.delete(&clicks(), now, Write::Real)).unwrap();
    bench.run(15);
    assert!(bench.server.get(&session).is_none());
}

#[test]
fn a_job_that_gives_up_is_failed_with_its_causes() {
    let scenario = SCENARIO.replacen(
        "upgrade-mode = \"savepoint\"",
        "upgrade-mode = \"savepoint\"\nfailure = { after = \"2s\", restart-delay = \"1s\", attempts = 1 }",
        1,
    );
    let mut bench = Bench::of(&scenario);
    bench.run(60);
    assert_eq!(bench.state(&orders()), "FAILED/READY/FAILED");
    let error = spec::text(&bench.object(&orders()), "/status/error").unwrap().to_owned();
    let error: Value = serde_json::from_str(&error).unwrap();
    assert_eq!(error["type"], "org.apache.flink.util.SerializedThrowable");
    assert!(error["message"].as_str().unwrap().contains("Recovery is suppressed"), "{error}");
    assert!(error["throwableList"].as_array().is_some_and(|l| l.len() == 2), "{error}");
    assert!(bench.reasons().contains(&"Error".to_owned()));
}

#[test]
fn the_lifecycle_always_follows_from_the_status() {
    let mut bench = Bench::new();
    bench.patch(&orders(), json!({"spec": {"restartNonce": 7}}));
    for _ in 0..60 * 4 {
        bench.clock.advance(TICK);
        bench.operator.tick();
        let object = bench.object(&orders());
        let subject = &bench.operator.subjects[&orders()];
        assert_eq!(object["status"]["lifecycleState"], subject.status.lifecycle());
        let generation = object["metadata"]["generation"].as_i64().unwrap();
        assert!(object["status"]["observedGeneration"].as_i64().unwrap() <= generation);
    }
}
