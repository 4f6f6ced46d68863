//! The whole process, measured from outside: `cargo bench --bench process`, or parts of it by their names, of start, keys, demo,
//! watched, piloted and kubernetes (`cargo bench --bench process -- watched`). `FLIGHTDECK_BIN=PATH` measures another binary.
//!
//! `flightdeck sim` serves the clusters in a process of its own; what is measured is the flightdeck that looks at them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/session.rs"]
mod session;
#[path = "support/spread.rs"]
mod spread;

use std::io::{BufRead, BufReader, Read as _, Write as _};
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
    /// The first JobManager's; none if all are reached through the API server only.
    url: Option<String>,
    /// The API server.
    kubernetes: String,
    kubeconfig: PathBuf,
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
            text += &format!("[[workload]]\nname = \"job-{job:03}\"\ncluster = \"bench\"\n");
            for vertex in 0..vertices {
                let input = match vertex {
                    0 => "source = { rate = { kind = \"constant\", rate = 1000 } }".to_owned(),
                    n => format!("inputs = [{{ from = \"{}\", ship = \"hash\" }}]", name(n - 1)),
                };
                text += &format!("[[workload.vertex]]\nname = \"{}\"\ncost = \"700us\"\n{input}\n", name(vertex));
            }
        }
        Self::of(&text)
    }

    /// The fleet of `assets/scenarios/fleet.toml`: three sorts of applications, so many of each.
    fn fleet(copies: usize) -> Self {
        let text = include_str!("../assets/scenarios/fleet.toml");
        Self::of(&text.replace("copies = 1000", &format!("copies = {copies}")))
    }

    fn of(text: &str) -> Self {
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
        // It says where it is, line by line, up to an empty one.
        let lines: Vec<String> =
            output.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let said = |what: &str| {
            let found = lines.iter().find_map(|line| line.strip_prefix(what)?.split_whitespace().next());
            found.map(str::to_owned)
        };
        let (url, kubernetes) = (said("flink"), said("kubernetes").expect("the embedded cluster says where it is"));
        Self { child, url, kubernetes, kubeconfig, _output: output, _dir: dir }
    }

    fn url(&self) -> &str {
        self.url.as_deref().expect("there is a JobManager to reach")
    }

    /// Changes an annotation of an object.
    fn touch(&self, path: &str, value: usize) {
        let body = format!("{{\"metadata\":{{\"annotations\":{{\"bench\":\"{value}\"}}}}}}");
        let address = self.kubernetes.strip_prefix("http://").unwrap();
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        write!(
            connection,
            "PATCH {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/merge-patch+json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
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
        let session = Session::start(&flightdeck(), &["--flink", sim.url()], &[]);
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
    let mut arguments = vec!["get", "decisions", "--wait", "10m", "--flink", sim.url()];
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
    let session = Session::start(&flightdeck(), &["--flink", sim.url(), "--set", "loop.mode=off"], &[]);
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

/// Fleets behind an API server, looked at and not piloted: a tenth of the goal's size and the whole, so that growth shows.
fn kubernetes() {
    for copies in [100, 1_000] {
        let sim = Sim::fleet(copies);
        let config = sim.kubeconfig.to_str().unwrap();
        let options = ["-A", "--set", "loop.mode=off"];
        let session = Session::start(&flightdeck(), &options, &[("KUBECONFIG", config)]);
        session.until("the first row", |screen| screen.contains("aggregate-"));
        let first = session.started.elapsed();
        let all = format!("{}", copies * 3);
        session.until("every row", |screen| screen.replace(',', "").contains(&all));
        let (rows, mut meter) = (session.started.elapsed(), Meter::new(session.pid()));
        std::thread::sleep(Duration::from_secs(60));
        let (settling, _) = meter.read();
        std::thread::sleep(Duration::from_secs(30));
        let (rest, wakes) = meter.read();
        const CHANGES: usize = 300;
        let begin = Instant::now();
        for n in 0..CHANGES {
            let name = format!("ingest-{}", n % copies + 1);
            sim.touch(&format!("/apis/flink.apache.org/v1beta1/namespaces/fleet/flinkdeployments/{name}"), n);
            std::thread::sleep(
                (begin + Duration::from_millis(100) * n as u32).saturating_duration_since(Instant::now()),
            );
        }
        let (changing, _) = meter.read();
        let quiet = rest.as_secs_f64() / 30.0 * begin.elapsed().as_secs_f64();
        println!(
            "{} deployments: first rows after {:.2} s, all after {:.2} s, {:.1} s of processor time in the first minute; \
             at rest {:.2} % of a core, {:.0} wake-ups a second; {:.2} ms for a changed object; {:.1} MiB resident ({:.1} at most)",
            copies * 3,
            first.as_secs_f64(),
            rows.as_secs_f64(),
            settling.as_secs_f64(),
            100.0 * rest.as_secs_f64() / 30.0,
            wakes as f64 / 30.0,
            1e3 * (changing.as_secs_f64() - quiet) / CHANGES as f64,
            mebibytes(session.pid(), "VmRSS"),
            mebibytes(session.pid(), "VmHWM"),
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
    let parts: [Part; 6] = [
        ("start", start),
        ("keys", keys),
        ("demo", demo),
        ("watched", watched),
        ("piloted", piloted),
        ("kubernetes", kubernetes),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part();
        }
    }
}
