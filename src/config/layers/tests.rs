use std::time::Duration;

use super::*;
use crate::config::settings::SecretSource;
use crate::domain::job::Mode;

fn with_file(text: &str, layers: Layers, env: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let shown = path.display().to_string();
    load(&Layers { config: Some(path), ..layers }, env)
        .map_err(|errors| errors.iter().map(|e| e.to_string().replace(&shown, "config.toml")).collect())
}

fn errors_of(text: &str) -> Vec<String> {
    with_file(text, Layers::default(), &|_| None).unwrap_err()
}

#[test]
fn flags_beat_environment_beats_file_beats_built_in() {
    let file = "[loop]\nperiod = \"20s\"\nexpiry = \"1h\"\nsnooze = \"5m\"\n";
    let env = |name: &str| match name {
        "FLIGHTDECK_LOOP_PERIOD" => Some("30s".to_owned()),
        "FLIGHTDECK_LOOP_EXPIRY" => Some("2h".to_owned()),
        _ => None,
    };
    let layers = Layers { set: vec!["loop.period=40s".to_owned()], ..Layers::default() };
    let settings = with_file(file, layers, &env).unwrap();
    assert_eq!(settings.duration("loop.period"), Duration::from_secs(40));
    assert_eq!(settings.duration("loop.expiry"), Duration::from_secs(7200));
    assert_eq!(settings.duration("loop.snooze"), Duration::from_secs(300));
    assert_eq!(settings.duration("loop.reject-quiet"), Duration::from_secs(3600));
    let layer = |key: &str| settings.scalars().find(|(k, ..)| k == key).unwrap().2.layer();
    assert_eq!(layer("loop.period"), "flag");
    assert_eq!(layer("loop.expiry"), "environment");
    assert_eq!(layer("loop.snooze"), "file");
    assert_eq!(layer("loop.reject-quiet"), "built-in");
}

#[test]
fn a_flag_of_its_own_beats_set() {
    let layers = Layers {
        set: vec!["read-only=false".to_owned()],
        flags: vec![("read-only", "true".to_owned(), "--read-only")],
        ..Layers::default()
    };
    assert!(with_file("", layers, &|_| None).unwrap().switch("read-only"));
}

#[test]
fn typos_are_reported_with_position_and_nearest_name_all_at_once() {
    let errors = errors_of(
        "raed-only = true\n\n[loop]\nperoid = \"5s\"\nsnooze = \"soon\"\n[[flink]]\nurl = \"http://h:1\"\ninsecrue = true\n",
    );
    assert_eq!(
        errors,
        [
            "config.toml:1:1: unknown setting \"raed-only\"; did you mean \"read-only\"?",
            "config.toml:4:1: unknown setting \"loop.peroid\"; did you mean \"loop.period\"?",
            "config.toml:5:10: loop.snooze: \"soon\" is not a duration: write a whole number and ms, s, m, h or d, such as 30s or 5m",
            "config.toml:8:1: unknown key of [[flink]] \"insecrue\"; did you mean \"insecure\"?",
        ]
    );
}

#[test]
fn broken_toml_is_reported_with_its_position() {
    let errors = errors_of("[loop]\nperiod = \n");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("config.toml:2:"), "{errors:?}");
}

#[test]
fn bytes_that_are_not_utf8_are_reported_with_their_position() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
    let errors = load(&Layers { config: Some(path), ..Layers::default() }, &|_| None).unwrap_err();
    assert!(errors[0].to_string().contains(":2:6: not UTF-8"), "{errors:?}");
}

#[test]
fn a_named_file_must_exist_and_the_implied_one_need_not() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Layers { config: Some(dir.path().join("none.toml")), ..Layers::default() };
    assert!(load(&missing, &|_| None).unwrap_err()[0].to_string().contains("cannot read"));
    let home = dir.path().display().to_string();
    let settings = load(&Layers::default(), &|n| (n == "HOME").then(|| home.clone())).unwrap();
    assert_eq!(settings.file, None);
    assert_eq!(settings.mode(), Mode::Manual);
}

#[test]
fn options_may_be_nested_or_dotted_and_keep_their_position() {
    let file = "[autoscaler]\n\"metrics.window\" = \"5m\"\nrestart.time = \"3m\"\n\"job.autoscaler.target.utilization\" = 0.6\n";
    let settings = with_file(file, Layers::default(), &|_| None).unwrap();
    let values: Vec<_> = settings.autoscaler.iter().map(|(k, (v, _))| (k.as_str(), v.as_str())).collect();
    assert_eq!(values, [("metrics.window", "5m"), ("restart.time", "3m"), ("target.utilization", "0.6")]);
    assert!(settings.autoscaler["restart.time"].1.to_string().ends_with(":3:9"));
}

#[test]
fn secrets_come_from_environment_or_file_and_never_from_the_url() {
    let file = r#"
[[flink]]
name = "prod"
url = "https://flink.example/base/"
token-file = "token"
headers = { X-Scope = { env = "SCOPE" } }
[[flink]]
url = "https://me:secret@flink.example"
"#;
    let errors = errors_of(file);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("credentials do not belong into a URL"));
    assert!(!errors[0].contains("secret@"));
    let settings = with_file(file.split_once("[[flink]]\nurl").unwrap().0, Layers::default(), &|_| None).unwrap();
    let prod = &settings.flink[0];
    assert!(matches!(&prod.token, Some(SecretSource::File(path)) if path.ends_with("token") && path.is_absolute()));
    assert_eq!(prod.headers, [("X-Scope".to_owned(), SecretSource::Environment("SCOPE".to_owned()))]);
}

#[test]
fn a_flag_picks_a_section_by_name_or_url_or_stands_alone() {
    let file = "[[flink]]\nname = \"a\"\nurl = \"http://a:8081\"\ninsecure = true\n[[flink]]\nname = \"b\"\nurl = \"http://b:8081\"\n";
    let pick = |flags: &[&str]| {
        let flink = flags.iter().map(|s| (*s).to_owned()).collect();
        let settings = with_file(file, Layers { flink, ..Layers::default() }, &|_| None);
        settings.map(|s| s.flink.into_iter().map(|f| (f.name, f.insecure)).collect::<Vec<_>>())
    };
    assert_eq!(pick(&[]).unwrap(), [("a".to_owned(), true), ("b".to_owned(), false)]);
    assert_eq!(pick(&["http://a:8081/"]).unwrap(), [("a".to_owned(), true)]);
    assert_eq!(pick(&["b", "b", "http://c:1/x"]).unwrap(), [("b".to_owned(), false), ("c:1/x".to_owned(), false)]);
    assert!(pick(&["ftp://x"]).unwrap_err()[0].contains("not http or https"));
    assert!(pick(&["localhost:8081"]).is_err());
}

#[test]
fn job_sections_carry_options_and_arm_auto_explicitly() {
    let file = "[[job]]\nname = \"shop/orders\"\nmode = \"auto\"\noptions = { \"metrics.window\" = \"1m\" }\n[[job]]\nname = \"dev-*\"\nmode = \"off\"\n";
    let settings = with_file(file, Layers::default(), &|_| None).unwrap();
    let modes: Vec<_> = settings.jobs.iter().map(|j| (j.name.as_str(), j.mode)).collect();
    assert_eq!(modes, [("shop/orders", Some(Mode::Auto)), ("dev-*", Some(Mode::Off))]);
    assert_eq!(settings.jobs[0].options["metrics.window"].0, "1m");
    assert!(errors_of("[[job]]\nname = \"x\"\nmode = \"automatic\"\n")[0].contains("manual, auto, advise or off"));
    assert!(errors_of("[job]\nname = \"x\"\n")[0].contains("[[job]]"));
}

#[test]
fn set_takes_settings_and_options_and_refuses_other_forms() {
    let layers = |set: &[&str]| Layers { set: set.iter().map(|s| (*s).to_owned()).collect(), ..Layers::default() };
    let settings = load(&layers(&["metrics.window=60 s", "job.autoscaler.restart.time=10s"]), &|_| None).unwrap();
    assert_eq!(settings.autoscaler["metrics.window"].0, "60 s");
    assert_eq!(settings.autoscaler["restart.time"].0, "10s");
    assert!(load(&layers(&["loop.period"]), &|_| None).unwrap_err()[0].to_string().contains("KEY=VALUE"));
    assert!(load(&layers(&["loop.mode=auto"]), &|_| None).is_err());
}

#[test]
fn a_scenario_beats_the_file_and_loses_to_flags() {
    let values = [("loop.period", "5s"), ("job.autoscaler.metrics.window", "40s"), ("restart.time", "10s")];
    let scenario = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let layers = Layers {
        scenario: Some(("demo".to_owned(), scenario)),
        set: vec!["metrics.window=60s".to_owned()],
        ..Layers::default()
    };
    let file = "[loop]\nperiod = \"20s\"\n[autoscaler]\n\"restart.time\" = \"1m\"\n";
    let settings = with_file(file, layers, &|_| None).unwrap();
    assert_eq!(settings.duration("loop.period"), Duration::from_secs(5));
    assert_eq!(settings.autoscaler["metrics.window"].0, "60s");
    assert_eq!(settings.autoscaler["restart.time"], ("10s".to_owned(), Origin::Scenario("demo".to_owned())));
}
