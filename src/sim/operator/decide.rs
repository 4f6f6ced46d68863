//! How a job is stopped for an upgrade: the table of `operator.md` §4.2 as one pure function.

use super::release::Release;

/// What the decision depends on.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// Rules of which release.
    pub release: Release,
    /// `upgradeMode` of the new spec.
    pub mode: &'a str,
    /// The subject has a cluster of its own.
    pub application: bool,
    /// `jobStatus.state`.
    pub state: Option<&'a str>,
    /// REST answers.
    pub rest: bool,
    /// `jobManagerDeploymentStatus`.
    pub job_manager: Option<&'a str>,
    /// High availability is on and the job's metadata are there.
    pub ha_metadata: bool,
    /// What the status says to restore from is a real path.
    pub known_path: bool,
    /// `job.upgrade.last-state-fallback.enabled`.
    pub fallback: bool,
    /// `job.upgrade.last-state.job-cancel.enabled`.
    pub prefers_cancel: bool,
    /// The new spec asks for another Flink.
    pub version_changed: bool,
    /// A directory for savepoints is set.
    pub savepoint_dir: bool,
    /// The JobManager of the last deployment was never available and cannot start.
    pub never_started: bool,
}

/// How it is stopped, and what it starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Cancelled; nothing is restored.
    Stateless,
    /// It has ended: from the path that is known.
    Ended,
    /// With a savepoint.
    Savepoint,
    /// The cluster goes, the HA metadata stay.
    KeepHa,
    /// Cancelled through REST; from its last checkpoint.
    Cancel,
    /// The JobManager goes; from what the last attempt was to restore.
    NeverStarted,
    /// Not now.
    Wait,
    /// Not at all without a person.
    Impossible,
}

/// Decides.
pub fn stop(s: &Situation<'_>) -> Stop {
    let running = s.rest && s.state == Some("RUNNING");
    let ended = matches!(s.state, Some("FAILED" | "CANCELED" | "FINISHED"));
    if s.mode == "stateless" {
        return Stop::Stateless;
    }
    if !s.release.snapshots() {
        return old_rules(s, running, ended);
    }
    if ended && (s.state == Some("CANCELED") || !s.ha_metadata || s.rest) {
        return if s.known_path { Stop::Ended } else { Stop::Impossible };
    }
    if s.state == Some("CANCELLING") {
        return Stop::Wait;
    }
    if s.mode == "savepoint" {
        if running {
            return Stop::Savepoint;
        }
        if !s.fallback && !s.version_changed {
            return Stop::Wait;
        }
    }
    // A job that is anywhere but at its end can be cancelled while REST answers.
    let cancellable = s.rest && !ended && s.state.is_some_and(|state| state != "RECONCILING");
    if s.version_changed {
        return match (running && s.savepoint_dir, cancellable) {
            (true, _) => Stop::Savepoint,
            (false, true) => Stop::Cancel,
            (false, false) if s.never_started => Stop::NeverStarted,
            (false, false) => Stop::Wait,
        };
    }
    let by_cancel = !s.application || !s.ha_metadata || s.prefers_cancel;
    if cancellable && by_cancel {
        return Stop::Cancel;
    }
    if s.ha_metadata {
        return Stop::KeepHa;
    }
    if s.never_started {
        return Stop::NeverStarted;
    }
    match s.job_manager {
        Some("MISSING" | "ERROR") => Stop::Impossible,
        _ => Stop::Wait,
    }
}

/// Before 1.10: last-state is for applications with HA only, and nothing is cancelled for it.
fn old_rules(s: &Situation<'_>, running: bool, ended: bool) -> Stop {
    if ended && (s.rest || !s.ha_metadata) {
        return if s.known_path { Stop::Ended } else { Stop::Impossible };
    }
    if running && (s.mode == "savepoint" || s.version_changed) {
        return if s.savepoint_dir { Stop::Savepoint } else { Stop::Wait };
    }
    let as_last_state = s.mode == "last-state" || (s.fallback && !s.version_changed);
    if as_last_state && s.application && s.ha_metadata {
        return Stop::KeepHa;
    }
    match s.job_manager {
        _ if s.never_started => Stop::NeverStarted,
        Some("MISSING" | "ERROR") => Stop::Impossible,
        _ => Stop::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy(mode: &str) -> Situation<'_> {
        Situation {
            release: Release::DEFAULT,
            mode,
            application: true,
            state: Some("RUNNING"),
            rest: true,
            job_manager: Some("READY"),
            ha_metadata: false,
            known_path: false,
            fallback: true,
            prefers_cancel: false,
            version_changed: false,
            savepoint_dir: true,
            never_started: false,
        }
    }

    #[test]
    fn a_running_job_is_stopped_as_its_mode_says() {
        assert_eq!(stop(&healthy("stateless")), Stop::Stateless);
        assert_eq!(stop(&healthy("savepoint")), Stop::Savepoint);
        assert_eq!(stop(&healthy("last-state")), Stop::Cancel, "without HA");
        assert_eq!(stop(&Situation { ha_metadata: true, ..healthy("last-state") }), Stop::KeepHa);
        let session = Situation { ha_metadata: true, application: false, ..healthy("last-state") };
        assert_eq!(stop(&session), Stop::Cancel);
        let cancels = Situation { ha_metadata: true, prefers_cancel: true, ..healthy("last-state") };
        assert_eq!(stop(&cancels), Stop::Cancel);
        let version = Situation { ha_metadata: true, version_changed: true, ..healthy("last-state") };
        assert_eq!(stop(&version), Stop::Savepoint, "HA metadata of another Flink are worth nothing");
        assert_eq!(stop(&Situation { savepoint_dir: false, ..version }), Stop::Cancel);
    }

    #[test]
    fn a_job_that_does_not_run_falls_back_or_waits() {
        let restarting = |mode| Situation { state: Some("RESTARTING"), ..healthy(mode) };
        assert_eq!(stop(&restarting("savepoint")), Stop::Cancel);
        assert_eq!(stop(&Situation { fallback: false, ..restarting("savepoint") }), Stop::Wait);
        assert_eq!(stop(&Situation { ha_metadata: true, ..restarting("savepoint") }), Stop::KeepHa);
        assert_eq!(stop(&Situation { state: Some("CANCELLING"), ..healthy("last-state") }), Stop::Wait);
        let starting = Situation {
            rest: false,
            state: Some("RECONCILING"),
            job_manager: Some("DEPLOYING"),
            ..healthy("savepoint")
        };
        assert_eq!(stop(&starting), Stop::Wait);
        let broken = Situation { job_manager: Some("ERROR"), ..starting.clone() };
        assert_eq!(stop(&broken), Stop::Impossible);
        assert_eq!(stop(&Situation { never_started: true, ..broken.clone() }), Stop::NeverStarted);
        assert_eq!(stop(&Situation { ha_metadata: true, ..broken }), Stop::KeepHa);
    }

    #[test]
    fn a_job_that_ended_needs_a_path() {
        let failed = Situation { state: Some("FAILED"), ..healthy("savepoint") };
        assert_eq!(stop(&failed), Stop::Impossible);
        assert_eq!(stop(&Situation { known_path: true, ..failed.clone() }), Stop::Ended);
        assert_eq!(stop(&Situation { mode: "stateless", ..failed }), Stop::Stateless);
    }

    #[test]
    fn before_1_10_nothing_is_cancelled_for_a_last_state() {
        let old = |mode| Situation { release: Release::OLDEST, ..healthy(mode) };
        assert_eq!(stop(&Situation { ha_metadata: true, ..old("last-state") }), Stop::KeepHa);
        assert_eq!(stop(&old("last-state")), Stop::Wait);
        assert_eq!(stop(&old("savepoint")), Stop::Savepoint);
        assert_eq!(stop(&Situation { state: Some("RESTARTING"), ..old("savepoint") }), Stop::Wait);
    }
}
