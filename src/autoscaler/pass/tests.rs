//! What a pass says, keeps and proposes.

use chrono::TimeDelta;

use super::super::fixture::*;
use super::super::generation::Generation;
use super::super::options::MemorySize;
use super::*;
use crate::domain::evaluation::{Evaluated, EvaluatedMetrics};
use crate::domain::explanation::{Origin, Step, Value, Verdict};
use crate::domain::ids::SlotSharingGroupId;
use crate::domain::scaling::RestartRecord;
use crate::domain::topology::Vertex;

mod properties;

/// A resource check with one answer.
struct Room(bool);

impl ResourceCheck for Room {
    fn try_schedule(&self, _: &ResourceRequest) -> Result<(), String> {
        if self.0 { Ok(()) } else { Err("two nodes are full.".to_owned()) }
    }
}

const AT_ONCE: (&str, &str) = ("scale-down.interval", "0 s");

fn moves(pass: &Pass) -> Vec<(&str, i32, i32, f64)> {
    pass.changes.iter().map(|c| (c.name.as_str(), c.from, c.to, c.expected_rate)).collect()
}

#[test]
fn worked_example_in_both_generations() {
    let old = worked_example(Generation::V1_8, &[]).pass();
    assert_eq!(moves(&old), [("s1", 4, 8, 1720.0), ("s2", 2, 1, 600.0), ("map", 6, 8, 1339.0), ("sink", 3, 5, 669.0)]);
    let new = worked_example(Generation::Main, &[AT_ONCE]).pass();
    assert_eq!(moves(&new), [("s1", 4, 5, 1939.394), ("s2", 2, 1, 750.0), ("sink", 3, 5, 708.617)]);
    assert_eq!(new.reason.code, ReasonCode::Proposed);
    assert_eq!(new.reason.vertex, Some(id(S2)));
    assert_eq!(
        new.reason.sentence,
        "Scale s1 4 -> 5, s2 2 -> 1, sink 3 -> 5: s2 is outside its bounds, \
         its capacity of 1500 rec/s is above the 800 rec/s it may have."
    );
    let evaluation = new.evaluation.unwrap();
    let s1 = evaluation.vertex(id(S1)).unwrap();
    let average = |metric| s1.average(metric);
    assert_eq!(
        (average(M::Load), average(M::TrueProcessingRate), average(M::TargetDataRate)),
        (0.688, 1551.515, 1075.0)
    );
    assert_eq!(s1.current(M::CatchUpDataRate), 5.278);
    assert_eq!((s1.current(M::ScaleUpRateThreshold), s1.current(M::ScaleDownRateThreshold)), (1080.0, 2872.0));
    assert_eq!(s1.current(M::RecommendedParallelism), 5.0);
}

#[test]
fn every_pass_ends_with_one_reason() {
    let main = |texts: &[(&str, &str)]| worked_example(Generation::Main, texts);
    let code = |job: &Job| job.pass().reason.code;

    assert_eq!(code(&main(&[("enabled", "false")])), ReasonCode::Disabled);
    assert_eq!(code(&Job { running: false, ..main(&[]) }), ReasonCode::NotRunning);
    let filling = Job { full: false, ..main(&[]) }.pass();
    assert_eq!((filling.reason.code, filling.reason.until), (ReasonCode::WindowFilling, Some(at(240))));
    assert_eq!(filling.outcome(), PassOutcome::WindowNotFull);
    let mut few = main(&[]);
    few.samples.drain(..3);
    assert_eq!(code(&few), ReasonCode::TooFewSamples);
    let stabilizing = Job { running_since: at(260), full: false, ..main(&[]) }.pass();
    assert_eq!((stabilizing.reason.code, stabilizing.reason.until), (ReasonCode::Stabilizing, Some(at(320))));

    let mut blind = main(&[]);
    blind.each_sample(id(S1), |sample| sample.lag = Some(f64::NAN));
    let blind = blind.pass();
    assert_eq!((blind.reason.code, blind.outcome()), (ReasonCode::EvaluationFailed, PassOutcome::Error));
    assert_eq!(blind.events.iter().map(|e| e.reason).collect::<Vec<_>>(), ["AutoscalerError"]);

    let mut pressed = main(&[("memory.gc-pressure.threshold", "0.5")]);
    for sample in &mut pressed.samples {
        Arc::make_mut(sample).global.gc_pressure = 0.51;
    }
    assert_eq!(code(&pressed), ReasonCode::MemoryPressure);

    assert_eq!(code(&main(&[("target.utilization.boundary", "1.0")])), ReasonCode::WithinBand);
    let stuck = main(&[AT_ONCE, ("vertex.min-parallelism", "2")]).pass();
    assert_eq!((stuck.reason.code, stuck.reason.vertex), (ReasonCode::NoEffectiveChange, Some(id(S2))));
    // Busy time by the accumulated gauge, which this job does not have.
    assert_eq!(code(&main(&[("metrics.busy-time.aggregator", "AVG")])), ReasonCode::UnknownRate);
    let delayed = main(&[]).pass();
    assert_eq!((delayed.reason.code, delayed.reason.until), (ReasonCode::ScaleDownDelayed, Some(at(270 + 3600))));

    assert_eq!(code(&main(&[AT_ONCE, ("scaling.enabled", "false")])), ReasonCode::ScalingDisabled);
    // The example ends at 16:04:30 UTC.
    let excluded = main(&[AT_ONCE, ("excluded.periods", "* * * ? * SAT && 16:00-16:30")]).pass();
    assert_eq!(excluded.reason.code, ReasonCode::ExcludedPeriod);
    assert_eq!(excluded.reason.until, Some(at(1800) + TimeDelta::milliseconds(1)));
    assert!(excluded.proposal.is_none() && excluded.changes.len() == 3);
    assert_eq!(code(&main(&[AT_ONCE, ("excluded.periods", "at night")])), ReasonCode::EvaluationFailed);
}

/// One pass for every way in which one can end.
fn passes_of_every_kind() -> Vec<Pass> {
    let main = |texts: &[(&str, &str)]| worked_example(Generation::Main, texts);
    let spoiled = |mut job: Job, change: &dyn Fn(&mut Job)| {
        change(&mut job);
        job
    };
    let scaled_before = |vertex: u128, from, to, tpr: f64, expected: f64| {
        move |job: &mut Job| {
            let mut metrics = EvaluatedMetrics::default();
            metrics.set(M::TrueProcessingRate, Some(Evaluated { current: f64::NAN, average: tpr }));
            metrics.set(M::ExpectedProcessingRate, Some(Evaluated { current: expected, average: f64::NAN }));
            job.state.history.insert(id(vertex), vec![ScalingSummary { at: at(-60), from, to, metrics }]);
        }
    };
    let no_lag = |job: &mut Job| job.each_sample(id(S1), |sample| sample.lag = Some(f64::NAN));
    let pressed = |job: &mut Job| {
        for sample in &mut job.samples {
            Arc::make_mut(sample).global.gc_pressure = 0.51;
        }
    };
    let sized = |cpu| TaskManager { cpu: Some(cpu), memory: Some(4 << 30) };
    let grouped = |v: &mut Vertex| v.slot_sharing_group = Some(SlotSharingGroupId::from_u128(v.id.as_u128()));
    let detecting = [("utilization.max", "0.9"), ("scaling.effectiveness.detection.enabled", "true")];
    let tuned = |generation| {
        let mut job = worked_example(generation, &[AT_ONCE, ("memory.tuning.enabled", "true")]);
        job.options.process_size = Some(MemorySize(4 << 30));
        for sample in &mut job.samples {
            let global = &mut Arc::make_mut(sample).global;
            (global.heap_used, global.managed_used, global.metaspace_used) = (5e8, 1e8, 1e8);
            global.slots_used = 6.0;
        }
        job
    };
    let jobs = [
        main(&[("enabled", "false")]),
        Job { running: false, ..main(&[]) },
        Job { full: false, ..main(&[]) },
        spoiled(main(&[]), &|job| drop(job.samples.drain(..3))),
        Job { running_since: at(260), full: false, ..main(&[]) },
        spoiled(main(&[]), &no_lag),
        spoiled(main(&[("memory.gc-pressure.threshold", "0.5")]), &pressed),
        main(&[("target.utilization.boundary", "1.0")]),
        main(&[AT_ONCE, ("vertex.min-parallelism", "2")]),
        main(&[("metrics.busy-time.aggregator", "AVG")]),
        main(&[]),
        spoiled(worked_example(Generation::V1_8, &[]), &scaled_before(S2, 1, 2, 700.0, 1400.0)),
        spoiled(main(&detecting), &scaled_before(SINK, 2, 3, 424.0, 900.0)),
        main(&[AT_ONCE, ("scaling.enabled", "false")]),
        main(&[AT_ONCE, ("excluded.periods", "16:00-16:30")]),
        Job { task_manager: sized(2.0), ..main(&[AT_ONCE, ("quota.cpu", "21")]) }.with_vertices(grouped),
        main(&[AT_ONCE]),
        worked_example(Generation::V1_8, &[]),
        tuned(Generation::V1_8),
        tuned(Generation::Main),
        Job { task_manager: sized(2.0), ..main(&[AT_ONCE, ("vertex.exclude.ids", &id(S1).to_string())]) },
    ];
    let full = Job { task_manager: sized(2.0), ..main(&[AT_ONCE]) };
    let passes = jobs.iter().map(|job| job.pass_with(None, true));
    passes.chain([full.pass_with(Some(&Room(false)), true)]).collect()
}

#[test]
fn every_code_of_the_pipeline_is_reached_with_its_sentence_and_its_event() {
    let passes = passes_of_every_kind();
    let mut reached: Vec<ReasonCode> = passes.iter().map(|pass| pass.reason.code).collect();
    reached.sort_by_key(|code| *code as usize);
    reached.dedup();
    let of_pipeline = ReasonCode::ALL.into_iter().take_while(|code| *code != ReasonCode::ModeOff);
    // That metrics are not ready shows before a pass, when they are collected.
    let expected: Vec<ReasonCode> = of_pipeline.filter(|code| *code != ReasonCode::MetricsNotReady).collect();
    assert_eq!(reached, expected);
    for Pass { reason, events, explanation, .. } in &passes {
        assert!(reason.sentence.len() > 20 && reason.sentence.ends_with('.'), "{reason:?}");
        assert!(explanation.is_some(), "{reason:?}");
        if let Some(event) = reason.code.operator_event() {
            assert!(events.iter().any(|e| e.reason == event), "{event} is not among {events:?}");
        }
    }
}

/// Every step with the path of labels that leads to it.
fn walk<'a>(steps: &'a [Step], path: &str, see: &mut dyn FnMut(&str, &'a Step)) {
    for step in steps {
        let path = format!("{path} / {}", step.label);
        see(&path, step);
        walk(&step.children, &path, see);
    }
}

#[test]
fn every_step_says_what_it_computed_from_what_and_how_old_that_is() {
    for pass in passes_of_every_kind() {
        let explanation = pass.explanation.unwrap();
        walk(&explanation.steps, "", &mut |path, step| {
            assert!(!step.label.trim().is_empty(), "{path}");
            let rule = step.formula.as_deref().unwrap_or_default();
            assert!(!rule.trim().is_empty(), "{path} has no formula: {step:?}");
            // A group stands for its steps; where nothing is computed the formula says why.
            let says_something = step.value != Value::Nothing || !step.children.is_empty() || !step.inputs.is_empty();
            assert!(says_something, "{path} says nothing: {step:?}");
            if rule.starts_with("none") {
                assert!(rule.len() > "none: ".len(), "{path} does not say why: {rule}");
            }
            for term in &step.inputs {
                assert!(!term.symbol.trim().is_empty(), "{path}");
                if let Origin::Metric { .. } = term.origin {
                    assert!(term.at.is_some(), "{path}: the age of {} is not said", term.symbol);
                }
                if let Origin::Option { key, layer } = &term.origin {
                    assert!(
                        !key.is_empty() && ["built-in", "file", "cluster", "job"].contains(&layer.as_ref()),
                        "{path}"
                    );
                }
            }
        });
    }
}

#[test]
fn a_use_of_memory_below_zero_fails_the_pass_as_it_fails_the_operators() {
    let mut job = worked_example(Generation::Main, &[AT_ONCE]);
    job.options.process_size = Some(MemorySize(4 << 30));
    job.task_manager.memory = Some(4 << 30);
    for sample in &mut job.samples {
        Arc::make_mut(sample).global.heap_used = -2.0;
    }
    let pass = job.pass();
    assert_eq!((pass.reason.code, pass.outcome()), (ReasonCode::EvaluationFailed, PassOutcome::Error));
    assert!(pass.proposal.is_none() && pass.recommendation.is_none() && pass.changes.is_empty());
    assert_eq!(pass.events.iter().map(|e| e.reason).collect::<Vec<_>>(), ["AutoscalerError"]);
}

#[test]
fn the_cluster_and_the_quota_can_say_no() {
    let job = Job {
        task_manager: TaskManager { cpu: Some(2.0), memory: Some(4 << 30) },
        ..worked_example(Generation::Main, &[AT_ONCE])
    };
    let refused = job.pass_with(Some(&Room(false)), false);
    assert_eq!((refused.reason.code, refused.proposal.is_none()), (ReasonCode::NoCapacity, true));
    assert!(refused.reason.sentence.ends_with("two nodes are full."));
    assert!(refused.events.iter().all(|e| e.reason != "ScalingReport"));
    let request = refused.resource_request.unwrap();
    assert_eq!((request.new_slots, request.new_task_managers, request.memory_bytes), (17, 17, 4 << 30));
    assert_eq!(job.pass_with(Some(&Room(true)), false).reason.code, ReasonCode::Proposed);

    let group = |n| Some(SlotSharingGroupId::from_u128(n));
    let limited = |limit: &str| {
        let job = worked_example(Generation::Main, &[AT_ONCE, ("quota.cpu", limit)]);
        let job = Job { task_manager: TaskManager { cpu: Some(2.0), memory: None }, ..job };
        job.with_vertices(|v| v.slot_sharing_group = group(v.id.as_u128())).pass()
    };
    // Changing vertices come to 5 + 1 + 5 TaskManagers.
    assert_eq!(limited("22").reason.code, ReasonCode::Proposed);
    let reached = limited("21.9");
    assert_eq!(reached.reason.code, ReasonCode::QuotaReached);
    assert!(reached.events.iter().any(|e| e.reason == "ResourceQuotaReached"));
}

#[test]
fn the_past_of_a_vertex_can_hold_it_back() {
    let summary = |from, to, tpr: f64, expected: f64, at| {
        let mut metrics = EvaluatedMetrics::default();
        metrics.set(M::TrueProcessingRate, Some(Evaluated { current: f64::NAN, average: tpr }));
        metrics.set(M::ExpectedProcessingRate, Some(Evaluated { current: expected, average: f64::NAN }));
        vec![ScalingSummary { at, from, to, metrics }]
    };
    let mut graced = worked_example(Generation::V1_8, &[]);
    graced.state.history.insert(id(S2), summary(1, 2, 700.0, 1400.0, at(-60)));
    let graced = graced.pass();
    assert_eq!((graced.reason.code, graced.reason.until), (ReasonCode::GracePeriod, Some(at(3540))));
    assert_eq!(graced.changes, []);

    for (detection, code) in [("true", ReasonCode::Ineffective), ("false", ReasonCode::Proposed)] {
        let texts = [("utilization.max", "0.9"), ("scaling.effectiveness.detection.enabled", detection)];
        let mut ineffective = worked_example(Generation::Main, &texts);
        ineffective.state.history.insert(id(SINK), summary(2, 3, 424.0, 900.0, at(-60)));
        let pass = ineffective.pass();
        assert_eq!((pass.reason.code, pass.reason.vertex), (code, Some(id(SINK))));
        assert!(pass.events.iter().any(|e| e.reason == "IneffectiveScaling"));
    }
}

#[test]
fn what_is_not_applied_leaves_no_trace() {
    let job = worked_example(Generation::Main, &[AT_ONCE]);
    let proposed = job.pass();
    assert!(proposed.proposal.is_some());
    assert_eq!(proposed.kept, job.state);

    let twenty_minutes_later = job.now() + TimeDelta::minutes(20);
    let applied = proposed.applied(twenty_minutes_later);
    assert_eq!(applied.restarts, [RestartRecord { at: twenty_minutes_later, duration: None }]);
    let entries: Vec<_> =
        applied.history.iter().flat_map(|(v, h)| h.iter().map(|s| (*v, s.at, s.from, s.to))).collect();
    let when = twenty_minutes_later;
    assert_eq!(entries, [(id(S1), when, 4, 5), (id(S2), when, 2, 1), (id(SINK), when, 3, 5)]);
    assert_eq!(applied.parallelism_overrides.values().copied().collect::<Vec<_>>(), [5, 1, 6, 5]);
    assert_eq!(applied.history[&id(S1)][0].metrics.current(M::ExpectedProcessingRate), 1939.394);

    // The job was down for 90 seconds; the minutes before the approval are no part of it.
    let mut restarted = job.clone().with_vertices(|vertex| {
        vertex.parallelism = applied.parallelism_overrides[&vertex.id];
    });
    restarted.state = applied;
    restarted.running_since = when + TimeDelta::seconds(90);
    restarted.full = false;
    for sample in &mut restarted.samples {
        Arc::make_mut(sample).at += TimeDelta::minutes(25);
    }
    assert_eq!(restarted.pass().kept.restarts, [RestartRecord { at: when, duration: Some(TimeDelta::seconds(90)) }]);
}

#[test]
fn delayed_scale_downs_are_kept_until_something_is_applied() {
    let job = worked_example(Generation::Main, &[]);
    let kept = job.pass().kept;
    assert_eq!(kept.delayed_scale_down.keys().copied().collect::<Vec<_>>(), [id(S2)]);
    let mut later = job.clone();
    later.state = kept;
    for sample in &mut later.samples {
        Arc::make_mut(sample).at += TimeDelta::hours(1);
    }
    let due = later.pass();
    assert_eq!(due.reason.code, ReasonCode::Proposed);
    assert_eq!(due.kept.delayed_scale_down.len(), 1);
    assert!(due.applied(later.now()).delayed_scale_down.is_empty());
}

#[test]
fn a_failed_pass_keeps_what_was_and_says_only_that() {
    let mut job = worked_example(Generation::Main, &[("excluded.periods", "at night"), ("utilization.max", "0.9")]);
    job.state = job.pass().kept;
    let failed = job.pass();
    assert_eq!(failed.reason.code, ReasonCode::EvaluationFailed);
    assert_eq!(failed.kept, job.state);
    let evaluation = failed.evaluation.unwrap();
    assert!(evaluation.vertices.iter().all(|(_, m)| m.get(M::ExpectedProcessingRate).is_none()));
}

#[test]
fn prediction_follows_the_slowest_vertex() {
    let proposal = worked_example(Generation::Main, &[AT_ONCE]).pass().proposal.unwrap();
    let prediction = proposal.prediction;
    assert_eq!((prediction.downtime.as_secs(), prediction.downtime_measured), (300, false));
    // The sink: 2375 pending records and 418.75 * 300 that arrive meanwhile, at 708.617 - 418.75 records per second.
    assert_eq!(prediction.catch_up.unwrap().as_secs(), 441);
    assert_eq!((prediction.slots, prediction.task_managers), (17, Some(17)));

    let group = Some(SlotSharingGroupId::from_u128(7));
    let shared = worked_example(Generation::Main, &[AT_ONCE]).with_vertices(|v| v.slot_sharing_group = group);
    assert_eq!(shared.pass().proposal.unwrap().prediction.slots, 6);

    let slow = worked_example(Generation::Main, &[AT_ONCE, ("vertex.exclude.ids", "00000000000000000000000000000004")]);
    let mut slow = slow;
    slow.each_sample(id(SINK), |sample| sample.load = 1.5);
    assert_eq!(slow.pass().proposal.unwrap().prediction.catch_up, None, "the excluded sink can never keep up");
}

#[test]
fn explanation_is_made_of_the_numbers_of_the_pass() {
    let pass = worked_example(Generation::Main, &[AT_ONCE]).pass_with(None, true);
    let explanation = pass.explanation.unwrap();
    let labels: Vec<_> = explanation.steps.iter().map(|s| s.label.as_ref()).collect();
    assert_eq!(labels[0], "Restart time");
    for label in ["Backlog", "Evaluation of s1", "Memory pressure", "Scaling of sink", "All or nothing", "Prediction"] {
        assert!(labels.contains(&label), "{label} in {labels:?}");
    }
    let scaling: Vec<&Step> = explanation.steps.iter().filter(|s| s.label.starts_with("Scaling of")).collect();
    let verdicts: Vec<_> = scaling.iter().map(|s| s.verdict).collect();
    assert_eq!(verdicts, [Verdict::Acts, Verdict::Acts, Verdict::Passed, Verdict::Acts]);
    let text = serde_json::to_string(&explanation).unwrap();
    let read: Explanation = serde_json::from_str(&text).unwrap();
    assert_eq!((read.at, read.steps.len()), (explanation.at, explanation.steps.len()));
    for number in ["1551.515", "2872.0", "1720.0", "utilization.target", "built-in"] {
        assert!(text.contains(number), "{number} in {text}");
    }
}
