//! What a playbook may write for a package.

use std::cmp::Ordering;

use hostler_module_api::ModuleError;
use hostler_probes::{Dpkg, compare_versions};

/// A package as a playbook names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// Name, perhaps with `:arch`; perhaps a pattern.
    pub(super) name: String,
    /// Which version.
    pub(super) version: Version,
}

/// Which version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Any.
    Any,
    /// This one, perhaps a pattern.
    Is(String),
    /// This or a newer one.
    AtLeast(String),
    /// That of a release.
    Release(String),
}

impl Spec {
    /// Reads `name`, `name=version`, `name>=version` or `name/release`.
    ///
    /// # Errors
    /// If it is none of these. A name that apt would read as an order to remove (`nano-`) or as a regular expression
    /// is refused too.
    pub(super) fn parse(text: &str) -> Result<Self, ModuleError> {
        let broken = || ModuleError::new(format!("invalid package spec: {text}"));
        let (name, version) = if let Some((name, version)) = text.split_once(">=") {
            (name, Version::AtLeast(version.to_owned()))
        } else if let Some((name, version)) = text.split_once('=') {
            (name, Version::Is(version.to_owned()))
        } else if let Some((name, release)) = text.split_once('/') {
            (name, Version::Release(release.to_owned()))
        } else {
            (text, Version::Any)
        };
        let name = name.trim();
        let allowed = |ch: char| ch.is_ascii_alphanumeric() || "+-.:_*?[]!".contains(ch);
        let starts_well = name.starts_with(|ch: char| ch.is_ascii_alphanumeric() || "*?[".contains(ch));
        if !starts_well || !name.chars().all(allowed) || name.ends_with('-') {
            return Err(broken());
        }
        let version = match version {
            Version::Any => Version::Any,
            Version::Is(it) => Version::Is(word(&it).ok_or_else(broken)?),
            Version::AtLeast(it) => Version::AtLeast(word(&it).ok_or_else(broken)?),
            Version::Release(it) => Version::Release(word(&it).ok_or_else(broken)?),
        };
        Ok(Spec { name: name.to_owned(), version })
    }

    /// Is the name a pattern?
    pub(super) fn is_pattern(&self) -> bool {
        self.name.contains(['*', '?', '[', ']', '!'])
    }

    /// As apt-get takes it. "At least" is left to apt's candidate, and looked at again afterwards.
    pub(super) fn for_apt(&self) -> String {
        match &self.version {
            Version::Any | Version::AtLeast(_) => self.name.clone(),
            Version::Is(version) => format!("{}={version}", self.name),
            Version::Release(release) => format!("{}/{release}", self.name),
        }
    }

    /// Is what is installed good enough for `state: present`?
    pub(super) fn is_satisfied(&self, dpkg: &Dpkg) -> bool {
        let Some(package) = dpkg.installed(&self.name) else {
            return self.version == Version::Any && dpkg.provides(&self.name);
        };
        match &self.version {
            Version::Any => true,
            Version::Is(version) => matches(version, &package.version),
            Version::AtLeast(version) => compare_versions(&package.version, version) != Ordering::Less,
            Version::Release(_) => false,
        }
    }
}

/// The name in words of apt-get: without version, release and architecture.
pub(super) fn base_name(words: &str) -> &str {
    if words.starts_with('/') {
        return words;
    }
    words.split(['=', '/', ':', '_']).next().unwrap_or(words)
}

fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = |ch: char| ch.is_ascii_graphic() && !"='\"\\".contains(ch);
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

/// Shell pattern with `*` and `?`, as versions use it.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    crate::setup::fnmatch(pattern, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let spec = |text: &str| Spec::parse(text).unwrap();
        assert_eq!(spec("g++"), Spec { name: "g++".into(), version: Version::Any });
        assert_eq!(spec("nginx=1.22*").for_apt(), "nginx=1.22*");
        assert_eq!(spec("nginx >= 1.22").for_apt(), "nginx");
        assert_eq!(spec("nginx/bookworm-backports").for_apt(), "nginx/bookworm-backports");
        assert!(spec("php8.2-*").is_pattern());
        for bad in ["nano-", "-y", "a=b=c", "x y", "", "^x$", "a|b", "x="] {
            assert!(Spec::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn knows_what_is_enough() {
        let dpkg = Dpkg::parse("Package: nginx\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.22.1-9\nProvides: httpd\n");
        let enough = |text: &str| Spec::parse(text).unwrap().is_satisfied(&dpkg);
        assert!(enough("nginx") && enough("nginx=1.22*") && enough("nginx>=1.9") && enough("httpd"));
        assert!(!enough("nginx=1.2") && !enough("nginx>=1.23") && !enough("jq") && !enough("httpd=1"));
    }
}
