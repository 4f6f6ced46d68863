//! TaskManagers of a job's cluster.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::ids::JobKey;
use crate::tui::screens::{Ctx, Row, TaskManagersView};

/// The rows of the screen.
pub fn rows(_ctx: &Ctx, _job: &JobKey, _view: &TaskManagersView) -> Vec<Row<String>> {
    Vec::new()
}

/// Draws the screen.
pub fn draw(_frame: &mut Frame, _area: Rect, _ctx: &Ctx, _job: &JobKey, _view: &mut TaskManagersView) {}
