//! A line chart over time with holes where samples are missing, and rules for target, band and thresholds.
//!
//! Draws dots itself (two by four a cell, or one a cell in ASCII), because a hole must stay a hole and a rule must not hide a
//! measured point. A series is reduced to its lowest and highest value a column of dots, so its length costs nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::pane::{message, put, put_right};
use crate::tui::format::{UNKNOWN, width};
use crate::tui::theme::{Slot, Theme};

/// A measured series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Seconds (negative: ago) and value, in order of time. NaN is a hole.
    pub points: &'a [(f64, f64)],
    /// How it looks.
    pub slot: Slot,
}

/// A level that the series is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule<'a> {
    /// Its name at the right end.
    pub name: &'a str,
    /// Its value; a rule that is not finite is not drawn.
    pub value: f64,
    /// How it looks; it also chooses the dashes.
    pub slot: Slot,
}

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Chart<'a> {
    /// The series; the first is drawn over the others.
    pub series: &'a [Series<'a>],
    /// The rules.
    pub rules: &'a [Rule<'a>],
    /// Seconds at the left end (negative); the right end is 0.
    pub from: f64,
    /// Longer than this between two points is a hole, seconds.
    pub hole: f64,
    /// The top of the scale, if it is fixed.
    pub top: Option<f64>,
    /// How values are written.
    pub label: fn(f64) -> String,
    /// How the left end is written.
    pub since: &'a str,
    /// How the right end is written.
    pub until: &'a str,
    /// What to say when there is no point at all.
    pub empty: &'a str,
}

/// One column of dots of a series: first, lowest, highest and last value.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// It follows the bucket before it without a hole.
    joined: bool,
    first: f64,
    low: f64,
    high: f64,
    last: f64,
}

impl Chart<'_> {
    /// Draws the chart.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect, theme: &Theme) {
        if !self.series.iter().any(|series| series.points.iter().any(|(_, value)| value.is_finite())) {
            message(buffer, area, theme, Slot::Muted, self.empty);
            return;
        }
        let top = self.top();
        let labels = [(self.label)(top), (self.label)(top / 2.0), (self.label)(0.0)];
        let gutter = labels.iter().map(|label| width(label)).max().unwrap_or(0);
        let gutter = u16::try_from(gutter + 1).unwrap_or(0);
        let names = self
            .rules
            .iter()
            .filter(|rule| rule.value.is_finite())
            .map(|rule| width(rule.name) + 3 + width(&(self.label)(rule.value)))
            .max()
            .unwrap_or(0);
        let names = u16::try_from(names).unwrap_or(0);
        // Names of rules go first, then the scale.
        let names = if names == 0 || area.width < gutter + names + 24 { 0 } else { names };
        let gutter = if area.width < gutter + 8 { 0 } else { gutter };
        let foot = if area.height >= 5 { 2 } else { 0 };
        let plot =
            Rect { x: area.x + gutter, y: area.y, width: area.width - gutter - names, height: area.height - foot };
        if plot.width == 0 || plot.height == 0 {
            return;
        }
        self.rules(buffer, area, plot, theme, top, names);
        self.plot(buffer, plot, theme, top);
        if gutter > 0 {
            let side = Rect { width: gutter - 1, ..Rect { height: plot.height, ..area } };
            let rows: &[(u16, &String)] = match plot.height {
                0..3 => &[(0, &labels[0])],
                3..6 => &[(0, &labels[0]), (plot.height - 1, &labels[2])],
                _ => &[(0, &labels[0]), ((plot.height - 1) / 2, &labels[1]), (plot.height - 1, &labels[2])],
            };
            for (row, label) in rows {
                let at = side.width.saturating_sub(u16::try_from(width(label)).unwrap_or(0));
                put(buffer, side, at, *row, label, theme.style(Slot::Axis));
            }
        }
        if foot > 0 {
            self.foot(buffer, Rect { y: plot.bottom(), height: foot, ..plot }, theme);
        }
    }

    /// The top of the scale: above every point, and above the rules unless they are so high that the series would lie flat.
    fn top(&self) -> f64 {
        if let Some(top) = self.top {
            return top;
        }
        let points = self.series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value));
        let highest = points.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let rules =
            self.rules.iter().map(|rule| rule.value).filter(|value| value.is_finite() && *value <= highest * 1.8);
        let highest = rules.fold(highest, f64::max);
        if highest > 0.0 { nice(highest * 1.02) } else { 1.0 }
    }

    fn rules(&self, buffer: &mut Buffer, area: Rect, plot: Rect, theme: &Theme, top: f64, names: u16) {
        let mut rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.value.is_finite()).collect();
        rules.sort_by(|a, b| b.value.total_cmp(&a.value));
        let mut free = 0;
        for (i, rule) in rules.iter().enumerate() {
            let above = rule.value > top;
            let row = row_of(rule.value, top, plot.height);
            let style = theme.style(rule.slot);
            if !above {
                let shape = dashes(theme, rule.slot);
                for x in 0..plot.width {
                    put(buffer, plot, x, row, shape, style);
                }
            }
            if names > 0 {
                // Names that would lie on each other move down, as long as those below still find room.
                let below = u16::try_from(rules.len() - 1 - i).unwrap_or(0);
                let at = row.min(plot.height.saturating_sub(1 + below)).max(free);
                let side = Rect { x: plot.right(), width: area.right() - plot.right(), ..plot };
                let mark = if above { theme.glyphs.up } else { "" };
                let text = format!(" {mark}{} {}", rule.name, (self.label)(rule.value));
                put(buffer, side, 0, at, &text, style);
                free = at + 1;
            }
        }
    }

    fn plot(&self, buffer: &mut Buffer, plot: Rect, theme: &Theme, top: f64) {
        let ascii = theme.glyphs.ascii;
        let (wide, high) = if ascii { (1, 1) } else { (2, 4) };
        let columns = usize::from(plot.width) * wide;
        let rows = usize::from(plot.height) * high;
        let mut dots: Vec<u8> = vec![0; usize::from(plot.width) * usize::from(plot.height)];
        for (i, series) in self.series.iter().enumerate().rev() {
            dots.fill(0);
            let mut before: Option<(usize, usize)> = None;
            // Fills a column from `top` to `bottom` (counted from above), and up or down to the column before it.
            let mut fill = |x: usize, top: usize, bottom: usize, neighbour: Option<usize>| {
                let top = neighbour.map_or(top, |row| top.min(row + 1));
                let bottom = neighbour.map_or(bottom, |row| bottom.max(row.saturating_sub(1)));
                for row in top..=bottom {
                    mark(&mut dots, plot.width, (wide, high), x, row);
                }
            };
            for (x, bucket) in self.buckets(series.points, columns).into_iter().enumerate() {
                let Some(bucket) = bucket else { continue };
                let y = |value: f64| dot_of(value, top, rows);
                let mut neighbour = None;
                if let (true, Some((from_x, from_y))) = (bucket.joined, before) {
                    // Columns without a point between two joined ones are bridged in a straight line.
                    let (to_y, span) = (y(bucket.first), x - from_x);
                    let mut row = from_y;
                    for step in 1..span {
                        let share = step as f64 / span as f64;
                        let level = (from_y as f64 + (to_y as f64 - from_y as f64) * share).round() as usize;
                        fill(from_x + step, level, level, Some(row));
                        row = level;
                    }
                    neighbour = Some(row);
                }
                fill(x, y(bucket.high), y(bucket.low), neighbour);
                before = Some((x, y(bucket.last)));
            }
            let style = theme.style(series.slot);
            for (cell, bits) in dots.iter().enumerate().filter(|(_, bits)| **bits != 0) {
                let (x, y) = (cell % usize::from(plot.width), cell / usize::from(plot.width));
                let (x, y) = (u16::try_from(x).unwrap_or(0), u16::try_from(y).unwrap_or(0));
                let mut text = [0u8; 4];
                let shape = match (ascii, i) {
                    (true, 0) => "*",
                    (true, _) => "o",
                    (false, 0) => braille(*bits).encode_utf8(&mut text),
                    // Dotted, so that it can be told from the first without colours.
                    (false, _) if bits & DOTTED == 0 => continue,
                    (false, _) => braille(*bits & DOTTED).encode_utf8(&mut text),
                };
                put(buffer, plot, x, y, shape, style);
            }
        }
    }

    /// The series in columns of dots; `None` where it has no point.
    fn buckets(&self, points: &[(f64, f64)], columns: usize) -> Vec<Option<Bucket>> {
        let mut buckets: Vec<Option<Bucket>> = vec![None; columns];
        let span = -self.from;
        if span <= 0.0 || columns == 0 {
            return buckets;
        }
        let mut last: Option<f64> = None;
        for (at, value) in points.iter().copied() {
            if !value.is_finite() {
                last = None;
                continue;
            }
            let joined = last.is_some_and(|before| at - before <= self.hole);
            last = Some(at);
            if at < self.from || at > 0.0 {
                continue;
            }
            let x = (((at - self.from) / span) * (columns - 1) as f64).round() as usize;
            let Some(slot) = buckets.get_mut(x.min(columns - 1)) else { continue };
            *slot = Some(match *slot {
                None => Bucket { joined, first: value, low: value, high: value, last: value },
                Some(old) => Bucket { low: old.low.min(value), high: old.high.max(value), last: value, ..old },
            });
        }
        buckets
    }

    /// The axis of time: a line where there are samples, blank where there are none.
    fn foot(&self, buffer: &mut Buffer, area: Rect, theme: &Theme) {
        let style = theme.style(Slot::Axis);
        let columns = usize::from(area.width);
        let points = self.series.first().map_or(&[][..], |series| series.points);
        let buckets = self.buckets(points, columns);
        let known: Vec<usize> = (0..columns).filter(|x| buckets[*x].is_some()).collect();
        for (i, x) in known.iter().enumerate() {
            let joined = i > 0 && buckets[*x].is_some_and(|bucket| bucket.joined);
            let from = if joined { known[i - 1] } else { *x };
            for at in from..=*x {
                put(buffer, area, u16::try_from(at).unwrap_or(0), 0, theme.glyphs.lines.horizontal, style);
            }
        }
        let taken = put(buffer, area, 0, 1, self.since, style);
        put_right(buffer, area, 1, taken, self.until, style);
    }
}

/// Draws name and last value of every series on the first line of `area`.
pub fn legend(buffer: &mut Buffer, area: Rect, theme: &Theme, chart: &Chart) {
    let mut x = 0;
    for (i, series) in chart.series.iter().enumerate() {
        let shape = match (theme.glyphs.ascii, i) {
            (true, 0) => "*",
            (true, _) => "o",
            (false, 0) => "⠒",
            (false, _) => "⠂",
        };
        let last = series.points.last().map_or_else(|| UNKNOWN.to_owned(), |(_, value)| (chart.label)(*value));
        x = put(buffer, area, x, 0, shape, theme.style(series.slot));
        x = put(buffer, area, x, 0, " ", theme.style(Slot::Base));
        x = put(buffer, area, x, 0, series.name, theme.style(Slot::Label));
        x = put(buffer, area, x, 0, " ", theme.style(Slot::Base));
        x = put(buffer, area, x, 0, &last, theme.style(Slot::Emphasis)) + 3;
    }
}

/// The dashes of a rule: a target is a line, a band dotted, a threshold dashed.
fn dashes(theme: &Theme, slot: Slot) -> &'static str {
    match (slot, theme.glyphs.ascii) {
        (Slot::Target, true) => "-",
        (Slot::Target, false) => "─",
        (Slot::Band, true) => ".",
        (Slot::Band, false) => "┄",
        (_, true) => "=",
        (_, false) => "╌",
    }
}

/// The line of a plot on which a value lies.
fn row_of(value: f64, top: f64, height: u16) -> u16 {
    u16::try_from(dot_of(value, top, usize::from(height) * 4) / 4).unwrap_or(0)
}

/// The row of dots, from the top, on which a value lies.
fn dot_of(value: f64, top: f64, rows: usize) -> usize {
    let last = rows.saturating_sub(1);
    let from_below = ((value / top).clamp(0.0, 1.0) * last as f64).round() as usize;
    last - from_below.min(last)
}

/// Sets one dot.
fn mark(dots: &mut [u8], width: u16, (wide, high): (usize, usize), x: usize, y: usize) {
    /// Bits of a braille cell by column and row.
    const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    let bit = if wide == 1 { 1 } else { BITS[x % 2][y % 4] };
    if let Some(cell) = dots.get_mut(y / high * usize::from(width) + x / wide) {
        *cell |= bit;
    }
}

/// Dots of the left column of a braille cell.
const DOTTED: u8 = 0x47;

fn braille(bits: u8) -> char {
    char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ')
}

/// The next number that reads well: 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::format::count;
    use crate::tui::theme::{ColourLevel, UNICODE, load};

    fn text(chart: &Chart, theme: &Theme, (wide, high): (u16, u16)) -> Vec<String> {
        let area = Rect::new(0, 0, wide, high);
        let mut buffer = Buffer::empty(area);
        chart.draw(&mut buffer, area, theme);
        let lines = buffer.content.chunks(usize::from(wide).max(1));
        lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect()
    }

    fn chart<'a>(series: &'a [Series<'a>], rules: &'a [Rule<'a>]) -> Chart<'a> {
        Chart {
            series,
            rules,
            from: -60.0,
            hole: 8.0,
            top: None,
            label: count,
            since: "-1m",
            until: "now",
            empty: "no samples yet",
        }
    }

    #[test]
    fn a_hole_stays_a_hole() {
        let points: Vec<(f64, f64)> = (0..=12)
            .map(|i| (-60.0 + f64::from(i) * 5.0, 100.0))
            .filter(|(at, _)| !(-41.0..-14.0).contains(at))
            .collect();
        let series = [Series { name: "in", points: &points, slot: Slot::Series }];
        let lines = text(&chart(&series, &[]), &Theme::plain(), (40, 8));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn rules_have_names_that_do_not_lie_on_each_other() {
        let points: Vec<(f64, f64)> = (0..=60).map(|i| (f64::from(i) - 60.0, 50.0 + f64::from(i))).collect();
        let series = [Series { name: "in", points: &points, slot: Slot::Series }];
        let rules = [
            Rule { name: "target", value: 100.0, slot: Slot::Target },
            Rule { name: "up", value: 98.0, slot: Slot::Threshold },
            Rule { name: "down", value: 900.0, slot: Slot::Threshold },
            Rule { name: "none", value: f64::INFINITY, slot: Slot::Threshold },
        ];
        let theme = load("dark", None, ColourLevel::None, &UNICODE).unwrap();
        let lines = text(&chart(&series, &rules), &theme, (50, 9));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn without_a_point_it_says_so() {
        let points = [(-3.0, f64::NAN)];
        let series = [Series { name: "in", points: &points, slot: Slot::Series }];
        let lines = text(&chart(&series, &[]), &Theme::plain(), (30, 3));
        assert_eq!(lines, ["", "        no samples yet", ""]);
    }

    proptest! {
        #[test]
        fn any_series_at_any_size_is_drawn(
            wide in 0u16..60, high in 0u16..20, ascii: bool,
            points in prop::collection::vec((-100.0f64..10.0, prop::num::f64::ANY), 0..60),
            rule in prop::num::f64::ANY, from in -100.0f64..0.0
        ) {
            let mut points = points;
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let series = [Series { name: "in", points: &points, slot: Slot::Series }];
            let rules = [Rule { name: "r", value: rule, slot: Slot::Band }];
            let theme = if ascii { Theme::plain() } else { load("dark", None, ColourLevel::None, &UNICODE).unwrap() };
            text(&Chart { from, ..chart(&series, &rules) }, &theme, (wide, high));
        }
    }
}
