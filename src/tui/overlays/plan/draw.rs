//! How the question about a plan looks: what it would do scrolls, how to answer stays.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::{Line as Text, Span};

use super::{Asked, PlanDialog, Purpose};
use crate::domain::plan::Plan;
use crate::tui::action::Danger;
use crate::tui::format::{clean, fit};
use crate::tui::overlays::popup::popup;
use crate::tui::screens::{Ctx, plan};
use crate::tui::theme::Slot;
use crate::tui::widgets::sheet::Sheet;

/// Columns of the text at most.
const COLUMNS: u16 = 92;

impl PlanDialog {
    /// Draws the question.
    pub fn draw(&mut self, frame: &mut Frame, ctx: &Ctx) {
        let theme = ctx.theme;
        let all = frame.area();
        let columns = COLUMNS.min(all.width.saturating_sub(4));
        let body = self.body(ctx, usize::from(columns));
        let foot = self.foot(ctx, usize::from(columns));
        let lines = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        let height = lines(body.len()).saturating_add(lines(foot.len())).saturating_add(1);
        let border = if self.danger() > Danger::Effect { Slot::DialogDanger } else { Slot::BorderActive };
        let title = self.title(ctx);
        let area = popup(frame, theme, &title, border, columns, height);
        let [text, rule, answer] = area.layout(&Layout::vertical([
            Constraint::Fill(1),
            Constraint::Length(1),
            Constraint::Length(lines(foot.len())),
        ]));
        self.scroll.fit(body.len(), usize::from(text.height));
        for (line, row) in body.into_iter().skip(self.scroll.offset).zip(text.rows()) {
            frame.render_widget(line, row);
        }
        let hidden = self.scroll.len.saturating_sub(self.scroll.offset + self.scroll.page);
        if hidden > 0 || self.scroll.offset > 0 {
            let more = format!("{hidden} more lines below; up and down scroll");
            frame.render_widget(Text::styled(more, theme.style(Slot::Accent)), rule);
        }
        for (line, row) in foot.into_iter().zip(answer.rows()) {
            frame.render_widget(line, row);
        }
    }

    fn title(&self, ctx: &Ctx) -> String {
        let what = match self.asked.as_slice() {
            [one] => match one.shown() {
                Some(plan) => format!("{} {}", plan.operation.word(), clean(&one.name, 60)),
                None => format!("{} {}", self.action.id(), clean(&one.name, 60)),
            },
            several => format!("{} {} jobs", self.action.id(), several.len()),
        };
        let text = match self.purpose {
            Purpose::Run => what,
            Purpose::Resume => format!("go on with: {what}"),
            Purpose::Abandon => format!("leave as it is: {what}"),
            Purpose::Cancel => format!("end: {what}"),
        };
        fit(&text, 70, ctx.theme.glyphs.ellipsis).into_owned()
    }

    fn body(&self, ctx: &Ctx, columns: usize) -> Vec<Text<'static>> {
        let mut sheet = Sheet::new(ctx.theme, columns);
        match self.asked.as_slice() {
            [one] => self.one(&mut sheet, ctx, one),
            several => {
                for (number, asked) in (1..).zip(several) {
                    self.one_of_many(&mut sheet, ctx, number, asked);
                }
            }
        }
        sheet.into_lines()
    }

    fn one(&self, sheet: &mut Sheet, ctx: &Ctx, asked: &Asked) {
        let Some(shown) = asked.shown() else { return self.not_shown(sheet, ctx, asked) };
        sheet.field("target", &plan::place(ctx.theme, shown), Slot::Emphasis);
        // The course of a plan that was begun is told as it is now, not as it was when the question came up.
        let now = ctx.snapshot.plan(shown.id).filter(|_| self.purpose != Purpose::Run).unwrap_or(shown);
        if self.purpose != Purpose::Run {
            sheet.field("stands", &standing(now), Slot::Warning);
        }
        plan::consequences(sheet, ctx, now);
        let seen = now.began_at.unwrap_or(now.made_at);
        let word = if now.began_at.is_some() { "began" } else { "seen" };
        sheet.field(word, &format!("{} ago", ctx.age(seen)), Slot::Base);
        sheet.blank();
        plan::steps(sheet, ctx, now);
        if !now.notes.is_empty() || !now.changes.is_empty() {
            sheet.blank();
        }
        plan::changes(sheet, ctx, now);
        for note in &now.notes {
            sheet.field("note", note, Slot::Muted);
        }
    }

    fn one_of_many(&self, sheet: &mut Sheet, ctx: &Ctx, number: usize, asked: &Asked) {
        sheet.heading(&format!("{number} {}", clean(&asked.name, 60)));
        let Some(shown) = asked.shown() else { return self.not_shown(sheet, ctx, asked) };
        sheet.field("target", &plan::place(ctx.theme, shown), Slot::Emphasis);
        plan::consequences(sheet, ctx, shown);
        sheet.field("seen", &format!("{} ago", ctx.age(shown.made_at)), Slot::Base);
        plan::changes(sheet, ctx, shown);
        for note in &shown.notes {
            sheet.field("note", note, Slot::Muted);
        }
        if Danger::from(shown.danger) == Danger::Loses {
            sheet.field("left out", "it can lose state: it is confirmed alone, by its name", Slot::Error);
        }
        sheet.blank();
    }

    fn not_shown(&self, sheet: &mut Sheet, ctx: &Ctx, asked: &Asked) {
        match asked.failed() {
            Some(why) => sheet.field("no plan", why, Slot::Error),
            None => {
                let text = format!("looking at it and making the plan, {}; nothing is done", ctx.age(self.since));
                sheet.field("waits", &text, Slot::Info);
            }
        }
    }

    fn foot(&self, ctx: &Ctx, columns: usize) -> Vec<Text<'static>> {
        let theme = ctx.theme;
        let style = |slot| theme.style(slot);
        let danger = self.danger();
        let mut lines = Vec::new();
        if danger == Danger::Loses {
            let name = clean(self.name().unwrap_or_default(), 200);
            let mut sheet = Sheet::new(theme, columns);
            sheet.sentence(
                "",
                Slot::Error,
                &format!("Can lose state or removes something. Type {name} to go on:"),
                Slot::Error,
            );
            lines = sheet.into_lines();
            lines.push(Text::from(vec![
                Span::styled("> ", style(Slot::Key)),
                Span::styled(self.typed.value().to_owned(), style(Slot::Input)),
            ]));
        }
        let mut spans = match danger {
            Danger::Local | Danger::Effect => {
                vec![Span::styled("esc", style(Slot::Key)), Span::styled(" leaves it as it is", style(Slot::Hint))]
            }
            Danger::Restarts | Danger::Loses => vec![Span::styled("[ Cancel: esc ]", style(Slot::ButtonActive))],
        };
        if danger > Danger::Local {
            let ready = !self.guarded && (danger != Danger::Loses || self.name_is_typed());
            let (key, text) = if ready { (Slot::Key, Slot::Base) } else { (Slot::Disabled, Slot::Disabled) };
            spans.extend([Span::raw("   "), Span::styled("y", style(key))]);
            spans.push(Span::styled(format!(" {}", self.answer()), style(text)));
        } else if !self.is_awaited() {
            spans.push(Span::styled("   it cannot be started", style(Slot::Error)));
        }
        spans.push(Span::styled(self.note.map(|note| format!("   {note}")).unwrap_or_default(), style(Slot::Warning)));
        lines.push(Text::from(spans));
        lines
    }

    /// What `y` does.
    fn answer(&self) -> String {
        let count = self.startable().count();
        let word = self.startable().next().map_or("", |plan| plan.operation.word());
        match self.purpose {
            Purpose::Run if self.asked.len() > 1 => format!("{word} {count} of {}", self.asked.len()),
            Purpose::Run => word.to_owned(),
            Purpose::Resume => "go on".to_owned(),
            Purpose::Abandon => "leave it so".to_owned(),
            Purpose::Cancel => "end it".to_owned(),
        }
    }
}

fn standing(plan: &Plan) -> String {
    let why = plan.state.why().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}{why}", plan.standing())
}
