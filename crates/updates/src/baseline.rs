//! What runs on a host: taken before it is patched, and compared with afterwards.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What runs on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Baseline {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `uname -r`.
    pub kernel: String,
    /// What `systemctl is-system-running` says; empty without systemd.
    pub system_state: String,
    /// Active units that should still be (services, sockets, timers, mounts); transient ones, sessions and one-shots
    /// left out.
    pub units: BTreeSet<String>,
    /// Failed units.
    pub failed_units: BTreeSet<String>,
    /// Ports that somebody listens on (`tcp 0.0.0.0:22`); ephemeral ones left out.
    pub ports: BTreeSet<String>,
    /// Mounted file systems (`/srv ext4`), kernel ones and temporary ones left out.
    pub mounts: BTreeSet<String>,
    /// Default routes (`default via 10.0.0.1 dev eth0`).
    pub routes: BTreeSet<String>,
    /// Running containers by name, where `docker` or `podman` can be asked.
    pub containers: BTreeSet<String>,
}

/// What is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What kind of thing: `unit`, `failed unit`, `port`, `mount`, `route`, `container`, `kernel`, `system state`.
    pub what: String,
    /// Which.
    pub which: String,
    /// Is it missing (true), or new (false)?
    pub missing: bool,
}

impl Baseline {
    /// What `now` has lost, and failed units that it has gained: the differences that make a host unhealthy, sorted.
    /// Gains of other kinds are no fault.
    pub fn differences(&self, now: &Baseline) -> Vec<Difference> {
        let lost = |what: &'static str, before: &BTreeSet<String>, now: &BTreeSet<String>| {
            let lost: Vec<Difference> = before
                .difference(now)
                .map(|which| Difference {
                    what: what.to_owned(),
                    which: which.clone(),
                    missing: true,
                })
                .collect();
            lost
        };
        let mut all = lost("unit", &self.units, &now.units);
        all.extend(lost("port", &self.ports, &now.ports));
        all.extend(lost("mount", &self.mounts, &now.mounts));
        all.extend(lost("route", &self.routes, &now.routes));
        all.extend(lost("container", &self.containers, &now.containers));
        let failed = now.failed_units.difference(&self.failed_units);
        all.extend(failed.map(|which| Difference {
            what: "failed unit".into(),
            which: which.clone(),
            missing: false,
        }));
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&it| it.to_owned()).collect()
    }

    #[test]
    fn what_is_lost_counts_and_what_is_gained_only_if_it_failed() {
        let before = Baseline {
            units: set(&["a.service", "b.service"]),
            failed_units: set(&["old.service"]),
            ports: set(&["tcp 0.0.0.0:22"]),
            ..Baseline::default()
        };
        let now = Baseline {
            units: set(&["b.service", "c.service"]),
            failed_units: set(&["old.service", "a.service"]),
            ports: set(&["tcp 0.0.0.0:22", "tcp 0.0.0.0:80"]),
            ..Baseline::default()
        };
        let found: Vec<(String, String, bool)> = before
            .differences(&now)
            .into_iter()
            .map(|it| (it.what, it.which, it.missing))
            .collect();
        assert_eq!(
            found,
            [
                ("failed unit".into(), "a.service".into(), false),
                ("unit".into(), "a.service".into(), true)
            ]
        );
        assert!(before.differences(&before).is_empty());
    }
}
