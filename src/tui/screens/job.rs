//! One job: graph, vertices, charts, subtasks, the last turn.
//!
//! ```text
//! 80×24                   120×40                    180 and wider
//! headline                headline                  headline
//! ┌ vertices ───────┐     ┌ graph ───────────┐      ┌ graph ───────┐┌ charts ────┐
//! └─────────────────┘     ┌ vertices ────────┐      ┌ vertices ────┐│            │
//! ┌ pane of the keys┐     ┌ chart ─┐┌ pane ──┐      ┌ subtasks ────┐│            │
//! └─────────────────┘     └────────┘└────────┘      └ loop ────────┘└────────────┘
//! ```

mod charts;
mod subtasks;

use std::borrow::Cow;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Ctx, JobPane, JobScreenView, Row, parts};
use crate::domain::freshness::{self, Freshness};
use crate::domain::ids::{JobKey, VertexId};
use crate::domain::job::{JobView, VertexView, Watermark};
use crate::tui::format::{self, UNKNOWN, count, fit, percent};
use crate::tui::theme::{Slot, Theme};
use crate::tui::widgets::bars::Share;
use crate::tui::widgets::graph;
use crate::tui::widgets::pane::{Lines, framed, headed, message, ruled, split_bottom, split_left, split_top};
use crate::tui::widgets::table::{Cell, Column, Table, position};
use crate::tui::widgets::tree;

const COLUMNS: [Column; 11] = [
    Column::text("VERTEX", 22, 44, 0),
    Column::number("P", 7, 0),
    Column::number("IN/s", 6, 2),
    Column::number("OUT/s", 6, 5),
    Column::number("BUSY", 4, 1),
    Column::number("MAX", 4, 7),
    Column::number("BP", 4, 1),
    Column::number("IDLE", 4, 4),
    Column::text("TIME SPENT", 12, 20, 6),
    Column::number("LAG", 6, 3),
    Column::number("WM LAG", 7, 3),
];

/// The rows of the screen.
pub fn rows(ctx: &Ctx, job: &JobKey, _view: &JobScreenView) -> Vec<Row<VertexId>> {
    let Some(job) = ctx.snapshot.job(job) else { return Vec::new() };
    match (&job.vertices, &job.topology) {
        (Some(vertices), _) => vertices.value.iter().enumerate().map(|(at, v)| Row { key: v.id, at }).collect(),
        (None, Some(topology)) => topology.vertices().iter().enumerate().map(|(at, v)| Row { key: v.id, at }).collect(),
        (None, None) => Vec::new(),
    }
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: &JobKey, view: &mut JobScreenView) {
    let buffer = frame.buffer_mut();
    let Some(job) = parts::job_or_message(buffer, area, ctx, job) else { return };
    let body = head(buffer, area, ctx, job);
    let wide = area.width >= 180 && body.height >= 30;
    let medium = area.width >= 100 && body.height >= 22;
    let table_height = u16::try_from(view.list.rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    match () {
        () if view.expanded => match view.pane {
            JobPane::Vertices => {
                let [graph, table] = split_bottom(body, table_height.min(body.height / 2));
                draw_graph(buffer, graph, ctx, job, view);
                draw_vertices(buffer, table, ctx, job, view);
            }
            JobPane::Subtasks => draw_subtasks(buffer, body, ctx, job, view),
            JobPane::Explanation => draw_explanation(buffer, body, ctx, job, view),
        },
        () if wide => {
            let [left, right] = split_left(body, body.width * 58 / 100);
            let [line, right] = split_left(right, 2);
            ruled(buffer, line, ctx.theme);
            let graph_height = graph_height(job, body.height * 2 / 5);
            let [graph, below] = split_top(left, graph_height);
            let [table, below] = split_top(below, table_height.min(below.height / 2));
            let subtasks = job.subtasks.as_ref().map_or(0, |seen| seen.value.subtasks.len());
            let subtasks =
                u16::try_from(subtasks).unwrap_or(u16::MAX).saturating_add(4).clamp(7, (below.height / 2).max(7));
            let [subtasks, explanation] = split_top(below, subtasks);
            draw_graph(buffer, graph, ctx, job, view);
            draw_vertices(buffer, table, ctx, job, view);
            draw_subtasks(buffer, subtasks, ctx, job, view);
            draw_explanation(buffer, explanation, ctx, job, view);
            charts::all(buffer, right, ctx, job, view);
        }
        () if medium => {
            let graph_height = graph_height(job, body.height * 2 / 5);
            let [graph, below] = split_top(body, graph_height);
            let [table, below] = split_top(below, table_height.min(below.height / 2));
            let [chart, pane] = split_left(below, below.width / 2);
            draw_graph(buffer, graph, ctx, job, view);
            draw_vertices(buffer, table, ctx, job, view);
            charts::one(buffer, chart, ctx, job, view);
            match view.pane {
                JobPane::Explanation => draw_explanation(buffer, pane, ctx, job, view),
                JobPane::Vertices | JobPane::Subtasks => draw_subtasks(buffer, pane, ctx, job, view),
            }
        }
        () => {
            let [table, pane] = split_top(body, table_height.min((body.height / 2).max(3)));
            draw_vertices(buffer, table, ctx, job, view);
            match view.pane {
                JobPane::Vertices => charts::one(buffer, pane, ctx, job, view),
                JobPane::Subtasks => draw_subtasks(buffer, pane, ctx, job, view),
                JobPane::Explanation => draw_explanation(buffer, pane, ctx, job, view),
            }
        }
    }
}

/// Status, evidence, reason of the last turn, decision, window. Gives the rest of the area.
fn head(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView) -> Rect {
    let theme = ctx.theme;
    // Never more than half of the screen for words.
    let [top, _] = split_top(area, area.height / 2);
    let mut lines = Lines::new(buffer, top, theme);
    parts::headline(&mut lines, ctx, job);
    parts::turn(&mut lines, ctx, job, 2);
    if let Some(decision) = parts::open_decision(ctx, &job.key) {
        let (mark, slot) = parts::decision_mark(theme, &decision.state);
        let word = parts::decision_word(ctx, decision);
        let text = format!("{mark} {} {word}: {}", decision.id, parts::changes(theme, decision));
        lines.sentence("wants ", theme.style(Slot::Label), &text, theme.style(slot), 1);
    }
    if let Some(status) = job.window_status.as_ref().filter(|status| !status.full) {
        let left = if status.full_at > ctx.now { ctx.left(status.full_at) } else { "the next turn".to_owned() };
        let cells = 20;
        let filled = ((status.fill.clamp(0.0, 1.0) * 20.0).round() as usize).min(cells);
        let bar = theme.glyphs.bar_full.repeat(filled) + &theme.glyphs.bar_empty.repeat(cells - filled);
        let text = format!(" {} full, {} samples, full in {left}", percent(status.fill), status.samples);
        let label = theme.style(Slot::Label);
        lines.line(&[("window ", label), (&bar, theme.style(Slot::Busy)), (&text, theme.style(Slot::Base))]);
    }
    let used = lines.used;
    split_top(area, used)[1]
}

/// The selected vertex.
fn selected<'a>(job: &'a JobView, view: &JobScreenView) -> Option<&'a VertexView> {
    let id = view.list.selected?;
    job.vertices.as_ref()?.value.iter().find(|vertex| vertex.id == id)
}

/// Parallelism now, and as an open decision wants it.
fn parallelism(ctx: &Ctx, job: &JobView, vertex: &VertexView) -> (String, Slot) {
    let change = parts::open_decision(ctx, &job.key).and_then(|d| d.changes.iter().find(|c| c.vertex == vertex.id));
    match change {
        Some(change) if change.to != vertex.parallelism => {
            let slot = if change.to > vertex.parallelism { Slot::Up } else { Slot::Down };
            (parts::from_to(ctx.theme, vertex.parallelism, change.to), slot)
        }
        _ => (vertex.parallelism.to_string(), Slot::Base),
    }
}

/// The age of the vertices, for the title of a pane.
fn age_of_vertices(ctx: &Ctx, job: &JobView) -> (String, Freshness) {
    let at = job.vertices.as_ref().map(|seen| seen.at);
    let fresh = parts::freshness(ctx, &job.source, at, parts::PERIOD);
    (parts::age(ctx, at, fresh), fresh)
}

fn draw_vertices(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, view: &mut JobScreenView) {
    let theme = ctx.theme;
    let (age, fresh) = age_of_vertices(ctx, job);
    let active = view.pane == JobPane::Vertices;
    let right = format!("{}  {age}", position(&view.list));
    let inside = headed(buffer, area, theme, "Vertices", &right);
    let style = parts::style_of(ctx, fresh);
    let stale = fresh > Freshness::Late;
    let table = Table { columns: &COLUMNS, theme, sort: None, active };
    let empty = parts::nothing_yet(ctx, job, "vertices");
    table.draw(buffer, inside, &mut view.list, &empty, |row| {
        let Some(vertex) = job.vertices.as_ref().and_then(|seen| seen.value.iter().find(|v| v.id == row.key)) else {
            let name = job.topology.as_ref().and_then(|t| t.vertex(row.key)).map_or("", |v| v.name.as_str());
            return vec![Cell::new(parts::named(name), style)];
        };
        let (p, slot) = parallelism(ctx, job, vertex);
        let backpressured =
            if vertex.backpressured >= 0.1 && !stale { theme.style(Slot::Backpressured) } else { style };
        let mut name = parts::named(&vertex.name);
        if vertex.incomplete {
            name = Cow::Owned(format!("{} {name}", theme.glyphs.unknown));
        }
        let status = vertex.status.as_str();
        if status != "RUNNING" && status != "FINISHED" {
            name = Cow::Owned(format!("{} {name}", crate::tui::format::clean(status, 14)));
        }
        vec![
            Cell::new(name, if stale { style } else { theme.style(Slot::Emphasis) }),
            Cell::new(p, theme.style(slot)),
            Cell::new(count(vertex.records_in), style),
            Cell::new(count(vertex.records_out), style),
            Cell::new(percent(vertex.busy), style),
            Cell::new(percent(vertex.busy_max), style),
            Cell::new(percent(vertex.backpressured), backpressured),
            Cell::new(percent(vertex.idle), style),
            Cell::Shares(Share::of_time(vertex.busy, vertex.backpressured, vertex.idle)),
            Cell::new(if vertex.lag.is_nan() { String::new() } else { count(vertex.lag) }, style),
            Cell::new(watermark_lag(job, vertex), style),
        ]
    });
}

/// How far event time at the input of a vertex lay behind the clock when it was read. Sources have no input.
fn watermark_lag(job: &JobView, vertex: &VertexView) -> Cow<'static, str> {
    let is_source = job.topology.as_ref().and_then(|t| t.vertex(vertex.id)).is_some_and(|v| v.is_source());
    match (vertex.watermark, &job.vertices) {
        (None, _) if is_source => "".into(),
        (None, _) | (_, None) => UNKNOWN.into(),
        (Some(Watermark::NotYet), _) => "none".into(),
        (Some(Watermark::EndOfInput), _) => "ended".into(),
        (Some(Watermark::At(at)), Some(seen)) => format::age(freshness::age(at, seen.at)).into(),
    }
}

/// Lines of a box of the graph.
const BOX_LINES: usize = 2;

/// Lines that the graph takes, frame included.
fn graph_height(job: &JobView, most: u16) -> u16 {
    let Some(topology) = &job.topology else { return 3.min(most) };
    let inputs = graph_inputs(topology);
    let inputs: Vec<&[usize]> = inputs.iter().map(Vec::as_slice).collect();
    let height = graph::Layout::new(&inputs, BOX_LINES + 2).height + 1;
    u16::try_from(height).unwrap_or(u16::MAX).min(most)
}

fn graph_inputs(topology: &crate::domain::topology::Topology) -> Vec<Vec<usize>> {
    let vertices = topology.vertices().iter();
    vertices.map(|vertex| vertex.inputs.iter().filter_map(|input| topology.index_of(input.id)).collect()).collect()
}

fn draw_graph(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, view: &JobScreenView) {
    let theme = ctx.theme;
    let inside = headed(buffer, area, theme, "Job graph", "");
    let Some(topology) = &job.topology else {
        message(buffer, inside, theme, Slot::Muted, &parts::nothing_yet(ctx, job, "the job graph"));
        return;
    };
    if topology.vertices().len() > graph::MOST {
        let text = format!("{} vertices are too many to draw; the table has them all", topology.vertices().len());
        message(buffer, inside, theme, Slot::Muted, &text);
        return;
    }
    let (_, fresh) = age_of_vertices(ctx, job);
    let stale = fresh > Freshness::Late;
    let nodes: Vec<graph::Node> = graph_inputs(topology)
        .into_iter()
        .zip(topology.vertices())
        .map(|(inputs, vertex)| {
            let seen = job.vertices.as_ref().and_then(|seen| seen.value.iter().find(|v| v.id == vertex.id));
            let (numbers, slot) = seen.map_or((Cow::Borrowed(UNKNOWN), Slot::Stale), |v| numbers(ctx, job, v));
            let style: Style = theme.style(if stale { Slot::Stale } else { slot });
            graph::Node {
                inputs,
                lines: vec![(parts::named(&vertex.name), theme.style(Slot::Emphasis)), (numbers, style)],
            }
        })
        .collect();
    graph::draw(buffer, inside, theme, &nodes, view.list.selected.and_then(|id| topology.index_of(id)));
}

/// What a box of the graph says of its vertex: parallelism, rate, and what it is most of the time.
fn numbers(ctx: &Ctx, job: &JobView, vertex: &VertexView) -> (Cow<'static, str>, Slot) {
    let (p, _) = parallelism(ctx, job, vertex);
    let (word, ratio, slot) = if vertex.backpressured >= 0.1 && vertex.backpressured > vertex.busy {
        ("bp", vertex.backpressured, Slot::Backpressured)
    } else {
        ("busy", vertex.busy, Slot::Busy)
    };
    (Cow::Owned(format!("p{p} {}/s {word} {}", count(vertex.records_in), percent(ratio))), slot)
}

fn draw_subtasks(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, view: &mut JobScreenView) {
    let active = view.pane == JobPane::Subtasks;
    let vertex = selected(job, view);
    let name = vertex.map(|vertex| parts::named(&vertex.name)).unwrap_or_default();
    let fresh = job.subtasks.as_ref().filter(|seen| vertex.is_some_and(|v| v.id == seen.value.vertex));
    let age = fresh
        .map(|seen| parts::age(ctx, Some(seen.at), parts::freshness(ctx, &job.source, Some(seen.at), parts::PERIOD)));
    let title = format!("Subtasks of {}", fit(&name, 60, ctx.theme.glyphs.ellipsis));
    let inside = framed(buffer, area, ctx.theme, &title, age.as_deref().unwrap_or_default(), active);
    subtasks::draw(buffer, inside, ctx, job, vertex, view);
}

fn draw_explanation(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, view: &mut JobScreenView) {
    let active = view.pane == JobPane::Explanation;
    let turn = job.turn.as_ref();
    let next = turn.filter(|turn| turn.next_at > ctx.now).map(|turn| format!("next in {}", ctx.left(turn.next_at)));
    let title = turn.map_or("Last turn of the loop".to_owned(), |turn| format!("Turn {} ago", ctx.age(turn.at)));
    let inside = framed(buffer, area, ctx.theme, &title, next.as_deref().unwrap_or_default(), active);
    let explanation = turn.and_then(|turn| turn.explanation.as_deref());
    let name = |id| job.topology.as_ref().and_then(|t| t.vertex(id)).map(|v| v.name.as_str());
    tree::draw(buffer, inside, ctx, explanation, &mut view.tree, active, name);
}

/// Rate and capacity of one vertex against target and thresholds (also of the decision screen).
pub(super) fn chart_of(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, vertex: &VertexView) {
    charts::of_vertex(buffer, area, ctx, job, Some(vertex), super::ChartMetric::Rate);
}

/// A style for a value that is alarming above a limit.
fn above(theme: &Theme, value: f64, limit: f64, slot: Slot) -> Style {
    theme.style(if value >= limit { slot } else { Slot::Base })
}
