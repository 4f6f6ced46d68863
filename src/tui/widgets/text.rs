//! Lines of long text that are panned sideways, with what is searched for marked.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthChar;

use super::pane::put;
use crate::tui::format::clean;

/// Characters of one line at most.
const LONGEST: usize = 4_000;

/// Where `needle` stands in `text`, whatever the case of its ASCII letters; nothing for an empty needle.
pub fn found(text: &str, needle: &str) -> Vec<Range<usize>> {
    if needle.is_empty() {
        return Vec::new();
    }
    // Lower case of ASCII keeps every byte in its place.
    let (text, needle) = (text.to_ascii_lowercase(), needle.to_ascii_lowercase());
    text.match_indices(&needle).map(|(at, hit)| at..at + hit.len()).collect()
}

/// Whether `needle` stands in `text`, whatever the case of its ASCII letters.
pub fn holds(text: &str, needle: &str) -> bool {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    needle.is_empty() || text.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle))
}

/// What is marked in a line: a text and how it looks.
pub type Mark<'a> = (&'a str, Style);

/// Writes one line of `text`, cleaned, from its column `left` on.
pub fn panned(buffer: &mut Buffer, area: Rect, line: u16, text: &str, left: usize, style: Style, mark: Mark) {
    let text = clean(text, LONGEST);
    let mut skipped = 0;
    let mut start = text.len();
    for (at, c) in text.char_indices() {
        if skipped >= left {
            start = at;
            break;
        }
        skipped += c.width().unwrap_or(0);
    }
    let mut column = 0;
    let mut at = start;
    for hit in found(&text, mark.0) {
        let (from, to) = (hit.start.max(at), hit.end.max(at));
        column = put(buffer, area, column, line, text.get(at..from).unwrap_or_default(), style);
        column = put(buffer, area, column, line, text.get(from..to).unwrap_or_default(), style.patch(mark.1));
        at = to;
    }
    put(buffer, area, column, line, text.get(at..).unwrap_or_default(), style);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(text: &str, left: usize, needle: &str) -> String {
        let area = Rect::new(0, 0, 12, 1);
        let mut buffer = Buffer::empty(area);
        let mark = Style::new().bold();
        panned(&mut buffer, area, 0, text, left, Style::new(), (needle, mark));
        let bold = |x: u16| buffer[(x, 0)].modifier.contains(ratatui::style::Modifier::BOLD);
        (0..12).map(|x| if bold(x) { "^" } else { buffer[(x, 0)].symbol() }).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn a_line_is_panned_and_what_is_searched_for_is_marked() {
        assert_eq!(drawn("abc Error def error", 0, "ERROR"), "abc ^^^^^ de");
        assert_eq!(drawn("abc Error def error", 6, "error"), "^^^ def ^^^^");
        assert_eq!(drawn("日本語 Error", 2, ""), drawn("本語 Error", 0, ""));
        assert_eq!(drawn("short", 99, "s"), "");
        assert_eq!(drawn("a\u{1b}[2Jb", 0, ""), "a·[2Jb");
    }

    proptest! {
        #[test]
        fn any_text_is_drawn_from_any_column(text in ".{0,60}", needle in ".{0,4}", left in 0usize..80) {
            drawn(&text, left, &needle);
            prop_assert_eq!(!found(&text, &needle).is_empty(), !needle.is_empty() && holds(&text, &needle));
        }
    }
}
