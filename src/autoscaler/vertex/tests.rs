//! The vertex scaler against the facts of the contract's test tables (§14.1, §14.3).

use super::super::evaluate::averaged;
use super::super::fixture::{at, id, options, vertex};
use super::super::generation::Generation;
use super::*;
use crate::domain::topology::ShipStrategy;

/// One vertex with its past.
struct Scaled {
    options: Options,
    history: BTreeMap<VertexId, Vec<ScalingSummary>>,
    delayed: BTreeMap<VertexId, DelayedScaleDown>,
    events: Vec<PassEvent>,
    ship: ShipStrategy,
}

impl Scaled {
    /// With the set-up of the table: no limits on factors, no catch-up.
    fn new(generation: Generation, texts: &[(&str, &str)]) -> Self {
        let common =
            [("scale-down.max-factor", "1"), ("scale-up.max-factor", "2147483647"), ("catch-up.duration", "0 s")];
        let texts: Vec<_> = common.into_iter().chain(texts.iter().copied()).collect();
        Self {
            options: options(generation, &texts),
            history: BTreeMap::new(),
            delayed: BTreeMap::new(),
            events: Vec::new(),
            ship: ShipStrategy::Hash,
        }
    }

    /// Scales with this parallelism, target rate and true processing rate; gives decision and expected rate.
    fn scale(&mut self, seconds: i64, parallelism: i32, target: f64, tpr: f64) -> (VertexDecision, f64) {
        let mut vertex = vertex(1, "v", parallelism, &[(9, self.ship)]);
        vertex.max_parallelism = 720;
        let mut metrics = EvaluatedMetrics::default();
        metrics.set(M::TargetDataRate, averaged(target));
        metrics.set(M::CatchUpDataRate, current(0.0));
        metrics.set(M::TrueProcessingRate, averaged(tpr));
        let (utilization, boundary) = (self.options.utilization_target, self.options.utilization_boundary);
        let threshold = |u: f64| current(required_capacity(&self.options, &metrics, u, None));
        let (up, down) = (threshold(utilization + boundary), threshold(utilization - boundary));
        metrics.set(M::ScaleUpRateThreshold, up);
        metrics.set(M::ScaleDownRateThreshold, down);
        let mut scaler = VertexScaler {
            options: &self.options,
            now: at(seconds),
            restart_seconds: 0.0,
            history: &self.history,
            delayed: &mut self.delayed,
            events: &mut self.events,
            explain: &mut Explain::off(),
        };
        let decision = scaler.scale(&vertex, &mut metrics).unwrap();
        (decision, metrics.current(M::ExpectedProcessingRate))
    }

    fn remember(&mut self, seconds: i64, from: i32, to: i32, tpr: f64, expected: f64) {
        let mut metrics = EvaluatedMetrics::default();
        metrics.set(M::TrueProcessingRate, averaged(tpr));
        metrics.set(M::ExpectedProcessingRate, current(expected));
        self.history.entry(id(1)).or_default().push(ScalingSummary { at: at(seconds), from, to, metrics });
    }
}

fn change(to: i32, outside_bounds: bool) -> VertexDecision {
    VertexDecision::Change { to, outside_bounds }
}

const LEGACY: (&str, &str) = ("scaling.key-group.partitions.adjust.mode", "EVENLY_SPREAD");
const AT_ONCE: (&str, &str) = ("scale-down.interval", "0 s");

/// Parallelism, target rate, capacity, target utilization, more options → new parallelism and whether it is outside its bounds.
type Row = (i32, f64, f64, &'static str, &'static [(&'static str, &'static str)], Option<(i32, bool)>);

#[test]
fn parallelism_of_the_contract() {
    let table: [Row; 15] = [
        (10, 50.0, 100.0, "1.0", &[], Some((5, true))),
        (10, 50.0, 100.0, "0.8", &[], Some((8, false))),
        (10, 80.0, 100.0, "0.8", &[], None),
        (10, 60.0, 100.0, "0.8", &[], Some((8, false))),
        (10, 59.0, 100.0, "0.8", &[], Some((8, false))),
        (2, 100.0, 40.0, "0.5", &[], Some((10, true))),
        (2, 100.0, 100.0, "0.6", &[], Some((4, true))),
        (10, 10.0, 100.0, "1.0", &[("scale-down.max-factor", "0.5")], Some((5, true))),
        (10, 10.0, 100.0, "1.0", &[("scale-down.max-factor", "0.6")], Some((4, true))),
        (10, 200.0, 10.0, "1.0", &[("scale-up.max-factor", "0.5")], Some((15, true))),
        (10, 200.0, 10.0, "1.0", &[("scale-up.max-factor", "0.6")], Some((16, true))),
        (10, 100.0, 500.0, "0.7", &[("vertex.min-parallelism", "5")], Some((5, true))),
        (4, 100.0, 500.0, "0.7", &[("vertex.min-parallelism", "5")], None),
        (10, 500.0, 100.0, "1.0", &[("vertex.max-parallelism", "10")], None),
        (12, 500.0, 100.0, "1.0", &[("vertex.max-parallelism", "10")], None),
    ];
    for (parallelism, target, tpr, utilization, texts, expected) in table {
        let texts: Vec<_> =
            texts.iter().copied().chain([("utilization.target", utilization), AT_ONCE, LEGACY]).collect();
        let mut scaled = Scaled::new(Generation::Main, &texts);
        let (decision, _) = scaled.scale(0, parallelism, target, tpr);
        let expected = expected.map_or(VertexDecision::Keep, |(to, outside)| change(to, outside));
        assert_eq!(decision, expected, "{parallelism} {target} {tpr} {utilization}");
    }
}

#[test]
fn expected_rates_differ_by_generation() {
    let full = |generation, texts: &[(&str, &str)], ship| {
        let texts: Vec<_> = texts.iter().copied().chain([AT_ONCE, LEGACY]).collect();
        Scaled { ship, ..Scaled::new(generation, &texts) }
    };
    let rebalance = ShipStrategy::Rebalance;
    let target = |u| [("target.utilization", u)];
    for (generation, fourfold) in [(Generation::Main, 200.0), (Generation::V1_8, 167.0)] {
        assert_eq!(full(generation, &target("1.0"), rebalance).scale(0, 5, 100.0, 50.0), (change(10, true), 100.0));
        assert_eq!(full(generation, &target("0.6"), rebalance).scale(0, 2, 100.0, 100.0), (change(4, true), fourfold));
    }
}

#[test]
fn ineffective_scale_ups_hold_back_the_next_one_only_where_detection_is_on() {
    let with = |detection| {
        let texts =
            [("utilization.target", "1.0"), AT_ONCE, LEGACY, ("scaling.effectiveness.detection.enabled", detection)];
        let mut scaled = Scaled::new(Generation::Main, &texts);
        scaled.ship = ShipStrategy::Rebalance;
        scaled.remember(-20, 5, 10, 50.0, 100.0);
        scaled
    };
    assert_eq!(with("true").scale(0, 10, 180.0, 90.0), (change(20, true), 180.0));
    let later = |detection| {
        let mut scaled = with(detection);
        scaled.remember(-10, 10, 20, 90.0, 180.0);
        scaled
    };
    for tpr in [94.0, 98.0] {
        let mut scaled = later("true");
        assert_eq!(
            scaled.scale(0, 20, 180.0, tpr).0,
            VertexDecision::Ineffective { wanted: (3600.0 / tpr).ceil() as i32 }
        );
        assert_eq!(scaled.events.len(), 1);
    }
    assert_eq!(later("true").scale(0, 10, 180.0, 90.0).0, change(20, true), "not the parallelism of that scale-up");
    assert_eq!(later("true").scale(0, 20, 180.0, 100.0).0, change(36, true), "effective");
    let mut tolerant = later("false");
    assert_eq!(tolerant.scale(0, 20, 180.0, 90.0).0, change(40, true));
    assert_eq!(tolerant.events[0].reason, "IneffectiveScaling");
    assert_eq!(later("true").scale(0, 20, 45.0, 90.0).0, change(10, true), "scale-down is not concerned");
}

#[test]
fn grace_period_after_a_scale_up() {
    let mut scaled =
        Scaled::new(Generation::V1_8, &[("target.utilization", "1.0"), ("scale-up.grace-period", "1 min")]);
    scaled.remember(0, 5, 10, 50.0, 100.0);
    let held = VertexDecision::GracePeriod { wanted: 5, until: at(60) };
    assert_eq!(scaled.scale(0, 10, 50.0, 100.0).0, held);
    assert_eq!(scaled.scale(61, 10, 50.0, 100.0).0, change(5, true));
}

#[test]
fn delayed_scale_downs_come_to_their_largest_wish() {
    let delayed = || {
        let mut scaled =
            Scaled::new(Generation::Main, &[("utilization.target", "1.0"), ("scale-down.interval", "1 min")]);
        scaled.ship = ShipStrategy::Rebalance;
        scaled
    };
    let waits = |wanted, until| VertexDecision::Delayed { wanted, until: at(until) };
    let mut scaled = delayed();
    for (t, target, wanted) in [(0, 800.0, 80), (10, 900.0, 90), (40, 720.0, 72), (59, 640.0, 64)] {
        assert_eq!(scaled.scale(t, 100, target, 1000.0).0, waits(wanted, 60));
    }
    assert_eq!(scaled.scale(60, 100, 700.0, 1000.0).0, change(90, false));

    for (target, expected) in [(1700.0, change(170, true)), (1000.0, VertexDecision::Keep)] {
        let mut scaled = delayed();
        scaled.scale(0, 100, 800.0, 1000.0);
        assert_eq!(scaled.scale(12, 100, target, 1000.0).0, expected);
        assert!(scaled.delayed.is_empty(), "a need for more drops the wish for less");
    }

    let mut scaled = delayed();
    scaled.scale(0, 100, 500.0, 1000.0);
    scaled.scale(30, 100, 600.0, 1000.0);
    assert_eq!(scaled.delayed[&id(1)].recommendations.len(), 1);
    assert_eq!(scaled.scale(65, 100, 600.0, 1000.0).0, change(60, true));
}

#[test]
fn requests_are_kept_strictly_decreasing() {
    let record = |list: &[(i64, i32)]| {
        let mut delayed = DelayedScaleDown { first_trigger: at(0), recommendations: Vec::new() };
        for (t, parallelism) in list {
            record_request(
                &mut delayed,
                DelayedRecommendation { at: at(*t), parallelism: *parallelism, outside_bounds: *parallelism != 9 },
            );
        }
        delayed
    };
    let list = [(0, 5), (1, 9), (2, 4), (3, 5), (4, 6)];
    for (start, parallelism) in [(0, 9), (1, 9), (2, 6), (3, 6), (4, 6)] {
        let best = largest_request(&mut record(&list), at(start)).unwrap();
        assert_eq!((best.parallelism, best.outside_bounds), (parallelism, parallelism != 9));
    }
    assert_eq!(largest_request(&mut record(&[(0, 5)]), at(1)), None);
}
