//! The table of options: key, type, default and meaning of each, once (`autoscaler.md` §13.2 and §7.1).

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{Reader, Source};
use super::value::{BusyTimeAggregator, KeyGroupAdjustMode, MemorySize, OptionValue};
use crate::autoscaler::generation::Generation;

/// Where an option exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// In both generations.
    Both,
    /// In generation 1.8 only.
    Only1_8,
    /// In generation main only.
    OnlyMain,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Which option.
    pub id: OptionId,
    /// Its key.
    key: &'static str,
    /// Its key in generation 1.8, if it has another name there.
    key_1_8: Option<&'static str>,
    /// Where it exists.
    pub since: Since,
    /// The type as documentation names it.
    pub kind: &'static str,
    /// Its built-in value as text; empty: not set.
    pub default: &'static str,
    /// Other keys that are read when the key is not set, in this order. Without any, an autoscaler option has the one
    /// with `kubernetes.operator.` before its key.
    fallbacks: &'static [&'static str],
    /// Old keys that are read last.
    deprecated: &'static [&'static str],
    /// What it means, one sentence.
    pub description: &'static str,
}

impl OptionSpec {
    /// The key in this generation.
    pub fn key(&self, generation: Generation) -> &'static str {
        match generation {
            Generation::V1_8 => self.key_1_8.unwrap_or(self.key),
            Generation::Main => self.key,
        }
    }

    /// The option exists in this generation.
    pub fn exists_in(&self, generation: Generation) -> bool {
        match self.since {
            Since::Both => true,
            Since::Only1_8 => generation == Generation::V1_8,
            Since::OnlyMain => generation == Generation::Main,
        }
    }

    /// All keys that are read, in order: key, fallback keys, deprecated keys (§13.1). The flag tells the deprecated ones.
    pub fn names(&self, generation: Generation) -> Vec<(std::borrow::Cow<'static, str>, bool)> {
        let key = self.key(generation);
        let mut names = vec![(key.into(), false)];
        let renamed = key != self.key;
        if !renamed && !self.fallbacks.is_empty() {
            names.extend(self.fallbacks.iter().map(|&name| (name.into(), false)));
        } else if key.starts_with(AUTOSCALER_PREFIX) {
            names.push((format!("kubernetes.operator.{key}").into(), false));
        }
        if !renamed {
            names.extend(self.deprecated.iter().map(|&name| (name.into(), true)));
        }
        names
    }
}

/// Before every autoscaler option.
pub const AUTOSCALER_PREFIX: &str = "job.autoscaler.";

macro_rules! options {
    ($(group $prefix:literal { $(
        $(#[doc = $doc:literal])+
        $id:ident $field:ident: $type:ty = $default:literal, $key:literal, $since:ident
        $(, in_1_8 $key_1_8:literal)? $(, fallbacks [$($fallback:literal),+])? $(, deprecated [$($deprecated:literal),+])?;
    )+ })+) => {
        /// Every option, in the order of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OptionId { $($($(#[doc = $doc])+ $id,)+)+ }

        /// The table.
        pub const TABLE: &[OptionSpec] = &[$($(
            OptionSpec {
                id: OptionId::$id,
                key: concat!($prefix, $key),
                key_1_8: options!(@key $($prefix, $key_1_8)?),
                since: Since::$since,
                kind: <$type as OptionValue>::KIND,
                default: $default,
                fallbacks: &[$($($fallback),+)?],
                deprecated: &[$($($deprecated),+)?],
                description: concat!($($doc),+),
            },
        )+)+];

        /// The options of one job, typed. Every value knows the layer that set it: see [`Options::source`].
        ///
        /// A value that could not be parsed stands here with its built-in default, and is reported as a problem.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Options {
            /// The generation of rules these options are read for.
            pub generation: Generation,
            $($($(#[doc = $doc])+ pub $field: $type,)+)+
            pub(in crate::autoscaler) sources: BTreeMap<OptionId, Source>,
        }

        impl Options {
            pub(super) fn read(generation: Generation, reader: &mut Reader<'_>) -> Self {
                $($(let $field = reader.read::<$type>(OptionId::$id);)+)+
                Self { generation, $($($field,)+)+ sources: std::mem::take(&mut reader.sources) }
            }
        }
    };
    (@key) => { None };
    (@key $prefix:literal, $key:literal) => { Some(concat!($prefix, $key)) };
}

options! {
    group "job.autoscaler." {
        /// Runs the autoscaler for the job.
        Enabled enabled: bool = "false", "enabled", Both;
        /// Executes scalings; off: only measures, evaluates and recommends.
        ScalingEnabled scaling_enabled: bool = "true", "scaling.enabled", Both;
        /// Length of the averaging window.
        MetricsWindow metrics_window: Duration = "15 min", "metrics.window", Both;
        /// Time after the job turned RUNNING before samples count.
        StabilizationInterval stabilization_interval: Duration = "5 min", "stabilization.interval", Both;
        /// Times without scaling: daily ranges and cron expressions.
        ExcludedPeriods excluded_periods: Vec<String> = "", "excluded.periods", Both;
        /// Wanted busy ratio.
        UtilizationTarget utilization_target: f64 = "0.7", "utilization.target", Both, in_1_8 "target.utilization",
            fallbacks ["kubernetes.operator.job.autoscaler.utilization.target", "kubernetes.operator.job.autoscaler.target.utilization"],
            deprecated ["job.autoscaler.target.utilization"];
        /// Half width of the allowed band around the wanted busy ratio, where its edges are not set by themselves.
        UtilizationBoundary utilization_boundary: f64 = "0.3", "target.utilization.boundary", Both;
        /// Upper edge of the band; unset: target plus boundary.
        UtilizationMax utilization_max: Option<f64> = "", "utilization.max", OnlyMain;
        /// Lower edge of the band; unset: target minus boundary.
        UtilizationMin utilization_min: Option<f64> = "", "utilization.min", OnlyMain;
        /// No scale-down of a vertex so soon after its scale-up.
        ScaleUpGracePeriod scale_up_grace_period: Duration = "1 h", "scale-up.grace-period", Only1_8;
        /// Scale-downs are delayed and merged over this time; 0 turns it off.
        ScaleDownInterval scale_down_interval: Duration = "1 h", "scale-down.interval", OnlyMain,
            fallbacks ["kubernetes.operator.job.autoscaler.scale-up.grace-period", "kubernetes.operator.job.autoscaler.scale-down.interval"],
            deprecated ["job.autoscaler.scale-up.grace-period"];
        /// Lower limit of the parallelism of a vertex.
        VertexMinParallelism vertex_min_parallelism: i32 = "1", "vertex.min-parallelism", Both;
        /// Upper limit of the parallelism of a vertex.
        VertexMaxParallelism vertex_max_parallelism: i32 = "200", "vertex.max-parallelism", Both;
        /// Largest share of the parallelism that is removed at once.
        ScaleDownMaxFactor scale_down_max_factor: f64 = "0.6", "scale-down.max-factor", Both;
        /// Largest relative increase of the parallelism at once.
        ScaleUpMaxFactor scale_up_max_factor: f64 = "100000.0", "scale-up.max-factor", Both;
        /// Time in which a backlog must be worked off; 0 turns backlog-based capacity off.
        CatchUpDuration catch_up_duration: Duration = "30 min", "catch-up.duration", Both;
        /// Assumed restart time.
        RestartTime restart_time: Duration = "5 min", "restart.time", Both;
        /// Uses the largest tracked restart time instead of the assumed one.
        RestartTimeTrackingEnabled restart_time_tracking_enabled: bool = "false", "restart.time-tracking.enabled", Both;
        /// Cap of the tracked restart time.
        RestartTimeTrackingLimit restart_time_tracking_limit: Duration = "15 min", "restart.time-tracking.limit", Both;
        /// Lag, in time of input, above which the job counts as working off a backlog.
        BacklogLagThreshold backlog_lag_threshold: Duration = "5 min", "backlog-processing.lag-threshold", Both;
        /// Lag, in time of input, that is needed to measure observed capacity.
        ObservedTprLagThreshold observed_tpr_lag_threshold: Duration = "30 s", "observed-true-processing-rate.lag-threshold", Both;
        /// Relative excess of the busy-time processing rate that makes the observed one win.
        ObservedTprSwitchThreshold observed_tpr_switch_threshold: f64 = "0.15", "observed-true-processing-rate.switch-threshold", Both;
        /// Observations needed for the observed average.
        ObservedTprMinObservations observed_tpr_min_observations: i32 = "2", "observed-true-processing-rate.min-observations", Both;
        /// Blocks a vertex after ineffective scale-ups.
        EffectivenessDetectionEnabled effectiveness_detection_enabled: bool = "false", "scaling.effectiveness.detection.enabled", Both;
        /// Share of the expected increase that counts as effective.
        EffectivenessThreshold effectiveness_threshold: f64 = "0.1", "scaling.effectiveness.threshold", Both;
        /// Share of time in garbage collection above which scaling pauses.
        GcPressureThreshold gc_pressure_threshold: f64 = "1.0", "memory.gc-pressure.threshold", Both;
        /// Average use of the heap above which scaling pauses.
        HeapUsageThreshold heap_usage_threshold: f64 = "1.0", "memory.heap-usage.threshold", Both;
        /// Applies tuned TaskManager memory.
        MemoryTuningEnabled memory_tuning_enabled: bool = "false", "memory.tuning.enabled", Both;
        /// Grows the heap when fewer TaskManagers remain.
        ScaleDownCompensationEnabled scale_down_compensation_enabled: bool = "true", "memory.tuning.scale-down-compensation.enabled", Both;
        /// Headroom added to measured memory use.
        MemoryTuningOverhead memory_tuning_overhead: f64 = "0.2", "memory.tuning.overhead", Both;
        /// Gives saved memory to managed memory.
        MaximizeManagedMemory maximize_managed_memory: bool = "false", "memory.tuning.maximize-managed-memory", Both;
        /// Scaling summaries per vertex, and tracking records, that are kept.
        HistoryMaxCount history_max_count: i32 = "3", "history.max.count", Both;
        /// Age limit of scaling summaries and tracking records.
        HistoryMaxAge history_max_age: Duration = "24 h", "history.max.age", Both;
        /// How the busy gauge is aggregated over subtasks.
        BusyTimeAggregatorMode busy_time_aggregator: BusyTimeAggregator = "MAX", "metrics.busy-time.aggregator", Both;
        /// Ids of vertices that are never scaled.
        VertexExcludeIds vertex_exclude_ids: Vec<String> = "", "vertex.exclude.ids", Both;
        /// Time before an identical event is sent again.
        ScalingEventInterval scaling_event_interval: Duration = "30 min", "scaling.event.interval", Both;
        /// Deadline of requests to the JobManager.
        RestClientTimeout rest_client_timeout: Duration = "10 s", "flink.rest-client.timeout", Both;
        /// Memory that all TaskManagers of the job may take together.
        QuotaMemory quota_memory: Option<MemorySize> = "", "quota.memory", OnlyMain;
        /// Cpu cores that all TaskManagers of the job may take together.
        QuotaCpu quota_cpu: Option<f64> = "", "quota.cpu", OnlyMain;
        /// Legacy alignment mode: effective only if set while the mode of parallelism alignment is not.
        KeyGroupPartitionsAdjustMode key_group_adjust_mode: KeyGroupAdjustMode = "EVENLY_SPREAD", "scaling.key-group.partitions.adjust.mode", OnlyMain;
        /// Alignment mode: BALANCED, EVENLY_SPREAD or OFF.
        ParallelismAlignmentMode parallelism_alignment_mode: String = "BALANCED", "scaling.parallelism-alignment.mode", OnlyMain;
        /// Uses the observed scaling coefficient.
        ObservedScalabilityEnabled observed_scalability_enabled: bool = "false", "observed-scalability.enabled", OnlyMain;
        /// Scalings needed to observe a coefficient; raise history.max.count to exceed 3.
        ObservedScalabilityMinObservations observed_scalability_min_observations: i32 = "3", "observed-scalability.min-observations", OnlyMain;
        /// Lower limit of the scaling coefficient.
        ObservedScalabilityCoefficientMin observed_scalability_coefficient_min: f64 = "0.5", "observed-scalability.coefficient-min", OnlyMain;
        /// Evaluator plug-ins of the operator. They are Java classes: flightdeck ignores them.
        CustomEvaluators custom_evaluators: Vec<String> = "", "metrics.custom-evaluators", OnlyMain;
        /// Executor plug-ins of the operator. They are Java classes: flightdeck ignores them.
        CustomExecutors custom_executors: Vec<String> = "", "scaling.custom-executors", OnlyMain;
    }
    group "" {
        /// Parallelism per vertex as the user wants it.
        ParallelismOverrides parallelism_overrides: BTreeMap<String, String> = "", "pipeline.jobvertex-parallelism-overrides", Both;
        /// State backend: hashmap or rocksdb.
        StateBackendType state_backend_type: Option<String> = "", "state.backend.type", Both, deprecated ["state.backend"];
        /// Slots of a TaskManager.
        NumberOfTaskSlots number_of_task_slots: i32 = "1", "taskmanager.numberOfTaskSlots", Both;
        /// Total memory of the TaskManager process.
        ProcessSize process_size: Option<MemorySize> = "", "taskmanager.memory.process.size", Both;
        /// Total Flink memory of a TaskManager.
        FlinkSize flink_size: Option<MemorySize> = "", "taskmanager.memory.flink.size", Both;
        /// Heap reserved for the framework.
        FrameworkHeapSize framework_heap_size: MemorySize = "128 mb", "taskmanager.memory.framework.heap.size", Both;
        /// Direct and native memory reserved for the framework.
        FrameworkOffHeapSize framework_off_heap_size: MemorySize = "128 mb", "taskmanager.memory.framework.off-heap.size", Both;
        /// Heap reserved for tasks.
        TaskHeapSize task_heap_size: Option<MemorySize> = "", "taskmanager.memory.task.heap.size", Both;
        /// Direct and native memory reserved for tasks.
        TaskOffHeapSize task_off_heap_size: MemorySize = "0", "taskmanager.memory.task.off-heap.size", Both;
        /// Managed memory.
        ManagedSize managed_size: Option<MemorySize> = "", "taskmanager.memory.managed.size", Both, deprecated ["taskmanager.memory.size"];
        /// Managed memory as a fraction of Flink memory, where its size is not set.
        ManagedFraction managed_fraction: f32 = "0.4", "taskmanager.memory.managed.fraction", Both;
        /// Network memory as a fraction of Flink memory.
        NetworkFraction network_fraction: f32 = "0.1", "taskmanager.memory.network.fraction", Both, deprecated ["taskmanager.network.memory.fraction"];
        /// Least network memory.
        NetworkMin network_min: MemorySize = "64 mb", "taskmanager.memory.network.min", Both, deprecated ["taskmanager.network.memory.min"];
        /// Most network memory.
        NetworkMax network_max: MemorySize = "9223372036854775807", "taskmanager.memory.network.max", Both, deprecated ["taskmanager.network.memory.max"];
        /// JVM metaspace.
        MetaspaceSize metaspace_size: MemorySize = "256 mb", "taskmanager.memory.jvm-metaspace.size", Both;
        /// JVM overhead as a fraction of the process.
        OverheadFraction overhead_fraction: f32 = "0.1", "taskmanager.memory.jvm-overhead.fraction", Both;
        /// Least JVM overhead.
        OverheadMin overhead_min: MemorySize = "192 mb", "taskmanager.memory.jvm-overhead.min", Both;
        /// Most JVM overhead.
        OverheadMax overhead_max: MemorySize = "1 gb", "taskmanager.memory.jvm-overhead.max", Both;
        /// Size of a network buffer.
        SegmentSize segment_size: MemorySize = "32 kb", "taskmanager.memory.segment-size", Both;
        /// Network buffers of each channel.
        BuffersPerChannel buffers_per_channel: i32 = "2", "taskmanager.network.memory.buffers-per-channel", Both;
        /// Network buffers that the channels of a gate share.
        FloatingBuffersPerGate floating_buffers_per_gate: i32 = "8", "taskmanager.network.memory.floating-buffers-per-gate", Both;
    }
}
