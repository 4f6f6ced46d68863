//! From a request to its handler.

use std::sync::Arc;

use serde_json::{Value, json};

use super::caches::Caches;
use super::dump::{Dump, Metrics};
use super::request::{Answer, Query, Request, percent_decode};
use super::view::View;
use super::{actions, checkpoints, cluster as pages, errors, jars, jobs, metrics, vertices};
use crate::domain::ids::{JobId, VertexId};
use crate::sim::checkpoints::Kind;
use crate::sim::cluster::Cluster;
use crate::sim::job::Job;
use crate::sim::world::World;

/// Longest request line that is served, bytes.
const LONGEST_LINE: usize = 4096;

struct Handler<'a> {
    world: &'a mut World,
    caches: &'a mut Caches,
    name: &'a str,
    now: i64,
    path: &'a str,
    query: Query,
    request: &'a Request,
}

/// Answers a request to the JobManager of a cluster; none if there is no such cluster.
pub fn answer(world: &mut World, caches: &mut Caches, name: &str, now: i64, request: &Request) -> Option<Answer> {
    caches.begin(world.cluster(name)?);
    let line = request.method.len() + request.target.len() + " HTTP/1.1".len() + 1;
    if line > LONGEST_LINE {
        return Some(errors::no_such_file("/bad-request"));
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(percent_decode).collect();
    if segments.first().is_some_and(|first| first == "v1") {
        segments.remove(0);
    }
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let mut handler = Handler { world, caches, name, now, path, query: Query::parse(query), request };
    Some(handler.route(&segments))
}

/// Every pattern that is served, for telling an unknown path from a wrong method.
fn is_served(segments: &[&str]) -> bool {
    matches!(
        segments,
        ["config" | "overview" | "jobs" | "taskmanagers" | "datasets" | "savepoint-disposal"]
            | ["jobs", _]
            | ["taskmanagers", _]
            | ["taskmanagers", _, "metrics"]
            | ["jobmanager", "config" | "environment" | "metrics" | "logs"]
            | ["savepoint-disposal", _]
            | [
                "jobs",
                _,
                "status"
                    | "plan"
                    | "config"
                    | "exceptions"
                    | "accumulators"
                    | "execution-result"
                    | "metrics"
                    | "checkpoints"
                    | "resource-requirements"
                    | "savepoints"
                    | "stop"
                    | "rescaling"
            ]
            | ["jobs", _, "vertices" | "checkpoints" | "savepoints", ..]
    )
}

impl Handler<'_> {
    fn cluster(&self) -> Option<&Cluster> {
        self.world.cluster(self.name)
    }

    fn route(&mut self, segments: &[&str]) -> Answer {
        let method = self.request.method.clone();
        match (method.as_str(), segments) {
            ("GET", ["config"]) => self.page(pages::config),
            ("GET", ["overview"]) => self.page(pages::overview),
            ("GET", ["datasets"]) => Answer::ok(json!({ "dataSets": [] })),
            ("GET", ["jobs"]) => self.page(jobs::list),
            ("GET", ["jobs", "overview"]) => {
                let now = self.now;
                self.page(|c| jobs::overview(c, now))
            }
            ("GET", ["jobs", "metrics"]) => self.jobs_metrics(),
            ("GET", ["jobmanager", "config"]) => self.page(pages::jobmanager_config),
            ("GET", ["jobmanager", "environment"]) => Answer::ok(pages::environment()),
            ("GET", ["jobmanager", "logs"]) => Answer::ok(json!({ "logs": [] })),
            ("GET", ["jobmanager", "metrics"]) => {
                let dump = self.dump();
                Answer::ok(metrics::values(&dump.jobmanager, &self.query))
            }
            ("GET", ["taskmanagers"]) => {
                let now = self.now;
                self.page(|c| pages::taskmanagers(c, now))
            }
            ("GET", ["taskmanagers", "metrics"]) => self.taskmanagers_metrics(),
            ("GET", ["taskmanagers", id]) => self.taskmanager(id),
            ("GET", ["taskmanagers", id, "metrics"]) => {
                let dump = self.dump();
                let none = Metrics::new();
                match dump.taskmanagers.get(*id) {
                    Some(found) => Answer::ok(metrics::values(found, &self.query)),
                    None => Answer::ok(metrics::values(&none, &self.query)),
                }
            }
            ("GET", ["taskmanagers", id, "logs"]) => self.on_cluster(|c| {
                if c.taskmanagers.iter().any(|tm| tm.id == *id) {
                    Answer::ok(json!({ "logs": [] }))
                } else {
                    errors::handler(404, &format!("Could not find TaskExecutor {id}"))
                }
            }),
            ("GET", ["jobmanager", "logs", _]) => errors::plain(404, "This file does not exist in JobManager log dir."),
            (_, ["jars", rest @ ..]) => self.jars(&method, rest, segments),
            ("DELETE", ["cluster"]) => {
                self.world.shut_down(self.name);
                Answer::ok(json!({}))
            }
            ("POST", ["savepoint-disposal"]) => actions::dispose(self.world, self.name, self.request),
            ("GET", ["savepoint-disposal", trigger]) => self.on_cluster(|c| actions::disposal(c, trigger)),
            (_, ["jobs", id, rest @ ..]) => match id.parse::<JobId>() {
                Ok(job) => self.job(&method, job, rest, segments),
                Err(_) if is_served(segments) => errors::parameter("path", "jobid", id),
                Err(_) => errors::no_such_file(self.path),
            },
            _ => self.nothing(segments),
        }
    }

    fn jars(&mut self, method: &str, rest: &[&str], segments: &[&str]) -> Answer {
        if !self.cluster().is_some_and(jars::served) {
            return self.nothing(segments);
        }
        match (method, rest) {
            ("GET", []) => {
                let now = self.now;
                self.on_cluster(|c| jars::list(c, now))
            }
            ("GET" | "POST", [jar, "plan"]) => self.on_cluster(|c| jars::plan(c, jar, self.request)),
            ("POST", [jar, "run"]) => jars::run(self.world, self.name, jar, self.request),
            _ => self.nothing(segments),
        }
    }

    fn nothing(&self, segments: &[&str]) -> Answer {
        if is_served(segments) && self.request.method != "GET" {
            errors::wrong_method(self.path)
        } else {
            errors::no_such_file(self.path)
        }
    }

    fn job(&mut self, method: &str, id: JobId, rest: &[&str], segments: &[&str]) -> Answer {
        match (method, rest) {
            ("GET", []) => self.view(id, jobs::details),
            ("PATCH", []) => actions::cancel(self.world, self.name, id, &self.query),
            ("GET", ["status"]) => match self.cluster().and_then(|c| c.job(id)) {
                Some(job) => Answer::ok(json!({ "status": job.status.name() })),
                None => errors::internal(
                    "org.apache.flink.runtime.messages.FlinkJobNotFoundException",
                    &format!("Could not find Flink job ({id})"),
                    "dispatcher.Dispatcher.lambda$requestJobStatus$20(Dispatcher.java:903)",
                ),
            },
            ("GET", ["plan"]) => self.view(id, jobs::plan),
            ("GET", ["config"]) => self.view(id, jobs::config),
            ("GET", ["exceptions"]) => {
                let most = self.query.first("maxExceptions").and_then(|n| n.parse().ok()).unwrap_or(20);
                self.view(id, |view| jobs::exceptions(view, most))
            }
            ("GET", ["accumulators"]) => self.view(id, |_| {
                json!({ "job-accumulators": [], "user-task-accumulators": [], "serialized-user-task-accumulators": {} })
            }),
            ("GET", ["execution-result"]) => self.view(id, jobs::execution_result),
            ("GET", ["metrics"]) => {
                let dump = self.dump();
                let none = Metrics::new();
                let found = dump.jobs.get(&id).map_or(&none, |job| &job.metrics);
                Answer::ok(metrics::values(found, &self.query))
            }
            ("GET", ["resource-requirements"]) => self.on_cluster(|c| actions::get_requirements(c, id)),
            ("PUT", ["resource-requirements"]) => actions::put_requirements(self.world, self.name, id, self.request),
            ("PATCH", ["rescaling"]) | ("GET", ["rescaling", _]) => {
                errors::handler(503, "Rescaling is temporarily disabled. See FLINK-12312.")
            }
            ("POST", ["savepoints"]) => actions::trigger(self.world, self.name, id, Kind::Savepoint, self.request),
            ("POST", ["stop"]) => actions::trigger(self.world, self.name, id, Kind::SyncSavepoint, self.request),
            ("POST", ["checkpoints"]) => actions::trigger(self.world, self.name, id, Kind::Checkpoint, self.request),
            ("GET", ["savepoints", trigger]) => self.on_cluster(|c| actions::operation(c, id, trigger, false)),
            ("GET", ["checkpoints"]) => self.checkpoints(id, |view| Ok(checkpoints::overview(view))),
            ("GET", ["checkpoints", "config"]) => self.checkpoints(id, |view| Ok(checkpoints::config(view))),
            ("GET", ["checkpoints", "details", number]) => self.checkpoints(id, |view| {
                let Ok(cid) = number.parse() else { return Err(errors::parameter("path", "checkpointid", number)) };
                checkpoints::details(view, cid).ok_or_else(|| no_checkpoint(number))
            }),
            ("GET", ["checkpoints", "details", number, "subtasks", vertex]) => self.checkpoints(id, |view| {
                let Ok(cid) = number.parse() else { return Err(errors::parameter("path", "checkpointid", number)) };
                let Ok(vertex) = vertex.parse() else { return Err(errors::parameter("path", "vertexid", vertex)) };
                checkpoints::subtasks(view, cid, vertex).ok_or_else(|| no_checkpoint(number))
            }),
            ("GET", ["checkpoints", trigger]) => self.on_cluster(|c| actions::operation(c, id, trigger, true)),
            ("GET", ["vertices", vertex, rest @ ..]) => match vertex.parse::<VertexId>() {
                Ok(vertex) => self.vertex(id, vertex, rest, segments),
                Err(_) => errors::parameter("path", "vertexid", vertex),
            },
            _ => self.nothing(segments),
        }
    }

    fn vertex(&mut self, id: JobId, vertex: VertexId, rest: &[&str], segments: &[&str]) -> Answer {
        match rest {
            [] => self.vertex_view(id, vertex, |view, v| Ok(vertices::details(view, v))),
            ["backpressure"] => match self.metrics_view(id) {
                Some(view) => match view.job.graph.index_of(vertex) {
                    Some(v) => Answer::ok(vertices::backpressure(&view, v)),
                    None => Answer::ok(vertices::deprecated()),
                },
                None => Answer::ok(vertices::deprecated()),
            },
            ["watermarks"] => self.vertex_view(id, vertex, |view, v| Ok(vertices::watermarks(view, v))),
            ["subtasktimes"] => self.vertex_view(id, vertex, |view, v| Ok(vertices::subtask_times(view, v))),
            ["taskmanagers"] => self.vertex_view(id, vertex, |view, v| Ok(vertices::taskmanagers(view, v))),
            ["accumulators"] => {
                self.vertex_view(id, vertex, |_, _| Ok(json!({ "id": vertex.to_string(), "user-accumulators": [] })))
            }
            ["jm-operator-metrics"] => Answer::ok(json!([])),
            ["metrics"] => {
                let dump = self.dump();
                let all: Metrics = subtasks_of(&dump, id, vertex)
                    .iter()
                    .enumerate()
                    .flat_map(|(i, s)| s.metrics.iter().map(move |(n, v)| (format!("{i}.{n}").into(), v.clone())))
                    .collect();
                Answer::ok(metrics::values(&all, &self.query))
            }
            ["subtasks", "metrics"] => {
                let dump = self.dump();
                let all = subtasks_of(&dump, id, vertex);
                let chosen: Vec<&Metrics> = match self.query.first("subtasks") {
                    None => all.iter().map(|s| &s.metrics).collect(),
                    Some(text) => {
                        metrics::subtask_range(text, all.len()).into_iter().map(|i| &all[i].metrics).collect()
                    }
                };
                self.aggregates(&chosen)
            }
            ["subtasks", index, rest @ ..] => match (index.parse::<usize>(), rest) {
                (Ok(i), ["metrics"]) => {
                    let dump = self.dump();
                    let none = Metrics::new();
                    let found = subtasks_of(&dump, id, vertex).get(i).map_or(&none, |s| &s.metrics);
                    Answer::ok(metrics::values(found, &self.query))
                }
                (Ok(i), []) => self.vertex_view(id, vertex, |view, v| in_range(view, v, i, vertex)),
                (Ok(i), ["attempts", attempt]) => self.vertex_view(id, vertex, |view, v| {
                    if attempt.parse() != Ok(view.job.attempt) {
                        return Err(errors::handler(404, &format!("Invalid attempt num {attempt}")));
                    }
                    in_range(view, v, i, vertex)
                }),
                (Err(_), _) => errors::parameter("path", "subtaskindex", index),
                _ => self.nothing(segments),
            },
            _ => self.nothing(segments),
        }
    }

    fn page(&self, body: impl FnOnce(&Cluster) -> Value) -> Answer {
        self.on_cluster(|cluster| Answer::ok(body(cluster)))
    }

    fn on_cluster(&self, answer: impl FnOnce(&Cluster) -> Answer) -> Answer {
        match self.cluster() {
            Some(cluster) => answer(cluster),
            None => errors::plain(503, "Service temporarily unavailable."),
        }
    }

    fn dump(&mut self) -> Arc<Dump> {
        match self.world.cluster(self.name) {
            Some(cluster) => self.caches.metrics(self.world, cluster, self.now),
            None => Arc::default(),
        }
    }

    /// An answer from the cached copy of a job; it counts as a request for metrics, which it shows.
    fn view(&mut self, id: JobId, body: impl FnOnce(&View<'_>) -> Value) -> Answer {
        match self.metrics_view(id) {
            Some(view) => Answer::ok(body(&view)),
            None => errors::no_job(id),
        }
    }

    fn metrics_view(&mut self, id: JobId) -> Option<View<'_>> {
        let cluster = self.world.cluster(self.name)?;
        let (at, job) = self.caches.job(cluster, id, self.now)?;
        let dump = self.caches.metrics(self.world, cluster, self.now);
        Some(View { cluster, job, at, now: self.now, dump })
    }

    fn vertex_view(
        &mut self,
        id: JobId,
        vertex: VertexId,
        body: impl FnOnce(&View<'_>, usize) -> Result<Value, Answer>,
    ) -> Answer {
        let Some(view) = self.metrics_view(id) else { return errors::no_job(id) };
        match view.job.graph.index_of(vertex) {
            Some(index) => body(&view, index).map_or_else(|error| error, Answer::ok),
            None => errors::no_vertex(vertex),
        }
    }

    fn checkpoints(&mut self, id: JobId, body: impl FnOnce(&View<'_>) -> Result<Value, Answer>) -> Answer {
        let Some(cluster) = self.world.cluster(self.name) else { return errors::no_job(id) };
        let Some((at, job)): Option<(i64, Arc<Job>)> = self.caches.checkpoints(cluster, id, self.now) else {
            return errors::no_job(id);
        };
        let view = View { cluster, job, at, now: self.now, dump: Arc::default() };
        body(&view).map_or_else(|error| error, Answer::ok)
    }

    fn aggregates(&self, owners: &[&Metrics]) -> Answer {
        let skew = self.cluster().is_some_and(|c| c.spec.version.at_least(1, 20));
        match metrics::aggregates(owners, &self.query, skew) {
            Ok(body) => Answer::ok(body),
            Err(name) => errors::parameter("query", "agg", &name),
        }
    }

    fn jobs_metrics(&mut self) -> Answer {
        let dump = self.dump();
        let only = self.query.list("jobs");
        let chosen: Vec<&Metrics> = dump
            .jobs
            .iter()
            .filter(|(id, _)| only.is_empty() || only.contains(&id.to_string()))
            .map(|(_, job)| &job.metrics)
            .collect();
        self.aggregates(&chosen)
    }

    fn taskmanagers_metrics(&mut self) -> Answer {
        let dump = self.dump();
        let only = self.query.list("taskmanagers");
        let chosen: Vec<&Metrics> = dump
            .taskmanagers
            .iter()
            .filter(|(id, _)| only.is_empty() || only.contains(id))
            .map(|(_, metrics)| metrics)
            .collect();
        self.aggregates(&chosen)
    }

    fn taskmanager(&mut self, id: &str) -> Answer {
        let dump = self.dump();
        let now = self.now;
        self.on_cluster(|cluster| match cluster.taskmanagers.iter().find(|tm| tm.id == id) {
            Some(tm) => Answer::ok(pages::taskmanager(cluster, tm, &dump, now)),
            None => errors::no_taskmanager(id),
        })
    }
}

fn subtasks_of(dump: &Dump, job: JobId, vertex: VertexId) -> &[super::dump::SubtaskDump] {
    dump.jobs.get(&job).and_then(|job| job.vertices.get(&vertex)).map_or(&[], Vec::as_slice)
}

fn in_range(view: &View<'_>, vertex: usize, subtask: usize, id: VertexId) -> Result<Value, Answer> {
    if subtask < view.parallelism(vertex) {
        Ok(view.subtask(vertex, subtask))
    } else {
        Err(errors::handler(404, &format!("Invalid subtask index for vertex {id}")))
    }
}

fn no_checkpoint(number: &str) -> Answer {
    errors::handler(404, &format!("Could not find checkpointing statistics for checkpoint {number}."))
}
