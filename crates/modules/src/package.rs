//! `package`: packages by whatever manager the host has.

use hostler_module_api::prelude::*;

use crate::apt;

/// Install, upgrade or remove packages with the host's package manager.
///
/// ```yaml
/// - name: What every host has
///   package:
///     name: [curl, rsync]
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Packages, as the host's manager names them.
    #[serde(alias = "pkg")]
    name: Vec<String>,
    /// What should be with them: `present`, `absent` or `latest`.
    #[serde(default)]
    state: State,
    /// Package manager: `auto` for the one that the host has, or its name.
    #[serde(default = "auto", alias = "use_backend")]
    r#use: String,
    /// Refresh the package lists first.
    update_cache: Option<bool>,
    /// Seconds for which refreshed lists are good enough.
    #[serde(default)]
    cache_valid_time: i64,
}

fn auto() -> String {
    "auto".into()
}

/// What should be with packages.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    /// They are installed.
    #[default]
    #[serde(alias = "installed")]
    Present,
    /// They are not installed.
    #[serde(alias = "removed")]
    Absent,
    /// They are installed in the newest version.
    Latest,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("package")
}

pub(crate) struct This;

/// What was seen, and the arguments for the manager that looked.
pub(crate) struct Seen {
    args: apt::Args,
    apt: <apt::This as Module>::State,
}

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "package";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        let manager = match args.r#use.as_str() {
            "auto" => {
                let family = hostler_probes::distribution(host).family;
                hostler_probes::package_manager(host, &family)
            }
            other => other.rsplit('.').next().unwrap_or(other),
        };
        if manager == "unknown" {
            return Err(ModuleError::new("Could not detect a package manager. Try using the \"use\" option."));
        }
        if manager != "apt" {
            return Err(ModuleError::new(format!("package manager {manager} is not supported yet")).hint("apt is"));
        }
        let args: apt::Args = apt::Generic {
            names: args.name.clone(),
            state: match args.state {
                State::Present => apt::PackageState::Present,
                State::Absent => apt::PackageState::Absent,
                State::Latest => apt::PackageState::Latest,
            },
            update_cache: args.update_cache,
            cache_valid_time: args.cache_valid_time,
        }
        .into();
        let apt = apt::This::observe(&args, host)?;
        Ok(Seen { args, apt })
    }

    fn plan(_args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        apt::This::plan(&now.args, &now.apt)
    }

    fn report(_args: &Args, ran: &Ran<'_, Seen>) -> Report {
        let (before, after) = (&ran.before.apt, &ran.after.apt);
        let inner = Ran { before, after, plan: ran.plan, applied: ran.applied, check: ran.check };
        apt::This::report(&ran.before.args, &inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};
    use serde_json::json;

    fn args(json: serde_json::Value) -> Value {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn hands_on_to_apt() {
        let host = FakeHost::bare()
            .file("/etc/os-release", "ID=debian\nNAME=Debian\n")
            .file("/usr/bin/apt-get", "")
            .attrs("/usr/bin/apt-get", 0, 0, 0o755)
            .file("/var/lib/dpkg/status", "Package: jq\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n");
        let done = check_module::<This>(args(json!({"name": "jq", "state": "installed"})), host);
        assert!(!done.first.changed && done.first.fields.contains("cache_updated"));
    }

    #[test]
    fn other_managers_are_not_there_yet() {
        let host = FakeHost::bare().file("/etc/os-release", "ID=fedora\nNAME=\"Fedora Linux\"\n").file("/etc/redhat-release", "Fedora release 41\n").file("/usr/bin/dnf", "");
        assert_eq!(check_fails::<This>(args(json!({"name": "jq"})), host), "package manager dnf is not supported yet");
        let host = FakeHost::bare();
        assert!(check_fails::<This>(args(json!({"name": "jq"})), host).starts_with("Could not detect"));
    }
}
