//! FlinkDeployment and FlinkSessionJob as small rows: what the control loop needs of metadata, spec and status.
//!
//! Unknown fields are ignored, absent ones are absent; writes are merge patches of single fields, so nothing that is not read here is ever
//! written back.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::capacity::Toleration;

use super::access::tolerations;
use super::configuration::FlinkConfiguration;
use super::json::{At, WrongShape};
use super::objects::{Kind, Projection, ResourceRef};
use super::status::Status;

/// Somebody who owns fields of an object, by `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// The manager's name, e.g. `kubectl-client-side-apply` or `argocd-controller`.
    pub name: String,
    /// When it last wrote.
    pub at: Option<Timestamp>,
    /// Keys of `spec.flinkConfiguration` that it owns, in the spelling of the resource.
    pub configuration_keys: Vec<String>,
}

/// The part of `metadata` that is used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Identity: another object of the same name has another uid.
    pub uid: String,
    /// Changes with every write, the operator's status writes included.
    pub resource_version: String,
    /// Changes with the spec only.
    pub generation: i64,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Deletion was asked for then.
    pub deletion_at: Option<Timestamp>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations, without the copy of the whole object that `kubectl apply` leaves.
    pub annotations: BTreeMap<String, String>,
    /// Who owns which fields of the spec.
    pub managers: Vec<Manager>,
    /// Kind and name of each owner.
    pub owners: Vec<(String, String)>,
}

/// `spec.jobManager` or `spec.taskManager`, as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PodResources {
    /// Cores.
    pub cpu: Option<f64>,
    /// Memory in Flink's or Kubernetes' units.
    pub memory: Option<String>,
    /// Replicas, if set.
    pub replicas: Option<i64>,
}

/// `spec.job`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobSpec {
    /// The program.
    pub jar_uri: Option<String>,
    /// Default parallelism.
    pub parallelism: Option<i64>,
    /// Desired state, `running` if absent.
    pub state: Option<String>,
    /// How upgrades carry state, `stateless` if absent.
    pub upgrade_mode: Option<String>,
    /// Path for a first deployment or a redeploy.
    pub initial_savepoint_path: Option<String>,
    /// Operators may be dropped on restore.
    pub allow_non_restored_state: bool,
    /// Last requested redeploy from a savepoint.
    pub savepoint_redeploy_nonce: Option<i64>,
    /// Last requested reset of the operator's autoscaler.
    pub autoscaler_reset_nonce: Option<i64>,
}

impl JobSpec {
    /// The job is wanted suspended.
    pub fn wants_suspended(&self) -> bool {
        self.state.as_deref() == Some("suspended")
    }
}

/// A FlinkDeployment: an application when `job` is there, else a session cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlinkDeployment {
    /// Metadata.
    pub meta: Meta,
    /// Image.
    pub image: Option<String>,
    /// `v1_20` and the like.
    pub flink_version: Option<String>,
    /// `standalone`; native if absent.
    pub mode: Option<String>,
    /// Configuration, flattened.
    pub flink_configuration: FlinkConfiguration,
    /// JobManager pods.
    pub job_manager: PodResources,
    /// TaskManager pods.
    pub task_manager: PodResources,
    /// The job.
    pub job: Option<JobSpec>,
    /// Last requested restart.
    pub restart_nonce: Option<i64>,
    /// Where TaskManager pods may run, by their templates.
    pub placement: Placement,
    /// Address of Flink's page by `spec.ingress`, as far as the resource tells it.
    pub ingress: Option<String>,
    /// Status, if the operator wrote one.
    pub status: Option<Status>,
}

/// Where pods may run, by a pod template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// Labels a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are tolerated.
    pub tolerations: Vec<Toleration>,
}

/// A FlinkSessionJob.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlinkSessionJob {
    /// Metadata.
    pub meta: Meta,
    /// Name of its session cluster, in the same namespace.
    pub deployment_name: String,
    /// Configuration of the job, flattened.
    pub flink_configuration: FlinkConfiguration,
    /// The job.
    pub job: JobSpec,
    /// Last requested restart.
    pub restart_nonce: Option<i64>,
    /// Status, if the operator wrote one.
    pub status: Option<Status>,
}

impl FlinkDeployment {
    /// Names this object.
    pub fn reference(&self) -> ResourceRef {
        reference(Kind::FlinkDeployment, &self.meta)
    }

    /// A session cluster: there is no job of its own.
    pub fn is_session_cluster(&self) -> bool {
        self.job.is_none()
    }

    /// The Flink version as (major, minor), from `spec.flinkVersion`.
    pub fn flink_minor(&self) -> Option<(u32, u32)> {
        let (major, minor) = self.flink_version.as_deref()?.strip_prefix('v')?.split_once('_')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }
}

impl FlinkSessionJob {
    /// Names this object.
    pub fn reference(&self) -> ResourceRef {
        reference(Kind::FlinkSessionJob, &self.meta)
    }
}

fn reference(kind: Kind, meta: &Meta) -> ResourceRef {
    ResourceRef { kind, namespace: meta.namespace.clone(), name: meta.name.clone() }
}

impl Projection for FlinkDeployment {
    const KIND: Kind = Kind::FlinkDeployment;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        let root = At::root(object);
        let spec = root.field("spec")?;
        let text = |name: &str| spec.field(name).and_then(|f| f.text());
        let job = spec.field("job")?;
        let meta = meta(&root.field("metadata")?)?;
        let task_manager = spec.field("taskManager")?;
        let mut placed = Placement::default();
        placement(&spec.field("podTemplate")?, &mut placed)?;
        placement(&task_manager.field("podTemplate")?, &mut placed)?;
        Ok(Self {
            ingress: ingress_page(&spec.field("ingress")?, &meta)?,
            meta,
            image: text("image")?,
            flink_version: text("flinkVersion")?,
            mode: text("mode")?,
            flink_configuration: FlinkConfiguration::read(&spec.field("flinkConfiguration")?)?,
            job_manager: pod_resources(&spec.field("jobManager")?)?,
            task_manager: pod_resources(&spec.field("taskManager")?)?,
            job: if job.is_absent() { None } else { Some(job_spec(&job)?) },
            restart_nonce: spec.field("restartNonce")?.integer()?,
            placement: placed,
            status: status(&root.field("status")?)?,
        })
    }

    fn uid(&self) -> &str {
        &self.meta.uid
    }

    fn resource_version(&self) -> &str {
        &self.meta.resource_version
    }
}

impl Projection for FlinkSessionJob {
    const KIND: Kind = Kind::FlinkSessionJob;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        let root = At::root(object);
        let spec = root.field("spec")?;
        Ok(Self {
            meta: meta(&root.field("metadata")?)?,
            deployment_name: spec.field("deploymentName")?.text()?.unwrap_or_default(),
            flink_configuration: FlinkConfiguration::read(&spec.field("flinkConfiguration")?)?,
            job: job_spec(&spec.field("job")?)?,
            restart_nonce: spec.field("restartNonce")?.integer()?,
            status: status(&root.field("status")?)?,
        })
    }

    fn uid(&self) -> &str {
        &self.meta.uid
    }

    fn resource_version(&self) -> &str {
        &self.meta.resource_version
    }
}

/// The address behind an ingress (`operator.md` §1.4): its template with the names put in, without the pattern that a path may end
/// with. One without a host leaves the host to the ingress controller, so nothing is known then.
fn ingress_page(ingress: &At<'_>, meta: &Meta) -> Result<Option<String>, WrongShape> {
    let Some(template) = ingress.field("template")?.text()? else { return Ok(None) };
    let filled = template.replace("{{namespace}}", &meta.namespace).replace("{{name}}", &meta.name);
    let place = filled.split('(').next().unwrap_or_default().trim_end_matches('/');
    let tls = !ingress.field("tls")?.items()?.is_empty();
    let page = match place.split_once("://") {
        Some(_) => format!("{place}/"),
        None if place.is_empty() || place.starts_with('/') => return Ok(None),
        None => format!("{}://{place}/", if tls { "https" } else { "http" }),
    };
    Ok(Some(page))
}

fn status(at: &At<'_>) -> Result<Option<Status>, WrongShape> {
    if at.is_absent() { Ok(None) } else { Status::read(at).map(Some) }
}

fn meta(at: &At<'_>) -> Result<Meta, WrongShape> {
    let text = |name: &str| at.field(name).and_then(|f| f.text()).map(Option::unwrap_or_default);
    let uid = at.field("uid")?;
    let mut annotations = at.field("annotations")?.text_map()?;
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    Ok(Meta {
        namespace: text("namespace")?,
        name: text("name")?,
        uid: uid.text()?.ok_or_else(|| uid.wrong("a uid"))?,
        resource_version: text("resourceVersion")?,
        generation: at.field("generation")?.integer()?.unwrap_or_default(),
        created_at: at.field("creationTimestamp")?.instant()?,
        deletion_at: at.field("deletionTimestamp")?.instant()?,
        labels: at.field("labels")?.text_map()?,
        annotations,
        managers: managers(&at.field("managedFields")?)?,
        owners: owners(&at.field("ownerReferences")?)?,
    })
}

fn owners(at: &At<'_>) -> Result<Vec<(String, String)>, WrongShape> {
    let text = |o: &Value, name: &str| o.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(at.items()?.iter().map(|o| (text(o, "kind"), text(o, "name"))).collect())
}

/// Node selector and tolerations of a pod template, added to what is there.
fn placement(at: &At<'_>, placed: &mut Placement) -> Result<(), WrongShape> {
    let spec = at.field("spec")?;
    placed.node_selector.extend(spec.field("nodeSelector")?.text_map()?);
    if let Some(template) = at.value() {
        placed.tolerations.extend(tolerations(template));
    }
    Ok(())
}

fn managers(at: &At<'_>) -> Result<Vec<Manager>, WrongShape> {
    let mut managers = Vec::new();
    for item in at.items()? {
        let item = At::root(item);
        let text = |name: &str| item.field(name).and_then(|f| f.text()).map(Option::unwrap_or_default);
        if !text("subresource")?.is_empty() {
            continue;
        }
        let fields = item.field("fieldsV1")?;
        let spec = fields.field("f:spec")?;
        if spec.is_absent() {
            continue;
        }
        let mut configuration_keys = Vec::new();
        if let Some(Value::Object(owned)) = spec.field("f:flinkConfiguration")?.value() {
            owned_keys(owned, "", &mut configuration_keys);
        }
        managers.push(Manager { name: text("manager")?, at: item.field("time")?.instant()?, configuration_keys });
    }
    Ok(managers)
}

/// Leaves of a FieldsV1 tree, joined with dots as the configuration is.
fn owned_keys(fields: &serde_json::Map<String, Value>, above: &str, keys: &mut Vec<String>) {
    for (field, inner) in fields {
        let Some(name) = field.strip_prefix("f:") else { continue };
        let key = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        match inner {
            Value::Object(inner) if !inner.is_empty() => owned_keys(inner, &key, keys),
            _ => keys.push(key),
        }
    }
}

fn pod_resources(at: &At<'_>) -> Result<PodResources, WrongShape> {
    let resource = at.field("resource")?;
    Ok(PodResources {
        cpu: resource.field("cpu")?.number()?,
        memory: resource.field("memory")?.text()?,
        replicas: at.field("replicas")?.integer()?,
    })
}

fn job_spec(at: &At<'_>) -> Result<JobSpec, WrongShape> {
    let text = |name: &str| at.field(name).and_then(|f| f.text());
    Ok(JobSpec {
        jar_uri: text("jarURI")?,
        parallelism: at.field("parallelism")?.integer()?,
        state: text("state")?,
        upgrade_mode: text("upgradeMode")?,
        initial_savepoint_path: text("initialSavepointPath")?,
        allow_non_restored_state: text("allowNonRestoredState")?.as_deref() == Some("true"),
        savepoint_redeploy_nonce: at.field("savepointRedeployNonce")?.integer()?,
        autoscaler_reset_nonce: at.field("autoscalerResetNonce")?.integer()?,
    })
}
