//! What a control loop is started with: its settings and the parts it works with.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::decisions::Rules;
use super::ports::{ClusterApi, Contexts};
use crate::autoscaler::excluded::Zone;
use crate::autoscaler::generation::Generation;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::ids::SourceId;
use crate::domain::job::Mode;
use crate::domain::plan::Launch;
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
    /// Time between the lists of any two clusters that nobody pilots or looks at: so many times as there are clusters pass before one of
    /// them is asked again, if that is longer.
    pub list_unattended: Duration,
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
            list_unattended: Duration::from_millis(50),
            selected: Duration::from_secs(3),
            task_managers: Duration::from_secs(10),
            checkpoints: Duration::from_secs(15),
            names_again: Duration::from_secs(60),
        }
    }
}

/// Settings of a control loop.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// How often what is asked.
    pub periods: Periods,
    /// The mode of jobs that [`jobs`](Self::jobs) does not name.
    pub mode: Mode,
    /// Modes and options by job, in order; the first that is about a job counts.
    pub jobs: Vec<JobRule>,
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
    /// The local time zone around an instant, in which excluded periods are written.
    pub zone: fn(Timestamp) -> Zone,
    /// Facts for the header.
    pub notices: Vec<Notice>,
    /// Limits of every JobManager's client.
    pub client: ClientOptions,
    /// The room of a Kubernetes cluster is read again when it is older (the operator's
    /// `kubernetes.operator.cluster.resource-view.refresh-interval`); `None`: no proposal is checked against it.
    pub capacity_refresh: Option<Duration>,
    /// Explanations are made in every turn. Without, only for turns that propose.
    pub explain: bool,
}

impl Default for ControlConfig {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            periods: Periods::default(),
            mode: Mode::Manual,
            jobs: Vec::new(),
            expiry: minutes(30),
            expiry_periods: 3,
            reject_quiet: minutes(60),
            snooze: minutes(15),
            effect_patience: minutes(10),
            read_only: false,
            compat: Generation::default(),
            options: BTreeMap::new(),
            zone: |_| Zone::utc(),
            notices: Vec::new(),
            client: ClientOptions::default(),
            capacity_refresh: Some(minutes(1)),
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

    /// What is said about a job of its own.
    pub fn rule(&self, namespace: Option<&str>, name: &str) -> Option<&JobRule> {
        self.jobs.iter().find(|rule| rule.matches(namespace, name))
    }

    /// The mode of a job.
    pub fn mode_of(&self, namespace: Option<&str>, name: &str) -> Mode {
        self.rule(namespace, name).and_then(|rule| rule.mode).unwrap_or(self.mode)
    }

    /// The options of a job as configured here: those of all jobs, and its own over them.
    pub fn options_of(&self, namespace: Option<&str>, name: &str) -> Cow<'_, BTreeMap<String, String>> {
        match self.rule(namespace, name).filter(|rule| !rule.options.is_empty()) {
            None => Cow::Borrowed(&self.options),
            Some(rule) => {
                let own = rule.options.iter().map(|(key, value)| (key.clone(), value.clone()));
                Cow::Owned(self.options.clone().into_iter().chain(own).collect())
            }
        }
    }
}

/// What is configured for some jobs of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobRule {
    /// `namespace/name` of a resource, or the name of a Flink job; `*` at the end matches any rest.
    pub name: String,
    /// Their mode.
    pub mode: Option<Mode>,
    /// Options of the autoscaler, by their full keys.
    pub options: BTreeMap<String, String>,
    /// How they are started, where nothing else says so.
    pub launch: Option<Launch>,
}

impl JobRule {
    /// The rule is about the job with this namespace and name.
    pub fn matches(&self, namespace: Option<&str>, name: &str) -> bool {
        let full = namespace.map(|ns| format!("{ns}/{name}"));
        let fits = |candidate: &str| match self.name.strip_suffix('*') {
            Some(prefix) => candidate.starts_with(prefix),
            None => candidate == self.name,
        };
        fits(name) || full.as_deref().is_some_and(fits)
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
#[derive(Clone)]
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
    /// Other contexts that can be switched to.
    pub contexts: Option<Arc<dyn Contexts>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_about_a_job_gives_its_mode_and_its_options() {
        let rule = |name: &str, mode, window: &str| JobRule {
            name: name.to_owned(),
            mode,
            options: [("job.autoscaler.metrics.window".to_owned(), window.to_owned())].into(),
            launch: None,
        };
        let config = ControlConfig {
            mode: Mode::Advise,
            options: [("job.autoscaler.restart.time".to_owned(), "3 m".to_owned())].into(),
            jobs: vec![rule("shop/orders", Some(Mode::Auto), "1 m"), rule("dev-*", None, "2 m")],
            ..ControlConfig::default()
        };
        assert_eq!(config.mode_of(Some("shop"), "orders"), Mode::Auto);
        assert_eq!(config.mode_of(Some("other"), "orders"), Mode::Advise);
        assert_eq!(config.mode_of(None, "dev-1"), Mode::Advise);
        let window = |ns, name| config.options_of(ns, name).get("job.autoscaler.metrics.window").cloned();
        assert_eq!(window(Some("shop"), "orders").as_deref(), Some("1 m"));
        assert_eq!(window(None, "dev-1").as_deref(), Some("2 m"));
        assert_eq!(window(None, "else"), None);
        assert_eq!(config.options_of(None, "dev-1").len(), 2);
    }
}
