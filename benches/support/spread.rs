//! How times are spread: median, 99th percentile and the longest, in one line.

use std::time::Duration;

/// Times of one thing.
#[derive(Debug, Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    /// Takes a time.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Prints it under a name.
    pub fn print(mut self, name: &str) {
        self.0.sort();
        let at = |share: f64| self.0.get(((self.0.len() - 1) as f64 * share).round() as usize).copied();
        let [median, p99, longest] = [0.5, 0.99, 1.0].map(|share| micros(at(share).unwrap_or_default()));
        println!("{name:<64} p50 {median:>10}  p99 {p99:>10}  max {longest:>10}  of {}", self.0.len());
    }
}

fn micros(time: Duration) -> String {
    match time.as_secs_f64() * 1e6 {
        us if us < 1_000.0 => format!("{us:.1} µs"),
        us => format!("{:.2} ms", us / 1e3),
    }
}
