//! Package files in the directory where downloads are.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::{Action, Located, Manager, PackageName};

/// Where package files are.
pub(crate) fn dir() -> PathBuf {
    hostler_package_managers::PACKAGES.into()
}

/// Where a package manager's private indexes are.
pub(crate) fn metadata(manager: Manager) -> PathBuf {
    let name = hostler_package_managers::metadata_name(manager);
    Path::new(hostler_package_managers::METADATA).join(name)
}

/// The file of a package in a version, if it is there: as the package managers name what they download.
pub(crate) fn find(
    host: &dyn Inspect,
    manager: Manager,
    dir: &Path,
    package: &PackageName,
    version: &str,
) -> Result<Option<PathBuf>, ModuleError> {
    for name in names(manager, package, version) {
        let path = dir.join(name);
        if host
            .stat(&path, hostler_module_api::Follow::No)?
            .is_some_and(|it| it.kind == hostler_change::FileKind::File)
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Names that the file may have.
fn names(manager: Manager, package: &PackageName, version: &str) -> Vec<String> {
    let (name, arch) = (&package.name, &package.arch);
    let names = match manager {
        // `QuoteString` of apt-pkg's pkgAcqArchive.
        Manager::Apt => vec![format!(
            "{}_{}_{}.deb",
            escaped(name, "_:"),
            escaped(version, "_:"),
            escaped(arch, "_:.")
        )],
        Manager::Dnf | Manager::Zypper => {
            vec![hostler_package_managers::rpm_file_name(package, version)]
        }
        Manager::Apk => vec![format!("{name}-{version}.apk")],
        Manager::Pacman => {
            let one = |kind: &str| format!("{name}-{version}-{arch}.pkg.tar.{kind}");
            ["zst", "xz", "gz"].map(one).into()
        }
    };
    // Versions come from outside: a name with a slash is no name.
    names.into_iter().filter(|it| !it.contains('/')).collect()
}

/// Writes characters as `%xx` that apt does not want in names.
fn escaped(text: &str, not: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let ch = char::from(byte);
        if not.contains(ch) || ch == '%' || !(0x21..0x7f).contains(&byte) {
            let _ = write!(out, "%{byte:02x}");
        } else {
            out.push(ch);
        }
    }
    out
}

/// A package file with its hash.
pub(crate) fn located(
    host: &dyn Inspect,
    path: &Path,
    package: &PackageName,
    version: &str,
) -> Result<Option<Located>, ModuleError> {
    let sha256 = host.checksum(path, "sha256")?;
    Ok(sha256.map(|sha256| Located {
        package: package.clone(),
        version: version.to_owned(),
        path: path.display().to_string(),
        sha256,
    }))
}

/// What is wrong with the file of an action's new version: it is not there, or it is another one. `None`: nothing.
pub(crate) fn complaint(action: &Action, file: Option<&Located>) -> Option<String> {
    let name = &action.package;
    let version = action.to.as_deref().unwrap_or_default();
    let Some(file) = file else {
        return Some(format!("{name} {version} is not downloaded"));
    };
    let wanted = action
        .sha256
        .as_ref()
        .filter(|it| !it.eq_ignore_ascii_case(&file.sha256))?;
    let is = &file.sha256;
    Some(format!(
        "{name} {version}: the file has SHA-256 {is}, planned is {wanted}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_the_managers_give_them() {
        let package = |name: &str, arch: &str| PackageName {
            name: name.into(),
            arch: arch.into(),
        };
        for (manager, name, version, arch, file) in [
            (
                Manager::Apt,
                "libc6",
                "2:2.36-9+deb12u1~x",
                "amd64",
                "libc6_2%3a2.36-9+deb12u1~x_amd64.deb",
            ),
            (
                Manager::Dnf,
                "glibc",
                "0:2.34-1.el9",
                "x86_64",
                "glibc-2.34-1.el9.x86_64.rpm",
            ),
            (
                Manager::Dnf,
                "kernel-core-5.14.0-9.el9",
                "5.14.0-9.el9",
                "x86_64",
                "kernel-core-5.14.0-9.el9.x86_64.rpm",
            ),
            (Manager::Apk, "musl", "1.2-r3", "x86_64", "musl-1.2-r3.apk"),
            (
                Manager::Pacman,
                "a",
                "1:2-1",
                "any",
                "a-1:2-1-any.pkg.tar.zst",
            ),
        ] {
            assert_eq!(names(manager, &package(name, arch), version)[0], file);
        }
        assert!(names(Manager::Apt, &package("../../etc/x", "all"), "1").is_empty());
    }
}
