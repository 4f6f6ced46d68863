use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::super::options::Layer;
use super::*;
use crate::domain::window::GlobalSample;

fn at(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::milliseconds((seconds * 1000.0) as i64)
}

fn options(stabilization: &str, window: &str) -> Options {
    let texts = BTreeMap::from([
        ("job.autoscaler.stabilization.interval".to_owned(), stabilization.to_owned()),
        ("job.autoscaler.metrics.window".to_owned(), window.to_owned()),
    ]);
    Options::from_layers(Generation::Main, &[(Layer::Job, &texts)]).0
}

fn sample(seconds: f64) -> Arc<Sample> {
    Arc::new(Sample::new(at(seconds), Vec::new(), GlobalSample::MISSING))
}

#[test]
fn window_fills_from_the_first_stable_sample_and_is_trimmed_when_full() {
    let options = options("10 s", "100 s");
    let mut window = MetricWindow::new();
    let steps = [
        (0.0, 1, false),
        (1.0, 2, false),
        (10.0, 3, false),
        (11.0, 4, false),
        (110.0, 3, true),
        (111.0, 3, true),
        (110.0 + 86_400.0, 1, true),
    ];
    for (t, size, full) in steps {
        let status = record(&mut window, sample(t), at(0.0), &options, Duration::from_secs(10));
        assert_eq!((status.samples, status.full), (size, full), "at {t} s");
        assert_eq!(status.stable_at, at(10.0));
        if !full {
            assert_eq!(status.full_at, at(110.0));
        }
    }
    let restarted = record(&mut window, sample(90_000.0), at(89_999.0), &options, Duration::from_secs(10));
    assert_eq!((restarted.samples, restarted.full), (1, false));
}

#[test]
fn generations_differ_in_what_is_evaluated_while_stabilizing() {
    let options = options("10 s", "100 s");
    let mut window = MetricWindow::new();
    for t in [0.0, 5.0, 10.0] {
        let status = record(&mut window, sample(t), at(0.0), &options, Duration::from_secs(5));
        let seen = |generation| handed_on(&window, status.stable_at, at(t), generation).len();
        assert_eq!(seen(Generation::Main), window.samples().len());
        assert_eq!(seen(Generation::V1_8), if t < 10.0 { 0 } else { 3 });
    }
}

#[test]
fn an_endless_window_never_fills_and_never_overflows() {
    let options = options("300 s", "100000000000 d");
    let mut window = MetricWindow::new();
    let status = record(&mut window, sample(1e6), at(0.0), &options, Duration::from_secs(5));
    assert!(!status.full && status.fill == 0.0);
}

#[test]
fn rate_uses_the_first_and_the_last_known_value() {
    let nan = f64::NAN;
    let of = |values: &[f64]| {
        let points: Vec<_> = values.iter().enumerate().map(|(i, v)| (at(i as f64 + 1.0), *v)).collect();
        rate(points.into_iter(), 1)
    };
    assert_eq!(of(&[0.0, 0.0, 4.0]), 2.0);
    assert_eq!(of(&[nan, 10.0, 20.0]), 10.0);
    assert!(of(&[nan, nan, 7.0]).is_nan());
    assert!(of(&[]).is_nan());
    let same_instant = [(at(1.0), 1.0), (at(1.0), 3.0)];
    assert_eq!(rate(same_instant.into_iter(), 1), 2000.0);
    assert_eq!(rate(same_instant.into_iter(), 0), f64::INFINITY);
}

#[test]
fn average_skips_what_is_not_finite() {
    let of = |values: &[f64], least| average(values.iter().copied(), least);
    assert_eq!(of(&[1.0, f64::NAN, 3.0, f64::INFINITY], 1), 2.0);
    assert_eq!(of(&[f64::INFINITY, f64::NAN], 2), f64::INFINITY);
    assert!(of(&[1.0, f64::INFINITY], 2).is_nan());
    assert!(of(&[f64::NAN], 1).is_nan());
}
