//! What a task counts and what its meters show of it: Flink samples counters every five seconds and shows averages over
//! the last sixty (`flink-rest.md` §3.2).

/// Seconds between two samples of a meter.
pub const SAMPLE_SECONDS: f64 = 5.0;
/// Samples in the span of a meter: sixty seconds.
const SPAN: usize = 12;

/// Exact totals of one subtask since its start. Times in seconds.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Records taken; of a source: records read from outside (its task reports none).
    pub records_in: f64,
    /// Records emitted.
    pub records_out: f64,
    /// Bytes taken from the network.
    pub bytes_in: f64,
    /// Bytes given to the network.
    pub bytes_out: f64,
    /// Time at work.
    pub busy: f64,
    /// Time without input.
    pub idle: f64,
    /// Time held back by a full queue.
    pub backpressured: f64,
    remembered: f64,
    rate: f64,
}

impl Counters {
    /// Time since the start of the task, seconds: every moment is busy, idle or back pressured.
    pub fn lived(&self) -> f64 {
        self.busy + self.idle + self.backpressured
    }

    /// Records per second taken lately.
    pub fn recent_rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn remember(&mut self, seconds: f64) {
        if seconds > 0.0 {
            self.rate = (self.records_in - self.remembered) / seconds;
        }
        self.remembered = self.records_in;
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    values: [f64; 4],
    idle: f64,
    backpressured: f64,
}

/// The meters of one subtask: values that change at samples only.
#[derive(Debug, Clone)]
pub struct Meters {
    readings: [Reading; SPAN + 1],
    at: usize,
    samples: usize,
    /// `numRecordsInPerSecond`.
    pub records_in: f64,
    /// `numRecordsOutPerSecond`.
    pub records_out: f64,
    /// `numBytesInPerSecond`.
    pub bytes_in: f64,
    /// `numBytesOutPerSecond`.
    pub bytes_out: f64,
    /// `idleTimeMsPerSecond`, a whole number.
    pub idle: u32,
    /// `backPressuredTimeMsPerSecond`, a whole number.
    pub backpressured: u32,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            readings: [Reading::default(); SPAN + 1],
            at: 0,
            samples: 0,
            records_in: 0.0,
            records_out: 0.0,
            bytes_in: 0.0,
            bytes_out: 0.0,
            idle: 0,
            backpressured: 0,
        }
    }
}

impl Meters {
    /// `busyTimeMsPerSecond`: what is neither idle nor back pressured, hence 1000 until the first sample.
    pub fn busy(&self) -> u32 {
        1000_u32.saturating_sub(self.idle + self.backpressured)
    }

    pub(super) fn sample(&mut self, counters: &Counters) {
        let now = Reading {
            values: [counters.records_in, counters.records_out, counters.bytes_in, counters.bytes_out],
            idle: counters.idle,
            backpressured: counters.backpressured,
        };
        self.at = (self.at + 1) % self.readings.len();
        self.readings[self.at] = now;
        self.samples = (self.samples + 1).min(SPAN);
        let oldest = self.readings[(self.at + 1) % self.readings.len()];
        let span = SPAN as f64 * SAMPLE_SECONDS;
        // Rates divide by the whole minute even when the task is younger; times by what has passed.
        let rate = |i: usize| (now.values[i] - oldest.values[i]) / span;
        [self.records_in, self.records_out, self.bytes_in, self.bytes_out] = [rate(0), rate(1), rate(2), rate(3)];
        let lived = counters.lived().min(span).max(f64::MIN_POSITIVE);
        let time = |now: f64, then: f64| ((now - then) / lived * 1000.0).clamp(0.0, 1000.0) as u32;
        self.idle = time(now.idle, oldest.idle);
        self.backpressured = time(now.backpressured, oldest.backpressured).min(1000 - self.idle);
    }
}
