//! How a subcommand ends: the four exit codes that scripts rely on.

use std::process::ExitCode;

/// Why a subcommand did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Exit code 1: something failed.
    Failed(String),
    /// Exit code 2: the call's words are off.
    Usage(String),
    /// Exit code 3: a guard refused.
    Refused(String),
}

impl Failure {
    /// The message for people.
    pub fn message(&self) -> &str {
        match self {
            Self::Failed(m) | Self::Usage(m) | Self::Refused(m) => m,
        }
    }

    /// The number that the shell sees.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
        }
    }

    /// Prints the message to standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        eprintln!("flightdeck: {}", printable(self.message()));
        ExitCode::from(self.code())
    }
}

/// How a subcommand ends.
pub type Done = Result<(), Failure>;

/// A text that came from a cluster, made safe for a terminal: control characters but line ends and tabs become `\u{…}`.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_cluster_never_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\tc\u{7}\u{9b}ü"), "a\\u{1b}[2Jb\n\tc\\u{7}\\u{9b}ü");
    }
}
