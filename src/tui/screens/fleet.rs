//! All jobs, worst first.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::ids::JobKey;
use crate::tui::screens::{Ctx, FleetView, Row};

/// The sort orders; the first is the default.
pub const SORTS: &[&str] = &["default"];

/// The rows of the screen, filtered and sorted.
pub fn rows(_ctx: &Ctx, _view: &FleetView) -> Vec<Row<JobKey>> {
    Vec::new()
}

/// Draws the screen.
pub fn draw(_frame: &mut Frame, _area: Rect, _ctx: &Ctx, _view: &mut FleetView) {}
