//! The built-in kinds: as much of their fields as merging and ownership need, and as somebody who asks `kubectl explain` wants to know.

use super::meta::{METADATA, TEXTS, root};
use super::model::{Model, Type, field, required};

/// A part of an object of which only some fields are described.
const fn part(name: &'static str, about: &'static str, fields: &'static [super::model::Field]) -> Model {
    Model { name, about, fields, open: true }
}

const CONDITION: Model = part(
    "io.k8s.api.core.v1.Condition",
    "A condition.",
    &[
        required("type", Type::Text, "What it is about."),
        required("status", Type::Text, "True, False or Unknown."),
        field("reason", Type::Text, "Why, in a word."),
        field("message", Type::Text, "Why, in a sentence."),
        field("lastTransitionTime", Type::Time, "When it changed."),
    ],
);
const CONDITIONS: Type = Type::Keyed(&CONDITION, &["type"]);
const SELECTOR: Type = Type::AtomicMap(&Type::Any);

const CONTAINER_PORT: Model = part(
    "io.k8s.api.core.v1.ContainerPort",
    "A port of a container.",
    &[
        required("containerPort", Type::Integer, "Its number."),
        field("name", Type::Text, "Its name."),
        field("protocol", Type::Text, "TCP, UDP or SCTP."),
    ],
);
const ENV: Model = part(
    "io.k8s.api.core.v1.EnvVar",
    "A variable of the environment.",
    &[
        required("name", Type::Text, "Its name."),
        field("value", Type::Text, "Its value."),
        field("valueFrom", Type::Any, "Where its value comes from."),
    ],
);
const MOUNT: Model = part(
    "io.k8s.api.core.v1.VolumeMount",
    "A volume in a container.",
    &[
        required("mountPath", Type::Text, "Where it is."),
        required("name", Type::Text, "Which volume."),
        field("readOnly", Type::Boolean, "It cannot be written."),
    ],
);
const RESOURCES: Model = part(
    "io.k8s.api.core.v1.ResourceRequirements",
    "Requests and limits.",
    &[
        field("requests", Type::Map(&Type::Quantity), "What is reserved."),
        field("limits", Type::Map(&Type::Quantity), "What may be used."),
    ],
);
const CONTAINER: Model = part(
    "io.k8s.api.core.v1.Container",
    "A container.",
    &[
        required("name", Type::Text, "Its name."),
        field("image", Type::Text, "Its image."),
        field("imagePullPolicy", Type::Text, "When the image is pulled."),
        field("command", Type::List(&Type::Text), "What is run."),
        field("args", Type::List(&Type::Text), "Arguments."),
        field("env", Type::Keyed(&ENV, &["name"]), "Environment."),
        field("ports", Type::Keyed(&CONTAINER_PORT, &["containerPort", "protocol"]), "Ports."),
        field("resources", Type::Object(&RESOURCES), "Requests and limits."),
        field("volumeMounts", Type::Keyed(&MOUNT, &["mountPath"]), "Volumes."),
    ],
);
const VOLUME: Model = part("io.k8s.api.core.v1.Volume", "A volume.", &[required("name", Type::Text, "Its name.")]);
const TOLERATION: Model = part(
    "io.k8s.api.core.v1.Toleration",
    "A taint that is tolerated.",
    &[
        field("key", Type::Text, "Key of the taint."),
        field("operator", Type::Text, "Exists or Equal."),
        field("value", Type::Text, "Value of the taint."),
        field("effect", Type::Text, "Effect of the taint."),
    ],
);
const POD_SPEC: Model = part(
    "io.k8s.api.core.v1.PodSpec",
    "What a pod is to be.",
    &[
        required("containers", Type::Keyed(&CONTAINER, &["name"]), "Its containers."),
        field("initContainers", Type::Keyed(&CONTAINER, &["name"]), "Containers that run first."),
        field("volumes", Type::Keyed(&VOLUME, &["name"]), "Its volumes."),
        field("nodeName", Type::Text, "Its node."),
        field("nodeSelector", Type::AtomicMap(&Type::Text), "Labels that its node must have."),
        field("tolerations", Type::List(&Type::Object(&TOLERATION)), "Taints that it tolerates."),
        field("serviceAccountName", Type::Text, "Its account."),
        field("restartPolicy", Type::Text, "Always, OnFailure or Never."),
        field("terminationGracePeriodSeconds", Type::Long, "Seconds that it gets to end."),
        field("priorityClassName", Type::Text, "Its priority class."),
    ],
);
const CONTAINER_STATUS: Model = part(
    "io.k8s.api.core.v1.ContainerStatus",
    "What a container does.",
    &[
        field("name", Type::Text, "Its name."),
        field("ready", Type::Boolean, "It takes requests."),
        field("restartCount", Type::Integer, "How often it was started again."),
        field("state", Type::Any, "waiting, running or terminated."),
        field("lastState", Type::Any, "How it ended last."),
    ],
);
const POD_IP: Model = part("io.k8s.api.core.v1.PodIP", "An address.", &[required("ip", Type::Text, "The address.")]);
const POD_STATUS: Model = part(
    "io.k8s.api.core.v1.PodStatus",
    "What a pod does.",
    &[
        field("phase", Type::Text, "Pending, Running, Succeeded, Failed or Unknown."),
        field("reason", Type::Text, "Why, in a word."),
        field("message", Type::Text, "Why, in a sentence."),
        field("podIP", Type::Text, "Its address."),
        field("podIPs", Type::Keyed(&POD_IP, &["ip"]), "Its addresses."),
        field("hostIP", Type::Text, "Address of its node."),
        field("startTime", Type::Time, "When its node took it."),
        field("conditions", CONDITIONS, "Conditions."),
        field("containerStatuses", Type::List(&Type::Object(&CONTAINER_STATUS)), "Its containers."),
    ],
);
const POD_TEMPLATE: Model = part(
    "io.k8s.api.core.v1.PodTemplateSpec",
    "What pods are to be.",
    &[
        field("metadata", Type::Object(&METADATA), "Their metadata."),
        field("spec", Type::Object(&POD_SPEC), "Their spec."),
    ],
);

pub(super) const POD: Model = root!(
    "io.k8s.api.core.v1.Pod",
    "Containers that run together on a node.",
    true,
    [
        field("spec", Type::Object(&POD_SPEC), "What it is to be."),
        field("status", Type::Object(&POD_STATUS), "What it does."),
    ]
);

const TAINT: Model = part(
    "io.k8s.api.core.v1.Taint",
    "Pods that do not tolerate it stay away.",
    &[
        required("key", Type::Text, "Its key."),
        required("effect", Type::Text, "NoSchedule, PreferNoSchedule or NoExecute."),
        field("value", Type::Text, "Its value."),
    ],
);
const NODE_SPEC: Model = part(
    "io.k8s.api.core.v1.NodeSpec",
    "What a node is to be.",
    &[
        field("unschedulable", Type::Boolean, "It takes no new pods."),
        field("taints", Type::List(&Type::Object(&TAINT)), "Its taints."),
        field("providerID", Type::Text, "Its identity at the provider."),
    ],
);
const ADDRESS: Model = part(
    "io.k8s.api.core.v1.NodeAddress",
    "An address.",
    &[required("type", Type::Text, "Its type."), required("address", Type::Text, "The address.")],
);
const NODE_STATUS: Model = part(
    "io.k8s.api.core.v1.NodeStatus",
    "What a node is.",
    &[
        field("capacity", Type::Map(&Type::Quantity), "What it has."),
        field("allocatable", Type::Map(&Type::Quantity), "What pods can have of it."),
        field("conditions", CONDITIONS, "Conditions."),
        field("addresses", Type::Keyed(&ADDRESS, &["type"]), "Its addresses."),
        field("nodeInfo", Type::Any, "Its software."),
    ],
);
pub(super) const NODE: Model = root!(
    "io.k8s.api.core.v1.Node",
    "A machine that pods run on.",
    true,
    [
        field("spec", Type::Object(&NODE_SPEC), "What it is to be."),
        field("status", Type::Object(&NODE_STATUS), "What it is."),
    ]
);

pub(super) const NAMESPACE: Model = root!(
    "io.k8s.api.core.v1.Namespace",
    "A room for names.",
    true,
    [field("spec", Type::Any, "What it is to be."), field("status", Type::Any, "What it is.")]
);

const SERVICE_PORT: Model = part(
    "io.k8s.api.core.v1.ServicePort",
    "A port of a service.",
    &[
        required("port", Type::Integer, "Its number."),
        field("name", Type::Text, "Its name."),
        field("protocol", Type::Text, "TCP, UDP or SCTP."),
        field("targetPort", Type::Quantity, "Port of the pods."),
        field("nodePort", Type::Integer, "Port of the nodes."),
    ],
);
const SERVICE_SPEC: Model = part(
    "io.k8s.api.core.v1.ServiceSpec",
    "What a service is to be.",
    &[
        field("type", Type::Text, "ClusterIP, NodePort, LoadBalancer or ExternalName."),
        field("clusterIP", Type::Text, "Its address in the cluster."),
        field("selector", Type::AtomicMap(&Type::Text), "Labels of its pods."),
        field("ports", Type::Keyed(&SERVICE_PORT, &["port", "protocol"]), "Its ports."),
    ],
);
pub(super) const SERVICE: Model = root!(
    "io.k8s.api.core.v1.Service",
    "An address for pods that come and go.",
    true,
    [field("spec", Type::Object(&SERVICE_SPEC), "What it is to be."), field("status", Type::Any, "What it is."),]
);

pub(super) const CONFIG_MAP: Model = root!(
    "io.k8s.api.core.v1.ConfigMap",
    "Texts for programs.",
    true,
    [
        field("data", TEXTS, "The texts."),
        field("binaryData", TEXTS, "Bytes, base64."),
        field("immutable", Type::Boolean, "It can no longer be changed."),
    ]
);

pub(super) const EVENT: Model = root!(
    "io.k8s.api.core.v1.Event",
    "Something that happened to an object.",
    true,
    [
        field("involvedObject", Type::AtomicMap(&Type::Any), "The object."),
        field("type", Type::Text, "Normal or Warning."),
        field("reason", Type::Text, "What, in a word."),
        field("message", Type::Text, "What, in a sentence."),
        field("count", Type::Integer, "How often."),
        field("firstTimestamp", Type::Time, "When first."),
        field("lastTimestamp", Type::Time, "When last."),
        field("source", Type::Any, "Who says it."),
    ]
);

const QUOTA_SPEC: Model = part(
    "io.k8s.api.core.v1.ResourceQuotaSpec",
    "What a namespace may use.",
    &[field("hard", Type::Map(&Type::Quantity), "The limits.")],
);
const QUOTA_STATUS: Model = part(
    "io.k8s.api.core.v1.ResourceQuotaStatus",
    "What a namespace uses.",
    &[
        field("hard", Type::Map(&Type::Quantity), "The limits."),
        field("used", Type::Map(&Type::Quantity), "What is used."),
    ],
);
pub(super) const RESOURCE_QUOTA: Model = root!(
    "io.k8s.api.core.v1.ResourceQuota",
    "Limits of a namespace.",
    true,
    [
        field("spec", Type::Object(&QUOTA_SPEC), "The limits."),
        field("status", Type::Object(&QUOTA_STATUS), "What is used."),
    ]
);

const LEASE_SPEC: Model = part(
    "io.k8s.api.coordination.v1.LeaseSpec",
    "Who holds it.",
    &[
        field("holderIdentity", Type::Text, "The holder."),
        field("leaseDurationSeconds", Type::Integer, "How long it holds without being renewed."),
        field("acquireTime", Type::Time, "Since when."),
        field("renewTime", Type::Time, "When it was renewed."),
        field("leaseTransitions", Type::Integer, "How often the holder changed."),
    ],
);
pub(super) const LEASE: Model = root!(
    "io.k8s.api.coordination.v1.Lease",
    "One holder at a time.",
    true,
    [field("spec", Type::Object(&LEASE_SPEC), "Who holds it.")]
);

const DEPLOYMENT_SPEC: Model = part(
    "io.k8s.api.apps.v1.DeploymentSpec",
    "What pods are wanted.",
    &[
        field("replicas", Type::Integer, "How many."),
        field("selector", SELECTOR, "Selects them."),
        field("template", Type::Object(&POD_TEMPLATE), "What they are to be."),
        field("strategy", Type::Any, "How they are replaced."),
    ],
);
const DEPLOYMENT_STATUS: Model = part(
    "io.k8s.api.apps.v1.DeploymentStatus",
    "What pods there are.",
    &[
        field("replicas", Type::Integer, "How many."),
        field("readyReplicas", Type::Integer, "How many are ready."),
        field("availableReplicas", Type::Integer, "How many have been ready for long enough."),
        field("updatedReplicas", Type::Integer, "How many are of the newest template."),
        field("conditions", CONDITIONS, "Conditions."),
    ],
);
pub(super) const DEPLOYMENT: Model = root!(
    "io.k8s.api.apps.v1.Deployment",
    "Pods that are kept running.",
    true,
    [
        field("spec", Type::Object(&DEPLOYMENT_SPEC), "What is wanted."),
        field("status", Type::Object(&DEPLOYMENT_STATUS), "What there is."),
    ]
);
pub(super) const REPLICA_SET: Model = root!(
    "io.k8s.api.apps.v1.ReplicaSet",
    "A number of equal pods.",
    true,
    [
        field("spec", Type::Object(&DEPLOYMENT_SPEC), "What is wanted."),
        field("status", Type::Object(&DEPLOYMENT_STATUS), "What there is."),
    ]
);

const AUTOSCALER_SPEC: Model = part(
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec",
    "What is scaled, and by what.",
    &[
        field("scaleTargetRef", Type::AtomicMap(&Type::Any), "What is scaled."),
        field("minReplicas", Type::Integer, "Never fewer."),
        field("maxReplicas", Type::Integer, "Never more."),
        field("metrics", Type::List(&Type::Any), "What it goes by."),
    ],
);
pub(super) const HORIZONTAL_POD_AUTOSCALER: Model = root!(
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "Scales by metrics.",
    true,
    [
        field("spec", Type::Object(&AUTOSCALER_SPEC), "What is scaled, and by what."),
        field("status", Type::Any, "What it did."),
    ]
);
