//! Who scales a job, and how a decision would be applied to it. Pure; the rules are the table "Ownership" of the design.

use std::collections::BTreeMap;

use super::ports::Resource;
use crate::domain::ids::VertexId;
use crate::domain::job::{JobKind, Ownership, Realization, Scheduler};
use crate::domain::kubernetes::ConflictRow;

/// The option that holds the map of parallelism.
pub const OVERRIDES_KEY: &str = "pipeline.jobvertex-parallelism-overrides";
/// The name under which this program writes.
pub const FIELD_MANAGER: &str = "flightdeck";

/// Who scales a job of a plain Flink cluster.
pub fn of_plain_flink() -> Ownership {
    Ownership::Pilot { why: "plain Flink: no operator manages this job".into() }
}

/// Who scales a job that was submitted by hand to a session cluster of the operator.
pub fn of_outsider(cluster: &str) -> Ownership {
    Ownership::Pilot { why: format!("outside the operator: submitted by hand to the session cluster {cluster}") }
}

/// Who scales the job of a resource; `conflicts`: who else writes or scales the same ([`super::conflicts`]).
pub fn of_resource(resource: &Resource, conflicts: &[ConflictRow]) -> Ownership {
    if let Some(conflict) = conflicts.iter().find(|c| c.blocks) {
        return Ownership::Conflict { why: conflict.what.clone() };
    }
    if let Some((vertex, ours, theirs)) = changed_entry(resource) {
        let now = theirs.map_or_else(|| "removed".to_owned(), |p| format!("changed to {p}"));
        return Ownership::Conflict {
            why: format!("the entry of vertex {vertex} in {OVERRIDES_KEY} was {ours} and was {now} by somebody else"),
        };
    }
    let enabled = option(resource, "enabled");
    let scaling = option(resource, "scaling.enabled");
    match (is_true(enabled), scaling.is_none_or(|s| is_true(Some(s)))) {
        (true, true) => Ownership::Observer { why: "the operator's autoscaler is on (job.autoscaler.enabled)".into() },
        (true, false) => Ownership::Pilot {
            why: "the operator's autoscaler only advises (job.autoscaler.scaling.enabled: false)".into(),
        },
        (false, _) => Ownership::Pilot { why: "the operator's autoscaler is off".into() },
    }
}

/// How a decision would be applied to a job of a plain Flink cluster.
pub fn realization_of_flink(scheduler: Scheduler, web_rescale: bool, version: Option<&str>) -> Realization {
    let shown = version.unwrap_or("unknown");
    match (scheduler, web_rescale) {
        (_, true) => Realization::ResourceRequirements,
        (Scheduler::Default, false) => Realization::AdviseOnly {
            why: format!(
                "Flink {shown} runs the default scheduler, which cannot rescale a running job; set jobmanager.scheduler: adaptive"
            ),
        },
        (Scheduler::Adaptive, false) => Realization::AdviseOnly {
            why: format!(
                "Flink {shown} cannot rescale a running job through its REST API; it takes 1.18 or later, not in reactive mode"
            ),
        },
        (Scheduler::Unknown, false) => {
            Realization::AdviseOnly { why: "the JobManager does not say that it can rescale a running job".into() }
        }
    }
}

/// How a decision would be applied to a resource.
pub fn realization_of_resource(resource: &Resource) -> Realization {
    match resource.kind {
        JobKind::SessionCluster => Realization::AdviseOnly { why: "a session cluster has no job of its own".into() },
        JobKind::FlinkJob => Realization::AdviseOnly {
            why: "the job was submitted to a managed session cluster by hand; the operator does not know it".into(),
        },
        JobKind::FlinkDeployment | JobKind::FlinkSessionJob if resource.deleting => {
            Realization::AdviseOnly { why: "the resource is being deleted".into() }
        }
        JobKind::FlinkDeployment | JobKind::FlinkSessionJob => {
            Realization::PatchResource { in_place: in_place(resource).is_ok() }
        }
    }
}

/// Whether the operator carries a change of the map out in place (`operator.md` §7.3).
///
/// # Errors
/// Why it will redeploy instead, in a few words.
pub fn in_place(resource: &Resource) -> Result<(), String> {
    let get = |key: &str| resource.configuration.get(key).map(String::as_str);
    if !resource.native {
        return Err("the cluster is standalone, not native".into());
    }
    if !get("jobmanager.scheduler").is_some_and(|s| s.eq_ignore_ascii_case("adaptive")) {
        return Err("jobmanager.scheduler is not adaptive".into());
    }
    if !get("kubernetes.operator.job.upgrade.inplace-scaling.enabled").is_none_or(|v| is_true(Some(v))) {
        return Err("kubernetes.operator.job.upgrade.inplace-scaling.enabled is false".into());
    }
    match resource.flink_version.as_deref() {
        Some(old @ ("v1_13" | "v1_14" | "v1_15" | "v1_16" | "v1_17")) => Err(format!("Flink {old} is older than 1.18")),
        _ => Ok(()),
    }
}

/// Why an approval that touches `vertices` must be refused although nothing else forbids it: overrides that the operator keeps
/// would silently overrule it (`operator.md` §7.2).
pub fn overruled(stored: &BTreeMap<VertexId, i32>, vertices: impl IntoIterator<Item = VertexId>) -> Option<String> {
    vertices.into_iter().find(|v| stored.contains_key(v)).map(|v| {
        format!("the operator's ConfigMap still holds an override of vertex {v} and would overrule this change; take the job over first")
    })
}

/// Whether the operator puts what its autoscaler decided into the spec (`operator.md` §7.2): it does while the autoscaler is on, its
/// gate open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// The resource switches it on.
    On,
    /// The resource does not say; the operator's own configuration may switch it on.
    Unsaid,
    /// The resource switches it off.
    Off,
}

/// See [`Injection`].
pub fn injection(resource: &Resource) -> Injection {
    match option(resource, "enabled") {
        None => Injection::Unsaid,
        Some(value) if is_true(Some(value)) => Injection::On,
        Some(_) => Injection::Off,
    }
}

/// An `job.autoscaler.` option of the resource, under its present or its legacy prefix.
pub fn option<'a>(resource: &'a Resource, key: &str) -> Option<&'a str> {
    ["job.autoscaler.", "kubernetes.operator.job.autoscaler."]
        .iter()
        .find_map(|prefix| resource.configuration.get(&format!("{prefix}{key}")))
        .map(String::as_str)
}

/// The map of parallelism in the resource: `hex:number,hex:number`, quoting and blanks tolerated; other entries are left out.
pub fn overrides_in(resource: &Resource) -> BTreeMap<VertexId, i32> {
    resource.configuration.get(OVERRIDES_KEY).map(|text| parse_overrides(text)).unwrap_or_default()
}

/// Reads Flink's map text (`autoscaler.md` §9.4).
pub fn parse_overrides(text: &str) -> BTreeMap<VertexId, i32> {
    let plain = |part: &str| part.trim().trim_matches(['\'', '"']).trim().to_owned();
    text.trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .split(',')
        .filter_map(|entry| {
            let entry = plain(entry);
            let (vertex, parallelism) = entry.split_once(':')?;
            Some((plain(vertex).parse().ok()?, plain(parallelism).parse().ok()?))
        })
        .collect()
}

/// Writes Flink's map text.
pub fn format_overrides(map: &BTreeMap<VertexId, i32>) -> String {
    map.iter().map(|(v, p)| format!("{v}:{p}")).collect::<Vec<_>>().join(",")
}

/// An entry that we wrote and that somebody changed or removed later: the vertex, ours, theirs.
fn changed_entry(resource: &Resource) -> Option<(VertexId, i32, Option<i32>)> {
    let applied = resource.applied.as_ref()?;
    let present = overrides_in(resource);
    // Everything removed is somebody's clean slate, not a quarrel about one entry.
    if present.is_empty() {
        return None;
    }
    applied.parallelism.iter().find_map(|(vertex, ours)| match present.get(vertex) {
        Some(theirs) if theirs == ours => None,
        theirs => Some((*vertex, *ours, theirs.copied())),
    })
}

/// The text of an option means `true`.
pub(super) fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|v| v.trim().eq_ignore_ascii_case("true"))
}

#[cfg(test)]
pub(super) mod tests;
