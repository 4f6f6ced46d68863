//! One decision: before → after, reason, prediction, outcome, explanation.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::decision::DecisionId;
use crate::domain::explanation::Explanation;
use crate::tui::screens::{Ctx, DecisionView, NodePath, Row, TreeView};

/// The visible nodes of an explanation (also used by the job screen); `Row::at` is the depth.
pub fn nodes(_explanation: &Explanation, _view: &TreeView) -> Vec<Row<NodePath>> {
    Vec::new()
}

/// Draws the screen.
pub fn draw(_frame: &mut Frame, _area: Rect, _ctx: &Ctx, _decision: DecisionId, _view: &mut DecisionView) {}
