//! Flightdeck: the terminal flight deck for Apache Flink.
//!
//! The house has four floors; a room uses rooms on lower floors only (`tests/architecture.rs` keeps this true):
//!
//! | floor | rooms |
//! |---|---|
//! | 0 | [`domain`] the words of the trade as types, [`clock`] time behind one trait |
//! | 1 | [`autoscaler`] the pure pipeline, [`flink`] REST client, [`kubernetes`] API client, [`state`] store and journal, [`config`] layered settings |
//! | 2 | [`control`] the loop, guards, approval and realizers; [`sim`] the embedded cluster |
//! | 3 | [`tui`] the screens |
//! | 4 | [`cli`] the composition root |

pub mod autoscaler;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod domain;
pub mod flink;
pub mod kubernetes;
pub mod sim;
pub mod state;
pub mod tui;
