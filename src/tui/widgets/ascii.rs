//! The last step for terminals without UTF-8: nothing but ASCII leaves the buffer, whatever a name or a sentence contains.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Replaces every cell that is not ASCII by the nearest shape that is.
pub fn fold(buffer: &mut Buffer, area: Rect) {
    let area = area.intersection(buffer.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let cell = &mut buffer[(x, y)];
            if !cell.symbol().is_ascii() {
                let shape = nearest(cell.symbol());
                cell.set_char(shape);
            }
        }
    }
}

/// One ASCII character for one cell.
fn nearest(symbol: &str) -> char {
    match symbol.chars().next().unwrap_or(' ') {
        '–' | '—' | '‐' | '‑' | '−' | '─' | '┄' | '╌' => '-',
        '│' | '┆' | '╎' => '|',
        '→' | '›' | '▶' | '≥' => '>',
        '←' | '‹' | '≤' => '<',
        '…' | '·' | '•' => '.',
        '×' => 'x',
        'µ' => 'u',
        '≈' => '~',
        '‘' | '’' => '\'',
        '“' | '”' => '"',
        '\u{a0}' => ' ',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn only_ascii_remains_and_wide_characters_keep_their_room() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "4→6 日本 – é", Style::new());
        fold(&mut buffer, Rect::new(0, 0, 40, 9));
        let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text, "4>6 ? ?  - ?");
    }
}
