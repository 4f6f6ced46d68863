//! Cases about one window: evaluation alone, or a whole pass after collection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::history::{read_restarts, read_scalings, restarts};
use super::json::{At, JsonError};
use super::{Answer, instant, number};
use crate::autoscaler::evaluate::{EvaluatedWindow, evaluate as evaluate_window};
use crate::autoscaler::excluded::Zone;
use crate::autoscaler::explain::Explain;
use crate::autoscaler::generation::ScaleDownRule;
use crate::autoscaler::options::{OptionProblem, Options};
use crate::autoscaler::overrides::merge_overrides;
use crate::autoscaler::pass::{
    Pass, PassEvent, PassInput, PassOutcome, ResourceCheck, ResourceRequest, TaskManager, pass,
};
use crate::autoscaler::time::after;
use crate::domain::Timestamp;
use crate::domain::decision::ConfigChanges;
use crate::domain::evaluation::{Evaluated, EvaluatedMetrics, Evaluation, ScalingMetric};
use crate::domain::ids::VertexId;
use crate::domain::scaling::{DelayedRecommendation, DelayedScaleDown, ScalingState};
use crate::domain::topology::{Input, ShipStrategy, Topology, Vertex};
use crate::domain::window::{GlobalSample, Sample, VertexSample, WindowStatus};

/// The inputs of the families `evaluate`, `decide` and `memory`.
#[derive(Debug, Clone)]
pub struct PassCase {
    now: Timestamp,
    running_since: Timestamp,
    topology: Topology,
    samples: Vec<Arc<Sample>>,
    status: WindowStatus,
    restart_time: Duration,
    state: ScalingState,
    task_manager: TaskManager,
    max_task_managers: Option<i32>,
}

/// A cluster that holds a limited number of TaskManagers.
#[derive(Debug)]
struct AtMost(i32);

impl ResourceCheck for AtMost {
    fn try_schedule(&self, request: &ResourceRequest) -> Result<(), String> {
        match request.new_task_managers <= self.0 {
            true => Ok(()),
            false => Err(format!("{} TaskManagers are needed, {} fit", request.new_task_managers, self.0)),
        }
    }
}

/// Answers a case of family `evaluate`.
pub(super) fn evaluate(case: &PassCase, options: &Options, explain: bool) -> Answer {
    let mut steps = Explain::new(explain);
    let result = evaluate_window(options, &case.topology, &case.samples, case.restart_time, case.now, &mut steps);
    let explanation = steps.finish(case.now);
    match result {
        Ok(EvaluatedWindow { evaluation, .. }) => {
            let expect = json!({"evaluated": evaluated(&evaluation)});
            Answer { evaluation: Some(evaluation), explanation, ..Answer::plain(expect) }
        }
        Err(error) => Answer { explanation, ..Answer::plain(json!({"error": error.to_string()})) },
    }
}

/// The answer to a case of family `decide` or `memory` whose options cannot be read.
pub(super) fn failed(problem: &OptionProblem) -> Value {
    let error = json!({"type": "Warning", "reason": "AutoscalerError", "message": problem.to_string()});
    json!({"decision": {"outcome": outcome_text(PassOutcome::Error), "scaled": false, "events": [error]}})
}

/// Answers a case of family `decide` or `memory`.
pub(super) fn decide(case: &PassCase, options: &Options, explain: bool) -> Answer {
    let check = case.max_task_managers.map(AtMost);
    let mut result = pass(&PassInput {
        options,
        now: case.now,
        zone: Zone::utc(),
        running: true,
        running_since: case.running_since,
        topology: &case.topology,
        window: &case.samples,
        status: &case.status,
        state: &case.state,
        task_manager: case.task_manager,
        resource_check: check.as_ref().map(|check| check as &dyn ResourceCheck),
        explain,
    });
    // The operator applies at once.
    let after = result.applied(case.now);
    let expect = decide_answer(&result, &after, options);
    let explanation = result.explanation.take();
    let evaluation = result.evaluation.clone();
    Answer { evaluation, pass: Some(Box::new(result)), explanation, ..Answer::plain(expect) }
}

fn decide_answer(pass: &Pass, after: &ScalingState, options: &Options) -> Value {
    let outcome = pass.outcome();
    let failed = outcome == PassOutcome::Error;
    let scaled = outcome == PassOutcome::Scaled;
    let mut answer = Map::new();
    if let Some(restart) = pass.restart {
        answer.insert("restart_time_seconds".to_owned(), json!(restart.time.as_secs_f64()));
    }
    if let Some(evaluation) = &pass.evaluation {
        answer.insert("evaluated".to_owned(), evaluated(evaluation));
    }
    let recommended: Map<String, Value> = pass
        .evaluation
        .iter()
        .flat_map(|e| &e.vertices)
        .map(|(id, metrics)| {
            let value = metrics.get(ScalingMetric::RecommendedParallelism).map(|m| m.current as i64);
            (id.to_string(), json!(value))
        })
        .collect();
    let changes: Map<String, Value> =
        pass.changes.iter().map(|c| (c.vertex.to_string(), json!({"from": c.from, "to": c.to}))).collect();
    let mut events: Vec<&PassEvent> = pass.events.iter().collect();
    events.sort_by(|a, b| (a.reason, &a.key, &a.message).cmp(&(b.reason, &b.key, &b.message)));
    let decision = json!({
        "outcome": outcome_text(outcome),
        "scaled": scaled,
        "excluded": pass.excluded.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "vertices": changes,
        "recommended_parallelism": recommended,
        "parallelism_overrides": override_texts(&after.parallelism_overrides),
        "config_overrides": config(&after.config_overrides),
        "config_recommendation": pass.recommendation.as_ref().map(config),
        "resource_check": pass.resource_request.as_ref().map(request),
        "events": events.into_iter().map(event).collect::<Vec<_>>(),
    });
    answer.insert("decision".to_owned(), decision);
    let handed_over = merge_overrides(options, &after.parallelism_overrides, &pass.excluded);
    answer.insert(
        "applied".to_owned(),
        json!({
            "parallelism_overrides": handed_over,
            "config_overrides": options.memory_tuning_enabled.then(|| config(&after.config_overrides)),
        }),
    );
    answer.insert("state_after".to_owned(), state(after, options, scaled, failed));
    Value::Object(answer)
}

fn outcome_text(outcome: PassOutcome) -> &'static str {
    match outcome {
        PassOutcome::Scaled => "scaled",
        PassOutcome::Balanced => "balanced",
        PassOutcome::WindowNotFull => "window_not_full",
        PassOutcome::TooFewSamples => "too_few_samples",
        PassOutcome::Error => "error",
        PassOutcome::Skipped => "skipped",
    }
}

fn state(after: &ScalingState, options: &Options, scaled: bool, failed: bool) -> Value {
    let mut value = json!({"restarts": restarts(&after.restarts)});
    if scaled {
        let history = after.history.iter().map(|(id, summaries)| {
            let summary = summaries.iter().map(|s| json!({"at": instant(s.at), "from": s.from, "to": s.to}));
            (id.to_string(), summary.collect())
        });
        value["scaling_history"] = Value::Object(history.collect());
    }
    if options.generation.rules().scale_down == ScaleDownRule::Delayed && !failed {
        let delayed = after.delayed_scale_down.iter().map(|(id, delayed)| {
            let recommendation = |r: &DelayedRecommendation| {
                json!({"at": instant(r.at), "parallelism": r.parallelism, "outside_bounds": r.outside_bounds})
            };
            let recommendations: Vec<Value> = delayed.recommendations.iter().map(recommendation).collect();
            let entry = json!({
                "first_trigger": instant(delayed.first_trigger),
                "recommendations": recommendations,
            });
            (id.to_string(), entry)
        });
        value["delayed_scale_down"] = Value::Object(delayed.collect());
    }
    value
}

fn override_texts(overrides: &BTreeMap<VertexId, i32>) -> Value {
    Value::Object(overrides.iter().map(|(id, p)| (id.to_string(), json!(p.to_string()))).collect())
}

fn config(changes: &ConfigChanges) -> Value {
    let removed: BTreeSet<&String> = changes.removed.iter().collect();
    json!({"set": changes.set, "removed": removed})
}

fn request(request: &ResourceRequest) -> Value {
    json!({
        "current_task_managers": request.current_task_managers,
        "new_task_managers": request.new_task_managers,
        "cpu": request.cpu,
        "memory_bytes": request.memory_bytes,
    })
}

/// An event as cases write it.
pub(super) fn event(event: &PassEvent) -> Value {
    json!({
        "type": event.kind,
        "reason": event.reason,
        "message": event.message,
        "key": event.key,
        "interval_seconds": event.interval_seconds,
    })
}

fn evaluated(evaluation: &Evaluation) -> Value {
    let vertices: Map<String, Value> =
        evaluation.vertices.iter().map(|(id, metrics)| (id.to_string(), metric_pairs(metrics))).collect();
    json!({"vertices": vertices, "global": metric_pairs(&evaluation.global)})
}

fn metric_pairs(metrics: &EvaluatedMetrics) -> Value {
    let pair = |e: Evaluated| json!({"current": number(e.current), "average": number(e.average)});
    Value::Object(metrics.iter().map(|(metric, e)| (metric.name().to_owned(), pair(e))).collect())
}

/// Reads evaluated metrics; names that are no metrics are ignored.
pub(super) fn read_evaluated(at: &At<'_>) -> Result<EvaluatedMetrics, JsonError> {
    let mut metrics = EvaluatedMetrics::default();
    for (name, pair) in at.members()? {
        let Some(metric) = ScalingMetric::from_name(name) else { continue };
        let part = |part: &str| pair.find(part).map_or(Ok(f64::NAN), |value| value.double());
        metrics.set(metric, Some(Evaluated { current: part("current")?, average: part("average")? }));
    }
    Ok(metrics)
}

impl PassCase {
    /// The job graph.
    pub(super) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Reads the members of the case.
    pub(super) fn read(root: &At<'_>, options: &Options) -> Result<Self, JsonError> {
        let now = root.get("now")?.instant()?;
        let running_since = root.get("running_since")?.instant()?;
        let topology = root.get("topology")?;
        let vertices = topology.get("vertices")?;
        let vertices = vertices.items()?.map(|v| read_vertex(&v)).collect::<Result<_, _>>()?;
        let window = root.get("window")?;
        let samples = window.items()?.map(|s| read_sample(&s).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let full = root.get("fully_collected")?.flag()?;
        let restart_time = match root.find("restart_time_seconds") {
            Some(seconds) => Duration::try_from_secs_f64(seconds.double()?)
                .map_err(|_| seconds.error("expected a time of 0 seconds or more"))?,
            None => Duration::ZERO,
        };
        let (task_manager, max_task_managers) = read_cluster(root, options)?;
        Ok(Self {
            now,
            running_since,
            topology: Topology::new(vertices),
            status: status(&samples, full, running_since, now, options),
            samples,
            restart_time,
            state: read_state(root)?,
            task_manager,
            max_task_managers,
        })
    }
}

/// How full the window is: a case says only whether.
fn status(
    samples: &[Arc<Sample>],
    full: bool,
    running_since: Timestamp,
    now: Timestamp,
    options: &Options,
) -> WindowStatus {
    let length = options.metrics_window;
    let stable_at = after(running_since, options.stabilization_interval);
    let collected = (now - stable_at).as_seconds_f64().max(0.0) / length.as_secs_f64().max(f64::MIN_POSITIVE);
    WindowStatus {
        samples: samples.len(),
        stable_at,
        full_at: if full { now } else { after(stable_at, length).max(now) },
        fill: if full { 1.0 } else { collected.min(1.0) },
        full,
        length,
        period: Duration::from_secs(60),
    }
}

fn read_vertex(at: &At<'_>) -> Result<Vertex, JsonError> {
    let inputs = at.get("inputs")?;
    let inputs = inputs.items()?.map(|input| {
        let ship_strategy = ShipStrategy::parse(input.get("ship_strategy")?.text()?);
        Ok(Input { id: input.get("id")?.parse()?, ship_strategy })
    });
    Ok(Vertex {
        id: at.get("id")?.parse()?,
        name: at.find("name").map_or(Ok(""), |name| name.text())?.to_owned(),
        parallelism: at.get("parallelism")?.int()?,
        max_parallelism: at.get("max_parallelism")?.int()?,
        source_partitions: at.find("source_partitions").map_or(Ok(0), |n| n.int())?,
        finished: at.find("finished").map_or(Ok(false), |flag| flag.flag())?,
        slot_sharing_group: match at.find("slot_sharing_group") {
            Some(group) => Some(group.parse()?),
            None => None,
        },
        inputs: inputs.collect::<Result<_, JsonError>>()?,
    })
}

fn read_sample(at: &At<'_>) -> Result<Sample, JsonError> {
    let vertices = at.get("vertices")?;
    let vertices = vertices.by_vertex()?.map(|entry| {
        let (id, metrics) = entry?;
        let metric = |metric: ScalingMetric| metrics.find(metric.name()).map_or(Ok(f64::NAN), |value| value.double());
        let sample = VertexSample {
            load: metric(ScalingMetric::Load)?,
            accumulated_busy_time: metric(ScalingMetric::AccumulatedBusyTime)?,
            records_in: metric(ScalingMetric::NumRecordsIn)?,
            records_out: metric(ScalingMetric::NumRecordsOut)?,
            lag: metrics.find(ScalingMetric::Lag.name()).map(|value| value.double()).transpose()?,
            observed_tpr: metric(ScalingMetric::ObservedTpr)?,
            records_in_per_second: metric(ScalingMetric::NumRecordsInPerSecond)?,
        };
        Ok((id, sample))
    });
    let vertices = vertices.collect::<Result<_, JsonError>>()?;
    let global = match at.find("global") {
        Some(global) => {
            let metric =
                |metric: ScalingMetric| global.find(metric.name()).map_or(Ok(f64::NAN), |value| value.double());
            GlobalSample {
                gc_pressure: metric(ScalingMetric::GcPressure)?,
                heap_used: metric(ScalingMetric::HeapMemoryUsed)?,
                heap_max_usage_ratio: metric(ScalingMetric::HeapMaxUsageRatio)?,
                managed_used: metric(ScalingMetric::ManagedMemoryUsed)?,
                metaspace_used: metric(ScalingMetric::MetaspaceMemoryUsed)?,
                slots_used: metric(ScalingMetric::NumTaskSlotsUsed)?,
            }
        }
        None => GlobalSample::MISSING,
    };
    Ok(Sample::new(at.get("at")?.instant()?, vertices, global))
}

fn read_cluster(root: &At<'_>, options: &Options) -> Result<(TaskManager, Option<i32>), JsonError> {
    let mut task_manager = TaskManager { cpu: None, memory: options.process_size.map(|size| size.0) };
    let mut max_task_managers = None;
    if let Some(cluster) = root.find("cluster") {
        if let Some(one) = cluster.find("task_manager") {
            task_manager.cpu = one.find("cpu").map(|cpu| cpu.double()).transpose()?;
            if let Some(memory) = one.find("memory_bytes") {
                let bytes = u64::try_from(memory.long()?).map_err(|_| memory.error("must not be negative"))?;
                task_manager.memory = Some(bytes);
            }
        }
        if let Some(check) = cluster.find("resource_check") {
            max_task_managers = check.find("max_task_managers").map(|max| max.int()).transpose()?;
        }
    }
    Ok((task_manager, max_task_managers))
}

fn read_state(root: &At<'_>) -> Result<ScalingState, JsonError> {
    let mut state = ScalingState::default();
    if let Some(records) = root.find("restarts") {
        state.restarts = read_restarts(&records)?;
    }
    if let Some(history) = root.find("scaling_history") {
        state.history = read_scalings(&history)?;
    }
    if let Some(delayed) = root.find("delayed_scale_down") {
        for entry in delayed.by_vertex()? {
            let (id, one) = entry?;
            state.delayed_scale_down.insert(id, read_delayed(&one)?);
        }
    }
    if let Some(overrides) = root.find("parallelism_overrides") {
        for entry in overrides.by_vertex()? {
            let (id, parallelism) = entry?;
            state.parallelism_overrides.insert(id, parallelism.parse()?);
        }
    }
    Ok(state)
}

fn read_delayed(at: &At<'_>) -> Result<DelayedScaleDown, JsonError> {
    let recommendations = at.get("recommendations")?;
    let recommendations = recommendations.items()?.map(|one| {
        Ok(DelayedRecommendation {
            at: one.get("at")?.instant()?,
            parallelism: one.get("parallelism")?.int()?,
            outside_bounds: one.get("outside_bounds")?.flag()?,
        })
    });
    Ok(DelayedScaleDown {
        first_trigger: at.get("first_trigger")?.instant()?,
        recommendations: recommendations.collect::<Result<_, JsonError>>()?,
    })
}
