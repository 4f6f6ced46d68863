//! Memory advice of a job: made in every turn that has a window, whatever the mode and whether or not anything is scaled.

use std::sync::Arc;

use super::Pilot;
use crate::autoscaler::advice::{AdviceInput, advise};
use crate::domain::Timestamp;
use crate::domain::memory::{MemoryConfiguration, MemoryOutlook};
use crate::domain::topology::Topology;
use crate::domain::window::Sample;

impl Pilot {
    /// What this window says of the memory of the job's TaskManagers, which run since `running_since` at least.
    pub(super) fn advise_on_memory(
        &self,
        topology: &Topology,
        samples: &[Arc<Sample>],
        running_since: Timestamp,
    ) -> MemoryOutlook {
        let reported = self.reported_memory(running_since);
        let resource = self.subject.resource.as_ref().and_then(|r| r.task_manager_memory);
        let configured = self.options.process_size.map(|size| size.0);
        let advice = advise(&AdviceInput {
            options: &self.options,
            topology,
            samples,
            task_manager_memory: resource.or(configured).or(reported.map(|memory| memory.total_process)),
            configured: reported.as_ref(),
        });
        match advice {
            Ok(Some(advice)) => MemoryOutlook::Advised(advice),
            Ok(None) => {
                MemoryOutlook::Unknown { why: "the use of heap, metaspace or managed memory is not known".into() }
            }
            Err(why) => MemoryOutlook::Unknown { why: why.to_string() },
        }
    }

    /// The sizes that the TaskManagers of this run report, if somebody looked at them and all are alike.
    fn reported_memory(&self, running_since: Timestamp) -> Option<MemoryConfiguration> {
        let cluster = self.shared.board.cluster(&self.link.key)?;
        let seen = cluster.task_managers.as_ref().filter(|seen| seen.at >= running_since)?;
        let mut sizes = seen.value.iter().map(|tm| tm.memory);
        let first = sizes.next()??;
        sizes.all(|other| other == Some(first)).then_some(first)
    }
}
