//! The terminal screens: event loop, model and pure `update`, actions, keymap, screens, overlays, widgets, theme, terminal guard.
//!
//! Owns everything that is drawn and every key. It sees the world through one [`Snapshot`](crate::domain::snapshot::Snapshot)
//! and changes it through [`Command`](crate::domain::command::Command)s only; it must not call the network, and no other room
//! knows `ratatui` or `crossterm`.

pub mod action;
pub mod draw;
pub mod event;
pub mod file;
pub mod filter;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod format;
pub mod keymap;
pub mod logging;
pub mod model;
pub mod overlays;
pub mod run;
pub mod screens;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod widgets;

pub use run::{Ended, TuiError, TuiOptions, run};
