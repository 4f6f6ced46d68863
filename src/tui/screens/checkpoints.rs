//! Checkpoints of a job: how long, how large, how old, and what failed.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::parts;
use crate::domain::ids::JobKey;
use crate::domain::job::{CheckpointEntry, CheckpointStatus, CheckpointsView, JobView};
use crate::tui::format::{UNKNOWN, bytes, clean, count, fit_start, forecast, instant, took};
use crate::tui::screens::{CheckpointsScreenView, Ctx, Row};
use crate::tui::theme::{Slot, Theme};
use crate::tui::widgets::chart::{Chart, Rule, Series};
use crate::tui::widgets::pane::{Lines, framed, headed, message, split_bottom, split_top};
use crate::tui::widgets::table::{Cell, Column, Table, position};

const COLUMNS: [Column; 9] = [
    Column::number("ID", 7, 0),
    Column::text("STATUS", 13, 13, 0),
    Column::number("AGE", 6, 0),
    Column::number("TOOK", 6, 1),
    Column::number("STATE", 9, 2),
    Column::number("WRITTEN", 9, 3),
    Column::number("ACKS", 9, 4),
    Column::text("KIND", 10, 14, 5),
    Column::text("PATH OR FAILURE", 16, 90, 6),
];

/// The rows of the screen.
pub fn rows(ctx: &Ctx, job: &JobKey, _view: &CheckpointsScreenView) -> Vec<Row<u64>> {
    let Some(seen) = ctx.snapshot.job(job).and_then(|job| job.checkpoints.as_ref()) else { return Vec::new() };
    let entries = seen.value.history.iter().enumerate();
    let shown = entries.filter(|(_, entry)| {
        let (_, word, _) = status(ctx.theme, entry);
        let path = entry.external_path.as_deref().or(entry.failure.as_deref()).unwrap_or_default();
        ctx.filter.text(&[word, &entry.kind, path, &entry.id.to_string()])
    });
    shown.map(|(at, entry)| Row { key: entry.id, at }).collect()
}

fn entry<'a>(checkpoints: &'a CheckpointsView, row: &Row<u64>) -> Option<&'a CheckpointEntry> {
    let guess = checkpoints.history.get(row.at).filter(|entry| entry.id == row.key);
    guess.or_else(|| checkpoints.history.iter().find(|entry| entry.id == row.key))
}

fn status(theme: &Theme, entry: &CheckpointEntry) -> (&'static str, &'static str, Slot) {
    match entry.status {
        CheckpointStatus::InProgress => (theme.glyphs.info, "in progress", Slot::Info),
        CheckpointStatus::Completed => (theme.glyphs.ok, "completed", Slot::Ok),
        CheckpointStatus::Failed => (theme.glyphs.error, "failed", Slot::Error),
    }
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: &JobKey, view: &mut CheckpointsScreenView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    let Some(job) = parts::job_or_message(buffer, area, ctx, job) else { return };
    let body = head(buffer, area, ctx, job);
    let Some(seen) = &job.checkpoints else {
        message(buffer, body, theme, Slot::Muted, &parts::nothing_yet(ctx, job, "checkpoints"));
        return;
    };
    let checkpoints = &seen.value;
    if !checkpoints.enabled {
        let text =
            "checkpointing is off for this job: a failure loses its state, and a rescale restarts it from nothing";
        message(buffer, body, theme, Slot::Warning, text);
        return;
    }
    let below = match (view.open, body.height) {
        (_, 0..10) => 0,
        (true, height) => height / 2,
        (false, height @ 24..) => height * 2 / 5,
        (false, height) => (height / 3).max(6),
    };
    let [table_area, below] = split_bottom(body, below);
    let table = Table { columns: &COLUMNS, theme, sort: None, active: true };
    let empty =
        if ctx.filter.is_empty() { "no checkpoint yet in this run" } else { "no checkpoint matches the filter" };
    table.draw(buffer, table_area, &mut view.list, empty, |row| {
        entry(checkpoints, row).map(|entry| cells(ctx, entry)).unwrap_or_default()
    });
    let at = view.list.rows.get(view.list.index);
    match at.and_then(|row| entry(checkpoints, row)).filter(|_| view.open) {
        Some(entry) => details(buffer, below, ctx, entry, &position(&view.list)),
        None => chart(buffer, below, ctx, checkpoints),
    }
}

fn head(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView) -> Rect {
    let [top, _] = split_top(area, area.height / 2);
    let mut lines = Lines::new(buffer, top, ctx.theme);
    parts::headline(&mut lines, ctx, job);
    if let Some(seen) = &job.checkpoints {
        let fresh = parts::freshness(ctx, &job.source, Some(seen.at), parts::SLOW_PERIOD);
        let c = &seen.value;
        let failed = if c.failed > 0 { Slot::Warning } else { Slot::Base };
        let latest = c.latest_completed_at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", ctx.age(at)));
        lines.fields(&[
            ("last completed", latest.into(), Slot::Emphasis),
            ("interval", c.interval.map(took).unwrap_or_default().into(), Slot::Base),
            ("time-out", c.timeout.map(took).unwrap_or_default().into(), Slot::Base),
            ("completed", c.completed.to_string().into(), Slot::Base),
            ("failed", c.failed.to_string().into(), failed),
            ("in progress", c.in_progress.to_string().into(), Slot::Base),
            ("restored", c.restored.to_string().into(), Slot::Base),
            ("asked", format!("{} ago", parts::age(ctx, Some(seen.at), fresh)).into(), Slot::freshness(fresh)),
        ]);
        if let Some(path) = &c.restored_from {
            let room = usize::from(top.width).saturating_sub(15);
            let path = fit_start(path, room, ctx.theme.glyphs.ellipsis);
            lines.fields(&[("restored from", path, Slot::Muted)]);
        }
    }
    let used = lines.used;
    split_top(area, used)[1]
}

fn cells<'a>(ctx: &Ctx<'a>, entry: &'a CheckpointEntry) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let base = theme.style(Slot::Base);
    let (mark, word, slot) = status(theme, entry);
    let took_text = match (entry.duration, entry.status) {
        (Some(duration), _) => took(duration),
        (None, CheckpointStatus::InProgress) => ctx.age(entry.triggered_at),
        (None, _) => UNKNOWN.to_owned(),
    };
    let size =
        |bytes_of: u64| if entry.status == CheckpointStatus::Completed { bytes(bytes_of) } else { UNKNOWN.to_owned() };
    let kind = entry.kind.to_lowercase().replace("_checkpoint", "").replace('_', " ");
    let last = match (&entry.failure, &entry.external_path) {
        (Some(failure), _) => Cell::new(failure.as_str(), theme.style(Slot::Error)),
        (None, Some(path)) => Cell::End(path.as_str().into(), theme.style(Slot::Muted)),
        (None, None) => Cell::new("", base),
    };
    vec![
        Cell::new(entry.id.to_string(), base),
        Cell::new(format!("{mark} {word}"), theme.style(slot)),
        Cell::new(ctx.age(entry.triggered_at), base),
        Cell::new(took_text, base),
        Cell::new(size(entry.state_size), base),
        Cell::new(size(entry.checkpointed_size), base),
        Cell::new(format!("{}/{}", entry.acknowledged, entry.subtasks), base),
        Cell::new(kind, base),
        last,
    ]
}

/// How long checkpoints took, over the time of the history.
fn chart(buffer: &mut Buffer, area: Rect, ctx: &Ctx, checkpoints: &CheckpointsView) {
    if area.height < 4 {
        return;
    }
    let theme = ctx.theme;
    let seconds = |at| -crate::domain::freshness::age(at, ctx.now).as_secs_f64();
    let mut points: Vec<(f64, f64)> = checkpoints
        .history
        .iter()
        .filter(|entry| entry.status != CheckpointStatus::InProgress)
        .map(|entry| {
            let completed = entry.status == CheckpointStatus::Completed;
            let duration = entry.duration.filter(|_| completed).map_or(f64::NAN, |d| d.as_secs_f64());
            (seconds(entry.triggered_at), duration)
        })
        .collect();
    points.reverse();
    let from = points.first().map_or(-1.0, |(at, _)| *at).min(-1.0);
    let since = format!("-{}", forecast(-from));
    let interval = checkpoints.interval.map_or(f64::NAN, |interval| interval.as_secs_f64());
    let rules = [Rule { name: "interval", value: interval, slot: Slot::Threshold }];
    let series = [Series { name: "duration", points: &points, slot: Slot::Series }];
    let inside = headed(buffer, area, theme, "Duration in seconds; failed ones are holes", "");
    let chart = Chart {
        series: &series,
        rules: &rules,
        from,
        hole: f64::INFINITY,
        top: None,
        label: count,
        since: &since,
        until: "now",
        empty: "no completed checkpoint in the history",
    };
    chart.draw(buffer, inside, theme);
}

fn details(buffer: &mut Buffer, area: Rect, ctx: &Ctx, entry: &CheckpointEntry, place: &str) {
    let theme = ctx.theme;
    let inside = framed(buffer, area, theme, &format!("Checkpoint {}", entry.id), place, true);
    let mut lines = Lines::new(buffer, inside, theme);
    let (mark, word, slot) = status(theme, entry);
    lines.line(&[(&format!("{mark} {word}"), theme.style(slot))]);
    if let Some(failure) = &entry.failure {
        lines.sentence("", theme.style(Slot::Base), failure, theme.style(Slot::Error), 4);
    }
    lines.fields(&[
        ("kind", clean(&entry.kind, 40), Slot::Base),
        ("triggered", instant(entry.triggered_at, ctx.utc).into(), Slot::Base),
        ("took", entry.duration.map(took).unwrap_or_default().into(), Slot::Base),
        ("state", bytes(entry.state_size).into(), Slot::Base),
        ("written", bytes(entry.checkpointed_size).into(), Slot::Base),
        ("acknowledged", format!("{} of {} subtasks", entry.acknowledged, entry.subtasks).into(), Slot::Base),
        ("removed from storage", if entry.discarded { "yes" } else { "" }.into(), Slot::Warning),
    ]);
    if let Some(path) = &entry.external_path {
        lines.sentence("path ", theme.style(Slot::Label), path, theme.style(Slot::Emphasis), 3);
    }
}
