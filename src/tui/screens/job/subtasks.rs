//! Subtasks of the selected vertex: how evenly they work, and each of them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::{Ctx, JobScreenView, parts};
use super::{above, watermark_lag};
use crate::domain::job::{JobView, SubtaskView, VertexView, Watermark};
use crate::tui::format::{clean, count, fit, fit_start, instant, percent};
use crate::tui::theme::Slot;
use crate::tui::widgets::bars::{self, Meter};
use crate::tui::widgets::pane::{Lines, message, put, split_top};

/// How uneven a set of values is: the highest over the average. NaN without values.
fn skew(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count, mut highest) = (0.0, 0.0, f64::NAN);
    for value in values.filter(|value| value.is_finite()) {
        (sum, count, highest) = (sum + value, count + 1.0, f64::max(highest, value));
    }
    if sum > 0.0 { highest / (sum / count) } else { f64::NAN }
}

/// Records that a subtask read; of a source, which reads none from other tasks, those that it wrote.
fn records(subtask: &SubtaskView) -> u64 {
    if subtask.records_in > 0 { subtask.records_in } else { subtask.records_out }
}

/// Draws the inside of the pane.
pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    ctx: &Ctx,
    job: &JobView,
    vertex: Option<&VertexView>,
    view: &mut JobScreenView,
) {
    let theme = ctx.theme;
    let Some(vertex) = vertex else {
        view.subtasks.fit(0, usize::from(area.height));
        message(buffer, area, theme, Slot::Muted, "no vertex is selected");
        return;
    };
    let Some(seen) = job.subtasks.as_ref().filter(|seen| seen.value.vertex == vertex.id) else {
        view.subtasks.fit(0, usize::from(area.height));
        message(buffer, area, theme, Slot::Muted, &parts::nothing_yet(ctx, job, "subtasks"));
        return;
    };
    let subtasks = &seen.value.subtasks;
    let busy: Vec<f64> = subtasks.iter().map(|subtask| subtask.busy).collect();
    let mut list = area;
    if area.height >= 4 {
        let by_busy = skew(busy.iter().copied());
        let by_records = skew(subtasks.iter().map(|subtask| records(subtask) as f64));
        let factor = |skew: f64| if skew.is_nan() { "–".to_owned() } else { format!("{skew:.1}x") };
        let [head, rest] = split_top(area, 1);
        let label = theme.style(Slot::Label);
        let mut lines = Lines::new(buffer, head, theme);
        lines.line(&[
            ("busiest/average ", label),
            (&factor(by_busy), above(theme, by_busy, 1.5, Slot::Warning)),
            ("  most/average records ", label),
            (&factor(by_records), above(theme, by_records, 1.5, Slot::Warning)),
        ]);
        list = rest;
        if let Some(watermark) = vertex.watermark.filter(|_| list.height >= 5) {
            let [line, rest] = split_top(list, 1);
            let (text, behind) = match watermark {
                Watermark::NotYet => ("none has arrived yet".to_owned(), String::new()),
                Watermark::EndOfInput => ("the input has ended".to_owned(), String::new()),
                Watermark::At(at) => (instant(at, ctx.utc), format!("  {} behind", watermark_lag(job, vertex))),
            };
            let mut lines = Lines::new(buffer, line, theme);
            lines.line(&[("watermark ", label), (&text, theme.style(Slot::Base)), (&behind, theme.style(Slot::Base))]);
            list = rest;
        }
        // The row of heights says little about a few subtasks that stand below anyway.
        if subtasks.len() > usize::from(rest.height) {
            let [bars_area, rest] = split_top(rest, 1);
            bars::skew(buffer, bars_area, theme, &busy, |busy| if busy > 0.9 { Slot::Warning } else { Slot::Busy });
            list = rest;
        }
    }
    let most = subtasks.iter().map(records).max().unwrap_or(0);
    let [head, rows] = split_top(list, u16::from(list.height > 2));
    if head.height > 0 {
        put(buffer, head, 0, 0, &header(head.width), theme.style(Slot::Label));
    }
    view.subtasks.fit(subtasks.len(), usize::from(rows.height));
    let style = parts::style_of(ctx, parts::freshness(ctx, &job.source, Some(seen.at), parts::PERIOD));
    for (line, subtask) in (0..rows.height).zip(subtasks.iter().skip(view.subtasks.offset)) {
        let here = Rect { y: rows.y + line, height: 1, ..rows };
        row(buffer, here, ctx, subtask, most, style);
    }
}

/// Columns of the bar of records.
const BAR: u16 = 8;

fn header(wide: u16) -> String {
    if wide < 46 {
        "  #  BUSY   BP  IDLE".to_owned()
    } else {
        "  #  BUSY   BP  IDLE  RECORDS          TASKMANAGER".to_owned()
    }
}

fn row(buffer: &mut Buffer, here: Rect, ctx: &Ctx, subtask: &SubtaskView, most: u64, style: ratatui::style::Style) {
    let theme = ctx.theme;
    let index = format!("{:>3}", subtask.index);
    put(buffer, here, 0, 0, &index, theme.style(Slot::Muted));
    let busy = if subtask.busy > 0.9 { theme.style(Slot::Warning) } else { style };
    for (x, value, style) in [(5, subtask.busy, busy), (10, subtask.backpressured, style), (16, subtask.idle, style)] {
        put(buffer, here, x, 0, &format!("{:>4}", percent(value)), style);
    }
    let mut x = 22;
    if here.width >= 46 {
        let bar = Rect { x: here.x + x, width: BAR.min(here.width - x), ..here };
        let value = if most > 0 { records(subtask) as f64 / most as f64 } else { f64::NAN };
        Meter { value, band: None, slot: Slot::PoolPeak }.draw(buffer, bar, theme);
        put(buffer, here, x + BAR, 0, &format!("{:>7}", count(records(subtask) as f64)), style);
        x += BAR + 9;
    }
    let mut end = x;
    if subtask.status != "RUNNING" {
        end = put(buffer, here, end, 0, &clean(&subtask.status, 12), theme.style(Slot::Warning)) + 1;
    }
    if subtask.attempt > 0 && here.width >= 70 {
        end = put(buffer, here, end, 0, &format!("try {} ", subtask.attempt + 1), theme.style(Slot::Muted));
    }
    let room = usize::from(here.width.saturating_sub(end));
    let place = if subtask.task_manager.is_empty() { &subtask.endpoint } else { &subtask.task_manager };
    let text = if room >= 12 { fit_start(place, room, theme.glyphs.ellipsis) } else { fit(place, room, "") };
    put(buffer, here, end, 0, &text, theme.style(Slot::Muted));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_the_highest_over_the_average() {
        assert_eq!(skew([1.0, 1.0, 4.0, f64::NAN].into_iter()), 2.0);
        assert!(skew([0.0, 0.0].into_iter()).is_nan() && skew([].into_iter()).is_nan());
    }
}
