//! What follows from an event: pure, synchronous, the only place that changes the model.
//!
//! A key goes to the overlay in front, else through the keymap to an action; an action either changes the model or, if it has
//! consequences, opens a confirmation. Nothing but a confirmed confirmation gives a command that changes anything outside.

mod actions;
mod data;
mod plans;
#[cfg(test)]
mod tests;

use crate::domain::command::{Command, CommandId, Interest};
use crate::domain::plan::PlanState;

use super::action::Action;
use super::action::operate::on_this_plan;
use super::event::{Code, Event, Key, sequence_text};
use super::keymap::Meaning;
use super::model::{Model, Owed};
use super::overlays::{Overlay, Reply};
use super::theme::Slot;

/// What the loop must do after an update.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Hand this command to the control loop.
    Send(Command),
    /// Tell the control loop what is being looked at.
    Interest(Interest),
    /// Put this text into the clipboard of the terminal.
    Copy(String),
    /// Switch the mouse wheel on or off.
    Mouse(bool),
    /// Forget what the terminal shows and draw everything.
    Redraw,
    /// Ring the bell.
    Bell,
    /// Stop the process as ctrl-z does in a shell.
    Suspend,
    /// End the program.
    Quit,
}

/// Changes the model by an event and says what must be done.
pub fn update(model: &mut Model, event: Event) -> Vec<Effect> {
    model.counters.events += 1;
    let mut effects = Vec::new();
    expire(model);
    match event {
        Event::Key(key) => {
            model.owe(Owed::Now);
            model.touched = true;
            press(model, key, &mut effects);
        }
        Event::Paste(text) => {
            model.owe(Owed::Now);
            model.pending.clear();
            if let Some(overlay) = model.overlays.last_mut() {
                let reply = overlay.paste(&text);
                follow(model, reply, &mut effects);
            }
        }
        Event::Wheel(lines) => {
            model.owe(Owed::Now);
            model.touched = true;
            if model.overlays.is_empty() {
                actions::move_by(model, lines);
            }
        }
        Event::Resize { columns, lines } => {
            if model.size != (columns, lines) {
                model.size = (columns, lines);
                model.owe(Owed::Now);
                if model.too_small(columns, lines) {
                    // What cannot be seen must not be confirmed.
                    let (gone, stay) = std::mem::take(&mut model.overlays).into_iter().partition(Overlay::confirms);
                    model.overlays = stay;
                    let gone: Vec<Overlay> = gone;
                    for overlay in &gone {
                        plans::closed(model, overlay, &mut effects);
                    }
                }
            }
        }
        Event::Focus(focused) => model.focused = focused,
        Event::Snapshot(snapshot) => data::snapshot(model, snapshot, &mut effects),
        Event::LoopEnded => {
            if !model.loop_ended {
                model.loop_ended = true;
                model.toast_long(Slot::Critical, "the control loop has ended: nothing here will change any more");
            }
        }
        Event::Sent(_) => {}
        Event::NotSent(id) => not_sent(model, id),
        Event::Resumed => {
            model.owe(Owed::Now);
            effects.push(Effect::Redraw);
        }
        Event::Terminate => effects.push(Effect::Quit),
        Event::Time => {}
    }
    let interest = model.looking_at();
    if interest != model.interest {
        model.interest = interest.clone();
        effects.push(Effect::Interest(interest));
    }
    effects
}

/// What time alone changes: toasts go, guards end, labels read differently.
fn expire(model: &mut Model) {
    let now = model.monotonic;
    let before = model.toasts.len();
    model.toasts.retain(|toast| toast.until > now);
    let mut changed = model.toasts.len() != before;
    changed |= model.overlays.last_mut().is_some_and(|overlay| overlay.end_guard(now));
    if model.next_label.is_some_and(|at| at <= model.frame_time()) {
        model.next_label = None;
        changed = true;
    }
    if changed {
        model.owe(Owed::Data);
    }
}

fn not_sent(model: &mut Model, id: CommandId) {
    plans::not_sent(model, id);
    if let Some(at) = model.in_flight.iter().position(|flight| flight.command.id == id) {
        let flight = model.in_flight.remove(at);
        let what = flight.what;
        model.toast_long(Slot::Error, format!("{what} was not sent: the control loop does not take commands any more"));
    }
}

fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    if key == Key::ctrl('c') {
        quit(model, effects);
        return;
    }
    let monotonic = model.monotonic;
    if let Some(overlay) = model.overlays.last_mut() {
        let reply = overlay.key(key, monotonic);
        follow(model, reply, effects);
        return;
    }
    if key.code == Code::Esc && !model.pending.is_empty() {
        model.pending.clear();
        return;
    }
    model.pending.push(key);
    match model.keymap.meaning(&model.pending) {
        Meaning::Prefix => {}
        Meaning::Action(action) => {
            model.pending.clear();
            actions::act(model, action, effects);
        }
        Meaning::Nothing => {
            if model.pending.len() > 1 {
                let text = sequence_text(&model.pending);
                model.toast(Slot::Muted, format!("{text} means nothing"));
            }
            model.pending.clear();
        }
    }
}

/// Does what an overlay answered.
fn follow(model: &mut Model, reply: Reply, effects: &mut Vec<Effect>) {
    match reply {
        Reply::Stay => {}
        Reply::Close => {
            if let Some(overlay) = model.overlays.pop() {
                plans::closed(model, &overlay, effects);
            }
        }
        Reply::Act(action) => {
            model.overlays.pop();
            actions::act(model, action, effects);
        }
        Reply::Filter(text) => model.set_filter(&text),
        Reply::FilterDone(text) => {
            model.overlays.pop();
            model.set_filter(&text);
        }
        Reply::Answered(ask, text) => {
            if let Some(Overlay::Prompt(prompt)) = model.overlays.pop() {
                actions::answered(model, ask, text, prompt.decision);
            }
        }
        Reply::Confirmed => {
            if let Some(Overlay::Confirm(confirm)) = model.overlays.pop() {
                actions::confirmed(model, *confirm, effects);
            }
        }
        Reply::Context(context, namespaces) => {
            if let Some(Overlay::Contexts(contexts)) = model.overlays.pop() {
                actions::switch_context(model, contexts.source, context, namespaces, effects);
            }
        }
        Reply::Chosen(index) => {
            if let Some(Overlay::Choose(choose)) = model.overlays.pop() {
                plans::chosen(model, choose, index, effects);
            }
        }
        Reply::Picked(origin, allow_non_restored) => {
            if let Some(Overlay::Snapshots(picker)) = model.overlays.pop() {
                plans::picked(model, *picker, origin, allow_non_restored, effects);
            }
        }
        Reply::PlanConfirmed => {
            if let Some(Overlay::Plan(dialog)) = model.overlays.pop() {
                plans::confirmed(model, *dialog, effects);
            }
        }
        Reply::Show(plan) => {
            model.overlays.pop();
            plans::show(model, plan);
        }
        Reply::About(action, plan) => {
            model.overlays.pop();
            let allowed = model.may_act().and_then(|()| on_this_plan(action, model, plan));
            match allowed {
                Ok(()) => plans::about(model, action, Some(plan)),
                Err(why) => refuse(model, action, &why.0),
            }
        }
        Reply::Quit => effects.push(Effect::Quit),
    }
}

/// Ends the program, after a question if commands or operations are under way. Asked twice, it ends at once.
fn quit(model: &mut Model, effects: &mut Vec<Effect>) {
    let asked = matches!(model.overlays.last(), Some(Overlay::Quit));
    let running = model.latest().plans.iter().any(|plan| plan.state == PlanState::Running);
    if (model.in_flight.is_empty() && !running) || asked || model.loop_ended {
        effects.push(Effect::Quit);
    } else {
        model.pending.clear();
        model.overlays.push(Overlay::Quit);
    }
}

/// Says why an action cannot be done.
fn refuse(model: &mut Model, action: Action, why: &str) {
    model.toast(Slot::Warning, format!("{}: {why}", action.title()));
}
