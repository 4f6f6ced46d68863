//! Refusals of the API server: `Status` objects with the server's reasons and kind of words.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::store::Key;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub code: u16,
    /// Kubernetes' reason word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
    details: Option<Value>,
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, retry_after: None, details: None }
    }

    fn about(mut self, kind: Kind, name: &str) -> Self {
        let info = kind.info();
        self.details = Some(json!({"name": name, "group": info.group, "kind": info.plural}));
        self
    }

    /// The object does not exist.
    pub fn not_found(kind: Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.resource())).about(kind, name)
    }

    /// The path leads nowhere.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource".to_owned())
    }

    /// The object exists already.
    pub fn already_exists(kind: Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.resource())).about(kind, name)
    }

    /// The version that the write was made for is not the present one.
    pub fn conflict(kind: Kind, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: the object has been modified; please apply your changes to the latest version and try again",
            kind.resource()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// Nothing new is made in a namespace that is being deleted.
    pub fn namespace_ends(key: &Key) -> Self {
        let message = format!(
            "{} {:?} is forbidden: unable to create new content in namespace {} because it is being terminated",
            key.kind.resource(),
            key.name,
            key.namespace
        );
        let mut failure = Self::new(403, "Forbidden", message).about(key.kind, &key.name);
        if let Some(details) = &mut failure.details {
            let cause = format!("namespace {} is being terminated", key.namespace);
            details["causes"] =
                json!([{"reason": "NamespaceTerminating", "message": cause, "field": "metadata.namespace"}]);
        }
        failure
    }

    /// A version is no longer known.
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// A continue token is no longer good.
    pub fn token_expired() -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";
        Self::new(410, "Expired", message.to_owned())
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    /// The object is not valid.
    pub fn invalid(kind: Kind, name: &str, field: &str, why: &str) -> Self {
        let mut failure =
            Self::new(422, "Invalid", format!("{} {name:?} is invalid: {field}: {why}", kind.qualified()))
                .about(kind, name);
        if let Some(details) = &mut failure.details {
            details["causes"] = json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
        }
        failure
    }

    /// The body is of a type that the server does not take here.
    pub fn unsupported_media_type(given: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml (got {given:?})"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// The method does not go with the path.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource".to_owned())
    }

    /// The JobManager behind a service is not there.
    pub fn no_endpoints(service: &str) -> Self {
        Self::new(503, "ServiceUnavailable", format!("no endpoints available for service {service:?}"))
    }

    /// A failure by order: a fault of the scenario.
    pub fn ordered(code: u16) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden: User \"system:anonymous\" cannot do this"),
            429 => ("TooManyRequests", "too many requests, please try again later"),
            500 => ("InternalError", "Internal error occurred"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => (
                "Timeout",
                "the server was unable to return a response in the time allotted, but may still be processing the request",
            ),
            _ => ("InternalError", "Internal error occurred"),
        };
        let mut failure = Self::new(code, reason, message.to_owned());
        failure.retry_after = (code == 429).then_some(1);
        failure
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut details = self.details.clone();
        if let Some(seconds) = self.retry_after {
            details.get_or_insert_with(|| json!({}))["retryAfterSeconds"] = seconds.into();
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(details) = details {
            status["details"] = details;
        }
        status
    }
}
