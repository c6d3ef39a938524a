//! The paths that really changed on a host, and what in the preview accounts for each.
//!
//! A path is **named** if a task that was to change has it as the subject of a delta, or makes a parent of it, removes
//! it with a tree, or keeps a backup of it. It is **a program's** if a predicted task starts a tool whose files these are:
//! accounts (`/etc/passwd`, homes), a crontab, units and the state of services, packages (anything that Debian's policy
//! lets a package touch: not `/home`, `/root`, `/srv`, `/opt`, `/usr/local`, `/tmp`); or if a command is predicted to run or
//! `no_log` hides the paths of a predicted task: any path may be theirs. It is **unknown** if only a task that was declared
//! unknown can have done it. Everything else was **missed**.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::path::Path;

use super::events::{Delta, Entry, Run, Said};
use super::snapshot::{Moved, text};

/// How paths are accounted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Paths that changed.
    pub(super) changed: usize,
    /// By name.
    pub(super) named: usize,
    /// By a predicted task's program.
    pub(super) program: usize,
    /// Only by a task that was declared unknown.
    pub(super) unknown: usize,
    /// By nothing.
    pub(super) missed: usize,
    /// Predicted by name, and unchanged.
    pub(super) false_alarms: usize,
    /// Files whose whole text was shown by the preview, and is so.
    pub(super) texts: usize,
    /// Files whose text came out otherwise.
    pub(super) wrong_texts: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.changed += other.changed;
        self.named += other.named;
        self.program += other.program;
        self.unknown += other.unknown;
        self.missed += other.missed;
        self.false_alarms += other.false_alarms;
        self.texts += other.texts;
        self.wrong_texts += other.wrong_texts;
    }
}

const ACCOUNT_FILES: [&str; 6] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/subuid",
    "/etc/subgid",
];

/// What the preview says about the files of one host.
#[derive(Debug, Default)]
struct Claims {
    named: BTreeSet<String>,
    accounts: bool,
    homes: Vec<String>,
    crontabs: bool,
    units: bool,
    hostname: bool,
    packages: bool,
    /// A command is to run, or `no_log` hides the names: any file may be theirs.
    anything: bool,
    unknown: bool,
}

/// Accounts for `moved`, which is everything that changed on `host` (its files are under `root` now) in the run `real`.
pub(super) fn account(
    host: &str,
    root: &Path,
    moved: &[Moved],
    preview: &Run,
    real: &Run,
) -> (Counts, Vec<String>) {
    let claims = claims(host, root, preview);
    let mut counts = Counts::default();
    let mut findings = Vec::new();
    for change in moved.iter().filter(|change| !change.only_time()) {
        counts.changed += 1;
        if claims.names(change) {
            counts.named += 1;
        } else if claims.programs(&change.path) {
            counts.program += 1;
        } else if claims.unknown {
            counts.unknown += 1;
        } else {
            counts.missed += 1;
            findings.push(format!("{host} {}: {}", change.path, change.words()));
        }
    }
    let moved_paths: BTreeSet<&str> = moved.iter().map(|change| change.path.as_str()).collect();
    let done: BTreeSet<String> = deltas(host, real)
        .map(|(_, delta)| plain(&delta.subject))
        .collect();
    for path in &claims.named {
        if real.success && !moved_paths.contains(path.as_str()) && !done.contains(path) {
            counts.false_alarms += 1;
            findings.push(format!("{host} {path}: predicted, and did not change"));
        }
    }
    check_texts(host, root, preview, real, &mut counts, &mut findings);
    (counts, findings)
}

/// Compares the last text that the preview shows of each file with what is in it now.
fn check_texts(
    host: &str,
    root: &Path,
    preview: &Run,
    real: &Run,
    counts: &mut Counts,
    findings: &mut Vec<String>,
) {
    let mut last: BTreeMap<String, (usize, Option<&str>)> = BTreeMap::new();
    for (key, entry) in &preview.entries {
        let came_true = real
            .entries
            .get(key)
            .is_some_and(|done| done.said == Said::Change);
        for delta in entry
            .deltas
            .iter()
            .filter(|_| affects(host, &key.host, entry))
        {
            let shown = delta.text.as_deref().filter(|_| came_true && !entry.holes);
            let change_of_content = delta.said.get("text").is_some()
                || delta
                    .said
                    .get("field")
                    .is_some_and(|field| field["name"] == "state");
            let slot = last.entry(plain(&delta.subject)).or_insert((0, None));
            if change_of_content && entry.order >= slot.0 {
                *slot = (entry.order, shown);
            }
        }
    }
    for (path, (_, shown)) in last {
        let Some(shown) = shown.filter(|_| path.starts_with('/')) else {
            continue;
        };
        let Some(now) = text(root, &path) else {
            continue;
        };
        if now == shown {
            counts.texts += 1;
        } else {
            counts.wrong_texts += 1;
            findings.push(format!(
                "{host} {path}: holds another text than predicted{}",
                first_difference(shown, &now)
            ));
        }
    }
}

fn first_difference(shown: &str, now: &str) -> String {
    let mut lines = shown.lines().zip(now.lines());
    let pair = lines.find(|(predicted, real)| predicted != real);
    pair.map_or_else(String::new, |(predicted, real)| {
        format!(": `{predicted}`, really `{real}`")
    })
}

/// Whether an entry of `of` is about the files of `host`.
fn affects(host: &str, of: &str, entry: &Entry) -> bool {
    entry.delegated_to.as_deref().unwrap_or(of) == host
}

/// What a run says it changes on `host`.
fn deltas<'a>(host: &'a str, run: &'a Run) -> impl Iterator<Item = (&'a Entry, &'a Delta)> {
    run.entries
        .iter()
        .filter(move |(key, entry)| affects(host, &key.host, entry))
        .flat_map(|(_, entry)| entry.deltas.iter().map(move |delta| (entry, delta)))
}

/// A path without a slash at its end.
fn plain(subject: &str) -> String {
    let cut = subject.trim_end_matches('/');
    if cut.is_empty() { subject } else { cut }.to_owned()
}

fn claims(host: &str, root: &Path, preview: &Run) -> Claims {
    let mut claims = Claims::default();
    for (key, entry) in &preview.entries {
        if !affects(host, &key.host, entry) {
            continue;
        }
        let unknown =
            entry.said == Said::Unknown || entry.items.values().any(|said| *said == Said::Unknown);
        claims.unknown |= unknown;
        // A task that names differences counts even where `changed_when` says that they are none.
        let changes =
            entry.said == Said::Change || entry.items.values().any(|said| *said == Said::Change);
        if !changes && entry.deltas.is_empty() {
            continue;
        }
        claims.anything |= entry.censored && changes;
        match entry.module.as_str() {
            "apt" | "package" => claims.packages = true,
            "service" | "systemd" | "systemd_service" => claims.units = true,
            "hostname" => claims.hostname = true,
            "user" | "group" => claims.accounts = true,
            "cron" => claims.crontabs = true,
            "command" | "shell" | "raw" => claims.anything |= changes,
            _ => {}
        }
        for delta in &entry.deltas {
            if delta.subject.starts_with('/') {
                claims.named.insert(plain(&delta.subject));
            } else if let Some(user) = delta.subject.strip_prefix("user ") {
                claims.homes.extend(home(root, user));
                claims.homes.push(format!("/home/{user}"));
                claims.homes.push(format!("/var/mail/{user}"));
            }
        }
    }
    claims
}

/// The home of a user, by the host's passwd.
fn home(root: &Path, user: &str) -> Option<String> {
    let passwd = text(root, "/etc/passwd")?;
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(5).map(str::to_owned)
}

impl Claims {
    fn names(&self, change: &Moved) -> bool {
        let path = change.path.as_str();
        if self.named.contains(path) {
            return true;
        }
        let under = |child: &str, parent: &str| {
            child
                .strip_prefix(parent)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let parent_made =
            change.before.is_none() && self.named.iter().any(|named| under(named, path));
        let tree_removed =
            change.after.is_none() && self.named.iter().any(|named| under(path, named));
        let backup = change.before.is_none()
            && path.ends_with('~')
            && self.named.iter().any(|named| {
                path.strip_prefix(named.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
            });
        parent_made || tree_removed || backup
    }

    fn programs(&self, path: &str) -> bool {
        let within = |trees: &[&str]| trees.iter().any(|tree| path.starts_with(tree));
        let account_file = ACCOUNT_FILES
            .iter()
            .any(|file| path == *file || path.strip_suffix('-') == Some(file));
        let in_home = self.homes.iter().any(|home| {
            home.len() > 1
                && path
                    .strip_prefix(home.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        self.anything
            || (self.accounts && (account_file || in_home))
            || (self.crontabs && within(&["/var/spool/cron/crontabs/"]))
            || (self.hostname && ["/etc/hostname", "/etc/machine-info"].contains(&path))
            || (self.units
                && within(&[
                    "/etc/systemd/system/",
                    "/etc/rc",
                    "/var/lib/",
                    "/var/log/",
                    "/var/cache/",
                    "/var/spool/",
                ]))
            || (self.packages
                && !within(&["/home/", "/root/", "/srv/", "/opt/", "/usr/local/", "/tmp/"]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::{Content, Moved, Node};
    use super::Claims;

    fn node(kind: char) -> Node {
        Node {
            kind,
            mode: 0o644,
            owner: (0, 0),
            size: 0,
            content: Content::None,
            modified: 0,
        }
    }

    fn made(path: &str, kind: char) -> Moved {
        Moved {
            path: path.to_owned(),
            before: None,
            after: Some(node(kind)),
        }
    }

    #[test]
    fn parents_backups_and_what_goes_with_a_tree_are_named() {
        let claims = Claims {
            named: ["/srv/a/b", "/etc/app.ini"].map(str::to_owned).into(),
            ..Claims::default()
        };
        assert!(claims.names(&made("/srv/a/b", 'd')));
        assert!(claims.names(&made("/srv/a", 'd')));
        assert!(claims.names(&made("/etc/app.ini.123.2026-01-01@00:00:00~", 'f')));
        assert!(!claims.names(&made("/srv/a/b/c", 'f')), "nobody named it");
        assert!(!claims.names(&made("/srv/ab", 'f')));
        let removed = Moved {
            path: "/srv/a/b/c".to_owned(),
            before: Some(node('f')),
            after: None,
        };
        assert!(claims.names(&removed));
    }

    #[test]
    fn a_program_accounts_for_its_own_files_alone() {
        let accounts = Claims {
            accounts: true,
            homes: vec!["/home/ann".to_owned()],
            ..Claims::default()
        };
        assert!(accounts.programs("/etc/passwd") && accounts.programs("/etc/shadow-"));
        assert!(accounts.programs("/home/ann/.profile") && !accounts.programs("/home/anna"));
        assert!(!accounts.programs("/etc/motd"));
        let packages = Claims {
            packages: true,
            ..Claims::default()
        };
        assert!(packages.programs("/usr/bin/nginx") && !packages.programs("/srv/site"));
        assert!(!Claims::default().programs("/etc/passwd"));
    }
}
