//! Servers on loopback for the tests: plain and TLS, counting connections, stopped when dropped.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use flightdeck::flink::{ClientOptions, FlinkClient, HttpOptions, HttpTransport, install_crypto_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    scheme: &'static str,
    task: JoinHandle<io::Result<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn http(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Counted { listener, connections: connections.clone() };
        let task = tokio::spawn(async move { axum::serve(counted, router).await });
        Self { address, connections, scheme: "http", task }
    }

    /// With the server certificate of `tests/data/tls`; `client_auth` asks for a certificate of the same authority.
    pub async fn https(router: Router, client_auth: bool) -> Self {
        install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(tls("ca.pem")).unwrap()).unwrap();
        let builder = ServerConfig::builder();
        let builder = if client_auth {
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(tls("server.pem")).unwrap()];
        let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(tls("server.key")).unwrap()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let secured = Secured { inner: Counted { listener, connections: connections.clone() }, acceptor };
        let task = tokio::spawn(async move { axum::serve(secured, router).await });
        Self { address, connections, scheme: "https", task }
    }

    /// Its address with a host name and a path.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    pub fn options(&self) -> HttpOptions {
        HttpOptions::new(self.url("localhost", "").parse().unwrap())
    }

    pub fn client(&self) -> FlinkClient {
        client(&self.options())
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub fn client(options: &HttpOptions) -> FlinkClient {
    FlinkClient::new(Arc::new(HttpTransport::new(options).unwrap()), ClientOptions::default())
}

/// A client with a short deadline and a small limit of bodies.
pub fn strict(options: &HttpOptions, deadline: Duration, body_limit: usize) -> FlinkClient {
    let limits = ClientOptions { read_deadline: deadline, body_limit, ..ClientOptions::default() };
    FlinkClient::new(Arc::new(HttpTransport::new(options).unwrap()), limits)
}

pub fn tls(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

struct Counted {
    listener: TcpListener,
    connections: Arc<AtomicUsize>,
}

impl Listener for Counted {
    type Io = TcpStream;
    type Addr = SocketAddr;
    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if let Ok(accepted) = self.listener.accept().await {
                self.connections.fetch_add(1, Ordering::SeqCst);
                return accepted;
            }
        }
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

struct Secured {
    inner: Counted,
    acceptor: TlsAcceptor,
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;
    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.inner.accept().await;
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}
