//! The contexts of the kubeconfig as sources of the control loop.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::exit::Failure;
use crate::clock::Clock;
use crate::config::Settings;
use crate::control::ports::Contexts;
use crate::control::{KubernetesApi, KubernetesSource, WayChoice, Ways};
use crate::domain::ids::SourceId;
use crate::domain::kubernetes::ContextRow;
use crate::flink::{HttpOptions, HttpTransport, Transport};
use crate::kubernetes::{ConnectOptions, KubeError, Namespaces, Places, connect, contexts};

/// Connects to contexts as configured.
pub struct KubeContexts {
    kubeconfig: Option<PathBuf>,
    namespaces: String,
    choice: WayChoice,
    clock: Arc<dyn Clock>,
}

impl KubeContexts {
    /// With these settings.
    pub fn new(settings: &Settings, kubeconfig: Option<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        let word = settings.text("kubernetes.way");
        let choice = WayChoice::WORDS.iter().find(|(name, _)| *name == word).map(|(_, choice)| *choice);
        Self {
            kubeconfig,
            namespaces: settings.text("kubernetes.namespaces").to_owned(),
            choice: choice.unwrap_or_default(),
            clock,
        }
    }

    /// The source to begin with.
    ///
    /// # Errors
    /// If there is no configuration, or it cannot be used.
    pub async fn first(&self, context: Option<&str>) -> Result<KubernetesSource, Failure> {
        let namespaces = |own: String| match self.namespaces.as_str() {
            "" => Namespaces::Only(vec![own]),
            "*" => Namespaces::All,
            names => Namespaces::Only(names.split(',').map(|n| n.trim().to_owned()).collect()),
        };
        self.source(context, namespaces).await.map_err(|error| match error {
            KubeError::NotConfigured { .. } => Failure::Failed(format!(
                "{error}\nThere is no --flink URL either. Try one of:\n  \
                 flightdeck --flink http://HOST:8081   a Flink cluster by its JobManager's address\n  \
                 flightdeck --context NAME             a context of your kubeconfig\n  \
                 flightdeck demo                       an embedded cluster that needs nothing else"
            )),
            other => Failure::Failed(other.to_string()),
        })
    }

    fn options(&self, context: Option<&str>) -> ConnectOptions {
        ConnectOptions {
            kubeconfig: self.kubeconfig.clone(),
            context: context.map(str::to_owned),
            ..ConnectOptions::default()
        }
    }

    async fn source(
        &self,
        context: Option<&str>,
        namespaces: impl FnOnce(String) -> Namespaces,
    ) -> Result<KubernetesSource, KubeError> {
        let places = Places::of_process();
        let connection = connect(&self.options(context), &places).await?;
        let in_cluster = connection.context.is_none();
        let ways = Ways { choice: self.choice, in_cluster, dial: Some(Arc::new(dial)) };
        let id = connection.context.clone().unwrap_or_else(|| "in-cluster".to_owned());
        let address = connection.client.address().to_owned();
        let namespaces = namespaces(connection.namespace);
        let api = KubernetesApi::new(connection.client, namespaces, Arc::clone(&self.clock)).with_ways(ways);
        Ok(KubernetesSource { id: SourceId::new(id), address, insecure: connection.insecure, api: Arc::new(api) })
    }
}

/// A direct connection to a JobManager.
fn dial(address: &str) -> Result<Arc<dyn Transport>, String> {
    let url = address.parse().map_err(|e| format!("{address:?} is no address: {e}"))?;
    let transport = HttpTransport::new(&HttpOptions::new(url)).map_err(|e| e.to_string())?;
    Ok(Arc::new(transport))
}

impl Contexts for KubeContexts {
    fn list(&self, current: &SourceId) -> Vec<ContextRow> {
        let found = contexts(&self.options(None), &Places::of_process()).unwrap_or_default();
        found
            .into_iter()
            .map(|(name, namespace)| ContextRow { current: name == current.as_str(), name, namespace })
            .collect()
    }

    fn connect<'a>(
        &'a self,
        current: &'a SourceId,
        context: Option<&'a str>,
        namespaces: &'a [String],
    ) -> BoxFuture<'a, Result<KubernetesSource, String>> {
        Box::pin(async move {
            let in_pod = current.as_str() == "in-cluster" && context.is_none();
            let context = context.or_else(|| (!in_pod).then_some(current.as_str()));
            let chosen = |_| match namespaces {
                [] => Namespaces::All,
                names => Namespaces::Only(names.to_vec()),
            };
            self.source(context, chosen).await.map_err(|e| e.to_string())
        })
    }
}
