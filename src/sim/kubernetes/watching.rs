//! Watches: an endless answer of one JSON document a line.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::ApiServer;
use super::failure::Failure;
use super::kinds::Kind;
use super::routes::Asked;
use super::selector::Selector;
use super::store::Change;
use super::table::{Include, table};
use crate::sim::fault::Fault;

/// Time between bookmarks. The real server's is about a minute; clients must not depend on it.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How often a quiet watch looks whether a fault has come.
const LOOK: Duration = Duration::from_millis(500);
/// Longest watch if the client does not say.
const LONGEST: u64 = 1_800;

struct Watching {
    server: ApiServer,
    kind: Kind,
    namespace: String,
    selector: Selector,
    include: Option<Include>,
    bookmarks: bool,
    cursor: u64,
    /// Lines that go out before anything else.
    first: VecDeque<String>,
    /// Not yet told the columns.
    columns: bool,
    opened: i64,
    until: Instant,
    next_bookmark: Instant,
    changed: watch::Receiver<u64>,
    over: bool,
}

/// Opens a watch.
pub(super) fn watch(server: ApiServer, kind: Kind, namespace: &str, asked: &Asked) -> Result<Response<Body>, Failure> {
    let selector = Selector::parse(asked.parameter("labelSelector"), asked.parameter("fieldSelector"))?;
    let from = match asked.parameter("resourceVersion") {
        "" | "0" => None,
        text => {
            Some(text.parse::<u64>().map_err(|_| Failure::bad_request(format!("invalid resource version {text:?}")))?)
        }
    };
    let initial = asked.flag("sendInitialEvents");
    if initial && asked.parameter("resourceVersionMatch") != "NotOlderThan" {
        let mut failure = Failure::bad_request(
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
        (failure.code, failure.reason) = (422, "Invalid");
        return Err(failure);
    }
    let seconds = asked.parameter("timeoutSeconds").parse::<u64>().ok().filter(|s| *s > 0).unwrap_or(LONGEST);
    let begun = Instant::now();
    let mut watching = Watching {
        changed: server.changes(),
        opened: server.world().now(),
        kind,
        namespace: namespace.to_owned(),
        selector,
        include: asked.wants_table().then(|| Include::parse(asked.parameter("includeObject"))),
        bookmarks: asked.flag("allowWatchBookmarks"),
        cursor: 0,
        first: VecDeque::new(),
        columns: true,
        until: begun + Duration::from_secs(seconds.min(LONGEST)),
        next_bookmark: begun + BOOKMARKS,
        over: false,
        server,
    };
    watching.begin(from, initial);
    let stream = futures::stream::unfold(watching, |mut watching| async {
        let item = watching.next().await?;
        Some((item, watching))
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Watching {
    /// Without a version, or when asked for, what exists comes first.
    fn begin(&mut self, from: Option<u64>, initial: bool) {
        let server = self.server.clone();
        if let (Some(from), false) = (from, initial) {
            self.cursor = from;
            let oldest = server.with_store(|store, _| store.oldest());
            if from < oldest {
                // As the real server does: the watch is opened, and all it says is that it cannot go on.
                let line = self.refuse(&Failure::expired(from, oldest));
                self.first.push_back(String::from_utf8_lossy(&line).into_owned());
            }
            return;
        }
        let (objects, version) = server.with_store(|store, _| {
            let objects: Vec<_> = store.list(self.kind, &self.namespace).map(|(_, o)| o.clone()).collect();
            (objects, store.version())
        });
        for object in objects {
            if self.selector.matches(&object) {
                let line = self.event("ADDED", &object);
                self.first.push_back(line);
            }
        }
        self.cursor = version;
        if initial && self.bookmarks {
            let line = self.bookmark(true);
            self.first.push_back(line);
        }
    }

    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        loop {
            if self.over {
                let last: String = self.first.drain(..).collect();
                return (!last.is_empty()).then(|| Ok(last.into()));
            }
            match self.fault() {
                Some(Fault::ApiGone) => {
                    self.over = true;
                    return Some(Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
                }
                Some(Fault::WatchExpired) => {
                    return Some(Ok(self.refuse(&Failure::expired(self.cursor, self.cursor + 1))));
                }
                Some(_) => return None,
                None => {}
            }
            // A slow server is slow with events too; a watch that ended meanwhile is noticed above.
            if self.slow() {
                tokio::time::sleep(LOOK).await;
                if Instant::now() < self.until {
                    continue;
                }
            }
            if !self.first.is_empty() {
                return Some(Ok(self.first.drain(..).collect::<String>().into()));
            }
            match self.news() {
                Ok(lines) if lines.is_empty() => {}
                Ok(lines) => return Some(Ok(lines.into())),
                Err(failure) => return Some(Ok(self.refuse(&failure))),
            }
            let now = Instant::now();
            if now >= self.until {
                return None;
            }
            if self.bookmarks && now >= self.next_bookmark {
                self.next_bookmark = now + BOOKMARKS;
                return Some(Ok(self.bookmark(false).into()));
            }
            let wake = self.until.min(now + LOOK);
            tokio::select! {
                changed = self.changed.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// A fault that began after this watch did.
    fn fault(&self) -> Option<Fault> {
        let now = self.server.world().now();
        let (fault, from) = self.server.world().with(|world| {
            let faults = world.faults().all().iter().filter(|f| f.from > self.opened && f.from <= now);
            faults
                .map(|f| (f.fault.clone(), f.from))
                .find(|(f, _)| matches!(f, Fault::ApiGone | Fault::WatchDropped | Fault::WatchExpired))
        })?;
        if fault == Fault::WatchExpired {
            self.server.compact_for(from);
        }
        Some(fault)
    }

    fn slow(&self) -> bool {
        self.server.world().with(|world| world.faults().acting().any(|f| matches!(f, Fault::ApiSlow { .. })))
    }

    fn refuse(&mut self, failure: &Failure) -> Bytes {
        self.over = true;
        format!("{}\n", json!({"type": "ERROR", "object": failure.status()})).into()
    }

    /// Lines for everything that changed since the cursor.
    fn news(&mut self) -> Result<String, Failure> {
        let server = self.server.clone();
        let mine =
            |c: &&Change| c.key.kind == self.kind && (self.namespace.is_empty() || c.key.namespace == self.namespace);
        let (changes, version): (Vec<Change>, u64) = server.with_store(|store, _| {
            let changes = match store.following(self.cursor) {
                Some(changes) => changes.filter(mine).cloned().collect(),
                None => return Err(Failure::expired(self.cursor, store.oldest())),
            };
            Ok((changes, store.version()))
        })?;
        self.cursor = self.cursor.max(version);
        let mut lines = String::new();
        for change in changes {
            // An object that begins or ceases to be selected is added or deleted for this watch.
            let was = change.before.as_deref().is_some_and(|o| self.selector.matches(o));
            let is = !change.removed && self.selector.matches(&change.after);
            let word = match (was, is) {
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
                (false, false) => continue,
            };
            lines.push_str(&self.event(word, &change.after));
        }
        Ok(lines)
    }

    fn event(&mut self, word: &str, object: &Value) -> String {
        let object = match self.include {
            None => object.clone(),
            Some(include) => {
                let meta = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let mut table = table(self.kind, [object].into_iter(), meta, include, self.server.world().now());
                if !std::mem::take(&mut self.columns) {
                    table["columnDefinitions"] = Value::Null;
                }
                table
            }
        };
        format!("{}\n", json!({"type": word, "object": object}))
    }

    fn bookmark(&self, end_of_initial: bool) -> String {
        let mut meta = json!({"resourceVersion": self.cursor.to_string()});
        if end_of_initial {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": self.kind.info().name, "apiVersion": self.kind.api_version(), "metadata": meta});
        format!("{}\n", json!({"type": "BOOKMARK", "object": object}))
    }
}
