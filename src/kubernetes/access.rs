//! Calls beside the watches: what is allowed, whole documents, what a node is promised, logs.

use bytes::{Bytes, BytesMut};
use http::{Method, Request, header};
use kube::client::Body;
use serde_json::{Value, json};

use crate::domain::capacity::{QuotaRow, Room, Toleration};

use super::client::{Ask, FieldManager, KubeClient, WriteMode, get, invalid, next_chunk, refusal};
use super::error::KubeError;
use super::json::{At, WrongShape};
use super::objects::{Kind, Projection, ResourceRef, Scope};
use super::quantity;
use super::small::{line, room};

/// A right to ask for: verb, API group, resource with its subresource, namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The verb.
    pub verb: &'static str,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource, `services/proxy` for a subresource.
    pub resource: &'static str,
    /// The namespace; `None` is the whole cluster.
    pub namespace: Option<String>,
}

/// What a server says of a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// It is allowed.
    pub allowed: bool,
    /// The server's words, bounded.
    pub reason: String,
}

/// A pod as far as it takes room on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRoom {
    /// Identity.
    pub uid: String,
    /// Version.
    pub resource_version: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its label `app`, if it is a TaskManager of a Flink cluster: what a redeploy releases for new TaskManagers. The room of a
    /// JobManager goes to the JobManager that comes after it.
    pub flink: Option<String>,
    /// The node it is bound to; empty if it waits for one.
    pub node: String,
    /// Its requests: containers together, or the largest init container where that is more.
    pub requested: Room,
    /// It has ended and takes no room.
    pub ended: bool,
}

impl Projection for PodRoom {
    const KIND: Kind = Kind::Pod;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        let root = At::root(object);
        let (meta, spec, status) = (root.field("metadata")?, root.field("spec")?, root.field("status")?);
        let text = |at: &At<'_>, name: &str| at.field(name).and_then(|f| f.text()).map(Option::unwrap_or_default);
        let labels = meta.field("labels")?.text_map()?;
        let flink = labels.get("type").is_some_and(|t| t.starts_with("flink-"));
        let task_manager = flink && labels.get("component").is_some_and(|c| c == "taskmanager");
        let sum = requests(&spec.field("containers")?)?.into_iter().fold(Room::default(), Room::plus);
        let largest = requests(&spec.field("initContainers")?)?
            .into_iter()
            .fold(Room::default(), |a, b| Room { cpu: a.cpu.max(b.cpu), memory: a.memory.max(b.memory) });
        let overhead = room(&spec.field("overhead")?)?;
        Ok(Self {
            uid: text(&meta, "uid")?,
            resource_version: text(&meta, "resourceVersion")?,
            namespace: text(&meta, "namespace")?,
            name: text(&meta, "name")?,
            flink: labels.get("app").filter(|_| task_manager).cloned(),
            node: text(&spec, "nodeName")?,
            requested: Room { cpu: sum.cpu.max(largest.cpu), memory: sum.memory.max(largest.memory) }.plus(overhead),
            ended: matches!(text(&status, "phase")?.as_str(), "Succeeded" | "Failed"),
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

fn requests(containers: &At<'_>) -> Result<Vec<Room>, WrongShape> {
    let one = |item: &Value| {
        let container = At::root(item);
        let resources = container.field("resources")?;
        let (asked, limit) = (room(&resources.field("requests")?)?, room(&resources.field("limits")?)?);
        let or = |asked: u64, limit: u64| if asked == 0 { limit } else { asked };
        Ok(Room { cpu: or(asked.cpu, limit.cpu), memory: or(asked.memory, limit.memory) })
    };
    containers.items()?.iter().map(one).collect()
}

/// The limits of one ResourceQuota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Identity.
    pub uid: String,
    /// Version.
    pub resource_version: String,
    /// Its limits on cpu, memory and pods.
    pub rows: Vec<QuotaRow>,
}

impl Projection for Quota {
    const KIND: Kind = Kind::ResourceQuota;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        let root = At::root(object);
        let (meta, spec, status) = (root.field("metadata")?, root.field("spec")?, root.field("status")?);
        let text = |name: &str| meta.field(name).and_then(|f| f.text()).map(Option::unwrap_or_default);
        let mut hard = status.field("hard")?.text_map()?;
        if hard.is_empty() {
            hard = spec.field("hard")?.text_map()?;
        }
        let used = status.field("used")?.text_map()?;
        // A quota on some pods only (scopes) is not one on all.
        let scoped = !spec.field("scopes")?.items()?.is_empty() || !spec.field("scopeSelector")?.is_absent();
        let mut rows = Vec::new();
        for (resource, limit) in hard.iter().filter(|_| !scoped) {
            let read = match resource.as_str() {
                "requests.cpu" | "cpu" | "limits.cpu" => quantity::milli_cores,
                "requests.memory" | "memory" | "limits.memory" | "pods" | "count/pods" => quantity::whole,
                _ => continue,
            };
            let Some(hard) = read(limit) else { continue };
            let name = match resource.as_str() {
                "cpu" => "requests.cpu",
                "memory" => "requests.memory",
                "count/pods" => "pods",
                other => other,
            };
            rows.push(QuotaRow {
                namespace: text("namespace")?,
                name: text("name")?,
                resource: name.to_owned(),
                hard,
                used: used.get(resource).and_then(|u| read(u)).unwrap_or_default(),
            });
        }
        Ok(Self { uid: text("uid")?, resource_version: text("resourceVersion")?, rows })
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

/// A HorizontalPodAutoscaler: what it scales.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaler {
    /// Identity.
    pub uid: String,
    /// Version.
    pub resource_version: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Kind and name of its target.
    pub target: (String, String),
    /// KEDA made it.
    pub keda: bool,
}

/// A VerticalPodAutoscaler: whose pods it resizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerticalScaler {
    /// As of a HorizontalPodAutoscaler.
    pub scaler: Scaler,
    /// It acts; with `updateMode: Off` it only recommends.
    pub acts: bool,
}

fn scaler(object: &Value, target: &str) -> Result<Scaler, WrongShape> {
    let root = At::root(object);
    let (meta, spec) = (root.field("metadata")?, root.field("spec")?);
    let text = |at: &At<'_>, name: &str| at.field(name).and_then(|f| f.text()).map(Option::unwrap_or_default);
    let target = spec.field(target)?;
    let labels = meta.field("labels")?.text_map()?;
    Ok(Scaler {
        uid: text(&meta, "uid")?,
        resource_version: text(&meta, "resourceVersion")?,
        namespace: text(&meta, "namespace")?,
        name: text(&meta, "name")?,
        target: (text(&target, "kind")?, text(&target, "name")?),
        keda: labels.keys().any(|k| k.contains("keda.sh")),
    })
}

impl Projection for Scaler {
    const KIND: Kind = Kind::HorizontalPodAutoscaler;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        scaler(object, "scaleTargetRef")
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

impl Projection for VerticalScaler {
    const KIND: Kind = Kind::VerticalPodAutoscaler;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        let mode = object.pointer("/spec/updatePolicy/updateMode").and_then(Value::as_str);
        Ok(Self { scaler: scaler(object, "targetRef")?, acts: mode != Some("Off") })
    }

    fn uid(&self) -> &str {
        &self.scaler.uid
    }

    fn resource_version(&self) -> &str {
        &self.scaler.resource_version
    }
}

/// The tolerations of a pod template: key, operator, value and effect of each entry of its `spec.tolerations`. What is no text counts
/// as empty, and no list as none.
pub fn tolerations(template: &Value) -> Vec<Toleration> {
    let list = template.pointer("/spec/tolerations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |item: &Value, name: &str| line(item.get(name).and_then(Value::as_str).unwrap_or_default(), 317);
    list.iter()
        .map(|item| Toleration {
            key: text(item, "key"),
            exists: text(item, "operator") == "Exists",
            value: text(item, "value"),
            effect: text(item, "effect"),
        })
        .collect()
}

impl KubeClient {
    /// Whether a right is there (SelfSubjectAccessReview).
    ///
    /// # Errors
    /// As any call; a server that does not let this be asked answers 403.
    pub async fn access(&self, right: &Right) -> Result<Access, KubeError> {
        let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
        let ask = Ask {
            what: format!("ask for the right to {} {}", right.verb, right.resource),
            verb: "create",
            resource: "selfsubjectaccessreviews.authorization.k8s.io".to_owned(),
            namespace: None,
        };
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": right.verb,
                "group": right.group,
                "resource": resource,
                "subresource": subresource,
                "namespace": right.namespace.as_deref().unwrap_or_default(),
            }},
        });
        let request = Request::builder()
            .method(Method::POST)
            .uri("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|e| invalid(&ask, &e))?;
        let document = self.json(&ask, request).await?;
        Ok(Access {
            allowed: document.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false),
            reason: line(document.pointer("/status/reason").and_then(Value::as_str).unwrap_or_default(), 200),
        })
    }

    /// One object of the operator's kinds, whole.
    ///
    /// # Errors
    /// As any call.
    pub async fn document(&self, reference: &ResourceRef) -> Result<Value, KubeError> {
        let ask = Ask::of("get", reference.kind, Some(&reference.namespace), Some(&reference.name));
        self.json(&ask, get(&reference.path(), "")?).await
    }

    /// Sends a merge patch as field manager `flightdeck` and returns the whole object as the server has it afterwards, or would have
    /// it in a dry run.
    ///
    /// # Errors
    /// As [`merge_patch`](Self::merge_patch).
    pub async fn merge_patch_document(
        &self,
        reference: &ResourceRef,
        patch: &Value,
        mode: WriteMode,
    ) -> Result<Value, KubeError> {
        let ask = Ask::of("patch", reference.kind, Some(&reference.namespace), Some(&reference.name));
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(format!("{}?fieldManager={}{}", reference.path(), FieldManager::NAME, mode.query()))
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .body(Bytes::from(patch.to_string()))
            .map_err(|e| invalid(&ask, &e))?;
        self.json(&ask, request).await
    }

    /// Images and labels of the operator's Deployment, where it can be read: `app.kubernetes.io/name=flink-kubernetes-operator`. One
    /// whose document cannot be read tells nothing and is left out.
    ///
    /// # Errors
    /// As any call.
    pub async fn operator_deployments(&self, namespace: Option<&str>) -> Result<Vec<OperatorDeployment>, KubeError> {
        let scope = Scope {
            namespace: namespace.map(str::to_owned),
            labels: "app.kubernetes.io/name=flink-kubernetes-operator".to_owned(),
            fields: String::new(),
        };
        self.list_rows(&scope).await.map(|(rows, _)| rows)
    }

    /// Opens the log of a container.
    ///
    /// # Errors
    /// [`KubeError::NotFound`] without such a pod, [`KubeError::Refused`] while the container has not begun or there is no previous one,
    /// else as any call.
    pub async fn log(&self, ask: &LogAsk<'_>) -> Result<LogLines, KubeError> {
        let LogAsk { namespace, pod, container, previous, follow, tail } = *ask;
        let question = Ask {
            what: format!("read the log of {namespace}/{pod}"),
            verb: "get",
            resource: "pods/log".to_owned(),
            namespace: Some(namespace.to_owned()),
        };
        let query = {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            if let Some(container) = container {
                query.append_pair("container", container);
            }
            query.append_pair("tailLines", &tail.to_string());
            query.append_pair("previous", if previous { "true" } else { "false" });
            query.append_pair("follow", if follow { "true" } else { "false" });
            query.finish()
        };
        let pod = url::form_urlencoded::byte_serialize(pod.as_bytes()).collect::<String>();
        let mut request = get(&format!("/api/v1/namespaces/{namespace}/pods/{pod}/log"), &query)?;
        request.headers_mut().insert(header::ACCEPT, http::HeaderValue::from_static("*/*"));
        let limits = self.limits().clone();
        let open = async {
            let (head, mut body) = self.open(&question, request).await?;
            if head.status.is_success() {
                return Ok(body);
            }
            let mut whole = BytesMut::new();
            while let Some(chunk) = next_chunk(&question, &mut body).await? {
                whole.extend_from_slice(&chunk[..chunk.len().min(64 * 1024 - whole.len().min(64 * 1024))]);
            }
            Err(refusal(&question, head.status, &head.headers, &whole))
        };
        let body = tokio::time::timeout(limits.deadline, open)
            .await
            .unwrap_or_else(|_| Err(KubeError::Timeout { what: question.what.clone(), after: limits.deadline }))?;
        Ok(LogLines { ask: question, body, buffer: BytesMut::new(), skipping: false })
    }
}

/// Which log to open.
#[derive(Debug, Clone, Copy)]
pub struct LogAsk<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Pod.
    pub pod: &'a str,
    /// Container; the only one if absent.
    pub container: Option<&'a str>,
    /// The one before the last restart.
    pub previous: bool,
    /// Go on as lines are written.
    pub follow: bool,
    /// Lines from the end at first.
    pub tail: u32,
}

/// Longest line of a log that is kept, bytes.
const LINE: usize = 8 << 10;

/// A log that is being read, line by line.
#[derive(Debug)]
pub struct LogLines {
    ask: Ask,
    body: Body,
    buffer: BytesMut,
    /// The rest of a line that was too long.
    skipping: bool,
}

impl LogLines {
    /// The next line, without control characters and bounded; `None` at the end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<String>, KubeError> {
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let taken = self.buffer.split_to(at + 1);
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Ok(Some(clean(&taken[..at])));
            }
            if self.buffer.len() > LINE {
                let taken = self.buffer.split();
                if !std::mem::replace(&mut self.skipping, true) {
                    return Ok(Some(clean(&taken[..LINE])));
                }
            }
            match next_chunk(&self.ask, &mut self.body).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() || self.skipping => return Ok(None),
                None => {
                    let rest = self.buffer.split();
                    return Ok(Some(clean(&rest)));
                }
            }
        }
    }
}

/// A line without control characters; a tab is a blank, colours are gone.
fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                // The sequence ends with its first letter.
                let _ = chars.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\t' => kept.push(' '),
            c if c.is_control() => {}
            c => kept.push(c),
        }
    }
    kept
}

/// The Deployment of the operator itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorDeployment {
    /// Identity.
    pub uid: String,
    /// Version of the object.
    pub resource_version: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Label `app.kubernetes.io/version`.
    pub version_label: Option<String>,
    /// Images of its containers.
    pub images: Vec<String>,
}

impl Projection for OperatorDeployment {
    const KIND: Kind = Kind::Deployment;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        let root = At::root(object);
        let meta = root.field("metadata")?;
        let text = |name: &str| meta.field(name).and_then(|f| f.text()).map(Option::unwrap_or_default);
        let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        let images = containers.into_iter().flatten().filter_map(|c| c.get("image").and_then(Value::as_str));
        Ok(Self {
            uid: text("uid")?,
            resource_version: text("resourceVersion")?,
            namespace: text("namespace")?,
            name: text("name")?,
            version_label: meta.field("labels")?.text_map()?.remove("app.kubernetes.io/version"),
            images: images.map(|i| line(i, 512)).collect(),
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log_lose_what_a_terminal_would_obey() {
        assert_eq!(clean(b"\x1b[31mERROR\x1b[0m\tlost\x07\r"), "ERROR lost");
        assert_eq!(clean(b"\xff\xfe plain"), "\u{fffd}\u{fffd} plain");
        assert_eq!(clean("\u{1b}[".as_bytes()), "");
    }

    #[test]
    fn init_containers_count_where_they_ask_for_more() {
        let pod = |init: &str| {
            let pod = json!({"metadata": {"uid": "p",
                    "labels": {"app": "orders", "component": "taskmanager", "type": "flink-native-kubernetes"}},
                "spec": {"nodeName": "a", "overhead": {"cpu": "50m"},
                    "initContainers": [{"resources": {"requests": {"cpu": init}}}],
                    "containers": [{"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}, {"resources": {"requests": {"cpu": "500m"}}}]}});
            PodRoom::project(&pod).unwrap()
        };
        assert_eq!(pod("100m").requested, Room { cpu: 1550, memory: 1 << 30 });
        assert_eq!(pod("4").requested.cpu, 4050);
        assert_eq!(pod("4").flink.as_deref(), Some("orders"));
    }

    #[test]
    fn only_task_managers_count_as_room_that_a_redeploy_releases() {
        let of = |labels: Value| PodRoom::project(&json!({"metadata": {"uid": "p", "labels": labels}})).unwrap().flink;
        let labelled = |kind: &str, component: &str| json!({"app": "orders", "component": component, "type": kind});
        assert_eq!(of(labelled("flink-native-kubernetes", "taskmanager")).as_deref(), Some("orders"));
        assert_eq!(of(labelled("flink-standalone-kubernetes", "taskmanager")).as_deref(), Some("orders"));
        assert_eq!(of(labelled("flink-native-kubernetes", "jobmanager")), None);
        assert_eq!(of(labelled("web", "taskmanager")), None);
        assert_eq!(of(json!({"app": "orders", "type": "flink-native-kubernetes"})), None);
    }

    #[test]
    fn tolerations_are_those_of_the_template_as_far_as_they_are_texts() {
        let template = json!({"spec": {"nodeSelector": {"disk": "ssd"}, "tolerations": [
            {"key": "flink", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 60},
            {"key": 5, "value": "data"}]}});
        let found = tolerations(&template);
        let of = |key: &str, exists, value: &str, effect: &str| Toleration {
            key: key.to_owned(),
            exists,
            value: value.to_owned(),
            effect: effect.to_owned(),
        };
        assert_eq!(found, [of("flink", true, "", "NoSchedule"), of("", false, "data", "")]);
        assert!(tolerations(&json!({"spec": {"tolerations": "all"}})).is_empty());
    }

    #[test]
    fn a_quota_is_read_with_its_use_and_a_scoped_one_is_none() {
        let mut quota = json!({"metadata": {"uid": "q", "name": "team", "namespace": "flink"},
            "spec": {"hard": {"requests.cpu": "10"}},
            "status": {"hard": {"requests.cpu": "10", "memory": "20Gi", "pods": "30", "secrets": "5"},
                "used": {"requests.cpu": "7500m", "pods": "12"}}});
        let rows = Quota::project(&quota).unwrap().rows;
        let seen: Vec<_> = rows.iter().map(|r| (r.resource.as_str(), r.hard, r.used)).collect();
        assert_eq!(seen, [("requests.memory", 20 << 30, 0), ("pods", 30, 12), ("requests.cpu", 10_000, 7_500)]);
        quota["spec"]["scopes"] = json!(["BestEffort"]);
        assert!(Quota::project(&quota).unwrap().rows.is_empty());
    }
}
