//! dnf, the fourth and the fifth, with rpm. `docs/patching/package-managers.md` says what is exact and what is not.

mod table;

use std::collections::BTreeSet;
use std::path::Path;

use hostler_change::{CommandOutput, Program};
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::{exists, names, text};
use hostler_updates::{Finding, Hold, Repository};

use crate::ask::{ASK_MAX_S, ask, ask_well};
use crate::rpm::{self, Available, Offers};
use crate::{finding, repomd};

/// dnf of one of its two lines.
#[derive(Debug)]
pub struct Dnf {
    /// dnf 5 (Fedora 41 and later), not 4 (RHEL 8 to 10 and their kin).
    five: bool,
}

/// dnf 4.
pub static DNF4: Dnf = Dnf { five: false };
/// dnf 5.
pub static DNF5: Dnf = Dnf { five: true };

/// What is asked of a package in a repository.
const QUERY: &str = "%{name}\t%{epoch}\t%{version}\t%{release}\t%{arch}\t%{repoid}\t%{downloadsize}\t%{installsize}";

/// How often a transaction is simulated again without what cannot be had.
const ROUNDS_MAX: usize = 4;

impl Dnf {
    /// dnf with its caches in `metadata`; what it knows of repositories is as old as it is there.
    fn program<'a>(
        &self,
        metadata: &Path,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Program {
        let directory = metadata.display();
        let name = if self.five { "dnf5" } else { "dnf" };
        let cache = if self.five {
            format!("--setopt=system_cachedir={directory}")
        } else {
            format!("--setopt=cachedir={directory}")
        };
        let mut program = Program::new([name, &cache]);
        if !self.five {
            let logs = format!("--setopt=logdir={directory}");
            program.argv.push(logs);
        }
        program
            .argv
            .extend(arguments.into_iter().map(str::to_owned));
        program
    }

    /// dnf that asks nobody but `metadata`.
    fn offline<'a>(
        &self,
        metadata: &Path,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Program {
        self.program(metadata, std::iter::once("-C").chain(arguments))
    }

    /// What repositories have of packages that a query finds, held ones, too.
    fn offers(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        query: &[String],
    ) -> Result<Offers, ModuleError> {
        let excludes = if self.five {
            "--setopt=disable_excludes=*"
        } else {
            "--disableexcludes=all"
        };
        // dnf 4 ends lines by itself, and says of a package whatever it knows; dnf 5 does neither.
        let format = if self.five {
            format!("{QUERY}\\n")
        } else {
            format!("{QUERY}\t%{{chksum}}")
        };
        let head = ["-q", excludes, "repoquery", "--qf", &format];
        let arguments = head.into_iter().chain(query.iter().map(String::as_str));
        let said = ask_well(host, self.offline(metadata, arguments), ASK_MAX_S)?;
        Ok(said.lines().filter_map(offer).collect())
    }

    /// Simulates a transaction.
    fn simulate(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        arguments: &[&str],
    ) -> Result<CommandOutput, ModuleError> {
        let head = ["--assumeno", "--setopt=best=0"];
        let arguments = head.into_iter().chain(arguments.iter().copied());
        ask(host, self.offline(metadata, arguments), ASK_MAX_S)
    }

    /// Enabled repositories, with what their indexes say of themselves.
    fn repositories(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
    ) -> Result<Vec<Repository>, ModuleError> {
        let list = self.offline(metadata, ["-q", "repolist", "--enabled"]);
        let list = ask_well(host, list, ASK_MAX_S)?;
        // A table: `repo id   repo name`, then a line for each.
        let ids = list
            .lines()
            .skip(1)
            .filter_map(|it| it.split_whitespace().next());
        let directories = names(host, metadata);
        let repository = |id: &str| {
            let of_it = directories.iter().filter(|directory| {
                // `baseos-1a2b3c4d5e6f7081`: another address is another directory.
                let end = directory
                    .strip_prefix(id)
                    .and_then(|it| it.strip_prefix('-'));
                end.is_some_and(|it| it.len() == 16 && it.bytes().all(|it| it.is_ascii_hexdigit()))
            });
            let indexes = of_it.map(|it| metadata.join(it).join("repodata/repomd.xml"));
            repomd::newest(host, id, indexes)
        };
        Ok(ids.map(repository).collect())
    }
}

/// A line of the answer to [`QUERY`].
fn offer(line: &str) -> Option<((String, String, String), Available)> {
    let mut fields = line.splitn(9, '\t');
    let mut next = || fields.next();
    let (name, epoch, version, release, arch) = (next()?, next()?, next()?, next()?, next()?);
    let available = Available {
        repository: next()?.to_owned(),
        download_bytes: next()?.parse().unwrap_or(0),
        size: next()?.parse().unwrap_or(0),
        sha256: next().and_then(sha256),
    };
    let evr = rpm::evr(epoch, version, release);
    Some(((name.to_owned(), arch.to_owned(), evr), available))
}

/// Locks and patterns that keep packages, of the versionlock plugin and of the settings.
fn holds(host: &dyn Inspect) -> Vec<Hold> {
    let mut holds = Vec::new();
    let mut hold = |package: &str, by: &str| {
        let package = package.trim_matches(['"', '\'', ' ']).to_owned();
        if !package.is_empty() && holds.len() < HOLDS_MAX {
            let by = by.to_owned();
            holds.push(Hold { package, by });
        }
    };
    let list = text(host, "/etc/dnf/plugins/versionlock.list").unwrap_or_default();
    let lines = list.lines().map(str::trim);
    for line in lines.filter(|it| !it.is_empty() && !it.starts_with('#')) {
        hold(line, "versionlock");
    }
    // dnf 5: `[[packages]]` with `name = "kernel"`.
    let locks = text(host, "/etc/dnf/versionlock.toml").unwrap_or_default();
    for line in locks.lines() {
        if let Some(("name", name)) = line.split_once('=').map(|it| (it.0.trim(), it.1)) {
            hold(name, "versionlock");
        }
    }
    let settings = ["/etc/dnf/dnf.conf".to_owned(), "/etc/yum.conf".to_owned()];
    let files = names(host, "/etc/yum.repos.d").into_iter();
    let files = files.map(|it| format!("/etc/yum.repos.d/{it}"));
    for file in settings.into_iter().chain(files) {
        // `/etc/yum.conf` is a link to the other, where it is there.
        if file == "/etc/yum.conf" && exists(host, "/etc/dnf/dnf.conf") {
            continue;
        }
        let content = text(host, &file).unwrap_or_default();
        for (key, value) in content.lines().filter_map(|it| it.split_once('=')) {
            if matches!(key.trim(), "exclude" | "excludepkgs") {
                let patterns = value.split([',', ' ', '\t']);
                patterns.for_each(|it| hold(it, &format!("{} in {file}", key.trim())));
            }
        }
    }
    holds
}

/// Most holds that are told of.
const HOLDS_MAX: usize = 1000;

/// Is a package held? A hold may name a version (`!` before it: that it must not have) and have patterns; whether it
/// fits exactly, dnf has decided: here it is only explained.
fn held_by<'a>(holds: &'a [Hold], name: &str) -> Option<&'a Hold> {
    holds.iter().find(|hold| {
        let pattern = hold.package.trim_start_matches('!');
        let pattern = rpm::split_nevra(pattern).map_or(pattern, |it| it.0);
        match pattern.split_once('*') {
            Some((start, _)) => name.starts_with(start),
            None => name == pattern,
        }
    })
}

/// Lines that tell of repositories that could not be refreshed.
fn stale(output: &CommandOutput) -> Vec<Finding> {
    let (said, errors) = (output.stdout_text(), output.stderr_text());
    let lines = said.lines().chain(errors.lines()).map(str::trim);
    let is_it = |it: &&str| {
        it.starts_with("Ignoring repositories:")
            || it.starts_with("Error: Failed to download metadata")
            || it.contains(">>> ") && it.contains("rror")
            || it.starts_with("Failed to download metadata")
    };
    let lines: BTreeSet<&str> = lines.filter(is_it).take(20).collect();
    let line = |it: &&str| finding("stale-index", it.chars().take(300).collect::<String>());
    lines.iter().map(line).collect()
}

/// Reads how Python writes a SHA-256: `(3, b'\x01A...')`; anything else is none.
fn sha256(text: &str) -> Option<String> {
    let at = text.find(", b")? + ", b".len();
    let mut chars = text.get(at..)?.chars();
    let quote = chars.next()?;
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let ch = chars.next()?;
        let byte = match ch {
            _ if ch == quote => break,
            '\\' => match chars.next()? {
                'x' => {
                    let digit = |it: Option<char>| it?.to_digit(16);
                    let byte = digit(chars.next())? * 16 + digit(chars.next())?;
                    u8::try_from(byte).ok()?
                }
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                other => u8::try_from(other).ok()?,
            },
            _ => u8::try_from(ch).ok()?,
        };
        bytes.push(byte);
    }
    let hex = |it: &u8| format!("{it:02x}");
    (bytes.len() == 32).then(|| bytes.iter().map(hex).collect())
}

mod manager;
#[cfg(test)]
mod tests;
