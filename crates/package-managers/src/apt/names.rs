//! Names of packages and versions as words for apt's programs.

use hostler_updates::PackageName;

/// Is it a name of a package, and no option, path or pattern? Debian policy, section 5.6.1; capitals occur outside of
/// Debian.
pub(super) fn is_package(name: &str) -> bool {
    let is_sane = |it: u8| it.is_ascii_alphanumeric() || b"+-._".contains(&it);
    name.len() <= 200
        && name.bytes().all(is_sane)
        && name.starts_with(|it: char| it.is_ascii_alphanumeric())
}

/// Is it a version? Debian policy, section 5.6.12.
pub(super) fn is_version(version: &str) -> bool {
    let is_sane = |it: u8| it.is_ascii_alphanumeric() || b"+-.~:_".contains(&it);
    !version.is_empty() && version.len() <= 200 && version.bytes().all(is_sane)
}

/// Is it an architecture?
fn is_architecture(arch: &str) -> bool {
    let is_sane = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
    arch.len() <= 40 && arch.bytes().all(is_sane) && !arch.starts_with('-')
}

/// Can apt be asked for it?
pub(super) fn is_askable(package: &PackageName) -> bool {
    is_package(&package.name) && is_architecture(&package.arch)
}

/// As a word for apt: packages for all architectures have none in it.
pub(super) fn word(package: &PackageName) -> String {
    match package.arch.as_str() {
        "" | "all" => package.name.clone(),
        arch => format!("{}:{arch}", package.name),
    }
}

/// As apt shows it: without architecture if that is its own.
pub(super) fn shown(name: &str, arch: &str, native: &str) -> String {
    if arch == "all" || arch == native || arch.is_empty() {
        name.to_owned()
    } else {
        format!("{name}:{arch}")
    }
}

/// The name of a package file, as apt writes it: `name_1%3a2_amd64.deb`.
pub(super) fn file(package: &PackageName, version: &str) -> String {
    let version = version.replace(':', "%3a");
    format!("{}_{version}_{}.deb", package.name, package.arch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let it = |name: &str, arch: &str| PackageName {
            name: name.into(),
            arch: arch.into(),
        };
        assert_eq!(word(&it("libc6", "amd64")), "libc6:amd64");
        assert_eq!(word(&it("tzdata", "all")), "tzdata");
        assert_eq!(shown("libc6", "i386", "amd64"), "libc6:i386");
        assert_eq!(
            file(&it("vim", "amd64"), "2:9.0-1"),
            "vim_2%3a9.0-1_amd64.deb"
        );
        for bad in ["", "-o", "a b", "./x.deb", "a*", "a=1", "a/b", "a\nb"] {
            assert!(!is_askable(&it(bad, "amd64")), "{bad}");
        }
        assert!(!is_askable(&it("a", "-x")) && is_askable(&it("g++-12", "musl-linux-amd64")));
        assert!(is_version("1:2.0~rc1-3+deb12u1") && !is_version("1 2") && !is_version(""));
    }
}
