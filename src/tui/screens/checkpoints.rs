//! Checkpoints of a job.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::ids::JobKey;
use crate::tui::screens::{CheckpointsScreenView, Ctx, Row};

/// The rows of the screen.
pub fn rows(_ctx: &Ctx, _job: &JobKey, _view: &CheckpointsScreenView) -> Vec<Row<u64>> {
    Vec::new()
}

/// Draws the screen.
pub fn draw(_frame: &mut Frame, _area: Rect, _ctx: &Ctx, _job: &JobKey, _view: &mut CheckpointsScreenView) {}
