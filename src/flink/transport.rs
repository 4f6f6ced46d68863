//! The port through which requests reach a JobManager: method, path, headers, body and a deadline in; status, headers and a
//! bounded body out.
//!
//! Speaks `http` and `bytes` only, so that a Kubernetes services proxy or an in-process service can stand behind it as well as
//! a socket.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};

/// A boxed future, as object-safe async methods return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One request to a JobManager.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, percent-encoded, beginning with `/`; a transport appends it to its base path.
    pub path: String,
    /// Headers of this request; a transport adds its own (host, authorization).
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// How long the whole call may take, body included.
    pub deadline: Duration,
    /// The largest body that is accepted, bytes after decompression.
    pub body_limit: usize,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, at most [`Request::body_limit`] bytes.
    pub body: Bytes,
}

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The deadline passed.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// No connection: refused, unknown host, no route, proxy trouble.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// A connection, but no agreement on TLS.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The body is larger than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The request could not be made at all.
    #[error("the request is invalid: {0}")]
    Invalid(String),
}

/// A way to one JobManager.
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Sends a request and waits for its answer.
    ///
    /// Implementations bound the body by [`Request::body_limit`] while they read it (see [`collect_bounded`]); the deadline is
    /// also kept by [`FlinkClient`](super::FlinkClient), which drops the future when it has passed.
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>>;

    /// What is at the other end, for messages: an address without credentials.
    fn target(&self) -> &str;
}

/// Reads a stream of chunks into one buffer of at most `limit` bytes.
///
/// # Errors
/// [`TransportError::TooLarge`] as soon as the limit is passed, without reading on; [`TransportError::Broken`] if the stream
/// fails.
pub async fn collect_bounded<S, E>(stream: S, limit: usize) -> Result<Bytes, TransportError>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let mut stream = std::pin::pin!(stream);
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| TransportError::Broken(e.to_string()))?;
        let so_far = whole.len() + first.as_ref().map_or(0, Bytes::len);
        if so_far + chunk.len() > limit {
            return Err(TransportError::TooLarge(limit));
        }
        // Most answers are one chunk: it is handed on without a copy.
        match first.take() {
            None if whole.is_empty() => first = Some(chunk),
            Some(head) => {
                whole.extend_from_slice(&head);
                whole.extend_from_slice(&chunk);
            }
            None => whole.extend_from_slice(&chunk),
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}
