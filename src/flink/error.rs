//! Errors of the client: what failed, on what, and what to do; and the reading of error texts made by Java.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::transport::{Response, TransportError};

/// Longest piece of a foreign text that goes into a message, in characters.
const EXCERPT: usize = 200;

/// Which call failed: method, path (the query cut) and target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path without its query.
    pub path: String,
    /// Where it went.
    pub target: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.method, self.path, self.target)
    }
}

/// Why a call of the client failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlinkError {
    /// The deadline passed. What happened at the other end is not known.
    #[error("{call}: no answer within {after:?}{}", if *queued { " (waited for earlier requests to it)" } else { "" })]
    Timeout {
        /// Which call.
        call: Call,
        /// The deadline.
        after: Duration,
        /// It passed while the request waited for its turn; nothing was sent.
        queued: bool,
    },
    /// No connection.
    #[error("{call}: cannot connect: {why}; is the JobManager running, and is the address right?")]
    Unreachable {
        /// Which call.
        call: Call,
        /// The system's words.
        why: String,
    },
    /// No agreement on TLS.
    #[error("{call}: TLS failed: {why}; check the CA file, the client certificate, and that the address says https")]
    Tls {
        /// Which call.
        call: Call,
        /// The library's words.
        why: String,
    },
    /// The connection broke in the middle.
    #[error("{call}: the connection broke: {why}")]
    Broken {
        /// Which call.
        call: Call,
        /// The system's words.
        why: String,
    },
    /// The answer is too large.
    #[error("{call}: the answer is larger than the limit of {limit} bytes; raise the limit if this is to be expected")]
    TooLarge {
        /// Which call.
        call: Call,
        /// The limit, bytes.
        limit: usize,
    },
    /// The request could not be made.
    #[error("{call}: the request is invalid: {why}")]
    Invalid {
        /// Which call.
        call: Call,
        /// What is wrong.
        why: String,
    },
    /// The other end sent us somewhere else.
    #[error("{call}: answered {status} with a redirect to {location}; use that address if it is the JobManager's")]
    Redirected {
        /// Which call.
        call: Call,
        /// The status.
        status: StatusCode,
        /// Where to.
        location: String,
    },
    /// Flink refused or failed.
    #[error("{call}: Flink answered {}: {error}", status.as_u16())]
    Flink {
        /// Which call.
        call: Call,
        /// The status.
        status: StatusCode,
        /// What Flink says.
        error: Box<JavaError>,
    },
    /// The Kubernetes API server answered instead of Flink.
    #[error("{call}: the Kubernetes API server answered {}{}: {message}", status.as_u16(), if reason.is_empty() { String::new() } else { format!(" {reason}") })]
    Kubernetes {
        /// Which call.
        call: Call,
        /// The status.
        status: StatusCode,
        /// `Status.reason`, e.g. `Forbidden`.
        reason: String,
        /// `Status.message`.
        message: String,
    },
    /// Something in between, or something that is not Flink, answered with an error.
    #[error("{call}: answered {}{}{hint}", status.as_u16(), if excerpt.is_empty() { String::new() } else { format!(": {excerpt}") })]
    Http {
        /// Which call.
        call: Call,
        /// The status.
        status: StatusCode,
        /// The beginning of its text.
        excerpt: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A success that is not JSON: a login page, a proxy's page, another server.
    #[error("{call}: expected JSON, got {what}{}; is this a Flink JobManager, or does a proxy or login page stand in front of it?", if excerpt.is_empty() { String::new() } else { format!(" ({excerpt})") })]
    NotJson {
        /// Which call.
        call: Call,
        /// What it is: `an HTML page`, `an empty body`, `text`.
        what: &'static str,
        /// Its title or beginning.
        excerpt: String,
    },
    /// JSON, but not of the expected shape.
    #[error("{call}: {path}: {why}")]
    Shape {
        /// Which call.
        call: Call,
        /// Where, as a JSON path from `$`.
        path: String,
        /// Expected and got.
        why: String,
    },
}

impl FlinkError {
    /// The call that failed.
    pub fn call(&self) -> &Call {
        match self {
            Self::Timeout { call, .. }
            | Self::Unreachable { call, .. }
            | Self::Tls { call, .. }
            | Self::Broken { call, .. }
            | Self::TooLarge { call, .. }
            | Self::Invalid { call, .. }
            | Self::Redirected { call, .. }
            | Self::Flink { call, .. }
            | Self::Kubernetes { call, .. }
            | Self::Http { call, .. }
            | Self::NotJson { call, .. }
            | Self::Shape { call, .. } => call,
        }
    }

    /// Flink says that the job, vertex, TaskManager or operation does not exist. Some handlers say it with 500
    /// (`flink-rest.md` §0.15), so the class of the exception counts too.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Flink { status, error, .. } => {
                (*status == StatusCode::NOT_FOUND && !self.is_no_such_endpoint())
                    || matches!(
                        error.class_name(),
                        "FlinkJobNotFoundException" | "UnknownTaskExecutorException" | "NotFoundException"
                    )
            }
            _ => false,
        }
    }

    /// This Flink does not know the path or method at all: an older version, or a feature that is switched off. (Flink hands
    /// such requests to the file server of its web page.)
    pub fn is_no_such_endpoint(&self) -> bool {
        matches!(self, Self::Flink { status: StatusCode::NOT_FOUND, error, .. }
            if error.message.starts_with("Unable to load requested file") || error.message.starts_with("Not found: "))
    }

    /// The scheduler of this cluster cannot change the parallelism of a running job, or not in this mode.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Flink { error, .. } if error.class_name() == "UnsupportedOperationException"
            || error.message.contains("reactive mode"))
    }

    /// Flink has judged the request and will not accept it as it is: repeating it is of no use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Flink { status, .. } if status.is_client_error()) || self.is_unsupported()
    }

    /// Access was denied: credentials, certificate or RBAC.
    pub fn is_denied(&self) -> bool {
        let denied = |status: &StatusCode| matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        match self {
            Self::Flink { status, .. } | Self::Kubernetes { status, .. } | Self::Http { status, .. } => denied(status),
            _ => false,
        }
    }

    /// It may go away by itself: time-outs, connections, overload, a missing leader, a JobManager that starts.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Flink { status, error, .. } => {
                matches!(*status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
                    || error.class_name() == "TimeoutException"
            }
            Self::Kubernetes { status, .. } | Self::Http { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }

    /// The request may have reached Flink and taken effect although no answer came: look before doing it again.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Timeout { queued, .. } => !queued,
            Self::Broken { .. } | Self::TooLarge { .. } | Self::NotJson { .. } | Self::Shape { .. } => true,
            Self::Http { status, .. } | Self::Kubernetes { status, .. } => {
                matches!(*status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
            }
            Self::Flink { error, .. } => error.class_name() == "TimeoutException",
            _ => false,
        }
    }

    pub(super) fn from_transport(call: Call, error: TransportError) -> Self {
        match error {
            TransportError::Timeout(after) => Self::Timeout { call, after, queued: false },
            TransportError::Connect(why) => Self::Unreachable { call, why: excerpt(&why) },
            TransportError::Tls(why) => Self::Tls { call, why: excerpt(&why) },
            TransportError::TooLarge(limit) => Self::TooLarge { call, limit },
            TransportError::Broken(why) => Self::Broken { call, why: excerpt(&why) },
            TransportError::Invalid(why) => Self::Invalid { call, why: excerpt(&why) },
        }
    }

    /// The error of an answer that is not a success (`flink-rest.md` §2).
    pub(super) fn from_answer(call: Call, answer: &Response) -> Self {
        let status = answer.status;
        if status.is_redirection()
            && let Some(location) = answer.headers.get(http::header::LOCATION).and_then(|v| v.to_str().ok())
        {
            return Self::Redirected { call, status, location: excerpt(location) };
        }
        match serde_json::from_slice::<ErrorBody>(&answer.body) {
            Ok(ErrorBody { errors: Some(errors), .. }) if !errors.is_empty() => {
                return Self::Flink { call, status, error: Box::new(JavaError::from_entries(&errors)) };
            }
            Ok(ErrorBody { kind: Some(kind), message, reason, .. }) if kind == "Status" => {
                return Self::Kubernetes {
                    call,
                    status,
                    reason: excerpt(&reason.unwrap_or_default()),
                    message: excerpt(&message.unwrap_or_default()),
                };
            }
            _ => {}
        }
        let hint = match status {
            StatusCode::UNAUTHORIZED => "; it wants credentials: give a header or a bearer token",
            StatusCode::FORBIDDEN => "; the credentials given are not allowed to do this",
            StatusCode::NOT_FOUND => "; is this the base address of a Flink JobManager?",
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                "; the proxy in front cannot reach the JobManager"
            }
            _ => "",
        };
        Self::Http { call, status, excerpt: describe(&answer.body).1, hint }
    }

    /// The error of a success whose body is no JSON at all; `None` if it looks like JSON.
    pub(super) fn not_json(call: &Call, body: &[u8]) -> Option<Self> {
        let first = body.iter().find(|b| !b.is_ascii_whitespace());
        if matches!(first, Some(b'{' | b'[')) {
            return None;
        }
        let (what, excerpt) = describe(body);
        Some(Self::NotJson { call: call.clone(), what, excerpt })
    }
}

/// The bodies of errors: Flink's own and Kubernetes' `Status`.
#[derive(Deserialize)]
struct ErrorBody {
    errors: Option<Vec<String>>,
    kind: Option<String>,
    message: Option<String>,
    reason: Option<String>,
}

/// What a foreign body is, and its title or beginning.
fn describe(body: &[u8]) -> (&'static str, String) {
    let head = String::from_utf8_lossy(&body[..body.len().min(16 * 1024)]);
    let text = head.trim();
    if text.is_empty() {
        return ("an empty body", String::new());
    }
    if text.starts_with('<') {
        let lower = text.to_ascii_lowercase();
        let title = lower.find("<title").and_then(|at| {
            let open = at + text.get(at..)?.find('>')? + 1;
            let close = open + lower.get(open..)?.find("</title")?;
            text.get(open..close)
        });
        return ("an HTML page", title.map(|t| excerpt(t.trim())).unwrap_or_default());
    }
    ("text", excerpt(text))
}

/// One line of at most [`EXCERPT`] characters without control characters.
fn excerpt(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    match line.char_indices().nth(EXCERPT) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// A Java exception as Flink reports it: class and message of what was thrown, and of the deepest cause if that is another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JavaError {
    /// Its full class name; empty if the text has none.
    pub class: String,
    /// Its message; may have several lines (one fault a line when resource requirements are refused).
    pub message: String,
    /// Class and message of the deepest cause, if there is one.
    pub cause: Option<(String, String)>,
}

impl JavaError {
    /// The class name without its package.
    pub fn class_name(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or_default()
    }

    /// Reads a stack trace or a sentence.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix("<Exception on server side:").map_or(text, str::trim_start);
        let (class, message) = head(text);
        let (root_class, root_message) = root_cause(text);
        let cause = ((&root_class, &root_message) != (&class, &message)).then_some((root_class, root_message));
        Self { class, message, cause }
    }

    /// Reads the `errors` of an answer: the last entry says most, the first one may be "Internal server error.".
    fn from_entries(errors: &[String]) -> Self {
        errors.last().map(|text| Self::parse(text)).unwrap_or_default()
    }
}

impl fmt::Display for JavaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |text: &str| text.lines().map(excerpt).collect::<Vec<_>>().join("; ");
        match (self.message.is_empty(), self.class.is_empty()) {
            (true, true) => f.write_str("an error without a text")?,
            (true, false) => f.write_str(self.class_name())?,
            _ => f.write_str(&lines(&self.message))?,
        }
        if let Some((class, message)) = &self.cause {
            let class = class.rsplit('.').next().unwrap_or_default();
            write!(f, " (cause: {class}: {})", lines(message))?;
        }
        Ok(())
    }
}

/// Class and message of the deepest cause of a Java stack trace: what follows the last `Caused by:` at the margin, or its head
/// if there is none. A `SerializedThrowable` or `CompletionException` that only repeats another exception is peeled off.
pub fn root_cause(stack: &str) -> (String, String) {
    let last = stack.rfind("\nCaused by: ").map_or(stack, |at| &stack[at + "\nCaused by: ".len()..]);
    head(last)
}

/// Class and message at the head of a stack trace, up to the first frame.
fn head(text: &str) -> (String, String) {
    let end = ["\n\tat ", "\n\t...", "\nCaused by: ", "\nEnd of exception on server side"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
        .unwrap_or(text.len());
    let mut rest = text[..end].trim_end();
    let mut class = "";
    while let Some((name, message)) = split_class(rest) {
        (class, rest) = (name, message);
    }
    (class.to_owned(), rest.to_owned())
}

/// Splits `a.b.Class: message` or a bare `a.b.Class`; `None` if the text does not begin with a qualified class name.
fn split_class(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$'))).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let last = name.rsplit('.').next().unwrap_or_default();
    let qualified = name.split('.').count() >= 3 && name.split('.').all(|part| !part.is_empty());
    if !qualified || !last.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    match rest.strip_prefix(':') {
        Some(message) => Some((name, message.trim_start())),
        None if rest.is_empty() => Some((name, "")),
        None => None,
    }
}
