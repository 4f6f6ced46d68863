//! Every watch of a cluster, folded into one stream of changes.
//!
//! The source as a whole is lost only when no namespace answers about its resources; how each single watch stands, a missing right
//! included, is told beside it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch as signal};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::KubernetesApi;
use super::rows::{self, Deployed, SessionJob};
use crate::control::ports::{AutoscalerState, Resource, ResourceEvent, RowEvent, ScalerKind, ScalerRow, Wanted};
use crate::domain::Timestamp;
use crate::domain::kubernetes::{
    BlueGreenRow, KubeFeatures, OperatorVersion, OperatorView, StateSnapshotRow, WatchView,
};
use crate::domain::pods::{DeploymentRow, EventRow, PodRow};
use crate::domain::snapshot::SourceState;
use crate::kubernetes::watch::{self, Collection, Contact, Update};
use crate::kubernetes::{
    AutoscalerMap, Features, Kind, KubeError, OperatorDeployment, Projection, Row, Scaler, Scope, Small, VerticalScaler,
};

/// Updates that wait to be taken.
const UPDATES: usize = 64;
/// Pause before the server is asked again which kinds it knows, while it knows none.
const FEATURES_PAUSE: Duration = Duration::from_secs(10);
/// Pause before it is asked whether there are more by now.
const FEATURES_AGAIN: Duration = Duration::from_secs(600);
/// The watches are told this often while nothing about them changes: their ages.
const TELL_WATCHES: Duration = Duration::from_secs(5);
/// Everything that belongs to Flink clusters.
const FLINK: &str = "type in (flink-native-kubernetes,flink-standalone-kubernetes)";

/// An update of one of the watches, by the number of its scope.
enum Heard {
    Deployments(usize, Update<Deployed>),
    SessionJobs(usize, Update<SessionJob>),
    Pods(usize, Update<Row<PodRow>>),
    JobManagers(usize, Update<Row<DeploymentRow>>),
    Autoscalers(usize, Update<Row<AutoscalerMap>>),
    Scalers(usize, Update<Scaler>),
    VerticalScalers(usize, Update<VerticalScaler>),
    Snapshots(usize, Update<Row<StateSnapshotRow>>),
    BlueGreen(usize, Update<Row<BlueGreenRow>>),
    /// The number of the look comes first: what is still under way of an earlier one is not for this one.
    Events(u64, usize, Update<Row<EventRow>>),
    NoKinds(KubeError),
    Features(Features),
    Operator(OperatorView),
}

/// The watches of one kind.
struct Table<R> {
    scopes: BTreeMap<usize, (Option<String>, Collection<R>)>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { scopes: BTreeMap::new() }
    }
}

impl<R: Projection> Table<R> {
    /// Folds an update. True if it changed how the watch stands.
    fn take(&mut self, scope: usize, namespace: Option<String>, update: Update<R>, at: Timestamp) -> bool {
        let (_, collection) = self.scopes.entry(scope).or_insert_with(|| (namespace, Collection::default()));
        for broken in match &update {
            Update::Listed { broken, .. } => broken.as_slice(),
            Update::Broken(broken) => std::slice::from_ref(broken),
            _ => &[],
        } {
            tracing::warn!(kind = R::KIND.name(), namespace = broken.namespace, name = broken.name, why = %broken.why, "an object cannot be read");
        }
        let loaded = collection.loaded;
        let before = collection.contact.clone();
        let broken_before = collection.broken.len();
        collection.apply(update, at);
        loaded != collection.loaded || broken_before != collection.broken.len() || before != collection.contact
    }

    fn rows(&self) -> impl Iterator<Item = &Arc<R>> {
        self.scopes.values().flat_map(|(_, c)| c.rows.values())
    }

    fn views(&self, into: &mut Vec<WatchView>) {
        for (namespace, collection) in self.scopes.values() {
            let state = match &collection.contact {
                Contact::Connecting => SourceState::Connecting,
                Contact::Live => SourceState::Live,
                Contact::Lost { since, error, attempt, next_attempt_at } => SourceState::Lost {
                    since: *since,
                    attempt: *attempt,
                    next_attempt_at: *next_attempt_at,
                    error: error.to_string(),
                },
            };
            let forbidden = matches!(&collection.contact, Contact::Lost { error, .. } if matches!(error, KubeError::Forbidden { .. }));
            into.push(WatchView {
                resource: R::KIND.resource(),
                namespace: namespace.clone(),
                state,
                forbidden,
                rows: collection.rows.len(),
                broken: collection
                    .broken
                    .values()
                    .take(20)
                    .map(|b| (format!("{}/{}", b.namespace, b.name), b.why.to_string()))
                    .collect(),
                current_at: collection.current_at,
            });
        }
    }
}

/// A change of small rows, and whether the standing of their watch changed.
fn row_event<T: Small, U>(
    table: &mut Table<Row<T>>,
    scope: usize,
    namespace: Option<String>,
    update: Update<Row<T>>,
    at: Timestamp,
    of: impl Fn(&Arc<T>) -> Arc<U>,
) -> (Option<RowEvent<U>>, bool) {
    let event = match &update {
        Update::Listed { .. } => None,
        Update::Applied(row) => Some(Some(RowEvent::Changed(of(&row.row)))),
        Update::Deleted { uid } => Some(Some(RowEvent::Gone { uid: uid.clone() })),
        Update::Broken(broken) => Some(Some(RowEvent::Gone { uid: broken.uid.clone() })),
        Update::Current | Update::Lost { .. } => Some(None),
    };
    let changed = table.take(scope, namespace, update, at);
    let event = event.unwrap_or_else(|| Some(RowEvent::All(table.rows().map(|row| of(&row.row)).collect())));
    (event, changed)
}

/// The events that somebody looks at.
#[derive(Default)]
struct Look {
    number: u64,
    wanted: Wanted,
    scopes: Vec<Option<String>>,
    tasks: Option<JoinSet<()>>,
}

/// Every watch of a cluster.
pub(super) struct Watching {
    api: KubernetesApi,
    heard: mpsc::Receiver<Heard>,
    say: mpsc::Sender<Heard>,
    wanted: signal::Receiver<Wanted>,
    wanted_ends: bool,
    queue: VecDeque<ResourceEvent>,
    deployments: Table<Deployed>,
    session_jobs: Table<SessionJob>,
    pods: Table<Row<PodRow>>,
    job_managers: Table<Row<DeploymentRow>>,
    autoscalers: Table<Row<AutoscalerMap>>,
    scalers: Table<Scaler>,
    vertical_scalers: Table<VerticalScaler>,
    /// What was told of both.
    told_scalers: Vec<ScalerRow>,
    snapshots: Table<Row<StateSnapshotRow>>,
    blue_green: Table<Row<BlueGreenRow>>,
    events: Table<Row<EventRow>>,
    look: Look,
    attempt: u32,
    told_watches: Option<Instant>,
    _tasks: AbortOnDropHandle<()>,
}

impl Watching {
    pub(super) fn start(api: &KubernetesApi, wanted: signal::Receiver<Wanted>) -> Self {
        let (say, heard) = mpsc::channel(UPDATES);
        let task = tokio::spawn(watch_all(api.clone(), say.clone()));
        Self {
            api: api.clone(),
            heard,
            say,
            wanted,
            wanted_ends: false,
            queue: VecDeque::new(),
            deployments: Table::default(),
            session_jobs: Table::default(),
            pods: Table::default(),
            job_managers: Table::default(),
            autoscalers: Table::default(),
            scalers: Table::default(),
            vertical_scalers: Table::default(),
            told_scalers: Vec::new(),
            snapshots: Table::default(),
            blue_green: Table::default(),
            events: Table::default(),
            look: Look::default(),
            attempt: 0,
            told_watches: None,
            _tasks: AbortOnDropHandle::new(task),
        }
    }

    pub(super) async fn next(&mut self) -> Option<ResourceEvent> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            self.look_as_wanted();
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            tokio::select! {
                heard = self.heard.recv() => self.take(heard?),
                changed = self.wanted.changed(), if !self.wanted_ends => self.wanted_ends = changed.is_err(),
            }
        }
    }

    fn namespace(&self, scope: usize) -> Option<String> {
        self.api.namespaces.scopes().get(scope).cloned().flatten()
    }

    fn take(&mut self, heard: Heard) {
        let at = self.api.clock.now();
        let changed = match heard {
            Heard::Deployments(scope, update) => {
                let event = resource_event(&update, |row: &Deployed| &row.0);
                let contact = contact_event(&update);
                let namespace = self.namespace(scope);
                let changed = self.deployments.take(scope, namespace, update, at);
                self.tell_resource(event, contact);
                changed
            }
            Heard::SessionJobs(scope, update) => {
                let event = resource_event(&update, |row: &SessionJob| &row.0);
                let namespace = self.namespace(scope);
                let changed = self.session_jobs.take(scope, namespace, update, at);
                // The deployments tell how the source stands.
                self.tell_resource(event, None);
                changed
            }
            Heard::Pods(scope, update) => {
                let namespace = self.namespace(scope);
                let (event, changed) = row_event(&mut self.pods, scope, namespace, update, at, Arc::clone);
                self.queue.extend(event.map(ResourceEvent::Pods));
                changed
            }
            Heard::JobManagers(scope, update) => {
                let namespace = self.namespace(scope);
                let (event, changed) = row_event(&mut self.job_managers, scope, namespace, update, at, Arc::clone);
                self.queue.extend(event.map(ResourceEvent::JobManagers));
                changed
            }
            Heard::Autoscalers(scope, update) => {
                let namespace = self.namespace(scope);
                let of = |map: &Arc<AutoscalerMap>| -> Arc<AutoscalerState> { Arc::new(rows::of_autoscaler(map)) };
                let (event, changed) = row_event(&mut self.autoscalers, scope, namespace, update, at, of);
                self.queue.extend(event.map(ResourceEvent::Autoscalers));
                changed
            }
            Heard::Scalers(scope, update) => {
                let namespace = self.namespace(scope);
                let changed = self.scalers.take(scope, namespace, update, at);
                self.tell_scalers();
                changed
            }
            Heard::VerticalScalers(scope, update) => {
                let namespace = self.namespace(scope);
                let changed = self.vertical_scalers.take(scope, namespace, update, at);
                self.tell_scalers();
                changed
            }
            Heard::Snapshots(scope, update) => {
                let namespace = self.namespace(scope);
                let (event, changed) = row_event(&mut self.snapshots, scope, namespace, update, at, Arc::clone);
                self.queue.extend(event.map(ResourceEvent::Snapshots));
                changed
            }
            Heard::BlueGreen(scope, update) => {
                let namespace = self.namespace(scope);
                let (event, changed) = row_event(&mut self.blue_green, scope, namespace, update, at, Arc::clone);
                self.queue.extend(event.map(ResourceEvent::BlueGreen));
                changed
            }
            Heard::Events(number, scope, update) => {
                if number != self.look.number {
                    return;
                }
                let namespace = self.look.scopes.get(scope).cloned().flatten();
                let (event, changed) = row_event(&mut self.events, scope, namespace, update, at, Arc::clone);
                self.queue.extend(event.map(ResourceEvent::Events));
                changed
            }
            Heard::NoKinds(error) => {
                self.attempt += 1;
                let next_attempt_at = at + FEATURES_PAUSE;
                let attempt = self.attempt;
                self.queue.push_back(ResourceEvent::Lost { error: error.to_string(), attempt, next_attempt_at });
                false
            }
            Heard::Features(found) => {
                self.queue.push_back(ResourceEvent::Features(features(found)));
                false
            }
            Heard::Operator(view) => {
                self.queue.push_back(ResourceEvent::Operator(view));
                false
            }
        };
        if changed || self.told_watches.is_none_or(|at| at.elapsed() >= TELL_WATCHES) {
            self.told_watches = Some(Instant::now());
            let watches = self.watches();
            self.queue.push_back(ResourceEvent::Watches(watches));
        }
    }

    /// The change of a resource, and how the source stands.
    fn tell_resource(&mut self, event: Told, contact: Option<ResourceEvent>) {
        match event {
            Told::One(event) => self.queue.push_back(event),
            Told::All => {
                let deployments = self.deployments.rows().map(|row| Arc::clone(&row.0));
                let jobs = self.session_jobs.rows().map(|row| Arc::clone(&row.0));
                self.queue.push_back(ResourceEvent::All(deployments.chain(jobs).collect()));
            }
            Told::Nothing => match contact {
                // One namespace that answers is a source that answers; the others are told by their watches.
                Some(ResourceEvent::Lost { .. }) if self.some_answer() => {}
                Some(contact) => self.queue.push_back(contact),
                None => {}
            },
        }
    }

    /// Their status changes all the time; who scales what does not.
    fn tell_scalers(&mut self) {
        let kind = |row: &Scaler| if row.keda { ScalerKind::Keda } else { ScalerKind::Horizontal };
        let horizontal = self.scalers.rows().map(|row| rows::of_scaler(row, kind(row)));
        let acting = self.vertical_scalers.rows().filter(|row| row.acts);
        let vertical = acting.map(|row| rows::of_scaler(&row.scaler, ScalerKind::Vertical));
        let all: Vec<ScalerRow> = horizontal.chain(vertical).collect();
        if all != self.told_scalers {
            self.told_scalers.clone_from(&all);
            self.queue.push_back(ResourceEvent::Scalers(all));
        }
    }

    fn some_answer(&self) -> bool {
        self.deployments.scopes.values().any(|(_, c)| matches!(c.contact, Contact::Live))
    }

    fn watches(&self) -> Vec<WatchView> {
        let mut views = Vec::new();
        self.deployments.views(&mut views);
        self.session_jobs.views(&mut views);
        self.pods.views(&mut views);
        self.job_managers.views(&mut views);
        self.autoscalers.views(&mut views);
        self.scalers.views(&mut views);
        self.vertical_scalers.views(&mut views);
        self.snapshots.views(&mut views);
        self.blue_green.views(&mut views);
        self.events.views(&mut views);
        views
    }

    /// Begins and ends the watches of events as somebody looks.
    fn look_as_wanted(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        if wanted == self.look.wanted {
            return;
        }
        let scopes = match &wanted {
            Wanted::Nothing => Vec::new(),
            Wanted::EventsIn(namespace) => vec![Some(namespace.clone())],
            Wanted::AllEvents => self.api.namespaces.scopes(),
        };
        self.look = Look { number: self.look.number + 1, wanted, scopes, tasks: None };
        self.events = Table::default();
        self.queue.push_back(ResourceEvent::Events(RowEvent::Stopped));
        let mut tasks = JoinSet::new();
        let number = self.look.number;
        for (n, namespace) in self.look.scopes.iter().enumerate() {
            watch_one::<Row<EventRow>>(
                &mut tasks,
                &self.api,
                namespace.clone().into(),
                self.say.clone(),
                move |update| Heard::Events(number, n, update),
            );
        }
        self.look.tasks = Some(tasks);
    }
}

fn features(found: Features) -> KubeFeatures {
    KubeFeatures {
        deployments: found.deployments,
        session_jobs: found.session_jobs,
        state_snapshots: found.state_snapshots,
        blue_green: found.blue_green,
    }
}

/// What is told of an update of resources.
enum Told {
    One(ResourceEvent),
    All,
    Nothing,
}

fn resource_event<R: Projection>(update: &Update<R>, of: impl Fn(&R) -> &Arc<Resource>) -> Told {
    match update {
        Update::Listed { .. } => Told::All,
        Update::Applied(row) => Told::One(ResourceEvent::Changed(Arc::clone(of(row)))),
        Update::Broken(broken) => Told::One(ResourceEvent::Gone { uid: broken.uid.clone() }),
        Update::Deleted { uid } => Told::One(ResourceEvent::Gone { uid: uid.clone() }),
        Update::Current | Update::Lost { .. } => Told::Nothing,
    }
}

fn contact_event<R>(update: &Update<R>) -> Option<ResourceEvent> {
    match update {
        Update::Current => Some(ResourceEvent::Current),
        Update::Lost { error, attempt, next_attempt_at } => {
            Some(ResourceEvent::Lost { error: error.to_string(), attempt: *attempt, next_attempt_at: *next_attempt_at })
        }
        Update::Listed { .. } | Update::Applied(_) | Update::Broken(_) | Update::Deleted { .. } => None,
    }
}

/// Watches every kind that the server knows, in every scope; kinds that come later are watched from then on.
async fn watch_all(api: KubernetesApi, say: mpsc::Sender<Heard>) {
    let mut watches = JoinSet::new();
    let mut begun: Option<Features> = None;
    loop {
        let pause = match api.client.features().await {
            Ok(found) if found.deployments => {
                let found = together(begun.unwrap_or_default(), found);
                if begun != Some(found) {
                    if say.send(Heard::Features(found)).await.is_err() {
                        return;
                    }
                    if begun.is_none() {
                        watches.spawn(find_operator(api.clone(), found, say.clone()));
                    }
                    begin(&mut watches, &api, begun.unwrap_or_default(), found, &say);
                    begun = Some(found);
                }
                FEATURES_AGAIN
            }
            // What is watched goes on; the watches themselves tell when they are lost.
            _ if begun.is_some() => FEATURES_AGAIN,
            Ok(_) => {
                let what = "watch Flink's resources".to_owned();
                let message = "the Flink operator's resource definitions are not installed".to_owned();
                if say.send(Heard::NoKinds(KubeError::NotFound { what, message })).await.is_err() {
                    return;
                }
                FEATURES_PAUSE
            }
            Err(error) => {
                if say.send(Heard::NoKinds(error)).await.is_err() {
                    return;
                }
                FEATURES_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = api.retry_now.notified(), if begun.is_none() => {}
            () = say.closed() => return,
        }
    }
}

/// What is served by two answers together: a kind that one of them leaves out goes on being watched, and is not begun a second time
/// when it is told again.
fn together(before: Features, found: Features) -> Features {
    Features {
        deployments: before.deployments || found.deployments,
        session_jobs: before.session_jobs || found.session_jobs,
        state_snapshots: before.state_snapshots || found.state_snapshots,
        blue_green: before.blue_green || found.blue_green,
        vertical_pod_autoscalers: before.vertical_pod_autoscalers || found.vertical_pod_autoscalers,
    }
}

/// Begins the watches that `found` allows and `before` did not.
fn begin(watches: &mut JoinSet<()>, api: &KubernetesApi, before: Features, found: Features, say: &mpsc::Sender<Heard>) {
    let first = !before.deployments;
    for (n, namespace) in api.namespaces.scopes().into_iter().enumerate() {
        let all = Scope::from(namespace.clone());
        let labelled =
            |labels: &str| Scope { namespace: namespace.clone(), labels: labels.to_owned(), ..Scope::default() };
        if first {
            watch_one(watches, api, all.clone(), say.clone(), move |u| Heard::Deployments(n, u));
            watch_one(watches, api, labelled(FLINK), say.clone(), move |u| Heard::Pods(n, u));
            let job_managers = labelled(&format!("component=jobmanager,{FLINK}"));
            watch_one(watches, api, job_managers, say.clone(), move |u| Heard::JobManagers(n, u));
            let autoscalers = labelled("component=autoscaler");
            watch_one(watches, api, autoscalers, say.clone(), move |u| Heard::Autoscalers(n, u));
            watch_one(watches, api, all.clone(), say.clone(), move |u| Heard::Scalers(n, u));
        }
        let new = |kind: Kind| found.has(kind) && (first || !before.has(kind));
        if new(Kind::FlinkSessionJob) {
            watch_one(watches, api, all.clone(), say.clone(), move |u| Heard::SessionJobs(n, u));
        }
        if new(Kind::VerticalPodAutoscaler) {
            watch_one(watches, api, all.clone(), say.clone(), move |u| Heard::VerticalScalers(n, u));
        }
        if new(Kind::FlinkStateSnapshot) {
            watch_one(watches, api, all.clone(), say.clone(), move |u| Heard::Snapshots(n, u));
        }
        if new(Kind::FlinkBlueGreenDeployment) {
            watch_one(watches, api, all, say.clone(), move |u| Heard::BlueGreen(n, u));
        }
    }
}

fn watch_one<R: Projection>(
    watches: &mut JoinSet<()>,
    api: &KubernetesApi,
    scope: Scope,
    say: mpsc::Sender<Heard>,
    wrap: impl Fn(Update<R>) -> Heard + Send + 'static,
) -> AbortHandle {
    let (out, mut updates) = mpsc::channel(UPDATES);
    let retry_now = Arc::clone(&api.retry_now);
    watches.spawn(watch::run::<R>(api.client.clone(), scope, Arc::clone(&api.clock), retry_now, out));
    watches.spawn(async move {
        while let Some(update) = updates.recv().await {
            if say.send(wrap(update)).await.is_err() {
                return;
            }
        }
    })
}

/// Finds the operator's release: by its Deployment where that can be read, else by what the server serves.
async fn find_operator(api: KubernetesApi, found: Features, say: mpsc::Sender<Heard>) {
    let mut deployments: Vec<OperatorDeployment> = Vec::new();
    let mut refused = None;
    let scopes = api.namespaces.scopes();
    for namespace in std::iter::once(None).chain(scopes.into_iter().flatten().map(Some)) {
        match api.client.operator_deployments(namespace.as_deref()).await {
            Ok(rows) => deployments.extend(rows),
            Err(error) => refused = Some(error),
        }
        if !deployments.is_empty() {
            break;
        }
    }
    let _ = say.send(Heard::Operator(operator_view(&deployments, found, refused.as_ref()))).await;
}

/// What the operator's Deployment says of its release, or the kinds that are served.
fn operator_view(deployments: &[OperatorDeployment], found: Features, refused: Option<&KubeError>) -> OperatorView {
    let tag = |image: &String| {
        let image = image.split('@').next().unwrap_or(image);
        image.rsplit_once(':').and_then(|(_, tag)| OperatorVersion::parse(tag))
    };
    for deployment in deployments {
        let place = format!("Deployment {}/{}", deployment.namespace, deployment.name);
        // The image is what runs; the label is what the chart was called.
        if let Some(exact) = deployment.images.iter().find_map(tag) {
            return OperatorView { exact: Some(exact), at_least: None, evidence: format!("image tag of {place}") };
        }
        if let Some(exact) = deployment.version_label.as_deref().and_then(OperatorVersion::parse) {
            let evidence = format!("label app.kubernetes.io/version of {place}");
            return OperatorView { exact: Some(exact), at_least: None, evidence };
        }
    }
    let why = match (deployments.first(), refused) {
        (Some(d), _) => format!("Deployment {}/{} does not say its release", d.namespace, d.name),
        (None, Some(error)) => format!("its Deployment cannot be read ({error})"),
        (None, None) => "its Deployment was not found in the namespaces that are looked at".to_owned(),
    };
    let (at_least, kinds) = match (found.blue_green, found.state_snapshots) {
        (true, _) => (Some(OperatorVersion::V1_14), "FlinkBlueGreenDeployment is served"),
        (false, true) => (Some(OperatorVersion::V1_10), "FlinkStateSnapshot is served"),
        (false, false) => (None, "neither FlinkStateSnapshot nor FlinkBlueGreenDeployment is served"),
    };
    OperatorView { exact: None, at_least, evidence: format!("{kinds}; {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str, label: Option<&str>) -> OperatorDeployment {
        OperatorDeployment {
            uid: "d".into(),
            resource_version: "1".into(),
            namespace: "ops".into(),
            name: "flink-kubernetes-operator".into(),
            version_label: label.map(str::to_owned),
            images: vec![image.to_owned()],
        }
    }

    #[test]
    fn a_kind_that_was_served_once_counts_as_served() {
        let all = Features {
            deployments: true,
            session_jobs: true,
            state_snapshots: true,
            blue_green: true,
            vertical_pod_autoscalers: true,
        };
        let some = Features { deployments: true, session_jobs: true, ..Features::default() };
        assert_eq!(together(Features::default(), some), some);
        assert_eq!(together(some, all), all, "what comes later is added");
        assert_eq!(together(all, some), all, "an answer that leaves kinds out takes nothing away");
    }

    #[test]
    fn the_release_is_read_from_image_label_or_served_kinds() {
        let none = Features::default();
        let exact = |d: OperatorDeployment| operator_view(&[d], none, None).text();
        assert_eq!(exact(deployment("ghcr.io/apache/flink-kubernetes-operator:1.12.1", Some("1.8.0"))), "1.12");
        assert_eq!(exact(deployment("registry:5000/operator:1.9.0@sha256:abc", None)), "1.9");
        assert_eq!(exact(deployment("registry:5000/operator:latest", Some("1.11.0"))), "1.11");
        let unknown = operator_view(&[deployment("operator", None)], none, None);
        assert_eq!(unknown.text(), "unknown");
        let served = operator_view(&[], Features { state_snapshots: true, ..none }, None);
        assert_eq!((served.text().as_str(), served.is_at_least(OperatorVersion::V1_10)), ("≥ 1.10", true));
        assert!(!served.is_at_least(OperatorVersion::V1_11), "what is not known is not assumed");
        assert!(served.evidence.contains("was not found"), "{}", served.evidence);
    }
}
