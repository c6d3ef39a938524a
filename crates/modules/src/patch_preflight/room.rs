//! Is there room for what is going to be done?

use std::collections::BTreeMap;
use std::path::Path;

use hostler_module_api::FsSpace;
use hostler_module_api::prelude::*;
use hostler_package_managers as managers;
use hostler_updates::{Action, PreflightLimits};

/// What must be free besides what is known to be needed: package managers keep backups while they unpack.
const SLACK: u64 = 64 << 20;
/// Packages take about so many times their compressed size when they are unpacked, and the old files are there
/// meanwhile.
const UNPACKED: u64 = 4;
/// Least inodes that must be free.
const INODES_MIN: u64 = 1000;
/// What a kernel takes on `/boot` if none is there to be measured.
const KERNEL_DEFAULT: u64 = 100 << 20;

/// What must be free, by where: bytes, and what for.
type Needs = BTreeMap<String, (u64, String)>;

/// Adds a reason for each file system that is too full.
pub(super) fn check(limits: &PreflightLimits, actions: &[Action], host: &dyn Inspect, refused: &mut Vec<String>) {
    let needs = needs(limits, actions, host);
    refused.extend(judge(&needs, |path| host.space(existing(host, Path::new(path))).ok().flatten()));
}

/// What the policy wants to be free, and what the actions take.
pub(super) fn needs(limits: &PreflightLimits, actions: &[Action], host: &dyn Inspect) -> Needs {
    let mut needs = Needs::new();
    let mut need = |path: &str, bytes: u64, why: &str| {
        let it = needs.entry(path.to_owned()).or_default();
        if bytes > it.0 {
            *it = (bytes, why.to_owned());
        }
    };
    for (path, bytes) in &limits.free_bytes {
        need(path, *bytes, "the policy wants");
    }
    let downloads = actions.iter().fold(0_u64, |sum, it| sum.saturating_add(it.download_bytes));
    if downloads > 0 {
        need("/var", downloads.saturating_add(SLACK), "the downloads take");
        need("/", downloads.saturating_mul(UNPACKED).saturating_add(SLACK), "unpacking takes up to");
    }
    let kernels = actions.iter().filter(|it| it.from.is_none() && managers::kernel_package(&it.package.name)).count();
    if kernels > 0 && !managers::is_container(host) {
        let each = kernel_size(host);
        // A third more than the one that is there.
        need("/boot", (each + each / 3).saturating_mul(kernels as u64), "the new kernels take");
    }
    needs
}

/// Reasons why what there is does not suffice. Where that cannot be told, there is none.
pub(super) fn judge(needs: &Needs, space: impl Fn(&str) -> Option<FsSpace>) -> Vec<String> {
    let mut reasons = Vec::new();
    for (path, (bytes, why)) in needs {
        let Some(space) = space(path) else { continue };
        let free = space.blocks_available.saturating_mul(space.fragment_size);
        if free < *bytes {
            reasons.push(format!("{path} has {} MiB free, {why} {} MiB", free >> 20, bytes.div_ceil(1 << 20)));
        }
        if space.inodes > 0 && space.inodes_available < INODES_MIN {
            reasons.push(format!("{path} has {} free inodes, {INODES_MIN} are needed", space.inodes_available));
        }
    }
    reasons
}

/// The path, or what of it is there.
fn existing<'a>(host: &dyn Inspect, path: &'a Path) -> &'a Path {
    let is_there = |it: &&Path| matches!(host.stat(it, Follow::Yes), Ok(Some(_)));
    path.ancestors().find(is_there).unwrap_or(Path::new("/"))
}

/// Bytes that the largest installed kernel takes on `/boot`, with its initial file system.
fn kernel_size(host: &dyn Inspect) -> u64 {
    let mut by_version: BTreeMap<String, u64> = BTreeMap::new();
    let versions = managers::installed_kernels(host);
    for name in hostler_probes::names(host, "/boot") {
        if let Some(version) = versions.iter().find(|it| name.contains(it.as_str())) {
            let stat = host.stat(&Path::new("/boot").join(&name), Follow::Yes).ok().flatten();
            *by_version.entry(version.clone()).or_default() += stat.map_or(0, |it| it.size);
        }
    }
    by_version.into_values().max().filter(|it| *it > 0).unwrap_or(KERNEL_DEFAULT)
}
