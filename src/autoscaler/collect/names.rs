//! Names of Flink metrics: which are wanted, how they are recognised, and what they tell of source partitions (§2.3–§2.5).

use std::collections::BTreeSet;

use crate::autoscaler::generation::{Generation, InputRateRule};

/// Maximum heap of a TaskManager.
pub const HEAP_MAX: &str = "Status.JVM.Memory.Heap.Max";
/// Used heap of a TaskManager.
pub const HEAP_USED: &str = "Status.JVM.Memory.Heap.Used";
/// Used managed memory of a TaskManager.
pub const MANAGED_USED: &str = "Status.Flink.Memory.Managed.Used";
/// Used metaspace of a TaskManager.
pub const METASPACE_USED: &str = "Status.JVM.Memory.Metaspace.Used";
/// Garbage collection, milliseconds per second; newer Flinks only.
pub const GC_TIME: &str = "Status.JVM.GarbageCollector.All.TimeMsPerSecond";

/// The TaskManager metrics that every Flink knows.
pub const TASK_MANAGER: [&str; 4] = [HEAP_MAX, HEAP_USED, MANAGED_USED, METASPACE_USED];
/// The same with garbage collection.
pub const TASK_MANAGER_WITH_GC: [&str; 5] = [HEAP_MAX, HEAP_USED, MANAGED_USED, METASPACE_USED, GC_TIME];

/// The Flink metrics of a vertex that the autoscaler knows (§2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the contract's own names
pub enum FlinkMetric {
    BusyTimePerSec,
    BackpressureTimePerSec,
    SourceTaskNumRecordsInPerSec,
    SourceTaskNumRecordsIn,
    SourceTaskNumRecordsOut,
    /// Known, and never requested by the operator.
    SourceTaskNumRecordsOutPerSec,
    PendingRecords,
    NumRecordsInPerSec,
}

/// Whether the loop can do without a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
    No,
}

impl FlinkMetric {
    const ALL: [Self; 8] = [
        Self::BusyTimePerSec,
        Self::BackpressureTimePerSec,
        Self::SourceTaskNumRecordsInPerSec,
        Self::SourceTaskNumRecordsIn,
        Self::SourceTaskNumRecordsOut,
        Self::SourceTaskNumRecordsOutPerSec,
        Self::PendingRecords,
        Self::NumRecordsInPerSec,
    ];

    /// How the name looks, for people.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::BusyTimePerSec => "busyTimeMsPerSecond",
            Self::BackpressureTimePerSec => "backPressuredTimeMsPerSecond",
            Self::SourceTaskNumRecordsInPerSec => "Source__*.numRecordsInPerSecond",
            Self::SourceTaskNumRecordsIn => "Source__*.numRecordsIn",
            Self::SourceTaskNumRecordsOut => "Source__*.numRecordsOut",
            Self::SourceTaskNumRecordsOutPerSec => "Source__*.numRecordsOutPerSecond",
            Self::PendingRecords => "*.pendingRecords",
            Self::NumRecordsInPerSec => "numRecordsInPerSecond",
        }
    }

    /// This is a name of the metric.
    pub fn matches(self, name: &str) -> bool {
        match self.pattern().split_once('*') {
            Some((start, end)) => {
                name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
            }
            None => name == self.pattern(),
        }
    }

    fn need(self, generation: Generation, source: bool) -> Need {
        match (self, source) {
            (Self::BusyTimePerSec, _) => Need::Required,
            (
                Self::BackpressureTimePerSec | Self::SourceTaskNumRecordsInPerSec | Self::SourceTaskNumRecordsIn,
                true,
            ) => Need::Required,
            (Self::SourceTaskNumRecordsOut | Self::PendingRecords, true) => Need::Optional,
            (Self::NumRecordsInPerSec, false) if generation.rules().input_rate == InputRateRule::Sampled => {
                Need::Optional
            }
            _ => Need::No,
        }
    }
}

/// The names of the wanted metrics of one vertex.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricNames {
    found: Vec<(FlinkMetric, Vec<String>)>,
    missing: Option<FlinkMetric>,
}

impl MetricNames {
    /// Finds the wanted metrics in the names that a vertex has. If several names match a metric that has one value, the
    /// smallest is taken (Java takes an arbitrary one, §15.4); pending records may have many.
    pub fn recognise(generation: Generation, source: bool, names: &[String]) -> Self {
        let mut result = Self::default();
        for metric in FlinkMetric::ALL {
            let need = metric.need(generation, source);
            if need == Need::No {
                continue;
            }
            let matching: BTreeSet<&String> = names.iter().filter(|name| metric.matches(name)).collect();
            let limit = if metric == FlinkMetric::PendingRecords { usize::MAX } else { 1 };
            if matching.is_empty() && need == Need::Required {
                result.missing.get_or_insert(metric);
            }
            result.found.push((metric, matching.into_iter().take(limit).cloned().collect()));
        }
        result
    }

    /// A required metric that has no name.
    pub fn missing(&self) -> Option<&'static str> {
        self.missing.map(FlinkMetric::pattern)
    }

    /// The names of one metric.
    pub fn of(&self, metric: FlinkMetric) -> &[String] {
        self.found.iter().find(|(m, _)| *m == metric).map_or(&[], |(_, names)| names)
    }

    /// The names of all metrics.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.found.iter().flat_map(|(_, names)| names).map(String::as_str)
    }
}

/// The number of partitions that a source reads, from the names of its metrics; 0 if they tell nothing (§2.3).
pub fn partitions(generation: Generation, names: &[String]) -> i32 {
    let count = match generation {
        Generation::V1_8 => {
            let offsets = names.iter().filter(|name| offset_of_partition(name).is_some());
            offsets.collect::<BTreeSet<_>>().len()
        }
        Generation::Main => {
            names.iter().filter_map(|name| kafka(name).or_else(|| pulsar(name))).collect::<BTreeSet<_>>().len()
        }
    };
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// `<anything>.partition.<digits>.currentOffset` → what stands before, and the digits.
fn offset_of_partition(name: &str) -> Option<(&str, &str)> {
    let (head, partition) = name.strip_suffix(".currentOffset")?.rsplit_once(".partition.")?;
    is_number(partition).then_some((head, partition))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Cluster (or none), topic and partition of one metric.
type Partition<'a> = (Option<&'a str>, &'a str, &'a str);

/// `<anything>[.kafkaCluster.<cluster>].KafkaSourceReader.topic.<topic>.partition.<digits>.currentOffset`
fn kafka(name: &str) -> Option<Partition<'_>> {
    const READER: &str = ".KafkaSourceReader.topic.";
    const CLUSTER: &str = ".kafkaCluster.";
    let (head, partition) = offset_of_partition(name)?;
    let reader = head.find(READER)?;
    if let Some((_, rest)) = head.get(..reader).and_then(|before| before.split_once(CLUSTER)) {
        // The names of cluster and topic may hold dots: the last reader of the whole name divides them.
        let start = reader - rest.len();
        let (cluster, topic) = head.get(start..)?.rsplit_once(READER)?;
        if !cluster.is_empty() && !topic.is_empty() {
            return Some((Some(cluster), topic, partition));
        }
    }
    let topic = head.get(reader + READER.len()..).filter(|topic| !topic.is_empty())?;
    Some((None, topic, partition))
}

/// `<anything>.PulsarConsumer.<topic>-partition-<digits>.<anything>.numMsgsReceived`
fn pulsar(name: &str) -> Option<Partition<'_>> {
    let head = name.strip_suffix(".numMsgsReceived")?;
    let (_, consumer) = head.rsplit_once(".PulsarConsumer.")?;
    let (topic, rest) = consumer.rsplit_once("-partition-")?;
    let (partition, _) = rest.split_once('.')?;
    (is_number(partition) && !topic.is_empty()).then_some((None, topic, partition))
}
