//! Error bodies (`flink-rest.md` §2): `{"errors": [...]}`, mostly with a class, a message and a Java stack trace.

use serde_json::json;

use super::request::Answer;

const TAIL: &str = "\n\tat java.base/java.util.concurrent.CompletableFuture.uniHandle(CompletableFuture.java:930)\
                    \n\tat java.base/java.util.concurrent.CompletableFuture.postComplete(CompletableFuture.java:506)\
                    \n\tat org.apache.flink.runtime.concurrent.akka.ClassLoadingUtils.runWithContextClassLoader(ClassLoadingUtils.java:68)\
                    \n\tat java.base/java.lang.Thread.run(Thread.java:829)\n";

/// A sentence alone.
pub fn plain(status: u16, text: impl Into<String>) -> Answer {
    Answer { status, body: json!({ "errors": [text.into()] }) }
}

fn traced(status: u16, class: &str, message: &str, frame: &str) -> Answer {
    plain(
        status,
        format!("org.apache.flink.runtime.rest.{class}: {message}\n\tat org.apache.flink.runtime.{frame}{TAIL}"),
    )
}

/// A path that nobody serves.
pub fn no_such_file(path: &str) -> Answer {
    plain(404, format!("Unable to load requested file {path}."))
}

/// A path that is served, but not for this method.
pub fn wrong_method(path: &str) -> Answer {
    plain(404, format!("Not found: {path}"))
}

/// A refusal by a handler.
pub fn handler(status: u16, message: &str) -> Answer {
    traced(
        status,
        "handler.RestHandlerException",
        message,
        "rest.handler.AbstractHandler.respondAsLeader(AbstractHandler.java:165)",
    )
}

/// A parameter that cannot be read.
pub fn parameter(kind: &str, name: &str, value: &str) -> Answer {
    let message = format!(
        "Bad request, could not parse parameters: Cannot resolve {kind} parameter ({name}) from value \"{value}\"."
    );
    traced(
        400,
        "handler.RestHandlerException",
        &message,
        "rest.handler.AbstractHandler.respondAsLeader(AbstractHandler.java:188)",
    )
}

/// A body that is not what the handler reads.
pub fn format(what: &str) -> Answer {
    handler(400, &format!("Request did not match expected format {what}."))
}

/// There is no such job.
pub fn no_job(id: impl std::fmt::Display) -> Answer {
    let frame =
        "rest.handler.job.AbstractExecutionGraphHandler.lambda$handleRequest$1(AbstractExecutionGraphHandler.java:99)";
    traced(404, "NotFoundException", &format!("Job {id} not found"), frame)
}

/// There is no such vertex.
pub fn no_vertex(id: impl std::fmt::Display) -> Answer {
    let frame = "rest.handler.job.JobVertexDetailsHandler.handleRequest(JobVertexDetailsHandler.java:89)";
    traced(404, "NotFoundException", &format!("JobVertex {id} not found"), frame)
}

/// An unexpected exception.
pub fn internal(class: &str, message: &str, frame: &str) -> Answer {
    let text = format!(
        "<Exception on server side:\n{class}: {message}\n\tat org.apache.flink.runtime.{frame}{TAIL}\nEnd of exception on server side>"
    );
    Answer { status: 500, body: json!({ "errors": ["Internal server error.", text] }) }
}

/// There is no such job, where the handler asks the dispatcher.
pub fn job_not_found(id: impl std::fmt::Display) -> Answer {
    internal(
        "org.apache.flink.runtime.messages.FlinkJobNotFoundException",
        &format!("Could not find Flink job ({id})"),
        "dispatcher.Dispatcher.getJobMasterGateway(Dispatcher.java:1498)",
    )
}

/// There is no such TaskManager.
pub fn no_taskmanager(id: &str) -> Answer {
    internal(
        "org.apache.flink.runtime.resourcemanager.exceptions.UnknownTaskExecutorException",
        &format!("No TaskExecutor registered under {id}."),
        "resourcemanager.ResourceManager.requestTaskManagerDetailsInfo(ResourceManager.java:698)",
    )
}
