//! Every screen as a person sees it: the whole frame at three sizes, in every state that a night brings, and at any size at all.

use std::sync::Arc;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::{Ctx, JobPane, NextChange, PodKey, Screen};
use crate::domain::decision::DecisionId;
use crate::domain::health::HealthWord;
use crate::domain::ids::JobKey;
use crate::domain::memory::MemoryOutlook;
use crate::domain::snapshot::Snapshot;
use crate::tui::action::Action;
use crate::tui::draw::{draw, draw_screen};
use crate::tui::fixtures::frames::{self, frame};
use crate::tui::fixtures::{self, key};
use crate::tui::model::Model;
use crate::tui::theme::{ColourLevel, Theme, UNICODE, load};
use crate::tui::widgets::tree::foldable;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn unicode() -> Theme {
    load("dark", None, ColourLevel::True, &UNICODE).unwrap()
}

fn model(snapshot: Snapshot, screen: Screen, theme: Theme) -> Model {
    let mut model = frames::model(theme, snapshot);
    model.places.open(screen);
    model.refresh_rows();
    model
}

fn snapshots(name: &str, mut model: Model) {
    for (wide, high) in SIZES {
        insta::assert_snapshot!(format!("{name}@{wide}x{high}"), frame(&mut model, (wide, high)));
    }
}

fn fraud(screen: fn(JobKey) -> Screen) -> Model {
    let mut model = model(fixtures::fleet(), screen(key("fraud-detection")), unicode());
    model.views.job.view.list.select_key(&fixtures::vertex_id(3));
    model
}

#[test]
fn the_fleet_shows_the_worst_first() {
    snapshots("fleet", model(fixtures::fleet(), Screen::Fleet, unicode()));
}

/// A decision that was applied stays open until its outcome is known; what it wanted runs already.
#[test]
fn the_fleet_shows_no_change_of_subtasks_that_was_made() {
    let mut snapshot = fixtures::fleet();
    let decision = snapshot.decision_of(&key("fraud-detection")).unwrap().clone();
    let row = |snapshot: Snapshot| {
        let frame = frame(&mut model(snapshot, Screen::Fleet, unicode()), (160, 40));
        frame.lines().find(|line| line.contains("fraud-detection")).unwrap().to_owned()
    };
    assert!(row(snapshot.clone()).contains("15→"));
    let job = snapshot.jobs.iter_mut().find(|job| job.key == key("fraud-detection")).unwrap();
    for vertex in Arc::make_mut(&mut Arc::make_mut(job).vertices.as_mut().unwrap().value) {
        let change = decision.changes.iter().find(|change| change.vertex == vertex.id);
        vertex.parallelism = change.map_or(vertex.parallelism, |change| change.to);
    }
    assert!(!row(snapshot).contains('→'));
}

#[test]
fn the_job_shows_graph_vertices_and_charts() {
    snapshots("job", fraud(Screen::Job));
}

#[test]
fn the_job_shows_subtasks_and_the_last_turn_in_their_panes() {
    let mut subtasks = fraud(Screen::Job);
    subtasks.views.job.view.pane = JobPane::Subtasks;
    insta::assert_snapshot!("job-subtasks@80x24", frame(&mut subtasks, SIZES[0]));
    let mut explanation = fraud(Screen::Job);
    explanation.views.job.view.pane = JobPane::Explanation;
    let turn = fixtures::fleet().job(&key("fraud-detection")).unwrap().turn.clone().unwrap();
    explanation.views.job.view.tree.unfolded.extend(foldable(turn.explanation.as_ref().unwrap()));
    explanation.refresh_rows();
    insta::assert_snapshot!("job-explanation@80x24", frame(&mut explanation, SIZES[0]));
    let mut expanded = fraud(Screen::Job);
    expanded.views.job.view.expanded = true;
    insta::assert_snapshot!("job-expanded@80x24", frame(&mut expanded, SIZES[0]));
    let filling = model(fixtures::fleet(), Screen::Job(key("feature-store")), unicode());
    insta::assert_snapshot!("job-filling@80x24", frame(&mut { filling }, SIZES[0]));
}

fn pending() -> Screen {
    Screen::Decision(DecisionId(0x1f2e_3d4c))
}

#[test]
fn the_decision_shows_before_after_cost_and_why() {
    let mut model = model(fixtures::fleet(), pending(), unicode());
    let explanation = fixtures::fleet().decision(DecisionId(0x1f2e_3d4c)).unwrap().explanation.clone().unwrap();
    let tree = &mut model.views.decision.of(&DecisionId(0x1f2e_3d4c)).tree;
    tree.unfolded.extend(foldable(&explanation));
    model.refresh_rows();
    snapshots("decision", model);
}

#[test]
fn an_applied_decision_shows_prediction_against_outcome() {
    let mut outcome = model(fixtures::fleet(), Screen::Decision(DecisionId(0x0c0_ffee2)), unicode());
    insta::assert_snapshot!("decision-outcome@120x40", frame(&mut outcome, SIZES[1]));
    let mut tuned = model(fixtures::fleet(), Screen::Decision(DecisionId(0x5e55_102e)), unicode());
    insta::assert_snapshot!("decision-tuned@80x24", frame(&mut tuned, SIZES[0]));
}

#[test]
fn the_inbox_shows_what_waits_first() {
    snapshots("decisions", model(fixtures::fleet(), Screen::Decisions, unicode()));
}

#[test]
fn memory_shows_every_pool_and_what_stands_out() {
    snapshots("memory", fraud(Screen::Memory));
}

#[test]
fn memory_advice_takes_the_place_of_the_pools_where_there_is_no_room_for_both() {
    let mut advised = fraud(Screen::Memory);
    crate::tui::update::update(&mut advised, crate::tui::event::Event::Key("tab".parse().unwrap()));
    insta::assert_snapshot!("memory-advice@80x24", frame(&mut advised, SIZES[0]));
    // With room for both, the key changes nothing.
    let wide = frame(&mut advised, SIZES[1]);
    assert_eq!(wide, frame(&mut fraud(Screen::Memory), SIZES[1]));
    assert!(wide.contains("96.0 MiB of the heap (6%) are more than its average use and headroom need"), "{wide}");

    let mut fleet = fixtures::fleet();
    let outlook = MemoryOutlook::Unknown { why: "TaskManager memory is not configured".into() };
    for job in &mut fleet.jobs {
        Arc::make_mut(job).memory_advice = Some(Arc::new(outlook.clone()));
    }
    let mut unknown = model(fleet, Screen::Memory(key("fraud-detection")), unicode());
    unknown.views.memory.view.advice = true;
    let text = frame(&mut unknown, SIZES[0]);
    assert!(text.contains("nothing is advised: TaskManager memory is not configured"), "{text}");
}

#[test]
fn task_managers_show_their_slots() {
    snapshots("task-managers", fraud(Screen::TaskManagers));
}

#[test]
fn checkpoints_show_history_and_durations() {
    snapshots("checkpoints", fraud(Screen::Checkpoints));
    let mut open = fraud(Screen::Checkpoints);
    open.views.checkpoints.view.open = true;
    open.views.checkpoints.view.list.select(3);
    insta::assert_snapshot!("checkpoints-open@80x24", frame(&mut open, SIZES[0]));
}

#[test]
fn problems_show_the_root_cause_and_the_trace() {
    let ledger = || model(fixtures::fleet(), Screen::Problems(key("ledger-export")), unicode());
    snapshots("problems", ledger());
    let mut open = ledger();
    open.views.problems.view.open = true;
    open.views.problems.view.stack.offset = 7;
    insta::assert_snapshot!("problems-open@80x24", frame(&mut open, SIZES[0]));
}

fn on_kubernetes(screen: Screen) -> Model {
    model(fixtures::on_kubernetes(), screen, unicode())
}

fn log_of_a_pod() -> Screen {
    let pod = "fraud-detection-taskmanager-1-3".to_owned();
    Screen::PodLog(PodKey { job: key("fraud-detection"), namespace: "payments".into(), pod })
}

#[test]
fn pods_show_what_keeps_them_from_running_and_how_they_ended() {
    let mut pods = on_kubernetes(Screen::Pods(key("fraud-detection")));
    pods.views.pods.view.list.select(3);
    snapshots("pods", pods);
    let plain = frame(&mut on_kubernetes(Screen::Pods(key("inventory-cdc"))), SIZES[0]);
    assert!(plain.contains("flink-dr is plain Flink behind an address: there are no pods to see"), "{plain}");
}

#[test]
fn events_stand_by_time_with_the_whole_message_of_the_selected_one() {
    let mut events = on_kubernetes(Screen::Events(key("fraud-detection")));
    events.views.events.view.list.select(1);
    snapshots("events", events);
    insta::assert_snapshot!("all-events@80x24", frame(&mut on_kubernetes(Screen::AllEvents), SIZES[0]));
    let asking = frame(&mut model(fixtures::fleet(), Screen::AllEvents, unicode()), SIZES[0]);
    assert!(asking.contains("asking for events"), "{asking}");
}

#[test]
fn a_resource_shows_what_differs_and_finds_a_text() {
    snapshots("resource", on_kubernetes(Screen::Resource(key("fraud-detection"))));
    let mut found = on_kubernetes(Screen::Resource(key("fraud-detection")));
    found.set_filter("option-1");
    let text = frame(&mut found, SIZES[0]);
    assert!(text.contains("10 lines hold /option-1") && text.contains("pipeline.option-10: value-10"), "{text}");
    let first = found.views.resource.view.scroll.offset;
    assert!(found.views.resource.view.jump(true) && found.views.resource.view.scroll.offset == first + 1);
    assert!(found.views.resource.view.jump(false) && found.views.resource.view.scroll.offset == first);
    found.set_filter("no such thing");
    assert!(!found.views.resource.view.jump(true));
}

#[test]
fn the_log_of_a_pod_shows_its_newest_lines_and_keeps_its_place() {
    snapshots("pod-log", on_kubernetes(log_of_a_pod()));
    let mut log = on_kubernetes(log_of_a_pod());
    frame(&mut log, SIZES[0]);
    log.views.pod_log.view.move_by(-40);
    let held = frame(&mut log, SIZES[0]);
    assert!(held.contains("not at the end"), "{held}");
    // New lines come and old ones go: what is read stays where it is.
    let shown = |text: &str| {
        let lines = text.lines().skip_while(|line| !line.starts_with("─ log")).skip(1);
        lines.take(10).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut later = (*fixtures::on_kubernetes().log.unwrap()).clone();
    let lines = Arc::make_mut(&mut later.lines);
    lines.drain(..20);
    lines.extend((0..20).map(|n| Arc::from(format!("a new line {n}"))));
    later.dropped += 20;
    let snapshot = Snapshot { log: Some(Arc::new(later)), revision: 99, ..fixtures::on_kubernetes() };
    log.take(Arc::new(snapshot));
    log.refresh_rows();
    let after = frame(&mut log, SIZES[0]);
    assert_eq!(shown(&held), shown(&after));
    log.views.pod_log.view.move_by(1_000);
    let end = frame(&mut log, SIZES[0]);
    assert!(end.contains("a new line 19") && !end.contains("not at the end"), "{end}");
    log.set_filter("outofmemory");
    let filtered = frame(&mut log, SIZES[0]);
    assert!(filtered.contains("filtered out") && !filtered.contains("INFO"), "{filtered}");
}

#[test]
fn only_what_is_on_screen_is_asked_for() {
    let mut log = on_kubernetes(log_of_a_pod());
    let query = log.looking_at().log.unwrap();
    assert_eq!((query.pod.as_str(), query.follow, query.previous), ("fraud-detection-taskmanager-1-3", true, false));
    assert_eq!(query.container.as_deref(), Some("flink-main-container"));
    log.set_filter("error");
    assert_eq!(log.looking_at().log.unwrap().filter, "error");
    let wants = |screen| {
        let seen = on_kubernetes(screen).looking_at();
        (seen.log.is_some(), seen.events, seen.all_events, seen.documents)
    };
    let fraud = || key("fraud-detection");
    assert_eq!(wants(Screen::Pods(fraud())), (false, false, false, false));
    assert_eq!(wants(Screen::Events(fraud())), (false, true, false, false));
    assert_eq!(wants(Screen::AllEvents), (false, false, true, false));
    assert_eq!(wants(Screen::Resource(fraud())), (false, false, false, true));
}

#[test]
fn capacity_shows_nodes_and_who_uses_them() {
    let mut capacity = on_kubernetes(Screen::Capacity);
    capacity.views.capacity.list.select(1);
    snapshots("capacity", capacity);
    let mut filtered = on_kubernetes(Screen::Capacity);
    filtered.set_filter("cordoned");
    assert_eq!(filtered.views.capacity.list.rows.len(), 1);
    assert!(on_kubernetes(Screen::Capacity).looking_at().capacity);
    let plain = Snapshot { sources: fixtures::fleet().sources[1..].to_vec(), ..fixtures::fleet() };
    let plain = frame(&mut model(plain, Screen::Capacity, unicode()), SIZES[0]);
    assert!(plain.contains("no Kubernetes cluster is looked at"), "{plain}");
}

#[test]
fn kubernetes_shows_the_operator_each_watch_with_its_countdown_and_the_missing_rights() {
    let text = frame(&mut on_kubernetes(Screen::Cluster), SIZES[1]);
    assert!(text.contains("lost 44s, try 5, next in 17s"), "{text}");
    assert!(text.contains("2 of 12 missing"), "{text}");
    snapshots("kubernetes", on_kubernetes(Screen::Cluster));
}

#[test]
fn ownership_shows_who_scales_who_else_writes_and_what_the_operator_keeps() {
    snapshots("ownership", on_kubernetes(Screen::Ownership(key("fraud-detection"))));
    let mut observed = fixtures::on_kubernetes();
    let job = observed.jobs.iter_mut().find(|job| job.key == key("fraud-detection")).unwrap();
    let job = Arc::make_mut(job);
    job.ownership = crate::domain::job::Ownership::Observer { why: "job.autoscaler.enabled=true".into() };
    Arc::make_mut(job.resource.as_mut().unwrap()).can_take_over = true;
    let text = frame(&mut model(observed, Screen::Ownership(key("fraud-detection")), unicode()), SIZES[1]);
    assert!(text.contains("it can be taken over to manual"), "{text}");
    assert!(text.contains("the operator overrules the spec"), "{text}");
}

#[test]
fn session_clusters_are_trees_and_blue_green_deployments_are_rows() {
    use crate::domain::job::JobKind;
    let mut snapshot = fixtures::on_kubernetes();
    for (name, kind) in [("invoices", JobKind::FlinkSessionJob), ("clickstream", JobKind::FlinkJob)] {
        Arc::make_mut(snapshot.jobs.iter_mut().find(|job| job.key == key(name)).unwrap()).kind = kind;
    }
    let fleet = model(snapshot.clone(), Screen::Fleet, unicode());
    let names: Vec<&str> = fleet.views.fleet.list.rows.iter().map(|row| row.key.as_str()).collect();
    let at = names.iter().position(|name| *name == "k8s:adhoc-session").unwrap();
    assert_eq!(names[at..at + 3], ["k8s:adhoc-session", "k8s:invoices", "k8s:clickstream"]);
    assert_eq!(names.last(), Some(&"blue-green:uid-bg"));
    let mut failing = snapshot.clone();
    failing.jobs.retain(|job| ["adhoc-session", "invoices"].iter().any(|name| job.key == key(name)));
    Arc::make_mut(failing.jobs.iter_mut().find(|job| job.key == key("invoices")).unwrap()).health.word =
        HealthWord::Failing;
    let untouched = model(failing, Screen::Fleet, unicode());
    assert_eq!(untouched.views.fleet.list.rows[0].key, key("adhoc-session"));
    assert_eq!(untouched.views.fleet.list.selected, Some(key("invoices")), "the cursor is on what is bad");
    let mut selected = model(snapshot, Screen::Fleet, unicode());
    selected.views.fleet.list.select_key(&key("adhoc-session"));
    snapshots("fleet-trees", selected);
    let mut blue = on_kubernetes(Screen::Fleet);
    blue.views.fleet.list.select(99);
    let text = frame(&mut blue, SIZES[1]);
    assert!(text.contains("transition given up in 3m40s"), "{text}");
}

#[test]
fn a_decision_says_whether_it_fits() {
    use crate::domain::capacity::{Blocker, CapacityAnswer};
    let mut snapshot = fixtures::on_kubernetes();
    let answer = CapacityAnswer {
        needed: 20,
        fitting: 14,
        new_nodes: 0,
        blocker: Some((Blocker::Memory, "node-pool b".into())),
        largest_parallelism: 28,
        gaps: Vec::new(),
    };
    Arc::make_mut(&mut snapshot.decisions[0]).capacity = Some(Arc::new(answer));
    let text = frame(&mut model(snapshot, pending(), unicode()), SIZES[1]);
    let said = "fits 14 of 20 TaskManagers, first blocker memory on node-pool b, largest parallelism that fits: 28";
    assert!(text.contains(said), "{text}");
}

#[test]
fn a_missing_right_is_named_and_its_key_says_so() {
    use crate::domain::kubernetes::{KubeAction, RightRow};
    let mut snapshot = fixtures::on_kubernetes();
    let kube = Arc::make_mut(&mut snapshot.kubernetes[0]);
    let row = |action| RightRow { action, namespace: Some("payments".into()), allowed: false, reason: String::new() };
    Arc::make_mut(&mut kube.rights.as_mut().unwrap().value)
        .extend([KubeAction::ReadLogs, KubeAction::WatchEvents].map(row));
    let why = "missing right: get pods/log in namespace payments";
    let pods = model(snapshot.clone(), Screen::Pods(key("fraud-detection")), unicode());
    assert_eq!(Action::PodLog.available(&pods).unwrap_err().0, why);
    let text = frame(&mut model(snapshot.clone(), log_of_a_pod(), unicode()), SIZES[0]);
    assert!(text.contains(why), "{text}");
    let text = frame(&mut model(snapshot, Screen::Events(key("fraud-detection")), unicode()), SIZES[0]);
    assert!(text.contains("missing right: watch events in namespace payments"), "{text}");
}

#[test]
fn the_log_says_that_there_is_nothing_to_tell() {
    snapshots("log", model(fixtures::fleet(), Screen::Log, unicode()));
}

#[test]
fn a_list_of_failures_without_a_place_gives_its_room_to_the_message() {
    let mut snapshot = fixtures::fleet();
    for job in &mut snapshot.jobs {
        let Some(problems) = &mut Arc::make_mut(job).problems else { continue };
        for entry in &mut Arc::make_mut(&mut problems.value).entries {
            (entry.task, entry.task_manager, entry.endpoint) = (None, None, None);
        }
    }
    let mut problems = model(snapshot, Screen::Problems(key("ledger-export")), unicode());
    let text = frame(&mut problems, SIZES[0]);
    assert!(!text.contains("TASKMANAGER"), "{text}");
    insta::assert_snapshot!("problems-placeless@80x24", text);
}

// --- what a night brings ---

#[test]
fn before_the_first_answer_it_says_what_is_waited_for() {
    insta::assert_snapshot!(
        "loading@80x24",
        frame(&mut model(fixtures::loading(), Screen::Fleet, unicode()), SIZES[0])
    );
    let nothing = Snapshot { loaded: true, jobs: Vec::new(), ..fixtures::fleet() };
    let nothing = Snapshot { sources: nothing.sources[..1].to_vec(), decisions: Vec::new(), ..nothing };
    let empty = frame(&mut model(nothing.clone(), Screen::Fleet, unicode()), SIZES[0]);
    assert!(empty.contains("no jobs: nothing is deployed here"), "{empty}");
    let inbox = frame(&mut model(nothing, Screen::Decisions, unicode()), SIZES[0]);
    assert!(inbox.contains("no decisions: nothing has to be scaled"), "{inbox}");
    for screen in all_screens() {
        frame(&mut model(fixtures::loading(), screen, unicode()), SIZES[0]);
    }
}

#[test]
fn a_lost_source_is_named_and_its_last_data_stay_with_their_age() {
    snapshots("lost", model(fixtures::lost(), Screen::Fleet, unicode()));
    let mut job = model(fixtures::lost(), Screen::Job(key("fraud-detection")), unicode());
    insta::assert_snapshot!("lost-job@80x24", frame(&mut job, SIZES[0]));
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
    let mut fleet = model(fixtures::lost(), Screen::Fleet, unicode());
    terminal.draw(|frame| draw(frame, &mut fleet)).unwrap();
    let stale = unicode().style(crate::tui::theme::Slot::Stale).fg;
    let buffer = terminal.backend().buffer();
    assert!(buffer.content.iter().filter(|cell| Some(cell.fg) == stale).count() > 200, "old numbers are dimmed");
}

#[test]
fn a_job_that_is_gone_says_so() {
    let gone = frame(&mut model(fixtures::fleet(), Screen::Job(key("nowhere")), unicode()), SIZES[0]);
    assert!(gone.contains("this job is gone"), "{gone}");
    let gone = frame(&mut model(fixtures::fleet(), Screen::Decision(DecisionId(1)), unicode()), SIZES[0]);
    assert!(gone.contains("this decision is gone"), "{gone}");
}

#[test]
fn a_filter_that_hides_everything_says_how_much() {
    let mut model = model(fixtures::fleet(), Screen::Fleet, unicode());
    model.set_filter("nothing-like-this");
    let text = frame(&mut model, SIZES[0]);
    assert!(text.contains("no job matches the filter; it hides 11"), "{text}");
}

#[test]
fn thousands_of_jobs_are_one_screen() {
    let mut model = model(fixtures::many(5_000), Screen::Fleet, unicode());
    model.views.fleet.list.select(4_321);
    let text = frame(&mut model, SIZES[1]);
    let name = &model.views.fleet.list.selected.clone().unwrap().as_str()["k8s:".len()..].to_owned();
    assert!(text.contains(name.as_str()) && text.contains("4322/5000"), "{text}");
}

#[test]
fn without_colours_and_utf8_every_screen_is_plain_ascii() {
    for screen in all_screens() {
        for size in SIZES {
            let mut model = model(fixtures::hostile(), screen.clone(), Theme::plain());
            let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
            model.size = size;
            terminal.draw(|frame| draw(frame, &mut model)).unwrap();
            for cell in &terminal.backend().buffer().content {
                assert!(cell.symbol().is_ascii(), "{screen:?}: {:?}", cell.symbol());
                let plain = ratatui::style::Color::Reset;
                assert!(cell.fg == plain && cell.bg == plain, "{screen:?}: {cell:?}");
            }
        }
    }
    insta::assert_snapshot!(
        "ascii-fleet@80x24",
        frame(&mut model(fixtures::fleet(), Screen::Fleet, Theme::plain()), SIZES[0])
    );
    let mut job = model(fixtures::fleet(), Screen::Job(key("fraud-detection")), Theme::plain());
    insta::assert_snapshot!("ascii-job@120x40", frame(&mut job, SIZES[1]));
    insta::assert_snapshot!(
        "ascii-decision@80x24",
        frame(&mut model(fixtures::fleet(), pending(), Theme::plain()), SIZES[0])
    );
    let fraud = || key("fraud-detection");
    for (name, screen) in [
        ("memory", Screen::Memory(fraud())),
        ("problems", Screen::Problems(key("ledger-export"))),
        ("checkpoints", Screen::Checkpoints(fraud())),
        ("task-managers", Screen::TaskManagers(fraud())),
        ("decisions", Screen::Decisions),
        ("log", Screen::Log),
    ] {
        let mut model = model(fixtures::fleet(), screen, Theme::plain());
        insta::assert_snapshot!(format!("ascii-{name}@80x24"), frame(&mut model, SIZES[0]));
    }
}

#[test]
fn hostile_names_never_reach_the_terminal_raw() {
    for screen in all_screens() {
        for size in SIZES {
            let text = frame(&mut model(fixtures::hostile(), screen.clone(), unicode()), size);
            let hostile = text.chars().find(|c| {
                (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{200b}'..='\u{200f}')
            });
            assert_eq!(hostile, None, "{screen:?} {size:?}\n{text}");
            for line in text.lines() {
                assert!(crate::tui::format::width(line) <= usize::from(size.0), "{screen:?}: {line}");
            }
        }
    }
    insta::assert_snapshot!(
        "hostile-fleet@80x24",
        frame(&mut model(fixtures::hostile(), Screen::Fleet, unicode()), SIZES[0])
    );
}

fn all_screens() -> Vec<Screen> {
    let of_jobs: [fn(JobKey) -> Screen; 9] = [
        Screen::Ownership,
        Screen::Job,
        Screen::Memory,
        Screen::Problems,
        Screen::Checkpoints,
        Screen::TaskManagers,
        Screen::Pods,
        Screen::Events,
        Screen::Resource,
    ];
    let jobs = ["fraud-detection", "ledger-export", "inventory-cdc", "adhoc-session", "backfill-2025"];
    let of_jobs = of_jobs.into_iter().flat_map(|screen| jobs.map(|job| screen(key(job))));
    let decisions =
        fixtures::fleet().decisions.iter().map(|decision| Screen::Decision(decision.id)).collect::<Vec<_>>();
    let plans = fixtures::plans::all().into_iter().map(|plan| Screen::Plan(plan.id));
    let alone = [
        Screen::Fleet,
        Screen::Decisions,
        Screen::Operations,
        Screen::AllEvents,
        Screen::Capacity,
        Screen::Cluster,
        log_of_a_pod(),
    ];
    alone.into_iter().chain(of_jobs).chain(decisions).chain(plans).collect()
}

/// Draws the screen alone into an area of any size, as the frame does into its body.
fn body(model: &mut Model, screen: &Screen, (wide, high): (u16, u16)) -> Vec<String> {
    let next = NextChange::default();
    let mut views = std::mem::take(&mut model.views);
    let mut terminal = Terminal::new(TestBackend::new(wide, high)).unwrap();
    terminal
        .draw(|frame| {
            let (area, ctx): (_, Ctx) = (frame.area(), model.ctx(&next));
            if !matches!(screen, Screen::Log) {
                draw_screen(frame, area, &ctx, screen, &mut views);
            }
        })
        .unwrap();
    model.views = views;
    let buffer = terminal.backend().buffer();
    buffer.content.chunks(usize::from(wide)).map(|line| line.iter().map(|cell| cell.symbol()).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_screen_at_any_size_with_any_selection_is_drawn(
        wide in 1u16..230, high in 1u16..70, screen in prop::sample::select(all_screens()), selected in 0usize..14,
        hostile: bool, ascii: bool, pane in 0usize..3, expanded: bool, scroll in 0usize..99
    ) {
        let snapshot = if hostile { fixtures::hostile() } else { fixtures::fleet() };
        let mut model = model(snapshot, screen.clone(), if ascii { Theme::plain() } else { unicode() });
        let views = &mut model.views;
        views.job.view.list.select(selected);
        views.job.view.pane = JobPane::ALL[pane];
        views.job.view.expanded = expanded;
        views.job.view.subtasks.offset = scroll;
        views.problems.view.list.select(selected);
        views.problems.view.open = expanded;
        views.problems.view.stack.offset = scroll;
        views.checkpoints.view.list.select(selected);
        views.checkpoints.view.open = expanded;
        views.memory.view.list.select(selected);
        views.memory.view.advice = expanded;
        views.decisions.list.select(selected);
        views.pods.view.list.select(selected);
        views.events.view.list.select(selected);
        views.resource.view.scroll.offset = scroll;
        views.resource.view.left = scroll;
        views.pod_log.view.left = scroll;
        body(&mut model, &screen, (wide, high));
    }

    #[test]
    fn the_selected_job_is_in_view_at_any_size(wide in 20u16..230, high in 1u16..70, selected in 0usize..400, count in 1u32..300) {
        let mut model = model(fixtures::many(count), Screen::Fleet, unicode());
        model.views.fleet.list.select(selected);
        let lines = body(&mut model, &Screen::Fleet, (wide, high));
        prop_assert_eq!(lines.iter().filter(|line| line.starts_with('▌')).count(), 1, "{:#?}", lines);
    }
}
