//! Where the files of users are (XDG).

use std::path::PathBuf;

/// Looks up an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

fn base(env: Env<'_>, variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = env(variable).filter(|v| v.starts_with('/')).map(PathBuf::from);
    set.or_else(|| env("HOME").map(|home| PathBuf::from(home).join(below_home)))
}

/// The folder of `config.toml`, `keymap.toml` and `themes/`: `$XDG_CONFIG_HOME/flightdeck`, else `~/.config/flightdeck`.
pub fn config_dir(env: Env<'_>) -> Option<PathBuf> {
    base(env, "XDG_CONFIG_HOME", ".config").map(|dir| dir.join("flightdeck"))
}

/// The folder of the journal and the log: `$XDG_STATE_HOME/flightdeck`, else `~/.local/state/flightdeck`.
pub fn state_dir(env: Env<'_>) -> Option<PathBuf> {
    base(env, "XDG_STATE_HOME", ".local/state").map(|dir| dir.join("flightdeck"))
}

/// The folder of sockets: `$XDG_RUNTIME_DIR/flightdeck`, else a folder below the state folder.
pub fn runtime_dir(env: Env<'_>) -> Option<PathBuf> {
    let set = env("XDG_RUNTIME_DIR").filter(|v| v.starts_with('/'));
    set.map(|dir| PathBuf::from(dir).join("flightdeck")).or_else(|| state_dir(env).map(|dir| dir.join("run")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xdg_wins_over_home_and_relative_values_are_ignored() {
        let env = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("/cfg".to_owned()),
            "XDG_STATE_HOME" => Some("relative".to_owned()),
            "HOME" => Some("/home/me".to_owned()),
            _ => None,
        };
        assert_eq!(config_dir(&env), Some(PathBuf::from("/cfg/flightdeck")));
        assert_eq!(state_dir(&env), Some(PathBuf::from("/home/me/.local/state/flightdeck")));
        assert_eq!(runtime_dir(&env), Some(PathBuf::from("/home/me/.local/state/flightdeck/run")));
        assert_eq!(config_dir(&|_| None), None);
    }
}
