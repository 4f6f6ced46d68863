//! Text from clusters: cleaned of what a terminal would obey, and cut to a width.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands in place of a character that must not reach the terminal.
const REPLACEMENT: char = '·';

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Must not be drawn: controls, what changes the direction of text, and joiners that make the width of a text depend on the
/// terminal. Line ends and tabs become blanks instead.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` on one line, at most `limit` characters of it, with hostile characters replaced. Borrows when nothing is wrong.
pub fn clean(text: &str, limit: usize) -> Cow<'_, str> {
    let end = text.char_indices().nth(limit).map_or(text.len(), |(at, _)| at);
    let cut = text.get(..end).unwrap_or(text);
    if !cut.chars().any(is_hostile) {
        return Cow::Borrowed(cut);
    }
    let harmless = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if is_hostile(c) => REPLACEMENT,
        c => c,
    };
    Cow::Owned(cut.chars().map(harmless).collect())
}

/// The longest start of `text` that takes at most `columns`, as a byte length and its width.
fn start_within(text: &str, columns: usize) -> (usize, usize) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        let wide = c.width().unwrap_or(0);
        if used + wide > columns {
            return (at, used);
        }
        used += wide;
    }
    (text.len(), used)
}

/// `text`, cleaned, in at most `columns`; where it is cut, `ellipsis` says so.
pub fn fit<'a>(text: &'a str, columns: usize, ellipsis: &str) -> Cow<'a, str> {
    let text = clean(text, columns.saturating_mul(2) + 64);
    if start_within(&text, columns).0 == text.len() {
        return text;
    }
    let mark = if width(ellipsis) < columns { ellipsis } else { "" };
    let (end, _) = start_within(&text, columns - width(mark));
    let start = text.get(..end).unwrap_or_default();
    if mark.is_empty() && matches!(text, Cow::Borrowed(_)) {
        return Cow::Owned(start.to_owned());
    }
    Cow::Owned(format!("{start}{mark}"))
}

/// The end of `text` in at most `columns`: for addresses and paths, whose end tells them apart.
pub fn fit_start<'a>(text: &'a str, columns: usize, ellipsis: &str) -> Cow<'a, str> {
    let text = clean(text, 4096);
    if start_within(&text, columns).0 == text.len() {
        return text;
    }
    let mark = if width(ellipsis) < columns { ellipsis } else { "" };
    let room = columns - width(mark);
    let mut used = 0;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        start = at;
    }
    Cow::Owned(format!("{mark}{}", text.get(start..).unwrap_or_default()))
}

/// `text`, cleaned, broken at blanks into lines of at most `columns`, at most `limit` lines; a cut text ends with `ellipsis`.
pub fn wrap(text: &str, columns: usize, limit: usize, ellipsis: &str) -> Vec<String> {
    if columns == 0 || limit == 0 {
        return Vec::new();
    }
    let text = clean(text, 4096);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let wide = width(word);
        if used > 0 && used + 1 + wide > columns {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        let mut rest = word;
        while used + width(rest) > columns {
            let (end, _) = start_within(rest, columns - used);
            // A character wider than the line cannot be broken further.
            let end = if end == 0 && used == 0 { rest.chars().next().map_or(rest.len(), char::len_utf8) } else { end };
            let (head, tail) = rest.split_at(end);
            line.push_str(head);
            lines.push(std::mem::take(&mut line));
            (rest, used) = (tail, 0);
            if lines.len() > limit {
                break;
            }
        }
        line.push_str(rest);
        used += width(rest);
        if lines.len() > limit {
            break;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > limit {
        lines.truncate(limit);
        if let Some(last) = lines.last_mut() {
            let (end, _) = start_within(last, columns.saturating_sub(width(ellipsis)));
            last.truncate(end);
            last.push_str(ellipsis);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_replaced() {
        assert_eq!(clean("a\u{1b}]0;x\u{7}b", 100), "a·]0;x·b");
        assert_eq!(clean("two\nlines\tand a tab", 100), "two lines and a tab");
        assert_eq!(clean("evil\u{202e}gnp.exe", 100), "evil·gnp.exe");
        assert!(matches!(clean("plain 日本", 100), Cow::Borrowed(_)));
        assert_eq!(clean("abcdef", 3), "abc");
    }

    #[test]
    fn cutting_counts_columns_not_characters() {
        assert_eq!(fit("日本語テスト", 7, "…"), "日本語…");
        assert_eq!(fit("日本語", 6, "…"), "日本語");
        assert_eq!(fit("abcdef", 4, "…"), "abc…");
        assert_eq!(fit("abcdef", 1, "…"), "a");
        assert_eq!(fit("abcdef", 0, "…"), "");
        assert_eq!(fit_start("s3://bucket/path/chk-12", 8, "…"), "…/chk-12");
    }

    #[test]
    fn wrapping_breaks_at_blanks_and_marks_what_is_missing() {
        assert_eq!(wrap("the quick brown fox", 9, 5, "…"), ["the quick", "brown fox"]);
        assert_eq!(wrap("the quick brown fox", 9, 1, "…"), ["the quic…"]);
        assert_eq!(wrap("abcdefghij kl", 4, 9, "…"), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("日本", 1, 9, "…"), ["日", "本"]);
        assert!(wrap("x", 0, 3, "…").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_is_wider_than_its_room(text in ".{0,80}", columns in 0usize..40, limit in 0usize..5) {
            prop_assert!(width(&fit(&text, columns, "…")) <= columns);
            prop_assert!(width(&fit_start(&text, columns, "..")) <= columns);
            let lines = wrap(&text, columns, limit, "…");
            prop_assert!(lines.len() <= limit);
            for line in lines {
                prop_assert!(!line.chars().any(char::is_control));
                prop_assert!(columns < 2 || width(&line) <= columns, "{line:?}");
            }
        }
    }
}
