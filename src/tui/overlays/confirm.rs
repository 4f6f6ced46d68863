//! Confirmations: the question before an action with consequences. Nothing here can be answered by accident.
//!
//! The target is frozen when the question comes up; if it changes meanwhile the question closes. Level 1 and 2 are answered
//! with `y`, level 3 with the name, typed, and then `y`. Enter and paste never confirm. Keys that arrive in the first 300 ms
//! are dropped, and each of them starts the 300 ms anew, so that neither type-ahead nor a key held down can answer.

use std::sync::Arc;
use std::time::Duration;

use ratatui::Frame;
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::popup::popup;
use super::{Line, Reply};
use crate::domain::command::Intent;
use crate::domain::decision::{Decision, DecisionState};
use crate::domain::snapshot::Snapshot;
use crate::tui::action::{Action, Danger};
use crate::tui::event::{Code, Key};
use crate::tui::format;
use crate::tui::screens::Ctx;
use crate::tui::theme::Slot;

/// How long keys are dropped.
pub const GUARD: Duration = Duration::from_millis(300);

/// Columns of the text at most.
const COLUMNS: u16 = 68;

/// A question before an action with consequences.
#[derive(Debug)]
pub struct Confirm {
    /// What is asked about.
    pub action: Action,
    /// Its consequence.
    pub danger: Danger,
    /// What will be sent.
    pub intent: Intent,
    /// The decision as it was when the question came up.
    pub decision: Arc<Decision>,
    /// Keys are dropped until then, in monotonic time.
    pub guard_until: Duration,
    /// The guard is still drawn.
    pub guarded: bool,
    typed: Line,
    note: Option<&'static str>,
}

impl Confirm {
    /// The question, at an instant of monotonic time.
    pub fn new(action: Action, danger: Danger, intent: Intent, decision: Arc<Decision>, monotonic: Duration) -> Self {
        let guard_until = monotonic + GUARD;
        Self { action, danger, intent, decision, guard_until, guarded: true, typed: Line::default(), note: None }
    }

    /// Whether what is asked about is still what it was.
    ///
    /// # Errors
    /// What changed.
    pub fn still_true(&self, snapshot: &Snapshot) -> Result<(), String> {
        let id = self.decision.id;
        let Some(now) = snapshot.decision(id) else { return Err(format!("decision {id} is gone")) };
        if now.target != self.decision.target {
            return Err(format!("the target of decision {id} changed"));
        }
        if !matches!(now.state, DecisionState::Pending | DecisionState::Snoozed { .. }) {
            return Err(format!("decision {id} is {}", now.state.word()));
        }
        match &now.blocked {
            Some(why) if self.action == Action::Approve => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// Takes a key at an instant of monotonic time.
    pub fn key(&mut self, key: Key, monotonic: Duration) -> Reply {
        if monotonic < self.guard_until {
            self.guard_until = monotonic + GUARD;
            self.guarded = true;
            return Reply::Stay;
        }
        let types_name = self.danger == Danger::Loses;
        match (key.code, key.typed()) {
            (Code::Esc, _) => Reply::Close,
            (Code::Enter, _) if self.danger == Danger::Effect => {
                self.note = Some("enter does not confirm");
                Reply::Stay
            }
            (Code::Enter, _) => Reply::Close,
            (_, Some('y')) if !types_name || self.typed.value() == self.decision.target.name => Reply::Confirmed,
            (_, Some('n' | 'q')) if !types_name => Reply::Close,
            _ => {
                if types_name {
                    self.typed.key(key);
                    self.note = None;
                }
                Reply::Stay
            }
        }
    }

    /// Text was pasted: it counts for nothing.
    pub fn pasted(&mut self) {
        self.note = Some("pasted text does not confirm");
    }

    /// Draws the question. What is asked about, what it costs and how to answer is always in sight; of many changes only as
    /// many are shown as there is room for.
    pub fn draw(&self, frame: &mut Frame, ctx: &Ctx) {
        let theme = ctx.theme;
        let all = frame.area();
        let columns = COLUMNS.min(all.width.saturating_sub(4));
        let measure = |changes: usize| {
            let text = Paragraph::new(self.lines(ctx, usize::from(columns), changes)).wrap(Wrap { trim: false });
            let height = u16::try_from(text.line_count(columns)).unwrap_or(u16::MAX);
            (text, height)
        };
        let most = self.decision.changes.len() + self.decision.config.set.len() + self.decision.config.removed.len();
        let (mut text, mut height) = measure(most);
        for fewer in (0..most).rev() {
            if height.saturating_add(2) <= all.height {
                break;
            }
            (text, height) = measure(fewer);
        }
        let border = if self.danger > Danger::Effect { Slot::DialogDanger } else { Slot::BorderActive };
        let title = format!("{} {}", capitalized(self.action.id()), self.decision.id);
        let area = popup(frame, theme, &title, border, columns, height);
        frame.render_widget(text, area);
    }

    fn lines(&self, ctx: &Ctx, columns: usize, changes: usize) -> Vec<Text<'_>> {
        let theme = ctx.theme;
        let style = |slot| theme.style(slot);
        let field = |name: &'static str, value: String, slot| {
            let value = format::fit(&value, columns.saturating_sub(11), theme.glyphs.ellipsis).into_owned();
            Text::from(vec![Span::styled(format!("{name:<10} "), style(Slot::Label)), Span::styled(value, style(slot))])
        };
        let decision = &self.decision;
        let target = &decision.target;
        let mut place = target.context.clone();
        for part in [target.namespace.as_deref(), Some(&target.name)].into_iter().flatten() {
            place = format!("{place} {} {part}", theme.glyphs.chevron);
        }
        // The name stands at the end, so a place that is too long loses its start.
        let place = format::fit_start(&place, columns.saturating_sub(11), theme.glyphs.ellipsis).into_owned();
        let mut lines = vec![field("target", place, Slot::Emphasis)];
        match &self.intent {
            Intent::Reject { reason, .. } => {
                let reason = reason.clone().unwrap_or_else(|| "none given".to_owned());
                lines.push(field("reason", reason, Slot::Base));
            }
            Intent::Snooze { time, .. } => {
                let time = time.map_or_else(|| "the configured time".to_owned(), format::age);
                lines.push(field("for", time, Slot::Base));
            }
            Intent::Approve { .. }
            | Intent::Refresh { .. }
            | Intent::Preview { .. }
            | Intent::TakeOver { .. }
            | Intent::HandBack { .. }
            | Intent::Reconnect
            | Intent::AskRights { .. }
            | Intent::SwitchContext { .. }
            | Intent::Plan(_) => {}
        }
        if self.danger > Danger::Effect {
            lines.extend(self.changes(ctx, changes).into_iter().map(|(name, text, slot)| field(name, text, slot)));
            let cost = &decision.prediction;
            let how = if cost.downtime_measured { "measured before" } else { "as configured" };
            lines.push(field("downtime", format!("about {} ({how})", format::age(cost.downtime)), Slot::Base));
            let catch_up = cost.catch_up.map_or_else(
                || "the backlog will not shrink".to_owned(),
                |time| format!("{} after the restart", format::age(time)),
            );
            lines.push(field("catch-up", catch_up, Slot::Base));
            let managers = cost.task_managers.map_or_else(String::new, |n| format!("{n} TaskManagers, "));
            lines.push(field("needs", format!("{managers}{} slots", cost.slots), Slot::Base));
        }
        lines.push(field("data", format!("{} old", ctx.age(decision.data_at)), Slot::Base));
        lines.push(Text::default());
        if self.danger == Danger::Loses {
            lines.push(Text::styled("This can lose state. Type the name to go on:", style(Slot::Error)));
            lines.push(Text::from(vec![
                Span::styled("> ", style(Slot::Key)),
                Span::styled(self.typed.value(), style(Slot::Input)),
            ]));
        }
        let ready = !self.guarded && (self.danger != Danger::Loses || self.typed.value() == target.name);
        let (key, text) = if ready { (Slot::Key, Slot::Base) } else { (Slot::Disabled, Slot::Disabled) };
        lines.push(Text::from(vec![
            Span::styled("[ Cancel: esc ]", style(Slot::ButtonActive)),
            Span::raw("   "),
            Span::styled("y", style(key)),
            Span::styled(format!(" {}", self.action.id()), style(text)),
            Span::styled(self.note.map(|note| format!("   {note}")).unwrap_or_default(), style(Slot::Warning)),
        ]));
        lines
    }
}

impl Confirm {
    /// Before → after of vertices and configuration: at most so many, and how many more there are.
    fn changes(&self, ctx: &Ctx, most: usize) -> Vec<(&'static str, String, Slot)> {
        let decision = &self.decision;
        let arrow = ctx.theme.glyphs.arrow;
        let vertices = decision.changes.iter().map(|change| {
            let slot = if change.to > change.from { Slot::Up } else { Slot::Down };
            ("", format!("{} {arrow} {}  {}", change.from, change.to, change.name), slot)
        });
        let set = decision.config.set.iter().map(|(key, value)| ("sets", format!("{key} = {value}"), Slot::Base));
        let removed = decision.config.removed.iter().map(|key| ("removes", key.clone(), Slot::Base));
        let all: Vec<_> = vertices.chain(set).chain(removed).collect();
        let more = all.len().saturating_sub(most);
        let mut shown: Vec<_> = all.into_iter().take(most).collect();
        if let Some(first) = shown.first_mut() {
            first.0 = "changes";
        }
        if more > 0 {
            let name = if shown.is_empty() { "changes" } else { "" };
            shown.push((
                name,
                format!(
                    "{}{more} {}",
                    if most > 0 { "and " } else { "" },
                    if most > 0 { "more" } else { "vertices and options" }
                ),
                Slot::Muted,
            ));
        }
        shown
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
