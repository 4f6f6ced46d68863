//! What a pilot shows: the job's view on the board, with its status word.

use std::sync::Arc;

use super::Pilot;
use crate::autoscaler::options::{Options, TABLE};
use crate::control::health::operator::{operator_word, task_manager_end, task_manager_trouble};
use crate::control::health::{Evidence, health};
use crate::control::rates::{job_rates, lag_trend};
use crate::domain::Timestamp;
use crate::domain::freshness::{Observed, age};
use crate::domain::health::{Health, HealthWord};
use crate::domain::job::{JobRates, JobView, VertexView};
use crate::flink::metric_fetch_interval;

/// The trend of the backlog is taken over so many periods of the loop.
const TREND_PERIODS: u32 = 4;
/// Numbers that are older than so many periods of the loop, and Flink's own delay, tell nothing of the present.
const OLD_PERIODS: u32 = 3;

impl Pilot {
    /// Puts the job up when it appears.
    pub(super) fn put_view(&self) {
        let subject = &self.subject;
        self.shared.board.put_job(JobView {
            key: subject.key.clone(),
            revision: 0,
            kind: subject.kind,
            source: self.link.source.clone(),
            cluster: self.link.key.clone(),
            namespace: subject.namespace.clone(),
            name: subject.name.clone(),
            generation: subject.resource.as_ref().map(|r| r.generation),
            job_id: subject.job,
            state: self.state,
            tasks: self.tasks,
            run: None,
            started_at: None,
            health: Health { word: HealthWord::Unknown, reason: "not observed yet".into(), operator: None },
            ownership: self.ownership.clone(),
            mode: self.mode,
            realization: self.realization.clone(),
            options: Arc::clone(&self.options_shown),
            rates: None,
            topology: None,
            vertices: None,
            subtasks: None,
            window: None,
            window_status: None,
            evaluation: None,
            memory_advice: None,
            checkpoints: None,
            problems: None,
            turn: None,
            observed_at: None,
            resource: None,
            progress: None,
        });
    }

    /// Brings the job's view and its decisions up to date.
    pub(super) fn publish(&self) {
        let rates = self.rates();
        let health = self.health(rates.as_ref().filter(|_| self.rates_tell()));
        let subject = &self.subject;
        let listed = subject.job.and_then(|job| self.cluster.jobs.get(&job));
        self.shared.board.update_job(&subject.key, |view| {
            view.name.clone_from(&subject.name);
            view.generation = subject.resource.as_ref().map(|r| r.generation);
            view.job_id = subject.job;
            view.state = self.state;
            view.tasks = self.tasks;
            view.run = self.run_seen();
            view.started_at = listed.and_then(|j| j.start_time);
            view.health = health;
            view.ownership.clone_from(&self.ownership);
            view.mode = self.mode;
            view.realization.clone_from(&self.realization);
            view.options.clone_from(&self.options_shown);
            let at = self.readings.at();
            view.rates = rates.zip(at).map(|(rates, at)| Observed::new(rates, at));
            view.topology.clone_from(&self.topology);
            view.vertices = at.map(|at| Observed::new(Arc::clone(&self.vertices), at));
            if self.interest.vertex != view.subtasks.as_ref().map(|s| s.value.vertex) {
                view.subtasks = None;
            }
            view.window.clone_from(&self.window_shown);
            view.window_status.clone_from(&self.status);
            view.evaluation.clone_from(&self.evaluation);
            view.memory_advice.clone_from(&self.memory_advice);
            view.checkpoints.clone_from(&self.checkpoints);
            view.problems.clone_from(&self.problems);
            view.observed_at = self.cluster.at;
            view.resource = self.resource_view(view.resource.as_ref());
            view.progress.clone_from(&self.progress);
        });
        self.shared.board.put_decisions(&subject.key, self.book.decisions());
    }

    /// The numbers in one line, once something was read.
    pub(super) fn rates(&self) -> Option<JobRates> {
        let at = self.readings.at()?;
        let since = at - self.shared.config.periods.turn * TREND_PERIODS;
        let trend = lag_trend(self.window.samples().iter().map(Arc::as_ref), since);
        Some(job_rates(&self.vertices, self.topology.as_deref(), trend, band(&self.options)))
    }

    /// The numbers are young enough to tell how the job is: those of a job that nobody looks at any more stay with their age.
    fn rates_tell(&self) -> bool {
        let longest = self.shared.config.periods.turn * OLD_PERIODS + metric_fetch_interval(&self.cluster.settings);
        self.readings.at().is_some_and(|at| age(at, self.now()) <= longest)
    }

    fn health(&self, rates: Option<&JobRates>) -> Health {
        let now = self.now();
        let failures: Vec<Timestamp> =
            self.problems.iter().flat_map(|p| p.value.entries.iter().rev().map(|e| e.at)).collect();
        let problem = self.problems.as_ref().and_then(|p| p.value.entries.first()).map(|e| {
            let class = e.root_class.rsplit('.').next().unwrap_or_default();
            format!("{class}: {}", e.root_message.lines().next().unwrap_or_default())
        });
        let is_source =
            |v: &&VertexView| self.topology.as_ref().and_then(|t| t.vertex(v.id)).is_some_and(|v| v.is_source());
        let source_backpressure =
            self.vertices.iter().filter(is_source).map(|v| v.backpressured).fold(f64::NAN, f64::max);
        let pods = self.subject.around.pods.as_deref();
        let operator = self.subject.resource.as_ref().map(|r| operator_word(r, pods, self.lifecycle.1, now));
        let missing_task_managers = pods.and_then(|pods| task_manager_trouble(pods, now));
        let ended_task_manager = pods.and_then(task_manager_end);
        health(&Evidence {
            now,
            lost: self.cluster.lost.as_ref().filter(|_| self.link.is_ready()).map(|l| (l.since, l.error.as_str())),
            state: self.state,
            state_since: self.state_since,
            tasks: self.tasks,
            ran_before: self.ran,
            failures: &failures,
            problem: problem.as_deref(),
            free_slots: self.cluster.free_slots(),
            missing_task_managers: missing_task_managers.as_deref(),
            ended_task_manager: ended_task_manager.as_deref(),
            progress: self.progress.as_deref().filter(|_| self.chase.is_some()),
            rates,
            source_backpressure,
            checkpoints: self.checkpoints.as_ref().map(|c| &*c.value),
            operator: operator.as_ref(),
        })
    }

    /// Works the vertices out anew, after a reading.
    pub(super) fn reread(&mut self) {
        self.vertices = Arc::new(self.readings.vertices(self.topology.as_deref()));
    }

    /// The present status word.
    pub(super) fn health_word(&self) -> HealthWord {
        self.shared.board.job(&self.subject.key).map_or(HealthWord::Unknown, |view| view.health.word)
    }
}

/// The band of utilization by the options.
pub(super) fn band(options: &Options) -> (f64, f64) {
    let (target, boundary) = (options.utilization_target, options.utilization_boundary);
    let low = options.utilization_min.unwrap_or(target - boundary);
    let high = options.utilization_max.unwrap_or(target + boundary);
    (low.max(0.0), high)
}

/// Options that are configured somewhere: key, value, layer.
pub(super) fn configured(options: &Options) -> Vec<(String, String, String)> {
    TABLE
        .iter()
        .filter(|spec| options.is_set(spec.id))
        .map(|spec| {
            let key = spec.key(options.generation).to_owned();
            (key, options.text(spec.id).to_owned(), options.layer(spec.id).name().to_owned())
        })
        .collect()
}
