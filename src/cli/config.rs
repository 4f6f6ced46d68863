//! `flightdeck config`: every effective value with its layer.

use super::args::{ConfigArgs, Output};
use super::document;
use super::exit::Done;
use super::table::Table;
use crate::config::Settings;

/// Prints the effective settings.
///
/// # Errors
/// None today; the signature is that of every subcommand.
pub fn run(args: &ConfigArgs, settings: &Settings) -> Done {
    let rows = settings.effective();
    match args.output {
        Output::Table => {
            let mut table = Table::new(["KEY", "VALUE", "LAYER", "FROM"]);
            for (key, value, origin) in rows {
                table.row([key, value, origin.layer().to_owned(), origin.to_string()]);
            }
            print!("{}", table.render());
        }
        Output::Json => {
            let items: Vec<_> = rows
                .into_iter()
                .map(|(key, value, origin)| {
                    serde_json::json!({"key": key, "value": value, "layer": origin.layer(), "from": origin.to_string()})
                })
                .collect();
            document::print(&serde_json::json!({
                "apiVersion": document::API_VERSION, "kind": "SettingList", "items": items,
            }));
        }
    }
    Ok(())
}
