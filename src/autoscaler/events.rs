//! The operator's events of a pass: reasons, texts, and the keys by which repeats are suppressed (`autoscaler.md` §10).
//!
//! Only the report of a scaling is read by programs; its text is the operator's to the letter (§10.3). The other texts carry
//! the same facts in the same order.

use std::fmt::Write as _;

use super::alignment::Limited;
use super::number::{double_text, two_decimals};
use super::options::Options;
use super::pass::PassEvent;
use crate::domain::decision::{ConfigChanges, VertexChange};
use crate::domain::ids::VertexId;

/// Why a report is only a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportHeader {
    /// The scaling will be executed.
    Executed,
    /// `scaling.enabled` is false.
    ScalingDisabled,
    /// An excluded period is on.
    ExcludedPeriod,
}

fn event(
    kind: &'static str,
    reason: &'static str,
    options: &Options,
    key: Option<String>,
    message: String,
) -> PassEvent {
    let interval_seconds = Some(options.scaling_event_interval.as_secs_f64());
    PassEvent { kind, reason, message, key, interval_seconds }
}

fn on_off(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

/// A report of the changes (§10.3); entries stand in the order of the changes.
pub fn scaling_report(options: &Options, header: ReportHeader, changes: &[VertexChange]) -> PassEvent {
    let mut message = match header {
        ReportHeader::Executed => "Scaling execution enabled, begin scaling vertices:".to_owned(),
        ReportHeader::ScalingDisabled => "Scaling execution disabled by config job.autoscaler.scaling.enabled:false, \
             recommended parallelism change:"
            .to_owned(),
        ReportHeader::ExcludedPeriod => format!(
            "Scaling execution disabled by config job.autoscaler.excluded.periods:[{}], recommended parallelism change:",
            options.excluded_periods.join(", ")
        ),
    };
    // An entry takes some 160 bytes.
    message.reserve(changes.len() * 160);
    for change in changes {
        let written = write!(
            message,
            "{{ Vertex ID {} | Parallelism {} -> {} | Processing capacity {} -> {} | Target data rate {}}}",
            change.vertex,
            change.from,
            change.to,
            two_decimals(change.true_processing_rate),
            two_decimals(change.expected_rate),
            two_decimals(change.target_rate),
        );
        debug_assert!(written.is_ok(), "a text takes whatever is written to it");
    }
    event("Normal", "ScalingReport", options, Some("ScalingExecutor".to_owned()), message)
}

/// The last scale-up of a vertex brought too little (§5.6).
pub fn ineffective_scaling(options: &Options, vertex: VertexId, expected: f64, actual: f64) -> PassEvent {
    let expected = double_text(expected);
    let message = format!(
        "The last scale-up of vertex {vertex} was ineffective: capacity should have grown by {expected} and grew by {}. \
         Holding back further scale-ups for this is {}.",
        double_text(actual),
        on_off(options.effectiveness_detection_enabled)
    );
    event("Normal", "IneffectiveScaling", options, Some(format!("ineffective{vertex}{expected}")), message)
}

/// Garbage collection takes too much time to scale (§6.3).
pub fn gc_pressure(options: &Options, pressure: f64) -> PassEvent {
    let message = format!(
        "Garbage collection takes a share of {} of the time, more than the limit for scaling: give the job more memory.",
        double_text(pressure)
    );
    event("Normal", "MemoryPressure", options, Some("gcPressure".to_owned()), message)
}

/// The heap is too full to scale (§6.3).
pub fn heap_usage(options: &Options, usage: f64) -> PassEvent {
    let message = format!(
        "A share of {} of the heap is in use, more than the limit for scaling: give the job more memory.",
        double_text(usage)
    );
    event("Normal", "MemoryPressure", options, Some("heapUsage".to_owned()), message)
}

/// Memory settings as tuning recommends them (§10.2).
pub fn configuration_recommendation(options: &Options, changes: &ConfigChanges) -> PassEvent {
    let tuning = on_off(options.memory_tuning_enabled);
    let mut message = format!("Memory tuning recommends these settings (automatic tuning is {tuning}):");
    for (key, value) in &changes.set {
        message.push_str(&format!("\n{key}: {value}"));
    }
    if !changes.removed.is_empty() {
        message.push_str(&format!("\nRemove these settings where they are present: [{}]", changes.removed.join(", ")));
    }
    event("Normal", "Configuration recommendation", options, Some("MemoryTuning".to_owned()), message)
}

/// A scaling would take more than the quota allows (§6.5).
pub fn quota_reached(options: &Options) -> PassEvent {
    let message = "The scaling needs more resources than its quota allows: raise the quota or limit the parallelism.";
    event("Warning", "ResourceQuotaReached", options, None, message.to_owned())
}

/// Alignment gave another parallelism than was computed (§5.3).
pub fn scaling_limited(options: &Options, vertex: VertexId, limited: &Limited) -> PassEvent {
    let message = format!(
        "Scaling of vertex {vertex} is limited: computed parallelism {}, aligned to {}. Key groups or partitions: {}; \
         upper bound: {}; lower limit: {}.",
        limited.expected, limited.actual, limited.key_groups_or_partitions, limited.upper, limited.lower
    );
    event("Warning", "ScalingLimited", options, Some(format!("ScalingLimited{vertex}")), message)
}

/// A pass failed (§1.4).
pub fn autoscaler_error(message: String) -> PassEvent {
    PassEvent { kind: "Warning", reason: "AutoscalerError", message, key: None, interval_seconds: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoscaler::generation::Generation;

    #[test]
    fn report_is_written_to_the_letter() {
        let change = VertexChange {
            vertex: "ea632d67b7d595e5b851708ae9ad79d6".parse().unwrap(),
            name: String::new(),
            from: 3,
            to: 1,
            true_processing_rate: 12424.678,
            target_rate: 403.673,
            expected_rate: 123.4,
        };
        let report = scaling_report(&Options::built_in(Generation::Main), ReportHeader::Executed, &[change]);
        assert_eq!(
            report.message,
            "Scaling execution enabled, begin scaling vertices:{ Vertex ID ea632d67b7d595e5b851708ae9ad79d6 | \
             Parallelism 3 -> 1 | Processing capacity 12424.68 -> 123.40 | Target data rate 403.67}"
        );
        assert_eq!((report.key.as_deref(), report.interval_seconds), (Some("ScalingExecutor"), Some(1800.0)));
    }

    #[test]
    fn ineffective_scaling_carries_java_texts_and_its_key() {
        let vertex = VertexId::from_u128(1);
        let event = ineffective_scaling(&Options::built_in(Generation::V1_8), vertex, 90.0, 5.0);
        assert_eq!(event.key, Some(format!("ineffective{vertex}90.0")));
        assert!(event.message.contains("by 90.0 and grew by 5.0") && event.message.ends_with("disabled."));
    }
}
