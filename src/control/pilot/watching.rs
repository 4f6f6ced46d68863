//! What a pilot watches besides its turns: the lists of its cluster, its resource, and what somebody looks at.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Pilot, next};
use crate::control::adapters::flink as adapter;
use crate::control::conflicts::ANOTHER;
use crate::domain::freshness::Observed;
use crate::domain::job::JobState;
use crate::flink::{FlinkError, JobDetails, metric_fetch_interval};

/// Problems that are asked for.
const PROBLEMS: u32 = 20;

impl Pilot {
    /// Takes in what changed around the job. True if the job is gone.
    pub(super) fn absorb(&mut self) -> bool {
        let cluster = Arc::clone(&self.clusters.borrow_and_update());
        let subject = self.subjects.borrow_and_update().clone();
        let interest = self.interests.borrow_and_update().clone();
        let was_selected = self.selected();
        let settings_changed = !Arc::ptr_eq(&cluster, &self.cluster)
            && (cluster.config != self.cluster.config || cluster.settings != self.cluster.settings)
            || !same_resource(&subject, &self.subject)
            || subject.around.scalers != self.subject.around.scalers;
        let listed = !Arc::ptr_eq(&cluster, &self.cluster);
        if subject.job != self.subject.job {
            self.forget_what_passes();
        }
        if let (Some(before), Some(after)) = (&self.subject.resource, &subject.resource)
            && let Some(applied) = &after.applied
            && before.applied != after.applied
            && !self.ours.contains(&applied.decision)
        {
            self.another = Some((self.now(), Instant::now() + ANOTHER));
        }
        self.cluster = cluster;
        self.subject = subject;
        self.interest = interest;
        if settings_changed {
            self.settle_settings();
        }
        if self.selected() && !was_selected {
            let now = Instant::now();
            self.schedule.documents = now;
            self.schedule.details = now;
            self.schedule.checkpoints = now;
            self.schedule.watermarks = now;
            self.owe_problems();
        }
        if was_selected && !self.selected() {
            // Nobody asks for them any more, and an old one would read as a lag.
            self.readings.watermarks(BTreeMap::new());
            self.reread();
        }
        if match &self.subject.resource {
            None => self.vanished(),
            Some(_) => self.subjects_end,
        } {
            return true;
        }
        if listed || settings_changed || self.state == JobState::Unknown {
            self.state_listed();
        }
        let attends = self.piloted() || self.selected() || self.on_screen();
        if attends != self.attention.is_some() {
            self.attention = attends.then(|| self.link.attend());
        }
        self.look();
        self.look_for_switch();
        self.publish();
        false
    }

    /// The cluster answered, and the job is not in its list.
    fn vanished(&self) -> bool {
        let Some(job) = self.subject.job else { return false };
        // A job that was taken for one submitted by hand, until its resource named it, flies under the resource.
        let unlisted = self.cluster.lost.is_none() && !self.cluster.jobs.contains_key(&job);
        self.cluster.at.is_some() && (unlisted || self.link.is_claimed(job))
    }

    /// State and tasks as the list has them; as the operator has the state while there is no list to ask.
    fn state_listed(&mut self) {
        if let Some(resource) = &self.subject.resource {
            if self.lifecycle.0 != resource.lifecycle {
                self.lifecycle = (resource.lifecycle.clone(), self.now());
            }
            let listed = self.subject.job.is_some_and(|job| self.cluster.jobs.contains_key(&job));
            if !self.link.is_ready() || !listed {
                let state = resource.job_state.as_deref().map_or(JobState::Unknown, JobState::parse);
                if state != self.state {
                    self.state_since = self.now();
                }
                self.state = state;
                self.tasks = crate::domain::job::TaskCounts::default();
                return;
            }
        }
        let Some(found) = self.subject.job.and_then(|job| self.cluster.jobs.get(&job)) else { return };
        let (state, tasks) = (found.state, found.tasks);
        let changed_at = found.last_modification.or(found.start_time);
        let up = |state: JobState, all: bool| state == JobState::Running && all;
        let was_up = up(self.state, self.tasks.all_running());
        let is_up = up(state, tasks.all_running());
        if state != self.state || was_up != is_up {
            self.state_since = self.now();
            self.owe_problems();
            if state != JobState::Running || self.state == JobState::Unknown {
                self.schedule.details = Instant::now();
            }
        }
        if self.state == JobState::Unknown {
            self.state_since = changed_at.unwrap_or(self.state_since).min(self.now());
        }
        self.ran |= is_up;
        self.state = state;
        self.tasks = tasks;
    }

    pub(super) fn wants_details(&self) -> bool {
        let ended = self.state.is_terminal() && self.details.is_some();
        // The row of a job whose turns read its details has its numbers from there.
        let seen = self.selected() || (self.on_screen() && !self.piloted());
        self.reachable() && (self.applying() || (seen && !ended))
    }

    /// An effect is awaited.
    fn applying(&self) -> bool {
        self.chase.as_ref().is_some_and(|c| c.pursuit.applied.is_none())
    }

    pub(super) fn wants_checkpoints(&self) -> bool {
        let ended = self.state.is_terminal() && self.checkpoints.is_some();
        let seen = self.selected() || (self.interest.visible && self.piloted());
        self.reachable() && seen && !ended && self.state != JobState::Unknown
    }

    pub(super) fn wants_problems(&self) -> bool {
        let looked_at = self.selected() && self.interest.problems;
        let matters = self.piloted() || self.selected() || self.state != JobState::Running;
        self.reachable() && self.state != JobState::Unknown && (looked_at || (self.problems_owed && matters))
    }

    pub(super) fn wants_subtasks(&self) -> bool {
        self.reachable() && self.selected() && self.interest.vertex.is_some() && self.state == JobState::Running
    }

    pub(super) fn wants_watermarks(&self) -> bool {
        self.reachable() && self.selected() && self.topology.is_some() && self.state == JobState::Running
    }

    fn reachable(&self) -> bool {
        self.link.is_ready() && self.subject.job.is_some() && self.cluster.at.is_some() && self.cluster.lost.is_none()
    }

    /// Does what of the watching is due. Answers that fail leave the last good data with their age.
    pub(super) async fn watch_due(&mut self, now: Instant) {
        let periods = self.shared.config.periods;
        if self.wants_details() && now >= self.schedule.details {
            let period = match () {
                () if self.applying() => periods.list_applying * 2,
                () if self.selected() => periods.selected,
                () => periods.turn,
            };
            self.schedule.details = next(self.schedule.details, period, now);
            self.refresh_details().await;
        }
        if self.wants_checkpoints() && now >= self.schedule.checkpoints {
            let open = self.selected() && self.interest.checkpoints;
            let period = if open { periods.selected } else { periods.checkpoints };
            self.schedule.checkpoints = next(self.schedule.checkpoints, period, now);
            self.refresh_checkpoints().await;
        }
        if self.wants_problems() && now >= self.schedule.problems {
            self.schedule.problems = now + periods.selected;
            self.refresh_problems().await;
        }
        if self.wants_subtasks() && now >= self.schedule.subtasks {
            self.schedule.subtasks = next(self.schedule.subtasks, periods.selected, now);
            self.refresh_subtasks().await;
        }
        if self.wants_watermarks() && now >= self.schedule.watermarks {
            // Flink does not know newer ones between two of its own fetches.
            let period = periods.selected.max(metric_fetch_interval(&self.cluster.settings));
            self.schedule.watermarks = next(self.schedule.watermarks, period, now);
            self.refresh_watermarks().await;
        }
        if self.wants_documents() && now >= self.schedule.documents {
            self.schedule.documents = next(self.schedule.documents, periods.selected, now);
            self.refresh_documents().await;
        }
        self.look_for_switch();
        self.publish();
    }

    pub(super) fn wants_documents(&self) -> bool {
        self.selected() && self.interest.documents && self.subject.kube.is_some()
    }

    async fn refresh_documents(&mut self) {
        let (Some(kube), Some(resource)) = (&self.subject.kube, &self.subject.resource) else { return };
        match kube.api.documents(&resource.reference).await {
            Ok(found) => {
                let same = self.documents.take().filter(|known| *known.value == found).map(|known| known.value);
                self.documents = Some(Observed::new(same.unwrap_or_else(|| Arc::new(found)), self.now()));
            }
            Err(error) => tracing::debug!(job = %self.subject.key, %error, "the documents could not be read"),
        }
    }

    pub(super) async fn refresh_details(&mut self) {
        let Some(job) = self.subject.job else { return };
        match self.link.client.job(job).await {
            Ok(details) => {
                self.details_read(details);
                self.look();
            }
            Err(error) => self.not_read("the job's details", &error),
        }
    }

    /// Takes in details that were just read.
    pub(super) fn details_read(&mut self, details: JobDetails) {
        let now = self.now();
        if details.run() != self.run_seen() {
            self.owe_problems();
        }
        self.readings.push(adapter::reading(&details, now));
        self.incomplete = adapter::incomplete(&details);
        if let Some(topology) = details.topology() {
            // Source partitions are found by the turns only.
            let partitions = |id| self.topology.as_ref().and_then(|t| t.vertex(id)).map(|v| v.source_partitions);
            let mut vertices = topology.vertices().to_vec();
            for vertex in &mut vertices {
                vertex.source_partitions = partitions(vertex.id).unwrap_or(0);
            }
            self.topology_read(crate::domain::topology::Topology::new(vertices));
        }
        self.details = Some(Observed::new(details, now));
        self.reread();
    }

    /// Keeps the same `Arc` while the graph is the same.
    pub(super) fn topology_read(&mut self, topology: crate::domain::topology::Topology) {
        if self.topology.as_deref() != Some(&topology) {
            self.topology = Some(Arc::new(topology));
        }
    }

    async fn refresh_checkpoints(&mut self) {
        let Some(job) = self.subject.job else { return };
        if self.checkpoint_config.is_none() {
            self.checkpoint_config = self.link.client.checkpoint_config(job).await.ok();
        }
        match self.link.client.checkpoints(job).await {
            Ok(found) => {
                let view = Arc::new(found.view(self.checkpoint_config.as_ref()));
                self.checkpoints = Some(Observed::new(view, self.now()));
            }
            Err(error) => self.not_read("the checkpoints", &error),
        }
    }

    /// Something happened to the job: a failure, if it was one, is in the exception history.
    pub(super) fn owe_problems(&mut self) {
        self.problems_owed = true;
        self.schedule.problems = Instant::now();
    }

    async fn refresh_problems(&mut self) {
        let Some(job) = self.subject.job else { return };
        match self.link.client.exceptions(job, PROBLEMS).await {
            Ok(found) => {
                self.problems_owed = false;
                self.problems = Some(Observed::new(Arc::new(found), self.now()));
            }
            Err(error) => self.not_read("the exceptions", &error),
        }
    }

    async fn refresh_subtasks(&mut self) {
        let (Some(job), Some(vertex)) = (self.subject.job, self.interest.vertex) else { return };
        match adapter::subtasks(&self.link.client, job, vertex).await {
            Ok(found) => {
                let observed = Observed::new(Arc::new(found), self.now());
                self.shared.board.update_job(&self.subject.key, |view| view.subtasks = Some(observed));
            }
            Err(error) => self.not_read("the subtasks", &error),
        }
    }

    async fn refresh_watermarks(&mut self) {
        let (Some(job), Some(topology)) = (self.subject.job, self.topology.clone()) else { return };
        let found = adapter::watermarks(&self.link.client, job, &topology).await;
        self.readings.watermarks(found);
        self.reread();
    }

    fn not_read(&self, what: &str, error: &FlinkError) {
        tracing::debug!(job = %self.subject.key, %error, "{what} could not be read");
    }
}

fn same_resource(a: &super::Subject, b: &super::Subject) -> bool {
    match (&a.resource, &b.resource) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}
