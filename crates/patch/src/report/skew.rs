//! Which versions hosts of one distribution have, as far as that is known.

use std::collections::BTreeMap;

use super::material::Material;
use super::model::{SkewRow, VersionCount};
use super::text;
use crate::ledger::{HostEnd, RunOutcome};

/// Versions of one package that are counted.
const VERSIONS_MAX: usize = 20;

/// Packages with two versions or more, the widest first.
pub(super) fn rows(material: &Material, newest_first: &[&RunOutcome]) -> Vec<SkewRow> {
    let installed = installed_by_runs(newest_first);
    let mut all: BTreeMap<(String, String), BTreeMap<String, u32>> = BTreeMap::new();
    for host in &material.hosts {
        let Some((_, scan)) = &host.scan else {
            continue;
        };
        let os = text(format!("{} {}", scan.os.id, scan.os.version).trim_end());
        let mut known: BTreeMap<String, &str> = BTreeMap::new();
        if let Some(of_host) = installed.get(host.host.as_str()) {
            known.extend(of_host.iter().map(|(package, to)| (package.clone(), *to)));
        }
        // What the host says itself is newer.
        for update in &scan.updates {
            if let Some(from) = &update.from {
                known.insert(update.package.to_string(), from);
            }
        }
        for (package, version) in known {
            let versions = all.entry((text(&package), os.clone())).or_default();
            *versions.entry(text(version)).or_default() += 1;
        }
    }
    let mut rows: Vec<SkewRow> = all
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|((package, os), versions)| {
            let mut versions: Vec<VersionCount> = versions
                .into_iter()
                .map(|(version, hosts)| VersionCount { version, hosts })
                .collect();
            versions.sort_by(|a, b| (b.hosts, &a.version).cmp(&(a.hosts, &b.version)));
            versions.truncate(VERSIONS_MAX);
            SkewRow {
                package,
                os,
                versions,
            }
        })
        .collect();
    rows.sort_by_key(|it| std::cmp::Reverse(it.versions.len()));
    rows
}

/// What the newest run that changed a package on a host has installed there.
fn installed_by_runs<'a>(
    newest_first: &[&'a RunOutcome],
) -> BTreeMap<&'a str, BTreeMap<String, &'a str>> {
    let mut hosts: BTreeMap<&str, BTreeMap<String, Option<&str>>> = BTreeMap::new();
    for host in newest_first.iter().flat_map(|it| &it.hosts) {
        if !matches!(host.end, HostEnd::Done | HostEnd::PendingReboot) {
            continue;
        }
        let of_host = hosts.entry(&host.host).or_default();
        for action in &host.actions {
            of_host
                .entry(action.package.to_string())
                .or_insert(action.to.as_deref());
        }
    }
    let known = |of_host: BTreeMap<String, Option<&'a str>>| {
        of_host
            .into_iter()
            .filter_map(|(package, to)| Some((package, to?)))
            .collect()
    };
    hosts
        .into_iter()
        .map(|(host, of_host)| (host, known(of_host)))
        .collect()
}
