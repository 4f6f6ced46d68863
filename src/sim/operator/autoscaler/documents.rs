//! The autoscaler's documents as the Java operator writes them (`autoscaler.md` §9.2, §9.3): YAML, gzip, Base64.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;

use super::{History, Measured, Tracked};
use crate::domain::ids::VertexId;
use crate::sim::flink_face::java_double;

/// `---`, then what follows, compressed for a ConfigMap.
pub(super) fn compressed(text: &str) -> String {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to memory does not fail.
    let bytes = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    base64(&bytes)
}

/// `collectedMetrics`.
pub(super) fn metrics(samples: &VecDeque<(i64, BTreeMap<VertexId, Measured>)>) -> String {
    if samples.is_empty() {
        return "--- {}\n".to_owned();
    }
    let mut text = "---\n".to_owned();
    for (at, vertices) in samples {
        text.push_str(&format!("\"{}\":\n  vertexMetrics:\n", instant(*at)));
        let mut slots = 0;
        for (id, measured) in vertices {
            text.push_str(&format!("    {}:\n", key(*id)));
            slots = slots.max(measured.parallelism);
            let mut all = vec![
                ("ACCUMULATED_BUSY_TIME", measured.busy),
                ("NUM_RECORDS_IN", measured.records_in),
                ("NUM_RECORDS_OUT", measured.records_out),
            ];
            if measured.arrives.is_some() {
                all.push(("LAG", measured.lag));
            }
            for (name, value) in all {
                text.push_str(&format!("      {name}: {}\n", number(value)));
            }
        }
        text.push_str(&format!("  globalMetrics:\n    NUM_TASK_SLOTS_USED: {}\n", number(f64::from(slots))));
    }
    text
}

/// `scalingHistory`.
pub(super) fn history(history: &History) -> String {
    let mut text = "---\n".to_owned();
    for (id, entries) in history {
        text.push_str(&format!("{}:\n", key(*id)));
        for (at, wanted) in entries {
            text.push_str(&format!(
                "  \"{}\":\n    currentParallelism: {}\n    newParallelism: {}\n    metrics:\n",
                instant(*at),
                wanted.current,
                wanted.new
            ));
            let unknown = f64::NAN;
            for (name, current, average) in [
                ("PARALLELISM", f64::from(wanted.current), unknown),
                ("MAX_PARALLELISM", f64::from(wanted.max_parallelism), unknown),
                ("RECOMMENDED_PARALLELISM", f64::from(wanted.new), unknown),
                ("TRUE_PROCESSING_RATE", unknown, wanted.capacity),
                ("TARGET_DATA_RATE", unknown, wanted.target),
                ("EXPECTED_PROCESSING_RATE", wanted.expected, unknown),
                ("LOAD", unknown, wanted.load),
                ("LAG", wanted.lag, unknown),
            ] {
                text.push_str(&format!(
                    "      {name}:\n        current: {}\n        average: {}\n",
                    number(current),
                    number(average)
                ));
            }
        }
    }
    text
}

/// `scalingTracking`.
pub(super) fn tracking(tracked: &[Tracked]) -> String {
    let mut text = "---\nscalingRecords:\n".to_owned();
    for record in tracked {
        match record.took {
            Some(took) => text.push_str(&format!("  \"{}\":\n    restartDuration: {took:.9}\n", instant(record.at))),
            None => text.push_str(&format!("  \"{}\": {{}}\n", instant(record.at))),
        }
    }
    text
}

/// Keys that begin with a digit are quoted.
fn key(id: VertexId) -> String {
    let text = id.to_string();
    if text.starts_with(|c: char| c.is_ascii_digit()) { format!("\"{text}\"") } else { text }
}

fn instant(millis: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default();
    at.to_rfc3339_opts(
        if millis % 1_000 == 0 { chrono::SecondsFormat::Secs } else { chrono::SecondsFormat::Millis },
        true,
    )
}

/// Rounded to three places, as stored metrics are.
fn number(value: f64) -> String {
    java_double(if value.is_finite() { (value * 1_000.0).round() / 1_000.0 } else { value })
}

/// Standard Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0_u32, |bits, (i, b)| bits | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        let all: Vec<String> = ["", "f", "fo", "foo", "foob"].iter().map(|t| base64(t.as_bytes())).collect();
        assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }

    #[test]
    fn tracking_has_the_shape_of_the_java_document() {
        let tracked =
            [Tracked { at: 1_710_428_971_123, took: Some(60.0) }, Tracked { at: 1_710_429_031_000, took: None }];
        assert_eq!(
            tracking(&tracked),
            "---\nscalingRecords:\n  \"2024-03-14T15:09:31.123Z\":\n    restartDuration: 60.000000000\n  \"2024-03-14T15:10:31Z\": {}\n"
        );
    }

    #[test]
    fn keys_numbers_and_unknown_values_are_written_as_java_does() {
        let id = |text: &str| text.parse::<VertexId>().unwrap();
        assert_eq!(key(id("20ba6b65f97481d5570070de90e4e791")), "\"20ba6b65f97481d5570070de90e4e791\"");
        assert_eq!(key(id("bc764cd8ddf7a0cff126f51c16239658")), "bc764cd8ddf7a0cff126f51c16239658");
        assert_eq!(
            (number(123_456_789.0).as_str(), number(f64::NAN).as_str(), number(0.12345).as_str()),
            ("1.23456789E8", "NaN", "0.123")
        );
    }
}
