//! Putting the layers together: flags > environment > scenario (of the embedded cluster) > file > built-in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::file::{self, FileContent};
use super::paths::{self, Env};
use super::registry::{SETTINGS, setting_named, variable};
use super::settings::{FlinkSource, Settings};
use crate::domain::text::position;

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// `--config`: the file to read; it must exist.
    pub config: Option<PathBuf>,
    /// The scenario that is played, with the settings it comes with: its name, then keys and values.
    pub scenario: Option<(String, BTreeMap<String, String>)>,
    /// `--set KEY=VALUE`, in order; the last one counts.
    pub set: Vec<String>,
    /// Scalars that have a flag of their own: key, value, the flag as typed.
    pub flags: Vec<(&'static str, String, &'static str)>,
    /// `--flink URL-OR-NAME`. If there is one, `[[flink]]` sections that are not named are left out.
    pub flink: Vec<String>,
}

/// Loads all layers. The config file is `--config`, else `config.toml` in the config folder if there is one.
///
/// # Errors
/// Every problem that was found, each with its position; nothing is half applied.
pub fn load(layers: &Layers, env: Env<'_>) -> Result<Settings, Vec<ConfigError>> {
    let (path, content) = read_file(layers, env)?;
    let mut errors = Vec::new();
    let FileContent { mut scalars, mut autoscaler, flink, jobs } = content;

    if let Some((name, values)) = &layers.scenario {
        for (key, value) in values {
            let at = Origin::Scenario(name.clone());
            errors.extend(assign(key, value, at, &mut scalars, &mut autoscaler).err());
        }
    }
    for setting in SETTINGS {
        let name = variable(setting.key);
        if let Some(value) = env(&name) {
            let at = Origin::Environment(name);
            match setting.kind.check(&value) {
                Ok(()) => {
                    scalars.insert(setting.key, (value, at));
                }
                Err(message) => errors.push(ConfigError::BadValue { at, key: setting.key.to_owned(), message }),
            }
        }
    }
    for assignment in &layers.set {
        let at = Origin::Flag(format!("--set {assignment}"));
        let assigned = match assignment.split_once('=') {
            Some((key, value)) => assign(key.trim(), value.trim(), at, &mut scalars, &mut autoscaler),
            None => {
                let message = "write it as --set KEY=VALUE".to_owned();
                Err(ConfigError::BadValue { at, key: assignment.to_owned(), message })
            }
        };
        errors.extend(assigned.err());
    }
    for (key, value, flag) in &layers.flags {
        let at = Origin::Flag((*flag).to_owned());
        match setting_named(key).map(|s| s.kind.check(value)) {
            Some(Err(message)) => errors.push(ConfigError::BadValue { at, key: (*key).to_owned(), message }),
            Some(Ok(())) | None => {
                scalars.insert(key, (value.clone(), at));
            }
        }
    }
    let flink = match chosen_sources(&layers.flink, flink) {
        Ok(flink) => flink,
        Err(error) => {
            errors.push(error);
            Vec::new()
        }
    };
    if errors.is_empty() { Ok(Settings { scalars, autoscaler, flink, jobs, file: path }) } else { Err(errors) }
}

fn read_file(layers: &Layers, env: Env<'_>) -> Result<(Option<PathBuf>, FileContent), Vec<ConfigError>> {
    let implied = paths::config_dir(env).map(|dir| dir.join("config.toml"));
    let (path, must_exist) = match (&layers.config, implied) {
        (Some(path), _) => (path.clone(), true),
        (None, Some(path)) => (path, false),
        (None, None) => return Ok((None, FileContent::default())),
    };
    match std::fs::read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|e| vec![not_utf8(&path, &e)])?;
            file::parse(&path, &text).map(|content| (Some(path), content))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok((None, FileContent::default())),
        Err(e) => Err(vec![ConfigError::Unreadable { path: path.display().to_string(), cause: e.to_string() }]),
    }
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> ConfigError {
    let valid = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
    let (line, column) = position(&text, valid);
    let at = Origin::File { path: path.to_owned(), line, column };
    ConfigError::Syntax { at, message: "not UTF-8 from here on; save the file as UTF-8".to_owned() }
}

/// Sets a setting of the registry, or an option of the autoscaler: what is no setting is taken for one, and its owner checks it.
fn assign(
    key: &str,
    value: &str,
    at: Origin,
    scalars: &mut BTreeMap<&'static str, (String, Origin)>,
    autoscaler: &mut BTreeMap<String, (String, Origin)>,
) -> Result<(), ConfigError> {
    let Some(setting) = setting_named(key) else {
        let option = ["job.autoscaler.", "autoscaler."].iter().find_map(|p| key.strip_prefix(p)).unwrap_or(key);
        autoscaler.insert(option.to_owned(), (value.to_owned(), at));
        return Ok(());
    };
    match setting.kind.check(value) {
        Ok(()) => {
            scalars.insert(setting.key, (value.to_owned(), at));
            Ok(())
        }
        Err(message) => Err(ConfigError::BadValue { at, key: key.to_owned(), message }),
    }
}

/// The sources named by `--flink` (a URL, or the name of a section), else all sections.
fn chosen_sources(flags: &[String], sections: Vec<FlinkSource>) -> Result<Vec<FlinkSource>, ConfigError> {
    if flags.is_empty() {
        return Ok(sections);
    }
    let mut chosen: Vec<FlinkSource> = Vec::new();
    for flag in flags {
        let at = Origin::Flag(format!("--flink {flag}"));
        let same_url = |s: &FlinkSource| s.url.as_str().trim_end_matches('/') == flag.trim_end_matches('/');
        let source = match sections.iter().find(|s| s.name == *flag || same_url(s)) {
            Some(section) => section.clone(),
            None => FlinkSource::from_url(flag, at).map_err(|message| {
                // The URL is not repeated: what was typed there may be a secret.
                let at = Origin::Flag("--flink".to_owned());
                ConfigError::BadValue { at, key: "flink".to_owned(), message }
            })?,
        };
        if chosen.iter().all(|c| c.name != source.name) {
            chosen.push(source);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests;
