//! A choice between ways of doing an operation. It leads to the plan, which is what is confirmed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line as Text;

use super::Reply;
use super::popup::{keys_line, popup};
use crate::domain::ids::JobKey;
use crate::tui::action::Action;
use crate::tui::action::operate::Way;
use crate::tui::event::{Code, Key};
use crate::tui::format::fit;
use crate::tui::screens::Ctx;
use crate::tui::theme::Slot;

/// A choice between ways of doing an operation on a job.
#[derive(Debug)]
pub struct Choose {
    /// What is wanted.
    pub action: Action,
    /// Of which job.
    pub job: JobKey,
    /// Its name, or that of its cluster.
    pub name: String,
    /// The ways, the usual one first.
    pub ways: Vec<Way>,
    /// The one under the cursor.
    pub selected: usize,
}

impl Choose {
    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Reply {
        match key.code {
            Code::Esc | Code::Char('q') => return Reply::Close,
            Code::Enter => return Reply::Chosen(self.selected),
            Code::Up | Code::Char('k') => self.selected = self.selected.saturating_sub(1),
            Code::Down | Code::Char('j') | Code::Tab => {
                self.selected = (self.selected + 1).min(self.ways.len().saturating_sub(1));
            }
            _ => {}
        }
        Reply::Stay
    }

    /// Draws the choice.
    pub fn draw(&self, frame: &mut Frame, ctx: &Ctx) {
        let theme = ctx.theme;
        let title = format!("{} {}", self.action.id(), self.name);
        let lines = u16::try_from(self.ways.len() * 2 + 1).unwrap_or(u16::MAX);
        let area = popup(frame, theme, &fit(&title, 60, theme.glyphs.ellipsis), Slot::BorderActive, 70, lines);
        for (at, (way, y)) in self.ways.iter().zip((area.y..).step_by(2)).enumerate() {
            let row = Rect { y, height: 1, ..area };
            if y + 2 >= area.bottom() {
                break;
            }
            let chosen = at == self.selected;
            let (cursor, slot) = if chosen { (theme.glyphs.cursor, Slot::Selection) } else { (" ", Slot::Base) };
            frame.buffer_mut().set_style(row, theme.style(slot));
            frame.render_widget(Text::styled(format!("{cursor} {}", way.word), theme.style(slot)), row);
            let about = Rect { y: y + 1, ..row };
            frame.render_widget(Text::styled(format!("  {}", way.about), theme.style(Slot::Muted)), about);
        }
        let keys = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
        frame.render_widget(keys_line(theme, &[("enter", "shows what it would do"), ("esc", "leaves it")]), keys);
    }
}
