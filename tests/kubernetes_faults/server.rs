//! What an API server can do wrong.

use flightdeck::domain::command::Intent;
use flightdeck::domain::snapshot::SourceState;
use flightdeck::sim::fault::Fault;
use flightdeck::sim::kubernetes::kinds::Kind;

use super::embedded::{Flight, all_watch, decision, describe, job, live, lost};
use super::{JOB, seconds, why};

/// The words in which the source says that it is lost.
fn words(flight: &Flight) -> String {
    match &flight.snapshot().sources[0].state {
        SourceState::Lost { error, .. } => error.clone(),
        state => format!("{state:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_the_server_misbehaves_and_all_comes_back() {
    let mut flight = Flight::demo();
    flight.pending(JOB).await;
    let (rows, untouched) = (flight.snapshot().jobs.len(), flight.written(JOB));
    let errors = |status| Fault::ApiErrors { status };
    for (fault, said, answer) in [
        (Fault::ApiGone, Some("does not answer"), "the API server does not answer"),
        (errors(500), Some("failed with 500"), "500"),
        (errors(503), Some("failed with 503"), "503"),
        (Fault::ApiSlow { delay: 3_600_000 }, Some("no complete answer within"), "no complete answer"),
        (Fault::TokenExpired, Some("not authenticated"), "not authenticated"),
        // What refuses answers: open watches go on, and what is known stays current.
        (Fault::ApiBusy { wait: 7.0 }, None, "asks to slow down"),
        (errors(403), None, "missing right"),
    ] {
        flight.until(120, "every watch is live", all_watch).await;
        let seen = flight.pending(JOB).await;
        flight.inject(fault.clone(), 40.0);
        if let Some(said) = said {
            flight.until(15, &format!("the loss by {fault:?} is said"), lost).await;
            assert!(words(&flight).contains(said), "{fault:?}: {}", words(&flight));
            let SourceState::Lost { attempt, next_attempt_at, .. } = flight.snapshot().sources[0].state.clone() else {
                panic!("{fault:?} was said a moment ago");
            };
            assert!(attempt > 0 && next_attempt_at > flight.snapshot().at - chrono::Duration::seconds(1), "{fault:?}");
        }
        let last_ok = flight.snapshot().sources[0].last_ok;
        let stage = flight.approve(&seen).await;
        assert!(why(&stage).contains(answer), "{fault:?}: {stage:?}");
        assert_eq!(flight.written(JOB), untouched, "{fault:?}: something was written");
        assert_eq!(flight.snapshot().jobs.len(), rows, "{fault:?}: rows vanished");
        if said.is_some() {
            assert_eq!(flight.snapshot().sources[0].last_ok, last_ok, "{fault:?}: what is seen ages");
        } else {
            assert!(live(&flight.snapshot()), "{fault:?}: {}", describe(&flight.snapshot()));
        }
        flight.until(120, "the source is back", live).await;
    }
    // With the server well again the same approval goes through.
    seconds(40).await;
    let stage = flight.approve_newest(JOB).await;
    assert_eq!(stage.word(), "observed", "{}", describe(&flight.snapshot()));
    assert_ne!(flight.written(JOB), untouched);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_is_said_in_the_servers_words_and_leaves_nothing() {
    let forbidden = |verb: &str, resource: &str| Fault::Forbidden {
        verb: verb.into(),
        resource: resource.into(),
        namespace: "*".into(),
    };
    for (fault, answer) in [
        (Fault::WriteConflicts, "somebody else"),
        (Fault::WebhookDenied { message: "replicas are frozen".into() }, "replicas are frozen"),
        (forbidden("patch", "flinkdeployments"), "missing right: patch flinkdeployments.flink.apache.org"),
        (forbidden("get", "flinkdeployments"), "missing right: get flinkdeployments.flink.apache.org"),
    ] {
        let mut flight = Flight::demo();
        let seen = flight.pending(JOB).await;
        let untouched = flight.written(JOB);
        flight.inject(fault.clone(), 60.0);
        let stage = flight.approve(&seen).await;
        assert!(why(&stage).contains(answer), "{fault:?}: {stage:?}");
        assert_eq!(flight.written(JOB), untouched, "{fault:?}: something was written");
        assert!(live(&flight.snapshot()), "{fault:?} is about one thing: {}", describe(&flight.snapshot()));
        flight.clear_faults();
        seconds(20).await;
        assert_eq!(flight.approve_newest(JOB).await.word(), "observed", "{fault:?}: {}", describe(&flight.snapshot()));
    }
}

#[tokio::test(start_paused = true)]
async fn cut_watches_go_on_without_a_list_and_without_a_word() {
    let flight = Flight::demo();
    flight.pending(JOB).await;
    seconds(10).await;
    let rows = flight.snapshot().jobs.len();
    for _ in 0..5 {
        flight.embedded.requests();
        flight.inject(Fault::WatchDropped, 1.0);
        for _ in 0..10 {
            seconds(1).await;
            let snapshot = flight.snapshot();
            assert_eq!(snapshot.jobs.len(), rows);
            assert!(live(&snapshot), "{}", describe(&snapshot));
        }
        let asked = flight.embedded.requests();
        let again: Vec<_> = asked.iter().filter(|(_, to)| to.contains("watch=true")).collect();
        assert!(again.iter().all(|(_, to)| to.contains("resourceVersion=")), "each goes on where it was: {again:?}");
        assert!(again.iter().any(|(_, to)| to.contains("flinkdeployments")), "the cut was felt");
    }
    flight.until(30, "every watch is live", all_watch).await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_410_empties_nothing_and_is_no_storm_of_lists() {
    let mut flight = Flight::demo();
    flight.pending(JOB).await;
    seconds(5).await;
    let (rows, pods) =
        (flight.snapshot().jobs.len(), flight.snapshot().kubernetes[0].watches.iter().map(|w| w.rows).sum::<usize>());
    flight.embedded.requests();
    flight.inject(Fault::WatchExpired, 60.0);
    for _ in 0..60 {
        seconds(1).await;
        let snapshot = flight.snapshot();
        assert_eq!(snapshot.jobs.len(), rows);
        let now: usize = snapshot.kubernetes[0].watches.iter().map(|w| w.rows).sum();
        assert!(now + 3 >= pods, "rows vanished: {}", describe(&snapshot));
    }
    // A storm that goes on is survived by one beginning more, and no list.
    let asked = flight.embedded.requests();
    let of = |asked: &[(String, String)], wanted: fn(&str) -> bool| {
        asked.iter().filter(|(_, to)| to.contains("/flinkdeployments?") && wanted(to)).count()
    };
    assert_eq!(of(&asked, |to| to.contains("sendInitialEvents=true")), 1, "{asked:?}");
    assert_eq!(of(&asked, |to| !to.contains("watch=true")), 0, "{asked:?}");
    flight.until(30, "every watch is live", all_watch).await;
    assert_eq!(flight.approve_newest(JOB).await.word(), "observed", "{}", describe(&flight.snapshot()));
}

#[tokio::test(start_paused = true)]
async fn an_approval_under_a_silent_watch_sees_what_the_watch_kept_back() {
    let mut flight = Flight::demo();
    let seen = flight.pending(JOB).await;
    flight.inject(Fault::WatchSilent, 60.0);
    seconds(2).await;
    let namespace = job(&flight.snapshot(), JOB).unwrap().namespace.clone().unwrap();
    flight.embedded.change(Kind::FlinkDeployment, &namespace, JOB, |object| {
        // Nothing that the operator restarts the job for.
        object["spec"]["flinkConfiguration"]["job.autoscaler.metrics.window"] = "41s".into();
    });
    let untouched = flight.written(JOB);
    let stage = flight.send(Intent::Approve { decision: seen.id }, Some(&seen)).await;
    assert_eq!(stage.word(), "superseded", "{stage:?}");
    assert!(why(&stage).contains("generation"), "{stage:?}");
    assert_eq!(flight.written(JOB), untouched);
    // A watch that says nothing, bookmarks neither, is opened again; then the rows are those of the server.
    let generation = untouched.0.as_i64().unwrap();
    flight
        .until(200, "the change is seen", |s| {
            decision(s, JOB).is_some_and(|d| d.target.generation.is_some_and(|g| g >= generation))
                || job(s, JOB)
                    .and_then(|j| j.resource.clone())
                    .is_some_and(|r| r.observed_generation >= Some(generation))
        })
        .await;
}

/// At rest the watches tell everything: nothing is listed, and Flink is asked by nobody who pilots or looks.
#[tokio::test(start_paused = true)]
async fn at_rest_nothing_is_listed() {
    use flightdeck::domain::job::Mode;
    use flightdeck::kubernetes::Namespaces;

    let text = include_str!("../../assets/scenarios/fleet.toml").replace("copies = 1000", "copies = 20");
    let embedded = super::embedded::Embedded::parse(&text);
    let flight = Flight::with(embedded, Namespaces::All, |config| {
        let mut config = flightdeck::control::ControlConfig { mode: Mode::Off, ..config };
        config.periods.list_unattended = std::time::Duration::from_secs(2);
        config
    });
    flight.until(60, "every row", |s| s.jobs.len() == 60 && all_watch(s)).await;
    seconds(180).await;
    flight.embedded.requests();
    seconds(600).await;
    let asked = flight.embedded.requests();
    let (flink, kubernetes): (Vec<_>, Vec<_>) = asked.iter().partition(|(_, to)| to.contains("/proxy/"));
    let lists = kubernetes.iter().filter(|(_, to)| {
        let watched = to.contains("watch=true") && !to.contains("sendInitialEvents");
        !watched
            && to != "/version"
            && !to.ends_with("/apis/flink.apache.org/v1beta1")
            && !to.ends_with("/apis/autoscaling.k8s.io/v1")
    });
    assert_eq!(lists.collect::<Vec<_>>(), Vec::<&&(String, String)>::new());
    // A watch is opened anew every 290 s; the server is asked whether it is there while it answers nothing else.
    assert!(kubernetes.len() <= 10 * 15, "{} requests in ten minutes", kubernetes.len());
    // Two questions to each of sixty clusters, two seconds from one to the next.
    assert!(flink.len() <= 2 * (600 / 2 + 60), "{} questions to Flink in ten minutes", flink.len());
}
