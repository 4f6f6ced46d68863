//! Collecting the sample of one turn: which requests are needed, and what their answers become.
//!
//! In steady state a turn of a job with V running vertices makes V + 1 requests of its own; three more a period are shared by the
//! jobs of a cluster: its two lists and the TaskManagers' metrics. Metric names are listed only on a new run, a change of
//! parallelism, an empty answer, and once more a minute after the start of the run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};

use super::adapters::flink as adapter;
use super::cluster::ClusterLink;
use super::rates::VertexGauges;
use crate::autoscaler::collect::{self as pipeline, CollectError, Collector, RawMetrics};
use crate::autoscaler::options::Options;
use crate::domain::Timestamp;
use crate::domain::ids::{JobId, RunId, VertexId};
use crate::domain::topology::Topology;
use crate::domain::window::{MetricWindow, Sample};
use crate::flink::{Aggregate, FlinkError, JobDetails, names};

/// Flink's meters count over 60 s and look every 5 s (`flink-rest.md` §0.7).
const RATES_RAMP: Duration = Duration::from_secs(65);

/// What was collected in one turn.
#[derive(Debug, Clone)]
pub(super) struct Collected {
    pub details: JobDetails,
    pub run: RunId,
    pub topology: Topology,
    pub sample: Arc<Sample>,
    /// Vertices of which Flink has not all numbers.
    pub incomplete: Vec<VertexId>,
    pub gauges: Vec<(VertexId, VertexGauges)>,
}

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectFailure {
    #[error("{0}")]
    Flink(#[from] FlinkError),
    #[error("{0}")]
    Pipeline(#[from] CollectError),
    #[error("the job has no execution plan or no RUNNING time yet")]
    NotRunning,
}

/// What is remembered from turn to turn: the metric names of one run.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    collector: Collector,
    lists: BTreeMap<VertexId, Vec<String>>,
    /// The run and shape they were listed for.
    of: Option<(RunId, BTreeMap<VertexId, i32>)>,
    listed_again: bool,
}

impl Collecting {
    /// Collects the sample of `now`. `window` holds the samples so far; metrics of the TaskManagers that are younger than
    /// `shared` are taken as they are; names are listed again once the run is `names_again` old.
    pub async fn collect(
        &mut self,
        link: &ClusterLink,
        job: JobId,
        options: &Options,
        now: Timestamp,
        window: &MetricWindow,
        (shared, names_again): (Duration, Duration),
    ) -> Result<Collected, CollectFailure> {
        let client = &link.client;
        let details = client.job(job).await?;
        let run = details.run().ok_or(CollectFailure::NotRunning)?;
        let observed = adapter::observed_job(&details).ok_or(CollectFailure::NotRunning)?;
        self.forget_if_changed(&details, run, now, names_again);
        self.collector.begin(&observed, window);

        let wanted = self.collector.names_wanted(&observed);
        let missing: Vec<VertexId> = wanted.into_iter().filter(|v| !self.lists.contains_key(v)).collect();
        let listed = try_join_all(missing.iter().map(|v| client.subtask_metric_names(job, *v))).await?;
        self.lists.extend(missing.into_iter().zip(listed));
        if let Err(error) = self.collector.learn_names(options, now, &observed, &self.lists) {
            if let CollectError::MissingMetric { vertex, .. } = &error {
                self.lists.remove(vertex);
            }
            return Err(error.into());
        }

        let queries: Vec<(VertexId, Vec<String>)> =
            self.collector.queries().map(|(v, n)| (v, n.into_iter().map(str::to_owned).collect())).collect();
        let aggregates = [Aggregate::Min, Aggregate::Max, Aggregate::Avg, Aggregate::Sum];
        let values = join_all(queries.iter().map(|(v, n)| client.subtask_metrics(job, *v, n, &aggregates)));
        let (values, task_managers) = tokio::join!(values, link.task_manager_metrics(now, shared));
        // The overview counts the same slots as the JobManager's metrics do, and it is asked for anyway.
        let slots = link.state().slots();
        let count = |slots: u32| i32::try_from(slots).unwrap_or(i32::MAX);
        let mut raw = RawMetrics {
            vertices: BTreeMap::new(),
            task_managers: BTreeMap::clone(&*task_managers?),
            slots_total: slots.map(|(total, _)| count(total)),
            slots_available: slots.map(|(_, free)| count(free)),
            rates_ramping: now < run.running_since + RATES_RAMP,
        };
        let mut incomplete = adapter::incomplete(&details);
        let mut gauges = Vec::new();
        for ((vertex, asked), answer) in queries.iter().zip(values) {
            let answer = answer?;
            if answer.is_empty() && !asked.is_empty() {
                // One of the names is not known any more: learn them anew next time.
                self.lists.remove(vertex);
                self.collector = Collector::new();
                incomplete.push(*vertex);
            }
            let lag = answer.iter().filter(|(name, _)| name.ends_with(names::PENDING_RECORDS)).map(|(_, a)| a.sum);
            gauges.push((
                *vertex,
                VertexGauges {
                    busy_max: answer.get(names::BUSY_TIME).map_or(f64::NAN, |a| (a.max / 1000.0).clamp(0.0, 1.0)),
                    lag: lag.fold(f64::NAN, |sum, lag| if sum.is_nan() { lag } else { sum + lag }),
                },
            ));
            let answer = answer.into_iter().map(|(name, value)| (name, adapter::aggregates(value))).collect();
            raw.vertices.insert(*vertex, answer);
        }
        let collected = pipeline::collect(options, now, &observed, &self.collector, &raw, window)?;
        Ok(Collected {
            details,
            run,
            topology: collected.topology,
            sample: Arc::new(collected.sample),
            incomplete,
            gauges,
        })
    }

    fn forget_if_changed(&mut self, details: &JobDetails, run: RunId, now: Timestamp, names_again: Duration) {
        let of = Some((run, adapter::parallelism(details)));
        if self.of != of {
            // Looking at a run for the first time when it is old already: nothing comes late any more.
            *self = Self { of, listed_again: now >= run.running_since + names_again, ..Self::default() };
        } else if !self.listed_again && now >= run.running_since + names_again {
            self.listed_again = true;
            self.lists.clear();
            self.collector = Collector::new();
        }
    }
}
