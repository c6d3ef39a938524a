//! The files of accounts, with the entries of a preview in them.

use std::path::Path;
use std::time::UNIX_EPOCH;

use hostler_change::ShadowEffect;
use hostler_module_api::{Account, Group, Inspect};

use super::people::People;

const TEXT_MAX: u64 = 4 << 20;

/// Which of them a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Passwd,
    Group,
    Shadow,
}

impl View {
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.to_str()? {
            "/etc/passwd" => Some(View::Passwd),
            "/etc/group" => Some(View::Group),
            "/etc/shadow" => Some(View::Shadow),
            _ => None,
        }
    }

    /// The file's text as the preview would have left it.
    pub(super) fn show(self, real: &dyn Inspect, people: &People, base: &[u8]) -> Vec<u8> {
        let base = String::from_utf8_lossy(base);
        match self {
            View::Passwd => merge(
                &base,
                people
                    .users
                    .iter()
                    .map(|(name, it)| (name, it.as_ref().map(passwd))),
            ),
            View::Group => merge(
                &base,
                people
                    .groups
                    .iter()
                    .map(|(name, it)| (name, it.as_ref().map(group))),
            ),
            View::Shadow => {
                let mut lines = Vec::new();
                for (name, user) in &people.users {
                    let old = line_of(&base, name).map(str::to_owned);
                    lines.push((
                        name,
                        user.as_ref()
                            .map(|_| old.unwrap_or_else(|| new_line(real, name))),
                    ));
                }
                let with_users = merge(&base, lines.into_iter());
                let with_users = String::from_utf8_lossy(&with_users).into_owned();
                let changed = people.shadow.iter().filter_map(|(name, effect)| {
                    Some((name, Some(changed(line_of(&with_users, name)?, effect))))
                });
                merge(&with_users, changed)
            }
        }
    }
}

fn line_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find(|line| line.split(':').next() == Some(name))
}

/// Replaces, adds or removes lines by the name in their first field.
fn merge<'a>(base: &str, entries: impl Iterator<Item = (&'a String, Option<String>)>) -> Vec<u8> {
    let mut entries: Vec<_> = entries.collect();
    let mut out = String::new();
    for line in base.lines() {
        let name = line.split(':').next().unwrap_or_default();
        let place = entries.iter().position(|(it, _)| *it == name);
        let new = place.map(|place| entries.remove(place).1);
        match new {
            Some(None) => continue,
            Some(Some(new)) => out.push_str(&new),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    for (_, line) in entries {
        if let Some(line) = line {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out.into_bytes()
}

fn passwd(it: &Account) -> String {
    let Account {
        name,
        uid,
        gid,
        gecos,
        home,
        shell,
    } = it;
    format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}")
}

fn group(it: &Group) -> String {
    format!("{}:x:{}:{}", it.name, it.gid, it.members.join(","))
}

/// As useradd(8) makes it: locked, with the ages of login.defs(5).
fn new_line(real: &dyn Inspect, name: &str) -> String {
    let defs = real
        .read(Path::new("/etc/login.defs"), TEXT_MAX)
        .ok()
        .flatten()
        .unwrap_or_default();
    let defs = String::from_utf8_lossy(&defs).into_owned();
    let setting = |key: &str| {
        let mut lines = defs.lines().map(str::split_whitespace);
        let value = lines.find_map(|mut words| {
            if words.next() == Some(key) {
                words.next()
            } else {
                None
            }
        });
        value.unwrap_or_default().to_owned()
    };
    let days = real
        .now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |it| it.as_secs() / 86_400);
    let (min, max, warn) = (
        setting("PASS_MIN_DAYS"),
        setting("PASS_MAX_DAYS"),
        setting("PASS_WARN_AGE"),
    );
    format!("{name}:!:{days}:{min}:{max}:{warn}:::")
}

fn changed(line: &str, effect: &ShadowEffect) -> String {
    let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
    fields.resize(9, String::new());
    let days = |days: Option<i64>| {
        days.map(|days| {
            if days < 0 {
                String::new()
            } else {
                days.to_string()
            }
        })
    };
    let new = [
        (1, effect.password.clone()),
        (3, days(effect.min)),
        (4, days(effect.max)),
        (5, days(effect.warn)),
        (6, days(effect.inactive)),
        (7, days(effect.expires)),
    ];
    for (index, value) in new {
        if let Some(value) = value {
            fields[index] = value;
        }
    }
    fields.join(":")
}
