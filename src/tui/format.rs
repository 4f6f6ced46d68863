//! Numbers, ages and times as people read them at three in the morning.
//!
//! Owns the text of every number on the screen, and [`text`] the cleaning and cutting of text from clusters. Pure. An unknown
//! number (NaN) is [`UNKNOWN`], never `NaN`; nothing is ever negative zero.

mod text;

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::explanation::Value;
use crate::domain::units::Unit;

pub use text::{clean, fit, fit_start, width, wrap};

/// What stands for a number that is not known.
pub const UNKNOWN: &str = "–";

/// Powers of a thousand.
const THOUSANDS: [&str; 5] = ["k", "M", "G", "T", "P"];
/// Powers of 1024.
const BINARY: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// A count or a rate in at most six columns: `0`, `7.5`, `950`, `12.3k`, `1.2M`. Below ten a fraction is shown if there is one.
pub fn count(value: f64) -> String {
    if value.is_nan() {
        return UNKNOWN.to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = value.abs();
    if size < 9.95 && (size - size.round()).abs() >= 0.05 {
        return plain(value, 1);
    }
    if size < 999.5 {
        return plain(value, 0);
    }
    let mut scaled = value / 1000.0;
    for suffix in THOUSANDS {
        if scaled.abs() < 999.95 {
            return format!("{}{suffix}", plain(scaled, 1));
        }
        scaled /= 1000.0;
    }
    format!("{value:.0e}")
}

/// A change with its sign: `+12.3k`, `-7`, `0`.
pub fn delta(value: f64) -> String {
    let text = count(value);
    if value > 0.0 && text != "0" { format!("+{text}") } else { text }
}

/// A number with a fixed number of decimals, never negative zero.
fn plain(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.starts_with('-') && text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

/// A ratio as whole percent: `63%`. Below one percent and not zero: `<1%`.
pub fn percent(ratio: f64) -> String {
    // A share of time or room is never negative: what says so is broken.
    if !ratio.is_finite() || ratio <= -0.005 {
        return UNKNOWN.to_owned();
    }
    if ratio > 0.0 && ratio < 0.005 {
        return "<1%".to_owned();
    }
    format!("{}%", plain(ratio * 100.0, 0))
}

/// Bytes with a binary unit: `512 B`, `1.5 MiB`, `4.0 GiB`.
pub fn bytes(value: u64) -> String {
    if value < 1024 {
        return format!("{value} B");
    }
    let mut scaled = value as f64;
    for unit in BINARY {
        if scaled < 1023.95 {
            return format!("{scaled:.1} {unit}");
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1} EiB")
}

/// Bytes that may be unknown.
pub fn bytes_or_unknown(value: Option<u64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), bytes)
}

/// How long something took: `350ms`, `1.2s`, `12s`, `3m20s`.
pub fn took(time: Duration) -> String {
    let millis = time.as_millis();
    match millis {
        0..1000 => format!("{millis}ms"),
        1000..10_000 => format!("{:.1}s", (time.as_secs_f64() * 10.0).floor() / 10.0),
        _ => age(time),
    }
}

/// Seconds of a forecast: as [`age`], `never` if infinite, [`UNKNOWN`] if not known.
pub fn forecast(seconds: f64) -> String {
    if seconds.is_nan() {
        UNKNOWN.to_owned()
    } else {
        Duration::try_from_secs_f64(seconds.max(0.0)).map_or_else(|_| "never".to_owned(), age)
    }
}

/// A time of day: `14:03:22`.
pub fn time_of_day(at: Timestamp, utc: bool) -> String {
    if utc {
        at.format("%H:%M:%S").to_string()
    } else {
        at.with_timezone(&chrono::Local).format("%H:%M:%S").to_string()
    }
}

/// Date, time and zone: `2026-03-01 14:03:22Z`, `2026-03-01 15:03:22+01:00`.
pub fn instant(at: Timestamp, utc: bool) -> String {
    if utc {
        at.format("%Y-%m-%d %H:%M:%SZ").to_string()
    } else {
        at.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S%:z").to_string()
    }
}

/// A number of a formula with up to three decimals and grouped thousands: `12,345.6`, `0.7`, `3`.
pub fn exact(value: f64) -> String {
    if value.is_nan() {
        return UNKNOWN.to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "infinite" } else { "-infinite" }.to_owned();
    }
    if value.abs() >= 1e15 {
        return format!("{value:.3e}");
    }
    let text = plain(value, 3);
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut grouped = String::with_capacity(text.len() + 6);
    grouped.push_str(sign);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// A number of an explanation with its unit: `12,345.6 rec/s`, `0.7`, `1.5 GiB`, `3m20s`.
pub fn with_unit(value: f64, unit: Unit) -> String {
    if !value.is_finite() {
        return exact(value);
    }
    let suffix = match unit {
        Unit::RecordsPerSecond => " rec/s",
        Unit::Records => " records",
        Unit::MsPerSecond => " ms/s",
        Unit::Subtasks if value == 1.0 => " subtask",
        Unit::Subtasks => " subtasks",
        Unit::TaskManagers if value == 1.0 => " TaskManager",
        Unit::TaskManagers => " TaskManagers",
        Unit::Slots if value == 1.0 => " slot",
        Unit::Slots => " slots",
        Unit::Cores => " cores",
        Unit::Bytes if value >= 0.0 => return bytes(value as u64),
        Unit::Bytes => " B",
        Unit::Seconds => " s",
        Unit::Ratio | Unit::None => "",
    };
    exact(value) + suffix
}

/// A value of an explanation.
pub fn value(value: &Value, utc: bool) -> String {
    match value {
        Value::Number { value, unit } => with_unit(*value, *unit),
        Value::Flag { value: true } => "yes".to_owned(),
        Value::Flag { value: false } => "no".to_owned(),
        Value::Text { value } => clean(value, 400).into_owned(),
        Value::Instant { value } => time_of_day(*value, utc),
        Value::Nothing => String::new(),
    }
}

/// The short class name of a Java exception: the part after the last dot.
pub fn short_class(class: &str) -> &str {
    class.rsplit('.').next().filter(|name| !name.is_empty()).unwrap_or(class)
}

/// An age or a time left, two units at most: `8s`, `3m20s`, `2h04m`, `3d4h`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// The step of [`age`]: its text changes when the age passes a multiple of this.
pub fn age_step(age: Duration) -> Duration {
    match age.as_secs() {
        0..3600 => Duration::from_secs(1),
        3600..86_400 => Duration::from_secs(60),
        _ => Duration::from_secs(3600),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        let texts = [0, 59, 60, 200, 3599, 3600, 7440, 86_400, 273_600].map(|s| age(Duration::from_secs(s)));
        assert_eq!(texts, ["0s", "59s", "1m00s", "3m20s", "59m59s", "1h00m", "2h04m", "1d0h", "3d4h"]);
    }

    #[test]
    fn counts_have_three_digits_and_a_suffix() {
        let texts =
            [0.0, -0.0, -0.01, 7.46, 9.96, 10.4, 999.4, 999.6, 12_345.0, 999_949.0, 999_951.0, 3.2e9, 1e15].map(count);
        assert_eq!(texts, ["0", "0", "0", "7.5", "10", "10", "999", "1.0k", "12.3k", "999.9k", "1.0M", "3.2G", "1.0P"]);
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30].map(count), ["–", "inf", "-inf", "1e30"]);
        assert_eq!([0.0, 3.0, -3.0, 1500.0, f64::NAN].map(delta), ["0", "+3", "-3", "+1.5k", "–"]);
    }

    #[test]
    fn ratios_sizes_and_times_are_short() {
        assert_eq!(
            [0.0, -0.0, 0.001, 0.634, 1.0, f64::NAN, -3.0].map(percent),
            ["0%", "0%", "<1%", "63%", "100%", "–", "–"]
        );
        assert_eq!([0, 1023, 1024, 1_572_864, 4 << 30].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "4.0 GiB"]);
        assert_eq!(bytes_or_unknown(None), "–");
        let texts = [0, 350, 999, 1000, 9_999, 12_700, 200_000].map(|ms| took(Duration::from_millis(ms)));
        assert_eq!(texts, ["0ms", "350ms", "999ms", "1.0s", "9.9s", "12s", "3m20s"]);
        let texts = [0.0, -5.0, 200.0, f64::INFINITY, f64::NAN, 1e300].map(forecast);
        assert_eq!(texts, ["0s", "0s", "3m20s", "never", "–", "never"]);
    }

    #[test]
    fn formulas_show_grouped_numbers_with_their_unit() {
        let texts = [12_345.6, 0.7, 3.0, -1234.0, -0.0001, f64::NAN, f64::INFINITY].map(exact);
        assert_eq!(texts, ["12,345.6", "0.7", "3", "-1,234", "0", "–", "infinite"]);
        assert_eq!(with_unit(1.0, Unit::Subtasks), "1 subtask");
        assert_eq!(with_unit(1500.0, Unit::RecordsPerSecond), "1,500 rec/s");
        assert_eq!(with_unit(f64::NAN, Unit::Bytes), "–");
        assert_eq!(value(&Value::text("a\u{1b}[31mb"), true), "a·[31mb");
    }

    #[test]
    fn times_can_be_shown_in_utc() {
        let at = Timestamp::UNIX_EPOCH + Duration::from_secs(3_661);
        assert_eq!((time_of_day(at, true), instant(at, true)), ("01:01:01".into(), "1970-01-01 01:01:01Z".into()));
        assert_eq!(short_class("java.lang.OutOfMemoryError"), "OutOfMemoryError");
        assert_eq!((short_class("a."), short_class("")), ("a.", ""));
    }

    proptest! {
        #[test]
        fn no_number_is_wider_than_its_column(value in prop::num::f64::ANY) {
            prop_assert!(width(&count(value)) <= 7, "{}", count(value));
            prop_assert!(!count(value).contains("NaN") && !exact(value).contains("NaN"));
            prop_assert!(!forecast(value).starts_with('-') && !percent(value).starts_with("-0"));
        }

        #[test]
        fn the_text_stays_the_same_within_a_step(seconds in 0u64..400_000, millis in 0u64..1000) {
            let at = Duration::from_secs(seconds);
            let step = age_step(at);
            let start = Duration::from_secs(seconds / step.as_secs() * step.as_secs());
            prop_assert_eq!(age(start), age(start + step - Duration::from_millis(1)));
            prop_assert_eq!(age(at), age(at + Duration::from_millis(millis)));
            prop_assert_ne!(age(start), age(start + step));
        }
    }
}
