//! Operations: the plans that run, that stand still, and that came to an end, as the journal keeps them.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::{Ctx, List, Row, parts, plan};
use crate::domain::plan::{Plan, PlanId, PlanState};
use crate::tui::format::took;
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{headed, split_bottom};
use crate::tui::widgets::sheet::Sheet;
use crate::tui::widgets::table::{Cell, Column, Table, position};

/// The sort orders; the first is the default.
pub const SORTS: &[&str] = &["what is open", "age", "target"];

const COLUMNS: [Column; 7] = [
    Column::text("STATE", 13, 14, 0),
    Column::text("OPERATION", 10, 12, 0),
    Column::text("TARGET", 18, 34, 0),
    Column::text("STEP", 19, 60, 1),
    Column::number("TOOK", 6, 3),
    Column::number("AGE", 6, 2),
    Column::text("ID", 8, 8, 4),
];

/// View of all plans.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OperationsView {
    /// Plans: what is open first.
    pub list: List<PlanId>,
}

/// How near a plan is to needing somebody.
fn rank(state: &PlanState) -> u8 {
    match state {
        PlanState::Interrupted { .. } => 0,
        PlanState::Running => 1,
        PlanState::Proposed
        | PlanState::Done
        | PlanState::Failed { .. }
        | PlanState::Cancelled { .. }
        | PlanState::Abandoned { .. } => 2,
    }
}

/// The rows of the screen, filtered and sorted: plans that were begun. One that was only shown to somebody is no operation.
pub fn rows(ctx: &Ctx, view: &OperationsView) -> Vec<Row<PlanId>> {
    let plans = &ctx.snapshot.plans;
    let mut shown: Vec<usize> =
        (0..plans.len()).filter(|i| plans[*i].began_at.is_some() && ctx.filter.plan(&plans[*i])).collect();
    shown.sort_by(|a, b| {
        let (a, b) = (&plans[*a], &plans[*b]);
        let newest = b.began_at.cmp(&a.began_at);
        let order = match SORTS.get(view.list.sort.column).copied() {
            Some("age") => newest,
            Some("target") => a.target.name.cmp(&b.target.name).then(newest),
            _ => rank(&a.state).cmp(&rank(&b.state)).then(newest),
        };
        let order = if view.list.sort.reversed { order.reverse() } else { order };
        order.then_with(|| a.id.cmp(&b.id))
    });
    shown.into_iter().map(|at| Row { key: plans[at].id, at }).collect()
}

fn plan_of<'a>(ctx: &Ctx<'a>, row: &Row<PlanId>) -> Option<&'a Plan> {
    let guess = ctx.snapshot.plans.get(row.at).filter(|plan| plan.id == row.key);
    guess.or_else(|| ctx.snapshot.plan(row.key)).map(AsRef::as_ref)
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, view: &mut OperationsView) {
    let theme = ctx.theme;
    let selected = view.list.selected.and_then(|id| ctx.snapshot.plan(id)).cloned();
    let detail = match (area.height, &selected) {
        (0..12, _) | (_, None) => 0,
        (height, Some(_)) => height / 2,
    };
    let [table_area, detail] = split_bottom(area, detail);
    let empty = if ctx.filter.is_empty() || ctx.snapshot.plans.is_empty() {
        "no operation was carried out yet"
    } else {
        "no operation matches the filter"
    };
    let sorted = [0, 5, 2].get(view.list.sort.column).copied().unwrap_or(0);
    let table = Table { columns: &COLUMNS, theme, sort: Some((sorted, view.list.sort.reversed)), active: true };
    table.draw(frame.buffer_mut(), table_area, &mut view.list, empty, |row| match plan_of(ctx, row) {
        Some(plan) => cells(ctx, plan),
        None => vec![Cell::new("gone", theme.style(Slot::Muted))],
    });
    let Some(chosen) = selected.filter(|_| detail.height > 0) else { return };
    let title = format!("{} {}", chosen.operation.word(), parts::named(&chosen.target.name));
    let inside = headed(frame.buffer_mut(), detail, theme, &title, &position(&view.list));
    let mut sheet = Sheet::new(theme, usize::from(inside.width));
    sheet.field("does", &chosen.summary, Slot::Base);
    if let Some(why) = chosen.state.why() {
        sheet.field("because", why, plan::mark(theme, &chosen.state).1);
    }
    plan::steps(&mut sheet, ctx, &chosen);
    for (line, row) in sheet.into_lines().into_iter().zip(inside.rows()) {
        frame.render_widget(line, row);
    }
}

fn cells<'a>(ctx: &Ctx<'a>, plan: &'a Plan) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let (mark, slot) = plan::mark(theme, &plan.state);
    let base = theme.style(if plan.state.is_final() { Slot::Muted } else { Slot::Base });
    let step = match plan.current_step() {
        Some((number, step)) => format!("{number}/{} {}", plan.steps.len(), step.name),
        None => format!("{0}/{0}", plan.steps.len()),
    };
    let began = plan.began_at.unwrap_or(plan.made_at);
    vec![
        Cell::new(format!("{mark} {}", plan.state.word()), theme.style(slot)),
        Cell::new(plan.operation.word(), base),
        Cell::new(parts::named(&plan.target.name), theme.style(Slot::Emphasis)),
        Cell::new(step, base),
        Cell::new(plan::lasted(plan).map(took).unwrap_or_default(), base),
        Cell::new(ctx.age(began), base),
        Cell::new(plan.id.to_string(), theme.style(Slot::Muted)),
    ]
}
