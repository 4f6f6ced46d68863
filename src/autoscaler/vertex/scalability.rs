//! Observed scalability: how much of a scale-up the history shows to arrive (`autoscaler.md` §5.7).

use super::{Options, Rounding, ScalingSummary, max, min, round_decimal};
use crate::domain::evaluation::ScalingMetric as M;

/// The scaling coefficient: least squares through the origin of rate over parallelism, relative to the rate of one subtask.
/// 1.0 while the history says nothing; `None` if it says something that is no number.
pub(super) fn coefficient(options: &Options, history: &[ScalingSummary]) -> Option<f64> {
    let least = usize::try_from(options.observed_scalability_min_observations).unwrap_or(0);
    if history.is_empty() || history.len() < least {
        return Some(1.0);
    }
    let rate = |summary: &ScalingSummary| summary.metrics.average(M::TrueProcessingRate);
    let baseline = baseline(history, rate);
    if baseline.is_nan() || history.iter().any(|summary| rate(summary).is_nan()) {
        return Some(1.0);
    }
    let (mut products, mut squares) = (0.0, 0.0);
    for summary in history {
        let parallelism = f64::from(summary.from);
        products += parallelism * rate(summary);
        squares += parallelism * parallelism;
    }
    if squares == 0.0 {
        return Some(1.0);
    }
    let observed = max(options.observed_scalability_coefficient_min, min(1.0, products / (squares * baseline)));
    observed.is_finite().then(|| round_decimal(observed, 2, Rounding::Ceiling))
}

/// The rate of one subtask: of the newest entry with parallelism 1, else of the newest one with the least parallelism.
fn baseline(history: &[ScalingSummary], rate: impl Fn(&ScalingSummary) -> f64) -> f64 {
    // `min_by_key` gives the first of equals: the newest, as the walk goes from the newest to the oldest.
    let smallest = history.iter().rev().min_by_key(|summary| summary.from);
    smallest.map_or(f64::NAN, |summary| rate(summary) / f64::from(summary.from))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::autoscaler::evaluate::averaged;
    use crate::autoscaler::generation::Generation;
    use crate::autoscaler::options::Layer;
    use crate::domain::Timestamp;
    use crate::domain::evaluation::EvaluatedMetrics;

    fn of(entries: &[(i32, f64)], least: &str) -> Option<f64> {
        let key = "job.autoscaler.observed-scalability.min-observations".to_owned();
        let texts = BTreeMap::from([(key, least.to_owned())]);
        let (options, _) = Options::from_layers(Generation::Main, &[(Layer::Job, &texts)]);
        let summary = |(from, tpr): &(i32, f64)| {
            let mut metrics = EvaluatedMetrics::default();
            metrics.set(M::TrueProcessingRate, averaged(*tpr));
            ScalingSummary { at: Timestamp::UNIX_EPOCH, from: *from, to: 1, metrics }
        };
        coefficient(&options, &entries.iter().map(summary).collect::<Vec<_>>())
    }

    #[test]
    fn coefficients_of_the_contract() {
        type Row = (&'static [(i32, f64)], &'static str, f64);
        let table: [Row; 8] = [
            (&[(4, 200.0), (2, 100.0), (8, 400.0)], "3", 1.0),
            (&[(4, 196.0), (2, 99.0), (8, 390.0)], "3", 0.99),
            (&[(4, 160.0), (2, 96.0), (8, 240.0)], "3", 0.69),
            (&[(1, 50.0), (2, 80.0), (4, 100.0)], "3", 0.59),
            (&[(2, 80.0), (4, 100.0)], "1", 0.7),
            (&[(2, 80.0), (4, 100.0)], "3", 1.0),
            (&[(4, 160.0), (2, 100.0), (8, 120.0)], "3", 0.5),
            (&[(4, 100.0), (4, 120.0), (2, 80.0)], "3", 0.73),
        ];
        for (entries, least, expected) in table {
            assert_eq!(of(entries, least), Some(expected), "{entries:?}");
        }
    }

    #[test]
    fn an_infinite_baseline_is_no_number_and_an_unknown_rate_says_nothing() {
        assert_eq!(of(&[(1, f64::INFINITY), (2, 5.0), (3, 5.0)], "3"), None);
        assert_eq!(of(&[(1, 5.0), (2, f64::NAN), (3, 5.0)], "3"), Some(1.0));
        assert_eq!(of(&[], "0"), Some(1.0));
    }
}
