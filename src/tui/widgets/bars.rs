//! Bars on one line: a value against its band, shares of a whole, memory in use and at its peak, subtasks against each other.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::pane::put;
use crate::tui::theme::{Slot, Theme};

/// A value on a scale from 0 to 1 with the band in which it should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meter {
    /// The value; NaN draws an empty scale.
    pub value: f64,
    /// Lower and upper end of the band.
    pub band: Option<(f64, f64)>,
    /// How the filled part looks.
    pub slot: Slot,
}

impl Meter {
    /// Draws the first line of `area`.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect, theme: &Theme) {
        let glyphs = theme.glyphs;
        let wide = area.width;
        let (full, part) = eighths(self.value, wide);
        for x in 0..wide {
            let (shape, slot) = if x < full {
                (glyphs.bar_full, self.slot)
            } else if x == full && part > 0 {
                (glyphs.bar_parts[part], self.slot)
            } else {
                (glyphs.bar_empty, Slot::Muted)
            };
            put(buffer, area, x, 0, shape, theme.style(slot));
        }
        let marks = self.band.into_iter().flat_map(|(low, high)| [low, high]).filter(|mark| mark.is_finite());
        for mark in marks {
            put(buffer, area, cell_of(mark, wide), 0, glyphs.bar_mark, theme.style(Slot::Threshold));
        }
    }
}

/// Full cells and eighths of the next one for a ratio of `wide` cells. A ratio above nothing shows at least one eighth.
fn eighths(ratio: f64, wide: u16) -> (u16, usize) {
    if ratio.is_nan() || ratio <= 0.0 {
        return (0, 0);
    }
    let total = (ratio.min(1.0) * f64::from(wide) * 8.0).round().max(1.0) as u32;
    (u16::try_from(total / 8).unwrap_or(wide), (total % 8) as usize)
}

/// The cell in which a ratio lies.
fn cell_of(ratio: f64, wide: u16) -> u16 {
    let cell = (ratio.clamp(0.0, 1.0) * f64::from(wide)) as u16;
    cell.min(wide.saturating_sub(1))
}

/// One share of a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// How large, 0..=1; NaN is nothing.
    pub ratio: f64,
    /// What it is; it also chooses the shape.
    pub slot: Slot,
}

impl Share {
    /// Busy, backpressured and idle time.
    pub fn of_time(busy: f64, backpressured: f64, idle: f64) -> [Self; 3] {
        [(busy, Slot::Busy), (backpressured, Slot::Backpressured), (idle, Slot::Idle)]
            .map(|(ratio, slot)| Self { ratio, slot })
    }
}

/// The shape of a share: busy is full, backpressured half, everything else empty.
fn shape(theme: &Theme, slot: Slot) -> &'static str {
    match (slot, theme.glyphs.ascii) {
        (Slot::Busy | Slot::PoolUsed, _) => theme.glyphs.bar_full,
        (Slot::Backpressured | Slot::PoolPeak, true) => "%",
        (Slot::Backpressured | Slot::PoolPeak, false) => "▒",
        _ => theme.glyphs.bar_empty,
    }
}

/// Shares beside each other on the first line of `area`; what they leave is blank. A share above nothing takes a cell at least.
pub fn shares(buffer: &mut Buffer, area: Rect, theme: &Theme, shares: &[Share]) {
    let wide = f64::from(area.width);
    let (mut sum, mut x) = (0.0, 0u16);
    for share in shares.iter().filter(|share| share.ratio > 0.0) {
        sum += share.ratio;
        let end = ((sum.min(1.0) * wide).round() as u16).max(x.saturating_add(1)).min(area.width);
        while x < end {
            put(buffer, area, x, 0, shape(theme, share.slot), theme.style(share.slot));
            x += 1;
        }
    }
}

/// One pool on the first line of `area`: used, then up to the peak, then what was never used, on a scale of `whole` bytes.
pub fn pool(buffer: &mut Buffer, area: Rect, theme: &Theme, whole: u64, used: u64, peak: u64, configured: u64) {
    let whole = whole.max(1) as f64;
    let ratio = |bytes: u64| bytes as f64 / whole;
    let peak = peak.max(used);
    let parts = [
        Share { ratio: ratio(used), slot: Slot::PoolUsed },
        Share { ratio: ratio(peak - used), slot: Slot::PoolPeak },
        Share { ratio: ratio(configured.saturating_sub(peak)), slot: Slot::PoolFree },
    ];
    shares(buffer, area, theme, &parts);
}

/// Subtasks against each other: one cell of a row of heights per subtask, or per group of neighbours when there are more
/// subtasks than cells (the highest of the group counts). Values are 0..=1; unknown ones are `?`.
pub fn skew(buffer: &mut Buffer, area: Rect, theme: &Theme, values: &[f64], slot: impl Fn(f64) -> Slot) {
    let cells = usize::from(area.width).min(values.len());
    for cell in 0..cells {
        let (from, to) = (cell * values.len() / cells, (cell + 1) * values.len() / cells);
        let group = values.get(from..to).unwrap_or_default();
        let highest = group.iter().copied().filter(|value| !value.is_nan()).fold(f64::NAN, f64::max);
        let x = u16::try_from(cell).unwrap_or(u16::MAX);
        if highest.is_nan() {
            put(buffer, area, x, 0, theme.glyphs.unknown, theme.style(Slot::Stale));
        } else {
            let step = (highest.clamp(0.0, 1.0) * 8.0).ceil().max(1.0) as usize;
            put(buffer, area, x, 0, theme.glyphs.spark[step.min(8)], theme.style(slot(highest)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::theme::{ColourLevel, UNICODE, load};

    fn line(wide: u16, draw: impl FnOnce(&mut Buffer, Rect, &Theme)) -> String {
        let theme = load("dark", None, ColourLevel::None, &UNICODE).unwrap();
        let area = Rect::new(0, 0, wide, 1);
        let mut buffer = Buffer::empty(area);
        draw(&mut buffer, area, &theme);
        buffer.content.iter().map(|cell| cell.symbol()).collect()
    }

    #[test]
    fn a_meter_shows_value_and_band() {
        let meter = |value, band| Meter { value, band, slot: Slot::Busy };
        let text = |meter: Meter| line(10, |b, a, t| meter.draw(b, a, t));
        assert_eq!(text(meter(0.55, Some((0.3, 0.8)))), "███│█▌░░│░");
        assert_eq!(text(meter(f64::NAN, None)), "░░░░░░░░░░");
        assert_eq!(text(meter(0.001, None)), "▏░░░░░░░░░");
        assert_eq!(text(meter(7.0, Some((f64::NAN, 1.0)))), "█████████│");
    }

    #[test]
    fn shares_and_pools_have_different_shapes() {
        assert_eq!(line(10, |b, a, t| shares(b, a, t, &Share::of_time(0.4, 0.3, 0.3))), "████▒▒▒░░░");
        assert_eq!(line(10, |b, a, t| shares(b, a, t, &Share::of_time(0.001, f64::NAN, 0.5))), "█░░░░     ");
        assert_eq!(line(10, |b, a, t| pool(b, a, t, 100, 20, 50, 80)), "██▒▒▒░░░  ");
    }

    #[test]
    fn skew_keeps_the_highest_of_a_group() {
        let values = [0.1, 0.9, f64::NAN, f64::NAN, 0.0, 0.2];
        assert_eq!(line(3, |b, a, t| skew(b, a, t, &values, |_| Slot::Busy)), "█?▂");
        assert_eq!(line(9, |b, a, t| skew(b, a, t, &values, |_| Slot::Busy)), "▁█??▁▂   ");
    }

    proptest! {
        #[test]
        fn no_value_leaves_the_bar(wide in 0u16..30, value in prop::num::f64::ANY, low in prop::num::f64::ANY) {
            line(wide, |b, a, t| Meter { value, band: Some((low, value)), slot: Slot::Busy }.draw(b, a, t));
            line(wide, |b, a, t| shares(b, a, t, &Share::of_time(value, low, value)));
            line(wide, |b, a, t| pool(b, a, t, low as u64, value as u64, 3, 9));
            line(wide, |b, a, t| skew(b, a, t, &[value, low, f64::NAN], |_| Slot::Busy));
        }
    }
}
