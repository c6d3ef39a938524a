//! What packages bring that a preview would install: not known before they are there.
//!
//! The rule. With such packages pending, something that is not on the host and that no edit has decided is not known
//! - if a directory on the way to it is missing, or
//! - if a part of its path that is missing contains a name of such a package (`/etc/default/nginx`,
//!   `/etc/logrotate.d/php8.2-fpm`).
//!
//! Otherwise it is not there. Places that belong to the administrator ([`ADMIN`]) are never a package's. Files of
//! packages that are upgraded or removed count as they are.

use std::path::Path;

use hostler_probes::Dpkg;
use hostler_value::Cause;

/// Where packages put nothing (Debian Policy 9.1, FHS), or only links that are made when a unit is enabled.
const ADMIN: &[&str] = &[
    "/usr/local",
    "/home",
    "/root",
    "/srv",
    "/tmp",
    "/var/tmp",
    "/mnt",
    "/media",
    "/proc",
    "/sys",
    "/dev",
    "/etc/systemd/system",
];
/// Where a missing directory is a package's only if its name says so.
const OPTIONAL: &str = "/opt";
/// Shorter names occur in others by accident.
const NAME_MIN: usize = 3;

/// Packages that a preview would install and the host does not have.
#[derive(Clone, Default)]
pub(super) struct Fog {
    packages: Vec<(String, Cause)>,
}

impl Fog {
    /// A package would be installed, or removed.
    pub(super) fn package(&mut self, there: &Dpkg, name: &str, installed: bool, by: &Cause) {
        let name = name.split(':').next().unwrap_or(name);
        self.packages.retain(|(it, _)| it != name);
        if installed && there.installed(name).is_none() {
            self.packages.push((name.to_owned(), by.clone()));
        }
    }

    /// The tasks that install them.
    pub(super) fn causes(&self) -> Vec<Cause> {
        causes(self.packages.iter())
    }

    /// The tasks that may bring a path; `missing` is the first part of it that is not there.
    pub(super) fn over(&self, missing: &Path, whole: &Path) -> Vec<Cause> {
        if self.packages.is_empty() || ADMIN.iter().any(|it| whole.starts_with(it)) {
            return Vec::new();
        }
        if missing != whole && !whole.starts_with(OPTIONAL) {
            return self.causes();
        }
        let above = missing.parent().unwrap_or(missing);
        let lost = whole.strip_prefix(above).unwrap_or(whole).to_string_lossy();
        causes(
            self.packages
                .iter()
                .filter(|(name, _)| names(name).any(|it| lost.contains(it))),
        )
    }
}

fn causes<'a>(packages: impl Iterator<Item = &'a (String, Cause)>) -> Vec<Cause> {
    let mut causes: Vec<Cause> = packages.map(|(_, by)| by.clone()).collect();
    hostler_value::order::sort(&mut causes);
    causes.dedup();
    causes
}

/// A package's name, and its first word: `php8.2-fpm` and `php8.2`. The first word of a library says nothing.
fn names(package: &str) -> impl Iterator<Item = &str> {
    let first = package
        .split('-')
        .next()
        .filter(|it| !it.starts_with("lib"));
    [Some(package), first]
        .into_iter()
        .flatten()
        .filter(|it| it.len() >= NAME_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fog(names: &[&str]) -> Fog {
        let status =
            "Package: nano\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n";
        let there = Dpkg::parse(status);
        let mut fog = Fog::default();
        for (name, task) in names.iter().zip(1..) {
            let by = Cause {
                task,
                ..Cause::default()
            };
            fog.package(&there, name, true, &by);
        }
        fog
    }

    fn over(fog: &Fog, missing: &str, whole: &str) -> Vec<u32> {
        let causes = fog.over(Path::new(missing), Path::new(whole));
        causes.iter().map(|it| it.task).collect()
    }

    #[test]
    fn missing_directories_and_names_of_packages() {
        let fog = fog(&["nginx", "php8.2-fpm:amd64", "libpcre3", "nano"]);
        assert_eq!(over(&fog, "/etc/nginx", "/etc/nginx/nginx.conf"), [1, 2, 3]);
        assert_eq!(over(&fog, "/etc/default/nginx", "/etc/default/nginx"), [1]);
        let pool = "/etc/logrotate.d/php8.2-fpm";
        assert_eq!(over(&fog, pool, pool), [2]);
        assert_eq!(over(&fog, "/etc/motd", "/etc/motd"), [0; 0]);
        assert_eq!(over(&fog, "/etc/libfoo", "/etc/libfoo"), [0; 0]);
        // Installed already: it is upgraded, and its files are there.
        assert_eq!(over(&fog, "/etc/nanorc", "/etc/nanorc"), [0; 0]);
    }

    #[test]
    fn what_is_the_administrators() {
        let fog = fog(&["nginx"]);
        for whole in [
            "/srv/nginx/www",
            "/etc/systemd/system/nginx.service.d/a.conf",
            "/opt/app/x",
        ] {
            let missing = Path::new(whole).parent().unwrap().display().to_string();
            assert_eq!(over(&fog, &missing, whole), [0; 0], "{whole}");
        }
        assert_eq!(over(&fog, "/opt/nginx", "/opt/nginx/x"), [1]);
    }

    #[test]
    fn what_is_removed_again_brings_nothing() {
        let mut fog = fog(&["nginx"]);
        fog.package(&Dpkg::default(), "nginx", false, &Cause::default());
        assert!(fog.causes().is_empty());
    }
}
