//! Checks of configured options: unknown keys, and ranges (`autoscaler.md` §13.3).

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::reader::{Layer, OptionProblem, ProblemKind, Reader};
use super::table::{AUTOSCALER_PREFIX, OptionId, Options, TABLE};
use crate::autoscaler::excluded::Period;
use crate::autoscaler::generation::Generation;
use crate::domain::text::nearest;

/// Keys with a free part: classes and parameters of the operator's plug-ins.
const PLUGIN_PREFIXES: [&str; 3] =
    ["scaling.parallelism-alignment.mode.", "metrics.custom-evaluator.", "scaling.custom-executor."];

/// Problems of `job.autoscaler.*` keys that no option of this generation reads.
pub(super) fn unknown_keys(generation: Generation, reader: &Reader<'_>) -> Vec<OptionProblem> {
    let names_of = |generation: Generation| -> Vec<Cow<'static, str>> {
        let specs = TABLE.iter().filter(move |spec| spec.exists_in(generation));
        specs.flat_map(|spec| spec.names(generation)).map(|(name, _)| name).collect()
    };
    let known = names_of(generation);
    let mut problems = Vec::new();
    for (key, layer, text) in reader.configured() {
        let plain = key.strip_prefix("kubernetes.operator.").unwrap_or(key);
        let Some(name) = plain.strip_prefix(AUTOSCALER_PREFIX) else { continue };
        if known.iter().any(|k| k == key) {
            continue;
        }
        let other = Generation::ALL.into_iter().find(|g| *g != generation && names_of(*g).iter().any(|k| k == key));
        let (kind, message) = if let Some(other) = other {
            let message = format!("has no effect with the rules of {generation}, it belongs to {other}");
            (ProblemKind::OtherGeneration, message)
        } else if PLUGIN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            (ProblemKind::NoEffect, "plug-ins of the operator are Java classes and are ignored".to_owned())
        } else {
            let shorts = known.iter().filter_map(|k| k.strip_prefix(AUTOSCALER_PREFIX));
            let message = match nearest(name, shorts) {
                Some(near) => format!("no option has this key, did you mean {AUTOSCALER_PREFIX}{near}?"),
                None => "no option has this key".to_owned(),
            };
            (ProblemKind::Unknown, message)
        };
        problems.push(OptionProblem::new(kind, key, layer, text, message));
    }
    problems
}

/// Problems of values outside their range.
pub(super) fn out_of_range(options: &Options) -> Vec<OptionProblem> {
    use OptionId as Id;
    let any = 0.0..=f64::INFINITY;
    let unit = 0.0..=1.0;
    let target = options.utilization_target;
    let mut checks: Vec<(OptionId, Option<f64>, RangeInclusive<f64>)> = vec![
        (Id::ScaleDownMaxFactor, Some(options.scale_down_max_factor), any.clone()),
        (Id::ScaleUpMaxFactor, Some(options.scale_up_max_factor), any.clone()),
        (Id::UtilizationBoundary, Some(options.utilization_boundary), any.clone()),
    ];
    match options.generation {
        Generation::V1_8 => checks.push((Id::UtilizationTarget, Some(target), any)),
        Generation::Main => {
            checks.extend([
                (Id::UtilizationTarget, Some(target), unit.clone()),
                (Id::UtilizationMax, options.utilization_max, target..=1.0),
                (Id::UtilizationMin, options.utilization_min, 0.0..=target),
                (Id::GcPressureThreshold, Some(options.gc_pressure_threshold), unit.clone()),
                (Id::HeapUsageThreshold, Some(options.heap_usage_threshold), unit.clone()),
            ]);
            if options.observed_scalability_enabled {
                let coefficient = options.observed_scalability_coefficient_min;
                checks.push((Id::ObservedScalabilityCoefficientMin, Some(coefficient), 0.01..=1.0));
            }
            if options.effectiveness_detection_enabled {
                checks.push((Id::EffectivenessThreshold, Some(options.effectiveness_threshold), unit.clone()));
            }
            if options.memory_tuning_enabled {
                checks.push((Id::MemoryTuningOverhead, Some(options.memory_tuning_overhead), unit));
            }
        }
    }
    let wrong = checks.into_iter().filter(|(_, value, range)| value.is_some_and(|v| !range.contains(&v)));
    let mut problems: Vec<_> = wrong.map(|(id, _, range)| invalid(options, id, range_text(&range))).collect();
    for period in &options.excluded_periods {
        if let Err(error) = period.parse::<Period>() {
            problems.push(invalid(options, Id::ExcludedPeriods, error.to_string()));
        }
    }
    problems
}

fn invalid(options: &Options, id: OptionId, message: String) -> OptionProblem {
    let built_in = id.spec().key(options.generation);
    let (key, layer) = options.source(id).map_or((built_in, Layer::BuiltIn), |s| (s.key.as_str(), s.layer));
    OptionProblem::new(ProblemKind::Invalid, key, layer, options.text(id), message)
}

fn range_text(range: &RangeInclusive<f64>) -> String {
    if range.end().is_infinite() {
        format!("must be at least {}", range.start())
    } else {
        format!("must be from {} to {}", range.start(), range.end())
    }
}
