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
use crate::domain::decision::{Decision, DecisionState, Target};
use crate::domain::kubernetes::RolloutEffect;
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
    /// What it is about, as it was when the question came up.
    pub about: About,
    /// Keys are dropped until then, in monotonic time.
    pub guard_until: Duration,
    /// The guard is still drawn.
    pub guarded: bool,
    typed: Line,
    note: Option<&'static str>,
}

/// What a question is about.
#[derive(Debug)]
pub enum About {
    /// A decision.
    Decision(Arc<Decision>),
    /// Who scales a job.
    Ownership(Ownership),
}

/// Who scales a job, and what would be written to change that.
#[derive(Debug)]
pub struct Ownership {
    /// The job as it was.
    pub target: Target,
    /// Who scales it now, what is written, what follows: a name and a sentence each.
    pub lines: Vec<(&'static str, String)>,
}

impl Confirm {
    /// The target as it was when the question came up.
    pub fn target(&self) -> &Target {
        match &self.about {
            About::Decision(decision) => &decision.target,
            About::Ownership(ownership) => &ownership.target,
        }
    }

    /// The question, at an instant of monotonic time.
    pub fn new(action: Action, danger: Danger, intent: Intent, about: About, monotonic: Duration) -> Self {
        let guard_until = monotonic + GUARD;
        Self { action, danger, intent, about, guard_until, guarded: true, typed: Line::default(), note: None }
    }

    /// Whether what is asked about is still what it was.
    ///
    /// # Errors
    /// What changed.
    pub fn still_true(&self, snapshot: &Snapshot) -> Result<(), String> {
        let decision = match &self.about {
            About::Decision(decision) => decision,
            About::Ownership(ownership) => return self.ownership_still_true(ownership, snapshot),
        };
        let id = decision.id;
        let Some(now) = snapshot.decision(id) else { return Err(format!("decision {id} is gone")) };
        if now.target != decision.target {
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

    fn ownership_still_true(&self, ownership: &Ownership, snapshot: &Snapshot) -> Result<(), String> {
        let name = &ownership.target.name;
        let Some(job) = snapshot.job(&ownership.target.job) else { return Err(format!("{name} is gone")) };
        let Some(resource) = &job.resource else { return Err(format!("no operator manages {name} any more")) };
        let possible = match self.action {
            Action::HandBack => resource.can_hand_back,
            _ => resource.can_take_over,
        };
        if resource.target.as_ref() != Some(&ownership.target) {
            return Err(format!("{name} changed"));
        }
        if possible { Ok(()) } else { Err(format!("{name}: {} is not possible any more", self.action.title())) }
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
            (_, Some('y')) if !types_name || self.typed.value() == self.target().name => Reply::Confirmed,
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

    /// Draws the question. What is asked about, what it costs and how to answer is always in sight; of what it changes only as
    /// much is shown as there is room for.
    pub fn draw(&self, frame: &mut Frame, ctx: &Ctx) {
        let theme = ctx.theme;
        let all = frame.area();
        let columns = COLUMNS.min(all.width.saturating_sub(4));
        let measure = |details: usize| {
            let text = Paragraph::new(self.lines(ctx, usize::from(columns), details)).wrap(Wrap { trim: false });
            let height = u16::try_from(text.line_count(columns)).unwrap_or(u16::MAX);
            (text, height)
        };
        let most = match &self.about {
            About::Decision(decision) => self.rehearsed(ctx, decision).len() + all_changes(decision),
            About::Ownership(_) => 0,
        };
        let (mut text, mut height) = measure(most);
        for fewer in (0..most).rev() {
            if height.saturating_add(2) <= all.height {
                break;
            }
            (text, height) = measure(fewer);
        }
        let border = if self.danger > Danger::Effect { Slot::DialogDanger } else { Slot::BorderActive };
        let title = match &self.about {
            About::Decision(decision) => format!("{} {}", capitalized(self.action.id()), decision.id),
            About::Ownership(_) => capitalized(self.action.title()),
        };
        let area = popup(frame, theme, &title, border, columns, height);
        frame.render_widget(text, area);
    }

    /// The lines, with so many of those that may be left out: changes first, then what the dry run says beyond its effect.
    fn lines(&self, ctx: &Ctx, columns: usize, details: usize) -> Vec<Text<'_>> {
        let theme = ctx.theme;
        let style = |slot| theme.style(slot);
        let target = self.target();
        let mut place = target.context.clone();
        for part in [target.namespace.as_deref(), Some(&target.name)].into_iter().flatten() {
            place = format!("{place} {} {part}", theme.glyphs.chevron);
        }
        // The name stands at the end, so a place that is too long loses its start.
        let place = format::fit_start(&place, columns.saturating_sub(11), theme.glyphs.ellipsis).into_owned();
        let mut lines = vec![field(ctx, columns, "target", &place, Slot::Emphasis)];
        match &self.about {
            About::Decision(decision) => self.about_decision(&mut lines, ctx, columns, decision, details),
            About::Ownership(ownership) => {
                for (name, sentence) in &ownership.lines {
                    let wrapped = format::wrap(sentence, columns.saturating_sub(11), 4, theme.glyphs.ellipsis);
                    for (at, part) in wrapped.iter().enumerate() {
                        lines.push(field(ctx, columns, if at == 0 { name } else { "" }, part, Slot::Base));
                    }
                }
            }
        }
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

    fn about_decision(&self, lines: &mut Vec<Text>, ctx: &Ctx, columns: usize, decision: &Decision, details: usize) {
        let mut say = |name: &str, value: String, slot| lines.push(field(ctx, columns, name, &value, slot));
        match &self.intent {
            Intent::Reject { reason, .. } => {
                say("reason", reason.clone().unwrap_or_else(|| "none given".to_owned()), Slot::Base);
            }
            Intent::Snooze { time, .. } => {
                say("for", time.map_or_else(|| "the configured time".to_owned(), format::age), Slot::Base);
            }
            Intent::Reduce { .. } => {
                let room = decision.capacity.as_ref().map(|answer| answer.sentence()).unwrap_or_default();
                let then =
                    "evaluated again with fresh data and held down to what fits; that waits for its own approval";
                for (name, sentence, slot) in [("room", room.as_str(), Slot::Warning), ("then", then, Slot::Base)] {
                    let parts = format::wrap(sentence, columns.saturating_sub(11), 3, ctx.theme.glyphs.ellipsis);
                    for (at, part) in parts.into_iter().enumerate() {
                        say(if at == 0 { name } else { "" }, part, slot);
                    }
                }
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
            let shown = details.min(all_changes(decision));
            for (name, text, slot) in changes(ctx, decision, shown) {
                say(name, text, slot);
            }
            let cost = &decision.prediction;
            let how = if cost.downtime_measured { "measured before" } else { "as configured" };
            say("downtime", format!("about {} ({how})", format::age(cost.downtime)), Slot::Base);
            let catch_up = cost.catch_up.map_or_else(
                || "the backlog will not shrink".to_owned(),
                |time| format!("{} after the restart", format::age(time)),
            );
            say("catch-up", catch_up, Slot::Base);
            let managers = cost.task_managers.map_or_else(String::new, |n| format!("{n} TaskManagers, "));
            let room = decision.capacity.as_ref().map(|answer| format!("; {}", answer.sentence())).unwrap_or_default();
            say("needs", format!("{managers}{} slots{room}", cost.slots), Slot::Base);
            for (name, text, slot) in self.rehearsed(ctx, decision).into_iter().take(1 + details - shown) {
                say(name, text, slot);
            }
        }
        say("data", format!("{} old", ctx.age(decision.data_at)), Slot::Base);
    }

    /// What the server's dry run of an approval says: what becomes of the job first, then pods, fields and notes.
    fn rehearsed(&self, ctx: &Ctx, decision: &Decision) -> Vec<(&'static str, String, Slot)> {
        if !matches!(self.intent, Intent::Approve { .. }) {
            return Vec::new();
        }
        let job = ctx.snapshot.job(&decision.target.job);
        let Some(resource) = job.and_then(|job| job.resource.as_ref()) else { return Vec::new() };
        let preview = resource.preview.as_ref().filter(|preview| preview.value.decision == Some(decision.id));
        let Some(preview) = preview else {
            return vec![("dry run", format!("asking the server{}", ctx.theme.glyphs.ellipsis), Slot::Muted)];
        };
        let found = &preview.value;
        let mut lines = Vec::new();
        if let Some(why) = &found.refused {
            lines.push(("dry run", format!("the server refuses it: {why}"), Slot::Error));
            return lines;
        }
        lines.push(match &found.effect {
            RolloutEffect::None => ("effect", "nothing happens to the job".to_owned(), Slot::Warning),
            RolloutEffect::InPlace => ("effect", "rescaled in place: the pods stay".to_owned(), Slot::Ok),
            RolloutEffect::Redeploy { why } => ("effect", format!("REDEPLOY: {why}"), Slot::Warning),
        });
        if !found.pods_replaced.is_empty() {
            let names = found.pods_replaced.join(", ");
            lines.push(("replaces", format!("{} pods: {names}", found.pods_replaced.len()), Slot::Warning));
        }
        match found.task_managers {
            Some(0) | None => {}
            Some(1) => lines.push(("pods", "1 TaskManager more".to_owned(), Slot::Up)),
            Some(-1) => lines.push(("pods", "1 TaskManager fewer".to_owned(), Slot::Down)),
            Some(more @ 1..) => lines.push(("pods", format!("{more} TaskManagers more"), Slot::Up)),
            Some(fewer) => lines.push(("pods", format!("{} TaskManagers fewer", -fewer), Slot::Down)),
        }
        for change in &found.changes {
            let name = change.path.rsplit('.').next().unwrap_or(&change.path);
            let none = || "none".to_owned();
            let (before, after) =
                (change.before.clone().unwrap_or_else(none), change.after.clone().unwrap_or_else(none));
            lines.push(("writes", format!("{name}: {before} {} {after}", ctx.theme.glyphs.arrow), Slot::Base));
        }
        lines.extend(found.notes.iter().map(|note| ("note", note.clone(), Slot::Muted)));
        lines.push((
            "dry run",
            format!("by the server, {} ago; nothing was written", ctx.age(preview.at)),
            Slot::Muted,
        ));
        lines
    }
}

/// A name and a value on one line.
fn field(ctx: &Ctx, columns: usize, name: &str, value: &str, slot: Slot) -> Text<'static> {
    let value = format::fit(value, columns.saturating_sub(11), ctx.theme.glyphs.ellipsis).into_owned();
    let style = |slot| ctx.theme.style(slot);
    Text::from(vec![Span::styled(format!("{name:<10} "), style(Slot::Label)), Span::styled(value, style(slot))])
}

/// How many lines all changes of a decision take.
fn all_changes(decision: &Decision) -> usize {
    decision.changes.len() + decision.config.set.len() + decision.config.removed.len()
}

/// Before → after of vertices and configuration: at most so many, and how many more there are.
fn changes(ctx: &Ctx, decision: &Decision, most: usize) -> Vec<(&'static str, String, Slot)> {
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

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
