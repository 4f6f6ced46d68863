//! Breadcrumbs: the way from the fleet to here. The last part is where we are; when there is no room, the first ones go.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::pane::put;
use crate::tui::format::{fit, width};
use crate::tui::theme::{Slot, Theme};

/// Draws the parts on the first line of `area` and gives the columns used.
pub fn breadcrumbs(buffer: &mut Buffer, area: Rect, theme: &Theme, parts: &[&str]) -> u16 {
    let glyphs = theme.glyphs;
    let between = format!(" {} ", glyphs.chevron);
    let room = usize::from(area.width);
    let mut first = parts.len().saturating_sub(1);
    let mut used = parts.last().map_or(0, |part| width(part));
    while first > 0 {
        let more = width(parts[first - 1]) + width(&between);
        // Something in front must be left out: room for the mark that says so.
        let mark = if first > 1 { width(glyphs.ellipsis) + width(&between) } else { 0 };
        if used + more + mark > room {
            break;
        }
        used += more;
        first -= 1;
    }
    let mut x = 0;
    if first > 0 && used + width(glyphs.ellipsis) + width(&between) <= room {
        x = put(buffer, area, x, 0, glyphs.ellipsis, theme.style(Slot::Muted));
        x = put(buffer, area, x, 0, &between, theme.style(Slot::Muted));
    }
    for (i, part) in parts.iter().enumerate().skip(first) {
        let last = i + 1 == parts.len();
        let slot = if last { Slot::Title } else { Slot::Muted };
        let text = fit(part, room.saturating_sub(usize::from(x)), glyphs.ellipsis);
        x = put(buffer, area, x, 0, &text, theme.style(slot));
        if !last {
            x = put(buffer, area, x, 0, &between, theme.style(Slot::Muted));
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(wide: u16) -> String {
        let area = Rect::new(0, 0, wide, 1);
        let mut buffer = Buffer::empty(area);
        breadcrumbs(&mut buffer, area, &Theme::plain(), &["Fleet", "payments/fraud", "Memory"]);
        buffer.content.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn the_place_where_we_are_stays_longest() {
        assert_eq!(shown(40), "Fleet > payments/fraud > Memory");
        assert_eq!(shown(30), ".. > payments/fraud > Memory");
        assert_eq!(shown(20), ".. > Memory");
        assert_eq!(shown(7), "Memory");
        assert_eq!(shown(5), "Mem..");
        assert_eq!(shown(0), "");
    }
}
