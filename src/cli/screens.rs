//! `flightdeck` without a subcommand: the screens on the sources that the settings name.

use std::sync::Arc;

use super::exit::{Done, Failure};
use super::log;
use super::start::{self, Sources, env};
use crate::clock::{Clock, SystemClock};
use crate::config::{Settings, paths};
use crate::domain::snapshot::Notice;
use crate::tui::{self, Ended, TuiOptions};

/// Runs the screens until the user leaves.
///
/// # Errors
/// If no source can be used or the terminal cannot.
pub async fn run(settings: &Settings) -> Done {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sources = start::sources(settings, None, &clock).await?;
    on(settings, sources, Vec::new(), clock).await
}

/// Runs the screens on these sources.
///
/// # Errors
/// If the loop cannot be started or the terminal cannot be used.
pub async fn on(settings: &Settings, sources: Sources, notices: Vec<Notice>, clock: Arc<dyn Clock>) -> Done {
    log::to_screens(settings)?;
    let started = start::start(settings, sources, notices, Arc::clone(&clock))?;
    let _socket = start::socket(&started.handle);
    let options = TuiOptions {
        directory: paths::config_dir(&env),
        theme: settings.text("ui.theme").to_owned(),
        utc: settings.switch("ui.utc"),
        mouse: settings.switch("ui.mouse"),
        ascii: match settings.text("ui.ascii") {
            "always" => Some(true),
            "never" => Some(false),
            _ => None,
        },
        ..TuiOptions::default()
    };
    match tui::run(options, started.handle.clone(), clock).await {
        Ok(Ended::Quit | Ended::Terminated | Ended::TerminalGone) => Ok(()),
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}
