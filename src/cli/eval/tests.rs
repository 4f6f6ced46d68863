use super::*;

const SERIES: &str = r#"{"id":"main-window-000001","compat":"main","series":[{"at":"2024-03-14T00:00:00.000Z","value":0},{"at":"2024-03-14T00:00:10.000Z","value":50}],"expect":{"rate":999}}"#;

fn run_on(input: &str, output: EvalOutput, explain: bool) -> (bool, String, String) {
    let args = EvalArgs { files: vec!["-".into()], explain, output };
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let good = eval(&args, &mut input.as_bytes(), &mut out, &mut errors).unwrap();
    (good, String::from_utf8(out).unwrap(), String::from_utf8(errors).unwrap())
}

#[test]
fn a_good_line_is_answered_whatever_it_expects() {
    let (good, out, errors) = run_on(SERIES, EvalOutput::Json, false);
    assert!(good);
    assert_eq!(out, "{\"id\":\"main-window-000001\",\"expect\":{\"rate\":5.0,\"average\":25.0}}\n");
    assert_eq!(errors, "");
}

#[test]
fn a_bad_line_is_named_and_the_others_are_answered() {
    let window = r#"{"id":"x","compat":"main","series":[{"at":"2024-03-14T00:00:00.000Z","value":true}]}"#;
    let decide = r#"{"id":"x","compat":"main","now":"today"}"#;
    let compat = r#"{"id":"x","compat":"1.9"}"#;
    let input = [SERIES, "{\"id\":", window, "", decide, compat, SERIES].join("\n");
    let (good, out, errors) = run_on(&input, EvalOutput::Json, false);
    assert!(!good);
    assert_eq!(out.lines().count(), 2);
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 4, "{errors}");
    assert!(lines[0].starts_with("standard input:2: $.id: column 6: "), "{}", lines[0]);
    assert!(lines[1].starts_with("standard input:3: $.series[0].value: expected a number"), "{}", lines[1]);
    assert!(lines[2].starts_with("standard input:5: $.now: expected an instant"), "{}", lines[2]);
    assert!(lines[3].starts_with("standard input:6: $.compat: "), "{}", lines[3]);
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_no_end() {
    let args =
        EvalArgs { files: vec!["/no/such/file.jsonl".into(), "-".into()], explain: false, output: EvalOutput::Json };
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    assert!(!eval(&args, &mut SERIES.as_bytes(), &mut out, &mut errors).unwrap());
    assert!(!out.is_empty());
    assert!(String::from_utf8(errors).unwrap().starts_with("/no/such/file.jsonl: "));
}

#[test]
fn an_option_that_cannot_be_read_fails_the_case() {
    let case = SERIES.replace("\"series\"", r#""options":{"job.autoscaler.metrics.window":"soon"},"series""#);
    let (good, out, _) = run_on(&case, EvalOutput::Json, false);
    assert!(good);
    assert!(out.contains(r#""error":"job.autoscaler.metrics.window = \"soon\" (job): expected a duration"#), "{out}");
}

#[test]
fn the_report_shows_no_control_characters_of_the_case() {
    let case = SERIES.replace("main-window-000001", "a\\u001b[31mb");
    let (_, out, _) = run_on(&case, EvalOutput::Table, false);
    assert!(out.starts_with("a [31mb (rules of main)\n"), "{out:?}");
}

#[test]
fn a_line_that_is_no_json_names_the_place_where_it_breaks() {
    for (line, place) in [
        ("nonsense", "$: column 2: "),
        (r#"{"id":"x","window":[{"at":1},{"at":tru}]}"#, "$.window[1].at: column 39: "),
        (r#"[1,[2,}]]"#, "$[1][1]: column 7: "),
        (r#"{"id":"x"} more"#, "$: column 12: "),
    ] {
        let (good, out, errors) = run_on(line, EvalOutput::Json, false);
        assert!(!good && out.is_empty());
        assert!(errors.starts_with(&format!("standard input:1: {place}")), "{line}: {errors}");
    }
}

#[test]
fn a_line_of_any_depth_is_an_error_and_no_overflow() {
    let deep = |open: &str| open.repeat(200_000);
    let input =
        [deep("["), deep(r#"{"a":"#), format!(r#"{{"id":"x","compat":"main","series":{}"#, deep("[")), SERIES.into()];
    let (good, out, errors) = run_on(&input.join("\n"), EvalOutput::Json, false);
    assert!(!good);
    assert_eq!((out.lines().count(), errors.lines().count()), (1, 3));
    assert!(errors.lines().all(|line| line.len() < 2_000 && line.contains("recursion limit")), "{errors}");
}

#[test]
fn a_line_longer_than_any_case_is_passed_over() {
    let long = std::io::Read::take(std::io::repeat(b' '), LONGEST_LINE + 10);
    let rest = format!("{{\n{SERIES}\n");
    let mut input = std::io::BufReader::new(std::io::Read::chain(long, rest.as_bytes()));
    let args = EvalArgs { files: vec!["-".into()], explain: false, output: EvalOutput::Json };
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    assert!(!eval(&args, &mut input, &mut out, &mut errors).unwrap());
    assert!(String::from_utf8(out).unwrap().starts_with(r#"{"id":"main-window-000001""#));
    let errors = String::from_utf8(errors).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.starts_with("standard input:1: $: the line is longer than"), "{errors}");
}

/// A reader of answers that has seen enough.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_ends_it_with_its_own_kind_of_error() {
    for output in [EvalOutput::Json, EvalOutput::Table] {
        let args = EvalArgs { files: vec!["-".into()], explain: false, output };
        let error = eval(&args, &mut SERIES.as_bytes(), &mut Closed, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
