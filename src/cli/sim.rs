//! `flightdeck sim`: the embedded cluster alone, for `kubectl`, scripts and other programs.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::exit::Failure;
use crate::clock::SystemClock;
use crate::sim::scenario::{Scenario, ScenarioError};
use crate::sim::{Sim, SimError, SimOptions, start};

/// `flightdeck sim`.
#[derive(Debug, Clone, Args)]
pub struct SimArgs {
    /// Address of the Kubernetes API; the JobManagers take free ports of the same host
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Scenario file (TOML); the built-in one if absent
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Write the kubeconfig here; a file of its own in the temporary folder if absent
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// Why the embedded cluster cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SimFailure {
    /// The scenario file cannot be read.
    #[error("cannot read the scenario {}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The scenario is not one.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// It does not start.
    #[error(transparent)]
    Start(#[from] SimError),
    /// The kubeconfig cannot be written.
    #[error("cannot write the kubeconfig {}: {source}; choose another file with --kubeconfig", .file.display())]
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Standard output is gone.
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

impl From<SimFailure> for Failure {
    fn from(failure: SimFailure) -> Self {
        match failure {
            SimFailure::Unreadable { .. } | SimFailure::Scenario(_) => Self::Usage(failure.to_string()),
            SimFailure::Start(_) | SimFailure::Kubeconfig { .. } | SimFailure::Output(_) | SimFailure::Signals(_) => {
                Self::Failed(failure.to_string())
            }
        }
    }
}

/// Serves the embedded cluster until Ctrl-C or SIGTERM.
///
/// # Errors
/// If the scenario cannot be read, an address cannot be listened on, or the kubeconfig cannot be written.
pub async fn run(args: &SimArgs) -> Result<(), SimFailure> {
    let scenario = read(args.scenario.as_deref())?;
    let mut options = SimOptions::new(Arc::new(SystemClock::new()));
    (options.address, options.port) = (args.listen.ip(), args.listen.port());
    let sim = start(&scenario, options).await?;
    let file = match &args.kubeconfig {
        Some(file) => file.clone(),
        None => std::env::temp_dir().join(format!("flightdeck-sim-{}.kubeconfig", std::process::id())),
    };
    write_private(&file, &kubeconfig(&sim.kubernetes, &scenario.namespace))?;
    announce(&sim, &scenario, &file).map_err(SimFailure::Output)?;
    let stopped = stop_signal().await;
    sim.stop().await;
    if args.kubeconfig.is_none() {
        // It names a server that is gone.
        let _ = std::fs::remove_file(&file);
    }
    stopped
}

/// Reads the scenario of `--scenario`, or the built-in one.
///
/// # Errors
/// If the file cannot be read or is not a scenario; with the position of what is wrong.
pub fn read(file: Option<&Path>) -> Result<Scenario, SimFailure> {
    let Some(file) = file else { return Ok(Scenario::demo()?) };
    let text =
        std::fs::read_to_string(file).map_err(|source| SimFailure::Unreadable { file: file.to_owned(), source })?;
    Ok(Scenario::parse(&file.display().to_string(), &text)?)
}

fn announce(sim: &Sim, scenario: &Scenario, kubeconfig: &Path) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "scenario    {}", scenario.name)?;
    writeln!(out, "kubernetes  {}", sim.kubernetes)?;
    for face in &sim.flink {
        writeln!(out, "flink       {}  {}", face.url, face.cluster)?;
    }
    writeln!(out, "kubeconfig  {}", kubeconfig.display())?;
    writeln!(out, "\nkubectl --kubeconfig {} get flinkdeployments", kubeconfig.display())?;
    out.flush()
}

/// A kubeconfig for the embedded cluster.
pub fn kubeconfig(server: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: flightdeck-sim\nclusters:\n- name: flightdeck-sim\n  cluster:\n    \
         server: {server}\ncontexts:\n- name: flightdeck-sim\n  context:\n    cluster: flightdeck-sim\n    user: flightdeck-sim\n    \
         namespace: {namespace}\nusers:\n- name: flightdeck-sim\n  user: {{}}\n"
    )
}

/// Writes a file that only its owner can read.
fn write_private(file: &Path, text: &str) -> Result<(), SimFailure> {
    use std::os::unix::fs::OpenOptionsExt;
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut f| f.write_all(text.as_bytes()));
    written.map_err(|source| SimFailure::Kubeconfig { file: file.to_owned(), source })
}

/// Waits for Ctrl-C or SIGTERM.
async fn stop_signal() -> Result<(), SimFailure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(SimFailure::Signals)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(SimFailure::Signals),
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{ConnectOptions, Places, connect};

    #[tokio::test]
    async fn the_kubeconfig_is_one_that_our_own_client_takes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        write_private(&file, &kubeconfig("http://127.0.0.1:4711", "flink")).unwrap();
        let options = ConnectOptions { kubeconfig: Some(file), ..ConnectOptions::default() };
        let connection = connect(&options, &Places::default()).await.unwrap();
        assert_eq!(connection.client.address(), "http://127.0.0.1:4711");
        assert_eq!((connection.context.as_deref(), connection.namespace.as_str()), (Some("flightdeck-sim"), "flink"));
    }

    #[test]
    fn a_scenario_that_is_not_there_is_named() {
        let error = read(Some(Path::new("/no/such/scenario.toml"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/scenario.toml"), "{error}");
    }
}
