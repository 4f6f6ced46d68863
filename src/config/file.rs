//! `config.toml`: from text to entries with positions. Every problem is reported, not only the first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::registry::{SETTINGS, setting_named};
use super::settings::{FlinkSource, JobSettings, SecretSource, parse_mode};
use crate::domain::plan::Launch;
use crate::domain::text::{nearest, position};

/// What a config file says.
#[derive(Debug, Default)]
pub(super) struct FileContent {
    pub scalars: BTreeMap<&'static str, (String, Origin)>,
    pub autoscaler: BTreeMap<String, (String, Origin)>,
    pub flink: Vec<FlinkSource>,
    pub jobs: Vec<JobSettings>,
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    errors: Vec<ConfigError>,
}

type Item<'i> = Spanned<DeValue<'i>>;

/// Parses the text of a config file; relative paths in it are taken from its folder.
pub(super) fn parse(path: &Path, text: &str) -> Result<FileContent, Vec<ConfigError>> {
    let mut reader = Reader { path, text, errors: Vec::new() };
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(e) => {
            let at = reader.origin(e.span().map_or(0, |s| s.start));
            return Err(vec![ConfigError::Syntax { at, message: e.message().to_owned() }]);
        }
    };
    let mut content = FileContent::default();
    for (key, value) in root.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("autoscaler", DeValue::Table(table)) => reader.options(table, "", &mut content.autoscaler),
            ("flink", DeValue::Array(items)) => {
                content.flink = items.iter().filter_map(|item| reader.flink(item)).collect();
            }
            ("job", DeValue::Array(items)) => {
                content.jobs = items.iter().filter_map(|item| reader.job(item)).collect();
            }
            (name @ ("flink" | "job"), _) => {
                reader.bad(value.span().start, name, format!("must be an array of tables: write it as [[{name}]]"));
            }
            (name, _) => reader.scalar(name, key.span().start, value, &mut content.scalars),
        }
    }
    // Tables iterate by name; a person reads from top to bottom.
    reader.errors.sort_by_key(ConfigError::position);
    if reader.errors.is_empty() { Ok(content) } else { Err(reader.errors) }
}

/// A scalar as text, the form in which all layers meet.
fn scalar_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(s) => Some(s.to_string()),
        DeValue::Integer(i) => Some(i.to_string()),
        DeValue::Float(x) => Some(x.to_string()),
        DeValue::Boolean(b) => Some(b.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

impl Reader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let (line, column) = position(self.text, offset);
        Origin::File { path: self.path.to_owned(), line, column }
    }

    fn bad(&mut self, offset: usize, key: &str, message: impl Into<String>) {
        let at = self.origin(offset);
        self.errors.push(ConfigError::BadValue { at, key: key.to_owned(), message: message.into() });
    }

    fn unknown<'n>(&mut self, offset: usize, what: &'static str, name: &str, valid: impl Iterator<Item = &'n str>) {
        let at = self.origin(offset);
        let nearest = nearest(name, valid).map(str::to_owned);
        self.errors.push(ConfigError::UnknownName { at, what, name: name.to_owned(), nearest });
    }

    /// A scalar of the registry, or a table of them.
    fn scalar(
        &mut self,
        name: &str,
        offset: usize,
        value: &Item<'_>,
        into: &mut BTreeMap<&'static str, (String, Origin)>,
    ) {
        if let DeValue::Table(table) = value.get_ref() {
            let prefix = format!("{name}.");
            if SETTINGS.iter().any(|s| s.key.starts_with(&prefix)) {
                for (key, value) in table {
                    self.scalar(&format!("{prefix}{}", key.get_ref()), key.span().start, value, into);
                }
                return;
            }
        }
        let Some(setting) = setting_named(name) else {
            let sections = ["autoscaler", "flink", "job"];
            let tables = SETTINGS.iter().filter_map(|s| s.key.split_once('.').map(|(table, _)| table));
            let valid = SETTINGS.iter().map(|s| s.key).chain(sections).chain(tables);
            return self.unknown(offset, "setting", name, valid);
        };
        let Some(text) = scalar_text(value.get_ref()) else {
            return self.bad(value.span().start, name, "must be a single value");
        };
        match setting.kind.check(&text) {
            Ok(()) => {
                let origin = self.origin(value.span().start);
                into.insert(setting.key, (text, origin));
            }
            Err(message) => self.bad(value.span().start, name, message),
        }
    }

    /// Options of the autoscaler: nested tables and dotted keys mean the same. Names are checked by their owner.
    fn options(&mut self, table: &DeTable<'_>, prefix: &str, into: &mut BTreeMap<String, (String, Origin)>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => self.options(inner, &format!("{name}."), into),
                other => match scalar_text(other) {
                    Some(text) => {
                        let origin = self.origin(key.span().start);
                        let name = name.strip_prefix("job.autoscaler.").unwrap_or(&name).to_owned();
                        into.insert(name, (text, origin));
                    }
                    None => self.bad(value.span().start, &name, "must be a single value"),
                },
            }
        }
    }

    fn table<'t, 'i>(&mut self, item: &'t Item<'i>, section: &str) -> Option<&'t DeTable<'i>> {
        match item.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.bad(item.span().start, section, format!("must be a table: write it as [[{section}]]"));
                None
            }
        }
    }

    fn text(&mut self, key: &str, value: &Item<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(s) if !s.is_empty() => Some(s.to_string()),
            _ => {
                self.bad(value.span().start, key, "must be a text that is not empty");
                None
            }
        }
    }

    fn file_path(&mut self, key: &str, value: &Item<'_>) -> Option<PathBuf> {
        let text = self.text(key, value)?;
        Some(self.path.parent().unwrap_or(Path::new("")).join(text))
    }

    fn flink(&mut self, item: &Item<'_>) -> Option<FlinkSource> {
        const KEYS: [&str; 9] =
            ["name", "url", "ca-file", "client-cert", "client-key", "token-env", "token-file", "headers", "insecure"];
        let table = self.table(item, "flink")?;
        let Some(url) = table.get("url") else {
            self.bad(item.span().start, "flink", "has no url");
            return None;
        };
        let text = self.text("url", url)?;
        let origin = self.origin(url.span().start);
        let mut source = match FlinkSource::from_url(&text, origin) {
            Ok(source) => source,
            Err(message) => {
                self.bad(url.span().start, "flink.url", message);
                return None;
            }
        };
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("url", _) => {}
                ("name", _) => source.name = self.text("name", value).unwrap_or(source.name),
                ("ca-file", _) => source.ca_file = self.file_path("ca-file", value),
                ("client-cert", _) => source.client_cert = self.file_path("client-cert", value),
                ("client-key", _) => source.client_key = self.file_path("client-key", value),
                ("token-env", _) => source.token = self.text("token-env", value).map(SecretSource::Environment),
                ("token-file", _) => source.token = self.file_path("token-file", value).map(SecretSource::File),
                ("insecure", DeValue::Boolean(insecure)) => source.insecure = *insecure,
                ("insecure", _) => self.bad(value.span().start, "insecure", "must be true or false"),
                ("headers", _) => source.headers = self.headers(value),
                (other, _) => self.unknown(key.span().start, "key of [[flink]]", other, KEYS.into_iter()),
            }
        }
        if source.client_cert.is_some() != source.client_key.is_some() {
            self.bad(item.span().start, "flink", "client-cert and client-key belong together");
        }
        if table.contains_key("token-env") && table.contains_key("token-file") {
            self.bad(item.span().start, "flink", "token-env and token-file exclude each other");
        }
        Some(source)
    }

    fn headers(&mut self, value: &Item<'_>) -> Vec<(String, SecretSource)> {
        let form = "must be a table such as { X-Scope = { env = \"VARIABLE\" } } with env or file";
        let DeValue::Table(table) = value.get_ref() else {
            self.bad(value.span().start, "headers", form);
            return Vec::new();
        };
        let mut headers = Vec::new();
        for (name, value) in table {
            let from = match value.get_ref() {
                DeValue::Table(from) if from.len() == 1 => from.iter().next(),
                _ => None,
            };
            let source = match from.map(|(key, value)| (key.get_ref().as_ref(), value)) {
                Some(("env", variable)) => self.text("env", variable).map(SecretSource::Environment),
                Some(("file", file)) => self.file_path("file", file).map(SecretSource::File),
                _ => {
                    self.bad(value.span().start, "headers", form);
                    None
                }
            };
            headers.extend(source.map(|source| (name.get_ref().to_string(), source)));
        }
        headers
    }

    fn job(&mut self, item: &Item<'_>) -> Option<JobSettings> {
        let table = self.table(item, "job")?;
        let Some(name) = table.get("name") else {
            self.bad(item.span().start, "job", "has no name: write namespace/name, or the name of a Flink job");
            return None;
        };
        let mut job = JobSettings {
            name: self.text("name", name)?,
            mode: None,
            options: BTreeMap::new(),
            launch: None,
            origin: self.origin(name.span().start),
        };
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("name", _) => {}
                ("mode", DeValue::String(word)) if parse_mode(word).is_some() => job.mode = parse_mode(word),
                ("mode", _) => self.bad(value.span().start, "mode", "must be manual, auto, advise or off"),
                ("options", DeValue::Table(options)) => self.options(options, "", &mut job.options),
                ("options", _) => self.bad(value.span().start, "options", "must be a table"),
                ("launch", DeValue::Table(launch)) => job.launch = self.launch(launch, value.span().start),
                ("launch", _) => {
                    self.bad(value.span().start, "launch", "must be a table with jar, entry-class, args, …")
                }
                (other, _) => {
                    let keys = ["name", "mode", "options", "launch"].into_iter();
                    self.unknown(key.span().start, "key of [[job]]", other, keys);
                }
            }
        }
        Some(job)
    }

    /// What `redeploy` starts on a cluster that does not tell how a job was started.
    fn launch(&mut self, table: &DeTable<'_>, at: usize) -> Option<Launch> {
        const KEYS: [&str; 5] = ["jar", "entry-class", "args", "configuration", "parallelism"];
        let mut launch = Launch::default();
        for (key, value) in table {
            let bad = value.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("jar", _) => launch.jar = self.text("launch.jar", value)?,
                ("entry-class", _) => launch.entry_class = Some(self.text("launch.entry-class", value)?),
                ("args", DeValue::Array(items)) => {
                    for item in items {
                        match item.get_ref() {
                            DeValue::String(text) => launch.args.push(text.to_string()),
                            _ => self.bad(item.span().start, "launch.args", "must hold texts only"),
                        }
                    }
                }
                ("args", _) => self.bad(bad, "launch.args", "must be an array of texts"),
                ("configuration", DeValue::Table(pairs)) => {
                    for (key, value) in pairs {
                        let text = self.text("launch.configuration", value)?;
                        launch.configuration.insert(key.get_ref().to_string(), text);
                    }
                }
                ("configuration", _) => self.bad(bad, "launch.configuration", "must be a table of texts"),
                ("parallelism", DeValue::Integer(number)) => match number.to_string().parse::<i32>() {
                    Ok(parallelism) if parallelism > 0 => launch.parallelism = Some(parallelism),
                    _ => self.bad(bad, "launch.parallelism", "must be at least 1"),
                },
                ("parallelism", _) => self.bad(bad, "launch.parallelism", "must be a whole number"),
                (other, _) => self.unknown(key.span().start, "key of launch", other, KEYS.into_iter()),
            }
        }
        if launch.jar.is_empty() {
            self.bad(at, "launch", "has no jar: write its id on the cluster, or the file name it was uploaded by");
            return None;
        }
        Some(launch)
    }
}
