//! Watches: an endless answer of one JSON document a line.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::ApiServer;
use super::asked::{Asked, Form};
use super::failure::Failure;
use super::listing::{invalid, version};
use super::requests::Target;
use super::selector::Selector;
use super::store::Change;
use super::table::{partial, table};
use crate::sim::fault::Fault;

/// Time between bookmarks. The real server's is about a minute; clients must not depend on it.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How often a quiet watch looks whether a fault has come.
const LOOK: Duration = Duration::from_millis(500);
/// Longest watch if the client does not say.
const LONGEST: u64 = 1_800;

struct Watching {
    server: ApiServer,
    target: Target,
    selector: Selector,
    form: Form,
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
pub(super) fn watch(server: ApiServer, target: &Target, asked: &Asked) -> Result<Response<Body>, Failure> {
    let selector = Selector::of(target.kind, asked)?;
    let from = version(asked.parameter("resourceVersion"))?.filter(|v| *v > 0);
    let matching = asked.parameter("resourceVersionMatch");
    let initial = match asked.parameter("sendInitialEvents") {
        "" if !matching.is_empty() => {
            return Err(invalid(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        "" => false,
        _ if matching != "NotOlderThan" => {
            return Err(invalid(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        word => matches!(word, "true" | "1"),
    };
    let seconds = asked.parameter("timeoutSeconds").parse::<u64>().ok().filter(|s| *s > 0).unwrap_or(LONGEST);
    let begun = Instant::now();
    let mut watching = Watching {
        changed: server.changes(),
        opened: server.world().now(),
        target: target.clone(),
        selector,
        form: asked.form()?,
        bookmarks: asked.flag("allowWatchBookmarks"),
        cursor: 0,
        first: VecDeque::new(),
        columns: true,
        until: begun + Duration::from_secs(seconds.min(LONGEST)),
        next_bookmark: begun + BOOKMARKS,
        over: false,
        server,
    };
    let without = asked.parameter("sendInitialEvents") == "false";
    watching.begin(from, initial, without);
    let stream = futures::stream::unfold(watching, |mut watching| async {
        let item = watching.next().await?;
        Some((item, watching))
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Watching {
    /// Without a version, or when asked for, what exists comes first. Once it is opened, a watch says what is wrong by an event.
    fn begin(&mut self, from: Option<u64>, initial: bool, without: bool) {
        let server = self.server.clone();
        let (oldest, newest) = server.with_store(|store, _| (store.oldest(), store.version()));
        if let Some(from) = from.filter(|from| *from > newest) {
            return self.end_with(&Failure::too_large(from, newest));
        }
        if let (Some(from), false) = (from, initial) {
            self.cursor = from;
            if from < oldest {
                self.end_with(&Failure::expired(from, oldest));
            }
            return;
        }
        let (objects, version) = server.with_store(|store, _| {
            let objects: Vec<_> = store
                .list(self.target.kind, &self.target.namespace)
                .filter(|(_, object)| self.selector.matches(object))
                .map(|(_, o)| o.clone())
                .collect();
            (objects, store.version())
        });
        self.cursor = version;
        if without {
            return;
        }
        for object in objects {
            let line = self.event("ADDED", &object);
            self.first.push_back(line);
        }
        if initial && self.bookmarks {
            let line = self.bookmark(true);
            self.first.push_back(line);
        }
    }

    fn end_with(&mut self, failure: &Failure) {
        let line = self.refuse(failure);
        self.first.push_back(line);
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
                    self.first.clear();
                    return Some(Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
                }
                Some(Fault::WatchExpired) => {
                    let line = self.refuse(&Failure::expired(self.cursor, self.cursor + 1));
                    return Some(Ok(line.into()));
                }
                Some(_) => return None,
                None => {}
            }
            // A silent or slow server is so with events too; a watch that ended meanwhile is noticed above.
            if self.server.silent() {
                tokio::time::sleep(LOOK).await;
                if Instant::now() < self.until {
                    continue;
                }
            }
            if !self.first.is_empty() {
                return Some(Ok(self.first.drain(..).collect::<String>().into()));
            }
            match self.news() {
                Some(lines) if lines.is_empty() => {}
                Some(lines) => return Some(Ok(lines.into())),
                // Too slow: the client begins again from the last version that it saw.
                None => return None,
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

    fn refuse(&mut self, failure: &Failure) -> String {
        self.over = true;
        format!("{}\n", json!({"type": "ERROR", "object": failure.status()}))
    }

    /// Lines for everything that changed since the cursor; none if some of it is no longer known.
    fn news(&mut self) -> Option<String> {
        let server = self.server.clone();
        let target = &self.target;
        let mine = |c: &&Change| {
            c.key.kind == target.kind && (target.namespace.is_empty() || c.key.namespace == target.namespace)
        };
        let (changes, version): (Vec<Change>, u64) = server.with_store(|store, _| {
            Some((store.following(self.cursor)?.filter(mine).cloned().collect(), store.version()))
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
        Some(lines)
    }

    fn event(&mut self, word: &str, object: &Value) -> String {
        let object = match self.form {
            Form::Whole => self.target.view.show(object.clone()),
            Form::Partial => partial(object),
            Form::Table(include) => {
                let meta = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let now = self.server.world().now();
                let mut table = table(self.target.kind, [object].into_iter(), meta, include, now);
                if !std::mem::take(&mut self.columns) {
                    table["columnDefinitions"] = Value::Null;
                }
                table
            }
        };
        format!("{}\n", json!({"type": word, "object": object}))
    }

    fn bookmark(&self, end_of_initial: bool) -> String {
        let mut meta = json!({"resourceVersion": self.cursor.to_string(), "creationTimestamp": null});
        if end_of_initial {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let kind = self.target.kind;
        let object = match self.form {
            Form::Whole => {
                json!({"kind": kind.info().name, "apiVersion": self.target.view.api_version(kind), "metadata": meta})
            }
            Form::Partial => json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}),
            Form::Table(_) => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": meta["resourceVersion"]},
                "columnDefinitions": null, "rows": [{"cells": [], "object": partial(&json!({"metadata": meta}))}],
            }),
        };
        format!("{}\n", json!({"type": "BOOKMARK", "object": object}))
    }
}
