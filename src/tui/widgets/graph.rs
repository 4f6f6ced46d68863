//! The job graph in topological layers from left to right: boxes for vertices, lines for edges.
//!
//! Owns the layout (layers by longest path, order inside a layer by the middle of the neighbours, long edges led through the
//! layers between) and its drawing. Larger than its area, it shows the part around the selected box.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pane::put;
use crate::tui::format::fit;
use crate::tui::theme::{Slot, Theme};

/// Boxes that are laid out at most; larger graphs are for the table.
pub const MOST: usize = 250;

/// A box.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    /// Indices of the boxes from which edges arrive.
    pub inputs: Vec<usize>,
    /// Lines inside it; all boxes have as many as the first.
    pub lines: Vec<(Cow<'a, str>, Style)>,
}

/// Where something stands: its layer, and its line counted from the top of the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    layer: usize,
    top: usize,
}

/// The layout of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    places: Vec<Place>,
    /// Each edge as the places it runs through, source and target included.
    edges: Vec<Vec<Stop>>,
    layers: usize,
    /// Lines of the whole drawing.
    pub height: usize,
}

/// A stop of an edge: a box, or a place that it runs through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stop {
    layer: usize,
    /// The line on which the edge arrives and leaves.
    line: usize,
}

impl Layout {
    /// Lays out boxes of `box_height` lines (frame included) by their inputs. Inputs that do not come earlier are left out.
    pub fn new(inputs: &[&[usize]], box_height: usize) -> Self {
        let count = inputs.len().min(MOST);
        let earlier = |node: usize| inputs[node].iter().copied().filter(move |from| *from < node);
        let mut layer = vec![0usize; count];
        for node in 0..count {
            layer[node] = earlier(node).map(|from| layer[from] + 1).max().unwrap_or(0);
        }
        let layers = layer.iter().max().map_or(0, |last| last + 1);
        // Items: the boxes first, then one place for every layer that a long edge runs through.
        let mut item_layer = layer.clone();
        let mut chains: Vec<Vec<usize>> = Vec::new();
        for node in 0..count {
            for from in earlier(node) {
                let mut chain = vec![from];
                for between in layer[from] + 1..layer[node] {
                    chain.push(item_layer.len());
                    item_layer.push(between);
                }
                chain.push(node);
                chains.push(chain);
            }
        }
        let mut columns: Vec<Vec<usize>> = vec![Vec::new(); layers];
        for (item, layer) in item_layer.iter().enumerate() {
            columns[*layer].push(item);
        }
        let links: Vec<(usize, usize)> =
            chains.iter().flat_map(|chain| chain.windows(2).map(|w| (w[0], w[1]))).collect();
        order(&mut columns, &links, item_layer.len());
        let size = |item: usize| if item < count { box_height } else { 1 };
        let tops = stack(&columns, &links, item_layer.len(), size);
        let height = (0..item_layer.len()).map(|item| tops[item] + size(item)).max().unwrap_or(0);
        let stop = |item: usize| Stop {
            layer: item_layer[item],
            line: tops[item] + if item < count { box_height / 2 } else { 0 },
        };
        Self {
            places: (0..count).map(|node| Place { layer: layer[node], top: tops[node] }).collect(),
            edges: chains.iter().map(|chain| chain.iter().map(|item| stop(*item)).collect()).collect(),
            layers,
            height,
        }
    }
}

/// Orders the items of every layer by the middle of their neighbours, a few times there and back.
fn order(columns: &mut [Vec<usize>], links: &[(usize, usize)], items: usize) {
    let mut rank = vec![0usize; items];
    for _ in 0..4 {
        for forward in [true, false] {
            let at: Vec<usize> =
                if forward { (0..columns.len()).collect() } else { (0..columns.len()).rev().collect() };
            for layer in at {
                for (i, item) in columns.iter().flat_map(|column| column.iter().enumerate()) {
                    rank[*item] = i;
                }
                let middle = |item: usize| {
                    let near = links.iter().filter_map(|(from, to)| match forward {
                        true if *to == item => Some(rank[*from]),
                        false if *from == item => Some(rank[*to]),
                        _ => None,
                    });
                    let (sum, count) = near.fold((0, 0), |(sum, count), rank| (sum + rank, count + 1));
                    if count == 0 {
                        rank[item] as f64
                    } else {
                        f64::from(u32::try_from(sum).unwrap_or(0)) / f64::from(count)
                    }
                };
                let mut keyed: Vec<(f64, usize)> = columns[layer].iter().map(|item| (middle(*item), *item)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                columns[layer] = keyed.into_iter().map(|(_, item)| item).collect();
            }
        }
    }
}

/// Gives every item its first line: as near to the middle of its inputs as its neighbours in the layer allow.
fn stack(columns: &[Vec<usize>], links: &[(usize, usize)], items: usize, size: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut tops = vec![0usize; items];
    let heights: Vec<usize> = columns.iter().map(|column| column.iter().map(|item| size(*item)).sum()).collect();
    let tallest = heights.iter().copied().max().unwrap_or(0);
    for (column, height) in columns.iter().zip(&heights) {
        let mut spare = tallest - height;
        let mut next = 0;
        for item in column {
            let centres: Vec<usize> =
                links.iter().filter(|(_, to)| to == item).map(|(from, _)| tops[*from] + size(*from) / 2).collect();
            let wished = match centres.len() {
                0 if column.len() == 1 => (tallest - size(*item)) / 2,
                0 => next,
                count => (centres.iter().sum::<usize>() / count).saturating_sub(size(*item) / 2),
            };
            let top = wished.clamp(next, next + spare);
            spare -= top - next;
            tops[*item] = top;
            next = top + size(*item);
        }
    }
    tops
}

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

/// Lines of edges: which sides of each cell are joined.
struct Wires {
    width: usize,
    cells: Vec<u8>,
}

impl Wires {
    fn join(&mut self, x: usize, y: usize, sides: u8) {
        if x < self.width
            && let Some(cell) = self.cells.get_mut(y * self.width + x)
        {
            *cell |= sides;
        }
    }

    /// From `(x0, y)` to `(x1, y)`, both ends open towards each other.
    fn across(&mut self, x0: usize, x1: usize, y: usize) {
        for x in x0..=x1 {
            let sides = if x > x0 { LEFT } else { 0 } | if x < x1 { RIGHT } else { 0 };
            self.join(x, y, sides);
        }
    }

    /// From `(x, y0)` to `(x, y1)`.
    fn along(&mut self, x: usize, y0: usize, y1: usize) {
        let (top, bottom) = (y0.min(y1), y0.max(y1));
        for y in top..=bottom {
            let sides = if y > top { UP } else { 0 } | if y < bottom { DOWN } else { 0 };
            self.join(x, y, sides);
        }
    }
}

/// The shape of a cell whose sides are joined.
fn wire(theme: &Theme, sides: u8) -> &'static str {
    let lines = &theme.glyphs.lines;
    match sides {
        0 => " ",
        s if s & !(LEFT | RIGHT) == 0 => lines.horizontal,
        s if s & !(UP | DOWN) == 0 => lines.vertical,
        s if s == DOWN | RIGHT => lines.top_left,
        s if s == DOWN | LEFT => lines.top_right,
        s if s == UP | RIGHT => lines.bottom_left,
        s if s == UP | LEFT => lines.bottom_right,
        s if s == UP | DOWN | RIGHT => lines.vertical_right,
        s if s == UP | DOWN | LEFT => lines.vertical_left,
        s if s == LEFT | RIGHT | DOWN => lines.horizontal_down,
        s if s == LEFT | RIGHT | UP => lines.horizontal_up,
        _ => lines.cross,
    }
}

/// Columns between two layers: room for the vertical parts of the edges, the head of an arrow and a blank.
fn gaps(layout: &Layout, spare: usize) -> Vec<(usize, Vec<(usize, usize)>)> {
    let between = layout.layers.saturating_sub(1);
    (0..between)
        .map(|layer| {
            // One lane for every line from which edges bend away.
            let mut bends: Vec<usize> = segments(layout, layer).filter(|(a, b)| a != b).map(|(from, _)| from).collect();
            bends.sort_unstable();
            bends.dedup();
            let lanes = bends.len().min(6);
            let lane_of = bends.iter().enumerate().map(|(i, line)| (*line, i % lanes.max(1))).collect();
            ((lanes + 3).max(4) + spare, lane_of)
        })
        .collect()
}

/// Parts of edges that run from one layer to the next: line there and line here.
fn segments(layout: &Layout, layer: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
    layout.edges.iter().flat_map(move |edge| {
        edge.windows(2).filter(move |stops| stops[0].layer == layer).map(|stops| (stops[0].line, stops[1].line))
    })
}

/// Draws a graph. The part around `selected` is shown if not all of it fits.
pub fn draw(buffer: &mut Buffer, area: Rect, theme: &Theme, nodes: &[Node], selected: Option<usize>) {
    let area = area.intersection(buffer.area);
    let Some(first) = nodes.first().filter(|_| area.width > 0 && area.height > 0) else { return };
    let box_height = first.lines.len() + 2;
    let inputs: Vec<&[usize]> = nodes.iter().map(|node| node.inputs.as_slice()).collect();
    let layout = Layout::new(&inputs, box_height);
    let (wide, high) = (usize::from(area.width), usize::from(area.height));
    let mut gaps = gaps(&layout, 0);
    let edges: usize = gaps.iter().map(|(gap, _)| gap).sum();
    // Boxes share what the edges leave, within what can be read and what is not waste.
    let box_width = (wide.saturating_sub(edges) / layout.layers.max(1)).clamp(18, 34);
    let used = edges + box_width * layout.layers;
    if used < wide && !gaps.is_empty() {
        let more = ((wide - used) / gaps.len()).min(6);
        gaps.iter_mut().for_each(|(gap, _)| *gap += more);
    }
    let mut left = vec![0usize; layout.layers];
    for layer in 1..layout.layers {
        left[layer] = left[layer - 1] + box_width + gaps[layer - 1].0;
    }
    let total = left.last().map_or(0, |last| last + box_width);
    let centre = selected.and_then(|node| layout.places.get(node));
    let offset = |at: usize, size: usize, room: usize, whole: usize| {
        (at + size / 2).saturating_sub(room / 2).min(whole.saturating_sub(room))
    };
    let (dx, dy) = centre.map_or((0, 0), |place| {
        (offset(left[place.layer], box_width, wide, total), offset(place.top, box_height, high, layout.height))
    });

    let mut wires = Wires { width: total, cells: vec![0; total.saturating_mul(layout.height)] };
    let mut heads: Vec<(usize, usize)> = Vec::new();
    for (layer, (gap, lane_of)) in gaps.iter().enumerate() {
        let start = left[layer] + box_width;
        let end = start + gap - 1;
        for (from, to) in segments(&layout, layer) {
            let lane = lane_of.iter().find(|(line, _)| *line == from).map_or(0, |(_, lane)| *lane);
            // Edges that bend down take the lanes from the right, so that they cross as little as can be.
            let x = start + 1 + lane;
            if from == to {
                wires.across(start, end, from);
            } else {
                wires.across(start, x, from);
                wires.along(x, from, to);
                wires.across(x, end, to);
            }
        }
        let arrives = |edge: &&Vec<Stop>| edge.last().is_some_and(|stop| stop.layer == layer + 1);
        heads.extend(layout.edges.iter().filter(arrives).filter_map(|edge| edge.last()).map(|stop| (end, stop.line)));
    }
    // A place that an edge runs through is a line as long as a box.
    for stop in layout.edges.iter().flat_map(|edge| edge.iter().skip(1).take(edge.len().saturating_sub(2))) {
        wires.across(left[stop.layer] - 1, left[stop.layer] + box_width, stop.line);
    }

    let at = |x: usize, y: usize| -> Option<(u16, u16)> {
        let (x, y) = (x.checked_sub(dx)?, y.checked_sub(dy)?);
        (x < wide && y < high).then(|| (u16::try_from(x).unwrap_or(0), u16::try_from(y).unwrap_or(0)))
    };
    let edge_style = theme.style(Slot::Border);
    for (i, sides) in wires.cells.iter().enumerate().filter(|(_, sides)| **sides != 0) {
        if let Some((x, y)) = at(i % total, i / total) {
            put(buffer, area, x, y, wire(theme, *sides), edge_style);
        }
    }
    for (x, y) in heads {
        if let Some((x, y)) = at(x, y) {
            put(buffer, area, x, y, theme.glyphs.edge_head, edge_style);
        }
    }
    for (i, (node, place)) in nodes.iter().zip(&layout.places).enumerate() {
        let frame = theme.style(if selected == Some(i) { Slot::BorderActive } else { Slot::Border });
        let corner = (left[place.layer], place.top);
        vertex(buffer, area, theme, node, corner, box_width, frame, selected == Some(i), &at);
    }
    let mark = theme.style(Slot::Accent);
    if dx > 0 {
        put(buffer, area, 0, 0, theme.glyphs.ellipsis, mark);
    }
    if total > dx + wide {
        put(buffer, area, area.width.saturating_sub(2), 0, theme.glyphs.ellipsis, mark);
    }
}

/// Draws one box, as much of it as is in view.
#[allow(clippy::too_many_arguments)] // one call, all of it geometry
fn vertex(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    node: &Node,
    (left, top): (usize, usize),
    wide: usize,
    frame: Style,
    selected: bool,
    at: &impl Fn(usize, usize) -> Option<(u16, u16)>,
) {
    let border = &theme.glyphs.border;
    let bottom = top + node.lines.len() + 1;
    let mut cell = |x: usize, y: usize, shape: &str, style: Style| {
        if let Some((x, y)) = at(x, y) {
            put(buffer, area, x, y, shape, style);
        }
    };
    for x in left + 1..left + wide - 1 {
        cell(x, top, border.horizontal_top, frame);
        cell(x, bottom, border.horizontal_bottom, frame);
    }
    for (x, y, shape) in [
        (left, top, border.top_left),
        (left + wide - 1, top, border.top_right),
        (left, bottom, border.bottom_left),
        (left + wide - 1, bottom, border.bottom_right),
    ] {
        cell(x, y, shape, frame);
    }
    for (i, (text, style)) in node.lines.iter().enumerate() {
        let y = top + 1 + i;
        cell(left, y, if selected && i == 0 { theme.glyphs.cursor } else { border.vertical_left }, frame);
        cell(left + wide - 1, y, border.vertical_right, frame);
        // Character by character, because a box may be cut by the edge of the area on either side.
        let text = fit(text, wide - 3, theme.glyphs.ellipsis);
        let mut x = left + 2;
        let mut shape = [0u8; 4];
        for c in text.chars() {
            let columns = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            if columns > 0 && at(x + columns - 1, y).is_some() {
                cell(x, y, c.encode_utf8(&mut shape), *style);
            }
            x += columns;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(inputs: &[&[usize]], (wide, high): (u16, u16), selected: Option<usize>) -> String {
        let nodes: Vec<Node> = inputs
            .iter()
            .enumerate()
            .map(|(i, from)| Node {
                inputs: from.to_vec(),
                lines: vec![(format!("vertex {i}").into(), Style::new()), ("p 4  82%".into(), Style::new())],
            })
            .collect();
        let area = Rect::new(0, 0, wide, high);
        let mut buffer = Buffer::empty(area);
        draw(&mut buffer, area, &Theme::plain(), &nodes, selected);
        let lines = buffer.content.chunks(usize::from(wide).max(1));
        let lines: Vec<String> =
            lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    #[test]
    fn a_diamond_with_a_long_edge_is_drawn_in_layers() {
        insta::assert_snapshot!(text(&[&[], &[0], &[0], &[1, 2], &[3, 0]], (100, 16), Some(3)));
    }

    #[test]
    fn a_larger_graph_is_shown_around_the_selected_box() {
        let chain: [&[usize]; 6] = [&[], &[0], &[1], &[2], &[3], &[4]];
        let shown = text(&chain, (60, 6), Some(4));
        assert!(shown.contains("vertex 4") && !shown.contains("vertex 1"), "{shown}");
        assert!(shown.starts_with(".."), "{shown}");
    }

    #[test]
    fn every_edge_goes_to_a_later_layer_and_no_two_boxes_overlap() {
        let inputs: [&[usize]; 7] = [&[], &[], &[0, 1], &[0], &[2, 3], &[2], &[4, 5, 1]];
        let layout = Layout::new(&inputs, 4);
        for edge in &layout.edges {
            assert!(edge.windows(2).all(|stops| stops[0].layer + 1 == stops[1].layer));
        }
        for (i, a) in layout.places.iter().enumerate() {
            for b in &layout.places[i + 1..] {
                assert!(a.layer != b.layer || a.top.abs_diff(b.top) >= 4, "{a:?} {b:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_graph_at_any_size_is_drawn(
            edges in prop::collection::vec(prop::collection::vec(0usize..14, 0..4), 0..14),
            wide in 0u16..120, high in 0u16..30, selected in prop::option::of(0usize..16)
        ) {
            let inputs: Vec<&[usize]> = edges.iter().map(Vec::as_slice).collect();
            text(&inputs, (wide, high), selected);
        }
    }
}
