//! Layered settings: flags > environment > file > built-in, parsed to values that know where they came from.
//!
//! Owns the names, kinds and defaults of flightdeck's own settings, the shape of `config.toml`, and the paths of the files of
//! users. It reads the config file and nothing else; it knows no screen, and it does not check the names that belong to other
//! rooms (actions, themes, options of the autoscaler): it keeps them with their position so that the owner can.

pub mod error;
pub mod file;
pub mod layers;
pub mod paths;
pub mod registry;
pub mod settings;

pub use error::{ConfigError, Origin};
pub use layers::{Layers, load};
pub use settings::{FlinkSource, JobSettings, SecretSource, Settings};
