//! Packages that are kept: `apt-mark hold`, and pins in `preferences` (`apt_preferences(5)`).

use hostler_module_api::Inspect;
use hostler_probes::{Dpkg, names, text};
use hostler_updates::Hold;

/// Most holds that are reported.
const HOLDS_MAX: usize = 1000;

/// All of them.
pub(super) fn holds(host: &dyn Inspect, dpkg: &Dpkg) -> Vec<Hold> {
    let held = dpkg.all_installed().filter(|(_, it)| it.held);
    let mut all: Vec<Hold> = held
        .map(|(name, it)| Hold {
            package: super::names::shown(name, &it.architecture, dpkg.native()),
            by: "apt-mark hold".to_owned(),
        })
        .collect();
    let dir = "/etc/apt/preferences.d";
    let parts = names(host, dir).into_iter().map(|it| format!("{dir}/{it}"));
    for path in std::iter::once("/etc/apt/preferences".to_owned()).chain(parts) {
        // As apt chooses files of a directory: by their names, without an extension or with `pref`.
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_read = !name.contains('.') || name.strip_suffix(".pref").is_some();
        if let (true, Some(text)) = (is_read, text(host, &path)) {
            all.extend(parse(&text).into_iter().map(|(package, pin)| Hold {
                package,
                by: format!("pin in {path} ({pin})"),
            }));
        }
    }
    hostler_value::order::sort(&mut all);
    all.dedup();
    all.truncate(HOLDS_MAX);
    all
}

/// Pins that keep packages, by name or pattern, at a version or away from others. One that prefers a source, or is of
/// all packages (`Package: *`), keeps none by itself.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let without_comments: String = text
        .lines()
        .filter(|it| !it.starts_with('#'))
        .flat_map(|it| [it.trim_end(), "\n"])
        .collect();
    for paragraph in without_comments.split("\n\n") {
        let field = |key: &str| {
            let line = |it: &str| {
                let (name, value) = it.split_once(':')?;
                name.eq_ignore_ascii_case(key)
                    .then(|| value.trim().to_owned())
            };
            paragraph.lines().find_map(line)
        };
        let (Some(packages), Some(pin)) = (field("Package"), field("Pin")) else {
            continue;
        };
        let priority = field("Pin-Priority").unwrap_or_default();
        if !pin.starts_with("version ") && !priority.starts_with('-') {
            continue;
        }
        for package in packages.split_whitespace().filter(|it| *it != "*") {
            all.push((package.to_owned(), format!("{pin}, priority {priority}")));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn holds_and_pins() {
        let status = "Package: nginx\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1\n\nPackage: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n";
        let host = FakeHost::bare()
            .file("/var/lib/dpkg/status", status)
            .dir("/etc/apt/preferences.d", 0o755)
            .file("/etc/apt/preferences.d/x.bak", "Package: no\nPin: version 1\n")
            .file("/etc/apt/preferences.d/node", "Package: nodejs\nPin: origin deb.nodesource.com\nPin-Priority: 600\n")
            .file("/etc/apt/preferences.d/db", "# keep\nPackage: mysql* redis\nPin: version 8.*\nPin-Priority: 1001\n\n\nPackage: *\nPin: release a=stable\nPin-Priority: 900\n");
        let dpkg = hostler_probes::dpkg(&host).unwrap();
        let all = holds(&host, &dpkg);
        let shown: Vec<String> = all
            .iter()
            .map(|it| format!("{}: {}", it.package, it.by))
            .collect();
        assert_eq!(
            shown,
            [
                "mysql*: pin in /etc/apt/preferences.d/db (version 8.*, priority 1001)",
                "nginx: apt-mark hold",
                "redis: pin in /etc/apt/preferences.d/db (version 8.*, priority 1001)",
            ]
        );
    }
}
