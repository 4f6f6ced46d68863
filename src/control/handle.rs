//! What a screen, a script or a socket holds of a running control loop.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::domain::command::{Command, Interest};
use crate::domain::snapshot::Snapshot;

/// The two ends of a running loop that others hold: snapshots come out, commands and interest go in.
#[derive(Debug, Clone)]
pub struct Handle {
    /// The newest snapshot; coalesced to at most 30 a second.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Commands; bounded, the sender waits when it is full.
    pub commands: mpsc::Sender<Command>,
    /// What is being looked at; the newest value wins.
    pub interest: watch::Sender<Interest>,
}
