//! One bounded, dead-lined request path to the API server, and the few calls made through it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::{AuthError, Body};
use serde_json::Value;
use tokio::time::Instant;

use super::error::KubeError;
use super::json::{At, WrongShape};
use super::objects::{Broken, Kind, Projection, ResourceRef, Scope, project};

/// What every call keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest time for a call, body included.
    pub deadline: Duration,
    /// Longest body, bytes.
    pub body: usize,
    /// Longest watch event, bytes.
    pub event: usize,
    /// Objects per page of a list.
    pub page: u32,
    /// How long the server is asked to keep a watch open.
    pub watch: Duration,
    /// A watch that says nothing for so long is taken for dead: longer than the server's bookmarks, which come about every minute.
    pub silence: Duration,
    /// While the server answers nothing for so long, it is asked whether it is alive.
    pub heartbeat: Duration,
    /// Longest wait for that answer.
    pub heartbeat_deadline: Duration,
    /// First and longest pause between attempts of a watch.
    pub back_off: (Duration, Duration),
    /// Collections are read as the beginning of a watch where the server does that, object by object; else in pages.
    pub streaming: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(15),
            body: 64 << 20,
            event: 8 << 20,
            page: 500,
            watch: Duration::from_secs(290),
            silence: Duration::from_secs(130),
            heartbeat: Duration::from_secs(6),
            heartbeat_deadline: Duration::from_secs(6),
            back_off: (Duration::from_secs(1), Duration::from_secs(30)),
            streaming: true,
        }
    }
}

/// Who writes: the name in `managedFields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldManager;

impl FieldManager {
    /// Flightdeck's name.
    pub const NAME: &'static str = "flightdeck";
}

/// Whether a write is for real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Server-side dry run: admission runs, nothing is stored.
    DryRun,
    /// The object is changed.
    Real,
}

impl WriteMode {
    /// What it adds to a query.
    pub(super) fn query(self) -> &'static str {
        match self {
            Self::DryRun => "&dryRun=All",
            Self::Real => "",
        }
    }
}

/// Which of the operator's kinds the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// FlinkDeployment.
    pub deployments: bool,
    /// FlinkSessionJob.
    pub session_jobs: bool,
    /// FlinkStateSnapshot (operator ≥ 1.10).
    pub state_snapshots: bool,
    /// FlinkBlueGreenDeployment (operator ≥ 1.14).
    pub blue_green: bool,
    /// VerticalPodAutoscaler, which is no kind of the operator: it may scale the same pods.
    pub vertical_pod_autoscalers: bool,
}

impl Features {
    /// The kind is known to the server; Kubernetes' own kinds always are.
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::FlinkDeployment => self.deployments,
            Kind::FlinkSessionJob => self.session_jobs,
            Kind::FlinkStateSnapshot => self.state_snapshots,
            Kind::FlinkBlueGreenDeployment => self.blue_green,
            Kind::VerticalPodAutoscaler => self.vertical_pod_autoscalers,
            Kind::Pod
            | Kind::Deployment
            | Kind::ConfigMap
            | Kind::Event
            | Kind::Node
            | Kind::ResourceQuota
            | Kind::HorizontalPodAutoscaler => true,
        }
    }
}

/// A whole collection at one version.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listing<R> {
    pub(super) rows: Vec<R>,
    pub(super) broken: Vec<Broken>,
    pub(super) resource_version: String,
}

/// The data of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigMap {
    /// Keys and values as stored.
    pub data: BTreeMap<String, String>,
    /// Its version.
    pub resource_version: String,
    /// Kind and name of each owner.
    pub owners: Vec<(String, String)>,
}

/// What is asked, in words for errors and in RBAC's terms.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) what: String,
    pub(super) verb: &'static str,
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
}

impl Ask {
    pub(super) fn of(verb: &'static str, kind: Kind, namespace: Option<&str>, name: Option<&str>) -> Self {
        let place = match (namespace, name) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
            (Some(namespace), None) => format!("in namespace {namespace}"),
            (None, _) => "in all namespaces".to_owned(),
        };
        Self {
            what: format!("{verb} {} {place}", kind.plural()),
            verb,
            resource: kind.resource(),
            namespace: namespace.map(str::to_owned),
        }
    }
}

/// A connection to one API server. Cheap to clone.
#[derive(Clone)]
pub struct KubeClient {
    inner: Arc<Inner>,
}

struct Inner {
    client: kube::Client,
    address: String,
    limits: Limits,
    last_answer: Mutex<Option<Instant>>,
    /// When it was last asked whether it is alive and was found not to be, and why.
    heartbeat: tokio::sync::Mutex<Option<(Instant, KubeError)>>,
    /// The server sends initial events; it is asked for them until it refuses.
    streams: AtomicBool,
}

impl fmt::Debug for KubeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeClient").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

impl KubeClient {
    pub(super) fn new(client: kube::Client, address: String, limits: Limits) -> Self {
        let (last_answer, heartbeat) = (Mutex::new(None), tokio::sync::Mutex::new(None));
        let streams = AtomicBool::new(limits.streaming);
        Self { inner: Arc::new(Inner { client, address, limits, last_answer, heartbeat, streams }) }
    }

    /// A client of an API server that is a service in this process. Must be called inside a tokio runtime.
    pub fn from_service<S, B>(service: S, address: impl Into<String>, limits: Limits) -> Self
    where
        S: tower::Service<Request<Body>, Response = http::Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<tower::BoxError>,
        B: BodyExt<Data = Bytes> + Send + 'static,
        B::Error: Into<tower::BoxError>,
    {
        Self::new(kube::Client::new(service, "default"), address.into(), limits)
    }

    /// The address of the API server, without credentials.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// What every call keeps to.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The version of the API server, e.g. `v1.33.1`. Also the cheapest question whether it is alive.
    ///
    /// # Errors
    /// As any call.
    pub async fn version(&self) -> Result<String, KubeError> {
        let ask = Ask {
            what: "ask for the version".to_owned(),
            verb: "get",
            resource: "/version".to_owned(),
            namespace: None,
        };
        let document = self.json(&ask, get("/version", "")?).await?;
        At::root(&document)
            .field("gitVersion")
            .and_then(|v| v.text())
            .map(Option::unwrap_or_default)
            .map_err(|wrong| KubeError::malformed(&ask.what, &wrong))
    }

    /// Makes sure that the server answers: asks it if it has not answered anything within [`Limits::heartbeat`]. Gives the moment from
    /// which on it is to be asked again. What an open watch tells is no answer: a server that refuses everything new may still tell.
    ///
    /// Concurrent callers share one question and its outcome. A failure that came at once is tried a second time.
    ///
    /// # Errors
    /// The server does not answer in time, fails by itself, or does not know these credentials any more. Any other refusal is an answer.
    pub async fn alive(&self) -> Result<Instant, KubeError> {
        let begun = Instant::now();
        let mut failed = self.inner.heartbeat.lock().await;
        if let Some((_, error)) = failed.as_ref().filter(|(at, _)| *at >= begun) {
            return Err(error.clone());
        }
        let limits = &self.inner.limits;
        let due = |answered: Option<Instant>| answered.map(|at| at + limits.heartbeat);
        if let Some(due) = due(self.last_answer()).filter(|due| *due > Instant::now()) {
            return Ok(due);
        }
        let mut answer = self.ask_whether_alive().await;
        if matches!(answer, Err(KubeError::Unreachable { .. } | KubeError::ServerError { .. })) {
            tokio::time::sleep(limits.back_off.0).await;
            answer = self.ask_whether_alive().await;
        }
        *failed = answer.as_ref().err().map(|error| (Instant::now(), error.clone()));
        answer.map(|()| due(self.last_answer()).unwrap_or_else(Instant::now))
    }

    async fn ask_whether_alive(&self) -> Result<(), KubeError> {
        let ask = Ask {
            what: "ask whether it is alive".to_owned(),
            verb: "get",
            resource: "/version".to_owned(),
            namespace: None,
        };
        let within = self.inner.limits.heartbeat_deadline;
        let (status, headers, body) = self.call(&ask, get("/version", "")?, within, 1 << 20).await?;
        match status.as_u16() {
            401 | 500.. => Err(refusal(&ask, status, &headers, &body)),
            _ => Ok(()),
        }
    }

    /// Lists arrive as the beginning of a watch (`sendInitialEvents`), as far as this server was found to do so.
    pub(super) fn streams(&self) -> bool {
        self.inner.streams.load(Ordering::Relaxed)
    }

    /// The server does not send initial events: it is not asked again.
    pub(super) fn does_not_stream(&self) {
        self.inner.streams.store(false, Ordering::Relaxed);
    }

    fn last_answer(&self) -> Option<Instant> {
        *self.inner.last_answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) {
        *self.inner.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Which of the operator's kinds the server knows; none if the operator's resource definitions are not installed.
    ///
    /// # Errors
    /// As any call.
    pub async fn features(&self) -> Result<Features, KubeError> {
        let names = self.kinds_of(Kind::GROUP, Kind::VERSION).await?;
        if names.is_empty() {
            return Ok(Features::default());
        }
        // Nobody is worse off without this answer.
        let vertical = self.kinds_of("autoscaling.k8s.io", "v1").await.unwrap_or_default();
        let has = |plural: &str| names.iter().any(|n| n == plural);
        Ok(Features {
            deployments: has(Kind::FlinkDeployment.plural()),
            session_jobs: has(Kind::FlinkSessionJob.plural()),
            state_snapshots: has("flinkstatesnapshots"),
            blue_green: has("flinkbluegreendeployments"),
            vertical_pod_autoscalers: vertical.iter().any(|name| name == Kind::VerticalPodAutoscaler.plural()),
        })
    }

    /// The plural names of a group's kinds; none if the server does not know the group.
    async fn kinds_of(&self, group: &str, version: &str) -> Result<Vec<String>, KubeError> {
        let path = format!("/apis/{group}/{version}");
        let what = format!("ask which kinds of {group} exist");
        let ask = Ask { what, verb: "get", resource: path.clone(), namespace: None };
        match self.json(&ask, get(&path, "")?).await {
            Err(KubeError::NotFound { .. }) => Ok(Vec::new()),
            Ok(document) => names_of(&document).map_err(|wrong| KubeError::malformed(&ask.what, &wrong)),
            Err(error) => Err(error),
        }
    }

    /// Reads one object.
    ///
    /// # Errors
    /// [`KubeError::NotFound`] if it does not exist, else as any call.
    pub async fn get<R: Projection>(&self, namespace: &str, name: &str) -> Result<R, KubeError> {
        let reference = ResourceRef { kind: R::KIND, namespace: namespace.to_owned(), name: name.to_owned() };
        let ask = Ask::of("get", R::KIND, Some(namespace), Some(name));
        let object = self.json(&ask, get(&reference.path(), "")?).await?;
        R::project(&object).map_err(|wrong| KubeError::malformed(&ask.what, &wrong))
    }

    /// Lists a collection in pages. A page that came too late starts the list again, once and in one piece.
    pub(super) async fn list<R: Projection>(&self, scope: &Scope) -> Result<Listing<R>, KubeError> {
        match self.list_paged(scope, Some(self.inner.limits.page)).await {
            Err(KubeError::Expired { .. }) => self.list_paged(scope, None).await,
            other => other,
        }
    }

    /// Reads a collection once: its rows, and the objects that could not be read.
    ///
    /// # Errors
    /// As any call.
    pub async fn list_rows<R: Projection>(&self, scope: &Scope) -> Result<(Vec<R>, Vec<Broken>), KubeError> {
        self.list(scope).await.map(|listing| (listing.rows, listing.broken))
    }

    async fn list_paged<R: Projection>(&self, scope: &Scope, page: Option<u32>) -> Result<Listing<R>, KubeError> {
        let namespace = scope.namespace.as_deref();
        let ask = Ask::of("list", R::KIND, namespace, None);
        let mut listing = Listing { rows: Vec::new(), broken: Vec::new(), resource_version: String::new() };
        let mut token = String::new();
        loop {
            // The serializer is not Send: it must be gone before the await.
            let query = {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                scope.select(&mut query);
                if let Some(page) = page {
                    query.append_pair("limit", &page.to_string());
                }
                if !token.is_empty() {
                    query.append_pair("continue", &token);
                }
                query.finish()
            };
            let document = self.json(&ask, get(&R::KIND.path(namespace), &query)?).await?;
            let (items, version, next) = page_of(&document).map_err(|wrong| KubeError::malformed(&ask.what, &wrong))?;
            for item in items {
                match project(item) {
                    Ok(row) => listing.rows.push(row),
                    Err(broken) => listing.broken.push(*broken),
                }
            }
            listing.resource_version = version;
            if next.is_empty() {
                return Ok(listing);
            }
            token = next;
        }
    }

    /// Sends a merge patch as field manager `flightdeck` and returns the object as the server has it afterwards.
    ///
    /// A patch that carries `metadata.resourceVersion` is applied only to that version.
    ///
    /// # Errors
    /// [`KubeError::Conflict`] if the object has another version by now, [`KubeError::Refused`] if admission denies it, else as any
    /// call.
    pub async fn merge_patch<R: Projection>(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
        mode: WriteMode,
    ) -> Result<R, KubeError> {
        let reference = ResourceRef { kind: R::KIND, namespace: namespace.to_owned(), name: name.to_owned() };
        let ask = Ask::of("patch", R::KIND, Some(namespace), Some(name));
        let object = self.merge_patch_document(&reference, patch, mode).await?;
        R::project(&object).map_err(|wrong| KubeError::malformed(&ask.what, &wrong))
    }

    /// Reads a ConfigMap; `None` if there is none.
    ///
    /// # Errors
    /// As any call.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<ConfigMap>, KubeError> {
        let ask = Ask {
            what: format!("get configmaps {namespace}/{name}"),
            verb: "get",
            resource: "configmaps".to_owned(),
            namespace: Some(namespace.to_owned()),
        };
        let document =
            match self.json(&ask, get(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}"), "")?).await {
                Err(KubeError::NotFound { .. }) => return Ok(None),
                other => other?,
            };
        config_map(&document).map(Some).map_err(|wrong| KubeError::malformed(&ask.what, &wrong))
    }

    /// The ConfigMap in which the operator keeps the autoscaler's state of a resource (`operator.md` §7.4). Its name is shared by a
    /// FlinkDeployment and a FlinkSessionJob of the same name: one that belongs to the other kind counts as none.
    ///
    /// # Errors
    /// As any call.
    pub async fn autoscaler_config_map(&self, of: &ResourceRef) -> Result<Option<ConfigMap>, KubeError> {
        let found = self.config_map(&of.namespace, &format!("autoscaler-{}", of.name)).await?;
        Ok(found.filter(|map| map.owners.is_empty() || map.owners.iter().any(|(kind, _)| kind == of.kind.name())))
    }

    /// A call whose answer is a JSON document.
    pub(super) async fn json(&self, ask: &Ask, request: Request<Bytes>) -> Result<Value, KubeError> {
        let limits = &self.inner.limits;
        let (status, headers, body) = self.call(ask, request, limits.deadline, limits.body).await?;
        if !status.is_success() {
            return Err(refusal(ask, status, &headers, &body));
        }
        serde_json::from_slice(&body).map_err(|e| KubeError::Malformed {
            what: ask.what.clone(),
            why: format!("not JSON ({e}); is a login page or a proxy in between?"),
        })
    }

    /// A call with its whole, bounded body, whatever the status.
    pub(super) async fn call(
        &self,
        ask: &Ask,
        request: Request<Bytes>,
        within: Duration,
        limit: usize,
    ) -> Result<(StatusCode, HeaderMap, Bytes), KubeError> {
        let whole = async {
            let (head, mut body) = self.open(ask, request).await?;
            let mut whole = BytesMut::new();
            while let Some(chunk) = next_chunk(ask, &mut body).await? {
                if whole.len() + chunk.len() > limit {
                    return Err(KubeError::TooLarge { what: ask.what.clone(), limit });
                }
                whole.extend_from_slice(&chunk);
            }
            Ok((head.status, head.headers, whole.freeze()))
        };
        tokio::time::timeout(within, whole)
            .await
            .unwrap_or_else(|_| Err(KubeError::Timeout { what: ask.what.clone(), after: within }))
    }

    /// A call up to the head of its answer; the caller bounds time and body.
    pub(super) async fn open(
        &self,
        ask: &Ask,
        request: Request<Bytes>,
    ) -> Result<(http::response::Parts, Body), KubeError> {
        let answer = self.inner.client.send(request.map(Body::from)).await.map_err(|e| unreachable(ask, &e))?;
        // A server that answers with its own failure is not well, and one that does not know us tells us nothing more: the next
        // question is due then.
        if !answer.status().is_server_error() && answer.status() != StatusCode::UNAUTHORIZED {
            self.heard();
        }
        Ok(answer.into_parts())
    }
}

/// The next chunk of a body.
pub(super) async fn next_chunk(ask: &Ask, body: &mut Body) -> Result<Option<Bytes>, KubeError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| KubeError::Unreachable { what: ask.what.clone(), why: chain(&e) })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A GET request.
pub(super) fn get(path: &str, query: &str) -> Result<Request<Bytes>, KubeError> {
    let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    Request::builder()
        .uri(&uri)
        .header(header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|e| KubeError::Malformed { what: format!("GET {path}"), why: format!("not a valid address ({e})") })
}

pub(super) fn invalid(ask: &Ask, e: &http::Error) -> KubeError {
    KubeError::Malformed { what: ask.what.clone(), why: format!("not a valid request ({e})") }
}

/// The error for an answer that is not a success.
pub(super) fn refusal(ask: &Ask, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> KubeError {
    let document: Option<Value> = serde_json::from_slice(body).ok();
    let text = |name: &str| {
        document
            .as_ref()
            .and_then(|d| d.get(name))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .chars()
            .take(2048)
            .collect::<String>()
    };
    let mut message = text("message");
    if message.is_empty() {
        message = String::from_utf8_lossy(body).chars().take(200).collect();
    }
    let what = ask.what.clone();
    let reason = text("reason");
    match status.as_u16() {
        401 => KubeError::Unauthorized { what, message },
        // Admission and quotas answer 403 too; only authorization speaks of what a user cannot do.
        403 if message.contains("admission webhook") || message.contains("exceeded quota") => {
            KubeError::Refused { what, code: 403, reason, message }
        }
        403 => KubeError::Forbidden {
            verb: ask.verb.to_owned(),
            resource: ask.resource.clone(),
            namespace: ask.namespace.clone(),
            message,
        },
        404 => KubeError::NotFound { what, message },
        409 => KubeError::Conflict { what, message },
        410 => KubeError::Expired { what, message },
        429 => {
            let from_header =
                headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
            let from_body = document
                .as_ref()
                .and_then(|d| d.get("details"))
                .and_then(|d| d.get("retryAfterSeconds"))
                .and_then(Value::as_u64);
            KubeError::TooManyRequests {
                what,
                retry_after: from_header.or(from_body).map(Duration::from_secs),
                message,
            }
        }
        code @ 500.. => KubeError::ServerError { what, code, message },
        code => KubeError::Refused { what, code, reason, message },
    }
}

/// The error for a request that got no answer. Never shows what an authentication plugin printed on its standard output.
fn unreachable(ask: &Ask, e: &kube::Error) -> KubeError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(e);
    while let Some(current) = cause {
        if let Some(auth) = current.downcast_ref::<AuthError>() {
            return KubeError::Unauthorized { what: ask.what.clone(), message: auth_sentence(auth) };
        }
        cause = current.source();
    }
    KubeError::Unreachable { what: ask.what.clone(), why: chain(e) }
}

pub(super) fn auth_sentence(e: &AuthError) -> String {
    match e {
        AuthError::AuthExecRun { cmd, out } => {
            let said: String = String::from_utf8_lossy(&out.stderr).trim().chars().take(400).collect();
            let program = cmd.split_whitespace().next().unwrap_or_default();
            format!("the login program {program:?} failed with {}: {said}", out.status)
        }
        AuthError::AuthExecParse(_) => "the login program did not print valid credentials".to_owned(),
        AuthError::AuthExecStart(e) => format!("the login program cannot be started: {e}"),
        AuthError::ReadTokenFile(e, path) => format!("the token file {} cannot be read: {e}", path.display()),
        _ => "the credentials of this context cannot be used".to_owned(),
    }
}

/// An error with its causes in one line, bounded, each sentence once.
pub(super) fn chain(e: &(dyn std::error::Error + 'static)) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(current) = cause {
        let more = current.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = current.source();
    }
    text.chars().take(500).collect()
}

fn names_of(document: &Value) -> Result<Vec<String>, WrongShape> {
    let root = At::root(document);
    let resources = root.field("resources")?;
    let names = resources.items()?.iter().filter_map(|r| r.get("name")).filter_map(Value::as_str);
    Ok(names.map(str::to_owned).collect())
}

pub(super) fn page_of(document: &Value) -> Result<(&[Value], String, String), WrongShape> {
    let root = At::root(document);
    let items = match document.get("items") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(items)) => items.as_slice(),
        Some(_) => return Err(root.field("items")?.wrong("a list")),
    };
    let meta = root.field("metadata")?;
    let version = meta.field("resourceVersion")?;
    let version = version.text()?.ok_or_else(|| version.wrong("a resourceVersion"))?;
    let token = meta.field("continue")?.text()?.unwrap_or_default();
    Ok((items, version, token))
}

fn config_map(document: &Value) -> Result<ConfigMap, WrongShape> {
    let root = At::root(document);
    let meta = root.field("metadata")?;
    let owner_references = meta.field("ownerReferences")?;
    let owners = owner_references
        .items()?
        .iter()
        .map(|o| {
            let text = |name: &str| o.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            (text("kind"), text("name"))
        })
        .collect();
    Ok(ConfigMap {
        data: root.field("data")?.text_map()?,
        resource_version: meta.field("resourceVersion")?.text()?.unwrap_or_default(),
        owners,
    })
}
