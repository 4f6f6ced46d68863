use std::sync::Arc;

use super::*;
use crate::domain::ids::JobId;
use crate::domain::topology::Vertex;
use crate::domain::window::{GlobalSample, VertexSample};

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn pilot() -> Ownership {
    Ownership::Pilot { why: "plain".into() }
}

fn running() -> TaskCounts {
    TaskCounts { total: 4, running: 3, finished: 1, ..TaskCounts::default() }
}

fn standing(ownership: &Ownership) -> Standing<'_> {
    Standing {
        mode: Mode::Manual,
        ownership,
        lost: None,
        resource_lost: None,
        state: JobState::Running,
        tasks: running(),
    }
}

#[test]
fn the_first_guard_that_stops_gives_the_one_reason() {
    let pilot = pilot();
    let observer = Ownership::Observer { why: "on".into() };
    let conflict = Ownership::Conflict { why: "Argo CD".into() };
    let code = |s: Standing<'_>| before(s).map(|r| r.code);
    assert_eq!(code(standing(&pilot)), None);
    assert_eq!(code(Standing { mode: Mode::Off, ..standing(&observer) }), Some(ReasonCode::ModeOff));
    assert_eq!(code(Standing { lost: Some("x"), ..standing(&observer) }), Some(ReasonCode::Observing));
    assert_eq!(code(standing(&conflict)), Some(ReasonCode::Conflict));
    assert_eq!(code(Standing { lost: Some("refused"), ..standing(&pilot) }), Some(ReasonCode::SourceLost));
    assert_eq!(code(Standing { state: JobState::Restarting, ..standing(&pilot) }), Some(ReasonCode::NotRunning));
    let tasks = TaskCounts { total: 4, running: 3, ..TaskCounts::default() };
    assert_eq!(code(Standing { tasks, ..standing(&pilot) }), Some(ReasonCode::NotRunning));
}

fn topology() -> Topology {
    let vertex = |n| Vertex {
        id: VertexId::from_u128(n),
        name: format!("v{n}"),
        parallelism: 1,
        max_parallelism: 128,
        source_partitions: 0,
        finished: n == 3,
        slot_sharing_group: None,
        inputs: vec![],
    };
    Topology::new(vec![vertex(1), vertex(2), vertex(3)])
}

fn sample(second: i64, vertices: &[u128]) -> Arc<Sample> {
    let known = VertexSample { records_in: 1.0, records_out: 1.0, ..VertexSample::MISSING };
    let vertices = vertices.iter().map(|n| (VertexId::from_u128(*n), known)).collect();
    Arc::new(Sample::new(at(second), vertices, GlobalSample::MISSING))
}

fn run(second: i64) -> Option<RunId> {
    Some(RunId { job: JobId::from_u128(1), running_since: at(second) })
}

struct Case {
    window: MetricWindow,
    topology: Topology,
    incomplete: Vec<VertexId>,
}

impl Case {
    fn new(samples: Vec<Arc<Sample>>) -> Self {
        Self { window: MetricWindow::from_samples(samples), topology: topology(), incomplete: vec![] }
    }

    fn data(&self) -> Data<'_> {
        Data {
            now: at(100),
            period: Duration::from_secs(10),
            status_at: Some(at(95)),
            run: run(0),
            window_run: run(0),
            window: &self.window,
            topology: &self.topology,
            incomplete: &self.incomplete,
        }
    }

    fn code(&self) -> Option<ReasonCode> {
        data(self.data()).map(|r| r.code)
    }
}

#[test]
fn fresh_complete_data_of_this_run_pass() {
    assert_eq!(Case::new(vec![sample(90, &[1, 2]), sample(100, &[1, 2])]).code(), None);
}

#[test]
fn old_data_do_not_decide() {
    assert_eq!(Case::new(vec![sample(75, &[1, 2])]).code(), None);
    assert_eq!(Case::new(vec![sample(74, &[1, 2])]).code(), Some(ReasonCode::StaleData));
    let fresh = Case::new(vec![sample(100, &[1, 2])]);
    for status_at in [None, Some(at(70))] {
        let reason = data(Data { status_at, ..fresh.data() });
        assert_eq!(reason.map(|r| r.code), Some(ReasonCode::StaleData));
    }
    assert_eq!(Case::new(vec![]).code(), Some(ReasonCode::IncompleteData));
}

#[test]
fn data_of_an_earlier_run_do_not_decide() {
    let case = Case::new(vec![sample(50, &[1, 2]), sample(100, &[1, 2])]);
    let of = |run, window_run| data(Data { run, window_run, ..case.data() }).map(|r| r.code);
    assert_eq!(of(run(40), run(40)), None);
    assert_eq!(of(run(60), run(60)), Some(ReasonCode::EarlierRun), "a sample from before the run");
    assert_eq!(of(run(40), run(0)), Some(ReasonCode::EarlierRun));
    assert_eq!(of(None, run(0)), Some(ReasonCode::EarlierRun));
    assert_eq!(of(run(0), None), Some(ReasonCode::EarlierRun));
}

#[test]
fn incomplete_data_do_not_decide_and_name_the_vertex() {
    let missing = Case::new(vec![sample(100, &[1])]);
    let reason = data(missing.data()).unwrap();
    assert_eq!((reason.code, reason.vertex), (ReasonCode::IncompleteData, Some(VertexId::from_u128(2))));
    let mut marked = Case::new(vec![sample(100, &[1, 2])]);
    marked.incomplete = vec![VertexId::from_u128(1)];
    assert_eq!(marked.code(), Some(ReasonCode::IncompleteData));
    let nan = (VertexId::from_u128(1), VertexSample::MISSING);
    let mut holes = (*sample(100, &[2])).clone();
    holes.vertices.insert(0, nan);
    assert_eq!(Case::new(vec![Arc::new(holes)]).code(), Some(ReasonCode::IncompleteData));
    // A finished vertex needs no metrics.
    let mut empty = Case::new(vec![sample(100, &[])]);
    empty.topology = Topology::default();
    assert_eq!(empty.code(), Some(ReasonCode::IncompleteData));
}

#[test]
fn what_cannot_be_applied_is_blocked_with_its_reason() {
    let way = Realization::ResourceRequirements;
    assert_eq!(blocked(&way, Mode::Manual, false), None);
    assert_eq!(blocked(&way, Mode::Auto, false), None);
    assert!(blocked(&way, Mode::Auto, true).unwrap().contains("--read-only"));
    assert!(blocked(&way, Mode::Advise, false).unwrap().contains("advise"));
    let advice = Realization::AdviseOnly { why: "default scheduler".into() };
    assert_eq!(blocked(&advice, Mode::Manual, false), Some("default scheduler".into()));
}

#[test]
fn the_explanation_names_the_guard_that_stops() {
    let passed = explain(Mode::Manual, &pilot(), None, None);
    assert_eq!(passed.verdict, Verdict::Passed);
    let unfit = Reason::new(ReasonCode::StaleData, "60 s old");
    let stopped = explain(Mode::Manual, &pilot(), Some(&unfit), Some("read-only"));
    let verdicts: Vec<_> = stopped.children.iter().map(|s| (s.label.as_ref(), s.verdict)).collect();
    assert_eq!(stopped.verdict, Verdict::Blocks);
    assert_eq!(
        verdicts,
        [
            ("mode", Verdict::Passed),
            ("ownership", Verdict::Passed),
            ("data", Verdict::Blocks),
            ("realization", Verdict::Blocks)
        ]
    );
}
