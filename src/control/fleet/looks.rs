//! What is asked for only when somebody looks or wants it: rights, room and logs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio_util::task::AbortOnDropHandle;

use crate::control::kube::KubeLink;
use crate::control::ports::ApiError;
use crate::control::shared::Shared;
use crate::domain::command::{CommandId, CommandStage, Interest, Issuer};
use crate::domain::freshness::Observed;
use crate::domain::kubernetes::{KubeAction, KubeView, RightRow};
use crate::domain::pods::{LogQuery, LogView};

/// Questions about rights that are under way at a time.
const AT_A_TIME: usize = 4;
/// How often the room is read while somebody looks at it.
const ROOM_SEEN: Duration = Duration::from_secs(15);
/// Lines of a log that are kept.
const LINES: usize = 5_000;
/// A log is shown at most this often.
const LOG_SHOWN: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Looks {
    shared: Arc<Shared>,
    kube: Arc<KubeLink>,
    interest: Interest,
    room: Option<AbortOnDropHandle<()>>,
    log: Option<AbortOnDropHandle<()>>,
    asking: Option<AbortOnDropHandle<()>>,
}

impl Looks {
    pub fn new(shared: Arc<Shared>, kube: Arc<KubeLink>) -> Self {
        let interest = Interest::default();
        Self { shared, kube, interest, room: None, log: None, asking: None }
    }

    /// Somebody looks at the job of the resource with this uid.
    pub fn looks_at(&self, uid: &str) -> bool {
        let key = self.interest.job.as_ref().map(|key| key.as_str());
        self.interest.visible && key.and_then(|key| key.strip_prefix("k8s:")) == Some(uid)
    }

    /// Begins and ends what is read while somebody looks.
    pub fn looked_at(&mut self, interest: &Interest) {
        let room = interest.visible && interest.capacity;
        if room != self.room.is_some() {
            self.room = room.then(|| {
                AbortOnDropHandle::new(tokio::spawn(follow_room(Arc::clone(&self.shared), Arc::clone(&self.kube))))
            });
            if !room {
                self.shared.board.update_kube(&self.kube.source, |view| view.capacity = None);
            }
        }
        let log = interest.log.as_ref().filter(|query| interest.visible && query.source == self.kube.source);
        let before = self.interest.log.as_ref().filter(|query| query.source == self.kube.source);
        if log != before || (log.is_some() != self.log.is_some()) {
            let ended = self.log.take().is_some();
            match log {
                Some(query) => {
                    let following = follow_log(Arc::clone(&self.shared), Arc::clone(&self.kube), query.clone());
                    self.log = Some(AbortOnDropHandle::new(tokio::spawn(following)));
                }
                None if ended => self.shared.board.put_log(None),
                None => {}
            }
        }
        self.interest = interest.clone();
    }

    /// Asks again what is allowed while it is not known or something is missing, so that what is granted later takes effect. What was
    /// allowed and is no more is said by the server itself.
    pub fn ask_missing_rights(&mut self) {
        let all =
            |view: &KubeView| view.rights.as_ref().is_some_and(|rights| rights.value.iter().all(|row| row.allowed));
        let asking = self.asking.as_ref().is_some_and(|asking| !asking.is_finished());
        if !asking && !self.shared.board.kube(&self.kube.source).is_some_and(|view| all(&view)) {
            self.ask_rights(None);
        }
    }

    /// Asks what is allowed.
    pub fn ask_rights(&mut self, command: Option<(Issuer, CommandId)>) {
        let (shared, kube) = (Arc::clone(&self.shared), Arc::clone(&self.kube));
        let asking = async move {
            if command.is_some() {
                stage(&shared, command, CommandStage::Sent);
            }
            let ended = match rights(&kube).await {
                Ok(rows) => {
                    let observed = Observed::new(Arc::new(rows), shared.now());
                    shared.board.update_kube(&kube.source, |view| view.rights = Some(observed));
                    CommandStage::Observed
                }
                // What was known stays, with its age.
                Err(error) => {
                    tracing::warn!(source = %kube.source, %error, "what is allowed could not be asked");
                    CommandStage::Failed { why: error.to_string() }
                }
            };
            stage(&shared, command, ended);
        };
        self.asking = Some(AbortOnDropHandle::new(tokio::spawn(asking)));
    }
}

fn stage(shared: &Shared, command: Option<(Issuer, CommandId)>, stage: CommandStage) {
    if let Some((issuer, id)) = command {
        shared.board.stage(issuer, id, stage, None);
    }
}

/// The namespaces that are looked at, or none for all together.
fn scopes(kube: &KubeLink) -> Vec<Option<String>> {
    match kube.api.namespaces() {
        names if names.is_empty() => vec![None],
        names => names.into_iter().map(Some).collect(),
    }
}

/// Every action in every namespace. An answer that does not come is no answer: nothing is half known.
async fn rights(kube: &KubeLink) -> Result<Vec<RightRow>, ApiError> {
    let namespaces = scopes(kube);
    let mut questions = Vec::new();
    for action in KubeAction::ALL {
        if action.is_cluster_wide() {
            questions.push((action, None));
        } else {
            questions.extend(namespaces.iter().map(|namespace| (action, namespace.clone())));
        }
    }
    let asked = questions.into_iter().map(|(action, namespace)| async move {
        let (allowed, reason) = kube.api.allowed(action, namespace.as_deref()).await?;
        Ok(RightRow { action, namespace, allowed, reason })
    });
    futures::stream::iter(asked).buffered(AT_A_TIME).collect::<Vec<_>>().await.into_iter().collect()
}

async fn follow_room(shared: Arc<Shared>, kube: Arc<KubeLink>) {
    loop {
        match kube.room_within(shared.now(), ROOM_SEEN).await {
            Ok(room) => shared.board.update_kube(&kube.source, |view| view.capacity = Some(room)),
            // What was seen stays, with its age.
            Err(error) => tracing::warn!(source = %kube.source, %error, "the room of the cluster could not be read"),
        }
        tokio::time::sleep(ROOM_SEEN).await;
    }
}

async fn follow_log(shared: Arc<Shared>, kube: Arc<KubeLink>, query: LogQuery) {
    let mut log = Log::new(query.clone());
    shared.board.put_log(Some(log.view()));
    let mut lines = kube.api.log(query);
    let mut shown_at = tokio::time::Instant::now();
    let mut owed = false;
    loop {
        let line = if owed {
            match tokio::time::timeout_at(shown_at + LOG_SHOWN, lines.next()).await {
                Ok(line) => line,
                Err(_) => {
                    (shown_at, owed) = (tokio::time::Instant::now(), false);
                    shared.board.put_log(Some(log.view()));
                    continue;
                }
            }
        } else {
            lines.next().await
        };
        match line {
            Some(Ok(line)) => {
                log.take(&line);
                owed = true;
            }
            Some(Err(error)) => log.error = Some(error.to_string()),
            None => break,
        }
        if owed && shown_at.elapsed() >= LOG_SHOWN {
            (shown_at, owed) = (tokio::time::Instant::now(), false);
            shared.board.put_log(Some(log.view()));
        }
    }
    log.open = false;
    shared.board.put_log(Some(log.view()));
}

/// A log as it is read.
struct Log {
    query: LogQuery,
    needle: String,
    lines: VecDeque<Arc<str>>,
    dropped: u64,
    filtered: u64,
    open: bool,
    error: Option<String>,
}

impl Log {
    fn new(query: LogQuery) -> Self {
        let needle = query.filter.to_lowercase();
        Self { query, needle, lines: VecDeque::new(), dropped: 0, filtered: 0, open: true, error: None }
    }

    /// Takes a line.
    fn take(&mut self, line: &str) {
        if !self.needle.is_empty() && !line.to_lowercase().contains(&self.needle) {
            self.filtered += 1;
            return;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line.into());
    }

    fn view(&self) -> LogView {
        LogView {
            query: self.query.clone(),
            lines: Arc::new(self.lines.iter().cloned().collect()),
            dropped: self.dropped,
            filtered: self.filtered,
            open: self.open,
            error: self.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SourceId;

    #[test]
    fn a_log_is_filtered_and_bounded() {
        let query = LogQuery {
            source: SourceId::new("kind"),
            namespace: "shop".into(),
            pod: "orders-1".into(),
            container: None,
            previous: false,
            follow: true,
            filter: "Error".into(),
            tail: 100,
        };
        let mut log = Log::new(query);
        for n in 0..LINES + 3 {
            log.take(&format!("ERROR {n}"));
            log.take("all is well");
        }
        let view = log.view();
        assert_eq!((view.lines.len(), view.dropped, view.filtered), (LINES, 3, LINES as u64 + 3));
        assert_eq!(&*view.lines[0], "ERROR 3");
    }
}
