//! The thin shell around the faces: listeners on loopback, the beat of time, and a handle that stops it all.
//!
//! Everything of substance is in the world and its faces; tests with paused time use those without this shell.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fault::FaultSpec;
use super::flink_face::{Answer, FlinkFace, http};
use super::kubernetes::{ApiServer, KubernetesFace};
use super::operator::Operator;
use super::scenario::{Scenario, ScenarioError};
use super::spec::ClusterKind;
use super::world::{SharedWorld, World};
use crate::clock::Clock;

/// Time between two beats, when nobody asks: the world goes on in small steps rather than in a large one at the next request.
const BEAT: Duration = Duration::from_millis(250);
/// How long open requests may take to end when the simulator stops.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// What time it follows.
    pub clock: Arc<dyn Clock>,
    /// Where it listens.
    pub address: IpAddr,
    /// Port of the Kubernetes API; 0 for any. Flink faces always take any.
    pub port: u16,
    /// Seed instead of the scenario's.
    pub seed: Option<u64>,
}

impl SimOptions {
    /// On loopback, any port, the scenario's seed.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0, seed: None }
    }
}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The scenario cannot be used.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// An address cannot be listened on.
    #[error("the embedded cluster cannot listen on {address}: {source}; choose another address or port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// One served JobManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlinkAddress {
    /// Name of the cluster.
    pub cluster: String,
    /// How the cluster came to be: plain ones are known by this address only.
    pub kind: ClusterKind,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

/// The faces of all clusters of a world, made when first asked for; a face keeps its caches.
#[derive(Debug, Clone)]
pub struct Faces {
    world: SharedWorld,
    known: Arc<Mutex<HashMap<String, FlinkFace>>>,
}

impl Faces {
    /// The faces of this world.
    pub fn new(world: SharedWorld) -> Self {
        Self { world, known: Arc::default() }
    }

    /// The face of the cluster with this name, whether or not it exists at the moment.
    pub fn of(&self, cluster: &str) -> FlinkFace {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let face = known.entry(cluster.to_owned());
        face.or_insert_with(|| FlinkFace::new(self.world.clone(), cluster)).clone()
    }

    /// The service of a cluster that exists.
    pub fn router(&self, cluster: &str) -> Option<Router> {
        self.world.with(|world| world.cluster(cluster).is_some()).then(|| self.of(cluster).router())
    }
}

/// A running simulator. It stops when told to, or when this handle is dropped.
#[derive(Debug)]
pub struct Sim {
    /// Its world.
    pub world: SharedWorld,
    /// Its JobManagers.
    pub flink: Vec<FlinkAddress>,
    /// URL of its Kubernetes API.
    pub kubernetes: String,
    /// Its API server, with the resources of the scenario and an operator for them.
    pub api: ApiServer,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Sim {
    /// Runs something along with the simulator, until it stops.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Closes its listeners and waits for what runs; open requests have a second to end.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Starts a scenario: builds its world, runs the pre-run, and serves every face on its own port.
///
/// # Errors
/// If the scenario makes no sense or an address cannot be listened on.
pub async fn start(scenario: &Scenario, options: SimOptions) -> Result<Sim, SimError> {
    let scenario = Scenario { seed: options.seed.unwrap_or(scenario.seed), ..scenario.clone() };
    let world = scenario.build(options.clock.now())?;
    let world = SharedWorld::new(world, options.clock.clone());
    let faces = Faces::new(world.clone());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();

    let clusters: Vec<(String, ClusterKind)> = world.with(|w| {
        // Copies by the thousand are reached through the API server only.
        let one_by_one = w.clusters().iter().filter(|c| !c.is_copy());
        one_by_one.map(|c| (c.name().to_owned(), c.spec.kind)).collect()
    });
    let mut flink = Vec::new();
    for (cluster, kind) in clusters {
        let face = faces.of(&cluster);
        let (listener, address) = listen(SocketAddr::new(options.address, 0)).await?;
        let gate = face.clone();
        let listener = Gated { listener, open: Box::new(move || gate.is_reachable()) };
        let router = face.router().merge(fault_router(world.clone()));
        tasks.spawn(serve(listener, router, stop.clone()));
        flink.push(FlinkAddress { cluster, kind, url: format!("http://{address}") });
    }

    let by_name = faces.clone();
    let api = ApiServer::new(world.clone(), Arc::new(move |cluster: &str| by_name.router(cluster)));
    let (listener, address) = listen(SocketAddr::new(options.address, options.port)).await?;
    tasks.spawn(serve(
        Gated { listener, open: Box::new(|| true) },
        KubernetesFace::new(api.clone()).router(),
        stop.clone(),
    ));
    let operator = Operator::install(api.clone(), &scenario);
    let ended = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = ended.cancelled() => {}
            () = operator.run() => {}
        }
    });
    tasks.spawn(beat(world.clone(), stop.clone()));
    Ok(Sim { world, flink, kubernetes: format!("http://{address}"), api, stop, tasks })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), SimError> {
    let error = |source| SimError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    Ok((listener, bound))
}

async fn beat(world: SharedWorld, stop: CancellationToken) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => world.with(|_| ()),
        }
    }
}

async fn serve(listener: Gated, router: Router, stop: CancellationToken) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::warn!(%error, "the embedded cluster stopped listening");
    }
}

/// A listener that closes connections at once while nobody is there to answer, as near to a refusal as a port that stays
/// bound can come.
struct Gated {
    listener: TcpListener,
    open: Box<dyn Fn() -> bool + Send>,
}

impl axum::serve::Listener for Gated {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) if (self.open)() => return (stream, peer),
                Ok(_) => {}
                // Out of file descriptors, most likely: others must go before the next can come.
                Err(error) => {
                    tracing::debug!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// `/sim/faults`: `GET` lists, `POST` lets one begin (the form of a scenario's `[[fault]]`, as JSON), `DELETE` ends all that
/// act.
fn fault_router(world: SharedWorld) -> Router {
    Router::new().route(
        "/sim/faults",
        axum::routing::any(move |request: Request| {
            let world = world.clone();
            async move { http(&faults(&world, request).await) }
        }),
    )
}

async fn faults(world: &SharedWorld, request: Request) -> Answer {
    let refuse = |status: u16, why: String| Answer { status, body: json!({ "errors": [why] }) };
    match *request.method() {
        Method::GET => world.with(|world| {
            let all = world.faults().all().iter();
            let list: Vec<Value> =
                all.map(|f| json!({ "fault": format!("{:?}", f.fault), "from": f.from, "until": f.until })).collect();
            Answer::ok(Value::Array(list))
        }),
        Method::POST => {
            let Ok(body) = axum::body::to_bytes(request.into_body(), 64 << 10).await else {
                return refuse(413, "the body is too large".to_owned());
            };
            match serde_json::from_slice::<FaultSpec>(&body) {
                Err(why) => refuse(400, why.to_string()),
                Ok(spec) => match world.with(|world| world.inject(spec)) {
                    Ok(()) => Answer::ok(json!({})),
                    Err(why) => refuse(400, why),
                },
            }
        }
        Method::DELETE => {
            world.with(World::clear_faults);
            Answer::ok(json!({}))
        }
        _ => refuse(405, "GET, POST or DELETE".to_owned()),
    }
}

impl<B> tower::Service<axum::http::Request<B>> for FlinkFace
where
    B: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = axum::http::Response<axum::body::Body>;
    type Error = super::flink_face::Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::http::Request<B>) -> Self::Future {
        let face = self.clone();
        Box::pin(async move { face.exchange(request.map(axum::body::Body::new)).await })
    }
}
