//! What records leave open.

use super::{Damage, Opened, Record};
use crate::domain::plan::{Plan, PlanEvent, PlanState};

/// Ended plans that are kept: the savepoints they took are offered to start from.
const ENDED: usize = 50;

/// What a journal held when it was opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recovery {
    /// Effects without a closing record, oldest first.
    pub open: Vec<Opened>,
    /// Plans that were begun and did not come to an end, oldest first, as they stood.
    pub plans: Vec<Plan>,
    /// Plans that came to an end, oldest first: the newest of them.
    pub ended: Vec<Plan>,
    /// Lines that could not be read or do not belong.
    pub damage: Vec<Damage>,
}

impl Recovery {
    /// Nothing is open.
    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty() && self.plans.is_empty()
    }

    /// Takes in the next record.
    pub(super) fn take_in(&mut self, record: &Record) {
        match record {
            // An adoption that was cut short is repeated with the same ids.
            Record::Opened(opened) if self.open.iter().any(|o| o.id == opened.id) => {}
            Record::Opened(opened) => self.open.push(opened.clone()),
            Record::Closed { id, .. } => self.open.retain(|o| o.id != *id),
            Record::Plan { plan: id, at, event: PlanEvent::Opened { plan } } => {
                self.plans.retain(|p| p.id != *id);
                let mut plan = (**plan).clone();
                // One that is adopted stands in the middle already.
                if plan.state == PlanState::Proposed {
                    plan.take_in(&PlanEvent::Opened { plan: Box::new(plan.clone()) }, *at);
                }
                self.plans.push(plan);
            }
            Record::Plan { plan: id, at, event } => {
                if let Some(plan) = self.plans.iter_mut().find(|p| p.id == *id) {
                    plan.take_in(event, *at);
                }
                let ended = self.plans.extract_if(.., |p| p.state.is_final());
                self.ended.extend(ended);
                let surplus = self.ended.len().saturating_sub(ENDED);
                self.ended.drain(..surplus);
            }
            Record::Adopted { .. } => {
                self.open.clear();
                self.plans.clear();
            }
            Record::Continues { .. } => {}
        }
    }
}

/// What these records leave open.
pub fn recover<'a>(records: impl IntoIterator<Item = &'a Record>) -> Recovery {
    let mut recovery = Recovery::default();
    for record in records {
        recovery.take_in(record);
    }
    recovery
}
