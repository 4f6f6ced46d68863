//! The real binary in a pseudo terminal: it starts, it draws, and it gives the terminal back on every way out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flightdeck::tui::terminal::{Guard, OnScreen};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

const FLIGHTDECK: &str = env!("CARGO_BIN_EXE_flightdeck");
const LINES: u16 = 30;
const COLUMNS: u16 = 110;

/// How often the screen is looked at while waiting.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is looked at before a wait is given up: a minute, for slow machines.
const LOOKS: usize = 3_000;

/// A program in a pseudo terminal of its own.
struct Session {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
    closing: Arc<AtomicBool>,
    _home: tempfile::TempDir,
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

impl Session {
    /// Starts the binary.
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_program(FLIGHTDECK, None, arguments, environment)
    }

    /// Starts the binary by a shell script; `"$@"` in it is the command.
    fn start_by(script: &str, arguments: &[&str]) -> Self {
        Self::start_program(FLIGHTDECK, Some(script), arguments, &[])
    }

    fn start_program(program: &str, shell: Option<&str>, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: LINES, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut command = match shell {
            None => CommandBuilder::new(program),
            Some(script) => {
                let mut command = CommandBuilder::new("/bin/sh");
                command.args(["-c", script, "sh", program]);
                command
            }
        };
        command.args(arguments);
        command.env_clear();
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, home.path());
        }
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(LINES), cells(COLUMNS), 0)));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let (parser, kept) = (Arc::clone(&screen), Arc::clone(&raw));
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closing);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                parser.lock().unwrap().process(&buffer[..n]);
                kept.lock().unwrap().extend_from_slice(&buffer[..n]);
                if closed.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        Self { master: Some(pair.master), writer: Some(writer), child, screen, raw, closing, _home: home }
    }

    fn contents(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until something is true of this session.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        for _ in 0..LOOKS {
            if holds(self) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("waited in vain for {what}; the screen shows:\n{}", self.contents());
    }

    fn sees(&mut self, text: &str) {
        self.until(text, |session| session.contents().contains(text));
    }

    fn types(&mut self, text: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Closes the terminal. The reading thread holds it too and lets go with the next output, which ages on screen give.
    fn hang_up(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        self.writer.take();
        self.master.take();
    }

    /// Presses q until the process ends, and gives its exit code. Again and again, because `crossterm` sees a key that comes
    /// together with a resize only with the key after it.
    fn quit(&mut self) -> u32 {
        let mut looks = 0;
        let mut code = None;
        self.until("the end of the process", |session| {
            if looks % 50 == 0 {
                let _ = session.writer.as_mut().unwrap().write_all(b"q");
            }
            looks += 1;
            code = session.child.try_wait().unwrap().map(|status| status.exit_code());
            code.is_some()
        });
        code.unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        assert!(
            std::process::Command::new("/bin/sh")
                .args(["-c", &format!("kill -{name} {pid}")])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end of the process and gives its exit code.
    fn end(&mut self) -> u32 {
        let mut code = None;
        self.until("the end of the process", |session| {
            code = session.child.try_wait().unwrap().map(|status| status.exit_code());
            code.is_some()
        });
        code.unwrap()
    }

    /// The terminal is as it was found.
    fn is_clean(&mut self) {
        self.until("a clean terminal", |session| {
            let parser = session.screen.lock().unwrap();
            let screen = parser.screen();
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        let raw = self.raw.lock().unwrap();
        let text = String::from_utf8_lossy(&raw);
        let last = |on: &str, off: &str| text.rfind(off) >= text.rfind(on);
        assert!(last("\x1b[?1004h", "\x1b[?1004l"), "focus events are off");
        assert!(last("\x1b[?7l", "\x1b[?7h"), "lines wrap again");
        assert!(last("\x1b[?2026h", "\x1b[?2026l"), "no synchronized update is open");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn demo() -> Session {
    let mut session = Session::start(&["demo"], &[]);
    session.sees("Fleet");
    session
}

#[test]
fn quitting_leaves_a_clean_terminal() {
    let mut session = demo();
    assert!(session.screen.lock().unwrap().screen().alternate_screen());
    session.types("?");
    session.sees("search:");
    session.types("\x1b");
    session.until("help to close", |s| !s.contents().contains("search:"));
    session.types("q");
    assert_eq!(session.end(), 0);
    session.is_clean();
}

#[test]
fn ctrl_c_quits() {
    let mut session = demo();
    session.types("\x03");
    assert_eq!(session.end(), 0);
    session.is_clean();
}

#[test]
fn a_request_to_end_leaves_a_clean_terminal() {
    let mut session = demo();
    session.signal("TERM");
    session.end();
    session.is_clean();
}

#[test]
fn a_closed_terminal_ends_the_process() {
    let mut session = demo();
    session.hang_up();
    session.end();
}

#[test]
fn a_closed_terminal_ends_the_process_even_if_the_hang_up_is_ignored() {
    let mut session = Session::start_by("trap '' HUP; exec \"$@\"", &["demo"]);
    session.sees("Fleet");
    session.hang_up();
    session.end();
}

#[test]
fn a_resize_is_followed_down_to_a_sentence_and_back() {
    let mut session = demo();
    let resize = |session: &mut Session, rows: u16, cols: u16| {
        session.screen.lock().unwrap().screen_mut().set_size(cells(rows), cells(cols));
        session.master.as_ref().unwrap().resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    };
    resize(&mut session, 5, 20);
    session.until("the sentence", |s| s.contents().replace('\n', " ").contains("flightdeck needs"));
    resize(&mut session, 24, 80);
    session.sees("Fleet");
    assert_eq!(session.quit(), 0);
}

#[test]
fn a_closed_terminal_ends_the_process_even_if_no_signal_arrives() {
    // In a session of its own the program has no controlling terminal, so nothing tells it that the terminal is gone.
    let found = std::process::Command::new("setsid").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no setsid on this machine");
        return;
    }
    let mut session = Session::start_by("trap '' HUP; exec setsid --wait \"$@\"", &["demo"]);
    session.sees("Fleet");
    session.hang_up();
    session.end();
}

#[test]
fn a_suspended_program_gives_the_terminal_back_and_takes_it_again() {
    // A shell with job control: it says when its job was stopped, and lets it go on.
    let mut session = Session::start_by("set -m; \"$@\"; echo STOPPED; fg; echo OVER", &["demo"]);
    session.sees("Fleet");
    session.types("\x1a");
    session.until("the stop and the screen again", |session| {
        let raw = String::from_utf8_lossy(&session.raw.lock().unwrap()).into_owned();
        let stopped = raw.find("STOPPED");
        let left = raw.find("\x1b[?1049l");
        let back = raw.rfind("\x1b[?1049h");
        matches!((left, stopped, back), (Some(left), Some(stopped), Some(back)) if left < stopped && stopped < back)
    });
    session.sees("Fleet");
    session.types("q");
    session.sees("OVER");
    session.is_clean();
}

/// Runs a test of this file alone in a terminal of its own.
fn alone(test: &str) -> Session {
    let this = std::env::current_exe().unwrap();
    let arguments = ["--exact", test, "--ignored", "--nocapture"];
    Session::start_program(this.to_str().unwrap(), None, &arguments, &[])
}

#[test]
fn a_panic_of_the_screen_gives_the_terminal_back_and_is_read_on_it() {
    let mut session = alone("in_a_terminal_the_screen_panics");
    session.sees("the screen fell");
    assert_ne!(session.end(), 0);
    session.is_clean();
}

#[test]
#[ignore = "needs a terminal of its own: a_panic_of_the_screen_gives_the_terminal_back_and_is_read_on_it runs it"]
fn in_a_terminal_the_screen_panics() {
    let (_guard, mut terminal) = Guard::take(true, true).unwrap();
    terminal.draw(|frame| frame.render_widget("before", frame.area())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(OnScreen::new(async { panic!("the screen fell") }));
}

#[test]
fn a_panic_elsewhere_leaves_the_screen_alone() {
    let mut session = alone("in_a_terminal_a_task_panics");
    session.sees("still drawing");
    assert!(!session.contents().contains("a task fell"));
    assert!(session.screen.lock().unwrap().screen().alternate_screen());
    session.types("x");
    assert_eq!(session.end(), 0);
    session.is_clean();
}

#[test]
#[ignore = "needs a terminal of its own: a_panic_elsewhere_leaves_the_screen_alone runs it"]
fn in_a_terminal_a_task_panics() {
    let (_guard, mut terminal) = Guard::take(true, true).unwrap();
    let fell = std::thread::spawn(|| panic!("a task fell")).join();
    assert!(fell.is_err());
    terminal.draw(|frame| frame.render_widget("still drawing", frame.area())).unwrap();
    let mut key = [0];
    std::io::stdin().read_exact(&mut key).unwrap();
}

#[test]
fn without_utf8_and_colours_it_draws_ascii_alone() {
    let mut session = Session::start(&["demo"], &[("LANG", "C"), ("NO_COLOR", "1")]);
    session.sees("Fleet");
    session.types("?");
    session.sees("search:");
    session.types("\x1b");
    session.until("help to close", |s| !s.contents().contains("search:"));
    let raw = session.raw.lock().unwrap().clone();
    assert!(raw.is_ascii(), "{}", String::from_utf8_lossy(&raw));
    let text = String::from_utf8_lossy(&raw).into_owned();
    assert!(!text.contains("\x1b[38;") && !text.contains("\x1b[48;"), "no colours");
}
