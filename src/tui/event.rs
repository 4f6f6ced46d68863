//! What happens to the program, in its own words: terminal events are translated here, once, and nowhere else.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crossterm::event::{self as terminal, KeyEventKind, MouseEventKind};

use crate::domain::command::CommandId;
use crate::domain::snapshot::Snapshot;

/// A key without its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the keys' own names
pub enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Insert,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// A key as pressed. A character carries its own shift (`G`), other keys say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Which key.
    pub code: Code,
    /// With control.
    pub ctrl: bool,
    /// With alt.
    pub alt: bool,
    /// With shift; never set for characters.
    pub shift: bool,
}

impl Key {
    /// A key without modifiers.
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false, shift: false }
    }

    /// A character without control and alt.
    pub const fn char(c: char) -> Self {
        Self::plain(Code::Char(c))
    }

    /// A character with control.
    pub const fn ctrl(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: true, alt: false, shift: false }
    }

    /// The character that this key types, if it types one.
    pub fn typed(self) -> Option<char> {
        match self {
            Self { code: Code::Char(c), ctrl: false, alt: false, .. } => Some(c),
            _ => None,
        }
    }

    fn from_terminal(key: terminal::KeyEvent) -> Option<Self> {
        use terminal::{KeyCode, KeyModifiers};
        let mut shift = key.modifiers.contains(KeyModifiers::SHIFT);
        let code = match key.code {
            KeyCode::Char(c) => {
                let c = if shift && c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c };
                shift = false;
                Code::Char(c)
            }
            KeyCode::BackTab => {
                shift = true;
                Code::Tab
            }
            KeyCode::Enter => Code::Enter,
            KeyCode::Esc => Code::Esc,
            KeyCode::Tab => Code::Tab,
            KeyCode::Backspace => Code::Backspace,
            KeyCode::Delete => Code::Delete,
            KeyCode::Insert => Code::Insert,
            KeyCode::Left => Code::Left,
            KeyCode::Right => Code::Right,
            KeyCode::Up => Code::Up,
            KeyCode::Down => Code::Down,
            KeyCode::Home => Code::Home,
            KeyCode::End => Code::End,
            KeyCode::PageUp => Code::PageUp,
            KeyCode::PageDown => Code::PageDown,
            KeyCode::F(n) => Code::F(n),
            _ => return None,
        };
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::META);
        Some(Self { code, ctrl, alt, shift })
    }
}

const NAMES: [(&str, Code); 16] = [
    ("enter", Code::Enter),
    ("esc", Code::Esc),
    ("tab", Code::Tab),
    ("backspace", Code::Backspace),
    ("delete", Code::Delete),
    ("insert", Code::Insert),
    ("left", Code::Left),
    ("right", Code::Right),
    ("up", Code::Up),
    ("down", Code::Down),
    ("home", Code::Home),
    ("end", Code::End),
    ("pageup", Code::PageUp),
    ("pagedown", Code::PageDown),
    ("space", Code::Char(' ')),
    ("minus", Code::Char('-')),
];

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [(self.ctrl, "ctrl-"), (self.alt, "alt-"), (self.shift, "shift-")] {
            if held {
                f.write_str(name)?;
            }
        }
        match self.code {
            Code::Char('-') if !(self.ctrl || self.alt) => f.write_str("-"),
            Code::F(n) => write!(f, "f{n}"),
            code => match (NAMES.iter().find(|(_, named)| *named == code), code) {
                (Some((name, _)), _) => f.write_str(name),
                (None, Code::Char(c)) => write!(f, "{c}"),
                (None, _) => Ok(()),
            },
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut key = Self::char(' ');
        let mut rest = text;
        loop {
            if let Some(next) = rest.strip_prefix("ctrl-").filter(|next| !next.is_empty()) {
                (key.ctrl, rest) = (true, next);
            } else if let Some(next) = rest.strip_prefix("alt-").filter(|next| !next.is_empty()) {
                (key.alt, rest) = (true, next);
            } else if let Some(next) = rest.strip_prefix("shift-").filter(|next| !next.is_empty()) {
                (key.shift, rest) = (true, next);
            } else {
                break;
            }
        }
        let mut chars = rest.chars();
        key.code = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() && c != ' ' => Code::Char(c),
            _ => {
                let function = rest.strip_prefix('f').and_then(|n| n.parse().ok()).filter(|n| (1..=24).contains(n));
                let named = NAMES.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code);
                named.or(function.map(Code::F)).ok_or_else(|| {
                    let near = crate::domain::text::nearest(rest, NAMES.map(|(name, _)| name));
                    let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                    format!("{text:?} is not a key: write a character, a name such as enter, esc or f1, with ctrl-, alt- or shift- before it{hint}")
                })?
            }
        };
        match key.code {
            Code::Char(c) if key.shift => {
                Err(format!("{text:?}: write the shifted character itself, such as {:?}", c.to_uppercase().to_string()))
            }
            _ => Ok(key),
        }
    }
}

/// Keys pressed one after the other, as text: `g g`.
pub fn sequence_text(keys: &[Key]) -> String {
    keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The wheel was turned: lines, down is positive.
    Wheel(isize),
    /// The terminal has a new size.
    Resize {
        /// Columns.
        columns: u16,
        /// Lines.
        lines: u16,
    },
    /// The terminal got or lost the focus.
    Focus(bool),
    /// A newer snapshot is there.
    Snapshot(Arc<Snapshot>),
    /// The control loop has ended; no snapshot will follow.
    LoopEnded,
    /// A command was handed to the control loop.
    Sent(CommandId),
    /// A command could not be handed to the control loop.
    NotSent(CommandId),
    /// The program is in the foreground again after a suspend.
    Resumed,
    /// The operating system asks the program to end.
    Terminate,
    /// An instant came for which the model had asked.
    Time,
}

impl Event {
    /// The program's own event for one of the terminal, if it means anything here.
    pub fn from_terminal(event: terminal::Event) -> Option<Self> {
        match event {
            terminal::Event::Key(key) if key.kind != KeyEventKind::Release => Key::from_terminal(key).map(Self::Key),
            terminal::Event::Key(_) => None,
            terminal::Event::Paste(text) => Some(Self::Paste(text)),
            terminal::Event::Resize(columns, lines) => Some(Self::Resize { columns, lines }),
            terminal::Event::FocusGained => Some(Self::Focus(true)),
            terminal::Event::FocusLost => Some(Self::Focus(false)),
            terminal::Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollDown => Some(Self::Wheel(3)),
                MouseEventKind::ScrollUp => Some(Self::Wheel(-3)),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyEventState, KeyModifiers};

    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers, kind: KeyEventKind) -> Option<Event> {
        Event::from_terminal(terminal::Event::Key(KeyEvent { code, modifiers, kind, state: KeyEventState::NONE }))
    }

    fn pressed(code: KeyCode, modifiers: KeyModifiers) -> String {
        match key(code, modifiers, KeyEventKind::Press) {
            Some(Event::Key(key)) => key.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn keys_of_the_terminal_have_one_name_each() {
        assert_eq!(pressed(KeyCode::Char('g'), KeyModifiers::NONE), "g");
        assert_eq!(pressed(KeyCode::Char('G'), KeyModifiers::SHIFT), "G");
        assert_eq!(pressed(KeyCode::Char('g'), KeyModifiers::SHIFT), "G");
        assert_eq!(pressed(KeyCode::Char('d'), KeyModifiers::CONTROL), "ctrl-d");
        assert_eq!(pressed(KeyCode::BackTab, KeyModifiers::SHIFT), "shift-tab");
        assert_eq!(pressed(KeyCode::Char(' '), KeyModifiers::NONE), "space");
        assert_eq!(pressed(KeyCode::Char('-'), KeyModifiers::NONE), "-");
        assert_eq!(pressed(KeyCode::F(12), KeyModifiers::ALT), "alt-f12");
        assert!(key(KeyCode::Char('y'), KeyModifiers::NONE, KeyEventKind::Release).is_none());
        assert!(key(KeyCode::CapsLock, KeyModifiers::NONE, KeyEventKind::Press).is_none());
    }

    #[test]
    fn every_key_reads_back_from_its_own_text() {
        let names = NAMES.map(|(_, code)| code);
        for code in names.into_iter().chain(['a', 'G', '?', ':', '-', '[', 'ü'].map(Code::Char)).chain([Code::F(1)]) {
            for (ctrl, alt) in [(false, false), (true, false), (false, true), (true, true)] {
                let key = Key { code, ctrl, alt, shift: false };
                assert_eq!(key.to_string().parse(), Ok(key), "{key}");
            }
        }
        assert_eq!("shift-tab".parse(), Ok(Key { shift: true, ..Key::plain(Code::Tab) }));
    }

    #[test]
    fn a_text_that_is_no_key_says_what_would_be_one() {
        assert!("entre".parse::<Key>().unwrap_err().ends_with("did you mean \"enter\"?"));
        assert!("shift-g".parse::<Key>().unwrap_err().contains("\"G\""));
        for wrong in ["", "ctrl-", " ", "f0", "f99", "gg"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong:?}");
        }
    }
}
