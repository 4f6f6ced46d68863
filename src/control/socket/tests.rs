use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::control::handle::Handle;
use crate::domain::command::{Command, CommandStage, Interest, Issuer};
use crate::domain::ids::JobKey;

fn now() -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

struct Loop {
    snapshots: watch::Sender<Arc<Snapshot>>,
    commands: mpsc::Receiver<Command>,
    _interest: watch::Receiver<Interest>,
}

fn running() -> (Handle, Loop) {
    let (snapshots, seen) = watch::channel(Arc::new(Snapshot::empty(now())));
    let (send, commands) = mpsc::channel(4);
    let (interest, _interest) = watch::channel(Interest::default());
    (Handle { snapshots: seen, commands: send, interest }, Loop { snapshots, commands, _interest })
}

fn refresh() -> Intent {
    Intent::Refresh { job: JobKey::new("flink:a:1") }
}

#[tokio::test]
async fn a_client_reads_the_snapshot_and_follows_the_next_ones() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("flightdeck");
    let (handle, control) = running();
    let server = serve(&folder, handle).unwrap();
    let found = list_running(&folder).await.unwrap();
    assert_eq!(found, [Running { pid: std::process::id(), path: server.path().to_path_buf() }]);
    let mut client = attach(&found[0]).await.unwrap();
    assert_eq!(client.snapshot().await.unwrap().revision, 0);
    client.follow().await.unwrap();
    assert_eq!(client.next_snapshot().await.unwrap().revision, 0);
    control.snapshots.send(Arc::new(Snapshot { revision: 7, ..Snapshot::empty(now()) })).unwrap();
    assert_eq!(client.next_snapshot().await.unwrap().revision, 7);
    drop(server);
    assert_eq!(list_running(&folder).await.unwrap(), []);
}

#[tokio::test]
async fn a_command_is_followed_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (handle, mut control) = running();
    let server = serve(&dir.path().join("s"), handle).unwrap();
    let to = Running { pid: 1, path: server.path().to_path_buf() };
    let mut client = attach(&to).await.unwrap();
    let id = client.command(refresh(), None, now()).await.unwrap();
    let command = control.commands.recv().await.unwrap();
    assert_eq!((command.id, command.issuer, &command.intent), (id, Issuer::CommandLine, &refresh()));
    for stage in [CommandStage::Sent, CommandStage::Observed] {
        let view = CommandView { command: command.clone(), stage: stage.clone(), since: now(), waiting_for: None };
        let next = Snapshot { commands: vec![Arc::new(view)], ..Snapshot::empty(now()) };
        control.snapshots.send(Arc::new(next)).unwrap();
        assert_eq!(client.next_stage().await.unwrap().stage, stage);
    }
    // The connection is free for more.
    assert!(client.snapshot().await.is_ok());
}

#[tokio::test]
async fn nonsense_is_answered_and_an_endless_line_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (handle, _control) = running();
    let server = serve(&dir.path().join("s"), handle).unwrap();
    let mut stream = tokio::net::UnixStream::connect(server.path()).await.unwrap();
    stream.write_all(b"{\"request\":\"everything\"}\n").await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    assert!(matches!(serde_json::from_slice(&buffer[..length]), Ok(Reply::Error { .. })));
    let _ = stream.write_all(&vec![b'x'; 128 * 1024]).await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 4096);
}

#[tokio::test]
async fn the_folder_is_closed_to_others_and_stale_sockets_are_swept() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("s");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let stale = folder.join("999999.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let (handle, _control) = running();
    let server = serve(&folder, handle).unwrap();
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::metadata(server.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(list_running(&folder).await.unwrap().len(), 1);
    assert!(!stale.exists());
}

#[tokio::test]
async fn a_folder_that_is_a_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    let (handle, _control) = running();
    assert!(matches!(serve(&link, handle), Err(SocketError::Unsafe { .. })));
    assert_eq!(list_running(&dir.path().join("none")).await.unwrap(), []);
}

#[tokio::test]
async fn when_the_loop_ends_the_client_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (handle, control) = running();
    let server = serve(&dir.path().join("s"), handle).unwrap();
    let mut client = attach(&Running { pid: 5, path: server.path().to_path_buf() }).await.unwrap();
    drop(control);
    let error = client.command(refresh(), None, now()).await.unwrap_err().to_string();
    assert!(error.contains("pid 5") && error.contains("ended"), "{error}");
}
