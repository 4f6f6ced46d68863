//! The executor rules: from the decisions of all vertices to a proposal, or to the one reason why there is none
//! (`autoscaler.md` §6).
//!
//! Owns memory pressure, exclusion, the all-or-nothing rule, excluded periods, the resource check and the quota, in the order
//! of §6.1. It proposes; it neither writes nor stores.

use std::collections::BTreeMap;

use super::evaluate::{EvaluatedWindow, current};
use super::events::{self, ReportHeader};
use super::excluded::{self, PeriodError};
use super::explain::Explain;
use super::generation::ReportRule;
use super::options::{OptionId, Options};
use super::pass::{Pass, PassInput, Proposal, ResourceRequest};
use super::predict;
use super::reasons::{self, clock_time};
use super::restart::RestartTime;
use super::slots;
use super::time::seconds;
use super::tuning::{MemoryPlan, NoTuning, TuningInput, tune};
use super::vertex::{VertexDecision, VertexError, VertexScaler};
use crate::domain::decision::VertexChange;
use crate::domain::evaluation::{EvaluatedMetrics, ScalingMetric as M};
use crate::domain::explanation::{Origin, Step, Value, Verdict};
use crate::domain::ids::VertexId;
use crate::domain::reason::{Reason, ReasonCode};
use crate::domain::units::Unit;

/// Why the executor fails as a whole.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExecuteError {
    /// A vertex could not be judged.
    #[error(transparent)]
    Vertex(#[from] VertexError),
    /// Memory tuning met a size below zero (§7.2).
    #[error("Memory cannot be tuned: {0}")]
    Memory(NoTuning),
    /// An excluded period cannot be read.
    #[error(transparent)]
    Period(#[from] PeriodError),
}

/// The executor at work on one evaluated window.
pub(super) struct Executor<'a> {
    pub input: &'a PassInput<'a>,
    pub restart: RestartTime,
    pub window: &'a mut EvaluatedWindow,
    pub out: &'a mut Pass,
    pub explain: &'a mut Explain,
}

impl Executor<'_> {
    /// Goes through the rules in order; the first one that blocks gives the reason.
    ///
    /// # Errors
    /// If a vertex or an excluded period could not be judged.
    pub(super) fn run(mut self) -> Result<Reason, ExecuteError> {
        if let Some(reason) = self.memory_pressure() {
            return Ok(reason);
        }
        let decisions = self.decide_vertices()?;
        let changing = |decision: &Option<VertexDecision>| matches!(decision, Some(VertexDecision::Change { .. }));
        let acts = decisions.iter().any(|d| matches!(d, Some(VertexDecision::Change { outside_bounds: true, .. })));
        self.explain.step(|| {
            let count = decisions.iter().filter(|d| changing(d)).count();
            Step::new("All or nothing")
                .formula("all changes are made if one changing vertex is outside its bounds, else none")
                .input("changes", Value::number(count as f64, Unit::None), Origin::Step)
                .value(Value::Flag { value: acts })
                .verdict(if acts { Verdict::Acts } else { Verdict::Blocks })
        });
        if !acts {
            return Ok(reasons::balanced(self.input, &self.window.evaluation, &decisions));
        }
        let parallelism = self.apply_to_evaluation(&decisions);
        self.blocked_or_proposed(&parallelism)
    }

    fn options(&self) -> &Options {
        self.input.options
    }

    /// E1: under memory pressure nothing is scaled (§6.3).
    fn memory_pressure(&mut self) -> Option<Reason> {
        let options = self.input.options;
        let global = &self.window.evaluation.global;
        let (gc, heap) = (global.current(M::GcPressure), global.average(M::HeapMaxUsageRatio));
        let (gc_limit, heap_limit) = (options.gc_pressure_threshold, options.heap_usage_threshold);
        let high_gc = gc > gc_limit;
        let high_heap = !high_gc && heap > heap_limit;
        let at = self.input.window.last().map(|newest| newest.at);
        self.explain.step(|| {
            let ratio = |value: f64| Value::number(value, Unit::Ratio);
            let metric = |metric: M| Origin::Metric { name: metric.name().into() };
            Step::new("Memory pressure")
                .formula(
                    "GC_PRESSURE > memory.gc-pressure.threshold or HEAP_MAX_USAGE_RATIO > memory.heap-usage.threshold",
                )
                .observed("GC_PRESSURE", ratio(gc), metric(M::GcPressure), at)
                .input("memory.gc-pressure.threshold", ratio(gc_limit), options.origin(OptionId::GcPressureThreshold))
                .observed("HEAP_MAX_USAGE_RATIO", ratio(heap), metric(M::HeapMaxUsageRatio), at)
                .input("memory.heap-usage.threshold", ratio(heap_limit), options.origin(OptionId::HeapUsageThreshold))
                .value(Value::Flag { value: high_gc || high_heap })
                .verdict(if high_gc || high_heap { Verdict::Blocks } else { Verdict::Passed })
        });
        let percent = |ratio: f64| (ratio * 1000.0).round() / 10.0;
        let sentence = if high_gc {
            self.out.events.push(events::gc_pressure(options, gc));
            format!("Garbage collection takes {} % of the time, more than {} %.", percent(gc), percent(gc_limit))
        } else if high_heap {
            self.out.events.push(events::heap_usage(options, heap));
            format!("{} % of the heap are in use on average, more than {} %.", percent(heap), percent(heap_limit))
        } else {
            return None;
        };
        Some(Reason::new(ReasonCode::MemoryPressure, sentence))
    }

    /// E2: the decision of every vertex that is not excluded, in topological order.
    fn decide_vertices(&mut self) -> Result<Vec<Option<VertexDecision>>, VertexError> {
        let mut scaler = VertexScaler {
            options: self.input.options,
            now: self.input.now,
            restart_seconds: seconds(self.restart.time),
            history: &self.out.kept.history,
            delayed: &mut self.out.kept.delayed_scale_down,
            events: &mut self.out.events,
            explain: self.explain,
        };
        let mut decisions = Vec::with_capacity(self.window.evaluation.vertices.len());
        let evaluated = self.window.evaluation.vertices.iter_mut();
        for (vertex, (id, metrics)) in self.input.topology.vertices().iter().zip(evaluated) {
            decisions.push(match self.out.excluded.contains(id) {
                true => {
                    scaler.explain.step(|| {
                        Step::new(format!("Scaling of {}", vertex.name))
                            .about(*id)
                            .formula("in vertex.exclude.ids, or finished, or LOAD of the newest sample is not finite")
                            .input("finished", Value::Flag { value: vertex.finished }, Origin::Topology)
                            .value(Value::text("excluded from scaling"))
                            .verdict(Verdict::Blocks)
                    });
                    None
                }
                false => Some(scaler.scale(vertex, metrics)?),
            });
        }
        Ok(decisions)
    }

    /// E5: the changes become recommendations. Gives the parallelism of every vertex after the scaling.
    fn apply_to_evaluation(&mut self, decisions: &[Option<VertexDecision>]) -> BTreeMap<VertexId, i32> {
        let mut parallelism = BTreeMap::new();
        let evaluated = self.window.evaluation.vertices.iter_mut();
        for ((vertex, (id, metrics)), decision) in self.input.topology.vertices().iter().zip(evaluated).zip(decisions) {
            let to = match decision {
                Some(VertexDecision::Change { to, .. }) => *to,
                _ => vertex.parallelism,
            };
            parallelism.insert(*id, to);
            if to != vertex.parallelism {
                metrics.set(M::RecommendedParallelism, current(f64::from(to)));
                self.out.changes.push(VertexChange {
                    vertex: *id,
                    name: vertex.name.clone(),
                    from: vertex.parallelism,
                    to,
                    true_processing_rate: metrics.average(M::TrueProcessingRate),
                    target_rate: metrics.average(M::TargetDataRate),
                    expected_rate: metrics.current(M::ExpectedProcessingRate),
                });
            }
        }
        parallelism
    }

    /// E6 to E9: what may still block the changes, else the proposal.
    fn blocked_or_proposed(&mut self, parallelism: &BTreeMap<VertexId, i32>) -> Result<Reason, ExecuteError> {
        if let Some(reason) = self.not_allowed()? {
            return Ok(reason);
        }
        let report = events::scaling_report(self.options(), ReportHeader::Executed, &self.out.changes);
        let report_rule = self.options().generation.rules().report;
        if report_rule == ReportRule::BeforeChecks {
            self.out.events.push(report.clone());
        }
        let slots_used = self.window.evaluation.global.current(M::NumTaskSlotsUsed) as i32;
        let slots_after = slots::after(self.input.topology, parallelism, slots_used);
        let plan = self.tune(parallelism, slots_after)?;
        let tuned = plan.filter(|_| self.options().memory_tuning_enabled);
        let memory = match &tuned {
            Some(plan) => u64::try_from(plan.total).unwrap_or(0),
            None => self.options().process_size.map(|size| size.0).or(self.input.task_manager.memory).unwrap_or(0),
        };
        if let Some(reason) = self.no_capacity(slots_used, slots_after, memory) {
            return Ok(reason);
        }
        if let Some(reason) = self.quota_reached(memory) {
            return Ok(reason);
        }
        if report_rule == ReportRule::AfterChecks {
            self.out.events.push(report);
        }
        let config = tuned.and(self.out.recommendation.clone()).unwrap_or_default();
        let prediction = predict::predict(self.input, self.window, self.restart, parallelism, slots_after);
        self.explain.step(|| predict::step(&prediction));
        self.out.proposal =
            Some(Proposal { changes: self.out.changes.clone(), overrides: parallelism.clone(), config, prediction });
        Ok(reasons::proposed(&self.window.evaluation, &self.out.changes))
    }

    /// E6: scaling is disabled, or an excluded period is on (§6.6).
    fn not_allowed(&mut self) -> Result<Option<Reason>, PeriodError> {
        let options = self.input.options;
        self.explain.step(|| {
            Step::new("Scaling enabled")
                .formula("scaling.enabled")
                .input(
                    "scaling.enabled",
                    Value::Flag { value: options.scaling_enabled },
                    options.origin(OptionId::ScalingEnabled),
                )
                .value(Value::Flag { value: options.scaling_enabled })
                .verdict(if options.scaling_enabled { Verdict::Passed } else { Verdict::Blocks })
        });
        if !options.scaling_enabled {
            self.out.events.push(events::scaling_report(options, ReportHeader::ScalingDisabled, &self.out.changes));
            let what = reasons::changes_text(&self.out.changes);
            let sentence =
                format!("Scaling is disabled (job.autoscaler.scaling.enabled: false); recommended is {what}.");
            return Ok(Some(Reason::new(ReasonCode::ScalingDisabled, sentence)));
        }
        let Some(period) = excluded::excluded(&options.excluded_periods, self.input.now, self.input.zone)? else {
            return Ok(None);
        };
        let until = period.until;
        self.explain.step(|| {
            Step::new("Excluded periods")
                .formula("now is in one of excluded.periods; the value is the end of that")
                .input(
                    "excluded.periods",
                    Value::text(period.expression.to_owned()),
                    options.origin(OptionId::ExcludedPeriods),
                )
                .input("now", Value::Instant { value: self.input.now }, Origin::Clock)
                .value(until.map_or(Value::Nothing, |value| Value::Instant { value }))
                .verdict(Verdict::Blocks)
        });
        self.out.events.push(events::scaling_report(options, ReportHeader::ExcludedPeriod, &self.out.changes));
        let end = until.map_or_else(|| "without an end in sight".to_owned(), |at| format!("until {}", clock_time(at)));
        let what = reasons::changes_text(&self.out.changes);
        let sentence = format!("{:?} excludes scaling {end}; recommended is {what}.", period.expression);
        Ok(Some(Reason { until, ..Reason::new(ReasonCode::ExcludedPeriod, sentence) }))
    }

    /// E7: what memory tuning recommends, in any case; it is used only where tuning is enabled (§7).
    fn tune(
        &mut self,
        parallelism: &BTreeMap<VertexId, i32>,
        slots_after: i32,
    ) -> Result<Option<MemoryPlan>, ExecuteError> {
        let options = self.input.options;
        let input = TuningInput {
            options,
            topology: self.input.topology,
            parallelism,
            global: &self.window.evaluation.global,
            task_manager_memory: self.input.task_manager.memory.or(options.process_size.map(|size| size.0)),
            slots_after,
        };
        match tune(&input) {
            Ok(plan) => {
                let changes = plan.changes();
                let at = self.input.window.last().map(|newest| newest.at);
                self.explain.step(|| plan.explain(options, at));
                self.out.events.push(events::configuration_recommendation(options, &changes));
                self.out.recommendation = Some(changes);
                Ok(Some(plan))
            }
            Err(NoTuning::Negative) => Err(ExecuteError::Memory(NoTuning::Negative)),
            Err(why @ (NoTuning::Invalid(_) | NoTuning::UnknownMemory | NoTuning::Nothing)) => {
                self.explain.step(|| {
                    Step::new("TaskManager memory")
                        .formula("none: there is nothing to share out")
                        .value(Value::text(why.to_string()))
                });
                Ok(None)
            }
        }
    }

    /// E8: the cluster has no room for the TaskManagers (§6.4).
    fn no_capacity(&mut self, slots_used: i32, slots_after: i32, memory_bytes: u64) -> Option<Reason> {
        let check = self.input.resource_check?;
        let cpu = self.input.task_manager.cpu.unwrap_or(0.0);
        if cpu <= 0.0 || memory_bytes == 0 {
            self.explain.step(|| {
                Step::new("Resource check")
                    .formula("none: passes while cpu or memory of a TaskManager is not known")
                    .input("cpu", Value::number(cpu, Unit::Cores), Origin::Topology)
                    .input("memory", Value::number(memory_bytes as f64, Unit::Bytes), Origin::Step)
                    .value(Value::text("the size of a TaskManager is not known"))
            });
            return None;
        }
        let per_task_manager = self.options().number_of_task_slots;
        let request = ResourceRequest {
            current_slots: slots_used,
            new_slots: slots_after,
            current_task_managers: slots::task_managers(slots_used, per_task_manager),
            new_task_managers: slots::task_managers(slots_after, per_task_manager),
            cpu,
            memory_bytes,
        };
        self.out.resource_request = Some(request);
        let answer = check.try_schedule(&request);
        self.explain.step(|| {
            let step = Step::new("Resource check")
                .formula("TaskManagers = ceil(slots / taskmanager.numberOfTaskSlots)")
                .input("slots", Value::number(f64::from(slots_after), Unit::Slots), Origin::Step)
                .input(
                    "taskmanager.numberOfTaskSlots",
                    Value::number(f64::from(per_task_manager), Unit::Slots),
                    self.input.options.origin(OptionId::NumberOfTaskSlots),
                )
                .input("cpu", Value::number(cpu, Unit::Cores), Origin::Topology)
                .input("memory", Value::number(memory_bytes as f64, Unit::Bytes), Origin::Step)
                .number(f64::from(request.new_task_managers), Unit::TaskManagers);
            step.verdict(if answer.is_ok() { Verdict::Passed } else { Verdict::Blocks })
        });
        let why = answer.err()?;
        let sentence = format!(
            "{} slots in {} TaskManagers do not fit into the cluster: {why}",
            request.new_slots, request.new_task_managers
        );
        Some(Reason::new(ReasonCode::NoCapacity, sentence))
    }

    /// E8: a quota of cores or memory would be exceeded (§6.5).
    fn quota_reached(&mut self, memory_bytes: u64) -> Option<Reason> {
        let options = self.input.options;
        let quota = slots::Quota { cpu: options.quota_cpu, memory: options.quota_memory.map(|size| size.0) };
        let (now, after) = slots::quota_task_managers(self.input.topology, &self.out.changes, quota, options)?;
        let cpu = self.input.task_manager.cpu.unwrap_or(0.0) * f64::from(after);
        let memory = memory_bytes as f64 * f64::from(after);
        let above = |limit: Option<f64>, need: f64| limit.is_some_and(|limit| need > limit);
        let reached = after > now && (above(quota.cpu, cpu) || above(quota.memory.map(|bytes| bytes as f64), memory));
        self.explain.step(|| {
            Step::new("Quota")
                .formula("TaskManagers of the changing vertices * size of a TaskManager <= quota")
                .input("TaskManagers", Value::number(f64::from(after), Unit::TaskManagers), Origin::Step)
                .input("cpu", Value::number(cpu, Unit::Cores), Origin::Step)
                .input(
                    "quota.cpu",
                    quota.cpu.map_or(Value::Nothing, |cores| Value::number(cores, Unit::Cores)),
                    options.origin(OptionId::QuotaCpu),
                )
                .input("memory", Value::number(memory, Unit::Bytes), Origin::Step)
                .input(
                    "quota.memory",
                    quota.memory.map_or(Value::Nothing, |bytes| Value::number(bytes as f64, Unit::Bytes)),
                    options.origin(OptionId::QuotaMemory),
                )
                .value(Value::Flag { value: reached })
                .verdict(if reached { Verdict::Blocks } else { Verdict::Passed })
        });
        if !reached {
            return None;
        }
        self.out.events.push(events::quota_reached(options));
        let sentence = format!(
            "{after} TaskManagers with {cpu} cores and {} of memory exceed the quota.",
            super::options::MemorySize(memory as u64)
        );
        Some(Reason::new(ReasonCode::QuotaReached, sentence))
    }
}

/// The evaluated metrics as they were before the executor: without what a half-done pass wrote (§1.4).
pub(super) fn forget_expected_rates(vertices: &mut [(VertexId, EvaluatedMetrics)]) {
    for (_, metrics) in vertices {
        metrics.set(M::ExpectedProcessingRate, None);
    }
}
