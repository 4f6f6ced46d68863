//! The Unix socket of a running loop: other processes of the same user read its snapshots and give it commands.
//!
//! One JSON object a line in both directions. A client sends [`Request`]s, the server answers with [`Reply`]s; `follow` and
//! `command` are answered by several. The folder is readable by its owner alone and the peer's uid is checked. Owns the server
//! ([`serve`]) and the client ([`list_running`], [`attach`]); it decides nothing, commands go the same way as the screen's.

mod client;
mod server;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use client::{Attached, Running, attach, list_running};
pub use server::{SocketServer, serve};

use crate::domain::Timestamp;
use crate::domain::command::{CommandId, CommandView, Intent};
use crate::domain::decision::Target;
use crate::domain::snapshot::Snapshot;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    /// The present snapshot, once.
    Snapshot,
    /// The present snapshot and every one after it, until the client goes.
    Follow,
    /// Give a command and follow it to its end.
    Command {
        /// What is wanted.
        intent: Box<Intent>,
        /// The target as the person saw it.
        target: Option<Box<Target>>,
        /// When it was given.
        at: Timestamp,
    },
}

/// What a client is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum Reply {
    /// A snapshot.
    Snapshot {
        /// The snapshot.
        snapshot: Box<Snapshot>,
    },
    /// A command was taken under this id.
    Taken {
        /// Its id.
        id: CommandId,
    },
    /// A command moved on; the last one has a final stage.
    Command {
        /// The command with its stage.
        view: Box<CommandView>,
    },
    /// The request could not be served.
    Error {
        /// Why.
        why: String,
    },
}

/// A socket that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A file or folder cannot be made, read or connected.
    #[error("socket {path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The folder belongs to somebody else, or others may enter it.
    #[error("socket folder {path}: {why}; remove it or set XDG_RUNTIME_DIR to a folder of your own")]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The peer said something that is no reply, or went away.
    #[error("the running process (pid {pid}) {why}")]
    Peer {
        /// Whom.
        pid: u32,
        /// What it did.
        why: String,
    },
}

fn io(path: &std::path::Path, action: &'static str) -> impl FnOnce(std::io::Error) -> SocketError {
    let path = path.to_path_buf();
    move |source| SocketError::Io { path, action, source }
}

#[cfg(test)]
mod tests;
