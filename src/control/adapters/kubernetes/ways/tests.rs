use std::sync::Mutex;
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::Full;

use super::*;
use crate::control::ownership::tests::resource;
use crate::kubernetes::Limits;

/// Where requests went.
type Trace = Arc<Mutex<Vec<String>>>;

/// A direct connection that answers, or that is never made.
#[derive(Debug)]
struct Direct {
    address: String,
    open: bool,
    trace: Trace,
}

impl Transport for Direct {
    fn call(&self, _: flink::Request) -> flink::BoxFuture<'_, Result<flink::Response, TransportError>> {
        Box::pin(async {
            self.trace.lock().unwrap().push(self.address.clone());
            if !self.open {
                return Err(TransportError::Connect("refused".into()));
            }
            Ok(flink::Response { status: StatusCode::OK, headers: Default::default(), body: Default::default() })
        })
    }

    fn target(&self) -> &str {
        &self.address
    }
}

/// The API server answers what goes through its proxy with this status: 200 as Flink would, else for itself.
fn client(status: u16, trace: &Trace) -> KubeClient {
    let trace = Arc::clone(trace);
    let server = tower::service_fn(move |request: http::Request<_>| {
        trace.lock().unwrap().push(request.uri().path().to_owned());
        let text = match status {
            200 => "{}".to_owned(),
            code => format!(r#"{{"kind":"Status","apiVersion":"v1","code":{code},"message":"said by the server"}}"#),
        };
        async move { http::Response::builder().status(status).body(Full::new(bytes::Bytes::from(text))) }
    });
    KubeClient::from_service(server, "https://api", Limits::default())
}

fn request() -> flink::Request {
    flink::Request {
        method: Method::GET,
        path: "/config".into(),
        headers: Default::default(),
        body: Default::default(),
        deadline: Duration::from_secs(1),
        body_limit: 1 << 20,
    }
}

struct Case {
    way: Way,
    trace: Trace,
}

impl Case {
    fn of(choice: WayChoice, in_cluster: bool, ingress: bool, status: u16, open: bool) -> Self {
        let trace = Trace::default();
        let traced = Arc::clone(&trace);
        let dial: Dial = Arc::new(move |address: &str| {
            Ok(Arc::new(Direct { address: address.to_owned(), open, trace: Arc::clone(&traced) }) as Arc<dyn Transport>)
        });
        let mut deployment = resource(&[]);
        deployment.ingress = ingress.then(|| "https://flink.example/orders/".to_owned());
        let ways = Ways { choice, in_cluster, dial: Some(dial) };
        Self { way: ways.to(&client(status, &trace), &deployment), trace }
    }

    async fn goes(&self) -> Result<Vec<String>, String> {
        self.trace.lock().unwrap().clear();
        let answer = self.way.transport.call(request()).await;
        let trace = self.trace.lock().unwrap().clone();
        answer.map(|_| trace).map_err(|error| error.to_string())
    }
}

const PROXY: &str = "/api/v1/namespaces/shop/services/orders-rest:8081/proxy/config";
const DNS: &str = "http://orders-rest.shop:8081";
const INGRESS: &str = "https://flink.example/orders";

#[tokio::test]
async fn a_configured_way_is_taken_and_says_so() {
    for (choice, way, words) in [
        (WayChoice::Proxy, PROXY, "services proxy: as configured"),
        (WayChoice::ClusterDns, DNS, "the cluster's DNS (http://orders-rest.shop:8081): as configured"),
        (WayChoice::Ingress, INGRESS, "the ingress (https://flink.example/orders): as configured"),
    ] {
        let case = Case::of(choice, false, true, 200, true);
        assert_eq!(case.goes().await.unwrap(), [way]);
        assert!(case.way.why.contains(words), "{}", case.way.why);
    }
    let none = Case::of(WayChoice::Ingress, false, false, 200, true);
    assert_eq!(none.goes().await.unwrap(), [PROXY]);
    assert!(none.way.why.contains("has no ingress"), "{}", none.way.why);
}

#[tokio::test]
async fn outside_the_proxy_is_taken_and_the_ingress_from_the_first_refusal_on() {
    let well = Case::of(WayChoice::Automatic, false, true, 200, true);
    assert_eq!(well.goes().await.unwrap(), [PROXY]);
    assert!(well.way.why.contains("outside the cluster") && well.way.why.contains(INGRESS), "{}", well.way.why);

    let forbidden = Case::of(WayChoice::Automatic, false, true, 403, true);
    assert_eq!(forbidden.goes().await.unwrap(), [PROXY, INGRESS]);
    assert_eq!(forbidden.goes().await.unwrap(), [INGRESS], "the way that goes is kept");
    assert_eq!(forbidden.way.transport.target(), INGRESS);

    let alone = Case::of(WayChoice::Automatic, false, false, 403, true);
    assert!(alone.goes().await.unwrap_err().contains("missing right: get services/proxy"));
    // No endpoints: the JobManager is not there by any way, and nobody else is asked.
    let down = Case::of(WayChoice::Automatic, false, true, 503, true);
    assert!(down.goes().await.unwrap_err().contains("503"));
    assert_eq!(*down.trace.lock().unwrap(), [PROXY]);
}

#[tokio::test]
async fn in_a_pod_the_clusters_dns_is_taken_and_else_the_proxy() {
    let well = Case::of(WayChoice::Automatic, true, false, 200, true);
    assert_eq!(well.goes().await.unwrap(), [DNS]);
    assert!(well.way.why.contains("runs in a pod"), "{}", well.way.why);
    let closed = Case::of(WayChoice::Automatic, true, false, 200, false);
    assert_eq!(closed.goes().await.unwrap(), [DNS, PROXY]);
    assert_eq!(closed.goes().await.unwrap(), [PROXY]);
}

#[tokio::test]
async fn without_direct_connections_the_proxy_is_left() {
    let ways = Ways { choice: WayChoice::ClusterDns, in_cluster: true, dial: None };
    let way = ways.to(&client(200, &Trace::default()), &resource(&[]));
    assert!(way.why.contains("services proxy") && way.why.contains("no direct connections"), "{}", way.why);
}
