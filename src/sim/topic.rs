//! What sources read: records that arrive whether or not a job is there to take them, and how far a job has read.

use super::noise::Noise;
use super::spec::SourceSpec;

/// A partitioned log that grows by itself. Outlives every job that reads it. Counts in records.
#[derive(Debug, Clone)]
pub struct Topic {
    spec: SourceSpec,
    /// Records ever written, per partition.
    pub produced: Vec<f64>,
    /// Records per second that arrived in the last step.
    pub rate: f64,
    drift: f64,
    noise: Noise,
}

impl Topic {
    /// A log that holds the backlog of its spec.
    pub fn new(spec: SourceSpec, noise: Noise) -> Self {
        let partitions = spec.partitions.max(1) as usize;
        let each = spec.backlog.max(0.0) / partitions as f64;
        Self { spec, produced: vec![each; partitions], rate: 0.0, drift: 0.0, noise }
    }

    /// Lets records arrive for `dt` seconds that end at `t` seconds after the start of the scenario.
    pub fn step(&mut self, dt: f64, t: f64) {
        self.drift = 0.98 * self.drift + 0.004 * self.noise.signed();
        self.rate = self.spec.rate.at(t - dt / 2.0) * (1.0 + self.drift);
        let each = self.rate * dt / self.produced.len() as f64;
        for partition in &mut self.produced {
            *partition += each;
        }
    }

    /// The connector tells how much waits.
    pub fn reports_pending(&self) -> bool {
        self.spec.reports_pending && !self.spec.legacy
    }

    /// Records ever written.
    pub fn total(&self) -> f64 {
        self.produced.iter().sum()
    }
}

/// How far a source has read its topic: the position that a checkpoint remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// Index of the topic in the world.
    pub topic: usize,
    /// Records read, per partition.
    pub offsets: Vec<f64>,
}

impl Cursor {
    /// Partition k belongs to subtask k mod parallelism.
    fn partitions(&self, subtask: usize, parallelism: usize) -> std::iter::StepBy<std::ops::Range<usize>> {
        (subtask..self.offsets.len()).step_by(parallelism.max(1))
    }

    /// Records that wait for a subtask.
    pub fn pending(&self, topic: &Topic, subtask: usize, parallelism: usize) -> f64 {
        self.partitions(subtask, parallelism).map(|k| (topic.produced[k] - self.offsets[k]).max(0.0)).sum()
    }

    /// Records that wait for all subtasks.
    pub fn lag(&self, topic: &Topic) -> f64 {
        topic.produced.iter().zip(&self.offsets).map(|(end, at)| (end - at).max(0.0)).sum()
    }

    /// Reads records: from every partition of the subtask in proportion to what waits there.
    pub fn take(&mut self, topic: &Topic, subtask: usize, parallelism: usize, records: f64) {
        let pending = self.pending(topic, subtask, parallelism);
        if pending <= 0.0 {
            return;
        }
        let part = (records / pending).min(1.0);
        for k in self.partitions(subtask, parallelism) {
            let waiting = (topic.produced[k] - self.offsets[k]).max(0.0);
            self.offsets[k] += waiting * part;
        }
    }

    /// Records ever read.
    pub fn total(&self) -> f64 {
        self.offsets.iter().sum()
    }
}
