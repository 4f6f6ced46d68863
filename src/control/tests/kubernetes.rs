//! On Kubernetes, with the port in memory and the small Flink behind it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use super::fake::{JOB, SLOW};
use super::*;
use crate::control::ownership::{self, OVERRIDES_KEY, format_overrides, overrides_in};
use crate::control::ports::{
    ApiError, AutoscalerState, ClusterApi, PatchOf, Patched, Resource, ResourceEvent, ResourceRef, ScalerKind,
    ScalerRow, Wanted, Way,
};
use crate::domain::capacity::CapacityView;
use crate::domain::health::HealthWord;
use crate::domain::ids::VertexId;
use crate::domain::job::{JobKind, Ownership, Realization};
use crate::domain::kubernetes::{KubeAction, ResourceDocuments};
use crate::domain::pods::LogQuery;
use crate::domain::snapshot::SourceState;
use crate::state::journal::{Closing, Record};

#[derive(Debug)]
struct Server {
    resource: Option<Resource>,
    stored: BTreeMap<VertexId, i32>,
    capacity: Option<CapacityView>,
    denied: Vec<KubeAction>,
    /// So many patches still meet somebody else's status write.
    conflicts: usize,
    /// The next conflict comes with a change of the spec.
    edited: bool,
    forbidden: bool,
    /// Writes and their answers get lost.
    broken: bool,
    patches: Vec<PatchOf>,
    /// How often somebody wanted the watches to try again at once.
    retries: usize,
    told: Option<mpsc::UnboundedSender<ResourceEvent>>,
}

/// A cluster with one FlinkDeployment, and an operator that carries out a patch within two seconds.
#[derive(Debug, Clone)]
struct Api {
    server: Arc<Mutex<Server>>,
    fake: Fake,
}

impl Api {
    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    fn tell(server: &Server) {
        if let (Some(told), Some(resource)) = (&server.told, &server.resource) {
            let _ = told.send(ResourceEvent::Changed(Arc::new(resource.clone())));
        }
    }

    /// Tells of another resource, or of the end of one.
    fn say(&self, event: ResourceEvent) {
        self.server().told.as_ref().unwrap().send(event).unwrap();
    }

    /// Changes the resource as somebody else would.
    fn edit(&self, change: impl FnOnce(&mut Resource)) {
        let mut server = self.server();
        let resource = server.resource.as_mut().unwrap();
        change(resource);
        resource.resource_version = format!("{}x", resource.resource_version);
        Self::tell(&server);
    }
}

impl ClusterApi for Api {
    fn watch(&self, _: tokio::sync::watch::Receiver<Wanted>) -> BoxStream<'static, ResourceEvent> {
        let (told, events) = mpsc::unbounded_channel();
        let mut server = self.server();
        told.send(ResourceEvent::All(server.resource.iter().cloned().map(Arc::new).collect())).unwrap();
        server.told = Some(told);
        futures::stream::unfold(events, |mut events| async move { events.recv().await.map(|e| (e, events)) }).boxed()
    }

    fn job_manager(&self, _: &Resource) -> Way {
        Way { transport: Arc::new(self.fake.clone()), why: "in memory".into() }
    }

    fn get<'a>(&'a self, _: &'a ResourceRef) -> BoxFuture<'a, Result<Resource, ApiError>> {
        Box::pin(async { self.server().resource.clone().ok_or(ApiError::NotFound("gone".into())) })
    }

    fn patch<'a>(&'a self, patch: &'a PatchOf) -> BoxFuture<'a, Result<Patched, ApiError>> {
        Box::pin(async {
            let mut server = self.server();
            let broken = server.broken && !patch.dry_run;
            server.patches.push(patch.clone());
            if server.forbidden {
                return Err(ApiError::Forbidden("missing right: patch flinkdeployments".into()));
            }
            if server.conflicts > 0 && !patch.dry_run {
                server.conflicts -= 1;
                let edited = server.edited;
                let resource = server.resource.as_mut().unwrap();
                resource.resource_version.push('s');
                resource.generation += i64::from(edited);
            }
            let resource = server.resource.as_mut().ok_or(ApiError::NotFound("gone".into()))?;
            if resource.resource_version != patch.resource_version {
                return Err(ApiError::Conflict("the object changed meanwhile".into()));
            }
            let mut after = resource.clone();
            for (key, value) in &patch.patch.configuration {
                match value {
                    Some(value) => drop(after.configuration.insert(key.clone(), value.clone())),
                    None => drop(after.configuration.remove(key)),
                }
            }
            if let Some(applied) = &patch.patch.applied {
                after.applied.clone_from(applied);
            }
            let changes = vec![];
            if patch.dry_run {
                return Ok(Patched { resource: after, changes });
            }
            if broken {
                return Err(ApiError::Unknown("the connection broke".into()));
            }
            let before = overrides_in(resource);
            *resource = after;
            resource.generation += 1;
            resource.resource_version.push('p');
            let (result, wanted) = (resource.clone(), overrides_in(resource).get(&SLOW).copied());
            let rescales = overrides_in(resource) != before;
            Self::tell(&server);
            let api = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                if let Some(wanted) = wanted.filter(|_| rescales) {
                    api.fake.rescale(wanted);
                }
                api.edit(|r| r.observed_generation = Some(r.generation));
            });
            Ok(Patched { resource: result, changes })
        })
    }

    fn stored<'a>(&'a self, of: &'a ResourceRef) -> BoxFuture<'a, Result<Option<AutoscalerState>, ApiError>> {
        Box::pin(async {
            let stored = self.server().stored.clone();
            let data = [("parallelismOverrides".to_owned(), format_overrides(&stored))];
            let (namespace, name) = (of.namespace.clone(), of.name.clone());
            let state = AutoscalerState { namespace, name, data: Arc::new(data.into()), ..AutoscalerState::default() };
            Ok((!stored.is_empty()).then_some(state))
        })
    }

    fn allowed<'a>(
        &'a self,
        action: KubeAction,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(bool, String), ApiError>> {
        Box::pin(async move { Ok((!self.server().denied.contains(&action), String::new())) })
    }

    fn capacity(&self) -> BoxFuture<'_, Result<CapacityView, ApiError>> {
        Box::pin(async {
            let known = self.server().capacity.clone();
            known.ok_or(ApiError::Other("the API server does not answer".into()))
        })
    }

    fn documents<'a>(&'a self, _: &'a ResourceRef) -> BoxFuture<'a, Result<ResourceDocuments, ApiError>> {
        Box::pin(async { Err(ApiError::NotFound("none".into())) })
    }

    fn log(&self, _: LogQuery) -> BoxStream<'static, Result<String, ApiError>> {
        futures::stream::iter(["first", "second"].map(|line| Ok(line.to_owned()))).boxed()
    }

    fn page(&self, deployment: &Resource) -> Option<String> {
        Some(format!("https://api/{}/", deployment.reference.name))
    }

    fn retry_now(&self) {
        self.server().retries += 1;
    }

    fn version(&self) -> BoxFuture<'_, Result<String, ApiError>> {
        Box::pin(async { Ok("v1.33.1".into()) })
    }
}

struct Kube {
    bench: Bench,
    api: Api,
}

fn deployment(configuration: &[(&str, &str)]) -> Resource {
    let mut resource = ownership::tests::resource(configuration);
    resource.job_id = Some(JOB);
    resource
}

fn kube(rate: f64, resource: Resource) -> Kube {
    kube_by(rate, resource, config())
}

fn kube_by(rate: f64, resource: Resource, config: ControlConfig) -> Kube {
    let fake = Fake::new(rate);
    let server = Server {
        resource: Some(resource),
        stored: BTreeMap::new(),
        capacity: Some(CapacityView::default()),
        denied: vec![],
        conflicts: 0,
        edited: false,
        forbidden: false,
        broken: false,
        patches: vec![],
        retries: 0,
        told: None,
    };
    let api = Api { server: Arc::new(Mutex::new(server)), fake: fake.clone() };
    let (journal, store) = (Journal::in_memory(), Arc::new(MemoryStore::new()));
    let parts = Parts {
        contexts: None,
        clock: Arc::new(TokioClock::starting_at(Fake::start())),
        store: store.clone(),
        journal: journal.clone(),
        recovery: Recovery::default(),
        flink: vec![],
        kubernetes: vec![KubernetesSource {
            id: SourceId::new("kind"),
            address: "https://api".into(),
            api: Arc::new(api.clone()),
            insecure: false,
        }],
    };
    let (handle, task) = start(config, parts);
    Kube { bench: Bench { fake, handle, journal, store, next_command: 1, task }, api }
}

async fn pending() -> Kube {
    let mut kube = kube(BUSY, deployment(&[]));
    kube.bench.until_decision(120, "pending").await;
    kube
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_a_row_with_its_cluster() {
    let mut kube = kube(100.0, deployment(&[("jobmanager.scheduler", "adaptive")]));
    kube.bench.until(5, "rows", |s| s.loaded && s.jobs.first().is_some_and(|j| j.observed_at.is_some())).await;
    let snapshot = kube.bench.snapshot();
    let job = &snapshot.jobs[0];
    assert_eq!((job.key.as_str(), job.kind, job.name.as_str()), ("k8s:u-1", JobKind::FlinkDeployment, "orders"));
    assert_eq!(job.realization, Realization::PatchResource { in_place: true });
    assert_eq!((job.health.word, job.health.operator.as_deref()), (HealthWord::Healthy, Some("STABLE / RUNNING")));
    assert_eq!(snapshot.clusters[0].key.as_str(), "k8s:u-1");
    assert_eq!(snapshot.sources[0].version.as_deref(), Some("v1.33.1"));
}

#[tokio::test(start_paused = true)]
async fn an_option_of_the_job_beats_that_of_the_cluster_which_beats_the_file() {
    let own = [
        ("job.autoscaler.restart.time", "7 min"),
        // Under an old key and behind the operator's prefix.
        ("kubernetes.operator.job.autoscaler.target.utilization", "0.65"),
    ];
    let mut kube = kube(100.0, deployment(&own));
    kube.bench.fake.model().settings = vec![
        ("job.autoscaler.restart.time", "8 min"),
        ("job.autoscaler.metrics.window", "50 s"),
        ("job.autoscaler.catch-up.duration", "3 min"),
    ];
    kube.bench.until(30, "a turn", |s| s.jobs.first().is_some_and(|j| j.window_status.is_some())).await;
    let snapshot = kube.bench.snapshot();
    let job = &snapshot.jobs[0];
    let option = |name: &str| {
        let key = format!("job.autoscaler.{name}");
        let found = job.options.iter().find(|(k, ..)| *k == key);
        found.map(|(_, value, layer)| (value.as_str(), layer.as_str()))
    };
    assert_eq!(option("restart.time"), Some(("7 min", "job")));
    assert_eq!(option("utilization.target"), Some(("0.65", "job")));
    assert_eq!(option("metrics.window"), Some(("50 s", "cluster")));
    assert_eq!(option("catch-up.duration"), Some(("3 min", "cluster")));
    assert_eq!(option("stabilization.interval"), Some(("10 s", "file")));
    assert_eq!(option("history.max.count"), None, "built in");
    // The numbers are used, not only shown.
    assert_eq!(job.window_status.as_ref().unwrap().length, Duration::from_secs(50));
    kube.bench.until(120, "an evaluation", |s| s.jobs[0].evaluation.is_some()).await;
    let snapshot = kube.bench.snapshot();
    assert_eq!(snapshot.jobs[0].evaluation.as_ref().unwrap().restart_time_seconds, 420.0);
}

#[tokio::test(start_paused = true)]
async fn an_approval_writes_the_complete_map_and_the_annotation_after_a_dry_run() {
    let mut kube = pending().await;
    let decision = kube.bench.decision();
    let command = kube.bench.approve().await;
    assert_eq!(kube.bench.until_final(command).await, CommandStage::Observed);
    let patches = kube.api.server().patches.clone();
    assert_eq!(patches.iter().map(|p| p.dry_run).collect::<Vec<_>>(), [true, false]);
    let applied = patches[1].patch.annotation().unwrap();
    assert_eq!(applied.parallelism.len(), 3);
    assert_eq!(applied.decision, decision.id);
    assert_eq!(
        patches[1].patch.configuration[OVERRIDES_KEY].as_deref(),
        Some(&*format_overrides(&applied.parallelism))
    );
    kube.bench.until_decision(180, "confirmed").await;
    // What we wrote is ours: no conflict with ourselves.
    assert!(matches!(kube.bench.snapshot().jobs[0].ownership, Ownership::Pilot { .. }));
    assert!(matches!(
        kube.bench.journal.records()[..],
        [Record::Opened(_), Record::Closed { result: Closing::Accepted, .. }]
    ));
}

#[tokio::test(start_paused = true)]
async fn status_writes_in_between_are_tried_again_and_an_edited_spec_is_not() {
    let mut kube = pending().await;
    kube.api.server().conflicts = 2;
    let command = kube.bench.approve().await;
    assert_eq!(kube.bench.until_final(command).await, CommandStage::Observed);
    assert_eq!(kube.api.server().patches.iter().filter(|p| !p.dry_run).count(), 3);
    assert_eq!(kube.bench.journal.records().len(), 2, "one effect, one record");

    let mut kube = pending().await;
    {
        let mut server = kube.api.server();
        (server.conflicts, server.edited) = (1, true);
    }
    let command = kube.bench.approve().await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Superseded { why } if why.contains("generation")), "{stage:?}");
    assert!(kube.api.server().resource.as_ref().unwrap().applied.is_none());
}

#[tokio::test(start_paused = true)]
async fn endless_conflicts_are_given_up_after_three_more_tries() {
    let mut kube = pending().await;
    kube.api.server().conflicts = 100;
    let command = kube.bench.approve().await;
    assert!(matches!(kube.bench.until_final(command).await, CommandStage::Failed { .. }));
    assert_eq!(kube.api.server().patches.iter().filter(|p| !p.dry_run).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_edit_between_proposal_and_approval_supersedes_it() {
    let mut kube = pending().await;
    let seen = kube.bench.decision();
    kube.api.edit(|r| r.generation += 1);
    kube.bench.wait(1).await;
    let command = kube.bench.send(Intent::Approve { decision: seen.id }, Some(seen.target.clone())).await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Superseded { .. }), "{stage:?}");
    assert!(kube.api.server().patches.is_empty());
}

#[tokio::test(start_paused = true)]
async fn overrides_kept_by_the_operator_refuse_an_approval() {
    let mut kube = pending().await;
    kube.api.server().stored = BTreeMap::from([(SLOW, 2)]);
    let command = kube.bench.approve().await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Failed { why } if why.contains("take the job over")), "{stage:?}");
    assert!(kube.api.server().patches.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_patch_the_dry_run_says_so() {
    let mut kube = pending().await;
    kube.api.server().forbidden = true;
    let command = kube.bench.approve().await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Failed { why } if why.contains("missing right")), "{stage:?}");
    assert!(kube.bench.journal.records().is_empty(), "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn an_acting_operator_is_only_observed() {
    let mut kube = kube(BUSY, deployment(&[("job.autoscaler.enabled", "true")]));
    kube.bench.until_code(30, ReasonCode::Observing).await;
    kube.bench.wait(120).await;
    assert!(kube.bench.snapshot().decisions.is_empty());
    assert_eq!(kube.bench.fake.requests("subtasks/metrics"), 0);
    kube.api.edit(|r| {
        r.configuration.insert("job.autoscaler.scaling.enabled".into(), "false".into());
    });
    kube.bench.until_decision(120, "pending").await;
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_rewrites_the_map_is_a_conflict() {
    let mut resource = deployment(&[]);
    resource.managers = vec![crate::control::ports::Manager {
        name: "argocd-controller".into(),
        at: None,
        configuration_keys: vec![OVERRIDES_KEY.into()],
    }];
    let mut kube = kube(BUSY, resource);
    kube.bench.until_code(30, ReasonCode::Conflict).await;
    assert!(kube.bench.snapshot().jobs[0].turn.as_ref().unwrap().reason.sentence.contains("Argo CD"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_resource_ends_its_decision_and_its_row() {
    let mut kube = pending().await;
    {
        let mut server = kube.api.server();
        let uid = server.resource.take().unwrap().uid;
        server.told.as_ref().unwrap().send(ResourceEvent::Gone { uid }).unwrap();
    }
    kube.bench.until(5, "no rows", |s| s.jobs.is_empty() && s.clusters.is_empty()).await;
    kube.bench.until_decision(5, "superseded").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_api_server_keeps_the_rows() {
    let mut kube = kube(100.0, deployment(&[]));
    kube.bench.until(5, "rows", |s| s.loaded && !s.jobs.is_empty()).await;
    let lost = ResourceEvent::Lost { error: "refused".into(), attempt: 1, next_attempt_at: Fake::start() };
    kube.api.server().told.as_ref().unwrap().send(lost).unwrap();
    kube.bench.until(5, "lost", |s| matches!(s.sources[0].state, SourceState::Lost { .. })).await;
    assert_eq!(kube.bench.snapshot().jobs.len(), 1);
    kube.api.server().told.as_ref().unwrap().send(ResourceEvent::Current).unwrap();
    kube.bench.until(5, "live", |s| matches!(s.sources[0].state, SourceState::Live)).await;
}

#[tokio::test(start_paused = true)]
async fn a_jobmanager_that_is_not_ready_is_not_asked() {
    let mut resource = deployment(&[]);
    (resource.lifecycle, resource.job_manager) = (Some("SUSPENDED".into()), Some("MISSING".into()));
    (resource.job_state, resource.suspended) = (Some("FINISHED".into()), true);
    let mut kube = kube(100.0, resource);
    kube.bench.until(5, "suspended", |s| s.jobs.first().is_some_and(|j| j.health.word == HealthWord::Suspended)).await;
    kube.bench.wait(30).await;
    assert_eq!(kube.bench.fake.model().log.len(), 0);
    kube.api.edit(|r| {
        (r.lifecycle, r.job_manager) = (Some("STABLE".into()), Some("READY".into()));
        (r.job_state, r.suspended) = (Some("RUNNING".into()), false);
    });
    kube.bench.until(5, "healthy", |s| s.jobs[0].health.word == HealthWord::Healthy).await;
}

/// A session cluster on which the one job of the fake runs.
fn session_cluster() -> Resource {
    let configuration = [("jobmanager.scheduler", "adaptive"), ("kubernetes.taskmanager.memory.limit-factor", "1.5")];
    let mut resource = deployment(&configuration);
    (resource.kind, resource.job_id, resource.job_state, resource.upgrade_mode) =
        (JobKind::SessionCluster, None, None, None);
    resource.task_manager_memory = Some(2 << 30);
    resource
}

/// A session job on that cluster.
fn session_job(job: Option<crate::domain::ids::JobId>) -> Resource {
    let mut resource = deployment(&[]);
    resource.reference = ResourceRef { namespace: "shop".into(), name: "clicks".into(), session_job: true };
    (resource.kind, resource.uid, resource.job_id) = (JobKind::FlinkSessionJob, "u-2".into(), job);
    resource.deployment_name = Some("orders".into());
    resource
}

fn keys(kube: &Kube) -> Vec<String> {
    let mut keys: Vec<String> = kube.bench.snapshot().jobs.iter().map(|j| j.key.to_string()).collect();
    keys.sort();
    keys
}

#[tokio::test(start_paused = true)]
async fn a_job_submitted_by_hand_to_a_session_cluster_is_a_row_outside_the_operator() {
    let kube = kube(100.0, session_cluster());
    kube.bench.wait(60).await;
    let outside = format!("k8s:u-1:{JOB}");
    assert_eq!(keys(&kube), ["k8s:u-1", &outside]);
    let snapshot = kube.bench.snapshot();
    let job = snapshot.jobs.iter().find(|j| j.key.as_str() == outside).unwrap();
    assert_eq!((job.kind, job.namespace.as_deref(), job.name.as_str()), (JobKind::FlinkJob, Some("shop"), "job"));
    let Ownership::Pilot { why } = &job.ownership else { panic!("{:?}", job.ownership) };
    assert!(why.contains("outside the operator") && why.contains("orders"), "{why}");
    assert_eq!(job.realization, Realization::ResourceRequirements);
    assert!(job.rates.is_some(), "its loop runs as on plain Flink");

    // A resource names the job after all: it flies under the resource.
    kube.api.say(ResourceEvent::Changed(Arc::new(session_job(Some(JOB)))));
    kube.bench.wait(15).await;
    assert_eq!(keys(&kube), ["k8s:u-1", "k8s:u-2"]);
    kube.api.say(ResourceEvent::Gone { uid: "u-2".into() });
    kube.bench.wait(60).await;
    assert_eq!(
        keys(&kube),
        ["k8s:u-1"],
        "what a resource named is not taken for a stranger while it is being cancelled"
    );
}

#[tokio::test(start_paused = true)]
async fn while_a_session_job_has_no_id_no_job_is_taken_for_one_submitted_by_hand() {
    let kube = kube(100.0, session_cluster());
    kube.bench.wait(1).await;
    kube.api.say(ResourceEvent::Changed(Arc::new(session_job(None))));
    kube.bench.fake.model().gone = true;
    kube.bench.wait(30).await;
    kube.bench.fake.model().gone = false;
    kube.bench.wait(60).await;
    assert_eq!(keys(&kube), ["k8s:u-1", "k8s:u-2"]);
}

#[tokio::test(start_paused = true)]
async fn jobs_submitted_by_hand_go_with_their_cluster() {
    let kube = kube(100.0, session_cluster());
    kube.bench.wait(60).await;
    assert_eq!(keys(&kube).len(), 2);
    kube.api.say(ResourceEvent::Gone { uid: "u-1".into() });
    kube.bench.wait(5).await;
    assert_eq!(keys(&kube), Vec::<String>::new());
    assert!(kube.bench.snapshot().clusters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_has_the_address_of_its_page_and_the_limit_of_its_containers() {
    let resource = session_cluster();
    assert_eq!(resource.task_manager_limit(), Some(3 << 30));
    assert_eq!(deployment(&[]).task_manager_limit(), None, "nothing is known");
    let standalone = Resource { native: false, ..resource.clone() };
    assert_eq!(standalone.task_manager_limit(), Some(2 << 30), "the factor is of the native mode");
    let kube = kube(100.0, resource);
    kube.bench.wait(5).await;
    assert_eq!(kube.bench.snapshot().clusters[0].ui_url.as_deref(), Some("https://api/orders/"));
}

#[tokio::test(start_paused = true)]
async fn a_person_makes_the_watches_try_again_at_once() {
    let mut kube = kube(100.0, deployment(&[]));
    kube.bench.wait(1).await;
    let id = kube.bench.send(Intent::Reconnect, None).await;
    assert_eq!(kube.bench.until_final(id).await, CommandStage::Observed);
    assert_eq!(kube.api.server().retries, 1);
}

/// A job whose operator acts, or acted: with what it carried out last.
fn acting(configuration: &[(&str, &str)]) -> Resource {
    let mut resource = deployment(configuration);
    let mut reconciled = resource.configuration.clone();
    reconciled.insert(OVERRIDES_KEY.into(), format_overrides(&BTreeMap::from([(SLOW, 2)])));
    resource.reconciled = Some(Arc::new(reconciled));
    resource
}

fn job_key() -> crate::domain::ids::JobKey {
    crate::domain::ids::JobKey::new("k8s:u-1")
}

#[tokio::test(start_paused = true)]
async fn a_take_over_is_one_patch_that_rescales_nothing_and_makes_a_pilot() {
    let mut kube = kube(100.0, acting(&[("job.autoscaler.enabled", "true")]));
    kube.api.server().stored = BTreeMap::from([(SLOW, 2)]);
    kube.bench.until(5, "rows", |s| s.jobs.first().is_some_and(|j| j.observed_at.is_some())).await;
    let job = kube.bench.snapshot().jobs[0].clone();
    assert!(matches!(job.ownership, Ownership::Observer { .. }));
    assert!(job.resource.as_ref().unwrap().can_take_over);
    let rescales = kube.bench.fake.requests("resource-requirements");
    let command = kube.bench.send(Intent::TakeOver { job: job_key() }, None).await;
    assert_eq!(kube.bench.until_final(command).await, CommandStage::Observed);
    let patches = kube.api.server().patches.clone();
    assert_eq!(patches.iter().map(|p| p.dry_run).collect::<Vec<_>>(), [true, false]);
    let patch = &patches[1].patch;
    assert_eq!(patch.configuration[OVERRIDES_KEY].as_deref(), Some(&*format_overrides(&BTreeMap::from([(SLOW, 2)]))));
    assert_eq!(patch.configuration["job.autoscaler.enabled"].as_deref(), Some("false"), "its release is not known");
    assert_eq!(kube.bench.fake.requests("resource-requirements"), rescales);
    let job = kube.bench.snapshot().jobs[0].clone();
    assert!(matches!(job.ownership, Ownership::Pilot { .. }), "{:?}", job.ownership);
    assert!(job.resource.as_ref().unwrap().can_hand_back);
    assert!(matches!(
        kube.bench.journal.records()[..],
        [Record::Opened(_), Record::Closed { result: Closing::Accepted, .. }]
    ));

    let command = kube.bench.send(Intent::HandBack { job: job_key() }, None).await;
    assert_eq!(kube.bench.until_final(command).await, CommandStage::Observed);
    let job = kube.bench.snapshot().jobs[0].clone();
    assert!(matches!(job.ownership, Ownership::Observer { .. }), "{:?}", job.ownership);
    let resource = kube.api.server().resource.clone().unwrap();
    assert_eq!(overrides_in(&resource), BTreeMap::from([(SLOW, 2)]), "what runs stays");
    assert_eq!(resource.applied, None);
    assert_eq!(kube.bench.fake.requests("resource-requirements"), rescales);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_over_read_only_without_the_right_or_from_an_operator_at_work() {
    let on = [("job.autoscaler.enabled", "true")];
    let refused = |stage: &CommandStage, part: &str| {
        assert!(matches!(stage, CommandStage::Refused { why } if why.contains(part)), "{stage:?}");
    };
    let ready = |s: &crate::domain::snapshot::Snapshot| {
        s.jobs.first().is_some_and(|j| j.observed_at.is_some())
            && s.kubernetes.first().is_some_and(|k| k.rights.is_some())
    };
    let mut kube = kube_by(100.0, acting(&on), ControlConfig { read_only: true, ..config() });
    kube.bench.until(5, "rows", ready).await;
    let command = kube.bench.send(Intent::TakeOver { job: job_key() }, None).await;
    refused(&kube.bench.until_final(command).await, "read-only");

    let mut busy = acting(&on);
    busy.lifecycle = Some("UPGRADING".into());
    let mut kube = self::kube(100.0, busy);
    kube.bench.until(5, "rows", ready).await;
    let command = kube.bench.send(Intent::TakeOver { job: job_key() }, None).await;
    refused(&kube.bench.until_final(command).await, "at work");

    kube.api.server().denied = vec![KubeAction::PatchDeployment];
    let command = kube.bench.send(Intent::AskRights { source: SourceId::new("kind") }, None).await;
    assert_eq!(kube.bench.until_final(command).await, CommandStage::Observed);
    let snapshot = kube.bench.snapshot();
    assert_eq!(
        snapshot.missing_right(&snapshot.jobs[0], KubeAction::PatchDeployment).as_deref(),
        Some("missing right: patch flinkdeployments.flink.apache.org in namespace shop")
    );
    let command = kube.bench.send(Intent::TakeOver { job: job_key() }, None).await;
    refused(&kube.bench.until_final(command).await, "missing right: patch");
    assert!(kube.api.server().patches.is_empty());
}

/// A resource that never had our annotation looks the same before and after a hand-back, but for its configuration.
#[tokio::test(start_paused = true)]
async fn a_hand_back_that_got_lost_is_not_taken_for_done() {
    let closed = [("job.autoscaler.enabled", "true"), ("job.autoscaler.scaling.enabled", "false")];
    let mut kube = kube(100.0, acting(&closed));
    kube.bench.until(5, "rows", |s| s.jobs.first().is_some_and(|j| j.observed_at.is_some())).await;
    kube.api.server().broken = true;
    let command = kube.bench.send(Intent::HandBack { job: job_key() }, None).await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Failed { why } if why.contains("unchanged")), "{stage:?}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_blocks_a_decision_before_anybody_approves_it() {
    let mut kube = kube(BUSY, deployment(&[]));
    kube.api.server().denied = vec![KubeAction::PatchDeployment];
    kube.bench.until_decision(120, "pending").await;
    let blocked = kube.bench.decision().blocked.clone();
    assert!(blocked.as_deref().is_some_and(|why| why.starts_with("missing right: patch")), "{blocked:?}");
    kube.api.server().denied.clear();
    let free =
        |s: &crate::domain::snapshot::Snapshot| s.decisions.iter().any(|d| !d.state.is_final() && d.blocked.is_none());
    kube.bench.until(700, "what is granted later is noticed", free).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_watch_ends_every_turn_and_refuses_a_take_over_while_rows_stay() {
    use crate::domain::kubernetes::WatchView;
    use crate::domain::snapshot::SourceState;
    let mut kube = pending().await;
    let now = kube.bench.snapshot().at;
    let watch = WatchView {
        resource: "flinkdeployments.flink.apache.org".into(),
        namespace: None,
        state: SourceState::Lost {
            since: now,
            attempt: 1,
            next_attempt_at: now,
            error: "watch flinkdeployments: the API server does not answer".into(),
        },
        forbidden: false,
        rows: 1,
        broken: vec![],
        current_at: Some(now),
    };
    let told = kube.api.server().told.clone().unwrap();
    told.send(ResourceEvent::Watches(vec![watch])).unwrap();
    kube.bench
        .until(30, "a turn that says so", |s| {
            s.jobs[0].turn.as_ref().is_some_and(|t| {
                t.reason.code == crate::domain::reason::ReasonCode::SourceLost
                    && t.reason.sentence.contains("the API server does not answer")
            })
        })
        .await;
    let seen = kube.bench.decision();
    let command = kube.bench.send(Intent::Approve { decision: seen.id }, Some(seen.target.clone())).await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Refused { why } if why.contains("does not answer")), "{stage:?}");
    assert!(kube.api.server().patches.is_empty(), "nothing is written on old data");
    assert_eq!(kube.bench.snapshot().jobs.len(), 1, "the last good rows stay");
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_shows_what_would_happen_and_writes_nothing() {
    let mut kube = pending().await;
    let decision = kube.bench.decision();
    let command = kube.bench.send(Intent::Preview { decision: decision.id }, None).await;
    assert_eq!(kube.bench.until_final(command).await, CommandStage::Observed);
    assert_eq!(kube.api.server().patches.iter().map(|p| p.dry_run).collect::<Vec<_>>(), [true]);
    let job = kube.bench.snapshot().jobs[0].clone();
    let preview = job.resource.as_ref().unwrap().preview.clone().unwrap().value;
    assert_eq!(preview.decision, Some(decision.id));
    assert!(
        matches!(&preview.effect, crate::domain::kubernetes::RolloutEffect::Redeploy { why } if why.contains("adaptive")),
        "{preview:?}"
    );
    assert!(kube.bench.journal.records().is_empty());
}

/// One node with room for so many TaskManagers of one core and one GiB.
fn room_for(task_managers: u64) -> CapacityView {
    use crate::domain::capacity::{NodeRow, NodeUse, NodeView, Room};
    let node = NodeRow {
        uid: "n".into(),
        name: "n".into(),
        pool: None,
        ready: true,
        cordoned: false,
        allocatable: Room { cpu: 1_000 * task_managers, memory: task_managers << 30 },
        pod_limit: 100,
        taints: vec![],
        labels: BTreeMap::new(),
    };
    let nodes = vec![NodeView { node: Arc::new(node), usage: Some(NodeUse::default()) }];
    CapacityView { nodes, ..CapacityView::default() }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_reduced_to_what_fits_and_only_then_approved() {
    let mut sized = deployment(&[]);
    (sized.task_manager_cpu, sized.task_manager_memory) = (Some(1.0), Some(1 << 30));
    let mut whole = self::kube(2.0 * BUSY, sized.clone());
    whole.api.server().capacity = Some(room_for(100));
    whole.bench.until_decision(120, "pending").await;
    let whole = whole.bench.decision();
    let (needed, to) = (whole.capacity.clone().unwrap().needed, whole.changes[0].to);
    assert!(needed > 3, "{whole:?}");

    let mut kube = self::kube(2.0 * BUSY, sized.clone());
    kube.api.server().capacity = Some(room_for(u64::from(needed) - 1));
    kube.bench.until_decision(120, "pending").await;
    let first = kube.bench.decision();
    let command = kube.bench.send(Intent::Approve { decision: first.id }, Some(first.target.clone())).await;
    assert!(matches!(kube.bench.until_final(command).await, CommandStage::Refused { why } if why.contains("no room")));
    let command = kube.bench.send(Intent::Reduce { decision: first.id }, Some(first.target.clone())).await;
    assert_eq!(kube.bench.until_final(command).await, CommandStage::Observed);
    let reduced = kube.bench.decision();
    assert_ne!(reduced.id, first.id, "it has an identity of its own");
    let (from, less) = (reduced.changes[0].from, reduced.changes[0].to);
    assert!(from < less && less < to, "more than runs, less than wanted: {reduced:?}");
    assert!(reduced.capacity.as_ref().unwrap().fits() && reduced.blocked.is_none(), "{reduced:?}");
    let explained = reduced.explanation.as_ref().unwrap();
    assert!(explained.steps[0].label.contains("Reduced to what fits"), "{explained:?}");
    let old = kube.bench.snapshot().decision(first.id).unwrap().clone();
    assert!(
        matches!(&old.state, DecisionState::Superseded { by: Some(by), why } if *by == reduced.id && why.contains("fits"))
    );
    assert!(kube.api.server().patches.is_empty(), "nothing was written");

    // Turn after turn it stays the reduced one, and its approval comes to the same numbers again.
    kube.bench.wait(45).await;
    let again = kube.bench.decision();
    assert_eq!((again.id, again.state.word()), (reduced.id, "pending"));
    let command = kube.bench.send(Intent::Approve { decision: again.id }, Some(again.target.clone())).await;
    kube.bench.until(30, "written", |s| s.decision(again.id).is_some_and(|d| d.state.word() == "applying")).await;
    let _ = command;
    assert_eq!(kube.api.server().patches.iter().filter(|p| !p.dry_run).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_a_pending_decision_that_does_not_fit_is_reduced() {
    let mut kube = pending().await;
    let decision = kube.bench.decision();
    let command = kube.bench.send(Intent::Reduce { decision: decision.id }, None).await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Refused { why } if why.contains("not known")), "{stage:?}");

    let mut sized = deployment(&[]);
    (sized.task_manager_cpu, sized.task_manager_memory) = (Some(1.0), Some(1 << 30));
    let mut kube = self::kube(BUSY, sized);
    kube.api.server().capacity = Some(room_for(1));
    kube.bench.until_decision(120, "pending").await;
    let decision = kube.bench.decision();
    let command = kube.bench.send(Intent::Reduce { decision: decision.id }, None).await;
    let stage = kube.bench.until_final(command).await;
    assert!(
        matches!(&stage, CommandStage::Refused { why } if why.contains("not proposed any more") || why.contains("nothing that fits")),
        "{stage:?}"
    );
    let after = kube.bench.decision();
    assert_eq!((after.id, after.state.word()), (decision.id, "pending"), "it waits on as it was");
}

#[tokio::test(start_paused = true)]
async fn a_proposal_without_room_is_shown_blocked_and_the_auto_mode_does_not_apply_it() {
    let full = room_for(0);
    let mut sized = deployment(&[]);
    (sized.task_manager_cpu, sized.task_manager_memory) = (Some(1.0), Some(1 << 30));
    let mut kube = kube(BUSY, sized.clone());
    kube.api.server().capacity = Some(full.clone());
    kube.bench.until_decision(120, "pending").await;
    let decision = kube.bench.decision();
    let answer = decision.capacity.clone().unwrap();
    assert!(!answer.fits(), "{answer:?}");
    assert!(decision.blocked.as_deref().is_some_and(|why| why.contains("no room")), "{:?}", decision.blocked);

    // Not known is not room either.
    let mut kube = self::kube(BUSY, sized.clone());
    kube.api.server().capacity = None;
    kube.bench.until_decision(120, "pending").await;
    let blocked = kube.bench.decision().blocked.clone();
    assert!(blocked.as_deref().is_some_and(|why| why.contains("not known")), "{blocked:?}");

    // Room that somebody else took since is noticed when it is approved, not when it is read anew for a turn.
    let mut kube = self::kube(BUSY, sized.clone());
    kube.bench.until_decision(120, "pending").await;
    let seen = kube.bench.decision();
    assert_eq!(seen.blocked, None);
    kube.api.server().capacity = Some(full.clone());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let command = kube.bench.send(Intent::Approve { decision: seen.id }, Some(seen.target.clone())).await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Refused { why } if why.contains("no room")), "{stage:?}");
    assert!(kube.api.server().patches.is_empty());

    let auto = ControlConfig { mode: crate::domain::job::Mode::Auto, ..config() };
    let mut kube = kube_by(BUSY, sized, auto);
    kube.api.server().capacity = Some(full);
    kube.bench
        .until(120, "no capacity", |s| {
            s.jobs
                .first()
                .and_then(|j| j.turn.as_ref())
                .is_some_and(|t| t.reason.code == crate::domain::reason::ReasonCode::NoCapacity)
        })
        .await;
    assert!(kube.api.server().patches.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_log_is_read_while_somebody_looks() {
    let mut kube = kube(100.0, deployment(&[]));
    kube.bench.until(5, "rows", |s| s.loaded).await;
    let query = LogQuery {
        source: SourceId::new("kind"),
        namespace: "shop".into(),
        pod: "orders-1".into(),
        container: None,
        previous: false,
        follow: true,
        filter: "SEC".into(),
        tail: 10,
    };
    let interest = crate::domain::command::Interest { visible: true, log: Some(query), ..Default::default() };
    kube.bench.handle.interest.send_replace(interest);
    kube.bench.until(5, "the log", |s| s.log.as_ref().is_some_and(|log| !log.open)).await;
    let log = kube.bench.snapshot().log.clone().unwrap();
    assert_eq!((log.lines.len(), &*log.lines[0], log.filtered), (1, "second", 1));
    kube.bench.handle.interest.send_replace(crate::domain::command::Interest::default());
    kube.bench.until(5, "no log", |s| s.log.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn another_flightdeck_that_writes_the_map_is_a_conflict_until_it_is_quiet() {
    let mut kube = pending().await;
    let seen = kube.bench.decision();
    kube.api.edit(|resource| {
        let applied = crate::control::ports::Applied {
            decision: crate::domain::decision::DecisionId(4711),
            parallelism: BTreeMap::new(),
            configuration: BTreeMap::new(),
        };
        resource.applied = Some(applied);
    });
    let conflict = |s: &crate::domain::snapshot::Snapshot| matches!(&s.jobs[0].ownership, Ownership::Conflict { why } if why.contains("another flightdeck"));
    kube.bench.until(5, "the conflict", conflict).await;
    let command = kube.bench.send(Intent::Approve { decision: seen.id }, Some(seen.target.clone())).await;
    let stage = kube.bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Refused { why } if why.contains("another flightdeck")), "{stage:?}");
    assert!(kube.api.server().patches.is_empty());
    kube.bench.until(700, "nobody wrote any more", |s| !conflict(s)).await;
}

#[tokio::test(start_paused = true)]
async fn what_scales_the_same_pods_is_a_conflict_while_it_is_there() {
    let kube = pending().await;
    let scaler = ScalerRow {
        namespace: "shop".into(),
        name: "hpa".into(),
        target_kind: "FlinkDeployment".into(),
        target: kube.bench.snapshot().jobs[0].name.clone(),
        kind: ScalerKind::Horizontal,
    };
    let conflict = |s: &crate::domain::snapshot::Snapshot| matches!(s.jobs[0].ownership, Ownership::Conflict { .. });
    kube.api.say(ResourceEvent::Scalers(vec![scaler]));
    let mut kube = kube;
    kube.bench.until(5, "the conflict", conflict).await;
    kube.api.say(ResourceEvent::Scalers(vec![]));
    kube.bench.until(5, "its end", |s| !conflict(s)).await;
}
