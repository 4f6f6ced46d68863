//! The event loop: one task owns the model and the terminal. It sleeps until something happens or something visible changes
//! by itself, prefers signals and keys over data, and draws only when a frame is owed.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::EventStream;
use futures::{FutureExt, Stream, StreamExt};
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::draw::draw;
use super::event::Event;
use super::file::FileError;
use super::keymap::Keymap;
use super::model::{Model, Owed, Setup};
use super::terminal::{Guard, OnScreen, watch};
use super::theme::{self, ASCII, ColourLevel, UNICODE};
use super::update::{Effect, update};
use crate::clock::Clock;
use crate::control::handle::Handle;
use crate::domain::command::{Command, Interest};

/// The least time between two frames that show data.
const FRAME: Duration = Duration::from_millis(33);
/// A resize is drawn when no other followed for this long.
const RESIZE_QUIET: Duration = Duration::from_millis(40);
/// Events that are taken in one turn at most.
const BATCH: usize = 64;

/// How the screen is started.
#[derive(Debug, Clone)]
pub struct TuiOptions {
    /// Where `keymap.toml` and `themes/` are, if anywhere.
    pub directory: Option<PathBuf>,
    /// Name of the theme.
    pub theme: String,
    /// Times in UTC instead of local time.
    pub utc: bool,
    /// The mouse wheel is used.
    pub mouse: bool,
    /// Frames are wrapped so that the terminal shows whole ones (switch it off if a multiplexer gets it wrong).
    pub synchronized: bool,
    /// ASCII shapes; if absent, as the environment says.
    pub ascii: Option<bool>,
    /// Colours; if absent, as the environment says.
    pub colours: Option<ColourLevel>,
}

impl Default for TuiOptions {
    fn default() -> Self {
        Self {
            directory: None,
            theme: "dark".to_owned(),
            utc: false,
            mouse: false,
            synchronized: true,
            ascii: None,
            colours: None,
        }
    }
}

/// Why the screen ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The user wanted it.
    Quit,
    /// The operating system asked for it.
    Terminated,
    /// The terminal is gone.
    TerminalGone,
}

/// What can go wrong with the screen.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// The terminal cannot be used.
    #[error("cannot use this terminal: {0}; `flightdeck get` needs none")]
    Terminal(#[source] io::Error),
    /// The terminal stopped working.
    #[error("the terminal stopped working: {0}")]
    Lost(#[source] io::Error),
    /// Signals cannot be received.
    #[error("cannot listen to signals: {0}")]
    Signals(#[source] io::Error),
}

/// Shows a running control loop until the user leaves, the process is asked to end, or the terminal is gone. The terminal is
/// given back in every case.
///
/// # Errors
/// There is no usable terminal, or it stops working.
pub async fn run(options: TuiOptions, handle: Handle, clock: Arc<dyn Clock>) -> Result<Ended, TuiError> {
    OnScreen::new(show(options, handle, clock)).await
}

async fn show(options: TuiOptions, handle: Handle, clock: Arc<dyn Clock>) -> Result<Ended, TuiError> {
    let (signals_in, signals) = mpsc::channel(4);
    let listening = listen(signals_in.clone()).map_err(TuiError::Signals)?;
    let setup = setup(&options);
    let (guard, terminal) = Guard::take(options.mouse, options.synchronized).map_err(TuiError::Terminal)?;
    let (gone_in, mut gone) = mpsc::channel(1);
    let watching = watch(gone_in);
    let gone_to = signals_in;
    let forwarding = tokio::spawn(async move {
        if gone.recv().await.is_some() {
            let _ = gone_to.send(Ended::TerminalGone).await;
        }
    });
    let snapshot = Arc::clone(&handle.snapshots.borrow());
    let model = Model::new(setup, snapshot, clock.now(), clock.monotonic());
    let mut screen = Loop::new(model, terminal, guard, handle, clock);
    let ended = screen.run(EventStream::new(), signals).await;
    forwarding.abort();
    listening.abort();
    drop(watching);
    ended.map_err(TuiError::Lost)
}

/// Listens to the signals that end a program.
fn listen(to: mpsc::Sender<Ended>) -> io::Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        let ended = tokio::select! {
            _ = terminate.recv() => Ended::Terminated,
            _ = interrupt.recv() => Ended::Terminated,
            _ = hang_up.recv() => Ended::TerminalGone,
        };
        let _ = to.send(ended).await;
    }))
}

/// Reads themes and keys. What is wrong is told on the screen and the built-in one takes its place.
fn setup(options: &TuiOptions) -> Setup {
    let variable = |name: &str| std::env::var(name).ok();
    let ascii = options.ascii.unwrap_or_else(|| !theme::is_utf8(variable));
    let glyphs = if ascii { &ASCII } else { &UNICODE };
    let level = options.colours.unwrap_or_else(|| ColourLevel::detect(variable));
    let directory = options.directory.as_deref();
    let themes_in = directory.map(|directory| directory.join("themes"));
    let mut warnings = Vec::new();
    let names = std::iter::once(options.theme.as_str())
        .chain(theme::BUILT_IN.iter().map(|(name, _)| *name).filter(|name| *name != options.theme));
    let mut themes = Vec::new();
    for name in names {
        let loaded = theme::load(name, themes_in.as_deref(), level, glyphs);
        match loaded {
            Ok(theme) => themes.push(theme),
            Err(error) => {
                warnings.push(error.to_string());
                themes.extend(theme::load(name, None, level, glyphs).ok());
            }
        }
    }
    let tell = |errors: Vec<FileError>| errors.into_iter().map(|error| error.to_string()).collect::<Vec<_>>();
    let keymap = match Keymap::load(directory) {
        Ok((keymap, told)) => {
            warnings.extend(tell(told));
            keymap
        }
        Err(errors) => {
            warnings.extend(tell(errors));
            warnings.push("keymap.toml is wrong, so the built-in keys are used".to_owned());
            Keymap::default()
        }
    };
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Setup { themes, keymap, utc: options.utc, mouse: options.mouse, warnings }
}

/// What the loop does to a terminal beside drawing.
pub(crate) trait Port {
    fn begin_frame(&mut self) -> io::Result<()>;
    fn end_frame(&mut self) -> io::Result<()>;
    fn copy(&mut self, text: &str) -> io::Result<()>;
    fn mouse(&mut self, on: bool) -> io::Result<()>;
    fn bell(&mut self) -> io::Result<()>;
    fn suspend(&mut self) -> io::Result<()>;
}

impl Port for Guard {
    fn begin_frame(&mut self) -> io::Result<()> {
        Guard::begin_frame(self)
    }
    fn end_frame(&mut self) -> io::Result<()> {
        Guard::end_frame(self)
    }
    fn copy(&mut self, text: &str) -> io::Result<()> {
        Guard::copy(self, text)
    }
    fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.set_mouse(on)
    }
    fn bell(&mut self) -> io::Result<()> {
        Guard::bell(self)
    }
    fn suspend(&mut self) -> io::Result<()> {
        Guard::suspend(self)
    }
}

/// The loop with everything it owns.
pub(crate) struct Loop<B: Backend, P: Port> {
    pub(crate) model: Model,
    pub(crate) terminal: Terminal<B>,
    pub(crate) port: P,
    handle: Handle,
    clock: Arc<dyn Clock>,
    outbox: VecDeque<Command>,
    last_frame: Option<Instant>,
    resize: Option<((u16, u16), Instant)>,
}

impl<B, P> Loop<B, P>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    P: Port,
{
    pub(crate) fn new(model: Model, terminal: Terminal<B>, port: P, handle: Handle, clock: Arc<dyn Clock>) -> Self {
        Self { model, terminal, port, handle, clock, outbox: VecDeque::new(), last_frame: None, resize: None }
    }

    /// Runs until something ends it. What was confirmed is handed over before.
    pub(crate) async fn run<I>(&mut self, input: I, signals: mpsc::Receiver<Ended>) -> io::Result<Ended>
    where
        I: Stream<Item = io::Result<crossterm::event::Event>> + Unpin,
    {
        let ended = self.turn(input, signals).await;
        self.handle.interest.send_replace(Interest::default());
        for command in self.outbox.drain(..) {
            if let Err(error) = self.handle.commands.try_send(command) {
                tracing::error!("a command was not handed over before the end: {error}");
            }
        }
        ended
    }

    async fn turn<I>(&mut self, mut input: I, mut signals: mpsc::Receiver<Ended>) -> io::Result<Ended>
    where
        I: Stream<Item = io::Result<crossterm::event::Event>> + Unpin,
    {
        let size = self.terminal.size().map_err(io::Error::other)?;
        self.model.size = (size.width, size.height);
        let commands = self.handle.commands.clone();
        self.take(Event::Time)?;
        loop {
            if let Some(ended) = self.settle()? {
                return Ok(ended);
            }
            let deadline = self.deadline();
            let wait = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let ended = self.model.loop_ended();
            tokio::select! {
                biased;
                Some(ended) = signals.recv() => return Ok(ended),
                event = input.next() => match event {
                    Some(event) => {
                        if let Some(ended) = self.take_input(event?)? {
                            return Ok(ended);
                        }
                        for _ in 0..BATCH {
                            match input.next().now_or_never() {
                                Some(Some(event)) => {
                                    if let Some(ended) = self.take_input(event?)? {
                                        return Ok(ended);
                                    }
                                }
                                Some(None) => return Ok(Ended::TerminalGone),
                                None => break,
                            }
                        }
                    }
                    None => return Ok(Ended::TerminalGone),
                },
                permit = commands.reserve(), if !self.outbox.is_empty() => {
                    if let Some(command) = self.outbox.pop_front() {
                        let id = command.id;
                        let event = match permit {
                            Ok(permit) => {
                                permit.send(command);
                                Event::Sent(id)
                            }
                            Err(_) => Event::NotSent(id),
                        };
                        self.take(event)?;
                    }
                }
                changed = self.handle.snapshots.changed(), if !ended => {
                    let event = match changed {
                        Ok(()) => Event::Snapshot(Arc::clone(&self.handle.snapshots.borrow_and_update())),
                        Err(_) => Event::LoopEnded,
                    };
                    self.take(event)?;
                }
                () = wait => {
                    self.take(Event::Time)?;
                }
            }
        }
    }

    /// Applies a resize that has come to rest, and draws if a frame is due.
    fn settle(&mut self) -> io::Result<Option<Ended>> {
        let now = Instant::now();
        if let Some(((columns, lines), at)) = self.resize
            && at <= now
        {
            self.resize = None;
            if let Some(ended) = self.take(Event::Resize { columns, lines })? {
                return Ok(Some(ended));
            }
        }
        let due = match self.model.owed() {
            Owed::Nothing => false,
            Owed::Now => true,
            Owed::Data => self.last_frame.is_none_or(|last| now >= last + FRAME),
        };
        if due {
            self.frame(now)?;
        }
        Ok(None)
    }

    fn frame(&mut self, now: Instant) -> io::Result<()> {
        self.model.set_time(self.clock.now(), self.clock.monotonic());
        tui_logger::move_events();
        let start = self.clock.monotonic();
        self.port.begin_frame()?;
        let model = &mut self.model;
        self.terminal.draw(|frame| draw(frame, model)).map_err(io::Error::other)?;
        self.port.end_frame()?;
        let took = self.clock.monotonic().saturating_sub(start);
        self.model.counters.frames += 1;
        self.model.counters.last_draw = took;
        self.model.counters.longest_draw = self.model.counters.longest_draw.max(took);
        self.model.drawn();
        self.last_frame = Some(now);
        Ok(())
    }

    /// When to wake although nothing happens: the frame that is owed, the end of a resize, or the next visible change.
    fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let frame = match self.model.owed() {
            Owed::Nothing => None,
            Owed::Now => Some(now),
            Owed::Data => Some(self.last_frame.map_or(now, |last| last + FRAME)),
        };
        let quiet = self.model.quiet_time().map(|time| now + time);
        [frame, quiet, self.resize.map(|(_, at)| at)].into_iter().flatten().min()
    }

    /// Clears the terminal and draws everything anew with the next frame. `Terminal::clear` is of no use here: it asks the
    /// terminal for the position of the cursor, and the answer would be read by the stream of events.
    fn forget(&mut self) -> io::Result<()> {
        let size = self.terminal.size().map_err(io::Error::other)?;
        self.model.owe(Owed::Now);
        self.terminal.resize(size.into()).map_err(io::Error::other)
    }

    fn take_input(&mut self, event: crossterm::event::Event) -> io::Result<Option<Ended>> {
        match Event::from_terminal(event) {
            Some(Event::Resize { columns, lines }) => {
                self.resize = Some(((columns, lines), Instant::now() + RESIZE_QUIET));
                Ok(None)
            }
            Some(event) => self.take(event),
            None => Ok(None),
        }
    }

    fn take(&mut self, event: Event) -> io::Result<Option<Ended>> {
        self.model.set_time(self.clock.now(), self.clock.monotonic());
        let mut ended = None;
        for effect in update(&mut self.model, event) {
            match effect {
                Effect::Send(command) => self.outbox.push_back(command),
                Effect::Interest(interest) => {
                    self.handle.interest.send_replace(interest);
                }
                Effect::Copy(text) => self.port.copy(&text)?,
                Effect::Mouse(on) => self.port.mouse(on)?,
                Effect::Redraw => self.forget()?,
                Effect::Bell => self.port.bell()?,
                Effect::Suspend => {
                    self.port.suspend()?;
                    self.forget()?;
                    ended = self.take(Event::Resumed)?.or(ended);
                }
                Effect::Quit => ended = Some(Ended::Quit),
            }
        }
        Ok(ended)
    }
}
