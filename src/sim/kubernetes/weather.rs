//! What faults and roles do to requests: before one is looked at, and before it is carried out.

use std::time::Duration;

use super::ApiServer;
use super::access::{self, Action};
use super::failure::Failure;
use super::kinds::Kind;
use crate::sim::fault::Fault;

/// What faults do to a request before it is looked at.
#[derive(Debug, Default)]
pub(super) struct Weather {
    /// No connection is taken.
    pub gone: bool,
    /// Time before the answer.
    pub delay: Duration,
    /// The answer.
    pub refused: Option<Failure>,
}

impl Weather {
    pub(super) fn now(server: &ApiServer) -> Self {
        server.world().with(|world| {
            let mut weather = Self::default();
            for fault in world.faults().acting() {
                match fault {
                    Fault::ApiGone => weather.gone = true,
                    Fault::ApiErrors { status } => weather.refused = Some(Failure::ordered(*status, None)),
                    Fault::ApiBusy { wait } => weather.refused = Some(Failure::ordered(429, Some(wait.ceil() as u32))),
                    Fault::TokenExpired => weather.refused = Some(Failure::ordered(401, None)),
                    Fault::ApiSlow { delay } => {
                        weather.delay += Duration::from_millis(u64::try_from(*delay).unwrap_or(0));
                    }
                    _ => {}
                }
            }
            weather
        })
    }
}

/// A word of a fault that is compared: `*` is any.
fn is(word: &str, value: &str) -> bool {
    word == "*" || word == value
}

impl ApiServer {
    /// Whether roles and faults allow an action.
    pub(super) fn allows(&self, action: &Action) -> bool {
        let forbidden = self.world().with(|world| {
            world.faults().acting().any(|fault| match fault {
                Fault::Forbidden { verb, resource, namespace } => {
                    is(verb, &action.verb) && is(resource, &action.resource) && is(namespace, &action.namespace)
                }
                _ => false,
            })
        });
        !forbidden && access::allowed(&self.rules(), action)
    }

    /// Lets a request pass that is allowed, and that no fault stops.
    pub(super) fn admit(&self, action: &Action, kind: Kind) -> Result<(), Failure> {
        if !self.allows(action) {
            return Err(action.refused());
        }
        let changes = matches!(action.verb.as_str(), "update" | "patch");
        let validated = (changes || action.verb == "create")
            && !action.resource.contains('/')
            && matches!(kind, Kind::FlinkDeployment | Kind::FlinkSessionJob | Kind::FlinkStateSnapshot);
        self.world().with(|world| {
            for fault in world.faults().acting() {
                match fault {
                    Fault::WriteConflicts if changes => return Err(Failure::conflict(kind, &action.name)),
                    Fault::WebhookDenied { message } if validated => return Err(Failure::denied(message)),
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// Versions are forgotten all the time.
    pub(super) fn storm(&self) -> bool {
        self.world().with(|world| world.faults().acting().any(|f| matches!(f, Fault::WatchExpired)))
    }

    /// Watches say nothing.
    pub(super) fn silent(&self) -> bool {
        self.world()
            .with(|world| world.faults().acting().any(|f| matches!(f, Fault::WatchSilent | Fault::ApiSlow { .. })))
    }
}
