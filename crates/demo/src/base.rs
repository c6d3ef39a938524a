//! The tree that all demo hosts share, read-only: a small Linux system without secrets, made once per fleet.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::DemoError;
use crate::tree;

/// What is taken from the machine's `/etc`: what programs need to run, and nothing that is private.
const ETC: &[&str] = &[
    "alternatives",
    "apt",
    "bash.bashrc",
    "cron.d",
    "cron.daily",
    "debian_version",
    "default",
    "environment",
    "group",
    "host.conf",
    "issue",
    "issue.net",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "login.defs",
    "logrotate.d",
    "lsb-release",
    "motd",
    "nsswitch.conf",
    "os-release",
    "pam.d",
    "passwd",
    "profile",
    "profile.d",
    "protocols",
    "redhat-release",
    "alpine-release",
    "resolv.conf",
    "security",
    "services",
    "shells",
    "skel",
    "ssh/sshd_config",
    "ssh/sshd_config.d",
    "ssl/certs",
    "ssl/openssl.cnf",
    "sysctl.d",
    "terminfo",
    "timezone",
];

/// Directories that a system has, with their modes.
const DIRECTORIES: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("var/backups", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/lib/dpkg", 0o755),
    ("var/lib/dpkg/info", 0o755),
    ("var/lib/dpkg/updates", 0o755),
    ("var/log", 0o755),
    ("var/mail", 0o775),
    ("var/spool", 0o755),
    ("var/spool/cron", 0o755),
    ("var/spool/cron/crontabs", 0o730),
    ("var/tmp", 0o1777),
    ("var/www", 0o755),
];

/// Top-level names that are programs and libraries: links into `/usr` on most systems, directories on some.
pub(crate) const PROGRAMS: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix"];

/// Makes the tree in `base`.
pub(crate) fn build(base: &Path) -> Result<(), DemoError> {
    make_directory(base, 0o755)?;
    for (name, mode) in DIRECTORIES {
        make_directory(&base.join(name), *mode)?;
    }
    for name in ETC {
        let to = base.join("etc").join(name);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(DemoError::files(parent))?;
        }
        tree::copy_public(&Path::new("/etc").join(name), &to).map_err(DemoError::files(&to))?;
    }
    for name in PROGRAMS {
        let real = Path::new("/").join(name);
        let here = base.join(name);
        if let Ok(target) = fs::read_link(&real) {
            symlink(target, &here).map_err(DemoError::files(&here))?;
        } else if real.is_dir() {
            make_directory(&here, 0o755)?;
        }
    }
    let status = base.join("var/lib/dpkg/status");
    tree::copy_public(Path::new("/var/lib/dpkg/status"), &status)
        .map_err(DemoError::files(&status))?;
    accounts(base)
}

/// Password-less `shadow` files for the accounts that the tree has.
fn accounts(base: &Path) -> Result<(), DemoError> {
    let passwd = base.join("etc/passwd");
    if !passwd.exists() {
        write(&passwd, "root:x:0:0:root:/root:/bin/sh\n", 0o644)?;
    }
    let group = base.join("etc/group");
    if !group.exists() {
        write(&group, "root:x:0:\n", 0o644)?;
    }
    let names = |path: &Path| -> Result<Vec<String>, DemoError> {
        let text = fs::read_to_string(path).map_err(DemoError::files(path))?;
        Ok(text
            .lines()
            .filter_map(|line| line.split(':').next())
            .map(ToOwned::to_owned)
            .collect())
    };
    let shadow: String = names(&passwd)?
        .iter()
        .map(|name| name.clone() + ":*:19000:0:99999:7:::\n")
        .collect();
    write(&base.join("etc/shadow"), &shadow, 0o640)?;
    let gshadow: String = names(&group)?
        .iter()
        .map(|name| name.clone() + ":*::\n")
        .collect();
    write(&base.join("etc/gshadow"), &gshadow, 0o640)
}

pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), DemoError> {
    fs::write(path, text).map_err(DemoError::files(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(DemoError::files(path))
}

pub(crate) fn make_directory(path: &Path, mode: u32) -> Result<(), DemoError> {
    fs::create_dir_all(path).map_err(DemoError::files(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(DemoError::files(path))
}
