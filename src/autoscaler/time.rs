//! Instants plus and minus options: saturating, because an option may be longer than any calendar.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::Timestamp;

/// `at` moved forward; the latest instant if that is out of range.
pub fn after(at: Timestamp, by: Duration) -> Timestamp {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// `at` moved back; the earliest instant if that is out of range.
pub fn before(at: Timestamp, by: Duration) -> Timestamp {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_sub_signed(by)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Whole seconds of a duration, as the contract's `seconds(...)` (§0.3).
pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs() as f64
}
