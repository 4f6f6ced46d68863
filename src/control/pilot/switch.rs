//! Take-over and hand-back of a job, and the rehearsal of a change: what only a resource of the operator has.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Pilot, Switching};
use crate::control::decisions::StableHash;
use crate::control::kube::KubeLink;
use crate::control::operator_state::OperatorState;
use crate::control::ownership::{Injection, in_place, injection, overruled};
use crate::control::ports::{ApiError, Resource, ResourcePatch, ResourceRef};
use crate::control::realize::{self, Detail, Written};
use crate::control::takeover;
use crate::domain::command::{Command, CommandStage};
use crate::domain::decision::DecisionId;
use crate::domain::freshness::Observed;
use crate::domain::job::{JobKind, Realization};
use crate::domain::kubernetes::{ChangePreview, KubeAction, ResourceView, RolloutEffect};
use crate::domain::pods::PodRole;

impl Pilot {
    fn resource_and_kube(&self) -> Result<(Arc<Resource>, Arc<KubeLink>), String> {
        match (&self.subject.resource, &self.subject.kube) {
            (Some(resource), Some(kube)) => Ok((Arc::clone(resource), Arc::clone(kube))),
            _ => Err("no operator manages this job".to_owned()),
        }
    }

    /// The right to patch the resource, if it is known to be missing.
    pub(super) fn missing_right(&self) -> Option<String> {
        let action = match self.subject.kind {
            JobKind::FlinkDeployment | JobKind::SessionCluster => KubeAction::PatchDeployment,
            JobKind::FlinkSessionJob => KubeAction::PatchSessionJob,
            JobKind::FlinkJob => return None,
        };
        self.subject.resource.as_ref()?;
        let view = self.shared.board.kube(&self.link.source)?;
        view.missing_right(action, self.subject.namespace.as_deref())
    }

    /// What the operator keeps, at this moment.
    async fn stored_now(kube: &KubeLink, resource: &ResourceRef) -> Result<OperatorState, String> {
        match kube.api.stored(resource).await {
            Ok(state) => Ok(state.map(|state| OperatorState::read(&state)).unwrap_or_default()),
            Err(ApiError::NotFound(_)) => Ok(OperatorState::default()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) async fn take_over(&mut self, command: &Command) {
        let operator = Arc::clone(&self.subject.around.operator);
        self.switch(command, realize::TAKE_OVER, |found, stored, id| takeover::take_over(found, stored, &operator, id))
            .await;
    }

    pub(super) async fn hand_back(&mut self, command: &Command) {
        self.switch(command, realize::HAND_BACK, |found, _, _| takeover::hand_back(found)).await;
    }

    /// One patch made of the resource as it is read at that moment, and followed until the watch shows it.
    async fn switch(
        &mut self,
        command: &Command,
        effect: &str,
        make: impl Fn(&Resource, &OperatorState, DecisionId) -> Result<ResourcePatch, String>,
    ) {
        let refused = |pilot: &Self, why: String| pilot.stage_of(command, CommandStage::Refused { why }, None);
        if self.shared.config.read_only {
            return refused(self, "started with --read-only: nothing may be written".into());
        }
        if let Some(why) = self.missing_right() {
            return refused(self, why);
        }
        if let Some((_, why)) = &self.subject.around.lost {
            return refused(self, format!("the API server does not answer about this resource: {why}"));
        }
        if let Some(why) = self.plan_open() {
            return refused(self, why);
        }
        if self.chase.is_some() || self.switching.is_some() {
            return refused(self, "a change of this job is under way".into());
        }
        let (resource, kube) = match self.resource_and_kube() {
            Ok(both) => both,
            Err(why) => return refused(self, why),
        };
        let target = self.target();
        if let Some(why) = command.target.as_ref().and_then(|shown| super::orders::changed(shown, &target)) {
            return self.stage_of(command, CommandStage::Superseded { why }, None);
        }
        let stored = match Self::stored_now(&kube, &resource.reference).await {
            Ok(stored) => stored,
            Err(why) => return refused(self, format!("what the operator keeps is not known: {why}")),
        };
        let hash = StableHash::new().field(resource.uid.as_bytes()).field(&resource.generation.to_le_bytes()).finish();
        let id = DecisionId(u32::try_from(hash & u64::from(u32::MAX)).unwrap_or_default());
        let patch = match make(&resource, &stored, id) {
            Ok(patch) => patch,
            Err(why) => return refused(self, why),
        };
        let wanted = patch.annotation().map(|a| a.parallelism.clone()).unwrap_or_default();
        let detail =
            Detail { decision: id, job: self.subject.job, wanted, configuration: patch.configuration, shown: None };
        self.ours.insert(id);
        let (shared, from) = (Arc::clone(&self.shared), (command.issuer, command.id));
        let mut sent = || shared.board.stage(from.0, from.1, CommandStage::Sent, Some("the answer".into()));
        let made = |found: Resource| {
            let (kube, made) = (Arc::clone(&kube), &make);
            async move {
                // What it keeps may have changed with the resource.
                let stored = Self::stored_now(&kube, &found.reference).await.map_err(Written::NotTried)?;
                made(&found, &stored, id).map_err(Written::Refused)
            }
        };
        let reference = &resource.reference;
        let written =
            realize::write(&self.shared, &*kube.api, reference, (effect, &target), &detail, &mut sent, made).await;
        let failed = |why: String| CommandStage::Failed { why };
        match written {
            Ok(patched) => {
                let patience = Instant::now() + self.shared.config.effect_patience;
                self.switching = Some(Switching { command: from, generation: patched.generation, patience });
                self.stage_of(command, CommandStage::Accepted, Some("the watch shows it".into()));
                self.look_for_switch();
            }
            Err(Written::Superseded(why)) => self.stage_of(command, CommandStage::Superseded { why }, None),
            Err(Written::Refused(why) | Written::NotTried(why)) => self.stage_of(command, failed(why), None),
            Err(Written::Unknown(why)) => {
                self.stage_of(command, failed(format!("it is not known whether it was accepted: {why}")), None);
            }
            Err(Written::Accepted) => {}
        }
    }

    /// Looks whether a take-over or hand-back is seen by now.
    pub(super) fn look_for_switch(&mut self) {
        let Some(switching) = &self.switching else { return };
        let seen = self.subject.resource.as_ref().is_some_and(|r| r.generation >= switching.generation);
        let stage = match (seen, Instant::now() >= switching.patience) {
            (true, _) => CommandStage::Observed,
            (false, true) => CommandStage::TimedOut,
            (false, false) => return,
        };
        let command = switching.command;
        self.switching = None;
        self.stage(command, stage, None);
    }

    /// Asks the server what applying a decision would do. Nothing is written.
    pub(super) async fn rehearse(&mut self, id: DecisionId) -> Result<(), String> {
        let (resource, kube) = self.resource_and_kube()?;
        let decision = self.book.get(id).cloned().ok_or_else(|| format!("there is no decision {id}"))?;
        let wanted = self.book.overrides(id).cloned().unwrap_or_default();
        let detail = Detail::of(&decision, self.subject.job, wanted);
        let found = realize::rehearse(&*kube.api, &resource.reference, |found| detail.patch(found)).await;
        let (changes, refused) = match found {
            Ok(changes) => (changes, None),
            // A refusal is an answer; no answer is none.
            Err(ApiError::Invalid(why) | ApiError::Forbidden(why)) => (Vec::new(), Some(why)),
            Err(error) => return Err(error.to_string()),
        };
        let preview = self.preview_of(&resource, &detail, changes, refused, decision.prediction.task_managers);
        self.preview = Some(Observed::new(Arc::new(preview), self.now()));
        Ok(())
    }

    fn preview_of(
        &self,
        resource: &Resource,
        detail: &Detail,
        changes: Vec<crate::domain::kubernetes::FieldChange>,
        refused: Option<String>,
        wanted: Option<u32>,
    ) -> ChangePreview {
        let patch = detail.patch(resource);
        let mut notes = Vec::new();
        if resource.kind == JobKind::FlinkSessionJob && !detail.configuration.is_empty() {
            notes.push(
                "a session job has no TaskManagers of its own: its memory stays as the session cluster has it"
                    .to_owned(),
            );
        }
        let map = takeover::complete_map(resource, &detail.wanted);
        let kept = detail.wanted.iter().filter(|(vertex, to)| map.get(*vertex).is_some_and(|p| p != *to));
        notes.extend(kept.map(|(vertex, _)| format!("vertex {vertex} is excluded and keeps what the spec says")));
        let redeploys = |key: &&String| {
            key.as_str() != crate::control::ownership::OVERRIDES_KEY && !key.starts_with("job.autoscaler")
        };
        let effect = if patch.task_manager_memory.is_some() {
            RolloutEffect::Redeploy { why: "the memory of TaskManagers changes".to_owned() }
        } else if let Some(key) = patch.configuration.keys().find(redeploys) {
            RolloutEffect::Redeploy { why: format!("{key} changes") }
        } else {
            match in_place(resource) {
                Ok(()) => RolloutEffect::InPlace,
                Err(why) => RolloutEffect::Redeploy { why },
            }
        };
        let pods = self.subject.around.pods.as_ref();
        let of = |role: Option<PodRole>| {
            pods.into_iter()
                .flat_map(|p| &p.pods)
                .filter(move |p| p.deleting_since.is_none() && role.is_none_or(|role| p.role == role))
        };
        let session = resource.kind == JobKind::FlinkSessionJob;
        let pods_replaced = match &effect {
            // Pods of a session cluster belong to the cluster, whatever becomes of one job.
            RolloutEffect::Redeploy { .. } if !session => of(None).map(|p| p.name.clone()).collect(),
            RolloutEffect::Redeploy { .. } | RolloutEffect::InPlace | RolloutEffect::None => Vec::new(),
        };
        let running = of(Some(PodRole::TaskManager)).count();
        let task_managers = match (wanted, session) {
            (Some(wanted), false) if pods.is_some() => i64::try_from(running).ok().map(|now| i64::from(wanted) - now),
            _ => None,
        };
        ChangePreview { decision: Some(detail.decision), changes, effect, pods_replaced, task_managers, notes, refused }
    }

    /// Why an approval is refused by what Kubernetes says, if it is: a missing right, or overrides the operator still injects.
    pub(super) fn blocked_by_kubernetes(
        &self,
        vertices: impl IntoIterator<Item = crate::domain::ids::VertexId>,
    ) -> Option<String> {
        if !matches!(self.realization, Realization::PatchResource { .. }) {
            return None;
        }
        let stored = self.subject.around.stored.as_ref().map(|s| &s.value.overrides);
        let injects = self.subject.resource.as_ref().is_some_and(|r| injection(r) != Injection::Off);
        let overruled = stored.filter(|_| injects).and_then(|map| overruled(map, vertices));
        self.missing_right().or(overruled)
    }

    /// What Kubernetes says of the job, for a screen; the same view stays the same `Arc`.
    pub(super) fn resource_view(&self, known: Option<&Arc<ResourceView>>) -> Option<Arc<ResourceView>> {
        let resource = self.subject.resource.as_ref()?;
        let around = &self.subject.around;
        let none = OperatorState::default();
        let stored = around.stored.as_ref().map_or(&none, |s| &*s.value);
        let shown =
            takeover::operator_acts(resource) || !stored.overrides.is_empty() || !stored.shown.broken.is_empty();
        let view = ResourceView {
            uid: resource.uid.clone(),
            lifecycle: resource.lifecycle.clone(),
            job_manager: resource.job_manager.clone(),
            job_state: resource.job_state.clone(),
            observed_generation: resource.observed_generation,
            error: resource.error.clone(),
            session: resource.deployment_name.clone(),
            owned_by: resource.blue_green.clone(),
            overrides: crate::control::ownership::overrides_in(resource),
            operator_scaling: around
                .stored
                .as_ref()
                .filter(|_| shown)
                .map(|s| Observed::new(Arc::clone(&s.value.shown), s.at)),
            conflicts: Arc::clone(&self.conflicts),
            preview: self.preview.clone(),
            events: around.events.clone(),
            documents: self.documents.clone().filter(|_| self.wants_documents()),
            target: Some(self.target()),
            can_take_over: takeover::can_take_over(resource, stored),
            can_hand_back: takeover::can_hand_back(resource),
        };
        Some(known.filter(|known| ***known == view).cloned().unwrap_or_else(|| Arc::new(view)))
    }
}
