//! How the Kubernetes clusters are seen: the operator, every watch with its countdown, rights with the missing verbs, and rows of
//! the kinds that have no job of their own.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::{Ctx, Scroll, cluster_words, parts};
use crate::domain::kubernetes::{KubeAction, KubeFeatures, KubeView, RightRow};
use crate::domain::snapshot::SourceState;
use crate::tui::format::clean;
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, message};

/// Snapshots that are listed at most.
const SNAPSHOTS: usize = 20;

/// View of the clusters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClusterScreenView {
    /// Position in the text.
    pub scroll: Scroll,
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, view: &mut ClusterScreenView) {
    let buffer = frame.buffer_mut();
    if ctx.snapshot.kubernetes.is_empty() {
        let text = "no Kubernetes cluster is looked at: only Flink clusters behind addresses";
        return message(buffer, area, ctx.theme, Slot::Muted, text);
    }
    parts::scrolled(buffer, area, ctx, &mut view.scroll, |lines| words(lines, ctx));
}

fn words(lines: &mut Lines, ctx: &Ctx) {
    for (at, kube) in ctx.snapshot.kubernetes.iter().enumerate() {
        if at > 0 {
            lines.blank();
        }
        source(lines, ctx, kube);
        watches(lines, ctx, kube);
        rights(lines, ctx, kube);
        blue_green(lines, ctx, kube);
        state_snapshots(lines, ctx, kube);
    }
}

fn source(lines: &mut Lines, ctx: &Ctx, kube: &KubeView) {
    let theme = ctx.theme;
    let source = ctx.snapshot.source(&kube.source);
    let namespaces = if kube.namespaces.is_empty() {
        "all".to_owned()
    } else {
        clean(&kube.namespaces.join(", "), 200).into_owned()
    };
    let features = |f: &KubeFeatures| {
        let kinds = [
            (f.deployments, "FlinkDeployment"),
            (f.session_jobs, "FlinkSessionJob"),
            (f.state_snapshots, "FlinkStateSnapshot"),
            (f.blue_green, "FlinkBlueGreenDeployment"),
        ];
        kinds.iter().filter(|(served, _)| *served).map(|(_, kind)| *kind).collect::<Vec<_>>().join(", ")
    };
    lines.fields(&[
        ("context", clean(kube.source.as_str(), 80), Slot::Emphasis),
        ("at", source.map(|source| clean(&source.address, 80)).unwrap_or_default(), Slot::Base),
        (
            "Kubernetes",
            source.and_then(|source| source.version.as_deref()).map(|v| clean(v, 30)).unwrap_or_default(),
            Slot::Base,
        ),
        ("namespaces", namespaces.into(), Slot::Base),
    ]);
    if let Some(SourceState::Lost { since, attempt, next_attempt_at, error }) = source.map(|source| &source.state) {
        let lead = format!(
            "{} lost {}, try {attempt}, next in {}: ",
            theme.glyphs.lost,
            ctx.age(*since),
            ctx.left(*next_attempt_at)
        );
        lines.sentence(&lead, theme.style(Slot::Error), error, theme.style(Slot::Base), 3);
    }
    lines.fields(&[
        ("operator", clean(&kube.operator.text(), 40).into_owned().into(), Slot::Emphasis),
        ("", clean(&kube.operator.evidence, 200), Slot::Muted),
    ]);
    if let Some(found) = &kube.features {
        lines.sentence("kinds  ", theme.style(Slot::Label), &features(found), theme.style(Slot::Base), 2);
    }
}

fn watches(lines: &mut Lines, ctx: &Ctx, kube: &KubeView) {
    let theme = ctx.theme;
    parts::title(lines, ctx, "watches");
    for watch in kube.watches.iter() {
        let place = watch.namespace.as_deref().map_or("all namespaces".to_owned(), |ns| clean(ns, 60).into_owned());
        let trouble = cluster_words::watch_trouble(ctx, watch);
        let (glyph, word, slot) = match &trouble {
            None => (theme.glyphs.ok, "live".to_owned(), Slot::Ok),
            Some((word, _, slot)) => (theme.glyphs.lost, word.clone(), *slot),
        };
        // What is not live shows how old what it knows is.
        let old = trouble.as_ref().and(watch.current_at).map(|at| format!(", known from {} ago", ctx.age(at)));
        lines.line(&[
            (&format!("{glyph} {:<36} ", clean(&watch.resource, 60)), theme.style(slot)),
            (&format!("{:>5} rows  ", watch.rows), theme.style(Slot::Base)),
            (&format!("{place}  "), theme.style(Slot::Muted)),
        ]);
        if let Some((_, why, _)) = &trouble {
            let lead = format!("    {word}{}  ", old.unwrap_or_default());
            lines.sentence(&lead, theme.style(slot), why, theme.style(Slot::Base), 2);
        }
        for (object, why) in watch.broken.iter().take(5) {
            let lead = format!("    {} {} cannot be read: ", theme.glyphs.warning, clean(object, 120));
            lines.sentence(&lead, theme.style(Slot::Warning), why, theme.style(Slot::Base), 2);
        }
        if watch.broken.len() > 5 {
            lines.line(&[(
                &format!("    and {} more that cannot be read", watch.broken.len() - 5),
                theme.style(Slot::Warning),
            )]);
        }
    }
}

/// What an action lets a person do.
fn meaning(action: KubeAction) -> &'static str {
    match action {
        KubeAction::PatchDeployment => "approve, take over, hand back, restart FlinkDeployments",
        KubeAction::PatchSessionJob => "the same of FlinkSessionJobs",
        KubeAction::DeleteDeployment => "delete FlinkDeployments",
        KubeAction::DeleteSessionJob => "delete FlinkSessionJobs",
        KubeAction::CreateSnapshot => "take savepoints as FlinkStateSnapshots",
        KubeAction::ReadJobManager => "read JobManagers through the API server",
        KubeAction::WriteJobManager => "change jobs through the API server",
        KubeAction::WatchPods => "see pods",
        KubeAction::WatchEvents => "see events",
        KubeAction::ReadLogs => "read logs",
        KubeAction::ReadConfigMaps => "see what the operator's autoscaler keeps",
        KubeAction::ListNodes => "see nodes: whether a decision fits",
    }
}

fn rights(lines: &mut Lines, ctx: &Ctx, kube: &KubeView) {
    let theme = ctx.theme;
    let Some(rights) = &kube.rights else {
        parts::title(lines, ctx, "rights");
        lines.line(&[("not asked yet", theme.style(Slot::Muted))]);
        return;
    };
    let missing: Vec<&RightRow> = rights.value.iter().filter(|right| !right.allowed).collect();
    parts::title(
        lines,
        ctx,
        &format!("rights, asked {} ago: {} of {} missing", ctx.age(rights.at), missing.len(), rights.value.len()),
    );
    let mut shown: Vec<&RightRow> = missing;
    shown.extend(rights.value.iter().filter(|right| right.allowed));
    for right in shown {
        let (verb, group, resource) = right.action.right();
        let resource = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        let place = match &right.namespace {
            Some(namespace) => clean(namespace, 60).into_owned(),
            None if kube.namespaces.is_empty() || right.action.is_cluster_wide() => "everywhere".to_owned(),
            None => String::new(),
        };
        let (glyph, slot) =
            if right.allowed { (theme.glyphs.ok, Slot::Ok) } else { (theme.glyphs.error, Slot::Warning) };
        let reason = if right.reason.is_empty() || right.allowed {
            String::new()
        } else {
            format!("  {}", clean(&right.reason, 200))
        };
        lines.line(&[
            (&format!("{glyph} {verb:<6} {resource:<38} "), theme.style(slot)),
            (&format!("{place:<12} "), theme.style(Slot::Base)),
            (meaning(right.action), theme.style(Slot::Muted)),
            (&reason, theme.style(Slot::Muted)),
        ]);
    }
}

fn blue_green(lines: &mut Lines, ctx: &Ctx, kube: &KubeView) {
    let theme = ctx.theme;
    if kube.blue_green.is_empty() {
        return;
    }
    parts::title(lines, ctx, "FlinkBlueGreenDeployments, only to look at");
    for row in kube.blue_green.iter() {
        let abort = row
            .abort_at
            .filter(|at| *at > ctx.now)
            .map(|at| format!(", given up in {}", ctx.left(at)))
            .unwrap_or_default();
        let moving = row.state.starts_with("TRANSITIONING");
        lines.line(&[
            (&format!("{}/{}  ", parts::named(&row.namespace), parts::named(&row.name)), theme.style(Slot::Emphasis)),
            (&format!("{}{abort}", clean(&row.state, 60)), theme.style(if moving { Slot::Info } else { Slot::Base })),
            (
                &format!("  job {}", clean(row.job_state.as_deref().unwrap_or("not observed"), 40)),
                theme.style(Slot::Base),
            ),
            (&row.created_at.map(|at| format!("  {} old", ctx.age(at))).unwrap_or_default(), theme.style(Slot::Muted)),
        ]);
        if let Some(error) = &row.error {
            lines.sentence("    ", theme.style(Slot::Error), error, theme.style(Slot::Error), 2);
        }
    }
}

fn state_snapshots(lines: &mut Lines, ctx: &Ctx, kube: &KubeView) {
    let theme = ctx.theme;
    if kube.state_snapshots.is_empty() {
        return;
    }
    parts::title(lines, ctx, &format!("FlinkStateSnapshots, {} in all", kube.state_snapshots.len()));
    for row in kube.state_snapshots.iter().take(SNAPSHOTS) {
        let slot = match row.state.as_str() {
            "COMPLETED" => Slot::Ok,
            "FAILED" | "ABANDONED" => Slot::Error,
            _ => Slot::Info,
        };
        let age = row.created_at.map(|at| format!("{} ago", ctx.age(at))).unwrap_or_default();
        let what = if row.savepoint { "savepoint" } else { "checkpoint" };
        lines.line(&[
            (&format!("{:<16} ", clean(&row.state, 40)), theme.style(slot)),
            (
                &format!("{what} of {}/{}  ", parts::named(&row.namespace), parts::named(&row.job)),
                theme.style(Slot::Base),
            ),
            (&format!("{age}  "), theme.style(Slot::Muted)),
            (&clean(row.path.as_deref().unwrap_or_default(), 300), theme.style(Slot::Muted)),
        ]);
        if let Some(error) = &row.error {
            lines.sentence("    ", theme.style(Slot::Error), error, theme.style(Slot::Error), 2);
        }
    }
}
