//! Simulating a transaction of pacman.

use std::collections::BTreeSet;
use std::path::Path;

use hostler_change::CommandOutput;
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::exists;
use hostler_updates::{Action, ActionKind, Class, Resolution, Scheme, WayBack};

use super::local::{Local, name};
use super::{CACHE, FORMAT, ROUNDS_MAX, Row, file_stem, program, rows};
use crate::ask::{ASK_MAX_S, ask, last_lines, word};
use crate::host::{forecast, has_older, snapshot_provider};
use crate::{PACKAGES, Wanted};

/// What pacman would install for the wanted versions. What cannot be had is noted, and left out.
pub(super) fn simulate(
    host: &dyn Inspect,
    metadata: &Path,
    mut open: Vec<(&Wanted, String)>,
    resolution: &mut Resolution,
) -> Result<Vec<Row>, ModuleError> {
    for _ in 0..ROUNDS_MAX {
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let head = ["-S", "--print", "--print-format", FORMAT, "--"];
        let arguments = head.into_iter().chain(open.iter().map(|it| it.1.as_str()));
        let output = ask(host, program(metadata, arguments), ASK_MAX_S)?;
        if output.success() {
            return Ok(rows(&output.stdout_text()));
        }
        let mut found = Vec::new();
        open.retain(|(it, spec)| match refusal(&output, it, spec) {
            Some(reason) => {
                found.push((it.package.clone(), reason));
                false
            }
            None => true,
        });
        if found.is_empty() {
            let why = why(&output);
            let all = open.drain(..);
            found = all.map(|it| (it.0.package.clone(), why.clone())).collect();
        }
        resolution.impossible.extend(found);
    }
    let reason = "pacman finds no transaction with all that is wanted";
    let rest = open
        .into_iter()
        .map(|it| (it.0.package.clone(), reason.to_owned()));
    resolution.impossible.extend(rest);
    Ok(Vec::new())
}

/// Why pacman refuses: its errors are on one stream, what they are about is on the other.
pub(super) fn why(output: &CommandOutput) -> String {
    let said = output.stderr_text() + "\n" + &output.stdout_text();
    let lines = said.lines().map(str::trim);
    let lines = lines.filter(|it| it.starts_with("error:") || it.starts_with("::"));
    let lines: Vec<String> = lines
        .take(6)
        .map(|it| it.chars().take(300).collect())
        .collect();
    if lines.is_empty() {
        return last_lines(output);
    }
    lines.join("; ")
}

/// Why pacman refuses a package, if it names that one.
fn refusal(output: &CommandOutput, wanted: &Wanted, spec: &str) -> Option<String> {
    let said = output.stdout_text() + "\n" + &output.stderr_text();
    let mut lines = said.lines();
    let names_it = |line: &&str| {
        let mut words = line.split([' ', '\'', ':', ',']);
        line.ends_with(spec) || words.any(|it| it == wanted.package.name)
    };
    let line = lines.find(names_it)?;
    if line.contains("target not found") {
        return Some("this version is in no source any more".to_owned());
    }
    Some(
        line.trim_start_matches([':', ' '])
            .chars()
            .take(300)
            .collect(),
    )
}

/// Makes a resolution of what would be installed, and of what is to be removed.
pub(super) fn conclude(
    host: &dyn Inspect,
    metadata: &Path,
    local: &Local,
    (rows, wanted): (&[Row], &[Wanted]),
    resolution: &mut Resolution,
) -> Result<(), ModuleError> {
    let is_wanted = |name: &str| wanted.iter().any(|it| it.package.name == name);
    let (mut new, mut old) = (0_u64, 0_u64);
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for row in rows {
        let installed = local.packages.get(&row.name);
        let kind = match installed {
            None => ActionKind::Install,
            Some(it)
                if hostler_updates::compare(Scheme::Pacman, &it.version, &row.version).is_gt() =>
            {
                ActionKind::Downgrade
            }
            Some(_) => ActionKind::Upgrade,
        };
        // One that becomes a package for any architecture is the same package to pacman.
        let other_arch = installed.filter(|it| it.arch != row.arch);
        gone.extend(row.replaces.iter().cloned());
        new = new.saturating_add(row.size);
        old = old.saturating_add(installed.map_or(0, |it| it.size));
        let action = Action {
            package: name(&row.name, &row.arch),
            kind: if other_arch.is_some() {
                ActionKind::Install
            } else {
                kind
            },
            from: installed
                .filter(|it| it.arch == row.arch)
                .map(|it| it.version.clone()),
            to: Some(row.version.clone()),
            suites: vec![row.repository.clone()],
            class: Class::Unknown,
            download_bytes: row.download_bytes,
            sha256: row.sha256.clone(),
            dependency: !is_wanted(&row.name),
        };
        let before = other_arch.map(|it| removal(&row.name, &it.arch, &it.version, true));
        resolution.actions.extend(before);
        resolution.actions.push(action);
    }
    match removed(host, metadata, local, wanted, &gone)? {
        Ok(names) => gone.extend(names),
        Err(why) => {
            let those = wanted.iter().filter(|it| it.version.is_none());
            let those = those.map(|it| (it.package.clone(), why.clone()));
            resolution.impossible.extend(those);
        }
    }
    for it in &gone {
        let Some(package) = local.packages.get(it) else {
            continue;
        };
        old = old.saturating_add(package.size);
        let action = removal(it, &package.arch, &package.version, !is_wanted(it));
        resolution.actions.push(action);
    }
    hostler_value::order::sort(&mut resolution.actions);
    let bytes = rows.iter().map(|it| it.download_bytes);
    resolution.download_bytes = bytes.fold(0, u64::saturating_add);
    resolution.disk_bytes = new.saturating_sub(old);
    resolution.way_back = way_back(host, &resolution.actions);
    let changed: BTreeSet<String> = resolution
        .actions
        .iter()
        .map(|it| it.package.name.clone())
        .collect();
    let changed = changed.iter().map(String::as_str).collect();
    resolution.conffiles = local.changed(host, &changed);
    forecast(host, &local.files(host, &changed), resolution);
    Ok(())
}

/// What of a transaction can be undone.
fn way_back(host: &dyn Inspect, actions: &[Action]) -> WayBack {
    let mut way_back = WayBack::default();
    for action in actions {
        let Some(from) = &action.from else { continue };
        way_back.of += 1;
        let stem = file_stem(&action.package, from);
        let is_there = |dir: &str| {
            ["zst", "xz", "gz"]
                .iter()
                .any(|end| exists(host, format!("{dir}/{stem}.pkg.tar.{end}")))
        };
        if is_there(CACHE) || is_there(PACKAGES) {
            way_back.packages += 1;
        } else {
            way_back.missing.push(action.package.clone());
        }
    }
    way_back.snapshot = snapshot_provider(host);
    way_back.older_kernel = has_older(host, actions);
    way_back
}

fn removal(name: &str, arch: &str, version: &str, dependency: bool) -> Action {
    Action {
        package: self::name(name, arch),
        kind: ActionKind::Remove,
        from: Some(version.to_owned()),
        to: None,
        suites: Vec::new(),
        class: Class::Unknown,
        download_bytes: 0,
        sha256: None,
        dependency,
    }
}

/// What goes with packages that are to be removed, besides what goes already.
fn removed(
    host: &dyn Inspect,
    metadata: &Path,
    local: &Local,
    wanted: &[Wanted],
    gone: &BTreeSet<String>,
) -> Result<Result<Vec<String>, String>, ModuleError> {
    let names = wanted.iter().filter(|it| it.version.is_none());
    let names = names.map(|it| it.package.name.as_str());
    let there = names.filter(|it| local.packages.contains_key(*it) && !gone.contains(*it));
    let names: Vec<String> = there.map(word).collect();
    if names.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let head = ["-R", "--print", "--print-format", "%n", "--"];
    let arguments = head.into_iter().chain(names.iter().map(String::as_str));
    let output = ask(host, program(metadata, arguments), ASK_MAX_S)?;
    if !output.success() {
        return Ok(Err(why(&output)));
    }
    let said = output.stdout_text();
    let is_there = |it: &&str| local.packages.contains_key(*it);
    let there = said.lines().filter(is_there).map(str::to_owned);
    Ok(Ok(there.collect()))
}
