//! One frame: header, breadcrumbs, the screen in front, hints, and what lies over it.
//!
//! ```text
//! flightdeck  ✓ kind live            READ-ONLY  windows shortened   5 jobs ✖1 ▲1 · 2 wait
//! Fleet › orders › Memory                                             /lag>10s · by lag
//! ┄ the screen ┄
//! enter open  d decision  a approve  / filter                        ? help  : actions
//! ```
//!
//! Drawing reads the model and writes nothing but the views' scroll positions and when a label will read differently next.

mod header;
#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};
use unicode_width::UnicodeWidthStr;

use super::action::Action;
use super::event::{Key, sequence_text};
use super::model::{Model, Views};
use super::overlays::popup::{keys_line, popup};
use super::overlays::prompt::draw_line;
use super::overlays::{self, Overlay};
use super::screens::{self, Ctx, NextChange, Screen};
use super::theme::Slot;
use super::widgets::ascii;
use super::widgets::sheet::Sheet;
use crate::domain::plan::PlanState;

/// Draws one frame.
pub fn draw(frame: &mut Frame, model: &mut Model) {
    compose(frame, model, draw_screen);
}

/// Draws one frame with this screen in the middle.
fn compose(frame: &mut Frame, model: &mut Model, body_of: impl FnOnce(&mut Frame, Rect, &Ctx, &Screen, &mut Views)) {
    let area = frame.area();
    frame.buffer_mut().set_style(area, model.theme().style(Slot::Base));
    if model.too_small(area.width, area.height) {
        model.next_label = None;
        too_small(frame, model);
        return;
    }
    let [top, crumbs, body, hints] = area.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]));
    let next = NextChange::default();
    // Hints and overlays ask the model what can be done now, so views and overlays are away from it only while they are drawn.
    let mut views = std::mem::take(&mut model.views);
    body_of(frame, body, &model.ctx(&next), model.screen(), &mut views);
    model.views = views;
    let mut open = std::mem::take(&mut model.overlays);
    {
        let ctx = model.ctx(&next);
        header::header(frame, top, &ctx, model);
        header::breadcrumbs(frame, crumbs, &ctx, model);
        hint_line(frame, hints, model);
        which_key(frame, body, model);
        toasts(frame, body, model);
        if model.show_counters {
            counters(frame, body, model);
        }
        for overlay in &mut open {
            draw_overlay(frame, hints, overlay, &ctx, model);
        }
    }
    model.overlays = open;
    model.next_label = next.get();
    if model.theme().glyphs.ascii {
        ascii::fold(frame.buffer_mut(), area);
    }
}

/// Draws the screen in front.
pub(super) fn draw_screen(frame: &mut Frame, area: Rect, ctx: &Ctx, screen: &Screen, views: &mut Views) {
    match screen {
        Screen::Fleet => screens::fleet::draw(frame, area, ctx, &mut views.fleet),
        Screen::Job(key) => screens::job::draw(frame, area, ctx, key, views.job.of(key)),
        Screen::Memory(key) => screens::memory::draw(frame, area, ctx, key, views.memory.of(key)),
        Screen::Problems(key) => screens::problems::draw(frame, area, ctx, key, views.problems.of(key)),
        Screen::Checkpoints(key) => screens::checkpoints::draw(frame, area, ctx, key, views.checkpoints.of(key)),
        Screen::TaskManagers(key) => screens::task_managers::draw(frame, area, ctx, key, views.task_managers.of(key)),
        Screen::Pods(key) => screens::pods::draw(frame, area, ctx, key, views.pods.of(key)),
        Screen::PodLog(key) => screens::pod_log::draw(frame, area, ctx, key, views.pod_log.of(key)),
        Screen::Events(key) => screens::events::draw(frame, area, ctx, Some(key), views.events.of(key)),
        Screen::AllEvents => screens::events::draw(frame, area, ctx, None, &mut views.all_events),
        Screen::Resource(key) => screens::resource::draw(frame, area, ctx, key, views.resource.of(key)),
        Screen::Ownership(key) => screens::ownership::draw(frame, area, ctx, key, views.ownership.of(key)),
        Screen::Capacity => screens::capacity::draw(frame, area, ctx, &mut views.capacity),
        Screen::Cluster => screens::cluster::draw(frame, area, ctx, &mut views.cluster),
        Screen::Decisions => screens::decisions::draw(frame, area, ctx, &mut views.decisions),
        Screen::Decision(id) => screens::decision::draw(frame, area, ctx, *id, views.decision.of(id)),
        Screen::Operations => screens::operations::draw(frame, area, ctx, &mut views.operations),
        Screen::Plan(id) => screens::plan::draw(frame, area, ctx, *id, views.plan.of(id)),
        Screen::Log => {
            screens::log::draw(frame, area, ctx, &mut views.log);
            ctx.next.at(ctx.now + std::time::Duration::from_secs(1));
        }
    }
}

fn draw_overlay(frame: &mut Frame, hints: Rect, overlay: &mut Overlay, ctx: &Ctx, model: &Model) {
    match overlay {
        Overlay::Filter { line, .. } => {
            frame.render_widget(Clear, hints);
            frame.buffer_mut().set_style(hints, ctx.theme.style(Slot::Base));
            let error = model.filter().error.as_deref().unwrap_or_default();
            let room = u16::try_from(error.width()).unwrap_or(u16::MAX).min(hints.width.saturating_sub(12));
            let [typed, told] = hints.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Length(room)]));
            draw_line(frame, ctx.theme, typed, "/", line);
            frame.render_widget(Span::styled(error, ctx.theme.style(Slot::Error)), told);
        }
        Overlay::Palette(palette) => palette.draw(frame, model),
        Overlay::Help(help) => help.draw(frame, model),
        Overlay::Prompt(prompt) => prompt.draw(frame, ctx.theme),
        Overlay::Confirm(confirm) => confirm.draw(frame, ctx),
        Overlay::Contexts(contexts) => contexts.draw(frame, ctx),
        Overlay::Choose(choose) => choose.draw(frame, ctx),
        Overlay::Snapshots(snapshots) => snapshots.draw(frame, ctx),
        Overlay::Plan(dialog) => dialog.draw(frame, ctx),
        Overlay::Unfinished(unfinished) => unfinished.draw(frame, ctx),
        Overlay::Quit => quit(frame, ctx, model),
        Overlay::Notices(scroll) => notices(frame, ctx, scroll),
    }
}

/// What is under way and what becomes of it when the program ends.
fn quit(frame: &mut Frame, ctx: &Ctx, model: &Model) {
    let mut sheet = Sheet::new(ctx.theme, 66.min(usize::from(frame.area().width.saturating_sub(4))));
    // What runs now counts, not what a frozen picture shows.
    let mut running = false;
    for plan in model.latest().plans.iter().filter(|plan| plan.state == PlanState::Running) {
        running = true;
        let step = plan.current_step();
        let (number, name) = step.map_or((plan.steps.len(), ""), |(number, step)| (number, step.name.as_str()));
        let text = format!(
            "{} {} stops at step {number} of {}, {name}: {}. The next start offers to go on.",
            plan.operation.word(),
            plan.target.name,
            plan.steps.len(),
            plan.standing()
        );
        sheet.sentence("", Slot::Base, &text, Slot::Warning);
        sheet.blank();
    }
    // A command about a plan that runs is told by the plan.
    let count = model.in_flight.iter().filter(|flight| !running || !flight.is_of_plan()).count();
    if count > 0 {
        let are = if count == 1 { "is" } else { "are" };
        let text = format!(
            "{count} of your commands {are} not finished. What was accepted goes on by itself; nothing here will watch it."
        );
        sheet.sentence("", Slot::Base, &text, Slot::Base);
        sheet.blank();
    }
    if !running && count == 0 {
        sheet.sentence("", Slot::Base, "Nothing is under way any more.", Slot::Base);
        sheet.blank();
    }
    sheet.line(keys_line(ctx.theme, &[("y", "end the program"), ("esc", "stay")]));
    let lines = sheet.into_lines();
    let high = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let area = popup(frame, ctx.theme, "End flightdeck?", Slot::BorderActive, 66, high);
    frame.render_widget(Paragraph::new(lines), area);
}

fn notices(frame: &mut Frame, ctx: &Ctx, scroll: &mut screens::Scroll) {
    let mut lines = Vec::new();
    for notice in ctx.snapshot.notices.iter() {
        lines.push(Line::styled(notice.short.as_str(), ctx.theme.style(Slot::Notice)));
        lines.push(Line::from(notice.text.as_str()));
        lines.push(Line::default());
    }
    let text = Paragraph::new(lines).wrap(Wrap { trim: true });
    let len = text.line_count(66);
    let area = popup(frame, ctx.theme, "Notices", Slot::BorderActive, 66, u16::try_from(len).unwrap_or(u16::MAX));
    scroll.fit(text.line_count(area.width), usize::from(area.height));
    frame.render_widget(text.scroll((u16::try_from(scroll.offset).unwrap_or(u16::MAX), 0)), area);
}

fn too_small(frame: &mut Frame, model: &Model) {
    let area = frame.area();
    let text = format!(
        "flightdeck needs {}x{}, this terminal has {}x{}",
        overlays::popup::SMALLEST.0,
        overlays::popup::SMALLEST.1,
        area.width,
        area.height
    );
    let text = Paragraph::new(text).centered().wrap(Wrap { trim: true }).style(model.theme().style(Slot::Warning));
    let height = u16::try_from(text.line_count(area.width)).unwrap_or(area.height).min(area.height);
    let middle = Rect { y: area.y + (area.height - height) / 2, height, ..area };
    frame.render_widget(text, middle);
}

/// The most useful keys of the screen, and the two that lead to all others.
fn hint_line(frame: &mut Frame, area: Rect, model: &Model) {
    let theme = model.theme();
    let map = model.keymap();
    let hint = |action: Action, title: &str| {
        let key = map.key_text(action);
        let (key_slot, slot) =
            if action.available(model).is_ok() { (Slot::Key, Slot::Hint) } else { (Slot::Disabled, Slot::Disabled) };
        let width = key.width() + title.width() + 3;
        let spans = [Span::styled(key, theme.style(key_slot)), Span::styled(format!(" {title}  "), theme.style(slot))];
        (width, spans)
    };
    let (help_width, help) = hint(Action::Help, "help");
    let (palette_width, palette) = hint(Action::Palette, "actions");
    let always = help_width + palette_width;
    let room = usize::from(area.width).saturating_sub(always);
    let mut used = 0;
    let mut spans = Vec::new();
    for (action, word) in Action::hints(model.screen()) {
        if map.keys_of(*action).next().is_none() {
            continue;
        }
        let (width, hint) = hint(*action, word);
        if used + width > room {
            break;
        }
        used += width;
        spans.extend(hint);
    }
    frame.render_widget(Line::from(spans), area);
    let right = u16::try_from(always).unwrap_or(area.width).min(area.width);
    let right = Rect { x: area.right() - right, width: right, ..area };
    frame.render_widget(Line::from_iter(help.into_iter().chain(palette)), right);
}

/// What may follow the keys pressed so far.
fn which_key(frame: &mut Frame, body: Rect, model: &Model) {
    if model.pending.is_empty() {
        return;
    }
    let theme = model.theme();
    let rows: Vec<(String, Action)> =
        model.keymap().following(&model.pending).map(|(rest, action)| (sequence_text(rest), action)).collect();
    let width = rows.iter().map(|(keys, action)| keys.width() + action.title().width() + 3).max().unwrap_or(0) + 4;
    let area = corner(body, width, rows.len() + 2);
    let title = model.pending.iter().map(Key::to_string).collect::<Vec<_>>().join(" ");
    let inner = overlays::popup::ground(frame, theme, &title, Slot::BorderActive, area);
    for ((keys, action), row) in rows.iter().zip(inner.rows()) {
        let slot = if action.available(model).is_ok() { Slot::Base } else { Slot::Disabled };
        let line = Line::from(vec![
            Span::styled(format!("{keys}  "), theme.style(Slot::Key)),
            Span::styled(action.title(), theme.style(slot)),
        ]);
        frame.render_widget(line, row);
    }
}

/// The lower right corner of `area`, clamped to it.
fn corner(area: Rect, width: usize, height: usize) -> Rect {
    let width = u16::try_from(width).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(height).unwrap_or(u16::MAX).min(area.height);
    Rect { x: area.right() - width, y: area.bottom() - height, width, height }
}

fn toasts(frame: &mut Frame, body: Rect, model: &Model) {
    let theme = model.theme();
    let mut bottom = body.bottom();
    for toast in model.toasts.iter().rev() {
        let text = Paragraph::new(toast.text.as_str()).wrap(Wrap { trim: true });
        let width = u16::try_from(toast.text.width()).unwrap_or(u16::MAX).min(body.width.saturating_sub(4)).max(1);
        let height = u16::try_from(text.line_count(width)).unwrap_or(1).min(4);
        if bottom < body.y + height {
            break;
        }
        bottom -= height;
        let area = Rect { x: body.right() - width - 2, y: bottom, width: width + 2, height };
        frame.render_widget(Clear, area);
        frame.buffer_mut().set_style(area, theme.style(Slot::Dialog).patch(theme.style(toast.slot)));
        frame.render_widget(text, Rect { x: area.x + 1, width, ..area });
    }
}

fn counters(frame: &mut Frame, body: Rect, model: &Model) {
    let counters = model.counters;
    let lines = [
        format!("frames {}", counters.frames),
        format!("events {}", counters.events),
        format!("snapshots {}", counters.snapshots),
        format!("last draw {} us", counters.last_draw.as_micros()),
        format!("longest draw {} us", counters.longest_draw.as_micros()),
    ];
    let area = Rect { height: 7.min(body.height), ..corner(body, 30, 7) };
    let inner = overlays::popup::ground(frame, model.theme(), "counters", Slot::Border, Rect { y: body.y, ..area });
    for (line, row) in lines.iter().zip(inner.rows()) {
        frame.render_widget(Span::styled(line.as_str(), model.theme().style(Slot::Muted)), row);
    }
}
