//! How a scenario file writes durations, costs and sizes.

use serde::{Deserialize, Deserializer, de::Error};

use crate::domain::text::parse_duration;

/// A duration such as `30s`, in seconds.
pub fn seconds<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    let text = String::deserialize(d)?;
    parse_duration(&text).map(|d| d.as_secs_f64()).map_err(D::Error::custom)
}

/// A point in time such as `30s`, seconds after the start of the scenario; `-5m` lies before it.
pub fn instant<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    let text = String::deserialize(d)?;
    let (sign, rest) = text.trim().strip_prefix('-').map_or((1.0, text.as_str()), |rest| (-1.0, rest));
    parse_duration(rest).map(|d| sign * d.as_secs_f64()).map_err(D::Error::custom)
}

/// A duration that may be absent, in seconds.
pub fn maybe_seconds<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    seconds(d).map(Some)
}

/// A duration in milliseconds.
pub fn millis<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    seconds(d).map(|s| (s * 1000.0) as i64)
}

/// A duration that may be absent, in milliseconds.
pub fn maybe_millis<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    millis(d).map(Some)
}

/// Time per record such as `80us` or `1.5ms`, in seconds.
pub fn cost<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    let text = String::deserialize(d)?;
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => f64::NAN,
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && scale.is_finite() => Ok(number * scale),
        _ => Err(D::Error::custom(format!(
            "{text:?} is not a time per record: write a number and us, ms or s, such as 80us"
        ))),
    }
}

/// A size such as `512m` or `2g`, in bytes.
pub fn size<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    let text = String::deserialize(d)?;
    parse_size(&text).ok_or_else(|| {
        D::Error::custom(format!("{text:?} is not a size: write a whole number and b, k, m, g or t, such as 512m"))
    })
}

/// An optional size.
pub fn maybe_size<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    size(d).map(Some)
}

/// A size as Flink's configuration writes it (`1728m`, `1 gb`, `300mib`; no unit means bytes), in bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "ki" | "kib" | "kibibytes" => 10,
        "m" | "mb" | "mi" | "mib" | "mebibytes" => 20,
        "g" | "gb" | "gi" | "gib" | "gibibytes" => 30,
        "t" | "tb" | "ti" | "tib" | "tebibytes" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A duration as Flink's configuration writes it (`3 s`, `1500 ms`, `3s`; no unit means milliseconds), in milliseconds.
pub fn parse_flink_millis(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Some(number);
    }
    parse_duration(text).ok().and_then(|d| i64::try_from(d.as_millis()).ok())
}
