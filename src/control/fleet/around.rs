//! What belongs to the resources of a cluster: pods, autoscaler state, snapshots, events, and how the watches stand.
//!
//! A changed pod clones the list of its own Flink cluster and no other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Fleet;
use crate::control::operator_state::OperatorState;
use crate::control::ports::{AutoscalerState, Resource, ResourceEvent, ResourceRef, RowEvent, ScalerRow};
use crate::domain::Timestamp;
use crate::domain::freshness::Observed;
use crate::domain::kubernetes::{BlueGreenRow, OperatorView, StateSnapshotRow, WatchView};
use crate::domain::pods::{DeploymentRow, EventRow, PodRow, PodsView};
use crate::domain::snapshot::SourceState;

/// Events that are shown.
const EVENTS: usize = 2_000;
/// Events that are shown of one job.
const EVENTS_OF_JOB: usize = 200;

/// Namespace and name.
pub(super) type Place = (String, String);

/// Rows of one kind by uid.
type Rows<T> = BTreeMap<String, Arc<T>>;

/// Rows by the place of what they belong to, then by uid: a change finds its place without a look at the others.
struct Placed<T> {
    rows: BTreeMap<Place, Rows<T>>,
    place_of: HashMap<String, Place>,
}

impl<T> Default for Placed<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), place_of: HashMap::new() }
    }
}

impl<T> Placed<T> {
    /// Folds a change; the places where something changed, each once.
    fn take(
        &mut self,
        event: RowEvent<T>,
        uid: impl Fn(&T) -> &str,
        place: impl Fn(&T) -> (&String, &String),
    ) -> Vec<Place> {
        let place = |row: &T| -> Place {
            let (namespace, name) = place(row);
            (namespace.clone(), name.clone())
        };
        let mut changed = Vec::new();
        match event {
            RowEvent::All(all) => {
                changed.extend(std::mem::take(&mut self.rows).into_keys());
                self.place_of.clear();
                for row in all {
                    self.place_of.insert(uid(&row).to_owned(), place(&row));
                    self.rows.entry(place(&row)).or_default().insert(uid(&row).to_owned(), row);
                }
                changed.extend(self.rows.keys().cloned());
                changed.sort();
                changed.dedup();
            }
            RowEvent::Changed(row) => {
                let (uid, place) = (uid(&row).to_owned(), place(&row));
                if let Some(before) = self.place_of.insert(uid.clone(), place.clone())
                    && before != place
                {
                    self.remove(&before, &uid);
                    changed.push(before);
                }
                self.rows.entry(place.clone()).or_default().insert(uid, row);
                changed.push(place);
            }
            RowEvent::Gone { uid } => {
                if let Some(place) = self.place_of.remove(&uid) {
                    self.remove(&place, &uid);
                    changed.push(place);
                }
            }
            RowEvent::Stopped => {
                self.place_of.clear();
                changed.extend(std::mem::take(&mut self.rows).into_keys());
            }
        }
        changed
    }

    fn remove(&mut self, place: &Place, uid: &str) {
        if let Some(rows) = self.rows.get_mut(place) {
            rows.remove(uid);
            if rows.is_empty() {
                self.rows.remove(place);
            }
        }
    }

    fn at(&self, place: &Place) -> impl Iterator<Item = (&String, &Arc<T>)> {
        self.rows.get(place).into_iter().flatten()
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Surroundings {
    /// By namespace and Flink cluster.
    pods: Placed<PodRow>,
    /// By namespace and Flink cluster, whose name is theirs.
    job_managers: Placed<DeploymentRow>,
    /// What was made of the pods of each cluster.
    views: BTreeMap<Place, Arc<PodsView>>,
    /// By namespace and resource.
    stored: Placed<AutoscalerState>,
    /// What was read of them, by uid.
    read: BTreeMap<String, Observed<Arc<OperatorState>>>,
    snapshots: Rows<StateSnapshotRow>,
    blue_green: Rows<BlueGreenRow>,
    events: Option<Rows<EventRow>>,
    sorted: Option<Observed<Arc<Vec<Arc<EventRow>>>>>,
    watches: Vec<WatchView>,
    /// What scales pods beside Flink.
    pub scalers: Arc<Vec<ScalerRow>>,
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
    /// Makes the list of a cluster anew; the same list stays the same `Arc`.
    fn view(&mut self, place: &Place) -> Option<Arc<PodsView>> {
        let mut pods: Vec<Arc<PodRow>> = self.pods.at(place).map(|(_, pod)| Arc::clone(pod)).collect();
        pods.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
        let deployment = self.job_managers.at(place).next().map(|(_, deployment)| Arc::clone(deployment));
        let view = PodsView { pods, deployment };
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
        let place = (resource.namespace.clone(), resource.name.clone());
        let (uid, _) = self.stored.at(&place).find(|(_, state)| state.is_of(resource))?;
        self.read.get(uid).cloned()
    }

    /// Reads what changed; the places where something did.
    fn take_stored(&mut self, event: RowEvent<AutoscalerState>, at: Timestamp) -> Vec<Place> {
        if let RowEvent::Gone { uid } = &event {
            self.read.remove(uid);
        }
        let changed = self.stored.take(event, |state| &state.uid, |state| (&state.namespace, &state.name));
        for (uid, state) in changed.iter().flat_map(|place| self.stored.at(place)) {
            let fresh = OperatorState::read(state);
            if self.read.get(uid).is_none_or(|old| *old.value != fresh) {
                self.read.insert(uid.clone(), Observed::new(Arc::new(fresh), at));
            }
        }
        let stored = &self.stored;
        self.read.retain(|uid, _| stored.place_of.contains_key(uid));
        changed
    }

    /// The watch of a resource is lost: since when and why.
    pub fn lost_of(&self, resource: &ResourceRef) -> Option<(Timestamp, String)> {
        let kind = if resource.session_job { "flinksessionjobs." } else { "flinkdeployments." };
        let of = |w: &&WatchView| {
            w.resource.starts_with(kind) && w.namespace.as_ref().is_none_or(|ns| *ns == resource.namespace)
        };
        match &self.watches.iter().find(of)?.state {
            SourceState::Lost { since, error, .. } => Some((*since, error.clone())),
            SourceState::Connecting | SourceState::Live => None,
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
        let pods = self.pods.rows.get(&(namespace.clone(), name.clone()));
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
                for place in self.around.pods.take(event, |pod| &pod.uid, |pod| (&pod.namespace, &pod.app)) {
                    self.show_pods(&place);
                }
            }
            ResourceEvent::JobManagers(event) => {
                for place in self.around.job_managers.take(event, |row| &row.uid, |row| (&row.namespace, &row.name)) {
                    self.show_pods(&place);
                }
            }
            ResourceEvent::Autoscalers(event) => {
                for place in self.around.take_stored(event, now) {
                    self.tell_named(&place);
                }
            }
            ResourceEvent::Scalers(rows) => {
                self.around.scalers = Arc::new(rows);
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
                    watches.iter().map(|w| matches!(w.state, SourceState::Lost { .. })).collect()
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
    pub(super) fn show_pods(&mut self, place: &Place) {
        let view = self.around.view(place);
        let Some(deployment) = self.deployment_at(place) else { return };
        let now = self.shared.now();
        if let Some(flown) = self.clusters.get(&deployment.uid) {
            crate::control::cluster::put_pods(&self.shared, &flown.link, view.map(|v| Observed::new(v, now)));
        }
        self.fly_job(&deployment);
        for job in self.jobs_on(place) {
            self.fly_job(&job);
        }
    }

    /// Tells the pilots of the resources with this name: a FlinkDeployment and a FlinkSessionJob may share it.
    fn tell_named(&mut self, place: &Place) {
        let uids = [self.index.deployments.get(place), self.index.session_jobs.get(place)];
        let named: Vec<_> =
            uids.into_iter().flatten().filter_map(|uid| self.resources.get(uid)).map(Arc::clone).collect();
        for resource in named {
            self.fly_job(&resource);
        }
    }

    /// Shows what is known of the operator's release.
    pub(super) fn settle_operator(&mut self) {
        if self.around.settle_operator(self.resources.values()) {
            let operator = Arc::clone(&self.around.operator);
            self.shared.board.update_kube(&self.source.id, |view| view.operator = operator);
        }
    }

    /// Tells every pilot of what is around its job.
    pub(super) fn tell_all(&mut self) {
        self.settle_operator();
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
