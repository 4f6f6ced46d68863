//! A plan that an earlier process left unfinished: shown once at the start, with what can be done about it.

use std::time::Duration;

use ratatui::Frame;
use ratatui::text::Line as Text;

use super::Reply;
use super::confirm::GUARD;
use super::popup::{keys_line, popup};
use crate::domain::plan::PlanId;
use crate::tui::action::Action;
use crate::tui::event::{Code, Key};
use crate::tui::screens::{Ctx, plan};
use crate::tui::theme::Slot;
use crate::tui::widgets::sheet::Sheet;

/// The offer to go on with a plan, or to leave it.
#[derive(Debug)]
pub struct Unfinished {
    /// The plan.
    pub plan: PlanId,
    /// Keys are dropped until then, in monotonic time: it opens by itself, while somebody may be typing.
    pub guard_until: Duration,
}

impl Unfinished {
    /// The offer, at an instant of monotonic time.
    pub fn new(plan: PlanId, monotonic: Duration) -> Self {
        Self { plan, guard_until: monotonic + GUARD }
    }

    /// Takes a key at an instant of monotonic time. Nothing here confirms: going on and leaving have their own questions.
    pub fn key(&mut self, key: Key, monotonic: Duration) -> Reply {
        if monotonic < self.guard_until {
            self.guard_until = monotonic + GUARD;
            return Reply::Stay;
        }
        match key.code {
            Code::Esc | Code::Char('q') => Reply::Close,
            Code::Enter => Reply::Show(self.plan),
            Code::Char('r') => Reply::About(Action::ResumePlan, self.plan),
            Code::Char('a') => Reply::About(Action::AbandonPlan, self.plan),
            _ => Reply::Stay,
        }
    }

    /// Draws the offer.
    pub fn draw(&self, frame: &mut Frame, ctx: &Ctx) {
        let theme = ctx.theme;
        let columns = 84.min(frame.area().width.saturating_sub(4));
        let mut sheet = Sheet::new(theme, usize::from(columns));
        match ctx.snapshot.plan(self.plan) {
            None => sheet.sentence("", Slot::Base, "this plan is gone", Slot::Muted),
            Some(found) => {
                let began = found.began_at.unwrap_or(found.made_at);
                let text = format!("{}, begun {} ago", plan::place(theme, found), ctx.age(began));
                sheet.field("target", &text, Slot::Emphasis);
                sheet.field("does", &found.summary, Slot::Base);
                if let Some(why) = found.state.why() {
                    sheet.field("because", why, Slot::Warning);
                }
                sheet.field("stands", &found.standing(), Slot::Warning);
                sheet.blank();
                plan::steps(&mut sheet, ctx, found);
            }
        }
        let mut body = sheet.into_lines();
        let room = usize::from(frame.area().height.saturating_sub(4));
        body.truncate(room);
        body.push(Text::default());
        let keys = [("r", "go on"), ("a", "leave it as it is"), ("enter", "look at it"), ("esc", "later")];
        body.push(keys_line(theme, &keys));
        let title = match ctx.snapshot.plan(self.plan) {
            Some(found) => format!("{} did not come to its end", found.operation.word()),
            None => "an operation did not come to its end".to_owned(),
        };
        let lines = u16::try_from(body.len()).unwrap_or(u16::MAX);
        let area = popup(frame, theme, &title, Slot::DialogDanger, columns, lines);
        for (line, row) in body.into_iter().zip(area.rows()) {
            frame.render_widget(line, row);
        }
    }
}
