//! What follows from a newer snapshot.

use std::sync::Arc;

use crate::domain::command::{CommandStage, Issuer};
use crate::domain::decision::DecisionState;
use crate::domain::snapshot::Snapshot;
use crate::tui::action::{Action, Danger};
use crate::tui::model::{Model, Owed};
use crate::tui::overlays::Overlay;
use crate::tui::theme::Slot;

use super::{Effect, plans};

/// Takes a newer snapshot.
pub(super) fn snapshot(model: &mut Model, snapshot: Arc<Snapshot>, effects: &mut Vec<Effect>) {
    let before = Arc::clone(model.latest());
    if Arc::ptr_eq(&before, &snapshot) || (before.revision == snapshot.revision && before.at == snapshot.at) {
        return;
    }
    model.counters.snapshots += 1;
    model.take(Arc::clone(&snapshot));
    follow_commands(model, &snapshot, effects);
    plans::take_in(model, &snapshot);
    close_if_changed(model, &snapshot, effects);
    plans::watch(model, &snapshot);
    plans::offer(model, &snapshot);
    if before.loaded {
        announce(model, &before, &snapshot);
    }
    if model.frozen.is_none() {
        model.owe(Owed::Data);
        if let Some(lost) = model.refresh_rows() {
            model.pending.clear();
            let now = if model.has_selection() { "; the cursor is on the row at its place" } else { "" };
            model.toast(Slot::Warning, format!("the selected {lost} is gone from this list{now}"));
        }
    }
}

/// Tells how the commands given here go on, until their end.
fn follow_commands(model: &mut Model, snapshot: &Snapshot, effects: &mut Vec<Effect>) {
    let mut news = Vec::new();
    model.in_flight.retain_mut(|flight| {
        let seen = snapshot
            .commands
            .iter()
            .find(|view| view.command.id == flight.command.id && view.command.issuer == Issuer::Screen);
        let Some(view) = seen else {
            // It was there and is not any more: the list is bounded, so its end was missed.
            return flight.stage.is_none();
        };
        let word = view.stage.word();
        if flight.stage != Some(word) {
            flight.stage = Some(word);
            news.push((flight.action, view.stage.clone(), flight.what.clone()));
        }
        !view.stage.is_final()
    });
    for (action, stage, what) in news {
        match &stage {
            CommandStage::Requested | CommandStage::Sent => {}
            CommandStage::Accepted => model.toast(Slot::Toast, format!("{what}: accepted, not done yet")),
            CommandStage::Observed => model.toast(Slot::Ok, format!("{what}: done")),
            CommandStage::TimedOut => model.toast_long(Slot::Error, format!("{what}: no effect was seen in time")),
            CommandStage::Refused { why } | CommandStage::Superseded { why } => {
                model.toast_long(Slot::Warning, format!("{what} {}: {why}", stage.word()));
            }
            CommandStage::Failed { why } => model.toast_long(Slot::Error, format!("{what} failed: {why}")),
        }
        if stage.is_final() && action.danger() >= Danger::Effect && action != Action::Reject && !model.focused {
            effects.push(Effect::Bell);
        }
    }
}

/// Closes questions whose target is not any more what was asked about.
fn close_if_changed(model: &mut Model, snapshot: &Snapshot, effects: &mut Vec<Effect>) {
    let still_true = |overlay: &Overlay| match overlay {
        Overlay::Confirm(confirm) => confirm.still_true(snapshot),
        Overlay::Plan(dialog) => dialog.still_true(snapshot),
        Overlay::Filter { .. }
        | Overlay::Palette(_)
        | Overlay::Help(_)
        | Overlay::Prompt(_)
        | Overlay::Contexts(_)
        | Overlay::Choose(_)
        | Overlay::Snapshots(_)
        | Overlay::Unfinished(_)
        | Overlay::Quit
        | Overlay::Notices(_) => Ok(()),
    };
    for overlay in std::mem::take(&mut model.overlays) {
        match still_true(&overlay) {
            Ok(()) => model.overlays.push(overlay),
            Err(why) => {
                model.owe(Owed::Data);
                model.toast_long(Slot::Warning, format!("{why}; nothing was sent"));
                plans::closed(model, &overlay, effects);
            }
        }
    }
}

/// Tells of decisions that wait since this snapshot.
fn announce(model: &mut Model, before: &Snapshot, snapshot: &Snapshot) {
    let waits = |snapshot: &Snapshot, id| {
        snapshot.decision(id).is_some_and(|decision| decision.state == DecisionState::Pending)
    };
    for decision in snapshot.decisions.iter().filter(|d| d.state == DecisionState::Pending) {
        if !waits(before, decision.id) {
            let (name, id) = (&decision.target.name, decision.id);
            model.toast(Slot::Toast, format!("{name}: decision {id} waits for approval"));
        }
    }
}
