//! Every screen as a person sees it: the whole frame at three sizes, in every state that a night brings, and at any size at all.

use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::{JobPane, Screen};
use crate::domain::decision::DecisionId;
use crate::domain::snapshot::Snapshot;
use crate::tui::draw::draw;
use crate::tui::fixtures::{self, key};
use crate::tui::keymap::Keymap;
use crate::tui::model::{Model, Setup};
use crate::tui::theme::{ColourLevel, Theme, UNICODE, load};
use crate::tui::widgets::tree::foldable;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn unicode() -> Theme {
    load("dark", None, ColourLevel::True, &UNICODE).unwrap()
}

fn model(snapshot: Snapshot, screen: Screen, theme: Theme) -> Model {
    let setup = Setup { themes: vec![theme], keymap: Keymap::default(), utc: true, mouse: false, warnings: Vec::new() };
    let now = snapshot.at;
    let mut model = Model::new(setup, Arc::new(snapshot), now, Duration::ZERO);
    model.places.open(screen);
    model.refresh_rows();
    model
}

fn frame(model: &mut Model, (wide, high): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(wide, high)).unwrap();
    model.size = (wide, high);
    terminal.draw(|frame| draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(wide).max(1));
    let text = |line: &[ratatui::buffer::Cell]| {
        let mut text = String::new();
        let mut covered = 0;
        for cell in line {
            if covered == 0 {
                text.push_str(cell.symbol());
                covered = crate::tui::format::width(cell.symbol()).max(1);
            }
            covered -= 1;
        }
        text.trim_end().to_owned()
    };
    lines.map(text).collect::<Vec<_>>().join("\n")
}

fn snapshots(name: &str, mut model: Model) {
    for (wide, high) in SIZES {
        insta::assert_snapshot!(format!("{name}@{wide}x{high}"), frame(&mut model, (wide, high)));
    }
}

fn fraud(screen: fn(crate::domain::ids::JobKey) -> Screen) -> Model {
    let mut model = model(fixtures::fleet(), screen(key("fraud-detection")), unicode());
    model.views.job.view.list.select_key(&fixtures::vertex_id(3));
    model
}

#[test]
fn the_fleet_shows_the_worst_first() {
    snapshots("fleet", model(fixtures::fleet(), Screen::Fleet, unicode()));
}

#[test]
fn the_job_shows_graph_vertices_and_charts() {
    snapshots("job", fraud(Screen::Job));
}

#[test]
fn the_job_shows_subtasks_and_the_last_turn_in_their_panes() {
    let mut subtasks = fraud(Screen::Job);
    subtasks.views.job.view.pane = JobPane::Subtasks;
    insta::assert_snapshot!("job-subtasks@80x24", frame(&mut subtasks, SIZES[0]));
    let mut explanation = fraud(Screen::Job);
    explanation.views.job.view.pane = JobPane::Explanation;
    let turn = fixtures::fleet().job(&key("fraud-detection")).unwrap().turn.clone().unwrap();
    explanation.views.job.view.tree.unfolded.extend(foldable(turn.explanation.as_ref().unwrap()));
    explanation.refresh_rows();
    insta::assert_snapshot!("job-explanation@80x24", frame(&mut explanation, SIZES[0]));
    let mut expanded = fraud(Screen::Job);
    expanded.views.job.view.expanded = true;
    insta::assert_snapshot!("job-expanded@80x24", frame(&mut expanded, SIZES[0]));
    let filling = model(fixtures::fleet(), Screen::Job(key("feature-store")), unicode());
    insta::assert_snapshot!("job-filling@80x24", frame(&mut { filling }, SIZES[0]));
}

fn pending() -> Screen {
    Screen::Decision(DecisionId(0x1f2e_3d4c))
}

#[test]
fn the_decision_shows_before_after_cost_and_why() {
    let mut model = model(fixtures::fleet(), pending(), unicode());
    let explanation = fixtures::fleet().decision(DecisionId(0x1f2e_3d4c)).unwrap().explanation.clone().unwrap();
    let tree = &mut model.views.decision.of(&DecisionId(0x1f2e_3d4c)).tree;
    tree.unfolded.extend(foldable(&explanation));
    model.refresh_rows();
    snapshots("decision", model);
}

#[test]
fn an_applied_decision_shows_prediction_against_outcome() {
    let mut outcome = model(fixtures::fleet(), Screen::Decision(DecisionId(0x0c0_ffee2)), unicode());
    insta::assert_snapshot!("decision-outcome@120x40", frame(&mut outcome, SIZES[1]));
    let mut tuned = model(fixtures::fleet(), Screen::Decision(DecisionId(0x5e55_102e)), unicode());
    insta::assert_snapshot!("decision-tuned@80x24", frame(&mut tuned, SIZES[0]));
}

#[test]
fn the_inbox_shows_what_waits_first() {
    snapshots("decisions", model(fixtures::fleet(), Screen::Decisions, unicode()));
}

#[test]
fn memory_shows_every_pool_and_what_stands_out() {
    snapshots("memory", fraud(Screen::Memory));
}

#[test]
fn task_managers_show_their_slots() {
    snapshots("task-managers", fraud(Screen::TaskManagers));
}

#[test]
fn checkpoints_show_history_and_durations() {
    snapshots("checkpoints", fraud(Screen::Checkpoints));
    let mut open = fraud(Screen::Checkpoints);
    open.views.checkpoints.view.open = true;
    open.views.checkpoints.view.list.select(3);
    insta::assert_snapshot!("checkpoints-open@80x24", frame(&mut open, SIZES[0]));
}

#[test]
fn problems_show_the_root_cause_and_the_trace() {
    let ledger = || model(fixtures::fleet(), Screen::Problems(key("ledger-export")), unicode());
    snapshots("problems", ledger());
    let mut open = ledger();
    open.views.problems.view.open = true;
    open.views.problems.view.stack.offset = 7;
    insta::assert_snapshot!("problems-open@80x24", frame(&mut open, SIZES[0]));
}
