//! Every scalar setting of flightdeck: name, kind, default and meaning. One table; help, checks and `flightdeck config` read it.

use crate::domain::text::{nearest, parse_duration};

/// What kind of value a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A duration such as `10s`.
    Duration,
    /// A whole number within bounds, both included.
    Number(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text; checked by the room that owns it.
    Text,
}

impl Kind {
    /// Checks a value.
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn check(self, value: &str) -> Result<(), String> {
        match self {
            Self::Switch => match value {
                "true" | "false" => Ok(()),
                _ => Err(format!("{value:?} is neither true nor false")),
            },
            Self::Duration => match parse_duration(value) {
                Ok(time) if time.is_zero() => Err("must be longer than zero".to_owned()),
                Ok(_) => Ok(()),
                Err(message) => Err(message),
            },
            Self::Number(low, high) => match value.parse::<u64>() {
                Ok(n) if (low..=high).contains(&n) => Ok(()),
                _ => Err(format!("{value:?} is not a whole number from {low} to {high}")),
            },
            Self::Word(words) => {
                if words.contains(&value) {
                    return Ok(());
                }
                let hint =
                    nearest(value, words.iter().copied()).map_or(String::new(), |n| format!("; did you mean {n:?}?"));
                Err(format!("{value:?} is none of {}{hint}", words.join(", ")))
            }
            Self::Text => Ok(()),
        }
    }
}

/// One scalar setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its dotted name.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its built-in value.
    pub default: &'static str,
    /// What it means.
    pub help: &'static str,
}

const fn setting(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { key, kind, default, help }
}

use Kind::{Duration, Number, Switch, Text, Word};

/// All scalar settings, in the order in which `flightdeck config` prints them.
pub const SETTINGS: &[Setting] = &[
    setting("read-only", Switch, "false", "nothing is ever written to Flink or Kubernetes"),
    setting("ui.theme", Text, "dark", "dark, light, high-contrast, colour-blind, monochrome, or a file in themes/"),
    setting("ui.ascii", Word(&["auto", "always", "never"]), "auto", "draw with ASCII alone; auto looks at the locale"),
    setting("ui.utc", Switch, "false", "show absolute times in UTC instead of local time"),
    setting("ui.mouse", Switch, "false", "use the mouse wheel; off, the terminal selects text"),
    setting("loop.period", Duration, "10s", "time between two turns of the control loop of a job"),
    setting("loop.compat", Word(&["main", "1.8"]), "main", "generation of the autoscaler's rules"),
    setting(
        "loop.mode",
        Word(&["manual", "advise", "off"]),
        "manual",
        "mode of jobs without a section of their own; auto is armed by job only",
    ),
    setting("loop.expiry", Duration, "30m", "a decision nobody approved expires after this time"),
    setting("loop.reject-quiet", Duration, "1h", "how long a rejected decision stays quiet"),
    setting("loop.snooze", Duration, "15m", "how long a snoozed decision stays quiet"),
    setting("poll.visible", Duration, "2s", "period of the job list while a screen shows it"),
    setting("poll.hidden", Duration, "10s", "period of the job list while no screen shows it"),
    setting("poll.job", Duration, "3s", "period of the selected job's details"),
    setting("poll.checkpoints", Duration, "15s", "period of checkpoint statistics"),
    setting("poll.task-managers", Duration, "10s", "period of the TaskManagers"),
    setting("http.timeout", Duration, "5s", "deadline of one read from a JobManager"),
    setting("http.action-timeout", Duration, "30s", "deadline of one write to a JobManager"),
    setting("http.in-flight", Number(1, 64), "4", "requests in flight per JobManager"),
    setting("http.body-limit", Number(65_536, 1_073_741_824), "16777216", "largest answer that is read, bytes"),
    setting("kubernetes.context", Text, "", "kube context; empty for the current one"),
    setting("kubernetes.namespaces", Text, "", "namespaces by commas; * for all, empty for the context's own"),
    setting(
        "kubernetes.way",
        Word(&["auto", "proxy", "cluster-dns", "ingress"]),
        "auto",
        "way to a JobManager: through the API server, by the cluster's DNS (inside it only), or by the ingress",
    ),
    setting(
        "kubernetes.capacity-refresh",
        Text,
        "1m",
        "how old the view of the cluster's room may be when a proposal is checked against it; off checks nothing",
    ),
    setting("log.filter", Text, "flightdeck=info,warn", "what the log panel and the log file keep"),
];

/// The setting with this name.
pub fn setting_named(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.key == key)
}

/// The environment variable of a setting: `FLIGHTDECK_LOOP_PERIOD` for `loop.period`.
pub fn variable(key: &str) -> String {
    let mut name = String::from("FLIGHTDECK_");
    name.extend(key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_valid_value() {
        for s in SETTINGS {
            assert_eq!(s.kind.check(s.default), Ok(()), "{}", s.key);
            assert!(!s.help.is_empty());
        }
    }

    #[test]
    fn names_and_variables_are_unique() {
        let mut variables: Vec<_> = SETTINGS.iter().map(|s| variable(s.key)).collect();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), SETTINGS.len());
        assert_eq!(variable("loop.reject-quiet"), "FLIGHTDECK_LOOP_REJECT_QUIET");
    }

    #[test]
    fn a_wrong_value_says_what_is_expected() {
        let message = Word(&["manual", "advise", "off"]).check("manaul").unwrap_err();
        assert!(message.contains("did you mean \"manual\""), "{message}");
        assert!(Number(1, 64).check("0").is_err());
        assert!(Duration.check("0s").is_err());
        assert!(Switch.check("yes").is_err());
    }

    #[test]
    fn auto_mode_cannot_be_armed_for_all_jobs_at_once() {
        assert!(setting_named("loop.mode").unwrap().kind.check("auto").is_err());
    }
}
