//! apk's database of installed packages, and what apk prints of a simulated transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::{exists, word};

/// Larger than the database of any host.
const DATABASE_MAX: u64 = 64 << 20;

/// An installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) version: String,
    pub(super) size: u64,
    pub(super) files: Vec<String>,
    /// Its files or scripts did not come to their end.
    pub(super) broken: bool,
}

/// Installed packages by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    pub(super) packages: BTreeMap<String, Package>,
    /// The host's architecture. apk knows of one; packages for all count as of that one.
    pub(super) arch: String,
}

/// The directory of the database: apk 3 has it below `/usr` where the distribution has.
pub(super) fn directory(host: &dyn Inspect) -> &'static str {
    let merged = "/usr/lib/apk/db";
    if exists(host, format!("{merged}/installed")) {
        merged
    } else {
        "/lib/apk/db"
    }
}

impl Database {
    pub(super) fn read(host: &dyn Inspect) -> Result<Self, ModuleError> {
        let path = format!("{}/installed", directory(host));
        let bytes = host.read(Path::new(&path), DATABASE_MAX)?;
        let bytes = bytes.ok_or_else(|| ModuleError::new(format!("there is no {path}")))?;
        let mut database = Self::parse(&String::from_utf8_lossy(&bytes));
        if let Some(arch) = word(host, "/etc/apk/arch") {
            database.arch = arch;
        }
        Ok(database)
    }

    /// Reads paragraphs of `K:value`: `P` name, `V` version, `A` architecture, `I` size, `F` a directory and `R` a file in
    /// it, `f` what is broken.
    pub(super) fn parse(text: &str) -> Self {
        let mut database = Database::default();
        for paragraph in text.split("\n\n") {
            let mut package = Package::default();
            let mut name = "";
            let mut directory = "";
            for (key, value) in paragraph.lines().filter_map(|it| it.split_once(':')) {
                match key {
                    "P" => name = value,
                    "V" => value.clone_into(&mut package.version),
                    "I" => package.size = value.parse().unwrap_or(0),
                    "A" if value != "noarch" => value.clone_into(&mut database.arch),
                    "F" => directory = value,
                    "R" => package.files.push(format!("/{directory}/{value}")),
                    "f" => package.broken = !value.is_empty(),
                    _ => {}
                }
            }
            if !name.is_empty() {
                database.packages.insert(name.to_owned(), package);
            }
        }
        database
    }

    /// Files of packages.
    pub(super) fn files(&self, names: &BTreeSet<&str>) -> BTreeSet<String> {
        let packages = names.iter().filter_map(|it| self.packages.get(*it));
        packages.flat_map(|it| it.files.iter().cloned()).collect()
    }
}

/// A step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) downgrade: bool,
}

/// Reads `(1/3) Upgrading musl (1.2.4-r2 -> 1.2.4-r3)`, and the like. What is only installed again is no step.
pub(super) fn steps(said: &str) -> Vec<Step> {
    let step = |line: &str| {
        let (_, rest) = line.trim().strip_prefix('(')?.split_once(") ")?;
        let (verb, rest) = rest.split_once(' ')?;
        let (name, versions) = rest.split_once(" (")?;
        let versions = versions.split(')').next()?;
        let (from, to) = match (verb, versions.split_once(" -> ")) {
            ("Upgrading" | "Downgrading" | "Replacing", Some((from, to))) if from != to => {
                (Some(from), Some(to))
            }
            ("Installing", None) => (None, Some(versions)),
            ("Purging", None) => (Some(versions), None),
            _ => return None,
        };
        Some(Step {
            // `name@tag` of a tagged repository.
            name: name.split('@').next()?.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            downgrade: verb == "Downgrading",
        })
    };
    said.lines().filter_map(step).collect()
}

/// Did apk come to the end of a simulation?
pub(super) fn is_whole(said: &str) -> bool {
    said.lines().any(|it| it.starts_with("OK:"))
}

/// Reads `apk version -l '<'`: `musl-1.2.4-r2    < 1.2.4-r3`.
pub(super) fn newer(said: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (installed, to) = line.split_once('<')?;
        let (rest, _release) = installed.trim().rsplit_once('-')?;
        let (name, _version) = rest.rsplit_once('-')?;
        let to = to.split_whitespace().next()?;
        Some((name.to_owned(), to.to_owned()))
    };
    said.lines().filter_map(line).collect()
}
