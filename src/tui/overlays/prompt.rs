//! A question that is answered with words: why a decision is rejected, for how long it is put off.

use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::popup::{keys_line, popup};
use super::{Line, Reply};
use crate::domain::decision::{Decision, DecisionId};
use crate::domain::text::parse_duration;
use crate::tui::event::{Code, Key};
use crate::tui::format::width;
use crate::tui::theme::{Slot, Theme};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Why this decision is rejected.
    RejectReason(DecisionId),
    /// For how long this decision is put off.
    SnoozeTime(DecisionId),
}

impl Ask {
    fn question(self) -> &'static str {
        match self {
            Self::RejectReason(_) => "Why is it rejected? (may be empty)",
            Self::SnoozeTime(_) => "For how long? (30s, 15m, 2h; empty is the configured time)",
        }
    }
}

/// A question with the answer being typed.
#[derive(Debug)]
pub struct Prompt {
    /// What is asked.
    pub ask: Ask,
    /// The decision it is about, as it was when the question came up.
    pub decision: Arc<Decision>,
    /// The answer.
    pub line: Line,
    /// What is wrong with the answer.
    pub error: Option<String>,
}

impl Prompt {
    /// The question, not answered yet.
    pub fn new(ask: Ask, decision: Arc<Decision>) -> Self {
        Self { ask, decision, line: Line::default(), error: None }
    }

    /// Takes a key. Enter answers; it confirms nothing: a confirmation follows.
    pub fn key(&mut self, key: Key) -> Reply {
        match key.code {
            Code::Esc => Reply::Close,
            Code::Enter => {
                let text = self.line.value().trim();
                match self.ask {
                    Ask::SnoozeTime(_) if !text.is_empty() => match parse_duration(text) {
                        Ok(time) if time.is_zero() => {
                            self.error = Some("the time must be longer than nothing".to_owned());
                            Reply::Stay
                        }
                        Ok(_) => Reply::Answered(self.ask, text.to_owned()),
                        Err(error) => {
                            self.error = Some(error);
                            Reply::Stay
                        }
                    },
                    Ask::SnoozeTime(_) | Ask::RejectReason(_) => Reply::Answered(self.ask, text.to_owned()),
                }
            }
            _ => {
                if self.line.key(key) {
                    self.error = None;
                }
                Reply::Stay
            }
        }
    }

    /// Draws the question.
    pub fn draw(&self, frame: &mut Frame, theme: &Theme) {
        let title = format!("{} {}", self.decision.target.name, self.decision.id);
        let area = popup(frame, theme, &title, Slot::BorderActive, 62, 4);
        let [question, answer, error] =
            area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Fill(1)]));
        frame.render_widget(Span::styled(self.ask.question(), theme.style(Slot::Label)), question);
        draw_line(frame, theme, answer, "> ", &self.line);
        let below = match &self.error {
            Some(error) => Text::styled(error.as_str(), theme.style(Slot::Error)),
            None => keys_line(theme, &[("enter", "goes on"), ("esc", "leaves it as it is")]),
        };
        frame.render_widget(Paragraph::new(below).wrap(Wrap { trim: true }), error);
    }
}

/// Draws a line being typed with its cursor, scrolled so that the cursor is visible.
pub fn draw_line(frame: &mut Frame, theme: &Theme, area: ratatui::layout::Rect, prefix: &str, line: &Line) {
    let lead = u16::try_from(width(prefix)).unwrap_or(0);
    let room = area.width.saturating_sub(lead + 1);
    let cursor = u16::try_from(line.cursor()).unwrap_or(u16::MAX);
    let skip = cursor.saturating_sub(room);
    let text = Text::from(vec![Span::styled(line.value(), theme.style(Slot::Input))]);
    frame.render_widget(Span::styled(prefix, theme.style(Slot::Key)), area);
    let rest =
        ratatui::layout::Rect { x: area.x + lead.min(area.width), width: area.width.saturating_sub(lead), ..area };
    frame.render_widget(Paragraph::new(text).scroll((0, skip)), rest);
    if area.width > lead && area.height > 0 {
        frame.set_cursor_position((area.x + lead + (cursor - skip).min(room), area.y));
    }
}
