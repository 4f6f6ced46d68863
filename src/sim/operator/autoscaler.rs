//! The operator's own autoscaler, small: measures as DS2 does, reports or scales, and keeps its state in `autoscaler-<name>` (`operator.md` §7).
//!
//! It is there so that others can watch an operator that scales by itself. Its decisions follow true processing rates and target rates; the
//! finer rules of the real one (key groups, ineffective scalings, memory tuning, capacity) are not simulated.

mod documents;

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::events::Event;
use super::options::Options;
use super::spec;
use super::subject::{Around, OPERATOR, Subject};
use crate::domain::ids::VertexId;
use crate::sim::de;
use crate::sim::job::Job;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Write};
use crate::sim::world::World;

/// What was measured at a vertex at one moment: totals, so that two of them give a rate.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Measured {
    pub parallelism: u32,
    pub records_in: f64,
    pub records_out: f64,
    /// Milliseconds, all subtasks together.
    pub busy: f64,
    /// Records that wait; sources only.
    pub lag: f64,
    /// Records that arrive per second; sources only.
    pub arrives: Option<f64>,
    pub max_parallelism: u32,
}

/// What is wanted for a vertex, with the numbers that say why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wanted {
    pub current: u32,
    pub new: u32,
    /// True processing rate, records per second.
    pub capacity: f64,
    pub expected: f64,
    pub target: f64,
    pub load: f64,
    pub lag: f64,
    pub max_parallelism: u32,
}

/// A rescale, and how long the job was away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tracked {
    pub at: i64,
    /// Seconds, once all tasks ran again.
    pub took: Option<f64>,
}

/// One vertex in the history.
pub(super) type History = BTreeMap<VertexId, Vec<(i64, Wanted)>>;

/// The state of one job.
#[derive(Debug, Default)]
pub(super) struct Scaler {
    samples: VecDeque<(i64, BTreeMap<VertexId, Measured>)>,
    since: i64,
    overrides: BTreeMap<VertexId, u32>,
    history: History,
    tracking: Vec<Tracked>,
    reset: Option<i64>,
    stored: bool,
}

impl Subject {
    /// Runs the autoscaler and puts its overrides into the spec of this loop.
    pub(super) fn autoscale(&mut self, around: &Around<'_>, spec: &mut Value) {
        let options = self.options(around, spec);
        if options.autoscaler("enabled").is_none_or(|on| on.trim() != "true") {
            if self.scaler.stored {
                self.scaler = Scaler::default();
                self.store_scaler(around, json!({}));
            }
            return;
        }
        let nonce = spec.pointer("/job/autoscalerResetNonce").and_then(Value::as_i64);
        if around.timing.release.reset_nonce() && nonce.is_some() && nonce != self.scaler.reset {
            if self.status.last_reconciled.is_some() {
                self.scaler = Scaler::default();
                self.scaler.stored = true;
            }
            self.scaler.reset = nonce;
        }
        self.evaluate(around, spec, &options);
        self.inject(spec, &options);
    }

    fn evaluate(&mut self, around: &Around<'_>, spec: &Value, options: &Options) {
        let (name, id) = (self.cluster(spec).to_owned(), self.status.job_id);
        let measured = around.server.world().with(|world| {
            let job = id.and_then(|id| world.job(&name, id)).filter(|job| job.all_running())?;
            Some((measure(world, job), job.times.running))
        });
        let running = self.status.job_state == Some("RUNNING");
        let Some((measured, since)) = measured.filter(|_| running) else { return };
        if self.scaler.since != since {
            self.scaler.samples.clear();
            self.scaler.since = since;
            if let Some(open) = self.scaler.tracking.last_mut().filter(|t| t.took.is_none()) {
                open.took = Some((since - open.at).max(0) as f64 / 1_000.0);
            }
        }
        let millis = |key: &str, default| options.autoscaler(key).and_then(de::parse_flink_millis).unwrap_or(default);
        let (stabilization, window) = (millis("stabilization.interval", 300_000), millis("metrics.window", 900_000));
        if around.now < since + stabilization {
            return;
        }
        self.scaler.samples.push_back((around.now, measured));
        while self.scaler.samples.front().is_some_and(|(at, _)| around.now - at > window)
            && self.scaler.samples.len() > 2
        {
            self.scaler.samples.pop_front();
        }
        let full = self.scaler.samples.front().is_some_and(|(at, _)| around.now - at >= window * 9 / 10);
        if full {
            self.decide(around, spec, options);
        }
        self.store_scaler(around, self.scaler.documents());
    }

    fn decide(&mut self, around: &Around<'_>, spec: &Value, options: &Options) {
        let inputs = self.inputs(around, spec);
        let Some(wanted) = self.scaler.wants(&inputs, options) else { return };
        let changes: BTreeMap<VertexId, Wanted> =
            wanted.iter().filter(|(_, w)| w.new != w.current).map(|(id, w)| (*id, *w)).collect();
        if changes.is_empty() {
            return;
        }
        let enabled = options.autoscaler("scaling.enabled").is_none_or(|on| on.trim() == "true");
        let header = if enabled {
            "Scaling execution enabled, begin scaling vertices:"
        } else {
            "Scaling execution disabled by config job.autoscaler.scaling.enabled:false, recommended parallelism change:"
        };
        let mut text = header.to_owned();
        for (id, w) in &changes {
            text.push_str(&format!(
                "{{ Vertex ID {id} | Parallelism {} -> {} | Processing capacity {:.2} -> {:.2} | Target data rate {:.2}}}",
                w.current, w.new, w.capacity, w.expected, w.target
            ));
        }
        let mut event = Event::normal("ScalingReport", OPERATOR, text);
        event.key = Some("ScalingExecutor");
        if !enabled {
            event.interval =
                options.autoscaler("scaling.event.interval").and_then(de::parse_flink_millis).unwrap_or(1_800_000);
            event.labels.insert("parallelismMap".to_owned(), hash_of(&changes).to_string().into());
        }
        self.say(around, &event);
        if !enabled {
            return;
        }
        let scaler = &mut self.scaler;
        for (id, w) in &wanted {
            scaler.overrides.insert(*id, w.new);
        }
        for (id, w) in changes {
            let history = scaler.history.entry(id).or_default();
            history.push((around.now, w));
            if history.len() > 3 {
                history.remove(0);
            }
        }
        scaler.tracking.push(Tracked { at: around.now, took: None });
        if scaler.tracking.len() > 5 {
            scaler.tracking.remove(0);
        }
        scaler.samples.clear();
    }

    /// Vertices with their inputs, sources first.
    fn inputs(&self, around: &Around<'_>, spec: &Value) -> Vec<(VertexId, Vec<VertexId>)> {
        let (name, id) = (self.cluster(spec).to_owned(), self.status.job_id);
        around.server.world().with(|world| {
            let job = id.and_then(|id| world.job(&name, id));
            job.map_or_else(Vec::new, |job| {
                let nodes = &job.graph.vertices;
                nodes.iter().map(|n| (n.id, n.inputs.iter().map(|edge| nodes[edge.from].id).collect())).collect()
            })
        })
    }

    /// The user's own map, overwritten by what is stored (`operator.md` §7.2).
    fn inject(&self, spec: &mut Value, options: &Options) {
        if self.scaler.overrides.is_empty() {
            return;
        }
        let mut all = options.get(spec::OVERRIDES).map(spec::overrides).unwrap_or_default();
        let excluded = options.autoscaler("vertex.exclude.ids").unwrap_or_default();
        for (id, parallelism) in &self.scaler.overrides {
            if !excluded.contains(&id.to_string()) {
                all.insert(*id, *parallelism);
            }
        }
        spec["flinkConfiguration"][spec::OVERRIDES] = map_text(&all).into();
    }

    fn store_scaler(&mut self, around: &Around<'_>, data: Value) {
        self.scaler.stored = data.as_object().is_some_and(|d| !d.is_empty());
        let key = Key::new(Kind::ConfigMap, &self.key.namespace, &format!("autoscaler-{}", self.key.name));
        around.server.with_store(|store, now| {
            let _ = store.update(&key, Part::Main, now, Write::Real, |object| {
                object["data"] = data;
                Ok(())
            });
        });
    }
}

impl Scaler {
    /// What each vertex should have; none while rates are not known.
    fn wants(&self, inputs: &[(VertexId, Vec<VertexId>)], options: &Options) -> Option<BTreeMap<VertexId, Wanted>> {
        let ((from, first), (to, last)) = (self.samples.front()?, self.samples.back()?);
        let seconds = (to - from) as f64 / 1_000.0;
        let number =
            |key: &str, default: f64| options.autoscaler(key).and_then(|t| t.trim().parse().ok()).unwrap_or(default);
        let utilization = options
            .autoscaler("utilization.target")
            .or_else(|| options.autoscaler("target.utilization"))
            .and_then(|t| t.trim().parse().ok())
            .unwrap_or(0.7_f64);
        let boundary = number("target.utilization.boundary", 0.3);
        let catch_up =
            options.autoscaler("catch-up.duration").and_then(de::parse_flink_millis).unwrap_or(1_800_000).max(1_000)
                as f64
                / 1_000.0;
        let mut targets: BTreeMap<VertexId, f64> = BTreeMap::new();
        let mut all = BTreeMap::new();
        for (id, from) in inputs {
            let (before, after) = (first.get(id)?, last.get(id)?);
            let (records, busy) = (after.records_in - before.records_in, (after.busy - before.busy) / 1_000.0);
            if seconds <= 0.0 || records <= 0.0 || busy <= 0.0 {
                return None;
            }
            let parallelism = f64::from(after.parallelism);
            let capacity = records / busy * parallelism;
            let (steady, target) = match after.arrives {
                Some(arrives) => (arrives, arrives + after.lag / catch_up),
                None => {
                    let emitted: f64 =
                        from.iter().filter_map(|f| Some(last.get(f)?.records_out - first.get(f)?.records_out)).sum();
                    let upstream: f64 = from
                        .iter()
                        .filter_map(|f| {
                            let read = last.get(f)?.records_in - first.get(f)?.records_in;
                            let out = last.get(f)?.records_out - first.get(f)?.records_out;
                            Some(targets.get(f)? * out / read.max(1.0))
                        })
                        .sum();
                    let share = if emitted > 0.0 { (records / emitted).min(1.0) } else { 1.0 };
                    (upstream * share, upstream * share)
                }
            };
            targets.insert(*id, target);
            let load = steady / capacity;
            let inside = (load - utilization).abs() <= boundary && after.lag < steady * 10.0;
            let bounded = |new: f64| {
                let floor = (parallelism * (1.0 - number("scale-down.max-factor", 0.6)))
                    .ceil()
                    .max(number("vertex.min-parallelism", 1.0));
                let most = number("vertex.max-parallelism", 200.0).min(f64::from(after.max_parallelism));
                new.max(if new < parallelism { floor } else { 1.0 }).min(most).max(1.0)
            };
            let new =
                if inside { parallelism } else { bounded((parallelism * target / (utilization * capacity)).ceil()) };
            all.insert(
                *id,
                Wanted {
                    current: after.parallelism,
                    new: new as u32,
                    capacity,
                    expected: capacity * new / parallelism,
                    target,
                    load: busy / (seconds * parallelism),
                    lag: after.lag,
                    max_parallelism: after.max_parallelism,
                },
            );
        }
        Some(all)
    }

    fn documents(&self) -> Value {
        let mut data = json!({"collectedMetrics": documents::compressed(&documents::metrics(&self.samples))});
        if !self.history.is_empty() {
            data["scalingHistory"] = documents::compressed(&documents::history(&self.history)).into();
        }
        if !self.tracking.is_empty() {
            data["scalingTracking"] = documents::compressed(&documents::tracking(&self.tracking)).into();
        }
        if !self.overrides.is_empty() {
            data["parallelismOverrides"] = map_text(&self.overrides).into();
        }
        data
    }
}

fn map_text(all: &BTreeMap<VertexId, u32>) -> String {
    all.iter().map(|(id, p)| format!("{id}:{p}")).collect::<Vec<_>>().join(",")
}

fn measure(world: &World, job: &Job) -> BTreeMap<VertexId, Measured> {
    let mut all = BTreeMap::new();
    for (index, node) in job.graph.vertices.iter().enumerate() {
        let Some(flow) = job.flow.vertices.get(index) else { continue };
        let sum = |value: fn(&crate::sim::meters::Counters) -> f64| flow.tasks.iter().map(|t| value(&t.counters)).sum();
        let cursor = job.cursors.get(index).and_then(Option::as_ref);
        let topic = cursor.and_then(|cursor| Some((cursor, world.topic(cursor)?)));
        all.insert(
            node.id,
            Measured {
                parallelism: job.parallelism.get(index).copied().unwrap_or(1),
                records_in: sum(|c| c.records_in),
                records_out: sum(|c| c.records_out),
                busy: sum(|c| c.busy) * 1_000.0,
                lag: topic.map_or(0.0, |(cursor, topic)| cursor.lag(topic)),
                arrives: topic.map(|(_, topic)| topic.rate),
                max_parallelism: node.max_parallelism,
            },
        );
    }
    all
}

/// The label by which a repeated recommendation is known (`autoscaler.md` §10.4).
fn hash_of(changes: &BTreeMap<VertexId, Wanted>) -> u32 {
    let hash = |text: &str| text.encode_utf16().fold(0_u32, |h, unit| h.wrapping_mul(31).wrapping_add(u32::from(unit)));
    changes.iter().fold(0_u32, |sum, (id, w)| {
        sum.wrapping_add(hash(&id.to_string()) ^ hash(&format!("Parallelism {} -> {}", w.current, w.new)))
    }) & 0x7FFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_recommendation_is_javas() {
        let id: VertexId = "1b51e99e55e89e404d9a0443fd98d9e2".parse().unwrap();
        let to = |new| {
            let wanted = Wanted {
                current: 1,
                new,
                capacity: 0.0,
                expected: 0.0,
                target: 0.0,
                load: 0.0,
                lag: 0.0,
                max_parallelism: 1,
            };
            hash_of(&BTreeMap::from([(id, wanted)]))
        };
        assert_eq!((to(2), to(3)), (1_286_380_436, 1_286_380_437));
    }
}
