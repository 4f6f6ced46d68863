//! What several screens say in the same words: how fresh, how well, which decision, and what to say when there is nothing.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Ctx, Scroll};
use crate::domain::Timestamp;
use crate::domain::decision::{Decision, DecisionState};
use crate::domain::freshness::Freshness;
use crate::domain::ids::{JobKey, SourceId};
use crate::domain::job::{ClusterView, JobView, Mode, Ownership, Realization};
use crate::domain::plan::Plan;
use crate::domain::reason::ReasonCode;
use crate::domain::snapshot::SourceState;
use crate::tui::action::operate::touches;
use crate::tui::format::{self, UNKNOWN, clean, fit};
use crate::tui::theme::{Slot, Theme};
use crate::tui::widgets::pane::{Lines, message};

/// Jobs, TaskManagers and the loop are asked at least this often.
pub(super) const PERIOD: Duration = Duration::from_secs(10);
/// Checkpoints and problems are asked at least this often.
pub(super) const SLOW_PERIOD: Duration = Duration::from_secs(15);
/// Longer names and sentences than this are nobody's to read.
pub(super) const LONGEST: usize = 400;

/// How fresh something of a source is. Arms the next frame for when the word will change.
pub(super) fn freshness(ctx: &Ctx, source: &SourceId, at: Option<Timestamp>, period: Duration) -> Freshness {
    let lost = ctx.snapshot.source(source).is_some_and(|source| matches!(source.state, SourceState::Lost { .. }));
    match at {
        Some(_) if lost => Freshness::Lost,
        _ => {
            let ends = at.into_iter().flat_map(|at| [at + period * 2, at + period * 5]);
            if let Some(next) = ends.map(|end| end + Duration::from_millis(1)).find(|end| *end > ctx.now) {
                ctx.next.at(next);
            }
            Freshness::of(at, period, ctx.now)
        }
    }
}

/// The age of something, with the glyph of its freshness in front: `4s`, `◴4m10s`.
pub(super) fn age(ctx: &Ctx, at: Option<Timestamp>, freshness: Freshness) -> String {
    let glyph = ctx.theme.freshness_glyph(freshness);
    match at {
        None => UNKNOWN.to_owned(),
        Some(at) if glyph.is_empty() => ctx.age(at),
        Some(at) => format!("{glyph}{}", ctx.age(at)),
    }
}

/// How a number of this freshness looks.
pub(super) fn style_of(ctx: &Ctx, freshness: Freshness) -> Style {
    ctx.theme.style(Slot::freshness(freshness))
}

/// The status word of a job with its glyph.
pub(super) fn health(theme: &Theme, job: &JobView) -> (String, Style) {
    let severity = job.health.word.severity();
    (format!("{} {}", theme.severity_glyph(severity), job.health.word.word()), theme.style(Slot::severity(severity)))
}

/// The name of a job, cleaned; never empty.
pub(super) fn name(job: &JobView) -> Cow<'_, str> {
    named(&job.name)
}

/// A name from a cluster, cleaned; never empty.
pub(super) fn named(name: &str) -> Cow<'_, str> {
    if name.trim().is_empty() { Cow::Borrowed("(no name)") } else { format::clean(name, LONGEST) }
}

/// The glyph and the look of where a decision is in its life.
pub(super) fn decision_mark(theme: &Theme, state: &DecisionState) -> (&'static str, Slot) {
    let glyphs = theme.glyphs;
    match state {
        DecisionState::Pending => (glyphs.bullet, Slot::Accent),
        DecisionState::Approved | DecisionState::Applying | DecisionState::Applied => (glyphs.info, Slot::Info),
        DecisionState::Confirmed => (glyphs.ok, Slot::Ok),
        DecisionState::Failed { .. } => (glyphs.error, Slot::Error),
        DecisionState::Regressed { .. } => (glyphs.warning, Slot::Warning),
        DecisionState::Inconclusive { .. } => (glyphs.unknown, Slot::Warning),
        DecisionState::Rejected { .. }
        | DecisionState::Snoozed { .. }
        | DecisionState::Expired
        | DecisionState::Superseded { .. } => (glyphs.muted, Slot::Muted),
    }
}

/// The word for where a decision is, with the time it has left where it has one.
pub(super) fn decision_word(ctx: &Ctx, decision: &Decision) -> String {
    let word = decision.state.word();
    match &decision.state {
        DecisionState::Pending => format!("{word} {}", ctx.left(decision.expires_at)),
        DecisionState::Snoozed { until } | DecisionState::Rejected { until, .. } if *until > ctx.now => {
            format!("{word} {}", ctx.left(*until))
        }
        _ => word.to_owned(),
    }
}

/// The word for where a decision is, with the time it has left in whole minutes: for tables.
pub(super) fn decision_word_short(ctx: &Ctx, decision: &Decision) -> String {
    let word = decision.state.word();
    match &decision.state {
        DecisionState::Pending => format!("{word} {}", minutes_left(ctx, decision.expires_at)),
        DecisionState::Snoozed { until } | DecisionState::Rejected { until, .. } if *until > ctx.now => {
            format!("{word} {}", minutes_left(ctx, *until))
        }
        _ => word.to_owned(),
    }
}

/// The time left in one unit, rounded up: `28m`, `42s`. Arms the next frame for when the text will change.
fn minutes_left(ctx: &Ctx, until: Timestamp) -> String {
    let left = (until - ctx.now).to_std().unwrap_or_default();
    if left <= Duration::from_secs(60) {
        return ctx.left(until);
    }
    let unit = if left <= Duration::from_secs(2 * 3600) { 60 } else { 3600 };
    let units = left.as_millis().div_ceil(unit * 1000);
    let text = format!("{units}{}", if unit == 60 { "m" } else { "h" });
    let below = u64::try_from((units - 1) * unit).unwrap_or(u64::MAX);
    ctx.next.at(until - Duration::from_secs(below) + Duration::from_millis(1));
    text
}

/// Why a decision is where it is, if its state says so.
pub(super) fn decision_why(state: &DecisionState) -> Option<&str> {
    match state {
        DecisionState::Rejected { reason, .. } => reason.as_deref(),
        DecisionState::Superseded { why, .. }
        | DecisionState::Failed { why }
        | DecisionState::Regressed { why }
        | DecisionState::Inconclusive { why } => Some(why),
        DecisionState::Pending
        | DecisionState::Approved
        | DecisionState::Snoozed { .. }
        | DecisionState::Expired
        | DecisionState::Applying
        | DecisionState::Applied
        | DecisionState::Confirmed => None,
    }
}

/// `4→8`.
pub(super) fn from_to(theme: &Theme, from: i32, to: i32) -> String {
    format!("{from}{}{to}", theme.glyphs.arrow)
}

/// Every change of a decision in one line: `4→8 score, 4→6 source`. The numbers come first because names are cut.
pub(super) fn changes(theme: &Theme, decision: &Decision) -> String {
    let mut parts: Vec<String> = decision
        .changes
        .iter()
        .map(|c| format!("{} {}", from_to(theme, c.from, c.to), fit(&named(&c.name), 24, theme.glyphs.ellipsis)))
        .collect();
    let settings = decision.config.set.len() + decision.config.removed.len();
    match settings {
        0 => {}
        1 => parts.push("1 setting".to_owned()),
        n => parts.push(format!("{n} settings")),
    }
    parts.join(", ")
}

/// The decision of a job that is still under way, if there is one.
pub(super) fn open_decision<'a>(ctx: &Ctx<'a>, job: &JobKey) -> Option<&'a Arc<Decision>> {
    ctx.snapshot.decision_of(job).filter(|decision| !decision.state.is_final())
}

/// The plan that touches a job and has not come to an end, if there is one.
pub(super) fn open_plan<'a>(ctx: &Ctx<'a>, job: &JobView) -> Option<&'a Arc<Plan>> {
    ctx.snapshot.plans.iter().find(|plan| plan.state.is_open() && touches(plan, job))
}

/// Where the open plan of a job is, if there is one.
pub(super) fn plan(lines: &mut Lines, ctx: &Ctx, job: &JobView) {
    let theme = ctx.theme;
    let Some(plan) = open_plan(ctx, job) else { return };
    let at = plan.current_step().map(|(number, step)| {
        let note = step.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        format!(", step {number} of {}: {}{note}", plan.steps.len(), step.name)
    });
    let text = format!("{} {}{}", plan.operation.word(), plan.state.word(), at.unwrap_or_default());
    let slot = super::plan::mark(theme, &plan.state).1;
    lines.sentence("plan  ", theme.style(Slot::Label), &text, theme.style(slot), 1);
}

/// A heading over what follows, below an empty line.
pub(super) fn title(lines: &mut Lines, ctx: &Ctx, text: &str) {
    lines.blank();
    lines.line(&[(text, ctx.theme.style(Slot::Title))]);
}

/// Draws words that may be longer than their area: written once unseen to be measured, then as far as they are in sight.
pub(super) fn scrolled(buffer: &mut Buffer, area: Rect, ctx: &Ctx, scroll: &mut Scroll, words: impl Fn(&mut Lines)) {
    let nowhere = Rect { height: 0, ..area };
    let mut unseen = Buffer::empty(nowhere);
    let mut measured = Lines::new(&mut unseen, nowhere, ctx.theme);
    words(&mut measured);
    scroll.fit(usize::from(measured.used), usize::from(area.height));
    let skip = u16::try_from(scroll.offset).unwrap_or(u16::MAX);
    words(&mut Lines::scrolled(buffer, area, ctx.theme, skip));
}

/// The job of a screen; if it is not there, says why in the middle of the area.
pub(super) fn job_or_message<'a>(
    buffer: &mut Buffer,
    area: Rect,
    ctx: &Ctx<'a>,
    key: &JobKey,
) -> Option<&'a Arc<JobView>> {
    let job = ctx.snapshot.job(key);
    if job.is_none() {
        let text = if ctx.snapshot.loaded {
            "this job is gone: it was deleted, or its cluster forgot it"
        } else {
            "waiting for the first answer"
        };
        message(buffer, area, ctx.theme, Slot::Muted, text);
    }
    job
}

/// The cluster of a job.
pub(super) fn cluster<'a>(ctx: &Ctx<'a>, job: &JobView) -> Option<&'a Arc<ClusterView>> {
    ctx.snapshot.cluster(&job.cluster)
}

/// Seconds over which rates in charts are taken: three of Flink's own fetches.
pub(super) fn rate_span(ctx: &Ctx, job: &JobView) -> f64 {
    cluster(ctx, job).map_or(0.0, |cluster| cluster.metric_interval.as_secs_f64() * 3.0)
}

/// What to say where something of a job was never seen.
pub(super) fn nothing_yet(ctx: &Ctx, job: &JobView, what: &str) -> String {
    let source = ctx.snapshot.source(&job.source);
    match source.map(|source| &source.state) {
        Some(SourceState::Lost { error, .. }) => format!("no {what}: {}", format::clean(error, LONGEST)),
        _ if job.state.is_terminal() => format!("no {what}: the job is {}", job.state.name()),
        _ => format!("asking for {what}{}", ctx.theme.glyphs.ellipsis),
    }
}

/// Who scales a job, in a word and with the evidence.
pub fn ownership(job: &JobView) -> (&'static str, &str) {
    match &job.ownership {
        Ownership::Observer { why } => ("the operator scales", why),
        Ownership::Pilot { why } => ("flightdeck computes", why),
        Ownership::Conflict { why } => ("CONFLICT", why),
    }
}

/// How a decision would be applied.
pub(super) fn realization(job: &JobView) -> Cow<'_, str> {
    match &job.realization {
        Realization::PatchResource { in_place: true } => "patches the resource, in place".into(),
        Realization::PatchResource { in_place: false } => "patches the resource, redeploys".into(),
        Realization::ResourceRequirements => "sets resource requirements, in place".into(),
        Realization::AdviseOnly { why } => format!("advice only: {}", format::clean(why, LONGEST)).into(),
    }
}

/// The mode of a job with its look: auto must not be overlooked.
pub(super) fn mode(job: &JobView) -> (&'static str, Slot) {
    match job.mode {
        Mode::Auto => ("AUTO", Slot::Notice),
        mode => (mode.word(), Slot::Base),
    }
}

/// What is under way, unless the status word's reason says it already.
pub(super) fn progress(job: &JobView) -> Option<&str> {
    job.progress.as_deref().filter(|progress| *progress != job.health.reason)
}

/// The first lines of every screen of a job: status word with evidence, what is under way, and the fields that matter.
pub(super) fn headline(lines: &mut Lines, ctx: &Ctx, job: &JobView) {
    let theme = ctx.theme;
    let (word, style) = health(theme, job);
    lines.sentence(&format!("{word}  "), style, &job.health.reason, theme.style(Slot::Base), 2);
    if let Some(progress) = progress(job) {
        lines.sentence(
            &format!("{} ", theme.glyphs.info),
            theme.style(Slot::Info),
            progress,
            theme.style(Slot::Info),
            1,
        );
    }
    plan(lines, ctx, job);
    let fresh = freshness(ctx, &job.source, job.observed_at, PERIOD);
    let place = job.namespace.as_deref().map(named).unwrap_or_default();
    let tasks =
        if job.tasks.total > 0 { format!("{}/{} run", job.tasks.running, job.tasks.total) } else { String::new() };
    let up = job.run.map(|run| ctx.age(run.running_since)).unwrap_or_default();
    let (mode, mode_slot) = mode(job);
    let seen = match fresh {
        Freshness::Live | Freshness::Late => age(ctx, job.observed_at, fresh),
        _ => format!("{} ({})", age(ctx, job.observed_at, fresh), fresh.word()),
    };
    // On a narrow screen the place is left to the breadcrumbs and the fleet.
    let wide = lines.width() >= 100;
    let place = if wide { fit(&place, 24, theme.glyphs.ellipsis) } else { Cow::Borrowed("") };
    let on = if wide { fit(job.source.as_str(), 24, theme.glyphs.ellipsis) } else { Cow::Borrowed("") };
    lines.fields(&[
        ("state", job.state.name().into(), Slot::Base),
        ("operator", job.health.operator.as_deref().map(|word| clean(word, 60)).unwrap_or_default(), Slot::Base),
        ("tasks", tasks.into(), if job.tasks.all_running() { Slot::Base } else { Slot::Warning }),
        ("running", up.into(), Slot::Base),
        ("mode", mode.into(), mode_slot),
        ("data", seen.into(), Slot::freshness(fresh)),
        ("ns", place, Slot::Muted),
        ("on", on, Slot::Muted),
    ]);
}

/// The last turn of the loop in one sentence, with its code and when it ends by itself.
pub(super) fn turn(lines: &mut Lines, ctx: &Ctx, job: &JobView, limit: usize) {
    let theme = ctx.theme;
    let Some(turn) = &job.turn else {
        lines.sentence("loop  ", theme.style(Slot::Label), "no turn yet for this job", theme.style(Slot::Muted), 1);
        return;
    };
    let mut text = format!("{}: {}", turn.reason.code.id(), turn.reason.sentence);
    if let Some(until) =
        turn.reason.until.filter(|until| *until > ctx.now && turn.reason.code != ReasonCode::AwaitingApproval)
    {
        text = format!("{text} ({} left)", ctx.left(until));
    }
    lines.sentence("loop  ", theme.style(Slot::Label), &text, theme.style(Slot::Emphasis), limit);
}
