use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::generation::Generation;
use super::super::options::Layer;
use super::*;

const INF: i32 = i32::MAX;

fn options(generation: Generation, mode: Option<(&str, &str)>) -> Options {
    let texts: BTreeMap<String, String> =
        mode.iter().map(|(k, v)| (format!("job.autoscaler.scaling.{k}"), (*v).to_owned())).collect();
    Options::from_layers(generation, &[(Layer::Job, &texts)]).0
}

/// The columns of the golden table.
fn columns() -> [Options; 6] {
    let mode = |name| options(Generation::Main, Some(("parallelism-alignment.mode", name)));
    let legacy = |name| options(Generation::Main, Some(("key-group.partitions.adjust.mode", name)));
    [
        options(Generation::V1_8, None),
        options(Generation::Main, None),
        mode("EVENLY_SPREAD"),
        mode("OFF"),
        legacy("EVENLY_SPREAD"),
        legacy("MAXIMIZE_UTILISATION"),
    ]
}

fn shape(options: &Options, current: i32, kind: char, parts: i32, max: i32, lower: i32, upper: i32) -> Shape {
    let (max_parallelism, source_partitions) = match options.generation {
        Generation::V1_8 => (if parts > 0 { max.min(parts) } else { max }, 0),
        Generation::Main => (max, parts),
    };
    Shape {
        vertex: VertexId::from_u128(1),
        current,
        max_parallelism,
        source_partitions,
        is_source: kind == 'S',
        keyed: kind == 'H',
        lower: current.min(lower),
        upper: current.max(upper),
    }
}

#[test]
fn golden_table() {
    /// P, kind of input, partitions, max parallelism, factor, lower, upper; results by column.
    type Row = (i32, char, i32, i32, f64, i32, i32, [i32; 6]);
    #[rustfmt::skip]
    let rows: [Row; 30] = [
        (6, 'H', 0, 36, 0.8, 1, INF, [6, 6, 6, 5, 6, 6]),
        (16, 'H', 0, 128, 1.5, 1, INF, [32, 26, 32, 24, 32, 26]),
        (200, 'H', 0, 720, 1.3, 1, INF, [360, 360, 360, 260, 360, 360]),
        (200, 'H', 0, 720, 2147483647.0, 1, INF, [720, 720, 720, 720, 720, 720]),
        (10, 'H', 0, 128, 2.5, 1, INF, [32, 26, 32, 25, 32, 26]),
        (6, 'H', 0, 720, 0.8, 1, 700, [5, 5, 5, 5, 5, 5]),
        (8, 'H', 0, 720, 0.8, 8, 700, [8, 8, 8, 8, 8, 8]),
        (16, 'H', 0, 128, 1.5, 60, INF, [64, 64, 64, 60, 64, 64]),
        (200, 'H', 0, 720, 2.0, 1, 300, [300, 300, 300, 300, 240, 240]),
        (200, 'H', 0, 720, 2147483647.0, 1, 600, [600, 600, 600, 600, 360, 360]),
        (6, 'S', 15, 128, 0.4, 1, INF, [3, 3, 3, 3, 3, 3]),
        (7, 'S', 15, 128, 1.2, 1, INF, [9, 15, 15, 9, 15, 15]),
        (20, 'S', 35, 30, 0.9, 1, INF, [18, 18, 18, 18, 18, 18]),
        (22, 'S', 35, 30, 1.1, 20, INF, [25, 25, 25, 25, 22, 22]),
        (80, 'S', 200, 128, 1.4, 1, INF, [112, 112, 112, 112, 100, 100]),
        (24, 'S', 199, INF, 4.0, 1, INF, [96, 100, 199, 96, 199, 100]),
        (10, 'S', 15, 720, 2.0, 1, 200, [15, 20, 20, 20, 15, 15]),
        (10, 'S', 15, 720, 1.2, 1, 200, [12, 15, 15, 12, 15, 15]),
        (15, 'S', 15, 720, 0.5, 1, 200, [8, 15, 15, 8, 15, 15]),
        (12, 'S', 12, 720, 0.7, 1, 200, [9, 12, 12, 9, 12, 12]),
        (5, 'S', 12, 8, 1.3, 1, INF, [7, 7, 7, 7, 6, 6]),
        (16, 'S', 0, 128, 1.5, 1, INF, [32, 24, 24, 24, 24, 24]),
        (16, 'R', 0, 128, 1.5, 1, INF, [24, 24, 24, 24, 24, 24]),
        (20, 'H', 0, 128, 0.9, 1, INF, [32, 19, 18, 18, 16, 19]),
        (2, 'H', 0, 128, 1.5, 1, 200, [4, 4, 4, 3, 4, 4]),
        (100, 'H', 0, 128, 1.1, 1, 200, [111, 128, 128, 111, 128, 128]),
        (100, 'H', 0, 128, 0.7, 1, 200, [70, 70, 70, 70, 64, 64]),
        (60, 'H', 0, 128, 0.9, 1, 200, [64, 54, 54, 54, 43, 43]),
        (50, 'H', 0, 720, 1.01, 1, 200, [60, 52, 60, 51, 60, 52]),
        (3, 'H', 0, 7, 1.3, 1, 200, [4, 7, 7, 4, 7, 7]),
    ];
    for (at, (current, kind, parts, max, factor, lower, upper, expected)) in rows.into_iter().enumerate() {
        for (column, options) in columns().iter().enumerate() {
            let shape = Shape { lower, upper, ..shape(options, current, kind, parts, max, lower, upper) };
            let aligned = clamp_and_align(options, &shape, factor, &mut Explain::off()).unwrap();
            assert_eq!(aligned.parallelism, expected[column], "row {at}, column {column}");
        }
    }
}

#[test]
fn a_fallback_is_announced_with_its_numbers() {
    let legacy = options(Generation::Main, Some(("key-group.partitions.adjust.mode", "evenly_spread")));
    let shape = shape(&legacy, 10, 'S', 15, 720, 1, 200);
    let aligned = clamp_and_align(&legacy, &shape, 2.0, &mut Explain::off()).unwrap();
    let limited = Limited { expected: 20, actual: 15, key_groups_or_partitions: 15, upper: 200, lower: 1 };
    assert_eq!(aligned, Aligned { parallelism: 15, limited: Some(limited) });
}

#[test]
fn impossible_limits_are_an_error() {
    for options in columns() {
        let shape = Shape { lower: 500, upper: 499, ..shape(&options, 200, 'R', 0, 720, 1, INF) };
        assert!(clamp_and_align(&options, &shape, 1.0, &mut Explain::off()).is_err());
        let zero = Shape { lower: 0, keyed: true, ..shape };
        assert_eq!(
            clamp_and_align(&options, &zero, 0.0, &mut Explain::off()).is_err(),
            Mode::of(&options) != Mode::Off
        );
    }
}

#[test]
fn key_groups_beyond_any_bound_are_searched_at_once() {
    assert_eq!(next_divisor(i32::MAX, 1000), Some(i32::MAX));
    let search = Search { groups: i32::MAX, target: i32::MAX - 1, end: i32::MAX };
    assert_eq!((search.divisor_or_less_load(), search.down(1)), (Some(i32::MAX), i32::MAX / 2 + 1));
}

/// The searches exactly as the contract writes them.
mod literal {
    pub(super) fn up(groups: i32, target: i32, end: i32, less_load: bool) -> Option<i32> {
        (target..=end).find(|p| groups % p == 0 || (less_load && groups / p < groups / target))
    }

    pub(super) fn down(groups: i32, target: i32, lower: i32) -> i32 {
        let mut found = 0;
        for p in (1..=target).rev() {
            if groups / p > groups / target {
                found = if groups % p != 0 { p + 1 } else { p };
                break;
            }
        }
        found.max(lower)
    }
}

proptest! {
    #[test]
    fn searches_give_what_the_literal_loops_give(groups in 1..2000i32, target in 1..2500i32, end in 0..2500i32, lower in 0..50i32) {
        let search = Search { groups, target, end };
        prop_assert_eq!(search.divisor(), literal::up(groups, target, end, false));
        prop_assert_eq!(search.divisor_or_less_load(), literal::up(groups, target, end, true));
        prop_assert_eq!(search.down(lower), literal::down(groups, target, lower));
    }

    #[test]
    fn main_never_turns_the_direction_round(
        column in 1..6usize, current in 1..300i32, factor in 0.0..5.0f64, kind in prop::sample::select(vec!['H', 'S', 'R']),
        parts in 0..400i32, max in 1..800i32, lower in 1..50i32, upper in 50..400i32,
    ) {
        let options = &columns()[column];
        let shape = shape(options, current, kind, if kind == 'S' { parts } else { 0 }, max, lower, upper);
        let bound = shape.max_parallelism.min(shape.upper);
        let clamped = ((factor * f64::from(current)).ceil() as i32).max(shape.lower).min(bound);
        let result = clamp_and_align(options, &shape, factor, &mut Explain::off()).unwrap().parallelism;
        // What is computed up stays up or stays; what is computed down stays down or stays.
        prop_assert!((result - current).signum() * (clamped - current).signum() >= 0, "{} -> {} (clamped {})", current, result, clamped);
        // The lower limit may exceed the bound; then the bound wins, but the legacy fallback returns to the limit.
        prop_assert!(result <= bound.max(shape.lower) || result == current);
        prop_assert!(result >= shape.lower.min(bound));
    }
}
