//! Help: every action with its keys, what it can do here first said by itself, and why not where it cannot. Searchable.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line as Text, Span};

use super::popup::ground;
use super::prompt::draw_line;
use super::{Line, Reply};
use crate::tui::action::{Action, Danger, Group};
use crate::tui::event::{Code, Key, sequence_text};
use crate::tui::model::Model;
use crate::tui::screens::Scroll;
use crate::tui::theme::Slot;

/// The help overlay.
#[derive(Debug, Default)]
pub struct Help {
    /// What is searched.
    pub search: Line,
    /// Position in the list.
    pub scroll: Scroll,
}

impl Help {
    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Reply {
        match (key.code, key.ctrl) {
            (Code::Esc, _) if !self.search.value().is_empty() => self.search = Line::default(),
            (Code::Esc, _) | (Code::Char('?'), _) => return Reply::Close,
            (Code::Up, _) => self.scroll.move_by(-1),
            (Code::Down, _) => self.scroll.move_by(1),
            (Code::PageUp, _) | (Code::Char('u'), true) => self.scroll.move_by(-10),
            (Code::PageDown, _) | (Code::Char('d'), true) => self.scroll.move_by(10),
            _ => {
                if self.search.key(key) {
                    self.scroll.offset = 0;
                }
            }
        }
        Reply::Stay
    }

    /// Draws the help.
    pub fn draw(&mut self, frame: &mut Frame, model: &Model) {
        let theme = model.theme();
        let all = frame.area();
        let width = all.width.min(92);
        let area = Rect { x: all.x + (all.width - width) / 2, width, ..all };
        let title = format!("Help {} {}", theme.glyphs.chevron, model.screen().title());
        let area = ground(frame, theme, &title, Slot::BorderActive, area);
        let [input, list] = area.layout(&Layout::vertical([Constraint::Length(2), Constraint::Fill(1)]));
        let lines = self.lines(model);
        self.scroll.fit(lines.len(), usize::from(list.height));
        for (line, y) in lines.into_iter().skip(self.scroll.offset).zip(list.rows()) {
            frame.render_widget(line, y);
        }
        draw_line(frame, theme, input, "search: ", &self.search);
    }

    fn lines(&self, model: &Model) -> Vec<Text<'static>> {
        let theme = model.theme();
        let words: Vec<String> = self.search.value().split_whitespace().map(str::to_lowercase).collect();
        let mut lines = Vec::new();
        for group in Group::ALL {
            let before = lines.len();
            for action in Action::ALL.iter().copied().filter(|action| action.group() == group) {
                let keys = model.keymap().keys_of(action).map(sequence_text).collect::<Vec<_>>().join(", ");
                let text = format!("{keys} {} {}", action.title(), action.id()).to_lowercase();
                if !words.iter().all(|word| text.contains(word)) {
                    continue;
                }
                let why = action.available(model).err();
                let slot = if why.is_some() { Slot::Disabled } else { Slot::Base };
                let mut spans = vec![
                    Span::styled(format!("  {keys:<17} "), theme.style(if why.is_some() { slot } else { Slot::Key })),
                    Span::styled(action.title(), theme.style(slot)),
                ];
                match action.danger() {
                    Danger::Local => {}
                    Danger::Effect => spans.push(Span::styled("  asks: y", theme.style(Slot::Info))),
                    // Who scales changes, nothing else.
                    Danger::Restarts if action == Action::TakeOver => {
                        spans.push(Span::styled("  restarts nothing; asks: y", theme.style(Slot::Warning)))
                    }
                    Danger::Restarts => {
                        spans.push(Span::styled("  restarts a job; asks: y", theme.style(Slot::Warning)))
                    }
                    Danger::Loses => {
                        spans.push(Span::styled("  can lose state; asks: the name, y", theme.style(Slot::Error)))
                    }
                }
                if let Some(why) = why {
                    spans
                        .push(Span::styled(format!("  {} {}", theme.glyphs.muted, why.0), theme.style(Slot::Disabled)));
                }
                lines.push(Text::from(spans));
            }
            if lines.len() > before {
                lines.insert(before, Text::styled(group.title(), theme.style(Slot::Title)));
                lines.push(Text::default());
            }
        }
        if lines.is_empty() {
            lines.push(Text::styled("nothing found", theme.style(Slot::Muted)));
        }
        lines
    }
}
