//! The fleet of a Kubernetes cluster: its resources, the Flink clusters behind them, and the jobs on those.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::cluster::{self, ClusterLink, ClusterState};
use super::config::KubernetesSource;
use super::health::OperatorWord;
use super::ownership::OVERRIDES_KEY;
use super::pilot::{self, Subject};
use super::ports::{Resource, ResourceEvent};
use super::shared::{Shared, supervise};
use crate::domain::Timestamp;
use crate::domain::freshness::age;
use crate::domain::health::HealthWord;
use crate::domain::ids::{ClusterKey, JobKey};
use crate::domain::job::JobKind;
use crate::domain::snapshot::SourceState;
use crate::flink::FlinkClient;

/// A resource without a status is new for this long: two of the operator's reconcile intervals.
const NEW: Duration = Duration::from_secs(120);
/// An upgrade that takes longer is stuck.
const UPGRADE: Duration = Duration::from_secs(300);

/// A Flink cluster that is flown.
struct Flown {
    link: Arc<ClusterLink>,
    _poller: AbortOnDropHandle<()>,
}

/// Watches a Kubernetes cluster until it is aborted.
pub(super) async fn watch_kubernetes(shared: Arc<Shared>, source: KubernetesSource) {
    let name = format!("kubernetes {}", source.id);
    let (told, id) = (Arc::clone(&shared), source.id.clone());
    let failed = move |why: &str, pause: Duration| {
        let now = told.now();
        told.board.update_source(&id, true, |view| {
            let error = format!("the watch failed ({why}) and is started again");
            view.state = SourceState::Lost { since: now, attempt: 1, next_attempt_at: now + pause, error };
        });
    };
    supervise(&name, failed, move || fly(Arc::clone(&shared), source.clone())).await;
}

async fn fly(shared: Arc<Shared>, source: KubernetesSource) {
    let mut fleet = Fleet {
        shared: Arc::clone(&shared),
        source: source.clone(),
        resources: BTreeMap::new(),
        clusters: BTreeMap::new(),
        subjects: BTreeMap::new(),
    };
    let mut events = source.api.watch();
    while let Some(event) = events.next().await {
        fleet.take_in(event).await;
    }
}

struct Fleet {
    shared: Arc<Shared>,
    source: KubernetesSource,
    /// By uid.
    resources: BTreeMap<String, Arc<Resource>>,
    /// By the uid of the FlinkDeployment.
    clusters: BTreeMap<String, Flown>,
    /// By uid of the resource whose job it is.
    subjects: BTreeMap<String, watch::Sender<Subject>>,
}

impl Fleet {
    async fn take_in(&mut self, event: ResourceEvent) {
        let id = self.source.id.clone();
        match event {
            ResourceEvent::Lost { error, attempt, next_attempt_at } => {
                let now = self.shared.now();
                self.shared.board.update_source(&id, true, |view| {
                    let since = match &view.state {
                        SourceState::Lost { since, .. } => *since,
                        SourceState::Connecting | SourceState::Live => now,
                    };
                    view.state = SourceState::Lost { since, attempt, next_attempt_at, error };
                });
                return;
            }
            ResourceEvent::Current => {}
            ResourceEvent::All(all) => {
                let mut before = std::mem::take(&mut self.resources);
                self.resources = all
                    .into_iter()
                    .map(|new| {
                        let same = before.remove(&new.uid).filter(|old| **old == new);
                        (new.uid.clone(), same.unwrap_or_else(|| Arc::new(new)))
                    })
                    .collect();
            }
            ResourceEvent::Changed(new) => {
                self.resources.insert(new.uid.clone(), Arc::new(*new));
            }
            ResourceEvent::Gone { uid } => {
                self.resources.remove(&uid);
            }
        }
        let known = self.shared.board.source(&id).is_some_and(|s| s.version.is_some());
        let version = if known { None } else { self.source.api.version().await.ok() };
        let now = self.shared.now();
        self.shared.board.update_source(&id, true, |view| {
            view.state = SourceState::Live;
            view.last_ok = Some(now);
            if version.is_some() {
                view.version = version;
            }
        });
        self.settle();
    }

    /// Brings clusters and jobs in line with the resources.
    fn settle(&mut self) {
        let resources = &self.resources;
        self.clusters.retain(|uid, flown| {
            let stays = resources.contains_key(uid);
            if !stays {
                flown.link.retire();
                self.shared.board.remove_cluster(&flown.link.key);
            }
            stays
        });
        // A dropped sender tells the pilot that its resource is gone.
        self.subjects.retain(|uid, _| resources.contains_key(uid));
        let all: Vec<Arc<Resource>> = self.resources.values().cloned().collect();
        let of_cluster = |job: &Resource, cluster: &Resource| {
            job.deployment_name.as_ref() == Some(&cluster.reference.name)
                && job.reference.namespace == cluster.reference.namespace
        };
        for resource in &all {
            if !resource.reference.session_job {
                let jobs: Vec<&Arc<Resource>> = all.iter().filter(|job| of_cluster(job, resource)).collect();
                self.fly_cluster(resource, &jobs);
            }
        }
        for resource in &all {
            self.fly_job(resource, &all);
        }
    }

    /// Flies the cluster of a deployment on which the session jobs `jobs` run.
    fn fly_cluster(&mut self, deployment: &Arc<Resource>, jobs: &[&Arc<Resource>]) {
        let link = match self.clusters.get(&deployment.uid) {
            Some(flown) => Arc::clone(&flown.link),
            None => self.start_cluster(deployment),
        };
        let awaited = jobs.iter().any(|job| job.job_id.is_none() && !job.suspended);
        link.claim(jobs.iter().filter_map(|job| job.job_id), awaited);
        link.set_container_limit(deployment.task_manager_limit());
        link.set_ready(deployment.job_manager.as_deref() == Some("READY") && !deployment.deleting);
    }

    fn start_cluster(&mut self, deployment: &Arc<Resource>) -> Arc<ClusterLink> {
        let reference = &deployment.reference;
        let link = Arc::new(ClusterLink::new(
            ClusterKey::new(format!("k8s:{}", deployment.uid)),
            self.source.id.clone(),
            reference.name.clone(),
            Some(reference.namespace.clone()),
            self.source.api.page(deployment),
            FlinkClient::new(self.source.api.job_manager(reference), self.shared.config.client),
            false,
        ));
        // Nothing is asked before it is said to be ready.
        link.set_ready(false);
        let session = deployment.kind == JobKind::SessionCluster;
        self.shared.register_link(&link);
        let (shared, polled) = (Arc::clone(&self.shared), Arc::clone(&link));
        let poller = tokio::spawn(async move {
            let name = format!("cluster {}", polled.key);
            let poll = || {
                let (told, link) = (Arc::clone(&shared), Arc::clone(&polled));
                let listed = move |state: &ClusterState| {
                    if session {
                        fly_outsiders(&told, &link, state);
                    }
                };
                cluster::poll(Arc::clone(&shared), Arc::clone(&polled), listed)
            };
            supervise(&name, |_, _| {}, poll).await;
        });
        let flown = Flown { link: Arc::clone(&link), _poller: AbortOnDropHandle::new(poller) };
        self.clusters.insert(deployment.uid.clone(), flown);
        link
    }

    fn fly_job(&mut self, resource: &Arc<Resource>, all: &[Arc<Resource>]) {
        let cluster = match &resource.deployment_name {
            None => Some(resource),
            Some(name) => all.iter().find(|r| {
                !r.reference.session_job
                    && r.reference.name == *name
                    && r.reference.namespace == resource.reference.namespace
            }),
        };
        // A session job without its cluster has nobody who knows of it: it is shown once the cluster is.
        let Some(cluster) = cluster else { return };
        let Some(flown) = self.clusters.get(&cluster.uid) else { return };
        let described = if Arc::ptr_eq(cluster, resource) {
            Arc::clone(resource)
        } else {
            Arc::new(on_its_cluster(resource, cluster))
        };
        let subject = Subject {
            key: JobKey::new(format!("k8s:{}", resource.uid)),
            kind: resource.kind,
            namespace: Some(resource.reference.namespace.clone()),
            name: resource.reference.name.clone(),
            job: resource.job_id,
            resource: Some(described),
            api: Some(Arc::clone(&self.source.api)),
        };
        match self.subjects.get(&resource.uid) {
            Some(told) => {
                told.send_if_modified(|known| {
                    let same = known.resource == subject.resource && known.job == subject.job;
                    if !same {
                        *known = subject;
                    }
                    !same
                });
            }
            None => {
                if let Some(sender) = pilot::spawn(&self.shared, &flown.link, subject) {
                    self.subjects.insert(resource.uid.clone(), sender);
                }
            }
        }
    }
}

/// Starts a pilot for every job of a session cluster that was submitted outside the operator and has none. It flies as on plain
/// Flink: no resource describes it.
fn fly_outsiders(shared: &Arc<Shared>, link: &Arc<ClusterLink>, state: &ClusterState) {
    for job in link.outsiders(state) {
        let subject = Subject {
            key: JobKey::new(format!("{}:{}", link.key, job.id)),
            kind: JobKind::FlinkJob,
            namespace: link.namespace.clone(),
            name: job.name.clone(),
            job: Some(job.id),
            resource: None,
            api: None,
        };
        pilot::spawn(shared, link, subject);
    }
}

/// A session job runs with the configuration of its cluster under its own (`autoscaler.md` §12.1).
fn on_its_cluster(job: &Resource, cluster: &Resource) -> Resource {
    let mut described = job.clone();
    let mut configuration = cluster.configuration.clone();
    configuration.remove(OVERRIDES_KEY);
    configuration.extend(job.configuration.clone());
    described.configuration = configuration;
    described.native = cluster.native;
    described.flink_version.clone_from(&cluster.flink_version);
    described.task_manager_cpu = cluster.task_manager_cpu;
    described.task_manager_memory = cluster.task_manager_memory;
    described.job_manager.clone_from(&cluster.job_manager);
    described
}

/// What the operator says of a resource, by the table of `operator.md` §2.3; `since`: since when its lifecycle is as it is.
pub(super) fn operator_word(resource: &Resource, since: Timestamp, now: Timestamp) -> OperatorWord {
    let lifecycle = resource.lifecycle.as_deref().unwrap_or("no status");
    let text = match (resource.kind, resource.job_state.as_deref()) {
        (JobKind::SessionCluster, _) | (_, None) => lifecycle.to_owned(),
        (_, Some(job)) => format!("{lifecycle} / {job}"),
    };
    OperatorWord { text, headline: headline(resource, since, now) }
}

fn headline(r: &Resource, since: Timestamp, now: Timestamp) -> Option<(HealthWord, String)> {
    let jm = r.job_manager.as_deref().unwrap_or_default();
    let job = r.job_state.as_deref().unwrap_or_default();
    let lifecycle = r.lifecycle.as_deref().unwrap_or("CREATED");
    let session = r.kind == JobKind::SessionCluster;
    let lasts = age(since, now);
    let error = || r.error.clone().unwrap_or_else(|| "no error is reported".into());
    if r.deleting {
        return Some((HealthWord::Deleting, "the resource is being deleted".into()));
    }
    if lifecycle == "CREATED" {
        let young = r.created_at.is_none_or(|at| age(at, now) < NEW);
        return Some(match (young, r.suspended) {
            (_, true) => (HealthWord::Suspended, "created suspended".into()),
            (true, false) => (HealthWord::Deploying, "new, not deployed yet".into()),
            (false, false) => (
                HealthWord::NotReconciled,
                "the operator does not act on it: is it running and watching this namespace?".into(),
            ),
        });
    }
    if lifecycle == "FAILED" {
        return Some((HealthWord::Failed, error()));
    }
    if jm == "ERROR" {
        return Some((HealthWord::JobManagerLost, format!("the JobManager's pod does not start: {}", error())));
    }
    if jm == "MISSING"
        && !r.suspended
        && !r.reference.session_job
        && lifecycle != "UPGRADING"
        && lifecycle != "SUSPENDED"
    {
        return Some((HealthWord::JobManagerLost, "the JobManager's Deployment is gone".into()));
    }
    if r.invalid {
        return Some((HealthWord::OperatorError, format!("the spec was rejected, the old one goes on: {}", error())));
    }
    if let Some(error) = &r.error {
        return Some((HealthWord::OperatorError, error.clone()));
    }
    match lifecycle {
        "ROLLING_BACK" | "ROLLED_BACK" => {
            return Some((HealthWord::RolledBack, "the new spec did not come up".into()));
        }
        "UPGRADING" if lasts > UPGRADE => {
            return Some((HealthWord::UpgradeStuck, format!("upgrading for {} s", lasts.as_secs())));
        }
        "UPGRADING" => return Some((HealthWord::Deploying, "an upgrade is in progress".into())),
        "SUSPENDED" => return Some((HealthWord::Suspended, "suspended on request".into())),
        _ => {}
    }
    if jm == "DEPLOYING" || jm == "DEPLOYED_NOT_READY" {
        return Some((HealthWord::Deploying, "the JobManager is coming up".into()));
    }
    if session {
        return Some((HealthWord::Ready, "the session cluster is ready".into()));
    }
    if matches!(job, "RECONCILING") && lasts > NEW {
        return Some((HealthWord::Unreachable, "the operator cannot reach the JobManager".into()));
    }
    if matches!(job, "CANCELED" | "FINISHED" | "CANCELLING") && !r.suspended {
        let word = if job == "FINISHED" { HealthWord::Finished } else { HealthWord::Canceled };
        return Some((word, format!("the job is {job} though it is wanted running")));
    }
    match r.observed_generation {
        Some(observed) if observed != r.generation => {
            Some((HealthWord::ChangePending, format!("generation {}, observed {observed}", r.generation)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
