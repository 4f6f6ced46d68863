//! What actions do.

use std::sync::Arc;

use tui_logger::TuiWidgetEvent;

use crate::domain::command::{Command, Intent, Issuer};
use crate::domain::decision::Decision;
use crate::domain::text::parse_duration;
use crate::tui::action::Action;
use crate::tui::model::{InFlight, Model};
use crate::tui::overlays::{Ask, Confirm, Help, Line, Overlay, Palette, Prompt};
use crate::tui::screens::{JobPane, Screen, decisions, fleet};
use crate::tui::theme::Slot;
use crate::tui::widgets::tree::foldable;

use super::{Effect, quit, refuse};

/// Does an action, or says why it cannot be done.
pub(super) fn act(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    if let Err(why) = action.available(model) {
        refuse(model, action, &why.0);
        return;
    }
    match action {
        Action::Approve | Action::Reject | Action::Snooze => ask(model, action),

        Action::Up => move_by(model, -1),
        Action::Down => move_by(model, 1),
        Action::Top => move_by(model, isize::MIN / 2),
        Action::Bottom => move_by(model, isize::MAX / 2),
        Action::HalfUp => move_by(model, -half_page(model)),
        Action::HalfDown => move_by(model, half_page(model)),
        Action::Left => sideways(model, false),
        Action::Right => sideways(model, true),
        Action::Open => open(model),
        Action::NextPane => match model.screen() {
            Screen::Memory(_) => model.views.memory.view.advice = !model.views.memory.view.advice,
            _ => model.views.job.view.pane = model.views.job.view.pane.next(),
        },

        Action::Back => back(model),
        Action::Leave => {
            if model.can_go_back() {
                back(model);
            } else {
                quit(model, effects);
            }
        }
        Action::Fleet => go(model, |_| Some(Screen::Fleet)),
        Action::Job => go(model, |model| Some(Screen::Job(model.job()?.key.clone()))),
        Action::Memory => go(model, |model| Some(Screen::Memory(model.job()?.key.clone()))),
        Action::Problems => go(model, |model| Some(Screen::Problems(model.job()?.key.clone()))),
        Action::Checkpoints => go(model, |model| Some(Screen::Checkpoints(model.job()?.key.clone()))),
        Action::TaskManagers => go(model, |model| Some(Screen::TaskManagers(model.job()?.key.clone()))),
        Action::Decisions => go(model, |_| Some(Screen::Decisions)),
        Action::Decision => {
            // From a decision that is over, its key leads to the one that stands in its place.
            let standing = |d: &Arc<Decision>| model.shown().decision_of(&d.target.job).map_or(d.id, |other| other.id);
            if let Some(id) = model.decision().map(standing) {
                model.places.open(Screen::Decision(id));
                arrived(model);
            }
        }
        Action::Log => go(model, |_| Some(Screen::Log)),
        Action::LastView => {
            model.places.to_last();
            arrived(model);
        }
        Action::Earlier => {
            model.places.to_earlier();
            arrived(model);
        }
        Action::Later => {
            model.places.to_later();
            arrived(model);
        }

        Action::Filter => {
            let before = model.filter().text.clone();
            model.overlays.push(Overlay::Filter { line: Line::new(&before), before });
        }
        Action::Sort => sort(model, |sort, columns| {
            sort.column = (sort.column + 1) % columns.max(1);
            sort.reversed = false;
        }),
        Action::Reverse => sort(model, |sort, _| sort.reversed = !sort.reversed),
        Action::Pause => {
            let frozen = model.frozen.is_none();
            model.set_frozen(frozen);
            if let Some(lost) = model.refresh_rows() {
                model.toast(Slot::Warning, format!("the selected {lost} is gone meanwhile"));
            }
        }
        Action::Expand => model.views.job.view.expanded = !model.views.job.view.expanded,
        Action::Chart => model.views.job.view.metric = model.views.job.view.metric.next(),
        Action::UnfoldAll => unfold_all(model, true),
        Action::FoldAll => unfold_all(model, false),
        Action::Refresh => {
            let job = model.job().map(|job| Intent::Refresh { job: job.key.clone() });
            let lost = model.some_source_is_lost().then_some(Intent::Reconnect);
            for intent in job.into_iter().chain(lost) {
                let command = command(model, intent, None);
                effects.push(Effect::Send(command));
            }
            model.toast(Slot::Toast, "asking the sources again");
        }
        Action::Utc => {
            model.utc = !model.utc;
            let text = if model.utc { "times in UTC" } else { "times in local time" };
            model.toast(Slot::Toast, text);
        }
        Action::Theme => {
            model.theme = (model.theme + 1) % model.themes.len();
            let text = format!("theme {}", model.theme().name());
            model.toast(Slot::Toast, text);
            effects.push(Effect::Redraw);
        }

        Action::CopyId | Action::CopyName | Action::CopyVertex | Action::CopyUrl => {
            if let Some(text) = model.copyable(action) {
                let text: String = text.chars().filter(|c| !c.is_control()).take(1000).collect();
                model.toast(Slot::Toast, format!("copied {text}"));
                effects.push(Effect::Copy(text));
            }
        }

        Action::Help => model.overlays.push(Overlay::Help(Help::default())),
        Action::Palette => model.overlays.push(Overlay::Palette(Palette::default())),
        Action::Notices => model.overlays.push(Overlay::Notices(crate::tui::screens::Scroll::default())),
        Action::Mouse => {
            model.mouse = !model.mouse;
            let text = if model.mouse { "mouse wheel on" } else { "mouse wheel off: the terminal selects text" };
            model.toast(Slot::Toast, text);
            effects.push(Effect::Mouse(model.mouse));
        }
        Action::Counters => model.show_counters = !model.show_counters,
        Action::Redraw => effects.push(Effect::Redraw),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Quit => quit(model, effects),
    }
}

// --- decisions ---

/// Opens the question before an action on the decision in question.
fn ask(model: &mut Model, action: Action) {
    let Some(decision) = model.decision().cloned() else { return };
    let id = decision.id;
    match action {
        Action::Reject => model.overlays.push(Overlay::Prompt(Prompt::new(Ask::RejectReason(id), decision))),
        Action::Snooze => model.overlays.push(Overlay::Prompt(Prompt::new(Ask::SnoozeTime(id), decision))),
        _ => confirm(model, action, Intent::Approve { decision: id }, decision),
    }
}

/// Goes on from an answered question to its confirmation, if it may still be asked.
pub(super) fn answered(model: &mut Model, ask: Ask, text: String, decision: Arc<Decision>) {
    let (action, intent) = match ask {
        Ask::RejectReason(id) => {
            let reason = Some(text).filter(|text| !text.is_empty());
            (Action::Reject, Intent::Reject { decision: id, reason })
        }
        Ask::SnoozeTime(id) => (Action::Snooze, Intent::Snooze { decision: id, time: parse_duration(&text).ok() }),
    };
    confirm(model, action, intent, decision);
}

fn confirm(model: &mut Model, action: Action, intent: Intent, decision: Arc<Decision>) {
    let confirm = Confirm::new(action, action.danger(), intent, decision, model.monotonic);
    match model.may_act().map_err(|why| why.0.into_owned()).and_then(|()| confirm.still_true(model.latest())) {
        Ok(()) => model.overlays.push(Overlay::Confirm(Box::new(confirm))),
        Err(why) => refuse(model, action, &why),
    }
}

/// Sends what was confirmed, if everything is still as it was when the question came up.
pub(super) fn confirmed(model: &mut Model, confirm: Confirm, effects: &mut Vec<Effect>) {
    let Confirm { action, ref intent, ref decision, .. } = confirm;
    let allowed = model.may_act().map_err(|why| why.0.into_owned());
    if let Err(why) = allowed.and_then(|()| confirm.still_true(model.latest())) {
        refuse(model, action, &why);
        return;
    }
    let command = command(model, intent.clone(), Some(decision.target.clone()));
    model.in_flight.push(InFlight { command: command.clone(), action, stage: None });
    model.toast(Slot::Toast, format!("{} {}: given", action.id(), decision.target.name));
    effects.push(Effect::Send(command));
}

fn command(model: &mut Model, intent: Intent, target: Option<crate::domain::decision::Target>) -> Command {
    Command { id: model.next_command_id(), intent, issuer: Issuer::Screen, target, at: model.now() }
}

// --- places ---

fn go(model: &mut Model, to: impl Fn(&Model) -> Option<Screen>) {
    if let Some(screen) = to(model) {
        model.places.jump(screen);
        arrived(model);
    }
}

fn arrived(model: &mut Model) {
    model.pending.clear();
    model.refresh_rows();
}

fn back(model: &mut Model) {
    let screen = model.screen().clone();
    if model.views.close_inside(&screen) {
        return;
    }
    if !model.filter().text.is_empty() {
        model.set_filter("");
    } else if model.places.back() {
        arrived(model);
    }
}

fn open(model: &mut Model) {
    match model.screen().clone() {
        Screen::Fleet => {
            if let Some(key) = model.views.fleet.list.selected.clone() {
                model.places.open(Screen::Job(key));
                arrived(model);
            }
        }
        Screen::Decisions => {
            if let Some(id) = model.views.decisions.list.selected {
                model.places.open(Screen::Decision(id));
                arrived(model);
            }
        }
        Screen::Job(_) => match model.views.job.view.pane {
            JobPane::Vertices => model.views.job.view.pane = JobPane::Subtasks,
            JobPane::Subtasks => model.views.job.view.expanded = !model.views.job.view.expanded,
            JobPane::Explanation => toggle_node(model),
        },
        Screen::Problems(_) => {
            let view = &mut model.views.problems.view;
            view.open = !view.open && view.list.selected.is_some();
            view.stack.offset = 0;
        }
        Screen::Checkpoints(_) => {
            let view = &mut model.views.checkpoints.view;
            view.open = !view.open && view.list.selected.is_some();
        }
        Screen::Decision(_) => toggle_node(model),
        Screen::Memory(_) | Screen::TaskManagers(_) | Screen::Log => {}
    }
}

// --- moving ---

fn half_page(model: &Model) -> isize {
    let views = &model.views;
    let page = match model.screen() {
        Screen::Fleet => views.fleet.list.page,
        Screen::Job(_) => match views.job.view.pane {
            JobPane::Vertices => views.job.view.list.page,
            JobPane::Subtasks => views.job.view.subtasks.page,
            JobPane::Explanation => views.job.view.tree.list.page,
        },
        Screen::Memory(_) => views.memory.view.list.page,
        Screen::Problems(_) if views.problems.view.open => views.problems.view.stack.page,
        Screen::Problems(_) => views.problems.view.list.page,
        Screen::Checkpoints(_) => views.checkpoints.view.list.page,
        Screen::TaskManagers(_) => views.task_managers.view.list.page,
        Screen::Decisions => views.decisions.list.page,
        Screen::Decision(_) => views.decision.view.tree.list.page,
        Screen::Log => 1,
    };
    isize::try_from(page / 2).unwrap_or(1).max(1)
}

/// Moves the selection, or the text, of the pane that has the keys.
pub(super) fn move_by(model: &mut Model, by: isize) {
    let screen = model.screen().clone();
    let views = &mut model.views;
    match screen {
        Screen::Fleet => views.fleet.list.move_by(by),
        Screen::Job(_) => match views.job.view.pane {
            JobPane::Vertices => {
                let before = views.job.view.list.selected;
                views.job.view.list.move_by(by);
                if views.job.view.list.selected != before {
                    views.job.view.subtasks = crate::tui::screens::Scroll::default();
                }
            }
            JobPane::Subtasks => views.job.view.subtasks.move_by(by),
            JobPane::Explanation => views.job.view.tree.list.move_by(by),
        },
        Screen::Memory(_) => views.memory.view.list.move_by(by),
        Screen::Problems(_) if views.problems.view.open => views.problems.view.stack.move_by(by),
        Screen::Problems(_) => views.problems.view.list.move_by(by),
        Screen::Checkpoints(_) => views.checkpoints.view.list.move_by(by),
        Screen::TaskManagers(_) => views.task_managers.view.list.move_by(by),
        Screen::Decisions => views.decisions.list.move_by(by),
        Screen::Decision(_) => views.decision.view.tree.list.move_by(by),
        Screen::Log => views.log.state.transition(match by {
            isize::MIN..=-1 => TuiWidgetEvent::PrevPageKey,
            1000.. => TuiWidgetEvent::EscapeKey,
            _ => TuiWidgetEvent::NextPageKey,
        }),
    }
}

fn sideways(model: &mut Model, right: bool) {
    let screen = model.screen().clone();
    match &screen {
        Screen::Job(_) if model.views.job.view.pane != JobPane::Explanation => {
            model.views.job.view.list.move_by(if right { 1 } else { -1 });
            return;
        }
        Screen::Problems(_) => {
            model.views.problems.view.open = right && model.views.problems.view.list.selected.is_some();
            return;
        }
        Screen::Checkpoints(_) => {
            model.views.checkpoints.view.open = right && model.views.checkpoints.view.list.selected.is_some();
            return;
        }
        _ => {}
    }
    let Some(tree) = model.views.tree(&screen) else { return };
    let Some(node) = tree.list.selected.clone() else { return };
    if right {
        if !tree.unfolded.insert(node) {
            tree.list.move_by(1);
        }
    } else if !tree.unfolded.remove(&node) && node.len() > 1 {
        tree.list.select_key(&node[..node.len() - 1].to_vec());
    }
    model.refresh_rows();
}

fn toggle_node(model: &mut Model) {
    let screen = model.screen().clone();
    let Some(tree) = model.views.tree(&screen) else { return };
    let Some(node) = tree.list.selected.clone() else { return };
    if !tree.unfolded.remove(&node) {
        tree.unfolded.insert(node);
    }
    model.refresh_rows();
}

/// Unfolds, or folds, every node of the explanation on screen.
fn unfold_all(model: &mut Model, unfold: bool) {
    let screen = model.screen().clone();
    let explanation = match &screen {
        Screen::Job(key) => {
            model.views.job.view.pane = JobPane::Explanation;
            model.shown().job(key).and_then(|job| job.turn.as_ref()).and_then(|turn| turn.explanation.clone())
        }
        Screen::Decision(id) => model.shown().decision(*id).and_then(|decision| decision.explanation.clone()),
        _ => None,
    };
    let all = explanation.filter(|_| unfold).map(|explanation| foldable(&explanation)).unwrap_or_default();
    if let Some(tree) = model.views.tree(&screen) {
        tree.unfolded = all.into_iter().collect();
    }
    model.refresh_rows();
}

fn sort(model: &mut Model, change: impl Fn(&mut crate::tui::screens::Sort, usize)) {
    let (sort, columns) = match model.screen() {
        Screen::Fleet => (&mut model.views.fleet.list.sort, fleet::SORTS),
        Screen::Decisions => (&mut model.views.decisions.list.sort, decisions::SORTS),
        _ => return,
    };
    change(sort, columns.len());
    let text = format!("sorted by {}", columns.get(sort.column).copied().unwrap_or_default());
    let text = if sort.reversed { format!("{text}, turned round") } else { text };
    model.toast(Slot::Toast, text);
    model.refresh_rows();
}
