//! Identities: of Flink jobs, vertices and slot sharing groups, of watched jobs and clusters, and of a run of a job.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Timestamp;

/// A text that is not an id of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 32 hexadecimal digits, got {got:?}")]
pub struct IdError {
    what: &'static str,
    got: String,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The id with this value.
            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }
            /// The id as a number.
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                let err = || IdError { what: $what, got: s.chars().take(64).collect() };
                if s.len() != 32 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(err());
                }
                u128::from_str_radix(s, 16).map(Self).map_err(|_| err())
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(
    /// Flink's id of a job: 32 hexadecimal digits.
    JobId,
    "a job id"
);
hex_id!(
    /// Flink's id of a job vertex: 32 hexadecimal digits. The same program run twice has the same vertex ids.
    VertexId,
    "a vertex id"
);
hex_id!(
    /// Flink's id of a slot sharing group: 32 hexadecimal digits.
    SlotSharingGroupId,
    "a slot sharing group id"
);
hex_id!(
    /// Identity of a triggered operation: 32 hexadecimal digits. Chosen by the caller, so that a repeated trigger starts nothing
    /// new.
    TriggerId,
    "a trigger id"
);

macro_rules! text_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The key with this text.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }
            /// The text of the key.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_key!(
    /// Identity of a watched job (a row of the fleet). `k8s:<uid>` for a FlinkDeployment or FlinkSessionJob,
    /// `flink:<source>:<job id>` for a job of a plain Flink cluster. Never reused for another object.
    JobKey
);
text_key!(
    /// Identity of a Flink cluster (one JobManager). `k8s:<uid of the FlinkDeployment>` or `flink:<source>`.
    ClusterKey
);
text_key!(
    /// Identity of a configured place where data come from: a kube context or a Flink URL, by its configured name.
    SourceId
);

/// One run of a job: a restart or rescale gives the same job a new run.
///
/// Samples, decisions and measurements of one run must never be mixed with those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// Flink's job id.
    pub job: JobId,
    /// Flink's RUNNING timestamp of the job.
    pub running_since: Timestamp,
}
