//! Installed packages, from dpkg's own database: no program needed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_change::Effect;
use hostler_module_api::{Inspect, InspectError};

use crate::text;

/// Larger than the database of any host.
const STATUS_MAX: u64 = 128 << 20;

/// Where dpkg has it.
const STATUS: &str = "/var/lib/dpkg/status";
/// Where apt keeps which packages it installed only because others need them.
pub const AUTO: &str = "/var/lib/apt/extended_states";

/// What is known of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Version; empty if nothing of it is there any more.
    pub version: String,
    /// Architecture, or `all`.
    pub architecture: String,
    /// It must stay as it is (`apt-mark hold`).
    pub held: bool,
    /// Whether it is installed, or how much of it.
    pub state: PackageState,
    /// The source package that it was built of, if that has another name or version: `glibc`, `linux-signed-amd64 (6.1.90+1)`.
    pub source: String,
    /// Something of it stays when it is removed without being purged.
    pub has_configuration: bool,
}

/// How much of a package is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PackageState {
    /// All of it.
    Installed,
    /// Only its configuration files: it was removed, not purged.
    ConfigFiles,
    /// Its installation did not come to an end.
    Broken,
    /// Nothing.
    #[default]
    Absent,
}

/// The source package of a package, with its version: what the field `Source` says (deb-src-control(5)), and the package's own
/// where that is silent.
pub fn source_package<'a>(field: &'a str, name: &'a str, version: &'a str) -> (&'a str, &'a str) {
    let (source, rest) = field.split_once(' ').unwrap_or((field, ""));
    let own = rest.trim().strip_prefix('(');
    let own = own.and_then(|it| it.strip_suffix(')')).map(str::trim);
    let named = Some(source).filter(|it| !it.is_empty());
    (
        named.unwrap_or(name),
        own.filter(|it| !it.is_empty()).unwrap_or(version),
    )
}

/// dpkg's database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dpkg {
    /// By name, then by architecture.
    packages: BTreeMap<String, Vec<Package>>,
    /// Virtual names that installed packages provide.
    provided: BTreeSet<String>,
    /// The architecture of dpkg itself.
    native: String,
    /// What earlier tasks of a preview would do, by name.
    pending: BTreeMap<String, Pending>,
}

/// What earlier tasks of a preview would do to a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The version that is installed on the host itself.
    pub real: Option<String>,
    /// The version that would be installed.
    pub then: Option<String>,
}

/// Reads the database; empty if there is none. In a preview it is as earlier tasks would leave it.
///
/// # Errors
/// If it is there and cannot be read.
pub fn dpkg(host: &dyn Inspect) -> Result<Dpkg, InspectError> {
    let bytes = host
        .read(Path::new(STATUS), STATUS_MAX)?
        .unwrap_or_default();
    let mut dpkg = Dpkg::parse(&String::from_utf8_lossy(&bytes));
    for declared in host.declared() {
        if let Effect::Package { name, version } = declared.effect {
            let script = format!("/var/lib/dpkg/info/{name}.postrm");
            dpkg.foresee(&name, version, || crate::exists(host, &script));
        }
    }
    Ok(dpkg)
}

/// Was dpkg interrupted, so that apt refuses to do anything before `dpkg --configure -a`? As apt finds out: a journal is
/// left, a file with a number for its name.
pub fn dpkg_interrupted(host: &dyn Inspect) -> bool {
    let journals = crate::names(host, "/var/lib/dpkg/updates");
    journals
        .iter()
        .any(|it| it.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Dpkg {
    /// Reads `/var/lib/dpkg/status`: paragraphs of `Field: value`.
    pub fn parse(status: &str) -> Self {
        let mut dpkg = Dpkg::default();
        for paragraph in status.split("\n\n") {
            let (mut name, mut package, mut provides) = ("", Package::default(), "");
            for line in paragraph.lines() {
                let Some((key, value)) = line.split_once(':') else {
                    continue;
                };
                let value = value.trim();
                match key {
                    "Package" => name = value,
                    "Version" => value.clone_into(&mut package.version),
                    "Architecture" => value.clone_into(&mut package.architecture),
                    "Source" => value.clone_into(&mut package.source),
                    "Provides" => provides = value,
                    "Conffiles" => package.has_configuration = true,
                    "Status" => {
                        let mut words = value.split(' ');
                        package.held = words.next() == Some("hold");
                        package.state = match words.nth(1) {
                            Some("installed") => PackageState::Installed,
                            Some("config-files") => PackageState::ConfigFiles,
                            Some("not-installed") | None => PackageState::Absent,
                            Some(_) => PackageState::Broken,
                        };
                    }
                    _ => {}
                }
            }
            if name.is_empty() {
                continue;
            }
            if package.state == PackageState::Installed {
                let names = provides
                    .split(',')
                    .filter_map(|it| it.split_whitespace().next());
                dpkg.provided.extend(names.map(str::to_owned));
                if name == "dpkg" {
                    dpkg.native.clone_from(&package.architecture);
                }
            }
            dpkg.packages
                .entry(name.to_owned())
                .or_default()
                .push(package);
        }
        dpkg
    }

    /// Takes what a task of a preview would do into the view. What is removed once leaves its configuration, if it has any
    /// or a script that tidies up after it; what is removed when it is not installed is purged.
    fn foresee(&mut self, name: &str, version: Option<String>, has_script: impl FnOnce() -> bool) {
        let now = self.get(name).cloned();
        let installed = now
            .as_ref()
            .filter(|it| it.state == PackageState::Installed);
        let real = installed.map(|it| it.version.clone());
        let change = self
            .pending
            .entry(name.to_owned())
            .or_insert(Pending { real, then: None });
        change.then.clone_from(&version);
        let (base, architecture) = name.split_once(':').unwrap_or((name, &self.native));
        let mut package = now.unwrap_or_else(|| Package {
            architecture: architecture.to_owned(),
            ..Package::default()
        });
        package.state = match (&version, package.state) {
            (Some(_), _) => PackageState::Installed,
            (None, PackageState::ConfigFiles | PackageState::Absent) => PackageState::Absent,
            (None, _) if package.has_configuration || has_script() => PackageState::ConfigFiles,
            (None, _) => PackageState::Absent,
        };
        package.version = version.unwrap_or(package.version);
        let all = self.packages.entry(base.to_owned()).or_default();
        all.retain(|it| it.architecture != package.architecture);
        all.push(package);
    }

    /// What earlier tasks of a preview would do to packages, by name; what comes to nothing is left out.
    pub fn pending(&self) -> impl Iterator<Item = (&str, &Pending)> {
        let all = self.pending.iter().map(|it| (it.0.as_str(), it.1));
        all.filter(|(_, it)| it.real != it.then)
    }

    /// A package by `name` (of the native architecture, or of all) or `name:architecture`.
    pub fn get(&self, name: &str) -> Option<&Package> {
        let (name, architecture) = name.split_once(':').unwrap_or((name, ""));
        let found = self.packages.get(name)?;
        let fits = |it: &&Package| match architecture {
            "" | "native" => {
                it.architecture == "all" || it.architecture == self.native || self.native.is_empty()
            }
            "any" => true,
            wanted => it.architecture == wanted || it.architecture == "all",
        };
        found
            .iter()
            .filter(fits)
            .max_by_key(|it| it.state == PackageState::Installed)
    }

    /// A package that is installed.
    pub fn installed(&self, name: &str) -> Option<&Package> {
        self.get(name)
            .filter(|it| it.state == PackageState::Installed)
    }

    /// Does an installed package provide this virtual name?
    pub fn provides(&self, name: &str) -> bool {
        self.provided.contains(name)
    }

    /// Every package that is installed, with its name, sorted.
    pub fn all_installed(&self) -> impl Iterator<Item = (&str, &Package)> {
        let each = self.packages.iter();
        let each = each.flat_map(|(name, all)| all.iter().map(move |it| (name.as_str(), it)));
        each.filter(|(_, it)| it.state == PackageState::Installed)
    }

    /// The architecture of dpkg itself; empty if dpkg is not installed.
    pub fn native(&self) -> &str {
        &self.native
    }

    /// Names of all packages of which something is there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let there =
            |it: &(&String, &Vec<Package>)| it.1.iter().any(|it| it.state != PackageState::Absent);
        self.packages.iter().filter(there).map(|it| it.0.as_str())
    }
}

/// Packages that apt installed only because others need them (`extended_states`), by name.
pub fn auto_installed(host: &dyn Inspect) -> BTreeSet<String> {
    let file = text(host, AUTO).unwrap_or_default();
    let auto = file
        .split("\n\n")
        .filter(|it| it.lines().any(|line| line == "Auto-Installed: 1"));
    let name = |it: &str| {
        it.lines()
            .find_map(|line| line.strip_prefix("Package: "))
            .map(str::to_owned)
    };
    auto.filter_map(name).collect()
}

/// The text of `extended_states` after packages were installed for others' sake and others were removed or marked as
/// wanted; `None` if that changes nothing.
pub fn marked(host: &dyn Inspect, auto: &[&str], not_auto: &[&str]) -> Option<String> {
    let old = text(host, AUTO).unwrap_or_default();
    let is_kept = |it: &&str| {
        let name = it.lines().find_map(|line| line.strip_prefix("Package: "));
        name.is_some_and(|name| !not_auto.contains(&name) && !auto.contains(&name))
    };
    let kept: Vec<&str> = old.split("\n\n").filter(is_kept).collect();
    let mut new: String = kept.iter().flat_map(|it| [it.trim_end(), "\n\n"]).collect();
    for name in auto {
        let (name, architecture) = name.split_once(':').unwrap_or((name, ""));
        let line = match architecture {
            "" => String::new(),
            _ => format!("Architecture: {architecture}\n"),
        };
        new.extend(["Package: ", name, "\n", &line, "Auto-Installed: 1\n\n"]);
    }
    (new.trim_end() != old.trim_end()).then_some(new)
}

/// Compares versions as dpkg does (deb-version(7)).
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    hostler_updates::compare(hostler_updates::Scheme::Deb, a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    const STATUS: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n
Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\nDescription: x\n Package: not one\n
Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.36-8\n
Package: nginx\nStatus: hold ok installed\nArchitecture: all\nVersion: 1.22\nProvides: httpd, httpd-cgi (= 1)\n
Package: old\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n
Package: bad\nStatus: install ok half-configured\nArchitecture: amd64\nVersion: 1\n";

    #[test]
    fn reads_the_database() {
        let it = Dpkg::parse(STATUS);
        assert_eq!(it.installed("libc6").unwrap().version, "2.36-9");
        assert_eq!(it.installed("libc6:i386").unwrap().version, "2.36-8");
        assert!(it.installed("libc6:arm64").is_none());
        assert!(it.installed("nginx").unwrap().held && it.provides("httpd-cgi"));
        assert_eq!(it.get("old").unwrap().state, PackageState::ConfigFiles);
        assert!(it.installed("bad").is_none() && it.get("bad").is_some());
        assert_eq!(it.names().count(), 5);
        assert_eq!(Dpkg::parse(""), Dpkg::default());
    }

    #[test]
    fn sources_of_packages() {
        assert_eq!(source_package("", "bash", "5.2-1+b1"), ("bash", "5.2-1+b1"));
        assert_eq!(
            source_package("bash (5.2-1)", "bash", "5.2-1+b1"),
            ("bash", "5.2-1")
        );
        assert_eq!(
            source_package("glibc", "libc6", "2.36-9"),
            ("glibc", "2.36-9")
        );
        assert_eq!(source_package("odd (", "x", "1"), ("odd", "1"));
        assert_eq!(source_package("odd ()", "x", "1"), ("odd", "1"));
        let it = Dpkg::parse(
            "Package: libc6\nSource: glibc (1:2)\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\n",
        );
        assert_eq!(it.get("libc6").unwrap().source, "glibc (1:2)");
    }

    #[test]
    fn a_preview_sees_what_earlier_tasks_would_install_and_remove() {
        let package = |name: &str, version: Option<&str>| Effect::Package {
            name: name.into(),
            version: version.map(str::to_owned),
        };
        let host = FakeHost::bare()
            .file(
                "/var/lib/dpkg/status",
                STATUS.replace("Provides", "Conffiles:\n /etc/x 1\nProvides"),
            )
            .declaring(1, package("jq", Some("1.6")))
            .declaring(1, package("nginx", None))
            .declaring(2, package("libc6:i386", Some("2.36-9")))
            .declaring(3, package("dpkg", None))
            .declaring(4, package("tar", Some("1")))
            .declaring(5, package("tar", None));
        let it = dpkg(&host).unwrap();
        assert_eq!(it.installed("jq").unwrap().version, "1.6");
        assert_eq!(it.get("nginx").unwrap().state, PackageState::ConfigFiles);
        assert_eq!(it.get("dpkg").unwrap().state, PackageState::Absent);
        assert_eq!(it.installed("libc6:i386").unwrap().version, "2.36-9");
        assert_eq!(it.installed("libc6").unwrap().version, "2.36-9");
        let pending: Vec<&str> = it.pending().map(|it| it.0).collect();
        assert_eq!(pending, ["dpkg", "jq", "libc6:i386", "nginx"]);
        let purged = dpkg(&host.declaring(6, package("nginx", None))).unwrap();
        assert_eq!(purged.get("nginx").unwrap().state, PackageState::Absent);
    }

    #[test]
    fn marks() {
        let old = "Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: b\nAuto-Installed: 1\n\n";
        let host = FakeHost::bare().dir("/var/lib/apt", 0o755).file(AUTO, old);
        let new = marked(&host, &["c", "d:i386"], &["b", "x"]).unwrap();
        let host = host.file(AUTO, &new);
        let auto: Vec<String> = auto_installed(&host).into_iter().collect();
        assert_eq!(auto, ["a", "c", "d"]);
        assert_eq!(marked(&host, &[], &["b"]), None);
    }

    #[test]
    fn an_interrupted_dpkg_leaves_a_journal() {
        let host = FakeHost::bare()
            .dir("/var/lib/dpkg/updates", 0o755)
            .file("/var/lib/dpkg/updates/tmp.i", "");
        assert!(!dpkg_interrupted(&host));
        assert!(dpkg_interrupted(
            &host.file("/var/lib/dpkg/updates/0001", "")
        ));
    }

    #[test]
    fn versions_as_dpkg_orders_them() {
        let ordered = [
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0a-1",
            "1.0+x-1",
            "1.2-1",
            "1.10-1",
            "1:0.1",
            "2:0",
        ];
        for (at, low) in ordered.iter().enumerate() {
            for high in &ordered[at + 1..] {
                assert_eq!(compare_versions(low, high), Ordering::Less, "{low} {high}");
                assert_eq!(
                    compare_versions(high, low),
                    Ordering::Greater,
                    "{high} {low}"
                );
            }
        }
        assert_eq!(compare_versions("1.01", "1.1"), Ordering::Equal);
        assert_eq!(compare_versions("0:1", "1"), Ordering::Equal);
        assert_eq!(compare_versions("1", "1-0"), Ordering::Equal);
    }
}
