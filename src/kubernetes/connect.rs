//! From the user's configuration to a client: kubeconfig given by name, `KUBECONFIG`, `~/.kube/config`, or the pod's own account.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig};

use super::client::{KubeClient, Limits, auth_sentence, chain};
use super::error::KubeError;

/// What the user asks for.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// This kubeconfig file and no other place.
    pub kubeconfig: Option<PathBuf>,
    /// This context instead of the current one.
    pub context: Option<String>,
    /// What every call keeps to.
    pub limits: Limits,
}

/// Where a configuration may be: the process's environment, as data.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `KUBECONFIG`: files separated as in `PATH`.
    pub kubeconfig: Option<std::ffi::OsString>,
    /// The home directory.
    pub home: Option<PathBuf>,
    /// `KUBERNETES_SERVICE_HOST` is set: this is a pod.
    pub in_cluster: bool,
}

impl Places {
    /// The places of this process.
    pub fn of_process() -> Self {
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty()),
            home: std::env::home_dir(),
            in_cluster: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        }
    }
}

/// Where the configuration was found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Files(Vec<PathBuf>),
    InCluster,
}

/// A client with what is known about its configuration.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The client.
    pub client: KubeClient,
    /// The context, if a kubeconfig was used.
    pub context: Option<String>,
    /// The namespace of the context, `default` if it names none.
    pub namespace: String,
    /// Certificates are not verified.
    pub insecure: bool,
}

/// Builds a client. Does not talk to the API server yet, but may run a login program.
///
/// # Errors
/// [`KubeError::NotConfigured`] if there is no configuration at all, [`KubeError::BadConfiguration`] if it cannot be used,
/// [`KubeError::Unauthorized`] if a login program fails.
pub async fn connect(options: &ConnectOptions, places: &Places) -> Result<Connection, KubeError> {
    let (mut config, context, place) = match locate(options, places)? {
        Found::Files(files) => from_files(&files, options.context.as_deref()).await?,
        Found::InCluster => {
            let place = "of this pod (service account)".to_owned();
            if let Some(context) = &options.context {
                let why = format!("there are no contexts in a pod, and {context:?} was asked for; give a --kubeconfig");
                return Err(KubeError::BadConfiguration { place, why });
            }
            let config = kube::Config::incluster()
                .map_err(|e| KubeError::BadConfiguration { place: place.clone(), why: chain(&e) })?;
            (config, None, place)
        }
    };
    // Retries and deadlines are ours: kube's own retry repeats writes for minutes, and its read time-out would cut watches.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = None;
    let address = address_of(&config.cluster_url);
    let (namespace, insecure) = (config.default_namespace.clone(), config.accept_invalid_certs);
    // A login program runs inside `try_from`, on the calling thread.
    let client = tokio::task::spawn_blocking(move || kube::Client::try_from(config))
        .await
        .map_err(|e| KubeError::BadConfiguration { place: place.clone(), why: chain(&e) })?
        .map_err(|e| match &e {
            kube::Error::Auth(auth) => {
                KubeError::Unauthorized { what: format!("log in with {place}"), message: auth_sentence(auth) }
            }
            other => KubeError::BadConfiguration { place: place.clone(), why: chain(other) },
        })?;
    Ok(Connection { client: KubeClient::new(client, address, options.limits.clone()), context, namespace, insecure })
}

/// Every context of the kubeconfig with the namespace that it names; none in a pod.
///
/// # Errors
/// As [`connect`].
pub fn contexts(options: &ConnectOptions, places: &Places) -> Result<Vec<(String, Option<String>)>, KubeError> {
    let files = match locate(options, places)? {
        Found::Files(files) => files,
        Found::InCluster => return Ok(Vec::new()),
    };
    let merged = merge(&files)?;
    Ok(merged.contexts.into_iter().map(|c| (c.name, c.context.and_then(|context| context.namespace))).collect())
}

/// All files as one configuration, the first mention of a name counts.
fn merge(files: &[PathBuf]) -> Result<Kubeconfig, KubeError> {
    let place = files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ");
    let mut merged = Kubeconfig::default();
    for file in files {
        merged = merged
            .merge(read(file)?)
            .map_err(|e| KubeError::BadConfiguration { place: place.clone(), why: chain(&e) })?;
    }
    Ok(merged)
}

fn locate(options: &ConnectOptions, places: &Places) -> Result<Found, KubeError> {
    if let Some(file) = &options.kubeconfig {
        return Ok(Found::Files(vec![file.clone()]));
    }
    let mut looked_for = Vec::new();
    match &places.kubeconfig {
        Some(list) => {
            let files: Vec<_> = std::env::split_paths(list).filter(|p| !p.as_os_str().is_empty()).collect();
            // As kubectl does, files of the list that do not exist are passed over.
            let there: Vec<_> = files.iter().filter(|f| f.is_file()).cloned().collect();
            if !there.is_empty() {
                return Ok(Found::Files(there));
            }
            looked_for.extend(files.iter().map(|f| format!("{} (from KUBECONFIG, no such file)", f.display())));
        }
        None => {
            looked_for.push("KUBECONFIG (not set)".to_owned());
            match &places.home {
                Some(home) => {
                    let file = home.join(".kube").join("config");
                    if file.is_file() {
                        return Ok(Found::Files(vec![file]));
                    }
                    looked_for.push(format!("{} (no such file)", file.display()));
                }
                None => looked_for.push("~/.kube/config (no home directory)".to_owned()),
            }
        }
    }
    if places.in_cluster {
        return Ok(Found::InCluster);
    }
    looked_for.push("the service account of a pod (KUBERNETES_SERVICE_HOST is not set)".to_owned());
    Err(KubeError::NotConfigured { looked_for })
}

async fn from_files(
    files: &[PathBuf],
    context: Option<&str>,
) -> Result<(kube::Config, Option<String>, String), KubeError> {
    let place = files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ");
    let bad = |why: String| KubeError::BadConfiguration { place: place.clone(), why };
    let mut merged = merge(files)?;
    // A login program must never draw on the screen or read the keys.
    for user in &mut merged.auth_infos {
        if let Some(exec) = user.auth_info.as_mut().and_then(|info| info.exec.as_mut()) {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
    }
    let chosen = context.map(str::to_owned).or_else(|| merged.current_context.clone()).filter(|c| !c.is_empty());
    let known = || {
        let names: Vec<_> = merged.contexts.iter().map(|c| c.name.as_str()).collect();
        if names.is_empty() { "it has no contexts".to_owned() } else { format!("it has {}", names.join(", ")) }
    };
    let Some(chosen) = chosen else {
        return Err(bad(format!("no current context is set; choose one with --context ({})", known())));
    };
    if !merged.contexts.iter().any(|c| c.name == chosen) {
        return Err(bad(format!("there is no context {chosen:?}; {}", known())));
    }
    let options = KubeConfigOptions { context: Some(chosen.clone()), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(merged, &options).await.map_err(|e| bad(chain(&e)))?;
    Ok((config, Some(chosen), place))
}

fn read(file: &Path) -> Result<Kubeconfig, KubeError> {
    // The parser's own words may quote the file, which holds secrets: only its position is passed on by kube's error type.
    Kubeconfig::read_from(file).map_err(|e| {
        let why = match &e {
            kube::config::KubeconfigError::ReadConfig(io, _) => format!("it cannot be read: {io}"),
            kube::config::KubeconfigError::Parse(_) => "it is not a valid kubeconfig (YAML)".to_owned(),
            other => chain(other),
        };
        KubeError::BadConfiguration { place: file.display().to_string(), why }
    })
}

/// The address without user information.
fn address_of(uri: &http::Uri) -> String {
    let host = uri.authority().map_or("", |a| a.as_str());
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{}://{host}{}", uri.scheme_str().unwrap_or("https"), uri.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_CONTEXTS: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {server: 'http://user:secret@127.0.0.1:1/base/'}\ncontexts:\n- name: a\n  context: {cluster: c, user: u, namespace: flink}\n- name: b\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user: {token: very-secret}\n";

    fn file(dir: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    #[tokio::test]
    async fn with_nothing_to_find_it_says_where_it_looked() {
        let home = tempfile::tempdir().unwrap();
        let places = Places { kubeconfig: None, home: Some(home.path().into()), in_cluster: false };
        let error = connect(&ConnectOptions::default(), &places).await.unwrap_err().to_string();
        for part in ["KUBECONFIG (not set)", ".kube/config (no such file)", "service account", "flightdeck demo"] {
            assert!(error.contains(part), "{part:?} is missing in {error}");
        }
    }

    #[tokio::test]
    async fn the_context_is_the_current_one_or_the_one_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { kubeconfig: Some(file(&dir, TWO_CONTEXTS).into()), ..Places::default() };
        let known = contexts(&ConnectOptions::default(), &places).unwrap();
        assert_eq!(known, [("a".to_owned(), Some("flink".to_owned())), ("b".to_owned(), None)]);
        let current = connect(&ConnectOptions::default(), &places).await.unwrap();
        assert_eq!((current.context.as_deref(), current.namespace.as_str()), (Some("a"), "flink"));
        let asked = ConnectOptions { context: Some("b".into()), ..ConnectOptions::default() };
        assert_eq!(connect(&asked, &places).await.unwrap().context.as_deref(), Some("b"));
        let wrong = ConnectOptions { context: Some("prod".into()), ..ConnectOptions::default() };
        let error = connect(&wrong, &places).await.unwrap_err().to_string();
        assert!(error.contains("there is no context \"prod\"; it has a, b"), "{error}");
    }

    #[tokio::test]
    async fn neither_debug_nor_errors_show_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, TWO_CONTEXTS);
        let options = ConnectOptions { kubeconfig: Some(path.clone()), ..ConnectOptions::default() };
        let connection = connect(&options, &Places::default()).await.unwrap();
        let shown = format!("{connection:?} {}", connection.client.address());
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(connection.client.address(), "http://127.0.0.1:1/base");
        std::fs::write(&path, "users:\n- name: u\n  user: {token: [very-secret]}\n").unwrap();
        let error = connect(&options, &Places::default()).await.unwrap_err().to_string();
        assert!(error.contains("not a valid kubeconfig") && !error.contains("very-secret"), "{error}");
    }

    #[tokio::test]
    async fn a_login_program_that_fails_is_named_with_its_words_and_not_its_output() {
        let dir = tempfile::tempdir().unwrap();
        let text = TWO_CONTEXTS.replace(
            "{token: very-secret}",
            "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['-c', 'echo very-secret; echo please log in >&2; exit 3'], interactiveMode: IfAvailable}}",
        );
        let options = ConnectOptions { kubeconfig: Some(file(&dir, &text)), ..ConnectOptions::default() };
        let error = connect(&options, &Places::default()).await.unwrap_err();
        assert!(matches!(error, KubeError::Unauthorized { .. }), "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains("please log in"), "{shown}");
        assert!(!shown.contains("very-secret"), "{shown}");
    }
}
