//! On Kubernetes, with the port in memory and the small Flink behind it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use super::fake::{JOB, SLOW};
use super::*;
use crate::control::ownership::{self, OVERRIDES_KEY, format_overrides};
use crate::control::ports::{ApiError, ClusterApi, OverridePatch, Resource, ResourceEvent, ResourceRef};
use crate::domain::health::HealthWord;
use crate::domain::ids::VertexId;
use crate::domain::job::{JobKind, Ownership, Realization};
use crate::domain::snapshot::SourceState;
use crate::flink::Transport;
use crate::state::journal::{Closing, Record};

#[derive(Debug)]
struct Server {
    resource: Option<Resource>,
    stored: BTreeMap<VertexId, i32>,
    /// So many patches still meet somebody else's status write.
    conflicts: usize,
    /// The next conflict comes with a change of the spec.
    edited: bool,
    forbidden: bool,
    patches: Vec<OverridePatch>,
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
            let _ = told.send(ResourceEvent::Changed(Box::new(resource.clone())));
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
    fn watch(&self) -> BoxStream<'static, ResourceEvent> {
        let (told, events) = mpsc::unbounded_channel();
        let mut server = self.server();
        told.send(ResourceEvent::All(server.resource.iter().cloned().collect())).unwrap();
        server.told = Some(told);
        futures::stream::unfold(events, |mut events| async move { events.recv().await.map(|e| (e, events)) }).boxed()
    }

    fn job_manager(&self, _: &ResourceRef) -> Arc<dyn Transport> {
        Arc::new(self.fake.clone())
    }

    fn get<'a>(&'a self, _: &'a ResourceRef) -> BoxFuture<'a, Result<Resource, ApiError>> {
        Box::pin(async { self.server().resource.clone().ok_or(ApiError::NotFound("gone".into())) })
    }

    fn patch_overrides<'a>(&'a self, patch: &'a OverridePatch) -> BoxFuture<'a, Result<Resource, ApiError>> {
        Box::pin(async {
            let mut server = self.server();
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
            if patch.dry_run {
                return Ok(resource.clone());
            }
            resource.configuration.insert(OVERRIDES_KEY.into(), format_overrides(&patch.parallelism));
            resource.applied = Some(patch.applied.clone());
            resource.generation += 1;
            resource.resource_version.push('p');
            let result = resource.clone();
            Self::tell(&server);
            let (api, wanted) = (self.clone(), patch.parallelism[&SLOW]);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                api.fake.rescale(wanted);
                api.edit(|r| r.observed_generation = Some(r.generation));
            });
            Ok(result)
        })
    }

    fn stored_overrides<'a>(&'a self, _: &'a ResourceRef) -> BoxFuture<'a, Result<BTreeMap<VertexId, i32>, ApiError>> {
        Box::pin(async { Ok(self.server().stored.clone()) })
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
        conflicts: 0,
        edited: false,
        forbidden: false,
        patches: vec![],
        retries: 0,
        told: None,
    };
    let api = Api { server: Arc::new(Mutex::new(server)), fake: fake.clone() };
    let (journal, store) = (Journal::in_memory(), Arc::new(MemoryStore::new()));
    let parts = Parts {
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
async fn an_approval_writes_the_complete_map_and_the_annotation_after_a_dry_run() {
    let mut kube = pending().await;
    let decision = kube.bench.decision();
    let command = kube.bench.approve().await;
    assert_eq!(kube.bench.until_final(command).await, CommandStage::Observed);
    let patches = kube.api.server().patches.clone();
    assert_eq!(patches.iter().map(|p| p.dry_run).collect::<Vec<_>>(), [true, false]);
    assert_eq!(patches[1].parallelism.len(), 3);
    assert_eq!(patches[1].applied.decision, decision.id);
    assert_eq!(patches[1].applied.parallelism, patches[1].parallelism);
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
    resource.override_managers = vec!["argocd-controller".into()];
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
    kube.api.say(ResourceEvent::Changed(Box::new(session_job(Some(JOB)))));
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
    kube.api.say(ResourceEvent::Changed(Box::new(session_job(None))));
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
