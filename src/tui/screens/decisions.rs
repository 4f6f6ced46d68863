//! All decisions: what waits for a person first.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::{Ctx, DecisionsView, Row, parts};
use crate::domain::decision::{Decision, DecisionId, DecisionState};
use crate::tui::format::{self, UNKNOWN, took};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, headed, split_bottom};
use crate::tui::widgets::table::{Cell, Column, Table, position};

/// The sort orders; the first is the default.
pub const SORTS: &[&str] = &["what waits", "age", "job"];

const COLUMNS: [Column; 8] = [
    Column::text("STATE", 15, 16, 0),
    Column::text("JOB", 12, 30, 0),
    Column::text("ID", 8, 8, 3),
    Column::text("CHANGES", 18, 70, 1),
    Column::number("DOWN", 5, 4),
    Column::number("CATCH-UP", 8, 5),
    Column::number("DATA", 6, 2),
    Column::number("AGE", 6, 1),
];

/// How near a decision is to needing somebody.
fn rank(state: &DecisionState) -> u8 {
    match state {
        DecisionState::Pending => 0,
        DecisionState::Approved | DecisionState::Applying => 1,
        DecisionState::Applied => 2,
        DecisionState::Failed { .. } | DecisionState::Regressed { .. } => 3,
        DecisionState::Snoozed { .. } => 4,
        DecisionState::Confirmed | DecisionState::Inconclusive { .. } | DecisionState::Rejected { .. } => 5,
        DecisionState::Expired | DecisionState::Superseded { .. } => 6,
    }
}

/// The rows of the screen, filtered and sorted.
pub fn rows(ctx: &Ctx, view: &DecisionsView) -> Vec<Row<DecisionId>> {
    let decisions = &ctx.snapshot.decisions;
    let mut shown: Vec<usize> = (0..decisions.len()).filter(|i| ctx.filter.decision(&decisions[*i])).collect();
    shown.sort_by(|a, b| {
        let (a, b) = (&decisions[*a], &decisions[*b]);
        let newest = b.proposed_at.cmp(&a.proposed_at);
        let order = match SORTS.get(view.list.sort.column).copied() {
            Some("age") => newest,
            Some("job") => a.target.name.cmp(&b.target.name).then(newest),
            _ => rank(&a.state).cmp(&rank(&b.state)).then(newest),
        };
        let order = if view.list.sort.reversed { order.reverse() } else { order };
        order.then_with(|| a.id.cmp(&b.id))
    });
    shown.into_iter().map(|at| Row { key: decisions[at].id, at }).collect()
}

fn decision_of<'a>(ctx: &Ctx<'a>, row: &Row<DecisionId>) -> Option<&'a Decision> {
    let guess = ctx.snapshot.decisions.get(row.at).filter(|decision| decision.id == row.key);
    guess.or_else(|| ctx.snapshot.decision(row.key)).map(AsRef::as_ref)
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, view: &mut DecisionsView) {
    let theme = ctx.theme;
    let buffer = frame.buffer_mut();
    let selected = view.list.selected.and_then(|id| ctx.snapshot.decision(id)).cloned();
    let detail = match (area.height, &selected) {
        (0..10, _) | (_, None) => 0,
        (10..26, _) => 6,
        _ => 9,
    };
    let [table_area, detail] = split_bottom(area, detail);
    let empty = if !ctx.filter.is_empty() && !ctx.snapshot.decisions.is_empty() {
        format!("no decision matches the filter; it hides {}", ctx.snapshot.decisions.len())
    } else if !ctx.snapshot.loaded {
        "waiting for the first answer".to_owned()
    } else {
        "no decisions: nothing has to be scaled. The fleet says of every job why not".to_owned()
    };
    let sorted = [0, 7, 1].get(view.list.sort.column).copied().unwrap_or(0);
    let table = Table { columns: &COLUMNS, theme, sort: Some((sorted, view.list.sort.reversed)), active: true };
    table.draw(buffer, table_area, &mut view.list, &empty, |row| match decision_of(ctx, row) {
        Some(decision) => cells(ctx, decision),
        None => vec![Cell::new("gone", theme.style(Slot::Muted))],
    });
    let Some(decision) = selected.filter(|_| detail.height > 0) else { return };
    let inside = headed(buffer, detail, theme, &format!("Decision {}", decision.id), &position(&view.list));
    let mut lines = Lines::new(buffer, inside, theme);
    let limit = usize::from(inside.height.saturating_sub(3)).clamp(1, 3);
    lines.sentence("", theme.style(Slot::Base), &decision.reason.sentence, theme.style(Slot::Emphasis), limit);
    if let Some(why) = parts::decision_why(&decision.state) {
        let (_, slot) = parts::decision_mark(theme, &decision.state);
        lines.sentence("because ", theme.style(Slot::Label), why, theme.style(slot), 2);
    }
    if let Some(blocked) = &decision.blocked {
        let lead = format!("{} cannot be approved: ", theme.glyphs.error);
        lines.sentence(&lead, theme.style(Slot::Error), blocked, theme.style(Slot::Base), 2);
    }
    lines.sentence("changes ", theme.style(Slot::Label), &parts::changes(theme, &decision), theme.style(Slot::Base), 2);
    let prediction = &decision.prediction;
    let expires = if decision.state == DecisionState::Pending { ctx.left(decision.expires_at) } else { String::new() };
    lines.fields(&[
        ("expires in", expires.into(), Slot::Accent),
        ("downtime", took(prediction.downtime).into(), Slot::Base),
        ("catch-up", prediction.catch_up.map_or_else(|| "never".to_owned(), format::age).into(), Slot::Base),
        ("slots needed", prediction.slots.to_string().into(), Slot::Base),
        ("on", format::clean(&decision.target.context, 40), Slot::Muted),
    ]);
}

fn cells<'a>(ctx: &Ctx<'a>, decision: &'a Decision) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let (mark, slot) = parts::decision_mark(theme, &decision.state);
    let base = theme.style(if decision.state.is_final() { Slot::Muted } else { Slot::Base });
    let waits = decision.state == DecisionState::Pending;
    let data = if waits { ctx.age(decision.data_at) } else { String::new() };
    let mut word = parts::decision_word_short(ctx, decision);
    if decision.blocked.is_some() && waits {
        word = "blocked".to_owned();
    }
    vec![
        Cell::new(format!("{mark} {word}"), theme.style(slot)),
        Cell::new(parts::named(&decision.target.name), if waits { theme.style(Slot::Emphasis) } else { base }),
        Cell::new(decision.id.to_string(), theme.style(Slot::Muted)),
        Cell::new(parts::changes(theme, decision), base),
        Cell::new(took(decision.prediction.downtime), base),
        Cell::new(decision.prediction.catch_up.map_or_else(|| UNKNOWN.to_owned(), format::age), base),
        Cell::new(data, base),
        Cell::new(ctx.age(decision.proposed_at), base),
    ]
}
