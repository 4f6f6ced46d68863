//! What is asked because somebody looks, and what a person who looks can hurry.

use super::fake::{Fault, JOB, SINK, SLOW, SOURCE};
use super::*;
use crate::domain::command::Interest;
use crate::domain::freshness::age;
use crate::domain::health::HealthWord;
use crate::domain::job::{Mode, Watermark};
use crate::domain::snapshot::SourceState;

fn off() -> ControlConfig {
    ControlConfig { mode: Mode::Off, ..config() }
}

fn looking_at_the_job() -> Interest {
    Interest { visible: true, job: Some(Bench::key()), ..Interest::default() }
}

#[tokio::test(start_paused = true)]
async fn watermarks_are_those_of_the_job_somebody_looks_at() {
    let bench = Bench::start(Fake::new(100.0), config());
    bench.wait(60).await;
    assert_eq!(bench.fake.requests("/watermarks"), 0, "nobody looks");
    let watermark = |id| {
        let job = bench.job();
        let vertices = job.vertices.as_ref().unwrap();
        vertices.value.iter().find(|v| v.id == id).unwrap().watermark
    };
    assert_eq!(watermark(SLOW), None);

    bench.handle.interest.send(looking_at_the_job()).unwrap();
    bench.wait(35).await;
    let Some(Watermark::At(at)) = watermark(SLOW) else { panic!("{:?}", watermark(SLOW)) };
    let behind = age(at, bench.job().vertices.as_ref().unwrap().at).as_secs_f64();
    assert!((0.0..=15.0).contains(&behind), "the lowest of two subtasks, 5 s behind when it was asked: {behind}");
    assert_eq!((watermark(SOURCE), watermark(SINK)), (None, Some(Watermark::NotYet)));
    let asked = bench.fake.requests("/watermarks");
    assert!((6..=10).contains(&asked), "two vertices with an input, once for each fetch of Flink's own: {asked}");

    bench.handle.interest.send(Interest::default()).unwrap();
    bench.wait(30).await;
    assert_eq!(bench.fake.requests("/watermarks"), asked);
    assert_eq!(watermark(SLOW), None, "an old watermark would read as a lag");
}

#[tokio::test(start_paused = true)]
async fn a_vertex_without_an_answer_about_its_watermark_has_none() {
    let bench = Bench::start(Fake::new(100.0), config());
    bench.fake.fail(&format!("{SLOW}/watermarks"), 1000, Fault::Html);
    bench.handle.interest.send(looking_at_the_job()).unwrap();
    bench.wait(20).await;
    let job = bench.job();
    let marks: Vec<_> = job.vertices.as_ref().unwrap().value.iter().map(|v| v.watermark).collect();
    assert_eq!(marks, [None, None, Some(Watermark::NotYet)]);
}

#[tokio::test(start_paused = true)]
async fn a_row_on_screen_of_a_job_that_no_loop_reads_has_its_numbers() {
    let bench = Bench::start(Fake::new(100.0), off());
    let details = || {
        let path = format!("GET /jobs/{JOB}");
        bench.fake.model().log.iter().filter(|line| **line == path).count()
    };
    bench.wait(60).await;
    assert_eq!((details(), bench.job().rates.is_none()), (0, true), "its row is not on screen");
    let rows = Interest { visible: true, rows: vec![Bench::key()], ..Interest::default() };
    bench.handle.interest.send(rows).unwrap();
    bench.wait(60).await;
    let job = bench.job();
    let rates = job.rates.as_ref().unwrap();
    assert!((rates.value.records_in - 100.0).abs() < 10.0, "{rates:?}");
    assert!(rates.value.lag.is_nan(), "nothing but a turn asks for it");
    assert!((11..=14).contains(&details()), "one request a period of the loop: {}", details());
    assert_eq!(bench.fake.requests("/metrics"), 0);

    bench.handle.interest.send(Interest::default()).unwrap();
    bench.wait(1).await;
    let before = details();
    bench.wait(60).await;
    assert_eq!(details(), before);
}

#[tokio::test(start_paused = true)]
async fn numbers_that_nobody_renews_tell_nothing_of_the_health() {
    let bench = Bench::start(Fake::new(OVERLOAD), config());
    bench.wait(120).await;
    assert_ne!(bench.job().health.word, HealthWord::Healthy, "{}", bench.describe());
    bench.fake.fail(&format!("GET /jobs/{JOB}"), 100_000, Fault::Status(500, "{\"errors\":[\"x\"]}".into()));
    bench.wait(60).await;
    let job = bench.job();
    assert!(age(job.rates.as_ref().unwrap().at, bench.snapshot().at).as_secs() >= 55, "kept with their age");
    assert_eq!(job.health.word, HealthWord::Healthy, "its list says that all its tasks run: {:?}", job.health);
}

#[tokio::test(start_paused = true)]
async fn a_person_ends_the_pause_before_the_next_attempt() {
    let mut bench = Bench::start(Fake::new(100.0), config());
    bench.until(5, "live", |s| s.loaded && s.sources[0].state == SourceState::Live).await;
    bench.fake.fail("GET", 100_000, Fault::Refused);
    bench
        .until(300, "many attempts failed", |s| match s.sources[0].state {
            SourceState::Lost { attempt, next_attempt_at, .. } => {
                attempt >= 7 && age(s.at, next_attempt_at).as_secs() > 15
            }
            _ => false,
        })
        .await;
    bench.fake.heal();
    let asked = tokio::time::Instant::now();
    let id = bench.send(Intent::Reconnect, None).await;
    bench.until(5, "live at once", |s| s.sources[0].state == SourceState::Live).await;
    assert!(asked.elapsed().as_secs() < 2);
    assert_eq!(bench.until_final(id).await, CommandStage::Observed);
}
