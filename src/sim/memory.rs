//! Memory of a TaskManager: how Flink divides a process (`flink-rest.md` §4.1) and how a JVM fills its part.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::de::parse_size;
use super::meters::SAMPLE_SECONDS;

const MIB: u64 = 1 << 20;

/// The configured pools of a TaskManager. Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pools {
    /// Framework heap.
    pub framework_heap: u64,
    /// Task heap.
    pub task_heap: u64,
    /// Framework off-heap.
    pub framework_off_heap: u64,
    /// Task off-heap.
    pub task_off_heap: u64,
    /// Network.
    pub network: u64,
    /// Managed.
    pub managed: u64,
    /// Metaspace.
    pub metaspace: u64,
    /// JVM overhead.
    pub overhead: u64,
    /// Total Flink memory.
    pub flink: u64,
    /// Total process memory.
    pub process: u64,
}

impl Pools {
    /// Divides a process as Flink does: overhead and metaspace off the process, network and managed as parts of the rest,
    /// what then remains is task heap.
    ///
    /// # Errors
    /// A sentence like Flink's own when the parts are larger than the whole.
    pub fn derive(config: &BTreeMap<String, String>, default_process: u64) -> Result<Self, String> {
        let raw = |key: &str| config.get(&format!("taskmanager.memory.{key}"));
        let size = |key: &str| raw(key).and_then(|text| parse_size(text));
        let fraction = |key: &str, default: f64| raw(key).and_then(|t| t.trim().parse::<f64>().ok()).unwrap_or(default);
        let part = |whole: u64, name: &str, default: f64, min: u64, max: u64| {
            let wanted = (whole as f64 * fraction(&format!("{name}.fraction"), default)) as u64;
            let min = size(&format!("{name}.min")).unwrap_or(min);
            let max = size(&format!("{name}.max")).unwrap_or(max).max(min);
            wanted.clamp(min, max)
        };
        let metaspace = size("jvm-metaspace.size").unwrap_or(256 * MIB);
        let framework_heap = size("framework.heap.size").unwrap_or(128 * MIB);
        let framework_off_heap = size("framework.off-heap.size").unwrap_or(128 * MIB);
        let task_off_heap = size("task.off-heap.size").unwrap_or(0);
        let (process, overhead, flink) = match (size("process.size"), size("flink.size")) {
            (None, Some(flink)) => {
                let rest = fraction("jvm-overhead.fraction", 0.1);
                let wanted = ((flink + metaspace) as f64 * rest / (1.0 - rest).max(0.01)) as u64;
                let min = size("jvm-overhead.min").unwrap_or(192 * MIB);
                let max = size("jvm-overhead.max").unwrap_or(1024 * MIB).max(min);
                let overhead = wanted.clamp(min, max);
                (flink + metaspace + overhead, overhead, flink)
            }
            (process, _) => {
                let process = process.unwrap_or(default_process);
                let overhead = part(process, "jvm-overhead", 0.1, 192 * MIB, 1024 * MIB);
                (process, overhead, process.saturating_sub(overhead + metaspace))
            }
        };
        let managed = size("managed.size").unwrap_or((flink as f64 * fraction("managed.fraction", 0.4)) as u64);
        let network = part(flink, "network", 0.1, 64 * MIB, u64::MAX);
        let fixed = framework_heap + framework_off_heap + task_off_heap + managed + network;
        let task_heap = flink.saturating_sub(fixed);
        if fixed > flink || process < overhead + metaspace {
            return Err(format!(
                "Sum of configured Framework Heap Memory ({framework_heap} bytes), Framework Off-Heap Memory \
                 ({framework_off_heap} bytes), Task Off-Heap Memory ({task_off_heap} bytes), Managed Memory ({managed} bytes) \
                 and Network Memory ({network} bytes) exceed configured Total Flink Memory ({flink} bytes)."
            ));
        }
        Ok(Self {
            framework_heap,
            task_heap,
            framework_off_heap,
            task_off_heap,
            network,
            managed,
            metaspace,
            overhead,
            flink,
            process,
        })
    }

    /// Size of the heap (`-Xmx`).
    pub fn heap(&self) -> u64 {
        self.framework_heap + self.task_heap
    }

    /// Network buffers in the pool.
    pub fn segments(&self) -> u64 {
        self.network / super::flow::SEGMENT
    }
}

/// What a TaskManager does in one step, for its JVM.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work {
    /// Bytes of short-lived objects.
    pub allocated: f64,
    /// Bytes of objects that stay: state on the heap and the tasks' own.
    pub live: f64,
    /// Tasks that run.
    pub tasks: usize,
    /// Seconds of cpu.
    pub cpu: f64,
}

/// The JVM of a TaskManager.
#[derive(Debug, Clone)]
pub struct Jvm {
    heap: f64,
    live: f64,
    garbage: f64,
    /// Metaspace in use, bytes. Class loaders of ended runs stay for a while.
    pub metaspace: f64,
    /// Young collections.
    pub young: Collector,
    /// Full collections.
    pub old: Collector,
    /// Seconds of cpu used.
    pub cpu_seconds: f64,
    /// Cores in use lately.
    pub cpu_load: f64,
    /// Threads.
    pub threads: usize,
    pressure: f64,
}

/// One garbage collector.
#[derive(Debug, Clone, Default)]
pub struct Collector {
    /// Collections.
    pub count: u64,
    /// Milliseconds in them.
    pub millis: f64,
    readings: VecDeque<f64>,
}

impl Collector {
    fn collect(&mut self, millis: f64) {
        self.count += 1;
        self.millis += millis;
    }

    fn sample(&mut self) {
        self.readings.push_back(self.millis);
        if self.readings.len() > 13 {
            self.readings.pop_front();
        }
    }

    /// Milliseconds per second over the last minute (`TimeMsPerSecond`).
    pub fn millis_per_second(&self) -> f64 {
        let oldest = if self.readings.len() == 13 { self.readings.front().copied().unwrap_or(0.0) } else { 0.0 };
        (self.readings.back().copied().unwrap_or(0.0) - oldest) / (12.0 * SAMPLE_SECONDS)
    }
}

/// The heap could not hold what lives on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

impl Jvm {
    /// A JVM that has just started, with a heap of this size.
    pub fn new(heap: u64) -> Self {
        Self {
            heap: heap as f64,
            live: 34.0 * MIB as f64,
            garbage: 0.0,
            metaspace: 45.0 * MIB as f64,
            young: Collector::default(),
            old: Collector::default(),
            cpu_seconds: 0.0,
            cpu_load: 0.0,
            threads: 44,
            pressure: 0.0,
        }
    }

    /// Heap in use, bytes: what lives and what is not collected yet.
    pub fn heap_used(&self) -> f64 {
        (self.live + self.garbage).min(self.heap)
    }

    /// Share of time that tasks can run: the rest goes to collections.
    pub fn speed(&self) -> f64 {
        (1.0 - self.pressure).max(0.05)
    }

    /// The classes of one more job run are loaded; those of the run before go away in part.
    pub fn load_classes(&mut self, limit: u64) {
        let base = 45.0 * MIB as f64;
        let kept = (self.metaspace - base) * 0.8;
        self.metaspace = (base + kept + 5.0 * MIB as f64).min(limit as f64 * 0.98);
    }

    /// Allocates and collects for `dt` seconds.
    ///
    /// # Errors
    /// If what lives no longer fits the heap.
    pub fn step(&mut self, dt: f64, work: Work) -> Result<(), OutOfMemory> {
        let target = 34.0 * MIB as f64 + work.live;
        self.live += (target - self.live) * (dt / 10.0).min(1.0);
        self.garbage += work.allocated;
        self.cpu_seconds += work.cpu;
        self.cpu_load += (work.cpu / dt - self.cpu_load) * (dt / 5.0).min(1.0);
        self.threads = 44 + work.tasks * 8;
        if self.live >= self.heap {
            return Err(OutOfMemory);
        }
        let free = self.heap - self.live;
        let eden = (0.6 * free).clamp(0.02 * self.heap, 0.6 * self.heap);
        let mut spent = 0.0;
        if self.garbage >= eden {
            // Several collections may fall into one step; each costs by what it must keep.
            let times = (self.garbage / eden).floor().min(50.0);
            let millis = 4.0 + 10.0 * self.live / (512.0 * MIB as f64);
            for _ in 0..times as u32 {
                self.young.collect(millis);
            }
            spent += times * millis;
            self.garbage = (self.garbage - times * eden).max(0.0) + 0.03 * eden;
            if free < 0.12 * self.heap {
                let millis = 120.0 + 400.0 * self.live / (1024.0 * MIB as f64);
                self.old.collect(millis);
                spent += millis;
            }
        }
        let now = (spent / 1000.0 / dt).min(0.95);
        self.pressure += (now - self.pressure) * (dt / 5.0).min(1.0);
        Ok(())
    }

    /// Takes one sample of the meters.
    pub fn sample_meters(&mut self) {
        self.young.sample();
        self.old.sample();
    }
}
