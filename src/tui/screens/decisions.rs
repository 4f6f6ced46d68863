//! All decisions.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::decision::DecisionId;
use crate::tui::screens::{Ctx, DecisionsView, Row};

/// The sort orders; the first is the default.
pub const SORTS: &[&str] = &["default"];

/// The rows of the screen, filtered and sorted.
pub fn rows(_ctx: &Ctx, _view: &DecisionsView) -> Vec<Row<DecisionId>> {
    Vec::new()
}

/// Draws the screen.
pub fn draw(_frame: &mut Frame, _area: Rect, _ctx: &Ctx, _view: &mut DecisionsView) {}
