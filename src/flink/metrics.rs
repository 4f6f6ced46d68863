//! Metric queries: names and values of vertices, TaskManagers, jobs and the JobManager.
//!
//! Two families (`flink-rest.md` §0.1, §1.8). The *aggregating* ones answer `[]` as soon as one name is unknown: list the names,
//! intersect, ask. The others leave out what they do not know. Long lists are split so that no request line exceeds 4096 bytes.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use crate::domain::ids::{JobId, VertexId};

use super::client::{FlinkClient, encode, fits};
use super::decode;
use super::error::{Call, FlinkError};

/// How values of several subtasks, TaskManagers or jobs become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aggregate {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean of those that have a value.
    Avg,
    /// The sum of those that have a value.
    Sum,
    /// Deviation from the mean in percent, 0 is even (1.20 and later).
    Skew,
}

impl Aggregate {
    /// Flink's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Sum => "sum",
            Self::Skew => "skew",
        }
    }
}

/// An aggregated metric. What was not asked for, is not offered by this version or is not a number is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Aggregated {
    /// The smallest.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub min: f64,
    /// The largest.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub max: f64,
    /// The mean.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub avg: f64,
    /// The sum.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub sum: f64,
    /// Deviation from the mean in percent (1.20 and later).
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub skew: f64,
}

/// A metric value as Flink sends it: always a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct MetricValue(String);

impl MetricValue {
    /// A value.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value as a number; NaN if it is none (`"NaN"`, `"true"`, a path).
    pub fn number(&self) -> f64 {
        decode::parse_number(&self.0).unwrap_or(f64::NAN)
    }

    /// The value as a count; `None` if it is none.
    pub fn count(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

#[derive(Deserialize)]
struct Name {
    id: String,
}

#[derive(Deserialize)]
struct Valued {
    id: String,
    value: MetricValue,
}

#[derive(Deserialize)]
struct AggregatedEntry {
    id: String,
    // Not flattened: that would lose the path of a wrong value.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    min: f64,
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    max: f64,
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    avg: f64,
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    sum: f64,
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    skew: f64,
}

/// Splits `names` into queries `base?get=a,b{rest}` whose request lines Flink takes, each name once.
///
/// # Errors
/// The name that does not fit even alone.
pub(super) fn queries<S: AsRef<str>>(base: &str, names: &[S], rest: &str) -> Result<Vec<String>, String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut done = Vec::new();
    let mut current = String::new();
    for name in names.iter().map(AsRef::as_ref).filter(|name| seen.insert(*name)) {
        let encoded = encode(name);
        if !current.is_empty() {
            if fits(&Method::GET, current.len() + 1 + encoded.len() + rest.len()) {
                current.push(',');
                current.push_str(&encoded);
                continue;
            }
            done.push(format!("{current}{rest}"));
        }
        current = format!("{base}?get={encoded}");
        if !fits(&Method::GET, current.len() + rest.len()) {
            return Err(name.to_owned());
        }
    }
    if !current.is_empty() {
        done.push(format!("{current}{rest}"));
    }
    Ok(done)
}

impl FlinkClient {
    /// Metric names of a vertex for [`subtask_metrics`](Self::subtask_metrics): without subtask numbers, sorted.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn subtask_metric_names(&self, job: JobId, vertex: VertexId) -> Result<Vec<String>, FlinkError> {
        self.metric_names(&format!("/jobs/{job}/vertices/{vertex}/subtasks/metrics")).await
    }

    /// Metrics of a vertex, aggregated over its subtasks. **Empty as soon as one of `names` is unknown to Flink** (also when the
    /// vertex has no metrics yet): ask for names of [`subtask_metric_names`](Self::subtask_metric_names) only. No `aggregates`
    /// means all that this version has.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn subtask_metrics<S: AsRef<str> + Sync>(
        &self,
        job: JobId,
        vertex: VertexId,
        names: &[S],
        aggregates: &[Aggregate],
    ) -> Result<BTreeMap<String, Aggregated>, FlinkError> {
        self.aggregated(&format!("/jobs/{job}/vertices/{vertex}/subtasks/metrics"), names, aggregates).await
    }

    /// Metrics of a vertex by subtask: names are `<subtask>.<metric>`. Unknown ones are left out.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn vertex_metrics<S: AsRef<str> + Sync>(
        &self,
        job: JobId,
        vertex: VertexId,
        names: &[S],
    ) -> Result<BTreeMap<String, MetricValue>, FlinkError> {
        self.plain(&format!("/jobs/{job}/vertices/{vertex}/metrics"), names).await
    }

    /// Names for [`vertex_metrics`](Self::vertex_metrics): `<subtask>.<metric>`, about 83 a subtask (megabytes for a vertex with
    /// hundreds of subtasks).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn vertex_metric_names(&self, job: JobId, vertex: VertexId) -> Result<Vec<String>, FlinkError> {
        self.metric_names(&format!("/jobs/{job}/vertices/{vertex}/metrics")).await
    }

    /// Metric names of one subtask, without its number.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn one_subtask_metric_names(
        &self,
        job: JobId,
        vertex: VertexId,
        subtask: u32,
    ) -> Result<Vec<String>, FlinkError> {
        self.metric_names(&format!("/jobs/{job}/vertices/{vertex}/subtasks/{subtask}/metrics")).await
    }

    /// Names of the metrics of a vertex's operator coordinators (1.20 and later).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn coordinator_metric_names(&self, job: JobId, vertex: VertexId) -> Result<Vec<String>, FlinkError> {
        self.metric_names(&format!("/jobs/{job}/vertices/{vertex}/jm-operator-metrics")).await
    }

    /// Names of metrics that jobs have.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jobs_metric_names(&self) -> Result<Vec<String>, FlinkError> {
        self.metric_names("/jobs/metrics").await
    }

    /// Metrics aggregated over all jobs of the cluster. Empty as soon as one of `names` is unknown.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jobs_metrics<S: AsRef<str> + Sync>(
        &self,
        names: &[S],
        aggregates: &[Aggregate],
    ) -> Result<BTreeMap<String, Aggregated>, FlinkError> {
        self.aggregated("/jobs/metrics", names, aggregates).await
    }

    /// Names of a job's own metrics.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn job_metric_names(&self, job: JobId) -> Result<Vec<String>, FlinkError> {
        self.metric_names(&format!("/jobs/{job}/metrics")).await
    }

    /// A job's own metrics (`numRestarts`, checkpoints, …). Unknown ones are left out.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn job_metrics<S: AsRef<str> + Sync>(
        &self,
        job: JobId,
        names: &[S],
    ) -> Result<BTreeMap<String, MetricValue>, FlinkError> {
        self.plain(&format!("/jobs/{job}/metrics"), names).await
    }

    /// Names of metrics that TaskManagers have.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn task_managers_metric_names(&self) -> Result<Vec<String>, FlinkError> {
        self.metric_names("/taskmanagers/metrics").await
    }

    /// Metrics aggregated over all TaskManagers of the cluster. Empty as soon as one of `names` is unknown.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn task_managers_metrics<S: AsRef<str> + Sync>(
        &self,
        names: &[S],
        aggregates: &[Aggregate],
    ) -> Result<BTreeMap<String, Aggregated>, FlinkError> {
        self.aggregated("/taskmanagers/metrics", names, aggregates).await
    }

    /// Names of one TaskManager's metrics; none for an unknown one.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn task_manager_metric_names(&self, id: &str) -> Result<Vec<String>, FlinkError> {
        self.metric_names(&format!("/taskmanagers/{}/metrics", encode(id))).await
    }

    /// Metrics of one TaskManager. Unknown ones are left out; an unknown TaskManager has none.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn task_manager_metrics<S: AsRef<str> + Sync>(
        &self,
        id: &str,
        names: &[S],
    ) -> Result<BTreeMap<String, MetricValue>, FlinkError> {
        self.plain(&format!("/taskmanagers/{}/metrics", encode(id)), names).await
    }

    /// Names of the JobManager's metrics.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jobmanager_metric_names(&self) -> Result<Vec<String>, FlinkError> {
        self.metric_names("/jobmanager/metrics").await
    }

    /// Metrics of the JobManager. Unknown ones are left out.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jobmanager_metrics<S: AsRef<str> + Sync>(
        &self,
        names: &[S],
    ) -> Result<BTreeMap<String, MetricValue>, FlinkError> {
        self.plain("/jobmanager/metrics", names).await
    }

    async fn metric_names(&self, path: &str) -> Result<Vec<String>, FlinkError> {
        let names: Vec<Name> = self.get(path).await?;
        let mut names: Vec<String> = names.into_iter().map(|name| name.id).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    async fn plain<S: AsRef<str>>(&self, path: &str, names: &[S]) -> Result<BTreeMap<String, MetricValue>, FlinkError> {
        let mut all = BTreeMap::new();
        for query in self.split(path, names, "")? {
            let values: Vec<Valued> = self.get(&query).await?;
            all.extend(values.into_iter().map(|v| (v.id, v.value)));
        }
        Ok(all)
    }

    async fn aggregated<S: AsRef<str>>(
        &self,
        path: &str,
        names: &[S],
        aggregates: &[Aggregate],
    ) -> Result<BTreeMap<String, Aggregated>, FlinkError> {
        let rest = match aggregates {
            [] => String::new(),
            some => format!("&agg={}", some.iter().map(|a| a.name()).collect::<Vec<_>>().join(",")),
        };
        let mut all = BTreeMap::new();
        for query in self.split(path, names, &rest)? {
            let values: Vec<AggregatedEntry> = self.get(&query).await?;
            all.extend(values.into_iter().map(|v| {
                let AggregatedEntry { id, min, max, avg, sum, skew } = v;
                (id, Aggregated { min, max, avg, sum, skew })
            }));
        }
        Ok(all)
    }

    fn split<S: AsRef<str>>(&self, path: &str, names: &[S], rest: &str) -> Result<Vec<String>, FlinkError> {
        queries(path, names, rest).map_err(|name| FlinkError::Invalid {
            call: Call { method: Method::GET, path: path.to_owned(), target: self.target().to_owned() },
            why: format!("the metric name of {} bytes is too long for a request line", name.len()),
        })
    }
}
