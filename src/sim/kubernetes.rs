//! The Kubernetes face of the embedded cluster: an API server that `kubectl` and any client believe.
//!
//! Owns objects with versions ([`store`]), discovery, lists, watches, patches and the services proxy to JobManagers. It builds its bodies by
//! itself and shares no wire types with any client. The operator that gives its objects life is `sim::operator`.

pub mod failure;
pub mod kinds;
pub mod patch;
pub mod schema;
pub mod selector;
pub mod store;

mod discovery;
mod requests;
mod routes;
mod service;
mod table;
mod watching;

pub use service::{Gone, KubernetesFace};

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use serde_json::{Value, json};
use tokio::sync::watch;

use kinds::Kind;
use store::{Key, Store, Write};

use super::world::SharedWorld;

/// Finds the Flink face of a cluster by its name; none while there is no such cluster.
pub type FlinkFaces = Arc<dyn Fn(&str) -> Option<Router> + Send + Sync>;

/// The API server. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

struct Inner {
    store: Mutex<Store>,
    changed: watch::Sender<u64>,
    /// Beginning of the fault that the history was last compacted for.
    compacted_for: AtomicI64,
    world: SharedWorld,
    flink: FlinkFaces,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("version", &*self.inner.changed.borrow()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server with the usual namespaces and nothing else.
    pub fn new(world: SharedWorld, flink: FlinkFaces) -> Self {
        let (changed, _) = watch::channel(0);
        let server = Self {
            inner: Arc::new(Inner {
                store: Mutex::new(Store::default()),
                changed,
                compacted_for: AtomicI64::new(i64::MIN),
                world,
                flink,
            }),
        };
        for name in ["default", "kube-system"] {
            server.create_namespace(name);
        }
        server
    }

    /// Makes sure that a namespace exists.
    pub fn create_namespace(&self, name: &str) {
        let body =
            json!({"metadata": {"labels": {"kubernetes.io/metadata.name": name}}, "status": {"phase": "Active"}});
        // It may exist already.
        let _ = self.with_store(|store, now| store.create(Key::new(Kind::Namespace, "", name), body, now, Write::Real));
    }

    /// The world behind it.
    pub fn world(&self) -> &SharedWorld {
        &self.inner.world
    }

    /// Looks at the objects or changes them; `act` also gets the time of the world in epoch milliseconds. Watches learn of every change.
    pub fn with_store<R>(&self, act: impl FnOnce(&mut Store, i64) -> R) -> R {
        let now = self.inner.world.now();
        let mut store = self.inner.store.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut store, now);
        let version = store.version();
        drop(store);
        self.inner.changed.send_if_modified(|seen| std::mem::replace(seen, version) != version);
        result
    }

    /// One object as it is now.
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.with_store(|store, _| store.get(key).cloned())
    }

    /// Told of the version of every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// Forgets the history once for a fault that began at this moment.
    fn compact_for(&self, fault: i64) {
        if self.inner.compacted_for.swap(fault, Ordering::Relaxed) != fault {
            self.with_store(|store, _| store.compact());
        }
    }

    fn flink(&self, cluster: &str) -> Option<Router> {
        (self.inner.flink)(cluster)
    }
}
