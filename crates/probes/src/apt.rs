//! What apt says: simulations, candidates, and who holds its locks.

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
    /// Where the new version comes from, in apt's words: `Debian:12.5/stable`, several with commas.
    pub origin: Option<String>,
    /// Architecture of the new version: `amd64`, `all`.
    pub architecture: Option<String>,
}

/// Reads `apt-get --simulate`: `Inst name [old] (new Origin, Origin [arch])`, `Remv name [old]`, `Purg name [old]`.
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
        it.steps.extend(parse_step(line));
    }
    it
}

fn parse_step(line: &str) -> Option<Step> {
    let (verb, rest) = line.split_once(' ')?;
    if !["Inst", "Remv", "Purg"].contains(&verb) {
        return None;
    }
    let (package, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let before = rest
        .strip_prefix('[')
        .and_then(|it| Some(it.split_once(']')?.0));
    let new = rest.split_once('(').filter(|_| verb == "Inst");
    let new = new.and_then(|(_, it)| Some(it.rsplit_once(')')?.0));
    // What follows it in brackets are packages whose dependencies are not met at this point: `[libc6:amd64 on x:amd64]`.
    let (mut after, mut origin, mut architecture) = (None, None, None);
    if let Some(new) = new {
        let (version, rest) = new.split_once(' ').unwrap_or((new, ""));
        let (from, name) = rest.rsplit_once('[').unwrap_or((rest, ""));
        after = Some(version);
        origin = Some(from.trim().to_owned()).filter(|it| !it.is_empty());
        architecture = name.strip_suffix(']').map(str::to_owned);
    }
    Some(Step {
        package: package.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
        purged: verb == "Purg",
        origin,
        architecture,
    })
}

/// What a run of apt would fetch and take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes to download: what is in apt's cache or on a disk is not among them.
    pub download: u64,
    /// Disk space in apt's words, such as `2877 kB`; with `-` if it is freed; `None` if that is not known or nothing.
    pub disk: Option<String>,
}

/// Reads what `apt-get --print-uris` says of the packages that are wanted: lines of `'http://...' name_version_arch.deb
/// size hash`, and `After this operation, 2877 kB of additional disk space will be used.` of all.
pub fn parse_space(output: &str, is_wanted: impl Fn(&str) -> bool) -> Space {
    let mut it = Space::default();
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("After this operation, ") {
            let sign = if rest.ends_with("freed.") { "-" } else { "" };
            let size = rest.split(" of additional").next().unwrap_or_default();
            let size = size.split(" disk space").next().unwrap_or_default();
            it.disk = (size != "0 B").then(|| format!("{sign}{size}"));
        } else if line.starts_with('\'') && !line.starts_with("'file:") {
            let mut words = line.split_whitespace().skip(1);
            let name = words.next().and_then(|it| it.split('_').next());
            let size = words.next().and_then(|it| it.parse::<u64>().ok());
            if let (true, Some(size)) = (name.is_some_and(&is_wanted), size) {
                it.download = it.download.saturating_add(size);
            }
        }
    }
    it
}

/// Options that keep a simulation from writing the caches that apt makes of its lists and of dpkg's database: none
/// where they are new enough, since apt then only reads them. Otherwise it makes them in memory, which takes a second or
/// two.
pub fn read_only_options(host: &dyn Inspect) -> Vec<&'static str> {
    let time = |path: &Path, changed: bool| {
        let stat = host.stat(path, Follow::Yes).ok()??;
        Some(if changed {
            stat.ctime_ns
        } else {
            stat.mtime_ns
        })
    };
    let newest = |paths: &[&str]| {
        let mut newest = i64::MIN;
        for path in paths.iter().map(Path::new) {
            // An earlier task of a preview "refreshed" the directory; what apt reads is the files.
            if host.pending(path).is_empty() {
                newest = newest.max(time(path, true).unwrap_or(i64::MIN));
            }
            for name in host.list_dir(path).ok().flatten().unwrap_or_default() {
                // What apt itself writes while it works.
                if name.as_os_str() != "partial" && name.as_os_str() != "lock" {
                    newest = newest.max(time(&path.join(name), true).unwrap_or(i64::MIN));
                }
            }
        }
        newest
    };
    let made = |name: &str| time(&Path::new("/var/cache/apt").join(name), false);
    let sources = newest(&[
        "/var/lib/apt/lists",
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d",
        "/etc/apt/apt.conf",
        "/etc/apt/apt.conf.d",
        "/var/lib/dpkg/arch",
    ]);
    let status = newest(&["/var/lib/dpkg/status"]);
    let (of_sources, of_all) = (made("srcpkgcache.bin"), made("pkgcache.bin"));
    let mut options = Vec::new();
    if of_all.is_none_or(|it| it <= sources.max(status)) {
        options.extend(["-o", "Dir::Cache::pkgcache="]);
        if of_sources.is_none_or(|it| it <= sources) {
            options.extend(["-o", "Dir::Cache::srcpkgcache="]);
        }
    }
    options
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
    use hostler_change::{Edit, Planned, Times};
    use hostler_module_api::Applier as _;
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
        assert_eq!(it.steps[0].origin.as_deref(), Some("Debian:12.5/stable"));
        let several =
            "Inst a:i386 [1 x] (1.2 Docker CE:stable, Debian:12/stable [i386]) [b:amd64 ]";
        let step = parse_step(several).unwrap();
        assert_eq!(
            (
                step.package.as_str(),
                step.before.as_deref(),
                step.after.as_deref()
            ),
            ("a:i386", Some("1 x"), Some("1.2"))
        );
        assert_eq!(
            step.origin.as_deref(),
            Some("Docker CE:stable, Debian:12/stable")
        );
        assert_eq!(parse_step("Conf a (1 D [all])"), None);
        assert_eq!(parse_step("Inst").or(parse_step("")), None);
    }

    #[test]
    fn space() {
        let it = parse_space(
            "Need to get 120 kB/1035 kB of archives.\nAfter this operation, 2877 kB of additional disk space will be used.\n'http://x/a.deb' a_1%3a2_all.deb 100 MD5Sum:0\n'http://x/b.deb' b_1_all.deb 10 \n'file:/x/a.deb' a_1_all.deb 1 \n'http://x/c' c_1\n",
            |name| name != "b",
        );
        assert_eq!((it.download, it.disk.as_deref()), (100, Some("2877 kB")));
        let freed = "After this operation, 12.3 MB disk space will be freed.\n";
        let it = parse_space(freed, |_| true);
        assert_eq!((it.download, it.disk.as_deref()), (0, Some("-12.3 MB")));
        assert_eq!(parse_space("", |_| true), Space::default());
    }

    #[test]
    fn caches_are_read_if_they_are_new_enough() {
        let set = |host: &mut FakeHost, path: &str, mtime_ns: i64| {
            let times = Times {
                atime_ns: None,
                mtime_ns: Some(mtime_ns),
            };
            let edit = Edit::SetTimes {
                path: path.into(),
                times,
            };
            host.apply(&Planned {
                edit,
                deltas: Vec::new(),
            })
            .unwrap();
        };
        let (all, some) = (
            "/var/cache/apt/pkgcache.bin",
            "/var/cache/apt/srcpkgcache.bin",
        );
        let mut host = FakeHost::bare()
            .dir("/var/lib/apt/lists", 0o755)
            .file("/var/lib/apt/lists/x_Packages", "")
            .file("/var/lib/dpkg/status", "");
        assert_eq!(read_only_options(&host).len(), 4);
        host = host.file(all, "").file(some, "");
        set(&mut host, all, 10);
        set(&mut host, some, 10);
        assert!(read_only_options(&host).is_empty());
        set(&mut host, "/var/lib/dpkg/status", 20);
        assert_eq!(read_only_options(&host), ["-o", "Dir::Cache::pkgcache="]);
        set(&mut host, "/var/lib/apt/lists/x_Packages", 20);
        assert_eq!(read_only_options(&host).len(), 4);
        set(&mut host, all, 30);
        assert!(read_only_options(&host).is_empty());
        set(&mut host, "/var/lib/apt/lists", 40);
        assert_eq!(read_only_options(&host).len(), 4);
        assert!(read_only_options(&host.touched(1, "/var/lib/apt/lists")).is_empty());
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
