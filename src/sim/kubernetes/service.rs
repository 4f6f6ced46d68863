//! The face as a service, and the faults that happen before a request is looked at.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response, StatusCode};

use super::ApiServer;
use super::asked::refuse;
use super::routes::answer;
use super::weather::Weather;

/// The API server takes no connections at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("connection refused")]
pub struct Gone;

/// The API server as a service, for a listener or in place of one.
#[derive(Debug, Clone)]
pub struct KubernetesFace {
    server: ApiServer,
}

impl KubernetesFace {
    /// The face of a server.
    pub fn new(server: ApiServer) -> Self {
        Self { server }
    }

    /// The face for a listener: while the API server is gone, connections break before an answer is complete.
    pub fn router(self) -> axum::Router {
        axum::Router::new().fallback_service(tower::service_fn(move |request: Request<Body>| {
            let server = self.server.clone();
            async move {
                let response = handle(server, request).await.unwrap_or_else(|Gone| broken());
                Ok::<_, Infallible>(response)
            }
        }))
    }
}

impl<B> tower::Service<Request<B>> for KubernetesFace
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Gone;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Gone>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.server.clone();
        Box::pin(handle(server, request.map(Body::new)))
    }
}

async fn handle(server: ApiServer, request: Request<Body>) -> Result<Response<Body>, Gone> {
    // The way to order faults must stay open while they act.
    if !request.uri().path().starts_with("/sim/") {
        let weather = Weather::now(&server);
        if weather.gone {
            return Err(Gone);
        }
        if !weather.delay.is_zero() {
            tokio::time::sleep(weather.delay).await;
        }
        if let Some(failure) = weather.refused {
            return Ok(refuse(&failure));
        }
    }
    Ok(answer(server, request).await.unwrap_or_else(|failure| refuse(&failure)))
}

/// An answer that breaks off, as near to a refused connection as a listener that stays open can come.
fn broken() -> Response<Body> {
    let cut =
        futures::stream::once(async { Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset)) });
    let mut response = Response::new(Body::from_stream(cut));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
