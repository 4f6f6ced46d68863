//! TaskManagers of a job's cluster with their slots.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::parts;
use crate::domain::freshness::Freshness;
use crate::domain::ids::{JobId, JobKey};
use crate::domain::job::{ClusterView, JobView, Scheduler, TaskManagerView};
use crate::domain::memory::MemoryPool;
use crate::tui::format::{UNKNOWN, bytes_or_unknown, clean, exact, fit, percent};
use crate::tui::screens::{Ctx, Row, TaskManagersView};
use crate::tui::theme::Slot;
use crate::tui::widgets::bars::Meter;
use crate::tui::widgets::pane::{Lines, framed, message, split_bottom, split_top};
use crate::tui::widgets::table::{Cell, Column, Table, position};

/// Garbage collection above this share of time is worth a look.
const MUCH_GC: f64 = 0.1;

const COLUMNS: [Column; 9] = [
    Column::text("TASKMANAGER", 20, 50, 0),
    Column::text("SLOTS", 8, 20, 1),
    Column::number("FREE", 4, 1),
    Column::number("CPU", 4, 3),
    Column::number("CORES", 5, 6),
    Column::text("HEAP", 10, 16, 4),
    Column::number("HEAP", 4, 2),
    Column::number("GC", 4, 2),
    Column::number("HEARTBEAT", 9, 5),
];

/// TaskManagers of the cluster of a job, as rows (also of the memory screen).
pub(super) fn task_manager_rows(ctx: &Ctx, job: &JobKey) -> Vec<Row<String>> {
    let cluster = ctx.snapshot.job(job).and_then(|job| parts::cluster(ctx, job));
    let Some(seen) = cluster.and_then(|cluster| cluster.task_managers.as_ref()) else { return Vec::new() };
    let shown = seen.value.iter().enumerate().filter(|(_, tm)| ctx.filter.text(&[&tm.id]));
    shown.map(|(at, tm)| Row { key: tm.id.clone(), at }).collect()
}

/// The TaskManager of a row.
pub(super) fn of_row<'a>(all: &'a [TaskManagerView], row: &Row<String>) -> Option<&'a TaskManagerView> {
    all.get(row.at).filter(|tm| tm.id == row.key).or_else(|| all.iter().find(|tm| tm.id == row.key))
}

/// The rows of the screen.
pub fn rows(ctx: &Ctx, job: &JobKey, _view: &TaskManagersView) -> Vec<Row<String>> {
    task_manager_rows(ctx, job)
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: &JobKey, view: &mut TaskManagersView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    let Some(Begun { body, job, all, fresh }) = begin(buffer, area, ctx, job, "TaskManagers") else { return };
    let at = view.list.rows.get(view.list.index).cloned();
    let selected = at.and_then(|row| of_row(all, &row));
    let detail = if body.height >= 14 && selected.is_some() { 8 } else { 0 };
    let [table_area, detail] = split_bottom(body, detail);
    let table = Table { columns: &COLUMNS, theme, sort: None, active: true };
    table.draw(buffer, table_area, &mut view.list, none(ctx), |row| {
        of_row(all, row).map(|tm| cells(ctx, tm, fresh)).unwrap_or_default()
    });
    if let Some(tm) = selected.filter(|_| detail.height > 0) {
        details(buffer, detail, ctx, tm, job, &position(&view.list));
    }
}

/// What a screen of TaskManagers draws on, below the words about their cluster.
pub(super) struct Begun<'a> {
    /// The room that is left.
    pub body: Rect,
    /// The job.
    pub job: &'a JobView,
    /// All TaskManagers.
    pub all: &'a [TaskManagerView],
    /// How fresh they are.
    pub fresh: Freshness,
}

/// Begins a screen of TaskManagers (also the memory screen); nothing if a message already says why there is nothing to draw.
pub(super) fn begin<'a>(buffer: &mut Buffer, area: Rect, ctx: &Ctx<'a>, job: &JobKey, what: &str) -> Option<Begun<'a>> {
    let job = parts::job_or_message(buffer, area, ctx, job)?;
    let missing = |buffer: &mut Buffer, area, what| {
        message(buffer, area, ctx.theme, Slot::Muted, &parts::nothing_yet(ctx, job, what));
    };
    let Some(cluster) = parts::cluster(ctx, job) else {
        missing(buffer, area, "the cluster");
        return None;
    };
    let body = head(buffer, area, ctx, cluster);
    let Some(seen) = &cluster.task_managers else {
        missing(buffer, body, what);
        return None;
    };
    let fresh = parts::freshness(ctx, &cluster.source, Some(seen.at), parts::PERIOD);
    Some(Begun { body, job, all: &seen.value, fresh })
}

/// What to say when there is no row.
pub(super) fn none(ctx: &Ctx) -> &'static str {
    if ctx.filter.is_empty() { "no TaskManager is registered" } else { "no TaskManager matches the filter" }
}

/// The cluster in words.
fn head(buffer: &mut Buffer, area: Rect, ctx: &Ctx, cluster: &ClusterView) -> Rect {
    let theme = ctx.theme;
    let [top, _] = split_top(area, area.height / 2);
    let mut lines = Lines::new(buffer, top, theme);
    let at = cluster.task_managers.as_ref().map(|seen| seen.at);
    let fresh = parts::freshness(ctx, &cluster.source, at, parts::PERIOD);
    let scheduler = match cluster.scheduler {
        Scheduler::Adaptive => "adaptive",
        Scheduler::Default => "default",
        Scheduler::Unknown => "not known",
    };
    let used = cluster.slots_total.saturating_sub(cluster.slots_available);
    let count = cluster.task_managers.as_ref().map(|seen| seen.value.len().to_string()).unwrap_or_default();
    // Longer addresses can still be copied.
    let page = usize::from(area.width).saturating_sub("page ".len()).min(120);
    let mut age = parts::age(ctx, at, fresh);
    if fresh > Freshness::Late {
        age = format!("{age} ({})", fresh.word());
    }
    lines.fields(&[
        ("cluster", parts::named(&cluster.name), Slot::Emphasis),
        ("Flink", cluster.flink_version.as_deref().map(|v| clean(v, 30)).unwrap_or_default(), Slot::Base),
        ("scheduler", scheduler.into(), Slot::Base),
        ("TaskManagers", count.into(), Slot::Base),
        ("slots", format!("{used}/{} used", cluster.slots_total).into(), Slot::Base),
        ("data", age.into(), Slot::freshness(fresh)),
        ("page", fit(cluster.ui_url.as_deref().unwrap_or_default(), page, theme.glyphs.ellipsis), Slot::Muted),
    ]);
    if let Some(way) = &cluster.way {
        lines.sentence("way to the JobManager  ", theme.style(Slot::Label), way, theme.style(Slot::Base), 1);
    }
    lines.blank();
    let used = lines.used;
    split_top(area, used)[1]
}

fn cells<'a>(ctx: &Ctx<'a>, tm: &'a TaskManagerView, fresh: Freshness) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let style = parts::style_of(ctx, fresh);
    let used = tm.slots.saturating_sub(tm.free_slots);
    let (full, free) =
        (usize::try_from(used).unwrap_or(0).min(32), usize::try_from(tm.free_slots).unwrap_or(0).min(32));
    let slots = theme.glyphs.bar_full.repeat(full) + &theme.glyphs.bar_empty.repeat(free);
    let heap = heap_ratio(tm);
    let beat = tm.heartbeat_at;
    let silent = beat.is_some_and(|at| crate::domain::freshness::age(at, ctx.now) > parts::PERIOD * 3);
    let gc = if tm.gc >= MUCH_GC { theme.style(Slot::Warning) } else { style };
    vec![
        Cell::End(parts::named(&tm.id), if fresh > Freshness::Late { style } else { theme.style(Slot::Emphasis) }),
        Cell::new(slots, theme.style(Slot::Busy)),
        Cell::new(tm.free_slots.to_string(), style),
        Cell::new(percent(tm.cpu_load), style),
        Cell::new(exact((tm.cpu_cores * 10.0).round() / 10.0), style),
        Cell::Meter(Meter { value: heap, band: None, slot: Slot::PoolUsed }),
        Cell::new(percent(heap), style),
        Cell::new(
            if tm.gc >= MUCH_GC { format!("{}{}", theme.glyphs.warning, percent(tm.gc)) } else { percent(tm.gc) },
            gc,
        ),
        Cell::new(
            beat.map_or_else(|| UNKNOWN.to_owned(), |at| ctx.age(at)),
            if silent { theme.style(Slot::Warning) } else { style },
        ),
    ]
}

/// Heap in use over its size; NaN if one is not known.
pub(super) fn heap_ratio(tm: &TaskManagerView) -> f64 {
    let heap = tm.pools.iter().find(|pool| pool.pool == MemoryPool::JvmHeap);
    match heap.map(|heap| (heap.used, heap.configured)) {
        Some((Some(used), Some(configured))) if configured > 0 => used as f64 / configured as f64,
        _ => f64::NAN,
    }
}

fn details(buffer: &mut Buffer, area: Rect, ctx: &Ctx, tm: &TaskManagerView, job: &JobView, place: &str) {
    let theme = ctx.theme;
    let inside = framed(buffer, area, theme, &parts::named(&tm.id), place, false);
    let mut lines = Lines::new(buffer, inside, theme);
    let mine = |id: JobId| if job.job_id == Some(id) { Some(parts::name(job)) } else { None };
    let named = |id: JobId| {
        let other = ctx.snapshot.jobs.iter().find(|other| other.job_id == Some(id)).map(|other| parts::name(other));
        mine(id).or(other).map_or_else(|| format!("job {id}"), |name| clean(&name, 60).into_owned())
    };
    let slots: Vec<String> = tm.allocated.iter().map(|(id, slots)| format!("{} ({slots})", named(*id))).collect();
    let jobs = if slots.is_empty() { "none".to_owned() } else { slots.join(", ") };
    lines.sentence("slots of ", theme.style(Slot::Label), &jobs, theme.style(Slot::Base), 2);
    lines.fields(&[
        ("slots", format!("{} of {} free", tm.free_slots, tm.slots).into(), Slot::Base),
        ("cpu of its machine", percent(tm.cpu_load).into(), Slot::Base),
        ("cores offered", exact(tm.cpu_cores).into(), Slot::Base),
        ("garbage collection", percent(tm.gc).into(), if tm.gc >= MUCH_GC { Slot::Warning } else { Slot::Base }),
        ("process", bytes_or_unknown(tm.memory.map(|memory| memory.total_process)).into(), Slot::Base),
        ("container limit", bytes_or_unknown(tm.container_limit).into(), Slot::Base),
        ("heartbeat", tm.heartbeat_at.map(|at| format!("{} ago", ctx.age(at))).unwrap_or_default().into(), Slot::Base),
    ]);
}
