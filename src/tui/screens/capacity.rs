//! The room of Kubernetes clusters: nodes with what is promised on them, who asks for it, quotas, and what could still be added.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Ctx, List, Row, cluster_words, parts};
use crate::domain::capacity::{CapacityView as Room, NodeView, QuotaRow};
use crate::domain::ids::SourceId;
use crate::domain::kubernetes::{KubeAction, KubeView};
use crate::domain::snapshot::SourceKind;
use crate::tui::format::{bytes, clean, percent};
use crate::tui::theme::Slot;
use crate::tui::widgets::bars::Meter;
use crate::tui::widgets::pane::{Lines, framed, message, split_bottom, split_top};
use crate::tui::widgets::table::{Cell, Column, Table, position};

/// A node with less than this share of its memory or cpu free is nearly full.
const NEARLY_FULL: f64 = 0.9;

const COLUMNS: [Column; 9] = [
    Column::text("NODE", 14, 40, 0),
    Column::text("POOL", 8, 20, 4),
    Column::text("STATE", 11, 13, 1),
    Column::text("CPU ASKED", 13, 14, 3),
    Column::text("", 8, 16, 6),
    Column::text("MEMORY ASKED", 20, 22, 1),
    Column::text("", 8, 16, 5),
    Column::number("PODS", 7, 2),
    Column::text("TAINTS", 8, 40, 3),
];

/// A node: its cluster and uid.
pub type NodeKey = (SourceId, String);

/// View of capacity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CapacityScreenView {
    /// Nodes by cluster and uid.
    pub list: List<NodeKey>,
}

fn nodes<'a>(ctx: &Ctx<'a>) -> Vec<(&'a KubeView, &'a NodeView)> {
    let of = |kube: &'a std::sync::Arc<KubeView>| {
        let room = kube.capacity.as_ref().map(|room| &*room.value);
        room.into_iter().flat_map(|room| &room.nodes).map(move |node| (&**kube, node))
    };
    ctx.snapshot.kubernetes.iter().flat_map(of).collect()
}

/// The rows of the screen: nodes by pool and name.
pub fn rows(ctx: &Ctx, _view: &CapacityScreenView) -> Vec<Row<NodeKey>> {
    let shown = nodes(ctx).into_iter().enumerate().filter(|(_, (_, node))| {
        let users = node.usage.iter().flat_map(|usage| &usage.users);
        let mut texts: Vec<&str> = vec![&node.node.name, node.node.pool.as_deref().unwrap_or_default(), state(node).0];
        texts.extend(users.map(|user| user.name.as_str()));
        ctx.filter.text(&texts)
    });
    shown.map(|(at, (kube, node))| Row { key: (kube.source.clone(), node.node.uid.clone()), at }).collect()
}

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, view: &mut CapacityScreenView) {
    let buffer = frame.buffer_mut();
    let theme = ctx.theme;
    if !ctx.snapshot.sources.iter().any(|source| source.kind == SourceKind::Kubernetes) {
        return message(
            buffer,
            area,
            theme,
            Slot::Muted,
            "no Kubernetes cluster is looked at: there are no nodes to see",
        );
    }
    let body = head(buffer, area, ctx);
    if ctx.snapshot.kubernetes.iter().all(|kube| kube.capacity.is_none()) {
        let missing = ctx.snapshot.kubernetes.iter().find_map(|kube| kube.missing_right(KubeAction::ListNodes, None));
        return match missing {
            Some(why) => message(buffer, body, theme, Slot::Warning, &why),
            None => message(buffer, body, theme, Slot::Muted, &format!("asking for nodes{}", theme.glyphs.ellipsis)),
        };
    }
    let all = nodes(ctx);
    let of = |row: &Row<NodeKey>| {
        let is = |(kube, node): &&(&KubeView, &NodeView)| kube.source == row.key.0 && node.node.uid == row.key.1;
        all.get(row.at).filter(is).or_else(|| all.iter().find(is)).map(|(_, node)| *node)
    };
    let selected = view.list.rows.get(view.list.index).and_then(of);
    let detail = if body.height >= 12 && selected.is_some() { (body.height / 2).clamp(6, 16) } else { 0 };
    let [table_area, detail] = split_bottom(body, detail);
    let table = Table { columns: &COLUMNS, theme, sort: None, active: true };
    let empty = if ctx.filter.is_empty() { "no node can be seen" } else { "no node matches the filter" };
    table.draw(buffer, table_area, &mut view.list, empty, |row| {
        of(row).map(|node| cells(ctx, node)).unwrap_or_default()
    });
    if let Some(node) = selected.filter(|_| detail.height > 0) {
        details(buffer, detail, ctx, node, &position(&view.list));
    }
}

/// What is free in all, quotas, groups that can grow, and what could not be seen.
fn head(buffer: &mut Buffer, area: Rect, ctx: &Ctx) -> Rect {
    let theme = ctx.theme;
    let [top, _] = split_top(area, area.height / 2);
    let mut lines = Lines::new(buffer, top, theme);
    for kube in &ctx.snapshot.kubernetes {
        let Some(seen) = &kube.capacity else {
            cluster_words::watch_lines(&mut lines, ctx, &kube.source, "nodes", None);
            continue;
        };
        let room: &Room = &seen.value;
        let (mut cpu, mut memory, mut ready) = ((0, 0), (0, 0), 0);
        for node in room.nodes.iter().filter(|node| node.node.ready && !node.node.cordoned) {
            let used = node.usage.as_ref().map(|usage| usage.requested).unwrap_or_default();
            let left = node.node.allocatable.less(used);
            cpu = (cpu.0 + left.cpu, cpu.1 + node.node.allocatable.cpu);
            memory = (memory.0 + left.memory, memory.1 + node.node.allocatable.memory);
            ready += 1;
        }
        let fresh = parts::freshness(ctx, &kube.source, Some(seen.at), parts::SLOW_PERIOD);
        lines.fields(&[
            ("cluster", clean(kube.source.as_str(), 60), Slot::Emphasis),
            (
                "nodes",
                format!("{ready}/{} take pods", room.nodes.len()).into(),
                if ready == room.nodes.len() { Slot::Base } else { Slot::Warning },
            ),
            (
                "cpu free",
                format!("{} of {}", cluster_words::cores(cpu.0), cluster_words::cores(cpu.1)).into(),
                Slot::Base,
            ),
            ("memory free", format!("{} of {}", bytes(memory.0), bytes(memory.1)).into(), Slot::Base),
            ("read", format!("{} ago", parts::age(ctx, Some(seen.at), fresh)).into(), Slot::freshness(fresh)),
        ]);
        for quota in &room.quotas {
            let full = quota.used as f64 / (quota.hard as f64).max(1.0);
            let slot = if full >= NEARLY_FULL { Slot::Warning } else { Slot::Base };
            let text = format!(
                "{} {} of {} used, {}",
                quota.resource,
                amount(quota, quota.used),
                amount(quota, quota.hard),
                percent(full)
            );
            let lead = format!("quota {}/{}  ", parts::named(&quota.namespace), parts::named(&quota.name));
            lines.sentence(&lead, theme.style(Slot::Label), &text, theme.style(slot), 1);
        }
        for group in &room.groups {
            let lead = format!("group {}  ", parts::named(&group.name));
            let held = group.held_back.as_ref().map(|why| format!("; cannot grow now: {why}")).unwrap_or_default();
            let text = format!("{} of at most {} nodes{held}", group.current, group.max);
            let slot = if held.is_empty() { Slot::Base } else { Slot::Warning };
            lines.sentence(&lead, theme.style(Slot::Label), &text, theme.style(slot), 1);
        }
        for gap in &room.gaps {
            let lead = format!("{} not seen: ", theme.glyphs.warning);
            lines.sentence(&lead, theme.style(Slot::Warning), gap, theme.style(Slot::Base), 2);
        }
    }
    lines.blank();
    let used = lines.used;
    split_top(area, used)[1]
}

fn amount(quota: &QuotaRow, value: u64) -> String {
    match quota.resource.as_str() {
        "requests.cpu" | "limits.cpu" => cluster_words::cores(value),
        "requests.memory" | "limits.memory" => bytes(value),
        _ => value.to_string(),
    }
}

/// One word for a node, and how it looks.
fn state(node: &NodeView) -> (&'static str, Slot) {
    match (node.node.ready, node.node.cordoned) {
        (false, _) => ("not ready", Slot::Error),
        (true, true) => ("cordoned", Slot::Warning),
        (true, false) => ("ready", Slot::Ok),
    }
}

fn cells<'a>(ctx: &Ctx<'a>, node: &'a NodeView) -> Vec<Cell<'a>> {
    let theme = ctx.theme;
    let base = theme.style(Slot::Base);
    let row = &node.node;
    let (word, slot) = state(node);
    let glyph = match slot {
        Slot::Ok => theme.glyphs.ok,
        Slot::Error => theme.glyphs.error,
        _ => theme.glyphs.warning,
    };
    let usage = node.usage.as_ref();
    let share = |used: Option<u64>, of: u64| used.map_or(f64::NAN, |used| used as f64 / (of as f64).max(1.0));
    let cpu = share(usage.map(|usage| usage.requested.cpu), row.allocatable.cpu);
    let memory = share(usage.map(|usage| usage.requested.memory), row.allocatable.memory);
    let full = |share: f64| if share >= NEARLY_FULL { theme.style(Slot::Warning) } else { base };
    let of = |used: Option<String>, all: String| format!("{} of {all}", used.unwrap_or_else(|| "?".to_owned()));
    let pods = of(usage.map(|usage| usage.pods.to_string()), row.pod_limit.to_string()).replace(" of ", "/");
    let taints: Vec<String> = row.taints.iter().map(taint).collect();
    vec![
        Cell::End(parts::named(&row.name), theme.style(Slot::Emphasis)),
        Cell::new(row.pool.as_deref().unwrap_or_default(), theme.style(Slot::Muted)),
        Cell::new(format!("{glyph} {word}"), theme.style(slot)),
        Cell::new(
            of(usage.map(|usage| cluster_words::cores(usage.requested.cpu)), cluster_words::cores(row.allocatable.cpu)),
            full(cpu),
        ),
        Cell::Meter(Meter { value: cpu, band: None, slot: Slot::Busy }),
        Cell::new(of(usage.map(|usage| bytes(usage.requested.memory)), bytes(row.allocatable.memory)), full(memory)),
        Cell::Meter(Meter { value: memory, band: None, slot: Slot::PoolUsed }),
        Cell::new(pods, base),
        Cell::new(taints.join(", "), theme.style(Slot::Muted)),
    ]
}

/// A taint as kubectl writes it.
fn taint(taint: &crate::domain::capacity::Taint) -> String {
    if taint.value.is_empty() {
        format!("{}:{}", taint.key, taint.effect)
    } else {
        format!("{}={}:{}", taint.key, taint.value, taint.effect)
    }
}

/// Who has requests on a node.
fn details(buffer: &mut Buffer, area: Rect, ctx: &Ctx, node: &NodeView, place: &str) {
    let theme = ctx.theme;
    let inside =
        framed(buffer, area, theme, &format!("who asks for room on {}", parts::named(&node.node.name)), place, false);
    let mut lines = Lines::new(buffer, inside, theme);
    let Some(usage) = &node.usage else {
        let text = "pods of other namespaces may not be read: who asks for how much is not known";
        return lines.sentence("", theme.style(Slot::Base), text, theme.style(Slot::Warning), 2);
    };
    let left = node.node.allocatable.less(usage.requested);
    lines.fields(&[
        ("free", format!("{} cores, {}", cluster_words::cores(left.cpu), bytes(left.memory)).into(), Slot::Emphasis),
        ("pods", format!("{} of {}", usage.pods, node.node.pod_limit).into(), Slot::Base),
        (
            "taints",
            node.node
                .taints
                .iter()
                .map(taint)
                .map(|t| clean(&t, 80).into_owned())
                .collect::<Vec<_>>()
                .join(", ")
                .into(),
            Slot::Warning,
        ),
    ]);
    for (shown, user) in usage.users.iter().enumerate() {
        let more = usage.users.len() - shown;
        if lines.room() <= 1 && more > 1 {
            lines.line(&[(&format!("and {more} more"), theme.style(Slot::Muted))]);
            break;
        }
        let name = format!("{}/{}", parts::named(&user.namespace), parts::named(&user.name));
        let asks =
            format!("{:>9} {:>6} cores ", bytes(user.requested.memory), cluster_words::cores(user.requested.cpu));
        let pods = if user.pods == 1 { "   1 pod  ".to_owned() } else { format!("{:>4} pods ", user.pods) };
        let slot = if user.flink { Slot::Emphasis } else { Slot::Muted };
        let kind = if user.flink { "  Flink" } else { "" };
        lines.line(&[
            (&asks, theme.style(Slot::Base)),
            (&pods, theme.style(Slot::Base)),
            (&clean(&name, 200), theme.style(slot)),
            (kind, theme.style(Slot::Muted)),
        ]);
    }
}
