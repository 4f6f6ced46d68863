use super::*;

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn opened(id: &str) -> Opened {
    Opened {
        id: id.into(),
        at: at(0),
        effect: "resource-requirements".into(),
        subject: "flink:a:1".into(),
        detail: serde_json::json!({"wanted": {"v": 4}}),
    }
}

fn closed(id: &str) -> Record {
    Record::Closed { id: id.into(), at: at(1), result: Closing::Accepted }
}

fn file_of(folder: &Path) -> PathBuf {
    folder.join("journal-0.jsonl")
}

#[tokio::test]
async fn an_open_record_survives_the_process_and_a_closed_one_is_history() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovery) = Journal::open(dir.path(), "me", at(0)).unwrap();
    assert_eq!(recovery, Recovery::default());
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    journal.append(closed("a")).await.unwrap();
    journal.append(Record::Opened(opened("b"))).await.unwrap();
    drop(journal);
    let (_journal, recovery) = Journal::open(dir.path(), "me", at(0)).unwrap();
    assert_eq!(recovery, Recovery { open: vec![opened("b")], ..Recovery::default() });
}

/// What a file leaves open.
fn of_bytes(bytes: &[u8]) -> (Vec<Opened>, Vec<Damage>) {
    let chain = chain::read(bytes);
    (recover(chain.entries.iter().map(|e| &e.record)).open, chain.damage)
}

#[tokio::test]
async fn the_record_is_in_the_file_when_append_returns() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    // Not dropped, not flushed otherwise: this is what a kill -9 at this moment leaves behind.
    let bytes = std::fs::read(file_of(dir.path())).unwrap();
    assert_eq!(of_bytes(&bytes).0, vec![opened("a")]);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_any_write_loses_at_most_that_record() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    let first = std::fs::read(file_of(dir.path())).unwrap().len();
    journal.append(closed("a")).await.unwrap();
    drop(journal);
    let whole = std::fs::read(file_of(dir.path())).unwrap();
    for cut in 0..=whole.len() {
        let (found, damage) = of_bytes(&whole[..cut]);
        // Without its newline a line may already be whole.
        let open = cut + 1 >= first && cut + 1 < whole.len();
        assert_eq!(!found.is_empty(), open, "cut at {cut}");
        let torn = (cut > 0 && cut + 1 < first) || (cut > first && cut + 1 < whole.len());
        assert_eq!(!damage.is_empty(), torn, "cut at {cut}");
    }
}

#[tokio::test]
async fn no_byte_can_be_changed_unnoticed_and_no_line_removed_or_moved() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    for id in ["a", "b", "c"] {
        journal.append(Record::Opened(opened(id))).await.unwrap();
    }
    let whole = std::fs::read(file_of(dir.path())).unwrap();
    assert_eq!(chain::read(&whole).damage, vec![]);
    for index in 0..whole.len() - 1 {
        let mut changed = whole.clone();
        changed[index] ^= 1;
        assert_ne!(chain::read(&changed).damage, vec![], "byte {index}");
    }
    let lines: Vec<&[u8]> = whole.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect();
    let of = |order: &[usize]| order.iter().flat_map(|i| [lines[*i], b"\n".as_slice()].concat()).collect::<Vec<u8>>();
    for order in [&[0, 2][..], &[1, 2], &[1, 0, 2], &[0, 1, 1, 2]] {
        assert_ne!(chain::read(&of(order)).damage, vec![], "{order:?}");
    }
    // A removed tail leaves a shorter journal that is whole: only a copy elsewhere could tell.
    assert_eq!(chain::read(&of(&[0, 1])).damage, vec![]);
}

#[tokio::test]
async fn a_full_file_is_set_aside_once_nothing_is_open_and_the_next_one_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    match &mut *lock(&journal.sink) {
        Sink::File(live) => live.full_at(1),
        other => panic!("{other:?}"),
    }
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    journal.append(Record::Opened(opened("b"))).await.unwrap();
    journal.append(closed("a")).await.unwrap();
    assert_eq!(read_all(dir.path()).unwrap().len(), 1, "b is open");
    journal.append(closed("b")).await.unwrap();
    journal.append(Record::Opened(opened("c"))).await.unwrap();
    let files = read_all(dir.path()).unwrap();
    assert_eq!(files.iter().map(|f| f.entries.len()).sum::<usize>(), 6, "five and the link: {files:?}");
    assert!(files.iter().all(|f| f.damage.is_empty() && f.broken_link.is_none()), "{files:?}");
    drop(journal);
    let (_journal, recovery) = Journal::open(dir.path(), "me", at(9)).unwrap();
    assert_eq!(recovery.open, vec![opened("c")]);
    // The older file is changed at its end.
    let old = files.iter().find(|f| f.path.to_string_lossy().ends_with(".old.jsonl")).unwrap();
    let bytes = std::fs::read(&old.path).unwrap();
    let shorter = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').unwrap();
    std::fs::write(&old.path, &bytes[..=shorter]).unwrap();
    assert!(read_all(dir.path()).unwrap().iter().any(|f| f.broken_link.is_some()));
}

#[tokio::test]
async fn a_plan_that_was_cut_off_is_given_back_as_it_stood() {
    use crate::domain::plan::{PlanState, StepState};
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    let plan = crate::domain::plan::example();
    let event = |event: PlanEvent, second| Record::Plan { plan: plan.id, at: at(second), event };
    journal.append(event(PlanEvent::Opened { plan: Box::new(plan.clone()) }, 1)).await.unwrap();
    journal.append(event(PlanEvent::Began { step: 0 }, 2)).await.unwrap();
    journal.append(event(PlanEvent::Sending { step: 0, newest: None }, 3)).await.unwrap();
    // Another process finds it in a file that nobody holds, while it has a file of its own.
    let (other, nothing) = Journal::open(dir.path(), "you", at(4)).unwrap();
    assert_eq!(nothing, Recovery::default(), "the first one lives");
    drop(journal);
    drop(other);
    std::fs::rename(file_of(dir.path()), dir.path().join("journal-7.jsonl")).unwrap();
    for _ in 0..2 {
        let (_again, recovery) = Journal::open(dir.path(), "you", at(5)).unwrap();
        let [found] = &recovery.plans[..] else { panic!("{recovery:?}") };
        assert_eq!((found.state.clone(), found.steps[0].state.clone()), (PlanState::Running, StepState::Running));
        assert_eq!(found.steps[0].sent_at, Some(at(3)));
    }
    let (journal, _) = Journal::open(dir.path(), "you", at(6)).unwrap();
    journal.append(event(PlanEvent::Became { state: PlanState::Done }, 7)).await.unwrap();
    drop(journal);
    let (_journal, recovery) = Journal::open(dir.path(), "you", at(8)).unwrap();
    assert!(recovery.is_settled() && recovery.damage.is_empty());
    assert_eq!(recovery.ended.len(), 1);
}

#[tokio::test]
async fn a_torn_tail_is_reported_and_new_records_start_on_their_own_line() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    drop(journal);
    let mut bytes = std::fs::read(file_of(dir.path())).unwrap();
    bytes.extend_from_slice(b"{\"record\":\"clos\xff");
    std::fs::write(file_of(dir.path()), &bytes).unwrap();

    let (journal, recovery) = Journal::open(dir.path(), "me", at(0)).unwrap();
    assert_eq!(recovery.open, vec![opened("a")]);
    assert_eq!(recovery.damage.len(), 1);
    assert_eq!(recovery.damage[0].line, 2);
    journal.append(closed("a")).await.unwrap();
    drop(journal);
    let (_journal, recovery) = Journal::open(dir.path(), "me", at(0)).unwrap();
    assert_eq!(recovery.open, vec![]);
}

#[test]
fn two_processes_have_two_files() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    let (second, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    drop(second);
    drop(first);
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal-0.jsonl", "journal-1.jsonl"]);
}

#[tokio::test]
async fn what_a_dead_process_left_open_in_its_own_file_is_adopted_once() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    let (second, _) = Journal::open(dir.path(), "me", at(0)).unwrap();
    second.append(Record::Opened(opened("b"))).await.unwrap();
    // While the second process lives its records are its own.
    drop(first);
    let (first, recovery) = Journal::open(dir.path(), "me", at(0)).unwrap();
    assert_eq!(recovery.open, vec![]);
    drop(first);
    drop(second);
    let (first, recovery) = Journal::open(dir.path(), "me", at(0)).unwrap();
    assert_eq!(recovery.open, vec![opened("b")]);
    first.append(closed("b")).await.unwrap();
    drop(first);
    let (_first, recovery) = Journal::open(dir.path(), "me", at(0)).unwrap();
    assert_eq!(recovery.open, vec![]);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Journal::open(&file.path().join("below"), "me", at(0)).unwrap_err().to_string();
    assert!(error.contains(file.path().to_str().unwrap()), "{error}");
}
