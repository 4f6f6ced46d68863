//! The command line as a script sees it: the real binary, its output, its exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

/// The binary in a home of its own, where nothing of the user's is found.
fn flightdeck(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flightdeck"))
        .args(args)
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn without_any_source_it_says_what_it_looked_for_and_offers_the_demo() {
    let home = tempfile::tempdir().unwrap();
    for args in [&[][..], &["get", "jobs"]] {
        let output = flightdeck(home.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let message = stderr(&output);
        assert!(message.contains(".kube/config"), "{message}");
        assert!(message.contains("flightdeck demo"), "{message}");
        assert!(message.contains("--flink http://HOST:8081"), "{message}");
        assert!(stdout(&output).is_empty());
    }
}

#[test]
fn config_prints_every_value_with_its_layer() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/flightdeck");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "[loop]\nperiod = \"20s\"\n").unwrap();
    let output = flightdeck(home.path(), &["config", "--set", "metrics.window=5min", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let document: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let row = |key: &str| document["items"].as_array().unwrap().iter().find(|r| r["key"] == key).unwrap().clone();
    assert_eq!(row("loop.period")["value"], "20s");
    assert_eq!(row("loop.period")["layer"], "file");
    assert!(row("loop.period")["from"].as_str().unwrap().ends_with("config.toml:2:10"));
    assert_eq!(row("job.autoscaler.metrics.window")["layer"], "flag");
    assert_eq!(row("loop.expiry")["layer"], "built-in");
    let table = stdout(&flightdeck(home.path(), &["config"]));
    assert!(table.lines().next().unwrap().starts_with("KEY"), "{table}");
}

#[test]
fn config_prints_every_option_of_the_autoscaler_of_either_generation() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("c.toml");
    std::fs::write(&file, "[autoscaler]\n\"target.utilization\" = 0.6\n").unwrap();
    let contract = include_str!("data/autoscaler-options.txt");
    for (compat, column) in [("1.8", 2), ("main", 3)] {
        let compat = format!("loop.compat={compat}");
        let output =
            flightdeck(home.path(), &["config", "--config", file.to_str().unwrap(), "--set", &compat, "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let document: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        let items = document["items"].as_array().unwrap();
        for line in contract.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let key = format!("job.autoscaler.{}", columns[0]);
            let found = items.iter().find(|item| item["key"] == key.as_str());
            // Options of plug-ins have a name in their key; `-` is not in this generation, `->` points at the newer name.
            if columns[0].contains('<') || columns[column] == "-" {
                assert!(found.is_none(), "{key} with {compat}");
            } else if let Some(newer) = columns[column].strip_prefix("-> ") {
                assert!(found.is_none(), "{key} with {compat}");
                let newer = items.iter().find(|item| item["key"] == format!("job.autoscaler.{newer}")).unwrap();
                assert!(newer["deprecated_keys"].as_array().unwrap().contains(&key.as_str().into()), "{newer}");
            } else {
                let found = found.unwrap_or_else(|| panic!("{key} is missing with {compat}"));
                let defaults = [("1.8", columns[2]), ("main", columns[3])];
                for (generation, default) in defaults.iter().filter(|(_, d)| *d != "-" && !d.starts_with("->")) {
                    assert_eq!(found["defaults"][generation], *default, "{key}");
                }
                if !key.ends_with("utilization.target") && !key.ends_with("target.utilization") {
                    assert_eq!(
                        (&found["value"], &found["layer"]),
                        (&columns[column].into(), &"built-in".into()),
                        "{key}"
                    );
                }
            }
        }
        let key = if column == 2 { "job.autoscaler.target.utilization" } else { "job.autoscaler.utilization.target" };
        let target = items.iter().find(|item| item["key"] == key).unwrap();
        assert_eq!((&target["value"], &target["layer"]), (&"0.6".into(), &"file".into()));
        assert!(target["from"].as_str().unwrap().ends_with("c.toml:2:1"), "{target}");
        // Under its old name where there is a newer one.
        let set_as = if column == 2 { serde_json::Value::Null } else { "job.autoscaler.target.utilization".into() };
        assert_eq!(target["set_as"], set_as);
    }
    let table = stdout(&flightdeck(home.path(), &["config", "--config", file.to_str().unwrap()]));
    let line = table.lines().find(|line| line.starts_with("job.autoscaler.utilization.target ")).unwrap();
    assert!(line.contains("0.6") && line.ends_with("c.toml:2:1, as job.autoscaler.target.utilization"), "{line}");
}

#[test]
fn a_typo_ends_with_code_2_its_position_and_the_nearest_name() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("c.toml");
    std::fs::write(&file, "[loop]\nperoid = \"20s\"\n").unwrap();
    let output = flightdeck(home.path(), &["config", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("c.toml:2:1: unknown setting \"loop.peroid\"; did you mean \"loop.period\"?"));
    // Options of the autoscaler are checked by their owner, with the same courtesy.
    let output = flightdeck(home.path(), &["config", "--set", "metrics.windwo=5min"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("metrics.window"), "{}", stderr(&output));
    let output = flightdeck(home.path(), &["config", "--set", "metrics.window=soon"]);
    assert_eq!(output.status.code(), Some(2));
    let output = flightdeck(home.path(), &["config", "--no-such-flag"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_source_that_does_not_answer_is_named_and_ends_with_code_1() {
    let home = tempfile::tempdir().unwrap();
    // A port that was just free: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let output = flightdeck(home.path(), &["get", "jobs", "--flink", &url]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stderr(&output).contains(&format!("127.0.0.1:{port}")), "{}", stderr(&output));
}

#[test]
fn decisions_need_a_running_process_or_a_wait() {
    let home = tempfile::tempdir().unwrap();
    let output = flightdeck(home.path(), &["decisions", "show", "0badcafe"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--wait"), "{}", stderr(&output));
    let output = flightdeck(home.path(), &["decisions", "approve", "0badcafe", "--attach", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("pid 1"), "{}", stderr(&output));
}

#[test]
fn completions_and_the_manual_page_name_the_subcommands() {
    let home = tempfile::tempdir().unwrap();
    for args in [&["completions", "bash"][..], &["completions", "zsh"], &["man"]] {
        let output = flightdeck(home.path(), args);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("decisions"), "{args:?}");
    }
}

#[test]
fn eval_ends_quietly_when_its_reader_has_seen_enough() {
    use std::io::{BufRead, BufReader, Write};
    let line = r#"{"id":"main-window-000001","compat":"main","series":[{"at":"2024-03-14T00:00:00.000Z","value":0}]}"#;
    let mut child = Command::new(env!("CARGO_BIN_EXE_flightdeck"))
        .args(["eval", "-"])
        .env_clear()
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        // Far more than any pipe holds; writing fails once nobody reads any more.
        for _ in 0..20_000 {
            if writeln!(input, "{line}").is_err() {
                break;
            }
        }
    });
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut first).unwrap();
    assert!(first.starts_with(r#"{"id":"main-window-000001""#), "{first}");
    drop(output);
    let ended = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!((ended.status.code(), stderr(&ended).as_str()), (Some(0), ""));
}
