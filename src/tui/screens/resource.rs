//! The resource of a job: what differs from the spec that was acted upon last, then spec and status as YAML, with a search.

use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::Rect;

use super::{Ctx, Scroll, cluster_words, parts};
use crate::domain::ids::JobKey;
use crate::domain::kubernetes::ResourceDocuments;
use crate::tui::format::clean;
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, headed, message, split_top};
use crate::tui::widgets::text::{holds, panned};

/// View of a resource.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResourceScreenView {
    /// Position in the text.
    pub scroll: Scroll,
    /// Columns that are panned away.
    pub left: usize,
    /// The lines of the text: what they are, and their words.
    lines: Vec<(Kind, String)>,
    /// Lines that hold what is searched for.
    found: Vec<usize>,
    of: Option<Arc<ResourceDocuments>>,
    search: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Title,
    Text,
    Comment,
    Before,
    After,
}

impl ResourceScreenView {
    /// Goes to the next line that holds what is searched for, or the one before.
    pub fn jump(&mut self, forward: bool) -> bool {
        let here = self.scroll.offset;
        let next = if forward {
            self.found.iter().find(|line| **line > here).or(self.found.first())
        } else {
            self.found.iter().rev().find(|line| **line < here).or(self.found.last())
        };
        if let Some(line) = next {
            self.scroll.offset = *line;
        }
        next.is_some()
    }

    /// Goes to the next part: what differs, spec, status.
    pub fn next_part(&mut self) {
        let titles = || self.lines.iter().enumerate().filter(|(_, (kind, _))| *kind == Kind::Title).map(|(at, _)| at);
        let last = self.scroll.len.saturating_sub(self.scroll.page);
        let next = titles().find(|at| *at > self.scroll.offset && self.scroll.offset < last);
        self.scroll.offset = next.unwrap_or(0);
    }
}

fn documents<'a>(ctx: &Ctx<'a>, job: &JobKey) -> Option<&'a Arc<ResourceDocuments>> {
    ctx.snapshot.job(job)?.resource.as_ref()?.documents.as_ref().map(|documents| &documents.value)
}

/// Takes the text anew if it changed, and what is searched for; a new search goes to its first match.
pub fn refresh(ctx: &Ctx, job: &JobKey, view: &mut ResourceScreenView) {
    let found = documents(ctx, job);
    let same = match (found, &view.of) {
        (Some(new), Some(old)) => Arc::ptr_eq(new, old),
        (None, None) => true,
        // What was read stays while it is asked for again.
        (None, Some(_)) => true,
        (Some(_), None) => false,
    };
    if !same && let Some(documents) = found {
        view.lines = lines_of(documents);
        view.of = Some(Arc::clone(documents));
    }
    if !same || view.search != ctx.typed {
        let new_search = view.search != ctx.typed;
        ctx.typed.clone_into(&mut view.search);
        let holding = view.lines.iter().enumerate().filter(|(_, (_, text))| holds(text, ctx.typed));
        view.found = if ctx.typed.is_empty() { Vec::new() } else { holding.map(|(at, _)| at).collect() };
        if new_search
            && !ctx.typed.is_empty()
            && let Some(first) = view.found.iter().find(|line| **line >= view.scroll.offset).or(view.found.first())
        {
            view.scroll.offset = *first;
        }
    }
}

fn lines_of(documents: &ResourceDocuments) -> Vec<(Kind, String)> {
    let mut lines = Vec::new();
    let title = |text: &str| (Kind::Title, text.to_owned());
    lines.push(title("differs from the spec that the operator acted upon last"));
    if documents.differs.is_empty() {
        lines.push((Kind::Comment, "nothing: the operator has acted upon the whole spec".to_owned()));
    }
    for change in &documents.differs {
        lines.push((Kind::Text, change.path.clone()));
        let part =
            |kind, mark: &str, text: &Option<String>| text.as_ref().map(|text| (kind, format!("  {mark} {text}")));
        lines.extend(part(Kind::Before, "-", &change.before));
        lines.extend(part(Kind::After, "+", &change.after));
    }
    for (name, text) in [("spec", &documents.spec), ("status", &documents.status)] {
        lines.push((Kind::Text, String::new()));
        lines.push(title(name));
        lines.extend(text.lines().map(|line| (Kind::Text, line.to_owned())));
    }
    lines
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: &JobKey, view: &mut ResourceScreenView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    let Some(job) = parts::job_or_message(buffer, area, ctx, job) else { return };
    if let Some(why) = cluster_words::none_here(ctx, job, "resources") {
        return message(buffer, area, theme, Slot::Muted, &why);
    }
    let Some(resource) = &job.resource else {
        return message(
            buffer,
            area,
            theme,
            Slot::Muted,
            "no resource describes this job: it was submitted outside the operator",
        );
    };
    let [top, _] = split_top(area, area.height / 2);
    let mut lines = Lines::new(buffer, top, theme);
    parts::headline(&mut lines, ctx, job);
    let text = |value: &Option<String>| value.as_deref().map(|value| clean(value, 60).into_owned()).unwrap_or_default();
    let generation = job.generation.map(|g| g.to_string()).unwrap_or_default();
    let behind = resource.observed_generation.is_some_and(|seen| job.generation.is_some_and(|now| seen < now));
    lines.fields(&[
        ("lifecycle", text(&resource.lifecycle).into(), Slot::Emphasis),
        ("JobManager", text(&resource.job_manager).into(), Slot::Base),
        ("job", text(&resource.job_state).into(), Slot::Base),
        ("generation", generation.into(), Slot::Base),
        (
            "observed",
            resource.observed_generation.map(|g| g.to_string()).unwrap_or_default().into(),
            if behind { Slot::Warning } else { Slot::Base },
        ),
        ("session cluster", text(&resource.session).into(), Slot::Base),
        ("owned by", text(&resource.owned_by).into(), Slot::Warning),
    ]);
    if let Some(error) = &resource.error {
        lines.sentence("error  ", theme.style(Slot::Error), error, theme.style(Slot::Base), 3);
    }
    let used = lines.used;
    let body = split_top(area, used)[1];
    if view.lines.is_empty() {
        return message(buffer, body, theme, Slot::Muted, &format!("asking for the resource{}", theme.glyphs.ellipsis));
    }
    let [_, below] = split_top(body, 1);
    view.scroll.fit(view.lines.len(), usize::from(below.height));
    let place = match (ctx.typed.is_empty(), view.scroll.len) {
        (false, _) => format!("{} lines hold /{}", view.found.len(), clean(ctx.typed, 40)),
        (true, len) => format!("line {} of {len}", view.scroll.offset + 1),
    };
    let kind = clean(&parts::name(job), 80).into_owned();
    let inside = headed(buffer, body, theme, &kind, &place);
    let mark = (ctx.typed, theme.style(Slot::Match));
    for (line, (kind, text)) in (0..inside.height).zip(view.lines.iter().skip(view.scroll.offset)) {
        let slot = match kind {
            Kind::Title => Slot::Title,
            Kind::Text => Slot::Base,
            Kind::Comment => Slot::Muted,
            Kind::Before => Slot::Down,
            Kind::After => Slot::Up,
        };
        panned(buffer, inside, line, text, view.left, theme.style(slot), mark);
    }
}
