//! The simulated Kubernetes operator: gives the resources of the embedded API server their life, by `operator.md`.
//!
//! Owns reconciliation of FlinkDeployments, FlinkSessionJobs and FlinkStateSnapshots against the world, their status and events, and the pods
//! and services that come with a cluster. It never changes a spec. Not simulated: blue/green deployments, the health check, periodic
//! snapshots, standalone mode.

mod autoscaler;
mod decide;
mod delete;
mod deploy;
mod documents;
mod events;
mod install;
mod machines;
mod nonces;
mod objects;
mod observe;
mod options;
mod reconcile;
mod release;
mod snapshots;
pub mod spec;
pub mod status;
mod stop;
mod subject;
pub mod validate;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::kubernetes::ApiServer;
use super::kubernetes::kinds::Kind;
use super::kubernetes::store::{Change, Key};
use super::scenario::Scenario;
use super::spec::{ClusterSpec, JobSpec};
pub use options::{Options, Timing};
pub use release::Release;
use snapshots::Snapshot;
use subject::{Around, Subject};

/// How often the operator looks whether a resource is due, in the time of the clock.
const TICK: Duration = Duration::from_millis(250);

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
    snapshots: BTreeMap<Key, Snapshot>,
    objects: objects::Objects,
    machines: machines::Machines,
    /// Version of the API server's objects up to which everything was seen.
    seen: Option<u64>,
    events_at: i64,
    /// How much longer everything takes at the moment, milliseconds.
    slow: i64,
}

impl Operator {
    /// Installs the resources of a scenario, whose jobs run already, and an operator for them.
    pub fn install(server: ApiServer, scenario: &Scenario) -> Self {
        server.configure(scenario);
        let mut operator = Self {
            timing: Timing::of(&scenario.operator),
            blueprints: install::blueprints(scenario),
            subjects: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            objects: objects::Objects::default(),
            machines: machines::Machines::install(&server, scenario),
            seen: None,
            events_at: 0,
            slow: 0,
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
            let subject = Subject::adopted(key.clone(), uid, &object, id, &operator.timing, now);
            operator.subjects.insert(key, subject);
        }
        operator.tick();
        operator
    }

    /// Runs every loop that is due.
    pub fn tick(&mut self) {
        let now = self.server.world().now();
        self.slow = self.server.world().with(|world| world.faults().operator_delay());
        self.learn(now);
        if self.machines.operator_lives() {
            self.reconcile(now);
            self.take_snapshots(now);
        }
        self.objects.sync(&self.server);
        self.machines.sync(&self.server, now);
        if now - self.events_at > 60_000 {
            self.events_at = now;
            events::forget_old(&self.server);
        }
    }

    /// Takes note of what changed in the API.
    fn learn(&mut self, now: i64) {
        let seen = self.seen;
        let (changes, version) = self.server.with_store(|store, _| {
            let changes = seen.and_then(|seen| store.since(seen).ok().map(|all| all.cloned().collect::<Vec<_>>()));
            (changes, store.version())
        });
        self.seen = Some(version);
        match changes {
            Some(changes) => changes.iter().for_each(|change| self.changed(change, now)),
            None => self.relist(now),
        }
    }

    fn relist(&mut self, now: i64) {
        let kinds = [Kind::FlinkDeployment, Kind::FlinkSessionJob, Kind::FlinkStateSnapshot];
        let all: Vec<(Key, Arc<Value>)> = self.server.with_store(|store, _| {
            let list = |kind| store.list(kind, "").map(|(k, o)| (k.clone(), o.clone())).collect::<Vec<_>>();
            kinds.into_iter().flat_map(list).collect()
        });
        self.subjects.retain(|key, _| all.iter().any(|(k, _)| k == key));
        self.snapshots.retain(|key, _| all.iter().any(|(k, _)| k == key));
        for (key, object) in all {
            self.appeared(&key, &object, now);
        }
    }

    fn changed(&mut self, change: &Change, now: i64) {
        let going = change.removed || change.after.pointer("/metadata/deletionTimestamp").is_some();
        match change.key.kind {
            Kind::Pod | Kind::Deployment if going => {
                self.objects.deleted(&self.server, &change.key, &change.after, change.removed);
            }
            Kind::Node | Kind::ResourceQuota => self.machines.changed(&self.server, change),
            _ => {}
        }
        if change.removed {
            self.subjects.remove(&change.key);
            self.snapshots.remove(&change.key);
        } else {
            self.appeared(&change.key, &change.after, now);
        }
    }

    /// A resource is there: new, another one of the same name, or changed.
    fn appeared(&mut self, key: &Key, object: &Value, now: i64) {
        let uid = spec::text(object, "/metadata/uid").unwrap_or_default();
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        match key.kind {
            Kind::FlinkDeployment | Kind::FlinkSessionJob => {
                let fresh = || Subject::new(key.clone(), uid.to_owned(), &self.timing, now);
                let subject = self.subjects.entry(key.clone()).or_insert_with(fresh);
                if subject.uid != uid {
                    *subject = fresh();
                }
                if subject.seen_generation != generation {
                    subject.hurry(now + self.timing.immediately + self.slow);
                    subject.seen_generation = generation;
                }
            }
            Kind::FlinkStateSnapshot => {
                let fresh = || Snapshot::new(key.clone(), uid.to_owned(), generation, now + self.timing.immediately);
                let snapshot = self.snapshots.entry(key.clone()).or_insert_with(fresh);
                if snapshot.uid != uid || snapshot.seen_generation != generation {
                    *snapshot = fresh();
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, now: i64) {
        let due: Vec<Key> = self.subjects.iter().filter(|(_, s)| s.due <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            let (Some(object), Some(subject)) = (self.server.get(&key), self.subjects.get_mut(&key)) else {
                self.subjects.remove(&key);
                continue;
            };
            let around = Around { server: &self.server, timing: &self.timing, blueprints: &self.blueprints, now };
            let before = subject.status.job_manager;
            let stays = subject.turn(&around, &object);
            subject.due += self.slow;
            let other = subject.status.job_manager != before;
            if !stays {
                self.subjects.remove(&key);
            }
            if !stays || other {
                self.wake_relatives(&key, &object, now);
            }
        }
    }

    /// Session jobs have a loop when their cluster changes, and the cluster when they go.
    fn wake_relatives(&mut self, key: &Key, object: &Value, now: i64) {
        let soon = now + self.timing.immediately;
        if let Some(session) = spec::text(object, "/spec/deploymentName") {
            if let Some(cluster) = self.subjects.get_mut(&Key::new(Kind::FlinkDeployment, &key.namespace, session)) {
                cluster.hurry(soon);
            }
            return;
        }
        for (other, subject) in &mut self.subjects {
            if other.kind == Kind::FlinkSessionJob && other.namespace == key.namespace && subject.runs_in(&key.name) {
                subject.hurry(soon);
            }
        }
    }

    fn take_snapshots(&mut self, now: i64) {
        let Self { server, timing, blueprints, subjects, snapshots, .. } = self;
        let around = Around { server, timing, blueprints, now };
        for (key, snapshot) in snapshots.iter_mut().filter(|(_, s)| s.due <= now) {
            if let Some(object) = server.get(key) {
                snapshot.turn(&around, &object, subjects);
            }
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

/// An instant with milliseconds.
fn rfc3339_millis(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests;
