//! Which files processes run.

use std::collections::BTreeSet;
use std::path::Path;

use hostler_module_api::{Follow, Inspect};
use hostler_probes::{names, text, word};
use hostler_updates::StaleProcess;

/// Most processes that are looked at.
const PROCESSES_MAX: usize = 20_000;
/// Most stale ones that are reported.
const STALE_MAX: usize = 2000;
/// Most files of one that are reported.
const FILES_MAX: usize = 10;
/// Most that is read of `/proc/PID/maps`.
const MAPS_MAX: u64 = 8 << 20;
/// Where programs and libraries are. What is mapped from elsewhere is data.
const PROGRAMS: &[&str] = &["/usr/", "/lib", "/bin/", "/sbin/", "/opt/"];

/// Processes that run files which have been replaced or removed. Those of containers are left out: their files are not
/// this host's.
pub fn stale(host: &dyn Inspect) -> Vec<StaleProcess> {
    let mut all = Vec::new();
    each(host, |pid, maps| {
        let mut files: Vec<String> = Vec::new();
        for path in executable(maps) {
            if let Some(path) = path.strip_suffix(" (deleted)")
                && PROGRAMS.iter().any(|it| path.starts_with(it))
                && !files.iter().any(|it| it == path)
                && files.len() < FILES_MAX
            {
                files.push(path.to_owned());
            }
        }
        if !files.is_empty() && all.len() < STALE_MAX {
            all.push(StaleProcess {
                pid,
                command: command(host, pid),
                unit: unit_of(host, pid),
                files,
            });
        }
    });
    all
}

/// Processes that run at least one of these files, which are named without a leading `/usr` (see [`plain`]): number,
/// command, unit.
pub fn mapping(host: &dyn Inspect, files: &BTreeSet<String>) -> Vec<(u32, String, Option<String>)> {
    let mut all = Vec::new();
    if files.is_empty() {
        return all;
    }
    each(host, |pid, maps| {
        if executable(maps).any(|path| files.contains(plain(path))) {
            all.push((pid, command(host, pid), unit_of(host, pid)));
        }
    });
    all
}

/// A path without `/usr`: on merged systems (usr-merge) the package says `/lib/x`, the process `/usr/lib/x`.
pub(super) fn plain(path: &str) -> &str {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    match path.strip_prefix("/usr") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// Goes through the processes of this host itself.
fn each(host: &dyn Inspect, mut visit: impl FnMut(u32, &str)) {
    let root = |path: &str| {
        let stat = host.stat(Path::new(path), Follow::Yes).ok().flatten();
        stat.map(|it| (it.dev, it.ino))
    };
    let own = root("/");
    let pids = names(host, "/proc")
        .into_iter()
        .filter_map(|it| it.parse::<u32>().ok());
    for pid in pids.take(PROCESSES_MAX) {
        let Ok(Some(maps)) = host.read(Path::new(&format!("/proc/{pid}/maps")), MAPS_MAX) else {
            continue;
        };
        // Kernel threads have none.
        if maps.is_empty() {
            continue;
        }
        let its = root(&format!("/proc/{pid}/root/."));
        if its.is_none() || its == own {
            visit(pid, &String::from_utf8_lossy(&maps));
        }
    }
}

/// Paths of executable mappings: `55d0-55e0 r-xp 00000000 08:01 1234    /usr/sbin/sshd`.
fn executable(maps: &str) -> impl Iterator<Item = &str> {
    maps.lines().filter_map(|line| {
        let rights = line.split(' ').nth(1)?;
        let path = &line[line.find(" /")? + 1..];
        rights.contains('x').then_some(path)
    })
}

fn command(host: &dyn Inspect, pid: u32) -> String {
    word(host, format!("/proc/{pid}/comm")).unwrap_or_default()
}

/// The unit of the system's manager that a process belongs to: the first part of its control group that is no slice.
pub fn unit_of(host: &dyn Inspect, pid: u32) -> Option<String> {
    let groups = text(host, format!("/proc/{pid}/cgroup"))?;
    let line = |it: &&str| it.starts_with("0::") || it.contains(":name=systemd:");
    let path = groups.lines().find(line)?.splitn(3, ':').nth(2)?;
    let part = path
        .split('/')
        .find(|it| it.contains('.') && it.strip_suffix(".slice").is_none())?;
    let ends = [".service", ".scope", ".socket", ".mount", ".swap"];
    ends.iter()
        .any(|it| part.ends_with(it))
        .then(|| part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    fn host() -> FakeHost {
        FakeHost::bare()
            .dir("/proc", 0o555)
            .dir("/proc/77", 0o555)
            .dir("/proc/78", 0o555)
            .dir("/proc/self", 0o555)
            .file("/proc/77/comm", "nginx\n")
            .file("/proc/77/cgroup", "0::/system.slice/nginx.service\n")
            .file("/proc/77/maps", "1-2 r--p 0 08:01 1 /usr/lib/libz.so.1 (deleted)\n1-2 r-xp 00000000 08:01 1                 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n1-2 r-xp 0 08:01 1 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n1-2 r-xp 0 00:01 1 /memfd:x (deleted)\n1-2 r-xp 0 0:0 0 [vdso]\n1-2 r-xp 0 08:01 1 /usr/sbin/nginx\n")
            .file("/proc/78/comm", "bash\n")
            .file("/proc/78/cgroup", "0::/user.slice/user-0.slice/session-3.scope\n")
            .file("/proc/78/maps", "1-2 r-xp 0 08:01 1 /usr/bin/bash\n1-2 r-xp 0 08:01 1 /tmp/x.so (deleted)\n")
    }

    #[test]
    fn stale_processes() {
        let found = stale(&host());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].unit.as_deref(), Some("nginx.service"));
        assert_eq!(found[0].files, ["/usr/lib/x86_64-linux-gnu/libssl.so.3"]);
    }

    #[test]
    fn processes_of_files() {
        let files = BTreeSet::from(["/bin/bash".to_owned(), "/sbin/nginx".to_owned()]);
        let found = mapping(&host(), &files);
        let units: Vec<_> = found.iter().filter_map(|it| it.2.as_deref()).collect();
        assert_eq!(units, ["nginx.service", "session-3.scope"]);
        assert_eq!(plain("/usr/lib/x (deleted)"), "/lib/x");
        assert_eq!(plain("/usrx/lib"), "/usrx/lib");
    }

    #[test]
    fn units_of_groups() {
        let host = |group: &str| FakeHost::bare().file("/proc/5/cgroup", group);
        let unit = |group: &str| unit_of(&host(group), 5);
        assert_eq!(
            unit("0::/user.slice/user-1.slice/user@1.service/app.slice/x.service\n").as_deref(),
            Some("user@1.service")
        );
        assert_eq!(
            unit("1:name=systemd:/system.slice/a:b.service\n").as_deref(),
            Some("a:b.service")
        );
        assert_eq!(unit("0::/init.scope\n").as_deref(), Some("init.scope"));
        assert_eq!(unit("0::/\n"), None);
    }
}
