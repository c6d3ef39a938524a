//! pacman, of Arch. `docs/patching/package-managers.md` says what is exact and what is not.
//!
//! The private database directory has lists of its own and a link to the host's database of installed packages, which
//! nothing but a transaction writes.

mod local;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{Follow, Inspect, ModuleError};
use hostler_probes::{exists, names, word as read_word};
use hostler_updates::{
    Action, ActionKind, Class, Conffiles, DatabaseState, Hold, Manager, PackageName, PatchLock,
    Repository, Resolution, Scheme, Update,
};

use self::local::{Local, name};
use self::resolve::{conclude, simulate, why};
use crate::ask::{ASK_MAX_S, REFRESH_MAX_S, ask, ask_well, last_lines, script, word};
use crate::locks::{self, Lock};
use crate::{PackageManager, Survey, Wanted, conffiles, finding};

/// pacman.
#[derive(Debug)]
pub struct Pacman;

/// How often a transaction is simulated again without what cannot be had.
const ROUNDS_MAX: usize = 4;
const LOCK: &str = "/var/lib/pacman/db.lck";
/// Who takes that lock.
const LOCKERS: [&str; 5] = ["pacman", "pamac", "pamac-daemon", "packagekitd", "yay"];
/// Where pacman keeps what it has downloaded.
const CACHE: &str = "/var/cache/pacman/pkg";

/// Makes the private directory `$1`. pacman downloads as a user of its own from 7.0 on, which must come through to it.
const PREPARE: &str = r#"set -e
umask 022
mkdir -p "$1/sync"
chmod 0711 "$1" "$1/.." "$1/../.."
ln -sfn /var/lib/pacman/local "$1/local""#;

/// Of what a transaction would download: repository, name, version, bytes, and (from pacman 6.1 on) the hash.
const FORMAT: &str = "%r\t%n\t%v\t%s\t%h";

/// A package of a simulated transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    repository: String,
    name: String,
    version: String,
    download_bytes: u64,
    sha256: Option<String>,
    arch: String,
    size: u64,
    /// Installed packages that it takes the place of, or that cannot be there beside it.
    replaces: Vec<String>,
}

fn program<'a>(metadata: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    let head = [
        "pacman",
        "--noconfirm",
        "--logfile",
        "/dev/null",
        "--dbpath",
    ];
    let mut program = Program::new(head).env("LC_ALL", "C");
    program.argv.push(metadata.display().to_string());
    program
        .argv
        .extend(arguments.into_iter().map(str::to_owned));
    program
}

/// Reads lines of [`FORMAT`].
fn rows(said: &str) -> Vec<Row> {
    let row = |line: &str| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().map(str::to_owned);
        let (repository, name, version, bytes) = (next()?, next()?, next()?, next()?);
        let is_hash = |it: &String| it.len() == 64 && it.bytes().all(|it| it.is_ascii_hexdigit());
        Some(Row {
            repository,
            name,
            version,
            download_bytes: bytes.parse().unwrap_or(0),
            sha256: next().filter(is_hash),
            ..Row::default()
        })
    };
    said.lines().filter_map(row).collect()
}

/// Fills in what `pacman -Si` tells: architecture, size, and what a package takes the place of.
fn describe(
    host: &dyn Inspect,
    metadata: &Path,
    local: &Local,
    rows: &mut [Row],
) -> Result<(), ModuleError> {
    for rows in rows.chunks_mut(200) {
        let specs: Vec<String> = rows
            .iter()
            .map(|it| format!("{}/{}", word(&it.repository), word(&it.name)))
            .collect();
        let arguments = ["-Si", "--"].into_iter();
        let ask = program(metadata, arguments.chain(specs.iter().map(String::as_str)));
        let said = ask_well(host, ask, ASK_MAX_S)?;
        for stanza in said.split("\n\n") {
            let field = |title: &str| {
                let lines = stanza.lines().filter_map(|it| it.split_once(" : "));
                let mut fields = lines.filter(|it| it.0.trim_end() == title);
                fields.next().map(|it| it.1.trim())
            };
            let is_it = |row: &&mut Row| {
                field("Name") == Some(&row.name) && field("Repository") == Some(&row.repository)
            };
            let Some(row) = rows.iter_mut().find(is_it) else {
                continue;
            };
            field("Architecture")
                .unwrap_or_default()
                .clone_into(&mut row.arch);
            row.size = field("Installed Size").and_then(bytes).unwrap_or(0);
            let others = ["Replaces", "Conflicts With"].map(|it| field(it).unwrap_or_default());
            let mut replaced: Vec<String> = others
                .iter()
                .flat_map(|it| it.split_whitespace())
                .filter_map(|it| is_met(it, local))
                .filter(|it| *it != row.name)
                .collect();
            hostler_value::order::sort(&mut replaced);
            replaced.dedup();
            row.replaces = replaced;
        }
    }
    Ok(())
}

/// The installed package that `old`, `old<3` or `old=1:2-1` means, if there is one.
fn is_met(relation: &str, local: &Local) -> Option<String> {
    let end = relation.find(['<', '>', '=']).unwrap_or(relation.len());
    let (name, rest) = relation.split_at(end);
    let is = &local.packages.get(name)?.version;
    let wanted = rest.trim_start_matches(['<', '>', '=']);
    // Where no release is asked for, any will do.
    let is_of = is.rsplit_once('-').map_or(is.as_str(), |it| it.0);
    let is = if wanted.contains('-') { is } else { is_of };
    let order = hostler_updates::compare(Scheme::Pacman, is, wanted);
    let fits = rest.is_empty()
        || rest.starts_with('<') && order.is_lt()
        || rest.starts_with('>') && order.is_gt()
        || rest.contains('=') && order.is_eq();
    fits.then(|| name.to_owned())
}

/// Reads `12.30 MiB`.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let scale = match unit {
        "B" => 1_u32,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let number = number.parse::<f64>().ok()? * f64::from(scale);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes; a float saturates"
    )]
    Some(number as u64)
}

/// Packages that the settings keep.
fn holds(host: &dyn Inspect) -> Result<Vec<Hold>, ModuleError> {
    let ask = Program::new(["pacman-conf", "IgnorePkg"]);
    let said = ask_well(host, ask, ASK_MAX_S)?;
    let hold = |name: &str| Hold {
        package: name.to_owned(),
        by: "IgnorePkg in /etc/pacman.conf".to_owned(),
    };
    Ok(said.lines().map(hold).take(1000).collect())
}

fn is_held(holds: &[Hold], name: &str) -> bool {
    holds.iter().any(|it| match it.package.split_once('*') {
        Some((start, _)) => name.starts_with(start),
        None => it.package == name,
    })
}

fn repositories(host: &dyn Inspect, metadata: &Path) -> Result<Vec<Repository>, ModuleError> {
    let list = Program::new(["pacman-conf", "--repo-list"]);
    let list = ask_well(host, list, ASK_MAX_S)?;
    let repository = |id: &str| {
        let index = metadata.join("sync").join(format!("{id}.db"));
        let stat = host.stat(&index, Follow::Yes).ok().flatten();
        Repository {
            name: id.to_owned(),
            sha256: host
                .checksum(&index, "sha256")
                .ok()
                .flatten()
                .unwrap_or_default(),
            // pacman gives it the server's time.
            date_s: stat.map(|it| it.mtime_ns.div_euclid(1_000_000_000)),
            classifies: false,
        }
    };
    Ok(list.lines().map(repository).collect())
}

/// The lock's holder, as far as that can be told: the file does not say.
fn locker(host: &dyn Inspect) -> Option<String> {
    let processes = names(host, "/proc").into_iter();
    let numbers = processes.filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
    numbers.into_iter().find_map(|pid| {
        let comm = read_word(host, format!("/proc/{pid}/comm"))?;
        LOCKERS
            .contains(&comm.as_str())
            .then(|| format!("{comm} (pid {pid})"))
    })
}

impl PackageManager for Pacman {
    fn kind(&self) -> Manager {
        Manager::Pacman
    }

    fn is_here(&self, host: &dyn Inspect) -> bool {
        exists(host, "/usr/bin/pacman") && exists(host, local::LOCAL)
    }

    fn installed(&self, host: &dyn Inspect) -> Result<BTreeMap<PackageName, String>, ModuleError> {
        Ok(Local::read(host)?.by_name())
    }

    fn survey(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        refresh: bool,
    ) -> Result<Survey, ModuleError> {
        let mut survey = Survey {
            holds: holds(host)?,
            ..Survey::default()
        };
        let directory = metadata.display().to_string();
        ask_well(
            host,
            script(PREPARE, "make pacman's private directory", [directory]),
            ASK_MAX_S,
        )?;
        if refresh {
            ask_well(host, program(metadata, ["-Sy"]), REFRESH_MAX_S)?;
        }
        survey.repositories = repositories(host, metadata)?;
        let local = Local::read(host)?;
        let simulated = program(metadata, ["-Su", "--print", "--print-format", FORMAT]);
        let simulated = ask(host, simulated, ASK_MAX_S)?;
        let mut rows = rows(&simulated.stdout_text());
        let why_not = (!simulated.success()).then(|| why(&simulated));
        if let Some(why) = &why_not {
            rows.clear();
            let text = format!("pacman would not upgrade this host today: {why}");
            survey.findings.push(finding("unsolved", text));
        }
        describe(host, metadata, &local, &mut rows)?;
        survey.updates = rows.iter().map(|it| update(it, &local, None)).collect();
        // `tool 1.0-1 -> 1.2-1`, with `[ignored]` if it is held. Its status says whether there are some.
        let newer = ask(host, program(metadata, ["-Qu"]), ASK_MAX_S)?.stdout_text();
        for line in newer.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(name), Some(&"->"), Some(to)) = (words.first(), words.get(2), words.get(3))
            else {
                continue;
            };
            if rows.iter().any(|it| it.name == *name) {
                continue;
            }
            let reason = match (&why_not, is_held(&survey.holds, name)) {
                (_, true) => "held by IgnorePkg in /etc/pacman.conf".to_owned(),
                (Some(why), false) => format!("pacman refuses the upgrade: {why}"),
                (None, false) => "an ordinary upgrade would leave it as it is".to_owned(),
            };
            let arch = local.packages.get(*name).map(|it| it.arch.clone());
            let row = Row {
                name: (*name).to_owned(),
                version: (*to).to_owned(),
                arch: arch.unwrap_or_default(),
                ..Row::default()
            };
            survey.updates.push(update(&row, &local, Some(reason)));
        }
        hostler_value::order::sort_by(&mut survey.updates, |a, b| a.package.cmp(&b.package));
        let names = survey.updates.iter().map(|it| it.package.name.as_str());
        survey.conffiles = local.changed(host, &names.collect());
        Ok(survey.completed())
    }

    fn resolve(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        wanted: &[Wanted],
    ) -> Result<Resolution, ModuleError> {
        let local = Local::read(host)?;
        let holds = holds(host)?;
        let mut resolution = Resolution::default();
        let mut open: Vec<(&Wanted, String)> = Vec::new();
        for it in wanted {
            let Some(version) = &it.version else { continue };
            let installed = local.packages.get(&it.package.name);
            if installed.is_some_and(|it| it.version == *version) {
                continue;
            }
            if is_held(&holds, &it.package.name) {
                let reason = "it is held: IgnorePkg in /etc/pacman.conf keeps it".to_owned();
                resolution.impossible.push((it.package.clone(), reason));
                continue;
            }
            let spec = format!("{}={}", word(&it.package.name), word(version));
            open.push((it, spec));
        }
        let mut rows = simulate(host, metadata, open, &mut resolution)?;
        describe(host, metadata, &local, &mut rows)?;
        conclude(host, metadata, &local, (&rows, wanted), &mut resolution)?;
        Ok(resolution)
    }

    fn database(&self, host: &dyn Inspect) -> Result<DatabaseState, ModuleError> {
        if exists(host, LOCK) && locker(host).is_none() {
            return Ok(DatabaseState::Interrupted(format!(
                "{LOCK} is there and nobody who works: a pacman was interrupted"
            )));
        }
        let broken = Local::read(host)?.broken;
        if let Some(first) = broken.first() {
            return Ok(DatabaseState::Interrupted(format!(
                "{} entries of pacman's database are not whole: {first}, ...",
                broken.len()
            )));
        }
        let check = ask(
            host,
            Program::new(["pacman", "-Dk"]).env("LC_ALL", "C"),
            ASK_MAX_S,
        )?;
        if check.success() {
            return Ok(DatabaseState::Whole);
        }
        Ok(DatabaseState::Interrupted(format!(
            "pacman -Dk: {}",
            last_lines(&check)
        )))
    }

    fn lock_holder(&self, host: &dyn Inspect) -> Option<PatchLock> {
        let path = LOCK.to_owned();
        let holder = locker(host).filter(|_| exists(host, LOCK))?;
        Some(PatchLock { path, holder })
    }

    fn repair(&self) -> Vec<Program> {
        let pattern = LOCKERS.join("|");
        let text = format!("pgrep -x '{pattern}' >/dev/null || rm -f {LOCK}");
        vec![script(
            &text,
            "remove the lock of a pacman that was interrupted",
            [],
        )]
    }

    fn exact(&self, package: &PackageName, version: &str) -> Option<String> {
        Some(format!("{}={}", word(&package.name), word(version)))
    }

    fn fetch_new(&self, exact: &[String], metadata: &Path, to: &Path) -> Vec<Program> {
        let directory = to.display().to_string();
        let head = ["-Sw", "--cachedir", &directory, "--"];
        let arguments = head.into_iter().chain(exact.iter().map(String::as_str));
        vec![program(metadata, arguments)]
    }

    fn gone(&self) -> &'static [&'static str] {
        // By HTTP, and where its database does not list it either.
        &["error: 404", "target not found: "]
    }

    fn fetch_old(
        &self,
        package: &PackageName,
        version: &str,
        _metadata: &Path,
        to: &Path,
    ) -> Option<Program> {
        // Mirrors have no old versions; pacman's own cache may.
        let file = file_stem(package, version);
        let text = format!("cp -- {CACHE}/\"$1\".pkg.tar.* \"$2\"/");
        let to = to.display().to_string();
        let shown = format!("cp {CACHE}/{file}.pkg.tar.*");
        Some(script(&text, &shown, [file, to]))
    }

    fn install(
        &self,
        actions: &[Action],
        from: &Path,
        conffiles: Conffiles,
        locks_wait_s: u64,
    ) -> Vec<Program> {
        let mut arguments = vec![from.display().to_string()];
        let removed = actions.iter().filter(|it| it.kind == ActionKind::Remove);
        let removed: Vec<String> = removed.map(|it| word(&it.package.name)).collect();
        arguments.push(removed.len().to_string());
        let new = actions
            .iter()
            .filter_map(|it| Some(file_stem(&it.package, it.to.as_deref()?)));
        arguments.extend(removed);
        arguments.extend(new);
        let shown = format!("pacman -U ({} packages)", actions.len());
        let programs = vec![
            locks::wait(&[Lock::There(LOCK)], locks_wait_s),
            script(INSTALL, &shown, arguments),
        ];
        let mark = from.join(".before").display().to_string();
        conffiles::around(programs, conffiles, &mark, ".pacnew", ".pacsave")
    }

    fn conffiles_left(&self, host: &dyn Inspect) -> Result<Vec<String>, ModuleError> {
        conffiles::left(host, &[".pacnew", ".pacsave", ".pacorig"])
    }

    fn pins_versions(&self) -> bool {
        false
    }
}

/// Installs the files in `$1` that are named after the `$2` packages that may go. Repositories play no part: of the
/// settings only `[options]` is used. What stands in the way of a file is only removed (`--ask 4`) if something may go;
/// what is then left of that goes by itself.
const INSTALL: &str = r#"cd "$1" || exit 1
export LC_ALL=C
awk '/^[[:space:]]*\[/ { on = ($1 == "[options]") } on' /etc/pacman.conf >.pacman.conf || exit 1
gone=$2; shift 2
ask=; [ "$gone" = 0 ] || ask='--ask 4'
left=
while [ "$gone" -gt 0 ]; do left="$left $1"; shift; gone=$((gone - 1)); done
count=$#
while [ "$count" -gt 0 ]; do
    stem=$1; shift; count=$((count - 1)); file=
    for it in "./$stem".pkg.tar.*; do case $it in *.sig) ;; *) [ ! -f "$it" ] || file=$it ;; esac; done
    [ -n "$file" ] || { echo "$stem.pkg.tar.* is not there" >&2; exit 1; }
    set -- "$@" "$file"
done
# shellcheck disable=SC2086 # words that were made for it
[ $# = 0 ] || pacman --config .pacman.conf -U --noconfirm --needed $ask -- "$@" || exit 1
set --
# What provides it has another name.
for it in $left; do [ "$(pacman -Qq -- "$it" 2>/dev/null)" != "$it" ] || set -- "$@" "$it"; done
[ $# = 0 ] || exec pacman --config .pacman.conf -R --noconfirm -- "$@""#;

/// The name of a package's file, without its end.
fn file_stem(package: &PackageName, version: &str) -> String {
    format!(
        "{}-{}-{}",
        word(&package.name),
        word(version),
        word(&package.arch)
    )
}

fn update(row: &Row, local: &Local, kept_back: Option<String>) -> Update {
    let installed = local.packages.get(&row.name);
    let suites = [row.repository.clone()]
        .into_iter()
        .filter(|it| !it.is_empty());
    Update {
        package: name(&row.name, &row.arch),
        from: installed.map(|it| it.version.clone()),
        to: row.version.clone(),
        suites: suites.collect(),
        class: Class::Unknown,
        security_version: None,
        severity: None,
        advisories: Vec::new(),
        cves: Vec::new(),
        download_bytes: row.download_bytes,
        kept_back,
        phased_percent: None,
        source: None,
    }
}
