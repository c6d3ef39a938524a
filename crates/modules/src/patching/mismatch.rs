//! Is what the package manager would do exactly what was planned?

use hostler_module_api::ModuleError;
use hostler_updates::{Action, ActionKind, Resolution, changes_arch};

use super::{glob, one_line};

/// Differences that are named.
const NAMED: usize = 10;

/// What a transaction would do otherwise than planned, a line each. `open` is what of the plan is not done yet.
pub(crate) fn differences(
    open: &[Action],
    got: &Resolution,
    allow_remove: &[String],
) -> Vec<String> {
    let mut all = Vec::new();
    for (package, why) in &got.impossible {
        all.push(format!("{package} cannot be had: {}", one_line(why, 200)));
    }
    let is_impossible = |action: &Action| got.impossible.iter().any(|it| it.0 == action.package);
    for action in open.iter().filter(|it| !is_impossible(it)) {
        match got.actions.iter().find(|it| it.package == action.package) {
            None => all.push(format!("{} would not be done", shown(action))),
            Some(other) if !is_same(action, other) => {
                all.push(format!("{}, planned is {}", shown(other), shown(action)));
            }
            Some(_) => {}
        }
    }
    for other in &got.actions {
        if !open.iter().any(|it| it.package == other.package) {
            all.push(format!("{} is not planned", shown(other)));
        }
    }
    for action in open.iter().filter(|it| it.kind == ActionKind::Remove) {
        // One half of an upgrade that changes the architecture.
        if changes_arch(action, open) {
            continue;
        }
        if glob::first_fit(allow_remove, &action.package.name).is_none() {
            all.push(format!(
                "{} is not among the removals that are allowed",
                shown(action)
            ));
        }
    }
    all
}

/// The failure that begins with the code `plan_mismatch:`.
pub(crate) fn failure(differences: &[String]) -> ModuleError {
    let named = differences[..differences.len().min(NAMED)].join("; ");
    let more = differences.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    ModuleError::new(format!("plan_mismatch: {named}{more}"))
        .hint("nothing was installed; make a new plan")
}

fn is_same(a: &Action, b: &Action) -> bool {
    (a.kind, &a.from, &a.to) == (b.kind, &b.from, &b.to)
}

fn shown(action: &Action) -> String {
    let version = |it: &Option<String>| one_line(it.as_deref().unwrap_or("nothing"), 100);
    format!(
        "{} {} -> {}",
        action.package,
        version(&action.from),
        version(&action.to)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::fake::{action, package};

    #[test]
    fn more_less_and_other() {
        let open = [
            action("a", Some("1"), Some("2")),
            action("b", Some("1"), Some("2")),
            action("c", Some("1"), Some("2")),
            action("d", Some("1"), None),
            action("gone", Some("1"), Some("2")),
        ];
        let got = Resolution {
            actions: vec![
                action("a", Some("1"), Some("2")),
                action("b", Some("1"), Some("3")),
                action("d", Some("1"), None),
                action("extra", None, Some("1")),
            ],
            impossible: vec![(package("gone"), "no\nsource".into())],
            ..Resolution::default()
        };
        let found = differences(&open, &got, &[]);
        assert_eq!(
            found,
            [
                "gone:amd64 cannot be had: no source",
                "b:amd64 1 -> 3, planned is b:amd64 1 -> 2",
                "c:amd64 1 -> 2 would not be done",
                "extra:amd64 nothing -> 1 is not planned",
                "d:amd64 1 -> nothing is not among the removals that are allowed",
            ]
        );
        assert!(
            !differences(&open, &got, &["d*".into()])
                .iter()
                .any(|it| it.contains("allowed"))
        );
        let same = Resolution {
            actions: open[..3].to_vec(),
            ..Resolution::default()
        };
        assert!(differences(&open[..3], &same, &[]).is_empty());
    }

    #[test]
    fn ten_are_named() {
        let many: Vec<String> = (0..14).map(|it| format!("d{it}")).collect();
        let msg = failure(&many).into_parts().msg;
        assert!(
            msg.starts_with("plan_mismatch: d0; d1; ") && msg.ends_with("d9; and 4 more"),
            "{msg}"
        );
    }

    #[test]
    fn a_removal_that_makes_room_for_another_architecture_needs_no_leave() {
        let mut new = action("a", None, Some("2"));
        let mut old = action("a", Some("1"), None);
        new.package.arch = "noarch".to_owned();
        old.package.arch = "x86_64".to_owned();
        let open = [new, old];
        let got = |actions: &[Action]| Resolution {
            actions: actions.to_vec(),
            ..Resolution::default()
        };
        assert!(differences(&open, &got(&open), &[]).is_empty());
        let alone = &open[1..];
        assert_eq!(
            differences(alone, &got(alone), &[]),
            ["a:x86_64 1 -> nothing is not among the removals that are allowed"]
        );
    }
}
