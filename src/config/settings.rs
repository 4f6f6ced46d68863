//! The effective settings, typed, each with its origin.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Origin;
use super::registry::{SETTINGS, setting_named};
use crate::domain::job::Mode;
use crate::domain::plan::Launch;
use crate::domain::text::parse_duration;

/// Where a secret is read from. Never from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Environment(String),
    /// A file; trailing line ends are dropped.
    File(PathBuf),
}

/// A Flink URL with everything needed to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlinkSource {
    /// Its name, as shown; by default host, port and path of its URL.
    pub name: String,
    /// The base URL; a path is kept (proxies, ingress).
    pub url: url::Url,
    /// Where the URL came from.
    pub origin: Origin,
    /// CA certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Client certificate (PEM).
    pub client_cert: Option<PathBuf>,
    /// Key of the client certificate (PEM).
    pub client_key: Option<PathBuf>,
    /// Bearer token.
    pub token: Option<SecretSource>,
    /// Extra headers.
    pub headers: Vec<(String, SecretSource)>,
    /// Do not verify certificates; shown in the header.
    pub insecure: bool,
}

impl FlinkSource {
    /// A source for a URL alone.
    ///
    /// # Errors
    /// A sentence that says why it is not the URL of a JobManager.
    pub fn from_url(text: &str, origin: Origin) -> Result<Self, String> {
        let url = parse_url(text)?;
        let name = default_name(&url);
        Ok(Self {
            name,
            url,
            origin,
            ca_file: None,
            client_cert: None,
            client_key: None,
            token: None,
            headers: Vec::new(),
            insecure: false,
        })
    }
}

fn default_name(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or("flink");
    let port = url.port().map_or(String::new(), |p| format!(":{p}"));
    format!("{host}{port}{}", url.path().trim_end_matches('/'))
}

fn parse_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text)
        .map_err(|e| format!("not a URL ({e}); write it as http://HOST:8081 or https://HOST/path"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{:?} is not http or https; write the URL as http://HOST:8081", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong into a URL; use token or headers with env or file".to_owned());
    }
    Ok(url)
}

/// Settings of one job, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSettings {
    /// `namespace/name` of a resource, or the name of a Flink job; `*` at the end matches any rest.
    pub name: String,
    /// Flightdeck's mode for it.
    pub mode: Option<Mode>,
    /// Options of the autoscaler for it, with their origins.
    pub options: BTreeMap<String, (String, Origin)>,
    /// How it is started, where nothing else says so.
    pub launch: Option<Launch>,
    /// Where the section is.
    pub origin: Origin,
}

/// All effective settings.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) scalars: BTreeMap<&'static str, (String, Origin)>,
    /// Options of the autoscaler for all jobs, by key without prefix, with their origins.
    pub autoscaler: BTreeMap<String, (String, Origin)>,
    /// Flink URLs.
    pub flink: Vec<FlinkSource>,
    /// Sections of jobs, in order; the first that matches a job counts.
    pub jobs: Vec<JobSettings>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

impl Settings {
    /// A scalar setting's text. Every key of the registry has one.
    pub fn text(&self, key: &str) -> &str {
        match self.scalars.get(key) {
            Some((value, _)) => value,
            None => setting_named(key).map_or("", |s| s.default),
        }
    }

    /// A switch.
    pub fn switch(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// A duration. Values were checked when they were loaded.
    pub fn duration(&self, key: &str) -> Duration {
        parse_duration(self.text(key)).unwrap_or_default()
    }

    /// A number. Values were checked when they were loaded.
    pub fn number(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or_default()
    }

    /// The default mode of jobs.
    pub fn mode(&self) -> Mode {
        parse_mode(self.text("loop.mode")).unwrap_or_default()
    }

    /// Every scalar setting with its effective value and where that comes from.
    pub fn scalars(&self) -> impl Iterator<Item = (String, String, Origin)> + '_ {
        SETTINGS.iter().map(|s| {
            let origin = self.scalars.get(s.key).map_or(Origin::BuiltIn, |(_, origin)| origin.clone());
            (s.key.to_owned(), self.text(s.key).to_owned(), origin)
        })
    }

    /// What the sections of Flink URLs and of jobs say, in the same form. Options for all jobs belong to the autoscaler.
    pub fn sections(&self) -> Vec<(String, String, Origin)> {
        let mut rows = Vec::new();
        for source in &self.flink {
            rows.push((format!("flink.{}.url", source.name), source.url.to_string(), source.origin.clone()));
        }
        for job in &self.jobs {
            let mode = job.mode.map_or("(default)", Mode::word);
            rows.push((format!("job.{}.mode", job.name), mode.to_owned(), job.origin.clone()));
            for (key, (value, origin)) in &job.options {
                rows.push((format!("job.{}.options.{key}", job.name), value.clone(), origin.clone()));
            }
        }
        rows
    }
}

/// The mode with this word.
pub(super) fn parse_mode(word: &str) -> Option<Mode> {
    [Mode::Manual, Mode::Auto, Mode::Advise, Mode::Off].into_iter().find(|m| m.word() == word)
}
