//! What a redeploy starts from: savepoints and checkpoints, newest usable first, a savepoint taken now, a path, or nothing.
//!
//! It leads to the plan, which is what is confirmed.

use std::cell::Cell;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line as Text, Span};

use super::plan::Asked;
use super::popup::{keys_line, popup};
use super::prompt::draw_line;
use super::{Line, Reply};
use crate::domain::Timestamp;
use crate::domain::ids::JobKey;
use crate::domain::plan::{Origin, SavepointFormat, SnapshotFact, SnapshotSource, Standing};
use crate::domain::savepoint::check_path;
use crate::tui::event::{Code, Key};
use crate::tui::format::{bytes, clean, fit_start, took, width, wrap};
use crate::tui::screens::Ctx;
use crate::tui::theme::Slot;

/// What can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The snapshot with this index.
    Fact(usize),
    /// A savepoint that is taken as the job is stopped.
    Now,
    /// A path that is typed.
    Path,
    /// No state.
    Empty,
}

/// The picker.
#[derive(Debug)]
pub struct Snapshots {
    /// Whose state it is.
    pub job: JobKey,
    /// Its name.
    pub name: String,
    /// The look that tells what there is.
    pub asked: Asked,
    since: Timestamp,
    selected: usize,
    offset: Cell<usize>,
    path: Line,
    error: Option<String>,
    allow_non_restored: bool,
}

impl Snapshots {
    /// The picker for what a look will tell.
    pub fn new(job: JobKey, name: String, asked: Asked, now: Timestamp) -> Self {
        Self {
            job,
            name,
            asked,
            since: now,
            selected: 0,
            offset: Cell::new(0),
            path: Line::default(),
            error: None,
            allow_non_restored: false,
        }
    }

    fn facts(&self) -> &[SnapshotFact] {
        self.asked.shown().map_or(&[], |plan| plan.choices.as_slice())
    }

    /// Everything that can be chosen, from top to bottom. Before the look has told, nothing can: rows would move under the cursor.
    fn choices(&self) -> Vec<Choice> {
        if self.asked.is_awaited() {
            return Vec::new();
        }
        let facts = self.facts().len();
        (0..facts).map(Choice::Fact).chain([Choice::Now, Choice::Path, Choice::Empty]).collect()
    }

    fn chosen(&self) -> Option<Choice> {
        self.choices().get(self.selected).copied()
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Reply {
        let last = self.choices().len().saturating_sub(1);
        match key.code {
            Code::Esc => return Reply::Close,
            Code::Up => self.move_to(self.selected.saturating_sub(1)),
            Code::Down => self.move_to((self.selected + 1).min(last)),
            Code::Tab => self.allow_non_restored = !self.allow_non_restored,
            Code::Enter => return self.pick(),
            _ if self.chosen() == Some(Choice::Path) => self.type_path(key),
            Code::Char('q') => return Reply::Close,
            Code::Char('k') => self.move_to(self.selected.saturating_sub(1)),
            Code::Char('j') => self.move_to((self.selected + 1).min(last)),
            Code::Char('G') => self.move_to(last),
            _ => {}
        }
        Reply::Stay
    }

    fn type_path(&mut self, key: Key) {
        if self.path.key(key) {
            self.error = None;
        }
    }

    fn move_to(&mut self, selected: usize) {
        self.selected = selected;
        self.error = None;
    }

    /// Pasted text goes into the path; it chooses nothing.
    pub fn paste(&mut self, text: &str) {
        if self.chosen() == Some(Choice::Path) {
            self.path.paste(text.trim());
            self.error = None;
        }
    }

    fn pick(&mut self) -> Reply {
        let origin = match self.chosen() {
            None => return Reply::Stay,
            Some(Choice::Now) => Origin::Now,
            Some(Choice::Empty) => Origin::Empty,
            Some(Choice::Path) => match check_path(self.path.value().trim()) {
                Ok(()) => Origin::Path(self.path.value().trim().to_owned()),
                Err(why) => {
                    self.error = Some(why);
                    return Reply::Stay;
                }
            },
            Some(Choice::Fact(at)) => match self.facts().get(at) {
                Some(fact) if fact.standing == Standing::Disposed => {
                    self.error = Some("it was removed: there is nothing to start from".to_owned());
                    return Reply::Stay;
                }
                Some(fact) => Origin::Path(fact.path.clone()),
                None => return Reply::Stay,
            },
        };
        Reply::Picked(origin, self.allow_non_restored)
    }

    /// Draws the picker.
    pub fn draw(&self, frame: &mut Frame, ctx: &Ctx) {
        let theme = ctx.theme;
        let all = frame.area();
        let choices = self.choices();
        let wanted = choices.len().max(1) + 5;
        let columns = 100.min(all.width.saturating_sub(4));
        let lines = u16::try_from(wanted).unwrap_or(u16::MAX).min(all.height.saturating_sub(2));
        let title = format!("redeploy {}: start from", clean(&self.name, 50));
        let area = popup(frame, theme, &title, Slot::BorderActive, columns, lines);
        let room = area.height.saturating_sub(5).max(1);
        let list = Rect { height: room.min(area.height), ..area };
        if self.asked.is_awaited() {
            let text = format!("looking what there is, {}; nothing is done", ctx.age(self.since));
            frame.render_widget(Text::styled(text, theme.style(Slot::Info)), list);
        }
        let high = usize::from(list.height).max(1);
        let offset = self.offset.get().min(self.selected).max((self.selected + 1).saturating_sub(high));
        self.offset.set(offset);
        for ((at, choice), row) in choices.iter().enumerate().skip(offset).zip(list.rows()) {
            self.draw_choice(frame, ctx, row, *choice, at == self.selected);
        }
        self.draw_foot(
            frame,
            ctx,
            Rect { y: list.bottom(), height: area.bottom().saturating_sub(list.bottom()), ..area },
        );
    }

    fn draw_choice(&self, frame: &mut Frame, ctx: &Ctx, row: Rect, choice: Choice, selected: bool) {
        let theme = ctx.theme;
        let style = |slot| theme.style(slot);
        let (cursor, base) = if selected { (theme.glyphs.cursor, Slot::Selection) } else { (" ", Slot::Base) };
        frame.buffer_mut().set_style(row, style(base));
        let told = |text: &str, about: &str| {
            Text::from(vec![
                Span::styled(format!("{cursor} {text:<14} "), style(base)),
                Span::styled(about.to_owned(), style(if selected { base } else { Slot::Muted })),
            ])
        };
        match choice {
            Choice::Now => frame.render_widget(told("savepoint now", "taken as the job stops; nothing is lost"), row),
            Choice::Empty => frame.render_widget(told("empty state", "everything the job has computed is lost"), row),
            Choice::Path if selected => draw_line(frame, theme, row, &format!("{cursor} path: "), &self.path),
            Choice::Path if self.path.value().is_empty() => {
                frame.render_widget(told("a path", "of a savepoint or retained checkpoint, typed or pasted"), row);
            }
            Choice::Path => frame.render_widget(told("a path", self.path.value()), row),
            Choice::Fact(at) => {
                let Some(fact) = self.facts().get(at) else { return };
                let base = match fact.standing {
                    Standing::Disposed if !selected => style(Slot::Disabled),
                    Standing::Verified | Standing::Unknown | Standing::Disposed => style(base),
                };
                frame.render_widget(fact_line(ctx, fact, usize::from(row.width), cursor, base), row);
            }
        }
    }

    fn draw_foot(&self, frame: &mut Frame, ctx: &Ctx, area: Rect) {
        let theme = ctx.theme;
        let style = |slot| theme.style(slot);
        let columns = usize::from(area.width);
        let line = |n: u16| Rect { y: area.y + n, height: 1, ..area };
        if area.height < 5 {
            return;
        }
        // The whole of what is cut above. What is in the way depends on what is chosen: its plan says it.
        let fact = match self.chosen() {
            Some(Choice::Fact(at)) => self.facts().get(at),
            _ => None,
        };
        if let Some(fact) = fact {
            let path = fit_start(&fact.path, columns, theme.glyphs.ellipsis).into_owned();
            frame.render_widget(Text::styled(path, style(Slot::Emphasis)), line(1));
        }
        let (text, slot) = match (&self.error, self.asked.failed()) {
            (Some(error), _) => (error.clone(), Slot::Error),
            (None, Some(why)) => (format!("what there is, is not known: {why}"), Slot::Error),
            (None, None) => (String::new(), Slot::Base),
        };
        // Without a path above it, what is wrong has two lines.
        let (first, limit) = if fact.is_some() { (2, 1) } else { (1, 2) };
        for (n, part) in (first..).zip(wrap(&text, columns, limit, theme.glyphs.ellipsis)) {
            frame.render_widget(Text::styled(part, style(slot)), line(n));
        }
        let allowed = if self.allow_non_restored { "yes" } else { "no" };
        let slot = if self.allow_non_restored { Slot::Warning } else { Slot::Base };
        frame.render_widget(
            Text::from(vec![
                Span::styled("tab", style(Slot::Key)),
                Span::styled(" drops state that the program no longer has: ", style(Slot::Hint)),
                Span::styled(allowed, style(slot)),
            ]),
            line(3),
        );
        let keys = [("enter", "shows what it would do"), ("esc", "leaves it")];
        frame.render_widget(keys_line(theme, &keys), line(4));
    }
}

/// One snapshot on one line: what, when, how large, whether it can be relied on, and the end of its path.
fn fact_line(ctx: &Ctx, fact: &SnapshotFact, columns: usize, cursor: &str, style: Style) -> Text<'static> {
    let kind = if fact.savepoint { "savepoint" } else { "checkpoint" };
    let format = match fact.format {
        Some(SavepointFormat::Canonical) => "canonical",
        Some(SavepointFormat::Native) => "native",
        None => "",
    };
    let size = fact.size.map(bytes).unwrap_or_default();
    let time = fact.took.map(|time| format!("in {}", took(time))).unwrap_or_default();
    let source = match fact.source {
        SnapshotSource::Flink => "Flink",
        SnapshotSource::Status => "status",
        SnapshotSource::StateSnapshot => "snapshot",
        SnapshotSource::Journal => "journal",
    };
    let standing = format!("{} ({source})", fact.standing.word());
    let mut text = format!("{cursor} {kind:<10} {:>7} ago  {size:>9}  ", ctx.age(fact.at));
    if columns >= 90 {
        text += &format!("{time:<9} {format:<9} ");
    }
    text += &format!("{standing:<22} ");
    let room = columns.saturating_sub(width(&text));
    text += &fit_start(&fact.path, room, ctx.theme.glyphs.ellipsis);
    Text::styled(text, style)
}
