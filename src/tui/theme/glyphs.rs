//! Shapes in two sets: for terminals with UTF-8, and for those without.

use ratatui::symbols::{self, Marker};

/// Every shape that screens use. All are one column wide but for those marked.
#[derive(Debug, PartialEq)]
pub struct Glyphs {
    /// The set is ASCII.
    pub ascii: bool,
    /// All well.
    pub ok: &'static str,
    /// In transition.
    pub info: &'static str,
    /// Should be looked at today.
    pub warning: &'static str,
    /// Something failed.
    pub error: &'static str,
    /// Wake somebody.
    pub critical: &'static str,
    /// Nobody needs to look.
    pub muted: &'static str,
    /// Not known, never seen.
    pub unknown: &'static str,
    /// Older than it should be.
    pub late: &'static str,
    /// Too old.
    pub stale: &'static str,
    /// Its source does not answer.
    pub lost: &'static str,
    /// Frozen by the user (ASCII: two columns).
    pub paused: &'static str,
    /// From … to … (ASCII: two columns).
    pub arrow: &'static str,
    /// Rising, scale up, sorted upwards.
    pub up: &'static str,
    /// Falling, scale down, sorted downwards.
    pub down: &'static str,
    /// A node that can be unfolded.
    pub folded: &'static str,
    /// A node that is unfolded.
    pub unfolded: &'static str,
    /// In front of the selected row.
    pub cursor: &'static str,
    /// An item of a list.
    pub bullet: &'static str,
    /// Text goes on (ASCII: two columns).
    pub ellipsis: &'static str,
    /// Between parts of a path (breadcrumbs).
    pub chevron: &'static str,
    /// Between parts of a line.
    pub separator: &'static str,
    /// Head of an edge of the job graph, pointing right.
    pub edge_head: &'static str,
    /// A full cell of a bar.
    pub bar_full: &'static str,
    /// An empty cell of a bar.
    pub bar_empty: &'static str,
    /// A mark on a bar (a threshold, a peak).
    pub bar_mark: &'static str,
    /// Parts of a bar's cell from empty to full, left to right.
    pub bar_parts: [&'static str; 9],
    /// Heights of a sparkline's cell from empty to full.
    pub spark: [&'static str; 9],
    /// Lines and corners for drawing the job graph.
    pub lines: symbols::line::Set<'static>,
    /// Frames.
    pub border: symbols::border::Set<'static>,
    /// Dots of charts.
    pub marker: Marker,
}

/// The set for terminals with UTF-8.
pub const UNICODE: Glyphs = Glyphs {
    ascii: false,
    ok: "✓",
    info: "◌",
    warning: "▲",
    error: "✗",
    critical: "✖",
    muted: "·",
    unknown: "?",
    late: "◷",
    stale: "◴",
    lost: "⊘",
    paused: "‖",
    arrow: "→",
    up: "▲",
    down: "▼",
    folded: "▸",
    unfolded: "▾",
    cursor: "▌",
    bullet: "•",
    ellipsis: "…",
    chevron: "›",
    separator: "│",
    edge_head: "▶",
    bar_full: "█",
    bar_empty: "░",
    bar_mark: "│",
    bar_parts: [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    spark: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    lines: symbols::line::ROUNDED,
    border: symbols::border::ROUNDED,
    marker: Marker::Braille,
};

/// The set for terminals without UTF-8.
pub const ASCII: Glyphs = Glyphs {
    ascii: true,
    ok: "+",
    info: "~",
    warning: "!",
    error: "x",
    critical: "X",
    muted: ".",
    unknown: "?",
    late: "'",
    stale: "\"",
    lost: "#",
    paused: "||",
    arrow: "->",
    up: "^",
    down: "v",
    folded: "+",
    unfolded: "-",
    cursor: ">",
    bullet: "*",
    ellipsis: "..",
    chevron: ">",
    separator: "|",
    edge_head: ">",
    bar_full: "#",
    bar_empty: ".",
    bar_mark: "|",
    bar_parts: [" ", " ", " ", " ", "-", "-", "-", "=", "#"],
    spark: [" ", ".", ".", ":", "-", "=", "+", "*", "#"],
    lines: symbols::line::Set {
        vertical: "|",
        horizontal: "-",
        top_right: "+",
        top_left: "+",
        bottom_right: "+",
        bottom_left: "+",
        vertical_left: "+",
        vertical_right: "+",
        horizontal_down: "+",
        horizontal_up: "+",
        cross: "+",
    },
    border: symbols::border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
    marker: Marker::Dot,
};
