//! One frame of the fleet: `cargo bench --bench draw`. Goals with 1,000 jobs: p99 of 2 ms at 120×40, of 4 ms at 200×60; rows
//! outside the window cost nothing.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/spread.rs"]
mod spread;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use flightdeck::domain::Timestamp;
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::tui::draw::draw;
use flightdeck::tui::event::{Event, Key};
use flightdeck::tui::keymap::Keymap;
use flightdeck::tui::model::{Model, Setup};
use flightdeck::tui::theme::{ColourLevel, UNICODE, load};
use flightdeck::tui::update::update;
use spread::Spread;

fn model(jobs: u32, columns: u16, lines: u16) -> (Model, Terminal<TestBackend>) {
    let now = Timestamp::UNIX_EPOCH + Duration::from_secs(1_772_334_760);
    let snapshot = fleet::snapshot(jobs, now);
    let setup = Setup {
        themes: vec![load("dark", None, ColourLevel::True, &UNICODE).unwrap()],
        keymap: Keymap::default(),
        utc: true,
        mouse: false,
        warnings: Vec::new(),
    };
    let mut model = Model::new(setup, Arc::new(snapshot), now, Duration::ZERO);
    update(&mut model, Event::Resize { columns, lines });
    (model, Terminal::new(TestBackend::new(columns, lines)).unwrap())
}

/// Runs something `warm_up` times, then `times` times with a clock beside it.
fn timed(warm_up: usize, times: usize, mut run: impl FnMut()) -> Spread {
    (0..warm_up).for_each(|_| run());
    let mut spread = Spread::default();
    for _ in 0..times {
        let start = Instant::now();
        run();
        spread.push(start.elapsed());
    }
    spread
}

fn frames() {
    for (columns, lines) in [(120, 40), (200, 60)] {
        for jobs in [50, 1_000, 10_000] {
            let (mut model, mut terminal) = model(jobs, columns, lines);
            let mut keys = ['j', 'j', 'k', 'j', 'k'].into_iter().cycle();
            // The key is part of the time: it moves the cursor, and the words below the rows change with it.
            let spread = timed(500, 5_000, || {
                let key = keys.next().unwrap_or('j');
                update(&mut model, Event::Key(Key::char(key)));
                terminal.draw(|frame| draw(frame, &mut model)).unwrap();
            });
            spread.print(&format!("a key and its frame, {columns}x{lines}, {jobs} jobs"));
        }
    }
    let (mut model, _) = model(1_000, 120, 40);
    let spread = timed(100, 2_000, || {
        let mut snapshot = Snapshot::clone(model.latest());
        snapshot.revision += 1;
        update(&mut model, Event::Snapshot(Arc::new(snapshot)));
    });
    spread.print("a newer snapshot, 1000 jobs");
}

fn main() {
    frames();
}
