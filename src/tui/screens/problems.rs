//! Exceptions of a job: the root cause first, the whole trace below.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::parts;
use crate::domain::ids::JobKey;
use crate::domain::job::{JobView, ProblemEntry, ProblemsView};
use crate::tui::format::{clean, instant, short_class};
use crate::tui::screens::{Ctx, ProblemKey, ProblemsScreenView, Row};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, framed, headed, message, put, split_top};
use crate::tui::widgets::table::{Cell, Column, Table};

/// Lines of a stack trace that are shown at most.
const STACK: usize = 2_000;
/// Characters of one line of it.
const STACK_LINE: usize = 1_000;

const COLUMNS: [Column; 6] = [
    Column::number("AGE", 6, 0),
    Column::text("ROOT CAUSE", 20, 34, 0),
    Column::text("MESSAGE", 20, 90, 1),
    Column::text("TASK", 14, 30, 2),
    Column::text("TASKMANAGER", 14, 34, 3),
    Column::number("MORE", 4, 4),
];

/// The columns where Flink tells of no failure where it was.
const PLACELESS: [Column; 4] = [COLUMNS[0], COLUMNS[1], COLUMNS[2], COLUMNS[5]];

fn key(entry: &ProblemEntry) -> ProblemKey {
    ProblemKey { at: entry.at, task: entry.task.clone(), class: entry.root_class.clone() }
}

/// The rows of the screen.
pub fn rows(ctx: &Ctx, job: &JobKey, _view: &ProblemsScreenView) -> Vec<Row<ProblemKey>> {
    let Some(problems) = ctx.snapshot.job(job).and_then(|job| job.problems.as_ref()) else { return Vec::new() };
    let entries = problems.value.entries.iter().enumerate();
    let shown = entries.filter(|(_, p)| {
        let task = p.task.as_deref().unwrap_or_default();
        ctx.filter.text(&[&p.root_class, &p.root_message, task])
    });
    shown.map(|(at, entry)| Row { key: key(entry), at }).collect()
}

fn entry<'a>(problems: &'a ProblemsView, row: &Row<ProblemKey>) -> Option<&'a ProblemEntry> {
    let guess = problems.entries.get(row.at).filter(|entry| key(entry) == row.key);
    guess.or_else(|| problems.entries.iter().find(|entry| key(entry) == row.key))
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: &JobKey, view: &mut ProblemsScreenView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    let Some(job) = parts::job_or_message(buffer, area, ctx, job) else { return };
    let body = head(buffer, area, ctx, job);
    let Some(seen) = &job.problems else {
        message(buffer, body, theme, Slot::Muted, &parts::nothing_yet(ctx, job, "problems"));
        return;
    };
    let problems = &seen.value;
    if problems.entries.is_empty() {
        let text = "no failure in Flink's history of this run";
        message(buffer, body, theme, Slot::Ok, text);
        return;
    }
    let rows = u16::try_from(view.list.rows.len()).unwrap_or(u16::MAX);
    let least = if view.open { 3 } else { 7 };
    let table_height = rows.saturating_add(1).min((body.height / 3).max(least));
    let [table_area, below] = split_top(body, table_height);
    let placed = problems.entries.iter().any(|e| e.task.is_some() || e.task_manager.is_some() || e.endpoint.is_some());
    let columns: &[Column] = if placed { &COLUMNS } else { &PLACELESS };
    let table = Table { columns, theme, sort: None, active: !view.open };
    table.draw(buffer, table_area, &mut view.list, "no problem matches the filter", |row| {
        entry(problems, row).map(|entry| cells(ctx, entry, placed)).unwrap_or_default()
    });
    let at = view.list.rows.get(view.list.index);
    if let Some(entry) = at.and_then(|row| entry(problems, row)) {
        details(buffer, below, ctx, entry, view);
    }
}

/// Status, restarts, and how old the list is.
fn head(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView) -> Rect {
    let [top, _] = split_top(area, area.height / 2);
    let mut lines = Lines::new(buffer, top, ctx.theme);
    parts::headline(&mut lines, ctx, job);
    if let Some(seen) = &job.problems {
        let fresh = parts::freshness(ctx, &job.source, Some(seen.at), parts::SLOW_PERIOD);
        let problems = &seen.value;
        let more = if problems.truncated { "yes, not shown" } else { "" };
        let restarts = problems.restarts.map(|n| n.to_string());
        lines.fields(&[
            ("restarts by failures", restarts.unwrap_or_default().into(), Slot::Emphasis),
            ("failures listed", problems.entries.len().to_string().into(), Slot::Base),
            ("older ones", more.into(), Slot::Muted),
            ("asked", format!("{} ago", parts::age(ctx, Some(seen.at), fresh)).into(), Slot::freshness(fresh)),
        ]);
    }
    let used = lines.used;
    split_top(area, used)[1]
}

fn cells<'a>(ctx: &Ctx<'a>, entry: &'a ProblemEntry, placed: bool) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let base = theme.style(Slot::Base);
    let place = entry.task_manager.as_deref().or(entry.endpoint.as_deref()).unwrap_or_default();
    let mut cells = vec![
        Cell::new(ctx.age(entry.at), base),
        Cell::new(short_class(&entry.root_class), theme.style(Slot::Error)),
        Cell::new(entry.root_message.as_str(), theme.style(Slot::Emphasis)),
    ];
    if placed {
        cells.push(Cell::new(entry.task.as_deref().unwrap_or_default(), base));
        cells.push(Cell::End(place.into(), theme.style(Slot::Muted)));
    }
    cells.push(Cell::new(if entry.concurrent > 0 { format!("+{}", entry.concurrent) } else { String::new() }, base));
    cells
}

/// The selected problem: its root cause in full, where it was, and its trace.
fn details(buffer: &mut Buffer, area: Rect, ctx: &Ctx, entry: &ProblemEntry, view: &mut ProblemsScreenView) {
    let theme = ctx.theme;
    let lines_of_stack = entry.stack.lines().count().min(STACK);
    let place = if view.open { format!("line {}/{lines_of_stack}", view.stack.offset + 1) } else { String::new() };
    let title = if view.open { "Stack trace" } else { "Root cause" };
    let inside = if area.height >= 6 {
        framed(buffer, area, theme, title, &place, view.open)
    } else {
        headed(buffer, area, theme, title, &place)
    };
    let mut stack = inside;
    if !view.open {
        let mut lines = Lines::new(buffer, inside, theme);
        let cause = format!("{}: {}", clean(&entry.root_class, 300), entry.root_message);
        lines.sentence("", theme.style(Slot::Base), &cause, theme.style(Slot::Error), 3);
        lines.fields(&[
            ("at", instant(entry.at, ctx.utc).into(), Slot::Base),
            (
                "task",
                entry.task.as_deref().map(|t| clean(t, 200)).unwrap_or_else(|| "not told by Flink".into()),
                Slot::Base,
            ),
            ("TaskManager", entry.task_manager.as_deref().map(|t| clean(t, 120)).unwrap_or_default(), Slot::Base),
            ("host", entry.endpoint.as_deref().map(|t| clean(t, 120)).unwrap_or_default(), Slot::Base),
            (
                "failed together",
                if entry.concurrent > 0 { entry.concurrent.to_string().into() } else { "".into() },
                Slot::Base,
            ),
            ("wrapped in", clean(short_class(&entry.class), 120), Slot::Muted),
        ]);
        let used = lines.used;
        [_, stack] = split_top(inside, used);
    }
    view.stack.fit(lines_of_stack, usize::from(stack.height));
    let shown = entry.stack.lines().take(STACK).skip(view.stack.offset);
    for (line, text) in (0..stack.height).zip(shown) {
        let frame = text.trim_start();
        let (indent, slot) = if frame.starts_with("at ") { (4, Slot::Muted) } else { (0, Slot::Base) };
        let slot = if frame.starts_with("Caused by") { Slot::Warning } else { slot };
        put(buffer, stack, indent, line, &clean(frame, STACK_LINE), theme.style(slot));
    }
}
