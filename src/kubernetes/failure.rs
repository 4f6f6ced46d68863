//! `status.error` of the operator's resources: a JSON document in a text, or plain text (`operator.md` §1.10).

use serde_json::Value;

/// One link of a chain of causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Java class, without its package when it is known to be one; empty for plain text.
    pub class: String,
    /// The message, bounded.
    pub message: String,
}

/// A decoded `status.error`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The chain, outermost first. Never empty for a present error.
    pub chain: Vec<Cause>,
    /// Kubernetes' reason of a failing JobManager pod (`CrashLoopBackOff`, `ErrImagePull`, …).
    pub reason: Option<String>,
    /// HTTP code of a refusal by Flink's REST.
    pub http_code: Option<u16>,
    /// Labels that the operator's exception mapper gave.
    pub labels: Vec<String>,
}

/// Longest message kept, characters; the operator cuts at 2048 itself.
const LONGEST: usize = 2048;

impl Failure {
    /// Decodes the text; anything that is not the operator's JSON is kept as plain text. Empty text is no failure.
    pub fn decode(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return None;
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(document)) if document.contains_key("message") || document.contains_key("type") => {
                let outer = cause(&Value::Object(document.clone()));
                let inner = document.get("throwableList").and_then(Value::as_array);
                let mut chain = vec![outer];
                for next in inner.into_iter().flatten().map(cause) {
                    // The list often starts with the outer exception itself.
                    if !chain.contains(&next) {
                        chain.push(next);
                    }
                }
                let more = document.get("additionalMetadata");
                let extra = |name: &str| more.and_then(|m| m.get(name));
                Some(Self {
                    chain,
                    reason: extra("reason").and_then(Value::as_str).map(bounded),
                    http_code: extra("httpResponseCode").and_then(Value::as_u64).and_then(|c| u16::try_from(c).ok()),
                    labels: extra("labels")
                        .and_then(Value::as_array)
                        .map(|l| l.iter().filter_map(Value::as_str).map(bounded).collect())
                        .unwrap_or_default(),
                })
            }
            _ => Some(Self { chain: vec![Cause { class: String::new(), message: bounded(text) }], ..Self::default() }),
        }
    }

    /// The outermost class, e.g. `ReconciliationException`.
    pub fn class(&self) -> &str {
        self.chain.first().map_or("", |c| &c.class)
    }

    /// The deepest cause: usually the one that helps.
    pub fn root(&self) -> &Cause {
        static NONE: Cause = Cause { class: String::new(), message: String::new() };
        self.chain.last().unwrap_or(&NONE)
    }

    /// The chain in one line, deepest cause first: `IOException: refused (JobException: Recovery is suppressed …)`.
    pub fn sentence(&self) -> String {
        let link = |c: &Cause| match (c.class.is_empty(), c.message.is_empty()) {
            (true, _) => c.message.clone(),
            (false, true) => c.class.clone(),
            (false, false) => format!("{}: {}", c.class, c.message),
        };
        let mut links = self.chain.iter().rev().map(link);
        let root = links.next().unwrap_or_default();
        let rest = links.collect::<Vec<_>>().join(" ← ");
        if rest.is_empty() { root } else { format!("{root} ({rest})") }
    }
}

fn cause(value: &Value) -> Cause {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let (class, message) = (text("type"), text("message"));
    // SerializedThrowable only wraps: its message starts with the class of what it carries.
    if class.ends_with(".SerializedThrowable")
        && let Some((inner, rest)) = message.split_once(": ")
        && is_class(inner)
    {
        return Cause { class: simple(inner), message: bounded(rest) };
    }
    Cause { class: simple(class), message: bounded(message) }
}

fn is_class(text: &str) -> bool {
    text.contains('.') && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '$' | '_'))
}

fn simple(class: &str) -> String {
    bounded(class.rsplit('.').next().unwrap_or(class))
}

fn bounded(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_a_failed_job_is_unwrapped() {
        let failure = Failure::decode(
            r#"{"type":"org.apache.flink.util.SerializedThrowable","message":"org.apache.flink.runtime.JobException: Recovery is suppressed","additionalMetadata":{},
            "throwableList":[{"type":"org.apache.flink.util.SerializedThrowable","message":"org.apache.flink.runtime.JobException: Recovery is suppressed","additionalMetadata":{}},
            {"type":"org.apache.flink.util.SerializedThrowable","message":"java.io.IOException: endpoint refused","additionalMetadata":{}}]}"#,
        )
        .unwrap();
        assert_eq!(failure.class(), "JobException");
        assert_eq!(failure.root(), &Cause { class: "IOException".into(), message: "endpoint refused".into() });
        assert_eq!(failure.sentence(), "IOException: endpoint refused (JobException: Recovery is suppressed)");
    }

    #[test]
    fn the_reason_of_a_pod_that_does_not_start_is_kept() {
        let failure = Failure::decode(
            r#"{"type":"org.apache.flink.kubernetes.operator.exception.DeploymentFailedException","message":"back-off","additionalMetadata":{"reason":"ImagePullBackOff","httpResponseCode":503}}"#,
        )
        .unwrap();
        assert_eq!(failure.reason.as_deref(), Some("ImagePullBackOff"));
        assert_eq!(failure.http_code, Some(503));
        assert_eq!(failure.class(), "DeploymentFailedException");
    }

    #[test]
    fn plain_text_and_odd_json_stay_readable() {
        assert_eq!(Failure::decode("Job Not Found").unwrap().sentence(), "Job Not Found");
        assert_eq!(Failure::decode("[1]").unwrap().sentence(), "[1]");
        assert_eq!(Failure::decode("  "), None);
        assert_eq!(Failure::decode(&"x".repeat(9000)).unwrap().root().message.len(), LONGEST);
    }
}
