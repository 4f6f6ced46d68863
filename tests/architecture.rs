//! The rules of the house, kept by reading every source file: which room may use which, which crate belongs where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Rooms by floor: a room uses rooms on lower floors only.
const FLOORS: &[&[&str]] = &[
    &["domain", "clock"],
    &["autoscaler", "flink", "kubernetes", "state", "config", "policy"],
    &["control", "sim"],
    &["tui"],
    &["cli"],
];

/// Crates that only some rooms may name.
const CRATES: &[(&str, &[&str])] = &[
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("tui_logger", &["tui"]),
    ("kube", &["kubernetes"]),
    ("k8s_openapi", &["kubernetes"]),
    ("reqwest", &["flink"]),
    ("axum", &["sim"]),
    ("clap", &["cli"]),
    ("sqlx", &["state"]),
];

/// Rooms that are pure: no I/O, no clock, no async.
const PURE: &[&str] = &["domain", "autoscaler"];

/// Paths that do I/O, read a clock or are async: not in pure rooms.
const IMPURE: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "env"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["tokio"],
    &["futures"],
];

/// Only the composition root knows the embedded cluster, the loop and the screens together.
const STRANGERS: &[(&str, &str)] = &[("control", "sim"), ("tui", "sim"), ("sim", "control"), ("sim", "flink")];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// All paths that a file names: `use` trees spelled out, and every path in an expression, type, pattern or macro call.
#[derive(Default)]
struct Paths {
    found: Vec<(Vec<String>, usize)>,
    first_async: Option<usize>,
}

impl Paths {
    fn add(&mut self, path: Vec<String>, span: proc_macro2::Span) {
        self.found.push((path, span.start().line));
    }

    fn use_tree(&mut self, tree: &syn::UseTree, prefix: &[String]) {
        let with = |ident: &syn::Ident| prefix.iter().cloned().chain([ident.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(p) => self.use_tree(&p.tree, &with(&p.ident)),
            syn::UseTree::Name(n) => self.add(with(&n.ident), n.ident.span()),
            syn::UseTree::Rename(r) => self.add(with(&r.ident), r.ident.span()),
            syn::UseTree::Glob(g) => self.add(prefix.to_vec(), syn::spanned::Spanned::span(&g.star_token)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, prefix)),
        }
    }

    /// Inside a macro call there are only tokens: every run `a::b` counts as a path.
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut start = proc_macro2::Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.flush(&mut path, start);
                        start = ident.span();
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                proc_macro2::TokenTree::Punct(p) if p.as_char() == ':' => colons += 1,
                proc_macro2::TokenTree::Group(group) => {
                    self.flush(&mut path, start);
                    colons = 0;
                    self.tokens(group.stream());
                }
                proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => {
                    self.flush(&mut path, start);
                    colons = 0;
                }
            }
        }
        self.flush(&mut path, start);
    }

    fn flush(&mut self, path: &mut Vec<String>, span: proc_macro2::Span) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.add(path, span);
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Unit tests may use what they like, as tests in their own files may.
        if !item.attrs.iter().any(is_cfg_test) {
            visit::visit_item_mod(self, item);
        }
    }
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let span = path.segments.first().map_or_else(proc_macro2::Span::call_site, |s| s.ident.span());
        self.add(segments, span);
        visit::visit_path(self, path);
    }
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.tokens(mac.tokens.clone());
        visit::visit_macro(self, mac);
    }
    fn visit_signature(&mut self, sig: &'ast syn::Signature) {
        if let Some(token) = sig.asyncness {
            self.first_async.get_or_insert(token.span.start().line);
        }
        visit::visit_signature(self, sig);
    }
}

fn is_cfg_test(attr: &syn::Attribute) -> bool {
    attr.path().is_ident("cfg") && attr.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
}

/// One source file: its path below `src/`, its room, and how deep its module lies.
struct Source {
    below: String,
    room: String,
    depth: usize,
    paths: Paths,
}

fn parse(below: &str, text: &str) -> Source {
    let file = syn::parse_file(text).unwrap_or_else(|e| panic!("{below}: {e}"));
    let mut paths = Paths::default();
    paths.visit_file(&file);
    let module: Vec<&str> = below.trim_end_matches(".rs").split('/').collect();
    Source { below: below.to_owned(), room: module[0].to_owned(), depth: module.len(), paths }
}

/// The room that a path leads to, seen from a file: `crate::room::…`, `flightdeck::room::…`, or enough `super`s.
fn room_of(path: &[String], from: &Source) -> Option<String> {
    let room = match path.first()?.as_str() {
        "crate" | "flightdeck" => path.get(1),
        "super" => {
            // `super` of `room/file.rs` is `room`, of `room.rs` the crate.
            let supers = path.iter().take_while(|s| *s == "super").count();
            if supers == from.depth { path.get(supers) } else { None }
        }
        _ => None,
    };
    room.filter(|room| floor(room).is_some()).cloned()
}

fn offences(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let own = floor(&source.room);
    let pure = PURE.contains(&source.room.as_str());
    for (path, line) in &source.paths.found {
        let at = format!("src/{}:{line}: {}", source.below, path.join("::"));
        if let Some(room) = room_of(path, source).filter(|room| *room != source.room) {
            if own.zip(floor(&room)).is_none_or(|(own, other)| other >= own) {
                found.insert(format!("{at}: {} may only use rooms below it", source.room));
            }
            if STRANGERS.iter().any(|(a, b)| *a == source.room && *b == room) {
                found.insert(format!("{at}: {} must not know {room}", source.room));
            }
            // One place joins the rooms of the ground floor for the loop.
            if source.room == "control" && room == "kubernetes" && !source.below.starts_with("control/adapters") {
                found.insert(format!("{at}: only control/adapters joins kubernetes"));
            }
        }
        let first = path.first().map_or("", String::as_str);
        for (krate, homes) in CRATES {
            if first == *krate && path.len() > 1 && !homes.contains(&source.room.as_str()) {
                found.insert(format!("{at}: {krate} belongs to {}", homes.join(", ")));
            }
        }
        if pure && IMPURE.iter().any(|bad| path.len() >= bad.len() && bad.iter().zip(path).all(|(a, b)| a == b)) {
            found.insert(format!("{at}: {} is pure", source.room));
        }
    }
    if let (true, Some(line)) = (pure, source.paths.first_async) {
        found.insert(format!("src/{}:{line}: async in {}, which is pure", source.below, source.room));
    }
    found
}

fn source_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    files.sort();
    files
        .iter()
        .map(|path| {
            let below = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
            (below, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Files of tests alone: `room/…/tests.rs`, `room/…/tests/…`, `…_tests.rs`, fixtures.
fn is_test_file(below: &str) -> bool {
    below
        .trim_end_matches(".rs")
        .split('/')
        .any(|part| matches!(part, "tests" | "fixtures") || part.ends_with("_tests"))
}

#[test]
fn rooms_use_rooms_on_lower_floors_only_and_crates_stay_at_home() {
    let mut found = BTreeSet::new();
    for (below, text) in all_sources() {
        if is_test_file(&below) || matches!(below.as_str(), "lib.rs" | "main.rs") {
            continue;
        }
        let source = parse(&below, &text);
        assert!(floor(&source.room).is_some(), "src/{below}: no floor is known for room {}", source.room);
        found.extend(offences(&source));
    }
    let list: Vec<_> = found.into_iter().collect();
    assert!(list.is_empty(), "\n{}", list.join("\n"));
}

#[test]
fn no_file_is_longer_than_900_lines_and_none_is_called_mod() {
    for (below, text) in all_sources() {
        assert!(text.lines().count() <= 900, "src/{below} has more than 900 lines: split it");
        assert!(!below.ends_with("mod.rs"), "src/{below}: write room.rs + room/");
    }
}

#[test]
fn every_file_says_what_it_owns() {
    for (below, text) in all_sources() {
        assert!(text.starts_with("//!") || is_test_file(&below), "src/{below} has no module comment");
    }
}

fn offends(below: &str, text: &str) -> bool {
    !offences(&parse(below, text)).is_empty()
}

#[test]
fn the_rules_catch_what_they_are_for() {
    // A fully qualified name, a nested use, a rename, a macro's argument and climbing `super`s are all seen.
    assert!(offends("autoscaler/x.rs", "fn f() -> crate::tui::Model { g() }"));
    assert!(offends("flink.rs", "use crate::{domain::ids, kubernetes::watch};"));
    assert!(offends("state/x.rs", "use super::super::control as c;"));
    assert!(offends("domain/x.rs", "fn f() { println!(\"{:?}\", std::fs::read(\"x\")); }"));
    assert!(offends("domain/x.rs", "async fn f() {}"));
    assert!(offends("control/x.rs", "fn f() { kube::Client::try_default(); }"));
    assert!(offends("control/x.rs", "use crate::kubernetes::watch;"));
    assert!(offends("tui/x.rs", "fn f(c: reqwest::Client) {}"));
    assert!(offends("cli/x.rs", "use ratatui::Frame;"));
    assert!(offends("sim/x.rs", "use crate::flink::wire;"));
    assert!(offends("control/x.rs", "use crate::sim::World;"));
    // What is allowed passes.
    assert!(!offends("control/adapters/x.rs", "use crate::kubernetes::watch; use crate::flink::FlinkClient;"));
    assert!(!offends("tui/x.rs", "use ratatui::Frame; use crate::control::handle::Handle; use super::model;"));
    assert!(!offends("autoscaler/x.rs", "use crate::domain::ids; #[cfg(test)] mod tests { use std::fs; }"));
    assert!(!offends("cli/demo.rs", "use crate::{sim, control, tui};"));
}
