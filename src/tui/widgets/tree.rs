//! The explanation of a turn as a tree that unfolds: steps, their formula with symbols and with numbers, and their inputs.
//!
//! Owns how a [`NodePath`] names a place in an explanation. Under a step stand first its formula (if it has one), then its inputs,
//! then the steps that it is made of; a path holds the position at each level.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pane::{message, put, put_right};
use crate::domain::explanation::{Explanation, Origin, Step, Term, Value, Verdict};
use crate::domain::units::Unit;
use crate::tui::format::{self, fit, width};
use crate::tui::screens::{Ctx, NodePath, Row, TreeView};
use crate::tui::theme::{Slot, Theme};

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node<'a> {
    /// A step.
    Step(&'a Step),
    /// The formula of a step.
    Formula(&'a Step),
    /// One input of a formula.
    Input(&'a Term),
}

/// Nodes under a step.
fn children(step: &Step) -> usize {
    usize::from(step.formula.is_some()) + step.inputs.len() + step.children.len()
}

/// The node under a step.
fn child(step: &Step, at: usize) -> Option<Node<'_>> {
    let at = match (&step.formula, at) {
        (Some(_), 0) => return Some(Node::Formula(step)),
        (Some(_), at) => at - 1,
        (None, at) => at,
    };
    match step.inputs.get(at) {
        Some(term) => Some(Node::Input(term)),
        None => step.children.get(at - step.inputs.len()).map(Node::Step),
    }
}

/// The node at a path.
pub fn node<'a>(explanation: &'a Explanation, path: &[u16]) -> Option<Node<'a>> {
    let (first, rest) = path.split_first()?;
    let mut node = Node::Step(explanation.steps.get(usize::from(*first))?);
    for at in rest {
        let Node::Step(step) = node else { return None };
        node = child(step, usize::from(*at))?;
    }
    Some(node)
}

/// The visible nodes from top to bottom; `Row::at` is the depth.
pub fn rows(explanation: &Explanation, view: &TreeView) -> Vec<Row<NodePath>> {
    fn add(node: Node, path: &NodePath, view: &TreeView, rows: &mut Vec<Row<NodePath>>) {
        rows.push(Row { key: path.clone(), at: path.len() - 1 });
        let Node::Step(step) = node else { return };
        if view.unfolded.contains(path) {
            for at in 0..children(step).min(usize::from(u16::MAX)) {
                if let (Some(node), Ok(at)) = (child(step, at), u16::try_from(at)) {
                    let mut path = path.clone();
                    path.push(at);
                    add(node, &path, view, rows);
                }
            }
        }
    }
    let mut rows = Vec::new();
    for (at, step) in (0u16..).zip(&explanation.steps) {
        add(Node::Step(step), &vec![at], view, &mut rows);
    }
    rows
}

/// Every node that can be unfolded.
pub fn foldable(explanation: &Explanation) -> Vec<NodePath> {
    fn add(step: &Step, path: &NodePath, paths: &mut Vec<NodePath>) {
        if children(step) > 0 {
            paths.push(path.clone());
        }
        let before = children(step) - step.children.len();
        for (at, step) in step.children.iter().enumerate() {
            if let Ok(at) = u16::try_from(before + at) {
                let mut path = path.clone();
                path.push(at);
                add(step, &path, paths);
            }
        }
    }
    let mut paths = Vec::new();
    for (at, step) in (0u16..).zip(&explanation.steps) {
        add(step, &vec![at], &mut paths);
    }
    paths
}

/// The mark and the look of what a step did to the turn.
fn verdict(theme: &Theme, verdict: Verdict) -> (&'static str, Slot, &'static str) {
    match verdict {
        Verdict::Computed => (theme.glyphs.muted, Slot::Base, ""),
        Verdict::Passed => (theme.glyphs.ok, Slot::Ok, ""),
        Verdict::Limited => (theme.glyphs.warning, Slot::Warning, "limited"),
        Verdict::Acts => (theme.glyphs.arrow, Slot::Emphasis, "acts"),
        Verdict::Blocks => (theme.glyphs.error, Slot::Error, "ends the turn"),
    }
}

/// Where an input came from.
fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Metric { name } => format!("metric {}", format::clean(name, 120)),
        Origin::Option { key, layer } => format!("option {} ({})", format::clean(key, 120), format::clean(layer, 40)),
        Origin::Step => "computed above".to_owned(),
        Origin::Topology => "job graph".to_owned(),
        Origin::History => "scaling history".to_owned(),
        Origin::Clock => "clock".to_owned(),
    }
}

/// The formula with every symbol that is an input replaced by its number.
pub fn filled(formula: &str, inputs: &[Term], utc: bool) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let mut text = String::with_capacity(formula.len() * 2);
    let mut rest = formula;
    while let Some(c) = rest.chars().next() {
        let end = if is_part(c) { rest.find(|c| !is_part(c)).unwrap_or(rest.len()) } else { c.len_utf8() };
        let (token, tail) = rest.split_at(end);
        match inputs.iter().find(|term| term.symbol == token) {
            Some(Term { value: Value::Number { value, .. }, .. }) => text.push_str(&format::exact(*value)),
            Some(term) => text.push_str(&format::value(&term.value, utc)),
            None => text.push_str(token),
        }
        rest = tail;
    }
    text
}

/// Draws the visible part of the tree. `name` gives the name of the vertex of a step.
pub fn draw<'n>(
    buffer: &mut Buffer,
    area: Rect,
    ctx: &Ctx,
    explanation: Option<&Explanation>,
    view: &mut TreeView,
    active: bool,
    name: impl Fn(crate::domain::ids::VertexId) -> Option<&'n str>,
) {
    let theme = ctx.theme;
    let Some(explanation) = explanation else {
        view.list.window(usize::from(area.height));
        message(buffer, area, theme, Slot::Muted, "no explanation was recorded for this turn");
        return;
    };
    let selected = view.list.selected.clone();
    let (_, rows) = view.list.window(usize::from(area.height));
    if rows.is_empty() {
        message(buffer, area, theme, Slot::Muted, "the turn took no steps");
    }
    for (line, row) in (0u16..).zip(rows) {
        let Some(node) = node(explanation, &row.key) else { continue };
        let here = Rect { y: area.y + line, height: 1, ..area };
        let indent = u16::try_from(row.at * 2 + 1).unwrap_or(u16::MAX).min(area.width / 3);
        match node {
            Node::Step(step) => {
                let open = view.unfolded.contains(&row.key);
                let fold = match (children(step), open) {
                    (0, _) => " ",
                    (_, true) => theme.glyphs.unfolded,
                    (_, false) => theme.glyphs.folded,
                };
                draw_step(buffer, here, ctx, step, indent, fold, step.vertex.and_then(&name));
            }
            Node::Formula(step) => draw_formula(buffer, here, ctx, step, indent),
            Node::Input(term) => draw_input(buffer, here, ctx, term, indent),
        }
        if selected.as_ref() == Some(&row.key) && active {
            buffer.set_style(here.intersection(buffer.area), theme.style(Slot::Selection));
            put(buffer, here, 0, 0, theme.glyphs.cursor, theme.style(Slot::Accent));
        }
    }
}

fn draw_step(buffer: &mut Buffer, here: Rect, ctx: &Ctx, step: &Step, indent: u16, fold: &str, vertex: Option<&str>) {
    let theme = ctx.theme;
    let (mark, slot, word) = verdict(theme, step.verdict);
    let style = theme.style(slot);
    let mut x = put(buffer, here, indent, 0, fold, theme.style(Slot::Accent));
    x = put(buffer, here, x + 1, 0, mark, style);
    let value = format::value(&step.value, ctx.utc);
    let ellipsis = theme.glyphs.ellipsis;
    // The label gives way to the value, but never below a third of the line.
    let room = usize::from(here.width.saturating_sub(x + 1));
    let value = fit(&value, (room * 2 / 3).max(8), ellipsis);
    let label_room = room.saturating_sub(width(&value) + 2);
    let label = fit(&step.label, label_room, ellipsis);
    x = put(buffer, here, x + 1, 0, &label, if slot == Slot::Ok { theme.style(Slot::Base) } else { style });
    let left = label_room.saturating_sub(width(&label) + 1);
    if let Some(vertex) = vertex.filter(|name| left > 8 && !step.label.contains(name)) {
        x = put(buffer, here, x + 1, 0, &fit(vertex, left.min(40), ellipsis), theme.style(Slot::Muted));
    }
    if !value.is_empty() {
        x = put(buffer, here, x, 0, "  ", Style::new());
        x = put(buffer, here, x, 0, &value, theme.style(Slot::Emphasis));
    }
    if !word.is_empty() {
        put_right(buffer, here, 0, x + 1, word, style);
    }
}

fn draw_formula(buffer: &mut Buffer, here: Rect, ctx: &Ctx, step: &Step, indent: u16) {
    let theme = ctx.theme;
    let formula = step.formula.as_deref().unwrap_or_default();
    let room = usize::from(here.width.saturating_sub(indent + 2));
    let mut numbers = filled(formula, &step.inputs, ctx.utc);
    if let Value::Number { value, .. } = &step.value
        && !numbers.contains('=')
        && numbers != format::exact(*value)
    {
        let _ = write!(numbers, " = {}", format::exact(*value));
    }
    let ellipsis = theme.glyphs.ellipsis;
    // The numbers are what a person came for: the symbols stand beside them where there is room.
    let same = numbers == formula;
    if !same && width(formula) + width(&numbers) + 3 <= room {
        let x = put(buffer, here, indent + 2, 0, &fit(formula, room, ellipsis), theme.style(Slot::Muted));
        put(buffer, here, x + 3, 0, &numbers, theme.style(Slot::Info));
    } else {
        put(buffer, here, indent + 2, 0, &fit(&numbers, room, ellipsis), theme.style(Slot::Info));
    }
}

fn draw_input(buffer: &mut Buffer, here: Rect, ctx: &Ctx, term: &Term, indent: u16) {
    let theme = ctx.theme;
    let ellipsis = theme.glyphs.ellipsis;
    let room = usize::from(here.width.saturating_sub(indent + 2));
    let symbol = fit(&term.symbol, room / 2, ellipsis);
    let mut x = put(buffer, here, indent + 2, 0, &symbol, theme.style(Slot::Label));
    x = put(buffer, here, x, 0, " = ", theme.style(Slot::Muted));
    let value = match &term.value {
        Value::Number { value, unit: Unit::Ratio } => format::exact(*value),
        other => format::value(other, ctx.utc),
    };
    let room = usize::from(here.width.saturating_sub(x));
    x = put(buffer, here, x, 0, &fit(&value, room, ellipsis), theme.style(Slot::Base));
    let mut source = origin(&term.origin);
    if let Some(at) = term.at {
        let _ = write!(source, ", {} old", ctx.age(at));
    }
    let room = usize::from(here.width.saturating_sub(x + 2));
    put(buffer, here, x + 2, 0, &fit(&source, room, ellipsis), theme.style(Slot::Muted));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(symbol: &'static str, value: f64) -> Term {
        let name = "numRecordsIn".into();
        Term {
            symbol: symbol.into(),
            value: Value::number(value, Unit::None),
            origin: Origin::Metric { name },
            at: None,
        }
    }

    fn step(label: &'static str, formula: Option<&'static str>, inputs: Vec<Term>, children: Vec<Step>) -> Step {
        let value = Value::number(3.0, Unit::Subtasks);
        Step {
            label: label.into(),
            vertex: None,
            formula: formula.map(Into::into),
            inputs,
            value,
            verdict: Verdict::Computed,
            children,
        }
    }

    #[test]
    fn symbols_are_replaced_as_whole_words() {
        let inputs = [term("lag", 12_000.0), term("t", 120.0), term("rate", f64::NAN)];
        assert_eq!(filled("lag / t + rate * target", &inputs, true), "12,000 / 120 + – * target");
        assert_eq!(filled("⌈lag⌉ ≥ lag_t", &inputs, true), "⌈12,000⌉ ≥ lag_t");
    }

    /// Labels and values of the steps of a JSON document, from top to bottom.
    fn written(steps: &serde_json::Value, seen: &mut Vec<(String, serde_json::Value)>) {
        for step in steps.as_array().unwrap() {
            seen.push((step["label"].as_str().unwrap().to_owned(), step["value"].clone()));
            written(&step["children"], seen);
        }
    }

    #[test]
    fn the_screen_and_the_json_show_the_very_steps_of_the_pass() {
        use crate::autoscaler::fixture::worked_example;
        use crate::autoscaler::generation::Generation;
        for generation in Generation::ALL {
            let job = worked_example(generation, &[("scale-down.interval", "0 s")]);
            let explanation = job.pass_with(None, true).explanation.unwrap();
            let json = serde_json::to_value(&explanation).unwrap();
            let mut in_json = Vec::new();
            written(&json["steps"], &mut in_json);
            let mut view = TreeView::default();
            view.unfolded.extend(foldable(&explanation));
            let rows = rows(&explanation, &view);
            let on_screen: Vec<_> = rows
                .iter()
                .filter_map(|row| match node(&explanation, &row.key)? {
                    Node::Step(step) => Some((step.label.to_string(), serde_json::to_value(&step.value).unwrap())),
                    Node::Formula(_) | Node::Input(_) => None,
                })
                .collect();
            assert!(on_screen.len() > 40, "{} steps", on_screen.len());
            assert_eq!(on_screen, in_json);
            let read: Explanation = serde_json::from_value(json).unwrap();
            assert_eq!(format!("{read:?}"), format!("{explanation:?}"), "nothing is lost on the way through JSON");
        }
    }

    #[test]
    fn paths_lead_to_formula_inputs_and_steps() {
        let inner = step("inner", Some("a"), vec![term("a", 1.0)], vec![]);
        let outer = step("outer", Some("x + y"), vec![term("x", 1.0), term("y", 2.0)], vec![inner]);
        let explanation = Explanation { at: crate::domain::Timestamp::UNIX_EPOCH, steps: vec![outer] };
        let mut view = TreeView::default();
        assert_eq!(rows(&explanation, &view).len(), 1);
        view.unfolded.extend(foldable(&explanation));
        let rows = rows(&explanation, &view);
        let depths: Vec<usize> = rows.iter().map(|row| row.at).collect();
        assert_eq!(depths, [0, 1, 1, 1, 1, 2, 2]);
        assert!(matches!(node(&explanation, &[0, 0]), Some(Node::Formula(_))));
        assert!(matches!(node(&explanation, &[0, 2]), Some(Node::Input(term)) if term.symbol == "y"));
        assert!(matches!(node(&explanation, &[0, 3]), Some(Node::Step(step)) if step.label == "inner"));
        assert!(rows.iter().all(|row| node(&explanation, &row.key).is_some()));
        for nowhere in [&[][..], &[1], &[0, 4], &[0, 0, 0], &[0, 3, 9]] {
            assert_eq!(node(&explanation, nowhere), None);
        }
    }
}
