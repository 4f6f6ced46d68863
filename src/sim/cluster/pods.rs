//! The pods of a cluster on Kubernetes: asked for as native mode does, given nodes by the world, replaced when they are lost; and its shutdown.

use super::{Cluster, JobManager, TaskManager};
use crate::sim::fault::Faults;
use crate::sim::job::Job;
use crate::sim::nodes::Needs;
use crate::sim::noise::Noise;
use crate::sim::pod::{Component, Container, Happening, Kubelet, Pod};
use crate::sim::spec::ClusterKind;

/// Happenings that are kept for whoever makes events of them.
const HAPPENINGS: usize = 200;

/// A TaskManager that has not registered yet.
#[derive(Debug, Clone)]
pub struct Starting {
    /// Its number.
    pub number: u64,
    /// When it registers, epoch milliseconds; unknown while its pod does not run.
    pub at: Option<i64>,
    /// Its pod, on Kubernetes.
    pub pod: Option<Pod>,
    jitter: i64,
}

impl Cluster {
    /// Gives a copy of a cluster a name of its own.
    pub(in crate::sim) fn rename(&mut self, name: &str, noise: Noise) {
        self.noise = noise;
        self.spec.name = name.to_owned();
        self.new_replica_set();
        let old = self.jobmanager_pod.take();
        self.jobmanager_pod =
            self.new_jobmanager_pod(0).zip(old).map(|(new, old)| Pod { name: new.name, node: None, ..old });
        for tm in &mut self.taskmanagers {
            tm.id = format!("{name}-taskmanager-1-{}", tm.number);
            if let Some(pod) = &mut tm.pod {
                pod.name.clone_from(&tm.id);
                pod.node = None;
                pod.log.clear();
            }
        }
        if let Some(pod) = &mut self.jobmanager_pod {
            pod.log.clear();
        }
        self.starting.clear();
        self.happenings.clear();
    }

    /// It is one of many alike.
    pub fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Its physics rests.
    pub fn is_resting(&self) -> bool {
        self.resting.is_some()
    }

    /// Everything runs and nothing is under way.
    pub(in crate::sim) fn is_steady(&self) -> bool {
        self.is_up()
            && self.starting.is_empty()
            && self.leaving.is_empty()
            && self.taskmanagers.iter().all(|tm| tm.lost.is_none())
            && self.jobs.iter().all(Job::all_running)
    }

    /// It runs on Kubernetes.
    pub(super) fn on_kubernetes(&self) -> bool {
        self.spec.kind != ClusterKind::Plain
    }

    /// Every pod that exists or that is asked for.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        let registered = self.taskmanagers.iter().filter_map(|tm| tm.pod.as_ref());
        let starting = self.starting.iter().filter_map(|s| s.pod.as_ref());
        self.jobmanager_pod.iter().chain(registered).chain(starting).chain(&self.leaving)
    }

    /// The pods that have no node yet.
    pub(in crate::sim) fn unscheduled(&mut self) -> impl Iterator<Item = &mut Pod> {
        let starting = self.starting.iter_mut().filter_map(|s| s.pod.as_mut());
        self.jobmanager_pod.iter_mut().chain(starting).filter(|p| matches!(p.container, Container::Unscheduled { .. }))
    }

    /// Some pod has no node yet.
    pub(in crate::sim) fn waits_for_nodes(&self) -> bool {
        let unscheduled = |pod: &Pod| matches!(pod.container, Container::Unscheduled { .. });
        self.jobmanager_pod.as_ref().is_some_and(unscheduled)
            || self.starting.iter().filter_map(|s| s.pod.as_ref()).any(unscheduled)
    }

    /// Every pod, to change it.
    pub(in crate::sim) fn pods_mut(&mut self) -> impl Iterator<Item = &mut Pod> {
        let registered = self.taskmanagers.iter_mut().filter_map(|tm| tm.pod.as_mut());
        let starting = self.starting.iter_mut().filter_map(|s| s.pod.as_mut());
        self.jobmanager_pod.iter_mut().chain(registered).chain(starting)
    }

    /// More that happened.
    pub(in crate::sim) fn report(&mut self, happenings: Vec<Happening>) {
        self.happenings.extend(happenings);
    }

    /// What happened to the pods since the last call, for the events of scheduler and kubelet.
    pub fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    pub(super) fn needs(&self, component: Component) -> Needs {
        let (cpu, memory) = match component {
            Component::JobManager => (self.spec.jobmanager.cpu, self.spec.jobmanager.memory),
            Component::TaskManager => (self.spec.taskmanagers.cpu, self.spec.taskmanagers.memory),
        };
        let placement = &self.spec.placement;
        Needs {
            cpu: (cpu * 1_000.0).round() as u64,
            memory,
            selector: placement.node_selector.clone(),
            tolerations: placement.tolerations.clone(),
        }
    }

    /// The pod of the JobManager as the Deployment's ReplicaSet makes it.
    pub(super) fn new_jobmanager_pod(&mut self, now: i64) -> Option<Pod> {
        if !self.on_kubernetes() {
            return None;
        }
        let name = format!("{}-{}-{}", self.spec.name, self.replica_set, letters(self.noise.bits(), 5));
        Some(Pod::new(name, Component::JobManager, self.needs(Component::JobManager), now))
    }

    /// A new hash of the pod template.
    pub(super) fn new_replica_set(&mut self) {
        self.replica_set = letters(self.noise.bits(), 10);
    }

    /// Asks for one more TaskManager.
    pub(super) fn ask_for_taskmanager(&mut self, now: i64) {
        let number = self.next_taskmanager;
        self.next_taskmanager += 1;
        let jitter = (self.noise.unit() * 0.2 * self.spec.timings.taskmanager_start as f64) as i64;
        let pod = self.on_kubernetes().then(|| {
            let name = format!("{}-taskmanager-1-{number}", self.spec.name);
            Pod::new(name, Component::TaskManager, self.needs(Component::TaskManager), now)
        });
        let at = pod.is_none().then_some(now + self.spec.timings.taskmanager_start + jitter);
        self.starting.push(Starting { number, at, pod, jitter });
    }

    /// Moves the pods on; what started to run makes its process start.
    pub(super) fn step_pods(&mut self, now: i64, faults: &Faults) {
        if !self.on_kubernetes() {
            return;
        }
        let name = self.spec.name.as_str();
        let (stuck, crashes, no_image) = (faults.pods_stuck(name), faults.crash_loop(name), faults.no_image(name));
        let timings = &self.spec.timings;
        let mut kubelet = Kubelet {
            now,
            namespace: &self.spec.namespace,
            image: &self.spec.image,
            no_image,
            crashes,
            start: timings.jobmanager_start * 2 / 5,
        };
        if let Some(pod) = &mut self.jobmanager_pod {
            let ran = pod.is_running();
            if pod.step(&kubelet, &mut self.happenings) {
                let since = pod.running_since().unwrap_or(now);
                self.jobmanager = JobManager::Starting { until: since + timings.jobmanager_start * 3 / 5 };
                super::log::jobmanager_starts(pod, since, &self.spec);
            } else if ran && !pod.is_running() {
                self.jobmanager = JobManager::Starting { until: i64::MAX };
                self.operations.clear();
            }
        }
        kubelet.crashes = false;
        kubelet.start = timings.taskmanager_start * 2 / 5;
        for starting in &mut self.starting {
            if let Some(pod) = &mut starting.pod
                && pod.step(&kubelet, &mut self.happenings)
            {
                let since = pod.running_since().unwrap_or(now);
                starting.at = Some(since + timings.taskmanager_start * 3 / 5 + starting.jitter);
                super::log::taskmanager_starts(pod, since, &self.spec);
            }
        }
        let grace = timings.shutdown;
        self.leaving.retain(|pod| stuck || pod.deleted.is_some_and(|at| now - at < grace));
        let surplus = self.happenings.len().saturating_sub(HAPPENINGS);
        self.happenings.drain(..surplus);
    }

    pub(super) fn manage_taskmanagers(&mut self, now: i64, no_capacity: bool) {
        let timeout = self.spec.timings.heartbeat_timeout;
        self.taskmanagers.retain(|tm| tm.lost.is_none_or(|lost| now - lost < timeout));
        let due = |s: &Starting| s.at.is_some_and(|at| at <= now) && (s.pod.is_some() || !no_capacity);
        if self.starting.iter().any(due) {
            let (ready, waiting) = std::mem::take(&mut self.starting).into_iter().partition(due);
            self.starting = waiting;
            for starting in ready {
                self.register(now, starting.number, starting.pod);
            }
        }
        let wanted = self.wanted();
        let alive = self.taskmanagers.iter().filter(|tm| tm.lost.is_none()).count();
        for _ in (alive + self.starting.len())..wanted {
            self.ask_for_taskmanager(now);
        }
        let keep = self.starting.len().min(wanted.saturating_sub(alive));
        for starting in self.starting.split_off(keep) {
            self.let_go(starting.pod, now);
        }
        self.release_idle(now, alive.saturating_sub(wanted));
    }

    /// TaskManagers that the jobs need; in native mode none stays for jobs that ended.
    fn wanted(&self) -> usize {
        let demand: usize = self.jobs.iter().map(Job::demand).sum();
        let over = self.spec.kind == ClusterKind::Application
            && !self.jobs.is_empty()
            && self.jobs.iter().all(|job| job.status.is_terminal());
        let least = if over { 0 } else { self.spec.taskmanagers.count };
        demand.div_ceil(self.spec.taskmanagers.slots.max(1)).clamp(least, self.most())
    }

    fn release_idle(&mut self, now: i64, mut leave: usize) {
        let patience = self.spec.timings.taskmanager_idle;
        let idle: Vec<u64> = self.taskmanagers.iter().map(|tm| tm.number).filter(|n| self.all_free(*n)).collect();
        for tm in self.taskmanagers.iter_mut().filter(|tm| !idle.contains(&tm.number)) {
            tm.idle_since = now;
        }
        if leave == 0 {
            return;
        }
        let mut leaves = |tm: &TaskManager| {
            let goes = leave > 0 && tm.lost.is_none() && idle.contains(&tm.number) && now - tm.idle_since >= patience;
            leave -= usize::from(goes);
            goes
        };
        if self.taskmanagers.iter().any(|tm| tm.lost.is_none() && now - tm.idle_since >= patience) {
            let (gone, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.taskmanagers).into_iter().partition(&mut leaves);
            self.taskmanagers = rest;
            for tm in gone {
                self.let_go(tm.pod, now);
            }
        }
    }

    /// A pod that is not needed any more.
    fn let_go(&mut self, pod: Option<Pod>, now: i64) {
        if let Some(mut pod) = pod {
            pod.delete(now, &mut self.happenings);
            if pod.node.is_some() {
                self.leaving.push(pod);
            }
        }
    }

    /// Stops the JobManager for good, then the TaskManagers.
    pub(in crate::sim) fn shut_down(&mut self, now: i64) {
        if self.is_shutting_down() {
            return;
        }
        self.jobmanager = JobManager::Stopping { until: now + self.spec.timings.shutdown };
        self.operations.clear();
        if let Some(pod) = &mut self.jobmanager_pod {
            pod.delete(now, &mut self.happenings);
        }
    }

    /// It was told to go.
    pub fn is_shutting_down(&self) -> bool {
        matches!(self.jobmanager, JobManager::Stopping { .. } | JobManager::Gone { .. })
    }

    pub(super) fn step_shutdown(&mut self, now: i64, stuck: bool) {
        match self.jobmanager {
            JobManager::Stopping { until } if now >= until => {
                self.jobmanager_pod = None;
                self.jobs.clear();
                for starting in std::mem::take(&mut self.starting) {
                    self.let_go(starting.pod, now);
                }
                for tm in &mut self.taskmanagers {
                    if let Some(pod) = &mut tm.pod {
                        pod.delete(now, &mut self.happenings);
                    }
                }
                self.jobmanager = JobManager::Gone { until: now + self.spec.timings.shutdown };
            }
            JobManager::Gone { until } if now >= until && !stuck => {
                self.taskmanagers.clear();
                self.leaving.clear();
            }
            _ => {}
        }
    }

    /// Nothing is left of it.
    pub(in crate::sim) fn is_gone(&self) -> bool {
        matches!(self.jobmanager, JobManager::Gone { .. }) && self.taskmanagers.is_empty() && self.leaving.is_empty()
    }

    /// The JobManager's process dies and comes back.
    pub(in crate::sim) fn restart_jobmanager(&mut self, now: i64) {
        if self.is_shutting_down() {
            return;
        }
        self.jobmanager = JobManager::Starting { until: now + self.spec.timings.jobmanager_start };
        self.operations.clear();
        if let Some(pod) = &mut self.jobmanager_pod
            && pod.is_running()
        {
            pod.restart(now, 239, "Error", &mut self.happenings);
            super::log::jobmanager_starts(pod, now, &self.spec);
        }
    }

    /// Somebody deleted a pod: a JobManager's is replaced by its ReplicaSet, a TaskManager's by Flink. False if there is none.
    pub(in crate::sim) fn pod_deleted(&mut self, name: &str, now: i64) -> bool {
        if self.is_shutting_down() {
            return false;
        }
        if self.jobmanager_pod.as_ref().is_some_and(|pod| pod.name == name) {
            self.operations.clear();
            self.jobmanager = JobManager::Starting { until: i64::MAX };
            self.jobmanager_pod = self.new_jobmanager_pod(now);
            return true;
        }
        if self.starting.iter().any(|s| s.pod.as_ref().is_some_and(|pod| pod.name == name)) {
            self.starting.retain(|s| s.pod.as_ref().is_none_or(|pod| pod.name != name));
            return true;
        }
        let lost = self.lose_named(name, "The pod was deleted.", now);
        for pod in self.taskmanagers.iter_mut().filter_map(|tm| tm.pod.as_mut()).filter(|pod| pod.name == name) {
            pod.deleted = Some(now);
        }
        lost
    }
}

/// Letters and digits as Kubernetes uses them in generated names.
fn letters(mut bits: u64, count: usize) -> String {
    const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..count)
        .map(|_| {
            let letter = SAFE[(bits % SAFE.len() as u64) as usize];
            bits /= SAFE.len() as u64;
            char::from(letter)
        })
        .collect()
}
