//! One decision: before → after, reason, prediction, outcome, explanation.
//!
//! ```text
//! 80×24, 120×40                  150 and wider
//! state, reason, changes, cost   ┌ decision ──────┐┌ why ────────────┐
//! ┌ why ───────────────────┐     │                ││                 │
//! └────────────────────────┘     └────────────────┘└─────────────────┘
//! ```
//! Where the upper part does not fit, it scrolls with the selection of the tree below.

use std::borrow::Cow;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::parts;
use crate::domain::decision::{Decision, DecisionId, DecisionState, Outcome};
use crate::domain::explanation::Explanation;
use crate::domain::freshness::Freshness;
use crate::domain::job::JobView;
use crate::tui::format::{self, UNKNOWN, clean, count, fit, instant, percent, took, width};
use crate::tui::screens::{Ctx, DecisionView, NodePath, Row, TreeView};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, framed, headed, message, split_left, split_top};
use crate::tui::widgets::tree;

/// Longest part of a decision's life that is shown.
const LIFE: usize = 8;

/// The visible nodes of an explanation (also used by the job screen); `Row::at` is the depth.
pub fn nodes(explanation: &Explanation, view: &TreeView) -> Vec<Row<NodePath>> {
    tree::rows(explanation, view)
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, decision: DecisionId, view: &mut DecisionView) {
    let buffer = frame.buffer_mut();
    let Some(decision) = ctx.snapshot.decision(decision) else {
        let text = "this decision is gone: it was superseded long ago, or the loop was started anew";
        message(buffer, area, ctx.theme, Slot::Muted, text);
        return;
    };
    let job = ctx.snapshot.job(&decision.target.job).map(AsRef::as_ref);
    let roomy = area.height >= 34;
    if area.width >= 150 && area.height >= 12 {
        let [left, right] = split_left(area, area.width / 2);
        let title = format!("Decision {}", decision.id);
        let inside = framed(buffer, left, ctx.theme, &title, &parts::decision_word(ctx, decision), false);
        let used = measure(inside, ctx, decision, job, roomy);
        scroll(view, used, inside.height);
        let skip = u16::try_from(view.scroll.offset).unwrap_or(0);
        words(&mut Lines::scrolled(buffer, inside, ctx.theme, skip), ctx, decision, job, roomy);
        charts(buffer, split_top(inside, used + 1)[1], ctx, decision, job);
        explanation(buffer, right, ctx, decision, job, view);
        return;
    }
    let used = measure(area, ctx, decision, job, roomy);
    let top_height = used.min((area.height * 3 / 5).max(area.height.saturating_sub(14)));
    let [top, below] = split_top(area, top_height);
    scroll(view, used, top_height);
    let skip = u16::try_from(view.scroll.offset).unwrap_or(0);
    words(&mut Lines::scrolled(buffer, top, ctx.theme, skip), ctx, decision, job, roomy);
    explanation(buffer, below, ctx, decision, job, view);
}

/// How the vertices that would change did over the window: where there is room, and while it is the window that was judged.
fn charts(buffer: &mut Buffer, area: Rect, ctx: &Ctx, decision: &Decision, job: Option<&JobView>) {
    let Some(job) = job.filter(|_| !decision.state.is_final()) else { return };
    let vertices = job.vertices.iter().flat_map(|seen| seen.value.iter());
    let changed: Vec<_> = vertices.filter(|v| decision.changes.iter().any(|c| c.vertex == v.id)).take(3).collect();
    let mut rest = area;
    for (left, vertex) in (1..=u16::try_from(changed.len()).unwrap_or(1)).rev().zip(&changed) {
        let [here, below] = split_top(rest, rest.height / left);
        if here.height >= 8 {
            super::job::chart_of(buffer, here, ctx, job, vertex);
        }
        rest = below;
    }
}

/// Lines that the words take in an area of this width.
fn measure(area: Rect, ctx: &Ctx, decision: &Decision, job: Option<&JobView>, roomy: bool) -> u16 {
    let nowhere = Rect { height: 0, ..area };
    let mut buffer = Buffer::empty(nowhere);
    let mut lines = Lines::new(&mut buffer, nowhere, ctx.theme);
    words(&mut lines, ctx, decision, job, roomy);
    lines.used
}

/// The words scroll as far as the selection of the tree is down.
fn scroll(view: &mut DecisionView, used: u16, height: u16) {
    view.scroll.offset = view.tree.list.index;
    view.scroll.fit(usize::from(used), usize::from(height));
}

fn explanation(
    buffer: &mut Buffer,
    area: Rect,
    ctx: &Ctx,
    decision: &Decision,
    job: Option<&JobView>,
    view: &mut DecisionView,
) {
    let title = format!("Why, by the rules of {}", clean(&decision.compat, 12));
    let inside = if area.height >= 8 {
        framed(buffer, area, ctx.theme, &title, "", true)
    } else {
        headed(buffer, area, ctx.theme, &title, "")
    };
    let name = |id| {
        let changed = decision.changes.iter().find(|change| change.vertex == id).map(|change| change.name.as_str());
        let topology = job.and_then(|job| job.topology.as_deref());
        changed.or_else(|| topology.and_then(|t| t.vertex(id)).map(|v| v.name.as_str()))
    };
    tree::draw(buffer, inside, ctx, decision.explanation.as_deref(), &mut view.tree, true, name);
}

/// Everything but the explanation, the most important first.
fn words(lines: &mut Lines, ctx: &Ctx, decision: &Decision, job: Option<&JobView>, roomy: bool) {
    let theme = ctx.theme;
    let style = |slot| theme.style(slot);
    let (mark, slot) = parts::decision_mark(theme, &decision.state);
    let name = parts::named(&decision.target.name);
    let place = match &decision.target.namespace {
        Some(namespace) => format!("{}/{name}", parts::named(namespace)),
        None => name.into_owned(),
    };
    let word = decision.state.word().to_uppercase();
    let room = usize::from(lines.width()).saturating_sub(width(&word) + 8);
    let place = fit(&place, room, theme.glyphs.ellipsis).into_owned();
    let context = format!("   on {}", clean(&decision.target.context, 60));
    lines.line(&[
        (&format!("{mark} {word}"), style(slot)),
        ("   ", style(Slot::Base)),
        (&place, style(Slot::Emphasis)),
        (&context, style(Slot::Muted)),
    ]);
    if let Some(why) = parts::decision_why(&decision.state) {
        lines.sentence("because ", style(Slot::Label), why, style(slot), 3);
    }
    let newer = ctx
        .snapshot
        .decision_of(&decision.target.job)
        .filter(|other| decision.state.is_final() && !other.state.is_final() && other.id != decision.id);
    if let Some(newer) = newer {
        let hint = format!("{} is {}: d opens it", newer.id, newer.state.word());
        lines.sentence("now ", style(Slot::Label), &hint, style(Slot::Emphasis), 2);
    }
    if let Some(blocked) = &decision.blocked {
        let lead = format!("{} cannot be approved: ", theme.glyphs.error);
        lines.sentence(&lead, style(Slot::Error), blocked, style(Slot::Base), 3);
    }
    let data = parts::freshness(
        ctx,
        job.map_or(&crate::domain::ids::SourceId::new(""), |job| &job.source),
        Some(decision.data_at),
        job.and_then(|job| job.window_status.as_ref()).map_or(parts::PERIOD, |status| status.period.max(parts::PERIOD)),
    );
    // Once it is decided, the age of the data that led to it is history.
    let data_slot = if decision.state == DecisionState::Pending { Slot::freshness(data) } else { Slot::Muted };
    let mut data_text = parts::age(
        ctx,
        Some(decision.data_at),
        if decision.state == DecisionState::Pending { data } else { Freshness::Live },
    );
    if decision.state == DecisionState::Pending && data > Freshness::Late {
        data_text = format!("{data_text} ({})", data.word());
    }
    let left: Cow<str> = match &decision.state {
        DecisionState::Pending => ctx.left(decision.expires_at).into(),
        _ => "".into(),
    };
    let quiet: Cow<str> = match &decision.state {
        DecisionState::Snoozed { until } | DecisionState::Rejected { until, .. } if *until > ctx.now => {
            ctx.left(*until).into()
        }
        _ => "".into(),
    };
    lines.fields(&[
        ("expires in", left, Slot::Accent),
        ("quiet for", quiet, Slot::Base),
        ("data", data_text.into(), data_slot),
        ("proposed", format!("{} ago", ctx.age(decision.proposed_at)).into(), Slot::Base),
        ("same result again", format!("{} ago", ctx.age(decision.refreshed_at)).into(), Slot::Muted),
    ]);
    lines.sentence("", style(Slot::Base), &decision.reason.sentence, style(Slot::Emphasis), 4);
    let section = |lines: &mut Lines| {
        if roomy {
            lines.blank()
        }
    };
    section(lines);
    changes(lines, ctx, decision);
    section(lines);
    prediction(lines, ctx, decision, job);
    capacity(lines, ctx, decision);
    for (key, value) in &decision.config.set {
        let lead = format!("set {} = ", fit(key, 60, theme.glyphs.ellipsis));
        lines.sentence(&lead, style(Slot::Label), value, style(Slot::Up), 1);
    }
    for key in &decision.config.removed {
        lines.sentence("unset ", style(Slot::Label), key, style(Slot::Down), 1);
    }
    if let Some(outcome) = &decision.outcome {
        section(lines);
        self::outcome(lines, ctx, decision, outcome);
    }
    section(lines);
    life(lines, ctx, decision);
}

fn changes(lines: &mut Lines, ctx: &Ctx, decision: &Decision) {
    let theme = ctx.theme;
    let label = theme.style(Slot::Label);
    if decision.changes.is_empty() {
        return;
    }
    let longest = decision.changes.iter().map(|change| width(&parts::named(&change.name))).max().unwrap_or(0);
    let room = usize::from(lines.width()).saturating_sub(46).clamp(8, 50).min(longest.max(6));
    lines.line(&[(
        &format!(
            "  {:<room$}  {:>9} {:>10} {:>9} {:>10}",
            "VERTEX",
            "NOW→AFTER".replace('→', theme.glyphs.arrow),
            "CAPACITY/s",
            "TARGET/s",
            "EXPECTED/s"
        ),
        label,
    )]);
    for change in &decision.changes {
        let name = parts::named(&change.name);
        let name = fit(&name, room, theme.glyphs.ellipsis);
        let pad = room.saturating_sub(width(&name));
        let up = change.to >= change.from;
        let (mark, slot) = if up { (theme.glyphs.up, Slot::Up) } else { (theme.glyphs.down, Slot::Down) };
        let short = change.expected_rate < change.target_rate;
        lines.line(&[
            (mark, theme.style(slot)),
            (&format!(" {name}{:pad$}  ", ""), theme.style(Slot::Base)),
            (&format!("{:>9} ", parts::from_to(theme, change.from, change.to)), theme.style(slot)),
            (
                &format!("{:>10} {:>9} ", count(change.true_processing_rate), count(change.target_rate)),
                theme.style(Slot::Base),
            ),
            (
                &format!("{:>10}", count(change.expected_rate)),
                theme.style(if short { Slot::Warning } else { Slot::Emphasis }),
            ),
        ]);
    }
}

fn prediction(lines: &mut Lines, ctx: &Ctx, decision: &Decision, job: Option<&JobView>) {
    let prediction = &decision.prediction;
    let measured = if prediction.downtime_measured { "measured" } else { "configured, never measured" };
    let catch_up = prediction.catch_up.map_or_else(|| "never: the lag will not shrink".to_owned(), format::age);
    let cluster = job.and_then(|job| parts::cluster(ctx, job));
    let slots = match cluster {
        Some(cluster) => format!("{} (the cluster has {})", prediction.slots, cluster.slots_total),
        None => prediction.slots.to_string(),
    };
    let short = cluster.is_some_and(|cluster| prediction.slots > cluster.slots_total);
    lines.fields(&[
        ("downtime", format!("{} ({measured})", took(prediction.downtime)).into(), Slot::Base),
        ("catch-up", catch_up.into(), if prediction.catch_up.is_none() { Slot::Warning } else { Slot::Base }),
        ("slots needed", slots.into(), if short { Slot::Warning } else { Slot::Base }),
        ("TaskManagers needed", prediction.task_managers.map(|n| n.to_string()).unwrap_or_default().into(), Slot::Base),
        ("approving", job.map(parts::realization).unwrap_or_default(), Slot::Base),
    ]);
}

/// Whether its TaskManagers find room, and what could not be seen.
fn capacity(lines: &mut Lines, ctx: &Ctx, decision: &Decision) {
    let theme = ctx.theme;
    let Some(answer) = &decision.capacity else { return };
    let (glyph, slot) = if answer.fits() { (theme.glyphs.ok, Slot::Ok) } else { (theme.glyphs.error, Slot::Error) };
    lines.sentence(&format!("room {glyph} "), theme.style(slot), &answer.sentence(), theme.style(Slot::Base), 3);
    if !answer.fits() && answer.fitting > 0 && decision.state == DecisionState::Pending {
        let text = "F proposes what fits in its place";
        lines.sentence("", theme.style(Slot::Base), text, theme.style(Slot::Accent), 1);
    }
    for gap in answer.gaps.iter().take(2) {
        lines.sentence("not seen: ", theme.style(Slot::Warning), gap, theme.style(Slot::Base), 2);
    }
}

/// What was predicted beside what came.
fn outcome(lines: &mut Lines, ctx: &Ctx, decision: &Decision, outcome: &Outcome) {
    let theme = ctx.theme;
    let style = |slot| theme.style(slot);
    let unknown = || UNKNOWN.to_owned();
    lines.line(&[(&format!("Outcome, judged {} ago", ctx.age(outcome.at)), style(Slot::Title))]);
    lines.line(&[(&format!("  {:<24}  {:>10} {:>10}", "", "PREDICTED", "SEEN"), style(Slot::Label))]);
    let mut row = |what: &str, predicted: String, seen: String, worse: bool| {
        let name = fit(what, 24, theme.glyphs.ellipsis);
        let pad = 24usize.saturating_sub(width(&name));
        let (mark, slot) = if worse { (theme.glyphs.warning, Slot::Warning) } else { (theme.glyphs.ok, Slot::Ok) };
        lines.line(&[
            (mark, style(slot)),
            (&format!(" {name}{:pad$}  {predicted:>10} ", ""), style(Slot::Base)),
            (&format!("{seen:>10}"), style(if worse { Slot::Warning } else { Slot::Emphasis })),
        ]);
    };
    let prediction = &decision.prediction;
    let later = |seen: Option<std::time::Duration>, predicted: std::time::Duration| {
        seen.is_some_and(|seen| seen > predicted * 2)
    };
    row(
        "downtime",
        took(prediction.downtime),
        outcome.downtime.map_or_else(unknown, took),
        later(outcome.downtime, prediction.downtime),
    );
    let worse = prediction.catch_up.is_some_and(|predicted| later(outcome.catch_up, predicted));
    row(
        "catch-up",
        prediction.catch_up.map_or_else(unknown, format::age),
        outcome.catch_up.map_or_else(unknown, format::age),
        worse,
    );
    for vertex in &outcome.vertices {
        let name = decision
            .changes
            .iter()
            .find(|change| change.vertex == vertex.vertex)
            .map_or("", |change| change.name.as_str());
        // Right after a restart Flink's meters still ramp up, and the capacity made of them with them: what was handled counts too.
        let name = parts::named(name);
        let seen = format!("{} {}", count(vertex.measured_rate), percent(vertex.measured_rate / vertex.expected_rate));
        row(&format!("capacity/s {name}"), count(vertex.expected_rate), seen, !vertex.reached());
        row(&format!("handled/s {name}"), count(vertex.target_rate), count(vertex.handled_rate), !vertex.reached());
    }
    let grew = outcome.lag_after > outcome.lag_before;
    let arrow = theme.glyphs.arrow;
    lines.line(&[
        ("  lag ", style(Slot::Label)),
        (
            &format!("{} {arrow} {}", count(outcome.lag_before), count(outcome.lag_after)),
            style(if grew { Slot::Warning } else { Slot::Base }),
        ),
    ]);
}

/// What happened to it, newest last.
fn life(lines: &mut Lines, ctx: &Ctx, decision: &Decision) {
    let theme = ctx.theme;
    let first = decision.life.len().saturating_sub(LIFE);
    for event in decision.life.iter().skip(first) {
        let (mark, slot) = parts::decision_mark(theme, &event.state);
        lines.line(&[
            (&instant(event.at, ctx.utc), theme.style(Slot::Muted)),
            (&format!("  {mark} {:<12} ", event.state.word()), theme.style(slot)),
            ("by ", theme.style(Slot::Label)),
            (&clean(&event.by, 60), theme.style(Slot::Base)),
        ]);
    }
}
