use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn read(generation: Generation, pairs: &[(&str, &str)]) -> (Options, Vec<OptionProblem>) {
    Options::from_layers(generation, &[(Layer::Job, &map(pairs))])
}

#[test]
fn every_default_of_the_table_parses_and_every_row_is_at_its_place() {
    for (at, spec) in TABLE.iter().enumerate() {
        assert_eq!(spec.id as usize, at, "{:?}", spec.id);
        assert!(!spec.description.is_empty());
    }
    for generation in Generation::ALL {
        let defaults: BTreeMap<String, String> = TABLE
            .iter()
            .filter(|spec| spec.exists_in(generation) && !spec.default.is_empty())
            .map(|spec| (spec.key(generation).to_owned(), spec.default.to_owned()))
            .collect();
        let (options, problems) = Options::from_layers(generation, &[(Layer::File, &defaults)]);
        assert_eq!(problems, []);
        assert_eq!(Options { sources: BTreeMap::new(), ..options }, Options::built_in(generation));
    }
}

#[test]
fn built_in_values_are_those_of_the_contract() {
    let options = Options::built_in(Generation::Main);
    assert!(!options.enabled && options.scaling_enabled && options.scale_down_compensation_enabled);
    assert_eq!(options.metrics_window, Duration::from_secs(900));
    assert_eq!(options.scale_down_interval, Duration::from_secs(3600));
    assert_eq!((options.utilization_target, options.utilization_boundary), (0.7, 0.3));
    assert_eq!((options.utilization_max, options.quota_memory), (None, None));
    assert_eq!(f64::from(options.managed_fraction), 0.4000000059604645);
    assert_eq!(options.segment_size, MemorySize(32768));
    assert_eq!(options.network_max, MemorySize(i64::MAX as u64));
}

/// The rows of the contract's table: key, type, and the default of either generation.
fn contract() -> Vec<[&'static str; 4]> {
    let lines = include_str!("../../../tests/data/autoscaler-options.txt").lines().filter(|l| !l.starts_with('#'));
    lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap()).collect()
}

#[test]
fn every_option_of_the_contract_is_here_with_its_type_and_defaults_and_no_other() {
    let mut seen = BTreeSet::new();
    for [short, kind, default_1_8, default_main] in contract() {
        let key = format!("{AUTOSCALER_PREFIX}{short}");
        if short.contains('<') {
            // Of plug-ins: any name and parameter is known to have no effect.
            let key = key.replace("<name>", "mine").replace("<parameter>", "x");
            let (_, problems) = read(Generation::Main, &[(&key, "1")]);
            assert_eq!(problems.iter().map(|p| p.kind).collect::<Vec<_>>(), [ProblemKind::NoEffect], "{key}");
            continue;
        }
        for (generation, default) in [(Generation::V1_8, default_1_8), (Generation::Main, default_main)] {
            let found = TABLE.iter().find(|spec| spec.exists_in(generation) && spec.key(generation) == key);
            if let Some(of) = default.strip_prefix("-> ") {
                assert!(found.is_none(), "{key} in {generation}");
                let target = format!("{AUTOSCALER_PREFIX}{of}");
                let spec = TABLE.iter().find(|spec| spec.exists_in(generation) && spec.key(generation) == target);
                let names = spec.unwrap().names(generation);
                assert!(names.contains(&(key.clone().into(), true)), "{key} is an old name of {of}: {names:?}");
                continue;
            }
            if default == "-" {
                assert!(found.is_none(), "{key} in {generation}");
                continue;
            }
            let spec = found.unwrap_or_else(|| panic!("{key} is missing in {generation}"));
            seen.insert(spec.id);
            assert_eq!(spec.default, default, "default of {key} in {generation}");
            let documented = match kind {
                "bool" => "boolean",
                "double" => "number",
                "int" => "integer",
                "size" => "memory size",
                "MAX, AVG, MIN" => "MAX, AVG or MIN",
                "EVENLY_SPREAD, MAXIMIZE_UTILISATION" => "EVENLY_SPREAD or MAXIMIZE_UTILISATION",
                other => other,
            };
            assert_eq!(spec.kind, documented, "type of {key}");
            let fallback = format!("kubernetes.operator.{key}");
            let names = spec.names(generation);
            assert!(names.iter().any(|(name, old)| *name == fallback && !old), "{fallback} is read: {names:?}");
        }
    }
    let of_autoscaler = |spec: &&OptionSpec| {
        Generation::ALL.into_iter().any(|g| spec.exists_in(g) && spec.key(g).starts_with(AUTOSCALER_PREFIX))
    };
    let here: BTreeSet<OptionId> = TABLE.iter().filter(of_autoscaler).map(|spec| spec.id).collect();
    assert_eq!(here, seen);
}

#[test]
fn every_range_of_the_contract_is_checked_at_both_ends() {
    const LARGE: &str = "1e300";
    // Key, least, a little less, most, a little more, and the switch without which nothing is checked.
    type Row = (&'static str, [&'static str; 2], [&'static str; 2], Option<&'static str>);
    let both: [Row; 3] = [
        ("scale-down.max-factor", ["0", "-0.001"], [LARGE, "NaN"], None),
        ("scale-up.max-factor", ["0", "-0.001"], [LARGE, "NaN"], None),
        ("target.utilization.boundary", ["0", "-0.001"], [LARGE, "NaN"], None),
    ];
    let main: [Row; 8] = [
        ("utilization.target", ["0", "-0.001"], ["1", "1.001"], None),
        ("utilization.max", ["0.7", "0.699"], ["1", "1.001"], None),
        ("utilization.min", ["0", "-0.001"], ["0.7", "0.701"], None),
        ("memory.gc-pressure.threshold", ["0", "-0.001"], ["1", "1.001"], None),
        ("memory.heap-usage.threshold", ["0", "-0.001"], ["1", "1.001"], None),
        (
            "observed-scalability.coefficient-min",
            ["0.01", "0.009"],
            ["1", "1.001"],
            Some("observed-scalability.enabled"),
        ),
        (
            "scaling.effectiveness.threshold",
            ["0", "-0.001"],
            ["1", "1.001"],
            Some("scaling.effectiveness.detection.enabled"),
        ),
        ("memory.tuning.overhead", ["0", "-0.001"], ["1", "1.001"], Some("memory.tuning.enabled")),
    ];
    let old: [Row; 1] = [("target.utilization", ["0", "-0.001"], [LARGE, "NaN"], None)];
    let rows = both.iter().flat_map(|row| Generation::ALL.map(|generation| (generation, *row)));
    let rows = rows.chain(main.map(|row| (Generation::Main, row))).chain(old.map(|row| (Generation::V1_8, row)));
    for (generation, (key, [least, less], [most, more], switch)) in rows {
        let invalid = |value: &str, enabled: &str, on: bool| {
            let mut pairs = vec![("job.autoscaler.enabled".to_owned(), enabled.to_owned())];
            pairs.push((format!("{AUTOSCALER_PREFIX}{key}"), value.to_owned()));
            pairs.extend(switch.filter(|_| on).map(|name| (format!("{AUTOSCALER_PREFIX}{name}"), "true".to_owned())));
            let (_, problems) = Options::from_layers(generation, &[(Layer::Job, &pairs.into_iter().collect())]);
            problems.iter().any(|p| p.kind == ProblemKind::Invalid && p.key.ends_with(key) && !p.message.is_empty())
        };
        for good in [least, most] {
            assert!(!invalid(good, "true", true), "{key} = {good} in {generation}");
        }
        for bad in [less, more] {
            assert!(invalid(bad, "true", true), "{key} = {bad} in {generation}");
            assert!(!invalid(bad, "false", true), "{key} = {bad} is not looked at while the autoscaler is off");
            assert_eq!(invalid(bad, "true", false), switch.is_none(), "{key} = {bad} without its switch");
        }
    }
}

#[test]
fn utilization_target_is_looked_up_in_the_declared_order() {
    let keys = [
        ("job.autoscaler.utilization.target", "0.1"),
        ("kubernetes.operator.job.autoscaler.utilization.target", "0.2"),
        ("kubernetes.operator.job.autoscaler.target.utilization", "0.3"),
        ("job.autoscaler.target.utilization", "0.4"),
    ];
    for first in 0..keys.len() {
        let (options, _) = read(Generation::Main, &keys[first..]);
        assert_eq!(options.text(OptionId::UtilizationTarget), keys[first].1);
    }
    let (options, problems) = read(Generation::V1_8, &keys);
    assert_eq!(options.utilization_target, 0.4);
    assert!(problems.iter().all(|p| p.kind == ProblemKind::OtherGeneration), "{problems:?}");
}

#[test]
fn scale_down_interval_reads_the_old_grace_period() {
    let keys = [
        ("job.autoscaler.scale-down.interval", "1 s"),
        ("kubernetes.operator.job.autoscaler.scale-up.grace-period", "2 s"),
        ("kubernetes.operator.job.autoscaler.scale-down.interval", "3 s"),
        ("job.autoscaler.scale-up.grace-period", "4 s"),
    ];
    for (first, key) in keys.iter().enumerate() {
        let (options, problems) = read(Generation::Main, &keys[first..]);
        assert_eq!(options.text(OptionId::ScaleDownInterval), key.1);
        assert_eq!(problems.len(), usize::from(first == 3), "{problems:?}");
    }
    let (options, _) = read(Generation::V1_8, &keys[1..3]);
    assert_eq!(options.scale_up_grace_period, Duration::from_secs(2));
}

#[test]
fn a_later_layer_wins_and_every_value_knows_its_layer() {
    let file = map(&[("job.autoscaler.restart.time", "1 min"), ("job.autoscaler.metrics.window", "2 min")]);
    let job = map(&[("job.autoscaler.restart.time", "3 min")]);
    let (options, problems) = Options::from_layers(Generation::Main, &[(Layer::Job, &job), (Layer::File, &file)]);
    assert_eq!(problems, []);
    assert_eq!(options.restart_time, Duration::from_secs(180));
    assert_eq!(options.layer(OptionId::RestartTime), Layer::Job);
    assert_eq!(options.layer(OptionId::MetricsWindow), Layer::File);
    assert_eq!(options.layer(OptionId::CatchUpDuration), Layer::BuiltIn);
    let origin = Origin::Option { key: "restart.time".into(), layer: "job".into() };
    assert_eq!(options.origin(OptionId::RestartTime), origin);
}

#[test]
fn durations_read_as_flink_reads_them() {
    let parse = |text| Duration::parse(text, Generation::Main);
    let ms = |ms| Some(Duration::from_millis(ms));
    for (text, expected) in [
        ("300", ms(300)),
        ("5 min", ms(300_000)),
        ("5m", ms(300_000)),
        (" 1 h ", ms(3_600_000)),
        ("2 days", ms(172_800_000)),
        ("7 seconds", ms(7_000)),
        ("0", ms(0)),
        ("PT5M", None),
        ("-1 s", None),
        ("1.5 h", None),
        ("", None),
        ("5 parsecs", None),
        ("99999999999999999999 s", None),
        ("9999999999999999 d", None),
    ] {
        assert_eq!(parse(text), expected, "{text:?}");
    }
}

#[test]
fn numbers_and_booleans_read_as_java_reads_them() {
    let double = |text| f64::parse(text, Generation::Main);
    assert_eq!(double(" 1e3 "), Some(1000.0));
    assert_eq!(double("0.5f"), Some(0.5));
    assert_eq!(double("-Infinity"), Some(f64::NEG_INFINITY));
    assert_eq!([double("inf"), double("nan"), double("0,5"), double(""), double("--1")], [None; 5]);
    assert!(double("NaN").unwrap().is_nan());
    assert_eq!(i32::parse("3.0", Generation::Main), None);
    assert_eq!(i32::parse("2147483648", Generation::Main), None);
    assert_eq!(["True", "FALSE", "yes"].map(|t| bool::parse(t, Generation::Main)), [Some(true), Some(false), None]);
    assert_eq!(BusyTimeAggregator::parse("avg", Generation::Main), Some(BusyTimeAggregator::Avg));
    assert_eq!(BusyTimeAggregator::parse("MEDIAN", Generation::Main), None);
}

#[test]
fn memory_sizes_read_and_write_as_flink_does() {
    for (text, bytes) in [
        ("1728m", Some(1728 << 20)),
        ("2g", Some(2 << 30)),
        ("16kb", Some(16384)),
        ("1 TB", Some(1 << 40)),
        ("17", Some(17)),
        ("1.5 gb", None),
        ("-1", None),
        ("99999999999 gb", None),
        ("4 bananas", None),
    ] {
        assert_eq!(MemorySize::parse(text, Generation::Main), bytes.map(MemorySize), "{text:?}");
    }
    for (bytes, text) in [
        (0, "0 bytes"),
        (14_090_240, "13760 kb"),
        (125_829_120, "120 mb"),
        (32_212_254_720, "30 gb"),
        (20_108_162_027, "20108162027 bytes"),
        (1 << 40, "1099511627776 bytes"),
    ] {
        assert_eq!(MemorySize(bytes).to_string(), text);
    }
}

#[test]
fn lists_and_maps_read_as_flink_reads_them() {
    let list = |text, generation| Vec::<String>::parse(text, generation);
    let two = Some(vec!["a,b".to_owned(), "c".to_owned()]);
    assert_eq!(list("a,b ; c", Generation::V1_8), two);
    assert_eq!(list("'a,b';\"c\"", Generation::Main), two);
    assert_eq!(list("['a,b', c]", Generation::Main), two);
    assert_eq!(list("", Generation::Main), Some(Vec::new()));
    assert_eq!(list("'a", Generation::Main), None);
    let overrides = |text, generation| BTreeMap::<String, String>::parse(text, generation);
    let expected = Some(map(&[("a", "1"), ("b", "2")]));
    assert_eq!(overrides("a:1,b:2", Generation::V1_8), expected);
    assert_eq!(overrides("{a: '1', b: '2'}", Generation::Main), expected);
    assert_eq!(overrides("a:1:2", Generation::Main), None);
}

#[test]
fn an_unparsable_value_names_key_value_layer_and_the_expected_form() {
    let (options, problems) = read(Generation::Main, &[("job.autoscaler.metrics.window", "5 parsecs")]);
    assert_eq!(options.metrics_window, Duration::from_secs(900));
    assert_eq!(problems[0].kind, ProblemKind::Unparsable);
    let text = problems[0].to_string();
    assert!(text.starts_with("job.autoscaler.metrics.window = \"5 parsecs\" (job): expected a duration"), "{text}");
}

#[test]
fn an_unknown_key_names_the_nearest_valid_one() {
    let (_, problems) = read(
        Generation::Main,
        &[
            ("job.autoscaler.metrics.windwo", "5 min"),
            ("job.autoscaler.scaling.custom-executor.mine.class", "x.Y"),
            ("some.other.key", "1"),
        ],
    );
    let kinds: Vec<_> = problems.iter().map(|p| p.kind).collect();
    assert_eq!(kinds, [ProblemKind::Unknown, ProblemKind::NoEffect]);
    assert!(problems[0].message.ends_with("did you mean job.autoscaler.metrics.window?"), "{}", problems[0].message);
}

#[test]
fn ranges_are_checked_only_when_enabled_and_by_generation() {
    let wrong = [
        ("job.autoscaler.target.utilization", "1.2"),
        ("job.autoscaler.memory.gc-pressure.threshold", "2"),
        ("job.autoscaler.scale-up.max-factor", "-1"),
        ("job.autoscaler.enabled", "true"),
    ];
    assert_eq!(read(Generation::Main, &wrong[..3]).1.iter().filter(|p| p.kind.is_error()).count(), 0);
    let invalid = |generation| -> Vec<String> {
        let problems = read(generation, &wrong).1;
        problems.into_iter().filter(|p| p.kind == ProblemKind::Invalid).map(|p| p.key).collect()
    };
    assert_eq!(invalid(Generation::V1_8), ["job.autoscaler.scale-up.max-factor"]);
    assert_eq!(invalid(Generation::Main).len(), 3);
    let (_, problems) =
        read(Generation::Main, &[("job.autoscaler.enabled", "true"), ("job.autoscaler.utilization.min", "0.8")]);
    assert_eq!(problems[0].message, "must be from 0 to 0.7");
    let periods = ("job.autoscaler.excluded.periods", "09:00-10:00;25:00-26:00");
    let (_, problems) = read(Generation::Main, &[("job.autoscaler.enabled", "true"), periods]);
    let kinds: Vec<_> = problems.iter().map(|p| p.kind).collect();
    assert_eq!(kinds, [ProblemKind::Invalid]);
}

#[test]
fn only_well_written_ids_exclude_a_vertex() {
    let ids = "00000000000000000000000000000001;00000000000000000000000000000A02;x";
    let (options, _) = read(Generation::Main, &[("job.autoscaler.vertex.exclude.ids", ids)]);
    assert_eq!(options.excluded_vertices(), BTreeSet::from([VertexId::from_u128(1)]));
}

proptest! {
    #[test]
    fn any_text_in_any_option_is_read_without_a_panic(text in ".{0,40}") {
        for generation in Generation::ALL {
            let all: BTreeMap<String, String> =
                TABLE.iter().map(|spec| (spec.key(generation).to_owned(), text.clone())).collect();
            let _ = Options::from_layers(generation, &[(Layer::Job, &all)]);
        }
    }

    #[test]
    fn a_written_memory_size_reads_as_the_same_size(bytes in 0..=i64::MAX as u64) {
        prop_assert_eq!(MemorySize::parse(&MemorySize(bytes).to_string(), Generation::Main), Some(MemorySize(bytes)));
    }
}
