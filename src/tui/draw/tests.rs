//! What lies around and over the screens, drawn at several sizes and in both sets of shapes.

use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::domain::decision::DecisionId;
use crate::domain::ids::JobKey;
use crate::domain::snapshot::Snapshot;
use crate::tui::event::Event;
use crate::tui::fixtures;
use crate::tui::keymap::Keymap;
use crate::tui::model::Setup;
use crate::tui::theme::{ASCII, BUILT_IN, ColourLevel, Theme, UNICODE, load};
use crate::tui::update::update;

const PENDING: DecisionId = DecisionId(0x1f2e_3d4c);

fn model(theme: Theme, snapshot: Snapshot, screen: Screen) -> Model {
    let setup = Setup { themes: vec![theme], keymap: Keymap::default(), utc: true, mouse: false, warnings: Vec::new() };
    let mut model = Model::new(setup, Arc::new(snapshot), fixtures::now(), Duration::ZERO);
    model.places.jump(screen);
    model.refresh_rows();
    model
}

fn dark() -> Theme {
    load("dark", None, ColourLevel::True, &UNICODE).unwrap()
}

fn press(model: &mut Model, keys: &str) {
    for key in keys.split_whitespace() {
        update(model, Event::Key(key.parse().unwrap()));
    }
}

fn typed(model: &mut Model, text: &str) {
    for c in text.chars() {
        update(model, Event::Key(Key::char(c)));
    }
}

/// What is around and over an empty screen.
fn around(model: &mut Model, columns: u16, lines: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| compose(frame, model, |_, _, _, _, _| {})).unwrap();
    terminal.backend().clone()
}

#[test]
fn the_header_names_sources_facts_and_counters() {
    let mut model = model(dark(), fixtures::fleet(), Screen::Fleet);
    insta::assert_snapshot!(around(&mut model, 140, 15));
}

#[test]
fn a_connection_that_verifies_nobody_stands_in_the_header() {
    let mut snapshot = fixtures::fleet();
    let text = |snapshot: &Snapshot| {
        let mut model = model(dark(), snapshot.clone(), Screen::Fleet);
        format!("{}", around(&mut model, 140, 15))
    };
    assert!(!text(&snapshot).contains("INSECURE"));
    Arc::make_mut(&mut snapshot.sources[0]).insecure = true;
    assert!(text(&snapshot).contains("INSECURE"), "{}", text(&snapshot));
}

#[test]
fn the_header_without_utf8_on_a_small_terminal() {
    let mut snapshot = fixtures::fleet();
    snapshot.read_only = true;
    let mut model = model(Theme::plain(), snapshot, Screen::Decision(PENDING));
    model.size = (80, 24);
    insta::assert_snapshot!(around(&mut model, 80, 15));
}

#[test]
fn an_approval_shows_target_change_cost_and_age() {
    let mut model = model(dark(), fixtures::fleet(), Screen::Decision(PENDING));
    press(&mut model, "a");
    insta::assert_snapshot!(around(&mut model, 100, 24));
}

fn approving(rehearsed: bool) -> Model {
    let mut snapshot = fixtures::on_kubernetes();
    let job = snapshot.jobs.iter_mut().find(|job| job.key == fixtures::key("fraud-detection")).unwrap();
    if rehearsed {
        let preview = crate::domain::freshness::Observed::new(Arc::new(fixtures::preview(PENDING)), fixtures::ago(3));
        Arc::make_mut(Arc::make_mut(job).resource.as_mut().unwrap()).preview = Some(preview);
    }
    let mut model = model(dark(), snapshot, Screen::Decision(PENDING));
    model.size = (80, 24);
    press(&mut model, "a");
    model
}

#[test]
fn an_approval_shows_what_the_dry_run_of_the_server_says() {
    insta::assert_snapshot!("approve-rehearsed@80x24", around(&mut approving(true), 80, 24));
    let asking = around(&mut approving(false), 80, 24).to_string();
    assert!(asking.contains("asking the server"), "{asking}");
    let small = around(&mut approving(true), 60, 15).to_string();
    assert!(small.contains("REDEPLOY: jobmanager.scheduler") && small.contains("y approve"), "{small}");
}

#[test]
fn ownership_and_contexts_ask_in_words() {
    let mut snapshot = fixtures::on_kubernetes();
    let job = snapshot.jobs.iter_mut().find(|job| job.key == fixtures::key("fraud-detection")).unwrap();
    Arc::make_mut(Arc::make_mut(job).resource.as_mut().unwrap()).can_take_over = true;
    let mut model = model(dark(), snapshot, Screen::Ownership(fixtures::key("fraud-detection")));
    press(&mut model, "t");
    insta::assert_snapshot!("take-over@80x24", around(&mut model, 80, 24));
    press(&mut model, "esc");
    model.overlays.clear();
    press(&mut model, "g x");
    insta::assert_snapshot!("contexts@80x24", around(&mut model, 80, 24));
}

#[test]
fn an_approval_fits_the_smallest_terminal_with_its_answers_in_sight() {
    let mut snapshot = fixtures::fleet();
    let at = snapshot.decisions.iter().position(|d| d.id == PENDING).unwrap();
    let decision = Arc::make_mut(&mut snapshot.decisions[at]);
    decision.changes = decision.changes.iter().cycle().take(20).cloned().collect();
    let mut model = model(Theme::plain(), snapshot, Screen::Decision(PENDING));
    press(&mut model, "a");
    insta::assert_snapshot!(around(&mut model, 60, 15));
}

#[test]
fn a_rejection_asks_for_its_reason_and_then_for_y() {
    let mut model = model(dark(), fixtures::fleet(), Screen::Decision(PENDING));
    press(&mut model, "x");
    typed(&mut model, "sale ends at nine");
    insta::assert_snapshot!("reject_reason", around(&mut model, 80, 15));
    press(&mut model, "enter");
    insta::assert_snapshot!("reject_confirm", around(&mut model, 80, 15));
}

#[test]
fn help_lists_everything_and_can_be_searched() {
    let mut model = model(dark(), fixtures::fleet(), Screen::Decision(PENDING));
    press(&mut model, "?");
    insta::assert_snapshot!("help", around(&mut model, 100, 75));
    typed(&mut model, "copy");
    insta::assert_snapshot!("help_searched", around(&mut model, 100, 15));
}

#[test]
fn the_palette_says_why_an_action_cannot_be_done() {
    let mut model = model(dark(), fixtures::fleet(), Screen::Log);
    press(&mut model, ":");
    typed(&mut model, "re");
    insta::assert_snapshot!(around(&mut model, 80, 22));
}

#[test]
fn begun_keys_show_what_may_follow() {
    let mut model = model(Theme::plain(), fixtures::fleet(), Screen::Fleet);
    press(&mut model, "g");
    insta::assert_snapshot!(around(&mut model, 80, 16));
}

#[test]
fn toasts_notices_and_a_wrong_filter_are_told() {
    let mut model = model(Theme::plain(), fixtures::fleet(), Screen::Fleet);
    press(&mut model, "esc g x /");
    typed(&mut model, "lga>10s");
    insta::assert_snapshot!("toasts_and_filter", around(&mut model, 90, 15));
    press(&mut model, "esc !");
    insta::assert_snapshot!("notices", around(&mut model, 90, 15));
}

#[test]
fn a_frozen_picture_says_so() {
    let mut model = model(Theme::plain(), fixtures::fleet(), Screen::Decisions);
    press(&mut model, "p");
    let shown = around(&mut model, 120, 15).to_string();
    assert!(shown.contains("|| FROZEN 0s"), "{shown}");
}

#[test]
fn a_terminal_that_is_too_small_shows_one_sentence() {
    let mut model = model(Theme::plain(), fixtures::fleet(), Screen::Fleet);
    insta::assert_snapshot!(around(&mut model, 40, 10));
}

fn screens() -> Vec<Screen> {
    let job: fn(&str) -> JobKey = fixtures::key;
    vec![
        Screen::Fleet,
        Screen::Job(job("fraud-detection")),
        Screen::Job(job("nobody")),
        Screen::Memory(job("fraud-detection")),
        Screen::Problems(job("ledger-export")),
        Screen::Checkpoints(job("fraud-detection")),
        Screen::TaskManagers(job("fraud-detection")),
        Screen::Decisions,
        Screen::Decision(PENDING),
        Screen::Decision(DecisionId(1)),
        Screen::Log,
    ]
}

#[test]
fn every_screen_and_overlay_draws_at_every_size_whatever_the_data() {
    let sizes = [(1, 1), (20, 5), (59, 15), (60, 14), (60, 15), (80, 24), (133, 37), (200, 60)];
    for snapshot in [fixtures::fleet(), fixtures::hostile(), fixtures::loading()] {
        for screen in screens() {
            for keys in ["", "?", ":", "/", "g", "a", "x", "!", "f12", "p", "e", "tab", "enter", "z o"] {
                let mut model = model(Theme::plain(), snapshot.clone(), screen.clone());
                press(&mut model, keys);
                for (columns, lines) in sizes {
                    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
                    terminal.draw(|frame| draw(frame, &mut model)).unwrap();
                    let clean = terminal
                        .backend()
                        .buffer()
                        .content()
                        .iter()
                        .all(|cell| !cell.symbol().contains(char::is_control));
                    assert!(clean, "{screen:?} {keys} {columns}x{lines}");
                }
            }
        }
    }
}

#[test]
fn without_utf8_nothing_but_ascii_is_drawn() {
    for screen in screens() {
        for keys in ["", "?", ":", "g", "a", "x", "p"] {
            let mut model = model(Theme::plain(), fixtures::fleet(), screen.clone());
            press(&mut model, keys);
            let shown = around(&mut model, 120, 40);
            let cell = shown.buffer().content().iter().find(|cell| !cell.symbol().is_ascii());
            assert_eq!(cell.map(|cell| cell.symbol()), None, "{screen:?} {keys}");
        }
    }
}

#[test]
fn in_every_theme_the_selected_line_of_the_palette_stands_out() {
    for (name, _) in BUILT_IN {
        for level in [ColourLevel::None, ColourLevel::Ansi16, ColourLevel::Ansi256, ColourLevel::True] {
            let mut model = model(load(name, None, level, &ASCII).unwrap(), fixtures::fleet(), Screen::Fleet);
            press(&mut model, ":");
            let shown = around(&mut model, 80, 24);
            let buffer = shown.buffer();
            let cell = |line: &str| {
                let y = (0..24).find(|y| (0..80).map(|x| buffer[(x, *y)].symbol()).collect::<String>().contains(line));
                let x = y.and_then(|y| (0..80).find(|x| buffer[(*x, y)].symbol() == "a")).unwrap_or(0);
                buffer[(x, y.unwrap())].style()
            };
            let (selected, other) = (cell("> a "), cell("x         reject"));
            assert_ne!((selected.bg, selected.add_modifier), (other.bg, other.add_modifier), "{name} {level:?}");
        }
    }
}
