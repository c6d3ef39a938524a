//! A transaction against what is installed: what is left of it, what it did.

use hostler_change::Delta;
use hostler_updates::{Action, ActionKind, Class, PackageName};

use super::manager::{InstalledVersions, is_done, version_of};
use super::one_line;

/// What is not done yet.
pub(crate) fn open(actions: &[Action], installed: &InstalledVersions) -> Vec<Action> {
    let open = actions.iter().filter(|it| !is_done(it, installed));
    open.cloned().collect()
}

/// The differences that explain it.
pub(crate) fn deltas(actions: &[Action]) -> Vec<Delta> {
    let version = |it: &Option<String>| it.as_deref().map(|it| one_line(it, 200));
    let delta = |it: &Action| {
        let subject = format!("package {}", it.package);
        Delta::field(subject, "version", version(&it.from), version(&it.to))
    };
    actions.iter().map(delta).collect()
}

/// What was done between two lists of installed packages: the actions that were planned, as they came to be, and a
/// sentence for each package that changed without being planned.
pub(crate) fn done(
    before: &InstalledVersions,
    after: &InstalledVersions,
    planned: &[Action],
) -> (Vec<Action>, Vec<String>) {
    let (mut actions, mut others) = (Vec::new(), Vec::new());
    // Upgrades that change the architecture: the old one goes with them.
    let replaced = |old: &PackageName| {
        let mut upgrades = planned
            .iter()
            .filter(|it| it.from.is_some() && it.to.is_some());
        upgrades.any(|it| it.package.changed_arch(old) && after.contains_key(&it.package))
    };
    let gone = before
        .keys()
        .filter(|it| !after.contains_key(*it) && !replaced(it));
    for package in after.keys().chain(gone) {
        let plan = planned.iter().find(|it| it.package == *package);
        let from = plan.map_or_else(|| before.get(package), |it| version_of(it, before));
        let to = after.get(package);
        if from == to {
            continue;
        }
        if plan.is_none() {
            let shown =
                |it: Option<&String>| it.map_or("nothing".to_owned(), |it| one_line(it, 100));
            let words = format!(
                "{package} changed from {} to {} meanwhile, which was not planned",
                shown(from),
                shown(to)
            );
            others.push(words);
        }
        let kind = match (from, to) {
            (None, _) => ActionKind::Install,
            (_, None) => ActionKind::Remove,
            _ => plan.map_or(ActionKind::Upgrade, |it| it.kind),
        };
        let (from, to) = (from.cloned(), to.cloned());
        let package = package.clone();
        actions.push(match plan {
            Some(plan) => Action {
                kind,
                from,
                to,
                ..plan.clone()
            },
            None => Action {
                package,
                kind,
                from,
                to,
                suites: Vec::new(),
                class: Class::Unknown,
                download_bytes: 0,
                sha256: None,
                dependency: false,
            },
        });
    }
    hostler_value::order::sort_by(&mut actions, |a, b| a.package.cmp(&b.package));
    (actions, others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::fake::action;
    use crate::patching::manager::parse_list;

    #[test]
    fn what_was_done_is_what_differs() {
        let before = parse_list("a:amd64 1\nb:amd64 1\nc:amd64 1\nx:amd64 1\n");
        let after = parse_list("a:amd64 2\nc:amd64 1\nn:amd64 1\nx:amd64 5\n");
        let planned = [
            action("a", Some("1"), Some("2")),
            action("b", Some("1"), None),
            action("n", None, Some("1")),
        ];
        let (actions, others) = done(&before, &after, &planned);
        assert_eq!(actions[..3], planned);
        assert_eq!(actions.len(), 4);
        assert_eq!(
            others,
            ["x:amd64 changed from 1 to 5 meanwhile, which was not planned"]
        );
        // One that becomes a package for all architectures is one action, and nothing else has changed.
        let mut changes = action("b", Some("1"), Some("2"));
        changes.package.arch = "all".to_owned();
        let after_it = parse_list("a:amd64 1\nb:all 2\nc:amd64 1\nx:amd64 1\n");
        let told = done(&before, &after_it, std::slice::from_ref(&changes));
        assert_eq!(told, (vec![changes], Vec::new()));
        assert!(open(&planned, &after).is_empty());
        assert_eq!(open(&planned, &before).len(), 3);
    }
}
