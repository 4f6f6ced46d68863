//! The two lines on top: where data come from and how fresh they are, what must not be overlooked, and where the user is.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::domain::freshness::Freshness;
use crate::domain::health::Severity;
use crate::domain::plan::PlanState;
use crate::domain::snapshot::{SourceState, SourceView};
use crate::tui::action::Action;
use crate::tui::format::clean;
use crate::tui::model::Model;
use crate::tui::screens::{Ctx, Screen};
use crate::tui::theme::Slot;
use crate::tui::widgets::breadcrumbs;

/// Sources that are named one by one at most.
const SOURCES: usize = 3;
/// A source that is fine answers at least this often.
const PERIOD: Duration = Duration::from_secs(10);

/// Draws the header. On a narrow terminal first the name goes, then the count of jobs, then the notices become a number, and
/// last the sources are named one by one no more: what must not be overlooked stays.
pub(super) fn header(frame: &mut Frame, area: Rect, ctx: &Ctx, model: &Model) {
    let theme = ctx.theme;
    frame.buffer_mut().set_style(area, theme.style(Slot::Header));
    let wide = |spans: &[Span]| spans.iter().map(|span| span.content.width()).sum::<usize>();
    let room = usize::from(area.width);
    let name = Span::styled(" flightdeck ", theme.style(Slot::Title));
    let most = ctx.snapshot.sources.len().min(SOURCES);
    let tries = [(most, true, true), (most, false, true), (most, false, false)]
        .into_iter()
        .chain((1..most).rev().map(|count| (count, false, false)));
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (count, jobs, in_words) in tries {
        (left, right) = (sources(ctx, count), facts(ctx, model, jobs, in_words));
        if wide(&left) + wide(&right) <= room {
            break;
        }
    }
    if wide(&left) + wide(&right) + name.content.width() <= room {
        left.insert(0, name);
    }
    let right_width = u16::try_from(wide(&right)).unwrap_or(u16::MAX).min(area.width);
    frame.render_widget(Line::from(left), Rect { width: area.width - right_width, ..area });
    let right_area = Rect { x: area.right() - right_width, width: right_width, ..area };
    frame.render_widget(Line::from(right), right_area);
}

/// So many sources by name, lost ones first, and how many more there are.
fn sources(ctx: &Ctx, most: usize) -> Vec<Span<'static>> {
    let muted = ctx.theme.style(Slot::Muted);
    let mut sources: Vec<&SourceView> = ctx.snapshot.sources.iter().map(AsRef::as_ref).collect();
    sources.sort_by_key(|source| !matches!(source.state, SourceState::Lost { .. }));
    let mut spans: Vec<Span> = sources.iter().take(most).flat_map(|source| source_spans(ctx, source)).collect();
    if sources.is_empty() {
        spans.push(Span::styled(" no source yet", muted));
    } else if sources.len() > most {
        spans.push(Span::styled(format!(" +{} ", sources.len() - most), muted));
    }
    spans
}

fn source_spans(ctx: &Ctx, source: &SourceView) -> Vec<Span<'static>> {
    let theme = ctx.theme;
    let freshness = Freshness::of(source.last_ok, PERIOD, ctx.now);
    let (slot, glyph, text) = match &source.state {
        SourceState::Connecting => (Slot::Info, theme.glyphs.info, "connecting".to_owned()),
        SourceState::Live if freshness == Freshness::Live => {
            if let Some(at) = source.last_ok {
                ctx.next.at(at + PERIOD * 2 + Duration::from_millis(1));
            }
            (Slot::Ok, theme.glyphs.ok, "live".to_owned())
        }
        SourceState::Live => {
            let age = source.last_ok.map(|at| format!(" {}", ctx.age(at))).unwrap_or_default();
            (Slot::Warning, theme.glyphs.stale, format!("{}{age}", freshness.word()))
        }
        SourceState::Lost { since, attempt, next_attempt_at, .. } => {
            let (since, next) = (ctx.age(*since), ctx.left(*next_attempt_at));
            (Slot::Error, theme.glyphs.lost, format!("lost {since}, try {attempt} in {next}"))
        }
    };
    vec![
        Span::styled(format!(" {glyph} "), theme.style(slot)),
        Span::styled(clean(source.id.as_str(), 40).into_owned(), theme.style(Slot::Emphasis)),
        Span::styled(format!(" {text} "), theme.style(slot)),
    ]
}

/// What must not be overlooked, and the counters: with the count of jobs, and with the notices in words.
fn facts(ctx: &Ctx, model: &Model, jobs: bool, in_words: bool) -> Vec<Span<'static>> {
    let theme = ctx.theme;
    let snapshot = ctx.snapshot;
    let mut words: Vec<(Slot, String)> = Vec::new();
    if let Some(frozen) = ctx.frozen {
        words.push((Slot::Frozen, format!("{} FROZEN {}", theme.glyphs.paused, ctx.age(frozen))));
    }
    if model.loop_ended() {
        words.push((Slot::Critical, "LOOP ENDED".to_owned()));
    }
    if snapshot.read_only {
        words.push((Slot::Notice, "READ-ONLY".to_owned()));
    }
    let plans = |fits: fn(&PlanState) -> bool| snapshot.plans.iter().filter(|plan| fits(&plan.state)).count();
    let unfinished = plans(|state| matches!(state, PlanState::Interrupted { .. }));
    if unfinished > 0 {
        words.push((Slot::Notice, format!("UNFINISHED {unfinished}")));
    }
    let running = plans(|state| *state == PlanState::Running);
    if running > 0 {
        words
            .push((Slot::Info, format!("{} {running} plan{}", theme.glyphs.info, if running == 1 { "" } else { "s" })));
    }
    let noticed = |word: &str| snapshot.notices.iter().any(|notice| notice.short.to_lowercase().contains(word));
    let auto = model.tally.auto;
    if auto > 0 && !noticed("auto") {
        words.push((Slot::Notice, format!("AUTO {auto}")));
    }
    if snapshot.sources.iter().any(|source| source.insecure) && !noticed("insecure") {
        words.push((Slot::Notice, "INSECURE".to_owned()));
    }
    match snapshot.notices.len() {
        count @ 1.. if !in_words => {
            let key = model.keymap().key_text(Action::Notices);
            words.push((Slot::Notice, format!("{count} notice{} {key}", if count == 1 { "" } else { "s" })));
        }
        _ => words.extend(snapshot.notices.iter().map(|notice| (Slot::Notice, notice.short.clone()))),
    }
    let mut spans: Vec<Span> = Vec::new();
    for (slot, word) in words {
        spans.push(Span::styled(format!(" {word} "), theme.style(slot)));
        spans.push(Span::raw(" "));
    }
    if jobs {
        spans.push(Span::styled(format!("{} jobs", snapshot.jobs.len()), theme.style(Slot::Muted)));
    }
    for severity in [Severity::Critical, Severity::Error, Severity::Warning] {
        let count = model.tally.jobs(severity);
        if count > 0 {
            let text = format!(" {}{count}", theme.severity_glyph(severity));
            spans.push(Span::styled(text, theme.style(Slot::severity(severity))));
        }
    }
    let waiting = model.tally.waiting;
    if waiting > 0 {
        let text = format!(" {} {waiting} wait", theme.glyphs.muted);
        spans.push(Span::styled(text, theme.style(Slot::Accent)));
    }
    spans.push(Span::raw(" "));
    spans
}

/// Draws where the user is, and what the list leaves out.
pub(super) fn breadcrumbs(frame: &mut Frame, area: Rect, ctx: &Ctx, model: &Model) {
    let theme = ctx.theme;
    let name = |screen: &Screen| match screen {
        Screen::Job(key) => ctx.snapshot.job(key).map_or("gone".to_owned(), |job| clean(&job.name, 200).into_owned()),
        Screen::Decision(id) => id.to_string(),
        Screen::PodLog(key) => clean(&key.pod, 200).into_owned(),
        Screen::Plan(id) => ctx.snapshot.plan(*id).map_or_else(
            || id.to_string(),
            |plan| format!("{} {}", plan.operation.word(), clean(&plan.target.name, 200)),
        ),
        screen => screen.title().to_owned(),
    };
    let parts: Vec<String> = model.places.path().iter().map(name).collect();
    let filter = model.filter();
    let mut right = Vec::new();
    if !filter.text.is_empty() {
        right.push(Span::styled(format!("/{}", filter.text), theme.style(Slot::Match)));
        if filter.error.is_some() {
            right.push(Span::styled(" is unreadable, so not applied", theme.style(Slot::Error)));
        } else {
            let key = model.keymap().key_text(Action::Back);
            right.push(Span::styled(format!("  {key} clears"), theme.style(Slot::Hint)));
        }
    }
    right.push(Span::raw(" "));
    let right_width = right.iter().map(|span| span.content.width()).sum::<usize>();
    let right_width = u16::try_from(right_width).unwrap_or(u16::MAX).min(area.width / 3 * 2);
    let left_area = Rect { x: area.x + 1, width: area.width.saturating_sub(right_width + 1), ..area };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    breadcrumbs::breadcrumbs(frame.buffer_mut(), left_area, theme, &parts);
    let right_area = Rect { x: area.right() - right_width, width: right_width, ..area };
    frame.render_widget(Line::from(right), right_area);
}
