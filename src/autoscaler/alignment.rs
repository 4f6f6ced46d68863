//! Clamping and aligning the parallelism of one vertex to key groups or partitions (`autoscaler.md` §5.2, §5.3).
//!
//! Owns the way from a scale factor to a parallelism. Searches are closed forms or at most the square root of the key
//! groups, whatever numbers a cluster reports.

use super::explain::Explain;
use super::generation::AlignmentRule;
use super::number::min;
use super::options::{KeyGroupAdjustMode, OptionId, Options};
use crate::domain::explanation::{Origin, Step, Value, Verdict};
use crate::domain::ids::VertexId;
use crate::domain::topology::{ShipStrategy, Vertex};
use crate::domain::units::Unit;

#[cfg(test)]
mod tests;

/// The facts of a vertex that its parallelism depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The vertex.
    pub vertex: VertexId,
    /// Parallelism now.
    pub current: i32,
    /// Key groups (generation 1.8: already limited by partitions).
    pub max_parallelism: i32,
    /// Partitions of its source, 0 if unknown.
    pub source_partitions: i32,
    /// It has no inputs.
    pub is_source: bool,
    /// Some input is distributed by key.
    pub keyed: bool,
    /// Lower limit of the parallelism (§5.1).
    pub lower: i32,
    /// Upper limit of the parallelism (§5.1).
    pub upper: i32,
}

impl Shape {
    /// The shape of a vertex with the limits of the options, which never force a vertex that violates them already (§5.1).
    pub fn of(vertex: &Vertex, options: &Options) -> Self {
        Self {
            vertex: vertex.id,
            current: vertex.parallelism,
            max_parallelism: vertex.max_parallelism,
            source_partitions: vertex.source_partitions,
            is_source: vertex.is_source(),
            keyed: vertex.inputs.iter().any(|input| input.ship_strategy == ShipStrategy::Hash),
            lower: vertex.parallelism.min(options.vertex_min_parallelism),
            upper: vertex.parallelism.max(options.vertex_max_parallelism),
        }
    }
}

/// Alignment could not give what was computed (§10.2, `ScalingLimited`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// What the scale factor asked for, clamped.
    pub expected: i32,
    /// What alignment gives.
    pub actual: i32,
    /// Key groups or partitions.
    pub key_groups_or_partitions: i32,
    /// Least of max parallelism and upper limit.
    pub upper: i32,
    /// Lower limit.
    pub lower: i32,
}

/// An aligned parallelism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aligned {
    /// The parallelism.
    pub parallelism: i32,
    /// What kept it from the computed one, where that is announced.
    pub limited: Option<Limited>,
}

/// Why there is no parallelism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AlignError {
    /// The limits exclude every value (§5.2).
    #[error("The lower limit {lower} of the parallelism of vertex {vertex} is above its upper limit {upper}")]
    LimitsCrossed {
        /// The vertex.
        vertex: VertexId,
        /// Lower limit.
        lower: i32,
        /// Upper limit.
        upper: i32,
    },
    /// Nothing can be divided among no subtasks; only a minimum parallelism below 1 leads here.
    #[error("The parallelism of vertex {0} cannot be aligned below 1: set vertex.min-parallelism to 1 or more")]
    NotPositive(VertexId),
}

/// How `main` aligns (§5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    EvenlySpread,
    Balanced,
    LegacyEvenlySpread,
    LegacyMaximizeUtilisation,
}

impl Mode {
    /// The mode that the options select: an unknown name is a plug-in of the operator that is not found, hence the default.
    fn of(options: &Options) -> Self {
        if options.is_set(OptionId::ParallelismAlignmentMode) {
            return match options.parallelism_alignment_mode.as_str() {
                "OFF" => Self::Off,
                "EVENLY_SPREAD" => Self::EvenlySpread,
                _ => Self::Balanced,
            };
        }
        if options.is_set(OptionId::KeyGroupPartitionsAdjustMode) {
            return match options.key_group_adjust_mode {
                KeyGroupAdjustMode::EvenlySpread => Self::LegacyEvenlySpread,
                KeyGroupAdjustMode::MaximizeUtilisation => Self::LegacyMaximizeUtilisation,
            };
        }
        Self::Balanced
    }

    fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::EvenlySpread => "EVENLY_SPREAD",
            Self::Balanced => "BALANCED",
            Self::LegacyEvenlySpread => "EVENLY_SPREAD (legacy)",
            Self::LegacyMaximizeUtilisation => "MAXIMIZE_UTILISATION (legacy)",
        }
    }
}

/// The parallelism that a scale factor gives: clamped (§5.2), then aligned (§5.3).
///
/// # Errors
/// If the lower limit is above the upper one, or the options allow a parallelism below 1 and alignment meets it.
pub fn clamp_and_align(
    options: &Options,
    shape: &Shape,
    factor: f64,
    explain: &mut Explain,
) -> Result<Aligned, AlignError> {
    let Shape { vertex, lower, upper, .. } = *shape;
    if lower > upper {
        return Err(AlignError::LimitsCrossed { vertex, lower, upper });
    }
    let raw = min((factor * f64::from(shape.current)).ceil(), f64::from(i32::MAX)) as i32;
    let bound = shape.max_parallelism.min(upper);
    let clamped = raw.max(lower).min(bound);
    explain.step(|| explain_clamp(options, shape, factor, raw, clamped));
    match options.generation.rules().alignment {
        AlignmentRule::NextDivisor => next_divisor_rule(shape, clamped, bound, explain),
        AlignmentRule::Modes => by_mode(Mode::of(options), options, shape, clamped, explain),
    }
}

fn explain_clamp(options: &Options, shape: &Shape, factor: f64, raw: i32, clamped: i32) -> Step {
    let subtasks = |n: i32| Value::number(f64::from(n), Unit::Subtasks);
    Step::new("Limits")
        .about(shape.vertex)
        .formula("min(max(lower, ceil(factor * PARALLELISM)), MAX_PARALLELISM, upper)")
        .input("factor", Value::number(factor, Unit::Ratio), Origin::Step)
        .input("PARALLELISM", subtasks(shape.current), Origin::Topology)
        .input("ceil(factor * PARALLELISM)", subtasks(raw), Origin::Step)
        .input("lower", subtasks(shape.lower), options.origin(OptionId::VertexMinParallelism))
        .input("upper", subtasks(shape.upper), options.origin(OptionId::VertexMaxParallelism))
        .input("MAX_PARALLELISM", subtasks(shape.max_parallelism), Origin::Topology)
        .value(subtasks(clamped))
        .verdict(if clamped == raw { Verdict::Passed } else { Verdict::Limited })
}

fn explain_alignment(shape: &Shape, mode: &'static str, groups: i32, from: i32, to: i32) -> Step {
    let subtasks = |n: i32| Value::number(f64::from(n), Unit::Subtasks);
    let groups_name = if shape.source_partitions > 0 { "partitions" } else { "key groups" };
    Step::new("Alignment")
        .about(shape.vertex)
        .formula("spread key groups or partitions evenly over the subtasks")
        .input(groups_name, Value::number(f64::from(groups), Unit::None), Origin::Topology)
        .input("mode", Value::text(mode), Origin::Step)
        .input("computed", subtasks(from), Origin::Step)
        .value(subtasks(to))
        .verdict(if from == to { Verdict::Passed } else { Verdict::Limited })
}

/// Generation 1.8: sources and keyed vertices go up to the next divisor of their max parallelism, at most half of it.
fn next_divisor_rule(shape: &Shape, target: i32, bound: i32, explain: &mut Explain) -> Result<Aligned, AlignError> {
    let mut parallelism = target;
    let end = (shape.max_parallelism / 2).min(bound);
    if (shape.is_source || shape.keyed) && target <= end {
        if target < 1 {
            return Err(AlignError::NotPositive(shape.vertex));
        }
        parallelism = next_divisor(shape.max_parallelism, target).filter(|p| *p <= end).unwrap_or(target);
        explain.step(|| explain_alignment(shape, "next divisor", shape.max_parallelism, target, parallelism));
    }
    Ok(Aligned { parallelism, limited: None })
}

/// Generation main: keyed vertices and sources with known partitions, by mode.
fn by_mode(
    mode: Mode,
    options: &Options,
    shape: &Shape,
    target: i32,
    explain: &mut Explain,
) -> Result<Aligned, AlignError> {
    let applies = shape.source_partitions > 0 || shape.keyed;
    if target == shape.current || !applies || mode == Mode::Off {
        return Ok(Aligned { parallelism: target, limited: None });
    }
    if target < 1 {
        return Err(AlignError::NotPositive(shape.vertex));
    }
    let groups = if shape.source_partitions > 0 { shape.source_partitions } else { shape.max_parallelism };
    let cap = groups.min(shape.max_parallelism).min(shape.upper);
    let end = if target > shape.current { cap } else { cap.min(shape.current) };
    let search = Search { groups, target, end };
    let aligned = match mode {
        Mode::Off => Aligned { parallelism: target, limited: None },
        Mode::EvenlySpread => Aligned { parallelism: search.divisor().unwrap_or(target), limited: None },
        Mode::Balanced => Aligned { parallelism: search.divisor_or_less_load().unwrap_or(target), limited: None },
        Mode::LegacyEvenlySpread => match search.divisor() {
            Some(parallelism) => Aligned { parallelism, limited: None },
            None => blocked(shape, groups, target, search.down(shape.lower)),
        },
        Mode::LegacyMaximizeUtilisation => match search.divisor_or_less_load() {
            Some(parallelism) => Aligned { parallelism, limited: None },
            None => blocked(shape, groups, target, search.down(shape.lower)),
        },
    };
    explain.step(|| {
        let option = match mode {
            Mode::LegacyEvenlySpread | Mode::LegacyMaximizeUtilisation => OptionId::KeyGroupPartitionsAdjustMode,
            Mode::Off | Mode::EvenlySpread | Mode::Balanced => OptionId::ParallelismAlignmentMode,
        };
        let mut step = explain_alignment(shape, mode.name(), groups, target, aligned.parallelism);
        if let Some(term) = step.inputs.iter_mut().find(|term| term.symbol == "mode") {
            term.origin = options.origin(option);
        }
        step
    });
    Ok(aligned)
}

/// The searches U and D of §5.3. `groups` is K, `target` is N; both are at least 1.
struct Search {
    groups: i32,
    target: i32,
    end: i32,
}

impl Search {
    /// U(false): the first divisor from the target upwards.
    fn divisor(&self) -> Option<i32> {
        next_divisor(self.groups, self.target).filter(|p| *p <= self.end)
    }

    /// U(true): the first value from the target upwards that divides, or with which the fullest subtask holds less.
    fn divisor_or_less_load(&self) -> Option<i32> {
        let load = self.groups / self.target;
        let less = if load > 0 { (self.groups / load).checked_add(1) } else { None };
        [self.divisor(), less.filter(|p| *p <= self.end)].into_iter().flatten().min()
    }

    /// D: the last value downwards before the fullest subtask would hold more.
    fn down(&self, lower: i32) -> i32 {
        let load = self.groups / self.target;
        let more = load.checked_add(1).map_or(0, |more| self.groups / more);
        let parallelism = if more > 0 && self.groups % more != 0 { more + 1 } else { more };
        parallelism.max(lower)
    }
}

/// B: a fallback that would turn the direction round changes nothing; any fallback is announced.
fn blocked(shape: &Shape, groups: i32, target: i32, candidate: i32) -> Aligned {
    let up = target > shape.current;
    let turned = if up { candidate <= shape.current } else { candidate >= shape.current };
    let parallelism = if turned { shape.current } else { candidate };
    let limited = (turned || candidate != target).then_some(Limited {
        expected: target,
        actual: parallelism,
        key_groups_or_partitions: groups,
        upper: shape.max_parallelism.min(shape.upper),
        lower: shape.lower,
    });
    Aligned { parallelism, limited }
}

/// The least divisor of `number` that is at least `from`; both are at least 1.
fn next_divisor(number: i32, from: i32) -> Option<i32> {
    let mut small = from;
    while small <= number / small {
        if number % small == 0 {
            return Some(small);
        }
        small += 1;
    }
    // Every further divisor is the partner of one below the square root.
    (1..=number / small).rev().find(|q| number % q == 0).map(|q| number / q)
}
