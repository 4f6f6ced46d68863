//! What belongs to the resources of a cluster: pods, autoscaler state, snapshots, events, and how the watches stand.
//!
//! A changed pod clones the list of its own Flink cluster and no other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Fleet;
use crate::control::operator_state::OperatorState;
use crate::control::ports::{AutoscalerState, Resource, ResourceEvent, ResourceRef, RowEvent};
use crate::domain::Timestamp;
use crate::domain::freshness::Observed;
use crate::domain::kubernetes::{BlueGreenRow, OperatorView, StateSnapshotRow, WatchState, WatchView};
use crate::domain::pods::{DeploymentRow, EventRow, PodRow, PodsView};

/// Events that are shown.
const EVENTS: usize = 2_000;
/// Events that are shown of one job.
const EVENTS_OF_JOB: usize = 200;

type Place = (String, String);

/// Rows of one kind by uid.
type Rows<T> = BTreeMap<String, Arc<T>>;

/// See the module.
#[derive(Default)]
pub(super) struct Surroundings {
    /// By namespace and Flink cluster, then by uid.
    pods: BTreeMap<Place, Rows<PodRow>>,
    place_of_pod: HashMap<String, Place>,
    job_managers: Rows<DeploymentRow>,
    /// What was made of the pods of each cluster.
    views: BTreeMap<Place, Arc<PodsView>>,
    stored: Rows<AutoscalerState>,
    read: BTreeMap<String, Observed<Arc<OperatorState>>>,
    snapshots: Rows<StateSnapshotRow>,
    blue_green: Rows<BlueGreenRow>,
    events: Option<Rows<EventRow>>,
    sorted: Option<Observed<Arc<Vec<Arc<EventRow>>>>>,
    watches: Vec<WatchView>,
    /// As found by the Deployment and the kinds that are served.
    found: OperatorView,
    /// With what the resources tell.
    pub operator: Arc<OperatorView>,
}

/// Folds a change; the uids that changed, or none for all.
fn fold<T>(rows: &mut Rows<T>, event: RowEvent<T>, uid: impl Fn(&T) -> &str) {
    match event {
        RowEvent::All(all) => *rows = all.into_iter().map(|row| (uid(&row).to_owned(), row)).collect(),
        RowEvent::Changed(row) => drop(rows.insert(uid(&row).to_owned(), row)),
        RowEvent::Gone { uid } => drop(rows.remove(&uid)),
        RowEvent::Stopped => rows.clear(),
    }
}

impl Surroundings {
    /// Folds a change of pods; the places whose pods changed.
    fn take_pods(&mut self, event: RowEvent<PodRow>) -> Vec<Place> {
        let place = |pod: &PodRow| (pod.namespace.clone(), pod.app.clone());
        let mut changed = Vec::new();
        match event {
            RowEvent::All(all) => {
                changed.extend(std::mem::take(&mut self.pods).into_keys());
                self.place_of_pod.clear();
                for pod in all {
                    self.place_of_pod.insert(pod.uid.clone(), place(&pod));
                    self.pods.entry(place(&pod)).or_default().insert(pod.uid.clone(), pod);
                }
                changed.extend(self.pods.keys().cloned());
            }
            RowEvent::Changed(pod) => {
                let place = place(&pod);
                if let Some(before) = self.place_of_pod.insert(pod.uid.clone(), place.clone())
                    && before != place
                {
                    self.pods.entry(before.clone()).or_default().remove(&pod.uid);
                    changed.push(before);
                }
                self.pods.entry(place.clone()).or_default().insert(pod.uid.clone(), pod);
                changed.push(place);
            }
            RowEvent::Gone { uid } => {
                if let Some(place) = self.place_of_pod.remove(&uid) {
                    self.pods.entry(place.clone()).or_default().remove(&uid);
                    changed.push(place);
                }
            }
            RowEvent::Stopped => {}
        }
        changed.sort();
        changed.dedup();
        self.pods.retain(|_, pods| !pods.is_empty());
        changed
    }

    /// Makes the list of a cluster anew; the same list stays the same `Arc`.
    fn view(&mut self, place: &Place) -> Option<Arc<PodsView>> {
        let mut pods: Vec<Arc<PodRow>> = self.pods.get(place).into_iter().flat_map(|p| p.values().cloned()).collect();
        pods.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
        let of = |d: &&Arc<DeploymentRow>| d.namespace == place.0 && d.name == place.1;
        let view = PodsView { pods, deployment: self.job_managers.values().find(of).cloned() };
        if view == PodsView::default() {
            self.views.remove(place);
            return None;
        }
        let same = self.views.get(place).filter(|known| ***known == view).cloned();
        let view = same.unwrap_or_else(|| Arc::new(view));
        self.views.insert(place.clone(), Arc::clone(&view));
        Some(view)
    }

    pub fn pods_of(&self, namespace: &str, name: &str) -> Option<Arc<PodsView>> {
        self.views.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// What the operator's autoscaler keeps of a resource.
    pub fn stored_of(&self, resource: &ResourceRef) -> Option<Observed<Arc<OperatorState>>> {
        let (uid, _) = self.stored.iter().find(|(_, state)| state.is_of(resource))?;
        self.read.get(uid).cloned()
    }

    fn take_stored(&mut self, event: RowEvent<AutoscalerState>, at: Timestamp) {
        fold(&mut self.stored, event, |state| &state.uid);
        let known = std::mem::take(&mut self.read);
        for (uid, state) in &self.stored {
            let fresh = OperatorState::read(state);
            let same = known.get(uid).filter(|old| *old.value == fresh).cloned();
            self.read.insert(uid.clone(), same.unwrap_or_else(|| Observed::new(Arc::new(fresh), at)));
        }
    }

    /// The watch of a resource is lost: since when and why.
    pub fn lost_of(&self, resource: &ResourceRef) -> Option<(Timestamp, String)> {
        let kind = if resource.session_job { "flinksessionjobs." } else { "flinkdeployments." };
        let of = |w: &&WatchView| {
            w.resource.starts_with(kind) && w.namespace.as_ref().is_none_or(|ns| *ns == resource.namespace)
        };
        match &self.watches.iter().find(of)?.state {
            WatchState::Lost { since, error, .. } => Some((*since, error.clone())),
            WatchState::Connecting | WatchState::Live => None,
        }
    }

    /// Events about a resource, its cluster and their pods, newest first.
    pub fn events_of(
        &self,
        resource: &Resource,
        cluster: &Resource,
        looked_at: bool,
    ) -> Option<Observed<Arc<Vec<Arc<EventRow>>>>> {
        let sorted = self.sorted.as_ref().filter(|_| looked_at)?;
        let (namespace, name) = (&cluster.reference.namespace, &cluster.reference.name);
        let pods = self.pods.get(&(namespace.clone(), name.clone()));
        let about = |event: &&Arc<EventRow>| {
            event.namespace == *namespace
                && (event.name == *name
                    || event.name == resource.reference.name
                    || event.object_uid == resource.uid
                    || pods.is_some_and(|p| p.contains_key(&event.object_uid))
                    // Pods that are gone are still known by their names.
                    || event.name.strip_prefix(name.as_str()).is_some_and(|rest| {
                        event.kind == "Pod" && rest.starts_with('-')
                    }))
        };
        let found: Vec<_> = sorted.value.iter().filter(about).take(EVENTS_OF_JOB).cloned().collect();
        Some(Observed::new(Arc::new(found), sorted.at))
    }

    fn take_events(&mut self, event: RowEvent<EventRow>, at: Timestamp) {
        if event == RowEvent::Stopped {
            (self.events, self.sorted) = (None, None);
            return;
        }
        let rows = self.events.get_or_insert_default();
        fold(rows, event, |row| &row.uid);
        let mut all: Vec<Arc<EventRow>> = rows.values().cloned().collect();
        all.sort_by(|a, b| (b.last_at, &b.uid).cmp(&(a.last_at, &a.uid)));
        for old in all.iter().skip(EVENTS) {
            rows.remove(&old.uid);
        }
        all.truncate(EVENTS);
        self.sorted = Some(Observed::new(Arc::new(all), at));
    }

    /// The operator with what its resources tell of it.
    fn settle_operator<'a>(&mut self, resources: impl Iterator<Item = &'a Arc<Resource>>) -> bool {
        let mut view = self.found.clone();
        let told = resources.filter_map(|r| r.operator).max();
        if view.exact.is_none() && told > view.at_least {
            view.at_least = told;
            view.evidence = format!("by what it writes; {}", view.evidence);
        }
        let changed = *self.operator != view;
        if changed {
            self.operator = Arc::new(view);
        }
        changed
    }
}

impl Fleet {
    /// Takes in a change of what belongs to the resources.
    pub(super) fn surroundings(&mut self, event: ResourceEvent) {
        let (now, id) = (self.shared.now(), self.source.id.clone());
        let board = Arc::clone(&self.shared.board);
        match event {
            ResourceEvent::Pods(event) => {
                for (namespace, name) in self.around.take_pods(event) {
                    self.show_pods(&namespace, &name);
                }
            }
            ResourceEvent::JobManagers(event) => {
                let places = |rows: &Rows<DeploymentRow>| -> Vec<Place> {
                    rows.values().map(|d| (d.namespace.clone(), d.name.clone())).collect()
                };
                let one = match &event {
                    RowEvent::Changed(row) => Some((row.namespace.clone(), row.name.clone())),
                    RowEvent::Gone { uid } => {
                        self.around.job_managers.get(uid).map(|d| (d.namespace.clone(), d.name.clone()))
                    }
                    RowEvent::All(_) | RowEvent::Stopped => None,
                };
                let mut changed = if one.is_some() { Vec::new() } else { places(&self.around.job_managers) };
                fold(&mut self.around.job_managers, event, |row| &row.uid);
                match one {
                    Some(place) => changed.push(place),
                    None => changed.extend(places(&self.around.job_managers)),
                }
                changed.sort();
                changed.dedup();
                for (namespace, name) in changed {
                    self.show_pods(&namespace, &name);
                }
            }
            ResourceEvent::Autoscalers(event) => {
                self.around.take_stored(event, now);
                self.tell_all();
            }
            ResourceEvent::Snapshots(event) => {
                fold(&mut self.around.snapshots, event, |row| &row.uid);
                let mut all: Vec<_> = self.around.snapshots.values().cloned().collect();
                all.sort_by(|a, b| (b.created_at, &b.name).cmp(&(a.created_at, &a.name)));
                board.update_kube(&id, |view| view.state_snapshots = Arc::new(all));
            }
            ResourceEvent::BlueGreen(event) => {
                fold(&mut self.around.blue_green, event, |row| &row.uid);
                let mut all: Vec<_> = self.around.blue_green.values().cloned().collect();
                all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
                board.update_kube(&id, |view| view.blue_green = Arc::new(all));
            }
            ResourceEvent::Events(event) => {
                self.around.take_events(event, now);
                let sorted = self.around.sorted.clone();
                board.update_kube(&id, |view| view.events = sorted);
                self.tell_looked_at();
            }
            ResourceEvent::Features(found) => board.update_kube(&id, |view| view.features = Some(found)),
            ResourceEvent::Operator(found) => {
                self.around.found = found;
                self.tell_all();
            }
            ResourceEvent::Watches(watches) => {
                let lost = |watches: &[WatchView]| -> Vec<bool> {
                    watches.iter().map(|w| matches!(w.state, WatchState::Lost { .. })).collect()
                };
                let changed = lost(&watches) != lost(&self.around.watches);
                self.around.watches.clone_from(&watches);
                board.update_kube(&id, |view| view.watches = Arc::new(watches));
                if changed {
                    self.tell_all();
                }
            }
            ResourceEvent::All(_)
            | ResourceEvent::Changed(_)
            | ResourceEvent::Gone { .. }
            | ResourceEvent::Current
            | ResourceEvent::Lost { .. } => {}
        }
    }

    /// Shows the pods of a Flink cluster and tells the pilots of its jobs.
    pub(super) fn show_pods(&mut self, namespace: &str, name: &str) {
        let place = (namespace.to_owned(), name.to_owned());
        let view = self.around.view(&place);
        let Some(uid) = self.deployments.get(&place).cloned() else { return };
        let now = self.shared.now();
        if let Some(flown) = self.clusters.get(&uid) {
            crate::control::cluster::put_pods(&self.shared, &flown.link, view.map(|v| Observed::new(v, now)));
        }
        let jobs: Vec<_> = self
            .resources
            .values()
            .filter(|r| {
                r.uid == uid || (r.reference.namespace == place.0 && r.deployment_name.as_deref() == Some(name))
            })
            .cloned()
            .collect();
        for job in jobs {
            self.fly_job(&job);
        }
    }

    /// Tells every pilot of what is around its job.
    pub(super) fn tell_all(&mut self) {
        if self.around.settle_operator(self.resources.values()) {
            let operator = Arc::clone(&self.around.operator);
            self.shared.board.update_kube(&self.source.id, |view| view.operator = operator);
        }
        let all: Vec<_> = self.resources.values().cloned().collect();
        for resource in all {
            self.fly_job(&resource);
        }
    }

    /// Tells the pilot of the job that somebody looks at.
    pub(super) fn tell_looked_at(&mut self) {
        let looked_at: Vec<_> = self.resources.values().filter(|r| self.looks.looks_at(&r.uid)).cloned().collect();
        for resource in looked_at {
            self.fly_job(&resource);
        }
    }
}
