//! The composition root.

use std::process::ExitCode;

/// Runs the program for the arguments of the process.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
