//! The terminal guard: takes the terminal, gives it back whatever happens, and notices when it is gone.
//!
//! Given back on return, on error, on a panic of the screen, on signals and while suspended. A panic elsewhere (a supervised
//! task that the program survives) is logged and leaves the screen alone.

mod clipboard;

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IsTerminal, Write, stdout};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, window_size,
};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc;

use clipboard::Multiplexer;

/// How often it is checked that the terminal is still there.
const WATCH: Duration = Duration::from_secs(1);
/// How long the program may take to end by itself when the terminal is gone.
const GRACE: Duration = Duration::from_secs(3);

/// The terminal is in our hands.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

thread_local! {
    /// This thread is running the screen just now.
    static SCREEN: Cell<bool> = const { Cell::new(false) };
}

/// The terminal while it is ours. Dropping it gives it back.
#[derive(Debug)]
pub struct Guard {
    mouse: bool,
    /// Frames are wrapped so that the terminal shows whole ones.
    synchronized: bool,
}

impl Guard {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Standard input or output is not a terminal, or it does not take orders.
    pub fn take(mouse: bool, synchronized: bool) -> io::Result<(Self, Terminal<CrosstermBackend<io::Stdout>>)> {
        if !(stdout().is_terminal() && io::stdin().is_terminal()) {
            return Err(io::Error::other("standard input and output must be a terminal"));
        }
        HOOK.call_once(install_hook);
        let guard = Self { mouse, synchronized };
        guard.arm()?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok((guard, terminal))
    }

    fn arm(&self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(
            stdout(),
            EnterAlternateScreen,
            DisableLineWrap,
            EnableBracketedPaste,
            EnableFocusChange,
            cursor::Hide
        )?;
        if self.mouse {
            execute!(stdout(), EnableMouseCapture)?;
        }
        Ok(())
    }

    /// Switches the mouse wheel on or off.
    ///
    /// # Errors
    /// The terminal does not take orders.
    pub fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) }
    }

    /// What follows up to [`Guard::end_frame`] is shown at once.
    ///
    /// # Errors
    /// The terminal does not take orders.
    pub fn begin_frame(&self) -> io::Result<()> {
        if self.synchronized { crossterm::queue!(stdout(), BeginSynchronizedUpdate) } else { Ok(()) }
    }

    /// The frame is complete.
    ///
    /// # Errors
    /// The terminal does not take orders.
    pub fn end_frame(&self) -> io::Result<()> {
        if self.synchronized { execute!(stdout(), EndSynchronizedUpdate) } else { Ok(()) }
    }

    /// Puts a text into the clipboard of the terminal, also from within tmux and screen.
    ///
    /// # Errors
    /// The terminal does not take orders.
    pub fn copy(&self, text: &str) -> io::Result<()> {
        let through = Multiplexer::detect(|name| std::env::var(name).ok());
        stdout().write_all(clipboard::order(text, through).as_bytes())?;
        stdout().flush()
    }

    /// Rings the bell.
    ///
    /// # Errors
    /// The terminal does not take orders.
    pub fn bell(&self) -> io::Result<()> {
        stdout().write_all(b"\x07")?;
        stdout().flush()
    }

    /// Gives the terminal back, stops the process until it is continued, and takes the terminal again.
    ///
    /// # Errors
    /// The process cannot be stopped, or the terminal does not take orders.
    pub fn suspend(&self) -> io::Result<()> {
        give_back();
        // A shell sends the signal, since sending one from here would need unsafe code.
        let stopped = std::process::Command::new("/bin/sh").args(["-c", "kill -TSTP \"$PPID\""]).status();
        self.arm()?;
        stopped.map(|_| ())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back if it is ours. Safe to call at any time and more than once.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            DisableMouseCapture,
            DisableFocusChange,
            DisableBracketedPaste,
            EnableLineWrap,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

fn install_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if TAKEN.load(Ordering::SeqCst) && !SCREEN.get() {
            tracing::error!("a background task failed: {info}");
            return;
        }
        give_back();
        before(info);
    }));
}

/// A future whose panics are panics of the screen.
pub struct OnScreen<F>(Pin<Box<F>>);

impl<F: Future> OnScreen<F> {
    /// Marks a future.
    pub fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for OnScreen<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        struct Mark(bool);
        impl Drop for Mark {
            fn drop(&mut self) {
                SCREEN.set(self.0);
            }
        }
        let _mark = Mark(SCREEN.replace(true));
        self.0.as_mut().poll(context)
    }
}

/// Watches over the terminal from a thread of its own: when it is gone, says so, and ends the process if that does not help.
///
/// `crossterm` takes the end of its input for silence and would spin for ever, and a hang-up signal may be ignored; so the
/// terminal is asked for its size once a second, which fails when it is gone. Watching ends when the returned value is dropped.
pub fn watch(gone: mpsc::Sender<()>) -> Arc<()> {
    let alive = Arc::new(());
    let watched: Weak<()> = Arc::downgrade(&alive);
    let _ = std::thread::Builder::new().name("terminal-watch".to_owned()).spawn(move || {
        while watched.strong_count() > 0 {
            std::thread::sleep(WATCH);
            if TAKEN.load(Ordering::SeqCst) && window_size().is_err() {
                let _ = gone.try_send(());
                std::thread::sleep(GRACE);
                if watched.strong_count() > 0 {
                    // The loop is caught inside of a read or a write of the dead terminal.
                    give_back();
                    std::process::exit(1);
                }
            }
        }
    });
    alive
}
