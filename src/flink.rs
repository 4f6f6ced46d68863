//! The Flink REST client.
//!
//! Owns the way to a JobManager: the [`Transport`] port with its reqwest implementation [`HttpTransport`], the typed calls of
//! [`FlinkClient`], what their answers mean, and the names of metrics ([`names`]). It decides nothing and keeps nothing but
//! connections: polling, caching and judging belong to `control`.
//!
//! What bites in this API is described in `flink-rest.md` §0; each trap is handled at one place here:
//!
//! * numbers as strings, `"NaN"`, times of -1: `decode`;
//! * one unknown name empties an aggregated answer, request lines over 4096 bytes: [`FlinkClient::subtask_metrics`] and its kin;
//! * HTML, Kubernetes `Status` objects and Java stack traces instead of an answer: [`FlinkError`];
//! * exceptions in two shapes and causes within causes: `exceptions`.

mod checkpoints;
mod client;
mod cluster;
mod decode;
mod diagnostics;
mod error;
mod exceptions;
mod http_transport;
mod jars;
mod job;
mod metrics;
pub mod names;
mod operations;
mod requirements;
mod rescales;
mod task_managers;
mod transport;
mod vertex;

pub use checkpoints::{
    CheckpointConfig, CheckpointCounts, CheckpointDetails, Checkpoints, DurationSummary, Restored, SubtaskCheckpoint,
    VertexCheckpoint,
};
pub use client::{ClientOptions, FlinkClient};
pub use cluster::{ClusterConfig, Features, JobSummary, Overview, metric_fetch_interval, scheduler_of};
pub use diagnostics::{Accumulator, ExecutionConfig, ExecutionResult, Jvm, LogFile, Process, ThreadInfo};
pub use error::{Call, FlinkError, JavaError, root_cause};
pub use http_transport::{HttpOptions, HttpTransport, Secret, SetupError, install_crypto_provider};
pub use jars::{EntryClass, Jar, RunJar};
pub use job::{JobDetails, Plan, PlanInput, PlanNode, StateTimestamps, VertexDetails, VertexTotals};
pub use metrics::{Aggregate, Aggregated, MetricValue};
pub use operations::OperationState;
pub use requirements::{ParallelismBounds, Requirements};
pub use rescales::{Rescale, RescaleCounts, RescaleTimings, RescaledVertex, SchedulerSpan};
pub use task_managers::{
    AllocatedSlot, GarbageCollector, Hardware, Resources, TaskManager, TaskManagerMetrics, pool_usages,
};
pub use transport::{BoxFuture, Request, Response, Transport, TransportError, collect_bounded};
pub use vertex::{
    BackPressure, BackPressureLevel, Subtask, SubtaskPressure, SubtaskTimes, VertexSubtasks, VertexTaskManager,
    Watermarks,
};

#[cfg(test)]
mod tests;
