//! The record physics of one run of a job: records wait in bounded queues, tasks work them off at their cost, a full queue
//! holds back whoever feeds it.
//!
//! A fluid model in steps. One step is two passes over the graph: backwards to learn how many records each queue can take
//! in this step (its free space plus what its task can work off), forwards to move them. So the model is stable for any
//! length of step, back pressure travels through the whole graph within one, and records are neither made nor lost.

use super::graph::{Graph, shares};
use super::meters::{Counters, Meters};
use super::noise::Noise;
use super::topic::{Cursor, Topic};
use crate::domain::topology::ShipStrategy;

/// Size of a network buffer, bytes (`taskmanager.memory.segment-size`).
pub const SEGMENT: u64 = 32 << 10;

/// One run of the tasks of a job. A restart makes a new one: counters begin at zero and what was in flight is gone.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Per vertex, as in the graph.
    pub vertices: Vec<VertexFlow>,
}

/// The tasks of one vertex.
#[derive(Debug, Clone)]
pub struct VertexFlow {
    /// Its subtasks.
    pub tasks: Vec<Task>,
    /// Its incoming queues, one per edge.
    pub queues: Vec<Queue>,
    limit: Vec<f64>,
    moved: Vec<f64>,
    total_limit: f64,
}

/// The queues of one edge, one per receiving subtask. Records.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Records waiting.
    pub waiting: Vec<f64>,
    /// Records that fit.
    pub capacity: f64,
    shares: Vec<f64>,
    pointwise: bool,
    ratio: f64,
    accept: Vec<f64>,
    demand: f64,
}

/// One subtask.
#[derive(Debug, Clone)]
pub struct Task {
    /// What it counted since its start.
    pub counters: Counters,
    /// What its meters show.
    pub meters: Meters,
    /// It was held back by a full queue in the last step.
    pub blocked: bool,
    /// Records taken in the last step.
    pub moved: f64,
    drift: f64,
}

/// What slows tasks down from outside, per vertex and subtask.
pub trait Surroundings {
    /// Speed of a task relative to normal, above 0: garbage collection and faults make it less than 1.
    fn speed(&self, vertex: usize, subtask: usize) -> f64;
}

impl Flow {
    /// Fresh tasks with these parallelisms (one per vertex).
    pub fn new(graph: &Graph, parallelism: &[u32]) -> Self {
        let vertices = graph
            .vertices
            .iter()
            .zip(&graph.spec.vertices)
            .zip(parallelism)
            .map(|((node, spec), &p)| {
                let p = p.max(1) as usize;
                let queues = node
                    .inputs
                    .iter()
                    .map(|edge| {
                        let from = parallelism.get(edge.from).copied().unwrap_or(1).max(1) as usize;
                        let size = graph.spec.vertices.get(edge.from).map_or(200, |v| v.record_size);
                        Queue::new(edge, from, p, node.max_parallelism, spec.skew, size)
                    })
                    .collect();
                VertexFlow {
                    tasks: vec![Task::new(); p],
                    queues,
                    limit: vec![0.0; p],
                    moved: vec![0.0; p],
                    total_limit: 0.0,
                }
            })
            .collect();
        Self { vertices }
    }

    /// Moves records for `dt` seconds.
    pub fn step(
        &mut self,
        graph: &Graph,
        dt: f64,
        cursors: &mut [Option<Cursor>],
        topics: &[Topic],
        around: &dyn Surroundings,
        noise: &mut Noise,
    ) {
        self.learn_limits(graph, dt, around, noise);
        self.move_records(graph, dt, cursors, topics, around);
    }

    /// Backwards: what each task could work off and each queue can take.
    fn learn_limits(&mut self, graph: &Graph, dt: f64, around: &dyn Surroundings, noise: &mut Noise) {
        for index in (0..self.vertices.len()).rev() {
            let (Some(node), Some(spec)) = (graph.vertices.get(index), graph.spec.vertices.get(index)) else {
                continue;
            };
            let (head, tail) = self.vertices.split_at_mut(index + 1);
            let Some(vertex) = head.last_mut() else { continue };
            vertex.total_limit = f64::INFINITY;
            let VertexFlow { tasks, limit, .. } = vertex;
            for (i, (task, limit)) in tasks.iter_mut().zip(limit.iter_mut()).enumerate() {
                task.drift = 0.99 * task.drift + 0.005 * noise.signed();
                *limit = dt * task.speed() * around.speed(index, i) / spec.cost;
            }
            for &(to, number) in &node.outputs {
                let Some(queue) = tail.get(to - index - 1).and_then(|v| v.queues.get(number)) else { continue };
                let per_record = spec.selectivity * queue.ratio;
                if per_record <= 0.0 {
                    continue;
                }
                if queue.pointwise {
                    for (limit, accept) in vertex.limit.iter_mut().zip(&queue.accept) {
                        *limit = limit.min(accept / per_record);
                    }
                } else {
                    // One full queue holds back the sender for all of them, so a hot key slows its whole vertex down.
                    let total = queue
                        .accept
                        .iter()
                        .zip(&queue.shares)
                        .filter(|(_, share)| **share > 0.0)
                        .map(|(accept, share)| accept / share)
                        .fold(f64::INFINITY, f64::min);
                    vertex.total_limit = vertex.total_limit.min(total / per_record);
                }
            }
            let possible: f64 = vertex.limit.iter().sum();
            let scale = if possible > vertex.total_limit { vertex.total_limit / possible } else { 1.0 };
            let demand: f64 = vertex.queues.iter().map(|q| q.demand).sum();
            let edges = vertex.queues.len() as f64;
            for queue in &mut vertex.queues {
                // Inputs share the task by what they want to send; each keeps a small part so that none starves.
                let part = if demand > 0.0 { 0.9 * queue.demand / demand + 0.1 / edges } else { 1.0 / edges };
                for ((accept, waiting), limit) in queue.accept.iter_mut().zip(&queue.waiting).zip(&vertex.limit) {
                    *accept = (queue.capacity - waiting + limit * scale * part).max(0.0);
                }
            }
        }
    }

    /// Forwards: work off, account the time, hand over.
    fn move_records(
        &mut self,
        graph: &Graph,
        dt: f64,
        cursors: &mut [Option<Cursor>],
        topics: &[Topic],
        around: &dyn Surroundings,
    ) {
        for index in 0..self.vertices.len() {
            let (Some(node), Some(spec)) = (graph.vertices.get(index), graph.spec.vertices.get(index)) else {
                continue;
            };
            let (head, tail) = self.vertices.split_at_mut(index + 1);
            let Some(vertex) = head.last_mut() else { continue };
            let cursor = cursors.get_mut(index).and_then(Option::as_mut);
            let topic = cursor.as_ref().and_then(|cursor| topics.get(cursor.topic));
            let parallelism = vertex.tasks.len();
            let VertexFlow { tasks, queues, limit, moved, total_limit } = vertex;

            let mut wanted = 0.0;
            let mut possible = 0.0;
            for i in 0..parallelism {
                let available = match (&cursor, topic) {
                    (Some(cursor), Some(topic)) => cursor.pending(topic, i, parallelism),
                    _ => queues.iter().map(|q| q.waiting[i]).sum(),
                };
                let capacity = dt * tasks[i].speed() * around.speed(index, i) / spec.cost;
                let want = capacity.min(available);
                wanted += want;
                moved[i] = want.min(limit[i]);
                possible += moved[i];
                tasks[i].blocked = moved[i] < want;
            }
            let scale = if possible > *total_limit { *total_limit / possible } else { 1.0 };
            if scale < 1.0 {
                for (task, moved) in tasks.iter_mut().zip(moved.iter_mut()) {
                    task.blocked |= *moved > 0.0;
                    *moved *= scale;
                }
            }

            let mut total = 0.0;
            for (i, (task, &records)) in tasks.iter_mut().zip(moved.iter()).enumerate() {
                total += records;
                task.moved = records;
                let busy = (records * spec.cost / (task.speed() * around.speed(index, i))).min(dt);
                let counters = &mut task.counters;
                counters.busy += busy;
                if task.blocked {
                    counters.backpressured += dt - busy;
                } else {
                    counters.idle += dt - busy;
                }
                counters.records_in += records;
                counters.records_out += records * spec.selectivity;
                if !node.outputs.is_empty() {
                    counters.bytes_out += records * spec.selectivity * spec.record_size as f64;
                }
            }
            match (cursor, topic) {
                (Some(cursor), Some(topic)) => {
                    for (i, &records) in moved.iter().enumerate() {
                        cursor.take(topic, i, parallelism, records);
                    }
                }
                _ => take_from_queues(graph, node, queues, tasks, moved),
            }

            for &(to, number) in &node.outputs {
                let Some(queue) = tail.get_mut(to - index - 1).and_then(|v| v.queues.get_mut(number)) else { continue };
                let per_record = spec.selectivity * queue.ratio;
                queue.demand = 0.9 * queue.demand + 0.1 * wanted * per_record / dt;
                if queue.pointwise {
                    for (waiting, records) in queue.waiting.iter_mut().zip(moved.iter()) {
                        *waiting += records * per_record;
                    }
                } else {
                    for (waiting, share) in queue.waiting.iter_mut().zip(&queue.shares) {
                        *waiting += total * per_record * share;
                    }
                }
            }
        }
    }

    /// Takes one sample of every meter; Flink does so every five seconds.
    pub fn sample_meters(&mut self) {
        for task in self.vertices.iter_mut().flat_map(|v| &mut v.tasks) {
            task.meters.sample(&task.counters);
        }
    }

    /// Seconds that a barrier needs from the sources to the last task: on every vertex it waits behind the records of the
    /// fullest queue.
    pub fn barrier_travel(&self, graph: &Graph) -> Vec<f64> {
        let mut arrival = vec![0.0_f64; self.vertices.len()];
        for (index, (node, vertex)) in graph.vertices.iter().zip(&self.vertices).enumerate() {
            let mut latest = 0.0_f64;
            for (edge, queue) in node.inputs.iter().zip(&vertex.queues) {
                let sent = arrival.get(edge.from).copied().unwrap_or(0.0);
                let wait = queue
                    .waiting
                    .iter()
                    .zip(&vertex.tasks)
                    .map(|(waiting, task)| {
                        // In its first moments a task has no recent rate yet.
                        let lived = task.counters.lived();
                        let so_far = if lived < 2.0 { task.counters.records_in / lived.max(0.1) } else { 0.0 };
                        let rate = task.counters.recent_rate().max(so_far);
                        if *waiting < 1.0 { 0.0 } else { waiting / rate.max(waiting / 600.0) }
                    })
                    .fold(0.0, f64::max);
                latest = latest.max(sent + wait);
            }
            if let Some(slot) = arrival.get_mut(index) {
                *slot = latest;
            }
        }
        arrival
    }

    /// Remembers how much each task worked off, so that [`barrier_travel`](Self::barrier_travel) knows recent rates. Call it
    /// about once a second with the seconds since the last call.
    pub fn remember_rates(&mut self, seconds: f64) {
        for task in self.vertices.iter_mut().flat_map(|v| &mut v.tasks) {
            task.counters.remember(seconds);
        }
    }

    /// Records in flight between tasks.
    pub fn in_flight(&self) -> f64 {
        self.vertices.iter().flat_map(|v| &v.queues).flat_map(|q| &q.waiting).sum()
    }
}

fn take_from_queues(graph: &Graph, node: &super::graph::Node, queues: &mut [Queue], tasks: &mut [Task], moved: &[f64]) {
    for (i, (task, &records)) in tasks.iter_mut().zip(moved).enumerate() {
        let available: f64 = queues.iter().map(|q| q.waiting[i]).sum();
        if available <= 0.0 {
            continue;
        }
        let part = (records / available).min(1.0);
        for (queue, edge) in queues.iter_mut().zip(&node.inputs) {
            let taken = queue.waiting[i] * part;
            queue.waiting[i] -= taken;
            let size = graph.spec.vertices.get(edge.from).map_or(200, |v| v.record_size);
            task.counters.bytes_in += taken * size as f64;
        }
    }
}

impl Queue {
    fn new(
        edge: &super::graph::Edge,
        from: usize,
        to: usize,
        max_parallelism: u32,
        skew: f64,
        record_size: u64,
    ) -> Self {
        let pointwise = edge.is_pointwise(from, to);
        let channels = if pointwise { 1 } else { from };
        // Receiver: two exclusive buffers a channel and eight floating ones. Sender: one a channel and one being filled.
        let buffers = 2 * channels + 8 + channels + 1;
        let ship = if edge.ship == ShipStrategy::Forward && !pointwise { ShipStrategy::Rebalance } else { edge.ship };
        Self {
            waiting: vec![0.0; to],
            capacity: (buffers as u64 * SEGMENT) as f64 / record_size as f64,
            shares: shares(ship, to, max_parallelism, skew),
            pointwise,
            ratio: edge.ratio,
            accept: vec![0.0; to],
            demand: 0.0,
        }
    }
}

impl Task {
    fn new() -> Self {
        Self { counters: Counters::default(), meters: Meters::default(), blocked: false, moved: 0.0, drift: 0.0 }
    }

    fn speed(&self) -> f64 {
        1.0 + self.drift
    }
}
