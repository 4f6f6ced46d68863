//! The asking end of the socket.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::{Reply, Request, SocketError, io};
use crate::domain::Timestamp;
use crate::domain::command::{CommandId, CommandView, Intent};
use crate::domain::decision::Target;
use crate::domain::snapshot::Snapshot;

/// Longest reply: a snapshot of a large fleet with its explanations.
const MAX_REPLY: u64 = 256 * 1024 * 1024;

/// A process that runs a control loop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Its socket.
    pub path: PathBuf,
}

/// The processes of this user that run a control loop, by pid. Sockets that nobody serves any more are removed.
///
/// # Errors
/// If the folder is there and cannot be read.
pub async fn list_running(folder: &Path) -> Result<Vec<Running>, SocketError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(io(folder, "read the folder"))?,
    };
    let mut running = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "sock") {
            continue;
        }
        let Some(pid) = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok()) else { continue };
        match UnixStream::connect(&path).await {
            Ok(_) => running.push(Running { pid, path }),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                let _ = std::fs::remove_file(&path);
            }
            Err(error) => tracing::debug!(path = %path.display(), %error, "socket skipped"),
        }
    }
    running.sort();
    Ok(running)
}

/// Connects to a running process.
///
/// # Errors
/// If it cannot be connected.
pub async fn attach(to: &Running) -> Result<Attached, SocketError> {
    let stream = UnixStream::connect(&to.path).await.map_err(io(&to.path, "connect"))?;
    let (read, write) = stream.into_split();
    Ok(Attached { pid: to.pid, read: BufReader::new(read), write })
}

/// A connection to a running process.
#[derive(Debug)]
pub struct Attached {
    pid: u32,
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Attached {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its present snapshot.
    ///
    /// # Errors
    /// If the process went away or refused.
    pub async fn snapshot(&mut self) -> Result<Snapshot, SocketError> {
        self.ask(&Request::Snapshot).await?;
        self.next_snapshot().await
    }

    /// Asks for its present snapshot and every one after it; read them with [`Attached::next_snapshot`]. Nothing else can be
    /// asked through this connection after that.
    ///
    /// # Errors
    /// If the process went away.
    pub async fn follow(&mut self) -> Result<(), SocketError> {
        self.ask(&Request::Follow).await
    }

    /// The next snapshot.
    ///
    /// # Errors
    /// If the process went away or refused.
    pub async fn next_snapshot(&mut self) -> Result<Snapshot, SocketError> {
        match self.next().await? {
            Reply::Snapshot { snapshot } => Ok(*snapshot),
            Reply::Error { why } => Err(self.peer(format!("answered: {why}"))),
            Reply::Taken { .. } | Reply::Command { .. } => Err(self.peer("answered something else".into())),
        }
    }

    /// Gives a command; follow it with [`Attached::next_stage`].
    ///
    /// # Errors
    /// If the process went away or refused.
    pub async fn command(
        &mut self,
        intent: Intent,
        target: Option<Target>,
        at: Timestamp,
    ) -> Result<CommandId, SocketError> {
        self.ask(&Request::Command { intent: Box::new(intent), target: target.map(Box::new), at }).await?;
        match self.next().await? {
            Reply::Taken { id } => Ok(id),
            Reply::Error { why } => Err(self.peer(format!("answered: {why}"))),
            Reply::Snapshot { .. } | Reply::Command { .. } => Err(self.peer("answered something else".into())),
        }
    }

    /// The next stage of the command that was given; the last one is final.
    ///
    /// # Errors
    /// If the process went away or refused.
    pub async fn next_stage(&mut self) -> Result<CommandView, SocketError> {
        match self.next().await? {
            Reply::Command { view } => Ok(*view),
            Reply::Error { why } => Err(self.peer(format!("answered: {why}"))),
            Reply::Snapshot { .. } | Reply::Taken { .. } => Err(self.peer("answered something else".into())),
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<(), SocketError> {
        let mut line = serde_json::to_vec(request).map_err(|e| self.peer(format!("cannot be asked: {e}")))?;
        line.push(b'\n');
        self.write.write_all(&line).await.map_err(|e| self.peer(format!("went away: {e}")))
    }

    async fn next(&mut self) -> Result<Reply, SocketError> {
        let mut line = Vec::new();
        let read = (&mut self.read).take(MAX_REPLY).read_until(b'\n', &mut line).await;
        match read {
            Ok(_) if line.last() == Some(&b'\n') => serde_json::from_slice(&line)
                .map_err(|e| self.peer(format!("answered something that is no reply: {e}"))),
            Ok(_) => Err(self.peer("went away".into())),
            Err(error) => Err(self.peer(format!("went away: {error}"))),
        }
    }

    fn peer(&self, why: String) -> SocketError {
        SocketError::Peer { pid: self.pid, why }
    }
}
