//! How many records a second arrive at a source, over the time of the scenario.

use std::f64::consts::TAU;

use serde::Deserialize;

use super::de;

/// A rate over time, records per second. Times count from the start of the scenario; the time before it (the pre-run)
/// counts negative, so a step at 25 s has its first value through the whole pre-run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Rate {
    /// Always the same.
    Constant {
        /// Records per second.
        rate: f64,
    },
    /// Jumps from one value to another.
    Step {
        /// Records per second before.
        from: f64,
        /// Records per second after.
        to: f64,
        /// When.
        #[serde(deserialize_with = "de::instant")]
        at: f64,
    },
    /// Goes linearly from one value to another.
    Ramp {
        /// Records per second before.
        from: f64,
        /// Records per second after.
        to: f64,
        /// When it begins.
        #[serde(deserialize_with = "de::instant")]
        at: f64,
        /// How long it takes.
        #[serde(deserialize_with = "de::seconds")]
        over: f64,
    },
    /// A wave, as a day has.
    Diurnal {
        /// Records per second in the middle between night and day.
        mean: f64,
        /// Highest minus mean.
        amplitude: f64,
        /// Length of a day.
        #[serde(deserialize_with = "de::seconds")]
        period: f64,
        /// Shifts the wave: at this time it passes the mean upwards.
        #[serde(default, deserialize_with = "de::instant")]
        offset: f64,
    },
    /// A base with peaks.
    Spike {
        /// Records per second outside of peaks.
        base: f64,
        /// Records per second in a peak.
        peak: f64,
        /// When the first peak begins.
        #[serde(deserialize_with = "de::instant")]
        at: f64,
        /// How long a peak lasts.
        #[serde(rename = "for", deserialize_with = "de::seconds")]
        lasts: f64,
        /// Peaks repeat with this period; once only if absent.
        #[serde(default, deserialize_with = "de::maybe_seconds")]
        every: Option<f64>,
    },
}

impl Rate {
    /// Records per second at `t` seconds after the start of the scenario; never negative.
    pub fn at(&self, t: f64) -> f64 {
        let rate = match *self {
            Self::Constant { rate } => rate,
            Self::Step { from, to, at } => {
                if t < at {
                    from
                } else {
                    to
                }
            }
            Self::Ramp { from, to, at, over } => {
                let done = if over > 0.0 { ((t - at) / over).clamp(0.0, 1.0) } else { f64::from(u8::from(t >= at)) };
                from + (to - from) * done
            }
            Self::Diurnal { mean, amplitude, period, offset } => mean + amplitude * (TAU * (t - offset) / period).sin(),
            Self::Spike { base, peak, at, lasts, every } => {
                let since = t - at;
                let into = match every {
                    Some(every) if every > 0.0 && since >= 0.0 => since % every,
                    _ => since,
                };
                if (0.0..lasts).contains(&into) { peak } else { base }
            }
        };
        rate.max(0.0)
    }

    /// Says what makes no sense in it, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        let rates = match *self {
            Self::Constant { rate } => [rate, rate],
            Self::Step { from, to, .. } | Self::Ramp { from, to, .. } => [from, to],
            Self::Diurnal { mean, amplitude, period, .. } => {
                if period <= 0.0 {
                    return Some("the period of a diurnal rate must be longer than zero");
                }
                [mean, amplitude]
            }
            Self::Spike { base, peak, .. } => [base, peak],
        };
        rates.iter().any(|r| !r.is_finite() || *r < 0.0).then_some("a rate must be zero or more records per second")
    }
}
