//! A program in a pseudo terminal of its own, and what it costs, read from `/proc`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

const COLUMNS: u16 = 120;
const LINES: u16 = 40;

/// A program in a pseudo terminal.
pub struct Session {
    /// When it was started.
    pub started: Instant,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    writer: Box<dyn Write + Send>,
    _master: Box<dyn MasterPty + Send>,
    _home: tempfile::TempDir,
}

impl Session {
    /// Starts a program with no environment but what a terminal needs and `environment`.
    pub fn start(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: LINES, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, home.path());
        }
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")].iter().chain(environment) {
            command.env(name, value);
        }
        let cells = |count| NonZeroU16::new(count).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(LINES), cells(COLUMNS), 0)));
        let (mut reader, writer) = (pair.master.try_clone_reader().unwrap(), pair.master.take_writer().unwrap());
        let parser = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                parser.lock().unwrap().process(&buffer[..n]);
            }
        });
        let started = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        Self { started, child, screen, writer, _master: pair.master, _home: home }
    }

    /// What stands on the screen.
    pub fn contents(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Types a text.
    pub fn types(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Waits until the screen is as wanted, looked at every half millisecond, for at most 20 seconds.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        while !wanted(&self.contents()) {
            assert!(begin.elapsed() < Duration::from_secs(20), "waited in vain for {what}:\n{}", self.contents());
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A figure of `/proc/PID/status`, such as `VmRSS`, in MiB.
pub fn mebibytes(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Processor time of a process by its threads, to the nanosecond, and how often they were woken.
#[derive(Debug, Default)]
pub struct Meter {
    pid: u32,
    threads: BTreeMap<String, (u64, u64)>,
}

impl Meter {
    /// Of this process.
    pub fn new(pid: u32) -> Self {
        let mut meter = Self { pid, ..Self::default() };
        meter.read();
        meter
    }

    /// Time used and wake-ups since the last reading. A thread that ended in between takes its last bit with it.
    pub fn read(&mut self) -> (Duration, u64) {
        let (mut time, mut wakes) = (0, 0);
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap().flatten() {
            let name = thread.file_name().to_string_lossy().into_owned();
            let Ok(schedule) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let Ok(status) = std::fs::read_to_string(thread.path().join("status")) else { continue };
            let used: u64 = schedule.split(' ').next().unwrap().parse().unwrap();
            let woken = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            let woken: u64 = woken.trim().parse().unwrap();
            let before = self.threads.insert(name, (used, woken)).unwrap_or_default();
            (time, wakes) = (time + used - before.0, wakes + woken - before.1);
        }
        (Duration::from_nanos(time), wakes)
    }
}
