//! Allocations of one pass, of memory advice, and of a stream of cases. They are counted, not timed, so they are the same on
//! every machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/wide_job.rs"]
mod wide_job;

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::sync::Arc;

use flightdeck::autoscaler::advice::{AdviceInput, advise};
use flightdeck::autoscaler::generation::Generation;
use flightdeck::autoscaler::options::{Layer, Options};
use flightdeck::autoscaler::pass::Pass;
use flightdeck::cli::eval::{EvalArgs, EvalOutput, eval};
use flightdeck::domain::Timestamp;
use flightdeck::domain::ids::VertexId;
use flightdeck::domain::topology::{Topology, Vertex};
use flightdeck::domain::window::{GlobalSample, Sample};
use wide_job::WideJob;

/// Allocations of a pass, its result included, and the result.
fn allocations(job: &WideJob, explain: bool) -> (u64, Pass) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(job.pass(explain)));
    (info.count_total, result.unwrap())
}

#[test]
fn a_pass_allocates_by_vertices_not_by_samples_and_an_explanation_only_when_asked() {
    let mut counts = Vec::new();
    for vertices in [5, 20, 100, 500] {
        let job = WideJob::new(vertices, 60);
        let (plain, pass) = allocations(&job, false);
        let (explained, _) = allocations(&job, true);
        assert_eq!(pass.changes.len(), vertices, "every vertex is worked on: {}", pass.reason.sentence);
        println!("{vertices} vertices: {plain} allocations, with explanation {explained}");
        counts.push((vertices as u64, plain, explained));
    }
    let (samples_few, _) = allocations(&WideJob::new(20, 15), false);
    let (samples_many, _) = allocations(&WideJob::new(20, 240), false);
    // 225 more samples; only the texts of other numbers may take another allocation here and there.
    assert!(samples_few.abs_diff(samples_many) < 20, "samples cost no allocation: {samples_few} and {samples_many}");
    let per_vertex = |a: (u64, u64, u64), b: (u64, u64, u64)| (b.1 - a.1) as f64 / (b.0 - a.0) as f64;
    let (low, high) = (per_vertex(counts[0], counts[1]), per_vertex(counts[2], counts[3]));
    assert!(high <= low + 1.0, "linear: {low} and {high} per vertex");
    // Names of the changed vertices, twice, the event's text and the map of overrides; an explanation has dozens of steps.
    assert!(high <= 12.0, "{high} per vertex");
    assert!(counts.iter().all(|(n, plain, explained)| explained - plain > 20 * n));
}

/// Allocations of memory advice for a window, and whether there is any.
fn advice(samples: &[Arc<Sample>], topology: &Topology) -> (u64, bool) {
    let texts = BTreeMap::from([("taskmanager.memory.process.size".to_owned(), "4 gb".to_owned())]);
    let (options, _) = Options::from_layers(Generation::Main, &[(Layer::Job, &texts)]);
    let input =
        AdviceInput { options: &options, topology, samples, task_manager_memory: Some(4 << 30), configured: None };
    let mut given = false;
    let info = allocation_counter::measure(|| given = advise(&input).unwrap().is_some());
    (info.count_total, given)
}

#[test]
fn memory_advice_allocates_nothing_without_data_and_no_more_for_more_samples() {
    let vertex = |id: u128| Vertex {
        id: VertexId::from_u128(id),
        name: format!("vertex {id}"),
        parallelism: 4,
        max_parallelism: 128,
        source_partitions: 0,
        finished: false,
        slot_sharing_group: None,
        inputs: Vec::new(),
    };
    let topology = Topology::new((1..=20).map(vertex).collect());
    let window = |samples: i64, global: GlobalSample| -> Vec<Arc<Sample>> {
        let at = |n| Timestamp::from_timestamp(n * 10, 0).unwrap();
        (0..samples).map(|n| Arc::new(Sample::new(at(n), Vec::new(), global))).collect()
    };
    let used = GlobalSample { heap_used: 5e8, managed_used: 1e8, metaspace_used: 1e8, ..GlobalSample::MISSING };
    assert_eq!(advice(&[], &topology), (0, false), "no sample");
    assert_eq!(advice(&window(60, GlobalSample::MISSING), &topology), (0, false), "no metric of memory");
    assert_eq!(
        advice(&window(60, GlobalSample { heap_used: f64::NAN, ..used }), &topology),
        (0, false),
        "half of them"
    );
    let (few, given) = advice(&window(15, used), &topology);
    let (many, _) = advice(&window(240, used), &topology);
    println!("memory advice for 20 vertices: {few} allocations");
    assert!(given && few == many, "{few} and {many}");
    // The map of parallelism, six pools, and a dozen keys with their values.
    assert!(few < 60, "{few}");
}

/// Cases that are made while they are read.
struct Cases {
    case: String,
    left: usize,
    line: std::io::Cursor<Vec<u8>>,
}

impl Read for Cases {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.line.position() as usize == self.line.get_ref().len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            let line = self.case.replace("NUMBER", &self.left.to_string());
            self.line = std::io::Cursor::new(line.into_bytes());
        }
        self.line.read(buffer)
    }
}

/// The most bytes that are allocated at once while so many cases are answered.
fn most_for(cases: usize) -> u64 {
    let sample = |seconds: u32| {
        format!(
            r#"{{"at":"2024-03-14T00:{:02}:00.000Z","vertices":{{"00000000000000000000000000000001":{{"LOAD":0.9,"NUM_RECORDS_IN":{},"NUM_RECORDS_OUT":0,"LAG":5}}}},"global":{{"NUM_TASK_SLOTS_USED":1}}}}"#,
            seconds / 60,
            seconds * 100
        )
    };
    let window = (0..15).map(|n| sample(n * 60)).collect::<Vec<_>>().join(",");
    let case = format!(
        r#"{{"id":"case-NUMBER","compat":"main","options":{{"job.autoscaler.enabled":"true"}},"now":"2024-03-14T00:14:00.000Z","running_since":"2024-03-13T00:00:00.000Z","topology":{{"vertices":[{{"id":"00000000000000000000000000000001","name":"source","parallelism":1,"max_parallelism":128,"source_partitions":0,"finished":false,"slot_sharing_group":null,"inputs":[]}}]}},"window":[{window}],"fully_collected":true}}"#
    ) + "\n";
    let args = EvalArgs { files: vec!["-".into()], explain: false, output: EvalOutput::Json };
    let mut good = false;
    let info = allocation_counter::measure(|| {
        let cases = Cases { case, left: cases, line: std::io::Cursor::default() };
        good = eval(&args, &mut BufReader::new(cases), &mut std::io::sink(), &mut std::io::sink()).unwrap();
    });
    assert!(good, "every case is answered");
    info.bytes_max
}

#[test]
fn ten_thousand_cases_take_no_more_memory_than_a_hundred() {
    let (few, many) = (most_for(100), most_for(10_000));
    println!("most bytes at once: {few} for 100 cases, {many} for 10,000");
    assert!(many <= few + 4_096, "{few} grew to {many}");
    assert!(many < 1 << 20, "{many} bytes for cases of three kilobytes");
}
