//! From settings to a running control loop: which sources there are, and every part the loop works with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::args::Global;
use super::exit::Failure;
use crate::autoscaler::excluded::Zone;
use crate::autoscaler::generation::Generation;
use crate::autoscaler::options::{AUTOSCALER_PREFIX, Layer, OptionId, Options, ProblemKind};
use crate::clock::Clock;
use crate::config::{JobSettings, Layers, Origin, Settings, paths};
use crate::control::ports::Contexts;
use crate::control::socket::{SocketServer, serve};
use crate::control::{self, ControlConfig, FlinkSource, Handle, JobRule, KubernetesSource, Parts, Periods};
use crate::domain::ids::SourceId;
use crate::domain::job::Mode;
use crate::domain::snapshot::Notice;
use crate::domain::text::parse_duration;
use crate::flink::ClientOptions;
use crate::state::journal::Journal;
use crate::state::store::MemoryStore;

/// Reads an environment variable; empty ones count as unset.
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Loads the settings and checks the names and values of the autoscaler's options.
///
/// # Errors
/// [`Failure::Usage`] with every problem on a line of its own.
pub fn settings(global: &Global) -> Result<Settings, Failure> {
    settings_of(&global.layers())
}

/// The same for layers that hold more than the flags.
///
/// # Errors
/// As [`settings`].
pub fn settings_of(layers: &Layers) -> Result<Settings, Failure> {
    let lines = |problems: Vec<String>| Failure::Usage(problems.join("\nflightdeck: "));
    let settings =
        crate::config::load(layers, &env).map_err(|errors| lines(errors.iter().map(ToString::to_string).collect()))?;
    let mut problems = option_problems(&settings, &settings.autoscaler);
    for job in &settings.jobs {
        problems.extend(option_problems(&settings, &job.options));
    }
    if problems.is_empty() { Ok(settings) } else { Err(lines(problems)) }
}

/// The generation of rules.
pub fn generation(settings: &Settings) -> Generation {
    // The registry allows only names of generations.
    settings.text("loop.compat").parse().unwrap_or_default()
}

/// The options of the autoscaler by their full keys.
pub fn option_texts(options: &BTreeMap<String, (String, Origin)>) -> BTreeMap<String, String> {
    options.iter().map(|(key, (value, _))| (full_key(key), value.clone())).collect()
}

/// Options of Flink that the autoscaler reads are written in full; its own without their prefix.
pub fn full_key(key: &str) -> String {
    let of_flink = ["taskmanager.", "jobmanager.", "pipeline.", "state.", "execution.", "kubernetes.", "job."];
    if of_flink.iter().any(|prefix| key.starts_with(prefix)) {
        key.to_owned()
    } else {
        format!("{AUTOSCALER_PREFIX}{key}")
    }
}

/// What is wrong with configured options, each with where it was written. Keys that merely have no effect are let pass.
fn option_problems(settings: &Settings, options: &BTreeMap<String, (String, Origin)>) -> Vec<String> {
    let mut texts = option_texts(options);
    // Ranges are only checked where the autoscaler is on.
    let enabled = format!("{AUTOSCALER_PREFIX}{}", "enabled");
    texts.entry(enabled).or_insert_with(|| "true".to_owned());
    let (_, problems) = Options::from_layers(generation(settings), &[(Layer::File, &texts)]);
    let stops = |kind: ProblemKind| match kind {
        ProblemKind::Unparsable | ProblemKind::Invalid | ProblemKind::Unknown | ProblemKind::OtherGeneration => true,
        ProblemKind::Deprecated | ProblemKind::NoEffect => false,
    };
    problems
        .into_iter()
        .filter(|p| stops(p.kind))
        .map(|p| {
            let written = options.iter().find(|(key, _)| full_key(key) == p.key);
            let at = written.map_or(String::new(), |(_, (_, origin))| format!("{origin}: "));
            format!("{at}{}: {}", p.key, p.message)
        })
        .collect()
}

/// Options that make windows shorter than the operator's defaults, for the notice in the header: key and value.
pub fn shortened(settings: &Settings, texts: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let generation = generation(settings);
    let defaults = Options::built_in(generation);
    let (options, _) = Options::from_layers(generation, &[(Layer::File, texts)]);
    let pairs = [
        (OptionId::MetricsWindow, options.metrics_window < defaults.metrics_window),
        (OptionId::StabilizationInterval, options.stabilization_interval < defaults.stabilization_interval),
    ];
    pairs
        .into_iter()
        .filter(|(_, shorter)| *shorter)
        .map(|(id, _)| (id.spec().key(generation).to_owned(), options.text(id).to_owned()))
        .collect()
}

/// Where data come from.
#[derive(Default)]
pub struct Sources {
    /// Flink URLs.
    pub flink: Vec<FlinkSource>,
    /// Kubernetes clusters.
    pub kubernetes: Vec<KubernetesSource>,
    /// The contexts that can be switched to.
    pub contexts: Option<Arc<dyn Contexts>>,
}

/// The sources that the settings name: Flink URLs, and the kube context if one is named or there is no URL.
///
/// # Errors
/// If a secret, certificate or kubeconfig cannot be used; with no source at all, what was looked for and that there is a demo.
pub async fn sources(
    settings: &Settings,
    kubeconfig: Option<PathBuf>,
    clock: &Arc<dyn Clock>,
) -> Result<Sources, Failure> {
    let mut sources = Sources::default();
    for source in &settings.flink {
        sources.flink.push(FlinkSource {
            id: SourceId::new(source.name.as_str()),
            transport: super::sources::transport(source)?,
            ui_url: Some(source.url.to_string()),
            insecure: source.insecure,
        });
    }
    let context = Some(settings.text("kubernetes.context")).filter(|c| !c.is_empty());
    if settings.flink.is_empty() || context.is_some() || kubeconfig.is_some() {
        let contexts = super::contexts::KubeContexts::new(settings, kubeconfig, Arc::clone(clock));
        sources.kubernetes.push(contexts.first(context).await?);
        sources.contexts = Some(Arc::new(contexts));
    }
    Ok(sources)
}

/// A loop that runs in this process. Dropping it stops the loop.
pub struct Started {
    /// Its ends.
    pub handle: Handle,
    task: JoinHandle<()>,
}

impl Drop for Started {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes back the auto mode of every job: a command that looks, or carries out one approval, applies nothing by itself.
pub fn disarm(settings: &mut Settings) {
    for job in &mut settings.jobs {
        if job.mode == Some(Mode::Auto) {
            job.mode = Some(Mode::Manual);
        }
    }
}

/// Serves the socket of a loop, if that is possible, so that other processes can attach to this one.
pub fn socket(handle: &Handle) -> Option<SocketServer> {
    let folder = paths::runtime_dir(&env)?;
    serve(&folder, handle.clone())
        .inspect_err(|error| tracing::warn!(%error, "other processes cannot attach to this one"))
        .ok()
}

/// Starts a control loop on these sources.
///
/// # Errors
/// If the journal cannot be opened: nothing is written without one.
pub fn start(
    settings: &Settings,
    sources: Sources,
    notices: Vec<Notice>,
    clock: Arc<dyn Clock>,
) -> Result<Started, Failure> {
    let (journal, recovery) = match paths::state_dir(&env) {
        Some(folder) => Journal::open(&folder, &author(), clock.now()).map_err(|e| Failure::Failed(e.to_string()))?,
        None => {
            return Err(Failure::Failed("there is no place for the journal: set HOME or XDG_STATE_HOME".to_owned()));
        }
    };
    let store = Arc::new(MemoryStore::new());
    let config = control_config(settings, notices);
    let parts = Parts {
        clock,
        store,
        journal,
        recovery,
        flink: sources.flink,
        kubernetes: sources.kubernetes,
        contexts: sources.contexts,
    };
    let (handle, task) = control::start(config, parts);
    Ok(Started { handle, task })
}

/// Who this process is, for the journal: user, host and process.
fn author() -> String {
    let user = env("USER").or_else(|| env("LOGNAME")).unwrap_or_else(|| "unknown user".to_owned());
    let host =
        std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| env("HOSTNAME")).unwrap_or_default();
    format!("{user}@{} pid {}", host.trim(), std::process::id())
}

fn control_config(settings: &Settings, mut notices: Vec<Notice>) -> ControlConfig {
    let options = option_texts(&settings.autoscaler);
    let shorter = shortened(settings, &options);
    if !shorter.is_empty() {
        let list = shorter.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ");
        notices.push(Notice {
            short: "windows shortened".to_owned(),
            text: format!("windows are shorter than the autoscaler's defaults: {list}"),
        });
    }
    let rule = |job: &JobSettings| JobRule {
        name: job.name.clone(),
        mode: job.mode,
        options: option_texts(&job.options),
        launch: job.launch.clone(),
    };
    let duration = |key| settings.duration(key);
    ControlConfig {
        periods: Periods {
            turn: duration("loop.period"),
            list_visible: duration("poll.visible"),
            list_hidden: duration("poll.hidden"),
            selected: duration("poll.job"),
            task_managers: duration("poll.task-managers"),
            checkpoints: duration("poll.checkpoints"),
            ..Periods::default()
        },
        mode: settings.mode(),
        jobs: settings.jobs.iter().map(rule).collect(),
        expiry: duration("loop.expiry"),
        reject_quiet: duration("loop.reject-quiet"),
        snooze: duration("loop.snooze"),
        read_only: settings.switch("read-only"),
        compat: generation(settings),
        options,
        zone: |now| Zone::around(now, |at| *at.with_timezone(&chrono::Local).offset()),
        notices,
        client: ClientOptions {
            max_in_flight: usize::try_from(settings.number("http.in-flight")).unwrap_or(4),
            read_deadline: duration("http.timeout"),
            write_deadline: duration("http.action-timeout"),
            body_limit: usize::try_from(settings.number("http.body-limit")).unwrap_or(usize::MAX),
        },
        capacity_refresh: match settings.text("kubernetes.capacity-refresh") {
            "off" => None,
            time => parse_duration(time).ok(),
        },
        ..ControlConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disarmed_configuration_has_no_auto_mode_left_and_keeps_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let text =
            "[[job]]\nname = \"a\"\nmode = \"auto\"\n[[job]]\nname = \"b\"\nmode = \"off\"\n[[job]]\nname = \"c\"\n";
        std::fs::write(&path, text).unwrap();
        let layers = Layers { config: Some(path), ..Layers::default() };
        let mut settings = crate::config::load(&layers, &|_| None).unwrap();
        disarm(&mut settings);
        let modes: Vec<_> = settings.jobs.iter().map(|j| j.mode).collect();
        assert_eq!(modes, [Some(Mode::Manual), Some(Mode::Off), None]);
    }
}
