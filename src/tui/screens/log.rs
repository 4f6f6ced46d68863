//! The program's own log.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::tui::screens::{Ctx, LogView};

/// Draws the screen.
pub fn draw(_frame: &mut Frame, _area: Rect, _ctx: &Ctx, _view: &mut LogView) {}
