//! Theme files: TOML with a palette and one line per slot; five are built in, a user's file of the same name wins.
//!
//! ```toml
//! [palette]
//! sky = ["#5fafff", "lightblue"]   # the full colour, and the one of 16 that stands for it
//! [slots]
//! selection = "white on sky bold"  # [colour] [on colour] [modifiers]
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ratatui::style::{Color, Modifier};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ColourLevel, Glyphs, Ink, Look, Slot, Theme};
use crate::tui::file::{FileError, unknown};

/// The built-in themes: name and text.
pub const BUILT_IN: [(&str, &str); 5] = [
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../../themes/colour-blind.toml")),
    ("monochrome", include_str!("../../../themes/monochrome.toml")),
];

const COLOURS: [(&str, Color); 17] = [
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("gray", Color::Gray),
    ("darkgray", Color::DarkGray),
    ("lightred", Color::LightRed),
    ("lightgreen", Color::LightGreen),
    ("lightyellow", Color::LightYellow),
    ("lightblue", Color::LightBlue),
    ("lightmagenta", Color::LightMagenta),
    ("lightcyan", Color::LightCyan),
    ("white", Color::White),
];

const MODIFIERS: [(&str, Modifier); 6] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underlined", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
    ("crossed-out", Modifier::CROSSED_OUT),
];

/// The theme `name`: `<directory>/<name>.toml` if it is there, else the built-in one.
///
/// # Errors
/// The file is wrong (with its position), cannot be read, or there is no theme of this name (with the nearest one).
pub fn load(
    name: &str,
    directory: Option<&Path>,
    level: ColourLevel,
    glyphs: &'static Glyphs,
) -> Result<Theme, FileError> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    if let Some(path) = directory.filter(|_| plain).map(|d| d.join(format!("{name}.toml"))) {
        let shown = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => return parse(name, &shown, &text, level, glyphs),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(FileError { file: shown, line: 1, column: 1, what: format!("cannot be read: {error}") });
            }
        }
    }
    match BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        Some((_, text)) => parse(name, &format!("themes/{name}.toml"), text, level, glyphs),
        None => {
            let names = BUILT_IN.map(|(built_in, _)| built_in);
            let what = format!("{}; built in are {}", unknown("theme", name, names), names.join(", "));
            Err(FileError { file: "theme".to_owned(), line: 1, column: 1, what })
        }
    }
}

/// The theme that `text` describes.
///
/// # Errors
/// The first thing that is wrong, with its position in `file`.
pub fn parse(
    name: &str,
    file: &str,
    text: &str,
    level: ColourLevel,
    glyphs: &'static Glyphs,
) -> Result<Theme, FileError> {
    let reader = Reader { file, text };
    let table = DeTable::parse(text).map_err(|error| FileError::of_toml(file, text, &error))?;
    let mut palette = BTreeMap::new();
    let mut looks = BTreeMap::new();
    let sections = ["palette", "slots"];
    for (key, _) in table.get_ref() {
        if !sections.contains(&key.get_ref().as_ref()) {
            return Err(reader.error(key.span(), unknown("section", key.get_ref(), sections)));
        }
    }
    for (key, value) in reader.section(table.get_ref(), "palette")? {
        palette.insert(key.get_ref().to_string(), reader.ink(value)?);
    }
    for (key, value) in reader.section(table.get_ref(), "slots")? {
        let Some(slot) = Slot::ALL.iter().find(|slot| slot.name() == key.get_ref().as_ref()) else {
            let names = Slot::ALL.iter().map(|slot| slot.name());
            return Err(reader.error(key.span(), unknown("slot", key.get_ref(), names)));
        };
        looks.insert(*slot, reader.look(value, &palette)?);
    }
    Ok(Theme::from_looks(name, |slot| looks.get(&slot).copied(), level, glyphs))
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

type Entry<'t, 'i> = (&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>);

impl Reader<'_> {
    fn error(&self, span: Range<usize>, what: impl Into<String>) -> FileError {
        FileError::at(self.file, self.text, span, what)
    }

    fn section<'t, 'i>(&self, table: &'t DeTable<'i>, name: &str) -> Result<Vec<Entry<'t, 'i>>, FileError> {
        match table.get(name) {
            None => Ok(Vec::new()),
            Some(value) => match value.get_ref() {
                DeValue::Table(entries) => Ok(entries.iter().collect()),
                _ => Err(self.error(value.span(), format!("{name} must be a table"))),
            },
        }
    }

    fn string<'t>(&self, value: &'t Spanned<DeValue<'_>>) -> Result<&'t str, FileError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.error(value.span(), "must be a text in quotes")),
        }
    }

    fn ink(&self, value: &Spanned<DeValue<'_>>) -> Result<Ink, FileError> {
        let colour = |value: &Spanned<DeValue<'_>>| {
            let text = self.string(value)?;
            colour(text).ok_or_else(|| {
                self.error(
                    value.span(),
                    format!("{}, or #rrggbb", unknown("colour", text, COLOURS.map(|(name, _)| name))),
                )
            })
        };
        match value.get_ref() {
            DeValue::Array(both) => match both.iter().collect::<Vec<_>>().as_slice() {
                [full, ansi] => {
                    let fallback = colour(ansi)?;
                    if matches!(fallback, Color::Rgb(..)) {
                        return Err(self.error(ansi.span(), "the second colour must be one of the 16 names"));
                    }
                    Ok(Ink { full: colour(full)?, ansi: Some(fallback) })
                }
                _ => {
                    Err(self.error(value.span(), "must be a colour, or a colour and the one of 16 that stands for it"))
                }
            },
            _ => Ok(Ink { full: colour(value)?, ansi: None }),
        }
    }

    fn look(&self, value: &Spanned<DeValue<'_>>, palette: &BTreeMap<String, Ink>) -> Result<Look, FileError> {
        let text = self.string(value)?;
        let mut look = Look::default();
        let mut ground = false;
        for (at, word) in words(text) {
            if word == "on" {
                ground = true;
            } else if let Some((_, modifier)) = MODIFIERS.iter().find(|(name, _)| *name == word) {
                look.modifiers |= *modifier;
            } else if let Some(ink) =
                palette.get(word).copied().or_else(|| colour(word).map(|full| Ink { full, ansi: None }))
            {
                if std::mem::take(&mut ground) {
                    look.bg = Some(ink);
                } else {
                    look.fg = Some(ink);
                }
            } else {
                let valid = palette
                    .keys()
                    .map(String::as_str)
                    .chain(MODIFIERS.iter().map(|(name, _)| *name))
                    .chain(COLOURS.iter().map(|(name, _)| *name));
                let start = value.span().start + 1 + at;
                return Err(self.error(start..start + word.len(), unknown("colour or modifier", word, valid)));
            }
        }
        if ground {
            return Err(self.error(value.span(), "a colour must follow \"on\""));
        }
        Ok(look)
    }
}

/// The words of a text with their byte offsets.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

fn colour(text: &str) -> Option<Color> {
    if let Some(hex) = text.strip_prefix('#') {
        let valid = hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u32::from_str_radix(hex, 16).ok().filter(|_| valid)?;
        let [_, r, g, b] = value.to_be_bytes();
        return Some(Color::Rgb(r, g, b));
    }
    COLOURS.iter().find(|(name, _)| *name == text).map(|(_, colour)| *colour)
}
