//! The loop with a test terminal, a fake port and paused time: when frames are drawn, and what reaches the outside.

use std::sync::Mutex;

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use ratatui::backend::TestBackend;
use tokio::sync::watch;
use tokio::time::sleep;

use super::*;
use crate::clock::TokioClock;
use crate::domain::command::Intent;
use crate::domain::decision::DecisionId;
use crate::domain::snapshot::Snapshot;
use crate::tui::fixtures;
use crate::tui::theme::Theme;

/// What the loop did to the terminal, and when.
#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<Done>>);

#[derive(Debug, Default)]
struct Done {
    frames: Vec<Instant>,
    copied: Vec<String>,
    suspended: usize,
}

impl Port for Fake {
    fn begin_frame(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end_frame(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().frames.push(Instant::now());
        Ok(())
    }
    fn copy(&mut self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().copied.push(text.to_owned());
        Ok(())
    }
    fn mouse(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }
    fn bell(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn suspend(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().suspended += 1;
        Ok(())
    }
}

/// The other ends of everything the loop holds.
struct World {
    done: Fake,
    snapshots: watch::Sender<Arc<Snapshot>>,
    commands: mpsc::Receiver<Command>,
    interest: watch::Receiver<Interest>,
    keys: UnboundedSender<io::Result<Input>>,
    signals: mpsc::Sender<Ended>,
}

type Inputs = (UnboundedReceiver<io::Result<Input>>, mpsc::Receiver<Ended>);

fn start(snapshot: Snapshot) -> (Loop<TestBackend, Fake>, Inputs, World) {
    let (snapshots_in, snapshots) = watch::channel(Arc::new(snapshot));
    let (commands, commands_out) = mpsc::channel(1);
    let (interest, interest_out) = watch::channel(Interest::default());
    let (keys, keys_out) = unbounded();
    let (signals, signals_out) = mpsc::channel(1);
    let clock = Arc::new(TokioClock::starting_at(fixtures::now()));
    let setup = Setup {
        themes: vec![Theme::plain()],
        keymap: Keymap::default(),
        utc: true,
        mouse: false,
        warnings: Vec::new(),
    };
    let snapshot = Arc::clone(&snapshots.borrow());
    let model = Model::new(setup, snapshot, clock.now(), clock.monotonic());
    let done = Fake::default();
    let handle = Handle { snapshots, commands, interest };
    let terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
    let screen = Loop::new(model, terminal, done.clone(), handle, clock);
    let (interest, commands, snapshots) = (interest_out, commands_out, snapshots_in);
    (screen, (keys_out, signals_out), World { done, snapshots, commands, interest, keys, signals })
}

impl World {
    fn key(&self, code: KeyCode) {
        self.keys.unbounded_send(Ok(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))).unwrap();
    }

    fn char(&self, c: char) {
        self.key(KeyCode::Char(c));
    }

    fn ctrl(&self, c: char) {
        let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        self.keys.unbounded_send(Ok(Input::Key(key))).unwrap();
    }

    fn frames(&self) -> Vec<Instant> {
        self.done.0.lock().unwrap().frames.clone()
    }
}

/// Nothing is watched and nothing has an age.
fn quiet() -> Snapshot {
    Snapshot { loaded: true, ..Snapshot::empty(fixtures::now()) }
}

async fn run_for(
    screen: &mut Loop<TestBackend, Fake>,
    inputs: Inputs,
    script: impl Future<Output = ()>,
) -> Option<Ended> {
    tokio::select! {
        ended = screen.run(inputs.0, inputs.1) => Some(ended.unwrap()),
        () = script => None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_minute_draws_the_first_frame_alone() {
    let (mut screen, inputs, world) = start(quiet());
    assert_eq!(run_for(&mut screen, inputs, sleep(Duration::from_secs(60))).await, None);
    assert_eq!(world.frames().len(), 1);
    assert!(world.interest.borrow().visible);
}

#[tokio::test(start_paused = true)]
async fn labels_that_change_cost_one_frame_a_second_at_most() {
    let (mut screen, inputs, world) = start(fixtures::lost());
    run_for(&mut screen, inputs, sleep(Duration::from_millis(10_500))).await;
    // The header counts the seconds until the next attempt: one frame for each, and the first.
    assert_eq!(world.frames().len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_data_is_drawn_at_most_thirty_times_a_second_and_a_key_at_once() {
    let (mut screen, inputs, world) = start(quiet());
    let mut pressed = None;
    let flood = async {
        for revision in 1..=1000u64 {
            let snapshot = Snapshot { revision, ..quiet() };
            world.snapshots.send_replace(Arc::new(snapshot));
            if revision == 500 {
                pressed = Some(Instant::now());
                world.char('?');
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    run_for(&mut screen, inputs, flood).await;
    let frames = world.frames();
    assert!((50..=62).contains(&frames.len()), "{} frames in two seconds", frames.len());
    assert!(frames.contains(&pressed.unwrap()), "the key is drawn in the instant in which it was pressed");
    assert_eq!(screen.model.shown().revision, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_resizes_is_drawn_once_it_rests() {
    let (mut screen, inputs, world) = start(quiet());
    let storm = async {
        sleep(Duration::from_millis(100)).await;
        for columns in 61..=90 {
            world.keys.unbounded_send(Ok(Input::Resize(columns, 30))).unwrap();
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(100)).await;
    };
    run_for(&mut screen, inputs, storm).await;
    assert_eq!(screen.model.size, (90, 30));
    assert_eq!(world.frames().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_approval_reaches_the_control_loop_even_if_it_must_wait_for_room() {
    let (mut screen, inputs, mut world) = start(fixtures::fleet());
    // The queue has room for one, and that one is taken.
    let other = Command {
        id: crate::domain::command::CommandId(99),
        intent: Intent::Refresh { job: fixtures::key("fraud-detection") },
        issuer: crate::domain::command::Issuer::Screen,
        target: None,
        at: fixtures::now(),
    };
    screen.handle.commands.try_send(other).unwrap();
    screen.model.places.jump(crate::tui::screens::Screen::Decision(DecisionId(0x1f2e_3d4c)));
    let mut got = Vec::new();
    let script = async {
        world.char('a');
        sleep(Duration::from_millis(400)).await;
        world.char('y');
        sleep(Duration::from_millis(400)).await;
        got.push(world.commands.recv().await.unwrap());
        got.push(world.commands.recv().await.unwrap());
    };
    run_for(&mut screen, inputs, script).await;
    assert_eq!(got[1].intent, Intent::Approve { decision: DecisionId(0x1f2e_3d4c) });
    assert_eq!(got[1].target.as_ref().map(|t| t.name.as_str()), Some("fraud-detection"));
}

#[tokio::test(start_paused = true)]
async fn a_control_loop_that_is_gone_is_told_and_keys_still_work() {
    let (mut screen, inputs, world) = start(fixtures::fleet());
    let World { done: _, snapshots, commands, keys, .. } = world;
    let script = async move {
        drop((snapshots, commands));
        sleep(Duration::from_secs(1)).await;
        keys.unbounded_send(Ok(Input::Key(KeyEvent::new(KeyCode::Char('?'), KeyModifiers::NONE)))).unwrap();
        sleep(Duration::from_secs(1)).await;
    };
    run_for(&mut screen, inputs, script).await;
    assert!(screen.model.loop_ended());
    assert!(screen.model.overlay().is_some());
}

#[tokio::test(start_paused = true)]
async fn every_way_out_ends_the_loop_and_says_that_nobody_looks() {
    let (mut screen, inputs, world) = start(quiet());
    world.char('q');
    assert_eq!(run_for(&mut screen, inputs, sleep(Duration::from_secs(9))).await, Some(Ended::Quit));
    assert!(!world.interest.borrow().visible);

    let (mut screen, inputs, world) = start(quiet());
    world.signals.send(Ended::Terminated).await.unwrap();
    assert_eq!(run_for(&mut screen, inputs, sleep(Duration::from_secs(9))).await, Some(Ended::Terminated));
    assert!(!world.interest.borrow().visible);

    let (mut screen, inputs, world) = start(quiet());
    let World { keys, interest, .. } = world;
    drop(keys);
    assert_eq!(run_for(&mut screen, inputs, sleep(Duration::from_secs(9))).await, Some(Ended::TerminalGone));
    assert!(!interest.borrow().visible);
}

#[tokio::test(start_paused = true)]
async fn copies_and_suspends_go_to_the_terminal() {
    let (mut screen, inputs, world) = start(fixtures::fleet());
    screen.model.places.jump(crate::tui::screens::Screen::Job(fixtures::key("fraud-detection")));
    let script = async {
        world.char('c');
        world.char('n');
        world.ctrl('z');
        sleep(Duration::from_millis(50)).await;
    };
    run_for(&mut screen, inputs, script).await;
    let done = world.done.0.lock().unwrap();
    assert_eq!(done.copied, ["fraud-detection"]);
    assert_eq!(done.suspended, 1);
}
