//! zypper, with rpm. `docs/patching/package-managers.md` says what is exact and what is not.

mod manager;
mod patches;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_change::{CommandOutput, Program};
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::text;
use hostler_updates::{Hold, Repository};

use crate::ask::{ASK_MAX_S, ask, failed};
use crate::repomd;
use crate::rpm::{Available, Offers, Row, Section};
use crate::xml::{decoded, tags};

/// zypper.
#[derive(Debug)]
pub struct Zypper;

/// zypper with its caches in `metadata`. Another one that works is waited for.
fn program<'a>(metadata: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    let directory = metadata.display().to_string();
    let head = ["zypper", "--xmlout", "--non-interactive", "--cache-dir"];
    let mut program = Program::new(head).env("ZYPP_LOCK_TIMEOUT", "120");
    program.argv.push(directory);
    program
        .argv
        .extend(arguments.into_iter().map(str::to_owned));
    program
}

/// zypper that asks nobody but `metadata`.
fn offline<'a>(metadata: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    program(metadata, std::iter::once("--no-refresh").chain(arguments))
}

/// Statuses that say how a transaction went well, or that there is something to know: updates, security updates, a
/// reboot, a restart of zypper itself, nothing found. From zypper's manual.
const FINE: [i32; 6] = [0, 100, 101, 102, 103, 104];

/// What zypper says offline; a status that is not one of [`FINE`] is a failure.
fn look<'a>(
    host: &dyn Inspect,
    metadata: &Path,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<String, ModuleError> {
    let program = offline(metadata, arguments);
    let shown = program.shown().to_string();
    let output = ask(host, program, ASK_MAX_S)?;
    if !FINE.contains(&output.rc) {
        return Err(failed(&shown, &in_words(&output)));
    }
    Ok(output.stdout_text())
}

/// What zypper said, without its XML.
fn in_words(output: &CommandOutput) -> CommandOutput {
    let text = output.stdout_text();
    let is_said = |name: &str| matches!(name, "message" | "description" | "text");
    let said = tags(&text).filter(|it| is_said(it.name));
    let said: Vec<String> = said.map(|it| decoded(it.text)).collect();
    CommandOutput {
        stdout: said.join("\n").into_bytes(),
        ..output.clone()
    }
}

/// A repository: its alias, by which everything knows it, and its name, which `zypper search` shows.
struct Repo {
    alias: String,
    name: String,
}

fn repos(host: &dyn Inspect, metadata: &Path) -> Result<Vec<Repo>, ModuleError> {
    let said = look(host, metadata, ["repos"])?;
    let enabled =
        tags(&said).filter(|it| it.name == "repo" && it.get("enabled").as_deref() == Some("1"));
    let repo = |it: crate::xml::Tag<'_>| {
        let alias = it.get("alias")?;
        let name = it.get("name").unwrap_or_else(|| alias.clone());
        Some(Repo { alias, name })
    };
    Ok(enabled.filter_map(repo).collect())
}

/// What a repository's index says of itself.
fn repository(host: &dyn Inspect, metadata: &Path, repo: &Repo) -> Repository {
    // As libzypp makes a file's name of an alias.
    let directory = repo.alias.replace('/', "_");
    let index = metadata
        .join("raw")
        .join(directory)
        .join("repodata/repomd.xml");
    repomd::newest(host, &repo.alias, std::iter::once(index))
}

/// `zypper addlock`: paragraphs of `/etc/zypp/locks`.
fn holds(host: &dyn Inspect) -> Vec<Hold> {
    let locks = text(host, "/etc/zypp/locks").unwrap_or_default();
    let names = locks
        .lines()
        .filter_map(|it| it.trim().strip_prefix("solvable_name:"));
    let hold = |name: &str| Hold {
        package: name.trim().to_owned(),
        by: "zypper addlock".to_owned(),
    };
    names.map(hold).take(1000).collect()
}

/// Reads the list of updates: what repositories have that is newer than what is installed.
fn candidates(said: &str) -> Offers {
    let mut offers = Offers::new();
    let mut last = None;
    for tag in tags(said) {
        match tag.name {
            "update" if tag.get("kind").as_deref() == Some("package") => {
                last = match (tag.get("name"), tag.get("arch"), tag.get("edition")) {
                    (Some(name), Some(arch), Some(edition)) => Some((name, arch, edition)),
                    _ => None,
                };
            }
            "source" => {
                if let (Some(key), Some(repository)) = (last.take(), tag.get("alias")) {
                    let offer = Available {
                        repository,
                        ..Available::default()
                    };
                    offers.insert(key, offer);
                }
            }
            _ => {}
        }
    }
    offers
}

/// Every version of packages that repositories have.
fn offers(
    host: &dyn Inspect,
    metadata: &Path,
    repos: &[Repo],
    names: &BTreeSet<String>,
) -> Result<Offers, ModuleError> {
    let mut offers = Offers::new();
    let names: Vec<&String> = names.iter().collect();
    for names in names.chunks(500) {
        let head = [
            "search",
            "--details",
            "--match-exact",
            "--type",
            "package",
            "--",
        ];
        let arguments = head.into_iter().chain(names.iter().map(|it| it.as_str()));
        let said = look(host, metadata, arguments)?;
        for tag in tags(&said).filter(|it| it.name == "solvable") {
            let get = |name: &str| tag.get(name).unwrap_or_default();
            let shown = get("repository");
            // What is only installed is in `(System Packages)`.
            let Some(repo) = repos.iter().find(|it| it.name == shown) else {
                continue;
            };
            let offer = Available {
                repository: repo.alias.clone(),
                ..Available::default()
            };
            offers.insert((get("name"), get("arch"), get("edition")), offer);
        }
    }
    Ok(offers)
}

/// A simulated transaction.
#[derive(Debug, Default)]
struct Summary {
    rows: Vec<Row>,
    /// zypper came to an end with it.
    is_whole: bool,
    download_bytes: u64,
    disk_bytes: u64,
}

/// Reads `<install-summary>` of a dry run. A dry run may end with status 102 or 103; that says nothing.
fn summary(said: &str) -> Summary {
    let mut summary = Summary::default();
    let mut section = None;
    for tag in tags(said) {
        match tag.name {
            "install-summary" => {
                let number = |name: &str| tag.get(name)?.parse::<u64>().ok();
                summary.is_whole = true;
                summary.download_bytes = number("download-size").unwrap_or(0);
                summary.disk_bytes = number("space-usage-diff").unwrap_or(0);
            }
            // A question of the solver: it found no way without us.
            "prompt" if tag.get("id").as_deref() == Some("1") => summary.is_whole = false,
            name if name.starts_with("to-upgrade") || name == "to-change-arch" => {
                section = Some(Section::Upgrade);
            }
            name if name.starts_with("to-downgrade") => section = Some(Section::Downgrade),
            name if name.starts_with("to-install") => section = Some(Section::Install),
            name if name.starts_with("to-remove") => section = Some(Section::Remove),
            name if name.starts_with("/to-") => section = None,
            "solvable" if tag.get("type").as_deref() == Some("package") => {
                let get = |name: &str| tag.get(name).unwrap_or_default();
                summary.rows.extend(section.map(|section| Row {
                    section,
                    name: get("name"),
                    arch: get("arch"),
                    evr: get("edition"),
                    repository: String::new(),
                    replaces: Vec::new(),
                }));
            }
            _ => {}
        }
    }
    summary
}

/// Fills in where the packages of a transaction come from.
fn with_repositories(rows: &mut [Row], offers: &Offers) {
    for row in rows {
        let key = (row.name.clone(), row.arch.clone(), row.evr.clone());
        row.repository = offers
            .get(&key)
            .map(|it| it.repository.clone())
            .unwrap_or_default();
    }
}

/// Names of packages by the version that a transaction brings or takes.
fn names_of(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().map(|it| it.name.clone()).collect()
}

type Reasons = BTreeMap<String, String>;
