//! The ground of an overlay: centred, sized by its content, clamped to the frame.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding};

use crate::tui::theme::{Slot, Theme};

/// Columns and lines without which nothing is drawn but a sentence.
pub const SMALLEST: (u16, u16) = (60, 15);

/// Clears a centred box for `columns` × `lines` of content and frames it. Returns the area of the content.
pub fn popup(frame: &mut Frame, theme: &Theme, title: &str, border: Slot, columns: u16, lines: u16) -> Rect {
    let all = frame.area();
    let (width, height) = (columns.saturating_add(4).min(all.width), lines.saturating_add(2).min(all.height));
    let area = Rect { x: all.x + (all.width - width) / 2, y: all.y + (all.height - height) / 3, width, height };
    ground(frame, theme, title, border, area)
}

/// The keys that answer, each with what it does.
pub fn keys_line(theme: &Theme, keys: &[(&'static str, &'static str)]) -> Line<'static> {
    let mut spans = Vec::with_capacity(keys.len() * 2);
    for (at, (key, what)) in (1..).zip(keys) {
        let gap = if at < keys.len() { "   " } else { "" };
        spans.push(Span::styled(*key, theme.style(Slot::Key)));
        spans.push(Span::styled(format!(" {what}{gap}"), theme.style(Slot::Hint)));
    }
    Line::from(spans)
}

/// Clears and frames an area. Returns the area of the content.
pub fn ground(frame: &mut Frame, theme: &Theme, title: &str, border: Slot, area: Rect) -> Rect {
    let block = Block::bordered()
        .border_set(theme.glyphs.border)
        .border_style(theme.style(border))
        .title(Line::styled(format!(" {title} "), theme.style(Slot::Title)))
        .style(theme.style(Slot::Dialog))
        .padding(Padding::horizontal(1));
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inner
}
