//! A sheet: lines of text that were broken for a width, to be shown in part, with what each says in front.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::format::{fit, width, wrap};
use crate::tui::theme::{Slot, Theme};

/// Columns of what stands in front.
const LABEL: usize = 10;
/// Lines of one sentence at most.
const LONGEST: usize = 6;

/// Lines of text for a width.
pub struct Sheet<'a> {
    theme: &'a Theme,
    columns: usize,
    lines: Vec<Line<'static>>,
}

impl<'a> Sheet<'a> {
    /// An empty sheet of so many columns.
    pub fn new(theme: &'a Theme, columns: usize) -> Self {
        Self { theme, columns, lines: Vec::new() }
    }

    /// Columns of a line.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// What was written.
    pub fn into_lines(self) -> Vec<Line<'static>> {
        self.lines
    }

    /// One line.
    pub fn line(&mut self, line: impl Into<Line<'static>>) {
        self.lines.push(line.into());
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.lines.push(Line::default());
    }

    /// A heading over what follows.
    pub fn heading(&mut self, text: &str) {
        self.line(Line::styled(text.to_owned(), self.theme.style(Slot::Title)));
    }

    /// A sentence with what it is about in front.
    pub fn field(&mut self, name: &str, text: &str, slot: Slot) {
        self.sentence(&format!("{name:<LABEL$} "), Slot::Label, text, slot);
    }

    /// A sentence with a first part; the following lines are indented by it.
    pub fn sentence(&mut self, lead: &str, lead_slot: Slot, text: &str, slot: Slot) {
        let indent = width(lead).min(self.columns);
        let (lead_style, style) = (self.theme.style(lead_slot), self.theme.style(slot));
        let room = self.columns.saturating_sub(indent).max(1);
        for (i, line) in wrap(text, room, LONGEST, self.theme.glyphs.ellipsis).into_iter().enumerate() {
            let lead = if i == 0 { lead.to_owned() } else { " ".repeat(indent) };
            self.lines.push(Line::from(vec![Span::styled(lead, lead_style), Span::styled(line, style)]));
        }
    }

    /// A line with parts at its right end; the text at the left is cut where it would meet them.
    pub fn ends(&mut self, left: &[(&str, Style)], text: (&str, Style), right: &[(String, Style)]) {
        let taken: usize = left.iter().map(|(text, _)| width(text)).sum();
        let ends: usize = right.iter().map(|(text, _)| width(text)).sum();
        let room = self.columns.saturating_sub(taken + ends + 1);
        let shown = fit(text.0, room, self.theme.glyphs.ellipsis).into_owned();
        let gap = " ".repeat(self.columns.saturating_sub(taken + ends + width(&shown)));
        let mut spans: Vec<Span> = left.iter().map(|(text, style)| Span::styled((*text).to_owned(), *style)).collect();
        spans.push(Span::styled(shown, text.1));
        spans.push(Span::raw(gap));
        spans.extend(right.iter().map(|(text, style)| Span::styled(text.clone(), *style)));
        self.lines.push(Line::from(spans));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sheet: Sheet) -> Vec<String> {
        let line = |line: &Line| line.spans.iter().map(|span| span.content.as_ref()).collect::<String>();
        sheet.into_lines().iter().map(line).collect()
    }

    #[test]
    fn sentences_are_indented_by_what_is_in_front() {
        let theme = Theme::plain();
        let mut sheet = Sheet::new(&theme, 30);
        sheet.field("lost", "the state since the last checkpoint", Slot::Base);
        assert_eq!(text(sheet), ["lost       the state since the", "           last checkpoint"]);
    }

    #[test]
    fn what_stands_at_the_right_is_never_cut() {
        let theme = Theme::plain();
        let style = Style::new();
        for columns in 0..40 {
            let mut sheet = Sheet::new(&theme, columns);
            sheet.ends(&[("1 ", style)], ("take a savepoint", style), &[("  12s".to_owned(), style)]);
            let line = text(sheet).remove(0);
            assert!(line.ends_with("  12s"), "{line:?}");
            assert!(columns < 8 || width(&line) == columns, "{line:?}");
        }
    }
}
