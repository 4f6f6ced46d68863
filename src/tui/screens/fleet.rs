//! All jobs, worst first.
//!
//! ```text
//! 80×24                     120×40                    180 and wider
//! ┌ jobs ─────────────┐     ┌ jobs ─────────────┐     ┌ jobs ──────────┐┌ selected ──┐
//! │                   │     │                   │     │                ││ words      │
//! ├ selected ─────────┤     ├ selected ─────────┤     │                ││ charts     │
//! │ two or three lines│     │ words             │     │                ││            │
//! └───────────────────┘     └───────────────────┘     └────────────────┘└────────────┘
//! ```

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Ctx, FleetView, Row, cluster_words, parts, series};
use crate::domain::freshness::Freshness;
use crate::domain::ids::{ClusterKey, JobKey};
use crate::domain::job::{JobKind, JobView, VertexView};
use crate::domain::kubernetes::BlueGreenRow;
use crate::domain::snapshot::{Snapshot, SourceState};
use crate::tui::format::{self, UNKNOWN, clean, count, delta, forecast, percent};
use crate::tui::theme::Slot;
use crate::tui::widgets::bars::Meter;
use crate::tui::widgets::chart::{Chart, Rule, Series};
use crate::tui::widgets::pane::{Lines, framed, headed, message, split_bottom, split_left, split_top};
use crate::tui::widgets::table::{Cell, Column, Table, position};

/// The sort orders; the first is the default.
pub const SORTS: &[&str] = &["severity", "name", "lag", "utilization", "rate in", "decision", "age of data"];

const COLUMNS: [Column; 13] = [
    Column::text("STATUS", 15, 16, 0),
    Column::text("JOB", 19, 34, 0),
    Column::text("NAMESPACE", 9, 16, 8),
    Column::number("IN/s", 6, 5),
    Column::number("OUT/s", 6, 7),
    Column::number("LAG", 6, 1),
    Column::number("CATCH-UP", 8, 4),
    Column::text("0    BUSIEST    1", 12, 17, 9),
    Column::number("BUSY", 5, 2),
    Column::number("TASKS", 7, 3),
    Column::text("DECISION", 14, 24, 2),
    Column::number("CKPT", 7, 6),
    Column::number("DATA", 6, 2),
];

/// The column that shows a sort order.
fn sorted_column(sort: usize) -> usize {
    [0, 1, 5, 8, 3, 10, 12].get(sort).copied().unwrap_or(0)
}

/// The rows of the screen, filtered and sorted.
pub fn rows(ctx: &Ctx, view: &FleetView) -> Vec<Row<JobKey>> {
    let jobs = &ctx.snapshot.jobs;
    let mut shown: Vec<usize> = (0..jobs.len()).filter(|i| ctx.filter.job(&jobs[*i])).collect();
    let rate = |job: &JobView, value: fn(&crate::domain::job::JobRates) -> f64| {
        let value = job.rates.as_ref().map_or(f64::NAN, |rates| value(&rates.value));
        if value.is_nan() { f64::NEG_INFINITY } else { value }
    };
    let waits = |job: &JobView| parts::open_decision(ctx, &job.key).is_some();
    let worst = |a: &JobView, b: &JobView| {
        let severity = b.health.word.severity().cmp(&a.health.word.severity());
        severity.then_with(|| rate(b, |r| r.lag).total_cmp(&rate(a, |r| r.lag)))
    };
    let by_name = |a: &JobView, b: &JobView| a.name.cmp(&b.name).then_with(|| a.namespace.cmp(&b.namespace));
    let largest = |a: &JobView, b: &JobView, value| rate(b, value).total_cmp(&rate(a, value));
    let order = |a: &JobView, b: &JobView| -> Ordering {
        match SORTS.get(view.list.sort.column).copied() {
            Some("name") => Ordering::Equal,
            Some("lag") => largest(a, b, |r| r.lag),
            Some("utilization") => largest(a, b, |r| r.utilization),
            Some("rate in") => largest(a, b, |r| r.records_in),
            Some("decision") => waits(b).cmp(&waits(a)).then_with(|| worst(a, b)),
            Some("age of data") => a.observed_at.cmp(&b.observed_at),
            _ => worst(a, b),
        }
    };
    shown.sort_by(|a, b| {
        let (a, b) = (&jobs[*a], &jobs[*b]);
        let order = order(a, b).then_with(|| by_name(a, b));
        let order = if view.list.sort.reversed { order.reverse() } else { order };
        order.then_with(|| a.key.cmp(&b.key))
    });
    if is_tree(view) {
        shown = as_trees(jobs, shown);
    }
    let mut rows: Vec<Row<JobKey>> = shown.into_iter().map(|at| Row { key: jobs[at].key.clone(), at }).collect();
    // Rows that are only to look at stand below those that can be acted upon.
    let blue_green = ctx.snapshot.kubernetes.iter().flat_map(|kube| kube.blue_green.iter());
    rows.extend(
        blue_green
            .filter(|row| ctx.filter.text(&[&row.name, &row.namespace, &row.state]))
            .map(|row| Row { key: JobKey::new(format!("{BLUE_GREEN}{}", row.uid)), at: usize::MAX }),
    );
    rows
}

/// What keys of FlinkBlueGreenDeployments begin with.
const BLUE_GREEN: &str = "blue-green:";

/// The FlinkBlueGreenDeployment of a row.
pub fn blue_green<'a>(snapshot: &'a Snapshot, key: &JobKey) -> Option<&'a BlueGreenRow> {
    let uid = key.as_str().strip_prefix(BLUE_GREEN)?;
    let all = snapshot.kubernetes.iter().flat_map(|kube| kube.blue_green.iter());
    all.map(AsRef::as_ref).find(|row| row.uid == uid)
}

/// In these orders, jobs of session clusters stand below their cluster.
fn is_tree(view: &FleetView) -> bool {
    matches!(SORTS.get(view.list.sort.column).copied(), Some("severity" | "name"))
}

/// A job that shares its cluster with others.
fn shares_a_cluster(job: &JobView) -> bool {
    match job.kind {
        JobKind::FlinkSessionJob => true,
        // Submitted outside the operator, to a cluster that it manages.
        JobKind::FlinkJob => job.namespace.is_some(),
        JobKind::FlinkDeployment | JobKind::SessionCluster => false,
    }
}

/// Moves the jobs of each session cluster below it, at the place of the first of them: the worst, in the default order.
fn as_trees(jobs: &[Arc<JobView>], shown: Vec<usize>) -> Vec<usize> {
    let clusters = shown.iter().filter(|at| jobs[**at].kind == JobKind::SessionCluster);
    let roots: BTreeMap<&ClusterKey, usize> = clusters.map(|at| (&jobs[*at].cluster, *at)).collect();
    if roots.is_empty() {
        return shown;
    }
    let root_of =
        |at: usize| roots.get(&jobs[at].cluster).copied().filter(|root| *root == at || shares_a_cluster(&jobs[at]));
    let mut trees: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in &shown {
        if let Some(root) = root_of(*at).filter(|root| root != at) {
            trees.entry(root).or_default().push(*at);
        }
    }
    let mut placed = std::collections::BTreeSet::new();
    let mut all = Vec::with_capacity(shown.len());
    for at in shown {
        match root_of(at) {
            Some(root) if placed.insert(root) => {
                all.push(root);
                all.extend(trees.remove(&root).unwrap_or_default());
            }
            Some(_) => {}
            None => all.push(at),
        }
    }
    all
}

/// The job of a row: the index is only a guess that is checked.
fn job_of<'a>(ctx: &Ctx<'a>, row: &Row<JobKey>) -> Option<&'a JobView> {
    let guess = ctx.snapshot.jobs.get(row.at).filter(|job| job.key == row.key);
    guess.or_else(|| ctx.snapshot.job(&row.key)).map(AsRef::as_ref)
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, view: &mut FleetView) {
    let buffer = frame.buffer_mut();
    let selected = view.list.selected.as_ref().and_then(|key| ctx.snapshot.job(key)).cloned();
    let detail_height = match area.height {
        0..12 => 0,
        12..26 => 6,
        _ => 11,
    };
    let (table, detail) = if area.width >= 180 && area.height >= 16 {
        let [table, detail] = split_left(area, area.width - (area.width * 31 / 100).min(84));
        (table, Some(detail))
    } else if detail_height > 0 && view.list.selected.is_some() {
        let [table, detail] = split_bottom(area, detail_height);
        (table, Some(detail))
    } else {
        (area, None)
    };
    let table = notice_of_lost_sources(buffer, table, ctx);
    draw_table(buffer, table, ctx, view);
    let Some(detail) = detail else { return };
    let wide = area.width >= 180 && area.height >= 16;
    let title = match view.list.selected.as_ref().and_then(|key| blue_green(ctx.snapshot, key)) {
        Some(row) => parts::named(&row.name),
        None => selected.as_ref().map(|job| parts::name(job)).unwrap_or_default(),
    };
    let place = position(&view.list);
    let inside = if wide {
        framed(buffer, detail, ctx.theme, &title, &place, false)
    } else {
        headed(buffer, detail, ctx.theme, &title, &place)
    };
    if let Some(row) = view.list.selected.as_ref().and_then(|key| blue_green(ctx.snapshot, key)) {
        blue_green_words(buffer, inside, ctx, row);
    } else if let Some(job) = &selected {
        if wide {
            let used = draw_words(buffer, inside, ctx, job);
            draw_charts(buffer, split_top(inside, used + 1)[1], ctx, job);
        } else {
            let _ = draw_words(buffer, inside, ctx, job);
        }
    } else {
        message(buffer, inside, ctx.theme, Slot::Muted, "no job is selected");
    }
}

/// One line for each source that does not answer, above the table: what failed, since when, and that the rows below are old.
fn notice_of_lost_sources(buffer: &mut Buffer, area: Rect, ctx: &Ctx) -> Rect {
    if area.height < 8 {
        return area;
    }
    let mut lines = Lines::new(buffer, area, ctx.theme);
    for source in &ctx.snapshot.sources {
        let SourceState::Lost { since, error, .. } = &source.state else { continue };
        if lines.used >= area.height / 4 {
            break;
        }
        let lead = format!("{} {} lost {}: ", ctx.theme.glyphs.lost, clean(source.id.as_str(), 40), ctx.age(*since));
        lines.sentence(&lead, ctx.theme.style(Slot::Error), error, ctx.theme.style(Slot::Base), 1);
    }
    // A watch of its own may be lost while the cluster answers: what it knows is old, and the countdown says when it tries again.
    let answers = |source| !ctx.snapshot.source(source).is_some_and(|s| matches!(s.state, SourceState::Lost { .. }));
    let kubernetes = ctx.snapshot.kubernetes.iter().filter(|kube| answers(&kube.source));
    let watches = kubernetes.flat_map(|kube| kube.watches.iter());
    for watch in watches.filter(|watch| !watch.forbidden && matches!(watch.state, SourceState::Lost { .. })) {
        let Some((lead, why, slot)) = cluster_words::watch_trouble(ctx, watch) else { continue };
        if lines.used >= area.height / 4 {
            break;
        }
        let lead = format!("{} {} {lead}: ", ctx.theme.glyphs.lost, clean(&watch.resource, 40));
        lines.sentence(&lead, ctx.theme.style(slot), &why, ctx.theme.style(Slot::Base), 1);
    }
    let used = lines.used;
    split_top(area, used)[1]
}

/// What to say when there is no row.
fn empty(ctx: &Ctx) -> String {
    if !ctx.snapshot.jobs.is_empty() && !ctx.filter.is_empty() {
        return format!("no job matches the filter; it hides {}", ctx.snapshot.jobs.len());
    }
    if !ctx.snapshot.loaded {
        let waiting: Vec<&str> = ctx.snapshot.sources.iter().map(|source| source.address.as_str()).collect();
        return match waiting.as_slice() {
            [] => "connecting".to_owned(),
            waiting => format!("waiting for the first answer of {}", clean(&waiting.join(", "), 200)),
        };
    }
    if ctx.snapshot.sources.iter().any(|source| matches!(source.state, SourceState::Lost { .. })) {
        return "no job was ever seen: see above what does not answer".to_owned();
    }
    "no jobs: nothing is deployed here".to_owned()
}

fn draw_table(buffer: &mut Buffer, area: Rect, ctx: &Ctx, view: &mut FleetView) {
    let theme = ctx.theme;
    let empty = empty(ctx);
    let sort = Some((sorted_column(view.list.sort.column), view.list.sort.reversed));
    let table = Table { columns: &COLUMNS, theme, sort, active: true };
    let tree = is_tree(view);
    let marked = &view.marked;
    table.draw(buffer, area, &mut view.list, &empty, |row| match job_of(ctx, row) {
        Some(job) => cells(ctx, job, tree && shares_a_cluster(job), marked.contains(&job.key)),
        None => match blue_green(ctx.snapshot, &row.key) {
            Some(row) => blue_green_cells(ctx, row),
            None => vec![Cell::new("gone", theme.style(Slot::Muted))],
        },
    });
}

/// A FlinkBlueGreenDeployment: what it says, and nothing of a job.
fn blue_green_cells<'a>(ctx: &Ctx<'a>, row: &'a BlueGreenRow) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let (glyph, slot) = match (&row.error, row.state.starts_with("TRANSITIONING")) {
        (Some(_), _) => (theme.glyphs.error, Slot::Error),
        (None, true) => (theme.glyphs.info, Slot::Info),
        (None, false) => (theme.glyphs.muted, Slot::Muted),
    };
    let mut cells = vec![
        Cell::new(format!("{glyph} BLUE/GREEN"), theme.style(slot)),
        Cell::new(parts::named(&row.name), theme.style(Slot::Emphasis)),
        Cell::new(parts::named(&row.namespace), theme.style(Slot::Muted)),
    ];
    cells.extend(std::iter::repeat_with(|| Cell::new("", theme.style(Slot::Base))).take(7));
    let word = row.state.to_lowercase().replace('_', " ");
    cells.push(Cell::new(word, theme.style(slot)));
    cells
}

fn cells<'a>(ctx: &Ctx<'a>, job: &'a JobView, nested: bool, marked: bool) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let seen = parts::freshness(ctx, &job.source, job.observed_at, parts::PERIOD);
    let (word, word_style) = parts::health(theme, job);
    // A status word that nobody can confirm is no longer true by itself.
    let word_style = if seen > Freshness::Late { theme.style(Slot::Stale) } else { word_style };
    let measured = job.rates.as_ref();
    let rates_fresh = parts::freshness(ctx, &job.source, measured.map(|rates| rates.at), parts::PERIOD);
    let style = parts::style_of(ctx, rates_fresh);
    let rates = measured.map(|rates| &rates.value);
    let number =
        |value: Option<f64>, text: fn(f64) -> String| Cell::new(value.map_or_else(|| UNKNOWN.to_owned(), text), style);
    // A session cluster has no numbers of a job: blanks, not unknowns.
    let has_job = job.kind != JobKind::SessionCluster;
    let name_style = if seen > Freshness::Late { theme.style(Slot::Stale) } else { theme.style(Slot::Emphasis) };
    let lag_slot = match rates {
        Some(r) if r.lag > 0.0 && r.lag_rate > 0.0 => Slot::Warning,
        _ => Slot::freshness(rates_fresh),
    };
    let lag = rates.map_or_else(|| UNKNOWN.to_owned(), |r| count(r.lag));
    let catch_up = match rates {
        Some(r) if r.lag == 0.0 => UNKNOWN.to_owned(),
        Some(r) => forecast(r.catch_up_seconds),
        None => UNKNOWN.to_owned(),
    };
    let outside = rates.is_some_and(|r| r.utilization > r.band_high || r.utilization < r.band_low);
    let busy = rates.map_or_else(
        || UNKNOWN.to_owned(),
        |r| {
            let mark = match () {
                () if r.utilization > r.band_high => theme.glyphs.up,
                () if r.utilization < r.band_low && r.utilization >= 0.0 => theme.glyphs.down,
                () => "",
            };
            format!("{mark}{}", percent(r.utilization))
        },
    );
    let busy_style = if outside && rates_fresh <= Freshness::Late { theme.style(Slot::Warning) } else { style };
    let (decision, decision_style) = decision(ctx, job);
    let checkpoint = job.checkpoints.as_ref().and_then(|seen| seen.value.latest_completed_at);
    let checkpoint = checkpoint.filter(|_| !job.state.is_terminal());
    let overdue = job.checkpoints.as_ref().is_some_and(|seen| {
        let interval = seen.value.interval.unwrap_or(parts::PERIOD * 6);
        checkpoint.is_some_and(|at| crate::domain::freshness::age(at, ctx.now) > interval * 3 + parts::SLOW_PERIOD)
    });
    let blank = || Cell::new("", style);
    let cells = [
        number(rates.map(|r| r.records_in), count),
        number(rates.map(|r| r.records_out), count),
        Cell::new(lag, theme.style(lag_slot)),
        Cell::new(catch_up, style),
        Cell::Meter(Meter {
            value: rates.map_or(f64::NAN, |r| r.utilization),
            band: rates.map(|r| (r.band_low, r.band_high)),
            slot: if rates_fresh > Freshness::Late { Slot::Stale } else { Slot::Busy },
        }),
        Cell::new(busy, busy_style),
    ];
    let mut row = vec![
        Cell::new(word, word_style),
        if marked {
            Cell::new(format!("{} {}", theme.glyphs.bullet, parts::name(job)), theme.style(Slot::Accent))
        } else if nested {
            Cell::new(format!("{} {}", theme.glyphs.lines.bottom_left, parts::name(job)), name_style)
        } else {
            Cell::new(parts::name(job), name_style)
        },
        Cell::new(job.namespace.as_deref().map(parts::named).unwrap_or_default(), theme.style(Slot::Muted)),
    ];
    if has_job {
        row.extend(cells);
        row.push(Cell::new(tasks(ctx, job), style));
    } else {
        row.extend(std::iter::repeat_with(blank).take(7));
    }
    row.push(Cell::new(decision, decision_style));
    let checkpoint = checkpoint.map_or_else(
        || {
            if has_job && job.checkpoints.is_some() && !job.state.is_terminal() {
                "none".to_owned()
            } else {
                String::new()
            }
        },
        |at| if overdue { format!("{} {}", theme.glyphs.warning, ctx.age(at)) } else { ctx.age(at) },
    );
    row.push(Cell::new(checkpoint, theme.style(if overdue { Slot::Warning } else { Slot::freshness(seen) })));
    row.push(Cell::new(parts::age(ctx, job.observed_at, seen), parts::style_of(ctx, seen)));
    row
}

/// Subtasks of all vertices, now and as an open decision wants them: alike once it is applied.
fn tasks(ctx: &Ctx, job: &JobView) -> String {
    let Some(vertices) = &job.vertices else {
        return if job.tasks.total > 0 { job.tasks.total.to_string() } else { UNKNOWN.to_owned() };
    };
    let now: i32 = vertices.value.iter().map(|vertex| vertex.parallelism).sum();
    let wanted: i32 = parts::open_decision(ctx, &job.key).map_or(now, |decision| {
        let to = |vertex: &VertexView| {
            decision.changes.iter().find(|change| change.vertex == vertex.id).map_or(vertex.parallelism, |c| c.to)
        };
        vertices.value.iter().map(to).sum()
    });
    if wanted == now { now.to_string() } else { parts::from_to(ctx.theme, now, wanted) }
}

/// The open decision of a job; without one, why there is none.
fn decision(ctx: &Ctx, job: &JobView) -> (String, ratatui::style::Style) {
    let theme = ctx.theme;
    if let Some(plan) = parts::open_plan(ctx, job) {
        let (mark, slot) = super::plan::mark(theme, &plan.state);
        let step = plan.current_step().map_or(plan.steps.len(), |(number, _)| number);
        return (format!("{mark} {} {step}/{}", plan.operation.word(), plan.steps.len()), theme.style(slot));
    }
    if let Some(decision) = parts::open_decision(ctx, &job.key) {
        let (mark, slot) = parts::decision_mark(theme, &decision.state);
        return (format!("{mark} {}", parts::decision_word_short(ctx, decision)), theme.style(slot));
    }
    if job.kind == JobKind::SessionCluster
        && let Some(cluster) = parts::cluster(ctx, job)
    {
        // Its slots are shared by all of its jobs.
        let used = cluster.slots_total.saturating_sub(cluster.slots_available);
        let slot = if cluster.slots_available == 0 { Slot::Warning } else { Slot::Muted };
        return (format!("{used}/{} slots", cluster.slots_total), theme.style(slot));
    }
    let text = job.turn.as_ref().map(|turn| turn.reason.code.id().replace('-', " ")).unwrap_or_default();
    (text, theme.style(Slot::Muted))
}

/// The selected job in words: why this status, why this decision or none, and the numbers behind. Gives the lines used.
fn draw_words(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView) -> u16 {
    let theme = ctx.theme;
    let roomy = area.height >= 9;
    let mut lines = Lines::new(buffer, area, theme);
    let (word, style) = parts::health(theme, job);
    let limit = if roomy { 3 } else { 1 };
    lines.sentence(&format!("{word}  "), style, &job.health.reason, theme.style(Slot::Base), limit);
    if let Some(progress) = parts::progress(job) {
        let info = theme.style(Slot::Info);
        lines.sentence(&format!("{} ", theme.glyphs.info), info, progress, info, 1);
    }
    if job.kind != JobKind::SessionCluster || job.turn.is_some() {
        parts::turn(&mut lines, ctx, job, if roomy { 3 } else { 2 });
    }
    parts::plan(&mut lines, ctx, job);
    if let Some(decision) = parts::open_decision(ctx, &job.key) {
        let text =
            format!("{} {}: {}", decision.id, parts::decision_word(ctx, decision), parts::changes(theme, decision));
        let (_, slot) = parts::decision_mark(theme, &decision.state);
        lines.sentence("wants ", theme.style(Slot::Label), &text, theme.style(slot), if roomy { 2 } else { 1 });
    }
    if let Some(rates) = &job.rates {
        let fresh = parts::freshness(ctx, &job.source, Some(rates.at), parts::PERIOD);
        let slot = Slot::freshness(fresh);
        let r = &rates.value;
        let lag = if r.lag > 0.0 {
            let worth = if r.lag_seconds.is_finite() && r.lag_seconds > 0.0 {
                format!(", {} of input", forecast(r.lag_seconds))
            } else {
                String::new()
            };
            format!("{} ({}/s{worth})", count(r.lag), delta(r.lag_rate))
        } else {
            count(r.lag)
        };
        lines.fields(&[
            ("in", format!("{}/s", count(r.records_in)).into(), slot),
            ("out", format!("{}/s", count(r.records_out)).into(), slot),
            ("lag", lag.into(), slot),
            ("catch-up", if r.lag > 0.0 { forecast(r.catch_up_seconds).into() } else { "".into() }, slot),
            ("busiest", percent(r.utilization).into(), slot),
            ("band", format!("{}..{}", percent(r.band_low), percent(r.band_high)).into(), Slot::Muted),
            ("backpressure", percent(r.backpressure).into(), slot),
            ("measured", parts::age(ctx, Some(rates.at), fresh).into(), slot),
        ]);
    }
    let (mode, mode_slot) = parts::mode(job);
    let (owner, _) = parts::ownership(job);
    lines.fields(&[
        ("mode", mode.into(), mode_slot),
        ("", owner.into(), if owner == "CONFLICT" { Slot::Warning } else { Slot::Base }),
        ("approving", parts::realization(job), Slot::Base),
        (
            "slots",
            if job.kind == JobKind::SessionCluster { shared_slots(ctx, job) } else { String::new() }.into(),
            Slot::Base,
        ),
        ("state", job.state.name().into(), Slot::Base),
        ("tasks", format!("{}/{} run", job.tasks.running, job.tasks.total).into(), Slot::Base),
        ("running", job.run.map(|run| ctx.age(run.running_since)).unwrap_or_default().into(), Slot::Base),
        ("operator", job.health.operator.as_deref().map(|word| clean(word, 60)).unwrap_or_default(), Slot::Base),
        ("on", clean(job.source.as_str(), 40), Slot::Muted),
    ]);
    lines.used
}

/// A FlinkBlueGreenDeployment in words.
fn blue_green_words(buffer: &mut Buffer, area: Rect, ctx: &Ctx, row: &BlueGreenRow) {
    let theme = ctx.theme;
    let mut lines = Lines::new(buffer, area, theme);
    let text = "two FlinkDeployments of which one serves: only to look at, its deployments have rows of their own";
    lines.sentence("FlinkBlueGreenDeployment  ", theme.style(Slot::Label), text, theme.style(Slot::Muted), 2);
    let abort = row.abort_at.filter(|at| *at > ctx.now).map(|at| ctx.left(at)).unwrap_or_default();
    lines.fields(&[
        ("state", clean(&row.state, 60), Slot::Emphasis),
        ("job", clean(row.job_state.as_deref().unwrap_or("not observed"), 40), Slot::Base),
        ("transition given up in", abort.into(), Slot::Warning),
        ("created", row.created_at.map(|at| format!("{} ago", ctx.age(at))).unwrap_or_default().into(), Slot::Base),
    ]);
    if let Some(error) = &row.error {
        lines.sentence("error  ", theme.style(Slot::Error), error, theme.style(Slot::Base), 3);
    }
}

/// The slots of a session cluster, shared by its jobs: how many each holds, as far as TaskManagers were read.
fn shared_slots(ctx: &Ctx, job: &JobView) -> String {
    let Some(cluster) = parts::cluster(ctx, job) else { return String::new() };
    let used = cluster.slots_total.saturating_sub(cluster.slots_available);
    let on_it =
        ctx.snapshot.jobs.iter().filter(|other| other.cluster == job.cluster && shares_a_cluster(other)).count();
    format!("{used} of {} used by {on_it} jobs", cluster.slots_total)
}

/// One chart: its title, its points, the rules, the top of a fixed scale, and how its values are written.
type Drawn<'a> = (&'a str, series::Points, &'a [Rule<'a>], Option<f64>, fn(f64) -> String);

/// The course of the selected job over its metric window.
fn draw_charts(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView) {
    let (Some(window), Some(topology)) = (&job.window, &job.topology) else {
        let text = if job.kind == JobKind::SessionCluster {
            "a session cluster has no metric window".to_owned()
        } else {
            parts::nothing_yet(ctx, job, "samples")
        };
        message(buffer, area, ctx.theme, Slot::Muted, &text);
        return;
    };
    let (length, period) = job
        .window_status
        .as_ref()
        .map_or((300.0, 10.0), |status| (status.length.as_secs_f64(), status.period.as_secs_f64()));
    let until = series::newest(window).map(|at| format!("{} ago", ctx.age(at))).unwrap_or_default();
    let since = format!("-{}", format::forecast(length));
    let band = job.rates.as_ref().map(|rates| (rates.value.band_low, rates.value.band_high));
    let (low, high) = band.unwrap_or((f64::NAN, f64::NAN));
    let band_rules =
        [Rule { name: "high", value: high, slot: Slot::Band }, Rule { name: "low", value: low, slot: Slot::Band }];
    let charts: [Drawn; 3] = [
        ("records in /s", series::job_rate(window, parts::rate_span(ctx, job), topology), &[], None, count),
        ("lag, records", series::job_lag(window, topology), &[], None, count),
        ("busiest vertex", series::job_load(window), &band_rules, Some(1.0), percent),
    ];
    let mut rest = area;
    for (i, (title, points, rules, top, label)) in charts.into_iter().enumerate() {
        let height = rest.height / u16::try_from(3 - i).unwrap_or(1);
        let [here, below] = split_top(rest, height);
        rest = below;
        if here.height < 4 {
            continue;
        }
        let last = points.last().map_or(f64::NAN, |(_, value)| *value);
        let inside = headed(buffer, here, ctx.theme, title, &label(last));
        let line = [Series { name: title, points: &points, slot: Slot::Series }];
        let chart = Chart {
            series: &line,
            rules,
            from: -length,
            hole: period * 1.5,
            top,
            label,
            since: &since,
            until: &until,
            empty: "no samples yet",
        };
        chart.draw(buffer, inside, ctx.theme);
    }
}
