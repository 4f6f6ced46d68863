//! `flightdeck config`: every effective value with its layer.

use serde_json::{Value, json};

use super::args::{ConfigArgs, Output};
use super::document;
use super::exit::Done;
use super::start;
use super::table::Table;
use crate::autoscaler::generation::Generation;
use crate::autoscaler::options::{AUTOSCALER_PREFIX, Layer, OptionSpec, Options, TABLE};
use crate::config::{Origin, Settings};

/// One printed value.
struct Row {
    key: String,
    value: String,
    origin: Origin,
    /// What else is known of an option of the autoscaler.
    option: Option<OptionRow>,
}

struct OptionRow {
    spec: &'static OptionSpec,
    /// The key under which it was set, where that is a fallback or a deprecated one.
    set_as: Option<String>,
}

/// Prints the effective settings.
///
/// # Errors
/// None today; the signature is that of every subcommand.
pub fn run(args: &ConfigArgs, settings: &Settings) -> Done {
    let generation = start::generation(settings);
    let rows = rows(settings, generation);
    match args.output {
        Output::Table => {
            let mut table = Table::new(["KEY", "VALUE", "LAYER", "FROM"]);
            for row in rows {
                let set_as = row.option.and_then(|option| option.set_as);
                let from = match set_as {
                    Some(key) => format!("{}, as {key}", row.origin),
                    None => row.origin.to_string(),
                };
                table.row([row.key, row.value, row.origin.layer().to_owned(), from]);
            }
            print!("{}", table.render());
        }
        Output::Json => {
            let items: Vec<_> = rows.iter().map(|row| item(row, generation)).collect();
            document::print(&json!({
                "apiVersion": document::API_VERSION, "kind": "SettingList", "items": items,
            }));
        }
    }
    Ok(())
}

/// The settings, with every option of the autoscaler that the generation has in place of those that are set.
fn rows(settings: &Settings, generation: Generation) -> Vec<Row> {
    let texts = start::option_texts(&settings.autoscaler);
    let (options, _) = Options::from_layers(generation, &[(Layer::File, &texts)]);
    let mut rows = Vec::new();
    for (key, value, origin) in settings.scalars() {
        rows.push(Row { key, value, origin, option: None });
    }
    for spec in TABLE.iter().filter(|spec| spec.exists_in(generation)) {
        let source = options.source(spec.id);
        let key = spec.key(generation);
        // Of Flink's own options, those that were set here.
        if source.is_none() && !key.starts_with(AUTOSCALER_PREFIX) {
            continue;
        }
        let written = source.and_then(|s| settings.autoscaler.iter().find(|(key, _)| start::full_key(key) == s.key));
        let origin = written.map_or(Origin::BuiltIn, |(_, (_, origin))| origin.clone());
        let set_as = source.map(|s| s.key.clone()).filter(|name| name != key);
        let value = options.text(spec.id).to_owned();
        rows.push(Row { key: key.to_owned(), value, origin, option: Some(OptionRow { spec, set_as }) });
    }
    for (key, value, origin) in settings.sections() {
        rows.push(Row { key, value, origin, option: None });
    }
    rows
}

fn item(row: &Row, generation: Generation) -> Value {
    let mut item =
        json!({"key": row.key, "value": row.value, "layer": row.origin.layer(), "from": row.origin.to_string()});
    if let Some(OptionRow { spec, set_as }) = &row.option {
        let defaults: serde_json::Map<String, Value> = Generation::ALL
            .into_iter()
            .map(|g| (g.name().to_owned(), spec.exists_in(g).then_some(spec.default).into()))
            .collect();
        let names = spec.names(generation);
        let other = |old: bool| names.iter().skip(1).filter(|(_, o)| *o == old).map(|(n, _)| n).collect::<Vec<_>>();
        item["set_as"] = set_as.clone().into();
        item["type"] = spec.kind.into();
        item["defaults"] = defaults.into();
        item["fallback_keys"] = json!(other(false));
        item["deprecated_keys"] = json!(other(true));
        item["description"] = spec.description.trim().into();
    }
    item
}
