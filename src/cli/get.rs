//! `flightdeck get`: the snapshot for scripts and for people without a screen.

use super::args::{GetArgs, Output, What};
use super::document;
use super::exit::Done;
use super::reach::Reached;
use super::table::Table;
use crate::domain::Timestamp;
use crate::domain::decision::Decision;
use crate::domain::job::{JobKind, JobView};
use crate::domain::pods::EventRow;
use crate::domain::snapshot::{Snapshot, SourceState};
use crate::tui::format;

/// Prints what was asked for.
///
/// # Errors
/// If no loop can be reached or no source answers.
pub async fn run(args: &GetArgs, reached: &Reached) -> Done {
    let snapshot = match (args.what, args.reach.wait) {
        (What::Decisions, Some(_)) => reached.wait_for_decision().await?,
        (What::Events, _) => reached.events().await?,
        _ => reached.loaded().await?,
    };
    match args.output {
        Output::Json => document::print(&json(args.what, &snapshot)),
        Output::Table => print!("{}", table(args.what, &snapshot)),
    }
    warn_of_lost_sources(&snapshot);
    Ok(())
}

/// Sources that do not answer are named on standard error: what was printed may be old or missing.
fn warn_of_lost_sources(snapshot: &Snapshot) {
    for source in &snapshot.sources {
        if let SourceState::Lost { error, .. } = &source.state {
            eprintln!("flightdeck: warning: {}: {}", source.id, super::exit::printable(error));
        }
    }
}

fn json(what: What, snapshot: &Snapshot) -> serde_json::Value {
    match what {
        What::Deployments => {
            let jobs = deployments(snapshot).map(document::job);
            let clusters = snapshot.clusters.iter().map(|c| document::cluster(c)).collect::<Vec<_>>();
            let mut list = document::list("DeploymentList", snapshot, jobs.collect());
            if let Some(map) = list.as_object_mut() {
                map.insert("clusters".to_owned(), clusters.into());
            }
            list
        }
        What::Jobs => {
            let items = jobs(snapshot).into_iter().map(document::job).collect();
            document::list("JobList", snapshot, items)
        }
        What::Decisions => {
            let items = snapshot.decisions.iter().map(|d| document::decision(d, false)).collect();
            document::list("DecisionList", snapshot, items)
        }
        What::Events => document::list("EventList", snapshot, events(snapshot).map(document::event).collect()),
    }
}

/// Rows that are resources of the operator.
fn deployments(snapshot: &Snapshot) -> impl Iterator<Item = &JobView> {
    snapshot.jobs.iter().map(AsRef::as_ref).filter(|j| match j.kind {
        JobKind::FlinkDeployment | JobKind::SessionCluster | JobKind::FlinkSessionJob => true,
        JobKind::FlinkJob => false,
    })
}

/// Events of every Kubernetes cluster, newest first within each.
fn events(snapshot: &Snapshot) -> impl Iterator<Item = &EventRow> {
    let lists = snapshot.kubernetes.iter().filter_map(|k| k.events.as_ref());
    lists.flat_map(|events| events.value.iter().map(AsRef::as_ref))
}

/// Rows that have a job, worst first, then by name.
fn jobs(snapshot: &Snapshot) -> Vec<&JobView> {
    let mut jobs: Vec<&JobView> =
        snapshot.jobs.iter().map(AsRef::as_ref).filter(|j| j.kind != JobKind::SessionCluster).collect();
    jobs.sort_by(|a, b| {
        let severity = b.health.word.severity().cmp(&a.health.word.severity());
        severity.then_with(|| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)))
    });
    jobs
}

fn table(what: What, snapshot: &Snapshot) -> String {
    let empty = |noun: &str| format!("no {noun} found\n");
    match what {
        What::Deployments => {
            let mut table =
                Table::new(["NAMESPACE", "NAME", "KIND", "STATUS", "STATE", "FLINK", "SLOTS", "TASKMANAGERS", "AGE"]);
            let mut rows = 0;
            for job in deployments(snapshot) {
                rows += 1;
                let cluster = snapshot.cluster(&job.cluster);
                let slots = cluster
                    .map(|c| format!("{}/{}", c.slots_total - c.slots_available.min(c.slots_total), c.slots_total));
                let managers = cluster.and_then(|c| c.task_managers.as_ref()).map(|t| t.value.len().to_string());
                table.row([
                    job.namespace.clone().unwrap_or_default(),
                    job.name.clone(),
                    kind(job.kind).to_owned(),
                    job.health.word.word().to_owned(),
                    job.state.name().to_owned(),
                    cluster.and_then(|c| c.flink_version.clone()).unwrap_or_default(),
                    slots.unwrap_or_default(),
                    managers.unwrap_or_default(),
                    job.started_at.map_or(String::new(), |at| age(at, snapshot.at)),
                ]);
            }
            // Plain clusters have no resource: they stand here by the name of their source.
            for cluster in snapshot.clusters.iter().filter(|c| c.namespace.is_none()) {
                rows += 1;
                let used = cluster.slots_total - cluster.slots_available.min(cluster.slots_total);
                table.row([
                    String::new(),
                    cluster.name.clone(),
                    "cluster".to_owned(),
                    String::new(),
                    String::new(),
                    cluster.flink_version.clone().unwrap_or_default(),
                    format!("{used}/{}", cluster.slots_total),
                    cluster.task_managers.as_ref().map_or(String::new(), |t| t.value.len().to_string()),
                    cluster.observed_at.map_or(String::new(), |at| age(at, snapshot.at)),
                ]);
            }
            if rows == 0 { empty("deployments") } else { table.render() }
        }
        What::Jobs => {
            let mut table = Table::new([
                "NAMESPACE",
                "NAME",
                "STATUS",
                "STATE",
                "REC/S",
                "LAG",
                "CATCH-UP",
                "UTIL",
                "PARALLELISM",
                "REASON",
            ]);
            let jobs = jobs(snapshot);
            for job in &jobs {
                let rates = job.rates.as_ref().map(|r| r.value);
                table.row([
                    job.namespace.clone().unwrap_or_default(),
                    job.name.clone(),
                    job.health.word.word().to_owned(),
                    job.state.name().to_owned(),
                    rates.map_or(String::new(), |r| format::count(r.records_in)),
                    rates.map_or(String::new(), |r| format::count(r.lag)),
                    rates.map_or(String::new(), |r| format::forecast(r.catch_up_seconds)),
                    rates.map_or(String::new(), |r| format::percent(r.utilization)),
                    parallelism(job),
                    job.turn.as_ref().map_or(String::new(), |t| t.reason.code.id().to_owned()),
                ]);
            }
            if jobs.is_empty() { empty("jobs") } else { table.render() }
        }
        What::Decisions => {
            let mut table = Table::new(["ID", "NAMESPACE", "JOB", "STATE", "CHANGE", "AGE", "EXPIRES", "REASON"]);
            for d in &snapshot.decisions {
                let left = (d.expires_at - snapshot.at).to_std().unwrap_or_default();
                let expires = if d.state.is_final() { String::new() } else { format::age(left) };
                table.row([
                    d.id.to_string(),
                    d.target.namespace.clone().unwrap_or_default(),
                    d.target.name.clone(),
                    d.state.word().to_owned(),
                    changes(d),
                    age(d.proposed_at, snapshot.at),
                    expires,
                    d.reason.sentence.clone(),
                ]);
            }
            if snapshot.decisions.is_empty() { empty("decisions") } else { table.render() }
        }
        What::Events => event_table(snapshot),
    }
}

/// Events as `kubectl get events` shows them, newest first.
fn event_table(snapshot: &Snapshot) -> String {
    let mut table = Table::new(["NAMESPACE", "LAST SEEN", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"]);
    let mut rows = 0;
    for event in events(snapshot) {
        rows += 1;
        table.row([
            event.namespace.clone(),
            event.last_at.map_or(String::new(), |at| age(at, snapshot.at)),
            if event.warning { "Warning" } else { "Normal" }.to_owned(),
            event.reason.clone(),
            event.object(),
            event.count.to_string(),
            event.message.clone(),
        ]);
    }
    if rows == 0 { "no events found\n".to_owned() } else { table.render() }
}

fn age(at: Timestamp, now: Timestamp) -> String {
    format::age(crate::domain::freshness::age(at, now))
}

fn kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::FlinkDeployment => "application",
        JobKind::SessionCluster => "session",
        JobKind::FlinkSessionJob => "session job",
        JobKind::FlinkJob => "job",
    }
}

/// Parallelism of the vertices in topological order: `2,4,2`.
fn parallelism(job: &JobView) -> String {
    let vertices = job.topology.as_ref().map(|t| t.vertices().iter().map(|v| v.parallelism.to_string()));
    vertices.map_or(String::new(), |v| v.collect::<Vec<_>>().join(","))
}

/// The changes of a decision in a few words: `enrich 2→6, score 2→3`.
pub fn changes(decision: &Decision) -> String {
    let one = |c: &crate::domain::decision::VertexChange| {
        let name: String = c.name.chars().take(24).collect();
        format!("{name} {}→{}", c.from, c.to)
    };
    decision.changes.iter().map(one).collect::<Vec<_>>().join(", ")
}
