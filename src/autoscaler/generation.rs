//! The generation of rules: one value that selects rules where the operator's releases differ.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which release of the operator's autoscaler is reproduced (`autoscaler.md` §15.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Generation {
    /// Release 1.8.0 (Flink 1.18).
    #[serde(rename = "1.8")]
    V1_8,
    /// The development branch after 1.15.0 (Flink 1.20).
    #[default]
    #[serde(rename = "main")]
    Main,
}

impl Generation {
    /// Both generations, oldest first.
    pub const ALL: [Self; 2] = [Self::V1_8, Self::Main];

    /// The name used by the option `compat`: `1.8` or `main`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_8 => "1.8",
            Self::Main => "main",
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no generation of rules: use \"1.8\" or \"main\"")]
pub struct UnknownGeneration(pub String);

impl FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, UnknownGeneration> {
        Self::ALL
            .into_iter()
            .find(|g| g.name() == text)
            .ok_or_else(|| UnknownGeneration(text.chars().take(64).collect()))
    }
}
