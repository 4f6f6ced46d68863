//! Faults: what can go wrong in the embedded cluster, by scenario file or by request.

use serde::{Deserialize, Deserializer, de::Error};

use super::de;

/// One fault, when it begins and how long it lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSpec {
    /// When it begins, seconds after the start of the scenario (injected by request: after the request).
    pub at: f64,
    /// How long it lasts, seconds; faults that are a single event ignore it.
    pub lasts: f64,
    /// What happens.
    pub fault: Fault,
}

impl<'de> Deserialize<'de> for FaultSpec {
    /// A table of `at` (default 0s), `for` (default 10s), `kind` and the fields of that kind; others are refused.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut table = serde_json::Map::deserialize(d)?;
        let wrong = |key: &str, why: serde_json::Error| D::Error::custom(format!("{key}: {why}"));
        let at = table.remove("at").map_or(Ok(0.0), de::instant).map_err(|why| wrong("at", why))?;
        let lasts = table.remove("for").map_or(Ok(10.0), de::seconds).map_err(|why| wrong("for", why))?;
        let fault = Fault::deserialize(serde_json::Value::Object(table)).map_err(D::Error::custom)?;
        Ok(Self { at, lasts, fault })
    }
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The Kubernetes API server accepts no connection.
    ApiGone,
    /// The Kubernetes API server answers with this status.
    ApiErrors {
        /// HTTP status.
        #[serde(default = "default_status")]
        status: u16,
    },
    /// The Kubernetes API server answers late.
    ApiSlow {
        /// Milliseconds added to each answer.
        #[serde(deserialize_with = "de::millis")]
        delay: i64,
    },
    /// The Kubernetes API server is too busy: 429 with `Retry-After`.
    ApiBusy {
        /// Seconds after which to try again.
        #[serde(default = "default_wait", deserialize_with = "de::seconds")]
        wait: f64,
    },
    /// The token of every client has expired (401).
    TokenExpired,
    /// Something is forbidden (403).
    Forbidden {
        /// Kubernetes' verb; `*` for all.
        #[serde(default = "anything")]
        verb: String,
        /// Resource such as `pods` or `pods/log`; `*` for all.
        #[serde(default = "anything")]
        resource: String,
        /// Namespace, empty for requests over all of them; `*` for all.
        #[serde(default = "anything")]
        namespace: String,
    },
    /// Every update and patch conflicts with another one (409).
    WriteConflicts,
    /// The webhook of the operator denies every write of its resources.
    WebhookDenied {
        /// What it says.
        #[serde(default = "default_denial")]
        message: String,
    },
    /// Open watches say nothing: no events, no bookmarks, and they do not end.
    WatchSilent,
    /// Open watches end.
    WatchDropped,
    /// Watches are told that their resourceVersion is too old (410).
    WatchExpired,
    /// A JobManager accepts no connection, its jobs go on.
    FlinkGone {
        /// Name of the cluster.
        cluster: String,
    },
    /// A JobManager answers with this status.
    FlinkErrors {
        /// Name of the cluster.
        cluster: String,
        /// HTTP status.
        #[serde(default = "default_status")]
        status: u16,
    },
    /// A JobManager answers late.
    FlinkSlow {
        /// Name of the cluster.
        cluster: String,
        /// Milliseconds added to each answer.
        #[serde(deserialize_with = "de::millis")]
        delay: i64,
    },
    /// A JobManager restarts: it is gone for a while, then recovers its jobs from their last checkpoints.
    JobManagerRestart {
        /// Name of the cluster.
        cluster: String,
    },
    /// A TaskManager dies; another takes its place after the usual time.
    TaskManagerLost {
        /// Name of the cluster.
        cluster: String,
    },
    /// A TaskManager is killed because it used more memory than its container has.
    OomKill {
        /// Name of the cluster.
        cluster: String,
    },
    /// No new TaskManager can be started.
    NoCapacity {
        /// Name of the cluster; every cluster if absent.
        #[serde(default)]
        cluster: Option<String>,
    },
    /// The image of a cluster's pods cannot be pulled.
    ImagePullError {
        /// Name of the cluster.
        cluster: String,
    },
    /// The JobManager of a cluster ends as soon as it has started.
    CrashLoop {
        /// Name of the cluster.
        cluster: String,
    },
    /// The Kubernetes operator does nothing: its pod is gone.
    OperatorGone,
    /// The Kubernetes operator takes longer to notice a change and for each of its steps.
    OperatorSlow {
        /// Milliseconds.
        #[serde(deserialize_with = "de::millis")]
        delay: i64,
    },
    /// Pods of a cluster stay Terminating when they are deleted.
    PodsStuck {
        /// Name of the cluster.
        cluster: String,
    },
    /// Checkpoints fail.
    CheckpointFailures {
        /// Name of the job.
        job: String,
    },
    /// Savepoints fail.
    SavepointFailures {
        /// Name of the job.
        job: String,
    },
    /// The tasks of a vertex take longer for each record.
    Slow {
        /// Name of the job.
        job: String,
        /// Name of the vertex.
        vertex: String,
        /// How many times longer.
        factor: f64,
    },
}

fn default_status() -> u16 {
    503
}

fn default_wait() -> f64 {
    1.0
}

fn anything() -> String {
    "*".to_owned()
}

fn default_denial() -> String {
    "the simulated webhook denies every change".to_owned()
}

/// A fault with its time of the world, epoch milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    /// What happens.
    pub fault: Fault,
    /// First moment.
    pub from: i64,
    /// First moment after.
    pub until: i64,
    /// A single event that has happened.
    pub(super) done: bool,
}

/// Every fault of a world, past ones dropped.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    all: Vec<Active>,
    now: i64,
}

/// Faults that one world keeps at most; more are refused.
const MAX_FAULTS: usize = 1_000;

impl Faults {
    pub(super) fn add(&mut self, spec: FaultSpec, origin: i64) -> Result<(), String> {
        if self.all.len() >= MAX_FAULTS {
            return Err(format!("there are {MAX_FAULTS} faults already"));
        }
        if let Fault::Slow { factor, .. } = spec.fault
            && !(factor >= 1.0 && factor.is_finite())
        {
            return Err("the factor of a slow vertex must be 1 or more".to_owned());
        }
        let from = origin + (spec.at * 1000.0) as i64;
        let until = from + (spec.lasts * 1000.0) as i64;
        self.all.push(Active { fault: spec.fault, from, until, done: false });
        Ok(())
    }

    /// Moves to `now` and returns the single events that are due.
    pub(super) fn advance(&mut self, now: i64) -> Vec<Fault> {
        self.now = now;
        let mut due = Vec::new();
        for active in &mut self.all {
            let single = matches!(
                active.fault,
                Fault::JobManagerRestart { .. } | Fault::TaskManagerLost { .. } | Fault::OomKill { .. }
            );
            if single && !active.done && active.from <= now {
                active.done = true;
                due.push(active.fault.clone());
            }
        }
        self.all.retain(|a| a.until > now || a.from > now);
        due
    }

    /// The faults that act now.
    pub fn acting(&self) -> impl Iterator<Item = &Fault> {
        self.all.iter().filter(|a| a.from <= self.now && self.now < a.until).map(|a| &a.fault)
    }

    /// The faults that act now or will.
    pub fn all(&self) -> &[Active] {
        &self.all
    }

    /// Ends every fault that acts now.
    pub fn clear(&mut self) {
        let now = self.now;
        self.all.retain(|a| a.from > now);
    }

    /// The JobManager of this cluster accepts no connection.
    pub fn flink_gone(&self, name: &str) -> bool {
        self.acting().any(|f| matches!(f, Fault::FlinkGone { cluster } if cluster == name))
    }

    /// Images of this cluster cannot be pulled.
    pub(super) fn no_image(&self, name: &str) -> bool {
        self.acting().any(|f| matches!(f, Fault::ImagePullError { cluster } if cluster == name))
    }

    /// The JobManager of this cluster does not stay up.
    pub(super) fn crash_loop(&self, name: &str) -> bool {
        self.acting().any(|f| matches!(f, Fault::CrashLoop { cluster } if cluster == name))
    }

    /// The operator does nothing.
    pub fn operator_gone(&self) -> bool {
        self.acting().any(|f| matches!(f, Fault::OperatorGone))
    }

    /// What is added to the operator's times, milliseconds.
    pub fn operator_delay(&self) -> i64 {
        self.acting().map(|f| if let Fault::OperatorSlow { delay } = f { *delay } else { 0 }).max().unwrap_or(0)
    }

    /// Pods of this cluster do not go when they are deleted.
    pub(super) fn pods_stuck(&self, name: &str) -> bool {
        self.acting().any(|f| matches!(f, Fault::PodsStuck { cluster } if cluster == name))
    }

    pub(super) fn no_capacity(&self, name: &str) -> bool {
        self.acting()
            .any(|f| matches!(f, Fault::NoCapacity { cluster } if cluster.as_deref().is_none_or(|c| c == name)))
    }

    pub(super) fn checkpoints_fail(&self, name: &str) -> bool {
        self.acting().any(|f| matches!(f, Fault::CheckpointFailures { job } if job == name))
    }

    pub(super) fn savepoints_fail(&self, name: &str) -> bool {
        self.acting().any(|f| matches!(f, Fault::SavepointFailures { job } if job == name))
    }

    /// How many times longer a record takes at this vertex.
    pub(super) fn slowness(&self, name: &str, vertex_name: &str) -> f64 {
        self.acting()
            .filter_map(|f| match f {
                Fault::Slow { job, vertex, factor } if job == name && vertex == vertex_name => Some(*factor),
                _ => None,
            })
            .product()
    }
}
