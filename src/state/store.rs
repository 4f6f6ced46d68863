//! The state store: what the autoscaler remembers of each job, behind one trait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{JobKey, RunId};
use crate::domain::scaling::ScalingState;
use crate::domain::window::MetricWindow;

/// Everything that is remembered of one job.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoredJob {
    /// History, restart tracking, delayed scale-downs and overrides.
    pub scaling: ScalingState,
    /// The metric window.
    pub window: MetricWindow,
    /// The run that the window was collected in.
    pub run: Option<RunId>,
}

/// A store that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state store could not {action} the state of job {job}: {why}")]
pub struct StoreError {
    /// `load`, `save` or `remove`.
    pub action: &'static str,
    /// The job.
    pub job: JobKey,
    /// What failed, and what to do.
    pub why: String,
}

/// Where the state of jobs is kept between turns and, for a durable store, between processes.
pub trait StateStore: Send + Sync + std::fmt::Debug {
    /// The state of a job, if any is stored.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load<'a>(&'a self, job: &'a JobKey) -> BoxFuture<'a, Result<Option<StoredJob>, StoreError>>;

    /// Stores the state of a job, replacing what was there.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn save<'a>(&'a self, job: &'a JobKey, state: StoredJob) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Forgets a job.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn remove<'a>(&'a self, job: &'a JobKey) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// A store in memory: lives as long as the process, so a job task that is restarted finds its state again.
#[derive(Debug, Default)]
pub struct MemoryStore {
    jobs: Mutex<HashMap<JobKey, StoredJob>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobKey, StoredJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for MemoryStore {
    fn load<'a>(&'a self, job: &'a JobKey) -> BoxFuture<'a, Result<Option<StoredJob>, StoreError>> {
        let found = self.jobs().get(job).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn save<'a>(&'a self, job: &'a JobKey, state: StoredJob) -> BoxFuture<'a, Result<(), StoreError>> {
        self.jobs().insert(job.clone(), state);
        Box::pin(async { Ok(()) })
    }

    fn remove<'a>(&'a self, job: &'a JobKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.jobs().remove(job);
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::domain::ids::VertexId;

    #[tokio::test]
    async fn what_was_saved_is_loaded_and_what_was_removed_is_gone() {
        let store = MemoryStore::new();
        let key = JobKey::new("flink:a:1");
        assert_eq!(store.load(&key).await.unwrap(), None);
        let state = StoredJob {
            scaling: ScalingState {
                parallelism_overrides: BTreeMap::from([(VertexId::from_u128(1), 4)]),
                ..ScalingState::default()
            },
            ..StoredJob::default()
        };
        store.save(&key, state.clone()).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap(), Some(state));
        assert_eq!(store.load(&JobKey::new("flink:a:2")).await.unwrap(), None);
        store.remove(&key).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap(), None);
    }
}
