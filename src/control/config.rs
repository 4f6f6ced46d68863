//! What a control loop is started with: its settings and the parts it works with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::FixedOffset;

use super::decisions::Rules;
use super::ports::ClusterApi;
use crate::autoscaler::generation::Generation;
use crate::clock::Clock;
use crate::domain::ids::SourceId;
use crate::domain::job::Mode;
use crate::domain::snapshot::Notice;
use crate::flink::{ClientOptions, Transport};
use crate::state::journal::{Journal, Recovery};
use crate::state::store::StateStore;

/// How often what is asked. "Visible" means that somebody looks at it ([`Interest`](crate::domain::command::Interest)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Periods {
    /// The loop: collect, evaluate, decide.
    pub turn: Duration,
    /// `/overview` and `/jobs/overview` while a screen is visible.
    pub list_visible: Duration,
    /// The same while none is.
    pub list_hidden: Duration,
    /// The same while a change is being applied.
    pub list_applying: Duration,
    /// The selected job, its problems and its subtasks.
    pub selected: Duration,
    /// TaskManagers, while visible.
    pub task_managers: Duration,
    /// Checkpoints, while visible.
    pub checkpoints: Duration,
    /// How long after a run began its metric names are listed once more: some come late.
    pub names_again: Duration,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            turn: Duration::from_secs(10),
            list_visible: Duration::from_secs(2),
            list_hidden: Duration::from_secs(10),
            list_applying: Duration::from_secs(1),
            selected: Duration::from_secs(3),
            task_managers: Duration::from_secs(10),
            checkpoints: Duration::from_secs(15),
            names_again: Duration::from_secs(60),
        }
    }
}

/// Settings of a control loop.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlConfig {
    /// How often what is asked.
    pub periods: Periods,
    /// The mode of jobs that [`modes`](Self::modes) does not name.
    pub mode: Mode,
    /// Modes by job: its key, `namespace/name` or name; the first of these that is there wins.
    pub modes: BTreeMap<String, Mode>,
    /// A pending decision expires this long after it was proposed.
    pub expiry: Duration,
    /// A pending decision expires after so many periods of the loop without a turn that came to the same result.
    pub expiry_periods: u32,
    /// A rejected decision stays quiet for this long.
    pub reject_quiet: Duration,
    /// A snoozed decision stays quiet for this long.
    pub snooze: Duration,
    /// An accepted write must show its effect within this time.
    pub effect_patience: Duration,
    /// Nothing may be written.
    pub read_only: bool,
    /// The generation of rules.
    pub compat: Generation,
    /// The autoscaler's options as configured here; a job's own configuration wins over them.
    pub options: BTreeMap<String, String>,
    /// The local time zone, in which excluded periods are written.
    pub zone: FixedOffset,
    /// Facts for the header.
    pub notices: Vec<Notice>,
    /// Limits of every JobManager's client.
    pub client: ClientOptions,
    /// Explanations are made in every turn. Without, only for turns that propose.
    pub explain: bool,
}

impl Default for ControlConfig {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            periods: Periods::default(),
            mode: Mode::Manual,
            modes: BTreeMap::new(),
            expiry: minutes(30),
            expiry_periods: 3,
            reject_quiet: minutes(60),
            snooze: minutes(15),
            effect_patience: minutes(10),
            read_only: false,
            compat: Generation::default(),
            options: BTreeMap::new(),
            zone: chrono::Offset::fix(&chrono::Utc),
            notices: Vec::new(),
            client: ClientOptions::default(),
            explain: true,
        }
    }
}

impl ControlConfig {
    /// The rules for the life of decisions.
    pub fn rules(&self) -> Rules {
        Rules {
            expiry: self.expiry,
            unrefreshed: self.periods.turn * self.expiry_periods,
            reject_quiet: self.reject_quiet,
            snooze: self.snooze,
        }
    }

    /// The mode of a job.
    pub fn mode_of(&self, key: &str, namespace: Option<&str>, name: &str) -> Mode {
        let qualified = namespace.map(|ns| format!("{ns}/{name}"));
        [Some(key), qualified.as_deref(), Some(name)]
            .into_iter()
            .flatten()
            .find_map(|n| self.modes.get(n))
            .copied()
            .unwrap_or(self.mode)
    }
}

/// A Flink cluster behind a URL.
#[derive(Debug, Clone)]
pub struct FlinkSource {
    /// Its configured name.
    pub id: SourceId,
    /// The way to its JobManager.
    pub transport: Arc<dyn Transport>,
    /// Address of Flink's own page, for people.
    pub ui_url: Option<String>,
    /// Certificates are not verified.
    pub insecure: bool,
}

/// A Kubernetes cluster with the Flink operator.
#[derive(Clone)]
pub struct KubernetesSource {
    /// Its kube context.
    pub id: SourceId,
    /// The address of its API server, without credentials.
    pub address: String,
    /// The way to it.
    pub api: Arc<dyn ClusterApi>,
    /// Certificates are not verified.
    pub insecure: bool,
}

impl std::fmt::Debug for KubernetesSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesSource").field("id", &self.id).field("address", &self.address).finish_non_exhaustive()
    }
}

/// The parts a loop works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where the state of jobs is kept.
    pub store: Arc<dyn StateStore>,
    /// Where effects are recorded.
    pub journal: Journal,
    /// What the journal held when it was opened.
    pub recovery: Recovery,
    /// Flink clusters behind URLs.
    pub flink: Vec<FlinkSource>,
    /// Kubernetes clusters.
    pub kubernetes: Vec<KubernetesSource>,
}
