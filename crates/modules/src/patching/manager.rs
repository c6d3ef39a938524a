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

/// The installed version of an action's package. Where an upgrade changes its architecture (`all` becomes `amd64`), its
/// action names the new one, and the old one is installed before: dpkg has one of them at a time.
pub(crate) fn version_of<'a>(
    action: &Action,
    installed: &'a InstalledVersions,
) -> Option<&'a String> {
    let other = || {
        let replaces = action.from.is_some() && action.to.is_some();
        let mut same = installed
            .iter()
            .filter(|it| it.0.changed_arch(&action.package));
        same.next().filter(|_| replaces).map(|it| it.1)
    };
    installed.get(&action.package).or_else(other)
}

/// Is what an action brings about so?
pub(crate) fn is_done(action: &Action, installed: &InstalledVersions) -> bool {
    version_of(action, installed) == action.to.as_ref()
}

/// What of the installed packages is not as the actions want it, a sentence each.
pub(crate) fn not_as_planned(actions: &[Action], installed: &InstalledVersions) -> Vec<String> {
    let differs = |action: &Action| {
        let name = &action.package;
        match (version_of(action, installed), &action.to) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::fake::action;

    #[test]
    fn a_package_that_changes_its_architecture_is_one_package_to_dpkg() {
        let mut step = action("a", Some("1"), Some("2"));
        for (old, new) in [("all", "amd64"), ("amd64", "all")] {
            step.package.arch = new.to_owned();
            let before = parse_list(&format!("a:{old} 1\n"));
            assert_eq!(version_of(&step, &before).unwrap(), "1");
            assert!(!is_done(&step, &before));
            let after = parse_list(&format!("a:{new} 2\n"));
            assert!(is_done(&step, &after) && not_as_planned(&[step.clone()], &after).is_empty());
        }
        // Of two processors: two packages.
        step.package.arch = "amd64".to_owned();
        assert_eq!(version_of(&step, &parse_list("a:i386 1\n")), None);
    }

    #[test]
    fn rpm_has_an_action_for_each_architecture() {
        let mut new = action("a", None, Some("2"));
        let mut old = action("a", Some("1"), None);
        new.package.arch = "noarch".to_owned();
        old.package.arch = "x86_64".to_owned();
        let (before, after) = (parse_list("a:x86_64 1\n"), parse_list("a:noarch 2\n"));
        for step in [&new, &old] {
            assert!(!is_done(step, &before) && is_done(step, &after));
        }
        assert!(not_as_planned(&[new, old], &after).is_empty());
    }
}
