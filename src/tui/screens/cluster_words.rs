//! What several screens of Kubernetes say in the same words: how a watch stands, what is missing outside of Kubernetes, cores.

use super::{Ctx, parts};
use crate::domain::ids::SourceId;
use crate::domain::job::JobView;
use crate::domain::kubernetes::WatchView;
use crate::domain::snapshot::{SourceKind, SourceState};
use crate::tui::format::{clean, exact};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::Lines;

/// Why a job has none of these, if it does not come from Kubernetes.
pub(super) fn none_here(ctx: &Ctx, job: &JobView, what: &str) -> Option<String> {
    let source = ctx.snapshot.source(&job.source)?;
    (source.kind != SourceKind::Kubernetes).then(|| {
        format!("{} is plain Flink behind an address: there are no {what} to see", clean(job.source.as_str(), 60))
    })
}

/// Cores from thousandths.
pub(super) fn cores(thousandths: u64) -> String {
    exact(thousandths as f64 / 1000.0)
}

/// Why a watch is not live, with the countdown to its next attempt.
pub(super) fn watch_trouble(ctx: &Ctx, watch: &WatchView) -> Option<(String, String, Slot)> {
    match &watch.state {
        SourceState::Live => None,
        SourceState::Connecting => Some(("connecting".to_owned(), String::new(), Slot::Info)),
        SourceState::Lost { since, attempt, next_attempt_at, error } => {
            let word = if watch.forbidden { "no right" } else { "lost" };
            let lead = format!("{word} {}, try {attempt}, next in {}", ctx.age(*since), ctx.left(*next_attempt_at));
            Some((lead, error.clone(), if watch.forbidden { Slot::Warning } else { Slot::Error }))
        }
    }
}

/// One line for each watch of this resource that is not live: what was seen before may be old.
pub(super) fn watch_lines(lines: &mut Lines, ctx: &Ctx, source: &SourceId, resource: &str, namespace: Option<&str>) {
    let Some(kube) = ctx.snapshot.kube(source) else { return };
    let of = |watch: &&WatchView| {
        let place = watch.namespace.as_deref();
        watch.resource == resource && (place.is_none() || namespace.is_none() || place == namespace)
    };
    for watch in kube.watches.iter().filter(of) {
        let Some((lead, why, slot)) = watch_trouble(ctx, watch) else { continue };
        let glyph = ctx.theme.glyphs.lost;
        let lead = format!("{glyph} watch of {}: {lead}  ", parts::named(&watch.resource));
        lines.sentence(&lead, ctx.theme.style(slot), &why, ctx.theme.style(Slot::Base), 2);
    }
}
