//! A row of heights: the course of one value in one line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::pane::put;
use crate::tui::theme::{Slot, Theme};

/// Draws the newest values at the right end of the first line of `area`, one per cell. Unknown values are blank. `top` is the
/// value of a full cell; if it is not given, the highest value is.
pub fn sparkline(buffer: &mut Buffer, area: Rect, theme: &Theme, values: &[f64], top: Option<f64>, slot: Slot) {
    let shown = values.get(values.len().saturating_sub(usize::from(area.width))..).unwrap_or_default();
    let highest = shown.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    let top = top.unwrap_or(highest);
    let start = area.width - u16::try_from(shown.len()).unwrap_or(area.width);
    for (x, value) in (start..).zip(shown) {
        if value.is_finite() {
            let ratio = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
            let step = (ratio * 8.0).ceil().max(1.0) as usize;
            put(buffer, area, x, 0, theme.glyphs.spark[step.min(8)], theme.style(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;

    #[test]
    fn the_newest_values_stand_at_the_right_and_holes_are_blank() {
        let area = Rect::new(0, 0, 6, 1);
        let mut buffer = Buffer::empty(area);
        sparkline(&mut buffer, area, &Theme::plain(), &[9.0, 8.0, f64::NAN, 4.0, 0.0], None, Slot::Series);
        let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text, " ## -.");
        sparkline(&mut buffer, Rect::new(0, 0, 0, 0), &Theme::plain(), &[1.0; 9], Some(0.0), Slot::Series);
    }
}
