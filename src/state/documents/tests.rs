use std::io::Write;

use proptest::prelude::*;

use super::*;

const V: &str = "bc764cd8ddf7a0cff126f51c16239658";

fn at(text: &str) -> Timestamp {
    instant(text).unwrap()
}

#[test]
fn what_java_packed_is_read() {
    // As the Java encoder emits it (`autoscaler.md` §9.3).
    let packed = "H4sIAAAAAAAA/9PV1eUqTk7MycxLD0pNzi9KKbbiUlBQMjIwMtE1MNY1NAkxNLUysLQyNtQzNDI2MTWLUgIpUFAoSi0uSSwqcSktSizJzM+zUjAz0DOAAS4AEMKYAlcAAAA=";
    let records = scaling_tracking(packed).unwrap();
    let expected = RestartRecord { at: at("2024-03-14T15:09:31.123456Z"), duration: Some(TimeDelta::seconds(60)) };
    assert_eq!(records, [expected]);
}

#[test]
fn plain_yaml_is_taken_as_the_operator_does() {
    let text = "---\nscalingRecords:\n  \"2024-03-14T15:10:31Z\": {}\n  \"2024-03-14T15:09:31.123456Z\":\n    restartDuration: 60.000000000\n";
    let records = scaling_tracking(text).unwrap();
    assert_eq!(records.iter().map(|r| r.duration).collect::<Vec<_>>(), [Some(TimeDelta::seconds(60)), None]);
}

#[test]
fn history_and_metrics_are_read_with_their_words_for_no_number() {
    let history = format!(
        "---\n{V}:\n  \"2024-03-14T15:09:31.123456Z\":\n    currentParallelism: 2\n    newParallelism: 4\n    metrics:\n      TRUE_PROCESSING_RATE:\n        current: NaN\n        average: 100.5\n      SCALE_DOWN_RATE_THRESHOLD:\n        current: Infinity\n        average: NaN\n      BRAND_NEW:\n        current: 1.0\n"
    );
    let found = scaling_history(&history).unwrap();
    let summary = &found[&V.parse::<VertexId>().unwrap()][0];
    assert_eq!((summary.from, summary.to), (2, 4));
    assert_eq!(summary.metrics.average(ScalingMetric::TrueProcessingRate), 100.5);
    assert!(summary.metrics.current(ScalingMetric::ScaleDownRateThreshold).is_infinite());
    assert_eq!(summary.metrics.iter().count(), 2);

    let metrics = format!(
        "---\n\"2024-03-14T15:09:31.123456Z\":\n  vertexMetrics:\n    {V}:\n      LOAD: 0.857\n      NUM_RECORDS_IN: 1.23456789E8\n      OBSERVED_TPR: Infinity\n      ACCUMULATED_BUSY_TIME: NaN\n    \"20ba6b65f97481d5570070de90e4e791\":\n      LOAD: 0.001\n  globalMetrics:\n    HEAP_MEMORY_USED: 1.073741824E9\n    NUM_TASK_SLOTS_USED: 4.0\n"
    );
    let window = collected_metrics(&metrics).unwrap();
    let sample = &window.samples()[0];
    let vertex = sample.vertex(V.parse().unwrap()).unwrap();
    assert_eq!((vertex.load, vertex.records_in), (0.857, 123_456_789.0));
    assert!(vertex.observed_tpr.is_infinite() && vertex.accumulated_busy_time.is_nan());
    assert_eq!((sample.vertices.len(), sample.global.heap_used, sample.global.slots_used), (2, 1_073_741_824.0, 4.0));
}

#[test]
fn a_delayed_scale_down_is_read_in_both_forms() {
    let newer = format!(
        "---\ndelayedVertices:\n  {V}:\n    firstTriggerTime: 1710428971.123456000\n    recommendedParallelisms:\n    - triggerTime: 1710428971.123456000\n      parallelism: 8\n      outsideUtilizationBound: true\n"
    );
    let found = &delayed_scale_down(&newer).unwrap()[&V.parse::<VertexId>().unwrap()];
    assert_eq!(found.first_trigger.timestamp(), 1_710_428_971);
    assert_eq!((found.recommendations[0].parallelism, found.recommendations[0].outside_bounds), (8, true));
    let older = format!("{V}: 1710428971.000000000\n");
    let found = delayed_scale_down(&older).unwrap();
    assert!(found[&V.parse::<VertexId>().unwrap()].recommendations.is_empty());
}

#[test]
fn broken_and_huge_documents_are_errors() {
    assert!(matches!(scaling_history("a: ["), Err(DocumentError::NotYaml(_))));
    assert!(matches!(scaling_history("- 1\n"), Err(DocumentError::Shape(_))));
    assert!(matches!(scaling_history("not-an-id: {\"2024-03-14T15:10:31Z\": {}}"), Err(DocumentError::Shape(_))));
    assert!(scaling_history("").unwrap_or_default().is_empty());
    // A bomb: much in little.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..22 {
        packer.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    let bomb = encode(&packer.finish().unwrap());
    assert!(bomb.len() < 1 << 17);
    assert_eq!(unpack(&bomb), Err(DocumentError::TooLong));
}

/// Standard Base64, for the tests.
fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |g, b| g << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * n) & 63) as usize] as char;
            text.push(if n > chunk.len() { '=' } else { digit });
        }
    }
    text
}

proptest! {
    #[test]
    fn base64_reads_what_was_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(base64(&encode(&bytes)), Some(bytes));
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,200}") {
        let _ = (scaling_history(&text), scaling_tracking(&text), collected_metrics(&text), delayed_scale_down(&text));
    }
}
