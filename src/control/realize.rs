//! Realizers: how an approved decision is written to a cluster, with the journal before and after.
//!
//! The record before is on disk before anything is sent; the record after says what came of it. Neither realizer decides: they get
//! the complete map and what must still be true.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ownership::{FIELD_MANAGER, format_overrides, overrides_in, overruled};
use super::ports::{ApiError, Applied, ClusterApi, OverridePatch, ResourceRef};
use super::shared::Shared;
use crate::domain::decision::{DecisionId, Target};
use crate::domain::ids::{JobId, JobKey, VertexId};
use crate::flink::{FlinkClient, FlinkError, ParallelismBounds, Requirements};
use crate::state::journal::{Closing, Opened, Record};

/// Journal word of a `PUT resource-requirements`.
pub(super) const REQUIREMENTS: &str = "resource-requirements";
/// Journal word of a patch of the overrides.
pub(super) const OVERRIDES: &str = "parallelism-overrides";
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
fn requirements(found: &Requirements, wanted: &BTreeMap<VertexId, i32>) -> Requirements {
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
pub(super) fn found_overrides(resource: &super::ports::Resource, detail: &Detail) -> Closing {
    let present = overrides_in(resource);
    match detail.wanted.iter().find(|(v, p)| present.get(v) != Some(p)) {
        None => Closing::FoundApplied,
        Some((vertex, wanted)) => Closing::FoundNotApplied {
            why: format!("vertex {vertex} has the override {:?}, {wanted} was wanted", present.get(vertex)),
        },
    }
}

/// Writes the complete map and the annotation in one patch, after the server took the same as a dry run. When somebody else
/// writes in between it reads again and goes on only while uid, generation and the present map are those that were approved.
pub(super) async fn patch_overrides(
    shared: &Shared,
    api: &dyn ClusterApi,
    resource: &ResourceRef,
    target: &Target,
    detail: &Detail,
    changed: &[VertexId],
    sent: Sent<'_>,
) -> Written {
    match api.stored_overrides(resource).await {
        Ok(stored) => {
            if let Some(why) = overruled(&stored, changed.iter().copied()) {
                return Written::Refused(why);
            }
        }
        Err(ApiError::NotFound(_)) => {}
        // Without the right to look nothing is known of such overrides: then the effect is looked for all the same.
        Err(ApiError::Forbidden(why)) => tracing::warn!(why, "the operator's ConfigMap may not be read"),
        Err(error) => return Written::NotTried(error.to_string()),
    }
    let mut record = None;
    let mut written = Written::NotTried("somebody else keeps writing to the resource; try again".into());
    for _ in 0..=CONFLICTS {
        let found = match api.get(resource).await {
            Ok(found) => found,
            Err(error) => {
                written = failed(error);
                break;
            }
        };
        if let Some(why) = moved(target, &found) {
            written = Written::Superseded(why);
            break;
        }
        let mut patch = OverridePatch {
            reference: resource.clone(),
            resource_version: found.resource_version.clone(),
            parallelism: complete(&overrides_in(&found), &detail.wanted),
            applied: Applied { decision: detail.decision, parallelism: detail.wanted.clone() },
            dry_run: true,
        };
        match api.patch_overrides(&patch).await {
            Ok(_) => {}
            Err(ApiError::Conflict(_)) => continue,
            Err(error) => {
                written = failed(error);
                break;
            }
        }
        if record.is_none() {
            match open(shared, OVERRIDES, &target.job, detail).await {
                Ok(id) => record = Some(id),
                Err(not_tried) => return not_tried,
            }
            sent();
        }
        patch.dry_run = false;
        match api.patch_overrides(&patch).await {
            Ok(_) => {
                written = Written::Accepted;
                break;
            }
            Err(ApiError::Conflict(_)) => continue,
            Err(ApiError::Unknown(why)) => {
                written = match api.get(resource).await {
                    Ok(found) if found.applied == Some(patch.applied) => Written::Accepted,
                    Ok(_) => Written::Refused(format!("{why}; the resource is unchanged")),
                    Err(_) => Written::Unknown(why),
                };
                break;
            }
            Err(error) => {
                written = failed(error);
                break;
            }
        }
    }
    if let Some(record) = record {
        close(shared, record, closing(&written)).await;
    }
    written
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
fn moved(target: &Target, found: &super::ports::Resource) -> Option<String> {
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

/// The user's own entries for vertices that the pipeline does not know stay.
fn complete(present: &BTreeMap<VertexId, i32>, wanted: &BTreeMap<VertexId, i32>) -> BTreeMap<VertexId, i32> {
    let mut all = present.clone();
    all.extend(wanted);
    all
}

/// Hash of the map that a write would touch.
pub(super) fn field_hash(map: &BTreeMap<VertexId, i32>) -> u64 {
    super::decisions::StableHash::new().field(format_overrides(map).as_bytes()).finish()
}
