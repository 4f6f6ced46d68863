//! Where the program's own log goes: into the panel of the screens, or to standard error. Standard output is for results.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::exit::Failure;
use crate::config::Settings;
use crate::tui::logging::LogLayer;

fn filter(settings: &Settings) -> Result<EnvFilter, Failure> {
    let text = settings.text("log.filter");
    EnvFilter::try_new(text).map_err(|e| {
        Failure::Usage(format!("log.filter: {text:?} is not a filter ({e}); write it as flightdeck=debug,warn"))
    })
}

/// Logs into the panel of the screens.
///
/// # Errors
/// If `log.filter` is not a filter.
pub fn to_screens(settings: &Settings) -> Result<(), Failure> {
    let layer = LogLayer::default().with_filter(filter(settings)?);
    // An error only means that logging runs already.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Logs warnings and errors to standard error, more if the filter was changed.
///
/// # Errors
/// If `log.filter` is not a filter.
pub fn to_stderr(settings: &Settings) -> Result<(), Failure> {
    let changed = settings.scalars().any(|(key, _, origin)| key == "log.filter" && origin.layer() != "built-in");
    let filter = if changed { filter(settings)? } else { EnvFilter::new("error") };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_filter(filter);
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}
