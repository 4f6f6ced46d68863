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
    let (journal, recovery) = Journal::open(dir.path()).unwrap();
    assert_eq!(recovery, Recovery::default());
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    journal.append(closed("a")).await.unwrap();
    journal.append(Record::Opened(opened("b"))).await.unwrap();
    drop(journal);
    let (_journal, recovery) = Journal::open(dir.path()).unwrap();
    assert_eq!(recovery, Recovery { open: vec![opened("b")], damage: vec![] });
}

#[tokio::test]
async fn the_record_is_in_the_file_when_append_returns() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    // Not dropped, not flushed otherwise: this is what a kill -9 at this moment leaves behind.
    let bytes = std::fs::read(file_of(dir.path())).unwrap();
    assert_eq!(recover(&bytes).open, vec![opened("a")]);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_any_write_loses_at_most_that_record() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    let first = std::fs::read(file_of(dir.path())).unwrap().len();
    journal.append(closed("a")).await.unwrap();
    drop(journal);
    let whole = std::fs::read(file_of(dir.path())).unwrap();
    for cut in 0..=whole.len() {
        let recovery = recover(&whole[..cut]);
        // Without its newline a line may already be whole JSON.
        let open = cut + 1 >= first && cut + 1 < whole.len();
        assert_eq!(!recovery.open.is_empty(), open, "cut at {cut}");
        let torn = (cut > 0 && cut + 1 < first) || (cut > first && cut + 1 < whole.len());
        assert_eq!(!recovery.damage.is_empty(), torn, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_torn_tail_is_reported_and_new_records_start_on_their_own_line() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(Record::Opened(opened("a"))).await.unwrap();
    drop(journal);
    let mut bytes = std::fs::read(file_of(dir.path())).unwrap();
    bytes.extend_from_slice(b"{\"record\":\"clos\xff");
    std::fs::write(file_of(dir.path()), &bytes).unwrap();

    let (journal, recovery) = Journal::open(dir.path()).unwrap();
    assert_eq!(recovery.open, vec![opened("a")]);
    assert_eq!(recovery.damage.len(), 1);
    assert_eq!(recovery.damage[0].line, 2);
    journal.append(closed("a")).await.unwrap();
    drop(journal);
    let (_journal, recovery) = Journal::open(dir.path()).unwrap();
    assert_eq!(recovery.open, vec![]);
}

#[test]
fn two_processes_have_two_files() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Journal::open(dir.path()).unwrap();
    let (second, _) = Journal::open(dir.path()).unwrap();
    drop(second);
    drop(first);
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal-0.jsonl", "journal-1.jsonl"]);
}

#[tokio::test]
async fn what_a_dead_process_left_open_in_its_own_file_is_adopted_once() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Journal::open(dir.path()).unwrap();
    let (second, _) = Journal::open(dir.path()).unwrap();
    second.append(Record::Opened(opened("b"))).await.unwrap();
    // While the second process lives its records are its own.
    drop(first);
    let (first, recovery) = Journal::open(dir.path()).unwrap();
    assert_eq!(recovery.open, vec![]);
    drop(first);
    drop(second);
    let (first, recovery) = Journal::open(dir.path()).unwrap();
    assert_eq!(recovery.open, vec![opened("b")]);
    first.append(closed("b")).await.unwrap();
    drop(first);
    let (_first, recovery) = Journal::open(dir.path()).unwrap();
    assert_eq!(recovery.open, vec![]);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Journal::open(&file.path().join("below")).unwrap_err().to_string();
    assert!(error.contains(file.path().to_str().unwrap()), "{error}");
}
