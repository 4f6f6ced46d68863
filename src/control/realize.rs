//! Realizers: how an approved decision is written to a cluster, with the journal before and after.
//!
//! The record before is on disk before anything is sent; the record after says what came of it. Neither realizer decides: they get
//! the complete map and what must still be true.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::operator_state::OperatorState;
use super::ownership::{FIELD_MANAGER, Injection, OVERRIDES_KEY, format_overrides, injection, overrides_in, overruled};
use super::ports::{ApiError, Applied, ClusterApi, PatchOf, Resource, ResourcePatch, ResourceRef};
use super::shared::Shared;
use super::takeover::{PROCESS_SIZE, complete_map};
use crate::domain::decision::{Decision, DecisionId, Target};
use crate::domain::ids::{JobId, JobKey, VertexId};
use crate::domain::job::JobKind;
use crate::domain::kubernetes::FieldChange;
use crate::flink::{FlinkClient, FlinkError, ParallelismBounds, Requirements};
use crate::state::journal::{Closing, Opened, Record};

/// Journal word of a `PUT resource-requirements`.
pub(super) const REQUIREMENTS: &str = "resource-requirements";
/// Journal word of a patch of the overrides.
pub(super) const OVERRIDES: &str = "parallelism-overrides";
/// Journal word of a take-over from the operator.
pub(super) const TAKE_OVER: &str = "take-over";
/// Journal word of a hand-back to the operator.
pub(super) const HAND_BACK: &str = "hand-back";
/// How often a patch is tried when somebody else writes in between.
const CONFLICTS: usize = 3;

/// What the journal keeps of an effect, to compare it with the cluster later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Detail {
    pub decision: DecisionId,
    /// Flink's id of the job, if known.
    pub job: Option<JobId>,
    /// The complete map.
    pub wanted: BTreeMap<VertexId, i32>,
    /// Keys of the configuration that go with it; none removes the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configuration: BTreeMap<String, Option<String>>,
    /// What was shown to whoever approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
}

/// What a person saw of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// Name, parallelism before and after of every vertex that changes.
    pub changes: Vec<(String, i32, i32)>,
    /// Why.
    pub reason: String,
    /// Predicted downtime.
    pub downtime: Duration,
    /// Predicted time until the backlog is gone; `None` if it will not shrink.
    pub catch_up: Option<Duration>,
}

impl Detail {
    /// The effect of a decision.
    pub fn of(decision: &Decision, job: Option<JobId>, wanted: BTreeMap<VertexId, i32>) -> Self {
        let config = &decision.config;
        let set = config.set.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        let removed = config.removed.iter().map(|key| (key.clone(), None));
        let shown = Shown {
            changes: decision.changes.iter().map(|c| (c.name.clone(), c.from, c.to)).collect(),
            reason: decision.reason.sentence.clone(),
            downtime: decision.prediction.downtime,
            catch_up: decision.prediction.catch_up,
        };
        Self { decision: decision.id, job, wanted, configuration: set.chain(removed).collect(), shown: Some(shown) }
    }

    /// The patch of a resource: the map, and the memory that goes with it. A session job has no memory of its own.
    pub fn patch(&self, resource: &Resource) -> ResourcePatch {
        let map = complete_map(resource, &self.wanted);
        let mut configuration = BTreeMap::from([(OVERRIDES_KEY.to_owned(), Some(format_overrides(&map)))]);
        let mut memory = None;
        for (key, value) in self.configuration.iter().filter(|_| resource.kind == JobKind::FlinkDeployment) {
            match (key.as_str(), value) {
                // A TaskManager's whole memory stands in the resource itself (`operator.md` §7.2).
                (PROCESS_SIZE, Some(size)) => {
                    memory = Some(parse_memory(size).map_or_else(|| size.clone(), |bytes| bytes.to_string()));
                }
                (PROCESS_SIZE, None) => {}
                _ => drop(configuration.insert(key.clone(), value.clone())),
            }
        }
        let written = configuration.iter().filter(|(key, _)| *key != OVERRIDES_KEY);
        let applied = Applied {
            decision: self.decision,
            parallelism: self.wanted.iter().map(|(v, p)| (*v, map.get(v).copied().unwrap_or(*p))).collect(),
            configuration: written.map(|(key, value)| (key.clone(), value.clone())).collect(),
        };
        ResourcePatch { configuration, task_manager_memory: memory, reset_nonce: None, applied: Some(Some(applied)) }
    }
}

/// A memory size in Flink's units, bytes.
fn parse_memory(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kibibytes" => 10,
        "m" | "mb" | "mebibytes" => 20,
        "g" | "gb" | "gibibytes" => 30,
        "t" | "tb" | "tebibytes" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    /// Taken. Done is when the effect is seen.
    Accepted,
    /// Nothing was written, and nothing will be by this approval: why.
    Refused(String),
    /// The target is not what was approved any more; nothing was written.
    Superseded(String),
    /// It could not be tried for a passing reason; nothing was written.
    NotTried(String),
    /// It is not known whether it was taken.
    Unknown(String),
}

/// Told right before the write leaves.
pub(super) type Sent<'a> = &'a mut (dyn FnMut() + Send);

/// Opens a journal record: the effect may be attempted only if this succeeds.
async fn open(shared: &Shared, effect: &str, job: &JobKey, detail: &Detail) -> Result<String, Written> {
    let at = shared.now();
    let id = format!("{}-{}-{}", detail.decision, at.timestamp_millis(), shared.next_id().0);
    let detail =
        serde_json::to_value(detail).map_err(|e| Written::NotTried(format!("cannot write the journal: {e}")))?;
    let opened = Opened { id: id.clone(), at, effect: effect.to_owned(), subject: job.as_str().to_owned(), detail };
    match shared.journal.append(Record::Opened(opened)).await {
        Ok(()) => Ok(id),
        Err(error) => Err(Written::NotTried(format!("nothing was sent: {error}"))),
    }
}

/// Closes a journal record. A failure is logged: the next start closes it then.
pub(super) async fn close(shared: &Shared, id: String, result: Closing) {
    if let Err(error) = shared.journal.append(Record::Closed { id, at: shared.now(), result }).await {
        tracing::error!(%error, "a journal record could not be closed");
    }
}

/// Writes through `PUT /jobs/:id/resource-requirements` (`flink-rest.md` §6.3): upper bounds become what is wanted now; lower
/// bounds stay as found, lowered where they would exceed it.
pub(super) async fn put_requirements(
    shared: &Shared,
    client: &FlinkClient,
    job: &JobKey,
    detail: &Detail,
    sent: Sent<'_>,
) -> Written {
    let Some(id) = detail.job else { return Written::NotTried("Flink's id of the job is not known yet".into()) };
    let found = match client.resource_requirements(id).await {
        Ok(found) => found,
        Err(error) if error.is_not_found() => return Written::Superseded(format!("the job is gone: {error}")),
        Err(error) if error.is_refusal() => return Written::Refused(error.to_string()),
        Err(error) => return Written::NotTried(error.to_string()),
    };
    let wanted = requirements(&found, &detail.wanted);
    let record = match open(shared, REQUIREMENTS, job, detail).await {
        Ok(record) => record,
        Err(not_tried) => return not_tried,
    };
    sent();
    let written = match client.put_resource_requirements(id, &wanted).await {
        Ok(()) => Written::Accepted,
        Err(error) => settle(client, id, &wanted, error).await,
    };
    close(shared, record, closing(&written)).await;
    written
}

/// What is put: every vertex that Flink knows.
pub(super) fn requirements(found: &Requirements, wanted: &BTreeMap<VertexId, i32>) -> Requirements {
    let bounds = |vertex: &VertexId, found: &ParallelismBounds| match wanted.get(vertex) {
        Some(upper) => ParallelismBounds { lower_bound: found.lower_bound.min(*upper).max(1), upper_bound: *upper },
        None => *found,
    };
    found.iter().map(|(vertex, found)| (*vertex, bounds(vertex, found))).collect()
}

/// A failed PUT: refused, not sent, or a look decides.
async fn settle(client: &FlinkClient, job: JobId, wanted: &Requirements, error: FlinkError) -> Written {
    if error.is_not_found() {
        return Written::Superseded(format!("the job is gone: {error}"));
    }
    if !error.is_outcome_unknown() {
        return Written::Refused(error.to_string());
    }
    match client.resource_requirements(job).await {
        Ok(found) if found == *wanted => Written::Accepted,
        Ok(_) => Written::Refused(format!("{error}; Flink's requirements are unchanged")),
        Err(_) => Written::Unknown(error.to_string()),
    }
}

fn closing(written: &Written) -> Closing {
    match written {
        Written::Accepted => Closing::Accepted,
        Written::Refused(why) | Written::Superseded(why) | Written::NotTried(why) => {
            Closing::Refused { why: why.clone() }
        }
        Written::Unknown(why) => Closing::Unknown { why: why.clone() },
    }
}

/// What Flink says of an effect that an earlier process left open.
pub(super) async fn found_requirements(client: &FlinkClient, detail: &Detail) -> Result<Closing, FlinkError> {
    let Some(job) = detail.job else {
        return Ok(Closing::FoundNotApplied { why: "the record names no job".into() });
    };
    let found = match client.resource_requirements(job).await {
        Ok(found) => found,
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => return Ok(Closing::FoundNotApplied { why: error.to_string() }),
    };
    let other = detail.wanted.iter().find(|(v, p)| found.get(v).is_some_and(|b| b.upper_bound != **p));
    Ok(match other {
        None => Closing::FoundApplied,
        Some((vertex, wanted)) => {
            let is = found.get(vertex).map_or(0, |b| b.upper_bound);
            Closing::FoundNotApplied { why: format!("vertex {vertex} may have {is} subtasks, {wanted} were wanted") }
        }
    })
}

/// What a resource says of an effect that an earlier process left open.
pub(super) fn found_overrides(resource: &Resource, detail: &Detail) -> Closing {
    let present = overrides_in(resource);
    match detail.wanted.iter().find(|(v, p)| present.get(v) != Some(p)) {
        None => Closing::FoundApplied,
        Some((vertex, wanted)) => Closing::FoundNotApplied {
            why: format!("vertex {vertex} has the override {:?}, {wanted} was wanted", present.get(vertex)),
        },
    }
}

/// Why the operator would overrule a change of these vertices, by what it keeps at this moment: `Ok` if that is known, `Err` if it
/// cannot be read.
pub(super) async fn overruled_now(
    api: &dyn ClusterApi,
    resource: &Resource,
    changed: &[VertexId],
) -> Option<Result<String, String>> {
    let injection = injection(resource);
    if injection == Injection::Off {
        return None;
    }
    match api.stored(&resource.reference).await {
        Ok(None) | Err(ApiError::NotFound(_)) => None,
        Ok(Some(state)) => {
            let stored = OperatorState::read(&state);
            overruled(&stored.overrides, changed.iter().copied()).map(Ok)
        }
        Err(ApiError::Forbidden(why)) if injection == Injection::On => {
            Some(Ok(format!("{why}; the operator's autoscaler is on, and what it keeps may overrule this change")))
        }
        // Without the right to look nothing is known of such overrides: then the effect is looked for all the same.
        Err(ApiError::Forbidden(why)) => {
            tracing::warn!(why, "the operator's ConfigMap may not be read");
            None
        }
        Err(error) => Some(Err(error.to_string())),
    }
}

/// The first key of which a resource does not hold what was to be written.
pub(super) fn differing<'a>(
    resource: &Resource,
    wanted: &'a BTreeMap<String, Option<String>>,
) -> Option<(&'a String, &'a Option<String>)> {
    wanted.iter().find(|(key, value)| resource.configuration.get(*key) != value.as_ref())
}

/// Writes the map, the memory that goes with it and the annotation in one patch, after the server took the same as a dry run.
pub(super) async fn patch_overrides(
    shared: &Shared,
    api: &dyn ClusterApi,
    resource: &ResourceRef,
    target: &Target,
    detail: &Detail,
    changed: &[VertexId],
    sent: Sent<'_>,
) -> Written {
    let patch = |found: Resource| async move {
        match overruled_now(api, &found, changed).await {
            Some(Ok(why)) => Err(Written::Refused(why)),
            Some(Err(why)) => Err(Written::NotTried(why)),
            None => Ok(detail.patch(&found)),
        }
    };
    let written = write(shared, api, resource, (OVERRIDES, target), detail, sent, patch).await;
    written.map_or_else(|not| not, |_| Written::Accepted)
}

/// Writes what `patch` makes of the resource as it is, after the server took the same as a dry run. When somebody else writes in
/// between it reads again, three times, and goes on only while uid, generation and the present map are those that were seen.
///
/// # Errors
/// How it ended otherwise.
pub(super) async fn write<F>(
    shared: &Shared,
    api: &dyn ClusterApi,
    resource: &ResourceRef,
    (effect, target): (&str, &Target),
    detail: &Detail,
    sent: Sent<'_>,
    mut patch: impl FnMut(Resource) -> F,
) -> Result<Resource, Written>
where
    F: Future<Output = Result<ResourcePatch, Written>>,
{
    let mut record = None;
    let mut written = Err(Written::NotTried("somebody else keeps writing to the resource; try again".into()));
    for _ in 0..=CONFLICTS {
        let found = match api.get(resource).await {
            Ok(found) => found,
            Err(error) => {
                written = Err(failed(error));
                break;
            }
        };
        if let Some(why) = moved(target, &found) {
            written = Err(Written::Superseded(why));
            break;
        }
        let resource_version = found.resource_version.clone();
        let patch = match patch(found).await {
            Ok(patch) => patch,
            Err(not) => {
                written = Err(not);
                break;
            }
        };
        let mut of = PatchOf { reference: resource.clone(), resource_version, patch, dry_run: true };
        match api.patch(&of).await {
            Ok(_) => {}
            Err(ApiError::Conflict(_)) => continue,
            Err(error) => {
                // A rehearsal changes nothing, whatever became of its answer.
                written = Err(match failed(error) {
                    Written::Unknown(why) => Written::NotTried(why),
                    other => other,
                });
                break;
            }
        }
        if record.is_none() {
            match open(shared, effect, &target.job, detail).await {
                Ok(id) => record = Some(id),
                Err(not_tried) => return Err(not_tried),
            }
            sent();
        }
        of.dry_run = false;
        match api.patch(&of).await {
            Ok(patched) => {
                written = Ok(patched.resource);
                break;
            }
            Err(ApiError::Conflict(_)) => continue,
            Err(ApiError::Unknown(why)) => {
                written = match api.get(resource).await {
                    // Both: a hand-back removes the annotation, which may never have been there.
                    Ok(found)
                        if found.applied.as_ref() == of.patch.annotation()
                            && differing(&found, &of.patch.configuration).is_none() =>
                    {
                        Ok(found)
                    }
                    Ok(_) => Err(Written::Refused(format!("{why}; the resource is unchanged"))),
                    Err(_) => Err(Written::Unknown(why)),
                };
                break;
            }
            Err(error) => {
                written = Err(failed(error));
                break;
            }
        }
    }
    if let Some(record) = record {
        let how = written.as_ref().map_or_else(Clone::clone, |_| Written::Accepted);
        close(shared, record, closing(&how)).await;
    }
    written
}

/// What a patch would do, by a dry run on the resource as it is; nothing is written.
pub(super) async fn rehearse(
    api: &dyn ClusterApi,
    resource: &ResourceRef,
    patch: impl Fn(&Resource) -> ResourcePatch,
) -> Result<Vec<FieldChange>, ApiError> {
    let mut tries = 0;
    loop {
        let found = api.get(resource).await?;
        let resource_version = found.resource_version.clone();
        let of = PatchOf { reference: resource.clone(), resource_version, patch: patch(&found), dry_run: true };
        match api.patch(&of).await {
            Ok(patched) => return Ok(patched.changes),
            Err(ApiError::Conflict(_)) if tries < CONFLICTS => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn failed(error: ApiError) -> Written {
    match error {
        ApiError::NotFound(why) => Written::Superseded(format!("the resource is gone: {why}")),
        ApiError::Forbidden(why) => {
            Written::Refused(format!("{why}; {FIELD_MANAGER} needs the right to patch this resource"))
        }
        ApiError::Invalid(why) => Written::Refused(why),
        ApiError::Unknown(why) => Written::Unknown(why),
        ApiError::Conflict(why) | ApiError::Other(why) => Written::NotTried(why),
    }
}

/// What changed about the target since it was approved.
fn moved(target: &Target, found: &Resource) -> Option<String> {
    if found.uid != target.uid {
        return Some("the resource was deleted and made anew".into());
    }
    if Some(found.generation) != target.generation {
        return Some(format!(
            "the resource's spec was changed (generation {} is now {})",
            target.generation.unwrap_or_default(),
            found.generation
        ));
    }
    (field_hash(&overrides_in(found)) != target.field_hash).then(|| "the map of parallelism was changed".into())
}

/// Hash of the map that a write would touch.
pub(super) fn field_hash(map: &BTreeMap<VertexId, i32>) -> u64 {
    super::decisions::StableHash::new().field(format_overrides(map).as_bytes()).finish()
}
