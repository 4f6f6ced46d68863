//! The physics: properties, and the behaviour of the demo.

mod demo;
mod flow;
mod jobs;

use super::job::Job;
use super::scenario::Scenario;
use super::world::World;
use crate::domain::Timestamp;

fn start() -> Timestamp {
    Timestamp::from_timestamp_millis(1_795_400_000_000).unwrap()
}

fn after(seconds: f64) -> Timestamp {
    start() + chrono::Duration::milliseconds((seconds * 1000.0) as i64)
}

fn job<'a>(world: &'a World, name: &str) -> &'a Job {
    world.clusters().iter().flat_map(|c| &c.jobs).rfind(|j| j.name() == name).unwrap()
}

/// A world from the text of a scenario.
fn world(text: &str) -> World {
    Scenario::parse("test", text).unwrap().build(start()).unwrap()
}
