//! Unit files of systemd, as far as they tell what the manager would say of a unit that it has not read yet.

use std::path::{Path, PathBuf};

use hostler_change::FileKind;
use hostler_module_api::{Follow, Inspect};

use crate::text;

/// Where units are, the first that has a file wins; see systemd.unit(5).
const DIRS: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Where enabling makes its links.
pub(crate) const ADMIN: &str = "/etc/systemd/system";
/// Suffixes of units.
const SUFFIXES: &[&str] = &[
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// A unit's name with its suffix: `.service` unless it has one.
pub fn unit_name(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((_, suffix)) if SUFFIXES.contains(&suffix) => name.to_owned(),
        _ => format!("{name}.service"),
    }
}

/// A unit's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitFile {
    pub(crate) path: PathBuf,
    /// It is a link to `/dev/null`.
    pub(crate) masked: bool,
    /// Of its `[Install]` section: what enabling links it into, as directory (`x.target.wants`) or other name.
    wants: Vec<String>,
    aliases: Vec<String>,
    /// `Type` and `RemainAfterExit` of a service.
    pub(crate) service: Vec<(String, String)>,
}

/// The file of a unit, of its template for an instance (`a@b.service`).
pub(crate) fn unit_file(host: &dyn Inspect, name: &str) -> Option<UnitFile> {
    let template = name
        .split_once('@')
        .and_then(|(base, rest)| Some(format!("{base}@.{}", rest.rsplit_once('.')?.1)));
    let names = [Some(name.to_owned()), template];
    for name in names.iter().flatten() {
        for dir in DIRS {
            let path = Path::new(dir).join(name);
            let Ok(Some(stat)) = host.stat(&path, Follow::No) else {
                continue;
            };
            let link = host.read_link(&path).ok().flatten();
            let masked = link.is_some_and(|it| it == Path::new("/dev/null"));
            if masked || stat.kind == FileKind::File || stat.kind == FileKind::Link {
                let install = text(host, &path).unwrap_or_default();
                return Some(UnitFile {
                    masked,
                    ..UnitFile::read(path, &install)
                });
            }
        }
    }
    None
}

impl UnitFile {
    fn read(path: PathBuf, text: &str) -> Self {
        let mut file = UnitFile {
            path,
            ..UnitFile::default()
        };
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            if section == "[Service]" && ["Type", "RemainAfterExit"].contains(&key.trim()) {
                let pair = (key.trim().to_owned(), value.trim().to_owned());
                file.service.push(pair);
            }
            if section != "[Install]" {
                continue;
            }
            let words = value.split_whitespace();
            match key.trim() {
                "WantedBy" => file.wants.extend(words.map(|it| format!("{it}.wants"))),
                "RequiredBy" => file.wants.extend(words.map(|it| format!("{it}.requires"))),
                "UpheldBy" => file.wants.extend(words.map(|it| format!("{it}.upholds"))),
                "Alias" => file.aliases.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        file
    }

    /// Links that enabling makes, or disabling removes. Empty where names hold specifiers (`%i`): those are systemd's
    /// to resolve.
    pub(crate) fn links(&self, name: &str) -> Vec<PathBuf> {
        if self
            .wants
            .iter()
            .chain(&self.aliases)
            .any(|it| it.contains(['%', '/']))
        {
            return Vec::new();
        }
        let wants = self
            .wants
            .iter()
            .map(|dir| Path::new(ADMIN).join(dir).join(name));
        let aliases = self.aliases.iter().filter(|it| *it != name);
        wants
            .chain(aliases.map(|it| Path::new(ADMIN).join(it)))
            .collect()
    }

    /// What `systemctl is-enabled` would say.
    pub(crate) fn state(&self, host: &dyn Inspect, name: &str) -> &'static str {
        let there = |path: &PathBuf| matches!(host.stat(path, Follow::No), Ok(Some(_)));
        if self.masked {
            "masked"
        } else if self.wants.is_empty() && self.aliases.is_empty() {
            "static"
        } else if self.links(name).iter().any(there) {
            "enabled"
        } else {
            "disabled"
        }
    }
}
