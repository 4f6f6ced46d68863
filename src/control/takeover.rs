//! Taking a job over from the operator's autoscaler, and giving it back: one patch each, neither of which rescales anything. Pure.
//!
//! Stored overrides of the operator silently overrule what a client writes (`operator.md` §7.2, §7.5). So a take-over writes what the
//! operator injects now as the user's own, and stops the injection in the same write: from 1.11 on by a reset nonce with the gate closed,
//! before that, where no reset exists, by switching the autoscaler off. Since the spec then says exactly what is carried out already,
//! the operator finds no difference and does nothing.

use std::collections::BTreeMap;

use super::operator_state::OperatorState;
use super::ownership::{Injection, OVERRIDES_KEY, injection, is_true, option, overrides_in, parse_overrides};
use super::ports::{Applied, Resource, ResourcePatch};
use crate::domain::decision::DecisionId;
use crate::domain::job::JobKind;
use crate::domain::kubernetes::{OperatorVersion, OperatorView};

/// The key that carries a TaskManager's whole memory; in a resource it stands at `spec.taskManager.resource.memory`.
pub(super) const PROCESS_SIZE: &str = "taskmanager.memory.process.size";
/// Switches the operator's autoscaler.
const ENABLED: &str = "enabled";
/// Its gate: decisions are carried out.
const GATE: &str = "scaling.enabled";

/// The key of an autoscaler option in the spelling of the resource: the present prefix unless only the legacy one is used.
fn key_of(resource: &Resource, option: &str) -> String {
    let legacy = format!("kubernetes.operator.job.autoscaler.{option}");
    let legacy_only = |option: &str| {
        resource.configuration.contains_key(&format!("kubernetes.operator.job.autoscaler.{option}"))
            && !resource.configuration.contains_key(&format!("job.autoscaler.{option}"))
    };
    // Both of one kind: a gate beside a legacy switch is written beside it.
    if legacy_only(option) || (legacy_only(ENABLED) && option == GATE) {
        legacy
    } else {
        format!("job.autoscaler.{option}")
    }
}

/// The operator's autoscaler is on, its gate open.
pub(super) fn operator_acts(resource: &Resource) -> bool {
    is_true(option(resource, ENABLED)) && option(resource, GATE).is_none_or(|gate| is_true(Some(gate)))
}

/// There is something to take over: the operator acts, or it keeps injecting what it decided before.
pub(super) fn can_take_over(resource: &Resource, stored: &OperatorState) -> bool {
    has_job(resource)
        && (operator_acts(resource) || (injection(resource) != Injection::Off && !stored.overrides.is_empty()))
}

/// There is something to give back: the autoscaler is there with its gate closed, or we stopped it.
pub(super) fn can_hand_back(resource: &Resource) -> bool {
    has_job(resource)
        && !operator_acts(resource)
        && (is_true(option(resource, ENABLED)) || we_wrote_false(resource, ENABLED) || we_wrote_false(resource, GATE))
}

fn we_wrote_false(resource: &Resource, option: &str) -> bool {
    let written = resource.applied.as_ref().and_then(|a| a.configuration.get(&key_of(resource, option)));
    written.is_some_and(|v| v.as_deref() == Some("false"))
}

fn has_job(resource: &Resource) -> bool {
    match resource.kind {
        JobKind::FlinkDeployment | JobKind::FlinkSessionJob => !resource.deleting && resource.blue_green.is_none(),
        JobKind::SessionCluster | JobKind::FlinkJob => false,
    }
}

/// The patch that takes a job over.
///
/// # Errors
/// Why not now, in one sentence: only from a job that runs as the operator last wanted it is it known that nothing will be rescaled.
pub(super) fn take_over(
    resource: &Resource,
    stored: &OperatorState,
    operator: &OperatorView,
    id: DecisionId,
) -> Result<ResourcePatch, String> {
    if !can_take_over(resource, stored) {
        return Err("the operator's autoscaler does not act on this job: there is nothing to take over".to_owned());
    }
    let lifecycle = resource.lifecycle.as_deref().unwrap_or("no status");
    let settled = matches!(lifecycle, "STABLE" | "DEPLOYED") && resource.job_state.as_deref() == Some("RUNNING");
    if !settled || resource.observed_generation.is_some_and(|observed| observed != resource.generation) {
        let job = resource.job_state.as_deref().unwrap_or("not observed");
        return Err(format!("the operator is at work ({lifecycle}, job {job}); try again when the job is stable"));
    }
    let Some(reconciled) = &resource.reconciled else {
        return Err("what the operator acted upon last cannot be read".to_owned());
    };
    // Verbatim: the operator compares texts, and a map in another order would be a change.
    let injected = reconciled.get(OVERRIDES_KEY);
    let map = injected.map(|text| parse_overrides(text)).unwrap_or_default();
    let excluded = excluded(resource);
    if let Some((vertex, wanted)) =
        stored.overrides.iter().find(|(vertex, wanted)| !excluded.contains(*vertex) && map.get(vertex) != Some(wanted))
    {
        let now = map.get(vertex).map_or_else(|| "nothing".to_owned(), ToString::to_string);
        return Err(format!(
            "the operator is about to rescale (vertex {vertex}: {wanted} is stored, {now} is carried out); try again when that is done"
        ));
    }
    let mut configuration: BTreeMap<String, Option<String>> = BTreeMap::new();
    if let Some(injected) = injected
        && resource.configuration.get(OVERRIDES_KEY) != Some(injected)
    {
        configuration.insert(OVERRIDES_KEY.to_owned(), Some(injected.clone()));
    }
    let mut memory = None;
    for key in stored.configuration.set.keys().filter(|_| resource.kind == JobKind::FlinkDeployment) {
        if key == PROCESS_SIZE {
            memory.clone_from(&resource.reconciled_memory);
        } else if let Some(value) = reconciled.get(key) {
            configuration.insert(key.clone(), Some(value.clone()));
        }
    }
    for key in &stored.configuration.removed {
        if resource.configuration.contains_key(key) && !reconciled.contains_key(key) {
            configuration.insert(key.clone(), None);
        }
    }
    let mut reset_nonce = None;
    if operator.is_at_least(OperatorVersion::V1_11) {
        configuration.insert(key_of(resource, GATE), Some("false".to_owned()));
        reset_nonce = Some(resource.reset_nonce.unwrap_or_default().saturating_add(1));
    } else {
        configuration.insert(key_of(resource, ENABLED), Some("false".to_owned()));
    }
    let applied = Applied { decision: id, parallelism: map, configuration: configuration.clone() };
    Ok(ResourcePatch { configuration, task_manager_memory: memory, reset_nonce, applied: Some(Some(applied)) })
}

/// The patch that gives a job back. The map stays: it is what runs, and the operator starts from it.
///
/// # Errors
/// Why not, in one sentence.
pub(super) fn hand_back(resource: &Resource) -> Result<ResourcePatch, String> {
    if operator_acts(resource) {
        return Err("the operator's autoscaler acts already".to_owned());
    }
    if !can_hand_back(resource) {
        return Err("the operator's autoscaler is not set up for this job: there is nobody to hand back to".to_owned());
    }
    let mut configuration = BTreeMap::new();
    if injection(resource) == Injection::Off {
        configuration.insert(key_of(resource, ENABLED), Some("true".to_owned()));
    }
    if option(resource, GATE).is_some_and(|gate| !is_true(Some(gate))) {
        configuration.insert(key_of(resource, GATE), Some("true".to_owned()));
    }
    Ok(ResourcePatch { configuration, applied: Some(None), ..ResourcePatch::default() })
}

/// Vertices that the operator's autoscaler leaves alone: `job.autoscaler.vertex.exclude.ids`.
pub(super) fn excluded(resource: &Resource) -> Vec<crate::domain::ids::VertexId> {
    let list = option(resource, "vertex.exclude.ids").unwrap_or_default();
    list.split([';', ',']).filter_map(|id| id.trim().parse().ok()).collect()
}

/// The user's own entries for vertices that a decision does not know stay, and those of excluded vertices win over it.
pub(super) fn complete_map(
    resource: &Resource,
    wanted: &BTreeMap<crate::domain::ids::VertexId, i32>,
) -> BTreeMap<crate::domain::ids::VertexId, i32> {
    let present = overrides_in(resource);
    let mut all = present.clone();
    all.extend(wanted);
    for vertex in excluded(resource) {
        if let Some(theirs) = present.get(&vertex) {
            all.insert(vertex, *theirs);
        }
    }
    all
}

#[cfg(test)]
mod tests;
