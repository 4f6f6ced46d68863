//! Freshness: every number has a time of observation, and a word for how old it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A value with the instant at which its source was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed<T> {
    /// The value.
    pub value: T,
    /// When it was observed.
    pub at: Timestamp,
}

impl<T> Observed<T> {
    /// `value`, observed at `at`.
    pub fn new(value: T, at: Timestamp) -> Self {
        Self { value, at }
    }

    /// Age of the value at `now`; zero if the clock went back.
    pub fn age(&self, now: Timestamp) -> Duration {
        age(self.at, now)
    }
}

/// Time from `at` to `now`; zero if `at` lies in the future.
pub fn age(at: Timestamp, now: Timestamp) -> Duration {
    (now - at).to_std().unwrap_or(Duration::ZERO)
}

/// How fresh something is, best first: the worst word of a screen is its maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// Within its period.
    Live,
    /// Older than two periods.
    Late,
    /// Older than five periods: not good enough for a decision.
    Stale,
    /// The source does not answer.
    Lost,
    /// Never observed.
    NeverSeen,
}

impl Freshness {
    /// The word for a value observed at `at` that is renewed every `period`.
    pub fn of(at: Option<Timestamp>, period: Duration, now: Timestamp) -> Self {
        match at {
            None => Self::NeverSeen,
            Some(at) => {
                let age = age(at, now);
                if age <= period * 2 {
                    Self::Live
                } else if age <= period * 5 {
                    Self::Late
                } else {
                    Self::Stale
                }
            }
        }
    }

    /// The word as shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Late => "late",
            Self::Stale => "stale",
            Self::Lost => "lost",
            Self::NeverSeen => "never seen",
        }
    }
}
