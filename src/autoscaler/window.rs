//! The metric window: when it is stable and full, what is trimmed, and the two ways a series becomes one number
//! (`autoscaler.md` §3).
//!
//! Owns the bookkeeping of samples and the arithmetic over one series. It does not know what a metric means.

use std::sync::Arc;
use std::time::Duration;

use super::generation::{Generation, StabilizingRule};
use super::options::Options;
use super::time::{after, before};
use crate::domain::Timestamp;
use crate::domain::window::{MetricWindow, Sample, WindowStatus};

#[cfg(test)]
mod tests;

/// Appends the sample of one loop and trims the window (§3.1; L4 of §1.1). `period` is the period of the loop, for people.
///
/// A window that holds samples from before `running_since` belongs to an earlier run and is dropped first.
pub fn record(
    window: &mut MetricWindow,
    sample: Arc<Sample>,
    running_since: Timestamp,
    options: &Options,
    period: Duration,
) -> WindowStatus {
    let now = sample.at;
    if window.samples().first().is_some_and(|oldest| running_since > oldest.at) {
        window.clear();
    }
    let stable_at = after(running_since, options.stabilization_interval);
    let first_stable = window.samples().iter().map(|s| s.at).find(|at| *at >= stable_at);
    let full_at = after(first_stable.unwrap_or(now), options.metrics_window);
    window.push(sample);
    let full = match options.generation.rules().stabilizing {
        StabilizingRule::Nothing if now < stable_at => false,
        StabilizingRule::Nothing | StabilizingRule::Samples => now >= full_at,
    };
    if full {
        window.trim_before(before(now, options.metrics_window));
    }
    let length = options.metrics_window;
    let collected = first_stable.map_or(0.0, |at| (now - at).as_seconds_f64());
    let fill = match full {
        true => 1.0,
        false => (collected / length.as_secs_f64().max(f64::MIN_POSITIVE)).clamp(0.0, 1.0),
    };
    // While nothing is stable the window cannot be full before a whole window of stable time has passed.
    let full_at = full_at.max(after(stable_at, length));
    let samples = window.samples().len();
    WindowStatus { samples, stable_at, full_at, fill, full, length, period }
}

/// The samples that are handed on to the evaluation: all of them, or none while the job stabilizes (§3.1).
pub fn handed_on(
    window: &MetricWindow,
    stable_at: Timestamp,
    now: Timestamp,
    generation: Generation,
) -> &[Arc<Sample>] {
    match generation.rules().stabilizing {
        StabilizingRule::Nothing if now < stable_at => &[],
        StabilizingRule::Nothing | StabilizingRule::Samples => window.samples(),
    }
}

/// Change per second of an accumulated metric: between its first and its last known value (§3.2). NaN if there are not two.
pub fn rate(points: impl DoubleEndedIterator<Item = (Timestamp, f64)>, least_ms: i64) -> f64 {
    let mut known = points.filter(|(_, value)| !value.is_nan());
    let (Some((t0, first)), Some((t1, last))) = (known.next(), known.next_back()) else {
        return f64::NAN;
    };
    let ms = (t1 - t0).num_milliseconds().max(least_ms);
    1000.0 * (last - first) / ms as f64
}

/// Average of the finite values of a sampled metric (§3.3), which come in one by one in order of time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Average {
    sum: f64,
    finite: i32,
    infinite: bool,
}

impl Average {
    /// Takes the next value.
    pub fn push(&mut self, value: f64) {
        if value.is_finite() {
            self.sum += value;
            self.finite += 1;
        } else {
            self.infinite |= value.is_infinite();
        }
    }

    /// The average: +Infinity if there were only infinite values, NaN if there were fewer than `least` finite ones or none.
    pub fn of_at_least(&self, least: i32) -> f64 {
        match self.finite {
            0 if self.infinite => f64::INFINITY,
            0 => f64::NAN,
            n if n < least => f64::NAN,
            n => self.sum / f64::from(n),
        }
    }
}

/// The same of values that are there already.
pub fn average(values: impl Iterator<Item = f64>, least: i32) -> f64 {
    let mut average = Average::default();
    values.for_each(|value| average.push(value));
    average.of_at_least(least)
}
