//! The client over real sockets: what it sends, what it bears, and what it says when something is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod binary;
mod server;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::{any, get};
use flightdeck::domain::ids::{JobId, VertexId};
use flightdeck::flink::{Aggregate, FlinkClient, FlinkError, HttpOptions, HttpTransport, Secret, SetupError};
use futures::StreamExt;
use server::{Server, client, strict, tls};
use tokio::sync::Mutex;

const OVERVIEW: &str = r#"{"taskmanagers":2,"slots-total":8,"slots-available":4,"jobs-running":2,"jobs-finished":1,
    "jobs-cancelled":0,"jobs-failed":1,"flink-version":"1.20.5","flink-commit":"0980485","a-field-of-tomorrow":[{}]}"#;

fn job() -> JobId {
    "0a6af3dad853d2fb46b42f16be646fd4".parse().unwrap()
}

fn vertex() -> VertexId {
    "857f407b0f317b9a9f938362a2c2d026".parse().unwrap()
}

fn flink() -> Router {
    Router::new().route("/overview", get(|| async { OVERVIEW }))
}

/// What a server saw.
type Seen = Arc<Mutex<Vec<(Method, String, HeaderMap)>>>;

/// A server that remembers what it was asked and answers an overview to everything.
fn remembering(seen: &Seen) -> Router {
    let seen = seen.clone();
    Router::new().fallback(any(move |method: Method, uri: Uri, headers: HeaderMap| async move {
        seen.lock().await.push((method, uri.to_string(), headers));
        OVERVIEW
    }))
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::http(flink()).await;
    let client = server.client();
    for _ in 0..10 {
        assert_eq!(client.overview().await.unwrap().slots_total, 8);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_path_of_the_base_address_stays_in_front() {
    let seen = Seen::default();
    let server = Server::http(remembering(&seen)).await;
    for base in ["/api/v1/namespaces/ns/services/job-rest:8081/proxy", "/flink/job-a/", ""] {
        let client = client(&HttpOptions::new(server.url("127.0.0.1", base).parse().unwrap()));
        client.overview().await.unwrap();
        let _ = client.task_manager("pod/with slash?#%").await;
    }
    let paths: Vec<String> = seen.lock().await.iter().map(|(_, path, _)| path.clone()).collect();
    assert_eq!(
        paths,
        [
            "/api/v1/namespaces/ns/services/job-rest:8081/proxy/overview",
            "/api/v1/namespaces/ns/services/job-rest:8081/proxy/taskmanagers/pod%2Fwith%20slash%3F%23%25",
            "/flink/job-a/overview",
            "/flink/job-a/taskmanagers/pod%2Fwith%20slash%3F%23%25",
            "/overview",
            "/taskmanagers/pod%2Fwith%20slash%3F%23%25",
        ]
    );
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let seen = Seen::default();
    let server = Server::http(remembering(&seen)).await;
    let mut options = server.options();
    options.headers.push(("X-Scope".to_owned(), Secret::new("hush-1\n")));
    options.bearer_token = Some(Secret::new("hush-2\n"));
    let transport = HttpTransport::new(&options).unwrap();
    let shown = format!("{:?} {:?}", options.headers, transport);
    let client = FlinkClient::new(Arc::new(transport), Default::default());
    client.overview().await.unwrap();
    {
        let seen = seen.lock().await;
        assert_eq!(seen[0].2["x-scope"], "hush-1");
        assert_eq!(seen[0].2[header::AUTHORIZATION], "Bearer hush-2");
        assert_eq!(seen[0].2[header::ACCEPT], "application/json");
    }
    drop(server);
    let error = client.overview().await.unwrap_err();
    for text in [shown, format!("{client:?}"), client.target().to_owned(), format!("{error} {error:?}")] {
        assert!(!text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_whatever_the_server_says() {
    let endless = || async {
        let chunks = futures::stream::repeat(Bytes::from_static(&[b' '; 4096])).map(Ok::<_, std::io::Error>);
        Body::from_stream(chunks)
    };
    let announced = || async { "x".repeat(100_000) };
    let bomb = || async {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b' '; 64 << 20]).unwrap();
        ([(header::CONTENT_ENCODING, "gzip")], gzip.finish().unwrap())
    };
    let router =
        Router::new().route("/overview", get(endless)).route("/config", get(announced)).route("/jobs", get(bomb));
    let server = Server::http(router).await;
    let client = strict(&server.options(), Duration::from_secs(60), 70_000);
    for error in
        [client.overview().await.unwrap_err(), client.config().await.unwrap_err(), client.jobs().await.unwrap_err()]
    {
        assert!(matches!(error, FlinkError::TooLarge { limit: 70_000, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    let packed = || async {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(OVERVIEW.as_bytes()).unwrap();
        ([(header::CONTENT_ENCODING, "gzip")], gzip.finish().unwrap())
    };
    let server = Server::http(Router::new().route("/overview", get(packed))).await;
    assert_eq!(server.client().overview().await.unwrap().task_managers, 2);
}

#[tokio::test]
async fn deadlines_end_calls_that_hang() {
    let stalls = || async {
        let head = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{\"jobs\":[")) });
        Body::from_stream(head.chain(futures::stream::pending()))
    };
    let router = Router::new()
        .route("/overview", get(|| async { std::future::pending::<&str>().await }))
        .route("/jobs", get(stalls));
    let server = Server::http(router).await;
    let client = strict(&server.options(), Duration::from_millis(200), 1 << 20);
    for error in [client.overview().await.unwrap_err(), client.jobs().await.unwrap_err()] {
        assert!(matches!(error, FlinkError::Timeout { queued: false, .. }), "{error:?}");
        assert!(error.is_transient() && error.is_outcome_unknown());
        assert!(error.to_string().contains("no answer within 200ms"), "{error}");
    }
}

#[tokio::test]
async fn at_most_four_requests_are_in_flight() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // Only four together are let go, so fewer than four at a time would hang, and a fifth would be seen.
    let together = Arc::new(tokio::sync::Barrier::new(4));
    let handler = {
        let (now, most) = (now.clone(), most.clone());
        move || {
            let (now, most, together) = (now.clone(), most.clone(), together.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                together.wait().await;
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                OVERVIEW
            }
        }
    };
    let server = Server::http(Router::new().route("/overview", get(handler))).await;
    let client = strict(&server.options(), Duration::from_secs(60), 1 << 20);
    let calls = (0..20).map(|_| {
        let client = client.clone();
        async move { client.overview().await.map(|_| ()) }
    });
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn waiting_for_a_turn_counts_against_the_deadline() {
    let router = Router::new().route("/overview", get(|| async { std::future::pending::<&str>().await }));
    let server = Server::http(router).await;
    let hanging = strict(&server.options(), Duration::from_secs(600), 1 << 20);
    let patient: Vec<_> = (0..4)
        .map(|_| {
            let client = hanging.clone();
            tokio::spawn(async move { client.overview().await })
        })
        .collect();
    while server.connections() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = hanging.with_read_deadline(Duration::from_millis(50)).overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Timeout { queued: true, .. }), "{error:?}");
    assert!(!error.is_outcome_unknown(), "nothing was sent");
    assert!(error.to_string().contains("waited for earlier requests"), "{error}");
    for task in patient {
        task.abort();
    }
}

#[tokio::test]
async fn long_lists_of_metrics_are_split_at_4096_bytes() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let lines = lines.clone();
        move |uri: Uri| async move {
            lines.lock().await.push(uri.to_string());
            let query = uri.query().unwrap_or_default();
            let names = url::form_urlencoded::parse(query.as_bytes()).find(|(k, _)| k == "get").unwrap().1.into_owned();
            let values: Vec<_> = names
                .split(',')
                .map(|name| serde_json::json!({"id": name, "sum": name.len(), "value": name.len().to_string()}))
                .collect();
            axum::Json(values)
        }
    };
    let server = Server::http(Router::new().fallback(any(handler))).await;
    let client = server.client();
    let mut names: Vec<String> = (0..300).map(|n| format!("Source__ä/({n})[{n}].numRecordsOutPerSecond")).collect();
    names.push(names[0].clone());
    let ours = client.subtask_metrics(job(), vertex(), &names, &[Aggregate::Sum]).await.unwrap();
    assert_eq!(ours.len(), 300, "a name twice is asked once");
    for (name, values) in &ours {
        assert_eq!(values.sum, name.len() as f64);
    }
    let asked = std::mem::take(&mut *lines.lock().await);
    assert!(asked.len() > 1);
    for line in &asked {
        assert!(format!("GET {line} HTTP/1.1").len() <= 4096);
        assert!(line.ends_with("&agg=sum"));
    }
    // Lines are filled: one more name would not have fitted.
    let longest = names.iter().map(|n| n.len() * 3).max().unwrap();
    assert!(asked[..asked.len() - 1].iter().all(|line| line.len() + longest > 4000));

    assert!(client.job_metrics::<&str>(job(), &[]).await.unwrap().is_empty());
    assert!(lines.lock().await.is_empty(), "no names, no request");
    let error = client.job_metrics(job(), &["x".repeat(5000)]).await.unwrap_err();
    assert!(error.to_string().contains("too long for a request line"), "{error}");
}

#[tokio::test]
async fn answers_that_are_not_flinks_are_named_for_what_they_are() {
    let login =
        || async { Html("<!doctype html>\n<HTML><head><title>Sign in\n to \u{1b}[31mACME</title></head></HTML>") };
    let bad_gateway = || async { (StatusCode::BAD_GATEWAY, Html("<html><title>502 Bad Gateway</title></html>")) };
    let unauthorized = || async { (StatusCode::UNAUTHORIZED, "") };
    let status = || async {
        let body = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":403,"reason":"Forbidden",
            "message":"services \"job-rest\" is forbidden: User \"jane\" cannot get resource \"services/proxy\""}"#;
        (StatusCode::FORBIDDEN, body)
    };
    let leader = || async {
        let body =
            r#"{"errors":["Service temporarily unavailable due to an ongoing leader election. Please refresh."]}"#;
        (StatusCode::SERVICE_UNAVAILABLE, body)
    };
    let router = Router::new()
        .route("/overview", get(login))
        .route("/config", get(|| async { "" }))
        .route("/jobs", get(|| async { "it works!" }))
        .route("/jobs/overview", get(bad_gateway))
        .route("/taskmanagers", get(unauthorized))
        .route("/jobmanager/config", get(status))
        .route("/jars", get(leader));
    let server = Server::http(router).await;
    let client = server.client();
    let at = format!("on {}", server.url("localhost", ""));

    let error = client.overview().await.unwrap_err();
    let expected = format!(
        "GET /overview {at}: expected JSON, got an HTML page (Sign in to [31mACME); is this a Flink JobManager, or does a \
         proxy or login page stand in front of it?"
    );
    assert_eq!(error.to_string(), expected, "one line, no control characters");
    let error = client.config().await.unwrap_err();
    assert!(error.to_string().contains("expected JSON, got an empty body;"), "{error}");
    let error = client.jobs().await.unwrap_err();
    assert!(error.to_string().contains("expected JSON, got text (it works!)"), "{error}");
    let error = client.jobs_overview().await.unwrap_err();
    assert!(
        error.to_string().ends_with("502: 502 Bad Gateway; the proxy in front cannot reach the JobManager"),
        "{error}"
    );
    assert!(error.is_transient());
    let error = client.task_managers().await.unwrap_err();
    assert!(error.is_denied() && error.to_string().contains("give a header or a bearer token"), "{error}");
    let error = client.jobmanager_config().await.unwrap_err();
    assert!(matches!(&error, FlinkError::Kubernetes { reason, .. } if reason == "Forbidden"), "{error:?}");
    assert!(error.is_denied() && error.to_string().contains("cannot get resource \"services/proxy\""), "{error}");
    let error = client.jars().await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("503: Service temporarily unavailable"), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_for_reads_at_the_same_place_only() {
    let seen = Seen::default();
    let elsewhere = Server::http(remembering(&seen)).await;
    let away = elsewhere.url("127.0.0.1", "/overview");
    let written = Seen::default();
    let router = Router::new()
        .route(
            "/config/",
            get(|| async { r#"{"refresh-interval":3000,"flink-version":"2.1.3","features":{"web-rescale":true}}"# }),
        )
        .route("/config", get(|| async { Redirect::permanent("config/") }))
        .route("/jobs", get(|| async { Redirect::temporary("/jobs") }))
        .route("/overview", get(move || async move { Redirect::temporary(&away) }))
        .route("/jobs/{id}", any(|| async { Redirect::permanent("/written") }))
        .merge(Router::new().route(
            "/written",
            any({
                let written = written.clone();
                move |method: Method| async move {
                    written.lock().await.push((method, String::new(), HeaderMap::new()));
                    "{}"
                }
            }),
        ));
    let server = Server::http(router).await;
    let mut options = server.options();
    options.bearer_token = Some(Secret::new("hush"));
    let client = client(&options);

    assert!(client.config().await.unwrap().features.web_rescale, "a trailing slash of an ingress");
    let error = client.overview().await.unwrap_err();
    assert!(
        matches!(&error, FlinkError::Redirected { location, .. } if location.starts_with("http://127.0.0.1")),
        "{error}"
    );
    assert!(seen.lock().await.is_empty(), "credentials stay where they belong");
    let error = client.jobs().await.unwrap_err();
    assert!(matches!(error, FlinkError::Redirected { .. }), "a circle ends: {error:?}");
    let error = client.cancel(job()).await.unwrap_err();
    assert!(matches!(error, FlinkError::Redirected { .. }), "{error:?}");
    assert!(written.lock().await.is_empty(), "a write is never sent on");
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_named() {
    let server = Server::https(flink(), false).await;
    let error = server.client().overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("check the CA file"), "{error}");

    let mut options = server.options();
    options.ca_file = Some(tls("ca.pem"));
    assert_eq!(client(&options).overview().await.unwrap().slots_available, 4);

    // The certificate is for "localhost", not for the address.
    options.base = server.url("127.0.0.1", "").parse().unwrap();
    let error = client(&options).overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Tls { .. }), "{error:?}");

    options.ca_file = None;
    options.insecure = true;
    assert_eq!(client(&options).overview().await.unwrap().slots_available, 4, "only when asked for");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let server = Server::https(flink(), true).await;
    let mut options = server.options();
    options.ca_file = Some(tls("ca.pem"));
    let error = client(&options).overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Tls { .. }), "{error:?}");

    options.client_certificate_file = Some(tls("client.pem"));
    options.client_key_file = Some(tls("client.key"));
    assert_eq!(client(&options).overview().await.unwrap().task_managers, 2);
}

#[tokio::test]
async fn the_wrong_scheme_is_told() {
    let plain = Server::http(flink()).await;
    let mut options = plain.options();
    options.base = format!("https://localhost:{}", plain.address.port()).parse().unwrap();
    options.insecure = true;
    let error = client(&options).overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Tls { .. }), "{error:?}");

    let secured = Server::https(flink(), false).await;
    options.base = format!("http://localhost:{}", secured.address.port()).parse().unwrap();
    let error = client(&options).overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Broken { .. } | FlinkError::Http { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_there_and_broken_in_the_middle_are_different() {
    let gone = Server::http(flink()).await;
    let client = gone.client();
    drop(gone);
    tokio::task::yield_now().await;
    let error = client.overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Unreachable { .. }), "{error:?}");
    assert!(error.is_transient() && !error.is_outcome_unknown());
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(error.to_string().ends_with("is the JobManager running, and is the address right?"), "{error}");

    let breaks = || async {
        let stream = futures::stream::iter([
            Ok(Bytes::from_static(b"{\"taskmanagers\":")),
            Err(std::io::Error::other("power cut")),
        ]);
        Body::from_stream(stream).into_response()
    };
    let server = Server::http(Router::new().route("/overview", get(breaks))).await;
    let error = server.client().overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Broken { .. }), "{error:?}");
    assert!(error.is_outcome_unknown());

    let nowhere = server::client(&HttpOptions::new("http://no-such-host.invalid:8081".parse().unwrap()));
    let error = nowhere.overview().await.unwrap_err();
    assert!(matches!(error, FlinkError::Unreachable { .. }), "{error:?}");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let options = HttpOptions::new("https://localhost:1".parse().unwrap());
    let refuse = |change: &dyn Fn(&mut HttpOptions)| {
        let mut options = options.clone();
        change(&mut options);
        HttpTransport::new(&options).unwrap_err()
    };
    let error = refuse(&|o| o.base = "ftp://host".parse().unwrap());
    assert!(matches!(error, SetupError::Address { .. }), "{error}");
    let error = refuse(&|o| o.base = "https://user:hush@host".parse().unwrap());
    assert_eq!(
        error.to_string(),
        "https://host: not an address of a JobManager: credentials do not belong into an address; give a header or a \
         bearer token"
    );
    let error = refuse(&|o| o.ca_file = Some("/nowhere/ca.pem".into()));
    assert!(error.to_string().starts_with("cannot read the CA file /nowhere/ca.pem"), "{error}");
    let error = refuse(&|o| o.ca_file = Some(tls("server.key")));
    assert!(error.to_string().contains("there is no certificate in PEM form in it"), "{error}");
    let error = refuse(&|o| o.client_certificate_file = Some(tls("client.pem")));
    assert!(error.to_string().contains("private key or certificate not found"), "{error}");
    let error = refuse(&|o| o.client_key_file = Some(tls("client.key")));
    assert!(matches!(error, SetupError::KeyWithoutCertificate), "{error}");
    let error = refuse(&|o| o.headers.push(("bad name".to_owned(), Secret::new("hush"))));
    assert!(matches!(error, SetupError::Header { part: "name", .. }), "{error}");
    let error = refuse(&|o| o.bearer_token = Some(Secret::new("hush\nhush")));
    assert!(matches!(error, SetupError::Header { part: "value", .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"));
}
