//! The program's own log: the same events as the log file, newest at the bottom.

use ratatui::Frame;
use ratatui::layout::Rect;
use tui_logger::{TuiLoggerLevelOutput, TuiLoggerWidget};

use crate::tui::screens::{Ctx, LogView};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{framed, message};

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, view: &mut LogView) {
    let theme = ctx.theme;
    let inside = framed(frame.buffer_mut(), area, theme, "Log of flightdeck", "", true);
    let widget = TuiLoggerWidget::default()
        .style(theme.style(Slot::Base))
        .style_error(theme.style(Slot::Error))
        .style_warn(theme.style(Slot::Warning))
        .style_info(theme.style(Slot::Base))
        .style_debug(theme.style(Slot::Muted))
        .style_trace(theme.style(Slot::Muted))
        .output_separator(' ')
        .output_timestamp(Some("%H:%M:%S".to_owned()))
        .output_level(Some(TuiLoggerLevelOutput::Abbreviated))
        .output_target(true)
        .output_file(false)
        .output_line(false)
        .state(&view.state);
    frame.render_widget(widget, inside);
    let buffer = frame.buffer_mut();
    if inside.positions().all(|at| buffer[at].symbol() == " ") {
        message(buffer, inside, theme, Slot::Muted, "nothing to tell so far: no source was lost, nothing failed");
    }
}
