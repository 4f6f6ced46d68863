//! What failing tasks throw: Java stack traces with their causes, as JobManagers report them.

use super::spec::ExceptionKind;

/// One failure of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Class of the outermost exception.
    pub class: String,
    /// The whole trace with its causes.
    pub trace: String,
    /// When, epoch milliseconds.
    pub at: i64,
    /// Task such as `Enrich (1/2)`, TaskManager and endpoint, if a task threw it.
    pub task: Option<FailedTask>,
}

/// The task that threw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTask {
    /// `name (subtask/parallelism)`.
    pub name: String,
    /// Id of the TaskManager.
    pub taskmanager: String,
    /// `host:port`.
    pub endpoint: String,
}

/// Frames below a user function that takes records from the network.
const TASK_FRAMES: &[&str] = &[
    "org.apache.flink.streaming.runtime.io.RecordProcessorUtils.lambda$getRecordProcessor$0(RecordProcessorUtils.java:64)",
    "org.apache.flink.streaming.runtime.tasks.OneInputStreamTask$StreamTaskNetworkOutput.emitRecord(OneInputStreamTask.java:238)",
    "org.apache.flink.streaming.runtime.io.AbstractStreamTaskNetworkInput.processElement(AbstractStreamTaskNetworkInput.java:157)",
    "org.apache.flink.streaming.runtime.io.AbstractStreamTaskNetworkInput.emitNext(AbstractStreamTaskNetworkInput.java:114)",
    "org.apache.flink.streaming.runtime.io.StreamOneInputProcessor.processInput(StreamOneInputProcessor.java:65)",
    "org.apache.flink.streaming.runtime.tasks.StreamTask.processInput(StreamTask.java:638)",
    "org.apache.flink.streaming.runtime.tasks.mailbox.MailboxProcessor.runMailboxLoop(MailboxProcessor.java:231)",
    "org.apache.flink.streaming.runtime.tasks.StreamTask.runMailboxLoop(StreamTask.java:973)",
    "org.apache.flink.streaming.runtime.tasks.StreamTask.invoke(StreamTask.java:917)",
    "org.apache.flink.runtime.taskmanager.Task.runWithSystemExitMonitoring(Task.java:970)",
    "org.apache.flink.runtime.taskmanager.Task.restoreAndInvoke(Task.java:949)",
    "org.apache.flink.runtime.taskmanager.Task.doRun(Task.java:763)",
    "org.apache.flink.runtime.taskmanager.Task.run(Task.java:575)",
    "java.base/java.lang.Thread.run(Thread.java:829)",
];

struct Part {
    class: &'static str,
    message: String,
    frames: &'static [&'static str],
    task_frames: bool,
}

/// Writes a chain of exceptions as Java prints it: each cause leaves out the frames it shares with the one above.
fn print(parts: &[Part]) -> String {
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.push_str("\nCaused by: ");
        }
        text.push_str(part.class);
        if !part.message.is_empty() {
            text.push_str(": ");
            text.push_str(&part.message);
        }
        let tail = if part.task_frames { TASK_FRAMES } else { &[] };
        for frame in part.frames.iter().chain(tail) {
            text.push_str("\n\tat ");
            text.push_str(frame);
        }
        if index > 0 {
            text.push_str(&format!("\n\t... {} more", TASK_FRAMES.len()));
        }
    }
    text.push('\n');
    text
}

/// The exception of this kind, thrown for the `number`th time: messages differ as real ones do.
pub fn thrown(kind: ExceptionKind, number: u64) -> (String, String) {
    let parts = match kind {
        ExceptionKind::Deserialization => vec![
            Part {
                class: "org.apache.flink.streaming.runtime.tasks.ExceptionInChainedOperatorException",
                message: "Could not forward element to next operator".to_owned(),
                frames: &[
                    "org.apache.flink.streaming.runtime.tasks.CopyingChainingOutput.pushToOperator(CopyingChainingOutput.java:92)",
                    "org.apache.flink.streaming.runtime.tasks.CopyingChainingOutput.collect(CopyingChainingOutput.java:50)",
                    "org.apache.flink.streaming.api.operators.CountingOutput.collect(CountingOutput.java:59)",
                    "com.example.payments.ParseEvent.flatMap(ParseEvent.java:61)",
                    "com.example.payments.ParseEvent.flatMap(ParseEvent.java:28)",
                ],
                task_frames: true,
            },
            Part {
                class: "org.apache.flink.util.FlinkRuntimeException",
                message: format!("Failed to deserialize record of topic payments, partition {}, offset {}", number % 12, 88_410 + number),
                frames: &[
                    "com.example.payments.PaymentSchema.deserialize(PaymentSchema.java:47)",
                    "com.example.payments.ParseEvent.flatMap(ParseEvent.java:58)",
                ],
                task_frames: false,
            },
            Part {
                class: "com.fasterxml.jackson.core.JsonParseException",
                message: format!(
                    "Unexpected character ('<' (code 60)): expected a valid value (JSON String, Number, Array, Object or token \
                     'null', 'true' or 'false')\n at [Source: (byte[])\"<html><head><title>502 Bad Gateway</title>\"[truncated {} \
                     bytes]; line: 1, column: 2]",
                    312 + number % 7
                ),
                frames: &[
                    "com.fasterxml.jackson.core.JsonParser._constructError(JsonParser.java:2477)",
                    "com.fasterxml.jackson.core.base.ParserMinimalBase._reportUnexpectedChar(ParserMinimalBase.java:659)",
                    "com.fasterxml.jackson.core.json.UTF8StreamJsonParser.nextToken(UTF8StreamJsonParser.java:782)",
                    "com.fasterxml.jackson.databind.ObjectMapper.readValue(ObjectMapper.java:3700)",
                    "com.example.payments.PaymentSchema.deserialize(PaymentSchema.java:41)",
                ],
                task_frames: false,
            },
        ],
        ExceptionKind::SinkTimeout => vec![
            Part {
                class: "java.io.IOException",
                message: "Writing records to JDBC failed.".to_owned(),
                frames: &[
                    "com.example.sink.JdbcWriter.checkFlushException(JdbcWriter.java:141)",
                    "com.example.sink.JdbcWriter.write(JdbcWriter.java:98)",
                    "org.apache.flink.streaming.runtime.operators.sink.SinkWriterOperator.processElement(SinkWriterOperator.java:168)",
                ],
                task_frames: true,
            },
            Part {
                class: "java.sql.SQLTransientConnectionException",
                message: format!("pool-1 - Connection is not available, request timed out after {}ms.", 30_000 + number % 9),
                frames: &[
                    "com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)",
                    "com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:197)",
                    "com.example.sink.JdbcWriter.flush(JdbcWriter.java:120)",
                ],
                task_frames: false,
            },
        ],
        ExceptionKind::OutOfMemory => vec![Part {
            class: "java.lang.OutOfMemoryError",
            message: "Java heap space. A heap out-of-memory error has occurred. This can mean two things: either the job requires \
                      a larger size of JVM heap space or there is a memory leak."
                .to_owned(),
            frames: &[
                "java.base/java.util.Arrays.copyOf(Arrays.java:3745)",
                "com.esotericsoftware.kryo.io.Output.require(Output.java:163)",
                "org.apache.flink.api.java.typeutils.runtime.kryo.KryoSerializer.serialize(KryoSerializer.java:359)",
            ],
            task_frames: true,
        }],
        ExceptionKind::NullPointer => vec![Part {
            class: "java.lang.NullPointerException",
            message: String::new(),
            frames: &[
                "com.example.Enrich.processElement(Enrich.java:73)",
                "com.example.Enrich.processElement(Enrich.java:31)",
                "org.apache.flink.streaming.api.operators.KeyedProcessOperator.processElement(KeyedProcessOperator.java:83)",
            ],
            task_frames: true,
        }],
    };
    let class = parts.first().map_or("java.lang.Exception", |p| p.class).to_owned();
    (class, print(&parts))
}

/// A TaskManager went away.
pub fn taskmanager_gone(id: &str, why: &str) -> (String, String) {
    let class = "org.apache.flink.runtime.jobmaster.JobMasterException";
    let text = print(&[Part {
        class,
        message: format!("TaskManager with id {id} is no longer reachable. {why}").trim_end().to_owned(),
        frames: &[
            "org.apache.flink.runtime.jobmaster.JobMaster$TaskManagerHeartbeatListener.notifyTargetUnreachable(JobMaster.java:1597)",
            "org.apache.flink.runtime.heartbeat.DefaultHeartbeatMonitor.reportHeartbeatRpcFailure(DefaultHeartbeatMonitor.java:126)",
            "org.apache.flink.runtime.rpc.pekko.PekkoRpcActor.handleMessage(PekkoRpcActor.java:181)",
        ],
        task_frames: false,
    }]);
    (class.to_owned(), text)
}

/// No slots came in time.
pub fn no_resources() -> (String, String) {
    let class = "org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException";
    let text = print(&[Part {
        class,
        message: "Not enough resources available for scheduling.".to_owned(),
        frames: &[
            "org.apache.flink.runtime.scheduler.adaptive.AdaptiveScheduler.lambda$determineParallelism$23(AdaptiveScheduler.java:1005)",
            "org.apache.flink.runtime.scheduler.adaptive.CreatingExecutionGraph.lambda$null$0(CreatingExecutionGraph.java:104)",
        ],
        task_frames: false,
    }]);
    (class.to_owned(), text)
}

/// The savepoint to start from does not exist.
pub fn savepoint_missing(path: &str) -> (String, String) {
    let class = "org.apache.flink.runtime.client.JobInitializationException";
    let text = print(&[
        Part {
            class,
            message: "Could not start the JobMaster.".to_owned(),
            frames: &[
                "org.apache.flink.runtime.jobmaster.DefaultJobMasterServiceProcess.lambda$new$0(DefaultJobMasterServiceProcess.java:97)",
            ],
            task_frames: false,
        },
        Part {
            class: "java.io.FileNotFoundException",
            message: format!("Cannot find checkpoint or savepoint file/directory '{path}' on file system 'file'."),
            frames: &[
                "org.apache.flink.runtime.state.filesystem.AbstractFsCheckpointStorageAccess.resolveCheckpointPointer(AbstractFsCheckpointStorageAccess.java:275)",
            ],
            task_frames: false,
        },
    ]);
    (class.to_owned(), text)
}

/// The job used up its restarts.
pub fn recovery_suppressed(attempts: u32, delay: i64) -> String {
    print(&[Part {
        class: "org.apache.flink.runtime.JobException",
        message: format!(
            "Recovery is suppressed by FixedDelayRestartBackoffTimeStrategy(maxNumberRestartAttempts={attempts}, backoffTimeMS={delay})"
        ),
        frames: &[
            "org.apache.flink.runtime.scheduler.adaptive.AdaptiveScheduler.howToHandleFailure(AdaptiveScheduler.java:1353)",
            "org.apache.flink.runtime.scheduler.adaptive.Executing.onFailure(Executing.java:112)",
            "org.apache.flink.runtime.scheduler.adaptive.StateWithExecutionGraph.updateTaskExecutionState(StateWithExecutionGraph.java:423)",
        ],
        task_frames: false,
    }])
}
