//! The vertex scaler: the new parallelism of one vertex, and what holds a change back (`autoscaler.md` §5).
//!
//! Owns scale factor, observed scalability, effectiveness of the last scale-up, grace period and delayed scale-down. It looks
//! at one vertex at a time; what the vertices together come to is the executor's business.

use std::collections::BTreeMap;

use super::alignment::{AlignError, Shape, clamp_and_align};
use super::evaluate::{current, outside_bounds, required_capacity};
use super::events;
use super::explain::Explain;
use super::generation::{ExpectedRateRule, ScaleDownRule};
use super::number::{Rounding, max, min, round_decimal};
use super::options::{OptionId, Options};
use super::pass::PassEvent;
use super::time::{after, before};
use crate::domain::Timestamp;
use crate::domain::evaluation::{EvaluatedMetrics, ScalingMetric as M};
use crate::domain::explanation::{Origin, Step, Value, Verdict};
use crate::domain::ids::VertexId;
use crate::domain::scaling::{DelayedRecommendation, DelayedScaleDown, ScalingSummary};
use crate::domain::topology::Vertex;
use crate::domain::units::Unit;

mod scalability;
mod steps;
#[cfg(test)]
mod tests;

/// What the scaler says of one vertex.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum VertexDecision {
    /// Its true processing rate or required capacity is unknown (§5.1).
    RateUnknown,
    /// The computed parallelism is the one it has.
    Keep,
    /// Scale-down to `wanted` is held back until the grace period after the last scale-up is over (§5.5).
    GracePeriod {
        /// The parallelism that was computed.
        wanted: i32,
        /// End of the grace period.
        until: Timestamp,
    },
    /// Scale-up to `wanted` is held back: the last one brought too little (§5.6).
    Ineffective {
        /// The parallelism that was computed.
        wanted: i32,
    },
    /// Scale-down to `wanted` is held back until the scale-down interval is over (§5.7).
    Delayed {
        /// The parallelism that was computed.
        wanted: i32,
        /// End of the interval.
        until: Timestamp,
    },
    /// The parallelism should change.
    Change {
        /// The new one.
        to: i32,
        /// The vertex was outside its bounds when this was recommended (§6.2).
        outside_bounds: bool,
    },
}

/// Why a vertex could not be judged; the whole pass fails, as the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VertexError {
    /// No parallelism fits.
    #[error(transparent)]
    Align(#[from] AlignError),
    /// The history holds an infinite rate, so that its scaling coefficient is no number (§5.7).
    #[error(
        "The observed scalability of vertex {0} is no number: its scaling history holds an infinite processing rate; \
         turn observed-scalability.enabled off or wait until the entry leaves the history"
    )]
    Scalability(VertexId),
}

/// What the scaler looks at and writes to.
pub struct VertexScaler<'a> {
    /// The options.
    pub options: &'a Options,
    /// Instant of the pass.
    pub now: Timestamp,
    /// Restart time that the formulas reckon with, seconds.
    pub restart_seconds: f64,
    /// Scaling history per vertex.
    pub history: &'a BTreeMap<VertexId, Vec<ScalingSummary>>,
    /// Delayed scale-downs per vertex.
    pub delayed: &'a mut BTreeMap<VertexId, DelayedScaleDown>,
    /// Events of the pass.
    pub events: &'a mut Vec<PassEvent>,
    /// The explanation.
    pub explain: &'a mut Explain,
}

impl VertexScaler<'_> {
    /// Computes the new parallelism of a vertex (§5). Sets its EXPECTED_PROCESSING_RATE where a change was computed.
    ///
    /// # Errors
    /// If limits cross or the observed scalability is no number.
    pub fn scale(&mut self, vertex: &Vertex, metrics: &mut EvaluatedMetrics) -> Result<VertexDecision, VertexError> {
        let mark = self.explain.mark();
        let decision = self.decide(vertex, metrics)?;
        self.explain.fold(mark, || steps::decision(vertex, &decision));
        Ok(decision)
    }

    fn decide(&mut self, vertex: &Vertex, metrics: &mut EvaluatedMetrics) -> Result<VertexDecision, VertexError> {
        let tpr = metrics.average(M::TrueProcessingRate);
        let utilization = self.options.utilization_target;
        let capacity = required_capacity(self.options, metrics, utilization, Some(self.restart_seconds));
        let metrics_now = &*metrics;
        self.explain.step(|| steps::capacity(self.options, metrics_now, self.restart_seconds, capacity, vertex.id));
        if tpr.is_nan() || capacity.is_nan() {
            return Ok(VertexDecision::RateUnknown);
        }
        let history = self.history.get(&vertex.id).map_or(&[][..], Vec::as_slice);
        let factor = self.scale_factor(vertex.id, capacity, tpr, history)?;
        let shape = Shape::of(vertex, self.options);
        let aligned = clamp_and_align(self.options, &shape, factor, self.explain)?;
        if let Some(limited) = &aligned.limited {
            self.events.push(events::scaling_limited(self.options, vertex.id, limited));
        }
        let wanted = aligned.parallelism;
        let rules = self.options.generation.rules();
        let expected = match rules.expected_rate {
            ExpectedRateRule::CappedFactor => tpr * factor,
            ExpectedRateRule::PerSubtask => (tpr / f64::from(vertex.parallelism)) * f64::from(wanted),
        };
        Ok(match rules.scale_down {
            ScaleDownRule::GracePeriod => self.with_grace_period(vertex, metrics, history, wanted, expected),
            ScaleDownRule::Delayed => self.with_delay(vertex, metrics, history, wanted, expected),
        })
    }

    /// How much more of the vertex is needed, within the largest steps allowed (§5.1).
    fn scale_factor(
        &mut self,
        vertex: VertexId,
        capacity: f64,
        tpr: f64,
        history: &[ScalingSummary],
    ) -> Result<f64, VertexError> {
        let options = self.options;
        let mut wanted = capacity / tpr;
        let mut coefficient = None;
        if options.observed_scalability_enabled {
            let observed = scalability::coefficient(options, history).ok_or(VertexError::Scalability(vertex))?;
            wanted /= observed;
            coefficient = Some(observed);
        }
        let least = 1.0 - options.scale_down_max_factor;
        let most = 1.0 + options.scale_up_max_factor;
        // NaN passes both tests.
        let factor = if wanted < least {
            least
        } else if wanted > most {
            most
        } else {
            wanted
        };
        self.explain.step(|| steps::factor(options, vertex, capacity, tpr, coefficient, (wanted, least, most, factor)));
        Ok(factor)
    }

    /// Generation 1.8: nothing soon after a scale-up, and no further scale-up after one that brought nothing (§5.5).
    fn with_grace_period(
        &mut self,
        vertex: &Vertex,
        metrics: &mut EvaluatedMetrics,
        history: &[ScalingSummary],
        wanted: i32,
        expected: f64,
    ) -> VertexDecision {
        if wanted == vertex.parallelism {
            return VertexDecision::Keep;
        }
        if let Some(last) = last_scale_up(vertex, history) {
            let until = after(last.at, self.options.scale_up_grace_period);
            if wanted > vertex.parallelism && self.ineffective(vertex.id, metrics, last) {
                return VertexDecision::Ineffective { wanted };
            }
            if wanted < vertex.parallelism && until > self.now {
                self.explain.step(|| steps::grace_period(self.options, vertex.id, last.at, until));
                return VertexDecision::GracePeriod { wanted, until };
            }
        }
        let outside_bounds = outside_bounds(metrics);
        metrics.set(M::ExpectedProcessingRate, current(expected));
        VertexDecision::Change { to: wanted, outside_bounds }
    }

    /// Generation main: scale-ups at once unless ineffective, scale-downs after the interval (§5.7).
    fn with_delay(
        &mut self,
        vertex: &Vertex,
        metrics: &mut EvaluatedMetrics,
        history: &[ScalingSummary],
        wanted: i32,
        expected: f64,
    ) -> VertexDecision {
        if wanted == vertex.parallelism {
            self.delayed.remove(&vertex.id);
            return VertexDecision::Keep;
        }
        let outside_bounds = outside_bounds(metrics);
        metrics.set(M::ExpectedProcessingRate, current(expected));
        if wanted > vertex.parallelism {
            self.delayed.remove(&vertex.id);
            return match last_scale_up(vertex, history) {
                Some(last) if self.ineffective(vertex.id, metrics, last) => VertexDecision::Ineffective { wanted },
                Some(_) | None => VertexDecision::Change { to: wanted, outside_bounds },
            };
        }
        self.scale_down_later(vertex, wanted, outside_bounds)
    }

    /// Records the wish to scale down, and gives the largest one of the interval once that is over (§5.7, §5.8).
    fn scale_down_later(&mut self, vertex: &Vertex, wanted: i32, outside_bounds: bool) -> VertexDecision {
        let interval = self.options.scale_down_interval;
        if interval.as_millis() == 0 {
            return VertexDecision::Change { to: wanted, outside_bounds };
        }
        let request = DelayedRecommendation { at: self.now, parallelism: wanted, outside_bounds };
        let delayed = self
            .delayed
            .entry(vertex.id)
            .or_insert_with(|| DelayedScaleDown { first_trigger: self.now, recommendations: Vec::new() });
        record_request(delayed, request);
        let window_start = before(self.now, interval);
        let first = delayed.first_trigger;
        if window_start < first {
            let until = after(first, interval);
            self.explain.step(|| steps::delay(self.options, vertex.id, first, until));
            return VertexDecision::Delayed { wanted, until };
        }
        let best = largest_request(delayed, window_start).unwrap_or(request);
        self.explain.step(|| steps::largest_request(self.options, vertex.id, first, &best));
        match best.parallelism == vertex.parallelism {
            true => VertexDecision::Keep,
            false => VertexDecision::Change { to: best.parallelism, outside_bounds: best.outside_bounds },
        }
    }

    /// The last scale-up brought too little and that holds the next one back (§5.6). Tells it in an event in any case.
    fn ineffective(&mut self, vertex: VertexId, metrics: &EvaluatedMetrics, last: &ScalingSummary) -> bool {
        let options = self.options;
        let before = last.metrics.average(M::TrueProcessingRate);
        let expected = last.metrics.current(M::ExpectedProcessingRate) - before;
        let actual = metrics.average(M::TrueProcessingRate) - before;
        // An unknown or impossible ratio counts as ineffective: the comparison is false.
        let effective = actual / expected >= options.effectiveness_threshold;
        self.explain.step(|| steps::effectiveness(options, vertex, last.at, expected, actual, effective));
        if effective {
            return false;
        }
        self.events.push(events::ineffective_scaling(options, vertex, expected, actual));
        options.effectiveness_detection_enabled
    }
}

/// The newest scaling of the vertex, if that was a scale-up to the parallelism it has now.
fn last_scale_up<'a>(vertex: &Vertex, history: &'a [ScalingSummary]) -> Option<&'a ScalingSummary> {
    history.last().filter(|last| vertex.parallelism == last.to && last.to > last.from)
}

/// Appends a request; earlier ones that are not larger are covered by it (§5.8).
fn record_request(delayed: &mut DelayedScaleDown, request: DelayedRecommendation) {
    while delayed.recommendations.last().is_some_and(|last| last.parallelism <= request.parallelism) {
        delayed.recommendations.pop();
    }
    delayed.recommendations.push(request);
}

/// Forgets requests from before the interval and gives the largest of the others (§5.8).
fn largest_request(delayed: &mut DelayedScaleDown, window_start: Timestamp) -> Option<DelayedRecommendation> {
    let old = delayed.recommendations.iter().take_while(|request| request.at < window_start).count();
    delayed.recommendations.drain(..old);
    delayed.recommendations.first().copied()
}
