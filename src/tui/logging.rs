//! The way of log events to the log screen: a `tracing` layer over `tui-logger`'s drain, without its polling thread.
//!
//! Events of crates that use `log` keep their own target, and control characters never reach the terminal because everything
//! is drawn through cells. Events are moved to the widget before each frame.

use std::fmt::{self, Write};

use log::Level;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Characters of one event at most.
const LIMIT: usize = 2000;

/// The layer that feeds the log screen. What passes it is up to the filter that is put before it.
#[derive(Debug)]
pub struct LogLayer {
    drain: DebugDrain,
}

struct DebugDrain(tui_logger::Drain);

impl fmt::Debug for DebugDrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drain")
    }
}

impl LogLayer {
    /// The layer. There should be one in a process, since what it feeds is global.
    pub fn new() -> Self {
        tui_logger::set_default_level(tui_logger::LevelFilter::Trace);
        Self { drain: DebugDrain(tui_logger::Drain::new()) }
    }
}

impl Default for LogLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or_else(|| event.metadata());
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        self.drain.0.log(
            &log::Record::builder()
                .level(level)
                .target(metadata.target())
                .module_path(metadata.module_path())
                .file(metadata.file())
                .line(metadata.line())
                .args(format_args!("{}", text.0.trim_end()))
                .build(),
        );
    }
}

/// The message, and the other fields as `name=value`.
#[derive(Default)]
struct Text(String);

impl Text {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name().starts_with("log.") || self.0.len() > LIMIT {
            return;
        }
        let start = self.0.len();
        let written = if field.name() == "message" {
            write!(self.0, "{value} ")
        } else {
            write!(self.0, "{}={value} ", field.name())
        };
        debug_assert!(written.is_ok(), "writing to a text does not fail");
        let clean: String = self.0.split_off(start).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.0.extend(clean.chars().take(LIMIT));
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Keeps the text of the last event.
    #[derive(Clone, Default)]
    struct Last(std::sync::Arc<std::sync::Mutex<String>>);

    impl<S: Subscriber> Layer<S> for Last {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut text = Text::default();
            event.record(&mut text);
            *self.0.lock().unwrap() = text.0.trim_end().to_owned();
        }
    }

    #[test]
    fn an_event_is_one_bounded_line_without_control_characters() {
        let last = Last::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(last.clone()), || {
            tracing::info!(job = "a\nb", count = 3, "asked \x1b[31m");
        });
        assert_eq!(*last.0.lock().unwrap(), "asked  [31m job=a b count=3");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(last.clone()), || {
            tracing::info!("{}", "x".repeat(10_000));
        });
        assert_eq!(last.0.lock().unwrap().len(), LIMIT);
    }
}
