use super::*;
use crate::clock::TokioClock;
use crate::domain::command::Intent;
use crate::domain::snapshot::{SourceKind, SourceState};

fn start() -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn source(id: &str) -> SourceView {
    SourceView {
        id: SourceId::new(id),
        kind: SourceKind::Flink,
        address: "http://flink:8081".into(),
        state: SourceState::Connecting,
        last_ok: None,
        version: None,
        insecure: false,
    }
}

fn board() -> Arc<Board> {
    let clock = Arc::new(TokioClock::starting_at(start()));
    Arc::new(Board::new(clock, false, vec![], vec![source("a"), source("b")]))
}

fn command(id: u64) -> Command {
    let intent = Intent::Refresh { job: JobKey::new("j") };
    Command { id: CommandId(id), intent, issuer: Issuer::Screen, target: None, at: start() }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_change_keeps_its_arc_and_publishes_nothing() {
    let board = board();
    let before = board.snapshot(1, start());
    board.update_source(&SourceId::new("a"), false, |_| {});
    board.update_source(&SourceId::new("a"), true, |s| s.state = SourceState::Live);
    let after = board.snapshot(2, start());
    assert!(Arc::ptr_eq(&before.sources[1], &after.sources[1]));
    assert!(!Arc::ptr_eq(&before.sources[0], &after.sources[0]));
    assert!(!after.loaded);
    board.update_source(&SourceId::new("b"), true, |_| {});
    assert!(board.snapshot(3, start()).loaded);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_coalesced_to_at_most_thirty_a_second() {
    let board = board();
    let (to, mut seen) = watch::channel(Arc::new(Snapshot::empty(start())));
    let publisher = tokio::spawn({
        let board = Arc::clone(&board);
        async move { board.publish(to).await }
    });
    let began = tokio::time::Instant::now();
    let mut snapshots = 0;
    let mut last = 0;
    let mut changes = 0;
    while began.elapsed() < Duration::from_secs(1) {
        changes += 1;
        board.update_source(&SourceId::new("a"), true, |s| s.version = Some(changes.to_string()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        if seen.has_changed().unwrap() {
            let snapshot = seen.borrow_and_update().clone();
            assert!(snapshot.revision > last);
            last = snapshot.revision;
            snapshots += 1;
        }
    }
    assert!((20..=31).contains(&snapshots), "{snapshots} snapshots of {changes} changes");
    // The last change is never lost, and then it is quiet.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(seen.borrow_and_update().sources[0].version, Some(changes.to_string()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!seen.has_changed().unwrap());
    drop(seen);
    publisher.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_command_never_leaves_a_final_stage_and_the_list_is_bounded() {
    let board = board();
    for id in 0..60 {
        board.put_command(command(id), CommandStage::Requested);
    }
    let snapshot = board.snapshot(1, start());
    assert_eq!(snapshot.commands.len(), COMMANDS);
    assert_eq!(snapshot.commands[0].command.id, CommandId(59));
    board.stage(Issuer::Screen, CommandId(59), CommandStage::Sent, Some("Flink".into()));
    board.stage(Issuer::CommandLine, CommandId(59), CommandStage::Observed, None);
    board.stage(Issuer::Screen, CommandId(59), CommandStage::TimedOut, None);
    board.stage(Issuer::Screen, CommandId(59), CommandStage::Observed, None);
    assert_eq!(board.snapshot(2, start()).commands[0].stage, CommandStage::TimedOut);
    assert!(board.has_command(Issuer::Screen, CommandId(59)));
    assert!(!board.has_command(Issuer::CommandLine, CommandId(59)));
}
