//! The steps of plain Flink: how one is found done or not, and how its effect is sent (`flink-rest.md` §1.6, §6).
//!
//! A look comes before every sending: what is there already is not sent again, whoever sent it. An answer of 202 means nothing;
//! the result is looked for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::inventory::same_path;
use super::observe::{LaunchSeen, find_jar, look_at_launch, run_jar};
use super::steps::{Look, Sent, done};
use crate::control::realize::requirements;
use crate::domain::ids::{JobId, TriggerId, VertexId};
use crate::domain::job::{CheckpointEntry, CheckpointStatus, JobState};
use crate::domain::plan::{Action, Launch, Plan, Restore, Step};
use crate::flink::{FlinkClient, FlinkError, JobSummary, OperationState, RunJar};

/// So many connections in a row that break stand for a JobManager that is gone, after it was told to end.
const BROKEN: u32 = 5;

/// What acts on objects of Kubernetes is not for Flink.
const NOT_HERE: &str = "this step does not act on Flink";

fn blind(error: FlinkError) -> Look {
    if error.is_transient() || error.is_outcome_unknown() {
        Look::Blind(error.to_string())
    } else {
        Look::Failed(error.to_string())
    }
}

/// Looks whether a step is done.
pub(super) async fn look(client: &FlinkClient, plan: &Plan, step: &Step) -> Look {
    let found = match &step.action {
        Action::CheckLaunch { launch, vertices } => check_launch(client, launch, vertices).await,
        Action::Savepoint { job, trigger, .. } => savepoint(client, *job, *trigger, step).await,
        Action::Checkpoint { job, trigger } => checkpoint(client, *job, *trigger, step).await,
        Action::Stop { job, trigger, directory, .. } => stop(client, *job, *trigger, directory.as_deref(), step).await,
        Action::Cancel { job } => cancel(client, *job).await,
        Action::Run { job, .. } => run(client, *job).await,
        Action::AwaitRunning { job, restore } => running(client, *job, restore, plan).await,
        Action::AwaitCheckpoint { job } => first_checkpoint(client, *job).await,
        Action::Rescale { job, parallelism } => rescaled(client, *job, parallelism).await,
        Action::ShutDownCluster => shut_down(client, step).await,
        Action::Patch { .. } | Action::Snapshot { .. } | Action::Await { .. } | Action::Delete { .. } => {
            Ok(Look::Failed(NOT_HERE.into()))
        }
    };
    found.unwrap_or_else(blind)
}

/// Sends the effect of a step.
pub(super) async fn send(client: &FlinkClient, plan: &Plan, step: &Step) -> Sent {
    let sent = match &step.action {
        Action::CheckLaunch { .. } | Action::AwaitRunning { .. } | Action::AwaitCheckpoint { .. } => Ok(()),
        Action::Savepoint { job, trigger, directory, format } => {
            client.trigger_savepoint(*job, *trigger, directory.as_deref(), *format).await.map(|_| ())
        }
        Action::Checkpoint { job, trigger } => client.trigger_checkpoint(*job, *trigger).await.map(|_| ()),
        Action::Stop { job, trigger, directory, format } => {
            client.trigger_stop(*job, *trigger, directory.as_deref(), *format).await.map(|_| ())
        }
        Action::Cancel { job } => client.cancel(*job).await,
        Action::Run { job, launch, restore, allow_non_restored } => {
            match start(client, plan, *job, launch, restore, *allow_non_restored).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(why)) => return Sent::Refused(why),
                Err(error) => Err(error),
            }
        }
        Action::Rescale { job, parallelism } => rescale(client, *job, parallelism).await,
        Action::ShutDownCluster => client.shut_down_cluster().await,
        Action::Patch { .. } | Action::Snapshot { .. } | Action::Await { .. } | Action::Delete { .. } => {
            return Sent::Refused(NOT_HERE.into());
        }
    };
    match sent {
        Ok(()) => Sent::Taken,
        Err(error) if error.is_outcome_unknown() || error.is_transient() => Sent::Unclear(error.to_string()),
        Err(error) => Sent::Refused(error.to_string()),
    }
}

/// The newest checkpoint of the job that a step is about, to tell what came after.
pub(super) async fn newest(client: &FlinkClient, step: &Step) -> Result<Option<u64>, FlinkError> {
    let (Action::Savepoint { job, .. } | Action::Checkpoint { job, .. } | Action::Stop { job, .. }) = &step.action
    else {
        return Ok(None);
    };
    let checkpoints = client.checkpoints(*job).await?;
    Ok(checkpoints.history.iter().chain(&checkpoints.latest_savepoint).map(|entry| entry.id).max())
}

pub(super) async fn job_of(client: &FlinkClient, job: JobId) -> Result<Option<JobSummary>, FlinkError> {
    Ok(client.jobs_overview().await?.into_iter().find(|found| found.id == job))
}

/// `None` if Flink does not know the trigger (any more: it keeps them for 5 minutes).
async fn operation(client: &FlinkClient, job: JobId, trigger: TriggerId) -> Result<Option<OperationState>, FlinkError> {
    match client.savepoint_state(job, trigger).await {
        Ok(state) => Ok(Some(state)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Savepoints of the job that were triggered after ours was sent, newest first. Flink forgets triggers before it forgets
/// savepoints.
async fn after_sending(client: &FlinkClient, job: JobId, step: &Step) -> Result<Vec<CheckpointEntry>, FlinkError> {
    if step.sent_at.is_none() {
        return Ok(Vec::new());
    }
    let before = step.newest_before;
    let checkpoints = match client.checkpoints(job).await {
        Ok(checkpoints) => checkpoints,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut after: Vec<_> = checkpoints
        .history
        .into_iter()
        .chain(checkpoints.latest_savepoint)
        .filter(|entry| entry.is_savepoint && before.is_none_or(|before| entry.id > before))
        .collect();
    after.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    Ok(after)
}

fn gone(job: JobId) -> String {
    format!("the cluster does not know the job {job} (any more)")
}

async fn savepoint(client: &FlinkClient, job: JobId, trigger: TriggerId, step: &Step) -> Result<Look, FlinkError> {
    match operation(client, job, trigger).await? {
        Some(OperationState::InProgress) => return progress(client, job).await,
        Some(OperationState::Succeeded { location, .. }) => {
            return Ok(Look::Done { result: location, note: "the savepoint is complete".into() });
        }
        Some(OperationState::Failed(error)) => return Ok(Look::Failed(format!("the savepoint failed: {error}"))),
        None => {}
    }
    let Some(found) = job_of(client, job).await? else { return Ok(Look::Failed(gone(job))) };
    for entry in after_sending(client, job, step).await? {
        match (entry.status, entry.external_path) {
            (CheckpointStatus::Completed, Some(path)) => {
                let note = format!("savepoint {} is complete; Flink does not tell who asked for it any more", entry.id);
                return Ok(Look::Done { result: Some(path), note });
            }
            (CheckpointStatus::InProgress, _) => {
                return Ok(Look::Pending(format!("savepoint {} is in progress", entry.id)));
            }
            _ => {}
        }
    }
    if found.state.is_terminal() {
        return Ok(Look::Failed(format!("the job is {}", found.state.name())));
    }
    Ok(Look::Absent("Flink has no such savepoint yet".into()))
}

/// How many subtasks have acknowledged the savepoint that runs.
async fn progress(client: &FlinkClient, job: JobId) -> Result<Look, FlinkError> {
    let checkpoints = client.checkpoints(job).await?;
    let running = checkpoints.history.iter().find(|e| e.is_savepoint && e.status == CheckpointStatus::InProgress);
    Ok(Look::Pending(match running {
        Some(entry) => {
            format!("savepoint {}: {} of {} subtasks have acknowledged", entry.id, entry.acknowledged, entry.subtasks)
        }
        None => "the savepoint is in progress".into(),
    }))
}

async fn checkpoint(client: &FlinkClient, job: JobId, trigger: TriggerId, step: &Step) -> Result<Look, FlinkError> {
    match client.checkpoint_state(job, trigger).await {
        Ok(OperationState::InProgress) => return Ok(Look::Pending("the checkpoint is in progress".into())),
        Ok(OperationState::Succeeded { checkpoint, .. }) => {
            let number = checkpoint.map_or(String::new(), |n| format!(" {n}"));
            return Ok(done(format!("checkpoint{number} is complete")));
        }
        Ok(OperationState::Failed(error)) => return Ok(Look::Failed(format!("the checkpoint failed: {error}"))),
        Err(error) if error.is_no_such_endpoint() => {
            return Ok(Look::Failed("this Flink cannot be asked for checkpoints: that needs 1.17 or later".into()));
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    let Some(found) = job_of(client, job).await? else { return Ok(Look::Failed(gone(job))) };
    if found.state.is_terminal() {
        return Ok(Look::Failed(format!("the job is {}", found.state.name())));
    }
    if step.sent_at.is_some() {
        let before = step.newest_before;
        let newer = client.checkpoints(job).await?.latest_completed;
        if let Some(newer) = newer.filter(|entry| before.is_none_or(|before| entry.id > before)) {
            return Ok(done(format!("checkpoint {} is complete, and newer than the request", newer.id)));
        }
    }
    Ok(Look::Absent("Flink has no such checkpoint yet".into()))
}

async fn stop(
    client: &FlinkClient,
    job: JobId,
    trigger: TriggerId,
    directory: Option<&str>,
    step: &Step,
) -> Result<Look, FlinkError> {
    let state = operation(client, job, trigger).await?;
    if let Some(OperationState::Failed(error)) = &state {
        return Ok(Look::Failed(format!("the stop failed: {error}")));
    }
    let found = job_of(client, job).await?;
    let Some(found) = found else {
        let place = directory.map_or_else(|| "the configured place".to_owned(), str::to_owned);
        return Ok(Look::Failed(match step.sent_at {
            None => gone(job),
            Some(_) => format!("{}: whether its savepoint was completed is not known; look into {place}", gone(job)),
        }));
    };
    let location = match &state {
        Some(OperationState::Succeeded { location, .. }) => location.clone(),
        _ => None,
    };
    match (found.state, location, &state) {
        (JobState::Finished, Some(path), _) => {
            Ok(Look::Done { result: Some(path), note: "the job is FINISHED, its savepoint complete".into() })
        }
        (JobState::Finished, None, _) => {
            let after = after_sending(client, job, step).await?;
            match after.into_iter().find(|e| e.status == CheckpointStatus::Completed && e.external_path.is_some()) {
                Some(entry) => Ok(Look::Done {
                    result: entry.external_path,
                    note: format!("the job is FINISHED, its savepoint {} complete", entry.id),
                }),
                None => {
                    Ok(Look::Failed("the job is FINISHED, but not by this stop: there is no savepoint of it".into()))
                }
            }
        }
        (ended, location, _) if ended.is_terminal() => Ok(Look::Failed(format!(
            "the job is {}{}",
            ended.name(),
            location.map_or(String::new(), |path| format!("; its savepoint is at {path}"))
        ))),
        (_, Some(path), _) => Ok(Look::Pending(format!("the savepoint is at {path}; its tasks finish"))),
        (_, None, Some(_)) => progress(client, job).await,
        (state, None, None) => {
            let running = after_sending(client, job, step).await?;
            if running.iter().any(|e| e.status == CheckpointStatus::InProgress) {
                return Ok(Look::Pending("a savepoint of the job is in progress".into()));
            }
            Ok(Look::Absent(format!("the job is {}", state.name())))
        }
    }
}

async fn cancel(client: &FlinkClient, job: JobId) -> Result<Look, FlinkError> {
    Ok(match job_of(client, job).await? {
        None => done("the cluster does not list the job any more"),
        Some(found) if found.state.is_terminal() => done(format!("the job is {}", found.state.name())),
        Some(found) if found.state == JobState::Cancelling => {
            let tasks = found.tasks;
            Look::Pending(format!("CANCELLING: {} of {} tasks are cancelled", tasks.canceled, tasks.total))
        }
        Some(found) => Look::Absent(format!("the job is {}", found.state.name())),
    })
}

async fn rescaled(client: &FlinkClient, job: JobId, wanted: &BTreeMap<VertexId, i32>) -> Result<Look, FlinkError> {
    let Some(found) = job_of(client, job).await? else { return Ok(Look::Failed(gone(job))) };
    if found.state.is_terminal() {
        return Ok(Look::Failed(format!("the job is {}", found.state.name())));
    }
    let bounds = client.resource_requirements(job).await?;
    if wanted.iter().any(|(vertex, p)| bounds.get(vertex).is_none_or(|b| b.upper_bound != *p)) {
        return Ok(Look::Absent("Flink has other requirements".into()));
    }
    let details = client.job(job).await?;
    let left = details.vertices.iter().filter(|v| wanted.get(&v.id).is_some_and(|p| v.parallelism != *p)).count();
    Ok(match left {
        0 => done("the job has this parallelism"),
        _ => Look::Pending(format!("Flink has taken it; {left} vertices still have another parallelism")),
    })
}

async fn rescale(client: &FlinkClient, job: JobId, wanted: &BTreeMap<VertexId, i32>) -> Result<(), FlinkError> {
    let found = client.resource_requirements(job).await?;
    client.put_resource_requirements(job, &requirements(&found, wanted)).await
}

async fn check_launch(client: &FlinkClient, launch: &Launch, wanted: &[VertexId]) -> Result<Look, FlinkError> {
    Ok(match look_at_launch(client, Some(launch)).await? {
        LaunchSeen::Unknown { .. } => Look::Failed("nothing says what to start".into()),
        LaunchSeen::Refused(why) => Look::Failed(format!("the cluster would not start it: {why}")),
        LaunchSeen::Runs { launch, vertices } => match wanted.iter().find(|v| !vertices.contains(v)) {
            Some(missing) => Look::Failed(format!(
                "{} does not have vertex {missing} of the job: it is another program, or the graph changed",
                launch.jar
            )),
            None => done(format!("{} would run {} vertices, those of the job among them", launch.jar, vertices.len())),
        },
    })
}

async fn run(client: &FlinkClient, job: JobId) -> Result<Look, FlinkError> {
    Ok(match job_of(client, job).await? {
        Some(found) => done(format!("the new job is {}", found.state.name())),
        None => Look::Absent("the cluster does not list the new job yet".into()),
    })
}

/// The path a start restores from; an inner error if an earlier step has not given it.
pub(super) fn path_of(restore: &Restore, plan: &Plan) -> Result<Option<String>, String> {
    match restore {
        Restore::Nothing => Ok(None),
        Restore::Path { path } => Ok(Some(path.clone())),
        Restore::OfStep { step } => match plan.steps.get(*step).and_then(|s| s.result.clone()) {
            Some(path) => Ok(Some(path)),
            None => Err("the path of the savepoint that was to be restored is not known".into()),
        },
    }
}

/// The inner error says why nothing can be started at all.
async fn start(
    client: &FlinkClient,
    plan: &Plan,
    job: JobId,
    launch: &Launch,
    restore: &Restore,
    allow_non_restored: bool,
) -> Result<Result<(), String>, FlinkError> {
    let path = match path_of(restore, plan) {
        Ok(path) => path,
        Err(why) => return Ok(Err(why)),
    };
    let jars = client.jars().await?;
    let Some(jar) = find_jar(&jars, &launch.jar) else {
        return Ok(Err(format!("the cluster has no jar {:?} any more", launch.jar)));
    };
    let run = RunJar {
        job_id: Some(job),
        savepoint_path: path,
        allow_non_restored_state: allow_non_restored,
        ..run_jar(launch)
    };
    client.run_jar(&jar.id, &run).await.map(|_| Ok(()))
}

pub(super) async fn running(
    client: &FlinkClient,
    job: JobId,
    restore: &Restore,
    plan: &Plan,
) -> Result<Look, FlinkError> {
    let Some(found) = job_of(client, job).await? else { return Ok(Look::Failed(gone(job))) };
    let tasks = found.tasks;
    match found.state {
        JobState::Running if tasks.total > 0 && tasks.running == tasks.total => {}
        ended if ended.is_terminal() => {
            let problems = client.exceptions(job, 1).await.ok();
            let cause = problems
                .as_ref()
                .and_then(|p| p.entries.first())
                .map_or(String::new(), |entry| format!(": {}: {}", entry.root_class, entry.root_message));
            return Ok(Look::Failed(format!("the new job is {}{cause}", ended.name())));
        }
        other => {
            return Ok(Look::Pending(format!("{}: {} of {} tasks run", other.name(), tasks.running, tasks.total)));
        }
    }
    let path = match path_of(restore, plan) {
        Ok(path) => path,
        Err(why) => return Ok(Look::Failed(why)),
    };
    let Some(path) = path else { return Ok(done(format!("all {} tasks run", tasks.total))) };
    let restored = client.checkpoints(job).await?.restored.and_then(|r| r.external_path);
    Ok(match restored {
        Some(restored) if same_path(&restored, &path) => {
            done(format!("all {} tasks run, restored from {path}", tasks.total))
        }
        Some(other) => Look::Failed(format!("all tasks run, but were restored from {other}, not from {path}")),
        None => Look::Pending(format!(
            "all {} tasks run; Flink does not say yet from where they were restored",
            tasks.total
        )),
    })
}

pub(super) async fn first_checkpoint(client: &FlinkClient, job: JobId) -> Result<Look, FlinkError> {
    let Some(found) = job_of(client, job).await? else { return Ok(Look::Failed(gone(job))) };
    if found.state.is_terminal() {
        return Ok(Look::Failed(format!("the new job is {}", found.state.name())));
    }
    let checkpoints = client.checkpoints(job).await?;
    Ok(match checkpoints.latest_completed {
        Some(entry) => done(format!("checkpoint {} is complete", entry.id)),
        None => Look::Pending(match checkpoints.latest_failed.and_then(|e| e.failure) {
            Some(why) => format!("no checkpoint is complete yet; the last one failed: {why}"),
            None => format!("no checkpoint is complete yet, {} in progress", checkpoints.counts.in_progress),
        }),
    })
}

async fn shut_down(client: &FlinkClient, step: &Step) -> Result<Look, FlinkError> {
    let mut broken = 0;
    let jobs = loop {
        match client.jobs_overview().await {
            Ok(jobs) => break jobs,
            // Refused is what is wanted.
            Err(FlinkError::Unreachable { .. }) if step.sent_at.is_some() => {
                return Ok(done("the JobManager does not answer any more"));
            }
            // In front of one that is gone some proxies go on accepting; a single one may be a bad connection.
            Err(FlinkError::Broken { .. }) if step.sent_at.is_some() && broken < BROKEN => {
                broken += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(FlinkError::Broken { why, .. }) if step.sent_at.is_some() => {
                return Ok(done(format!(
                    "the JobManager does not answer any more: {BROKEN} connections in a row broke ({why})"
                )));
            }
            Err(error) => return Err(error),
        }
    };
    let alive: Vec<_> = jobs.iter().filter(|j| !j.state.is_terminal()).map(|j| j.name.as_str()).collect();
    if !alive.is_empty() {
        return Ok(Look::Failed(format!("jobs run on the cluster: {}; it is not ended", alive.join(", "))));
    }
    Ok(Look::Absent("the JobManager answers".into()))
}
