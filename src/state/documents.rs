//! The documents of the operator's autoscaler, read (`autoscaler.md` §9.2–9.5): pure, bounded, and forgiving where Java is.
//!
//! Three of them are YAML in gzip in Base64; text that is neither is taken for plain YAML, as the operator itself does. A document that
//! cannot be read is an error with its reason; the others stay readable.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Map, Value};

use crate::domain::Timestamp;
use crate::domain::evaluation::{Evaluated, EvaluatedMetrics, ScalingMetric};
use crate::domain::ids::VertexId;
use crate::domain::scaling::{DelayedRecommendation, DelayedScaleDown, RestartRecord, ScalingSummary};
use crate::domain::window::{GlobalSample, MetricWindow, Sample, VertexSample};

/// Longest document after decompression, bytes: what the Java reader accepts.
const LONGEST: u64 = 20 << 20;

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is longer than allowed, packed or unpacked.
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
    /// It is not YAML.
    #[error("it is not YAML: {0}")]
    NotYaml(String),
    /// It has another shape.
    #[error("{0}")]
    Shape(String),
}

/// Executed scalings per vertex, oldest first, with the names of metrics that are not known here.
pub type History = BTreeMap<VertexId, Vec<ScalingSummary>>;

/// Unpacks a document: Base64 and gzip where it is packed so.
///
/// # Errors
/// It is too long or not YAML.
pub fn unpack(text: &str) -> Result<Value, DocumentError> {
    if text.len() as u64 > LONGEST {
        return Err(DocumentError::TooLong);
    }
    let packed = base64(text.trim()).filter(|bytes| bytes.starts_with(&[0x1f, 0x8b]));
    let yaml = match packed {
        None => text.to_owned(),
        Some(bytes) => {
            let mut plain = Vec::new();
            let mut reader = flate2::read::MultiGzDecoder::new(&bytes[..]).take(LONGEST + 1);
            match reader.read_to_end(&mut plain) {
                Ok(_) if plain.len() as u64 > LONGEST => return Err(DocumentError::TooLong),
                Ok(_) => String::from_utf8_lossy(&plain).into_owned(),
                // What only looks packed is plain, as the operator takes it.
                Err(_) => text.to_owned(),
            }
        }
    };
    serde_saphyr::from_str(&yaml)
        .map_err(|e| DocumentError::NotYaml(e.to_string().lines().next().unwrap_or_default().to_owned()))
}

/// Standard Base64, padded; `None` for anything else.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for c in text.trim_end_matches('=').bytes() {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'\n' | b'\r' => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
        }
    }
    Some(bytes)
}

fn shape(what: impl Into<String>) -> DocumentError {
    DocumentError::Shape(what.into())
}

fn object<'a>(value: &'a Value, what: &str) -> Result<Option<&'a Map<String, Value>>, DocumentError> {
    match value {
        Value::Null => Ok(None),
        Value::Object(map) => Ok(Some(map)),
        _ => Err(shape(format!("{what} is no map"))),
    }
}

fn instant(text: &str) -> Result<Timestamp, DocumentError> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| shape(format!("{text:?} is no instant")))?;
    Ok(parsed.to_utc())
}

/// Decimal seconds since the epoch.
fn epoch(value: &Value) -> Option<Timestamp> {
    let nanos = TimeDelta::nanoseconds((double(value)?.fract() * 1e9).round() as i64);
    let whole = chrono::DateTime::from_timestamp(double(value)?.trunc() as i64, 0)?;
    whole.checked_add_signed(nanos)
}

fn vertex(text: &str) -> Result<VertexId, DocumentError> {
    text.parse().map_err(|_| shape(format!("{text:?} is no vertex id")))
}

/// A double: a number, or the words for what is none.
fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" | ".nan" => Some(f64::NAN),
            "Infinity" | ".inf" => Some(f64::INFINITY),
            "-Infinity" | "-.inf" => Some(f64::NEG_INFINITY),
            other => other.parse().ok(),
        },
        _ => None,
    }
}

fn whole(value: Option<&Value>) -> Option<i32> {
    i32::try_from(value?.as_i64()?).ok()
}

/// Reads `scalingHistory`. Metrics that are not known here are left out.
///
/// # Errors
/// It cannot be read.
pub fn scaling_history(text: &str) -> Result<History, DocumentError> {
    let document = unpack(text)?;
    let mut history = History::new();
    for (id, entries) in object(&document, "the history")?.into_iter().flatten() {
        let mut summaries = Vec::new();
        for (at, entry) in object(entries, "the history of a vertex")?.into_iter().flatten() {
            let parallelism =
                |name: &str| whole(entry.get(name)).ok_or_else(|| shape(format!("{name} of vertex {id} is missing")));
            let mut metrics = EvaluatedMetrics::default();
            for (name, pair) in entry.get("metrics").and_then(Value::as_object).into_iter().flatten() {
                if let Some(metric) = ScalingMetric::from_name(name) {
                    // A missing number is zero to the Java reader.
                    let number = |part: &str| pair.get(part).map_or(Some(0.0), double).unwrap_or(f64::NAN);
                    metrics.set(metric, Some(Evaluated { current: number("current"), average: number("average") }));
                }
            }
            summaries.push(ScalingSummary {
                at: instant(at)?,
                from: parallelism("currentParallelism")?,
                to: parallelism("newParallelism")?,
                metrics,
            });
        }
        summaries.sort_by_key(|s| s.at);
        history.insert(vertex(id)?, summaries);
    }
    Ok(history)
}

/// Reads `scalingTracking`.
///
/// # Errors
/// It cannot be read.
pub fn scaling_tracking(text: &str) -> Result<Vec<RestartRecord>, DocumentError> {
    let document = unpack(text)?;
    let records = document.get("scalingRecords").unwrap_or(&Value::Null);
    let mut found = Vec::new();
    for (at, record) in object(records, "scalingRecords")?.into_iter().flatten() {
        let seconds = record.get("restartDuration").and_then(double);
        let at = instant(at)?;
        // Before 1.9 the end was kept instead of the duration.
        let ended = record.get("endTime").and_then(epoch).map(|end| end - at);
        let duration = seconds.map(|s| TimeDelta::milliseconds((s * 1000.0).round() as i64)).or(ended);
        found.push(RestartRecord { at, duration });
    }
    found.sort_by_key(|r| r.at);
    Ok(found)
}

/// Reads `collectedMetrics`.
///
/// # Errors
/// It cannot be read.
pub fn collected_metrics(text: &str) -> Result<MetricWindow, DocumentError> {
    let document = unpack(text)?;
    let mut samples = Vec::new();
    for (at, sample) in object(&document, "the metrics")?.into_iter().flatten() {
        let mut vertices = Vec::new();
        for (id, metrics) in sample.get("vertexMetrics").and_then(Value::as_object).into_iter().flatten() {
            let of = |name: &str| metrics.get(name).and_then(double).unwrap_or(f64::NAN);
            vertices.push((
                vertex(id)?,
                VertexSample {
                    load: of("LOAD"),
                    accumulated_busy_time: of("ACCUMULATED_BUSY_TIME"),
                    records_in: of("NUM_RECORDS_IN"),
                    records_out: of("NUM_RECORDS_OUT"),
                    lag: metrics.get("LAG").and_then(double),
                    observed_tpr: of("OBSERVED_TPR"),
                    records_in_per_second: of("NUM_RECORDS_IN_PER_SECOND"),
                },
            ));
        }
        let global = sample.get("globalMetrics").unwrap_or(&Value::Null);
        let of = |name: &str| global.get(name).and_then(double).unwrap_or(f64::NAN);
        let global = GlobalSample {
            gc_pressure: of("GC_PRESSURE"),
            heap_used: of("HEAP_MEMORY_USED"),
            heap_max_usage_ratio: of("HEAP_MAX_USAGE_RATIO"),
            managed_used: of("MANAGED_MEMORY_USED"),
            metaspace_used: of("METASPACE_MEMORY_USED"),
            slots_used: of("NUM_TASK_SLOTS_USED"),
        };
        samples.push(Arc::new(Sample::new(instant(at)?, vertices, global)));
    }
    Ok(MetricWindow::from_samples(samples))
}

/// Reads `delayedScaleDown` in both of its forms.
///
/// # Errors
/// It cannot be read.
pub fn delayed_scale_down(text: &str) -> Result<BTreeMap<VertexId, DelayedScaleDown>, DocumentError> {
    let document = unpack(text)?;
    let mut found = BTreeMap::new();
    let wrong = |id: &str| shape(format!("the delayed scale-down of vertex {id} cannot be read"));
    // 1.10 has no level above, and instants alone.
    let vertices = document.get("delayedVertices").unwrap_or(&document);
    for (id, delayed) in object(vertices, "delayedScaleDown")?.into_iter().flatten() {
        let first = delayed.get("firstTriggerTime").unwrap_or(delayed);
        let mut recommendations = Vec::new();
        for one in delayed.get("recommendedParallelisms").and_then(Value::as_array).into_iter().flatten() {
            recommendations.push(DelayedRecommendation {
                at: one.get("triggerTime").and_then(epoch).ok_or_else(|| wrong(id))?,
                parallelism: whole(one.get("parallelism")).ok_or_else(|| wrong(id))?,
                outside_bounds: one.get("outsideUtilizationBound").and_then(Value::as_bool).unwrap_or_default(),
            });
        }
        let first_trigger = epoch(first).ok_or_else(|| wrong(id))?;
        found.insert(vertex(id)?, DelayedScaleDown { first_trigger, recommendations });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
