//! Where a value came from, and what is wrong with one.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    BuiltIn,
    /// From a file, with line and column.
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// From the scenario of the embedded cluster, by its name.
    Scenario(String),
    /// From an environment variable.
    Environment(String),
    /// From a flag.
    Flag(String),
}

impl Origin {
    /// The layer's name, as `flightdeck config` prints it.
    pub fn layer(&self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::File { .. } => "file",
            Self::Scenario(_) => "scenario",
            Self::Environment(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Scenario(name) => write!(f, "scenario {name}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// What is wrong with a setting or with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {cause}; check the path and its permissions")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// The file is not TOML.
    #[error("{at}: {message}")]
    Syntax {
        /// Position.
        at: Origin,
        /// What the parser says.
        message: String,
    },
    /// A name that is not known.
    #[error("{at}: unknown {what} {name:?}{}", .nearest.as_ref().map_or(String::new(), |n| format!("; did you mean {n:?}?")))]
    UnknownName {
        /// Position.
        at: Origin,
        /// What kind of name.
        what: &'static str,
        /// The name.
        name: String,
        /// The nearest valid one.
        nearest: Option<String>,
    },
    /// A value that does not fit its setting.
    #[error("{at}: {key}: {message}")]
    BadValue {
        /// Position.
        at: Origin,
        /// The setting.
        key: String,
        /// What is wrong, and what is expected.
        message: String,
    },
}

impl ConfigError {
    /// Line and column in the file, where the problem has one.
    pub fn position(&self) -> Option<(usize, usize)> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Syntax { at, .. } | Self::UnknownName { at, .. } | Self::BadValue { at, .. } => match at {
                Origin::File { line, column, .. } => Some((*line, *column)),
                Origin::BuiltIn | Origin::Scenario(_) | Origin::Environment(_) | Origin::Flag(_) => None,
            },
        }
    }
}
