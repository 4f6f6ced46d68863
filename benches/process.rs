//! The whole process, measured from outside: `cargo bench --bench process`, or parts of it by their names, of start, keys, demo,
//! watched and piloted (`cargo bench --bench process -- watched`). `FLIGHTDECK_BIN=PATH` measures another binary.
//!
//! `flightdeck sim` serves the clusters in a process of its own; what is measured is the flightdeck that looks at them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/session.rs"]
mod session;
#[path = "support/spread.rs"]
mod spread;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flightdeck::clock::{Clock, SystemClock};
use flightdeck::control::Handle;
use flightdeck::domain::command::Interest;
use flightdeck::tui::{TuiOptions, run};
use session::{Meter, Session, mebibytes};
use spread::Spread;
use tokio::sync::{mpsc, watch};

fn flightdeck() -> PathBuf {
    std::env::var_os("FLIGHTDECK_BIN").map_or_else(|| env!("CARGO_BIN_EXE_flightdeck").into(), Into::into)
}

/// `flightdeck sim` with its files.
struct Sim {
    child: Child,
    url: String,
    /// Kept open: it writes more than is read.
    _output: BufReader<ChildStdout>,
    _dir: tempfile::TempDir,
}

impl Sim {
    /// A plain cluster with so many jobs, each a chain of so many vertices at 70 % of what they can do.
    fn start(jobs: usize, vertices: usize) -> Self {
        let mut text = format!(
            "name = \"bench\"\nprerun = \"20m\"\n[[cluster]]\nname = \"bench\"\n\
             taskmanagers = {{ count = {}, slots = 8, cpu = 2.0, memory = \"2g\" }}\n",
            jobs.div_ceil(8)
        );
        for job in 0..jobs {
            write!(text, "[[workload]]\nname = \"job-{job:03}\"\ncluster = \"bench\"\n").unwrap();
            for vertex in 0..vertices {
                let input = match vertex {
                    0 => "source = { rate = { kind = \"constant\", rate = 1000 } }".to_owned(),
                    n => format!("inputs = [{{ from = \"{}\", ship = \"hash\" }}]", name(n - 1)),
                };
                write!(text, "[[workload.vertex]]\nname = \"{}\"\ncost = \"700us\"\n{input}\n", name(vertex)).unwrap();
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let (scenario, kubeconfig) = (dir.path().join("bench.toml"), dir.path().join("kubeconfig"));
        std::fs::write(&scenario, text).unwrap();
        let mut child = Command::new(flightdeck())
            .arg("sim")
            .args([Path::new("--scenario"), &scenario, Path::new("--kubeconfig"), &kubeconfig])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.by_ref().lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("flink")?.split_whitespace().next().map(str::to_owned));
        Self { child, url: url.expect("the embedded cluster says where it is"), _output: output, _dir: dir }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name(vertex: usize) -> String {
    if vertex == 0 { "Source: in".to_owned() } else { format!("Step {vertex}") }
}

/// Start to the first rows on screen.
fn start() {
    let sim = Sim::start(20, 3);
    let mut spread = Spread::default();
    for _ in 0..20 {
        let session = Session::start(&flightdeck(), &["--flink", &sim.url], &[]);
        session.until("the first row", |screen| screen.contains("job-001"));
        spread.push(session.started.elapsed());
    }
    spread.print("start to first rows");
}

/// The demo, with everything it embeds.
fn demo() {
    let session = Session::start(&flightdeck(), &["demo"], &[]);
    session.until("the first row", |screen| screen.contains("orders-enrichment"));
    println!("demo: first rows after {:.0} ms", session.started.elapsed().as_secs_f64() * 1e3);
    std::thread::sleep(Duration::from_secs(20));
    let mut meter = Meter::new(session.pid());
    std::thread::sleep(Duration::from_secs(40));
    let (time, wakes) = meter.read();
    println!(
        "demo, a minute after its start: {:.1} MiB resident ({:.1} at most), {:.2} % of a core, {:.0} wake-ups a second",
        mebibytes(session.pid(), "VmRSS"),
        mebibytes(session.pid(), "VmHWM"),
        100.0 * time.as_secs_f64() / 40.0,
        wakes as f64 / 40.0,
    );
}

/// What a process costs around its polls and between them.
fn polls(what: &str, pid: u32, period: Duration) {
    const SLICE: Duration = Duration::from_millis(50);
    /// Slices before and after the busiest one of a period that belong to its poll.
    const AROUND: std::ops::Range<usize> = 2..7;
    let slices = (period.as_millis() / SLICE.as_millis()) as usize;
    let periods = (Duration::from_secs(60).as_millis() / period.as_millis()) as usize;
    let mut meter = Meter::new(pid);
    let (mut used, mut wakes) = (Vec::new(), 0);
    let mut next = Instant::now();
    for _ in 0..slices * periods {
        next += SLICE;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let (time, woken) = meter.read();
        used.push(time.as_secs_f64());
        wakes += woken;
    }
    let (mut poll, mut polled, mut quiet) = (0.0, 0, Vec::new());
    for period in used.chunks(slices) {
        let busiest = (0..period.len()).max_by(|a, b| period[*a].total_cmp(&period[*b])).unwrap();
        let around = busiest.saturating_sub(AROUND.start)..(busiest + AROUND.end).min(period.len());
        polled += 1;
        poll += period[around.clone()].iter().sum::<f64>();
        quiet.extend(period.iter().enumerate().filter(|(n, _)| !around.contains(n)).map(|(_, time)| *time));
    }
    let quiet_share = quiet.iter().sum::<f64>() / (quiet.len() as f64 * SLICE.as_secs_f64());
    println!(
        "{what}: {:.3} % of a core between polls, {:.2} ms a poll (every {} s), {:.0} wake-ups a second, {:.1} MiB resident",
        100.0 * quiet_share,
        1e3 * poll / f64::from(polled),
        period.as_secs(),
        wakes as f64 / (used.len() as f64 * SLICE.as_secs_f64()),
        mebibytes(pid, "VmRSS"),
    );
}

/// The loop without a screen, with these options.
fn headless(sim: &Sim, options: &[&str]) -> Session {
    let mut arguments = vec!["get", "decisions", "--wait", "10m", "--flink", &sim.url];
    arguments.extend(options.iter().flat_map(|option| ["--set", *option]));
    Session::start(&flightdeck(), &arguments, &[])
}

/// Two hundred jobs that nobody pilots or looks at.
fn watched() {
    let sim = Sim::start(200, 3);
    let session = headless(&sim, &["loop.mode=off"]);
    std::thread::sleep(Duration::from_secs(15));
    polls("200 jobs watched, no screen", session.pid(), Duration::from_secs(10));
    drop(session);
    let session = Session::start(&flightdeck(), &["--flink", &sim.url, "--set", "loop.mode=off"], &[]);
    session.until("rows", |screen| screen.contains("job-"));
    std::thread::sleep(Duration::from_secs(12));
    polls("200 jobs watched, the fleet on screen", session.pid(), Duration::from_secs(2));
}

/// Jobs whose loop runs: a full window after a minute, and nothing to decide.
fn piloted() {
    let options = ["loop.period=5s", "stabilization.interval=5s", "metrics.window=40s", "utilization.target=0.7"];
    for (jobs, vertices) in [(20, 5), (20, 20)] {
        let sim = Sim::start(jobs, vertices);
        let session = headless(&sim, &options);
        std::thread::sleep(Duration::from_secs(60));
        let mut meter = Meter::new(session.pid());
        std::thread::sleep(Duration::from_secs(60));
        let (time, wakes) = meter.read();
        println!(
            "{jobs} jobs piloted, {vertices} vertices each: {:.2} ms a job and turn, {:.0} wake-ups a second, {:.1} MiB resident",
            1e3 * time.as_secs_f64() / (jobs as f64 * 12.0),
            wakes as f64 / 60.0,
            mebibytes(session.pid(), "VmRSS"),
        );
    }
}

/// A key to what it paints in the terminal, while 500 snapshots of 1,000 jobs arrive a second.
fn keys() {
    let mut session = Session::start(&std::env::current_exe().unwrap(), &[FLOOD], &[]);
    session.until("the fleet", |screen| screen.contains("pipeline-"));
    let mut spread = Spread::default();
    for n in 0..500_u64 {
        std::thread::sleep(Duration::from_millis(20 + n * 7 % 41));
        let opens = n % 2 == 0;
        let begin = Instant::now();
        session.types(if opens { "?" } else { "\x1b" });
        session.until("the help", |screen| screen.contains("search:") == opens);
        spread.push(begin.elapsed());
    }
    spread.print("key to paint at 500 snapshots a second, 120x40, 1000 jobs");
}

/// The argument that makes this program the screen of [`keys`].
const FLOOD: &str = "the-screen-of-a-flood";

/// The screens on snapshots that are made up, 500 a second.
fn flood() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (snapshots_in, snapshots) = watch::channel(Arc::new(fleet::snapshot(1_000, clock.now())));
        let (commands, _commands) = mpsc::channel(1);
        let (interest, _interest) = watch::channel(Interest::default());
        let time = Arc::clone(&clock);
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(Duration::from_millis(2));
            for n in 0.. {
                beat.tick().await;
                let mut next = snapshots_in.borrow().as_ref().clone();
                (next.revision, next.at) = (n + 1, time.now());
                let job = &mut next.jobs[n as usize * 7 % 1_000];
                let view = Arc::make_mut(job);
                view.revision += 1;
                if let Some(rates) = &mut view.rates {
                    rates.value.records_in += 10.0;
                }
                snapshots_in.send_replace(Arc::new(next));
            }
        });
        run(TuiOptions::default(), Handle { snapshots, commands, interest }, clock).await
    });
    ended.unwrap();
}

type Part = (&'static str, fn());

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if wanted.iter().any(|wanted| wanted == FLOOD) {
        return flood();
    }
    let parts: [Part; 5] =
        [("start", start), ("keys", keys), ("demo", demo), ("watched", watched), ("piloted", piloted)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part();
        }
    }
}
