//! The counts at the end, as ansible-core counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Status, TaskResult};

/// Counts of one host. `ok` counts changed tasks too, and ignored failures; so does ansible-core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tasks that ended well, changed ones included.
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// Tasks that found the host unreachable.
    pub unreachable: u32,
    /// Tasks that failed and were neither rescued nor ignored.
    pub failed: u32,
    /// Tasks that were skipped.
    pub skipped: u32,
    /// Failures that a `rescue` took care of.
    pub rescued: u32,
    /// Failures that were ignored.
    pub ignored: u32,
    /// Tasks of which is not known what they did (sent, no answer), or in a preview would do. Not in ansible-core's
    /// recap.
    #[serde(default)]
    pub unknown: u32,
}

/// Counts of all hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recap {
    /// By host name.
    pub hosts: BTreeMap<String, Counts>,
}

impl Recap {
    /// Counts one result.
    pub fn count(&mut self, host: &str, result: &TaskResult) {
        let counts = self.hosts.entry(host.to_owned()).or_default();
        match result.status {
            Status::Ok => counts.ok += 1,
            Status::Changed => {
                counts.ok += 1;
                counts.changed += 1;
            }
            Status::Skipped => counts.skipped += 1,
            Status::Failed if result.ignored => {
                counts.ok += 1;
                counts.ignored += 1;
                counts.changed += u32::from(reported_change(result));
            }
            Status::Failed if result.rescued => counts.rescued += 1,
            Status::Failed => counts.failed += 1,
            Status::Unreachable if result.ignored => {
                counts.skipped += 1;
                counts.ignored += 1;
            }
            Status::Unreachable => counts.unreachable += 1,
            Status::Unknown => counts.unknown += 1,
        }
    }

    /// Did any host fail?
    pub fn any_failed(&self) -> bool {
        self.hosts.values().any(|counts| counts.failed > 0)
    }

    /// Is there a host of which is not known what a task did? In a preview, that is no trouble.
    pub fn any_unknown(&self) -> bool {
        self.hosts.values().any(|counts| counts.unknown > 0)
    }

    /// Was any host unreachable?
    pub fn any_unreachable(&self) -> bool {
        self.hosts.values().any(|counts| counts.unreachable > 0)
    }
}

fn reported_change(result: &TaskResult) -> bool {
    result
        .value
        .get("changed")
        .and_then(hostler_value::Value::as_bool)
        .unwrap_or(false)
}
