//! The `flightdeck` binary: hands the command line to [`flightdeck::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    flightdeck::cli::main()
}
