//! Which distribution it is, as Ansible names it.

use std::collections::BTreeMap;

use hostler_module_api::Inspect;

use crate::{text, word};

/// `os-release(5)` as a mapping.
pub type OsRelease = BTreeMap<String, String>;

/// Names of a distribution; the fields are Ansible's facts `distribution_*` and `os_family`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Such as `Debian`, `Ubuntu`, `RedHat`, `Rocky`.
    pub name: String,
    /// Such as `12.11`, `24.04`, `9.4`; `NA` if nothing says.
    pub version: String,
    /// What is before its first dot.
    pub major: String,
    /// Debian's point release, Amazon's second number.
    pub minor: Option<String>,
    /// Code name, such as `bookworm`; `NA` if it has none.
    pub release: String,
    /// The file that told.
    pub file: Option<String>,
    /// The kind of that file.
    pub variety: Option<String>,
    /// The text that was found in that file.
    pub search_string: Option<&'static str>,
    /// Family, such as `Debian`, `RedHat`.
    pub family: String,
}

/// Reads `os-release(5)`: `KEY=value` lines with a shell's quotes.
pub fn parse_os_release(text: &str) -> OsRelease {
    let line = |line: &str| {
        let (key, value) = line.trim().split_once('=')?;
        let quoted = value
            .strip_prefix(['"', '\''])
            .and_then(|it| it.strip_suffix(['"', '\'']));
        let mut out = String::new();
        let mut chars = quoted.unwrap_or(value).chars();
        while let Some(ch) = chars.next() {
            out.push(if ch == '\\' {
                chars.next().unwrap_or(ch)
            } else {
                ch
            });
        }
        (!key.starts_with('#')).then(|| (key.to_owned(), out))
    };
    text.lines().filter_map(line).collect()
}

/// Reads `/etc/os-release`, or what the vendor ships.
pub fn os_release(host: &dyn Inspect) -> OsRelease {
    let found = text(host, "/etc/os-release").or_else(|| text(host, "/usr/lib/os-release"));
    found.map(|it| parse_os_release(&it)).unwrap_or_default()
}

/// Asks the host's release files, in Ansible's order.
pub fn distribution(host: &dyn Inspect) -> Distribution {
    let os = os_release(host);
    let mut it = guess(&os, host);
    files(&mut it, &os, host);
    it.family = family(&it.name).to_owned();
    it
}

/// What `os-release` alone says.
fn guess(os: &OsRelease, host: &dyn Inspect) -> Distribution {
    let get = |key: &str| os.get(key).map(String::as_str).filter(|it| !it.is_empty());
    let id = get("ID").unwrap_or_default();
    let name = match id {
        "amzn" => "Amazon".to_owned(),
        "rhel" => "Redhat".to_owned(),
        "" => "OtherLinux".to_owned(),
        id => capitalized(id),
    };
    let mut version = get("VERSION_ID").unwrap_or_default().to_owned();
    if id == "debian" {
        // os-release has no point release.
        let file = word(host, "/etc/debian_version").unwrap_or_default();
        if version.is_empty() || file.matches('.').count() > version.matches('.').count() {
            version = file;
        }
    } else if id == "centos" {
        let file = word(host, "/etc/centos-release").unwrap_or_default();
        let number = file
            .split_whitespace()
            .find(|it| it.starts_with(|ch: char| ch.is_ascii_digit()));
        let two: Vec<&str> = number.unwrap_or(&version).split('.').take(2).collect();
        version = two.join(".");
    }
    if version.is_empty() {
        "NA".clone_into(&mut version);
    }
    let bracketed = || {
        let inner = get("VERSION")?.split_once('(')?.1.split_once(')')?.0;
        (!inner.contains(|ch: char| ch.is_ascii_digit())).then_some(inner)
    };
    let release = get("VERSION_CODENAME")
        .or_else(|| get("UBUNTU_CODENAME"))
        .or_else(bracketed);
    Distribution {
        name,
        major: version.split('.').next().unwrap_or("NA").to_owned(),
        version,
        release: release.unwrap_or("NA").to_owned(),
        ..Distribution::default()
    }
}

fn capitalized(id: &str) -> String {
    let mut chars = id.chars();
    let first = chars
        .next()
        .map(|it| it.to_uppercase().to_string())
        .unwrap_or_default();
    first + &chars.as_str().to_lowercase()
}

/// Corrects the guess by the files that distributions ship.
fn files(it: &mut Distribution, os: &OsRelease, host: &dyn Inspect) {
    let mut found = |name: &str, path: &str, variety: &str| {
        name.clone_into(&mut it.name);
        it.file = Some(path.to_owned());
        it.variety = Some(variety.to_owned());
    };
    let first_word = |text: &str| {
        text.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    if let Some(text) = word(host, "/etc/oracle-release").filter(|it| it.contains("Oracle Linux")) {
        drop(text);
        found("OracleLinux", "/etc/oracle-release", "OracleLinux");
        it.search_string = Some("Oracle Linux");
        return;
    }
    if let Some(text) = word(host, "/etc/centos-release").filter(|it| it.contains("CentOS Stream"))
    {
        drop(text);
        found("CentOS", "/etc/centos-release", "CentOS");
        "Stream".clone_into(&mut it.release);
        return;
    }
    if let Some(text) = word(host, "/etc/redhat-release") {
        if text.contains("Red Hat") {
            found("RedHat", "/etc/redhat-release", "RedHat");
            it.search_string = Some("Red Hat");
        } else {
            found(&first_word(&text), "/etc/redhat-release", "RedHat");
        }
        return;
    }
    if let Some(version) = word(host, "/etc/alpine-release") {
        found("Alpine", "/etc/alpine-release", "Alpine");
        it.version = version;
        return;
    }
    let name = os.get("NAME").map_or("", String::as_str);
    let id = os.get("ID").map_or("", String::as_str);
    let path = "/etc/os-release";
    match id {
        "amzn" => {
            found("Amazon", path, "Amazon");
            it.minor = Some(
                it.version
                    .split_once('.')
                    .map_or("NA", |it| it.1)
                    .to_owned(),
            );
        }
        "arch" => found("Archlinux", path, "Archlinux"),
        "debian" | "raspbian" => {
            found("Debian", path, "Debian");
            let file = word(host, "/etc/debian_version").unwrap_or_default();
            it.minor = file
                .split_once('.')
                .map(|(_, minor)| digits(minor))
                .filter(|it| !it.is_empty());
        }
        "ubuntu" => found("Ubuntu", path, "Debian"),
        "kali" => found("Kali", path, "Debian"),
        "parrot" => found("Parrot", path, "Debian"),
        "devuan" => found("Devuan", path, "Debian"),
        "linuxmint" => found("Linux Mint", path, "Debian"),
        _ if name.to_lowercase().contains("suse") || id.starts_with("sle") => {
            found(name, path, "SUSE");
            let minor = it.version.split_once('.').map_or("0", |it| it.1).to_owned();
            it.release = minor;
        }
        _ if !name.is_empty() => found(name, path, "NA"),
        _ => {}
    }
}

fn digits(text: &str) -> String {
    text.chars().take_while(char::is_ascii_digit).collect()
}

/// The families of Ansible's documentation ("Conditionals based on `ansible_facts`").
fn family(name: &str) -> &str {
    match name {
        "RedHat" | "RHEL" | "Redhat" | "Fedora" | "CentOS" | "Scientific" | "CloudLinux"
        | "OracleLinux" | "Amazon" | "Virtuozzo" | "Alibaba" | "EulerOS" | "openEuler"
        | "AlmaLinux" | "Rocky" | "TencentOS" | "EuroLinux" | "MIRACLE" => "RedHat",
        "Debian" | "Ubuntu" | "Raspbian" | "Neon" | "KDE neon" | "Linux Mint" | "SteamOS"
        | "Devuan" | "Kali" | "Cumulus Linux" | "Pop!_OS" | "Parrot" | "Pardus GNU/Linux"
        | "Uos" | "Deepin" | "OSMC" => "Debian",
        "SuSE"
        | "SLES"
        | "SLED"
        | "openSUSE"
        | "openSUSE Tumbleweed"
        | "SLES_SAP"
        | "openSUSE Leap"
        | "SL-Micro" => "Suse",
        "Archlinux" | "Antergos" | "Manjaro" => "Archlinux",
        "Gentoo" | "Funtoo" => "Gentoo",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn debian() {
        let host = FakeHost::bare()
            .file("/etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n")
            .file("/etc/debian_version", "12.11\n");
        let it = distribution(&host);
        assert_eq!(
            (it.name.as_str(), it.version.as_str(), it.major.as_str()),
            ("Debian", "12.11", "12")
        );
        assert_eq!(
            (it.minor.as_deref(), it.release.as_str(), it.family.as_str()),
            (Some("11"), "bookworm", "Debian")
        );
        assert_eq!(it.variety.as_deref(), Some("Debian"));
    }

    #[test]
    fn ubuntu_and_rocky_and_alpine() {
        let host = FakeHost::bare()
            .file("/etc/os-release", "NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION=\"24.04.1 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nID=ubuntu\n")
            .file("/etc/debian_version", "trixie/sid\n");
        let it = distribution(&host);
        assert_eq!(
            (it.name, it.version, it.release, it.family),
            (
                "Ubuntu".into(),
                "24.04".into(),
                "noble".into(),
                "Debian".into()
            )
        );
        let host = FakeHost::bare()
            .file("/etc/os-release", "NAME=\"Rocky Linux\"\nVERSION=\"9.4 (Blue Onyx)\"\nID=\"rocky\"\nVERSION_ID=\"9.4\"\n")
            .file("/etc/redhat-release", "Rocky Linux release 9.4 (Blue Onyx)\n");
        let it = distribution(&host);
        assert_eq!(
            (it.name, it.major, it.release, it.family),
            (
                "Rocky".into(),
                "9".into(),
                "Blue Onyx".into(),
                "RedHat".into()
            )
        );
        let host = FakeHost::bare()
            .file(
                "/etc/os-release",
                "ID=alpine\nVERSION_ID=3.20.3\nNAME='Alpine Linux'\n",
            )
            .file("/etc/alpine-release", "3.20.3\n");
        assert_eq!(distribution(&host).family, "Alpine");
    }

    #[test]
    fn an_unknown_one_keeps_its_name() {
        assert_eq!(distribution(&FakeHost::bare()).name, "OtherLinux");
        let host = FakeHost::bare().file("/etc/os-release", "ID=foo\nNAME=\"Foo \\\"OS\\\"\"\n");
        let it = distribution(&host);
        assert_eq!(
            (it.name.as_str(), it.version.as_str()),
            ("Foo \"OS\"", "NA")
        );
    }
}
