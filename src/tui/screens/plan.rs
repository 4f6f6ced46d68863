//! One plan: its steps with their states and clocks, what it means, and how things stand.
//!
//! What is said of a plan is said here once: the question before it starts and the picture of its course read the same lines.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::{Ctx, Scroll};
use crate::domain::Timestamp;
use crate::domain::plan::{Plan, PlanId, PlanState, Step, StepState};
use crate::tui::format::{self, UNKNOWN, took};
use crate::tui::theme::{Slot, Theme};
use crate::tui::widgets::pane::{framed, message};
use crate::tui::widgets::sheet::Sheet;

/// View of one plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanView {
    /// Position in the text.
    pub scroll: Scroll,
}

/// The glyph and the look of a plan's state.
pub(in crate::tui) fn mark(theme: &Theme, state: &PlanState) -> (&'static str, Slot) {
    let glyphs = theme.glyphs;
    match state {
        PlanState::Proposed => (glyphs.muted, Slot::Muted),
        PlanState::Running => (glyphs.info, Slot::Info),
        PlanState::Interrupted { .. } => (glyphs.warning, Slot::Warning),
        PlanState::Done => (glyphs.ok, Slot::Ok),
        PlanState::Failed { .. } => (glyphs.error, Slot::Error),
        PlanState::Cancelled { .. } | PlanState::Abandoned { .. } => (glyphs.muted, Slot::Muted),
    }
}

fn step_mark(theme: &Theme, state: &StepState) -> (&'static str, Slot) {
    let glyphs = theme.glyphs;
    match state {
        StepState::Waiting => (glyphs.muted, Slot::Muted),
        StepState::Running => (glyphs.info, Slot::Info),
        StepState::Done => (glyphs.ok, Slot::Ok),
        StepState::Failed { .. } => (glyphs.error, Slot::Error),
        StepState::TimedOut { .. } => (glyphs.warning, Slot::Warning),
    }
}

/// Where its target is: context, namespace, name.
pub(in crate::tui) fn place(theme: &Theme, plan: &Plan) -> String {
    let target = &plan.target;
    let parts = [Some(target.context.as_str()), target.namespace.as_deref(), Some(&target.name)];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.join(&format!(" {} ", theme.glyphs.chevron))
}

/// How long a plan took from its beginning to its end.
pub(super) fn lasted(plan: &Plan) -> Option<Duration> {
    (plan.ended_at? - plan.began_at?).to_std().ok()
}

/// How long it will take, as far as anything was measured: its steps, and the last time the same was done to the same target.
pub(in crate::tui) fn duration(ctx: &Ctx, plan: &Plan) -> String {
    let unknown = plan.steps.iter().filter(|step| step.expected.is_none()).count();
    let of_steps = plan.expected().map(|expected| match unknown {
        0 => format!("about {}", took(expected)),
        n => format!("about {} and {n} of {} steps not measured yet", took(expected), plan.steps.len()),
    });
    let same = |other: &Plan| {
        other.state == PlanState::Done
            && other.operation.word() == plan.operation.word()
            && other.target.cluster == plan.target.cluster
            && other.target.name == plan.target.name
            && other.id != plan.id
    };
    let before = ctx.snapshot.plans.iter().filter(|other| same(other)).find_map(|other| lasted(other));
    match (of_steps, before) {
        (Some(steps), Some(before)) => format!("{steps}; the last time it took {}", took(before)),
        (Some(steps), None) => steps,
        (None, Some(before)) => format!("the last time it took {}", took(before)),
        (None, None) => "not measured yet".to_owned(),
    }
}

/// What it would do and cost: what must be known before it is confirmed.
pub(in crate::tui) fn consequences(sheet: &mut Sheet, ctx: &Ctx, plan: &Plan) {
    sheet.field("does", &plan.summary, Slot::Emphasis);
    for why in &plan.blocks {
        sheet.field("blocked", why, Slot::Error);
    }
    for lost in &plan.lost {
        sheet.field("lost", lost, Slot::Warning);
    }
    if plan.lost.is_empty() {
        sheet.field("lost", "nothing", Slot::Base);
    }
    sheet.field("takes", &duration(ctx, plan), Slot::Base);
}

/// What would change in resources, as the server answered to a dry run.
pub(in crate::tui) fn changes(sheet: &mut Sheet, ctx: &Ctx, plan: &Plan) {
    for change in &plan.changes {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let arrow = ctx.theme.glyphs.arrow;
        let text = format!("{}: {} {arrow} {}", change.path, value(&change.before), value(&change.after));
        sheet.field("writes", &text, Slot::Accent);
    }
}

/// Its steps: before it begins with what they take, else with where they are.
pub(in crate::tui) fn steps(sheet: &mut Sheet, ctx: &Ctx, plan: &Plan) {
    let theme = ctx.theme;
    let live = plan.began_at.is_some();
    let label = theme.style(Slot::Label);
    let wide = sheet.columns() >= 60;
    let cells = |state: &str, time: &str, expected: &str, most: &str| {
        let mut text = String::new();
        if live {
            text += &format!(" {state:<9} {time:>6}");
        }
        if wide {
            text += &format!(" {expected:>8} {most:>8}");
        }
        text
    };
    sheet.ends(&[("  ", label)], ("STEP", label), &[(cells("STATE", "TIME", "EXPECTED", "AT MOST"), label)]);
    for (number, step) in (1..).zip(&plan.steps) {
        let (glyph, slot) = if live { step_mark(theme, &step.state) } else { (" ", Slot::Base) };
        let expected = step.expected.map_or_else(|| UNKNOWN.to_owned(), took);
        let time = clock(ctx, plan, step);
        // Where the plan stands still, nobody looks how far a begun step has come.
        let word = match (&step.state, &plan.state) {
            (StepState::Running, state) if *state != PlanState::Running => "open",
            (state, _) => state.word(),
        };
        let right = cells(word, &time, &expected, &format::age(step.patience));
        let name = match &step.state {
            StepState::Running => theme.style(Slot::Emphasis),
            StepState::Waiting if live => theme.style(Slot::Muted),
            _ => theme.style(Slot::Base),
        };
        let lead = [(glyph, theme.style(slot)), (" ", Style::new())];
        sheet.ends(&lead, (&format!("{number} {}", step.name), name), &[(right, theme.style(slot))]);
        step_words(sheet, ctx, plan, step, live);
    }
}

/// What more is to be said of a step, below it.
fn step_words(sheet: &mut Sheet, ctx: &Ctx, plan: &Plan, step: &Step, live: bool) {
    const INDENT: &str = "    ";
    match &step.state {
        StepState::Waiting if !live && !step.cancel_safe => {
            sheet.sentence(INDENT, Slot::Muted, "cannot be cancelled once it runs", Slot::Muted);
        }
        StepState::Waiting => {}
        StepState::Running if step.note.is_none() && plan.state != PlanState::Running => {}
        StepState::Running => {
            let note = step.note.as_deref().unwrap_or("looking where it stands");
            if let Some(late) = late(ctx, step).filter(|_| plan.state == PlanState::Running) {
                sheet.sentence(INDENT, Slot::Muted, &format!("{late}: {note}"), Slot::Warning);
            } else {
                sheet.sentence(INDENT, Slot::Muted, note, Slot::Info);
            }
        }
        StepState::Done => {
            if let Some(result) = &step.result {
                sheet.sentence(INDENT, Slot::Muted, result, Slot::Emphasis);
            } else if let Some(note) = &step.note {
                sheet.sentence(INDENT, Slot::Muted, note, Slot::Muted);
            }
        }
        StepState::Failed { why } => sheet.sentence(INDENT, Slot::Muted, why, Slot::Error),
        StepState::TimedOut { waiting_for } => sheet.sentence(INDENT, Slot::Muted, waiting_for, Slot::Warning),
    }
}

/// The clock of a step: how long it takes or took.
fn clock(ctx: &Ctx, plan: &Plan, step: &Step) -> String {
    match (step.began_at, step.ended_at) {
        (Some(began), Some(ended)) => took((ended - began).to_std().unwrap_or_default()),
        (Some(began), None) if plan.state == PlanState::Running => ctx.age(began),
        _ => String::new(),
    }
}

/// Says that a step takes longer than it should: than twice its expected time, or than half of its patience.
fn late(ctx: &Ctx, step: &Step) -> Option<&'static str> {
    let (began, patience) = (step.began_at?, step.patience);
    let elapsed = (ctx.now - began).to_std().unwrap_or_default();
    let slow = step.expected.map_or(patience / 2, |expected| (expected * 2).max(Duration::from_secs(10)));
    (elapsed > slow).then_some("takes long")
}

/// The lines of the screen.
fn lines(ctx: &Ctx, plan: &Plan, columns: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let mut sheet = Sheet::new(theme, columns);
    let (glyph, slot) = mark(theme, &plan.state);
    let step = match plan.current_step() {
        Some((number, _)) => format!(", step {number} of {}", plan.steps.len()),
        None => String::new(),
    };
    let time = match (plan.began_at, lasted(plan)) {
        (_, Some(lasted)) => format!(" in {}", took(lasted)),
        (Some(began), None) => format!(", began {} ago", ctx.age(began)),
        (None, None) => String::new(),
    };
    let word = format!("{glyph} {}{step}{time}", plan.state.word());
    sheet.sentence("", slot, &word, slot);
    if let Some(why) = plan.state.why() {
        sheet.field("because", why, slot);
    }
    sheet.field("target", &place(theme, plan), Slot::Emphasis);
    sheet.field("does", &plan.summary, Slot::Base);
    sheet.blank();
    steps(&mut sheet, ctx, plan);
    sheet.blank();
    if plan.state.is_open() {
        match plan.must_go_on() {
            Some(why) => sheet.field("cancel", &why, Slot::Warning),
            None => sheet.field("cancel", &format!("is safe now: {}", plan.standing()), Slot::Base),
        }
    }
    for lost in &plan.lost {
        sheet.field("lost", lost, Slot::Warning);
    }
    changes(&mut sheet, ctx, plan);
    for note in &plan.notes {
        sheet.field("note", note, Slot::Muted);
    }
    sheet.field("asked", &asked(ctx, plan), Slot::Muted);
    sheet.into_lines()
}

fn asked(ctx: &Ctx, plan: &Plan) -> String {
    let at: Timestamp = plan.began_at.unwrap_or(plan.made_at);
    let from = match plan.issuer {
        crate::domain::command::Issuer::Screen => "on a screen",
        crate::domain::command::Issuer::CommandLine => "on the command line",
        crate::domain::command::Issuer::Auto => "by the auto mode",
    };
    format!("{from}, {}; danger level {}", format::instant(at, ctx.utc), plan.danger.level())
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, id: PlanId, view: &mut PlanView) {
    let theme = ctx.theme;
    let Some(plan) = ctx.snapshot.plan(id) else {
        let text = if ctx.snapshot.loaded { "this plan is gone" } else { "waiting for the first answer" };
        message(frame.buffer_mut(), area, theme, Slot::Muted, text);
        return;
    };
    let title = format!("{} {}", plan.operation.word(), format::clean(&plan.target.name, 60));
    let inside = framed(frame.buffer_mut(), area, theme, &title, &id.to_string(), true);
    let lines = lines(ctx, plan, usize::from(inside.width));
    view.scroll.fit(lines.len(), usize::from(inside.height));
    for (line, row) in lines.into_iter().skip(view.scroll.offset).zip(inside.rows()) {
        frame.render_widget(line, row);
    }
}
