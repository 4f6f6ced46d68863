//! Charts of the selected vertex over the metric window.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::series::{self, Points};
use super::super::{ChartMetric, Ctx, JobScreenView, parts};
use super::selected;
use crate::domain::evaluation::ScalingMetric;
use crate::domain::job::{JobView, VertexView};
use crate::domain::window::MetricWindow;
use crate::tui::format::{count, fit, forecast, percent};
use crate::tui::theme::Slot;
use crate::tui::widgets::chart::{Chart, Rule, Series, legend};
use crate::tui::widgets::pane::{headed, message, split_top};

/// The chart that the user chose.
pub(super) fn one(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, view: &JobScreenView) {
    metric(buffer, area, ctx, job, view, view.metric);
}

/// All three, one below the other, the chosen one first.
pub(super) fn all(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, view: &JobScreenView) {
    let mut rest = area;
    let mut next = view.metric;
    for left in (1..=3).rev() {
        let [here, below] = split_top(rest, rest.height / left);
        metric(buffer, here, ctx, job, view, next);
        (rest, next) = (below, next.next());
    }
}

fn metric(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, view: &JobScreenView, metric: ChartMetric) {
    of_vertex(buffer, area, ctx, job, selected(job, view), metric);
}

/// One metric of one vertex.
pub(super) fn of_vertex(
    buffer: &mut Buffer,
    area: Rect,
    ctx: &Ctx,
    job: &JobView,
    vertex: Option<&VertexView>,
    metric: ChartMetric,
) {
    let theme = ctx.theme;
    let what = match metric {
        ChartMetric::Rate => "Rate and capacity, rec/s",
        ChartMetric::Utilization => "Busy, of one",
        ChartMetric::Lag => "Lag, records",
    };
    let name = vertex.map(|vertex| parts::named(&vertex.name)).unwrap_or_default();
    let room = usize::from(area.width).saturating_sub(what.len() + 8);
    let inside = headed(buffer, area, theme, what, &fit(&name, room.min(40), theme.glyphs.ellipsis));
    let (Some(vertex), Some(window)) = (vertex, &job.window) else {
        message(buffer, inside, theme, Slot::Muted, &parts::nothing_yet(ctx, job, "samples"));
        return;
    };
    match metric {
        ChartMetric::Rate => rate(buffer, inside, ctx, job, vertex, window),
        ChartMetric::Utilization => utilization(buffer, inside, ctx, job, vertex, window),
        ChartMetric::Lag => lag(buffer, inside, ctx, job, vertex, window),
    }
}

fn rate(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, vertex: &VertexView, window: &MetricWindow) {
    let metrics = job.evaluation.as_ref().and_then(|evaluation| evaluation.vertex(vertex.id));
    let average = |metric| metrics.map_or(f64::NAN, |m| m.average(metric));
    let rules = [
        Rule { name: "target", value: average(ScalingMetric::TargetDataRate), slot: Slot::Target },
        Rule { name: "up below", value: average(ScalingMetric::ScaleUpRateThreshold), slot: Slot::Threshold },
        Rule { name: "down above", value: average(ScalingMetric::ScaleDownRateThreshold), slot: Slot::Threshold },
    ];
    let least = parts::rate_span(ctx, job);
    let capacity = series::capacity(window, least, vertex.id, vertex.parallelism);
    let read = series::rate(window, least, vertex.id);
    let lines = [
        Series { name: "capacity", points: &capacity, slot: Slot::Series },
        Series { name: "read", points: &read, slot: Slot::SeriesSecond },
    ];
    draw(buffer, area, ctx, job, window, &lines, &rules, None, count);
}

fn utilization(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, vertex: &VertexView, window: &MetricWindow) {
    let rates = job.rates.as_ref().map(|rates| &rates.value);
    let option = |key: &str| {
        let found = job.options.iter().find(|(name, _, _)| name.ends_with(key));
        found.and_then(|(_, value, _)| value.parse().ok()).unwrap_or(f64::NAN)
    };
    let rules = [
        Rule { name: "high", value: rates.map_or(f64::NAN, |r| r.band_high), slot: Slot::Band },
        Rule { name: "target", value: option("utilization.target"), slot: Slot::Target },
        Rule { name: "low", value: rates.map_or(f64::NAN, |r| r.band_low), slot: Slot::Band },
    ];
    let load: Points = series::load(window, vertex.id);
    let lines = [Series { name: "busy", points: &load, slot: Slot::Series }];
    draw(buffer, area, ctx, job, window, &lines, &rules, Some(1.0), percent);
}

fn lag(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView, vertex: &VertexView, window: &MetricWindow) {
    let is_source = job.topology.as_ref().and_then(|t| t.vertex(vertex.id)).is_some_and(|v| v.is_source());
    // Only sources have lag: any other vertex shows what waits for the whole job.
    let (name, points) = match &job.topology {
        Some(topology) if !is_source => ("lag of all sources", series::job_lag(window, topology)),
        _ => ("lag of this source", series::lag(window, vertex.id)),
    };
    let lines = [Series { name, points: &points, slot: Slot::Series }];
    draw(buffer, area, ctx, job, window, &lines, &[], None, count);
}

#[allow(clippy::too_many_arguments)] // one call, all of it what is drawn
fn draw(
    buffer: &mut Buffer,
    area: Rect,
    ctx: &Ctx,
    job: &JobView,
    window: &MetricWindow,
    series: &[Series],
    rules: &[Rule],
    top: Option<f64>,
    label: fn(f64) -> String,
) {
    let (length, period) = job
        .window_status
        .as_ref()
        .map_or((300.0, 10.0), |status| (status.length.as_secs_f64(), status.period.as_secs_f64()));
    let since = format!("-{}", forecast(length));
    let until = series::newest(window).map(|at| format!("{} ago", ctx.age(at))).unwrap_or_default();
    let chart = Chart {
        series,
        rules,
        from: -length,
        hole: period * 1.5,
        top,
        label,
        since: &since,
        until: &until,
        empty: "no samples yet",
    };
    if area.height >= 6 {
        let [names, plot] = split_top(area, 1);
        legend(buffer, names, ctx.theme, &chart);
        chart.draw(buffer, plot, ctx.theme);
    } else {
        chart.draw(buffer, area, ctx.theme);
    }
}
