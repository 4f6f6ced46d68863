//! Which keys mean which action: the registry's defaults, changed by `keymap.toml`.
//!
//! ```toml
//! [keys]
//! approve = "ctrl-a"            # replaces the default keys of this action
//! top = ["g g", "home"]         # several; keys of one sequence are separated by blanks
//! mouse = []                    # none
//! ```
//!
//! The keys inside of inputs and confirmations are not part of it: `y`, enter, esc and the arrows mean there what they say.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::action::Action;
use super::event::{Code, Key, sequence_text};
use super::file::{FileError, unknown};

/// What pressed keys mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// This action.
    Action(Action),
    /// The beginning of at least one sequence.
    Prefix,
    /// Nothing.
    Nothing,
}

/// Sequences of keys and their actions.
#[derive(Debug, Clone, PartialEq)]
pub struct Keymap {
    bindings: Vec<(Vec<Key>, Action)>,
}

impl Default for Keymap {
    /// The keys of the registry.
    fn default() -> Self {
        let bindings = Action::ALL
            .iter()
            .flat_map(|action| action.default_keys().iter().map(|keys| (parse_sequence(keys), *action)))
            .filter_map(|(keys, action)| keys.ok().map(|keys| (keys, action)))
            .collect();
        Self { bindings }
    }
}

fn parse_sequence(text: &str) -> Result<Vec<Key>, String> {
    let keys = text.split_whitespace().map(str::parse).collect::<Result<Vec<Key>, String>>()?;
    if keys.is_empty() { Err("a key must be given; an empty list takes all keys away".to_owned()) } else { Ok(keys) }
}

impl Keymap {
    /// What these keys mean, pressed one after the other.
    pub fn meaning(&self, pressed: &[Key]) -> Meaning {
        let mut meaning = Meaning::Nothing;
        for (keys, action) in &self.bindings {
            if keys == pressed {
                return Meaning::Action(*action);
            }
            if keys.starts_with(pressed) {
                meaning = Meaning::Prefix;
            }
        }
        meaning
    }

    /// What may follow the pressed keys: the rest of each sequence and its action.
    pub fn following(&self, pressed: &[Key]) -> impl Iterator<Item = (&[Key], Action)> {
        self.bindings
            .iter()
            .filter_map(move |(keys, action)| keys.strip_prefix(pressed).map(|rest| (rest, *action)))
            .filter(|(rest, _)| !rest.is_empty())
    }

    /// All sequences of an action.
    pub fn keys_of(&self, action: Action) -> impl Iterator<Item = &[Key]> {
        self.bindings.iter().filter(move |(_, bound)| *bound == action).map(|(keys, _)| keys.as_slice())
    }

    /// The first sequence of an action as text, empty if it has none.
    pub fn key_text(&self, action: Action) -> String {
        self.keys_of(action).next().map(sequence_text).unwrap_or_default()
    }

    /// The keymap of `keymap.toml` in a directory, with warnings; the defaults if there is no such file.
    ///
    /// # Errors
    /// Everything that is wrong in the file, each with its position.
    pub fn load(directory: Option<&Path>) -> Result<(Self, Vec<FileError>), Vec<FileError>> {
        let Some(path) = directory.map(|directory| directory.join("keymap.toml")) else {
            return Ok((Self::default(), Vec::new()));
        };
        let file = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((Self::default(), Vec::new())),
            Err(error) => Err(vec![FileError { file, line: 1, column: 1, what: format!("cannot be read: {error}") }]),
        }
    }

    /// The defaults changed by `text`, with warnings about keys that many terminals cannot send.
    ///
    /// # Errors
    /// Everything that is wrong in the text, each with its position: unknown actions, texts that are no keys, and sequences
    /// that mean two things or that begin another.
    pub fn parse(file: &str, text: &str) -> Result<(Self, Vec<FileError>), Vec<FileError>> {
        let table = DeTable::parse(text).map_err(|error| vec![FileError::of_toml(file, text, &error)])?;
        let at = |span, what: String| FileError::at(file, text, span, what);
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let mut own: Vec<(Vec<Key>, Action, std::ops::Range<usize>)> = Vec::new();
        let mut changed = Vec::new();
        for (section, value) in table.get_ref() {
            let DeValue::Table(entries) = value.get_ref() else {
                errors.push(at(section.span(), unknown("setting", section.get_ref(), ["keys"])));
                continue;
            };
            if section.get_ref() != "keys" {
                errors.push(at(section.span(), unknown("section", section.get_ref(), ["keys"])));
                continue;
            }
            for (id, value) in entries {
                let Some(action) = Action::from_id(id.get_ref()) else {
                    let ids = Action::ALL.iter().map(|action| action.id());
                    errors.push(at(id.span(), unknown("action", id.get_ref(), ids)));
                    continue;
                };
                changed.push(action);
                for text in texts(value) {
                    let parsed = match text {
                        Ok((text, span)) => {
                            parse_sequence(text).map_err(|what| at(span.clone(), what)).map(|k| (k, span))
                        }
                        Err(span) => Err(at(span, "must be a key in quotes or a list of them".to_owned())),
                    };
                    match parsed {
                        Ok((keys, span)) => {
                            warnings.extend(cannot_be_sent(&keys).map(|what| at(span.clone(), what)));
                            own.push((keys, action, span));
                        }
                        Err(error) => errors.push(error),
                    }
                }
            }
        }
        let mut bindings = Self::default().bindings;
        bindings.retain(|(_, action)| !changed.contains(action));
        for (keys, action, span) in own {
            for (other, meant) in &bindings {
                let (mine, theirs) = (sequence_text(&keys), sequence_text(other));
                let what = if keys == *other {
                    format!("{mine:?} is both {} and {}", action.id(), meant.id())
                } else if keys.starts_with(other) {
                    format!("{mine:?} ({}) can never be pressed: {theirs:?} is {}", action.id(), meant.id())
                } else if other.starts_with(&keys) {
                    format!("{mine:?} ({}) would hide {theirs:?}, which is {}", action.id(), meant.id())
                } else {
                    continue;
                };
                errors.push(at(span.clone(), format!("{what}; give one of them another key")));
            }
            bindings.push((keys, action));
        }
        if errors.is_empty() { Ok((Self { bindings }, warnings)) } else { Err(errors) }
    }
}

type Text<'t> = Result<(&'t str, std::ops::Range<usize>), std::ops::Range<usize>>;

fn texts<'t>(value: &'t Spanned<DeValue<'_>>) -> Vec<Text<'t>> {
    match value.get_ref() {
        DeValue::String(text) => vec![Ok((text, value.span()))],
        DeValue::Array(values) => values
            .iter()
            .map(|value| match value.get_ref() {
                DeValue::String(text) => Ok((text.as_ref(), value.span())),
                _ => Err(value.span()),
            })
            .collect(),
        _ => vec![Err(value.span())],
    }
}

fn cannot_be_sent(keys: &[Key]) -> Option<String> {
    keys.iter().find_map(|key| {
        let same = match key {
            Key { code: Code::Char('i'), ctrl: true, .. } => "tab",
            Key { code: Code::Char('m'), ctrl: true, .. } => "enter",
            Key { code: Code::Char('['), ctrl: true, .. } => "esc",
            _ => return None,
        };
        Some(format!("{key} arrives as {same} from many terminals"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Key> {
        parse_sequence(text).unwrap()
    }

    #[test]
    fn every_default_key_is_a_key_and_none_means_two_things() {
        for action in Action::ALL {
            for text in action.default_keys() {
                assert_eq!(sequence_text(&keys(text)), *text, "{}", action.id());
            }
        }
        let all = Keymap::default().bindings;
        for (at, (mine, action)) in all.iter().enumerate() {
            for (theirs, other) in &all[at + 1..] {
                assert!(!mine.starts_with(theirs) && !theirs.starts_with(mine), "{action:?} {other:?}");
            }
        }
    }

    #[test]
    fn ids_are_unique_and_every_action_can_be_reached() {
        for (at, action) in Action::ALL.iter().enumerate() {
            assert_eq!(Action::from_id(action.id()), Some(*action));
            assert!(!action.default_keys().is_empty(), "{}", action.id());
            assert!(Action::ALL[at + 1..].iter().all(|other| other.title() != action.title()), "{}", action.id());
        }
    }

    #[test]
    fn a_sequence_is_a_prefix_until_it_is_complete() {
        let map = Keymap::default();
        assert_eq!(map.meaning(&keys("g")), Meaning::Prefix);
        assert_eq!(map.meaning(&keys("g g")), Meaning::Action(Action::Top));
        assert_eq!(map.meaning(&keys("g z")), Meaning::Nothing);
        let following: Vec<Action> = map.following(&keys("c")).map(|(_, action)| action).collect();
        assert_eq!(following, [Action::CopyId, Action::CopyName, Action::CopyVertex, Action::CopyUrl]);
    }

    #[test]
    fn a_users_keys_replace_the_defaults_of_their_action() {
        let (map, warnings) = Keymap::parse("k", "[keys]\napprove = \"ctrl-a\"\nmouse = []\n").unwrap();
        assert_eq!(map.meaning(&keys("a")), Meaning::Nothing);
        assert_eq!(map.meaning(&keys("ctrl-a")), Meaning::Action(Action::Approve));
        assert_eq!(map.keys_of(Action::Mouse).count(), 0);
        assert!(warnings.is_empty());
        let (_, warnings) = Keymap::parse("k", "[keys]\napprove = \"ctrl-i\"\n").unwrap();
        assert_eq!(warnings[0].to_string(), "k:2:11: ctrl-i arrives as tab from many terminals");
    }

    #[test]
    fn two_actions_may_trade_their_keys() {
        let (map, _) = Keymap::parse("k", "[keys]\npause = \"o\"\nsort = \"p\"\n").unwrap();
        assert_eq!(map.meaning(&keys("o")), Meaning::Action(Action::Pause));
        assert_eq!(map.meaning(&keys("p")), Meaning::Action(Action::Sort));
    }

    #[test]
    fn everything_wrong_is_told_with_its_position() {
        let text =
            "[keys]\naprove = \"a\"\npause = \"a\"\nhelp = \"g\"\nlog = \"G x\"\nutc = \"entre\"\nsort = 3\n[key]\n";
        let errors: Vec<String> = Keymap::parse("k", text).unwrap_err().iter().map(FileError::to_string).collect();
        assert!(
            errors.contains(&"k:2:1: unknown action \"aprove\"; did you mean \"approve\"?".to_owned()),
            "{errors:?}"
        );
        assert!(errors.contains(&"k:3:9: \"a\" is both pause and approve; give one of them another key".to_owned()));
        assert!(errors.iter().any(|e| e.starts_with("k:4:8: \"g\" (help) would hide \"g g\", which is top")));
        assert!(errors.iter().any(|e| e.starts_with("k:5:7: \"G x\" (log) can never be pressed: \"G\" is bottom")));
        assert!(errors.iter().any(|e| e.starts_with("k:6:7: \"entre\" is not a key")));
        assert!(errors.iter().any(|e| e.starts_with("k:7:8: must be a key in quotes")));
        assert!(errors.iter().any(|e| e.starts_with("k:8:2: unknown section \"key\"; did you mean \"keys\"?")));
    }
}
