//! Wall and monotonic time behind one trait, so that no other room reads a clock by itself.
//!
//! Owns [`Clock`] with its two implementations: [`SystemClock`] for production and [`ManualClock`] for tests. Other rooms
//! must not call `Utc::now`, `SystemTime::now` or `Instant::now` (kept by `clippy.toml`).

use std::sync::Mutex;
use std::time::Duration;

type Timestamp = chrono::DateTime<chrono::Utc>;

/// A source of wall-clock and monotonic time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall-clock time. May jump when the machine sleeps or its clock is set.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary fixed point; never goes back. Use it to measure elapsed time.
    fn monotonic(&self) -> Duration;
}

/// The clock of the machine. Its monotonic part is tokio's, so tests with paused time can drive code that sleeps.
#[derive(Debug)]
pub struct SystemClock {
    origin: tokio::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    pub fn new() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that reads it
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    inner: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// A clock standing at `now`, with monotonic time zero.
    pub fn at(now: Timestamp) -> Self {
        Self { inner: Mutex::new((now, Duration::ZERO)) }
    }

    /// Moves wall and monotonic time forward together.
    pub fn advance(&self, by: Duration) {
        let mut inner = self.lock();
        inner.0 += by;
        inner.1 += by;
    }

    /// Sets the wall clock alone, as a machine that slept or whose clock was set.
    pub fn jump_to(&self, now: Timestamp) {
        self.lock().0 = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.lock().1
    }
}

/// A clock that is the wall clock of tokio's (pausable) time: starts at a given instant and moves as tokio's time moves.
///
/// With `#[tokio::test(start_paused = true)]` both parts advance exactly with virtual time.
#[derive(Debug)]
pub struct TokioClock {
    start: Timestamp,
    origin: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that reads `start` now.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, origin: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.start + self.origin.elapsed()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}
