//! Watches: a collection of rows that stays current, with every loss of contact said as data.
//!
//! [`run`] lists once, watches from there, resumes where a watch ended, and lists again only when the server has forgotten the version
//! (410). What it finds out goes through a channel as [`Update`]s; [`Collection`] folds them. A relist replaces the rows in one step, so
//! nothing flickers; while contact is lost the last good rows stay.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::domain::Timestamp;

use super::client::{Ask, KubeClient, get, next_chunk, refusal};
use super::error::KubeError;
use super::objects::{Broken, Projection, Scope, project, uid_of};

/// What a watch found out.
#[derive(Debug, Clone, PartialEq)]
pub enum Update<R> {
    /// The whole collection; replaces everything known.
    Listed {
        /// The rows.
        rows: Vec<R>,
        /// Objects that cannot be read.
        broken: Vec<Broken>,
    },
    /// An object was added or changed.
    Applied(R),
    /// An object was added or changed and cannot be read.
    Broken(Broken),
    /// An object is gone.
    Deleted {
        /// Its uid.
        uid: String,
    },
    /// Contact: what is known is current.
    Current,
    /// No contact: what is known may be old.
    Lost {
        /// Why.
        error: KubeError,
        /// Attempts that failed in a row.
        attempt: u32,
        /// When the next one is made.
        next_attempt_at: Timestamp,
    },
}

/// How contact with the source of a collection stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Contact {
    /// No answer yet.
    #[default]
    Connecting,
    /// Watching.
    Live,
    /// Lost.
    Lost {
        /// Since when.
        since: Timestamp,
        /// Why.
        error: KubeError,
        /// Attempts that failed in a row.
        attempt: u32,
        /// When the next one is made.
        next_attempt_at: Timestamp,
    },
}

/// The rows of one watch.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection<R> {
    /// Rows by uid. A row whose version did not change stays the same `Arc`.
    pub rows: BTreeMap<String, Arc<R>>,
    /// Objects that cannot be read, by uid.
    pub broken: BTreeMap<String, Broken>,
    /// A first list has arrived.
    pub loaded: bool,
    /// Contact.
    pub contact: Contact,
    /// When the rows were last known to be current.
    pub current_at: Option<Timestamp>,
}

impl<R> Default for Collection<R> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            broken: BTreeMap::new(),
            loaded: false,
            contact: Contact::Connecting,
            current_at: None,
        }
    }
}

impl<R: Projection> Collection<R> {
    /// Folds an update that arrived at `at`.
    pub fn apply(&mut self, update: Update<R>, at: Timestamp) {
        match update {
            Update::Listed { rows, broken } => {
                let mut before = std::mem::take(&mut self.rows);
                self.rows = rows
                    .into_iter()
                    .map(|row| {
                        let uid = row.uid().to_owned();
                        let same = before.remove(&uid).filter(|old| old.resource_version() == row.resource_version());
                        (uid, same.unwrap_or_else(|| Arc::new(row)))
                    })
                    .collect();
                self.broken = broken.into_iter().map(|b| (b.uid.clone(), b)).collect();
                self.loaded = true;
                self.live(at);
            }
            Update::Applied(row) => {
                self.broken.remove(row.uid());
                self.rows.insert(row.uid().to_owned(), Arc::new(row));
                self.live(at);
            }
            Update::Broken(broken) => {
                self.rows.remove(&broken.uid);
                self.broken.insert(broken.uid.clone(), broken);
                self.live(at);
            }
            Update::Deleted { uid } => {
                self.rows.remove(&uid);
                self.broken.remove(&uid);
                self.live(at);
            }
            Update::Current => self.live(at),
            Update::Lost { error, attempt, next_attempt_at } => {
                let since = match &self.contact {
                    Contact::Lost { since, .. } => *since,
                    Contact::Connecting | Contact::Live => at,
                };
                self.contact = Contact::Lost { since, error, attempt, next_attempt_at };
            }
        }
    }

    fn live(&mut self, at: Timestamp) {
        self.contact = Contact::Live;
        self.current_at = Some(at);
    }
}

/// Watches in a row that ended at once, from which on that is a loss of contact and no accident.
const SHORT_LIVED: u32 = 3;

/// Why a session ended.
enum End {
    /// Nobody listens any more.
    Closed,
    /// The watch ended as watches do, or became silent; it goes on from the last version.
    Over { lived: Duration },
    /// The version is forgotten.
    Expired(KubeError),
    /// A request failed.
    Failed(KubeError),
}

impl From<KubeError> for End {
    fn from(error: KubeError) -> Self {
        match error {
            KubeError::Expired { .. } => Self::Expired(error),
            other => Self::Failed(other),
        }
    }
}

impl<T> From<mpsc::error::SendError<T>> for End {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self::Closed
    }
}

/// Keeps `out` informed of all `R` in `scope`, until its receiver is dropped.
///
/// `retry_now` (by `notify_waiters`) ends a pause between attempts early.
pub async fn run<R: Projection>(
    client: KubeClient,
    scope: impl Into<Scope>,
    clock: Arc<dyn Clock>,
    retry_now: Arc<Notify>,
    out: mpsc::Sender<Update<R>>,
) {
    let watch = Watch { client, scope: scope.into(), out };
    let mut version: Option<String> = None;
    let mut attempt = 0;
    let mut expired_in_a_row = 0;
    let mut short_lived_in_a_row = 0;
    loop {
        let before = version.clone();
        let mut opened = false;
        let end = watch.session(&mut version, &mut opened).await;
        if opened {
            attempt = 0;
        }
        // Progress is a version that moved: a server that forgets every version at once must not be listed without pause.
        if opened && version.is_some() && version != before {
            expired_in_a_row = 0;
        }
        let (error, pause) = match end {
            End::Closed => return,
            End::Over { lived } => {
                let shortest = watch.client.limits().back_off.0;
                short_lived_in_a_row = if lived < shortest { short_lived_in_a_row + 1 } else { 0 };
                if short_lived_in_a_row < SHORT_LIVED {
                    (None, shortest.saturating_sub(lived))
                } else {
                    attempt = short_lived_in_a_row - SHORT_LIVED + 1;
                    let what = format!("watch {}", R::KIND.plural());
                    (Some(KubeError::Unreachable { what, why: "every watch ends at once".to_owned() }), Duration::ZERO)
                }
            }
            End::Expired(error) => {
                version = None;
                expired_in_a_row += 1;
                if expired_in_a_row == 1 {
                    (None, Duration::ZERO)
                } else {
                    attempt = expired_in_a_row - 1;
                    (Some(error), Duration::ZERO)
                }
            }
            End::Failed(error) => {
                attempt += 1;
                (Some(error), Duration::ZERO)
            }
        };
        let pause = match &error {
            Some(error) => watch.back_off(error, attempt),
            None => pause,
        };
        if let Some(error) = error {
            tracing::warn!(kind = R::KIND.plural(), attempt, "watch: {error}");
            let next_attempt_at = clock.now() + pause;
            if watch.out.send(Update::Lost { error, attempt, next_attempt_at }).await.is_err() {
                return;
            }
        }
        if !pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = retry_now.notified() => {}
                () = watch.out.closed() => return,
            }
        }
    }
}

struct Watch<R> {
    client: KubeClient,
    scope: Scope,
    out: mpsc::Sender<Update<R>>,
}

/// Objects of a collection that arrives as the beginning of a watch.
struct Initial<R> {
    rows: Vec<R>,
    broken: Vec<Broken>,
}

/// Where a watch begins.
enum Beginning<'a> {
    /// After this version.
    At(&'a str),
    /// With everything that is there (`sendInitialEvents`).
    WithAll,
}

impl<R: Projection> Watch<R> {
    /// Lists if no version is known, then watches until the watch ends. Never returns without a reason.
    async fn session(&self, version: &mut Option<String>, opened: &mut bool) -> End {
        match self.listen(version, opened).await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn listen(&self, version: &mut Option<String>, opened: &mut bool) -> Result<End, End> {
        let mut initial = None;
        let mut lines = match version.clone() {
            Some(from) => self.open(Beginning::At(&from)).await?,
            None if self.client.streams() => match self.open(Beginning::WithAll).await {
                Ok(lines) => {
                    initial = Some(Initial { rows: Vec::new(), broken: Vec::new() });
                    lines
                }
                // Servers before 1.32, and those where it is switched off, refuse the parameter.
                Err(KubeError::Refused { code: 400 | 422, .. }) => {
                    self.client.does_not_stream();
                    self.list_and_open(version).await?
                }
                Err(error) => return Err(error.into()),
            },
            None => self.list_and_open(version).await?,
        };
        *opened = true;
        let (begun, limits) = (Instant::now(), self.client.limits());
        let mut heard_at = begun;
        // A watch that may end at once is not contact yet: that is said when it has said something or lasted a moment.
        let mut ask_at = begun + limits.back_off.0.min(limits.heartbeat);
        loop {
            let line = tokio::select! {
                line = tokio::time::timeout_at(ask_at, lines.next()) => line,
                () = self.out.closed() => return Ok(End::Closed),
            };
            match line {
                Ok(Ok(Some(line))) => {
                    heard_at = Instant::now();
                    self.take(&line, version, &mut initial).await?;
                }
                // A server that ignores the parameter sends everything and never says that this was all.
                _ if initial.is_some() && begun.elapsed() >= limits.deadline => {
                    self.client.does_not_stream();
                    return Ok(End::Over { lived: begun.elapsed() });
                }
                // A cut connection is part of a watch's life: it goes on, and only a failure to go on is a loss.
                Ok(Ok(None) | Err(KubeError::Unreachable { .. })) => return Ok(End::Over { lived: begun.elapsed() }),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) if heard_at.elapsed() > limits.silence => return Ok(End::Over { lived: begun.elapsed() }),
                Err(_) => {
                    ask_at = self.client.alive().await?;
                    if initial.is_none() {
                        self.out.send(Update::Current).await?;
                    }
                }
            }
        }
    }

    async fn list_and_open(&self, version: &mut Option<String>) -> Result<Lines, End> {
        let listing = self.client.list::<R>(&self.scope).await?;
        self.out.send(Update::Listed { rows: listing.rows, broken: listing.broken }).await?;
        let from = version.insert(listing.resource_version).clone();
        Ok(self.open(Beginning::At(&from)).await?)
    }

    async fn open(&self, beginning: Beginning<'_>) -> Result<Lines, KubeError> {
        let namespace = self.scope.namespace.as_deref();
        let ask = Ask::of("watch", R::KIND, namespace, None);
        let limits = self.client.limits();
        let query = {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("watch", "true");
            query.append_pair("allowWatchBookmarks", "true");
            query.append_pair("timeoutSeconds", &limits.watch.as_secs().to_string());
            match beginning {
                Beginning::At(version) => query.append_pair("resourceVersion", version),
                Beginning::WithAll => {
                    query.append_pair("sendInitialEvents", "true");
                    query.append_pair("resourceVersionMatch", "NotOlderThan")
                }
            };
            self.scope.select(&mut query);
            query.finish()
        };
        let mut request = get(&R::KIND.path(namespace), &query)?;
        // Newer servers compress watches one member per event, which decoders of one stream do not follow.
        request.headers_mut().insert(http::header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
        let open = async {
            let (head, mut body) = self.client.open(&ask, request).await?;
            if head.status.is_success() {
                return Ok(body);
            }
            let mut whole = BytesMut::new();
            while let Some(chunk) = next_chunk(&ask, &mut body).await? {
                whole.extend_from_slice(&chunk[..chunk.len().min(64 * 1024 - whole.len().min(64 * 1024))]);
            }
            Err(refusal(&ask, head.status, &head.headers, &whole))
        };
        let body = tokio::time::timeout(limits.deadline, open)
            .await
            .unwrap_or_else(|_| Err(KubeError::Timeout { what: ask.what.clone(), after: limits.deadline }))?;
        Ok(Lines { ask, body, buffer: BytesMut::new(), searched: 0, limit: limits.event })
    }

    /// Handles one event.
    async fn take(
        &self,
        line: &[u8],
        version: &mut Option<String>,
        initial: &mut Option<Initial<R>>,
    ) -> Result<(), End> {
        let what = || format!("watch {}", R::KIND.plural());
        let event: Value = serde_json::from_slice(line)
            .map_err(|e| KubeError::Malformed { what: what(), why: format!("an event is not JSON ({e})") })?;
        let object = event.get("object").unwrap_or(&Value::Null);
        let update = match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "ADDED" | "MODIFIED" => match project::<R>(object) {
                Ok(row) => Update::Applied(row),
                Err(broken) => Update::Broken(*broken),
            },
            "DELETED" => match uid_of(object) {
                Ok(uid) => Update::Deleted { uid },
                Err(wrong) => return Err(KubeError::malformed(&what(), &wrong).into()),
            },
            "BOOKMARK" if ends_initial(object) => match initial.take() {
                Some(Initial { rows, broken }) => Update::Listed { rows, broken },
                None => Update::Current,
            },
            "BOOKMARK" => Update::Current,
            "ERROR" => {
                let code =
                    object.get("code").and_then(Value::as_u64).and_then(|c| u16::try_from(c).ok()).unwrap_or(500);
                let status = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
                let ask = Ask::of("watch", R::KIND, self.scope.namespace.as_deref(), None);
                return Err(refusal(&ask, status, &http::HeaderMap::new(), object.to_string().as_bytes()).into());
            }
            // A type of event that is not known here tells nothing about the rows.
            _ => Update::Current,
        };
        // Half of a beginning is nothing to go on from.
        if initial.is_none()
            && let Some(seen) = object.get("metadata").and_then(|m| m.get("resourceVersion")).and_then(Value::as_str)
        {
            *version = Some(seen.to_owned());
        }
        // Until everything has arrived nothing is told, and what was known stays.
        if let Some(initial) = initial {
            match update {
                Update::Applied(row) => initial.rows.push(row),
                Update::Broken(broken) => initial.broken.push(broken),
                Update::Deleted { uid } => initial.rows.retain(|row| row.uid() != uid),
                Update::Listed { .. } | Update::Current | Update::Lost { .. } => {}
            }
            return Ok(());
        }
        self.out.send(update).await?;
        Ok(())
    }

    /// Doubles from the first pause to the longest, spread by up to a fifth so that many watches do not come back together; what the
    /// server asks for is a minimum; what nobody but a person can mend waits longest.
    fn back_off(&self, error: &KubeError, attempt: u32) -> Duration {
        let (first, longest) = self.client.limits().back_off;
        let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(longest);
        let base = match error {
            KubeError::TooManyRequests { retry_after: Some(asked), .. } => {
                doubled.max((*asked).min(Duration::from_secs(300)))
            }
            KubeError::Forbidden { .. } | KubeError::Unauthorized { .. } | KubeError::NotFound { .. } => longest,
            _ => doubled,
        };
        let mut hasher = DefaultHasher::new();
        (R::KIND, &self.scope, attempt).hash(&mut hasher);
        let spread = u32::try_from(hasher.finish() % 200).unwrap_or_default();
        base + base * spread / 1000
    }
}

/// This bookmark says that everything that was there has been sent.
fn ends_initial(object: &Value) -> bool {
    object.pointer("/metadata/annotations/k8s.io~1initial-events-end").and_then(Value::as_str) == Some("true")
}

/// Lines of a body, each at most `limit` bytes.
struct Lines {
    ask: Ask,
    body: Body,
    buffer: BytesMut,
    searched: usize,
    limit: usize,
}

impl Lines {
    /// The next line; `None` at the end of the body. Cancel safe: what was read stays in the buffer.
    async fn next(&mut self) -> Result<Option<BytesMut>, KubeError> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|b| *b == b'\n') {
                let mut line = self.buffer.split_to(self.searched + at + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.limit {
                return Err(KubeError::TooLarge { what: self.ask.what.clone(), limit: self.limit });
            }
            match next_chunk(&self.ask, &mut self.body).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
