//! The host's package manager, and what of a transaction is done already.

use std::collections::BTreeMap;
use std::fmt::Write;

use hostler_module_api::{Inspect, ModuleError};
use hostler_package_managers::PackageManager;
use hostler_updates::{Action, PackageName};

/// Installed packages with their versions.
pub(crate) type InstalledVersions = BTreeMap<PackageName, String>;

/// The package manager of the host.
///
/// # Errors
/// There is none that is known.
pub(crate) fn manager(host: &dyn Inspect) -> Result<&'static dyn PackageManager, ModuleError> {
    #[cfg(test)]
    if super::fake::Tin.is_here(host) {
        return Ok(&super::fake::Tin);
    }
    hostler_package_managers::manager_of(host)
}

/// Is what an action brings about so?
pub(crate) fn is_done(action: &Action, installed: &InstalledVersions) -> bool {
    installed.get(&action.package) == action.to.as_ref()
}

/// What of the installed packages is not as the actions want it, a sentence each.
pub(crate) fn not_as_planned(actions: &[Action], installed: &InstalledVersions) -> Vec<String> {
    let differs = |action: &Action| {
        let name = &action.package;
        match (installed.get(name), &action.to) {
            (Some(is), Some(wanted)) => format!("{name} is {is}, not {wanted}"),
            (Some(is), None) => format!("{name} is {is}, not removed"),
            (None, Some(wanted)) => format!("{name} is not installed, but should be {wanted}"),
            (None, None) => format!("{name} is not installed"),
        }
    };
    let open = actions.iter().filter(|it| !is_done(it, installed));
    open.map(differs).collect()
}

/// The list of installed packages as it is kept: `name:arch version`, sorted.
pub(crate) fn list(installed: &InstalledVersions) -> String {
    let mut text = String::new();
    for (name, version) in installed {
        let _ = writeln!(text, "{name} {version}");
    }
    text
}

/// Reads [`list`].
pub(crate) fn parse_list(text: &str) -> InstalledVersions {
    let line = |line: &str| {
        let (name, version) = line.split_once(' ')?;
        // Names have no colon; architectures neither.
        let (name, arch) = name.rsplit_once(':')?;
        let package = PackageName {
            name: name.to_owned(),
            arch: arch.to_owned(),
        };
        Some((package, version.to_owned()))
    };
    text.lines().filter_map(line).collect()
}
