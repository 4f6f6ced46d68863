//! What a JobManager keeps between requests: copies of jobs, and the metric store that is filled only when somebody asks.

use std::collections::HashMap;
use std::sync::Arc;

use super::dump::{Dump, fetch};
use crate::domain::ids::JobId;
use crate::sim::cluster::{Cluster, JobManager};
use crate::sim::job::Job;
use crate::sim::world::World;

/// Time that a fetch takes, milliseconds: the request that starts it is answered from what was there before.
const FETCH: i64 = 30;

/// Caches of one JobManager.
#[derive(Debug, Default)]
pub struct Caches {
    jobs: HashMap<JobId, (i64, Arc<Job>)>,
    checkpoints: HashMap<JobId, (i64, Arc<Job>)>,
    store: Arc<Dump>,
    next: Option<(i64, Arc<Dump>)>,
    begun: i64,
    since: i64,
}

impl Caches {
    /// Forgets everything if the JobManager is another one, and jobs that are gone.
    pub fn begin(&mut self, cluster: &Cluster) {
        let JobManager::Up { since } = cluster.jobmanager else { return };
        if since != self.since {
            *self = Self { since, ..Self::default() };
        }
        self.jobs.retain(|id, _| cluster.job(*id).is_some());
        self.checkpoints.retain(|id, _| cluster.job(*id).is_some());
    }

    /// The job as the cache of execution graphs has it, with the time of the copy.
    pub fn job(&mut self, cluster: &Cluster, id: JobId, now: i64) -> Option<(i64, Arc<Job>)> {
        copy(&mut self.jobs, cluster, id, now, cluster.spec.config_millis("web.refresh-interval", 3_000))
    }

    /// The job as the cache of checkpoint statistics has it.
    pub fn checkpoints(&mut self, cluster: &Cluster, id: JobId, now: i64) -> Option<(i64, Arc<Job>)> {
        let keep = cluster.spec.config_millis("rest.cache.checkpoint-statistics.timeout", 3_000);
        copy(&mut self.checkpoints, cluster, id, now, keep)
    }

    /// The metric store as a request finds it; starts a fetch when the last one is old enough.
    pub fn metrics(&mut self, world: &World, cluster: &Cluster, now: i64) -> Arc<Dump> {
        if let Some((ready, _)) = &self.next
            && *ready <= now
            && let Some((_, dump)) = self.next.take()
        {
            self.store = dump;
        }
        let interval = cluster.spec.config_millis("metrics.fetcher.update-interval", 10_000);
        if self.next.is_none() && now - self.begun > interval {
            self.begun = now;
            self.next = Some((now + FETCH, Arc::new(fetch(world, cluster, now))));
        }
        self.store.clone()
    }
}

fn copy(
    cache: &mut HashMap<JobId, (i64, Arc<Job>)>,
    cluster: &Cluster,
    id: JobId,
    now: i64,
    keep: i64,
) -> Option<(i64, Arc<Job>)> {
    if let Some((at, job)) = cache.get(&id)
        && now - at < keep
    {
        return Some((*at, job.clone()));
    }
    let job = Arc::new(cluster.job(id)?.clone());
    cache.insert(id, (now, job.clone()));
    Some((now, job))
}
