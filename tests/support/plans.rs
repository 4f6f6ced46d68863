//! One flightdeck process after another that is given plans, and the moments at which a process can be ended. Each test uses a part of it.
#![allow(dead_code)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flightdeck::clock::Clock;
use flightdeck::control::{ControlConfig, Handle, Parts, start};
use flightdeck::domain::command::{Command, CommandId, CommandStage, Intent, Issuer};
use flightdeck::domain::plan::{Confirmation, Danger, Operation, Plan, PlanId, PlanOrder, PlanSubject};
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::state::journal::{Record, recover};
use flightdeck::state::{Journal, MemoryStore, Recovery};
use tokio_util::task::AbortOnDropHandle;

/// Every journal write and every effect has a moment before and one after; a process can be ended at any of them.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Mutex<(usize, Option<usize>)>>, Arc<tokio::sync::Notify>);

impl Gate {
    /// Counts from here on, and ends the process at this moment, if one is given.
    pub fn arm(&self, moment: Option<usize>) {
        *self.0.lock().unwrap() = (0, moment);
    }

    pub async fn pass(&self) {
        let here = {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            state.1 == Some(state.0)
        };
        if here {
            self.1.notify_one();
            std::future::pending::<()>().await;
        }
    }

    pub fn passed(&self) -> usize {
        self.0.lock().unwrap().0
    }

    /// Waits until the process stands at the moment it is to end at.
    pub async fn reached(&self) -> bool {
        tokio::time::timeout(Duration::from_secs(1800), self.1.notified()).await.is_ok()
    }

    /// A journal whose writes pass here.
    pub fn journal(&self) -> Journal {
        let gate = self.clone();
        Journal::in_memory().tapped(Arc::new(move |_, _| {
            let gate = gate.clone();
            Box::pin(async move { gate.pass().await })
        }))
    }
}

/// A process that looks after clusters.
pub struct Desk {
    pub clock: Arc<dyn Clock>,
    pub journal: Journal,
    pub handle: Handle,
    config: ControlConfig,
    /// How long a test waits for anything.
    patience: Duration,
    next: u64,
    task: Option<AbortOnDropHandle<()>>,
}

impl Desk {
    /// Starts the first process. `sources` fills in what it looks at.
    pub fn begin(
        clock: Arc<dyn Clock>,
        journal: Journal,
        config: ControlConfig,
        patience: Duration,
        sources: impl FnOnce(&mut Parts),
    ) -> Self {
        let (handle, task) = process(&clock, &journal, Recovery::default(), &config, sources);
        Self { clock, journal, handle, config, patience, next: 1, task: Some(task) }
    }

    /// Ends the process where it stands and starts another one with what the journal holds.
    pub async fn crash(&mut self, sources: impl FnOnce(&mut Parts)) {
        drop(self.task.take());
        tokio::task::yield_now().await;
        let records = self.journal.records();
        self.journal = Journal::in_memory();
        for record in &records {
            self.journal.append(record.clone()).await.unwrap();
        }
        let (handle, task) = process(&self.clock, &self.journal, recover(&records), &self.config, sources);
        (self.handle, self.task) = (handle, Some(task));
        self.until("it was asked once", |s| s.loaded).await;
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshots.borrow().clone()
    }

    pub fn plan(&self, id: PlanId) -> Arc<Plan> {
        self.snapshot().plan(id).unwrap().clone()
    }

    pub async fn until(&self, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let mut snapshots = self.handle.snapshots.clone();
        let found = tokio::time::timeout(self.patience, snapshots.wait_for(|s| wanted(s))).await.is_ok();
        let snapshot = self.snapshot();
        let jobs: Vec<_> = snapshot.jobs.iter().map(|j| (&j.name, j.kind, j.state)).collect();
        assert!(found, "never: {what}; {jobs:?}; plans {:#?}, commands {:#?}", snapshot.plans, snapshot.commands);
    }

    pub async fn order(&mut self, order: PlanOrder) -> CommandId {
        let id = CommandId(self.next);
        self.next += 1;
        let command =
            Command { id, intent: Intent::Plan(order), issuer: Issuer::Screen, target: None, at: self.clock.now() };
        self.handle.commands.send(command).await.unwrap();
        id
    }

    /// Gives an order and waits for its end.
    pub async fn stage(&mut self, order: PlanOrder) -> CommandStage {
        let id = self.order(order).await;
        let of = move |s: &Snapshot| s.commands.iter().find(|c| c.command.id == id).map(|c| c.stage.clone());
        self.until("the command ends", move |s| of(s).is_some_and(|stage| stage.is_final())).await;
        of(&self.snapshot()).unwrap()
    }

    pub async fn propose(&mut self, subject: PlanSubject, operation: Operation) -> Arc<Plan> {
        let id = PlanId(u32::try_from(self.next).unwrap());
        let stage = self.stage(PlanOrder::Propose { plan: id, subject, operation }).await;
        assert_eq!(stage, CommandStage::Observed);
        self.plan(id)
    }

    /// The confirmation that the danger of a plan asks for.
    pub fn confirmation(plan: &Plan) -> Confirmation {
        match plan.danger {
            Danger::Effect | Danger::Restart => Confirmation::Yes,
            Danger::Loss => Confirmation::Name { name: plan.target.name.clone() },
        }
    }

    /// Runs a plan that nothing blocks, to its end whatever that is.
    pub async fn carry_out(&mut self, plan: &Plan) -> (CommandStage, Arc<Plan>) {
        assert_eq!(plan.blocks, Vec::<String>::new());
        let stage = self.stage(PlanOrder::Run { plan: plan.id, confirmation: Self::confirmation(plan) }).await;
        (stage, self.plan(plan.id))
    }

    /// The journal tells the whole story and nothing is open in it.
    pub fn assert_told(&self, plan: &Plan) {
        let records = self.journal.records();
        assert_eq!(recover(&records).plans, vec![], "nothing is open");
        assert!(records.iter().any(|r| matches!(r, Record::Plan { plan: id, .. } if *id == plan.id)));
    }
}

fn process(
    clock: &Arc<dyn Clock>,
    journal: &Journal,
    recovery: Recovery,
    config: &ControlConfig,
    sources: impl FnOnce(&mut Parts),
) -> (Handle, AbortOnDropHandle<()>) {
    let mut parts = Parts {
        contexts: None,
        clock: Arc::clone(clock),
        store: Arc::new(MemoryStore::new()),
        journal: journal.clone(),
        recovery,
        flink: vec![],
        kubernetes: vec![],
    };
    sources(&mut parts);
    let (handle, task) = start(config.clone(), parts);
    (handle, AbortOnDropHandle::new(task))
}
