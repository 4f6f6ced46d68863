//! The typed client: one method a call, over any [`Transport`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::decode::decode;
use super::error::{Call, FlinkError};
use super::transport::{Request, Response, Transport};

/// Longest request line that is sent: Flink answers lines over 4096 bytes with a misleading 404 (`flink-rest.md` §0.2).
const MAX_REQUEST_LINE: usize = 4096;

/// Limits of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientOptions {
    /// Requests to this JobManager at the same time; more wait for their turn. Flink has four REST handler threads.
    pub max_in_flight: usize,
    /// Deadline of a read, waiting for its turn included.
    pub read_deadline: Duration,
    /// Deadline of a write.
    pub write_deadline: Duration,
    /// Largest answer that is accepted, bytes.
    pub body_limit: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 4,
            read_deadline: Duration::from_secs(5),
            write_deadline: Duration::from_secs(30),
            body_limit: 16 * 1024 * 1024,
        }
    }
}

/// A client of one JobManager. Clones share its connections and its limit of requests in flight.
#[derive(Debug, Clone)]
pub struct FlinkClient {
    transport: Arc<dyn Transport>,
    in_flight: Arc<Semaphore>,
    options: ClientOptions,
}

impl FlinkClient {
    /// A client over a transport.
    pub fn new(transport: Arc<dyn Transport>, options: ClientOptions) -> Self {
        Self { transport, in_flight: Arc::new(Semaphore::new(options.max_in_flight.max(1))), options }
    }

    /// The same client with another deadline for reads; the limit of requests in flight stays shared.
    pub fn with_read_deadline(&self, deadline: Duration) -> Self {
        Self { options: ClientOptions { read_deadline: deadline, ..self.options }, ..self.clone() }
    }

    /// Where it goes, without credentials.
    pub fn target(&self) -> &str {
        self.transport.target()
    }

    /// A read that decodes its answer.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, FlinkError> {
        let (call, answer) = self.exchange(Method::GET, path, Bytes::new(), self.options.read_deadline).await?;
        decode(&call, &answer.body)
    }

    /// A read of plain text.
    pub(super) async fn get_text(&self, path: &str) -> Result<String, FlinkError> {
        let (_, answer) = self.exchange(Method::GET, path, Bytes::new(), self.options.read_deadline).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// A write that decodes its answer.
    pub(super) async fn write<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, FlinkError> {
        let bytes = match body.map(serde_json::to_vec).transpose() {
            Ok(bytes) => bytes.map(Bytes::from).unwrap_or_default(),
            Err(error) => return Err(FlinkError::Invalid { call: self.name(&method, path), why: error.to_string() }),
        };
        let (call, answer) = self.exchange(method, path, bytes, self.options.write_deadline).await?;
        decode(&call, &answer.body)
    }

    fn name(&self, method: &Method, path: &str) -> Call {
        Call {
            method: method.clone(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            target: self.transport.target().to_owned(),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<(Call, Response), FlinkError> {
        let call = self.name(&method, path);
        if !fits(&method, path.len()) {
            let why = format!("its request line is longer than the {MAX_REQUEST_LINE} bytes that Flink takes");
            return Err(FlinkError::Invalid { call, why });
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let ends = tokio::time::Instant::now() + deadline;
        let timed_out = |queued| FlinkError::Timeout { call: call.clone(), after: deadline, queued };
        let permit = tokio::time::timeout_at(ends, self.in_flight.acquire())
            .await
            .map_err(|_| timed_out(true))?
            .map_err(|_| FlinkError::Invalid { call: call.clone(), why: "the client is closed".to_owned() })?;
        let left = ends.duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            return Err(timed_out(true));
        }
        let request = Request {
            method,
            path: path.to_owned(),
            headers,
            body,
            deadline: left,
            body_limit: self.options.body_limit,
        };
        let answer = match tokio::time::timeout_at(ends, self.transport.call(request)).await {
            Err(_) | Ok(Err(super::TransportError::Timeout(_))) => Err(timed_out(false)),
            Ok(Err(error)) => Err(FlinkError::from_transport(call.clone(), error)),
            Ok(Ok(answer)) if answer.body.len() > self.options.body_limit => {
                Err(FlinkError::TooLarge { call: call.clone(), limit: self.options.body_limit })
            }
            Ok(Ok(answer)) => Ok(answer),
        };
        drop(permit);
        let answer = answer.inspect_err(|error| tracing::debug!(%error, "request failed"))?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => Ok((call, answer)),
            _ => Err(FlinkError::from_answer(call, &answer)),
        }
    }
}

/// A request line with a path of this length is one that Flink takes.
pub(super) fn fits(method: &Method, path: usize) -> bool {
    method.as_str().len() + 1 + path + " HTTP/1.1".len() <= MAX_REQUEST_LINE
}

/// Percent-encodes everything but RFC 3986's unreserved characters: for one path segment or one query value.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out
}
