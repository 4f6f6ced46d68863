//! Jars of a session cluster: the list, and starting a job from one (`flink-rest.md` §1.6).

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::domain::ids::JobId;

use super::client::{FlinkClient, encode};
use super::decode;
use super::error::FlinkError;
use super::job::{Plan, PlanAnswer};

/// An uploaded jar.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Jar {
    /// Its id.
    pub id: String,
    /// Its file name.
    pub name: String,
    /// When it was uploaded.
    #[serde(deserialize_with = "decode::instant")]
    pub uploaded: Option<Timestamp>,
    /// Classes it can be started by.
    #[serde(default)]
    pub entry: Vec<EntryClass>,
}

/// A class that a jar can be started by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EntryClass {
    /// Its name.
    pub name: String,
}

#[derive(Deserialize)]
struct Jars {
    files: Vec<Jar>,
}

/// How to start a job from a jar.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunJar {
    /// The class, if the jar names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// Arguments. (As one string they would silently be ignored from 2.0 on.)
    pub program_args_list: Vec<String>,
    /// Default parallelism.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// The id of the new job: makes a repeated request safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// Where to restore from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub savepoint_path: Option<String>,
    /// State that the program no longer has may be dropped.
    pub allow_non_restored_state: bool,
    /// Configuration of this job.
    pub flink_configuration: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanJar<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_class: Option<&'a str>,
    program_args_list: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    parallelism: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flink_configuration: Option<&'a BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Started {
    #[serde(rename = "jobid")]
    job: JobId,
}

impl FlinkClient {
    /// `GET /jars`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jars(&self) -> Result<Vec<Jar>, FlinkError> {
        Ok(self.get::<Jars>("/jars").await?.files)
    }

    /// `POST /jars/:id/plan`: what a launch would run. Nothing is started; the program's `main` runs up to its execution.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn plan_jar(&self, jar: &str, run: &RunJar) -> Result<Plan, FlinkError> {
        let body = PlanJar {
            entry_class: run.entry_class.as_deref(),
            program_args_list: &run.program_args_list,
            parallelism: run.parallelism,
            flink_configuration: (!run.flink_configuration.is_empty()).then_some(&run.flink_configuration),
        };
        let answer: PlanAnswer = self.write(Method::POST, &format!("/jars/{}/plan", encode(jar)), Some(&body)).await?;
        Ok(answer.plan)
    }

    /// `POST /jars/:id/run`. `Ok` comes before the job works: a bad savepoint path fails it later.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn run_jar(&self, jar: &str, run: &RunJar) -> Result<JobId, FlinkError> {
        Ok(self.write::<_, Started>(Method::POST, &format!("/jars/{}/run", encode(jar)), Some(run)).await?.job)
    }
}
