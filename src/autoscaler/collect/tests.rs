use super::*;
use crate::autoscaler::options::Layer;
use crate::domain::topology::{Input, ShipStrategy};

const SOURCE: VertexId = VertexId::from_u128(1);
const SINK: VertexId = VertexId::from_u128(2);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).unwrap()
}

fn options(generation: Generation, pairs: &[(&str, &str)]) -> Options {
    let map = pairs.iter().map(|(k, v)| (format!("job.autoscaler.{k}"), (*v).to_owned())).collect();
    let (options, problems) = Options::from_layers(generation, &[(Layer::Job, &map)]);
    assert_eq!(problems, []);
    options
}

fn same(value: f64) -> Aggregates {
    Aggregates { min: value, max: value, avg: value, sum: value }
}

/// A source and a sink that do a little, and what a cluster would answer about them.
struct Bench {
    options: Options,
    job: JobDetails,
    metrics: BTreeMap<VertexId, BTreeMap<String, Aggregates>>,
    raw: RawMetrics,
    window: MetricWindow,
    collector: Collector,
}

impl Bench {
    fn new(generation: Generation, pairs: &[(&str, &str)]) -> Self {
        let vertex = |id, name: &str, inputs| ObservedVertex {
            vertex: Vertex {
                id,
                name: name.to_owned(),
                parallelism: 1,
                max_parallelism: 128,
                source_partitions: 0,
                finished: false,
                slot_sharing_group: None,
                inputs,
            },
            io: IoMetrics { read_records: 1, write_records: 2, accumulated_busy_time: 123.0 },
        };
        let from_source = vec![Input { id: SOURCE, ship_strategy: ShipStrategy::Hash }];
        let mut bench = Self {
            options: options(generation, pairs),
            job: JobDetails {
                running_since: Some(at(0)),
                vertices: vec![vertex(SOURCE, "Source: s", Vec::new()), vertex(SINK, "sink", from_source)],
            },
            metrics: BTreeMap::new(),
            raw: RawMetrics::default(),
            window: MetricWindow::new(),
            collector: Collector::new(),
        };
        bench.put(SOURCE, "busyTimeMsPerSecond", Aggregates { min: 100.0, max: 200.0, avg: 150.0, sum: 450.0 });
        bench.put(SOURCE, "backPressuredTimeMsPerSecond", same(500.0));
        bench.put(SOURCE, "Source__s.numRecordsInPerSecond", same(1000.0));
        bench.put(SOURCE, "Source__s.numRecordsIn", same(7.0));
        bench.put(SINK, "busyTimeMsPerSecond", same(300.0));
        bench
    }

    fn put(&mut self, vertex: VertexId, name: &str, value: Aggregates) {
        self.metrics.entry(vertex).or_default().insert(name.to_owned(), value);
    }

    /// One loop, with only the calls that a client would make.
    fn run(&mut self, now: i64) -> Result<Collected, CollectError> {
        self.collector.begin(&self.job, &self.window);
        let lists = self.collector.names_wanted(&self.job).into_iter();
        let lists = lists
            .map(|id| (id, self.metrics.get(&id).map(|m| m.keys().cloned().collect()).unwrap_or_default()))
            .collect();
        self.collector.learn_names(&self.options, at(now), &self.job, &lists)?;
        self.raw.vertices = self
            .collector
            .queries()
            .map(|(id, names)| {
                let known = self.metrics.get(&id);
                let value = |name: &str| known.and_then(|m| m.get(name)).map(|v| (name.to_owned(), *v));
                (id, names.into_iter().filter_map(value).collect())
            })
            .collect();
        let collected = collect(&self.options, at(now), &self.job, &self.collector, &self.raw, &self.window)?;
        self.window.push(std::sync::Arc::new(collected.sample.clone()));
        Ok(collected)
    }

    fn source(&mut self, now: i64) -> VertexSample {
        *self.run(now).unwrap().sample.vertex(SOURCE).unwrap()
    }
}

#[test]
fn a_sample_holds_what_the_contract_says() {
    let mut bench = Bench::new(Generation::Main, &[]);
    bench.put(SINK, "numRecordsInPerSecond", Aggregates { sum: 40.0, ..same(20.0) });
    let collected = bench.run(1).unwrap();
    let source = collected.sample.vertex(SOURCE).unwrap();
    assert_eq!((source.load, source.accumulated_busy_time), (0.2, 123.0));
    assert_eq!((source.records_in, source.records_out, source.lag()), (1.0, 2.0, 0.0));
    assert!(source.observed_tpr.is_nan() && source.records_in_per_second.is_nan());
    let sink = collected.sample.vertex(SINK).unwrap();
    assert_eq!((sink.load, sink.records_in_per_second), (0.3, 40.0));
    assert!(sink.lag.is_none() && sink.observed_tpr.is_nan());
    assert!(collected.excluded.is_empty());
}

#[test]
fn the_aggregator_says_which_subtask_counts() {
    for (mode, load) in [("MAX", 0.2), ("MIN", 0.1), ("avg", 0.15)] {
        let mut bench = Bench::new(Generation::V1_8, &[("metrics.busy-time.aggregator", mode)]);
        assert_eq!(bench.source(1).load, load);
    }
}

#[test]
fn the_input_gauge_of_other_vertices_is_of_main_alone() {
    let mut bench = Bench::new(Generation::V1_8, &[]);
    bench.put(SINK, "numRecordsInPerSecond", same(40.0));
    assert!(bench.run(1).unwrap().sample.vertex(SINK).unwrap().records_in_per_second.is_nan());
}

#[test]
fn a_source_that_counts_nothing_itself_is_counted_by_its_operator() {
    let mut bench = Bench::new(Generation::Main, &[]);
    bench.job.vertices[0].io.read_records = 0;
    assert_eq!(bench.source(1).records_in, 7.0);
    bench.put(SOURCE, "Source__s.numRecordsIn", same(0.0));
    bench.put(SOURCE, "Source__s.numRecordsOut", same(9.0));
    assert_eq!(bench.source(2).records_in, 9.0);
}

#[test]
fn observed_capacity_needs_a_backlog() {
    let threshold = ("observed-true-processing-rate.lag-threshold", "30 s");
    let observe = |lag: f64, rate: f64, backpressure: f64| {
        let mut bench = Bench::new(Generation::Main, &[threshold]);
        bench.put(SOURCE, "0.pendingRecords", same(lag));
        bench.put(SOURCE, "Source__s.numRecordsInPerSecond", same(rate));
        bench.put(SOURCE, "backPressuredTimeMsPerSecond", same(backpressure));
        bench.source(1).observed_tpr
    };
    assert_eq!(observe(1e7, 900.0, 100.0), 1000.0);
    assert_eq!(observe(1e7, 1000.0, 190.0), 1234.568);
    assert_eq!(observe(500.0, 0.0, 100.0), f64::INFINITY);
    assert!(observe(500.0, 1000.0, 500.0).is_nan());
    assert!(observe(1e7, 100.0, 1000.0).is_nan());
}

/// T101: what was observed while catching up is averaged once the backlog is gone.
#[test]
fn observed_capacity_is_remembered() {
    let mut bench = Bench::new(Generation::Main, &[]);
    let mut step = |now, lag: f64, backpressure: f64| {
        bench.put(SOURCE, "Source__s.numRecordsInPerSecond", same(500.0));
        bench.put(SOURCE, "x.pendingRecords", same(lag));
        bench.put(SOURCE, "backPressuredTimeMsPerSecond", same(backpressure));
        bench.source(now).observed_tpr
    };
    assert_eq!(step(1, 1e6, 600.0), 1250.0);
    assert!(step(2, 0.0, 600.0).is_nan());
    assert_eq!(step(3, 1e5, 500.0), 1000.0);
    assert_eq!(step(4, 0.0, 500.0), 1125.0);
}

/// After a restart with a backlog, meters that begin at nothing make a source look as if it could do next to nothing.
#[test]
fn no_capacity_is_observed_while_rates_ramp() {
    let mut bench = Bench::new(Generation::Main, &[]);
    bench.put(SOURCE, "x.pendingRecords", same(1e6));
    bench.put(SOURCE, "backPressuredTimeMsPerSecond", same(0.0));
    bench.raw.rates_ramping = true;
    for (now, rate) in [(1, 0.0), (2, 10.0), (3, 100.0)] {
        bench.put(SOURCE, "Source__s.numRecordsInPerSecond", same(rate));
        assert!(bench.source(now).observed_tpr.is_nan());
    }
    bench.raw.rates_ramping = false;
    bench.put(SOURCE, "Source__s.numRecordsInPerSecond", same(1000.0));
    assert_eq!(bench.source(4).observed_tpr, 1000.0);
}

#[test]
fn pending_records_of_all_splits_are_summed() {
    let mut bench = Bench::new(Generation::Main, &[]);
    bench.put(SOURCE, "0.pendingRecords", same(100.0));
    bench.put(SOURCE, "1.pendingRecords", same(100.0));
    assert_eq!(bench.source(1).lag(), 200.0);
}

#[test]
fn a_vertex_without_finite_busy_time_is_not_scaled() {
    let mut bench = Bench::new(Generation::Main, &[]);
    bench.put(SINK, "busyTimeMsPerSecond", same(f64::NAN));
    let collected = bench.run(1).unwrap();
    assert_eq!(collected.excluded, BTreeSet::from([SINK]));
    assert!(collected.sample.vertex(SINK).unwrap().load.is_nan());
}

#[test]
fn a_finished_source_rests() {
    let mut bench = Bench::new(Generation::Main, &[]);
    bench.job.vertices[0].vertex.finished = true;
    let collected = bench.run(1).unwrap();
    assert_eq!(collected.excluded, BTreeSet::from([SOURCE]));
    let source = collected.sample.vertex(SOURCE).unwrap();
    assert_eq!(
        [source.load, source.accumulated_busy_time, source.records_in, source.records_out, source.lag()],
        [0.0; 5]
    );
    assert_eq!(source.observed_tpr, f64::INFINITY);
    assert!(bench.collector.queries().all(|(id, _)| id != SOURCE));
}

#[test]
fn a_missing_required_metric_is_named_and_may_come_while_stabilizing() {
    let mut bench = Bench::new(Generation::Main, &[("stabilization.interval", "10 s")]);
    bench.metrics.get_mut(&SOURCE).unwrap().remove("backPressuredTimeMsPerSecond");
    let early = bench.run(9).unwrap_err();
    assert!(early.is_not_ready());
    let late = bench.run(10).unwrap_err();
    assert!(!late.is_not_ready());
    let id = SOURCE.to_string();
    assert_eq!(late.to_string(), format!("vertex {id} (Source: s) has no metric backPressuredTimeMsPerSecond"));
}

#[test]
fn an_empty_plan_is_waited_for_by_main_alone() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation, &[]);
        bench.job.vertices.clear();
        match (generation, bench.run(1)) {
            (Generation::Main, Err(error)) => assert!(error.is_not_ready()),
            // 1.8 goes on with a sample of nothing.
            (Generation::V1_8, Ok(collected)) => assert!(collected.sample.vertices.is_empty()),
            (_, other) => panic!("{generation}: {other:?}"),
        }
    }
}

#[test]
fn names_are_listed_again_for_sources_and_after_changes() {
    let mut bench = Bench::new(Generation::Main, &[]);
    assert_eq!(bench.collector.names_wanted(&bench.job), [SOURCE, SINK]);
    bench.run(1).unwrap();
    assert_eq!(bench.collector.names_wanted(&bench.job), [SOURCE]);
    // A restarted job is a new one.
    bench.job.running_since = Some(at(5));
    bench.collector.begin(&bench.job, &bench.window);
    assert_eq!(bench.collector.names_wanted(&bench.job), [SOURCE, SINK]);
}

#[test]
fn the_first_request_finds_out_whether_garbage_collection_is_reported() {
    let common: BTreeMap<String, Aggregates> = names::TASK_MANAGER.map(|n| (n.to_owned(), same(1.0))).into();
    let mut collector = Collector::new();
    assert_eq!(collector.task_manager_names().len(), 5);
    assert_eq!(collector.learn_task_managers(&BTreeMap::new()), Ok(false));
    assert_eq!(collector.task_manager_names().len(), 4);
    assert_eq!(collector.learn_task_managers(&common), Ok(true));
    assert_eq!(collector.learn_task_managers(&BTreeMap::new()), Err(CollectError::NoTaskManagerMetrics));
    assert_eq!(collector.task_manager_names().len(), 5);
}

#[test]
fn memory_of_the_fullest_task_manager_counts() {
    let mut bench = Bench::new(Generation::Main, &[]);
    let max = |max| Aggregates { max, ..same(0.0) };
    bench.raw.task_managers = [
        (names::HEAP_USED.to_owned(), max(100.0)),
        (names::MANAGED_USED.to_owned(), max(133.0)),
        (names::METASPACE_USED.to_owned(), max(22.0)),
        (names::GC_TIME.to_owned(), max(250.0)),
    ]
    .into();
    bench.raw.slots_total = Some(10);
    let global = bench.run(1).unwrap().sample.global;
    assert!(global.heap_used.is_nan() && global.heap_max_usage_ratio.is_nan() && global.slots_used.is_nan());
    bench.raw.task_managers.insert(names::HEAP_MAX.to_owned(), max(200.0));
    bench.raw.slots_available = Some(3);
    let global = bench.run(2).unwrap().sample.global;
    assert_eq!((global.heap_used, global.heap_max_usage_ratio), (100.0, 0.5));
    assert_eq!((global.managed_used, global.metaspace_used), (133.0, 22.0));
    assert_eq!((global.gc_pressure, global.slots_used), (0.25, 7.0));
}

#[test]
fn partitions_are_counted_from_metric_names() {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let count = |list: &[&str]| names::partitions(Generation::Main, &names(list));
    let kafka = |cluster: &str, topic: &str, n: u32| {
        format!("1.Source__Kafka.{cluster}KafkaSourceReader.topic.{topic}.partition.{n}.currentOffset")
    };
    let list = [
        kafka("", "test.topic", 0),
        kafka("", "test.topic", 1),
        kafka("", "another", 0),
        "2.Source__Kafka.KafkaSourceReader.topic.another.partition.0.currentOffset".to_owned(),
        "1.Source__Kafka.KafkaSourceReader.topic.t.partition.0.anotherMetric".to_owned(),
    ];
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    assert_eq!(count(&list), 3);
    let clusters = [kafka("kafkaCluster.c.1.", "t", 0), kafka("kafkaCluster.c.2.", "t", 0), kafka("", "t", 0)];
    assert_eq!(count(&clusters.iter().map(String::as_str).collect::<Vec<_>>()), 3);
    assert_eq!(
        count(&[
            "0.Source__p.PulsarConsumer.persistent_//t-partition-1.abc0.numMsgsReceived",
            "0.Source__p.PulsarConsumer.persistent_//t-partition-1.abc1.numMsgsReceived",
            "0.Source__p.PulsarConsumer.persistent_//t-partition-2.abc0.numMsgsReceived",
            "0.Source__p.PulsarConsumer.persistent_//t-partition-x.abc0.numMsgsReceived",
        ]),
        2
    );
    // 1.8 counts names, whatever stands before the partition, and limits the max parallelism by them.
    let old = names(&["a.partition.0.currentOffset", "b.partition.0.currentOffset", "a.partition.x.currentOffset"]);
    assert_eq!(names::partitions(Generation::V1_8, &old), 2);
    let mut bench = Bench::new(Generation::V1_8, &[]);
    bench.put(SOURCE, "a.partition.0.currentOffset", same(0.0));
    assert_eq!(bench.run(1).unwrap().topology.vertex(SOURCE).unwrap().max_parallelism, 1);
    let mut bench = Bench::new(Generation::Main, &[]);
    bench.put(SOURCE, &kafka("", "t", 0), same(0.0));
    let topology = bench.run(1).unwrap().topology;
    let source = topology.vertex(SOURCE).unwrap();
    assert_eq!((source.max_parallelism, source.source_partitions), (128, 1));
}
