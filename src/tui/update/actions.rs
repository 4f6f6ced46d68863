//! What actions do.

use std::sync::Arc;

use tui_logger::TuiWidgetEvent;

use crate::domain::command::{Command, Intent, Issuer};
use crate::domain::decision::Decision;
use crate::domain::ids::SourceId;
use crate::domain::job::{JobView, Realization};
use crate::domain::kubernetes::OperatorVersion;
use crate::domain::text::parse_duration;
use crate::tui::action::Action;
use crate::tui::model::{InFlight, Model};
use crate::tui::overlays::confirm::Ownership;
use crate::tui::overlays::{About, Ask, Confirm, Contexts, Help, Line, Overlay, Palette, Prompt};
use crate::tui::screens::{JobPane, Screen, decisions, fleet, operations};
use crate::tui::theme::Slot;
use crate::tui::widgets::tree::foldable;

use super::{Effect, plans, quit, refuse};

/// Columns that long lines are panned by.
const PAN: usize = 16;
/// Columns that they are panned by at most.
const LONGEST_PAN: usize = 4_000;

/// Does an action, or says why it cannot be done.
pub(super) fn act(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    if let Err(why) = action.available(model) {
        refuse(model, action, &why.0);
        return;
    }
    match action {
        Action::Approve | Action::Reject | Action::Snooze | Action::Reduce => ask(model, action, effects),
        Action::TakeOver | Action::HandBack => ask_ownership(model, action),

        Action::Savepoint
        | Action::Checkpoint
        | Action::StopJob
        | Action::ResumeJob
        | Action::RestartJob
        | Action::CancelJob
        | Action::Redeploy
        | Action::Shutdown => plans::operate(model, action, effects),
        Action::ResumePlan | Action::AbandonPlan | Action::CancelPlan => plans::about(model, action, None),
        Action::Mark => mark(model),

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
            Screen::PodLog(_) => {
                let view = &mut model.views.pod_log.view;
                view.container += 1;
                view.anew();
            }
            Screen::Resource(_) => model.views.resource.view.next_part(),
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
        Action::Pods => go(model, |model| Some(Screen::Pods(model.job()?.key.clone()))),
        Action::PodLog => go(model, |model| Some(Screen::PodLog(model.pod()?))),
        Action::Events => go(model, |model| Some(Screen::Events(model.job()?.key.clone()))),
        Action::AllEvents => go(model, |_| Some(Screen::AllEvents)),
        Action::Resource => go(model, |model| Some(Screen::Resource(model.job()?.key.clone()))),
        Action::Contexts => {
            if let Some(kube) = model.latest().kubernetes.first() {
                let contexts = Contexts::new(kube.source.clone(), kube.contexts.to_vec());
                model.overlays.push(Overlay::Contexts(contexts));
            }
        }
        Action::Ownership => go(model, |model| Some(Screen::Ownership(model.job()?.key.clone()))),
        Action::Capacity => go(model, |_| Some(Screen::Capacity)),
        Action::Cluster => go(model, |_| Some(Screen::Cluster)),
        Action::Decisions => go(model, |_| Some(Screen::Decisions)),
        Action::Decision => {
            // From a decision that is over, its key leads to the one that stands in its place.
            let standing = |d: &Arc<Decision>| model.shown().decision_of(&d.target.job).map_or(d.id, |other| other.id);
            if let Some(id) = model.decision().map(standing) {
                model.places.open(Screen::Decision(id));
                arrived(model);
            }
        }
        Action::Operations => go(model, |_| Some(Screen::Operations)),
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
        Action::NextMatch | Action::PreviousMatch => {
            if !model.views.resource.view.jump(action == Action::NextMatch) {
                model.toast(Slot::Muted, "nothing found");
            }
        }
        Action::Follow => model.views.pod_log.view.hold_or_follow(),
        Action::Previous => {
            let view = &mut model.views.pod_log.view;
            view.previous = !view.previous;
            view.anew();
            model.refresh_rows();
        }
        Action::UnfoldAll => unfold_all(model, true),
        Action::FoldAll => unfold_all(model, false),
        Action::Refresh => {
            let job = model.job().map(|job| Intent::Refresh { job: job.key.clone() });
            let lost = model.some_source_is_lost().then_some(Intent::Reconnect);
            let here = *model.screen() == Screen::Cluster;
            let kubernetes = model.latest().kubernetes.iter().filter(|_| here);
            let rights: Vec<Intent> =
                kubernetes.map(|kube| Intent::AskRights { source: kube.source.clone() }).collect();
            for intent in job.into_iter().chain(lost).chain(rights) {
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
fn ask(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    let Some(decision) = model.decision().cloned() else { return };
    let id = decision.id;
    match action {
        Action::Reject => model.overlays.push(Overlay::Prompt(Prompt::new(Ask::RejectReason(id), decision))),
        Action::Snooze => model.overlays.push(Overlay::Prompt(Prompt::new(Ask::SnoozeTime(id), decision))),
        Action::Reduce => confirm(model, action, Intent::Reduce { decision: id }, About::Decision(decision)),
        _ => {
            // What would be written is asked of the server while the question is read.
            let patched = |job: &Arc<JobView>| {
                job.resource.is_some() && matches!(job.realization, Realization::PatchResource { .. })
            };
            if model.latest().job(&decision.target.job).is_some_and(patched) {
                let rehearse = command(model, Intent::Preview { decision: id }, None);
                effects.push(Effect::Send(rehearse));
            }
            confirm(model, action, Intent::Approve { decision: id }, About::Decision(decision));
        }
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
    confirm(model, action, intent, About::Decision(decision));
}

/// Opens the question before a job is taken over or handed back.
fn ask_ownership(model: &mut Model, action: Action) {
    let Some(job) = model.job().cloned() else { return };
    let target = job.resource.as_ref().and_then(|resource| resource.target.clone());
    let Some(target) = target else { return refuse(model, action, "what the job is now is not known yet") };
    let (_, why) = crate::tui::screens::owner(&job);
    let operator = model.latest().kube(&job.source).map(|kube| Arc::clone(&kube.operator));
    let resets = operator.as_ref().is_some_and(|operator| operator.is_at_least(OperatorVersion::V1_11));
    let text = |text: &str| text.to_owned();
    let (intent, lines) = match action {
        Action::HandBack => (
            Intent::HandBack { job: job.key.clone() },
            vec![
                ("now", why.to_owned()),
                ("writes", text("the operator's autoscaler is switched on and its gate opened (scaling.enabled=true)")),
                ("effect", text("nothing is rescaled by that itself; the map of parallelism stays what runs")),
                ("then", text("the operator decides by itself, from its next turn on; flightdeck only observes")),
            ],
        ),
        _ => (
            Intent::TakeOver { job: job.key.clone() },
            vec![
                ("now", why.to_owned()),
                (
                    "writes",
                    text(
                        "one patch: the parallelism that runs now, and memory that was injected, become the spec's own",
                    ),
                ),
                (
                    "and",
                    if resets {
                        text(
                            "scaling.enabled=false with a fresh autoscalerResetNonce: what the operator stored is forgotten",
                        )
                    } else {
                        text("job.autoscaler.enabled=false: this operator has no way to forget what it stored")
                    },
                ),
                ("effect", text("nothing is rescaled or restarted by that; refused if the operator is at work")),
                ("then", text("flightdeck computes, a person approves")),
            ],
        ),
    };
    confirm(model, action, intent, About::Ownership(Ownership { target, lines }));
}

/// Looks at another context, or at other namespaces.
pub(super) fn switch_context(
    model: &mut Model,
    source: SourceId,
    context: String,
    namespaces: Vec<String>,
    effects: &mut Vec<Effect>,
) {
    let place = if namespaces.is_empty() { "all namespaces".to_owned() } else { namespaces.join(", ") };
    model.toast(Slot::Toast, format!("looking at {context}, {place}"));
    let intent = Intent::SwitchContext { source, context: Some(context), namespaces };
    let command = command(model, intent, None);
    model.in_flight.push(InFlight {
        command: command.clone(),
        action: Action::Contexts,
        what: Action::Contexts.id().to_owned(),
        plan_on: None,
        stage: None,
    });
    effects.push(Effect::Send(command));
    model.places.jump(Screen::Fleet);
    arrived(model);
}

fn confirm(model: &mut Model, action: Action, intent: Intent, about: About) {
    let confirm = Confirm::new(action, action.danger(), intent, about, model.monotonic);
    match model.may_act().map_err(|why| why.0.into_owned()).and_then(|()| confirm.still_true(model.latest())) {
        Ok(()) => model.overlays.push(Overlay::Confirm(Box::new(confirm))),
        Err(why) => refuse(model, action, &why),
    }
}

/// Sends what was confirmed, if everything is still as it was when the question came up.
pub(super) fn confirmed(model: &mut Model, confirm: Confirm, effects: &mut Vec<Effect>) {
    let Confirm { action, ref intent, .. } = confirm;
    let target = confirm.target().clone();
    let allowed = model.may_act().map_err(|why| why.0.into_owned());
    if let Err(why) = allowed.and_then(|()| confirm.still_true(model.latest())) {
        refuse(model, action, &why);
        return;
    }
    let command = command(model, intent.clone(), Some(target.clone()));
    let what = format!("{} {}", action.id(), target.name);
    model.toast(Slot::Toast, format!("{what}: given"));
    model.in_flight.push(InFlight { command: command.clone(), action, what, plan_on: None, stage: None });
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
        Screen::Operations => {
            if let Some(id) = model.views.operations.list.selected {
                model.places.open(Screen::Plan(id));
                arrived(model);
            }
        }
        Screen::Pods(_) => {
            if let Some(pod) = model.pod() {
                model.places.open(Screen::PodLog(pod));
                arrived(model);
            }
        }
        Screen::Memory(_)
        | Screen::TaskManagers(_)
        | Screen::PodLog(_)
        | Screen::Events(_)
        | Screen::AllEvents
        | Screen::Resource(_)
        | Screen::Ownership(_)
        | Screen::Capacity
        | Screen::Cluster
        | Screen::Plan(_)
        | Screen::Log => {}
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
        Screen::Pods(_) => views.pods.view.list.page,
        Screen::PodLog(_) => views.pod_log.view.page,
        Screen::Events(_) => views.events.view.list.page,
        Screen::AllEvents => views.all_events.list.page,
        Screen::Resource(_) => views.resource.view.scroll.page,
        Screen::Ownership(_) => views.ownership.view.scroll.page,
        Screen::Capacity => views.capacity.list.page,
        Screen::Cluster => views.cluster.scroll.page,
        Screen::Decisions => views.decisions.list.page,
        Screen::Decision(_) => views.decision.view.tree.list.page,
        Screen::Operations => views.operations.list.page,
        Screen::Plan(_) => views.plan.view.scroll.page,
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
        Screen::Pods(_) => views.pods.view.list.move_by(by),
        Screen::PodLog(_) => views.pod_log.view.move_by(by),
        Screen::Events(_) => views.events.view.list.move_by(by),
        Screen::AllEvents => views.all_events.list.move_by(by),
        Screen::Resource(_) => views.resource.view.scroll.move_by(by),
        Screen::Ownership(_) => views.ownership.view.scroll.move_by(by),
        Screen::Capacity => views.capacity.list.move_by(by),
        Screen::Cluster => views.cluster.scroll.move_by(by),
        Screen::Decisions => views.decisions.list.move_by(by),
        Screen::Decision(_) => views.decision.view.tree.list.move_by(by),
        Screen::Operations => views.operations.list.move_by(by),
        Screen::Plan(_) => views.plan.view.scroll.move_by(by),
        Screen::Log => views.log.state.transition(match by {
            isize::MIN..=-1 => TuiWidgetEvent::PrevPageKey,
            1000.. => TuiWidgetEvent::EscapeKey,
            _ => TuiWidgetEvent::NextPageKey,
        }),
    }
}

/// Pans long lines.
fn pan(left: &mut usize, right: bool) {
    *left = if right { (*left + PAN).min(LONGEST_PAN) } else { left.saturating_sub(PAN) };
}

/// Marks the selected job, or takes its mark away, and goes on to the next.
fn mark(model: &mut Model) {
    let fleet = &mut model.views.fleet;
    let Some(key) = fleet.list.selected.clone() else { return };
    if !fleet.marked.remove(&key) {
        fleet.marked.insert(key);
    }
    fleet.list.move_by(1);
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
        Screen::PodLog(_) => return pan(&mut model.views.pod_log.view.left, right),
        Screen::Resource(_) => return pan(&mut model.views.resource.view.left, right),
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
        Screen::Operations => (&mut model.views.operations.list.sort, operations::SORTS),
        _ => return,
    };
    change(sort, columns.len());
    let text = format!("sorted by {}", columns.get(sort.column).copied().unwrap_or_default());
    let text = if sort.reversed { format!("{text}, turned round") } else { text };
    model.toast(Slot::Toast, text);
    model.refresh_rows();
}
