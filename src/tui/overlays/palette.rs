//! The palette: every action by name, found by a few of its letters. What cannot be done now says why.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line as Text, Span};

use super::popup::popup;
use super::prompt::draw_line;
use super::{Line, Reply};
use crate::tui::action::Action;
use crate::tui::event::{Code, Key};
use crate::tui::model::Model;
use crate::tui::theme::Slot;

/// The palette.
#[derive(Debug)]
pub struct Palette {
    /// What is searched.
    pub line: Line,
    /// The actions found, best first, with the matched characters of their titles.
    pub found: Vec<(Action, Vec<u32>)>,
    /// Index of the selected one.
    pub selected: usize,
    offset: std::cell::Cell<usize>,
}

impl Default for Palette {
    fn default() -> Self {
        let mut palette = Self { line: Line::default(), found: Vec::new(), selected: 0, offset: 0.into() };
        palette.search();
        palette
    }
}

impl Palette {
    fn search(&mut self) {
        let pattern = Pattern::parse(self.line.value(), CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut found: Vec<(u32, Action, Vec<u32>)> = Vec::new();
        for action in Action::ALL.iter().filter(|action| **action != Action::Palette) {
            let mut indices = Vec::new();
            let by_title = pattern.indices(Utf32Str::new(action.title(), &mut buffer), &mut matcher, &mut indices);
            let by_id = pattern.score(Utf32Str::new(action.id(), &mut buffer), &mut matcher);
            if let Some(score) = by_title.max(by_id) {
                if by_title.is_none() {
                    indices.clear();
                }
                indices.sort_unstable();
                found.push((score, *action, indices));
            }
        }
        found.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
        self.found = found.into_iter().map(|(_, action, indices)| (action, indices)).collect();
        self.selected = 0;
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Reply {
        match (key.code, key.ctrl) {
            (Code::Esc, _) => return Reply::Close,
            (Code::Enter, _) => {
                return self.found.get(self.selected).map_or(Reply::Stay, |(action, _)| Reply::Act(*action));
            }
            (Code::Up, _) | (Code::Char('p'), true) => self.selected = self.selected.saturating_sub(1),
            (Code::Down | Code::Tab, _) | (Code::Char('n'), true) => {
                self.selected = (self.selected + 1).min(self.found.len().saturating_sub(1));
            }
            _ => {
                if self.line.key(key) {
                    self.search();
                }
            }
        }
        Reply::Stay
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        self.line.paste(text);
        self.search();
    }

    /// Draws the palette.
    pub fn draw(&self, frame: &mut Frame, model: &Model) {
        let theme = model.theme();
        let area = popup(frame, theme, "Every action", Slot::BorderActive, 74, 16);
        let [input, list] = area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
        let height = usize::from(list.height).max(1);
        let offset = self.offset.get().min(self.selected).max((self.selected + 1).saturating_sub(height));
        self.offset.set(offset);
        for (line, (at, (action, indices))) in self.found.iter().enumerate().skip(offset).take(height).enumerate() {
            let row = Rect { y: list.y + u16::try_from(line).unwrap_or(0), height: 1, ..list };
            let unavailable = action.available(model).err();
            let base = match (&unavailable, at == self.selected) {
                (_, true) => theme.style(Slot::Selection),
                (Some(_), false) => theme.style(Slot::Disabled),
                (None, false) => theme.style(Slot::Base),
            };
            let marked = theme.style(Slot::Match);
            let title = action.title().chars().zip(0u32..).map(|(c, n)| {
                let style = if indices.binary_search(&n).is_ok() { base.patch(marked) } else { base };
                Span::styled(c.to_string(), style)
            });
            let key = model.keymap().key_text(*action);
            let cursor = if at == self.selected { theme.glyphs.cursor } else { " " };
            let mut spans = vec![
                Span::styled(format!("{cursor} "), base),
                Span::styled(format!("{key:<9} "), base.patch(theme.style(Slot::Key))),
            ];
            spans.extend(title);
            if let Some(why) = unavailable {
                spans.push(Span::styled(format!("  {} {}", theme.glyphs.muted, why.0), theme.style(Slot::Disabled)));
            }
            frame.buffer_mut().set_style(row, base);
            frame.render_widget(Text::from(spans), row);
        }
        if self.found.is_empty() {
            frame.render_widget(Span::styled("no action has these letters", theme.style(Slot::Muted)), list);
        }
        draw_line(frame, theme, input, ":", &self.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Palette {
        let mut palette = Palette::default();
        text.chars().for_each(|c| {
            palette.key(Key::char(c));
        });
        palette
    }

    #[test]
    fn a_few_letters_find_an_action_by_title_or_id() {
        assert_eq!(typed("aprv").found[0].0, Action::Approve);
        assert_eq!(typed("flnk page").found[0].0, Action::CopyUrl);
        assert_eq!(typed("task-man").found[0].0, Action::TaskManagers);
        assert!(typed("zzzz").found.is_empty());
        assert_eq!(Palette::default().found.len(), Action::ALL.len() - 1);
    }

    #[test]
    fn enter_takes_the_selected_action() {
        let mut palette = typed("checkpoints");
        assert_eq!(palette.key(Key::plain(Code::Enter)), Reply::Act(Action::Checkpoints));
        let mut palette = typed("zzzz");
        assert_eq!(palette.key(Key::plain(Code::Enter)), Reply::Stay);
    }
}
