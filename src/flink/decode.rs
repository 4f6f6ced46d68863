//! Reading of answers: typed decoding that names the JSON path of what is wrong, and the forms in which Flink writes numbers
//! and times (`flink-rest.md` §0.3, §1.0).

use std::time::Duration;

use serde::de::{self, DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::domain::job::{JobState, Scheduler, TaskCounts};
use crate::domain::units::nonfinite;

use super::error::{Call, FlinkError};

/// Decodes a body. Unknown fields are tolerated; bytes that are not UTF-8 become U+FFFD.
pub(super) fn decode<T: DeserializeOwned>(call: &Call, body: &[u8]) -> Result<T, FlinkError> {
    if let Some(error) = FlinkError::not_json(call, body) {
        return Err(error);
    }
    let text = String::from_utf8_lossy(body);
    let failed = match serde_json::from_str(&text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // The common case pays nothing for the path: only a body that failed is read again to find where.
    let mut json = serde_json::Deserializer::from_str(&text);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => match error.path().to_string() {
            path if path == "." => "$".to_owned(),
            path if path.starts_with('[') => format!("${path}"),
            path => format!("$.{path}"),
        },
        Ok(_) => "$".to_owned(),
    };
    Err(FlinkError::Shape { call: call.clone(), path, why: failed.to_string() })
}

/// A double that may be a number, a string (`"12"`, `"NaN"`) or null. Anything else in a string is NaN only where the metric
/// is not numeric, so it is an error here.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    nonfinite::read(deserializer, "a number or a number in a string", parse_number)
}

/// A number as Java prints it; `None` if the text is none.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    // Rust would also take "inf" and "nan", which Java never writes.
    match text.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
        true => text.parse().ok(),
        false => nonfinite::word(text),
    }
}

/// NaN, as the default of absent doubles.
pub(super) fn nan() -> f64 {
    f64::NAN
}

/// A count that Flink writes as a long; -1 and other negative numbers (unknown) read as 0.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(u64::try_from(i64::deserialize(deserializer)?).unwrap_or(0))
}

/// Epoch milliseconds; -1 and 0 mean "not yet".
pub(super) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.and_then(instant_of))
}

/// Epoch milliseconds that must be there.
pub(super) fn instant_required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let ms = i64::deserialize(deserializer)?;
    Timestamp::from_timestamp_millis(ms)
        .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Signed(ms), &"milliseconds since 1970"))
}

/// The instant of positive epoch milliseconds.
pub(super) fn instant_of(ms: i64) -> Option<Timestamp> {
    (ms > 0).then(|| Timestamp::from_timestamp_millis(ms)).flatten()
}

/// Milliseconds; negative means "not known".
pub(super) fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis))
}

/// A job state; a name that is not known here is `Unknown`, never an error.
pub(super) fn job_state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JobState, D::Error> {
    Ok(JobState::parse(&String::deserialize(deserializer)?))
}

/// `schedulerType` (2.3 and later).
pub(super) fn scheduler<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scheduler, D::Error> {
    Ok(match Option::<String>::deserialize(deserializer)?.as_deref() {
        Some("Adaptive" | "AdaptiveBatch") => Scheduler::Adaptive,
        Some("Default") => Scheduler::Default,
        _ => Scheduler::Unknown,
    })
}

/// Unknown, as the default of absent schedulers.
pub(super) fn unknown_scheduler() -> Scheduler {
    Scheduler::Unknown
}

/// Tasks by state: keys in lower case in `/jobs/overview`, in upper case and without a total in `/jobs/:id`.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(default)]
struct WireTasks {
    total: Option<u32>,
    #[serde(alias = "CREATED")]
    created: u32,
    #[serde(alias = "SCHEDULED")]
    scheduled: u32,
    #[serde(alias = "DEPLOYING")]
    deploying: u32,
    #[serde(alias = "INITIALIZING")]
    initializing: u32,
    #[serde(alias = "RUNNING")]
    running: u32,
    #[serde(alias = "FINISHED")]
    finished: u32,
    #[serde(alias = "CANCELING")]
    canceling: u32,
    #[serde(alias = "CANCELED")]
    canceled: u32,
    #[serde(alias = "FAILED")]
    failed: u32,
    #[serde(alias = "RECONCILING")]
    reconciling: u32,
}

/// Tasks by state; a missing total is the sum.
pub(super) fn tasks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TaskCounts, D::Error> {
    let w = WireTasks::deserialize(deserializer)?;
    let counted = [
        w.created,
        w.scheduled,
        w.deploying,
        w.initializing,
        w.running,
        w.finished,
        w.canceling,
        w.canceled,
        w.failed,
        w.reconciling,
    ];
    Ok(TaskCounts {
        total: w.total.unwrap_or_else(|| counted.iter().fold(0, |sum, n| sum.saturating_add(*n))),
        running: w.running,
        finished: w.finished,
        created: w.created,
        scheduled: w.scheduled,
        deploying: w.deploying,
        initializing: w.initializing,
        canceling: w.canceling,
        canceled: w.canceled,
        failed: w.failed,
        reconciling: w.reconciling,
    })
}
