//! One job: graph, vertices, charts.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::ids::{JobKey, VertexId};
use crate::tui::screens::{Ctx, JobScreenView, Row};

/// The rows of the screen.
pub fn rows(_ctx: &Ctx, _job: &JobKey, _view: &JobScreenView) -> Vec<Row<VertexId>> {
    Vec::new()
}

/// Draws the screen.
pub fn draw(_frame: &mut Frame, _area: Rect, _ctx: &Ctx, _job: &JobKey, _view: &mut JobScreenView) {}
