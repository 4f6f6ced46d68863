//! The fleet of a Kubernetes cluster: its resources, the Flink clusters behind them, and the jobs on those.

mod around;
mod looks;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::cluster::{self, ClusterLink, ClusterState};
use super::config::KubernetesSource;
use super::kube::{Around, KubeLink};
use super::ownership::OVERRIDES_KEY;
use super::pilot::{self, Subject};
use super::ports::{Resource, ResourceEvent, Wanted};
use super::shared::{Shared, supervise};
use crate::domain::Timestamp;
use crate::domain::command::{Command, CommandStage, Intent, Interest};
use crate::domain::ids::{ClusterKey, JobKey};
use crate::domain::job::JobKind;
use crate::domain::snapshot::SourceState;
use crate::flink::FlinkClient;
use around::{Place, Surroundings};
use looks::Looks;

/// How often it is asked again what is allowed, while something is not.
const RIGHTS_AGAIN: Duration = Duration::from_secs(600);

/// A Flink cluster that is flown.
struct Flown {
    link: Arc<ClusterLink>,
    _poller: AbortOnDropHandle<()>,
}

/// Watches a Kubernetes cluster until it is aborted.
pub(super) async fn watch_kubernetes(shared: Arc<Shared>, source: KubernetesSource) {
    let name = format!("kubernetes {}", source.id);
    let current = Arc::new(Mutex::new(source));
    let (told, known) = (Arc::clone(&shared), Arc::clone(&current));
    let failed = move |why: &str, pause: Duration| {
        let now = told.now();
        let id = lock(&known).id.clone();
        told.board.update_source(&id, true, |view| {
            let error = format!("the watch failed ({why}) and is started again");
            view.state = SourceState::Lost { since: now, attempt: 1, next_attempt_at: now + pause, error };
        });
    };
    supervise(&name, failed, move || fly(Arc::clone(&shared), Arc::clone(&current))).await;
}

/// Flies the source; another one that is switched to takes its place.
async fn fly(shared: Arc<Shared>, current: Arc<Mutex<KubernetesSource>>) {
    loop {
        let source = lock(&current).clone();
        let mut orders = shared.register_fleet(&source.id, &source.api);
        let next = Fleet::fly(&shared, &source, &mut orders).await;
        shared.unregister_fleet(&source.id);
        let Some(next) = next else { return };
        shared.board.replace_source(&source.id, super::supervisor::kubernetes_view(&next));
        *lock(&current) = next;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resources by what others know of them, so that the change of one costs no look at all the others.
#[derive(Default)]
struct Index {
    /// Uids of FlinkDeployments by their own place.
    deployments: HashMap<Place, String>,
    /// Uids of FlinkSessionJobs by their own place.
    session_jobs: HashMap<Place, String>,
    /// Uids of FlinkSessionJobs by the place of their cluster.
    on: HashMap<Place, BTreeSet<String>>,
}

impl Index {
    fn of<'a>(resources: impl Iterator<Item = &'a Arc<Resource>>) -> Self {
        let mut index = Self::default();
        resources.for_each(|resource| index.add(resource));
        index
    }

    fn add(&mut self, resource: &Resource) {
        let names = if resource.reference.session_job { &mut self.session_jobs } else { &mut self.deployments };
        names.insert(place_of(resource), resource.uid.clone());
        if resource.reference.session_job {
            self.on.entry(cluster_place(resource)).or_default().insert(resource.uid.clone());
        }
    }

    fn remove(&mut self, resource: &Resource) {
        let names = if resource.reference.session_job { &mut self.session_jobs } else { &mut self.deployments };
        // Another one may have its name by now.
        if names.get(&place_of(resource)) == Some(&resource.uid) {
            names.remove(&place_of(resource));
        }
        let place = cluster_place(resource);
        if let Some(jobs) = self.on.get_mut(&place) {
            jobs.remove(&resource.uid);
            if jobs.is_empty() {
                self.on.remove(&place);
            }
        }
    }
}

/// Namespace and name of a resource.
fn place_of(resource: &Resource) -> Place {
    (resource.reference.namespace.clone(), resource.reference.name.clone())
}

/// Namespace and name of the FlinkDeployment on which its job runs.
fn cluster_place(resource: &Resource) -> Place {
    let name = resource.deployment_name.as_ref().unwrap_or(&resource.reference.name);
    (resource.reference.namespace.clone(), name.clone())
}

struct Fleet {
    shared: Arc<Shared>,
    source: KubernetesSource,
    kube: Arc<KubeLink>,
    /// By uid.
    resources: BTreeMap<String, Arc<Resource>>,
    index: Index,
    /// By the uid of the FlinkDeployment.
    clusters: BTreeMap<String, Flown>,
    /// By uid of the resource whose job it is.
    subjects: BTreeMap<String, watch::Sender<Subject>>,
    around: Surroundings,
    looks: Looks,
}

impl Fleet {
    /// Flies until the source is replaced by another one, or for ever.
    async fn fly(
        shared: &Arc<Shared>,
        source: &KubernetesSource,
        orders: &mut mpsc::Receiver<Command>,
    ) -> Option<KubernetesSource> {
        let refresh = shared.config.capacity_refresh;
        let kube = Arc::new(KubeLink::new(source.id.clone(), Arc::clone(&source.api), refresh));
        let mut fleet = Self {
            shared: Arc::clone(shared),
            source: source.clone(),
            looks: Looks::new(Arc::clone(shared), Arc::clone(&kube)),
            kube,
            resources: BTreeMap::new(),
            index: Index::default(),
            clusters: BTreeMap::new(),
            subjects: BTreeMap::new(),
            around: Surroundings::default(),
        };
        shared.board.update_kube(&source.id, |view| {
            *view = crate::domain::kubernetes::KubeView {
                namespaces: Arc::new(source.api.namespaces()),
                contexts: Arc::new(shared.contexts.as_ref().map(|c| c.list(&source.id)).unwrap_or_default()),
                ..crate::domain::kubernetes::KubeView::new(source.id.clone())
            };
        });
        let (want, wanted) = watch::channel(Wanted::default());
        let mut events = source.api.watch(wanted);
        let mut interest = shared.interest.clone();
        let now = interest.borrow_and_update().clone();
        fleet.looked_at(&now, &want);
        let mut rights = tokio::time::interval(RIGHTS_AGAIN);
        rights.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = rights.tick() => fleet.looks.ask_missing_rights(),
                event = events.next() => fleet.take_in(event?).await,
                order = orders.recv() => {
                    if let Some(next) = fleet.carry_out(order?).await {
                        return Some(next);
                    }
                }
                changed = interest.changed() => {
                    changed.ok()?;
                    let now = interest.borrow_and_update().clone();
                    fleet.looked_at(&now, &want);
                }
            }
        }
    }

    /// What somebody looks at decides what is watched beside the resources.
    fn looked_at(&mut self, interest: &Interest, want: &watch::Sender<Wanted>) {
        let job = interest.job.as_ref().and_then(|key| self.shared.board.job(key));
        let ours = job.filter(|job| job.source == self.source.id);
        let namespace = ours.as_ref().and_then(|job| job.namespace.clone());
        let wanted = match (interest.visible, interest.all_events, interest.events, namespace) {
            (true, true, ..) => Wanted::AllEvents,
            (true, false, true, Some(namespace)) => Wanted::EventsIn(namespace),
            _ => Wanted::Nothing,
        };
        want.send_if_modified(|known| std::mem::replace(known, wanted.clone()) != wanted);
        self.looks.looked_at(interest);
    }

    /// Carries out a command about the cluster. Gives the source that takes this one's place, if one does.
    async fn carry_out(&mut self, command: Command) -> Option<KubernetesSource> {
        let (issuer, id) = (command.issuer, command.id);
        let refused = |why: String| self.shared.board.stage(issuer, id, CommandStage::Refused { why }, None);
        match command.intent {
            Intent::AskRights { .. } => {
                self.looks.ask_rights(Some((issuer, id)));
                None
            }
            Intent::SwitchContext { context, namespaces, .. } => {
                let Some(contexts) = self.shared.contexts.clone() else {
                    refused("contexts cannot be switched here".into());
                    return None;
                };
                if let Some((plan, word)) = self.shared.desk.running(self.source.id.as_str()) {
                    refused(format!("plan {plan} ({word}) runs on this one: let it end first"));
                    return None;
                }
                self.shared.board.stage(issuer, id, CommandStage::Sent, Some("the new connection".into()));
                match contexts.connect(&self.source.id, context.as_deref(), &namespaces).await {
                    Ok(next) => {
                        for flown in self.clusters.values() {
                            flown.link.retire();
                            self.shared.board.remove_cluster(&flown.link.key);
                        }
                        self.shared.board.stage(issuer, id, CommandStage::Observed, None);
                        Some(next)
                    }
                    Err(why) => {
                        self.shared.board.stage(issuer, id, CommandStage::Failed { why }, None);
                        None
                    }
                }
            }
            _ => {
                refused("this is no command about a cluster".into());
                None
            }
        }
    }

    async fn take_in(&mut self, event: ResourceEvent) {
        match event {
            ResourceEvent::Lost { error, attempt, next_attempt_at } => self.lost(&error, attempt, next_attempt_at),
            ResourceEvent::Current => {
                self.answered().await;
                // A pilot of an earlier look at the same job may have had to land first.
                if self.subjects.len() < self.resources.len() {
                    self.settle();
                }
            }
            ResourceEvent::All(all) => {
                let mut before = std::mem::take(&mut self.resources);
                self.resources = all
                    .into_iter()
                    .filter(|new| !new.canary)
                    .map(|new| {
                        let same = before.remove(&new.uid).filter(|old| *old == new);
                        (new.uid.clone(), same.unwrap_or(new))
                    })
                    .collect();
                self.answered().await;
                self.settle();
            }
            ResourceEvent::Changed(new) => {
                self.answered().await;
                // A canary never has a status: it only tells the operator that it is alive.
                if !new.canary {
                    self.changed(new);
                }
            }
            ResourceEvent::Gone { uid } => {
                self.answered().await;
                self.gone(&uid);
            }
            ResourceEvent::Pods(_)
            | ResourceEvent::JobManagers(_)
            | ResourceEvent::Autoscalers(_)
            | ResourceEvent::Scalers(_)
            | ResourceEvent::Snapshots(_)
            | ResourceEvent::BlueGreen(_)
            | ResourceEvent::Events(_)
            | ResourceEvent::Features(_)
            | ResourceEvent::Operator(_)
            | ResourceEvent::Watches(_) => self.surroundings(event),
        }
    }

    fn lost(&self, error: &str, attempt: u32, next_attempt_at: Timestamp) {
        let now = self.shared.now();
        self.shared.board.update_source(&self.source.id, true, |view| {
            let since = match &view.state {
                SourceState::Lost { since, .. } => *since,
                SourceState::Connecting | SourceState::Live => now,
            };
            view.state = SourceState::Lost { since, attempt, next_attempt_at, error: error.to_owned() };
        });
    }

    /// The source answered about its resources.
    async fn answered(&self) {
        let id = &self.source.id;
        let known = self.shared.board.source(id).is_some_and(|s| s.version.is_some());
        let version = if known { None } else { self.source.api.version().await.ok() };
        let now = self.shared.now();
        self.shared.board.update_source(id, true, |view| {
            view.state = SourceState::Live;
            view.last_ok = Some(now);
            if version.is_some() {
                view.version = version;
            }
        });
    }

    /// Brings clusters and jobs in line with all the resources.
    fn settle(&mut self) {
        let resources = &self.resources;
        self.index = Index::of(resources.values());
        let landed: Vec<String> = self.clusters.keys().filter(|uid| !resources.contains_key(*uid)).cloned().collect();
        // A dropped sender tells the pilot that its resource is gone.
        self.subjects.retain(|uid, _| resources.contains_key(uid));
        landed.iter().for_each(|uid| self.land(uid));
        self.settle_operator();
        let all: Vec<Arc<Resource>> = self.resources.values().cloned().collect();
        for deployment in all.iter().filter(|r| !r.reference.session_job) {
            self.fly_cluster(deployment);
        }
        for resource in &all {
            self.fly_job(resource);
        }
    }

    /// Takes in one resource that is new or changed.
    fn changed(&mut self, new: Arc<Resource>) {
        let before = self.resources.insert(new.uid.clone(), Arc::clone(&new));
        if let Some(before) = &before {
            self.index.remove(before);
        }
        self.index.add(&new);
        let operator = &self.around.operator;
        if operator.exact.is_none() && new.operator > operator.at_least {
            self.tell_all();
        }
        let place = cluster_place(&new);
        if let Some(elsewhere) = before.as_ref().map(|before| cluster_place(before)).filter(|was| *was != place)
            && let Some(deployment) = self.deployment_at(&elsewhere)
        {
            self.fly_cluster(&deployment);
        }
        if let Some(deployment) = self.deployment_at(&place) {
            self.fly_cluster(&deployment);
        }
        self.fly_job(&new);
        if !new.reference.session_job {
            for job in self.jobs_on(&place) {
                self.fly_job(&job);
            }
        }
    }

    /// A resource is gone.
    fn gone(&mut self, uid: &str) {
        let Some(gone) = self.resources.remove(uid) else { return };
        self.index.remove(&gone);
        self.subjects.remove(uid);
        self.land(uid);
        if let Some(deployment) = self.deployment_at(&cluster_place(&gone)) {
            self.fly_cluster(&deployment);
        }
    }

    /// The cluster of this FlinkDeployment is gone.
    fn land(&mut self, uid: &str) {
        if let Some(flown) = self.clusters.remove(uid) {
            flown.link.retire();
            self.shared.board.remove_cluster(&flown.link.key);
        }
    }

    /// The FlinkDeployment at a place.
    fn deployment_at(&self, place: &Place) -> Option<Arc<Resource>> {
        self.index.deployments.get(place).and_then(|uid| self.resources.get(uid)).cloned()
    }

    /// The session jobs that run on the cluster at a place.
    fn jobs_on(&self, place: &Place) -> Vec<Arc<Resource>> {
        let uids = self.index.on.get(place).into_iter().flatten();
        uids.filter_map(|uid| self.resources.get(uid)).cloned().collect()
    }

    /// Flies the cluster of a deployment.
    fn fly_cluster(&mut self, deployment: &Arc<Resource>) {
        let link = match self.clusters.get(&deployment.uid) {
            Some(flown) => Arc::clone(&flown.link),
            None => self.start_cluster(deployment),
        };
        let jobs = self.jobs_on(&place_of(deployment));
        let awaited = jobs.iter().any(|job| job.job_id.is_none() && !job.suspended);
        link.claim(jobs.iter().filter_map(|job| job.job_id), awaited);
        link.set_container_limit(deployment.task_manager_limit());
        link.set_ready(deployment.job_manager.as_deref() == Some("READY") && !deployment.deleting);
    }

    fn start_cluster(&mut self, deployment: &Arc<Resource>) -> Arc<ClusterLink> {
        let reference = &deployment.reference;
        let way = self.source.api.job_manager(deployment);
        let link = Arc::new(ClusterLink::new(
            ClusterKey::new(format!("k8s:{}", deployment.uid)),
            self.source.id.clone(),
            reference.name.clone(),
            Some(reference.namespace.clone()),
            self.source.api.page(deployment),
            FlinkClient::new(way.transport, self.shared.config.client),
            false,
        ));
        // Nothing is asked before it is said to be ready.
        link.set_ready(false);
        cluster::put_way(&self.shared, &link, way.why);
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
        self.show_pods(&place_of(deployment));
        link
    }

    /// Tells the pilot of a job of its resource and of what is around it; starts one if there is none.
    fn fly_job(&mut self, resource: &Arc<Resource>) {
        // A session job without its cluster has nobody who knows of it: it is shown once the cluster is.
        let Some(cluster) = self.deployment_at(&cluster_place(resource)) else { return };
        let Some(flown) = self.clusters.get(&cluster.uid) else { return };
        let described = if Arc::ptr_eq(&cluster, resource) {
            Arc::clone(resource)
        } else {
            Arc::new(on_its_cluster(resource, &cluster))
        };
        let subject = Subject {
            key: JobKey::new(format!("k8s:{}", resource.uid)),
            kind: resource.kind,
            namespace: Some(resource.reference.namespace.clone()),
            name: resource.reference.name.clone(),
            job: resource.job_id,
            around: self.around_job(resource, &cluster),
            resource: Some(described),
            kube: Some(Arc::clone(&self.kube)),
        };
        match self.subjects.get(&resource.uid) {
            Some(told) => {
                told.send_if_modified(|known| {
                    let same = known.resource == subject.resource
                        && known.job == subject.job
                        && known.around == subject.around;
                    if !same {
                        // The same resource stays the same `Arc`: that is how a pilot tells.
                        let resource = known.resource.clone().filter(|r| Some(r) == subject.resource.as_ref());
                        *known = Subject { resource: resource.or(subject.resource), ..subject };
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

    fn around_job(&self, resource: &Resource, cluster: &Resource) -> Around {
        let (namespace, name) = (&cluster.reference.namespace, &cluster.reference.name);
        Around {
            stored: self.around.stored_of(&resource.reference),
            lost: self.around.lost_of(&resource.reference),
            pods: self.around.pods_of(namespace, name),
            scalers: Arc::clone(&self.around.scalers),
            operator: Arc::clone(&self.around.operator),
            events: self.around.events_of(resource, cluster, self.looks.looks_at(&resource.uid)),
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
            kube: None,
            around: Around::default(),
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
    described.placement = Arc::clone(&cluster.placement);
    described.job_manager.clone_from(&cluster.job_manager);
    described
}

#[cfg(test)]
mod tests;
