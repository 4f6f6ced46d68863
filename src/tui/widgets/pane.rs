//! Panes with a frame and a title, lines of text that never leave their area, fields, and messages in empty places.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Widget};

use crate::tui::format::{fit, width, wrap};
use crate::tui::theme::{Slot, Theme};

/// Writes `text` at a column and line inside `area`; cut at its right end. Gives the column after it.
pub fn put(buffer: &mut Buffer, area: Rect, column: u16, line: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buffer.area);
    if line >= area.height || column >= area.width {
        return column;
    }
    let room = usize::from(area.width - column);
    let (end, _) = buffer.set_stringn(area.x + column, area.y + line, text, room, style);
    end - area.x
}

/// Writes `text` so that it ends at the right end of a line of `area`; nothing if it does not fit beside `taken` columns.
pub fn put_right(buffer: &mut Buffer, area: Rect, line: u16, taken: u16, text: &str, style: Style) {
    let wide = u16::try_from(width(text)).unwrap_or(u16::MAX);
    if wide.saturating_add(taken) < area.width {
        put(buffer, area, area.width - wide, line, text, style);
    }
}

/// Draws a frame with a title and gives the area inside. Without room for a frame, only the title's line is used.
pub fn framed(buffer: &mut Buffer, area: Rect, theme: &Theme, title: &str, right: &str, active: bool) -> Rect {
    let border = theme.style(if active { Slot::BorderActive } else { Slot::Border });
    if area.height < 3 || area.width < 4 {
        return headed(buffer, area, theme, title, right);
    }
    let room = usize::from(area.width.saturating_sub(4));
    let title = fit(title, room, theme.glyphs.ellipsis);
    let mut block = Block::new().borders(Borders::ALL).border_set(theme.glyphs.border).border_style(border).title(
        Line::from(vec![Span::raw(" "), Span::styled(title.as_ref(), theme.style(Slot::Title)), Span::raw(" ")]),
    );
    if !right.is_empty() && width(&title) + width(right) + 4 < room {
        block = block.title(Line::styled(format!(" {right} "), theme.style(Slot::Muted)).right_aligned());
    }
    let inner = block.inner(area);
    block.render(area, buffer);
    inner
}

/// Draws a title over a rule, and gives the area below: for places where a frame would cost too much.
pub fn headed(buffer: &mut Buffer, area: Rect, theme: &Theme, title: &str, right: &str) -> Rect {
    let [head, below] = split_top(area, 1);
    if head.height == 0 {
        return below;
    }
    let line = theme.glyphs.lines.horizontal;
    for x in 0..head.width {
        put(buffer, head, x, 0, line, theme.style(Slot::Border));
    }
    let title = fit(title, usize::from(head.width.saturating_sub(4)), theme.glyphs.ellipsis);
    if head.width > 4 {
        put(buffer, head, 1, 0, " ", theme.style(Slot::Base));
        let end = put(buffer, head, 2, 0, &title, theme.style(Slot::Title));
        put(buffer, head, end, 0, " ", theme.style(Slot::Base));
        if !right.is_empty() {
            let shown = format!(" {right} ");
            let wide = u16::try_from(width(&shown)).unwrap_or(u16::MAX);
            if end.saturating_add(wide).saturating_add(3) < head.width {
                put(buffer, head, head.width - wide - 1, 0, &shown, theme.style(Slot::Muted));
            }
        }
    }
    below
}

/// A line from top to bottom in the first column of an area, between two panes without frames.
pub fn ruled(buffer: &mut Buffer, area: Rect, theme: &Theme) {
    for line in 0..area.height {
        put(buffer, area, 0, line, theme.glyphs.border.vertical_left, theme.style(Slot::Border));
    }
}

/// The first `height` lines of an area, and the rest.
pub fn split_top(area: Rect, height: u16) -> [Rect; 2] {
    let height = height.min(area.height);
    [Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area }]
}

/// An area without its last `height` lines, and those.
pub fn split_bottom(area: Rect, height: u16) -> [Rect; 2] {
    let height = height.min(area.height);
    split_top(area, area.height - height)
}

/// The first `width` columns of an area, and the rest.
pub fn split_left(area: Rect, width: u16) -> [Rect; 2] {
    let width = width.min(area.width);
    [Rect { width, ..area }, Rect { x: area.x + width, width: area.width - width, ..area }]
}

/// Lines of text written from top to bottom; what does not fit is dropped.
pub struct Lines<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    theme: &'a Theme,
    /// Lines written so far, also those that did not fit.
    pub used: u16,
    /// Lines at the top that are scrolled away.
    skip: u16,
}

impl<'a> Lines<'a> {
    /// Writes into `area`.
    pub fn new(buffer: &'a mut Buffer, area: Rect, theme: &'a Theme) -> Self {
        Self { buffer, area, theme, used: 0, skip: 0 }
    }

    /// Writes into `area` what comes after the first `skip` lines.
    pub fn scrolled(buffer: &'a mut Buffer, area: Rect, theme: &'a Theme, skip: u16) -> Self {
        Self { buffer, area, theme, used: 0, skip }
    }

    /// Columns of a line.
    pub fn width(&self) -> u16 {
        self.area.width
    }

    /// Lines that are left.
    pub fn room(&self) -> u16 {
        (self.area.height + self.skip).saturating_sub(self.used)
    }

    /// One line of parts.
    pub fn line(&mut self, parts: &[(&str, Style)]) {
        if let Some(line) = self.used.checked_sub(self.skip) {
            let mut column = 0;
            for (text, style) in parts {
                column = put(self.buffer, self.area, column, line, text, *style);
            }
        }
        self.used = self.used.saturating_add(1);
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    /// Fields `name value` beside each other, as many on a line as fit. Fields without a value are left out.
    pub fn fields(&mut self, fields: &[(&str, Cow<'_, str>, Slot)]) {
        let (label, room) = (self.theme.style(Slot::Label), usize::from(self.area.width));
        let mut parts: Vec<(&str, Style)> = Vec::with_capacity(fields.len() * 4);
        let mut used = 0;
        for (name, value, slot) in fields.iter().filter(|(_, value, _)| !value.is_empty()) {
            let wide = width(name) + 1 + width(value);
            if used > 0 && used + 3 + wide > room {
                self.line(&parts);
                parts.clear();
                used = 0;
            }
            if used > 0 {
                parts.push(("   ", label));
                used += 3;
            }
            parts.extend([
                (*name, label),
                (if name.is_empty() { "" } else { " " }, label),
                (value, self.theme.style(*slot)),
            ]);
            used += wide;
        }
        if !parts.is_empty() {
            self.line(&parts);
        }
    }

    /// A sentence over at most `limit` lines, with a first part in front of it that following lines are indented by.
    pub fn sentence(&mut self, lead: &str, lead_style: Style, text: &str, style: Style, limit: usize) {
        let indent = width(lead);
        let room = usize::from(self.area.width).saturating_sub(indent);
        let blank = " ".repeat(indent.min(usize::from(self.area.width)));
        for (i, line) in wrap(text, room, limit, self.theme.glyphs.ellipsis).iter().enumerate() {
            self.line(&[if i == 0 { (lead, lead_style) } else { (&blank, lead_style) }, (line, style)]);
        }
    }
}

/// A message in the middle of a place that has nothing else to show.
pub fn message(buffer: &mut Buffer, area: Rect, theme: &Theme, slot: Slot, text: &str) {
    let room = usize::from(area.width).saturating_sub(4).max(1);
    let lines = wrap(text, room, usize::from(area.height), theme.glyphs.ellipsis);
    let top = area.height.saturating_sub(u16::try_from(lines.len()).unwrap_or(u16::MAX)) / 2;
    for (line, at) in lines.iter().zip(top..) {
        let wide = u16::try_from(width(line)).unwrap_or(u16::MAX);
        put(buffer, area, area.width.saturating_sub(wide) / 2, at, line, theme.style(slot));
    }
}
