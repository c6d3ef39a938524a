//! What dnf and zypper have in common: rpm's database.
//!
//! **Packages of which several versions are installed** (kernels, "installonly", "multiversion") have their version in
//! their name here: `kernel-core-5.14.0-503.el9`, as they have on Debian. So a new kernel is a package that is installed
//! beside the old one, and taking it back removes that one only.

mod advisories;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};

use hostler_change::Program;
use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::{Action, ActionKind, Conffile, DatabaseState, PackageName, Update};

use crate::ask::{ASK_MAX_S, ask, ask_well, last_lines, script, word};
use crate::locks::Lock;

pub(crate) use advisories::{Advisories, Named, severity};
pub(crate) use transaction::{
    Available, Offers, Row, Section, conclude, touched, unclassified, updates,
};

/// Most changed configuration files that are told of.
const CONFFILES_MAX: usize = 200;

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name as rpm knows it.
    pub(crate) name: String,
    /// Architecture.
    pub(crate) arch: String,
    /// Version and release, with the epoch if that is not 0.
    pub(crate) evr: String,
    /// Bytes that it takes.
    pub(crate) size: u64,
}

/// rpm's database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installed {
    /// By name and architecture, as rpm knows them; several only for those of `multi`, and after an interruption. The
    /// newest is last.
    packages: BTreeMap<PackageName, Vec<Package>>,
    /// Packages that may be installed in several versions.
    multi: BTreeSet<PackageName>,
}

const FORMAT: &str = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t%{SIZE}\\n";

/// What marks packages of which dnf or zypper keep several versions.
const MULTI: [&str; 5] = [
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
    "kernel",
];

impl Installed {
    /// Reads the database.
    pub(crate) fn read(host: &dyn Inspect) -> Result<Self, ModuleError> {
        let all = Program::new(["rpm", "-qa", "--qf", FORMAT]);
        let all = ask_well(host, all, ASK_MAX_S)?;
        let head = ["rpm", "-q", "--qf", FORMAT, "--whatprovides"];
        // Its status is 1 if nothing provides one of them; what it says then has no tabulators.
        let multi = Program::new(head.into_iter().chain(MULTI));
        let multi = ask(host, multi, ASK_MAX_S)?.stdout_text();
        Ok(Self::parse(&all, &multi))
    }

    fn parse(all: &str, multi: &str) -> Self {
        let mut it = Installed::default();
        for package in all.lines().filter_map(Package::parse) {
            it.packages.entry(package.key()).or_default().push(package);
        }
        for versions in it.packages.values_mut() {
            hostler_value::order::sort_by(versions, |a, b| compare(&a.evr, &b.evr));
        }
        it.multi = multi
            .lines()
            .filter_map(|line| Some(Package::parse(line)?.key()))
            .collect();
        it
    }

    /// The newest version of a package, by the name that rpm knows.
    pub(crate) fn newest(&self, name: &str, arch: &str) -> Option<&Package> {
        self.packages.get(&key(name, arch))?.last()
    }

    /// An installed version of a package, by the name that rpm knows.
    pub(crate) fn version(&self, name: &str, arch: &str, evr: &str) -> Option<&Package> {
        let versions = self.packages.get(&key(name, arch))?;
        versions.iter().find(|it| it.evr == evr)
    }

    /// Another architecture of which a package of this name is installed.
    pub(crate) fn other_arch(&self, name: &str, arch: &str) -> Option<&Package> {
        let mut all = self.packages.iter();
        let (_, versions) = all.find(|(key, _)| key.name == name && key.arch != arch)?;
        versions.last()
    }

    /// May several versions of the package be installed?
    pub(crate) fn is_multi(&self, name: &str, arch: &str) -> bool {
        self.multi.contains(&key(name, arch))
    }

    /// What a version of a package is called in plans: see the top of this file.
    pub(crate) fn called(&self, name: &str, arch: &str, evr: &str) -> PackageName {
        if self.is_multi(name, arch) {
            return key(&format!("{name}-{evr}"), arch);
        }
        key(name, arch)
    }

    /// Every package with its version, by what they are called in plans.
    pub(crate) fn by_name(&self) -> BTreeMap<PackageName, String> {
        let all = self.packages.values().flatten();
        all.map(|it| (self.called(&it.name, &it.arch, &it.evr), it.evr.clone()))
            .collect()
    }

    /// Packages of which there are several versions and should not be: an update of them was interrupted.
    pub(crate) fn duplicates(&self) -> Vec<String> {
        let twice = |(name, versions): (&PackageName, &Vec<Package>)| {
            let is_twice = versions.len() > 1 && !self.multi.contains(name);
            is_twice.then(|| format!("{}.{}", name.name, name.arch))
        };
        self.packages.iter().filter_map(twice).collect()
    }
}

impl Package {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        let (name, epoch, version, release) = (next()?, next()?, next()?, next()?);
        let (arch, size) = (next()?, next()?);
        // Keys of signers are kept as if they were packages.
        let is_package = name != "gpg-pubkey" && !name.is_empty();
        is_package.then(|| Package {
            name: name.to_owned(),
            arch: arch.to_owned(),
            evr: evr(epoch, version, release),
            size: size.parse().unwrap_or(0),
        })
    }

    fn key(&self) -> PackageName {
        key(&self.name, &self.arch)
    }
}

fn key(name: &str, arch: &str) -> PackageName {
    PackageName {
        name: name.to_owned(),
        arch: arch.to_owned(),
    }
}

/// `1:2.0-3`; without an epoch of 0.
pub(crate) fn evr(epoch: &str, version: &str, release: &str) -> String {
    match epoch {
        "" | "0" | "(none)" => format!("{version}-{release}"),
        epoch => format!("{epoch}:{version}-{release}"),
    }
}

/// The same version without an epoch of 0.
pub(crate) fn plain_evr(evr: &str) -> &str {
    evr.strip_prefix("0:").unwrap_or(evr)
}

/// Splits `name-1:2.0-3.x86_64`.
pub(crate) fn split_nevra(text: &str) -> Option<(&str, &str, &str)> {
    let (rest, arch) = text.rsplit_once('.')?;
    let release = rest.rfind('-')?;
    let version = rest.get(..release)?.rfind('-')?;
    let (name, evr) = (rest.get(..version)?, rest.get(version + 1..)?);
    (!name.is_empty()).then_some((name, plain_evr(evr), arch))
}

/// The name that rpm knows a package by, of what it is called in a plan.
pub(crate) fn real_name<'a>(package: &'a PackageName, evr: &str) -> &'a str {
    let ended = package.name.strip_suffix(evr);
    let ended = ended.and_then(|it| it.strip_suffix('-'));
    ended
        .filter(|it| !it.is_empty())
        .unwrap_or(package.name.as_str())
}

/// `name-1:2.0-3.x86_64`, as rpm and dnf take it.
pub(crate) fn spec(package: &PackageName, evr: &str) -> String {
    let name = real_name(package, evr);
    word(&format!("{name}-{evr}.{}", package.arch))
}

/// How the file of an rpm package is called, of what the package is called in plans and its version: the program that
/// follows each download sees to it.
pub fn file_name(package: &PackageName, evr: &str) -> String {
    let name = real_name(package, evr);
    let version = evr.split_once(':').map_or(evr, |it| it.1);
    word(&format!("{name}-{version}.{}.rpm", package.arch))
}

/// Moves package files to the directory `$1`, under the names that their contents give them.
const COLLECT: &str = r#"to=$1; shift
mkdir -p -m 0700 "$to"
for file; do
    [ -f "$file" ] || continue
    name=$(rpm -qp --nosignature --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' "$file") || exit 1
    case $name in */* | .*) echo "a package calls itself $name" >&2; exit 1 ;; esac
    [ "$file" -ef "$to/$name" ] || mv -f "$file" "$to/$name" || exit 1
done"#;

/// A program that gives the package files in the directories the names of [`file_name`], in `to`. Directories may have
/// patterns; those are the caller's own.
pub(crate) fn collect(to: &str, from: &[String]) -> Program {
    // Only the caller's own patterns are put in the script's text.
    let files: Vec<String> = from
        .iter()
        .map(|dir| format!("{}/*.rpm", quoted(dir)))
        .collect();
    let text = format!("set -- \"$1\" {}\n{COLLECT}", files.join(" "));
    script(&text, "give package files their names", [to.to_owned()])
}

/// Quotes all but `*` for the shell.
fn quoted(text: &str) -> String {
    let parts: Vec<String> = text
        .split('*')
        .map(|it| format!("'{}'", it.replace('\'', "'\\''")))
        .collect();
    parts.join("*")
}

/// Removes exactly these packages, as far as they are there: what a transaction obsoletes is gone already. If another
/// package needs one of them, nothing is removed.
const REMOVE: &str = r#"count=$#
while [ "$count" -gt 0 ]; do
    package=$1; shift; count=$((count - 1))
    ! rpm -q "$package" >/dev/null 2>&1 || set -- "$@" "$package"
done
[ $# = 0 ] || exec rpm -e "$@""#;

/// Ends what an interrupted update did not come to: of packages that are installed twice, all go but what was installed
/// last. Files that both have stay.
const DUPLICATES: &str = r#"rpm -qa --qf '%{NAME}.%{ARCH}\n' | sort | uniq -d | while read -r package; do
    case $package in gpg-pubkey.*) continue ;; esac
    rpm -q --provides "$package" | grep -q -e '^installonlypkg(' -e '^multiversion(' -e '^kernel ' && continue
    rpm -q --qf '%{INSTALLTIME} %{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\n' "$package" | sort -n | head -n -1 |
        while read -r _ older; do rpm -e --nodeps "$older" || exit 1; done || exit 1
done"#;

/// Programs that bring an interrupted database in order.
pub(crate) fn repair() -> Vec<Program> {
    let shown = "remove the older of packages that are installed twice";
    vec![
        Program::new(["rpm", "--rebuilddb"]),
        script(DUPLICATES, shown, []),
    ]
}

/// A program that removes what a transaction removes; `None` if that is nothing.
pub(crate) fn remove(actions: &[Action]) -> Option<Program> {
    let removed = actions.iter().filter(|it| it.kind == ActionKind::Remove);
    let specs: Vec<String> = removed
        .map(|it| spec(&it.package, it.from.as_deref().unwrap_or_default()))
        .collect();
    let shown = format!("rpm -e {}", specs.join(" "));
    (!specs.is_empty()).then(|| script(REMOVE, &shown, specs))
}

/// Configuration files that were changed by hand, of installed packages that have updates.
pub(crate) fn conffiles_of(
    host: &dyn Inspect,
    updates: &[Update],
) -> Result<Vec<Conffile>, ModuleError> {
    let old = updates.iter().filter(|it| it.from.is_some());
    let names = old.map(|it| real_name(&it.package, &it.to)).collect();
    changed_conffiles(host, &names)
}

/// Configuration files of packages (by the names that rpm knows) that were changed by hand.
pub(crate) fn changed_conffiles(
    host: &dyn Inspect,
    names: &BTreeSet<&str>,
) -> Result<Vec<Conffile>, ModuleError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = names.iter().map(|it| word(it)).collect();
    let head = ["rpm", "-V", "--configfiles", "--nodeps", "--noscripts"].map(str::to_owned);
    let verify = Program::new(head.into_iter().chain(names.iter().cloned()));
    // Its status says whether something differs.
    let verify = ask(host, verify, ASK_MAX_S)?.stdout_text();
    let changed = verify.lines().filter_map(|line| {
        let path = line.get(line.find(" /")? + 1..)?;
        // `S.5....T.  c /etc/x`: the third says that the content is another.
        (line.get(2..3) == Some("5")).then(|| path.to_owned())
    });
    let mut found = Vec::new();
    for path in changed.take(CONFFILES_MAX) {
        let owner = Program::new(["rpm", "-qf", "--qf", "%{NAME}\\n", &path]);
        let owners = ask(host, owner, ASK_MAX_S)?.stdout_text();
        let package = owners
            .lines()
            .find(|it| names.iter().any(|name| name == it));
        if let Some(package) = package.map(str::to_owned) {
            found.push(Conffile { path, package });
        }
    }
    Ok(found)
}

/// Is the database whole?
pub(crate) fn database(host: &dyn Inspect) -> Result<DatabaseState, ModuleError> {
    let verify = ask(host, Program::new(["rpm", "--verifydb"]), ASK_MAX_S)?;
    if !verify.success() {
        return Ok(DatabaseState::Interrupted(format!(
            "rpm --verifydb: {}",
            last_lines(&verify)
        )));
    }
    let twice = Installed::read(host)?.duplicates();
    if twice.is_empty() {
        return Ok(DatabaseState::Whole);
    }
    let named = twice.iter().take(20).cloned().collect::<Vec<_>>();
    Ok(DatabaseState::Interrupted(format!(
        "several versions are installed of {} package(s), as after an interrupted update: {}",
        twice.len(),
        named.join(", ")
    )))
}

/// Locks of rpm itself: wherever distributions have its database.
pub(crate) fn locks() -> Vec<Lock> {
    let places = ["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/root/.rpmdb"];
    let files = places.iter().map(|dir| format!("{dir}/.rpm.lock"));
    files.map(Lock::File).collect()
}

/// Order of `[epoch:]version-release`.
pub(crate) fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    hostler_updates::compare(hostler_updates::Scheme::Rpm, a, b)
}

#[cfg(test)]
mod tests;
