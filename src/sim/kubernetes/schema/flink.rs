//! The operator's kinds (`operator.md` §1.2–§1.13): every field of their specs; nothing is required, nothing has a default.

use super::meta::{TEXTS, root};
use super::model::{Model, Type, field, since};
use crate::sim::operator::Release;

const fn everything(name: &'static str, about: &'static str) -> Model {
    Model { name, about, open: true, fields: &[] }
}

const POD_TEMPLATE: Model =
    everything("org.apache.flink.v1beta1.PodTemplateSpec", "A pod template; its fields are those of core/v1.");
const RESOURCE: Model = Model {
    name: "org.apache.flink.v1beta1.Resource",
    about: "Resources of a container.",
    open: false,
    fields: &[
        field("cpu", Type::Number, "Cores."),
        field("memory", Type::Text, "Memory, in units of Flink (2048m) or Kubernetes (2Gi)."),
        field("ephemeralStorage", Type::Text, "Local storage."),
    ],
};
const RESOURCES: Model = Model {
    name: "org.apache.flink.v1beta1.ResourceRequirements",
    about: "Requests and limits of a container.",
    open: false,
    fields: &[
        field("requests", Type::Map(&Type::Quantity), "What it asks for."),
        field("limits", Type::Map(&Type::Quantity), "What it may use."),
        field("claims", Type::List(&Type::Any), "Resource claims."),
    ],
};
const JOB_MANAGER: Model = Model {
    name: "org.apache.flink.v1beta1.JobManagerSpec",
    about: "The JobManager.",
    open: false,
    fields: &[
        field("resource", Type::Object(&RESOURCE), "Its resources."),
        since(Release::reports_after_checks, "resources", Type::Object(&RESOURCES), "Its requests and limits."),
        field("replicas", Type::Integer, "JobManagers; more than one needs high availability."),
        field("podTemplate", Type::Object(&POD_TEMPLATE), "Template of its pods."),
    ],
};
const TASK_MANAGER: Model = Model {
    name: "org.apache.flink.v1beta1.TaskManagerSpec",
    about: "The TaskManagers.",
    open: false,
    fields: &[
        field("resource", Type::Object(&RESOURCE), "Resources of each."),
        since(Release::reports_after_checks, "resources", Type::Object(&RESOURCES), "Requests and limits of each."),
        field("replicas", Type::Integer, "TaskManagers; by parallelism and slots if absent."),
        field("podTemplate", Type::Object(&POD_TEMPLATE), "Template of their pods."),
    ],
};
const TLS: Model = Model {
    name: "org.apache.flink.v1beta1.IngressTLS",
    about: "Hosts with a certificate.",
    open: false,
    fields: &[
        field("hosts", Type::List(&Type::Text), "The hosts."),
        field("secretName", Type::Text, "Secret with the certificate."),
    ],
};
const INGRESS: Model = Model {
    name: "org.apache.flink.v1beta1.IngressSpec",
    about: "The way to the web interface from outside.",
    open: false,
    fields: &[
        field("template", Type::Text, "Host or path, with {{namespace}} and {{name}}."),
        field("className", Type::Text, "Class of the ingress."),
        field("annotations", TEXTS, "Annotations of the ingress."),
        field("labels", TEXTS, "Labels of the ingress."),
        field("tls", Type::List(&Type::Object(&TLS)), "Certificates."),
    ],
};
const JOB: Model = Model {
    name: "org.apache.flink.v1beta1.JobSpec",
    about: "The job.",
    open: false,
    fields: &[
        field("jarURI", Type::Text, "Where its jar is."),
        field("parallelism", Type::Integer, "Default parallelism."),
        field("entryClass", Type::Text, "Main class."),
        field("args", Type::List(&Type::Text), "Arguments of the main class."),
        field("state", Type::OneOf(&["running", "suspended"]), "Wanted state."),
        field("upgradeMode", Type::OneOf(&["savepoint", "last-state", "stateless"]), "How upgrades carry its state."),
        field("initialSavepointPath", Type::Text, "State of the first deployment and of a redeploy."),
        field("allowNonRestoredState", Type::Boolean, "State without an operator may be dropped."),
        field("savepointTriggerNonce", Type::Long, "A new value triggers a savepoint."),
        field("checkpointTriggerNonce", Type::Long, "A new value triggers a checkpoint."),
        field("savepointRedeployNonce", Type::Long, "A new value redeploys from initialSavepointPath."),
        since(Release::reset_nonce, "autoscalerResetNonce", Type::Long, "A new value makes the autoscaler forget."),
    ],
};

/// Releases added these one by one; a scenario may run a newer Flink than its operator knew.
const VERSIONS: &[&str] =
    &["v1_13", "v1_14", "v1_15", "v1_16", "v1_17", "v1_18", "v1_19", "v1_20", "v2_0", "v2_1", "v2_2", "v2_3", "v2_4"];
/// Nested from 1.13 on.
const CONFIGURATION: Type = Type::ByRelease(Release::lost_is_failed, &Type::Any, &TEXTS);

const DEPLOYMENT_SPEC: Model = Model {
    name: "org.apache.flink.v1beta1.FlinkDeploymentSpec",
    about: "Wanted state of a Flink cluster and its job.",
    open: false,
    fields: &[
        field("image", Type::Text, "Image of the Flink containers."),
        field("imagePullPolicy", Type::Text, "When the image is pulled."),
        field("serviceAccount", Type::Text, "Account of the pods."),
        field("flinkVersion", Type::OneOf(VERSIONS), "Version of Flink."),
        field("ingress", Type::Object(&INGRESS), "The way to the web interface from outside."),
        field("podTemplate", Type::Object(&POD_TEMPLATE), "Template of all pods."),
        field("jobManager", Type::Object(&JOB_MANAGER), "The JobManager."),
        field("taskManager", Type::Object(&TASK_MANAGER), "The TaskManagers."),
        field("logConfiguration", TEXTS, "Files of the logging configuration."),
        field("mode", Type::OneOf(&["native", "standalone"]), "Who starts TaskManagers: Flink, or a Deployment."),
        field("job", Type::Object(&JOB), "The job; a session cluster has none."),
        field("restartNonce", Type::Long, "A new value restarts the cluster."),
        field("flinkConfiguration", CONFIGURATION, "Configuration of Flink."),
    ],
};

const RECONCILIATION: Model = Model {
    name: "org.apache.flink.v1beta1.ReconciliationStatus",
    about: "What the operator did last.",
    open: true,
    fields: &[
        field("state", Type::Text, "DEPLOYED, UPGRADING, ROLLING_BACK or ROLLED_BACK."),
        field("reconciliationTimestamp", Type::Long, "When it acted on a spec, epoch milliseconds."),
        field("lastReconciledSpec", Type::Text, "The spec that it acted on last, JSON."),
        field("lastStableSpec", Type::Text, "The last spec that ran stably, JSON."),
    ],
};
const JOB_STATUS: Model = Model {
    name: "org.apache.flink.v1beta1.JobStatus",
    about: "The job as it was seen.",
    open: true,
    fields: &[
        field("jobId", Type::Text, "Its id."),
        field("jobName", Type::Text, "Its name."),
        field("state", Type::Text, "Its state."),
        field("startTime", Type::Text, "When it started, epoch milliseconds."),
        field("updateTime", Type::Text, "When its state changed, epoch milliseconds."),
        field("upgradeSavepointPath", Type::Text, "State of the next start."),
        field("savepointInfo", Type::Any, "Savepoints that the operator knows."),
        field("checkpointInfo", Type::Any, "Checkpoints that the operator triggered."),
    ],
};
const TASK_MANAGER_INFO: Model = Model {
    name: "org.apache.flink.v1beta1.TaskManagerInfo",
    about: "The TaskManagers as expected.",
    open: true,
    fields: &[
        field("labelSelector", Type::Text, "Selects their pods."),
        field("replicas", Type::Integer, "How many are expected."),
    ],
};
const STATUS: Model = Model {
    name: "org.apache.flink.v1beta1.FlinkDeploymentStatus",
    about: "What the operator saw and did.",
    open: true,
    fields: &[
        field("lifecycleState", Type::Text, "Summary of the state."),
        field("jobManagerDeploymentStatus", Type::Text, "State of the JobManager."),
        field("jobStatus", Type::Object(&JOB_STATUS), "The job."),
        field("reconciliationStatus", Type::Object(&RECONCILIATION), "What the operator did last."),
        field("clusterInfo", TEXTS, "What the cluster says of itself."),
        field("taskManager", Type::Object(&TASK_MANAGER_INFO), "The TaskManagers."),
        field("error", Type::Text, "Last error."),
        field("observedGeneration", Type::Long, "Generation that was acted on."),
        field("conditions", Type::List(&Type::Any), "Conditions."),
    ],
};

pub(super) const DEPLOYMENT: Model = root!(
    "org.apache.flink.v1beta1.FlinkDeployment",
    "A Flink cluster with or without a job.",
    false,
    [
        field("spec", Type::Object(&DEPLOYMENT_SPEC), "Wanted state."),
        field("status", Type::Object(&STATUS), "State that the operator reports."),
    ]
);

const SESSION_JOB_SPEC: Model = Model {
    name: "org.apache.flink.v1beta1.FlinkSessionJobSpec",
    about: "Wanted state of a job in a session cluster.",
    open: false,
    fields: &[
        field("deploymentName", Type::Text, "FlinkDeployment of the session cluster, in the same namespace."),
        field("job", Type::Object(&JOB), "The job."),
        field("restartNonce", Type::Long, "A new value restarts the job."),
        field("flinkConfiguration", CONFIGURATION, "Configuration of the job."),
    ],
};
pub(super) const SESSION_JOB: Model = root!(
    "org.apache.flink.v1beta1.FlinkSessionJob",
    "A job in a session cluster.",
    false,
    [
        field("spec", Type::Object(&SESSION_JOB_SPEC), "Wanted state."),
        field("status", Type::Object(&STATUS), "State that the operator reports."),
    ]
);

const JOB_REFERENCE: Model = Model {
    name: "org.apache.flink.v1beta1.JobReference",
    about: "A resource that runs a job.",
    open: false,
    fields: &[
        field("kind", Type::OneOf(&["FlinkDeployment", "FlinkSessionJob"]), "Its kind."),
        field("name", Type::Text, "Its name."),
    ],
};
const SAVEPOINT: Model = Model {
    name: "org.apache.flink.v1beta1.SavepointSpec",
    about: "A savepoint.",
    open: false,
    fields: &[
        field("path", Type::Text, "Folder, or the savepoint if it exists already."),
        field("formatType", Type::OneOf(&["CANONICAL", "NATIVE", "UNKNOWN"]), "Format."),
        field("disposeOnDelete", Type::Boolean, "Its files go with the resource."),
        field("alreadyExists", Type::Boolean, "It is only registered."),
    ],
};
const SNAPSHOT_SPEC: Model = Model {
    name: "org.apache.flink.v1beta1.FlinkStateSnapshotSpec",
    about: "A savepoint or checkpoint to take.",
    open: false,
    fields: &[
        field("jobReference", Type::Object(&JOB_REFERENCE), "Whose state."),
        field("savepoint", Type::Object(&SAVEPOINT), "Take a savepoint."),
        field("checkpoint", Type::Any, "Take a checkpoint."),
        field("backoffLimit", Type::Integer, "Failures before it is given up; -1: never."),
    ],
};
const SNAPSHOT_STATUS: Model = Model {
    name: "org.apache.flink.v1beta1.FlinkStateSnapshotStatus",
    about: "How far it is.",
    open: true,
    fields: &[
        field("state", Type::Text, "TRIGGER_PENDING, IN_PROGRESS, COMPLETED, FAILED or ABANDONED."),
        field("path", Type::Text, "Where it is."),
        field("triggerTimestamp", Type::Text, "When it was triggered."),
        field("resultTimestamp", Type::Text, "When it ended."),
        field("error", Type::Text, "Last error."),
        field("failures", Type::Integer, "Failures up to now."),
    ],
};
pub(super) const STATE_SNAPSHOT: Model = root!(
    "org.apache.flink.v1beta1.FlinkStateSnapshot",
    "A savepoint or checkpoint as a resource.",
    false,
    [
        field("spec", Type::Object(&SNAPSHOT_SPEC), "What to take."),
        field("status", Type::Object(&SNAPSHOT_STATUS), "How far it is."),
    ]
);

const BLUE_GREEN_TEMPLATE: Model = Model {
    name: "org.apache.flink.v1beta1.FlinkDeploymentTemplateSpec",
    about: "The FlinkDeployment that is deployed twice.",
    open: false,
    fields: &[
        field("metadata", Type::Any, "Metadata of the FlinkDeployments."),
        field("spec", Type::Object(&DEPLOYMENT_SPEC), "Their spec."),
    ],
};
const BLUE_GREEN_SPEC: Model = Model {
    name: "org.apache.flink.v1beta1.FlinkBlueGreenDeploymentSpec",
    about: "A FlinkDeployment that is changed without a gap.",
    open: false,
    fields: &[
        field("configuration", TEXTS, "Options of the transition."),
        field("ingress", Type::Object(&INGRESS), "The way to the active one."),
        field("template", Type::Object(&BLUE_GREEN_TEMPLATE), "What is deployed."),
    ],
};
pub(super) const BLUE_GREEN: Model = root!(
    "org.apache.flink.v1beta1.FlinkBlueGreenDeployment",
    "A FlinkDeployment that is changed without a gap.",
    false,
    [
        field("spec", Type::Object(&BLUE_GREEN_SPEC), "Wanted state."),
        field("status", Type::Any, "State that the operator reports."),
    ]
);
