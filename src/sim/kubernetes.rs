//! The Kubernetes face of the embedded cluster: an API server that `kubectl` and any client believe.
//!
//! Owns objects with versions ([`store`]), discovery, lists, watches, patches, logs and the services proxy to JobManagers. It builds its
//! bodies by itself and shares no wire types with any client. What gives its objects life (operator, controllers, nodes) is elsewhere in `sim`
//! and works through [`ApiServer`]:
//!
//! * [`ApiServer::with_store`] creates, updates, deletes, lists objects of any [`kinds::Kind`] ([`store::Store`]);
//! * [`ApiServer::changes`] tells that something changed, [`store::Store::since`] says what;
//! * [`ApiServer::logs`] takes the lines that containers write ([`logs::Logs`]); they go with their pod;
//! * a pod that has a node and is deleted through the API ends like a real one: a deletion time, a moment, then it is gone.

pub mod access;
pub mod definitions;
pub mod failure;
pub mod kinds;
pub mod logs;
pub mod managed;
pub mod patch;
pub mod schema;
pub mod selector;
pub mod store;
pub mod strategic;
pub mod view;

mod asked;
mod changing;
mod discovery;
mod listing;
mod openapi;
mod protobuf;
mod proxy;
mod requests;
mod routes;
mod scale;
mod service;
mod table;
mod watching;
mod weather;

pub use service::{Gone, KubernetesFace};

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use serde_json::{Value, json};
use tokio::sync::watch;

use access::Rule;
use kinds::Kind;
use logs::Logs;
use managed::Author;
use store::{Key, Part, Store, Write};

use super::operator::Release;
use super::scenario::Scenario;
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
    logs: Arc<Logs>,
    rules: Mutex<Arc<[Rule]>>,
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
                logs: Arc::default(),
                rules: Mutex::new(Arc::new([])),
                changed,
                compacted_for: AtomicI64::new(i64::MIN),
                world,
                flink,
            }),
        };
        for name in ["default", "kube-system"] {
            server.create_namespace(name);
        }
        for kind in definitions::of_release(Release::OLDEST) {
            definitions::install(&server, kind);
        }
        server
    }

    /// Brings the server in line with a scenario: the kinds of its operator's release, and who may do what.
    pub fn configure(&self, scenario: &Scenario) {
        let release = scenario.operator.version;
        self.with_store(|store, _| {
            store.set_release(release);
            // They describe the fields of the release.
            for kind in Kind::ALL {
                if let Some(mut definition) = store.get(&definitions::key(kind)).map(|d| (**d).clone()) {
                    definition["spec"] = definitions::spec(kind, release);
                    let _ = store.update(&definitions::key(kind), Part::Main, 0, Write::Real, |object| {
                        *object = definition;
                        Ok(())
                    });
                }
            }
        });
        self.restrict(&scenario.access);
        for kind in definitions::of_release(release) {
            definitions::install(self, kind);
        }
    }

    /// Allows what these rules allow, and nothing else; everything if there are none.
    pub fn restrict(&self, rules: &[Rule]) {
        *self.inner.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules.into();
    }

    fn rules(&self) -> Arc<[Rule]> {
        self.inner.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn release(&self) -> Release {
        self.with_store(|store, _| store.release())
    }

    /// The same as [`ApiServer::with_store`], by a named field manager: what it writes is told in `managedFields`.
    pub fn with_store_as<R>(&self, author: Author, act: impl FnOnce(&mut Store, i64) -> R) -> R {
        self.with_store(|store, now| {
            store.set_author(Some(author));
            let result = act(store, now);
            store.set_author(None);
            result
        })
    }

    /// The kinds that are served at the moment.
    pub fn served(&self) -> Vec<Kind> {
        self.with_store(|store, _| Kind::ALL.into_iter().filter(|k| definitions::served(store, *k)).collect())
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
        store.end_pods(now);
        let result = act(&mut store, now);
        let (version, gone) = (store.version(), store.take_gone_pods());
        drop(store);
        for pod in gone {
            self.inner.logs.forget(&pod.namespace, &pod.name);
        }
        self.inner.changed.send_if_modified(|seen| std::mem::replace(seen, version) != version);
        result
    }

    /// What containers write.
    pub fn logs(&self) -> &Arc<Logs> {
        &self.inner.logs
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
