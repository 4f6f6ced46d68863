//! Everything that can go wrong on the way to the API server, each with what failed, on what, and what to do.

use std::time::Duration;

use super::json::WrongShape;

/// An error of the Kubernetes client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeError {
    /// Nothing says where the API server is.
    #[error(
        "no Kubernetes configuration found; looked for {}. Set KUBECONFIG or pass --kubeconfig, point at a Flink with --flink URL, or try `flightdeck demo`",
        .looked_for.join(", ")
    )]
    NotConfigured {
        /// The places, in the order in which they were tried.
        looked_for: Vec<String>,
    },
    /// A configuration was found and cannot be used.
    #[error("the Kubernetes configuration {place} cannot be used: {why}")]
    BadConfiguration {
        /// File name or other place.
        place: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// No answer from the API server.
    #[error("{what}: the API server does not answer ({why}); check the network, the context and that it is up")]
    Unreachable {
        /// What was asked.
        what: String,
        /// What the connection says.
        why: String,
    },
    /// The deadline passed.
    #[error("{what}: no complete answer within {} ms; the API server is slow or the connection is silent", .after.as_millis())]
    Timeout {
        /// What was asked.
        what: String,
        /// The deadline.
        after: Duration,
    },
    /// The answer is longer than allowed.
    #[error("{what}: the answer is longer than the limit of {limit} bytes")]
    TooLarge {
        /// What was asked.
        what: String,
        /// The limit, bytes.
        limit: usize,
    },
    /// 401: the credentials are missing or expired.
    #[error("{what}: not authenticated ({message}); log in again or renew the token of this context")]
    Unauthorized {
        /// What was asked.
        what: String,
        /// The server's words.
        message: String,
    },
    /// 403 by authorization: a right is missing.
    #[error("missing right: {verb} {resource} in {}; ask for a role with this rule ({message})", scope(.namespace))]
    Forbidden {
        /// The verb as in RBAC.
        verb: String,
        /// The resource as in RBAC, with its group (`flinkdeployments.flink.apache.org`, `services/proxy`).
        resource: String,
        /// The namespace; none means cluster scope.
        namespace: Option<String>,
        /// The server's words.
        message: String,
    },
    /// 404: no such object or no such kind.
    #[error("{what}: not found ({message})")]
    NotFound {
        /// What was asked.
        what: String,
        /// The server's words.
        message: String,
    },
    /// 409: the object changed since it was read.
    #[error("{what}: the object changed meanwhile; read it again and compare before writing ({message})")]
    Conflict {
        /// What was asked.
        what: String,
        /// The server's words.
        message: String,
    },
    /// 410: the resourceVersion or continue token is too old.
    #[error("{what}: the version asked for is too old; list again ({message})")]
    Expired {
        /// What was asked.
        what: String,
        /// The server's words.
        message: String,
    },
    /// 429: the server asks for patience.
    #[error("{what}: the API server asks to slow down ({message})")]
    TooManyRequests {
        /// What was asked.
        what: String,
        /// How long the server wants us to wait.
        retry_after: Option<Duration>,
        /// The server's words.
        message: String,
    },
    /// Any other 4xx, such as a denial by the operator's webhook or a wrong value.
    #[error("{what}: refused with {code} {reason}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// HTTP status.
        code: u16,
        /// Kubernetes' reason word, may be empty.
        reason: String,
        /// The server's words.
        message: String,
    },
    /// A 5xx.
    #[error("{what}: the API server failed with {code}: {message}")]
    ServerError {
        /// What was asked.
        what: String,
        /// HTTP status.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("{what}: unexpected answer: {why}")]
    Malformed {
        /// What was asked.
        what: String,
        /// What is wrong, with the path inside the document where known.
        why: String,
    },
}

fn scope(namespace: &Option<String>) -> String {
    namespace.as_ref().map_or_else(|| "the whole cluster".to_owned(), |n| format!("namespace {n}"))
}

impl KubeError {
    /// A decoding error of an answer to `what`.
    pub fn malformed(what: &str, wrong: &WrongShape) -> Self {
        Self::Malformed { what: what.to_owned(), why: wrong.to_string() }
    }

    /// Trying the same again later may help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::TooManyRequests { .. }
            | Self::ServerError { .. } => true,
            Self::NotConfigured { .. }
            | Self::BadConfiguration { .. }
            | Self::TooLarge { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Expired { .. }
            | Self::Refused { .. }
            | Self::Malformed { .. } => false,
        }
    }
}
