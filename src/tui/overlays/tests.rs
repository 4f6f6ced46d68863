//! Operations as a person sees them: choices, the inventory, plans before they begin, their course, and what was left unfinished.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::command::Intent;
use crate::domain::plan::{Plan, PlanOrder};
use crate::domain::snapshot::Snapshot;
use crate::tui::event::Event;
use crate::tui::fixtures::frames::{self, frame};
use crate::tui::fixtures::{self, plans};
use crate::tui::model::Model;
use crate::tui::screens::Screen;
use crate::tui::theme::{ColourLevel, Theme, UNICODE, load};
use crate::tui::update::{Effect, update};

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn model(snapshot: Snapshot, screen: Screen) -> Model {
    let theme = load("dark", None, ColourLevel::True, &UNICODE).unwrap();
    with(theme, snapshot, screen)
}

fn with(theme: Theme, snapshot: Snapshot, screen: Screen) -> Model {
    let mut model = frames::model(theme, snapshot);
    model.size = (120, 40);
    model.places.jump(screen);
    model.refresh_rows();
    model
}

fn drawn(name: &str, model: &mut Model) {
    for (wide, high) in SIZES {
        insta::assert_snapshot!(format!("{name}@{wide}x{high}"), frame(model, (wide, high)));
    }
}

/// Presses keys; every plan that is asked for is there at once.
fn press(model: &mut Model, keys: &str, change: impl Fn(&mut Plan)) {
    for key in keys.split_whitespace() {
        for effect in update(model, Event::Key(key.parse().unwrap())) {
            let Effect::Send(command) = effect else { continue };
            let mut snapshot = Snapshot::clone(model.latest());
            snapshot.revision += 1;
            match command.intent {
                Intent::Plan(PlanOrder::Propose { plan, subject, operation }) => {
                    let mut made = plans::plan(plan.0, &subject, operation, &snapshot);
                    change(&mut made);
                    snapshot.plans.push(Arc::new(made));
                }
                Intent::Plan(PlanOrder::Cancel { plan }) => snapshot.plans.retain(|other| other.id != plan),
                _ => continue,
            }
            update(model, Event::Snapshot(Arc::new(snapshot)));
        }
    }
    // The guard has passed.
    model.set_time(fixtures::now(), Duration::from_secs(10));
    update(model, Event::Time);
}

fn at_job() -> Model {
    // In the fixtures an operator describes this job; a job of plain Flink has more that can be done to it.
    model(fixtures::fleet(), Screen::Job(plans::fraud()))
}

#[test]
fn the_ways_of_an_operation_are_a_choice() {
    let mut model = at_job();
    press(&mut model, "X", |_| {});
    drawn("choose-shutdown", &mut model);
}

#[test]
fn a_savepoint_shows_its_plan_and_asks_for_y() {
    let mut model = at_job();
    press(&mut model, "s p enter", |_| {});
    drawn("plan-savepoint", &mut model);
}

#[test]
fn what_a_redeploy_starts_from_is_picked_newest_usable_first() {
    let mut model = at_job();
    press(&mut model, "R", |_| {});
    drawn("snapshots", &mut model);
    press(&mut model, "down down down enter", |_| {});
    let text = frame(&mut model, SIZES[0]);
    assert!(text.contains("it was removed: there is nothing to start from"), "{text}");
    press(&mut model, "down down", |_| {});
    for c in "s3:bucket".chars() {
        update(&mut model, Event::Key(crate::tui::event::Key::char(c)));
    }
    press(&mut model, "enter tab", |_| {});
    insta::assert_snapshot!("snapshots-path@80x24", frame(&mut model, SIZES[0]));
}

#[test]
fn a_redeploy_shows_what_is_lost_and_asks_for_the_name() {
    let mut model = at_job();
    press(&mut model, "R enter", |_| {});
    drawn("plan-redeploy", &mut model);
    for c in "fraud-detection".chars() {
        update(&mut model, Event::Key(crate::tui::event::Key::char(c)));
    }
    let text = frame(&mut model, SIZES[0]);
    assert!(text.contains("> fraud-detection") && text.contains("y redeploy"), "{text}");
}

#[test]
fn what_blocks_a_plan_is_shown_and_nothing_can_be_started() {
    let mut model = at_job();
    let block =
        |plan: &mut Plan| plan.blocks = vec!["the job is FAILING; it must be RUNNING to take a savepoint".into()];
    press(&mut model, "s t", block);
    drawn("plan-blocked", &mut model);
}

#[test]
fn several_jobs_are_one_question() {
    let mut model = model(fixtures::fleet(), Screen::Fleet);
    press(&mut model, "space space s p", |plan| {
        if plan.target.name.starts_with('l') {
            plan.blocks = vec!["the job is FAILING; it must be RUNNING to take a savepoint".into()];
        }
    });
    drawn("plan-several", &mut model);
}

#[test]
fn a_plan_that_is_being_made_says_so() {
    let mut model = at_job();
    update(&mut model, Event::Key("s".parse().unwrap()));
    update(&mut model, Event::Key("c".parse().unwrap()));
    insta::assert_snapshot!("plan-awaited@80x24", frame(&mut model, SIZES[0]));
}

#[test]
fn operations_show_what_is_open_first() {
    let snapshot = Snapshot { plans: plans::all(), ..fixtures::fleet() };
    drawn("operations", &mut model(snapshot, Screen::Operations));
    let mut none = model(fixtures::fleet(), Screen::Operations);
    assert!(frame(&mut none, SIZES[0]).contains("no operation was carried out yet"));
}

#[test]
fn the_course_of_a_plan_is_seen_step_by_step() {
    let all = plans::all();
    let snapshot = Snapshot { plans: all.clone(), ..fixtures::fleet() };
    drawn("operation-running", &mut model(snapshot.clone(), Screen::Plan(all[0].id)));
    insta::assert_snapshot!(
        "operation-failed@80x24",
        frame(&mut model(snapshot.clone(), Screen::Plan(all[2].id)), SIZES[0])
    );
    let mut late = model(snapshot.clone(), Screen::Plan(all[0].id));
    late.set_time(fixtures::now() + Duration::from_secs(200), Duration::ZERO);
    let text = frame(&mut late, SIZES[0]);
    assert!(text.contains("takes long: CANCELLING: 17 of 24"), "{text}");
    let mut gone = model(snapshot, Screen::Plan(crate::domain::plan::PlanId(7)));
    assert!(frame(&mut gone, SIZES[0]).contains("this plan is gone"));
}

#[test]
fn an_unfinished_plan_is_offered_at_the_start() {
    let mut model = model(fixtures::fleet(), Screen::Fleet);
    let mut snapshot = Snapshot { plans: vec![Arc::new(plans::interrupted(0xab))], ..fixtures::fleet() };
    snapshot.revision += 1;
    update(&mut model, Event::Snapshot(Arc::new(snapshot)));
    drawn("unfinished", &mut model);
    // Its own guard has passed.
    model.set_time(fixtures::now(), Duration::from_secs(1));
    press(&mut model, "r", |_| {});
    insta::assert_snapshot!("plan-resume@80x24", frame(&mut model, SIZES[0]));
}

#[test]
fn leaving_while_a_plan_runs_says_how_things_stand() {
    let mut model = model(Snapshot { plans: vec![Arc::new(plans::running(0xab))], ..fixtures::fleet() }, Screen::Fleet);
    press(&mut model, "ctrl-c", |_| {});
    insta::assert_snapshot!("quit-running@80x24", frame(&mut model, SIZES[0]));
    let mut snapshot = fixtures::fleet();
    snapshot.revision += 1;
    update(&mut model, Event::Snapshot(Arc::new(snapshot)));
    let text = frame(&mut model, SIZES[0]);
    assert!(text.contains("End flightdeck?") && text.contains("Nothing is under way any more."), "{text}");
}

#[test]
fn an_open_plan_stands_on_the_row_and_on_the_screen_of_its_job() {
    let snapshot = Snapshot { plans: vec![Arc::new(plans::running(0xab))], ..fixtures::fleet() };
    let text = frame(&mut model(snapshot.clone(), Screen::Fleet), SIZES[1]);
    assert!(text.contains("redeploy 2/3") && text.contains("◌ 1 plan"), "{text}");
    let text = frame(&mut model(snapshot, Screen::Job(plans::fraud())), SIZES[1]);
    assert!(text.contains("redeploy running, step 2 of 3"), "{text}");
}

/// Whatever the size, the answer to a question is in sight and no cell is anything but ASCII where that is asked for.
#[test]
fn how_to_answer_is_always_in_sight() {
    for size in [(60, 15), (61, 17), (80, 24), (200, 60)] {
        let mut model = with(Theme::plain(), fixtures::fleet(), Screen::Job(plans::fraud()));
        press(&mut model, "R enter", |plan| plan.notes = vec!["a note that is rather long ".repeat(9); 9]);
        let text = frame(&mut model, size);
        assert!(text.contains("[ Cancel: esc ]   y redeploy"), "{size:?}\n{text}");
        assert!(text.contains("fraud-detection") && text.contains("go on:"), "{size:?}\n{text}");
        assert!(text.is_ascii(), "{text}");
        press(&mut model, "down down pagedown up", |_| {});
        assert!(frame(&mut model, size).contains("[ Cancel: esc ]"), "{size:?}");
    }
}
