//! The composition root.

pub mod eval;

use std::process::ExitCode;

/// Runs the program for the arguments of the process.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
