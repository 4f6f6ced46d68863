//! Who scales a job: the evidence, the operator's own windows, history and overrides from its ConfigMap, everybody else who writes the
//! same fields, and the way to the JobManager.

use std::collections::BTreeSet;

use ratatui::Frame;
use ratatui::layout::Rect;

use super::{Ctx, Scroll, parts};
use crate::domain::ids::{JobKey, VertexId};
use crate::domain::job::{JobView, Ownership};
use crate::domain::kubernetes::{ConflictKind, ResourceView};
use crate::tui::format::{self, UNKNOWN, clean, fit};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::Lines;

/// Scalings of the operator that are listed at most.
const HISTORY: usize = 8;
/// Events of its autoscaler that are listed at most.
const EVENTS: usize = 6;
/// Reasons of the events that the operator's autoscaler writes.
const REASONS: [&str; 6] = [
    "ScalingReport",
    "IneffectiveScaling",
    "ScalingLimited",
    "MemoryPressure",
    "AutoscalerError",
    "ResourceQuotaReached",
];

/// View of ownership.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OwnershipScreenView {
    /// Position in the text.
    pub scroll: Scroll,
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: &JobKey, view: &mut OwnershipScreenView) {
    let buffer = frame.buffer_mut();
    let Some(job) = parts::job_or_message(buffer, area, ctx, job) else { return };
    parts::scrolled(buffer, area, ctx, &mut view.scroll, |lines| words(lines, ctx, job));
}

fn words(lines: &mut Lines, ctx: &Ctx, job: &JobView) {
    let theme = ctx.theme;
    parts::headline(lines, ctx, job);
    lines.blank();
    let (who, why) = parts::ownership(job);
    let slot = match &job.ownership {
        Ownership::Observer { .. } => Slot::Info,
        Ownership::Pilot { .. } => Slot::Ok,
        Ownership::Conflict { .. } => Slot::Error,
    };
    lines.sentence(&format!("{who}  "), theme.style(slot), why, theme.style(Slot::Base), 3);
    lines.fields(&[
        ("mode", parts::mode(job).0.into(), parts::mode(job).1),
        (
            "approving",
            if matches!(job.ownership, Ownership::Pilot { .. }) {
                parts::realization(job)
            } else {
                "is refused".into()
            },
            Slot::Base,
        ),
    ]);
    if let Some(kube) = ctx.snapshot.kube(&job.source) {
        let text = format!("{}, {}", kube.operator.text(), kube.operator.evidence);
        lines.sentence("operator  ", theme.style(Slot::Label), &text, theme.style(Slot::Base), 2);
    }
    if let Some(way) = parts::cluster(ctx, job).and_then(|cluster| cluster.way.as_ref()) {
        lines.sentence("way to the JobManager  ", theme.style(Slot::Label), way, theme.style(Slot::Base), 2);
    }
    let Some(resource) = &job.resource else {
        let text = "no resource of the operator describes this job: nobody else can scale it through Kubernetes";
        return lines.sentence("", theme.style(Slot::Base), text, theme.style(Slot::Muted), 2);
    };
    possible(lines, ctx, job, resource);
    conflicts(lines, ctx, resource);
    overrides(lines, ctx, job, resource);
    kept(lines, ctx, job, resource);
    events(lines, ctx, resource);
}

/// What can be done about it, or why it cannot.
fn possible(lines: &mut Lines, ctx: &Ctx, job: &JobView, resource: &ResourceView) {
    let theme = ctx.theme;
    let missing = ctx.snapshot.missing_right(job, job.patch_right());
    let (text, slot) = match (&resource.owned_by, &missing, resource.can_take_over, resource.can_hand_back) {
        (Some(owner), ..) => {
            (format!("FlinkBlueGreenDeployment {owner} owns it: it must be changed there"), Slot::Warning)
        }
        (None, Some(why), true, _) | (None, Some(why), _, true) => {
            (format!("neither taken over nor handed back: {why}"), Slot::Warning)
        }
        (None, None, true, _) => ("it can be taken over to manual; nothing is rescaled by that".to_owned(), Slot::Ok),
        (None, None, false, true) => ("it can be handed back to the operator's autoscaler".to_owned(), Slot::Ok),
        (None, _, false, false) => (
            "nothing to take over, nothing to hand back: the operator's autoscaler is not set up".to_owned(),
            Slot::Muted,
        ),
    };
    lines.sentence("possible  ", theme.style(Slot::Label), &text, theme.style(slot), 2);
}

fn conflicts(lines: &mut Lines, ctx: &Ctx, resource: &ResourceView) {
    let theme = ctx.theme;
    parts::title(lines, ctx, &format!("who else writes or scales the same: {}", resource.conflicts.len()));
    if resource.conflicts.is_empty() {
        lines.line(&[("nobody", theme.style(Slot::Muted))]);
    }
    for conflict in resource.conflicts.iter() {
        let (glyph, slot) =
            if conflict.blocks { (theme.glyphs.error, Slot::Error) } else { (theme.glyphs.warning, Slot::Warning) };
        let at = conflict.at.map(|at| format!(", last {} ago", ctx.age(at))).unwrap_or_default();
        let lead = format!("{glyph} {} ({})  ", clean(&conflict.who, 60), kind(conflict.kind));
        let effect = if conflict.blocks { "; approvals are refused" } else { "" };
        let text = format!("{}{at}{effect}", conflict.what);
        lines.sentence(&lead, theme.style(slot), &text, theme.style(Slot::Base), 3);
    }
}

fn kind(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
        ConflictKind::Keda => "KEDA",
        ConflictKind::VerticalPodAutoscaler => "VerticalPodAutoscaler",
        ConflictKind::GitOps => "GitOps",
        ConflictKind::Person => "field manager",
        ConflictKind::Flightdeck => "another flightdeck",
        ConflictKind::Operator => "the operator",
    }
}

/// What runs beside what the spec and the operator say, vertex by vertex.
fn overrides(lines: &mut Lines, ctx: &Ctx, job: &JobView, resource: &ResourceView) {
    let theme = ctx.theme;
    let stored = resource.operator_scaling.as_ref().map(|kept| &kept.value.state.parallelism_overrides);
    let views = job.vertices.as_ref().map(|seen| seen.value.as_slice()).unwrap_or_default();
    let mut ids: BTreeSet<VertexId> = resource.overrides.keys().copied().collect();
    ids.extend(stored.into_iter().flat_map(|map| map.keys().copied()));
    if ids.is_empty() {
        return;
    }
    // What is kept has an effect only while the operator's autoscaler is on.
    let injects = resource.can_take_over || matches!(job.ownership, Ownership::Observer { .. });
    parts::title(lines, ctx, "parallelism: what runs, what the spec says, what the operator keeps");
    let number = |value: Option<i32>| value.map_or_else(|| UNKNOWN.to_owned(), |n| n.to_string());
    lines.line(&[("   RUNS   SPEC   KEPT  VERTEX", theme.style(Slot::Label))]);
    for id in ids {
        let view = views.iter().find(|vertex| vertex.id == id);
        let runs = view.map(|vertex| vertex.parallelism);
        let spec = resource.overrides.get(&id).copied();
        let kept = stored.and_then(|map| map.get(&id)).copied();
        let overruled = injects && kept.is_some() && spec.is_some() && kept != spec;
        let name = view.map_or_else(|| id.to_string(), |vertex| parts::named(&vertex.name).into_owned());
        lines.line(&[
            (
                &format!("{:>7}{:>7}{:>7}  ", number(runs), number(spec), number(kept)),
                theme.style(if overruled { Slot::Warning } else { Slot::Base }),
            ),
            (&fit(&name, 60, theme.glyphs.ellipsis), theme.style(Slot::Emphasis)),
            (if overruled { "  the operator overrules the spec" } else { "" }, theme.style(Slot::Warning)),
        ]);
    }
}

/// What the operator's autoscaler keeps in its ConfigMap.
fn kept(lines: &mut Lines, ctx: &Ctx, job: &JobView, resource: &ResourceView) {
    let theme = ctx.theme;
    let Some(seen) = &resource.operator_scaling else { return };
    let found = &seen.value;
    parts::title(lines, ctx, &format!("the operator's autoscaler keeps (ConfigMap, changed {} ago)", ctx.age(seen.at)));
    let window = found.window.as_ref().and_then(|window| {
        let samples = window.samples();
        let (first, last) = (samples.first()?, samples.last()?);
        Some(format!(
            "{} samples, {} long, the newest {} old",
            samples.len(),
            format::age((last.at - first.at).to_std().unwrap_or_default()),
            ctx.age(last.at)
        ))
    });
    let state = &found.state;
    let restarts: Vec<String> = state
        .restarts
        .iter()
        .rev()
        .take(3)
        .map(|restart| {
            restart.duration.map_or_else(|| "open".to_owned(), |time| format::took(time.to_std().unwrap_or_default()))
        })
        .collect();
    lines.fields(&[
        ("window", window.unwrap_or_else(|| "none".to_owned()).into(), Slot::Base),
        ("overrides", state.parallelism_overrides.len().to_string().into(), Slot::Base),
        ("restarts tracked", restarts.join(", ").into(), Slot::Base),
        (
            "scale-downs put off",
            if state.delayed_scale_down.is_empty() {
                "".into()
            } else {
                state.delayed_scale_down.len().to_string().into()
            },
            Slot::Info,
        ),
        ("unknown keys", clean(&found.unknown.join(", "), 200).into_owned().into(), Slot::Muted),
    ]);
    for (key, why) in &found.broken {
        let lead = format!("{} {} cannot be read: ", theme.glyphs.warning, clean(key, 60));
        lines.sentence(&lead, theme.style(Slot::Warning), why, theme.style(Slot::Base), 2);
    }
    let vertices = job.vertices.as_ref().map(|seen| seen.value.as_slice()).unwrap_or_default();
    let mut history: Vec<_> =
        state.history.iter().flat_map(|(id, all)| all.iter().map(move |one| (*id, one))).collect();
    history.sort_by_key(|(id, one)| (std::cmp::Reverse(one.at), *id));
    for (id, one) in history.iter().take(HISTORY) {
        let name = vertices
            .iter()
            .find(|vertex| vertex.id == *id)
            .map_or_else(|| id.to_string(), |v| parts::named(&v.name).into_owned());
        let slot = if one.to > one.from { Slot::Up } else { Slot::Down };
        lines.line(&[
            (&format!("{:>8} ago  ", ctx.age(one.at)), theme.style(Slot::Muted)),
            (&format!("{:>9}  ", parts::from_to(theme, one.from, one.to)), theme.style(slot)),
            (&fit(&name, 60, theme.glyphs.ellipsis), theme.style(Slot::Base)),
        ]);
    }
    if history.len() > HISTORY {
        lines.line(&[(&format!("and {} more", history.len() - HISTORY), theme.style(Slot::Muted))]);
    }
}

/// What its autoscaler said.
fn events(lines: &mut Lines, ctx: &Ctx, resource: &ResourceView) {
    let theme = ctx.theme;
    let Some(seen) = &resource.events else { return };
    let said: Vec<_> = seen.value.iter().filter(|event| REASONS.contains(&event.reason.as_str())).collect();
    if said.is_empty() {
        return;
    }
    parts::title(lines, ctx, "what its autoscaler said");
    for event in said.iter().take(EVENTS) {
        let age = event.last_at.map(|at| ctx.age(at)).unwrap_or_default();
        let lead = format!("{age:>8} ago  {}  ", parts::named(&event.reason));
        let slot = if event.warning { Slot::Warning } else { Slot::Label };
        lines.sentence(&lead, theme.style(slot), &event.message, theme.style(Slot::Base), 3);
    }
}
