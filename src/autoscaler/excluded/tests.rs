use super::*;

fn at(text: &str) -> Local {
    DateTime::parse_from_rfc3339(&format!("{text}Z")).unwrap()
}

fn contains(expressions: &str, instant: &str) -> bool {
    let expressions: Vec<String> = expressions.split(';').map(|e| e.trim().to_owned()).collect();
    excluded(&expressions, at(instant).to_utc(), Zone::utc()).unwrap().is_some()
}

fn until(expressions: &[&str], instant: &str) -> Option<Timestamp> {
    let expressions: Vec<String> = expressions.iter().map(|e| (*e).to_owned()).collect();
    excluded(&expressions, at(instant).to_utc(), Zone::utc()).unwrap().unwrap().until
}

#[test]
fn valid_and_invalid_expressions_of_the_contract() {
    for text in ["09:13:17-11:15:18", "14:01:20-16:00:00", "* * * ? * 2,5 && 14:01:20-16:00:00", "9:00-10:00"] {
        assert!(text.parse::<Period>().is_ok(), "{text}");
    }
    let invalid = [
        "09:13:17-08:15:18",
        "09:13:17-25:15:18",
        "18:01:20-16:00:00",
        "09:00-10:00 && 11:00-12:00",
        "* * * ? * 2,5555",
        "* * * ? * 2 && * * * ? * 3",
        "* * * ? * 2 && 12:00-11:00",
        "09:00-09:00",
        "23:00-24:00",
        "9-10",
        "* * * * *",
        "09:00 - 10:00",
        "",
        "09:00-10:00 && * * * ? * 2 && * * * ? * 3",
        "* * * * * *",
        "* * * ? * ?",
        "60 * * * * ?",
    ];
    for text in invalid {
        assert!(text.parse::<Period>().is_err(), "{text}");
    }
}

#[test]
fn instants_of_the_contract() {
    // 2023-12-14 is a Thursday.
    let daily = "09:13:17-11:15:18; 14:01:20-16:00:00";
    assert!(contains(daily, "2023-12-14T14:01:30"));
    assert!(!contains(daily, "2023-12-14T14:01:10"));
    assert!(contains(daily, "2023-12-14T10:01:30"));
    assert!(contains("* * 14-16 * * ?", "2023-12-14T14:01:30"));
    assert!(!contains("* * 14-16 * * ?", "2023-12-14T13:59:50"));
    let both = "* * * ? * 2,5 && 14:01:20-16:00:00";
    assert!(contains(both, "2023-12-14T14:01:30"));
    assert!(!contains(both, "2023-12-13T14:01:30"));
    assert!(contains(both, "2023-12-11T14:01:30"));
    assert!(contains("09:00-10:00", "2023-12-14T10:00:00.000"));
    assert!(!contains("09:00-10:00", "2023-12-14T10:00:00.001"));
    assert!(contains("0 * * * * ?", "2023-12-14T10:00:00.999"));
}

#[test]
fn cron_fields_as_quartz_reads_them() {
    let table = [
        ("* 0/10 * * * ?", "2024-03-14T10:20:05", true),
        ("* 0/10 * * * ?", "2024-03-14T10:21:05", false),
        ("* 5/20,7 * * * ?", "2024-03-14T10:07:00", true),
        ("* * 22-2 * * ?", "2024-03-14T01:00:00", true),
        ("* * 22-2 * * ?", "2024-03-14T03:00:00", false),
        ("* * * 15 MAR ?", "2024-03-15T03:00:00", true),
        ("* * * 15 mar ?", "2024-04-15T03:00:00", false),
        ("* * * ? * FRI-MON", "2024-03-17T03:00:00", true),
        ("* * * ? * FRI-MON", "2024-03-13T03:00:00", false),
        ("* * * * * ? 2024", "2024-03-13T03:00:00", true),
        ("* * * * * ? 2025-2030", "2024-03-13T03:00:00", false),
        ("* * * L * ?", "2024-02-29T00:00:00", true),
        ("* * * L-1 * ?", "2024-02-28T00:00:00", true),
        ("* * * LW * ?", "2024-03-29T00:00:00", true),
        ("* * * 16W * ?", "2024-03-15T00:00:00", true),
        ("* * * 1W 6 ?", "2024-06-03T00:00:00", true),
        ("* * * ? * 6L", "2024-03-29T00:00:00", true),
        ("* * * ? * 6#3", "2024-03-15T00:00:00", true),
        ("* * * ? * 6#3", "2024-03-22T00:00:00", false),
        ("* * * ? * L", "2024-03-16T00:00:00", true),
        ("*/15 * * * * ?", "2024-03-16T00:00:45", true),
        ("/15 * * * * ?", "2024-03-16T00:00:44", false),
    ];
    for (text, instant, expected) in table {
        assert_eq!(text.parse::<Cron>().unwrap().matches(at(instant)), expected, "{text} at {instant}");
    }
}

#[test]
fn exclusion_ends_where_no_period_goes_on() {
    assert_eq!(until(&["09:00-10:00"], "2024-03-14T09:30:00"), Some(at("2024-03-14T10:00:00.001").to_utc()));
    let chained = ["09:00-10:00", "10:00-11:00", "* * 11 * * ?"];
    assert_eq!(until(&chained, "2024-03-14T09:30:00"), Some(at("2024-03-14T12:00:00").to_utc()));
    assert_eq!(until(&["* * * ? * MON-FRI"], "2024-03-14T09:30:00"), Some(at("2024-03-16T00:00:00").to_utc()));
    assert_eq!(until(&["* * * * * ? 2024"], "2024-03-14T09:30:00"), Some(at("2025-01-01T00:00:00").to_utc()));
    assert_eq!(until(&["* * * * * ?"], "2024-03-14T09:30:00"), None);
    assert_eq!(until(&["0 * * * * ?"], "2024-03-14T09:30:00.500"), Some(at("2024-03-14T09:30:01").to_utc()));
    let joined = ["* * * ? * THU && 09:00-10:00"];
    assert_eq!(until(&joined, "2024-03-14T09:30:00"), Some(at("2024-03-14T10:00:00.001").to_utc()));
}

/// Central Europe in 2024: summer time from 31 March to 27 October, both at 01:00 UTC.
fn central_europe(at: Timestamp) -> FixedOffset {
    let summer = "2024-03-31T01:00:00Z".parse::<Timestamp>().unwrap().."2024-10-27T01:00:00Z".parse().unwrap();
    FixedOffset::east_opt(if summer.contains(&at) { 7200 } else { 3600 }).unwrap()
}

#[test]
fn the_zone_knows_when_its_clocks_change_next() {
    let zone = |now: &str| Zone::around(now.parse().unwrap(), central_europe);
    let winter = zone("2024-01-10T12:34:56.789Z");
    assert_eq!(winter.offset.local_minus_utc(), 3600);
    assert_eq!(winter.change.unwrap().0, "2024-03-31T01:00:00Z".parse::<Timestamp>().unwrap());
    assert_eq!(winter.change.unwrap().1.local_minus_utc(), 7200);
    assert_eq!(zone("2024-03-31T00:59:59.999Z").change, winter.change);
    assert_eq!(zone("2024-03-31T01:00:00Z").change.unwrap().0, "2024-10-27T01:00:00Z".parse::<Timestamp>().unwrap());
    assert_eq!(zone("2025-01-01T00:00:00Z").change, None);
}

#[test]
fn periods_are_local_also_across_a_change_of_the_clocks() {
    let ask = |expression: &str, now: &str| {
        let now: Timestamp = now.parse().unwrap();
        let expressions = [expression.to_owned()];
        excluded(&expressions, now, Zone::around(now, central_europe)).unwrap().map(|e| e.until.unwrap())
    };
    let utc = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    // 09:30 in winter is 08:30 UTC, in summer 07:30 UTC.
    assert_eq!(ask("09:00-09:59", "2024-01-10T08:30:00Z"), utc("2024-01-10T08:59:00.001Z"));
    assert_eq!(ask("09:00-09:59", "2024-07-10T08:30:00Z"), None);
    assert_eq!(ask("09:00-09:59", "2024-07-10T07:30:00Z"), utc("2024-07-10T07:59:00.001Z"));
    // In the night in which an hour is left out, 01:30 to 06:00 lasts three and a half hours.
    assert_eq!(ask("01:30-05:59:59:999", "2024-03-31T00:40:00Z"), utc("2024-03-31T04:00:00Z"));
    // In the night in which an hour comes twice it lasts five and a half.
    assert_eq!(ask("01:30-05:59:59:999", "2024-10-26T23:40:00Z"), utc("2024-10-27T05:00:00Z"));
    // Weekends end at midnight of the wall, whichever offset it has by then.
    assert_eq!(ask("* * * ? * SAT,SUN", "2024-03-30T12:00:00Z"), utc("2024-03-31T22:00:00Z"));
    assert_eq!(ask("* * * ? * SAT,SUN", "2024-10-26T12:00:00Z"), utc("2024-10-27T23:00:00Z"));
    // 02:30 comes twice in autumn: excluded both times, and not in between.
    assert_eq!(ask("02:20-02:40", "2024-10-27T00:30:00Z"), utc("2024-10-27T00:40:00.001Z"));
    assert_eq!(ask("02:20-02:40", "2024-10-27T01:30:00Z"), utc("2024-10-27T01:40:00.001Z"));
}
