//! A pod of a Flink cluster on Kubernetes: from its creation over a node, an image and a running container to its end.
//!
//! Pure: the cluster tells it the time and what goes wrong. What happens to it is kept as [`Happening`]s (the events of scheduler and kubelet)
//! and as the lines of its container's log until somebody takes them.

use std::collections::VecDeque;

use super::nodes::Needs;

/// Lines that wait to be taken; the oldest go when nobody takes them.
const LOG: usize = 300;
/// The longest pause between two attempts to start a container or to pull an image, milliseconds.
const LONGEST_BACKOFF: i64 = 300_000;

/// Which part of Flink runs in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// `jobmanager`
    JobManager,
    /// `taskmanager`
    TaskManager,
}

impl Component {
    /// As in the label `component`.
    pub fn word(self) -> &'static str {
        match self {
            Self::JobManager => "jobmanager",
            Self::TaskManager => "taskmanager",
        }
    }
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Termination {
    /// When it had started, epoch milliseconds.
    pub started: i64,
    /// When it ended, epoch milliseconds.
    pub finished: i64,
    /// Its exit code; 137 if it was killed.
    pub exit_code: i32,
    /// `Error`, `OOMKilled` or `Completed`.
    pub reason: &'static str,
}

/// State of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// No node has room; why, in the scheduler's words.
    Unscheduled {
        /// Empty until the scheduler has tried.
        why: String,
    },
    /// The image is being pulled, the container created.
    Creating {
        /// When it runs, epoch milliseconds.
        until: i64,
    },
    /// The image cannot be pulled; tried again at `until`.
    Pulling {
        /// Attempts that failed.
        failures: u32,
        /// The next attempt, epoch milliseconds.
        until: i64,
        /// The last attempt failed a moment ago: `ErrImagePull`, later `ImagePullBackOff`.
        fresh: bool,
    },
    /// It runs.
    Running {
        /// Since when, epoch milliseconds.
        since: i64,
    },
    /// It ended too often: started again at `until`.
    BackOff {
        /// The next start, epoch milliseconds.
        until: i64,
    },
    /// It ended and stays so.
    Terminated(Termination),
}

/// Something that becomes an Event about a pod, its owner or its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Name of the pod.
    pub pod: String,
    /// When, epoch milliseconds.
    pub at: i64,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// One sentence; `{uid}` stands for the uid of the pod.
    pub message: String,
    /// `default-scheduler` or `kubelet`.
    pub from: &'static str,
}

/// What a container has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logged {
    /// A line.
    Line {
        /// When it was written, epoch milliseconds.
        at: i64,
        /// The whole line, without its end.
        text: String,
    },
    /// What follows is from another run of the container.
    Restarted,
}

/// A pod.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// What runs in it.
    pub component: Component,
    /// When it was created, epoch milliseconds.
    pub created: i64,
    /// What it requests, and where it may run.
    pub needs: Needs,
    /// Its node.
    pub node: Option<String>,
    /// When it was given its node, epoch milliseconds.
    pub scheduled: Option<i64>,
    /// Its one container.
    pub container: Container,
    /// Starts of the container after the first.
    pub restarts: u32,
    /// How the container ended last.
    pub last: Option<Termination>,
    /// It may not be created: why, in the words of the admission. No object exists then.
    pub refused: Option<String>,
    /// It was told to go then, epoch milliseconds.
    pub deleted: Option<i64>,
    /// What its container has logged and nobody has taken yet, oldest first.
    pub log: VecDeque<Logged>,
}

/// What a pod finds around itself in one step.
#[derive(Debug, Clone, Copy)]
pub struct Kubelet<'a> {
    /// Epoch milliseconds.
    pub now: i64,
    /// `namespace/name` is how messages call it.
    pub namespace: &'a str,
    /// Its image.
    pub image: &'a str,
    /// The image cannot be pulled.
    pub no_image: bool,
    /// The container ends as soon as it runs.
    pub crashes: bool,
    /// From a node to a running container, milliseconds.
    pub start: i64,
}

impl Pod {
    /// A pod that was just created.
    pub fn new(name: String, component: Component, needs: Needs, created: i64) -> Self {
        Self {
            name,
            component,
            created,
            needs,
            node: None,
            scheduled: None,
            container: Container::Unscheduled { why: String::new() },
            restarts: 0,
            last: None,
            refused: None,
            deleted: None,
            log: VecDeque::new(),
        }
    }

    /// Its container runs.
    pub fn is_running(&self) -> bool {
        matches!(self.container, Container::Running { .. })
    }

    /// When its container started to run.
    pub fn running_since(&self) -> Option<i64> {
        match self.container {
            Container::Running { since } => Some(since),
            _ => None,
        }
    }

    /// It holds the resources of its node.
    pub fn occupies(&self) -> bool {
        self.node.is_some() && !matches!(self.container, Container::Terminated(_))
    }

    /// `Pending`, `Running`, `Failed` or `Succeeded`.
    pub fn phase(&self) -> &'static str {
        match &self.container {
            Container::Running { .. } | Container::BackOff { .. } => "Running",
            Container::Terminated(how) if how.exit_code == 0 => "Succeeded",
            Container::Terminated(_) => "Failed",
            _ if self.restarts > 0 => "Running",
            _ => "Pending",
        }
    }

    /// Reason and message of a container that cannot run.
    pub fn waiting(&self, namespace: &str) -> Option<(&'static str, String)> {
        match &self.container {
            Container::Pulling { fresh: true, .. } => {
                Some(("ErrImagePull", "failed to pull the image: not found".to_owned()))
            }
            Container::Pulling { .. } => Some(("ImagePullBackOff", "Back-off pulling image".to_owned())),
            Container::BackOff { .. } => {
                let seconds = backoff(self.restarts) / 1_000;
                let name = &self.name;
                Some((
                    "CrashLoopBackOff",
                    format!(
                        "back-off {seconds}s restarting failed container=flink-main-container pod={name}_{namespace}({{uid}})"
                    ),
                ))
            }
            _ => None,
        }
    }

    /// Gives it a node.
    pub fn place(&mut self, node: &str, kubelet: &Kubelet<'_>, happenings: &mut Vec<Happening>) {
        let name = &self.name;
        let message = format!("Successfully assigned {}/{name} to {node}", kubelet.namespace);
        happenings.push(self.happening(kubelet.now, false, "Scheduled", message, "default-scheduler"));
        self.node = Some(node.to_owned());
        self.scheduled = Some(kubelet.now);
        self.container = Container::Creating { until: kubelet.now + kubelet.start };
    }

    /// The scheduler finds no node.
    pub fn no_node(&mut self, now: i64, message: String, happenings: &mut Vec<Happening>) {
        if !matches!(&self.container, Container::Unscheduled { why } if *why == message) {
            happenings.push(self.happening(now, true, "FailedScheduling", message.clone(), "default-scheduler"));
        }
        self.container = Container::Unscheduled { why: message };
    }

    /// Moves it on; true when its container has just started to run.
    pub fn step(&mut self, kubelet: &Kubelet<'_>, happenings: &mut Vec<Happening>) -> bool {
        let now = kubelet.now;
        let say =
            |pod: &Self, warning, reason, message: String| pod.happening(now, warning, reason, message, "kubelet");
        match self.container.clone() {
            Container::Creating { until } if now >= until => {
                if kubelet.no_image {
                    return self.pull_failed(1, kubelet, happenings);
                }
                let image = kubelet.image;
                happenings.push(say(
                    self,
                    false,
                    "Pulled",
                    format!("Container image \"{image}\" already present on machine"),
                ));
                // Exactly when it was due, however long the step was.
                self.start(until, happenings)
            }
            Container::Pulling { failures, until, .. } if now >= until => {
                if kubelet.no_image {
                    return self.pull_failed(failures + 1, kubelet, happenings);
                }
                let image = kubelet.image;
                happenings.push(say(self, false, "Pulled", format!("Successfully pulled image \"{image}\" in 2.1s (2.1s including waiting). Image size: 412034533 bytes.")));
                self.start(now, happenings)
            }
            Container::Pulling { failures, until, fresh: true } if now >= until - backoff(failures) + 1_000 => {
                let image = kubelet.image;
                happenings.push(say(self, false, "BackOff", format!("Back-off pulling image \"{image}\"")));
                happenings.push(say(self, true, "Failed", "Error: ImagePullBackOff".to_owned()));
                self.container = Container::Pulling { failures, until, fresh: false };
                false
            }
            Container::BackOff { until } if now >= until => {
                self.restarts += 1;
                self.start(now, happenings)
            }
            Container::Running { since } if kubelet.crashes && now >= since + 1_000 => {
                self.end(now, 1, "Error");
                let message = format!(
                    "Back-off restarting failed container flink-main-container in pod {}_{}({{uid}})",
                    self.name, kubelet.namespace
                );
                happenings.push(say(self, true, "BackOff", message));
                self.container = Container::BackOff { until: now + backoff(self.restarts + 1) };
                false
            }
            _ => false,
        }
    }

    fn start(&mut self, now: i64, happenings: &mut Vec<Happening>) -> bool {
        happenings.push(self.happening(
            now,
            false,
            "Created",
            "Created container: flink-main-container".to_owned(),
            "kubelet",
        ));
        happenings.push(self.happening(
            now,
            false,
            "Started",
            "Started container flink-main-container".to_owned(),
            "kubelet",
        ));
        self.container = Container::Running { since: now };
        if self.restarts > 0 {
            self.log.push_back(Logged::Restarted);
        }
        true
    }

    fn pull_failed(&mut self, failures: u32, kubelet: &Kubelet<'_>, happenings: &mut Vec<Happening>) -> bool {
        let image = kubelet.image;
        let why = format!(
            "Failed to pull image \"{image}\": rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": not found"
        );
        let now = kubelet.now;
        happenings.push(self.happening(now, false, "Pulling", format!("Pulling image \"{image}\""), "kubelet"));
        happenings.push(self.happening(now, true, "Failed", why, "kubelet"));
        happenings.push(self.happening(now, true, "Failed", "Error: ErrImagePull".to_owned(), "kubelet"));
        self.container = Container::Pulling { failures, until: now + backoff(failures), fresh: true };
        false
    }

    /// Its container ends; whether it is started again is the caller's to say.
    pub fn end(&mut self, now: i64, exit_code: i32, reason: &'static str) -> Termination {
        let started = match self.container {
            Container::Running { since } => since,
            _ => now,
        };
        let how = Termination { started, finished: now, exit_code, reason };
        self.last = Some(how.clone());
        how
    }

    /// The process dies and the kubelet starts the container again (JobManagers).
    pub fn restart(&mut self, now: i64, exit_code: i32, reason: &'static str, happenings: &mut Vec<Happening>) {
        self.end(now, exit_code, reason);
        self.restarts += 1;
        self.start(now, happenings);
    }

    /// The process dies and the pod has failed (TaskManagers).
    pub fn fail(&mut self, now: i64, exit_code: i32, reason: &'static str, happenings: &mut Vec<Happening>) {
        let how = self.end(now, exit_code, reason);
        if let Some(node) = self.node.clone().filter(|_| reason == "OOMKilled") {
            // The node itself reports it; the event is about the node, not the pod.
            let message = format!(
                "Memory cgroup out of memory: Killed process 7 (java) total-vm:{}kB, anon-rss:{}kB, file-rss:29184kB, shmem-rss:0kB, UID:9999 \
                 pgtables:5120kB oom_score_adj:985",
                self.needs.memory / 512,
                self.needs.memory / 1024
            );
            happenings.push(Happening {
                pod: node,
                at: now,
                warning: true,
                reason: "OOMKilling",
                message,
                from: "kernel-monitor",
            });
        }
        self.container = Container::Terminated(how);
    }

    /// It is told to go.
    pub fn delete(&mut self, now: i64, happenings: &mut Vec<Happening>) {
        if self.deleted.is_some() {
            return;
        }
        if self.is_running() {
            happenings.push(self.happening(
                now,
                false,
                "Killing",
                "Stopping container flink-main-container".to_owned(),
                "kubelet",
            ));
        }
        self.deleted = Some(now);
    }

    fn happening(
        &self,
        at: i64,
        warning: bool,
        reason: &'static str,
        message: String,
        from: &'static str,
    ) -> Happening {
        Happening { pod: self.name.clone(), at, warning, reason, message, from }
    }

    /// Writes a line as Flink's log4j pattern lays it out. `level` is `INFO`, `WARN` or `ERROR`.
    pub fn write(&mut self, at: i64, level: &str, logger: &str, message: &str) {
        let time = chrono::DateTime::from_timestamp_millis(at).unwrap_or_default().format("%Y-%m-%d %H:%M:%S,%3f");
        self.log.push_back(Logged::Line { at, text: format!("{time} {level:<5} {logger:<60} [] - {message}") });
        while self.log.len() > LOG {
            self.log.pop_front();
        }
    }
}

/// Pause before attempt `n` + 1, milliseconds: 10 s, 20 s, 40 s … at most five minutes.
fn backoff(failures: u32) -> i64 {
    (10_000 << failures.saturating_sub(1).min(10)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubelet(now: i64) -> Kubelet<'static> {
        Kubelet { now, namespace: "flink", image: "flink:1.20", no_image: false, crashes: false, start: 2_000 }
    }

    fn reasons(happenings: &[Happening]) -> Vec<&str> {
        happenings.iter().map(|h| h.reason).collect()
    }

    #[test]
    fn a_pod_waits_for_a_node_then_for_its_image_then_runs() {
        let mut all = Vec::new();
        let mut pod = Pod::new("a".into(), Component::TaskManager, Needs::default(), 0);
        pod.no_node(100, "0/1 nodes are available: 1 Insufficient cpu.".into(), &mut all);
        pod.no_node(1_100, "0/1 nodes are available: 1 Insufficient cpu.".into(), &mut all);
        assert_eq!(
            (reasons(&all), pod.phase()),
            (vec!["FailedScheduling"], "Pending"),
            "said once while it is the same"
        );
        pod.place("node-1", &kubelet(2_000), &mut all);
        assert!(!pod.step(&kubelet(3_900), &mut all));
        assert!(pod.step(&kubelet(4_000), &mut all));
        assert_eq!(pod.phase(), "Running");
        assert_eq!(reasons(&all), ["FailedScheduling", "Scheduled", "Pulled", "Created", "Started"]);
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_tried_again_later_and_later() {
        let mut all = Vec::new();
        let mut pod = Pod::new("a".into(), Component::JobManager, Needs::default(), 0);
        pod.place("node-1", &kubelet(0), &mut all);
        let at = |now| Kubelet { no_image: true, ..kubelet(now) };
        pod.step(&at(2_000), &mut all);
        assert_eq!(pod.waiting("flink").unwrap().0, "ErrImagePull");
        pod.step(&at(3_000), &mut all);
        assert_eq!(pod.waiting("flink").unwrap().0, "ImagePullBackOff");
        pod.step(&at(11_900), &mut all);
        assert_eq!(pod.waiting("flink").unwrap().0, "ImagePullBackOff", "the second attempt is due at 12 s");
        pod.step(&at(12_000), &mut all);
        assert_eq!(pod.container, Container::Pulling { failures: 2, until: 32_000, fresh: true });
        assert!(pod.step(&kubelet(32_000), &mut all), "it is there at last");
    }

    #[test]
    fn a_container_that_crashes_backs_off_and_remembers_how_it_ended() {
        let mut all = Vec::new();
        let mut pod = Pod::new("a".into(), Component::JobManager, Needs::default(), 0);
        pod.place("node-1", &kubelet(0), &mut all);
        let at = |now| Kubelet { crashes: true, ..kubelet(now) };
        pod.step(&at(2_000), &mut all);
        pod.write(2_100, "INFO", "a.B", "first run");
        pod.step(&at(3_000), &mut all);
        let (reason, message) = pod.waiting("flink").unwrap();
        assert_eq!(reason, "CrashLoopBackOff");
        assert!(message.contains("pod=a_flink({uid})"), "{message}");
        assert_eq!(pod.last.as_ref().map(|l| (l.exit_code, l.reason)), Some((1, "Error")));
        pod.step(&at(13_000), &mut all);
        assert_eq!((pod.restarts, pod.is_running()), (1, true));
        assert_eq!(pod.log.back(), Some(&Logged::Restarted));
    }

    #[test]
    fn a_taskmanager_that_used_too_much_memory_has_failed() {
        let mut all = Vec::new();
        let mut pod = Pod::new("a".into(), Component::TaskManager, Needs::default(), 0);
        pod.place("node-1", &kubelet(0), &mut all);
        pod.step(&kubelet(2_000), &mut all);
        pod.fail(5_000, 137, "OOMKilled", &mut all);
        assert_eq!((pod.phase(), pod.occupies()), ("Failed", false));
        let last = all.last().unwrap();
        assert_eq!((last.reason, last.pod.as_str()), ("OOMKilling", "node-1"));
    }

    #[test]
    fn the_log_is_a_bounded_ring_in_flinks_layout() {
        let mut pod = Pod::new("a".into(), Component::JobManager, Needs::default(), 0);
        for n in 0..LOG + 5 {
            pod.write(
                1_738_750_272_123,
                "WARN",
                "org.apache.flink.runtime.taskexecutor.TaskExecutor",
                &format!("line {n}"),
            );
        }
        assert_eq!(pod.log.len(), LOG);
        let Logged::Line { text: first, .. } = &pod.log[0] else { panic!("no line") };
        assert!(
            first.starts_with("2025-02-05 10:11:12,123 WARN  org.apache.flink.runtime.taskexecutor.TaskExecutor "),
            "{first}"
        );
        assert!(first.ends_with(" [] - line 5"), "{first}");
    }
}
