//! Rows of the client as the loop's resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::control::ports::{AutoscalerState, Manager, Resource, ResourceRef, ScalerKind, ScalerRow};
use crate::domain::capacity::Toleration;
use crate::domain::job::JobKind;
use crate::domain::kubernetes::OperatorVersion;
use crate::kubernetes::{
    AutoscalerMap, FlinkConfiguration, FlinkDeployment, FlinkSessionJob, Kind, Meta, Projection, Scaler, Status,
    WrongShape,
};

use super::APPLIED_ANNOTATION;

/// Longest error text that is kept.
const MAX_ERROR: usize = 400;
/// Labels a TaskManager's node must have, as the operator's configuration writes them: `key:value,key:value`.
const NODE_SELECTOR: &str = "kubernetes.taskmanager.node-selector";
/// Taints that TaskManager pods tolerate: `key:a,operator:Exists,effect:NoSchedule;…`.
const TOLERATIONS: &str = "kubernetes.taskmanager.tolerations";

/// A FlinkDeployment as the loop has it: the row that the watch keeps is the resource itself.
pub(super) struct Deployed(pub Arc<Resource>);

/// A FlinkSessionJob as the loop has it.
pub(super) struct SessionJob(pub Arc<Resource>);

impl Projection for Deployed {
    const KIND: Kind = Kind::FlinkDeployment;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        FlinkDeployment::project(object).map(|row| Self(Arc::new(of_deployment(&row))))
    }

    fn uid(&self) -> &str {
        &self.0.uid
    }

    fn resource_version(&self) -> &str {
        &self.0.resource_version
    }
}

impl Projection for SessionJob {
    const KIND: Kind = Kind::FlinkSessionJob;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        FlinkSessionJob::project(object).map(|row| Self(Arc::new(of_session_job(&row))))
    }

    fn uid(&self) -> &str {
        &self.0.uid
    }

    fn resource_version(&self) -> &str {
        &self.0.resource_version
    }
}

pub(super) fn of_deployment(row: &FlinkDeployment) -> Resource {
    let kind = if row.is_session_cluster() { JobKind::SessionCluster } else { JobKind::FlinkDeployment };
    let job = row.job.as_ref();
    let mut resource = base(&row.meta, kind, &row.flink_configuration, row.status.as_ref());
    resource.native = row.mode.as_deref() != Some("standalone");
    resource.flink_version.clone_from(&row.flink_version);
    resource.suspended = job.is_some_and(|j| j.wants_suspended());
    resource.upgrade_mode = job.map(|j| j.upgrade_mode.clone().unwrap_or_else(|| "stateless".into()));
    resource.reset_nonce = job.and_then(|j| j.autoscaler_reset_nonce);
    resource.task_manager_cpu = row.task_manager.cpu;
    resource.task_manager_memory = row.task_manager.memory.as_deref().and_then(memory_bytes);
    resource.ingress.clone_from(&row.ingress);
    let mut placement = (row.placement.node_selector.clone(), row.placement.tolerations.clone());
    placement.0.extend(pairs(row.flink_configuration.get(NODE_SELECTOR).unwrap_or_default()));
    placement.1.extend(tolerations(row.flink_configuration.get(TOLERATIONS).unwrap_or_default()));
    resource.placement = Arc::new(placement);
    resource
}

pub(super) fn of_session_job(row: &FlinkSessionJob) -> Resource {
    let mut resource = base(&row.meta, JobKind::FlinkSessionJob, &row.flink_configuration, row.status.as_ref());
    resource.suspended = row.job.wants_suspended();
    resource.upgrade_mode = Some(row.job.upgrade_mode.clone().unwrap_or_else(|| "stateless".into()));
    resource.deployment_name = Some(row.deployment_name.clone());
    resource.reset_nonce = row.job.autoscaler_reset_nonce;
    resource
}

fn base(meta: &Meta, kind: JobKind, configuration: &FlinkConfiguration, status: Option<&Status>) -> Resource {
    let error = status.and_then(|s| s.error.as_ref());
    let reconciled = status.and_then(|s| s.reconciled.as_ref());
    Resource {
        reference: ResourceRef {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            session_job: kind == JobKind::FlinkSessionJob,
        },
        kind,
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        generation: meta.generation,
        observed_generation: status.and_then(|s| s.observed_generation),
        created_at: meta.created_at,
        deleting: meta.deletion_at.is_some(),
        configuration: configuration.values().clone(),
        native: true,
        flink_version: None,
        suspended: false,
        upgrade_mode: None,
        deployment_name: None,
        task_manager_cpu: None,
        task_manager_memory: None,
        lifecycle: status.and_then(|s| s.lifecycle.as_ref()).map(|l| l.word().to_owned()),
        job_manager: status.and_then(|s| s.job_manager.as_ref()).map(|j| j.word().to_owned()),
        job_state: status.and_then(|s| s.job.state).map(|s| s.name().to_owned()),
        job_id: status.and_then(|s| s.job.job_id),
        error: error.map(|e| e.sentence().chars().take(MAX_ERROR).collect()),
        invalid: error.is_some_and(|e| e.class().ends_with("ValidationException")),
        error_reason: error.and_then(|e| e.reason.clone()),
        applied: meta.annotations.get(APPLIED_ANNOTATION).and_then(|text| serde_json::from_str(text).ok()),
        managers: meta
            .managers
            .iter()
            .map(|m| Manager { name: m.name.clone(), at: m.at, configuration_keys: m.configuration_keys.clone() })
            .collect(),
        twins: configuration.twins().to_vec(),
        canary: meta.labels.get("flink.apache.org/canary").is_some_and(|v| v == "true"),
        blue_green: meta
            .owners
            .iter()
            .find(|(kind, _)| kind == "FlinkBlueGreenDeployment")
            .map(|(_, name)| name.clone()),
        reset_nonce: None,
        ingress: None,
        reconciled: reconciled.map(|r| Arc::new(r.flink_configuration.values().clone())),
        reconciled_memory: reconciled.and_then(|r| r.task_manager_memory.clone()),
        placement: Arc::default(),
        operator: status.and_then(evidence),
    }
}

/// The release that wrote this status, at least (`operator.md` §13).
fn evidence(status: &Status) -> Option<OperatorVersion> {
    if status.running.is_some() {
        Some(OperatorVersion::V1_15)
    } else if status.job.upgrade_savepoint_path.is_some() {
        Some(OperatorVersion::V1_10)
    } else {
        None
    }
}

/// A memory size in Flink's units (powers of 1024) or as a Kubernetes quantity, bytes.
fn memory_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" => 10,
        "m" | "mb" | "mi" => 20,
        "g" | "gb" | "gi" => 30,
        "t" | "tb" | "ti" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// Flink's map text: `key:value,key:value`.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |entry: &str| {
        let (key, value) = entry.trim().split_once(':')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(',').filter_map(pair).collect()
}

/// Flink's list of maps: `key:a,operator:Exists;key:b,value:c,effect:NoSchedule`.
fn tolerations(text: &str) -> Vec<Toleration> {
    let one = |entry: &str| {
        let mut parts = pairs(entry);
        let mut take = |name: &str| parts.remove(name).unwrap_or_default();
        Toleration {
            key: take("key"),
            exists: take("operator").eq_ignore_ascii_case("exists"),
            value: take("value"),
            effect: take("effect"),
        }
    };
    text.split(';').filter(|entry| !entry.trim().is_empty()).map(one).collect()
}

pub(super) fn of_autoscaler(map: &AutoscalerMap) -> AutoscalerState {
    AutoscalerState {
        uid: map.uid.clone(),
        namespace: map.namespace.clone(),
        name: map.of.clone(),
        session_job: map.session_job,
        data: Arc::clone(&map.data),
    }
}

pub(super) fn of_scaler(row: &Scaler, kind: ScalerKind) -> ScalerRow {
    let (target_kind, target) = row.target.clone();
    ScalerRow { namespace: row.namespace.clone(), name: row.name.clone(), target_kind, target, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_both_notations() {
        assert_eq!(memory_bytes("2048m"), Some(2 << 30));
        assert_eq!(memory_bytes("2Gi"), Some(2 << 30));
        assert_eq!(memory_bytes("4 gb"), Some(4 << 30));
        assert_eq!(memory_bytes("1024"), Some(1024));
        assert_eq!(memory_bytes("lots"), None);
        assert_eq!(memory_bytes(""), None);
        assert_eq!(memory_bytes("99999999999999999999g"), None);
    }

    #[test]
    fn placement_is_read_from_flinks_own_texts() {
        assert_eq!(pairs("disk:ssd, zone:a"), [("disk".into(), "ssd".into()), ("zone".into(), "a".into())].into());
        let found = tolerations("key:flink,operator:Exists,effect:NoSchedule; key:team,value:data");
        assert_eq!((found.len(), found[0].exists, found[1].value.as_str()), (2, true, "data"));
        assert!(tolerations("").is_empty() && pairs("").is_empty());
    }
}
