//! A table that builds only its visible rows, with a selection by identity and columns that go when there is no room.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::bars::{self, Meter, Share};
use super::pane::{message, put};
use crate::tui::format::{fit, width};
use crate::tui::screens::{List, Row};
use crate::tui::theme::{Slot, Theme};

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its header, with the unit.
    pub title: &'static str,
    /// Columns of the terminal that it takes at least.
    pub min: u16,
    /// And at most.
    pub max: u16,
    /// Numbers stand at the right.
    pub right: bool,
    /// 0 is never dropped; the largest is dropped first.
    pub rank: u8,
}

impl Column {
    /// A column of text, as wide as `min..=max`.
    pub const fn text(title: &'static str, min: u16, max: u16, rank: u8) -> Self {
        Self { title, min, max, right: false, rank }
    }

    /// A column of numbers of a fixed width.
    pub const fn number(title: &'static str, width: u16, rank: u8) -> Self {
        Self { title, min: width, max: width, right: true, rank }
    }
}

/// What stands in one cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Text.
    Text(Cow<'a, str>, Style),
    /// Text of which the end tells it apart.
    End(Cow<'a, str>, Style),
    /// A value on a scale from nothing to full, with its band.
    Meter(Meter),
    /// Shares of a whole.
    Shares([Share; 3]),
}

impl<'a> Cell<'a> {
    /// A cell of text.
    pub fn new(text: impl Into<Cow<'a, str>>, style: Style) -> Self {
        Self::Text(text.into(), style)
    }
}

/// Columns of the terminal left of the first column: the cursor's.
const CURSOR: u16 = 2;

/// Where each column stands: its start and width, or nothing if there is no room for it.
pub fn arrange(columns: &[Column], room: u16) -> Vec<Option<(u16, u16)>> {
    let gap = if room >= 110 { 2 } else { 1 };
    let mut kept: Vec<bool> = vec![true; columns.len()];
    let needed = |kept: &[bool]| {
        let shown = columns.iter().zip(kept).filter(|(_, kept)| **kept);
        shown.fold(CURSOR, |sum, (column, _)| sum.saturating_add(column.min).saturating_add(gap)).saturating_sub(gap)
    };
    while needed(&kept) > room {
        let worst =
            (0..columns.len()).filter(|i| kept[*i] && columns[*i].rank > 0).max_by_key(|i| (columns[*i].rank, *i));
        let Some(worst) = worst else { break };
        kept[worst] = false;
    }
    let mut spare = room.saturating_sub(needed(&kept));
    let mut widths: Vec<u16> = columns.iter().map(|column| column.min).collect();
    let mut by_rank: Vec<usize> = (0..columns.len()).filter(|i| kept[*i]).collect();
    by_rank.sort_by_key(|i| columns[*i].rank);
    for i in by_rank {
        let more = columns[i].max.saturating_sub(columns[i].min).min(spare);
        widths[i] += more;
        spare -= more;
    }
    let mut x = CURSOR;
    (0..columns.len())
        .map(|i| {
            kept[i].then(|| {
                let at = (x, widths[i]);
                x = x.saturating_add(widths[i]).saturating_add(gap);
                at
            })
        })
        .collect()
}

/// A table over a list.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// Its columns.
    pub columns: &'a [Column],
    /// How it looks.
    pub theme: &'a Theme,
    /// The column it is sorted by, and whether in the other order.
    pub sort: Option<(usize, bool)>,
    /// It has the keys.
    pub active: bool,
}

impl Table<'_> {
    /// Draws header and visible rows. `row` gives the cells of one row, one per column; it is called for visible rows only.
    pub fn draw<'c, K: Clone + PartialEq>(
        &self,
        buffer: &mut Buffer,
        area: Rect,
        list: &mut List<K>,
        empty: &str,
        mut row: impl FnMut(&Row<K>) -> Vec<Cell<'c>>,
    ) {
        let theme = self.theme;
        // With a single line the selected row is worth more than the header.
        let header = u16::from(area.height > 1);
        let places = arrange(self.columns, area.width);
        if header > 0 {
            self.header(buffer, area, &places);
        }
        let body = Rect { y: area.y + header, height: area.height - header, ..area };
        let selected = list.selected.clone();
        let (_, rows) = list.window(usize::from(body.height));
        if rows.is_empty() {
            message(buffer, body, theme, Slot::Muted, empty);
            return;
        }
        for (line, entry) in (0u16..).zip(rows) {
            let is_selected = selected.as_ref() == Some(&entry.key);
            let here = Rect { y: body.y + line, height: 1, ..body };
            for ((place, column), cell) in places.iter().zip(self.columns).zip(row(entry)) {
                if let Some((x, wide)) = *place {
                    self.cell(buffer, here, x, wide, column.right, &cell);
                }
            }
            if is_selected {
                let slot = if self.active { Slot::Selection } else { Slot::Emphasis };
                buffer.set_style(here.intersection(buffer.area), theme.style(slot));
                put(buffer, here, 0, 0, theme.glyphs.cursor, theme.style(Slot::Accent));
            }
        }
    }

    fn header(&self, buffer: &mut Buffer, area: Rect, places: &[Option<(u16, u16)>]) {
        let theme = self.theme;
        for (i, (place, column)) in places.iter().zip(self.columns).enumerate() {
            let Some((x, wide)) = *place else { continue };
            let mark = match self.sort {
                Some((at, reversed)) if at == i => {
                    if reversed {
                        theme.glyphs.up
                    } else {
                        theme.glyphs.down
                    }
                }
                _ => "",
            };
            let room = usize::from(wide).saturating_sub(width(mark));
            let title = fit(column.title, room, "");
            let taken = u16::try_from(width(&title) + width(mark)).unwrap_or(wide);
            let start = if column.right { x + wide.saturating_sub(taken) } else { x };
            let end = put(buffer, area, start, 0, &title, theme.style(Slot::Label));
            if !mark.is_empty() {
                put(buffer, area, end, 0, mark, theme.style(Slot::Accent));
            }
        }
    }

    fn cell(&self, buffer: &mut Buffer, row: Rect, x: u16, wide: u16, right: bool, cell: &Cell) {
        let room = Rect { x: row.x + x.min(row.width), width: wide.min(row.width.saturating_sub(x)), ..row };
        let (text, style) = match cell {
            Cell::Text(text, style) => (fit(text, usize::from(wide), self.theme.glyphs.ellipsis), *style),
            Cell::End(text, style) => {
                (crate::tui::format::fit_start(text, usize::from(wide), self.theme.glyphs.ellipsis), *style)
            }
            Cell::Meter(meter) => return meter.draw(buffer, room, self.theme),
            Cell::Shares(shares) => return bars::shares(buffer, room, self.theme, shares),
        };
        let taken = u16::try_from(width(&text)).unwrap_or(wide);
        let start = if right { wide.saturating_sub(taken) } else { 0 };
        put(buffer, room, start, 0, &text, style);
    }
}

/// Where the selection is in a long list: `12/340`; empty for a list that is short enough to be seen.
pub fn position<K>(list: &List<K>) -> String {
    if list.rows.is_empty() { String::new() } else { format!("{}/{}", list.index + 1, list.rows.len()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::text("NAME", 8, 30, 0),
        Column::number("LAG", 6, 1),
        Column::number("OUT", 6, 3),
        Column::text("WHY", 10, 90, 2),
    ];

    #[test]
    fn columns_go_by_rank_and_grow_in_order_of_rank() {
        assert_eq!(arrange(&COLUMNS, 36), [Some((2, 9)), Some((12, 6)), Some((19, 6)), Some((26, 10))]);
        assert_eq!(arrange(&COLUMNS, 34), [Some((2, 14)), Some((17, 6)), None, Some((24, 10))]);
        assert_eq!(arrange(&COLUMNS, 20), [Some((2, 11)), Some((14, 6)), None, None]);
        assert_eq!(arrange(&COLUMNS, 5), [Some((2, 8)), None, None, None]);
    }

    proptest! {
        #[test]
        fn only_visible_rows_are_built_and_the_selected_one_is_among_them(
            len in 0u32..500, wide in 0u16..150, high in 0u16..40, selected in 0usize..600
        ) {
            let mut list = List::default();
            list.set((0..len).map(|key| Row { key, at: 0 }).collect());
            list.select(selected);
            let area = Rect::new(0, 0, wide, high);
            let mut buffer = Buffer::empty(area);
            let theme = Theme::plain();
            let mut built = Vec::new();
            let table = Table { columns: &COLUMNS, theme: &theme, sort: Some((1, true)), active: true };
            table.draw(&mut buffer, area, &mut list, "nothing", |row| {
                built.push(row.key);
                vec![Cell::new(row.key.to_string(), Style::new()); 4]
            });
            prop_assert!(built.len() <= usize::from(high));
            if len > 0 && high > 0 {
                prop_assert!(built.contains(&list.selected.unwrap()));
            }
        }
    }
}
