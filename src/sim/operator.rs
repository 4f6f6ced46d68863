//! The simulated Kubernetes operator: gives the resources of the embedded API server their life, by `operator.md`.
//!
//! Owns reconciliation of FlinkDeployments and FlinkSessionJobs against the world, their status and events, and the pods and services that
//! come with a cluster. It never changes a spec. Not simulated yet: FlinkStateSnapshots, blue/green deployments, rollback, the operator's own
//! autoscaler, standalone mode.

mod events;
mod install;
mod objects;
pub mod spec;
pub mod status;
mod subject;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::de;
use super::kubernetes::ApiServer;
use super::kubernetes::kinds::Kind;
use super::kubernetes::store::Key;
use super::scenario::{OperatorSpec, Scenario};
use super::spec::{ClusterSpec, JobSpec};
use subject::{Around, Subject};

/// How often the operator looks whether a resource is due, in the time of the clock.
const TICK: Duration = Duration::from_millis(250);

/// How long the steps of the operator take, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between loops of a resource at rest.
    pub reconcile: i64,
    /// Between loops while a JobManager starts.
    pub progress: i64,
    /// From an available JobManager to READY.
    pub rest_delay: i64,
    /// From a change in the API to its loop, and from a stop to the deployment.
    pub immediately: i64,
    /// Between looks at something that the operator waits for.
    pub poll: i64,
    /// Deleting a cluster.
    pub teardown: i64,
}

impl Timing {
    /// From the operator's configuration, by its own keys.
    pub fn of(spec: &OperatorSpec) -> Self {
        let option = |key: &str, default: i64| {
            let found = spec.config.get(&format!("kubernetes.operator.{key}"));
            found.and_then(|text| de::parse_flink_millis(text)).unwrap_or(default)
        };
        Self {
            reconcile: spec.reconcile,
            progress: option("observer.progress-check.interval", (spec.reconcile / 3).clamp(500, 10_000)),
            rest_delay: option("observer.rest-ready.delay", (spec.reconcile / 2).clamp(500, 10_000)),
            immediately: 200,
            poll: 500,
            teardown: 2_000,
        }
    }
}

/// What a resource does not say: the programs behind jars, and how clusters behave.
#[derive(Debug, Clone, Default)]
pub struct Blueprints {
    clusters: BTreeMap<String, ClusterSpec>,
    jobs: BTreeMap<String, JobSpec>,
}

impl Blueprints {
    /// The program that a spec runs: its jar has the name of a workload.
    fn job(&self, spec: &Value) -> Option<&JobSpec> {
        let jar = spec::text(spec, "/job/jarURI")?;
        self.jobs.get(jar.rsplit('/').next()?.strip_suffix(".jar")?)
    }

    fn cluster(&self, name: &str) -> ClusterSpec {
        self.clusters.get(name).cloned().unwrap_or_else(|| ClusterSpec {
            kind: super::spec::ClusterKind::Application,
            taskmanagers: super::spec::TaskManagerSpec { count: 0, max: 8, ..Default::default() },
            ..ClusterSpec::default()
        })
    }
}

/// The operator.
#[derive(Debug)]
pub struct Operator {
    server: ApiServer,
    timing: Timing,
    blueprints: Blueprints,
    subjects: BTreeMap<Key, Subject>,
    events_at: i64,
}

impl Operator {
    /// Installs the resources of a scenario, whose jobs run already, and an operator for them.
    pub fn install(server: ApiServer, scenario: &Scenario) -> Self {
        let mut operator = Self {
            timing: Timing::of(&scenario.operator),
            blueprints: install::blueprints(scenario),
            subjects: BTreeMap::new(),
            events_at: 0,
            server,
        };
        for (key, job) in install::resources(&operator.server, scenario) {
            let Some(object) = operator.server.get(&key) else { continue };
            let uid = spec::text(&object, "/metadata/uid").unwrap_or_default().to_owned();
            let now = operator.server.world().now();
            let cluster = spec::text(&object, "/spec/deploymentName").unwrap_or(&key.name).to_owned();
            let id = job.and_then(|job| {
                operator
                    .server
                    .world()
                    .with(|w| w.cluster(&cluster)?.jobs.iter().rev().find(|j| j.name() == job).map(|j| j.id))
            });
            operator.subjects.insert(key.clone(), Subject::adopted(key, uid, &object, id, now));
        }
        operator.tick();
        operator
    }

    /// Runs every loop that is due.
    pub fn tick(&mut self) {
        let now = self.server.world().now();
        let objects: Vec<(Key, std::sync::Arc<Value>)> = self.server.with_store(|store, _| {
            [Kind::FlinkDeployment, Kind::FlinkSessionJob]
                .into_iter()
                .flat_map(|kind| store.list(kind, "").map(|(k, o)| (k.clone(), o.clone())).collect::<Vec<_>>())
                .collect()
        });
        self.subjects.retain(|key, _| objects.iter().any(|(k, _)| k == key));
        for (key, object) in objects {
            let uid = spec::text(&object, "/metadata/uid").unwrap_or_default();
            let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
            let fresh = || Subject::new(key.clone(), uid.to_owned(), now);
            let subject = self.subjects.entry(key.clone()).or_insert_with(fresh);
            if subject.uid != uid {
                *subject = fresh();
            }
            if subject.seen_generation != generation {
                subject.due = subject.due.min(now + self.timing.immediately);
                subject.seen_generation = generation;
            }
            if now < subject.due {
                continue;
            }
            let around = Around { server: &self.server, timing: &self.timing, blueprints: &self.blueprints, now };
            if subject.turn(&around, &object) {
                objects::sync(&self.server, &key, uid, &object);
            } else {
                self.subjects.remove(&key);
            }
        }
        if now - self.events_at > 60_000 {
            self.events_at = now;
            events::forget_old(&self.server);
        }
    }

    /// Runs until the future is dropped.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tick();
        }
    }
}

#[cfg(test)]
mod tests;
