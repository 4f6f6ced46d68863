//! Overlays: what lies over a screen and gets every key first. The one in front gets it; esc always closes exactly one.
//!
//! Owns the state of each overlay, what a key means in it, and how it is drawn. What follows from it is done by `update`.

pub mod choose;
pub mod confirm;
pub mod contexts;
pub mod help;
pub mod line;
pub mod palette;
pub mod plan;
pub mod popup;
pub mod prompt;
pub mod snapshots;
#[cfg(test)]
mod tests;
pub mod unfinished;

use std::time::Duration;

use crate::domain::plan::{Origin, PlanId};
use crate::tui::action::Action;
use crate::tui::event::{Code, Key};
use crate::tui::screens::Scroll;

pub use choose::Choose;
pub use confirm::{About, Confirm};
pub use contexts::Contexts;
pub use help::Help;
pub use line::Line;
pub use palette::Palette;
pub use plan::PlanDialog;
pub use prompt::{Ask, Prompt};
pub use snapshots::Snapshots;
pub use unfinished::Unfinished;

/// Something that lies over the screen.
#[derive(Debug)]
pub enum Overlay {
    /// The filter is being typed; `before` comes back with esc.
    Filter {
        /// The text.
        line: Line,
        /// The filter as it was.
        before: String,
    },
    /// Every action by name.
    Palette(Palette),
    /// All keys.
    Help(Help),
    /// A question that is answered with words.
    Prompt(Prompt),
    /// A question before an action with consequences.
    Confirm(Box<Confirm>),
    /// Which context to look at.
    Contexts(Contexts),
    /// Which way of an operation.
    Choose(Choose),
    /// What a redeploy starts from.
    Snapshots(Box<Snapshots>),
    /// A question about plans.
    Plan(Box<PlanDialog>),
    /// A plan that an earlier process left unfinished.
    Unfinished(Unfinished),
    /// Whether to end the program although commands are under way.
    Quit,
    /// The header's notices in full.
    Notices(Scroll),
}

/// What a key in an overlay comes to.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// Nothing beyond the overlay.
    Stay,
    /// The overlay closes, nothing is done.
    Close,
    /// The overlay closes and this action is wanted.
    Act(Action),
    /// The filter reads like this now.
    Filter(String),
    /// The filter reads like this, and the overlay closes.
    FilterDone(String),
    /// The question was answered; the overlay closes.
    Answered(Ask, String),
    /// The action was confirmed; the overlay closes.
    Confirmed,
    /// This context and its namespaces (none for all) are to be looked at; the overlay closes.
    Context(String, Vec<String>),
    /// This way of the operation is wanted; the overlay closes.
    Chosen(usize),
    /// A redeploy from here is wanted, and whether state that the program no longer has may be dropped; the overlay closes.
    Picked(Origin, bool),
    /// What is asked of the plans was confirmed; the overlay closes.
    PlanConfirmed,
    /// The unfinished plan is to be looked at; the overlay closes.
    Show(PlanId),
    /// This is wanted of the unfinished plan; the overlay closes.
    About(Action, PlanId),
    /// The program ends.
    Quit,
}

impl Overlay {
    /// Takes a key at an instant of monotonic time.
    pub fn key(&mut self, key: Key, monotonic: Duration) -> Reply {
        match self {
            Self::Filter { line, before } => match key.code {
                Code::Esc => Reply::FilterDone(std::mem::take(before)),
                Code::Enter => Reply::FilterDone(line.value().to_owned()),
                _ if line.key(key) => Reply::Filter(line.value().to_owned()),
                _ => Reply::Stay,
            },
            Self::Palette(palette) => palette.key(key),
            Self::Help(help) => help.key(key),
            Self::Prompt(prompt) => prompt.key(key),
            Self::Confirm(confirm) => confirm.key(key, monotonic),
            Self::Contexts(contexts) => contexts.key(key),
            Self::Choose(choose) => choose.key(key),
            Self::Snapshots(snapshots) => snapshots.key(key),
            Self::Plan(dialog) => dialog.key(key, monotonic),
            Self::Unfinished(unfinished) => unfinished.key(key, monotonic),
            Self::Quit => match key.code {
                Code::Char('y') => Reply::Quit,
                Code::Esc | Code::Char('n' | 'q') => Reply::Close,
                _ => Reply::Stay,
            },
            Self::Notices(scroll) => match key.code {
                Code::Up | Code::Char('k') => {
                    scroll.move_by(-1);
                    Reply::Stay
                }
                Code::Down | Code::Char('j') => {
                    scroll.move_by(1);
                    Reply::Stay
                }
                Code::Esc | Code::Enter | Code::Char('q' | '!') => Reply::Close,
                _ => Reply::Stay,
            },
        }
    }

    /// Takes pasted text. It never confirms anything.
    pub fn paste(&mut self, text: &str) -> Reply {
        match self {
            Self::Filter { line, .. } => {
                line.paste(text);
                Reply::Filter(line.value().to_owned())
            }
            Self::Palette(palette) => {
                palette.paste(text);
                Reply::Stay
            }
            Self::Help(help) => {
                help.search.paste(text);
                Reply::Stay
            }
            Self::Prompt(prompt) => {
                prompt.line.paste(text);
                Reply::Stay
            }
            Self::Confirm(confirm) => {
                confirm.pasted();
                Reply::Stay
            }
            Self::Contexts(contexts) => {
                contexts.line.paste(text);
                Reply::Stay
            }
            Self::Plan(dialog) => {
                dialog.pasted();
                Reply::Stay
            }
            Self::Snapshots(snapshots) => {
                snapshots.paste(text);
                Reply::Stay
            }
            Self::Quit | Self::Notices(_) | Self::Choose(_) | Self::Unfinished(_) => Reply::Stay,
        }
    }

    /// When it will look different by itself, in monotonic time.
    pub fn changes_at(&self) -> Option<Duration> {
        match self {
            Self::Confirm(confirm) => confirm.guarded.then_some(confirm.guard_until),
            Self::Plan(dialog) => dialog.guarded.then_some(dialog.guard_until),
            _ => None,
        }
    }

    /// The guard against type-ahead ends if its time has come. True if it did.
    pub fn end_guard(&mut self, monotonic: Duration) -> bool {
        let (guarded, until) = match self {
            Self::Confirm(confirm) => (&mut confirm.guarded, confirm.guard_until),
            Self::Plan(dialog) => (&mut dialog.guarded, dialog.guard_until),
            _ => return false,
        };
        let ends = *guarded && until <= monotonic;
        *guarded &= !ends;
        ends
    }

    /// It can confirm something: what cannot be seen must not be confirmed.
    pub fn confirms(&self) -> bool {
        matches!(self, Self::Confirm(_) | Self::Plan(_))
    }
}
