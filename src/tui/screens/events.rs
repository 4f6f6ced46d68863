//! Events of Kubernetes by time: of one job with its cluster and pods, or of everything that is looked at.

use std::sync::Arc;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Ctx, List, Row, cluster_words, parts};
use crate::domain::freshness::Observed;
use crate::domain::ids::JobKey;
use crate::domain::kubernetes::KubeAction;
use crate::domain::pods::EventRow;
use crate::domain::snapshot::SourceKind;
use crate::tui::format::{clean, instant};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, framed, message, split_bottom, split_top};
use crate::tui::widgets::table::{Cell, Column, Table, position};

const COLUMNS: [Column; 6] = [
    Column::number("AGE", 6, 0),
    Column::text("REASON", 18, 30, 0),
    Column::text("OBJECT", 16, 44, 2),
    Column::number("TIMES", 5, 3),
    Column::text("MESSAGE", 24, 140, 1),
    Column::text("BY", 8, 24, 4),
];

/// View of events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventsView {
    /// Events by uid, newest first.
    pub list: List<String>,
}

type Events = Observed<Arc<Vec<Arc<EventRow>>>>;

/// The lists of events that a screen shows: of a job, or of every Kubernetes cluster.
fn seen<'a>(ctx: &Ctx<'a>, job: Option<&JobKey>) -> Vec<&'a Events> {
    match job {
        Some(job) => {
            let resource = ctx.snapshot.job(job).and_then(|job| job.resource.as_ref());
            resource.and_then(|resource| resource.events.as_ref()).into_iter().collect()
        }
        None => ctx.snapshot.kubernetes.iter().filter_map(|kube| kube.events.as_ref()).collect(),
    }
}

fn all<'a>(ctx: &Ctx<'a>, job: Option<&JobKey>) -> Vec<&'a Arc<EventRow>> {
    let lists = seen(ctx, job);
    let mut all: Vec<&Arc<EventRow>> = lists.iter().flat_map(|list| list.value.iter()).collect();
    if lists.len() > 1 {
        all.sort_by(|a, b| (b.last_at, &b.uid).cmp(&(a.last_at, &a.uid)));
    }
    all
}

/// The rows of the screen.
pub fn rows(ctx: &Ctx, job: Option<&JobKey>, _view: &EventsView) -> Vec<Row<String>> {
    let shown = all(ctx, job).into_iter().enumerate().filter(|(_, event)| {
        let kind = if event.warning { "warning" } else { "normal" };
        ctx.filter.text(&[&event.reason, &event.name, &event.kind, &event.message, &event.component, kind])
    });
    shown.map(|(at, event)| Row { key: event.uid.clone(), at }).collect()
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: Option<&JobKey>, view: &mut EventsView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    let body = if let Some(job) = job {
        let Some(job) = parts::job_or_message(buffer, area, ctx, job) else { return };
        if let Some(why) = cluster_words::none_here(ctx, job, "events") {
            return message(buffer, area, theme, Slot::Muted, &why);
        }
        let [top, _] = split_top(area, area.height / 2);
        let mut lines = Lines::new(buffer, top, theme);
        parts::headline(&mut lines, ctx, job);
        cluster_words::watch_lines(&mut lines, ctx, &job.source, "events", job.namespace.as_deref());
        lines.blank();
        let used = lines.used;
        let body = split_top(area, used)[1];
        if let Some(why) = ctx.snapshot.missing_right(job, KubeAction::WatchEvents) {
            return message(buffer, body, theme, Slot::Warning, &why);
        }
        body
    } else {
        let [top, _] = split_top(area, area.height / 2);
        let mut lines = Lines::new(buffer, top, theme);
        for kube in &ctx.snapshot.kubernetes {
            cluster_words::watch_lines(&mut lines, ctx, &kube.source, "events", None);
        }
        let used = lines.used;
        let body = split_top(area, used)[1];
        if !ctx.snapshot.sources.iter().any(|source| source.kind == SourceKind::Kubernetes) {
            return message(
                buffer,
                body,
                theme,
                Slot::Muted,
                "no Kubernetes cluster is looked at: there are no events to see",
            );
        }
        body
    };
    if seen(ctx, job).is_empty() {
        return message(buffer, body, theme, Slot::Muted, &format!("asking for events{}", theme.glyphs.ellipsis));
    }
    let events = all(ctx, job);
    let of = |row: &Row<String>| {
        let guess = events.get(row.at).filter(|event| event.uid == row.key);
        guess.or_else(|| events.iter().find(|event| event.uid == row.key)).copied()
    };
    let selected = view.list.rows.get(view.list.index).and_then(of);
    let detail = if body.height >= 12 && selected.is_some() { (body.height / 3).clamp(6, 12) } else { 0 };
    let [table_area, detail] = split_bottom(body, detail);
    let table = Table { columns: &COLUMNS, theme, sort: None, active: true };
    let empty = if ctx.filter.is_empty() {
        "no event is remembered: Kubernetes forgets them after an hour or so"
    } else {
        "no event matches the filter"
    };
    table.draw(buffer, table_area, &mut view.list, empty, |row| {
        of(row).map(|event| cells(ctx, event)).unwrap_or_default()
    });
    if let Some(event) = selected.filter(|_| detail.height > 0) {
        details(buffer, detail, ctx, event, &position(&view.list));
    }
}

fn cells<'a>(ctx: &Ctx<'a>, event: &'a EventRow) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let base = theme.style(Slot::Base);
    let (mark, slot) =
        if event.warning { (theme.glyphs.warning, Slot::Warning) } else { (theme.glyphs.info, Slot::Base) };
    vec![
        Cell::new(event.last_at.map(|at| ctx.age(at)).unwrap_or_default(), base),
        Cell::new(format!("{mark} {}", parts::named(&event.reason)), theme.style(slot)),
        Cell::End(event.object().into(), theme.style(Slot::Emphasis)),
        Cell::new(event.count.to_string(), base),
        Cell::new(event.message.as_str(), base),
        Cell::new(event.component.as_str(), theme.style(Slot::Muted)),
    ]
}

fn details(buffer: &mut Buffer, area: Rect, ctx: &Ctx, event: &EventRow, place: &str) {
    let theme = ctx.theme;
    let inside = framed(buffer, area, theme, &clean(&event.object(), 200), place, false);
    let mut lines = Lines::new(buffer, inside, theme);
    let slot = if event.warning { Slot::Warning } else { Slot::Emphasis };
    let room = usize::from(inside.height.saturating_sub(1)).max(1);
    lines.sentence(
        &format!("{}  ", parts::named(&event.reason)),
        theme.style(slot),
        &event.message,
        theme.style(Slot::Base),
        room,
    );
    let at = |at: Option<crate::domain::Timestamp>| at.map(|at| instant(at, ctx.utc)).unwrap_or_default();
    lines.fields(&[
        ("last", at(event.last_at).into(), Slot::Base),
        ("first", if event.count > 1 { at(event.first_at).into() } else { "".into() }, Slot::Base),
        ("times", event.count.to_string().into(), Slot::Base),
        ("by", clean(&event.component, 80), Slot::Base),
        ("ns", parts::named(&event.namespace), Slot::Muted),
    ]);
}
