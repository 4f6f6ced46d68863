//! The theme: meanings instead of colours, degraded to what the terminal can show.
//!
//! Owns [`Slot`] (what a piece of the screen means), [`Theme`] (how each meaning looks), [`Glyphs`] (shapes, with an ASCII set)
//! and [`ColourLevel`]. Screens ask `theme.style(Slot::Warning)` and never name a colour. Meaning is never colour alone: beside
//! every status colour stands a word or a glyph, and what is drawn with a background has a modifier where there are no colours.

mod file;
mod glyphs;
#[cfg(test)]
mod tests;

use ratatui::style::{Color, Modifier, Style};

use crate::domain::freshness::Freshness;
use crate::domain::health::Severity;

pub use file::{BUILT_IN, load, parse};
pub use glyphs::{ASCII, Glyphs, UNICODE};

macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident $text:literal $(-> $fallback:ident)?),* $(,)?) => {
        /// What a piece of the screen means. The text form (kebab-case) is the name in theme files.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Slot { $($(#[$doc])* $name),* }

        impl Slot {
            /// Every slot, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in theme files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The more common meaning that a theme without this slot shows instead.
            pub fn fallback(self) -> Option<Self> {
                match self { $(Self::$name => slots!(@fallback $($fallback)?)),* }
            }
        }
    };
    (@fallback) => { None };
    (@fallback $fallback:ident) => { Some(Self::$fallback) };
}

slots! {
    /// Ordinary text, and the ground of the whole screen.
    Base "base",
    /// Less important text: units, separators, old entries.
    Muted "muted" -> Base,
    /// Text that should be read first.
    Emphasis "emphasis" -> Base,
    /// Title of a screen, pane or overlay.
    Title "title" -> Emphasis,
    /// Column headers and field names.
    Label "label" -> Muted,
    /// Frames and rules.
    Border "border" -> Muted,
    /// Frame of the pane that has the focus.
    BorderActive "border-active" -> Accent,
    /// What the eye should find: links, the current tab.
    Accent "accent" -> Emphasis,
    /// The selected row.
    Selection "selection",
    /// Characters that matched a filter or a search.
    Match "match" -> Accent,
    /// The header line.
    Header "header" -> Base,
    /// A fact in the header that must not be overlooked: read-only, insecure, auto armed, windows shortened.
    Notice "notice" -> Warning,
    /// A key in hints, help and the palette.
    Key "key" -> Accent,
    /// What a key does.
    Hint "hint" -> Muted,
    /// An action that cannot be used now.
    Disabled "disabled" -> Muted,
    /// All well.
    Ok "ok" -> Base,
    /// In transition.
    Info "info" -> Base,
    /// Should be looked at today.
    Warning "warning" -> Emphasis,
    /// Something failed.
    Error "error" -> Warning,
    /// Wake somebody.
    Critical "critical" -> Error,
    /// A number that is too old, or whose source is lost.
    Stale "stale" -> Muted,
    /// The picture is frozen by the user.
    Frozen "frozen" -> Notice,
    /// Busy share of time.
    Busy "busy" -> Accent,
    /// Backpressured share of time.
    Backpressured "backpressured" -> Warning,
    /// Idle share of time.
    Idle "idle" -> Muted,
    /// A value that would rise or rose.
    Up "up" -> Emphasis,
    /// A value that would fall or fell.
    Down "down" -> Emphasis,
    /// The measured series of a chart.
    Series "series" -> Accent,
    /// A second series of a chart.
    SeriesSecond "series-second" -> Info,
    /// The target of a chart.
    Target "target" -> Ok,
    /// The band around the target of a chart.
    Band "band" -> Muted,
    /// A threshold that calls for a change.
    Threshold "threshold" -> Warning,
    /// Axes and their labels.
    Axis "axis" -> Muted,
    /// Memory in use.
    PoolUsed "pool-used" -> Accent,
    /// Memory that was in use at the peak.
    PoolPeak "pool-peak" -> Info,
    /// Memory configured and not in use.
    PoolFree "pool-free" -> Muted,
    /// Ground of overlays.
    Dialog "dialog" -> Base,
    /// Frame of a confirmation of an action that restarts, stops or loses something.
    DialogDanger "dialog-danger" -> Error,
    /// A button of a dialog.
    Button "button" -> Base,
    /// The button that has the focus.
    ButtonActive "button-active" -> Selection,
    /// Text being typed.
    Input "input" -> Base,
    /// A toast about something that went well.
    Toast "toast" -> Info,
}

impl Slot {
    /// The slot of a severity.
    pub fn severity(severity: Severity) -> Self {
        match severity {
            Severity::Muted => Self::Muted,
            Severity::Ok => Self::Ok,
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Error,
            Severity::Critical => Self::Critical,
        }
    }

    /// The slot of a freshness: live values are ordinary text.
    pub fn freshness(freshness: Freshness) -> Self {
        match freshness {
            Freshness::Live => Self::Base,
            Freshness::Late => Self::Muted,
            Freshness::Stale | Freshness::Lost | Freshness::NeverSeen => Self::Stale,
        }
    }

    /// Modifiers that carry the meaning on a terminal without colours.
    fn without_colours(self) -> Modifier {
        match self {
            Self::Selection | Self::ButtonActive | Self::Header => Modifier::REVERSED,
            Self::Critical | Self::Frozen | Self::Notice => Modifier::BOLD.union(Modifier::REVERSED),
            Self::Emphasis
            | Self::Title
            | Self::Accent
            | Self::Key
            | Self::Warning
            | Self::Error
            | Self::BorderActive
            | Self::DialogDanger
            | Self::Up
            | Self::Down => Modifier::BOLD,
            Self::Match | Self::Input => Modifier::UNDERLINED,
            Self::Stale | Self::Disabled => Modifier::DIM,
            Self::Base
            | Self::Muted
            | Self::Label
            | Self::Border
            | Self::Hint
            | Self::Ok
            | Self::Info
            | Self::Busy
            | Self::Backpressured
            | Self::Idle
            | Self::Series
            | Self::SeriesSecond
            | Self::Target
            | Self::Band
            | Self::Threshold
            | Self::Axis
            | Self::PoolUsed
            | Self::PoolPeak
            | Self::PoolFree
            | Self::Dialog
            | Self::Button
            | Self::Toast => Modifier::empty(),
        }
    }
}

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColourLevel {
    /// None: `NO_COLOR` is set, or the terminal is dumb.
    None,
    /// The 16 of the terminal's own palette.
    Ansi16,
    /// The fixed 256.
    Ansi256,
    /// 24 bits.
    True,
}

impl ColourLevel {
    /// What the environment says. `NO_COLOR` wins if it is set and not empty.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).unwrap_or_default().to_ascii_lowercase();
        let term = value("TERM");
        if !value("NO_COLOR").is_empty() || term == "dumb" {
            Self::None
        } else if matches!(value("COLORTERM").as_str(), "truecolor" | "24bit") || term.ends_with("-direct") {
            Self::True
        } else if term.contains("256color") {
            Self::Ansi256
        } else {
            Self::Ansi16
        }
    }
}

/// Whether the environment promises UTF-8: the first set one of `LC_ALL`, `LC_CTYPE`, `LANG` decides.
pub fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty()).is_some_and(
        |value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        },
    )
}

/// A colour as a theme file names it: the full one, and optionally the one of 16 that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ink {
    full: Color,
    ansi: Option<Color>,
}

impl Ink {
    fn at(self, level: ColourLevel) -> Option<Color> {
        match (level, self.full) {
            (ColourLevel::None, _) => None,
            (_, Color::Reset) => Some(Color::Reset),
            (ColourLevel::True, full) => Some(full),
            (ColourLevel::Ansi256, Color::Rgb(r, g, b)) => Some(Color::Indexed(nearest_256(r, g, b))),
            (ColourLevel::Ansi256, full) => Some(full),
            (ColourLevel::Ansi16, full) => Some(self.ansi.unwrap_or_else(|| nearest_16(full))),
        }
    }
}

/// How one slot looks, before it is degraded to a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Look {
    fg: Option<Ink>,
    bg: Option<Ink>,
    modifiers: Modifier,
}

/// How every meaning looks on this terminal.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    name: String,
    level: ColourLevel,
    styles: Vec<Style>,
    /// The shapes.
    pub glyphs: &'static Glyphs,
}

impl Theme {
    /// A theme of these looks at a colour level. Slots without a look take their fallback's.
    pub(crate) fn from_looks(
        name: &str,
        look: impl Fn(Slot) -> Option<Look>,
        level: ColourLevel,
        glyphs: &'static Glyphs,
    ) -> Self {
        let styles = Slot::ALL
            .iter()
            .map(|slot| {
                let own = std::iter::successors(Some(*slot), |s| s.fallback()).find_map(&look).unwrap_or_default();
                let mut style = Style::new().add_modifier(own.modifiers);
                style.fg = own.fg.and_then(|ink| ink.at(level));
                style.bg = own.bg.and_then(|ink| ink.at(level));
                if level == ColourLevel::None {
                    style = style.add_modifier(slot.without_colours());
                }
                style
            })
            .collect();
        Self { name: name.to_owned(), level, styles, glyphs }
    }

    /// The dark theme without colours and with ASCII shapes: what tests draw with when colour does not matter.
    pub fn plain() -> Self {
        Self::from_looks("plain", |_| None, ColourLevel::None, &ASCII)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The colour level it was made for.
    pub fn level(&self) -> ColourLevel {
        self.level
    }

    /// How a meaning looks.
    pub fn style(&self, slot: Slot) -> Style {
        self.styles.get(slot as usize).copied().unwrap_or_default()
    }

    /// The glyph that stands beside the word of a severity.
    pub fn severity_glyph(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Muted => self.glyphs.muted,
            Severity::Ok => self.glyphs.ok,
            Severity::Info => self.glyphs.info,
            Severity::Warning => self.glyphs.warning,
            Severity::Error => self.glyphs.error,
            Severity::Critical => self.glyphs.critical,
        }
    }

    /// The glyph that marks a value that is not live; empty for a live one.
    pub fn freshness_glyph(&self, freshness: Freshness) -> &'static str {
        match freshness {
            Freshness::Live => "",
            Freshness::Late => self.glyphs.late,
            Freshness::Stale => self.glyphs.stale,
            Freshness::Lost => self.glyphs.lost,
            Freshness::NeverSeen => self.glyphs.unknown,
        }
    }
}

/// The steps of one channel in the 6×6×6 cube of the 256 colours.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

fn nearest_256(r: u8, g: u8, b: u8) -> u8 {
    let step = |value: u8| (0u8..6).min_by_key(|i| CUBE[usize::from(*i)].abs_diff(value)).unwrap_or(0);
    let (ri, gi, bi) = (step(r), step(g), step(b));
    let cube = (CUBE[usize::from(ri)], CUBE[usize::from(gi)], CUBE[usize::from(bi)]);
    let average = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
    let gray_index = u8::try_from((average.saturating_sub(3) / 10).min(23)).unwrap_or(23);
    let gray = 8 + 10 * gray_index;
    if distance((r, g, b), (gray, gray, gray)) < distance((r, g, b), cube) {
        232 + gray_index
    } else {
        16 + 36 * ri + 6 * gi + bi
    }
}

/// The 16 colours with the values most terminals give them.
const ANSI: [(Color, (u8, u8, u8)); 16] = [
    (Color::Black, (0, 0, 0)),
    (Color::Red, (205, 49, 49)),
    (Color::Green, (13, 188, 121)),
    (Color::Yellow, (229, 229, 16)),
    (Color::Blue, (36, 114, 200)),
    (Color::Magenta, (188, 63, 188)),
    (Color::Cyan, (17, 168, 205)),
    (Color::Gray, (204, 204, 204)),
    (Color::DarkGray, (102, 102, 102)),
    (Color::LightRed, (241, 76, 76)),
    (Color::LightGreen, (35, 209, 139)),
    (Color::LightYellow, (245, 245, 67)),
    (Color::LightBlue, (59, 142, 234)),
    (Color::LightMagenta, (214, 112, 214)),
    (Color::LightCyan, (41, 184, 219)),
    (Color::White, (255, 255, 255)),
];

fn nearest_16(colour: Color) -> Color {
    match colour {
        Color::Rgb(r, g, b) => {
            ANSI.iter().min_by_key(|(_, rgb)| distance((r, g, b), *rgb)).map_or(Color::Reset, |(colour, _)| *colour)
        }
        Color::Indexed(index @ 0..16) => ANSI[usize::from(index)].0,
        Color::Indexed(_) => Color::Reset,
        named => named,
    }
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let d = |x: u8, y: u8| u32::from(x.abs_diff(y)).pow(2);
    2 * d(a.0, b.0) + 4 * d(a.1, b.1) + 3 * d(a.2, b.2)
}
