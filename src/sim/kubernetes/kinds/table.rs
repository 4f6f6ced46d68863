//! The table of the kinds.

use super::{FLINK_GROUP, Info, Kind, ScalePaths, columns};

const CORE: Info = Info {
    name: "",
    group: "",
    version: "v1",
    plural: "",
    singular: "",
    short: &[],
    categories: &[],
    namespaced: true,
    status: false,
    scale: None,
    generation: false,
    custom: false,
    columns: columns::PLAIN,
};
const APPS: Info = Info { group: "apps", categories: &["all"], status: true, generation: true, ..CORE };
const CUSTOM: Info = Info { status: true, generation: true, custom: true, ..CORE };
const FLINK: Info = Info { group: FLINK_GROUP, version: "v1beta1", ..CUSTOM };
const REPLICAS: ScalePaths =
    ScalePaths { wanted: "/spec/replicas", present: "/status/replicas", selector: "/spec/selector" };

const NAMESPACE: Info = Info {
    name: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short: &["ns"],
    namespaced: false,
    status: true,
    columns: columns::NAMESPACE,
    ..CORE
};
const NODE: Info = Info {
    name: "Node",
    plural: "nodes",
    singular: "node",
    short: &["no"],
    namespaced: false,
    status: true,
    columns: columns::NODE,
    ..CORE
};
const POD: Info = Info {
    name: "Pod",
    plural: "pods",
    singular: "pod",
    short: &["po"],
    categories: &["all"],
    status: true,
    columns: columns::POD,
    ..CORE
};
const SERVICE: Info = Info {
    name: "Service",
    plural: "services",
    singular: "service",
    short: &["svc"],
    categories: &["all"],
    status: true,
    columns: columns::SERVICE,
    ..CORE
};
const CONFIG_MAP: Info = Info {
    name: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short: &["cm"],
    columns: columns::CONFIG_MAP,
    ..CORE
};
const EVENT: Info =
    Info { name: "Event", plural: "events", singular: "event", short: &["ev"], columns: columns::EVENT, ..CORE };
const RESOURCE_QUOTA: Info = Info {
    name: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short: &["quota"],
    status: true,
    columns: columns::RESOURCE_QUOTA,
    ..CORE
};
const LEASE: Info = Info {
    name: "Lease",
    group: "coordination.k8s.io",
    plural: "leases",
    singular: "lease",
    columns: columns::LEASE,
    ..CORE
};
const DEPLOYMENT: Info = Info {
    name: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short: &["deploy"],
    scale: Some(REPLICAS),
    columns: columns::DEPLOYMENT,
    ..APPS
};
const REPLICA_SET: Info = Info {
    name: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short: &["rs"],
    scale: Some(REPLICAS),
    columns: columns::REPLICA_SET,
    ..APPS
};
const HORIZONTAL_POD_AUTOSCALER: Info = Info {
    name: "HorizontalPodAutoscaler",
    group: "autoscaling",
    version: "v2",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short: &["hpa"],
    categories: &["all"],
    status: true,
    columns: columns::HORIZONTAL_POD_AUTOSCALER,
    ..CORE
};
const CUSTOM_RESOURCE_DEFINITION: Info = Info {
    name: "CustomResourceDefinition",
    group: "apiextensions.k8s.io",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    status: true,
    generation: true,
    columns: columns::CUSTOM_RESOURCE_DEFINITION,
    ..CORE
};
const FLINK_DEPLOYMENT: Info = Info {
    name: "FlinkDeployment",
    plural: "flinkdeployments",
    singular: "flinkdeployment",
    short: &["flinkdep"],
    scale: Some(ScalePaths {
        wanted: "/spec/taskManager/replicas",
        present: "/status/taskManager/replicas",
        selector: "/status/taskManager/labelSelector",
    }),
    columns: columns::FLINK_JOB,
    ..FLINK
};
const FLINK_SESSION_JOB: Info = Info {
    name: "FlinkSessionJob",
    plural: "flinksessionjobs",
    singular: "flinksessionjob",
    short: &["sessionjob"],
    columns: columns::FLINK_JOB,
    ..FLINK
};
const FLINK_STATE_SNAPSHOT: Info = Info {
    name: "FlinkStateSnapshot",
    plural: "flinkstatesnapshots",
    singular: "flinkstatesnapshot",
    short: &["flinksnp"],
    columns: columns::FLINK_STATE_SNAPSHOT,
    ..FLINK
};
const FLINK_BLUE_GREEN_DEPLOYMENT: Info = Info {
    name: "FlinkBlueGreenDeployment",
    plural: "flinkbluegreendeployments",
    singular: "flinkbluegreendeployment",
    short: &["flinkbgdep"],
    columns: columns::FLINK_BLUE_GREEN,
    ..FLINK
};
const SCALED_OBJECT: Info = Info {
    name: "ScaledObject",
    group: "keda.sh",
    version: "v1alpha1",
    plural: "scaledobjects",
    singular: "scaledobject",
    short: &["so"],
    ..CUSTOM
};
const VERTICAL_POD_AUTOSCALER: Info = Info {
    name: "VerticalPodAutoscaler",
    group: "autoscaling.k8s.io",
    plural: "verticalpodautoscalers",
    singular: "verticalpodautoscaler",
    short: &["vpa"],
    ..CUSTOM
};

pub(super) fn info(kind: Kind) -> &'static Info {
    match kind {
        Kind::Namespace => &NAMESPACE,
        Kind::Node => &NODE,
        Kind::Pod => &POD,
        Kind::Service => &SERVICE,
        Kind::ConfigMap => &CONFIG_MAP,
        Kind::Event => &EVENT,
        Kind::ResourceQuota => &RESOURCE_QUOTA,
        Kind::Lease => &LEASE,
        Kind::Deployment => &DEPLOYMENT,
        Kind::ReplicaSet => &REPLICA_SET,
        Kind::HorizontalPodAutoscaler => &HORIZONTAL_POD_AUTOSCALER,
        Kind::CustomResourceDefinition => &CUSTOM_RESOURCE_DEFINITION,
        Kind::FlinkDeployment => &FLINK_DEPLOYMENT,
        Kind::FlinkSessionJob => &FLINK_SESSION_JOB,
        Kind::FlinkStateSnapshot => &FLINK_STATE_SNAPSHOT,
        Kind::FlinkBlueGreenDeployment => &FLINK_BLUE_GREEN_DEPLOYMENT,
        Kind::ScaledObject => &SCALED_OBJECT,
        Kind::VerticalPodAutoscaler => &VERTICAL_POD_AUTOSCALER,
    }
}
