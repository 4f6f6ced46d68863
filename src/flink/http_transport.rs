//! The [`Transport`] over sockets: reqwest with rustls.
//!
//! Owns connections, TLS, proxies, redirects and credentials of one JobManager's address. Values of headers and tokens are
//! given by the caller and never appear in messages, logs or `Debug` output.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use futures::TryStreamExt;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use url::{Host, Url};

use super::transport::{BoxFuture, Request, Response, Transport, TransportError, collect_bounded};

/// Redirects that are followed for one GET.
const MAX_REDIRECTS: usize = 3;

/// Installs rustls' ring provider for the process. Call it first in `main`; calling it again does nothing.
pub fn install_crypto_provider() {
    // An error only means that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value; white space around it (a newline at the end of a file) is dropped.
    pub fn new(value: &str) -> Self {
        Self(value.trim().to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How to reach one JobManager.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Its base address; a path in it (ingress, API server or gateway proxy) is kept before every call's path.
    pub base: Url,
    /// PEM file with the certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client's certificate chain; may hold the key too.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file with the client's private key, if it is not in the certificate's file.
    pub client_key_file: Option<PathBuf>,
    /// Extra headers: name and value.
    pub headers: Vec<(String, Secret)>,
    /// Bearer token for `Authorization`.
    pub bearer_token: Option<Secret>,
    /// Accept any certificate for any name. The connection is then open to everyone in between.
    pub insecure: bool,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
}

impl HttpOptions {
    /// The address alone, everything else as usual.
    pub fn new(base: Url) -> Self {
        Self {
            base,
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            headers: Vec::new(),
            bearer_token: None,
            insecure: false,
            connect_timeout: Duration::from_secs(3),
        }
    }
}

/// Why a transport cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address is of no use.
    #[error("{url}: not an address of a JobManager: {why}")]
    Address {
        /// The address, without credentials.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read the {what} {}: {source}", path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("the {what} {} is of no use: {why}", path.display())]
    Pem {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The library's words.
        why: String,
    },
    /// A header that cannot be sent.
    #[error("the header {name:?} cannot be sent: its {part} has characters that HTTP does not allow")]
    Header {
        /// Its name.
        name: String,
        /// `name` or `value`.
        part: &'static str,
    },
    /// A key without a certificate.
    #[error("a client key needs a client certificate: give its file too")]
    KeyWithoutCertificate,
    /// The HTTP library refused.
    #[error("cannot set up the connection to {target}: {why}")]
    Client {
        /// Where to.
        target: String,
        /// The library's words.
        why: String,
    },
}

/// [`Transport`] over sockets. Keeps connections alive and uses the proxy variables of the environment, except for loopback
/// addresses.
pub struct HttpTransport {
    client: reqwest::Client,
    base: Url,
    prefix: String,
    target: String,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("target", &self.target).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// Sets up a transport; connects nowhere yet.
    ///
    /// # Errors
    /// [`SetupError`] if the address, a file or a header is of no use.
    pub fn new(options: &HttpOptions) -> Result<Self, SetupError> {
        install_crypto_provider();
        let mut base = options.base.clone();
        base.set_query(None);
        base.set_fragment(None);
        let target = {
            let mut shown = base.clone();
            // These fail only for addresses without a host, which are refused below.
            let _ = shown.set_username("");
            let _ = shown.set_password(None);
            shown.to_string().trim_end_matches('/').to_owned()
        };
        let refused = |why| SetupError::Address { url: target.clone(), why };
        if !matches!(base.scheme(), "http" | "https") {
            return Err(refused("it must begin with http:// or https://"));
        }
        let Some(host) = base.host() else {
            return Err(refused("it names no host"));
        };
        if !base.username().is_empty() || base.password().is_some() {
            return Err(refused("credentials do not belong into an address; give a header or a bearer token"));
        }
        let loopback = match host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        };

        let build = |no_system_roots: bool| -> Result<Result<reqwest::Client, reqwest::Error>, SetupError> {
            let mut builder = reqwest::Client::builder()
                .user_agent(concat!("flightdeck/", env!("CARGO_PKG_VERSION")))
                .default_headers(default_headers(options)?)
                .connect_timeout(options.connect_timeout)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .tcp_keepalive(Duration::from_secs(30))
                .pool_idle_timeout(Duration::from_secs(90))
                .tls_danger_accept_invalid_certs(options.insecure);
            if loopback {
                builder = builder.no_proxy();
            }
            if let Some(path) = &options.ca_file {
                builder = builder.tls_certs_only(certificates(path)?);
            } else if no_system_roots {
                builder = builder.tls_certs_only([]);
            }
            if let Some(identity) = identity(options)? {
                builder = builder.identity(identity);
            }
            Ok(builder.build())
        };
        // A machine without any CA bundle (a bare container) can still speak plain HTTP and to a named CA.
        let client = match build(false)? {
            Ok(client) => client,
            Err(first) => {
                build(true)?.map_err(|_| SetupError::Client { target: target.clone(), why: chain(&first, &target) })?
            }
        };
        let prefix = base.path().trim_end_matches('/').to_owned();
        Ok(Self { client, base, prefix, target })
    }

    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut url = self.url(&request.path)?;
        let get = request.method == Method::GET;
        for hop in 0.. {
            let answer = self
                .client
                .request(request.method.clone(), url.clone())
                .headers(request.headers.clone())
                .timeout(request.deadline)
                .body(request.body.clone())
                .send()
                .await
                .map_err(|e| self.error(&e, request.deadline))?;
            let status = answer.status();
            if get
                && hop < MAX_REDIRECTS
                && let Some(next) = self.redirect(&url, status, answer.headers())
            {
                url = next;
                continue;
            }
            let headers = answer.headers().clone();
            if answer.content_length().is_some_and(|length| length > request.body_limit as u64) {
                return Err(TransportError::TooLarge(request.body_limit));
            }
            let mut failed = None;
            let stream = answer.bytes_stream().map_err(|e| {
                let error = self.error(&e, request.deadline);
                let words = error.to_string();
                failed = Some(error);
                words
            });
            let body = collect_bounded(stream, request.body_limit).await;
            return match (body, failed) {
                (Err(TransportError::Broken(_)), Some(error)) => Err(error),
                (body, _) => body.map(|body| Response { status, headers, body }),
            };
        }
        Err(TransportError::Invalid("too many redirects".to_owned()))
    }

    fn url(&self, path: &str) -> Result<Url, TransportError> {
        let mut url = self.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        if !path.starts_with('/') {
            return Err(TransportError::Invalid(format!("the path {path:?} does not begin with a slash")));
        }
        url.set_path(&format!("{}{path}", self.prefix));
        url.set_query(query);
        Ok(url)
    }

    /// Where a redirect leads, if it is one that is followed: to the same host, never from https to http (credentials go along).
    fn redirect(&self, from: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let to = from.join(headers.get(LOCATION)?.to_str().ok()?).ok()?;
        let same_host = to.host() == from.host();
        let same_service = to.scheme() == from.scheme() && to.port_or_known_default() == from.port_or_known_default();
        let upgraded = from.scheme() == "http" && to.scheme() == "https";
        (same_host && (same_service || upgraded)).then_some(to)
    }

    fn error(&self, error: &reqwest::Error, deadline: Duration) -> TransportError {
        let why = chain(error, &self.target);
        if error.source().is_some_and(is_tls) {
            TransportError::Tls(why)
        } else if error.is_connect() {
            TransportError::Connect(why)
        } else if error.is_timeout() {
            TransportError::Timeout(deadline)
        } else if error.is_builder() {
            TransportError::Invalid(why)
        } else {
            TransportError::Broken(why)
        }
    }
}

impl Transport for HttpTransport {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(self.send(request))
    }

    fn target(&self) -> &str {
        &self.target
    }
}

/// A TLS library's error is somewhere in the chain. I/O errors carry theirs inside, not as a source.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || inside.is_some_and(|inner| is_tls(inner)) || error.source().is_some_and(is_tls)
}

/// The causes of an error, outermost first, without the address (which may carry credentials) and without repetition.
fn chain(error: &reqwest::Error, target: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        // "client error (Connect)" only says what the variant says already.
        if !text.starts_with("client error (") && words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        source = inner.source();
    }
    if words.is_empty() {
        return if error.is_timeout() { "timed out".to_owned() } else { format!("no connection to {target}") };
    }
    words.join(": ")
}

fn default_headers(options: &HttpOptions) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        let refused = |part| SetupError::Header { name: name.clone(), part };
        let key = HeaderName::try_from(name.as_str()).map_err(|_| refused("name"))?;
        let mut value = HeaderValue::try_from(value.0.as_str()).map_err(|_| refused("value"))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    if let Some(Secret(token)) = &options.bearer_token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| SetupError::Header { name: AUTHORIZATION.to_string(), part: "value" })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn read(what: &'static str, path: &PathBuf) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|source| SetupError::File { what, path: path.clone(), source })
}

fn certificates(path: &PathBuf) -> Result<Vec<reqwest::Certificate>, SetupError> {
    let what = "CA file";
    let refused = |why: String| SetupError::Pem { what, path: path.clone(), why };
    let found = reqwest::Certificate::from_pem_bundle(&read(what, path)?).map_err(|e| refused(chain(&e, "")))?;
    if found.is_empty() {
        return Err(refused("there is no certificate in PEM form in it".to_owned()));
    }
    Ok(found)
}

fn identity(options: &HttpOptions) -> Result<Option<reqwest::Identity>, SetupError> {
    let Some(path) = &options.client_certificate_file else {
        return match options.client_key_file {
            Some(_) => Err(SetupError::KeyWithoutCertificate),
            None => Ok(None),
        };
    };
    let mut pem = read("client certificate", path)?;
    if let Some(key) = &options.client_key_file {
        pem.push(b'\n');
        pem.extend(read("client key", key)?);
    }
    reqwest::Identity::from_pem(&pem).map(Some).map_err(|e| SetupError::Pem {
        what: "client certificate with its key",
        path: path.clone(),
        why: chain(&e, ""),
    })
}
