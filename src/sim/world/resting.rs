//! Clusters that are alike by the thousand: made as copies of one that ran, and at rest while nobody looks at them.
//!
//! A resting cluster is as it was when it fell asleep. Whoever reaches its JobManager or acts on it wakes it: its physics catches up, then it
//! goes on as any other until nobody has looked for a while.

use std::sync::Arc;

use super::World;
use crate::domain::ids::JobId;
use crate::sim::cluster::{Cluster, Surroundings};
use crate::sim::graph::Graph;
use crate::sim::noise::Noise;

/// A cluster rests again when nobody has looked for this long, milliseconds.
const PATIENCE: i64 = 300_000;
/// The last part of what a cluster slept is caught up in fine steps, milliseconds.
const FINE: i64 = 30_000;
/// The rest is caught up in at most this many steps.
const COARSE_STEPS: i64 = 1_000;

impl World {
    /// Makes copies of a cluster under these names, which rest, and removes it.
    ///
    /// # Errors
    /// If there is no such cluster, or a name is taken.
    pub fn multiply(&mut self, template: &str, names: Vec<String>) -> Result<(), String> {
        let Some(original) = self.cluster(template).cloned() else {
            return Err(format!("there is no cluster named {template:?}"));
        };
        let topics: Vec<usize> =
            original.jobs.iter().flat_map(|j| j.cursors.iter().flatten()).map(|c| c.topic).collect();
        self.clusters.retain(|c| c.name() != template);
        for name in names {
            if self.cluster(&name).is_some() {
                return Err(format!("there is a cluster named {name:?} already"));
            }
            let mut copy = original.clone();
            copy.rename(&name, Noise::new(self.seed, &format!("copy {name}")));
            for job in &mut copy.jobs {
                job.id = JobId::from_u128(crate::sim::noise::hash128(&["copy", &name, job.name()]));
                let mut spec = job.graph.spec.clone();
                spec.program = spec.program().to_owned();
                spec.name.clone_from(&name);
                job.graph = Graph::new(spec)?;
                let graph: Arc<Graph> = job.graph.clone();
                for (vertex, cursor) in graph.spec.vertices.iter().zip(&mut job.cursors) {
                    let Some(cursor) = cursor else { continue };
                    let own = self.topics.len();
                    self.topics.push(self.topics[cursor.topic].clone());
                    self.committed.push(self.committed[cursor.topic].clone());
                    self.topic_keys.insert((name.clone(), vertex.name.clone()), own);
                    cursor.topic = own;
                }
            }
            copy.resting = Some(self.now);
            copy.is_copy = true;
            self.copies.insert(name.clone());
            self.clusters.push(copy);
        }
        // What only the template read is of no use any more, but its index is part of the topics of others: it stays, and stands still.
        self.still.extend(topics);
        self.reindex();
        for cluster in &self.clusters {
            if cluster.resting.is_some() {
                self.still.extend(topics_of(cluster));
            }
        }
        self.seat_running();
        Ok(())
    }

    /// Somebody looks at a cluster: it is awake, and stays so for a while.
    pub fn wake(&mut self, name: &str) {
        let Some(index) = self.index.get(name).copied() else { return };
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(index).filter(|c| c.is_copy) else { return };
        cluster.seen_at = now;
        let Some(since) = cluster.resting.take() else { return };
        for topic in topics_of(cluster) {
            self.still.remove(&topic);
        }
        let fine = (now - FINE).max(since);
        let coarse = ((fine - since) / COARSE_STEPS).max(super::COARSE_STEP);
        let mut at = since;
        while at < now {
            let step = if at < fine { coarse.min(fine - at) } else { super::STEP.min(now - at) };
            self.catch_up(index, at, step);
            at += step;
        }
    }

    fn catch_up(&mut self, index: usize, at: i64, step: i64) {
        let (now, dt) = (at + step, step as f64 / 1_000.0);
        let elapsed = (now - self.origin) as f64 / 1_000.0;
        let Self { clusters, topics, faults, storage, .. } = self;
        let Some(cluster) = clusters.get_mut(index) else { return };
        for topic in topics_of(cluster) {
            if let Some(topic) = topics.get_mut(topic) {
                topic.step(dt, elapsed);
            }
        }
        let sample = now.div_euclid(super::SAMPLE) != at.div_euclid(super::SAMPLE);
        cluster.step(&mut Surroundings { now, dt, sample, topics, faults, storage });
    }

    /// Lets copies rest that nobody has looked at for a while and that have nothing to do.
    pub(super) fn rest(&mut self) {
        let now = self.now;
        for cluster in &mut self.clusters {
            let idle = cluster.is_copy && cluster.resting.is_none() && now - cluster.seen_at > PATIENCE;
            if idle && cluster.is_steady() {
                cluster.resting = Some(now);
                self.still.extend(topics_of(cluster));
            }
        }
    }

    /// Clusters by name, after one has come or gone.
    pub(super) fn reindex(&mut self) {
        self.index = self.clusters.iter().enumerate().map(|(i, c)| (c.name().to_owned(), i)).collect();
    }
}

fn topics_of(cluster: &Cluster) -> Vec<usize> {
    cluster.jobs.iter().flat_map(|j| j.cursors.iter().flatten()).map(|c| c.topic).collect()
}
