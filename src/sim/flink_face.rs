//! The Flink REST face of an embedded cluster: what a JobManager of its version answers, with its caches and its errors.
//!
//! Builds its bodies itself and shares no types with the client, so that a test against recordings of real clusters judges
//! both. A face is one `tower::Service` per cluster; listening is somebody else's work.

mod actions;
mod caches;
mod checkpoints;
mod cluster;
pub mod dump;
mod errors;
mod jars;
mod jobs;
mod metrics;
pub mod request;
mod routes;
mod vertices;
mod view;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

pub(in crate::sim) use dump::java_double;
pub use request::{Answer, Request};

use self::caches::Caches;
use super::cluster::JobManager;
use super::fault::Fault;
use super::world::SharedWorld;

/// Largest request body that is read, bytes.
const MAX_BODY: usize = 1 << 20;

/// The JobManager cannot be reached: it is starting, gone, or was never there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("connection refused")]
pub struct Refused;

/// The REST API of one cluster's JobManager. Clones share their caches.
#[derive(Debug, Clone)]
pub struct FlinkFace {
    world: SharedWorld,
    cluster: Arc<str>,
    caches: Arc<Mutex<Caches>>,
}

/// What faults do to a request.
struct Meddling {
    refused: bool,
    delay: Duration,
    status: Option<u16>,
}

impl FlinkFace {
    /// The face of the cluster with this name; it need not exist yet.
    pub fn new(world: SharedWorld, cluster: impl Into<Arc<str>>) -> Self {
        Self { world, cluster: cluster.into(), caches: Arc::default() }
    }

    /// Name of its cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Whether a connection would be accepted now.
    pub fn is_reachable(&self) -> bool {
        !self.meddling().refused
    }

    fn meddling(&self) -> Meddling {
        self.world.with(|world| {
            world.wake(&self.cluster);
            let up = world.cluster(&self.cluster).is_some_and(|c| matches!(c.jobmanager, JobManager::Up { .. }));
            let mut meddling = Meddling { refused: !up, delay: Duration::ZERO, status: None };
            for fault in world.faults().acting() {
                match fault {
                    Fault::FlinkGone { cluster } if **cluster == *self.cluster => meddling.refused = true,
                    Fault::FlinkSlow { cluster, delay } if **cluster == *self.cluster => {
                        meddling.delay += Duration::from_millis(u64::try_from(*delay).unwrap_or(0));
                    }
                    Fault::FlinkErrors { cluster, status } if **cluster == *self.cluster => {
                        meddling.status = Some(*status);
                    }
                    _ => {}
                }
            }
            meddling
        })
    }

    /// Answers a request; slow answers sleep by tokio's clock.
    ///
    /// # Errors
    /// If the JobManager cannot be reached.
    pub async fn call(&self, request: &Request) -> Result<Answer, Refused> {
        let meddling = self.meddling();
        if meddling.refused {
            return Err(Refused);
        }
        if !meddling.delay.is_zero() {
            tokio::time::sleep(meddling.delay).await;
        }
        if let Some(status) = meddling.status {
            return Ok(errors::plain(
                status,
                "Service temporarily unavailable due to an ongoing leader election. Please refresh.",
            ));
        }
        self.answer(request)
    }

    /// Answers a request at once, whatever faults act on the way to the JobManager.
    ///
    /// # Errors
    /// If there is no such cluster.
    pub fn answer(&self, request: &Request) -> Result<Answer, Refused> {
        let now = self.world.now();
        self.world.with(|world| {
            let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
            routes::answer(world, &mut caches, &self.cluster, now, request).ok_or(Refused)
        })
    }

    /// The face as an HTTP service.
    pub fn router(&self) -> axum::Router {
        let face = self.clone();
        axum::Router::new().fallback(move |request: axum::extract::Request| {
            let face = face.clone();
            async move { face.respond(request).await }
        })
    }

    async fn respond(&self, request: axum::extract::Request) -> Response<Body> {
        self.exchange(request).await.unwrap_or_else(|Refused| broken())
    }

    /// Reads an HTTP request and answers it.
    pub(super) async fn exchange(&self, request: axum::extract::Request) -> Result<Response<Body>, Refused> {
        let (parts, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
            return Ok(http(&errors::plain(413, "Request body too large.")));
        };
        let target = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let request = Request { method: parts.method.as_str().to_owned(), target, body: body.to_vec() };
        self.call(&request).await.map(|answer| http(&answer))
    }
}

/// An answer in the form of the wire.
pub fn http(answer: &Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// An answer that breaks off: a connection that was open when its JobManager went away ends so.
fn broken() -> Response<Body> {
    let cut = futures::stream::once(async {
        Err::<axum::body::Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    let mut response = Response::new(Body::from_stream(cut));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
