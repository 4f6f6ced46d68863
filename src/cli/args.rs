//! The command line: every flag and subcommand, and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::eval::EvalArgs;
use super::journal::JournalCommand;
use super::op::OpCommand;
use super::ownership::OwnershipCommand;
use super::sim::SimArgs;
use crate::config::Layers;
use crate::domain::decision::DecisionId;
use crate::domain::text::parse_duration;

/// The terminal flight deck for Apache Flink: watch every deployment, see why the autoscaler wants what it wants, approve it
/// with two keys.
///
/// Without a subcommand: the screens, on the current kube context or on --flink URL (repeatable).
#[derive(Debug, Parser)]
#[command(name = "flightdeck", version, max_term_width = 110)]
pub struct Cli {
    /// Flags that every subcommand understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do; the screens if absent.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every subcommand understands.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// JobManager URL, or the name of a [[flink]] section of the config file (repeatable)
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "FLIGHTDECK_FLINK",
        value_delimiter = ',',
        help_heading = "Sources"
    )]
    pub flink: Vec<String>,
    /// Kube context; the current one if absent
    #[arg(long, global = true, value_name = "NAME", help_heading = "Sources")]
    pub context: Option<String>,
    /// Namespace to watch (repeatable)
    #[arg(long, short = 'n', global = true, value_name = "NAME", help_heading = "Sources")]
    pub namespace: Vec<String>,
    /// Watch all namespaces
    #[arg(long, short = 'A', global = true, conflicts_with = "namespace", help_heading = "Sources")]
    pub all_namespaces: bool,
    /// Never write anything to Flink or Kubernetes
    #[arg(long, global = true, help_heading = "Settings")]
    pub read_only: bool,
    /// Config file; $XDG_CONFIG_HOME/flightdeck/config.toml if absent
    #[arg(long, global = true, value_name = "FILE", env = "FLIGHTDECK_CONFIG", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Set an option: a setting (loop.period=5s) or an option of the autoscaler (metrics.window=60s) (repeatable)
    #[arg(long, global = true, value_name = "KEY=VALUE", help_heading = "Settings")]
    pub set: Vec<String>,
    /// Theme: dark, light, high-contrast, colour-blind, monochrome, or a file in themes/
    #[arg(long, global = true, value_name = "NAME", help_heading = "Settings")]
    pub theme: Option<String>,
}

impl Global {
    /// What these flags say, for the config room.
    pub fn layers(&self) -> Layers {
        let mut flags = Vec::new();
        if self.read_only {
            flags.push(("read-only", "true".to_owned(), "--read-only"));
        }
        if let Some(context) = &self.context {
            flags.push(("kubernetes.context", context.clone(), "--context"));
        }
        if self.all_namespaces {
            flags.push(("kubernetes.namespaces", "*".to_owned(), "--all-namespaces"));
        } else if !self.namespace.is_empty() {
            flags.push(("kubernetes.namespaces", self.namespace.join(","), "--namespace"));
        }
        if let Some(theme) = &self.theme {
            flags.push(("ui.theme", theme.clone(), "--theme"));
        }
        Layers { config: self.config.clone(), scenario: None, set: self.set.clone(), flags, flink: self.flink.clone() }
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The screens on an embedded cluster that needs nothing else
    Demo(DemoArgs),
    /// Serve the embedded cluster alone, for kubectl and other programs
    Sim(SimArgs),
    /// Print what the screens show, for scripts
    Get(GetArgs),
    /// Approve, reject or show a scaling decision
    #[command(subcommand)]
    Decisions(DecisionCommand),
    /// Who scales a job; take it over from the operator's autoscaler, or hand it back
    #[command(subcommand)]
    Ownership(OwnershipCommand),
    /// Savepoint, stop, redeploy, suspend, shut down: as plans that are shown, confirmed and followed
    #[command(subcommand)]
    Op(OpCommand),
    /// Answer recorded autoscaler cases offline: evaluated metrics, decision, explanation
    Eval(EvalArgs),
    /// Show or check the journal of everything that was done to a cluster
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Print every effective setting with its layer
    Config(ConfigArgs),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// `flightdeck demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Scenario file (TOML); the built-in one if absent
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
}

/// `flightdeck get`.
#[derive(Debug, Clone, Args)]
pub struct GetArgs {
    /// What to print
    pub what: What,
    /// Output format
    #[arg(long, short = 'o', value_enum, default_value_t)]
    pub output: Output,
    /// How to reach a control loop
    #[command(flatten)]
    pub reach: Reach,
}

/// What `get` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Deployments and clusters.
    #[value(alias = "deployment", alias = "clusters")]
    Deployments,
    /// Jobs with their rates.
    #[value(alias = "job")]
    Jobs,
    /// Scaling decisions.
    #[value(alias = "decision")]
    Decisions,
    /// Events of Kubernetes in the namespaces that are looked at, newest first.
    #[value(alias = "event")]
    Events,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// A documented JSON document.
    Json,
}

/// How to reach a control loop.
#[derive(Debug, Clone, Default, Args)]
pub struct Reach {
    /// Attach to the flightdeck with this process id, if several run
    #[arg(long, value_name = "PID", conflicts_with = "wait")]
    pub attach: Option<u32>,
    /// Attach to no running process: run the control loop here, for at most this time, until there is a decision
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// `flightdeck decisions`.
#[derive(Debug, Clone, Subcommand)]
pub enum DecisionCommand {
    /// Print a decision with its whole explanation
    Show {
        /// Its id: 8 hexadecimal digits
        id: DecisionId,
        /// Output format
        #[arg(long, short = 'o', value_enum, default_value_t)]
        output: Output,
        /// How to reach a control loop
        #[command(flatten)]
        reach: Reach,
    },
    /// Approve a pending decision: the job is rescaled
    Approve {
        /// Its id: 8 hexadecimal digits
        id: DecisionId,
        /// Do not ask; needed when standard input is no terminal
        #[arg(long, short = 'y')]
        yes: bool,
        /// How to reach a control loop
        #[command(flatten)]
        reach: Reach,
    },
    /// Propose what fits into the cluster instead of a pending decision that does not fit
    Reduce {
        /// Its id: 8 hexadecimal digits
        id: DecisionId,
        /// Do not ask; needed when standard input is no terminal
        #[arg(long, short = 'y')]
        yes: bool,
        /// How to reach a control loop
        #[command(flatten)]
        reach: Reach,
    },
    /// Reject a pending decision: it stays quiet until inputs change
    Reject {
        /// Its id: 8 hexadecimal digits
        id: DecisionId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Do not ask; needed when standard input is no terminal
        #[arg(long, short = 'y')]
        yes: bool,
        /// How to reach a control loop
        #[command(flatten)]
        reach: Reach,
    },
}

/// `flightdeck config`.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Output format
    #[arg(long, short = 'o', value_enum, default_value_t)]
    pub output: Output,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_their_own_become_settings() {
        let cli = Cli::try_parse_from(["flightdeck", "get", "jobs", "-A", "--read-only", "--set", "loop.period=5s"]);
        let layers = cli.unwrap().global.layers();
        assert_eq!(layers.set, ["loop.period=5s"]);
        let keys: Vec<_> = layers.flags.iter().map(|(k, v, _)| (*k, v.as_str())).collect();
        assert_eq!(keys, [("read-only", "true"), ("kubernetes.namespaces", "*")]);
    }

    #[test]
    fn ids_and_durations_are_checked_while_parsing() {
        assert!(Cli::try_parse_from(["flightdeck", "decisions", "approve", "xyz"]).is_err());
        assert!(Cli::try_parse_from(["flightdeck", "get", "jobs", "--wait", "soon"]).is_err());
        assert!(Cli::try_parse_from(["flightdeck", "decisions", "approve", "0a1b2c3d", "--wait", "2m"]).is_ok());
    }
}
