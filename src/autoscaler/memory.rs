//! Flink's own derivation of TaskManager memory from its options (`autoscaler.md` §7.1).

use super::options::{MemorySize, Options};
use crate::domain::memory::MemoryConfiguration;

/// A memory configuration with which Flink would not start a TaskManager.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// None of the sizes from which the others follow is set.
    #[error(
        "TaskManager memory is not configured: set taskmanager.memory.process.size or taskmanager.memory.flink.size, or \
         task heap and managed memory together"
    )]
    NotConfigured,
    /// The parts need more than the whole.
    #[error("the configured parts of TaskManager memory need more than {whole} of {available}")]
    TooLarge {
        /// What they do not fit in.
        whole: &'static str,
        /// Its size.
        available: MemorySize,
    },
    /// What remains for a pool is outside its limits.
    #[error("{remains} would remain for {pool}, which is limited to {min} to {max}")]
    OutsideLimits {
        /// The pool.
        pool: &'static str,
        /// What would remain.
        remains: MemorySize,
        /// Its least size.
        min: MemorySize,
        /// Its greatest size.
        max: MemorySize,
    },
    /// A fraction is not from 0 to 1, or a least size is above the greatest.
    #[error("the fraction or the limits of {pool} contradict themselves")]
    BadFraction {
        /// The pool.
        pool: &'static str,
    },
}

const NETWORK: &str = "network memory";
const OVERHEAD: &str = "JVM overhead";

/// A pool given as a fraction of a whole, within limits.
#[derive(Debug, Clone, Copy)]
struct RangeFraction {
    pool: &'static str,
    fraction: f64,
    min: u64,
    max: u64,
}

impl RangeFraction {
    fn new(pool: &'static str, fraction: f32, min: MemorySize, max: MemorySize) -> Result<Self, MemoryError> {
        let fraction = f64::from(fraction);
        if min > max || !(0.0..1.0).contains(&fraction) {
            return Err(MemoryError::BadFraction { pool });
        }
        Ok(Self { pool, fraction, min: min.0, max: max.0 })
    }

    /// The fraction of `whole`.
    fn of(&self, whole: u64) -> u64 {
        multiply(whole, self.fraction).clamp(self.min, self.max)
    }

    /// The pool, when `rest` is what the whole holds besides it.
    fn beside(&self, rest: u64) -> u64 {
        multiply(rest, self.fraction / (1.0 - self.fraction)).clamp(self.min, self.max)
    }

    /// A size that follows from the others must keep the limits.
    fn check(&self, size: u64) -> Result<u64, MemoryError> {
        if (self.min..=self.max).contains(&size) {
            return Ok(size);
        }
        let [remains, min, max] = [size, self.min, self.max].map(MemorySize);
        Err(MemoryError::OutsideLimits { pool: self.pool, remains, min, max })
    }
}

/// Derives all pools as Flink does when it starts a TaskManager.
///
/// # Errors
/// If Flink would reject the configuration.
pub fn derive(options: &Options) -> Result<MemoryConfiguration, MemoryError> {
    let network = RangeFraction::new(NETWORK, options.network_fraction, options.network_min, options.network_max)?;
    let overhead = RangeFraction::new(OVERHEAD, options.overhead_fraction, options.overhead_min, options.overhead_max)?;
    let mut memory = MemoryConfiguration {
        framework_heap: options.framework_heap_size.0,
        framework_off_heap: options.framework_off_heap_size.0,
        task_off_heap: options.task_off_heap_size.0,
        metaspace: options.metaspace_size.0,
        ..MemoryConfiguration::default()
    };
    let sizes = (options.task_heap_size, options.managed_size, options.flink_size, options.process_size);
    match sizes {
        (Some(task_heap), Some(managed), flink, _) => {
            memory.task_heap = task_heap.0;
            memory.managed = managed.0;
            let base = flink_without_network(&memory);
            memory.network = match flink {
                Some(flink) => network.check(subtract("Flink memory", flink.0, base)?)?,
                None => network.beside(base),
            };
            memory.total_flink = base.saturating_add(memory.network);
            add_jvm_memory(options, &overhead, &mut memory)?;
        }
        (_, _, Some(flink), _) => {
            memory.total_flink = flink.0;
            split_flink(options, &network, &mut memory)?;
            add_jvm_memory(options, &overhead, &mut memory)?;
        }
        (_, _, None, Some(process)) => {
            memory.total_process = process.0;
            memory.overhead = overhead.of(process.0);
            let jvm = memory.metaspace.saturating_add(memory.overhead);
            memory.total_flink = subtract("the process", process.0, jvm)?;
            split_flink(options, &network, &mut memory)?;
        }
        (_, _, None, None) => return Err(MemoryError::NotConfigured),
    }
    Ok(memory)
}

fn subtract(whole: &'static str, available: u64, parts: u64) -> Result<u64, MemoryError> {
    available.checked_sub(parts).ok_or(MemoryError::TooLarge { whole, available: MemorySize(available) })
}

/// Everything inside Flink memory but the network.
fn flink_without_network(memory: &MemoryConfiguration) -> u64 {
    [memory.framework_heap, memory.framework_off_heap, memory.task_heap, memory.task_off_heap, memory.managed]
        .into_iter()
        .fold(0, u64::saturating_add)
}

/// "From total Flink": the pools inside a given Flink memory.
fn split_flink(
    options: &Options,
    network: &RangeFraction,
    memory: &mut MemoryConfiguration,
) -> Result<(), MemoryError> {
    const FLINK: &str = "Flink memory";
    let flink = memory.total_flink;
    memory.managed = match options.managed_size {
        Some(size) => size.0,
        None => {
            let (none, any) = (MemorySize(0), MemorySize(u64::MAX));
            RangeFraction::new("managed memory", options.managed_fraction, none, any)?.of(flink)
        }
    };
    match options.task_heap_size {
        Some(task_heap) => {
            memory.task_heap = task_heap.0;
            memory.network = network.check(subtract(FLINK, flink, flink_without_network(memory))?)?;
        }
        None => {
            memory.network = network.of(flink);
            let others = flink_without_network(memory).saturating_add(memory.network);
            memory.task_heap = subtract(FLINK, flink, others)?;
        }
    }
    Ok(())
}

/// "From Flink": JVM overhead and the process around a given Flink memory.
fn add_jvm_memory(
    options: &Options,
    overhead: &RangeFraction,
    memory: &mut MemoryConfiguration,
) -> Result<(), MemoryError> {
    let inner = memory.total_flink.saturating_add(memory.metaspace);
    memory.overhead = match options.process_size {
        Some(process) => overhead.check(subtract("the process", process.0, inner)?)?,
        None => overhead.beside(inner),
    };
    memory.total_process = inner.saturating_add(memory.overhead);
    Ok(())
}

/// `mul` of §7.1: bytes times a factor, truncated, in exact decimal arithmetic on the shortest decimal text of the factor.
fn multiply(bytes: u64, factor: f64) -> u64 {
    let text = format!("{factor:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return 0 };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Option<u128> = format!("{whole}{fraction}").parse().ok();
    let places = exponent.parse::<i32>().map(|e| fraction.len() as i32 - e);
    let (Some(digits), Ok(places)) = (digits, places) else { return 0 };
    let product = u128::from(bytes).saturating_mul(digits);
    let power = 10_u128.checked_pow(places.unsigned_abs());
    let result = match (places >= 0, power) {
        (true, Some(power)) => product / power,
        (true, None) => 0,
        (false, Some(power)) => product.saturating_mul(power),
        (false, None) => u128::MAX,
    };
    u64::try_from(result).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
