//! Memory advice: every pool of a TaskManager as it is configured, used and could be, and why not smaller.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::freshness::Freshness;
use crate::domain::job::JobView;
use crate::domain::memory::{MemoryAdvice, MemoryOutlook, MemoryPool, PoolAdvice, PoolFloor};
use crate::tui::format::{UNKNOWN, bytes, bytes_or_unknown, clean, percent};
use crate::tui::screens::{Ctx, parts};
use crate::tui::theme::Slot;
use crate::tui::widgets::pane::{Lines, framed, message, put};

/// Lines of the pane with its frame: header, pools, process, and two for the sentence.
pub(super) const HEIGHT: u16 = 2 + 1 + MemoryPool::ALL.len() as u16 + 1 + 2;
/// Columns in which every number stands; the reasons follow.
const NUMBERS: u16 = 66;
/// From so many columns for the reasons on they are sentences.
const SENTENCES: u16 = 42;

/// Draws the pane.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, ctx: &Ctx, job: &JobView) {
    let theme = ctx.theme;
    let title = "Advice for each TaskManager";
    let advice = match job.memory_advice.as_deref() {
        Some(MemoryOutlook::Advised(advice)) => advice,
        other => {
            let inside = framed(buffer, area, theme, title, "", false);
            let why = match other {
                Some(MemoryOutlook::Unknown { why }) => format!("nothing is advised: {}", clean(why, parts::LONGEST)),
                Some(MemoryOutlook::Advised(_)) | None => parts::nothing_yet(ctx, job, "memory advice"),
            };
            message(buffer, inside, theme, Slot::Muted, &why);
            return;
        }
    };
    let fresh = parts::freshness(ctx, &job.source, Some(advice.at), parts::PERIOD);
    let age = parts::age(ctx, Some(advice.at), fresh);
    let samples = if advice.samples == 1 { "1 sample".to_owned() } else { format!("{} samples", advice.samples) };
    let inside = framed(buffer, area, theme, title, &format!("{samples}, {age}"), false);
    let base = theme.style(if fresh > Freshness::Late { Slot::Stale } else { Slot::Base });
    let sentences = inside.width >= NUMBERS + SENTENCES;
    let header = line("POOL", "CONFIGURED", "USED", "PEAK", "PROPOSED", "SAVED");
    let end = put(buffer, inside, 0, 0, &header, theme.style(Slot::Label));
    put(buffer, inside, end, 0, if sentences { "WHY NOT SMALLER" } else { "WHY" }, theme.style(Slot::Label));
    let mut at = 1;
    for pool in &advice.pools {
        let mark = if pool.below_peak() { theme.glyphs.warning } else { "" };
        let proposed = format!("{mark}{}", bytes(pool.proposed));
        let text = line(
            pool.pool.name(),
            &bytes(pool.configured),
            &bytes_or_unknown(pool.used),
            &bytes_or_unknown(pool.peak),
            &proposed,
            &signed(pool.saved()),
        );
        let end = put(buffer, inside, 0, at, &text, base);
        let why = if sentences { why(pool) } else { why_short(&pool.floor).into() };
        let slot = if pool.below_peak() { Slot::Warning } else { Slot::Muted };
        put(buffer, inside, end, at, &why, theme.style(slot));
        at += 1;
    }
    let process =
        line("process", &bytes(advice.configured), UNKNOWN, UNKNOWN, &bytes(advice.proposed), &signed(advice.saved()));
    put(buffer, inside, 0, at, &process, theme.style(Slot::Emphasis));
    let rest =
        Rect { y: inside.y + (at + 1).min(inside.height), height: inside.height.saturating_sub(at + 1), ..inside };
    let (slot, text) = heap(advice);
    let glyph = if slot == Slot::Warning { theme.glyphs.warning } else { theme.glyphs.bullet };
    let limit = usize::from(rest.height);
    Lines::new(buffer, rest, theme).sentence(&format!("{glyph} "), theme.style(slot), &text, base, limit);
}

fn line(pool: &str, configured: &str, used: &str, peak: &str, proposed: &str, saved: &str) -> String {
    format!("{pool:<12} {configured:>10} {used:>9} {peak:>9} {proposed:>10} {saved:>10} ")
}

/// What is saved; more than now has a minus.
fn signed(saved: i64) -> String {
    let size = bytes(saved.unsigned_abs());
    if saved < 0 { format!("-{size}") } else { size }
}

/// The advice in one sentence, for the hints of the screen.
pub(super) fn hint(advice: &MemoryAdvice) -> (Slot, String) {
    let (slot, heap) = heap(advice);
    let text = match advice.saved() {
        0 => format!("advice: {} each, as configured; {heap}", bytes(advice.proposed)),
        saved => {
            let verb = if saved > 0 { "saves" } else { "adds" };
            let (proposed, saved) = (bytes(advice.proposed), bytes(saved.unsigned_abs()));
            format!("advice: {proposed} each {verb} {saved}; {heap}")
        }
    };
    (slot, text)
}

/// What the advice says of the heap: how much of it is too much or too little, in bytes and per cent.
fn heap(advice: &MemoryAdvice) -> (Slot, String) {
    let Some(heap) = advice.pools.iter().find(|pool| pool.pool == MemoryPool::JvmHeap) else {
        return (Slot::Muted, "the heap is not known".to_owned());
    };
    let (slot, mut text) = match (advice.heap_surplus(), heap.saved()) {
        (Some((surplus, share)), _) => (
            Slot::Info,
            format!(
                "{} of the heap ({}) are more than its average use and headroom need",
                bytes(surplus),
                percent(share)
            ),
        ),
        (None, 0) => (Slot::Info, "the heap fits its average use and headroom".to_owned()),
        (None, saved) => {
            let share = saved.unsigned_abs() as f64 / heap.configured.max(1) as f64;
            let missing = bytes(saved.unsigned_abs());
            (Slot::Warning, format!("the heap lacks {missing} ({}) for its average use and headroom", percent(share)))
        }
    };
    if let Some(peak) = heap.peak.filter(|_| heap.below_peak()) {
        text.push_str(&format!(", but its peak of {} would not have fitted", bytes(peak)));
        return (Slot::Warning, text);
    }
    (slot, text)
}

fn why(pool: &PoolAdvice) -> Cow<'static, str> {
    match pool.floor {
        PoolFloor::NotMeasured => "its use is not measured: as configured".into(),
        PoolFloor::Used { average } => format!("used {} on average, plus headroom", bytes(average)).into(),
        PoolFloor::Buffers => "buffers that the graph needs as it runs".into(),
        PoolFloor::Reserved => "state backend reserves it: as configured".into(),
        PoolFloor::Maximized => "takes what the other pools leave".into(),
        PoolFloor::Unused => "nothing uses it".into(),
        PoolFloor::Exhausted { wanted } => format!("wants {}, no more is there", bytes(wanted)).into(),
    }
}

/// The same in a word or two, where there is little room.
fn why_short(floor: &PoolFloor) -> &'static str {
    match floor {
        PoolFloor::NotMeasured => "not measured",
        PoolFloor::Used { .. } => "use+headroom",
        PoolFloor::Buffers => "graph needs",
        PoolFloor::Reserved => "reserved",
        PoolFloor::Maximized => "takes rest",
        PoolFloor::Unused => "unused",
        PoolFloor::Exhausted { .. } => "no more left",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    fn advice(heap: PoolAdvice) -> MemoryAdvice {
        let mut advice = fixtures::memory_advice();
        advice.pools[0] = heap;
        advice.configured = advice.pools.iter().map(|pool| pool.configured).sum();
        advice.proposed = advice.pools.iter().map(|pool| pool.proposed).sum();
        advice
    }

    #[test]
    fn the_heap_is_named_in_bytes_and_per_cent() {
        const GIB: u64 = 1 << 30;
        let floor = PoolFloor::Used { average: GIB };
        let pool = PoolAdvice {
            pool: MemoryPool::JvmHeap,
            configured: 4 * GIB,
            used: Some(GIB),
            peak: Some(GIB),
            proposed: GIB,
            floor,
        };
        let of = |pool| heap(&advice(pool));
        assert_eq!(
            of(pool),
            (Slot::Info, "3.0 GiB of the heap (75%) are more than its average use and headroom need".to_owned())
        );
        let (slot, text) = of(PoolAdvice { peak: Some(2 * GIB), ..pool });
        assert_eq!(slot, Slot::Warning);
        assert!(text.ends_with("but its peak of 2.0 GiB would not have fitted"), "{text}");
        let (slot, text) = of(PoolAdvice { proposed: 5 * GIB, ..pool });
        assert_eq!(
            (slot, text.as_str()),
            (Slot::Warning, "the heap lacks 1.0 GiB (25%) for its average use and headroom")
        );
        let (_, text) = hint(&advice(pool));
        assert!(text.starts_with("advice: ") && text.contains(" saves "), "{text}");
    }

    #[test]
    fn every_reason_fits_its_column() {
        use crate::tui::format::width;
        let floors = [
            PoolFloor::NotMeasured,
            PoolFloor::Used { average: 1023 << 20 },
            PoolFloor::Buffers,
            PoolFloor::Reserved,
            PoolFloor::Maximized,
            PoolFloor::Unused,
            PoolFloor::Exhausted { wanted: 1023 << 20 },
        ];
        for floor in floors {
            assert!(width(why_short(&floor)) <= usize::from(78 - NUMBERS), "{floor:?}");
            let pool = PoolAdvice { floor, ..fixtures::memory_advice().pools[0] };
            assert!(width(&why(&pool)) <= usize::from(SENTENCES), "{floor:?}");
        }
        assert_eq!(width(&line("", "", "", "", "", "")), usize::from(NUMBERS));
    }
}
