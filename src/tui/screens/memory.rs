//! Memory pools of a job's TaskManagers: configured, used, peak, for each and in sum, and what the loop advises.

use std::borrow::Cow;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::task_managers::{Begun, begin, heap_ratio, none, of_row, task_manager_rows};
use super::{Ctx, MemoryView, Row, parts};
use crate::domain::freshness::Freshness;
use crate::domain::ids::JobKey;
use crate::domain::job::TaskManagerView;
use crate::domain::memory::{MemoryOutlook, MemoryPool, PoolUsage};
use crate::tui::format::{UNKNOWN, bytes, bytes_or_unknown, percent};
use crate::tui::theme::Slot;
use crate::tui::widgets::bars;
use crate::tui::widgets::pane::{Lines, framed, put, split_bottom, split_left, split_top};
use crate::tui::widgets::table::{Cell, Column, Table, position};

mod advice;

/// A heap that was fuller than this at its peak has little left.
const TIGHT: f64 = 0.9;
/// A pool of which less than this was ever used is larger than needed.
const IDLE: f64 = 0.2;
/// A pool smaller than this is not worth a hint.
const WORTH: u64 = 128 << 20;

const COLUMNS: [Column; 8] = [
    Column::text("TASKMANAGER", 16, 44, 0),
    Column::number("HEAP", 6, 1),
    Column::number("PEAK", 6, 1),
    Column::number("MANAGED", 7, 2),
    Column::number("NETWORK", 7, 3),
    Column::number("META", 5, 4),
    Column::number("GC", 4, 2),
    Column::number("LIMIT", 9, 1),
];

/// The rows of the screen.
pub fn rows(ctx: &Ctx, job: &JobKey, _view: &MemoryView) -> Vec<Row<String>> {
    task_manager_rows(ctx, job)
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, job: &JobKey, view: &mut MemoryView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    let Some(Begun { body, job, all, fresh }) = begin(buffer, area, ctx, job, "memory pools") else { return };
    let at = view.list.rows.get(view.list.index).cloned();
    let selected = at.and_then(|row| of_row(all, &row));
    let areas = Areas::of(body, view.list.rows.len(), view.advice);
    let table = Table { columns: &COLUMNS, theme, sort: None, active: true };
    table.draw(buffer, areas.table, &mut view.list, none(ctx), |row| {
        of_row(all, row).map(|tm| cells(ctx, tm, fresh)).unwrap_or_default()
    });
    let place = position(&view.list);
    let stale = fresh > Freshness::Late;
    if area.width >= 110 {
        let [left, right] = split_left(areas.pools, areas.pools.width / 2);
        if let Some(tm) = selected {
            draw_pools(buffer, left, ctx, &parts::named(&tm.id), &place, &tm.pools, limit(&[tm]), stale);
        }
        let every: Vec<&TaskManagerView> = all.iter().collect();
        let title = format!("All {} TaskManagers", all.len());
        draw_pools(buffer, right, ctx, &title, "", &sum(all), limit(&every), stale);
    } else if let Some(tm) = selected {
        draw_pools(buffer, areas.pools, ctx, &parts::named(&tm.id), &place, &tm.pools, limit(&[tm]), stale);
    }
    if areas.advice.height > 0 {
        advice::draw(buffer, areas.advice, ctx, job);
    }
    let advised = match job.memory_advice.as_deref() {
        Some(MemoryOutlook::Advised(advice)) if areas.advice.height == 0 => Some(advice::hint(advice)),
        _ => None,
    };
    draw_hints(buffer, areas.hints, ctx, all, advised);
}

/// Where everything stands.
struct Areas {
    table: Rect,
    pools: Rect,
    advice: Rect,
    hints: Rect,
}

impl Areas {
    /// Pools and advice below each other where there is room for both; else the one that is `advised`, or the pools.
    fn of(body: Rect, rows: usize, advised: bool) -> Self {
        const POOLS: u16 = 11;
        let none = Rect { height: 0, ..body };
        let rows = u16::try_from(rows).unwrap_or(u16::MAX);
        let both = body.height >= POOLS + advice::HEIGHT + 8;
        let first = if advised && !both { advice::HEIGHT } else { POOLS };
        let lower = first + if both { advice::HEIGHT } else { 0 };
        if body.height < lower + 3 {
            let [table, below] = split_bottom(body, body.height * 2 / 3);
            let (pools, advice) = if advised { (none, below) } else { (below, none) };
            return Self { table, pools, advice, hints: none };
        }
        let hints = if body.height >= lower + 8 { 4 } else { 0 };
        let [table, below] = split_top(body, rows.saturating_add(1).min(body.height - lower - hints).max(2));
        let [first, below] = split_top(below, first.min(below.height));
        let [second, hints] = split_top(below, if both { advice::HEIGHT.min(below.height) } else { 0 });
        let (pools, advice) = match (both, advised) {
            (true, _) => (first, second),
            (false, true) => (none, first),
            (false, false) => (first, none),
        };
        Self { table, pools, advice, hints }
    }
}

fn pool(pools: &[PoolUsage], which: MemoryPool) -> Option<&PoolUsage> {
    pools.iter().find(|pool| pool.pool == which)
}

fn ratio(part: Option<u64>, whole: Option<u64>) -> f64 {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0 => part as f64 / whole as f64,
        _ => f64::NAN,
    }
}

/// The limits of containers in sum, if all are known.
fn limit(all: &[&TaskManagerView]) -> Option<u64> {
    all.iter().map(|tm| tm.container_limit.or_else(|| tm.memory.map(|memory| memory.total_process))).sum()
}

/// Every pool over all TaskManagers; a sum is known if every part is.
fn sum(all: &[TaskManagerView]) -> Vec<PoolUsage> {
    let add = |which, value: fn(&PoolUsage) -> Option<u64>| {
        let parts = all.iter().map(|tm| pool(&tm.pools, which).and_then(value));
        parts.sum::<Option<u64>>().filter(|_| !all.is_empty())
    };
    let of = |which| PoolUsage {
        pool: which,
        configured: add(which, |pool| pool.configured),
        used: add(which, |pool| pool.used),
        peak: add(which, |pool| pool.peak),
    };
    MemoryPool::ALL.into_iter().map(of).collect()
}

fn cells<'a>(ctx: &Ctx<'a>, tm: &'a TaskManagerView, fresh: Freshness) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let style = parts::style_of(ctx, fresh);
    let used = |which| pool(&tm.pools, which).map_or(f64::NAN, |pool| ratio(pool.used, pool.configured));
    let peak = pool(&tm.pools, MemoryPool::JvmHeap).map_or(f64::NAN, |heap| ratio(heap.peak, heap.configured));
    let tight = peak >= TIGHT;
    let peak_text = if tight { format!("{}{}", theme.glyphs.warning, percent(peak)) } else { percent(peak) };
    let name_style = if fresh > Freshness::Late { style } else { theme.style(Slot::Emphasis) };
    vec![
        Cell::End(parts::named(&tm.id), name_style),
        Cell::new(percent(heap_ratio(tm)), style),
        Cell::new(peak_text, if tight { theme.style(Slot::Warning) } else { style }),
        Cell::new(percent(used(MemoryPool::Managed)), style),
        Cell::new(percent(used(MemoryPool::Network)), style),
        Cell::new(percent(used(MemoryPool::Metaspace)), style),
        Cell::new(percent(tm.gc), style),
        Cell::new(bytes_or_unknown(tm.container_limit), style),
    ]
}

/// Bars of all pools on one scale, with their numbers.
#[allow(clippy::too_many_arguments)] // one call, all of it what is drawn
fn draw_pools(
    buffer: &mut Buffer,
    area: Rect,
    ctx: &Ctx,
    title: &str,
    place: &str,
    pools: &[PoolUsage],
    limit: Option<u64>,
    stale: bool,
) {
    let theme = ctx.theme;
    let inside = framed(buffer, area, theme, title, place, false);
    let (label, base) = (theme.style(Slot::Label), theme.style(if stale { Slot::Stale } else { Slot::Base }));
    const NUMBERS: u16 = 44;
    let bar_width = inside.width.saturating_sub(NUMBERS + 1);
    let header = format!("{:<12} {:>10} {:>10} {:>9}", "POOL", "CONFIGURED", "USED", "PEAK");
    put(buffer, inside, 0, 0, &header, label);
    let key = format!(
        "{} used {} peak {} unused",
        theme.glyphs.bar_full,
        if theme.glyphs.ascii { "%" } else { "▒" },
        theme.glyphs.bar_empty
    );
    if usize::from(bar_width) >= crate::tui::format::width(&key) {
        put(buffer, inside, NUMBERS + 1, 0, &key, label);
    }
    let scale = pools.iter().filter_map(|pool| pool.configured).max().unwrap_or(1);
    for (line, pool) in (1..).zip(pools) {
        let row = format!(
            "{:<12} {:>10} {:>10} {:>9}",
            pool.pool.name(),
            bytes_or_unknown(pool.configured),
            bytes_or_unknown(pool.used),
            bytes_or_unknown(pool.peak)
        );
        put(buffer, inside, 0, line, &row, base);
        if line < inside.height && bar_width >= 6 {
            let here = Rect { x: inside.x + NUMBERS + 1, y: inside.y + line, width: bar_width, height: 1 };
            let (used, peak) = (pool.used.unwrap_or(0), pool.peak.unwrap_or(0));
            bars::pool(buffer, here, theme, scale, used, peak, pool.configured.unwrap_or(0));
        }
    }
    let configured: Option<u64> = pools.iter().map(|pool| pool.configured).sum();
    let used: u64 = pools.iter().filter_map(|pool| pool.used).sum();
    let line = u16::try_from(pools.len()).unwrap_or(u16::MAX).saturating_add(1);
    let total = format!("{:<12} {:>10} {:>10}", "process", bytes_or_unknown(configured), bytes(used));
    put(buffer, inside, 0, line, &total, theme.style(Slot::Emphasis));
    let over = matches!((configured, limit), (Some(configured), Some(limit)) if configured > limit);
    let text = format!("{:<12} {:>10}", "limit", bytes_or_unknown(limit));
    let end = put(buffer, inside, 0, line.saturating_add(1), &text, base);
    if over {
        let text = format!("  {} the pools are larger than the container", theme.glyphs.warning);
        put(buffer, inside, end, line.saturating_add(1), &text, theme.style(Slot::Warning));
    }
}

/// What stands out, in sentences.
fn hints(all: &[TaskManagerView]) -> Vec<(Slot, Cow<'static, str>)> {
    let pools = sum(all);
    let configured: Option<u64> = pools.iter().map(|pool| pool.configured).sum();
    let used: u64 = pools.iter().filter_map(|pool| pool.used).sum();
    let who = if all.len() == 1 {
        "the one TaskManager uses".to_owned()
    } else {
        format!("all {} TaskManagers use", all.len())
    };
    let total = format!("{who} {} of {}", bytes(used), bytes_or_unknown(configured));
    let mut hints: Vec<(Slot, Cow<'static, str>)> = vec![(Slot::Muted, total.into())];
    let peak_of =
        |tm: &TaskManagerView, which| pool(&tm.pools, which).map_or(f64::NAN, |p| ratio(p.peak, p.configured));
    let tight = all.iter().filter(|tm| peak_of(tm, MemoryPool::JvmHeap) >= TIGHT).count();
    if tight > 0 {
        let text = format!("the heap of {tight} of {} TaskManagers was more than 90 % full at its peak", all.len());
        hints.push((Slot::Warning, text.into()));
    }
    let collecting = all.iter().filter(|tm| tm.gc >= 0.1).count();
    if collecting > 0 {
        let text =
            format!("{collecting} of {} TaskManagers spend 10 % of the time or more in garbage collection", all.len());
        hints.push((Slot::Warning, text.into()));
    }
    let metaspace = all.iter().filter(|tm| peak_of(tm, MemoryPool::Metaspace) >= TIGHT).count();
    if metaspace > 0 {
        let text = format!(
            "metaspace of {metaspace} TaskManagers was more than 90 % full: classes of restarted jobs may leak"
        );
        hints.push((Slot::Warning, text.into()));
    }
    if let Some(managed) = pool(&pools, MemoryPool::Managed) {
        match (managed.configured, managed.peak) {
            (Some(configured), Some(0)) if configured >= WORTH => {
                let text = format!(
                    "{} of managed memory was never used in this run: without RocksDB, batch operators or Python it can go to the heap",
                    bytes(configured)
                );
                hints.push((Slot::Info, text.into()));
            }
            _ => {}
        }
    }
    for which in [MemoryPool::JvmHeap, MemoryPool::Network] {
        let Some(PoolUsage { configured: Some(configured), peak: Some(peak), .. }) = pool(&pools, which) else {
            continue;
        };
        if *configured >= WORTH * all.len() as u64 && (*peak as f64) < *configured as f64 * IDLE {
            let text = format!("{}: at most {} of {} were ever used", which.name(), bytes(*peak), bytes(*configured));
            hints.push((Slot::Info, text.into()));
        }
    }
    if pools.iter().all(|pool| pool.used.is_none()) && !all.is_empty() {
        hints.push((Slot::Muted, format!("no pool reports its use yet ({UNKNOWN})").into()));
    }
    hints
}

fn draw_hints(buffer: &mut Buffer, area: Rect, ctx: &Ctx, all: &[TaskManagerView], advised: Option<(Slot, String)>) {
    let theme = ctx.theme;
    let mut lines = Lines::new(buffer, area, theme);
    let advised = advised.into_iter().map(|(slot, text)| (slot, text.into()));
    for (slot, text) in advised.chain(hints(all)) {
        let glyph = if slot == Slot::Warning { theme.glyphs.warning } else { theme.glyphs.bullet };
        lines.sentence(&format!("{glyph} "), theme.style(slot), &text, theme.style(Slot::Base), 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn sums_are_known_only_if_every_part_is() {
        let mut all = fixtures::fleet().clusters[0].task_managers.as_ref().unwrap().value.to_vec();
        let managed = |all: &[TaskManagerView]| *pool(&sum(all), MemoryPool::Managed).unwrap();
        assert_eq!(managed(&all).configured, Some(4 * (1_372 << 20)));
        assert_eq!(managed(&all).used, Some(0));
        all[1].pools[1].used = None;
        assert_eq!(managed(&all).used, None);
        assert!(sum(&[]).iter().all(|pool| pool.configured.is_none()));
    }

    #[test]
    fn hints_name_what_stands_out_and_nothing_else() {
        let all = fixtures::fleet().clusters[0].task_managers.as_ref().unwrap().value.to_vec();
        let texts: Vec<String> = hints(&all).into_iter().map(|(_, text)| text.into_owned()).collect();
        assert!(texts.iter().any(|text| text.starts_with("5.4 GiB of managed memory was never used")), "{texts:?}");
        assert!(texts.iter().any(|text| text.starts_with("the heap of 1 of 4")), "{texts:?}");
        assert!(texts.iter().any(|text| text.starts_with("1 of 4 TaskManagers spend")), "{texts:?}");
        assert_eq!(texts.len(), 4, "{texts:?}");
    }
}
