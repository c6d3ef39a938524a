//! `hostler.yml`: defaults for flags that a directory or a user always gives.
//!
//! Flags go before environment variables, those before the file. The first of these is read: the file that
//! `HOSTLER_CONFIG` names; `hostler.yml` in the working directory, unless others may write there (ansible-core ignores
//! its `ansible.cfg` in such a directory too: somebody could make one's runs connect as they like);
//! `hostler/hostler.yml` in the user's configuration directory.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::environment::Environment;
use crate::problem::Problem;

/// Largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// What the file may say. Relative paths are relative to the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SettingsFile {
    inventory: Vec<String>,
    remote_user: Option<String>,
    private_key_file: Option<PathBuf>,
    forks: Option<u32>,
    timeout: Option<u64>,
    state_dir: Option<PathBuf>,
    reconnect: Option<u64>,
    task_timeout: Option<u64>,
    host_budget: Option<u64>,
    host_key_checking: Option<bool>,
    r#become: Option<bool>,
    become_method: Option<String>,
    become_user: Option<String>,
}

impl SettingsFile {
    /// Reads the file that counts; nothing if there is none.
    pub(crate) fn find(get: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, Problem> {
        if let Some(named) = get("HOSTLER_CONFIG") {
            return Self::load(&named);
        }
        let here = Path::new("hostler.yml");
        if here.is_file() && is_private(Path::new(".")) {
            return Self::load(here);
        }
        let config =
            get("XDG_CONFIG_HOME").or_else(|| get("HOME").map(|home| home.join(".config")));
        match config
            .map(|config| config.join("hostler/hostler.yml"))
            .filter(|it| it.is_file())
        {
            Some(own) => Self::load(&own),
            None => Ok(Self::default()),
        }
    }

    fn load(path: &Path) -> Result<Self, Problem> {
        let cannot = |why: String| Problem::usage(format!("cannot read {}: {why}", path.display()));
        let size = std::fs::metadata(path)
            .map_err(|error| cannot(error.to_string()))?
            .len();
        if size > BYTES_MAX {
            return Err(cannot(format!("it is larger than {BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Problem> {
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim().starts_with('#'))
        {
            return Ok(Self::default());
        }
        let mut settings: SettingsFile = serde_yaml::from_str(text)
            .map_err(|error| Problem::usage(format!("{}: {error}", path.display())))?;
        let base = path.parent().unwrap_or(Path::new(""));
        for source in settings
            .inventory
            .iter_mut()
            .filter(|source| !source.contains(','))
        {
            *source = base.join(&source).display().to_string();
        }
        settings.state_dir = settings.state_dir.map(|state| base.join(state));
        settings.private_key_file = settings.private_key_file.map(|key| base.join(key));
        Ok(settings)
    }

    /// Fills in what the environment does not say.
    pub(crate) fn under(self, mut environment: Environment) -> Environment {
        let SettingsFile {
            inventory,
            remote_user,
            private_key_file,
            forks,
            timeout,
            state_dir,
            reconnect,
            task_timeout,
            host_budget,
            host_key_checking,
            r#become,
            become_method,
            become_user,
        } = self;
        if environment.inventory.is_empty() {
            environment.inventory = inventory;
        }
        environment.remote_user = environment.remote_user.or(remote_user);
        environment.private_key_file = environment.private_key_file.or(private_key_file);
        environment.forks = environment.forks.or(forks);
        environment.timeout_s = environment.timeout_s.or(timeout);
        environment.state_dir = environment.state_dir.or(state_dir);
        environment.reconnect_s = environment.reconnect_s.or(reconnect);
        environment.task_timeout_s = environment.task_timeout_s.or(task_timeout);
        environment.host_budget_s = environment.host_budget_s.or(host_budget);
        environment.host_key_checking &= host_key_checking.unwrap_or(true);
        environment.r#become |= r#become.unwrap_or(false);
        environment.become_method = environment.become_method.or(become_method);
        environment.become_user = environment.become_user.or(become_user);
        environment
    }
}

/// Can nobody else put a file there?
fn is_private(directory: &Path) -> bool {
    let metadata = std::fs::metadata(directory);
    metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o002 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_stands_under_the_environment() {
        let text = "# ours\ninventory: [hosts.ini, 'a,b']\nremote_user: deploy\nforks: 20\nhost_key_checking: false\n";
        let settings = SettingsFile::parse(text, Path::new("/etc/x/hostler.yml")).unwrap();
        let environment = Environment {
            forks: Some(5),
            ..Environment::default()
        };
        let decided = settings.under(environment);
        assert_eq!(decided.inventory, ["/etc/x/hosts.ini", "a,b"]);
        assert_eq!(decided.remote_user.as_deref(), Some("deploy"));
        assert_eq!((decided.forks, decided.host_key_checking), (Some(5), false));
    }

    #[test]
    fn mistakes_are_said_with_their_place() {
        let said = |text: &str| {
            let problem = SettingsFile::parse(text, Path::new("hostler.yml")).unwrap_err();
            format!("{problem:?}")
        };
        let unknown = said("forks: 5\nforsk: 6\n");
        assert!(
            unknown.contains("forsk") && unknown.contains("line 2"),
            "{unknown}"
        );
        assert!(said("forks: many\n").contains("forks"));
        assert_eq!(
            SettingsFile::parse("# nothing\n", Path::new("x")).unwrap(),
            SettingsFile::default()
        );
    }
}
