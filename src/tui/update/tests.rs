//! `update` step by step, and the proof that nothing dangerous happens by accident.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::Timestamp;
use crate::domain::command::{CommandStage, CommandView, Intent, Issuer};
use crate::domain::decision::{Decision, DecisionId, DecisionState};
use crate::domain::job::{Mode, Ownership};
use crate::domain::plan::PlanOrder;
use crate::domain::snapshot::{Snapshot, SourceState};
use crate::tui::action::Danger;
use crate::tui::fixtures;
use crate::tui::keymap::Keymap;
use crate::tui::model::Setup;
use crate::tui::overlays::{About, Confirm};
use crate::tui::screens::Screen;

mod plans;

const PENDING: DecisionId = DecisionId(0x1f2e_3d4c);

/// A person at the screen with a clock of their own.
struct Desk {
    model: Model,
    now: Timestamp,
    monotonic: Duration,
}

impl Desk {
    fn with(snapshot: Snapshot) -> Self {
        let setup =
            Setup { themes: Vec::new(), keymap: Keymap::default(), utc: true, mouse: false, warnings: Vec::new() };
        let (now, monotonic) = (fixtures::now(), Duration::from_secs(100));
        let mut model = Model::new(setup, Arc::new(snapshot), now, monotonic);
        model.size = (120, 40);
        Self { model, now, monotonic }
    }

    /// In front of the pending decision.
    fn at_decision() -> Self {
        let mut desk = Self::with(fixtures::fleet());
        desk.model.places.jump(Screen::Decision(PENDING));
        desk.model.refresh_rows();
        desk
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        self.model.set_time(self.now, self.monotonic);
        update(&mut self.model, event)
    }

    fn wait(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self.monotonic += Duration::from_millis(millis);
        self.event(Event::Time);
        self
    }

    /// Presses keys one after the other, without a pause. Returns what is sent.
    fn press(&mut self, keys: &str) -> Vec<Command> {
        let mut sent = Vec::new();
        for key in keys.split_whitespace() {
            for effect in self.event(Event::Key(key.parse().unwrap())) {
                if let Effect::Send(command) = effect {
                    sent.push(command);
                }
            }
        }
        sent
    }

    fn typed(&mut self, text: &str) {
        for c in text.chars() {
            self.event(Event::Key(Key::char(c)));
        }
    }

    fn publish(&mut self, change: impl FnOnce(&mut Snapshot)) -> Vec<Effect> {
        let mut snapshot = Snapshot::clone(self.model.latest());
        snapshot.revision += 1;
        change(&mut snapshot);
        self.event(Event::Snapshot(Arc::new(snapshot)))
    }

    fn toasts(&self) -> String {
        self.model.toasts().map(|toast| toast.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    fn asks(&self) -> bool {
        matches!(self.model.overlay(), Some(Overlay::Confirm(_)))
    }
}

fn decision(snapshot: &mut Snapshot) -> &mut Decision {
    let at = snapshot.decisions.iter().position(|d| d.id == PENDING).unwrap();
    Arc::make_mut(&mut snapshot.decisions[at])
}

fn stage(snapshot: &mut Snapshot, command: &Command, stage: CommandStage) {
    let since = snapshot.at;
    snapshot.commands = vec![Arc::new(CommandView { command: command.clone(), stage, since, waiting_for: None })];
}

#[test]
fn two_keys_approve_the_decision_on_screen_with_its_frozen_target() {
    let mut desk = Desk::at_decision();
    assert!(desk.press("a").is_empty());
    assert!(desk.asks());
    desk.wait(400);
    let sent = desk.press("y");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].intent, Intent::Approve { decision: PENDING });
    assert_eq!(sent[0].issuer, Issuer::Screen);
    assert_eq!(sent[0].target.as_ref(), Some(&desk.model.latest().decision(PENDING).unwrap().target));
    assert!(!desk.asks());
}

#[test]
fn keys_within_the_guard_are_dropped_and_start_it_anew() {
    let mut desk = Desk::at_decision();
    assert!(desk.press("a y y").is_empty());
    desk.wait(299);
    assert!(desk.press("y").is_empty());
    desk.wait(299);
    assert!(desk.press("y").is_empty(), "a key held down must never confirm");
    desk.wait(300);
    assert_eq!(desk.press("y").len(), 1);
}

#[test]
fn from_a_superseded_decision_its_key_leads_to_the_one_in_its_place() {
    let mut desk = Desk::at_decision();
    let old = desk.model.decision().unwrap().id;
    let new = DecisionId(old.0 ^ 1);
    desk.publish(|snapshot| {
        let next = Decision { id: new, ..decision(snapshot).clone() };
        decision(snapshot).state = DecisionState::Superseded { by: Some(new), why: "other numbers".into() };
        snapshot.decisions.insert(0, Arc::new(next));
    });
    assert_eq!(desk.model.decision().unwrap().id, old, "a person's target never changes by itself");
    desk.press("d");
    assert_eq!(desk.model.decision().unwrap().id, new);
}

#[test]
fn enter_and_paste_never_confirm() {
    for start in ["a", "x enter", "S enter"] {
        let mut desk = Desk::at_decision();
        desk.press(start);
        desk.wait(400);
        assert!(desk.asks(), "{start}");
        assert!(desk.event(Event::Paste("y".to_owned())).is_empty());
        assert!(desk.press("enter").is_empty());
        assert!(desk.event(Event::Paste("y\ny\n".to_owned())).is_empty());
    }
}

#[test]
fn enter_takes_the_default_of_a_dangerous_question_which_is_cancel() {
    let mut desk = Desk::at_decision();
    desk.press("a");
    desk.wait(400);
    desk.press("enter");
    assert!(!desk.asks());
    assert!(desk.press("y").is_empty());
}

#[test]
fn a_changed_target_closes_the_question() {
    type Change = fn(&mut Snapshot);
    let changes: [Change; 5] = [
        |s| decision(s).target.generation = Some(8),
        |s| decision(s).target.field_hash += 1,
        |s| decision(s).state = DecisionState::Expired,
        |s| decision(s).blocked = Some("data are too old".to_owned()),
        |s| s.decisions.retain(|d| d.id != PENDING),
    ];
    for change in changes {
        let mut desk = Desk::at_decision();
        desk.press("a");
        desk.wait(400);
        desk.publish(change);
        assert!(!desk.asks());
        assert!(desk.toasts().contains("nothing was sent"), "{}", desk.toasts());
        assert!(desk.press("y").is_empty());
    }
}

#[test]
fn a_refreshed_decision_keeps_the_question_open() {
    let mut desk = Desk::at_decision();
    desk.press("a");
    desk.wait(400);
    desk.publish(|s| {
        decision(s).revision += 1;
        decision(s).data_at += Duration::from_secs(5);
    });
    assert!(desk.asks());
    assert_eq!(desk.press("y").len(), 1);
}

#[test]
fn what_is_not_allowed_says_why() {
    let why = |change: fn(&mut Snapshot)| {
        let mut desk = Desk::at_decision();
        desk.publish(change);
        desk.press("a");
        assert!(!desk.asks());
        desk.toasts()
    };
    assert!(why(|s| s.read_only = true).contains("read-only"));
    assert!(why(|s| decision(s).blocked = Some("lag is unknown".to_owned())).contains("lag is unknown"));
    assert!(why(|s| decision(s).state = DecisionState::Applied).contains("is applied"));
    assert!(why(|s| s.jobs.clear()).contains("its job is gone"));
    let mut desk = Desk::at_decision();
    desk.press("p a");
    assert!(!desk.asks() && desk.toasts().contains("frozen; p goes on"));
    let mut desk = Desk::at_decision();
    desk.event(Event::LoopEnded);
    desk.press("a");
    assert!(!desk.asks() && desk.toasts().contains("the control loop has ended"));
    let mut desk = Desk::at_decision();
    desk.event(Event::Resize { columns: 40, lines: 10 });
    desk.press("a");
    assert!(!desk.asks() && desk.toasts().contains("too small"));
}

#[test]
fn a_question_that_can_no_longer_be_seen_is_closed() {
    let mut desk = Desk::at_decision();
    desk.press("a");
    desk.wait(400);
    desk.event(Event::Resize { columns: 20, lines: 5 });
    assert!(desk.press("y").is_empty());
}

#[test]
fn a_rejection_carries_its_reason() {
    let mut desk = Desk::at_decision();
    desk.press("x");
    desk.typed("sale ends at 9");
    assert!(desk.press("enter").is_empty());
    assert!(desk.asks());
    desk.wait(400);
    let sent = desk.press("y");
    let reason = Some("sale ends at 9".to_owned());
    assert_eq!(sent[0].intent, Intent::Reject { decision: PENDING, reason });
}

#[test]
fn a_snooze_has_a_time_or_the_configured_one() {
    let snooze = |text: &str| {
        let mut desk = Desk::at_decision();
        desk.press("S");
        desk.typed(text);
        desk.press("enter");
        desk.wait(400);
        desk.press("y").into_iter().next().map(|command| command.intent)
    };
    let time = |time| Some(Intent::Snooze { decision: PENDING, time });
    assert_eq!(snooze(""), time(None));
    assert_eq!(snooze("30m"), time(Some(Duration::from_secs(1800))));
    assert_eq!(snooze("soon"), None);
    assert_eq!(snooze("0s"), None);
}

#[test]
fn a_loss_is_confirmed_by_the_typed_name_alone() {
    let ask = || {
        let mut desk = Desk::at_decision();
        let decision = Arc::clone(desk.model.decision().unwrap());
        let intent = Intent::Approve { decision: PENDING };
        let confirm = Confirm::new(Action::Approve, Danger::Loses, intent, About::Decision(decision), desk.monotonic);
        desk.model.overlays.push(Overlay::Confirm(Box::new(confirm)));
        desk.wait(400);
        desk
    };
    let mut desk = ask();
    assert!(desk.press("y").is_empty() && desk.asks());
    let mut desk = ask();
    desk.event(Event::Paste("fraud-detection".to_owned()));
    assert!(desk.press("y").is_empty());
    let mut desk = ask();
    desk.typed("fraud-detectio");
    assert!(desk.press("y").is_empty());
    let mut desk = ask();
    desk.typed("fraud-detection");
    assert!(desk.asks());
    assert_eq!(desk.press("y").len(), 1);
    let mut desk = ask();
    desk.typed("fraud-detection");
    assert!(desk.press("enter").is_empty() && !desk.asks());
}

#[test]
fn a_command_is_followed_to_its_end() {
    let mut desk = Desk::at_decision();
    desk.press("a");
    desk.wait(400);
    let command = desk.press("y").remove(0);
    desk.press("a");
    assert!(!desk.asks() && desk.toasts().contains("is under way"), "{}", desk.toasts());
    desk.publish(|s| stage(s, &command, CommandStage::Accepted));
    assert!(desk.toasts().contains("approve fraud-detection: accepted, not done yet"));
    desk.event(Event::Focus(false));
    let effects = desk.publish(|s| stage(s, &command, CommandStage::Observed));
    assert!(desk.toasts().contains("approve fraud-detection: done"));
    assert!(effects.contains(&Effect::Bell));
    assert!(desk.model.in_flight.is_empty());
    desk.publish(|s| stage(s, &command, CommandStage::Observed));
    assert_eq!(desk.toasts().matches("done").count(), 2, "told once, beside `not done yet`");
}

#[test]
fn a_command_that_could_not_be_sent_is_told() {
    let mut desk = Desk::at_decision();
    desk.press("a");
    desk.wait(400);
    let command = desk.press("y").remove(0);
    desk.event(Event::NotSent(command.id));
    assert!(desk.toasts().contains("approve fraud-detection was not sent"));
    assert!(desk.model.in_flight.is_empty());
}

#[test]
fn leaving_with_a_command_under_way_asks_once() {
    let mut desk = Desk::at_decision();
    assert!(desk.event(Event::Key(Key::ctrl('c'))).contains(&Effect::Quit));
    desk.press("a");
    desk.wait(400);
    desk.press("y");
    assert!(!desk.event(Event::Key(Key::ctrl('c'))).contains(&Effect::Quit));
    assert!(matches!(desk.model.overlay(), Some(Overlay::Quit)));
    assert!(desk.event(Event::Key(Key::ctrl('c'))).contains(&Effect::Quit));
}

#[test]
fn q_leaves_the_program_only_from_the_first_level() {
    let mut desk = Desk::at_decision();
    assert!(!desk.event(Event::Key(Key::char('q'))).contains(&Effect::Quit));
    assert_eq!(desk.model.screen(), &Screen::Decisions);
    assert!(!desk.event(Event::Key(Key::char('q'))).contains(&Effect::Quit));
    assert_eq!(desk.model.screen(), &Screen::Fleet);
    assert!(desk.event(Event::Key(Key::char('q'))).contains(&Effect::Quit));
}

#[test]
fn the_history_of_views_goes_back_and_forth() {
    let mut desk = Desk::with(fixtures::fleet());
    desk.press("7 8");
    assert_eq!(desk.model.screen(), &Screen::Log);
    desk.press("-");
    assert_eq!(desk.model.screen(), &Screen::Decisions);
    desk.press("-");
    assert_eq!(desk.model.screen(), &Screen::Log);
    desk.press("[ [");
    assert_eq!(desk.model.screen(), &Screen::Log);
    desk.press("[");
    assert_eq!(desk.model.screen(), &Screen::Decisions);
    desk.press("]");
    assert_eq!(desk.model.screen(), &Screen::Log);
    desk.press("esc");
    assert_eq!(desk.model.screen(), &Screen::Fleet);
    desk.press("esc");
    assert!(desk.toasts().contains("q ends the program"));
}

#[test]
fn the_worst_job_is_opened_and_its_details_are_wanted_while_they_are_seen() {
    let mut desk = Desk::with(fixtures::fleet());
    let first = desk.model.views.fleet.list.selected.clone().expect("a job is selected");
    desk.press("enter");
    assert_eq!(desk.model.screen(), &Screen::Job(first.clone()));
    assert_eq!(desk.model.interest.job.as_ref(), Some(&first));
    assert!(desk.model.interest.problems && desk.model.interest.checkpoints && !desk.model.interest.task_managers);
    desk.press("3");
    assert!(desk.model.interest.task_managers && !desk.model.interest.problems);
    let effects = desk.event(Event::Key(Key::char('1')));
    assert!(effects.iter().any(|e| matches!(e, Effect::Interest(interest) if interest.job.is_none())));
}

#[test]
fn a_filter_works_while_it_is_typed_and_esc_brings_the_old_one_back() {
    let mut desk = Desk::with(fixtures::fleet());
    let all = desk.model.views.fleet.list.rows.len();
    assert_eq!(all, 11);
    desk.press("/");
    desk.typed("lag>10s");
    assert_eq!(desk.model.filter().text, "lag>10s");
    let rows = desk.model.views.fleet.list.rows.len();
    assert!(0 < rows && rows < all, "{rows}");
    desk.press("enter /");
    desk.typed("x");
    assert!(desk.model.filter().error.is_some());
    assert_eq!(desk.model.views.fleet.list.rows.len(), rows, "the last filter that could be read stays");
    desk.press("esc");
    assert_eq!((desk.model.filter().text.as_str(), desk.model.filter().error.as_deref()), ("lag>10s", None));
    desk.press("esc");
    assert_eq!(desk.model.views.fleet.list.rows.len(), all);
}

#[test]
fn the_cursor_stays_on_the_worst_job_until_somebody_presses_a_key() {
    let whole = fixtures::fleet();
    let mut first = whole.clone();
    // The best job arrives first, as jobs of a cluster that answers sooner do.
    let last = {
        let desk = Desk::with(whole.clone());
        desk.model.views.fleet.list.rows.last().unwrap().key.clone()
    };
    first.jobs.retain(|job| job.key == last);
    let selected = |desk: &Desk| desk.model.views.fleet.list.selected.clone().unwrap();
    let worst = |desk: &Desk| desk.model.views.fleet.list.rows[0].key.clone();

    let mut untouched = Desk::with(first.clone());
    assert_eq!(selected(&untouched), last);
    untouched.publish(|s| s.jobs = whole.jobs.clone());
    assert_eq!(selected(&untouched), worst(&untouched));
    assert_ne!(selected(&untouched), last);

    let mut touched = Desk::with(first);
    touched.press("j");
    touched.publish(|s| s.jobs = whole.jobs.clone());
    assert_eq!(selected(&touched), last, "what somebody chose stays chosen");
}

#[test]
fn a_selected_row_that_is_gone_is_told_and_begun_keys_are_forgotten() {
    let mut desk = Desk::with(fixtures::fleet());
    let selected = desk.model.views.fleet.list.selected.clone().unwrap();
    desk.press("g");
    assert!(!desk.model.pending.is_empty());
    desk.publish(|s| s.jobs.retain(|job| job.key != selected));
    assert!(desk.toasts().contains("the selected job is gone"));
    assert!(desk.model.pending.is_empty());
}

#[test]
fn a_frozen_picture_stays_and_says_so_while_the_newest_is_kept() {
    let mut desk = Desk::with(fixtures::fleet());
    desk.press("p");
    desk.publish(|s| s.jobs.clear());
    assert_eq!(desk.model.shown().jobs.len(), 11);
    assert_eq!(desk.model.latest().jobs.len(), 0);
    desk.press("p");
    assert_eq!(desk.model.shown().jobs.len(), 0);
}

#[test]
fn a_new_decision_is_announced() {
    let mut desk = Desk::with(fixtures::fleet());
    desk.publish(|s| decision(s).state = DecisionState::Expired);
    assert_eq!(desk.toasts(), "");
    desk.publish(|s| decision(s).state = DecisionState::Pending);
    assert_eq!(desk.toasts(), "fraud-detection: decision 1f2e3d4c waits for approval");
}

#[test]
fn the_palette_does_what_it_shows_and_refuses_what_cannot_be_done() {
    let mut desk = Desk::at_decision();
    desk.press(":");
    desk.typed("checkpoints");
    desk.press("enter");
    assert!(matches!(desk.model.screen(), Screen::Checkpoints(_)));
    desk.press(":");
    desk.typed("expand");
    desk.press("enter");
    assert!(desk.toasts().contains("only on the screen of a job"), "{}", desk.toasts());
    desk.press(":");
    desk.typed("approve");
    desk.press("enter");
    assert!(desk.asks(), "the palette leads to the same question");
}

#[test]
fn keys_that_mean_nothing_together_say_so() {
    let mut desk = Desk::with(fixtures::fleet());
    desk.press("g z");
    assert_eq!(desk.toasts(), "g z means nothing");
    desk.press("g esc");
    assert!(desk.model.pending.is_empty());
    desk.wait(6_000);
    assert_eq!(desk.toasts(), "");
}

#[test]
fn copies_carry_no_control_characters() {
    let mut desk = Desk::with(fixtures::hostile());
    for _ in 0..11 {
        for effect in ["c", "n", "c", "i"].into_iter().flat_map(|k| desk.event(Event::Key(k.parse().unwrap()))) {
            if let Effect::Copy(text) = effect {
                assert!(!text.chars().any(char::is_control) && text.chars().count() <= 1000);
            }
        }
        desk.press("j");
    }
}

#[test]
fn the_refresh_key_ends_the_pauses_of_lost_sources_also_without_a_job() {
    let intents = |desk: &mut Desk| desk.press("r").into_iter().map(|c| c.intent).collect::<Vec<_>>();
    let mut desk = Desk::with(fixtures::fleet());
    desk.publish(|s| s.sources.retain(|source| source.state == SourceState::Live));
    let job = desk.model.job().unwrap().key.clone();
    assert_eq!(intents(&mut desk), [Intent::Refresh { job: job.clone() }]);
    let mut desk = Desk::with(fixtures::lost());
    assert!(matches!(&intents(&mut desk)[..], [Intent::Refresh { .. }, Intent::Reconnect]));
    desk.publish(|s| s.jobs.clear());
    assert_eq!(intents(&mut desk), [Intent::Reconnect]);
    desk.publish(|s| s.sources.clear());
    assert!(intents(&mut desk).is_empty());
    assert!(desk.toasts().contains("no job is selected"), "{}", desk.toasts());
}

#[test]
fn only_rows_on_screen_without_a_loop_are_asked_for() {
    let rows = |desk: &Desk| desk.model.looking_at().rows;
    let mut desk = Desk::with(fixtures::many(100));
    desk.publish(|s| {
        for (n, job) in s.jobs.iter_mut().enumerate() {
            Arc::make_mut(job).mode = if n % 2 == 0 { Mode::Off } else { Mode::Manual };
        }
    });
    assert!(rows(&desk).is_empty(), "nothing is drawn yet");
    let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(120, 40)).unwrap();
    terminal.draw(|frame| crate::tui::draw::draw(frame, &mut desk.model)).unwrap();
    let list = &desk.model.views.fleet.list;
    let shown: Vec<_> = list.rows[list.offset..list.offset + list.page].iter().map(|row| row.key.clone()).collect();
    let asked = rows(&desk);
    assert!(asked.len() > 5 && asked.is_sorted(), "{asked:?}");
    for key in &shown {
        let job = desk.model.latest().job(key).unwrap();
        let unread = job.mode == Mode::Off || !matches!(job.ownership, Ownership::Pilot { .. });
        assert_eq!(asked.contains(key), unread, "{key}");
    }
    assert!(asked.iter().all(|key| shown.contains(key)));
    desk.press("7");
    assert!(rows(&desk).is_empty(), "the fleet is not on screen");
}

// --- Kubernetes ---

fn on(screen: Screen, change: impl FnOnce(&mut crate::domain::job::JobView)) -> Desk {
    let mut snapshot = fixtures::on_kubernetes();
    let at = snapshot.jobs.iter().position(|job| job.key == fixtures::key("fraud-detection")).unwrap();
    change(Arc::make_mut(&mut snapshot.jobs[at]));
    let mut desk = Desk::with(snapshot);
    desk.model.places.jump(screen);
    desk.model.refresh_rows();
    desk
}

fn resource(job: &mut crate::domain::job::JobView) -> &mut crate::domain::kubernetes::ResourceView {
    Arc::make_mut(job.resource.as_mut().unwrap())
}

fn ownership_screen() -> Screen {
    Screen::Ownership(fixtures::key("fraud-detection"))
}

#[test]
fn a_job_is_taken_over_with_its_frozen_target_and_handed_back() {
    let take = |job: &mut _| resource(job).can_take_over = true;
    let mut desk = on(ownership_screen(), take);
    assert!(desk.press("t y").is_empty() && desk.asks(), "type-ahead is dropped");
    desk.wait(400);
    assert!(desk.press("enter").is_empty() && !desk.asks(), "enter closes, it never confirms");
    desk.press("t");
    desk.wait(400);
    let sent = desk.press("y");
    let job = fixtures::key("fraud-detection");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].intent, Intent::TakeOver { job: job.clone() });
    assert_eq!(sent[0].target.as_ref().map(|target| &target.job), Some(&job));
    // One at a time.
    desk.press("t");
    assert!(!desk.asks() && desk.toasts().contains("under way"), "{}", desk.toasts());

    let mut desk = on(ownership_screen(), |job| resource(job).can_hand_back = true);
    desk.press("t");
    assert!(!desk.asks() && desk.toasts().contains("does not act on this job"), "{}", desk.toasts());
    desk.press("b");
    desk.wait(400);
    assert_eq!(desk.press("y")[0].intent, Intent::HandBack { job });
}

#[test]
fn a_job_that_changes_closes_the_question_of_who_scales_it() {
    let mut desk = on(ownership_screen(), |job| resource(job).can_take_over = true);
    desk.press("t");
    desk.wait(400);
    desk.publish(|snapshot| {
        let at = snapshot.jobs.iter().position(|job| job.key == fixtures::key("fraud-detection")).unwrap();
        let job = Arc::make_mut(&mut snapshot.jobs[at]);
        resource(job).target.as_mut().unwrap().generation = Some(8);
    });
    assert!(!desk.asks() && desk.toasts().contains("fraud-detection changed; nothing was sent"), "{}", desk.toasts());
}

#[test]
fn without_the_right_to_patch_nothing_is_asked_and_the_right_is_named() {
    use crate::domain::kubernetes::{KubeAction, RightRow};
    for key in ["t", "a"] {
        let mut desk = on(ownership_screen(), |job| resource(job).can_take_over = true);
        desk.publish(|snapshot| {
            let kube = Arc::make_mut(&mut snapshot.kubernetes[0]);
            let (action, reason) = (KubeAction::PatchDeployment, String::new());
            let row = RightRow { action, namespace: Some("payments".into()), allowed: false, reason };
            Arc::make_mut(&mut kube.rights.as_mut().unwrap().value).push(row);
        });
        desk.press(key);
        assert!(!desk.asks(), "{key}");
        let why = "missing right: patch flinkdeployments.flink.apache.org in namespace payments";
        assert!(desk.toasts().contains(why), "{key}: {}", desk.toasts());
    }
}

#[test]
fn what_somebody_else_scales_is_not_approved() {
    let why = || "the operator's autoscaler is on (job.autoscaler.enabled)".to_owned();
    for ownership in [Ownership::Observer { why: why() }, Ownership::Conflict { why: why() }] {
        let mut desk = on(Screen::Decision(PENDING), |job| job.ownership = ownership);
        assert!(desk.press("a").is_empty() && !desk.asks());
        assert!(desk.toasts().contains(&why()), "{}", desk.toasts());
    }
}

#[test]
fn an_approval_asks_the_server_first_what_it_would_do() {
    let mut desk = on(Screen::Decision(PENDING), |_| {});
    let sent = desk.press("a");
    assert_eq!(
        sent.iter().map(|command| &command.intent).collect::<Vec<_>>(),
        [&Intent::Preview { decision: PENDING }]
    );
    assert!(desk.asks());
    desk.wait(400);
    assert_eq!(desk.press("y")[0].intent, Intent::Approve { decision: PENDING });
}

#[test]
fn a_decision_that_does_not_fit_is_reduced_after_a_question() {
    use crate::domain::capacity::{Blocker, CapacityAnswer};
    let mut desk = Desk::at_decision();
    desk.press("F");
    assert!(!desk.asks() && desk.toasts().contains("whether it fits is not known"), "{}", desk.toasts());
    let answer = |fitting| CapacityAnswer {
        needed: 8,
        fitting,
        new_nodes: 0,
        blocker: Some((Blocker::Cpu, "node-pool a".into())),
        largest_parallelism: fitting,
        gaps: Vec::new(),
    };
    desk.publish(|s| decision(s).capacity = Some(Arc::new(answer(8))));
    desk.press("F");
    assert!(!desk.asks() && desk.toasts().contains("it fits as it is"), "{}", desk.toasts());
    desk.publish(|s| decision(s).capacity = Some(Arc::new(answer(5))));
    desk.press("F");
    desk.wait(400);
    assert_eq!(desk.press("y")[0].intent, Intent::Reduce { decision: PENDING });
}

#[test]
fn another_context_is_looked_at_from_the_list() {
    let mut desk = on(Screen::Cluster, |_| {});
    desk.press("g x down enter");
    let desk_screen = desk.model.screen().clone();
    assert_eq!(desk_screen, Screen::Fleet);
    let mut desk = on(Screen::Cluster, |_| {});
    desk.press("g x down");
    let sent = desk.press("enter");
    let (context, namespaces) = (Some("prod-us".to_owned()), vec!["default".to_owned()]);
    let source = crate::domain::ids::SourceId::new("prod-eu");
    assert_eq!(sent[0].intent, Intent::SwitchContext { source, context, namespaces });
}

#[test]
fn asking_again_on_the_screen_of_kubernetes_asks_for_rights() {
    let mut desk = on(Screen::Cluster, |_| {});
    let sent = desk.press("r");
    assert!(sent.iter().any(|command| matches!(command.intent, Intent::AskRights { .. })), "{sent:?}");
}

#[test]
fn a_blue_green_deployment_is_only_to_look_at() {
    let mut desk = on(Screen::Fleet, |_| {});
    desk.press("G");
    assert!(desk.model.on_blue_green());
    for key in ["enter", "2", "t", "0"] {
        desk.press(key);
        assert_eq!(desk.model.screen(), &Screen::Fleet, "{key}");
        assert!(desk.toasts().contains("only to look at"), "{key}: {}", desk.toasts());
    }
    let why = Action::Savepoint.available(&desk.model).unwrap_err();
    assert!(why.0.contains("only to look at"), "{why:?}");
}

#[test]
fn the_log_of_a_pod_is_reached_from_pods_and_left_again() {
    let mut desk = on(Screen::Fleet, |_| {});
    let fraud = fixtures::key("fraud-detection");
    desk.model.views.fleet.list.select_key(&fraud);
    desk.press("0 j j j enter");
    assert!(matches!(desk.model.screen(), Screen::PodLog(key) if key.pod == "fraud-detection-taskmanager-1-3"));
    assert!(desk.model.looking_at().log.is_some_and(|query| !query.previous));
    desk.press("B");
    assert!(desk.model.looking_at().log.is_some_and(|query| query.previous && !query.follow));
    desk.press("tab");
    assert_eq!(desk.model.looking_at().log.unwrap().container.as_deref(), Some("log-shipper"));
    // What is typed narrows at once and is read for only when it stands.
    desk.press("/");
    desk.typed("error");
    assert_eq!(desk.model.looking_at().log.unwrap().filter, "");
    desk.press("enter");
    assert_eq!(desk.model.looking_at().log.unwrap().filter, "error");
    desk.press("esc esc");
    assert_eq!(desk.model.screen(), &Screen::Pods(fraud));
    assert_eq!(desk.model.looking_at().log, None);
}

// --- the proof ---

/// What an effect may do outside.
fn danger_of(effect: &Effect) -> Danger {
    match effect {
        Effect::Send(command) => match &command.intent {
            Intent::Approve { .. } => Action::Approve.danger(),
            Intent::Reject { .. } => Action::Reject.danger(),
            Intent::Snooze { .. } => Action::Snooze.danger(),
            Intent::Reduce { .. } => Action::Reduce.danger(),
            Intent::Refresh { .. }
            | Intent::Reconnect
            | Intent::Preview { .. }
            | Intent::AskRights { .. }
            | Intent::SwitchContext { .. } => Danger::Local,
            Intent::HandBack { .. } => Danger::Effect,
            Intent::TakeOver { .. } => Danger::Restarts,
            // Nothing is to be ended but plans that were only shown: no other is there.
            Intent::Plan(PlanOrder::Propose { .. } | PlanOrder::Cancel { .. }) => Danger::Local,
            Intent::Plan(PlanOrder::Abandon { .. }) => Danger::Effect,
            Intent::Plan(PlanOrder::Run { .. } | PlanOrder::Resume { .. }) => Danger::Loses,
        },
        Effect::Interest(_)
        | Effect::Copy(_)
        | Effect::Mouse(_)
        | Effect::Redraw
        | Effect::Bell
        | Effect::Suspend
        | Effect::Quit => Danger::Local,
    }
}

#[derive(Debug, Clone)]
enum Step {
    Key(Key),
    Paste(String),
    Wait(u64),
    Refresh,
    ChangeTarget,
    Resize(u16, u16),
}

fn key() -> impl Strategy<Value = Key> {
    let all: Vec<Key> = Action::ALL
        .iter()
        .flat_map(|action| action.default_keys())
        .flat_map(|keys| keys.split_whitespace())
        .map(|key| key.parse().unwrap())
        .collect();
    let often = ["a", "y", "x", "S", "enter", "esc", "7", "d", "j"].map(|key| key.parse().unwrap()).to_vec();
    prop_oneof![
        4 => prop::sample::select(often),
        2 => prop::sample::select(all),
        1 => prop::char::range(' ', '~').prop_map(Key::char),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => key().prop_map(Step::Key),
        1 => prop::sample::select(vec!["y", "y\n", "fraud-detection", "ay", "\r"]).prop_map(|s| Step::Paste(s.to_owned())),
        4 => (0u64..500).prop_map(Step::Wait),
        1 => Just(Step::Refresh),
        1 => Just(Step::ChangeTarget),
        1 => prop::sample::select(vec![(120, 40), (80, 24), (20, 5)]).prop_map(|(c, l)| Step::Resize(c, l)),
    ]
}

impl Desk {
    fn step(&mut self, step: &Step) -> Vec<Effect> {
        match step {
            Step::Key(key) => self.event(Event::Key(*key)),
            Step::Paste(text) => self.event(Event::Paste(text.clone())),
            Step::Wait(millis) => {
                self.wait(*millis);
                Vec::new()
            }
            Step::Refresh => self.publish(|s| decision(s).revision += 1),
            Step::ChangeTarget => self.publish(|s| decision(s).target.field_hash += 1),
            Step::Resize(columns, lines) => self.event(Event::Resize { columns: *columns, lines: *lines }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// A dangerous effect follows only from `y` on a question that was in front, whose guard had passed, and whose target is
    /// still the one that was asked about and that is sent.
    #[test]
    fn no_keys_without_the_confirmation_reach_a_dangerous_effect(steps in prop::collection::vec(step(), 1..60)) {
        let mut desk = Desk::at_decision();
        for step in &steps {
            let asked = match desk.model.overlay() {
                Some(Overlay::Confirm(confirm)) => Some((confirm.danger, confirm.target().clone(), confirm.guard_until)),
                _ => None,
            };
            let newest = desk.model.latest().decision(PENDING).map(|d| d.target.clone());
            for effect in desk.step(step) {
                if danger_of(&effect) == Danger::Local {
                    continue;
                }
                let Effect::Send(command) = &effect else { unreachable!("only a command is dangerous") };
                let (danger, target, guard_until) = asked.clone().expect("a question was in front");
                prop_assert_eq!(danger, danger_of(&effect));
                prop_assert!(matches!(step, Step::Key(key) if *key == Key::char('y')), "{:?}", step);
                prop_assert!(desk.monotonic >= guard_until);
                prop_assert_eq!(command.target.as_ref(), Some(&target));
                prop_assert_eq!(newest.as_ref(), Some(&target));
                prop_assert!(desk.model.size.0 >= 60);
            }
        }
    }

    /// Without `y` nothing dangerous happens whatever is pressed, pasted or waited for.
    #[test]
    fn without_the_key_nothing_is_confirmed(steps in prop::collection::vec(step(), 1..80)) {
        let mut desk = Desk::at_decision();
        for step in steps.iter().filter(|step| !matches!(step, Step::Key(key) if *key == Key::char('y'))) {
            for effect in desk.step(step) {
                prop_assert_eq!(danger_of(&effect), Danger::Local);
            }
        }
    }

    /// Type-ahead: a burst of keys without pauses never confirms, whatever it begins with.
    #[test]
    fn a_burst_of_keys_is_never_a_confirmation(keys in prop::collection::vec(key(), 1..80)) {
        let mut desk = Desk::at_decision();
        for key in keys {
            for effect in desk.step(&Step::Key(key)) {
                prop_assert_eq!(danger_of(&effect), Danger::Local);
            }
            desk.wait(20);
        }
    }
}
