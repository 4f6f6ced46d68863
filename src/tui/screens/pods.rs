//! Pods of a job's cluster: what keeps them from running, how they ended last, where they are.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Ctx, List, Row, cluster_words, parts};
use crate::domain::ids::JobKey;
use crate::domain::job::{ClusterView, JobView};
use crate::domain::kubernetes::KubeAction;
use crate::domain::pods::{PodPhase, PodRole, PodRow, PodTrouble, PodsView as Pods};
use crate::tui::format::{bytes, clean};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, framed, message, split_bottom, split_top};
use crate::tui::widgets::table::{Cell, Column, Table, position};

const COLUMNS: [Column; 9] = [
    Column::text("POD", 22, 60, 0),
    Column::text("ROLE", 11, 11, 6),
    Column::text("STATUS", 15, 15, 0),
    Column::text("READY", 5, 5, 5),
    Column::number("RESTARTS", 8, 1),
    Column::text("LAST END", 21, 34, 2),
    Column::text("NODE", 10, 30, 3),
    Column::number("REQUESTS", 13, 7),
    Column::number("AGE", 6, 1),
];

/// View of pods.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PodsView {
    /// Pods by name.
    pub list: List<String>,
}

/// The pods of a job's cluster.
pub fn pods_of<'a>(ctx: &Ctx<'a>, job: &JobView) -> Option<&'a Pods> {
    parts::cluster(ctx, job)?.pods.as_ref().map(|pods| &*pods.value)
}

/// The rows of the screen: the JobManager first.
pub fn rows(ctx: &Ctx, job: &JobKey, _view: &PodsView) -> Vec<Row<String>> {
    let Some(pods) = ctx.snapshot.job(job).and_then(|job| pods_of(ctx, job)) else { return Vec::new() };
    let shown = pods.pods.iter().enumerate().filter(|(_, pod)| {
        let trouble = pod.trouble().map(|(trouble, _)| trouble.word()).unwrap_or_default();
        ctx.filter.text(&[&pod.name, pod.phase.name(), trouble, pod.node.as_deref().unwrap_or_default()])
    });
    shown.map(|(at, pod)| Row { key: pod.name.clone(), at }).collect()
}

fn of_row<'a>(pods: &'a Pods, row: &Row<String>) -> Option<&'a PodRow> {
    let guess = pods.pods.get(row.at).filter(|pod| pod.name == row.key);
    guess.or_else(|| pods.pods.iter().find(|pod| pod.name == row.key)).map(AsRef::as_ref)
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: &JobKey, view: &mut PodsView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    let Some(job) = parts::job_or_message(buffer, area, ctx, job) else { return };
    if let Some(why) = cluster_words::none_here(ctx, job, "pods") {
        return message(buffer, area, theme, Slot::Muted, &why);
    }
    let Some(cluster) = parts::cluster(ctx, job) else {
        return message(buffer, area, theme, Slot::Muted, &parts::nothing_yet(ctx, job, "the cluster"));
    };
    let body = head(buffer, area, ctx, job, cluster);
    let Some(pods) = &cluster.pods else {
        let why = ctx.snapshot.missing_right(job, KubeAction::WatchPods);
        let (slot, why) =
            why.map_or((Slot::Muted, "no pod has the label of this cluster".to_owned()), |why| (Slot::Warning, why));
        return message(buffer, body, theme, slot, &why);
    };
    let pods = &*pods.value;
    let at = view.list.rows.get(view.list.index).cloned();
    let selected = at.and_then(|row| of_row(pods, &row));
    let detail = if body.height >= 12 && selected.is_some() { (body.height / 2).clamp(7, 11) } else { 0 };
    let [table_area, detail] = split_bottom(body, detail);
    let table = Table { columns: &COLUMNS, theme, sort: None, active: true };
    let empty = if ctx.filter.is_empty() { "no pods" } else { "no pod matches the filter" };
    table.draw(buffer, table_area, &mut view.list, empty, |row| {
        of_row(pods, row).map(|pod| cells(ctx, pod)).unwrap_or_default()
    });
    if let Some(pod) = selected.filter(|_| detail.height > 0) {
        details(buffer, detail, ctx, pod, &position(&view.list));
    }
}

/// The cluster, its Deployment, and how the watch of pods stands.
fn head(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, cluster: &ClusterView) -> Rect {
    let theme = ctx.theme;
    let [top, _] = split_top(area, area.height / 2);
    let mut lines = Lines::new(buffer, top, theme);
    parts::headline(&mut lines, ctx, job);
    let pods = cluster.pods.as_ref().map(|pods| &*pods.value);
    let running = |role: PodRole| {
        let of = |pod: &&std::sync::Arc<PodRow>| pod.role == role && pod.deleting_since.is_none();
        let all = pods.into_iter().flat_map(|p| &p.pods).filter(of);
        let (up, count) = all.fold((0, 0), |(up, count), pod| (up + usize::from(pod.ready), count + 1));
        (format!("{up}/{count} ready"), if up == count { Slot::Base } else { Slot::Warning })
    };
    let (managers, manager_slot) = running(PodRole::JobManager);
    let (workers, worker_slot) = running(PodRole::TaskManager);
    let deployment = pods.and_then(|pods| pods.deployment.as_deref());
    lines.fields(&[
        ("cluster", parts::named(&cluster.name), Slot::Emphasis),
        ("JobManager", managers.into(), manager_slot),
        ("TaskManagers", workers.into(), worker_slot),
        (
            "Deployment",
            deployment.map(|d| format!("{} of {} available", d.available, d.wanted)).unwrap_or_default().into(),
            Slot::Base,
        ),
    ]);
    cluster_words::watch_lines(&mut lines, ctx, &cluster.source, "pods", cluster.namespace.as_deref());
    if let Some((reason, message)) = deployment.and_then(|d| d.failure.as_ref()) {
        let lead = format!("{} Deployment: {} ", theme.glyphs.error, clean(reason, 60));
        lines.sentence(&lead, theme.style(Slot::Error), message, theme.style(Slot::Base), 2);
    }
    lines.blank();
    let used = lines.used;
    split_top(area, used)[1]
}

/// One word for a pod, and how it looks: what keeps it from running stands for its phase.
fn status(ctx: &Ctx, pod: &PodRow) -> (String, Slot) {
    let glyphs = ctx.theme.glyphs;
    match (pod.trouble(), pod.deleting_since, pod.phase) {
        (Some((PodTrouble::Unschedulable, _)), None, _) => {
            (format!("{} {}", glyphs.warning, PodTrouble::Unschedulable.word()), Slot::Warning)
        }
        (Some((trouble, _)), None, _) => (format!("{} {}", glyphs.error, trouble.word()), Slot::Error),
        (_, Some(_), _) => (format!("{} ending", glyphs.muted), Slot::Muted),
        (None, None, PodPhase::Running) if pod.ready => (format!("{} Running", glyphs.ok), Slot::Ok),
        (None, None, PodPhase::Running) => (format!("{} not ready", glyphs.info), Slot::Info),
        (None, None, PodPhase::Pending) => (format!("{} Pending", glyphs.info), Slot::Info),
        (None, None, phase) => (format!("{} {}", glyphs.muted, phase.name()), Slot::Muted),
    }
}

fn role(pod: &PodRow) -> &'static str {
    match pod.role {
        PodRole::JobManager => "JobManager",
        PodRole::TaskManager => "TaskManager",
        PodRole::Other => "",
    }
}

fn cells<'a>(ctx: &Ctx<'a>, pod: &'a PodRow) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let base = theme.style(Slot::Base);
    let (word, slot) = status(ctx, pod);
    let last = pod.last_termination.as_ref();
    let end = last.map_or_else(String::new, |last| {
        let at = last.at.map(|at| format!(" {} ago", ctx.age(at))).unwrap_or_default();
        let what = if last.reason.is_empty() { "ended" } else { &last.reason };
        format!("{what} {}{at}", last.exit_code)
    });
    let end_slot = match last {
        Some(last) if last.is_oom() => Slot::Error,
        Some(last) if last.exit_code != 0 => Slot::Warning,
        _ => Slot::Base,
    };
    vec![
        Cell::End(parts::named(&pod.name), theme.style(Slot::Emphasis)),
        Cell::new(role(pod), theme.style(Slot::Muted)),
        Cell::new(word, theme.style(slot)),
        Cell::new(if pod.ready { "yes" } else { "no" }, base),
        Cell::new(pod.restarts.to_string(), if pod.restarts > 0 { theme.style(Slot::Warning) } else { base }),
        Cell::new(end, theme.style(end_slot)),
        Cell::new(pod.node.as_deref().unwrap_or("none"), base),
        Cell::new(requests(pod), theme.style(Slot::Muted)),
        Cell::new(pod.created_at.map(|at| ctx.age(at)).unwrap_or_default(), base),
    ]
}

fn requests(pod: &PodRow) -> String {
    format!("{} {}", cluster_words::cores(pod.cpu_request), bytes(pod.memory_request))
}

fn details(buffer: &mut Buffer, area: Rect, ctx: &Ctx, pod: &PodRow, place: &str) {
    let theme = ctx.theme;
    let inside = framed(buffer, area, theme, &parts::named(&pod.name), place, false);
    let mut lines = Lines::new(buffer, inside, theme);
    let (word, slot) = status(ctx, pod);
    let why = match (pod.trouble(), pod.deleting_since) {
        (_, Some(since)) => format!("deletion was asked for {} ago", ctx.age(since)),
        (Some((_, why)), None) => why,
        (None, None) => match &pod.waiting {
            Some((reason, message)) => format!("{reason}: {message}"),
            None => format!("phase {}, {}", pod.phase.name(), if pod.ready { "ready" } else { "not ready" }),
        },
    };
    lines.sentence(&format!("{word}  "), theme.style(slot), &why, theme.style(Slot::Base), 3);
    if let Some(last) = &pod.last_termination {
        let at = last.at.map(|at| format!(", {} ago", ctx.age(at))).unwrap_or_default();
        let text =
            format!("{}{at}{}{}", last.sentence(), if last.message.is_empty() { "" } else { ": " }, last.message);
        lines.sentence(
            "last end  ",
            theme.style(Slot::Label),
            &text,
            theme.style(if last.is_oom() { Slot::Error } else { Slot::Base }),
            2,
        );
    }
    lines.fields(&[
        ("node", clean(pod.node.as_deref().unwrap_or("none yet"), 80), Slot::Base),
        ("restarts", pod.restarts.to_string().into(), Slot::Base),
        ("containers", clean(&pod.containers.join(", "), 80).into_owned().into(), Slot::Base),
        ("cpu asked", format!("{} cores", cluster_words::cores(pod.cpu_request)).into(), Slot::Base),
        ("memory asked", bytes(pod.memory_request).into(), Slot::Base),
        ("limit", pod.memory_limit.map(bytes).unwrap_or_default().into(), Slot::Base),
        ("created", pod.created_at.map(|at| format!("{} ago", ctx.age(at))).unwrap_or_default().into(), Slot::Base),
        ("ns", parts::named(&pod.namespace).into_owned().into(), Slot::Muted),
    ]);
}
