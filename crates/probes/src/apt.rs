//! What apt says: simulations, candidates, and who holds its locks.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_module_api::{Follow, Inspect};

use crate::{text, word};

/// What a run of apt would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// What changes.
    pub steps: Vec<Step>,
    /// Packages that have newer versions and would stay as they are.
    pub kept_back: Vec<String>,
    /// Packages that nothing needs any more.
    pub unneeded: Vec<String>,
}

/// A package that would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, with `:architecture` if that is foreign.
    pub package: String,
    /// Version before; `None` if it is not installed.
    pub before: Option<String>,
    /// Version after; `None` if it is removed.
    pub after: Option<String>,
    /// It is removed with its configuration files.
    pub purged: bool,
}

/// Reads `apt-get --simulate`: `Inst name [old] (new Origin [arch])`, `Remv name [old]`, `Purg name [old]`.
pub fn parse_simulation(output: &str) -> Transaction {
    let mut it = Transaction::default();
    let mut list: Option<fn(&mut Transaction) -> &mut Vec<String>> = None;
    for line in output.lines() {
        if let (Some(names), Some(rest)) = (list, line.strip_prefix("  ")) {
            names(&mut it).extend(rest.split_whitespace().map(str::to_owned));
            continue;
        }
        list = match line {
            "The following packages have been kept back:" => Some(|it| &mut it.kept_back),
            line if line.starts_with("The following package")
                && line.contains("no longer required:") =>
            {
                Some(|it| &mut it.unneeded)
            }
            _ => None,
        };
        let mut words = line.split_whitespace();
        let (verb, Some(package)) = (words.next().unwrap_or_default(), words.next()) else {
            continue;
        };
        if !["Inst", "Remv", "Purg"].contains(&verb) {
            continue;
        }
        let rest: Vec<&str> = words.collect();
        let before = rest
            .first()
            .and_then(|it| it.strip_prefix('[')?.strip_suffix(']'))
            .map(str::to_owned);
        let after = rest
            .iter()
            .find_map(|it| it.strip_prefix('('))
            .map(|it| it.trim_end_matches(')').to_owned());
        let after = after.filter(|_| verb == "Inst");
        it.steps.push(Step {
            package: package.to_owned(),
            before,
            after,
            purged: verb == "Purg",
        });
    }
    it
}

/// Reads `apt-cache policy`: candidate version by package; packages without a candidate are not in it.
pub fn parse_policy(output: &str) -> BTreeMap<String, String> {
    let mut candidates = BTreeMap::new();
    let mut package = "";
    for line in output.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|it| !it.starts_with(' ')) {
            package = name;
        } else if let Some(version) = line
            .trim()
            .strip_prefix("Candidate: ")
            .filter(|it| *it != "(none)")
        {
            candidates.insert(package.to_owned(), version.to_owned());
        }
    }
    candidates
}

/// When the package lists were refreshed last, in seconds since the epoch; 0 if they never were. Ansible looks at the
/// same two files; here the later counts, since the first may be left over from a package that is gone.
pub fn lists_refreshed_s(host: &dyn Inspect) -> i64 {
    let stamps = [
        "/var/lib/apt/periodic/update-success-stamp",
        "/var/lib/apt/lists",
    ];
    let time = |path: &str| Some(host.stat(Path::new(path), Follow::Yes).ok()??.mtime_ns);
    let latest = stamps.into_iter().filter_map(time).max();
    latest.unwrap_or(0).div_euclid(1_000_000_000)
}

/// A process that holds a lock of apt or dpkg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Number.
    pub pid: u32,
    /// Name, empty if it cannot be read.
    pub name: String,
    /// The lock.
    pub file: &'static str,
}

/// Who holds a lock that an installation needs.
pub fn lock_holder(host: &dyn Inspect) -> Option<LockHolder> {
    let locks = text(host, "/proc/locks")?;
    let files = [
        "/var/lib/dpkg/lock-frontend",
        "/var/lib/dpkg/lock",
        "/var/cache/apt/archives/lock",
    ];
    files.into_iter().find_map(|file| {
        let inode = host.stat(Path::new(file), Follow::Yes).ok()??.ino;
        let pid = parse_lock(&locks, inode)?;
        Some(LockHolder {
            pid,
            name: word(host, format!("/proc/{pid}/comm")).unwrap_or_default(),
            file,
        })
    })
}

/// Reads `/proc/locks`: `1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; those who wait have `->`.
fn parse_lock(locks: &str, inode: u64) -> Option<u32> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let place = fields.get(5)?.rsplit(':').next()?.parse::<u64>().ok()?;
        (place == inode && fields.get(1) != Some(&"->")).then(|| fields.get(4)?.parse().ok())?
    };
    locks.lines().find_map(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn simulations() {
        let it = parse_simulation(
            "NOTE: This is only a simulation!\nReading package lists...\nThe following package was automatically installed and is no longer required:\n  liba1\nThe following packages have been kept back:\n  linux-image-amd64 held\nThe following NEW packages will be installed:\n  jq\nInst libonig5 (6.9.8-1 Debian:12.5/stable [amd64])\nInst base-files [12.4] (12.4+deb12u5 Debian:12.5/stable [amd64]) []\nRemv nano [7.2-1]\nPurg vim [2:9]\nConf libonig5 (6.9.8-1 Debian:12.5/stable [amd64])\n",
        );
        assert_eq!(it.kept_back, ["linux-image-amd64", "held"]);
        assert_eq!(it.unneeded, ["liba1"]);
        assert_eq!(it.steps.len(), 4);
        assert_eq!(
            (it.steps[0].before.as_deref(), it.steps[0].after.as_deref()),
            (None, Some("6.9.8-1"))
        );
        assert_eq!(
            (it.steps[1].before.as_deref(), it.steps[1].after.as_deref()),
            (Some("12.4"), Some("12.4+deb12u5"))
        );
        assert_eq!(
            (
                it.steps[2].after.as_deref(),
                it.steps[2].purged,
                it.steps[3].purged
            ),
            (None, false, true)
        );
    }

    #[test]
    fn policies() {
        let it = parse_policy(
            "jq:\n  Installed: (none)\n  Candidate: 1.6-2.1\n  Version table:\n     1.6-2.1 500\nnone:\n  Installed: (none)\n  Candidate: (none)\n",
        );
        assert_eq!(
            it.into_iter().collect::<Vec<_>>(),
            [("jq".to_owned(), "1.6-2.1".to_owned())]
        );
    }

    #[test]
    fn locks() {
        let host = FakeHost::bare()
            .file("/var/lib/dpkg/lock-frontend", "")
            .file("/proc/77/comm", "apt-get\n");
        assert_eq!(lock_holder(&host), None);
        let host = host.file("/proc/locks", "");
        let inode = host
            .stat(Path::new("/var/lib/dpkg/lock-frontend"), Follow::Yes)
            .unwrap()
            .unwrap()
            .ino;
        let line = format!("1: POSIX  ADVISORY  WRITE 77 fe:00:{inode} 0 EOF\n");
        let host = host.file("/proc/locks", line);
        let holder = lock_holder(&host).unwrap();
        assert_eq!(
            (holder.pid, holder.name.as_str(), holder.file),
            (77, "apt-get", "/var/lib/dpkg/lock-frontend")
        );
        assert_eq!(parse_lock("nonsense\n1: a b c d e", 1), None);
    }
}
