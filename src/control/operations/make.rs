//! Makes a plan: looks at the target afresh, has the pure functions propose, and asks the API server what it would say.

use std::sync::Arc;

use serde_json::Value;

use super::document::Document;
use super::inventory;
use super::managed::{self, Managed};
use super::observe::{self, ClusterSeen, JobSeen, look_at_launch};
use super::operator;
use super::propose::{CHOICES, Draft, Frame, Scaling, Seen, propose};
use crate::control::cluster::ClusterLink;
use crate::control::ports::{ApiError, ClusterApi, Objects, ResourceRef, Write};
use crate::control::realize::overruled_now;
use crate::control::shared::Shared;
use crate::domain::command::Issuer;
use crate::domain::decision::{Decision, DecisionId, DecisionState};
use crate::domain::ids::{JobKey, SourceId};
use crate::domain::job::{JobKind, Ownership};
use crate::domain::kubernetes::KubeAction;
use crate::domain::objects::{ObjectKind, ObjectName};
use crate::domain::plan::{Action, Launch, Operation, Plan, PlanId, PlanSubject, PlanTarget};

/// How the target of a plan is reached.
pub(super) struct Reach {
    /// Its Flink cluster, while it is watched.
    pub link: Option<Arc<ClusterLink>>,
    /// Its Kubernetes cluster, if it is on one.
    pub api: Option<Arc<dyn ClusterApi>>,
}

/// Who asks for a plan, and the numbers it gets.
#[derive(Clone, Copy)]
struct Asked {
    issuer: Issuer,
    id: PlanId,
    seed: u128,
}

/// Looks at the target and makes the plan.
pub(super) async fn make(
    shared: &Arc<Shared>,
    issuer: Issuer,
    id: PlanId,
    seed: u128,
    subject: &PlanSubject,
    operation: &Operation,
) -> Result<(Plan, Reach), String> {
    let asked = Asked { issuer, id, seed };
    let (view, cluster) = match subject {
        PlanSubject::Cluster(cluster) => (None, cluster.clone()),
        PlanSubject::Job(job) => {
            let view = shared.board.job(job).ok_or_else(|| format!("the job {job} is gone"))?;
            let cluster = view.cluster.clone();
            (Some(view), cluster)
        }
    };
    let link = shared.link(&cluster).ok_or_else(|| format!("the cluster {cluster} is gone"))?;
    let shutdown = matches!(operation, Operation::Shutdown { .. });
    let resource = match (&view, &link.namespace) {
        (Some(view), _) if view.kind != JobKind::FlinkJob => view.namespace.as_ref().map(|namespace| {
            let kind = match view.kind {
                JobKind::FlinkSessionJob => ObjectKind::FlinkSessionJob,
                JobKind::FlinkDeployment | JobKind::SessionCluster | JobKind::FlinkJob => ObjectKind::FlinkDeployment,
            };
            ObjectName::new(kind, namespace, &view.name)
        }),
        (Some(_), _) if !shutdown => None,
        (_, Some(namespace)) if !link.is_source => {
            Some(ObjectName::new(ObjectKind::FlinkDeployment, namespace, &link.name))
        }
        _ => None,
    };
    let job = view.map(|view| view.key.clone());
    match resource {
        Some(named) => make_managed(shared, asked, job, link, named, operation).await,
        None => make_plain(shared, asked, job.filter(|_| !shutdown), link, operation).await,
    }
}

/// What stands against anything on the target, as the loop knows it.
fn standing(shared: &Shared, id: PlanId, target: &PlanTarget) -> Vec<String> {
    let mut standing = Vec::new();
    if shared.config.read_only {
        standing.push("started with --read-only: nothing may be written".to_owned());
    }
    let busy = shared.desk.busy(target.job.as_ref(), &target.cluster);
    if let Some((other, word)) = busy.filter(|(other, _)| *other != id) {
        standing.push(format!("plan {other} ({word}) is open on it: let it end, resume it or abandon it first"));
    }
    if let Some(decision) = scaling_of(shared, target) {
        standing.push(format!("decision {decision} is being applied: wait for its effect"));
    }
    standing
}

fn frame(shared: &Shared, asked: Asked, target: PlanTarget) -> Frame {
    Frame {
        id: asked.id,
        seed: asked.seed,
        issuer: asked.issuer,
        now: shared.now(),
        standing: standing(shared, asked.id, &target),
        scaling: target.job.as_ref().and_then(|job| last_scaling(shared, job)),
        target,
        plans: shared.desk.plans(),
    }
}

/// A plan on plain Flink, or on a job that no resource describes.
async fn make_plain(
    shared: &Arc<Shared>,
    asked: Asked,
    key: Option<JobKey>,
    link: Arc<ClusterLink>,
    operation: &Operation,
) -> Result<(Plan, Reach), String> {
    let seen = ClusterSeen::look(&link).await.map_err(|e| e.to_string())?;
    let job = match key {
        None => None,
        Some(key) => {
            let id = shared.board.job(&key).and_then(|view| view.job_id);
            let summary = id.and_then(|id| seen.jobs.iter().find(|job| job.id == id)).cloned();
            let summary = summary.ok_or_else(|| format!("Flink does not list the job {key} now"))?;
            Some((key, JobSeen::look(&link.client, summary).await.map_err(|e| e.to_string())?))
        }
    };
    let launch = match (operation, &job) {
        (Operation::Redeploy { launch, .. }, Some((_, job))) if seen.jars => {
            let configured = launches(shared, link.namespace.as_deref(), &job.summary.name).into_iter().next();
            let wanted = launch.clone().or(configured);
            Some(look_at_launch(&link.client, wanted.as_ref()).await.map_err(|e| e.to_string())?)
        }
        _ => None,
    };
    let target = match &job {
        Some((key, job)) => observe::job_target(&link, key.clone(), job),
        None => observe::cluster_target(&link),
    };
    let seen = Seen {
        frame: frame(shared, asked, target),
        cluster: &seen,
        job: job.as_ref().map(|(_, job)| job),
        launch: launch.as_ref(),
    };
    let plan = propose(operation, seen);
    let api = shared.api(&link.source);
    Ok((plan, Reach { link: Some(link), api }))
}

/// A plan on a resource of the operator.
async fn make_managed(
    shared: &Arc<Shared>,
    asked: Asked,
    key: Option<JobKey>,
    link: Arc<ClusterLink>,
    named: ObjectName,
    operation: &Operation,
) -> Result<(Plan, Reach), String> {
    let source = link.source.clone();
    let api = shared.api(&source).ok_or_else(|| format!("the Kubernetes cluster {source} is not watched"))?;
    let objects = api.objects().ok_or_else(|| format!("objects of {source} cannot be changed from here"))?;
    let says = |error: ApiError| error.to_string();
    let resource = read(objects, &named).await.map_err(says)?;
    let namespace = named.namespace.clone();
    let cluster = match resource.text("/spec/deploymentName") {
        Some(name) if named.kind == ObjectKind::FlinkSessionJob => {
            let cluster = ObjectName::new(ObjectKind::FlinkDeployment, &namespace, name);
            Some(read(objects, &cluster).await.map_err(says)?)
        }
        _ => None,
    };
    let session_jobs = if named.kind == ObjectKind::FlinkDeployment && !resource.has_job() {
        session_jobs(objects, &resource).await.map_err(says)?
    } else {
        Vec::new()
    };
    let features = shared.board.kube(&source).and_then(|view| view.features).unwrap_or_default();
    let mut trouble = Vec::new();
    let snapshots = match features.state_snapshots {
        true => match objects.list(ObjectKind::FlinkStateSnapshot, &namespace, "", "").await {
            Ok(all) => all,
            Err(error) => {
                trouble.push(format!("savepoints kept as resources are not known: {error}"));
                Vec::new()
            }
        },
        false => Vec::new(),
    };
    let (flink, job) = look_at_flink(&link, &resource).await;
    let target = PlanTarget {
        job: key.filter(|_| resource.has_job()),
        cluster: link.key.clone(),
        context: source.to_string(),
        namespace: Some(namespace.clone()),
        name: named.name.clone(),
        uid: resource.uid().to_owned(),
        generation: Some(resource.generation()),
        run: None,
    };
    let frame = frame(shared, asked, target);
    let told = job.as_ref().and_then(|job| Some((job.id(), job.checkpoints.as_ref()?)));
    let mut choices = inventory::of_job(told, Some((&resource, &snapshots)), frame.of_target());
    choices.truncate(CHOICES);
    let dead = operator::dead(objects).await;
    let seen = Managed { frame, resource, cluster, session_jobs, features, dead, flink, job, choices };
    let mut draft = managed::propose(operation, &seen);
    draft.notes.extend(trouble);
    if *operation == Operation::Rollback {
        draft.blocks.extend(overruled(shared, &*api, &seen).await.map_err(says)?);
    }
    rehearse(objects, &mut draft).await.map_err(says)?;
    allowed(&*api, &source, shared, &namespace, &mut draft).await.map_err(says)?;
    let choices = if matches!(operation, Operation::Redeploy { .. }) { seen.choices } else { Vec::new() };
    let plan = seen.frame.finish(operation, draft, choices);
    Ok((plan, Reach { link: Some(link), api: Some(api) }))
}

/// What stands against writing the parallelism of a job, as against an approval: who else scales it, and what the operator keeps.
async fn overruled(shared: &Shared, api: &dyn ClusterApi, seen: &Managed) -> Result<Option<String>, ApiError> {
    let view = seen.frame.target.job.as_ref().and_then(|job| shared.board.job(job));
    match view.map(|view| view.ownership.clone()) {
        None | Some(Ownership::Pilot { .. }) => {}
        Some(Ownership::Observer { why } | Ownership::Conflict { why }) => return Ok(Some(why)),
    }
    let Some(scaling) = &seen.frame.scaling else { return Ok(None) };
    let named = &seen.resource.named;
    let reference = ResourceRef {
        namespace: named.namespace.clone(),
        name: named.name.clone(),
        session_job: named.kind == ObjectKind::FlinkSessionJob,
    };
    let vertices: Vec<_> = scaling.before.keys().copied().collect();
    let resource = api.get(&reference).await?;
    Ok(overruled_now(api, &resource, &vertices).await.map(|(Ok(why) | Err(why))| why))
}

async fn read(objects: &dyn Objects, named: &ObjectName) -> Result<Document, ApiError> {
    objects.read(named).await.map(|value| Document { named: named.clone(), value })
}

/// The session jobs of a session cluster.
async fn session_jobs(objects: &dyn Objects, cluster: &Document) -> Result<Vec<Document>, ApiError> {
    let namespace = &cluster.named.namespace;
    let all = match objects.list(ObjectKind::FlinkSessionJob, namespace, "", "").await {
        Ok(all) => all,
        // A server without that kind has none of them.
        Err(ApiError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let document = |value: Value| {
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let named = ObjectName::new(ObjectKind::FlinkSessionJob, namespace, name);
        Document { named, value }
    };
    let all = all.into_iter().map(document);
    Ok(all.filter(|job| job.text("/spec/deploymentName") == Some(cluster.name())).collect())
}

/// What Flink says of the cluster and of the resource's job, if it answers: plans through the operator do not need it.
async fn look_at_flink(link: &ClusterLink, resource: &Document) -> (Option<ClusterSeen>, Option<JobSeen>) {
    if !link.is_ready() {
        return (None, None);
    }
    let Ok(seen) = ClusterSeen::look(link).await else { return (None, None) };
    let summary = resource.job_id().and_then(|id| seen.jobs.iter().find(|job| job.id == id)).cloned();
    let job = match summary {
        Some(summary) => JobSeen::look(&link.client, summary).await.ok(),
        None => None,
    };
    (Some(seen), job)
}

/// Has the server say what it would make of every patch and of every object that is created.
async fn rehearse(objects: &dyn Objects, draft: &mut Draft) -> Result<(), ApiError> {
    for (named, spec) in managed::rehearsals(&draft.steps) {
        let patch = serde_json::json!({ "spec": spec });
        match objects.merge(&named, &patch, Write::DryRun).await {
            Ok((after, changes)) => {
                draft.blocks.extend(operator::dropped(&after, &spec));
                draft.changes.extend(changes);
            }
            Err(error) => refused(draft, &named, error)?,
        }
    }
    let created: Vec<_> = draft.steps.iter().filter_map(|step| created(&step.action)).collect();
    for (named, body) in created {
        if let Err(error) = objects.create(&named, &body, Write::DryRun).await {
            refused(draft, &named, error)?;
        }
    }
    Ok(())
}

fn created(action: &Action) -> Option<(ObjectName, Value)> {
    match action {
        Action::Snapshot { named, of, checkpoint, directory, format } => {
            let body = operator::snapshot_body(named, of, *checkpoint, directory.as_deref(), *format, "");
            Some((named.clone(), body))
        }
        _ => None,
    }
}

/// A refusal forbids the plan; a server that does not answer makes none.
fn refused(draft: &mut Draft, named: &ObjectName, error: ApiError) -> Result<(), ApiError> {
    match error {
        ApiError::Forbidden(why) | ApiError::Invalid(why) | ApiError::NotFound(why) => {
            draft.blocks.push(format!("the API server would not take the change of {named}: {why}"));
            Ok(())
        }
        // Nobody else's write is overrun by a rehearsal.
        ApiError::Conflict(_) => Ok(()),
        ApiError::Unknown(_) | ApiError::Other(_) => Err(error),
    }
}

/// Rights that no rehearsal asks for.
async fn allowed(
    api: &dyn ClusterApi,
    source: &SourceId,
    shared: &Shared,
    namespace: &str,
    draft: &mut Draft,
) -> Result<(), ApiError> {
    let right = |action: &Action| match action {
        Action::Delete { of, .. } => match of.kind {
            ObjectKind::FlinkDeployment => Some(KubeAction::DeleteDeployment),
            ObjectKind::FlinkSessionJob => Some(KubeAction::DeleteSessionJob),
            _ => None,
        },
        _ => None,
    };
    let mut wanted: Vec<KubeAction> = draft.steps.iter().filter_map(|step| right(&step.action)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    for action in wanted {
        let (allowed, _) = match api.allowed(action, Some(namespace)).await {
            Ok(answer) => answer,
            // A server that does not let this be asked says no when it is done.
            Err(ApiError::Forbidden(_)) => continue,
            Err(error) => return Err(error),
        };
        if !allowed {
            let (verb, group, resource) = action.right();
            draft.blocks.push(format!("missing right: {verb} {resource}.{group} in namespace {namespace}"));
        }
    }
    let by_rest = draft.steps.iter().any(|step| matches!(step.action, Action::Stop { .. } | Action::Cancel { .. }));
    let kube = shared.board.kube(source);
    if by_rest && let Some(why) = kube.and_then(|k| k.missing_right(KubeAction::WriteJobManager, Some(namespace))) {
        draft.blocks.push(why);
    }
    Ok(())
}

/// The decision that is being applied to the target now.
fn scaling_of(shared: &Shared, target: &PlanTarget) -> Option<DecisionId> {
    let snapshot = shared.board.snapshot(0, shared.now());
    let on_it = |job: &JobKey| match &target.job {
        Some(own) => own == job,
        None => snapshot.job(job).is_some_and(|view| view.cluster == target.cluster),
    };
    let applying = |state: &DecisionState| matches!(state, DecisionState::Approved | DecisionState::Applying);
    snapshot.decisions.iter().find(|d| applying(&d.state) && on_it(&d.target.job)).map(|d| d.id)
}

/// The last scaling of a job that was carried out.
fn last_scaling(shared: &Shared, job: &JobKey) -> Option<Scaling> {
    let snapshot = shared.board.snapshot(0, shared.now());
    let carried_out = |d: &&Arc<Decision>| d.life.iter().any(|event| event.state == DecisionState::Applying);
    let all = snapshot.decisions.iter().filter(|d| d.target.job == *job).filter(carried_out);
    let last = all.max_by_key(|d| d.proposed_at)?;
    let why = match &last.state {
        DecisionState::Failed { why } | DecisionState::Regressed { why } | DecisionState::Inconclusive { why } => {
            format!(": {why}")
        }
        _ => String::new(),
    };
    Some(Scaling {
        decision: last.id,
        outcome: format!("decision {} is {}{why}", last.id, last.state.word()),
        changes: last.changes.iter().map(|c| (c.name.clone(), c.from, c.to)).collect(),
        before: last.changes.iter().map(|c| (c.vertex, c.from)).collect(),
        after: last.changes.iter().map(|c| (c.vertex, c.to)).collect(),
    })
}

/// The launch that is configured for a job.
pub(super) fn launches(shared: &Shared, namespace: Option<&str>, name: &str) -> Vec<Launch> {
    shared.config.rule(namespace, name).and_then(|rule| rule.launch.clone()).into_iter().collect()
}
