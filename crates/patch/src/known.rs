//! What is known from earlier scans and runs, as choosing and planning want to see it. The facts are those of the ledger.

use std::collections::BTreeMap;

use hostler_updates::{BootClass, Firmware, Os, PackageName};

use crate::ledger::{Disproven, Proven, Took, duration_key, package_key, version_key};

/// What is known from earlier scans and runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// When a scan of any host first saw a version, microseconds since the epoch; by [`version_key`].
    pub first_seen: BTreeMap<String, i64>,
    /// Versions that passed a wave of a run of the policy; by [`package_key`].
    pub proven: BTreeMap<String, Vec<Proven>>,
    /// Versions that went wrong and that nobody has cleared since; by [`package_key`].
    pub disproven: BTreeMap<String, Vec<Disproven>>,
    /// How long steps took; by [`duration_key`] with the names of the steps (`install`).
    pub took: BTreeMap<String, Vec<Took>>,
}

impl Known {
    /// Since when a version is available.
    pub(crate) fn first_seen(&self, os: &Os, package: &PackageName, version: &str) -> Option<i64> {
        self.first_seen
            .get(&version_key(os, package, version))
            .copied()
    }

    /// Why a version must not be installed.
    pub(crate) fn disproven(
        &self,
        os: &Os,
        arch: &str,
        package: &PackageName,
        version: &str,
    ) -> Option<&Disproven> {
        let all = self.disproven.get(&package_key(os, arch, package))?;
        let same = |it: &&Disproven| it.version.as_deref() == Some(version);
        all.iter().filter(|it| it.cleared_by.is_none()).find(same)
    }

    /// Proofs of a version.
    pub(crate) fn proven(
        &self,
        os: &Os,
        arch: &str,
        package: &PackageName,
        version: &str,
    ) -> impl Iterator<Item = &Proven> {
        let all = self.proven.get(&package_key(os, arch, package));
        let all = all.into_iter().flatten();
        all.filter(move |it| it.version.as_deref() == Some(version))
    }

    /// Half and 19 of 20 of what was measured for a step, per unit; `None` if it was measured too seldom to be believed.
    fn measured(
        &self,
        step: &str,
        os: &Os,
        boot_class: &BootClass,
        per: impl Fn(&Took) -> u64,
    ) -> Option<(f64, f64)> {
        const SAMPLES_MIN: usize = 3;
        let all = self.took.get(&duration_key(step, os, boot_class))?;
        if all.len() < SAMPLES_MIN {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "bytes and packages, far below 2^53"
        )]
        let mut each: Vec<f64> = all
            .iter()
            .map(|it| f64::from(it.seconds) / per(it).max(1) as f64)
            .collect();
        each.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let index = (each.len() * share).div_ceil(100).max(1) - 1;
            each.get(index).copied().unwrap_or_default()
        };
        Some((at(50), at(95)))
    }
}

/// Work on a host whose time is to be told.
pub(crate) struct Work<'a> {
    pub(crate) os: &'a Os,
    pub(crate) boot_class: &'a BootClass,
    pub(crate) packages: usize,
    pub(crate) download_bytes: u64,
    pub(crate) reboots: u32,
}

/// Bytes that are downloaded in a second where nothing is known: 5 MiB.
const BYTES_S: u64 = 5 << 20;
/// Steps besides downloading, installing and coming back.
const OTHER_STEPS: [&str; 9] = [
    "preflight",
    "mask",
    "pre",
    "baseline",
    "snapshot",
    "restart",
    "verify",
    "post",
    "release",
];

/// Seconds that a host will take, most likely and in 19 of 20 cases. Where steps of such hosts were measured often enough, by
/// that; else a minute, a second for each 5 MiB, 15 seconds for each package, 10 minutes for the reboot of a virtual machine
/// and 25 for one of metal, of which half is likely.
pub(crate) fn expected(known: &Known, work: &Work<'_>) -> (u32, u32) {
    let measured = |step: &str| known.measured(step, work.os, work.boot_class, |_| 1);
    let mut sum = (0.0, 0.0);
    let mut add = |learned: Option<(f64, f64)>, units: u64, seed: u64| {
        #[expect(
            clippy::cast_precision_loss,
            reason = "bytes and packages, far below 2^53"
        )]
        let (units, seed) = (units as f64, seed as f64);
        let (half, most) = learned.map_or((seed / 2.0, seed), |(half, most)| {
            (half * units, most * units)
        });
        sum.0 += half;
        sum.1 += most.max(half);
    };
    if work.packages > 0 {
        let packages = u64::try_from(work.packages).unwrap_or(u64::MAX);
        let download = known.measured("download", work.os, work.boot_class, |it| {
            it.bytes / BYTES_S
        });
        add(
            download,
            (work.download_bytes / BYTES_S).max(1),
            work.download_bytes / BYTES_S,
        );
        let install = known.measured("install", work.os, work.boot_class, |it| it.packages.into());
        add(install, packages, packages.saturating_mul(15));
    }
    if work.reboots > 0 {
        let each = if is_metal(work.boot_class) {
            25 * 60
        } else {
            10 * 60
        };
        add(
            measured("back"),
            work.reboots.into(),
            u64::from(work.reboots) * each,
        );
    }
    let others: Vec<(f64, f64)> = OTHER_STEPS.iter().filter_map(|it| measured(it)).collect();
    if others.is_empty() {
        add(None, 1, 60);
    } else {
        let total = others
            .iter()
            .fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        add(Some(total), 1, 60);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative; a conversion of floats saturates"
    )]
    let whole = |it: f64| it.ceil() as u32;
    (whole(sum.0), whole(sum.1))
}

/// Is it a machine of metal, whose firmware takes its time?
pub(crate) fn is_metal(boot_class: &BootClass) -> bool {
    matches!(boot_class.virtualisation.as_str(), "none" | "")
        && boot_class.firmware != Firmware::None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work<'a>(os: &'a Os, boot_class: &'a BootClass, reboots: u32) -> Work<'a> {
        Work {
            os,
            boot_class,
            packages: 4,
            download_bytes: 100 << 20,
            reboots,
        }
    }

    #[test]
    fn times_are_seeds_until_they_are_learned() {
        let os = Os::default();
        let kvm = BootClass {
            virtualisation: "kvm".into(),
            ..BootClass::default()
        };
        let metal = BootClass {
            virtualisation: "none".into(),
            ..BootClass::default()
        };
        let mut known = Known::default();
        assert_eq!(expected(&known, &work(&os, &kvm, 0)), (70, 140));
        assert_eq!(expected(&known, &work(&os, &kvm, 1)), (370, 740));
        assert_eq!(expected(&known, &work(&os, &metal, 1)), (820, 1640));
        let took = |seconds| Took {
            seconds,
            packages: 2,
            bytes: 0,
        };
        let key = duration_key("install", &os, &kvm);
        known.took.insert(key.clone(), vec![took(10), took(20)]);
        assert_eq!(
            expected(&known, &work(&os, &kvm, 0)),
            (70, 140),
            "two are too few"
        );
        known.took.insert(key, vec![took(10), took(20), took(60)]);
        // Four packages: ten seconds each at the most likely, thirty at most, and the seeds of the rest.
        assert_eq!(
            expected(&known, &work(&os, &kvm, 0)),
            (10 + 40 + 30, 20 + 120 + 60)
        );
    }
}
