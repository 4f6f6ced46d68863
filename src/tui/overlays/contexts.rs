//! The contexts of the kubeconfig: which cluster and which namespaces are looked at from now on.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line as Text, Span};

use super::popup::{keys_line, popup};
use super::prompt::draw_line;
use super::{Line, Reply};
use crate::domain::ids::SourceId;
use crate::domain::kubernetes::ContextRow;
use crate::tui::event::{Code, Key};
use crate::tui::format::{clean, fit};
use crate::tui::screens::Ctx;
use crate::tui::theme::Slot;

/// Contexts to choose from, found by a part of their names.
#[derive(Debug)]
pub struct Contexts {
    /// The Kubernetes cluster that is looked at now.
    pub source: SourceId,
    /// What is searched.
    pub line: Line,
    all: Vec<ContextRow>,
    selected: usize,
}

impl Contexts {
    /// All contexts, the present one selected.
    pub fn new(source: SourceId, all: Vec<ContextRow>) -> Self {
        let selected = all.iter().position(|row| row.current).unwrap_or_default();
        Self { source, line: Line::default(), all, selected }
    }

    fn found(&self) -> Vec<&ContextRow> {
        let part = self.line.value().to_lowercase();
        self.all.iter().filter(|row| row.name.to_lowercase().contains(&part)).collect()
    }

    /// Takes a key: enter looks at the context's own namespace, ctrl-a at all of its namespaces.
    pub fn key(&mut self, key: Key) -> Reply {
        let last = self.found().len().saturating_sub(1);
        match (key.code, key.ctrl) {
            (Code::Esc, _) => return Reply::Close,
            (Code::Enter, _) => return self.chosen(false),
            (Code::Char('a'), true) => return self.chosen(true),
            (Code::Up, _) | (Code::Char('p'), true) => self.selected = self.selected.min(last).saturating_sub(1),
            (Code::Down | Code::Tab, _) | (Code::Char('n'), true) => self.selected = (self.selected + 1).min(last),
            _ => {
                if self.line.key(key) {
                    self.selected = 0;
                }
            }
        }
        Reply::Stay
    }

    fn chosen(&self, all_namespaces: bool) -> Reply {
        let found = self.found();
        let Some(row) = found.get(self.selected.min(found.len().saturating_sub(1))) else { return Reply::Stay };
        // A context that names no namespace means this one, as for kubectl.
        let own = || vec![row.namespace.clone().unwrap_or_else(|| "default".to_owned())];
        Reply::Context(row.name.clone(), if all_namespaces { Vec::new() } else { own() })
    }

    /// Draws the list.
    pub fn draw(&self, frame: &mut Frame, ctx: &Ctx) {
        let theme = ctx.theme;
        let style = |slot| theme.style(slot);
        let rows = u16::try_from(self.all.len().min(14)).unwrap_or(14).max(3);
        let area = popup(frame, theme, "Context", Slot::BorderActive, 66, rows + 3);
        let [input, list, _, keys] = area.layout(&Layout::vertical([
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(1),
            Constraint::Length(1),
        ]));
        let found = self.found();
        let selected = self.selected.min(found.len().saturating_sub(1));
        let height = usize::from(list.height).max(1);
        let offset = (selected + 1).saturating_sub(height);
        for (line, (at, row)) in found.iter().enumerate().skip(offset).take(height).enumerate() {
            let here = Rect { y: list.y + u16::try_from(line).unwrap_or(0), height: 1, ..list };
            let base = if at == selected { style(Slot::Selection) } else { style(Slot::Base) };
            let cursor = if at == selected { theme.glyphs.cursor } else { " " };
            let mark = if row.current { theme.glyphs.bullet } else { " " };
            let room = usize::from(list.width).saturating_sub(30);
            let name = fit(&row.name, room, theme.glyphs.ellipsis);
            let namespace = row.namespace.as_deref().unwrap_or("default");
            frame.buffer_mut().set_style(here, base);
            let text = Text::from(vec![
                Span::styled(format!("{cursor} {mark} "), base),
                Span::styled(format!("{name}  "), base),
                Span::styled(format!("ns {}", clean(namespace, 40)), base.patch(style(Slot::Muted))),
            ]);
            frame.render_widget(text, here);
        }
        if found.is_empty() {
            frame.render_widget(Span::styled("no context has this in its name", style(Slot::Muted)), list);
        }
        let hints = [("enter", "its namespace"), ("ctrl-a", "all namespaces"), ("esc", "stay")];
        frame.render_widget(keys_line(theme, &hints), keys);
        draw_line(frame, theme, input, "find: ", &self.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_by_a_part_of_its_name_and_chosen_with_its_namespace() {
        let row = |name: &str, namespace: Option<&str>, current| ContextRow {
            name: name.into(),
            namespace: namespace.map(str::to_owned),
            current,
        };
        let all = vec![row("prod-eu", Some("payments"), true), row("prod-us", None, false), row("kind", None, false)];
        let mut contexts = Contexts::new(SourceId::new("prod-eu"), all);
        let enter = Key::plain(Code::Enter);
        assert_eq!(contexts.key(enter), Reply::Context("prod-eu".into(), vec!["payments".into()]));
        contexts.key(Key::plain(Code::Down));
        assert_eq!(contexts.key(enter), Reply::Context("prod-us".into(), vec!["default".into()]));
        assert_eq!(contexts.key(Key::ctrl('a')), Reply::Context("prod-us".into(), Vec::new()));
        "kin".chars().for_each(|c| drop(contexts.key(Key::char(c))));
        assert_eq!(contexts.key(enter), Reply::Context("kind".into(), vec!["default".into()]));
        contexts.key(Key::char('q'));
        assert_eq!(contexts.key(enter), Reply::Stay, "nothing is found");
    }
}
