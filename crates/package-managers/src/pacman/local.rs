//! pacman's database of installed packages, read from its files: `/var/lib/pacman/local/NAME-VERSION/{desc,files}`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::text;
use hostler_updates::{Conffile, PackageName};

/// Where it is.
pub(super) const LOCAL: &str = "/var/lib/pacman/local";

/// An installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) version: String,
    pub(super) arch: String,
    pub(super) size: u64,
    /// The directory of its entry.
    entry: String,
}

/// Installed packages by name, and entries that are not whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Local {
    pub(super) packages: BTreeMap<String, Package>,
    pub(super) broken: Vec<String>,
}

impl Local {
    pub(super) fn read(host: &dyn Inspect) -> Result<Self, ModuleError> {
        let mut local = Local::default();
        let entries = host.list_dir(Path::new(LOCAL))?.unwrap_or_default();
        for entry in entries {
            let entry = entry.to_string_lossy().into_owned();
            if entry == "ALPM_DB_VERSION" {
                continue;
            }
            let desc = text(host, format!("{LOCAL}/{entry}/desc")).unwrap_or_default();
            let fields = fields(&desc);
            let field = |name: &str| Some((*fields.get(name)?.first()?).to_owned());
            let (Some(name), Some(version)) = (field("NAME"), field("VERSION")) else {
                local.broken.push(entry);
                continue;
            };
            let package = Package {
                version,
                arch: field("ARCH").unwrap_or_default(),
                size: field("SIZE").and_then(|it| it.parse().ok()).unwrap_or(0),
                entry,
            };
            if let Some(twice) = local.packages.insert(name, package) {
                local.broken.push(twice.entry);
            }
        }
        Ok(local)
    }

    /// Every package with its version.
    pub(super) fn by_name(&self) -> BTreeMap<PackageName, String> {
        let all = self.packages.iter();
        all.map(|(name, it)| (self::name(name, &it.arch), it.version.clone()))
            .collect()
    }

    /// Files of packages.
    pub(super) fn files(&self, host: &dyn Inspect, names: &BTreeSet<&str>) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (_, listed) in self.lists(host, names) {
            let files = fields(&listed).remove("FILES").unwrap_or_default();
            let files = files.iter().filter(|it| !it.ends_with('/'));
            all.extend(files.map(|it| format!("/{it}")));
        }
        all
    }

    /// Configuration files ("backup") of packages that are not as they came.
    pub(super) fn changed(&self, host: &dyn Inspect, names: &BTreeSet<&str>) -> Vec<Conffile> {
        let mut changed = Vec::new();
        for (package, listed) in self.lists(host, names) {
            let backup = fields(&listed).remove("BACKUP").unwrap_or_default();
            for (path, md5) in backup.iter().filter_map(|it| it.split_once('\t')) {
                let path = format!("/{path}");
                let is = host.checksum(Path::new(&path), "md5").ok().flatten();
                if is.is_some_and(|it| it != md5) {
                    let package = package.to_owned();
                    changed.push(Conffile { path, package });
                }
            }
        }
        changed
    }

    fn lists<'a>(
        &'a self,
        host: &dyn Inspect,
        names: &BTreeSet<&'a str>,
    ) -> Vec<(&'a str, String)> {
        let list = |name: &&'a str| {
            let entry = &self.packages.get(*name)?.entry;
            Some((*name, text(host, format!("{LOCAL}/{entry}/files"))?))
        };
        names.iter().filter_map(list).collect()
    }
}

/// A package by name and architecture.
pub(super) fn name(name: &str, arch: &str) -> PackageName {
    PackageName {
        name: name.to_owned(),
        arch: arch.to_owned(),
    }
}

/// `%NAME%` and the lines below it, up to an empty one.
fn fields(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut fields: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut field = None;
    for line in text.lines() {
        let title = line.strip_prefix('%').and_then(|it| it.strip_suffix('%'));
        match (title, field) {
            (Some(title), None) => field = Some(title),
            _ if line.is_empty() => field = None,
            (_, Some(field)) => fields.entry(field).or_default().push(line),
            (None, None) => {}
        }
    }
    fields
}
