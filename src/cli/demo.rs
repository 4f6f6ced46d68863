//! `flightdeck demo`: the embedded cluster inside this process, served over HTTP on loopback, and the screens on its URLs.

use std::path::PathBuf;
use std::sync::Arc;

use super::args::{DemoArgs, Global};
use super::exit::{Done, Failure};
use super::start::{self, env};
use super::{screens, sim};
use crate::clock::{Clock, SystemClock};
use crate::config::{Layers, paths};
use crate::control::FlinkSource;
use crate::domain::ids::SourceId;
use crate::domain::snapshot::Notice;
use crate::flink::{HttpOptions, HttpTransport};
use crate::sim::scenario::Scenario;
use crate::sim::spec::ClusterKind;
use crate::sim::{Sim, SimOptions};

/// Serves the embedded cluster and runs the screens on it with the same clients as on a real one.
///
/// # Errors
/// If the scenario cannot be read, no port can be had, or the terminal cannot be used.
pub async fn run(global: &Global, args: &DemoArgs) -> Done {
    let scenario = sim::read(args.scenario.as_deref()).map_err(|e| Failure::Failed(e.to_string()))?;
    let mut settings = start::settings_of(&layers(global.layers(), &scenario))?;
    settings.flink.clear();
    settings.jobs.clear();

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sim = crate::sim::start(&scenario, SimOptions::new(Arc::clone(&clock)))
        .await
        .map_err(|e| Failure::Failed(e.to_string()))?;
    let kubeconfig = Kubeconfig::write(&sim::kubeconfig(&sim.kubernetes, &scenario.namespace))?;
    let mut sources = start::sources(&settings, Some(kubeconfig.0.clone()), &clock).await?;
    sources.flink = plain_clusters(&sim)?;

    let notice = Notice {
        short: "demo".to_owned(),
        text: format!(
            "everything here is an embedded cluster; kubectl --kubeconfig {} works on it too",
            kubeconfig.0.display()
        ),
    };
    let done = screens::on(&settings, sources, vec![notice], clock).await;
    sim.stop().await;
    done
}

/// The user's own clusters and jobs stay out of it: only the embedded cluster is watched, whatever context the user works in.
fn layers(own: Layers, scenario: &Scenario) -> Layers {
    let mut flags = own.flags;
    flags.extend(["kubernetes.context", "kubernetes.namespaces"].map(|key| (key, String::new(), "demo")));
    let scenario = Some((scenario.name.clone(), scenario.options.clone()));
    Layers { scenario, flags, flink: Vec::new(), ..own }
}

/// Clusters that no resource describes are watched by their URL, as a user would.
fn plain_clusters(sim: &Sim) -> Result<Vec<FlinkSource>, Failure> {
    let plain = sim.flink.iter().filter(|address| match address.kind {
        ClusterKind::Plain => true,
        ClusterKind::Session | ClusterKind::Application => false,
    });
    plain
        .map(|address| {
            let failed = |e: String| Failure::Failed(format!("embedded cluster {}: {e}", address.cluster));
            let url = url::Url::parse(&address.url).map_err(|e| failed(e.to_string()))?;
            let transport = HttpTransport::new(&HttpOptions::new(url)).map_err(|e| failed(e.to_string()))?;
            Ok(FlinkSource {
                id: SourceId::new(address.cluster.as_str()),
                transport: Arc::new(transport),
                ui_url: Some(address.url.clone()),
                insecure: false,
            })
        })
        .collect()
}

/// The kubeconfig of the embedded cluster, for as long as the demo runs.
struct Kubeconfig(PathBuf);

impl Kubeconfig {
    fn write(text: &str) -> Result<Self, Failure> {
        let folder = paths::runtime_dir(&env)
            .ok_or_else(|| Failure::Failed("there is no place for the demo's kubeconfig: set HOME".to_owned()))?;
        let path = folder.join(format!("demo-{}.kubeconfig", std::process::id()));
        let failed = |e: std::io::Error| Failure::Failed(format!("cannot write {}: {e}", path.display()));
        private_folder(&folder).map_err(failed)?;
        std::fs::write(&path, text).map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The folder of the sockets, which is the user's alone.
fn private_folder(folder: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_a_user_works_in_does_not_lead_the_demo_astray() {
        let own = Layers {
            set: vec!["kubernetes.namespaces=shop".to_owned()],
            flags: vec![("kubernetes.context", "prod".to_owned(), "--context")],
            flink: vec!["http://prod:8081".to_owned()],
            ..Layers::default()
        };
        let env = |name: &str| (name == "FLIGHTDECK_KUBERNETES_CONTEXT").then(|| "prod".to_owned());
        let settings = crate::config::load(&layers(own, &Scenario::demo().unwrap()), &env).unwrap();
        assert_eq!(settings.text("kubernetes.context"), "");
        assert_eq!(settings.text("kubernetes.namespaces"), "");
        assert!(settings.flink.is_empty());
        assert_eq!(settings.text("loop.period"), "5s");
    }
}
