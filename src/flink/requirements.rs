//! Resource requirements: how a running job is rescaled under the adaptive scheduler (`flink-rest.md` §1.6, §6.3).

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{JobId, VertexId};

use super::client::FlinkClient;
use super::error::FlinkError;

/// Bounds of a vertex's parallelism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParallelismBounds {
    /// At least.
    pub lower_bound: i32,
    /// At most: what the job takes if slots allow. It also takes free slots that other jobs are about to need.
    pub upper_bound: i32,
}

/// Bounds of every vertex of a job.
pub type Requirements = BTreeMap<VertexId, ParallelismBounds>;

#[derive(Serialize, Deserialize)]
struct Wire {
    parallelism: ParallelismBounds,
}

#[derive(Deserialize)]
struct Nothing {}

impl FlinkClient {
    /// `GET /jobs/:id/resource-requirements`. Refused for terminal jobs and by other schedulers than the adaptive one
    /// ([`FlinkError::is_not_found`], [`FlinkError::is_unsupported`]).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn resource_requirements(&self, job: JobId) -> Result<Requirements, FlinkError> {
        let wire: BTreeMap<VertexId, Wire> = self.get(&format!("/jobs/{job}/resource-requirements")).await?;
        Ok(wire.into_iter().map(|(vertex, wire)| (vertex, wire.parallelism)).collect())
    }

    /// `PUT /jobs/:id/resource-requirements` for **all** vertices of the job. `Ok` means accepted, not done: Flink acts after its
    /// cool-down, when slots are there, and from 2.0 on after the next checkpoint. Repeating it is harmless.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails; a 400 has one fault a line.
    pub async fn put_resource_requirements(&self, job: JobId, requirements: &Requirements) -> Result<(), FlinkError> {
        let body: BTreeMap<VertexId, Wire> =
            requirements.iter().map(|(vertex, bounds)| (*vertex, Wire { parallelism: *bounds })).collect();
        let path = format!("/jobs/{job}/resource-requirements");
        self.write::<_, Nothing>(Method::PUT, &path, Some(&body)).await.map(|_| ())
    }
}
