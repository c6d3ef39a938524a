//! A transaction of apt for people.

use std::collections::BTreeMap;

use hostler_module_api::prelude::*;
use hostler_probes::{Step, Transaction};

use super::look::Seen;
use super::resolve::Job;
use super::{CACHE, package};

/// A summary, each package's versions, and where the new ones come from.
pub(super) fn deltas(job: &Job, transaction: &Transaction, now: &Seen) -> Vec<Delta> {
    let steps = &transaction.steps;
    let mut deltas: Vec<Delta> = job.more.iter().map(|what| Delta::action(CACHE, what.as_str())).collect();
    if steps.is_empty() {
        return deltas;
    }
    deltas.push(Delta::action("apt", summary(job, steps, now)));
    deltas.extend(steps.iter().map(|step| of_step(step, job, now)));
    let new = steps.iter().filter(|it| it.before.is_none() && it.after.is_some() && !job.work.is_about(&it.package));
    let mut new: Vec<&str> = new.map(|it| it.package.as_str()).collect();
    hostler_value::order::sort(&mut new);
    if !new.is_empty() && !job.work.packages().is_empty() {
        deltas.push(Delta::action("apt", format!("new dependencies: {}", new.join(", "))));
    }
    let mut by_origin: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for step in steps {
        if let Some(origin) = &step.origin {
            by_origin.entry(origin).or_default().push(&step.package);
        }
    }
    let from = |(origin, mut names): (&str, Vec<&str>)| {
        hostler_value::order::sort(&mut names);
        Delta::action("apt", format!("from {origin}: {}", names.join(", ")))
    };
    deltas.extend(by_origin.into_iter().map(from));
    deltas
}

fn of_step(step: &Step, job: &Job, now: &Seen) -> Delta {
    // Lists that are refreshed first, or sources that are not there yet, may have other versions.
    let doubt = match (job.work.needs_lists(), now.sources_by.is_empty()) {
        (true, false) => " or another",
        (true, true) if now.update_due || !now.lists_by.is_empty() => " or newer",
        _ => "",
    };
    let after = step.after.as_ref().map(|version| format!("{version}{doubt}"));
    let rest_only = step.purged && step.before.is_none();
    let name = if rest_only { "configuration" } else { "version" };
    let before = step.before.clone().or_else(|| rest_only.then(|| "removed".to_owned()));
    Delta::field(package(&step.package), name, before, after)
}

/// As `2 packages to install, 1 to remove; 646 kB to download, 1751 kB more disk space`.
fn summary(job: &Job, steps: &[Step], now: &Seen) -> String {
    let count = |wanted: fn(&Step) -> bool| steps.iter().filter(|it| wanted(it)).count();
    let counts = [
        (count(|it| it.before.is_none() && it.after.is_some()), "to install"),
        (count(|it| it.before.is_some() && it.after.is_some()), "to change"),
        (count(|it| it.after.is_none()), "to remove"),
    ];
    let mut parts: Vec<String> = Vec::new();
    for (count, what) in counts.into_iter().filter(|it| it.0 > 0) {
        let noun = match (parts.is_empty(), count) {
            (false, _) => "",
            (true, 1) => " package",
            (true, _) => " packages",
        };
        parts.push(format!("{count}{noun} {what}"));
    }
    let text = parts.join(", ");
    let mut space = Vec::new();
    if job.space.download > 0 {
        space.push(format!("{} to download", bytes(job.space.download)));
    }
    space.extend(job.space.disk.as_ref().map(|size| match size.strip_prefix('-') {
        Some(size) => format!("{size} less disk space"),
        None => format!("{size} more disk space"),
    }));
    if now.update_due && job.work.needs_lists() && now.lists_s > 0 {
        let hours = (now.now_ns / 1_000_000_000).saturating_sub(now.lists_s) / 3600;
        space.push(match hours {
            0..48 => format!("by lists that are {hours} hours old"),
            _ => format!("by lists that are {} days old", hours / 24),
        });
    }
    let gap = if space.is_empty() { "" } else { "; " };
    text + gap + &space.join(", ")
}

/// A size as apt writes it.
fn bytes(size: u64) -> String {
    let (mut whole, mut tenth, mut at) = (size, 0, 0);
    let units = ["B", "kB", "MB", "GB", "TB"];
    while whole >= 10_000 && at + 1 < units.len() {
        (tenth, whole, at) = (whole % 1000 / 100, whole / 1000, at + 1);
    }
    if whole < 100 && at > 0 { format!("{whole}.{tenth} {}", units[at]) } else { format!("{whole} {}", units[at]) }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes() {
        assert_eq!(bytes(9_999), "9999 B");
        assert_eq!(bytes(13_756_000), "13.7 MB");
        assert_eq!(bytes(1_035_628), "1035 kB");
        assert_eq!(bytes(12_345), "12.3 kB");
        assert_eq!(bytes(u64::MAX), "18446744 TB");
    }
}
