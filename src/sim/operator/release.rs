//! The release of the simulated operator, and what it can do (`operator.md` §13). One question a method, so that no rule compares numbers itself.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};

/// A release of the operator, from 1.8 on; `main` is the development line after 1.15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u32);

impl Release {
    /// The release of a scenario that names none.
    pub const DEFAULT: Self = Self(12);
    /// The oldest one.
    pub const OLDEST: Self = Self(8);
    /// The development line.
    pub const MAIN: Self = Self(16);

    /// Reads `1.8`, `1.11.0` or `main`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "main" {
            return Some(Self::MAIN);
        }
        let mut parts = text.split('.').map(str::parse::<u32>);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let patch = parts.next().map_or(Some(0), Result::ok);
        let known = (Self::OLDEST.0..=Self::MAIN.0).contains(&minor);
        (major == 1 && known && patch.is_some() && parts.next().is_none()).then_some(Self(minor))
    }

    /// From FlinkStateSnapshots on (1.10): `upgradeSavepointPath`, a new job id a deployment, cancelling without waiting, jobs cancelled
    /// elsewhere are started again, last-state without high availability.
    pub fn snapshots(self) -> bool {
        self.0 >= 10
    }

    /// `autoscalerResetNonce`, `state-size`, lifecycle DELETING (1.11); the autoscaler's ConfigMap is spared when HA data go.
    pub fn reset_nonce(self) -> bool {
        self.0 >= 11
    }

    /// Events `Error` and `JobException` (1.12).
    pub fn job_exceptions(self) -> bool {
        self.0 >= 12
    }

    /// Nested `flinkConfiguration`, lifecycle FAILED for a JobManager that is lost for good (1.13); unmanaged jobs hold a session cluster.
    pub fn lost_is_failed(self) -> bool {
        self.0 >= 13
    }

    /// FlinkBlueGreenDeployments (1.14).
    pub fn blue_green(self) -> bool {
        self.0 >= 14
    }

    /// `conditions`; the deletion of a session cluster may pass over its session jobs (1.15).
    pub fn conditions(self) -> bool {
        self.0 >= 15
    }

    /// The scaling report comes after the checks that may still stop it (main).
    pub fn reports_after_checks(self) -> bool {
        self.0 >= 16
    }
}

impl Default for Release {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.0{}", self.0, if *self == Self::MAIN { "-SNAPSHOT" } else { "" })
    }
}

impl<'de> Deserialize<'de> for Release {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!("{text:?} is not a release of the operator from 1.8 to 1.15, or main"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_ordered() {
        assert_eq!(Release::parse("1.8"), Some(Release::OLDEST));
        assert_eq!(Release::parse("1.12.1"), Some(Release::DEFAULT));
        assert_eq!(Release::parse("main"), Some(Release::MAIN));
        for wrong in ["1.7", "2.0", "1", "1.12.x", "1.12.0.1", "new"] {
            assert_eq!(Release::parse(wrong), None, "{wrong}");
        }
        let all: Vec<Release> = (8..=16).map(Release).collect();
        let can = |ask: fn(Release) -> bool| all.iter().filter(|r| ask(**r)).count();
        let counts = [
            can(Release::snapshots),
            can(Release::reset_nonce),
            can(Release::job_exceptions),
            can(Release::lost_is_failed),
        ];
        assert_eq!(counts, [7, 6, 5, 4], "what a release can do, later ones can");
        assert_eq!([can(Release::blue_green), can(Release::conditions), can(Release::reports_after_checks)], [3, 2, 1]);
    }
}
