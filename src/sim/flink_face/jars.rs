//! Jars of a cluster without an operator: one for each program that was ever submitted to it (`flink-rest.md` §1.6).
//!
//! The jar of the program `orders` is `orders.jar` with the entry class `com.example.Orders`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::errors;
use super::request::{Answer, Request};
use crate::domain::ids::JobId;
use crate::sim::cluster::Cluster;
use crate::sim::graph::Graph;
use crate::sim::job::Restore;
use crate::sim::spec::{ClusterKind, JobSpec};
use crate::sim::world::{Submission, World};

/// Whether the cluster takes programs; where not, none of these paths exist.
pub fn served(cluster: &Cluster) -> bool {
    cluster.spec.kind == ClusterKind::Plain
        && cluster.spec.config.get("web.submit.enable").is_none_or(|value| value.trim() != "false")
}

fn id_of(program: &JobSpec) -> String {
    let seed = program.name.bytes().fold(0x1d_u64, |h, b| h.wrapping_mul(0x0100_0000_01b3) ^ u64::from(b));
    let (a, b) = (seed >> 32, seed & 0xffff);
    format!("{a:08x}-{b:04x}-4a7b-8c9d-0e1f2a3b4c5d_{}.jar", program.name)
}

fn entry_class(program: &JobSpec) -> String {
    let mut class = "com.example.".to_owned();
    for part in program.name.split(['-', '_', ' ']) {
        let mut chars = part.chars();
        class.extend(chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars));
    }
    class
}

/// `GET /jars`.
pub fn list(cluster: &Cluster, now: i64) -> Answer {
    let files: Vec<Value> = cluster
        .programs
        .values()
        .map(|program| {
            json!({
                "id": id_of(program),
                "name": format!("{}.jar", program.name),
                "uploaded": now - 3_600_000,
                "entry": [{ "name": entry_class(program), "description": null }],
            })
        })
        .collect();
    Answer::ok(json!({ "address": "http://jobmanager:8081", "files": files }))
}

/// The program of a jar and what the request says; the inner error is the answer to give.
fn program(
    cluster: &Cluster,
    jar: &str,
    request: &Request,
    body_name: &str,
) -> Result<(JobSpec, Map<String, Value>), Answer> {
    let body = match &request.body[..] {
        [] => Map::new(),
        bytes => match serde_json::from_slice(bytes) {
            Ok(Value::Object(map)) => map,
            _ => return Err(errors::format(body_name)),
        },
    };
    let Some(found) = cluster.programs.values().find(|program| id_of(program) == jar) else {
        return Err(errors::internal(
            "java.util.concurrent.CompletionException: org.apache.flink.runtime.rest.handler.RestHandlerException",
            &format!("Jar file /opt/flink/upload/flink-web-upload/{jar} does not exist"),
            "webmonitor.handlers.utils.JarHandlerUtils$JarHandlerContext.toPackagedProgram(JarHandlerUtils.java:181)",
        ));
    };
    if let Some(class) = body.get("entryClass").and_then(Value::as_str)
        && class != entry_class(found)
    {
        return Err(errors::internal(
            "java.util.concurrent.CompletionException: org.apache.flink.client.program.ProgramInvocationException",
            &format!("The program's entry point class '{class}' was not found in the jar file."),
            "webmonitor.handlers.utils.JarHandlerUtils$JarHandlerContext.toPackagedProgram(JarHandlerUtils.java:188)",
        ));
    }
    Ok((found.clone(), body))
}

/// `POST /jars/:id/plan`.
pub fn plan(cluster: &Cluster, jar: &str, request: &Request) -> Answer {
    let (program, _) = match program(cluster, jar, request, "JarPlanRequestBody") {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let Ok(graph) = Graph::new(program) else { return errors::handler(400, "Could not execute application.") };
    let nodes: Vec<Value> = graph
        .vertices
        .iter()
        .zip(&graph.spec.vertices)
        .map(|(node, spec)| {
            json!({
                "id": node.id.to_string(), "parallelism": spec.parallelism, "operator": "", "operator_strategy": "",
                "description": spec.name, "optimizer_properties": {},
            })
        })
        .collect();
    Answer::ok(
        json!({ "plan": { "jid": format!("{:032x}", 0), "name": graph.spec.name, "type": "STREAMING", "nodes": nodes } }),
    )
}

/// `POST /jars/:id/run`.
pub fn run(world: &mut World, cluster: &str, jar: &str, request: &Request) -> Answer {
    let Some(found) = world.cluster(cluster) else { return errors::plain(503, "Service temporarily unavailable.") };
    let (program, body) = match program(found, jar, request, "JarRunRequestBody") {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = match text("jobId").map(str::parse::<JobId>) {
        Some(Err(_)) => return errors::format("JarRunRequestBody"),
        Some(Ok(id)) => Some(id),
        None => None,
    };
    if id.is_some_and(|id| found.job(id).is_some()) {
        return errors::internal(
            "java.util.concurrent.CompletionException: org.apache.flink.runtime.client.DuplicateJobSubmissionException",
            "Job has already been submitted.",
            "client.DuplicateJobSubmissionException.of(DuplicateJobSubmissionException.java:30)",
        );
    }
    let restore = text("savepointPath").map_or(Restore::Nothing, |path| world.restore_from(path));
    match world.submit_as(cluster, program, Submission { id, overrides: BTreeMap::new(), restore }) {
        Ok(id) => Answer::ok(json!({ "jobid": id.to_string() })),
        Err(_) => errors::handler(400, "Could not execute application."),
    }
}
