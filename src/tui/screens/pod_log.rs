//! The log of one pod: its tail, followed or held, of the running container or of the one before its last restart.
//!
//! Lines are read only while this screen is in front; how many are kept is the reader's business. What is typed as the filter
//! narrows what is shown at once, and what is read once it stands.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Ctx, cluster_words, parts};
use crate::domain::ids::{JobKey, SourceId};
use crate::domain::kubernetes::KubeAction;
use crate::domain::pods::{LogQuery, LogView, PodRow};
use crate::tui::format::clean;
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, headed, message, split_top};
use crate::tui::widgets::text::{holds, panned};

/// Lines from the end that are read at first.
const TAIL: u32 = 2_000;

/// A pod whose log is read, with the job it was reached from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodKey {
    /// The job.
    pub job: JobKey,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
}

/// View of a pod's log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PodLogView {
    /// The container before its last restart.
    pub previous: bool,
    /// Which container, counted on.
    pub container: usize,
    /// Number of the first visible line since the log was opened; the newest lines are shown if absent.
    pub top: Option<u64>,
    /// Columns that are panned away.
    pub left: usize,
    /// Lines that were visible in the last frame.
    pub page: usize,
    /// Numbers of the lines that pass what is typed.
    shown: Vec<u64>,
}

impl PodLogView {
    /// Moves by lines; at the end the newest lines are shown as they come.
    pub fn move_by(&mut self, by: isize) {
        let last = self.shown.len().saturating_sub(self.page);
        let here = self.top.map_or(last, |top| self.shown.partition_point(|line| *line < top));
        let there = here.saturating_add_signed(by);
        self.top = if there >= last { None } else { self.shown.get(there).copied() };
    }

    /// Holds the place, or shows the newest lines as they come again.
    pub fn hold_or_follow(&mut self) {
        self.top = match self.top {
            Some(_) => None,
            None => self.shown.get(self.shown.len().saturating_sub(self.page)).copied(),
        };
    }

    /// Forgets the place, for another log.
    pub fn anew(&mut self) {
        (self.top, self.left) = (None, 0);
    }
}

fn pod<'a>(ctx: &Ctx<'a>, key: &PodKey) -> Option<&'a PodRow> {
    let job = ctx.snapshot.job(&key.job)?;
    let pods = super::pods::pods_of(ctx, job)?;
    pods.pods.iter().find(|pod| pod.name == key.pod && pod.namespace == key.namespace).map(AsRef::as_ref)
}

/// Names of a pod's containers.
fn container<'a>(pod: Option<&'a PodRow>, view: &PodLogView) -> Option<&'a str> {
    let names = &pod?.containers;
    names.get(view.container % names.len().max(1)).map(String::as_str)
}

/// What must be read for this screen.
pub fn query(ctx: &Ctx, key: &PodKey, view: &PodLogView, source: SourceId, filter: &str) -> LogQuery {
    LogQuery {
        source,
        namespace: key.namespace.clone(),
        pod: key.pod.clone(),
        container: container(pod(ctx, key), view).map(str::to_owned),
        previous: view.previous,
        follow: !view.previous,
        filter: filter.to_owned(),
        tail: TAIL,
    }
}

/// The log that was read for this screen.
fn log<'a>(ctx: &Ctx<'a>, key: &PodKey, view: &PodLogView) -> Option<&'a LogView> {
    let log = ctx.snapshot.log.as_deref()?;
    let query = &log.query;
    let same = query.pod == key.pod && query.namespace == key.namespace && query.previous == view.previous;
    same.then_some(log)
}

/// Takes anew which lines pass.
pub fn refresh(ctx: &Ctx, key: &PodKey, view: &mut PodLogView) {
    view.shown.clear();
    let Some(log) = log(ctx, key, view) else { return };
    // What the reader holds back already passes.
    let all = log.query.filter == ctx.typed;
    let numbered = (log.dropped..).zip(log.lines.iter());
    view.shown.extend(numbered.filter(|(_, line)| all || holds(line, ctx.typed)).map(|(number, _)| number));
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, key: &PodKey, view: &mut PodLogView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    let Some(job) = parts::job_or_message(buffer, area, ctx, &key.job) else { return };
    if let Some(why) = ctx.snapshot.missing_right(job, KubeAction::ReadLogs) {
        return message(buffer, area, theme, Slot::Warning, &why);
    }
    let pod = pod(ctx, key);
    let [top, _] = split_top(area, area.height / 2);
    let mut lines = Lines::new(buffer, top, theme);
    let log = log(ctx, key, view);
    let ending = match (view.previous, view.top.is_some(), log.map(|log| log.open)) {
        (true, ..) => "the container before its last restart".to_owned(),
        (false, true, _) => "held here".to_owned(),
        (false, false, None | Some(true)) => "followed".to_owned(),
        (false, false, Some(false)) => "it has ended".to_owned(),
    };
    let names = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let which = container(pod, view).map(|name| match names.len() {
        0 | 1 => name.to_owned(),
        n => format!("{name} ({} of {n})", view.container % n + 1),
    });
    let restarts = pod.map(|pod| pod.restarts.to_string()).unwrap_or_default();
    let gone = if pod.is_none() { "gone" } else { "" };
    let last = pod.and_then(|pod| pod.last_termination.as_ref()).map(|last| last.sentence()).unwrap_or_default();
    lines.fields(&[
        ("pod", clean(&key.pod, 120), Slot::Emphasis),
        ("", gone.into(), Slot::Warning),
        ("container", clean(which.as_deref().unwrap_or_default(), 60), Slot::Base),
        ("log", ending.into(), if view.top.is_some() || view.previous { Slot::Notice } else { Slot::Ok }),
        ("restarts", restarts.into(), Slot::Base),
        ("last end", clean(&last, 60), Slot::Warning),
        ("ns", clean(&key.namespace, 60), Slot::Muted),
    ]);
    cluster_words::watch_lines(&mut lines, ctx, &job.source, "pods", Some(&key.namespace));
    if let Some(error) = log.and_then(|log| log.error.as_ref()) {
        let lead = format!("{} ", theme.glyphs.error);
        lines.sentence(&lead, theme.style(Slot::Error), error, theme.style(Slot::Base), 2);
    }
    let used = lines.used;
    let body = split_top(area, used)[1];
    let Some(log) = log else {
        return message(buffer, body, theme, Slot::Muted, &format!("asking for the log{}", theme.glyphs.ellipsis));
    };
    draw_lines(buffer, body, ctx, log, view);
}

fn draw_lines(buffer: &mut Buffer, body: Rect, ctx: &Ctx, log: &LogView, view: &mut PodLogView) {
    let theme = ctx.theme;
    view.page = usize::from(body.height.saturating_sub(1));
    let last = view.shown.len().saturating_sub(view.page);
    let offset = view.top.map_or(last, |top| view.shown.partition_point(|line| *line < top).min(last));
    let count = view.shown.len();
    let mut place = format!("lines {}-{} of {count}", (offset + 1).min(count), (offset + view.page).min(count));
    let filtered = log.filtered + (log.lines.len() - count) as u64;
    for (number, what) in [(filtered, "filtered out"), (log.dropped, "older forgotten")] {
        if number > 0 {
            place = format!("{place}, {number} {what}");
        }
    }
    if offset < last {
        place = format!("{place}, not at the end");
    }
    let inside = headed(buffer, body, theme, "log", &place);
    if view.shown.is_empty() {
        let text = match (log.lines.is_empty() && log.filtered == 0, log.open, log.error.is_some()) {
            (false, ..) => "no line holds what the filter wants",
            (true, true, false) => "no line yet",
            (true, false, false) => "the container has written nothing",
            (true, _, true) => "no line could be read: see above",
        };
        return message(buffer, inside, theme, Slot::Muted, text);
    }
    let mark = (ctx.typed, theme.style(Slot::Match));
    for (line, number) in (0..inside.height).zip(view.shown.iter().skip(offset)) {
        let Some(text) = number.checked_sub(log.dropped).and_then(|at| log.lines.get(usize::try_from(at).ok()?)) else {
            continue;
        };
        panned(buffer, inside, line, text, view.left, theme.style(level(text)), mark);
    }
}

/// How a line looks, by the level that log4j writes into it and by what Java writes of exceptions.
fn level(line: &str) -> Slot {
    let trimmed = line.trim_start();
    if trimmed.starts_with("at ") || trimmed.starts_with("... ") {
        return Slot::Muted;
    }
    if trimmed.starts_with("Caused by:") {
        return Slot::Error;
    }
    // The level stands among the first words, behind date and time.
    match line.split_whitespace().take(5).find_map(|word| match word.trim_matches(['[', ']', ':']) {
        "ERROR" | "FATAL" | "SEVERE" => Some(Slot::Error),
        "WARN" | "WARNING" => Some(Slot::Warning),
        "DEBUG" | "TRACE" => Some(Slot::Muted),
        "INFO" => Some(Slot::Base),
        _ => None,
    }) {
        Some(slot) => slot,
        None => Slot::Base,
    }
}
