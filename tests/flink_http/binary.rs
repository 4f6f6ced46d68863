//! The real binary on its way to a JobManager: proxies by the environment, secrets by the config file.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::OVERVIEW;

/// A server that understands just enough HTTP to be a proxy or a JobManager without jobs, and remembers what it was asked.
struct Tiny {
    address: SocketAddr,
    /// The heads of the requests.
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Tiny {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tiny {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let (status, body) = match () {
                        () if head.starts_with("CONNECT") => ("407 Proxy Authentication Required", ""),
                        () if target.ends_with("/jobs/overview") => ("200 OK", r#"{"jobs":[]}"#),
                        () if target.ends_with("/overview") => ("200 OK", OVERVIEW),
                        () if target.ends_with("/jobmanager/config") => ("200 OK", "[]"),
                        () if target.ends_with("/config") => (
                            "200 OK",
                            r#"{"refresh-interval":3000,"timezone-name":"UTC","timezone-offset":0,"flink-version":"1.20.5","flink-revision":"x","features":{"web-submit":false,"web-rescale":true}}"#,
                        ),
                        () => ("404 Not Found", ""),
                    };
                    seen.lock().await.push(head);
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { address, heads, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first lines of the requests so far, which are forgotten.
    async fn lines(&self) -> Vec<String> {
        let heads = std::mem::take(&mut *self.heads.lock().await);
        heads.iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }
}

/// `flightdeck get jobs` in a home of its own.
async fn get_jobs(home: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flightdeck"));
    command.args(["get", "jobs", "-o", "json"]).args(args).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    command.env("XDG_RUNTIME_DIR", home).envs(environment.iter().copied()).kill_on_drop(true).output().await.unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn the_proxy_variables_of_the_environment_are_obeyed_in_both_spellings() {
    let home = tempfile::tempdir().unwrap();
    let proxy = Tiny::start().await;
    let through = proxy.url();
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let output =
            get_jobs(home.path(), &["--flink", "http://flink.invalid:8081/base"], &[(variable, &through)]).await;
        assert_eq!(output.status.code(), Some(0), "{variable}: {}", error(&output));
        let lines = proxy.lines().await;
        let asked = |path: &str| lines.contains(&format!("GET http://flink.invalid:8081/base{path} HTTP/1.1"));
        assert!(asked("/overview") && asked("/jobs/overview"), "{variable}: {lines:?}");
    }
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let output = get_jobs(home.path(), &["--flink", "https://flink.invalid:8443"], &[(variable, &through)]).await;
        assert_eq!(output.status.code(), Some(1), "the proxy wants to know who we are");
        assert!(error(&output).contains("https://flink.invalid:8443"), "{}", error(&output));
        let lines = proxy.lines().await;
        assert!(!lines.is_empty(), "{variable}");
        assert!(lines.iter().all(|l| l == "CONNECT flink.invalid:8443 HTTP/1.1"), "{variable}: {lines:?}");
    }
}

#[tokio::test]
async fn places_that_need_no_proxy_are_asked_themselves() {
    let home = tempfile::tempdir().unwrap();
    let (proxy, flink) = (Tiny::start().await, Tiny::start().await);
    let through = proxy.url();
    // This name of the machine itself is none of the loopback's, which are never asked through a proxy.
    let by_number = format!("http://0.0.0.0:{}", flink.address.port());
    let output = get_jobs(home.path(), &["--flink", &by_number], &[("HTTP_PROXY", &through)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert_eq!((proxy.lines().await.is_empty(), flink.lines().await.is_empty()), (false, true));
    for variable in ["NO_PROXY", "no_proxy"] {
        let environment = [("HTTP_PROXY", through.as_str()), (variable, "example.org,0.0.0.0")];
        let output = get_jobs(home.path(), &["--flink", &by_number], &environment).await;
        assert_eq!(output.status.code(), Some(0), "{variable}: {}", error(&output));
        assert_eq!((proxy.lines().await.is_empty(), flink.lines().await.is_empty()), (true, false), "{variable}");
    }
    let output = get_jobs(home.path(), &["--flink", &flink.url()], &[("HTTP_PROXY", &through)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert_eq!((proxy.lines().await.is_empty(), flink.lines().await.is_empty()), (true, false), "loopback");
}

#[tokio::test]
async fn secrets_come_from_files_and_the_environment_and_are_never_told() {
    let home = tempfile::tempdir().unwrap();
    let flink = Tiny::start().await;
    let token = home.path().join("token");
    std::fs::write(&token, "hush-file\n").unwrap();
    let config = |credential: &str| {
        let path = home.path().join("config.toml");
        let header = r#"headers = { X-Scope = { env = "SCOPE" } }"#;
        let text = format!("[[flink]]\nname = \"prod\"\nurl = \"{}\"\n{credential}\n{header}\n", flink.url());
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let environment = [("SCOPE", "hush-scope"), ("FLINK_TOKEN", "hush-env")];
    let by_file = format!("token-file = \"{}\"", token.display());
    for (credential, sent) in [(by_file.as_str(), "hush-file"), ("token-env = \"FLINK_TOKEN\"", "hush-env")] {
        let path = config(credential);
        let output = get_jobs(home.path(), &["--config", &path], &environment).await;
        assert_eq!(output.status.code(), Some(0), "{}", error(&output));
        for head in std::mem::take(&mut *flink.heads.lock().await) {
            let head = head.to_lowercase();
            assert!(head.contains(&format!("authorization: bearer {sent}\r\n")), "{head}");
            assert!(head.contains("x-scope: hush-scope\r\n"), "{head}");
        }
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &error(&output);
        assert!(!told.contains("hush"), "{told}");
    }
    let path = config("token-env = \"NOT_SET\"");
    let output = get_jobs(home.path(), &["--config", &path], &environment).await;
    assert_ne!(output.status.code(), Some(0));
    assert!(error(&output).contains("NOT_SET") && !error(&output).contains("hush"), "{}", error(&output));
}
