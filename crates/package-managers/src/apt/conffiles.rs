//! Configuration files that were changed by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{Inspect, InspectError};
use hostler_updates::{Action, Conffile};

use super::status;

/// Most files that are reported.
const FILES_MAX: usize = 1000;

/// Configuration files of these packages that are not as the package brought them. A file that was deleted stays
/// deleted without a question.
pub(super) fn modified(
    host: &dyn Inspect,
    packages: &BTreeSet<&str>,
) -> Result<Vec<Conffile>, InspectError> {
    let all = status::details(host, |name| packages.contains(name))?;
    let mut found = Vec::new();
    for (package, details) in all {
        let name = package.split(':').next().unwrap_or_default();
        for (path, md5) in details.conffiles {
            let now = host.checksum(Path::new(&path), "md5").ok().flatten();
            if now.is_some_and(|it| it != md5) && found.len() < FILES_MAX {
                found.push(Conffile {
                    path,
                    package: name.to_owned(),
                });
            }
        }
    }
    hostler_value::order::sort(&mut found);
    found.dedup();
    Ok(found)
}

/// Those of packages that are replaced, of which the new version is another one, as far as that can be told: where the
/// new package is at hand, its own file is compared; else all that were changed by hand are at stake.
pub(super) fn at_stake(
    host: &dyn Inspect,
    actions: &[Action],
    details: &BTreeMap<String, status::Details>,
) -> Vec<Conffile> {
    let mut found = Vec::new();
    for action in actions.iter().filter(|it| it.from.is_some()) {
        let Some(to) = &action.to else { continue };
        let of_package = details
            .iter()
            .filter(|(key, _)| key.split(':').next() == Some(&action.package.name));
        for (path, md5) in of_package.flat_map(|it| &it.1.conffiles) {
            let now = host.checksum(Path::new(path), "md5").ok().flatten();
            if now.is_none_or(|it| it == *md5) || found.len() >= FILES_MAX {
                continue;
            }
            let file = super::resolve::file_of(host, &action.package, to, action.download_bytes);
            let new = file.and_then(|it| packed_md5(host, &it, path));
            // What both have is kept without a question.
            if new.is_none_or(|it| it != *md5) {
                found.push(Conffile {
                    path: path.clone(),
                    package: action.package.name.clone(),
                });
            }
        }
    }
    hostler_value::order::sort(&mut found);
    found.dedup();
    found
}

/// MD5 sum of a file in a package. The parameters: the package file and the path in it.
const PACKED: &str = r#"dpkg-deb --fsys-tarfile "$1" | tar -xOf - "$2" | md5sum"#;

fn packed_md5(host: &dyn Inspect, package: &str, path: &str) -> Option<String> {
    let inner = format!(".{path}");
    let mut program = Program::new(["sh", "-c", PACKED, "sh", package, &inner])
        .shown_as(format!("md5sum of {path} in {package}"));
    program.timeout_s = Some(60);
    let output = host
        .look(&program)
        .ok()
        .filter(hostler_change::CommandOutput::success)?;
    let text = output.stdout_text();
    let md5 = text.split_whitespace().next()?;
    // That of nothing: the file is not in the package.
    (md5.len() == 32 && md5 != "d41d8cd98f00b204e9800998ecf8427e").then(|| md5.to_owned())
}

/// Ends of the names of files that dpkg and ucf leave beside others.
const LEFT: &[&str] = &[
    ".dpkg-dist",
    ".dpkg-new",
    ".dpkg-old",
    ".ucf-dist",
    ".ucf-new",
    ".ucf-old",
];
/// How deep `/etc` is searched.
const DEPTH_MAX: usize = 8;
/// Most directories that are searched.
const DIRS_MAX: usize = 5000;

/// Files below `/etc` that were left beside others.
pub(super) fn left(host: &dyn Inspect) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![("/etc".to_owned(), 0)];
    let mut seen = 0;
    while let Some((dir, depth)) = dirs.pop() {
        seen += 1;
        if seen > DIRS_MAX || found.len() >= FILES_MAX {
            break;
        }
        for name in hostler_probes::names(host, &dir) {
            let path = format!("{dir}/{name}");
            if LEFT.iter().any(|it| name.ends_with(it)) {
                found.push(path);
            } else if depth < DEPTH_MAX && is_dir(host, &path) {
                dirs.push((path, depth + 1));
            }
        }
    }
    hostler_value::order::sort(&mut found);
    found
}

fn is_dir(host: &dyn Inspect, path: &str) -> bool {
    use hostler_module_api::Follow;
    let stat = host.stat(Path::new(path), Follow::No);
    stat.ok()
        .flatten()
        .is_some_and(|it| it.kind == hostler_change::FileKind::Dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn changed_files_of_packages() {
        // MD5 of "new\n" is not what the package brought; that of "" is d41d8cd98f00b204e9800998ecf8427e.
        let status = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nConffiles:\n /etc/a d41d8cd98f00b204e9800998ecf8427e\n /etc/b d41d8cd98f00b204e9800998ecf8427e\n /etc/gone d41d8cd98f00b204e9800998ecf8427e\n";
        let host = FakeHost::bare()
            .file("/var/lib/dpkg/status", status)
            .file("/etc/a", "new\n")
            .file("/etc/b", "");
        let found = modified(&host, &BTreeSet::from(["a"])).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].path.as_str(), found[0].package.as_str()),
            ("/etc/a", "a")
        );
        assert!(
            modified(&host, &BTreeSet::from(["other"]))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn files_left_beside_others() {
        let host = FakeHost::bare()
            .dir("/etc/ssh", 0o755)
            .file("/etc/ssh/sshd_config", "")
            .file("/etc/ssh/sshd_config.ucf-dist", "")
            .file("/etc/x.dpkg-dist", "");
        assert_eq!(
            left(&host),
            ["/etc/ssh/sshd_config.ucf-dist", "/etc/x.dpkg-dist"]
        );
    }
}
