//! What programs have declared, against what the host is after they have run.
//!
//! A preview shows later tasks what programs declare, so every real run tests the declarations: a difference is the
//! module's fault, not the host's. Held against the host is only what a program that exits with success must have
//! brought about. Not held against it: that a started unit still runs (it may end by itself), the state of a unit file
//! whose words never change (`static`, `alias`), and a version of a package that another task may have raised since.

use std::path::Path;

use hostler_change::{Effect, ShadowEffect, UnitEffect, UserEffect};
use hostler_module_api::{Account, Follow, Group, Inspect, InspectError};
use hostler_probes::{Scope, dpkg, shadow, sysctl};

/// Each difference is a sentence. What cannot be looked at says nothing.
pub(crate) fn faults(host: &dyn Inspect, declared: &[&Effect]) -> Vec<String> {
    let said = |effect: &&Effect| {
        let (what, but) = difference(host, effect)?;
        Some(format!("declared that {what}, the host says {but}"))
    };
    let mut faults: Vec<String> = Vec::new();
    for (index, effect) in declared.iter().enumerate() {
        // The later one holds.
        let overruled = declared[index + 1..]
            .iter()
            .any(|later| overrules(later, effect));
        faults.extend(said(effect).filter(|_| !overruled));
    }
    faults
}

fn overrules(later: &Effect, effect: &Effect) -> bool {
    match (later, effect) {
        (Effect::User(a), Effect::User(b)) => a.name == b.name,
        (Effect::NoUser(name), Effect::User(user)) => *name == user.name,
        (Effect::Shadow(a), Effect::Shadow(b)) => a.user == b.user,
        (Effect::Unit(a), Effect::Unit(b)) => a.name == b.name,
        (Effect::Sysctl { key: a, .. }, Effect::Sysctl { key: b, .. })
        | (Effect::Package { name: a, .. }, Effect::Package { name: b, .. }) => a == b,
        _ => false,
    }
}

/// What was declared, and what is there instead.
fn difference(host: &dyn Inspect, effect: &Effect) -> Option<(String, String)> {
    match effect {
        Effect::User(user) => user_differs(host, user),
        Effect::NoUser(name) => {
            let there = account(host, name).ok()?.is_some();
            there.then(|| (format!("user {name} is gone"), "it is there".to_owned()))
        }
        Effect::Group { name, gid } => match group(host, name).ok()? {
            None => Some((format!("group {name} is there"), "it is not".to_owned())),
            Some(group) => differs(
                &format!("group {name} has number"),
                gid.as_ref(),
                &group.gid,
            ),
        },
        Effect::NoGroup(name) => {
            let there = group(host, name).ok()?.is_some();
            there.then(|| (format!("group {name} is gone"), "it is there".to_owned()))
        }
        Effect::Member {
            user,
            group: name,
            present,
        } => {
            let is = group(host, name)
                .ok()?
                .is_some_and(|it| it.members.contains(user));
            let words = |is: bool| if is { "is" } else { "is not" };
            (is != *present).then(|| {
                let what = format!("user {user} {} a member of group {name}", words(*present));
                (what, format!("that it {}", words(is)))
            })
        }
        Effect::Shadow(line) => shadow_differs(host, line),
        Effect::Package { name, version } => {
            let known = dpkg(host).ok()?;
            let there = known.installed(name);
            (there.is_some() != version.is_some()).then(|| {
                let words = |is: bool| {
                    if is {
                        "is installed"
                    } else {
                        "is not installed"
                    }
                };
                let what = format!("package {name} {}", words(version.is_some()));
                (what, format!("that it {}", words(there.is_some())))
            })
        }
        Effect::Unit(unit) => unit_differs(host, unit),
        Effect::Sysctl { key, value } => {
            let now = sysctl(host, key).ok()??;
            let same = now.split_whitespace().eq(value.split_whitespace());
            (!same).then(|| (format!("{key} is {value}"), now.trim().to_owned()))
        }
        Effect::Hostname { running, .. } => {
            let now = hostler_probes::node_name(host);
            differs("the host's name is", running.as_ref(), &now)
        }
        Effect::Crontab { user, table } => {
            let me = host.identity().user == *user;
            let said = hostler_probes::crontab(host, Some(user.as_str()).filter(|_| !me)).ok()?;
            let lines = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let kept = text.lines().filter(|line| !line.starts_with('#'));
                kept.map(str::to_owned).collect::<Vec<_>>()
            };
            let same = !said.success() || lines(&said.stdout) == lines(table);
            (!same).then(|| {
                (
                    format!("the crontab of {user} is replaced"),
                    "another table".to_owned(),
                )
            })
        }
        Effect::File { path, .. } | Effect::Moved { to: path, .. } => is_there(host, path, true),
        Effect::Unforeseen => None,
        Effect::Edit(edit) => edit_differs(host, edit),
    }
}

fn account(host: &dyn Inspect, name: &str) -> Result<Option<Account>, InspectError> {
    Ok(host.account(name)?.filter(|it| it.name == name))
}

fn group(host: &dyn Inspect, name: &str) -> Result<Option<Group>, InspectError> {
    Ok(host.group(name)?.filter(|it| it.name == name))
}

fn differs<T: PartialEq + std::fmt::Display>(
    what: &str,
    declared: Option<&T>,
    now: &T,
) -> Option<(String, String)> {
    let declared = declared.filter(|it| *it != now)?;
    Some((format!("{what} {declared}"), now.to_string()))
}

fn user_differs(host: &dyn Inspect, user: &UserEffect) -> Option<(String, String)> {
    let name = &user.name;
    let Some(now) = account(host, name).ok()? else {
        return Some((format!("user {name} is there"), "it is not".to_owned()));
    };
    differs(
        &format!("user {name} has number"),
        user.uid.as_ref(),
        &now.uid,
    )
    .or_else(|| {
        differs(
            &format!("user {name} has comment"),
            user.gecos.as_ref(),
            &now.gecos,
        )
    })
    .or_else(|| {
        differs(
            &format!("user {name} has home"),
            user.home.as_ref(),
            &now.home,
        )
    })
    .or_else(|| {
        differs(
            &format!("user {name} has shell"),
            user.shell.as_ref(),
            &now.shell,
        )
    })
}

/// Passwords are compared and never told.
fn shadow_differs(host: &dyn Inspect, line: &ShadowEffect) -> Option<(String, String)> {
    let now = shadow(host, &line.user)?;
    if line.password.as_ref().is_some_and(|it| *it != now.password) {
        let what = format!("user {} has the given password", line.user);
        return Some((what, "another".to_owned()));
    }
    let ages = [
        ("min", line.min, now.min),
        ("max", line.max, now.max),
        ("warn", line.warn, now.warn),
        ("inactive", line.inactive, now.inactive),
        ("expires", line.expires, now.expires),
    ];
    // An empty field and -1 are the same.
    let (name, declared, now) = ages.into_iter().find(|(_, declared, now)| {
        declared.is_some_and(|it| it.max(-1) != now.unwrap_or(-1).max(-1))
    })?;
    let what = format!("{name} of user {} is {}", line.user, declared.unwrap_or(-1));
    Some((what, now.unwrap_or(-1).to_string()))
}

fn unit_differs(host: &dyn Inspect, unit: &UnitEffect) -> Option<(String, String)> {
    let now = hostler_probes::unit(host, Scope::System, &unit.name).ok()?;
    let name = &unit.name;
    // A socket, a timer or a path may have started it again.
    let triggered = now.get("TriggeredBy").is_some_and(|it| !it.is_empty());
    if unit.active == Some(false) && now.get("ActiveState") == Some("active") && !triggered {
        return Some((format!("unit {name} is stopped"), "active".to_owned()));
    }
    let masked = unit
        .masked
        .filter(|it| *it != now.is_masked() && now.is_known());
    if let Some(masked) = masked {
        let words = |is: bool| if is { "masked" } else { "not masked" };
        return Some((
            format!("unit {name} is {}", words(masked)),
            words(!masked).to_owned(),
        ));
    }
    let wrong = match unit.enabled {
        Some(true) => now.file_state() == "disabled",
        Some(false) => now.file_state() == "enabled",
        None => false,
    };
    let word = if unit.enabled == Some(true) {
        "enabled"
    } else {
        "disabled"
    };
    wrong.then(|| {
        (
            format!("unit {name} is {word}"),
            now.file_state().to_owned(),
        )
    })
}

/// Whether the things are there; links that are made by enabling a unit may point to it in several ways.
fn edit_differs(host: &dyn Inspect, edit: &hostler_change::Edit) -> Option<(String, String)> {
    use hostler_change::Edit;
    let (path, wanted) = match edit {
        Edit::WriteFile(write) => (&write.path, true),
        Edit::MakeDir(dir) => (&dir.path, true),
        Edit::Link(link) => (&link.path, true),
        Edit::Remove(remove) => (&remove.path, false),
        Edit::SetAttrs { .. } | Edit::SetTimes { .. } | Edit::Run(_) | Edit::Fetch(_) => {
            return None;
        }
    };
    let missing = is_there(host, path, wanted);
    if missing.is_some() {
        return missing;
    }
    let (Edit::WriteFile(write), Some(stat)) = (edit, host.stat(path, Follow::No).ok()?) else {
        return None;
    };
    let mode = write.attrs.mode.filter(|it| *it != stat.perm())?;
    Some((
        format!("{} has mode {mode:04o}", path.display()),
        format!("{:04o}", stat.perm()),
    ))
}

fn is_there(host: &dyn Inspect, path: &Path, wanted: bool) -> Option<(String, String)> {
    let is = host.stat(path, Follow::No).ok()?.is_some();
    let words = |is: bool| if is { "is there" } else { "is not there" };
    (is != wanted).then(|| {
        let what = format!("{} {}", path.display(), words(wanted));
        (what, format!("that it {}", words(is)))
    })
}

#[cfg(test)]
mod tests {
    use hostler_module_api::fake::FakeHost;

    use super::*;

    #[test]
    fn differences_are_sentences() {
        let host = FakeHost::bare()
            .file("/etc/shadow", "daemon:!$6$x:1:0:90:7:::\n")
            .file("/proc/sys/kernel/hostname", "web1\n")
            .answers(
                "systemctl show x.service",
                0,
                "LoadState=loaded\nActiveState=active\nUnitFileState=disabled\n",
            )
            .answers("sysctl -e -n vm.swappiness", 0, "60\n");
        let unit = |enabled, active| {
            Effect::Unit(UnitEffect {
                name: "x.service".into(),
                active,
                enabled,
                masked: None,
            })
        };
        let shadow = |max| {
            Effect::Shadow(ShadowEffect {
                user: "daemon".into(),
                max,
                ..ShadowEffect::default()
            })
        };
        let group = |gid| Effect::Group {
            name: "daemon".into(),
            gid,
        };
        for (effect, fault) in [
            (
                unit(Some(true), None),
                "declared that unit x.service is enabled, the host says disabled",
            ),
            (
                unit(None, Some(false)),
                "declared that unit x.service is stopped, the host says active",
            ),
            (unit(Some(false), Some(true)), ""),
            (
                shadow(Some(91)),
                "declared that max of user daemon is 91, the host says 90",
            ),
            (shadow(Some(90)), ""),
            (
                group(Some(5)),
                "declared that group daemon has number 5, the host says 1",
            ),
            (group(None), ""),
            (Effect::NoUser("bob".into()), ""),
            (
                Effect::NoUser("daemon".into()),
                "declared that user daemon is gone, the host says it is there",
            ),
            (
                Effect::Sysctl {
                    key: "vm.swappiness".into(),
                    value: "10".into(),
                },
                "declared that vm.swappiness is 10, the host says 60",
            ),
            (
                Effect::Hostname {
                    running: Some("web1".into()),
                    kept: None,
                },
                "",
            ),
        ] {
            let expected: Vec<&str> = [fault].into_iter().filter(|it| !it.is_empty()).collect();
            assert_eq!(faults(&host, &[&effect]), expected, "{effect:?}");
        }
        // The later one holds.
        assert!(faults(&host, &[&unit(Some(true), None), &unit(Some(false), None)]).is_empty());
    }
}
