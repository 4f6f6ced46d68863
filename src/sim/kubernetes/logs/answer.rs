//! `pods/log`: which lines, and how they are sent.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use serde_json::Value;
use tokio::sync::watch;

use super::{Cursor, Line, Logs};
use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::asked::Asked;
use crate::sim::kubernetes::failure::Failure;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::Key;

/// What is asked of a log.
struct Wanted {
    container: String,
    timestamps: bool,
    since: Option<i64>,
    tail: Option<usize>,
    limit: Option<usize>,
}

/// Answers a request for a log.
pub(in crate::sim::kubernetes) fn answer(
    server: &ApiServer,
    key: &Key,
    asked: &Asked,
) -> Result<Response<Body>, Failure> {
    let pod = server.get(key).ok_or_else(|| Failure::not_found(Kind::Pod, &key.name))?;
    let wanted = wanted(server, &pod, key, asked)?;
    let at = (key.namespace.as_str(), key.name.as_str());
    if asked.flag("previous") {
        let Some((lines, _)) = server.logs().read(at, &wanted.container, true) else {
            let why = format!("previous terminated container {:?} in pod {:?} not found", wanted.container, key.name);
            return Err(Failure::bad_request(why));
        };
        return Ok(text(Body::from(first(lines, &wanted))));
    }
    if let Some(reason) = waiting(&pod, &wanted.container) {
        let why = format!("container {:?} in pod {:?} is waiting to start: {reason}", wanted.container, key.name);
        return Err(Failure::bad_request(why));
    }
    // Subscribed before the first read, so that no line falls between.
    let changed = server.logs().changes();
    let (lines, cursor) =
        server.logs().read(at, &wanted.container, false).unwrap_or((Vec::new(), Cursor { starts: 0, next: 0 }));
    let begin = first(lines, &wanted);
    if !asked.flag("follow") {
        return Ok(text(Body::from(begin)));
    }
    let uid = pod.pointer("/metadata/uid").cloned();
    let left = wanted.limit.map(|limit| limit.saturating_sub(begin.len()));
    let following =
        Following { server: server.clone(), key: key.clone(), uid, wanted, cursor, changed, begin: Some(begin), left };
    let stream = futures::stream::unfold(following, |mut following| async {
        let bytes = following.next().await?;
        Some((Ok::<_, std::io::Error>(bytes), following))
    });
    Ok(text(Body::from_stream(stream)))
}

fn wanted(server: &ApiServer, pod: &Value, key: &Key, asked: &Asked) -> Result<Wanted, Failure> {
    let containers: Vec<&str> = pod
        .pointer("/spec/containers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|c| c["name"].as_str())
        .collect();
    let container = match (asked.parameter("container"), containers.as_slice()) {
        ("", [only]) => (*only).to_owned(),
        ("", all) => {
            let why =
                format!("a container name must be specified for pod {}, choose one of: [{}]", key.name, all.join(" "));
            return Err(Failure::bad_request(why));
        }
        (name, all) if all.contains(&name) => name.to_owned(),
        (name, _) => {
            return Err(Failure::bad_request(format!("container {name} is not valid for pod {}", key.name)));
        }
    };
    let number = |name: &str| match asked.parameter(name) {
        "" => Ok(None),
        text => match text.parse::<i64>() {
            Ok(n) if n >= 0 => Ok(Some(n)),
            _ => Err(Failure::bad_request(format!("invalid {name} {text:?}: must be a number, not below zero"))),
        },
    };
    let since_time = chrono::DateTime::parse_from_rfc3339(asked.parameter("sinceTime")).ok();
    let now = server.world().now();
    let as_size = |n: Option<i64>| n.and_then(|n| usize::try_from(n).ok());
    Ok(Wanted {
        container,
        timestamps: asked.flag("timestamps"),
        since: number("sinceSeconds")?.map(|s| now - s * 1000).or(since_time.map(|t| t.timestamp_millis())),
        tail: as_size(number("tailLines")?),
        limit: as_size(number("limitBytes")?),
    })
}

/// Why a container has not started yet.
fn waiting(pod: &Value, container: &str) -> Option<String> {
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let status = statuses.into_iter().flatten().find(|c| c["name"] == container)?;
    if status.pointer("/restartCount").and_then(Value::as_u64) > Some(0) {
        return None;
    }
    let waiting = status.pointer("/state/waiting")?;
    Some(waiting["reason"].as_str().unwrap_or("ContainerCreating").to_owned())
}

fn line(line: &Line, wanted: &Wanted) -> String {
    if wanted.timestamps {
        let at = chrono::DateTime::from_timestamp_millis(line.at).unwrap_or_default();
        return format!("{} {}\n", at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true), line.text);
    }
    format!("{}\n", line.text)
}

/// The lines that are there, as asked for.
fn first(lines: Vec<Line>, wanted: &Wanted) -> Vec<u8> {
    let since = wanted.since.unwrap_or(i64::MIN);
    let from = lines.iter().position(|l| l.at >= since).unwrap_or(lines.len());
    let from = from.max(lines.len() - wanted.tail.unwrap_or(lines.len()).min(lines.len()));
    let mut bytes: Vec<u8> = lines[from..].iter().map(|l| line(l, wanted)).collect::<String>().into_bytes();
    bytes.truncate(wanted.limit.unwrap_or(usize::MAX));
    bytes
}

fn text(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

struct Following {
    server: ApiServer,
    key: Key,
    uid: Option<Value>,
    wanted: Wanted,
    cursor: Cursor,
    changed: watch::Receiver<u64>,
    begin: Option<Vec<u8>>,
    /// Bytes that may still be sent.
    left: Option<usize>,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(begin) = self.begin.take().filter(|b| !b.is_empty()) {
            return Some(begin.into());
        }
        loop {
            if self.left == Some(0) {
                return None;
            }
            let at = (self.key.namespace.as_str(), self.key.name.as_str());
            let logs: &Arc<Logs> = self.server.logs();
            // The end of a run, or of its pod, is the end of its log.
            let (lines, cursor) = logs.after(at, &self.wanted.container, self.cursor)?;
            self.cursor = cursor;
            let mut bytes: Vec<u8> = lines.iter().map(|l| line(l, &self.wanted)).collect::<String>().into_bytes();
            if let Some(left) = &mut self.left {
                bytes.truncate(*left);
                *left -= bytes.len();
            }
            if !bytes.is_empty() {
                return Some(bytes.into());
            }
            let pod = self.server.get(&self.key)?;
            if pod.pointer("/metadata/uid") != self.uid.as_ref() {
                return None;
            }
            self.changed.changed().await.ok()?;
        }
    }
}
