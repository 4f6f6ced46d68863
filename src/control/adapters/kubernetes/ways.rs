//! The way to a JobManager's REST API: through the API server, by the cluster's DNS, or by the ingress. Chosen with a reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::control::ports::{Resource, Way};
use crate::flink::{self, Transport, TransportError};
use crate::kubernetes::proxy::{JobManagerProxy, ProxyRequest};
use crate::kubernetes::{KubeClient, KubeError};

/// Which way to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WayChoice {
    /// In a pod by the cluster's DNS; else, and where that goes nowhere, through the API server; where that is forbidden by the ingress,
    /// if there is one.
    #[default]
    Automatic,
    /// Through the API server's services proxy.
    Proxy,
    /// By the cluster's DNS: works inside the cluster only.
    ClusterDns,
    /// By the ingress of the resource.
    Ingress,
}

impl WayChoice {
    /// Every choice with its word in the configuration.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("auto", Self::Automatic),
        ("proxy", Self::Proxy),
        ("cluster-dns", Self::ClusterDns),
        ("ingress", Self::Ingress),
    ];
}

/// Makes a transport to an address.
pub type Dial = Arc<dyn Fn(&str) -> Result<Arc<dyn Transport>, String> + Send + Sync>;

/// How ways are chosen.
#[derive(Clone, Default)]
pub struct Ways {
    /// The choice.
    pub choice: WayChoice,
    /// This process runs in a pod of the cluster.
    pub in_cluster: bool,
    /// Reaches an address directly; without it only the services proxy is left.
    pub dial: Option<Dial>,
}

impl std::fmt::Debug for Ways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ways")
            .field("choice", &self.choice)
            .field("in_cluster", &self.in_cluster)
            .finish_non_exhaustive()
    }
}

impl Ways {
    /// The way to the JobManager of a deployment.
    pub(super) fn to(&self, client: &KubeClient, deployment: &Resource) -> Way {
        let (namespace, name) = (&deployment.reference.namespace, &deployment.reference.name);
        let proxy = || -> Arc<dyn Transport> {
            Arc::new(ProxyTransport { proxy: JobManagerProxy::new(client.clone(), namespace, name) })
        };
        let by_proxy = |why: String| Way { transport: proxy(), why };
        let dial = |address: &str| match &self.dial {
            Some(dial) => dial(address),
            None => Err("no direct connections are possible here".to_owned()),
        };
        let dns = format!("http://{name}-rest.{namespace}:8081");
        let ingress = deployment.ingress.as_deref().map(|page| page.trim_end_matches('/').to_owned());
        match (self.choice, ingress) {
            (WayChoice::ClusterDns, _) => match dial(&dns) {
                Ok(transport) => Way { transport, why: format!("the cluster's DNS ({dns}): as configured") },
                Err(why) => by_proxy(format!("the API server's services proxy: {dns} cannot be used ({why})")),
            },
            (WayChoice::Ingress, Some(address)) => match dial(&address) {
                Ok(transport) => Way { transport, why: format!("the ingress ({address}): as configured") },
                Err(why) => by_proxy(format!("the API server's services proxy: {address} cannot be used ({why})")),
            },
            (WayChoice::Ingress, None) => {
                by_proxy("the API server's services proxy: the resource has no ingress".to_owned())
            }
            (WayChoice::Proxy, _) => by_proxy("the API server's services proxy: as configured".to_owned()),
            (WayChoice::Automatic, ingress) => {
                let dns = Some(&dns).filter(|_| self.in_cluster);
                let nearest = dns.and_then(|address| Some((address, dial(address).ok()?)));
                let last = ingress.as_ref().and_then(|address| Some((address, dial(address).ok()?)));
                let mut why = match nearest {
                    Some((address, _)) => {
                        format!(
                            "the cluster's DNS ({address}): this process runs in a pod; else the API server's services proxy"
                        )
                    }
                    None => "the API server's services proxy: this process is outside the cluster".to_owned(),
                };
                if let Some((address, _)) = last {
                    why.push_str(&format!("; the ingress ({address}) where that is forbidden"));
                }
                let direct = |(_, transport)| Leg { transport, direct: true };
                let proxy = Leg { transport: proxy(), direct: false };
                let legs = nearest.map(direct).into_iter().chain([proxy]).chain(last.map(direct));
                Way { transport: Arc::new(FirstThatGoes { legs: legs.collect(), current: AtomicUsize::new(0) }), why }
            }
        }
    }
}

/// One of several ways.
#[derive(Debug)]
struct Leg {
    transport: Arc<dyn Transport>,
    /// A connection of its own, not through the API server.
    direct: bool,
}

impl Leg {
    /// Nothing was sent, and another way may do better: no connection is made here, or the API server forbids the way.
    fn is_closed(&self, why: &str) -> bool {
        self.direct || why.starts_with("missing right")
    }
}

/// The first way that is open, until it closes. A request takes another way only if nothing of it was sent on the one before, so that
/// nothing is done twice.
#[derive(Debug)]
struct FirstThatGoes {
    legs: Vec<Leg>,
    current: AtomicUsize,
}

impl FirstThatGoes {
    fn leg(&self, n: usize) -> Option<&Leg> {
        self.legs.get(n % self.legs.len().max(1))
    }
}

impl Transport for FirstThatGoes {
    fn call(&self, request: flink::Request) -> flink::BoxFuture<'_, Result<flink::Response, TransportError>> {
        Box::pin(async move {
            let first = self.current.load(Ordering::Relaxed);
            let mut answer = Err(TransportError::Connect("there is no way to it".to_owned()));
            for n in first..first + self.legs.len() {
                let Some(leg) = self.leg(n) else { break };
                answer = leg.transport.call(request.clone()).await;
                match &answer {
                    Err(TransportError::Connect(why)) if leg.is_closed(why) => {}
                    _ => {
                        self.current.store(n % self.legs.len(), Ordering::Relaxed);
                        break;
                    }
                }
            }
            answer
        })
    }

    fn target(&self) -> &str {
        self.leg(self.current.load(Ordering::Relaxed)).map_or("", |leg| leg.transport.target())
    }
}

/// The way to a JobManager through the API server's services proxy.
#[derive(Debug)]
pub(super) struct ProxyTransport {
    proxy: JobManagerProxy,
}

impl Transport for ProxyTransport {
    fn call(&self, request: flink::Request) -> flink::BoxFuture<'_, Result<flink::Response, TransportError>> {
        let flink::Request { method, path, headers, body, deadline, body_limit } = request;
        Box::pin(async move {
            let request = ProxyRequest { method, path, headers, body, deadline, limit: body_limit };
            match self.proxy.send(request).await {
                Ok(answer) => Ok(flink::Response { status: answer.status, headers: answer.headers, body: answer.body }),
                Err(KubeError::Timeout { after, .. }) => Err(TransportError::Timeout(after)),
                Err(KubeError::TooLarge { limit, .. }) => Err(TransportError::TooLarge(limit)),
                Err(error @ (KubeError::Unreachable { .. } | KubeError::Malformed { .. })) => {
                    Err(TransportError::Broken(error.to_string()))
                }
                // The API server answered for itself: the JobManager was never asked.
                Err(error) => Err(TransportError::Connect(error.to_string())),
            }
        })
    }

    fn target(&self) -> &str {
        self.proxy.target()
    }
}

#[cfg(test)]
mod tests;
