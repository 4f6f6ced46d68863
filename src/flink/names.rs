//! Names of Flink's metrics, and how operator names appear in them (`flink-rest.md` §3, §0.12).

/// Records a task has read since its attempt began.
pub const NUM_RECORDS_IN: &str = "numRecordsIn";
/// Records a task has written since its attempt began.
pub const NUM_RECORDS_OUT: &str = "numRecordsOut";
/// Input rate, a 60 s average.
pub const NUM_RECORDS_IN_PER_SECOND: &str = "numRecordsInPerSecond";
/// Output rate, a 60 s average.
pub const NUM_RECORDS_OUT_PER_SECOND: &str = "numRecordsOutPerSecond";
/// Milliseconds a second spent busy.
pub const BUSY_TIME: &str = "busyTimeMsPerSecond";
/// Milliseconds a second spent idle.
pub const IDLE_TIME: &str = "idleTimeMsPerSecond";
/// Milliseconds a second spent back pressured.
pub const BACK_PRESSURED_TIME: &str = "backPressuredTimeMsPerSecond";
/// Milliseconds spent busy since the attempt began.
pub const ACCUMULATED_BUSY_TIME: &str = "accumulateBusyTimeMs";
/// Milliseconds spent idle since the attempt began.
pub const ACCUMULATED_IDLE_TIME: &str = "accumulateIdleTimeMs";
/// Milliseconds spent back pressured since the attempt began.
pub const ACCUMULATED_BACK_PRESSURED_TIME: &str = "accumulateBackPressuredTimeMs";
/// Suffix of the backlog a source operator reports.
pub const PENDING_RECORDS: &str = "pendingRecords";
/// Lowest watermark at the input of a task.
pub const CURRENT_INPUT_WATERMARK: &str = "currentInputWatermark";

/// Restarts of a job, rescales included.
pub const NUM_RESTARTS: &str = "numRestarts";
/// Rescales of a job (2.0 and later).
pub const NUM_RESCALES: &str = "numRescales";
/// Number of the newest completed checkpoint.
pub const LAST_COMPLETED_CHECKPOINT_ID: &str = "lastCompletedCheckpointId";

/// Share of all cores of the machine in use, 0..=1.
pub const CPU_LOAD: &str = "Status.JVM.CPU.Load";
/// Heap in use, bytes.
pub const HEAP_USED: &str = "Status.JVM.Memory.Heap.Used";
/// Heap limit, bytes.
pub const HEAP_MAX: &str = "Status.JVM.Memory.Heap.Max";
/// Managed memory reserved by slots, bytes.
pub const MANAGED_USED: &str = "Status.Flink.Memory.Managed.Used";
/// Metaspace in use, bytes.
pub const METASPACE_USED: &str = "Status.JVM.Memory.Metaspace.Used";
/// Time in all garbage collectors, milliseconds a second (1.19 and later).
pub const GC_TIME: &str = "Status.JVM.GarbageCollector.All.TimeMsPerSecond";

/// An operator name as it appears in metric names: each of space, `.`, `:` and `,` becomes `_`.
pub fn mangle(operator: &str) -> String {
    operator.chars().map(|c| if matches!(c, ' ' | '.' | ':' | ',') { '_' } else { c }).collect()
}

/// The operator-scope metrics with this suffix among `names`, e.g. every `….pendingRecords`. Names are never built from operator
/// names: how those are put together differs between programs.
pub fn with_suffix<'a>(names: &'a [String], suffix: &'a str) -> impl Iterator<Item = &'a str> {
    names
        .iter()
        .map(String::as_str)
        .filter(move |name| name.strip_suffix(suffix).is_some_and(|operator| operator.ends_with('.')))
}

/// The same, of source operators only (`Source__….suffix`), as the operator's autoscaler picks them.
pub fn of_source<'a>(names: &'a [String], suffix: &'a str) -> impl Iterator<Item = &'a str> {
    with_suffix(names, suffix).filter(|name| name.starts_with("Source__"))
}
