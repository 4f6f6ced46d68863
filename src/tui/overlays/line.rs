//! A line of text being typed: bounded, and free of control characters whatever is pasted.

use tui_input::{Input, InputRequest};

use crate::tui::event::{Code, Key};

/// Characters at most.
const LIMIT: usize = 512;

/// A line of text being typed.
#[derive(Debug, Clone, Default)]
pub struct Line(Input);

impl Line {
    /// A line that begins with this text.
    pub fn new(text: &str) -> Self {
        Self(Input::new(text.to_owned()))
    }

    /// The text.
    pub fn value(&self) -> &str {
        self.0.value()
    }

    /// Column of the cursor, in cells from the start of the text.
    pub fn cursor(&self) -> usize {
        self.0.visual_cursor()
    }

    /// Takes a key. True if the text changed.
    pub fn key(&mut self, key: Key) -> bool {
        let request = match (key.code, key.ctrl || key.alt) {
            (Code::Char(c), false) => {
                if c.is_control() || self.value().chars().count() >= LIMIT {
                    return false;
                }
                InputRequest::InsertChar(c)
            }
            (Code::Backspace, false) => InputRequest::DeletePrevChar,
            (Code::Char('w'), true) | (Code::Backspace, true) => InputRequest::DeletePrevWord,
            (Code::Char('u'), true) => InputRequest::DeleteLine,
            (Code::Char('k'), true) => InputRequest::DeleteTillEnd,
            (Code::Delete, _) => InputRequest::DeleteNextChar,
            (Code::Left, false) => InputRequest::GoToPrevChar,
            (Code::Right, false) => InputRequest::GoToNextChar,
            (Code::Left, true) => InputRequest::GoToPrevWord,
            (Code::Right, true) => InputRequest::GoToNextWord,
            (Code::Home, _) | (Code::Char('a'), true) => InputRequest::GoToStart,
            (Code::End, _) | (Code::Char('e'), true) => InputRequest::GoToEnd,
            _ => return false,
        };
        self.0.handle(request).is_some_and(|change| change.value)
    }

    /// Takes pasted text: line breaks become blanks, control characters go.
    pub fn paste(&mut self, text: &str) {
        for c in text.chars().take(LIMIT) {
            self.key(Key::char(if c.is_whitespace() { ' ' } else { c }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_text_is_bounded_and_has_no_control_characters() {
        let mut line = Line::new("a");
        line.paste("b\nc\x1b[31m\u{7}d");
        assert_eq!(line.value(), "ab c[31md");
        line.paste(&"x".repeat(1000));
        assert_eq!(line.value().chars().count(), LIMIT);
    }

    #[test]
    fn keys_edit_where_the_cursor_is() {
        let mut line = Line::new("lag>10s");
        assert!(line.key(Key::plain(Code::Backspace)));
        assert!(!line.key(Key::plain(Code::Home)));
        assert!(line.key(Key::char('x')));
        assert_eq!((line.value(), line.cursor()), ("xlag>10", 1));
        assert!(line.key(Key::ctrl('u')));
        assert_eq!(line.value(), "");
        assert!(!line.key(Key::plain(Code::F(1))));
    }
}
