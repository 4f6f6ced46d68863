//! The serving end of the socket.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::{Reply, Request, SocketError, io};
use crate::control::handle::Handle;
use crate::domain::command::{Command, CommandId, Issuer};

/// Longest request.
const MAX_REQUEST: u64 = 64 * 1024;
/// Clients that are served at the same time.
const MAX_CLIENTS: usize = 16;
/// A client that does not read for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);

/// A served socket; dropping it stops the server and removes the file.
#[derive(Debug)]
pub struct SocketServer {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl SocketServer {
    /// The socket file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        self.task.abort();
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket file was not removed");
        }
    }
}

/// Serves `handle` at `<folder>/<pid>.sock`. The folder is made if it is not there (mode 0700).
///
/// # Errors
/// If the folder cannot be made or is not the user's alone, or the socket cannot be bound.
pub fn serve(folder: &Path, handle: Handle) -> Result<SocketServer, SocketError> {
    let uid = private_folder(folder)?;
    let path = folder.join(format!("{}.sock", std::process::id()));
    // A file of this name can only be left over from a dead process that had our pid.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io(&path, "remove the old one")(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(io(&path, "bind it"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(io(&path, "protect it"))?;
    let task = tokio::spawn(accept(listener, handle, uid));
    Ok(SocketServer { path, task })
}

/// Makes the folder or checks it: a real folder that nobody else may enter. Returns the uid of its owner.
fn private_folder(folder: &Path) -> Result<u32, SocketError> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(io(parent, "create the folder"))?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(io(folder, "create the folder")(error));
        }
        _ => {}
    }
    let meta = std::fs::symlink_metadata(folder).map_err(io(folder, "look at the folder"))?;
    let wrong = |why: &str| SocketError::Unsafe { path: folder.to_path_buf(), why: why.to_owned() };
    if !meta.is_dir() {
        return Err(wrong("it is not a folder"));
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .map_err(|_| wrong("it is open to others and not ours to close"))?;
    }
    // Whoever can make a file in it is its owner: the only portable way to ask for one's own uid without unsafe code.
    let probe = folder.join(format!(".{}.probe", std::process::id()));
    std::fs::write(&probe, b"").map_err(io(&probe, "write into the folder"))?;
    let own = std::fs::symlink_metadata(&probe).map(|m| m.uid()).map_err(io(&probe, "look at it"));
    let _ = std::fs::remove_file(&probe);
    let own = own?;
    if meta.uid() != own {
        return Err(wrong("it belongs to another user"));
    }
    Ok(own)
}

async fn accept(listener: UnixListener, handle: Handle, uid: u32) {
    let slots = Arc::new(Semaphore::new(MAX_CLIENTS));
    let ids = Arc::new(AtomicU64::new(1));
    let mut clients = tokio::task::JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "socket: a client could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == uid => {}
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "socket: a client of another user was turned away");
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "socket: a client without credentials was turned away");
                continue;
            }
        }
        let (handle, ids) = (handle.clone(), Arc::clone(&ids));
        clients.spawn(async move {
            let _slot = slot;
            if let Err(error) = client(stream, handle, &ids).await {
                tracing::debug!(%error, "socket: a client went away");
            }
        });
    }
}

async fn client(stream: UnixStream, handle: Handle, ids: &AtomicU64) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let length = (&mut read).take(MAX_REQUEST).read_until(b'\n', &mut line).await?;
        if length == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            let why = format!("a request is one line of at most {MAX_REQUEST} bytes");
            return send(&mut write, &Reply::Error { why }).await;
        }
        match serde_json::from_slice::<Request>(&line) {
            Err(error) => send(&mut write, &Reply::Error { why: format!("not a request: {error}") }).await?,
            Ok(Request::Snapshot) => {
                let now = handle.snapshots.borrow().clone();
                send(&mut write, &Reply::Snapshot { snapshot: Box::new((*now).clone()) }).await?;
            }
            Ok(Request::Follow) => {
                let mut snapshots = handle.snapshots.clone();
                loop {
                    let now = snapshots.borrow_and_update().clone();
                    send(&mut write, &Reply::Snapshot { snapshot: Box::new((*now).clone()) }).await?;
                    tokio::select! {
                        changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
                        // A client that follows says nothing more; when it hangs up, so do we.
                        _ = read.read_u8() => return Ok(()),
                    }
                }
            }
            Ok(Request::Command { intent, target, at }) => {
                // Ids of other processes could collide with one another: they get ours.
                let id = CommandId(ids.fetch_add(1, Ordering::Relaxed));
                let command =
                    Command { id, intent: *intent, issuer: Issuer::CommandLine, target: target.map(|t| *t), at };
                command_to_its_end(&mut write, &handle, command).await?;
            }
        }
    }
}

async fn command_to_its_end(
    write: &mut (impl AsyncWriteExt + Unpin),
    handle: &Handle,
    command: Command,
) -> std::io::Result<()> {
    let id = command.id;
    let mut snapshots = handle.snapshots.clone();
    if handle.commands.send(command).await.is_err() {
        return send(write, &Reply::Error { why: "the control loop has ended".into() }).await;
    }
    send(write, &Reply::Taken { id }).await?;
    let mut last = None;
    loop {
        let view = {
            let now = snapshots.borrow_and_update();
            now.commands.iter().find(|c| c.command.id == id && c.command.issuer == Issuer::CommandLine).cloned()
        };
        if let Some(view) = view
            && last.as_ref() != Some(&view)
        {
            send(write, &Reply::Command { view: Box::new((*view).clone()) }).await?;
            if view.stage.is_final() {
                return Ok(());
            }
            last = Some(view);
        }
        if snapshots.changed().await.is_err() {
            return send(write, &Reply::Error { why: "the control loop has ended".into() }).await;
        }
    }
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), reply: &Reply) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    match tokio::time::timeout(PATIENCE, write.write_all(&line)).await {
        Ok(written) => written,
        Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the client does not read")),
    }
}
