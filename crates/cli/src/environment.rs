//! Environment variables, all of them, read in one place.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::problem::Problem;
use crate::settings_file::SettingsFile;

/// What the environment says. Names are those that ansible-core reads, and `NO_COLOR` (<https://no-color.org>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `ANSIBLE_INVENTORY`, separated by commas where it names files.
    pub inventory: Vec<String>,
    /// `ANSIBLE_REMOTE_USER`.
    pub remote_user: Option<String>,
    /// `ANSIBLE_PRIVATE_KEY_FILE`.
    pub private_key_file: Option<PathBuf>,
    /// `ANSIBLE_FORKS`.
    pub forks: Option<u32>,
    /// `ANSIBLE_TIMEOUT`, seconds.
    pub timeout_s: Option<u64>,
    /// `HOSTLER_STATE_DIR`.
    pub state_dir: Option<PathBuf>,
    /// Only in the settings file: `reconnect`, seconds.
    pub reconnect_s: Option<u64>,
    /// `ANSIBLE_TASK_TIMEOUT`, seconds; 0 is none.
    pub task_timeout_s: Option<u64>,
    /// Only in the settings file: `host_budget`, seconds; 0 is none.
    pub host_budget_s: Option<u64>,
    /// `ANSIBLE_HOST_KEY_CHECKING`. False stores unknown keys; changed ones are refused all the same, unlike there.
    pub host_key_checking: bool,
    /// `ANSIBLE_BECOME`.
    pub r#become: bool,
    /// `ANSIBLE_BECOME_METHOD`.
    pub become_method: Option<String>,
    /// `ANSIBLE_BECOME_USER`.
    pub become_user: Option<String>,
    /// `NO_COLOR` or `ANSIBLE_NOCOLOR`: no colours.
    pub no_color: bool,
    /// `ANSIBLE_FORCE_COLOR`: colours off a terminal too.
    pub force_color: bool,
    /// `TERM` says that the terminal can do nothing.
    pub dumb_terminal: bool,
}

impl Default for Environment {
    /// An environment that says nothing.
    fn default() -> Self {
        Environment {
            inventory: Vec::new(),
            remote_user: None,
            private_key_file: None,
            forks: None,
            timeout_s: None,
            state_dir: None,
            reconnect_s: None,
            task_timeout_s: None,
            host_budget_s: None,
            host_key_checking: true,
            r#become: false,
            become_method: None,
            become_user: None,
            no_color: false,
            force_color: false,
            dumb_terminal: false,
        }
    }
}

impl Environment {
    /// Reads the process's environment, and the settings file underneath it.
    pub(crate) fn read() -> Result<Self, Problem> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let file = SettingsFile::find(|name| set(name).map(PathBuf::from))?;
        Ok(file.under(Self::from_lookup(|name| std::env::var_os(name))?))
    }

    fn from_lookup(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, Problem> {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        let text = |name: &str| {
            set(name)
                .map(|value| {
                    value.into_string().map_err(|_| {
                        Problem::usage(format!("the variable {name} is not valid UTF-8"))
                    })
                })
                .transpose()
        };
        let truth = |name: &str, default: bool| match text(name)?.as_deref() {
            None => Ok(default),
            Some(value) => yes_or_no(value).ok_or_else(|| {
                Problem::usage(format!(
                    "the variable {name} is neither true nor false: {value}"
                ))
            }),
        };
        Ok(Environment {
            inventory: inventory(text("ANSIBLE_INVENTORY")?),
            remote_user: text("ANSIBLE_REMOTE_USER")?,
            private_key_file: set("ANSIBLE_PRIVATE_KEY_FILE").map(PathBuf::from),
            forks: number("ANSIBLE_FORKS", text("ANSIBLE_FORKS")?)?,
            timeout_s: number("ANSIBLE_TIMEOUT", text("ANSIBLE_TIMEOUT")?)?,
            state_dir: set("HOSTLER_STATE_DIR").map(PathBuf::from),
            reconnect_s: None,
            task_timeout_s: number("ANSIBLE_TASK_TIMEOUT", text("ANSIBLE_TASK_TIMEOUT")?)?,
            host_budget_s: None,
            host_key_checking: truth("ANSIBLE_HOST_KEY_CHECKING", true)?,
            r#become: truth("ANSIBLE_BECOME", false)?,
            become_method: text("ANSIBLE_BECOME_METHOD")?,
            become_user: text("ANSIBLE_BECOME_USER")?,
            no_color: set("NO_COLOR").is_some() || truth("ANSIBLE_NOCOLOR", false)?,
            force_color: truth("ANSIBLE_FORCE_COLOR", false)?,
            dumb_terminal: set("TERM").is_some_and(|term| term == "dumb"),
        })
    }
}

/// A comma separates several sources; a list of hosts has one at its end.
fn inventory(value: Option<String>) -> Vec<String> {
    match value {
        None => Vec::new(),
        Some(list) if list.ends_with(',') => vec![list],
        Some(sources) => sources
            .split(',')
            .map(|source| source.trim().to_owned())
            .collect(),
    }
}

fn number<T: std::str::FromStr>(name: &str, value: Option<String>) -> Result<Option<T>, Problem> {
    value
        .map(|value| {
            value.trim().parse().map_err(|_| {
                Problem::usage(format!("the variable {name} is not a number: {value}"))
            })
        })
        .transpose()
}

/// What ansible-core's configuration takes for true and false.
fn yes_or_no(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" | "y" | "t" => Some(true),
        "0" | "false" | "no" | "off" | "n" | "f" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Environment, Problem> {
        Environment::from_lookup(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn reads_what_people_set() {
        let env = read(&[
            ("ANSIBLE_HOST_KEY_CHECKING", "False"),
            ("ANSIBLE_INVENTORY", "a.ini, b.yml"),
            ("ANSIBLE_FORKS", "50"),
            ("NO_COLOR", "1"),
            ("TERM", "dumb"),
        ])
        .unwrap();
        assert!(!env.host_key_checking && env.no_color && env.dumb_terminal);
        assert_eq!(env.inventory, ["a.ini", "b.yml"]);
        assert_eq!(env.forks, Some(50));
        let empty = read(&[("NO_COLOR", ""), ("ANSIBLE_INVENTORY", "h1,h2,")]).unwrap();
        assert!(!empty.no_color && empty.host_key_checking);
        assert_eq!(empty.inventory, ["h1,h2,"]);
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        assert!(read(&[("ANSIBLE_FORKS", "many")]).is_err());
        assert!(read(&[("ANSIBLE_BECOME", "maybe")]).is_err());
    }
}
