//! A Kubernetes cluster as the loops of its jobs see it: the way to write, its room, and what belongs to one job.

use std::sync::Arc;
use std::time::Duration;

use super::operator_state::OperatorState;
use super::ports::{ApiError, ClusterApi, ScalerRow};
use crate::domain::Timestamp;
use crate::domain::capacity::CapacityView;
use crate::domain::freshness::Observed;
use crate::domain::ids::SourceId;
use crate::domain::kubernetes::OperatorView;
use crate::domain::pods::{EventRow, PodsView};

/// A cluster that is watched.
pub(super) struct KubeLink {
    pub source: SourceId,
    pub api: Arc<dyn ClusterApi>,
    /// The room is read again when it is older; `None`: nobody asks for room.
    refresh: Option<Duration>,
    room: tokio::sync::Mutex<Option<Observed<Arc<CapacityView>>>>,
}

impl KubeLink {
    pub fn new(source: SourceId, api: Arc<dyn ClusterApi>, refresh: Option<Duration>) -> Self {
        Self { source, api, refresh, room: tokio::sync::Mutex::default() }
    }

    /// The room of the cluster, at most as old as configured (`operator.md` §8.1) and as `at_most`; `None` if it is not to be asked for.
    ///
    /// It is read and not watched: what every pod of a cluster asks for is a large list, which only a proposal, an approval and the screen
    /// of the room need, and then need as it is at that moment.
    ///
    /// # Errors
    /// The API server does not answer: then nothing is known, and nothing old is given.
    pub async fn room(
        &self,
        now: Timestamp,
        at_most: Duration,
    ) -> Result<Option<Observed<Arc<CapacityView>>>, ApiError> {
        match self.refresh {
            None => Ok(None),
            Some(refresh) => self.room_within(now, refresh.min(at_most)).await.map(Some),
        }
    }

    /// The room of the cluster, at most as old as this.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn room_within(&self, now: Timestamp, age: Duration) -> Result<Observed<Arc<CapacityView>>, ApiError> {
        let mut kept = self.room.lock().await;
        if let Some(known) = kept.as_ref().filter(|known| known.age(now) < age && now >= known.at) {
            return Ok(known.clone());
        }
        let fresh = Observed::new(Arc::new(self.api.capacity().await?), now);
        *kept = Some(fresh.clone());
        Ok(fresh)
    }
}

/// What Kubernetes says around a job's resource.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Around {
    /// What the operator's autoscaler keeps of it, and when that was last known to be current.
    pub stored: Option<Observed<Arc<OperatorState>>>,
    /// The watch of its resource is lost: since when and why.
    pub lost: Option<(Timestamp, String)>,
    /// Pods of its cluster.
    pub pods: Option<Arc<PodsView>>,
    /// What scales something in its namespace.
    pub scalers: Arc<Vec<ScalerRow>>,
    /// The operator.
    pub operator: Arc<OperatorView>,
    /// Events about it and its pods, while somebody looks.
    pub events: Option<Observed<Arc<Vec<Arc<EventRow>>>>>,
}
