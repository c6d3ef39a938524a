//! Is a host back after a reboot? Judged by its boot id, over connections that share nothing.

use serde_json::Value;

use crate::StepOutcome;

/// Between two probes.
pub const PROBE_EVERY_US: i64 = 5_000_000;
/// A host key that is not the known one is believed after so long: an early boot environment may have another one.
const HOST_KEY_US: i64 = 120_000_000;

/// What probes have shown so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    before: String,
    wanted: u32,
    until_us: i64,
    now: Option<String>,
    good: u32,
    reboots: u32,
    same: bool,
    other_key: Option<(i64, String)>,
    last: String,
}

impl Back {
    /// Nothing was probed yet. `before` is the boot id before the reboot, `wanted` how many good logins in a row are.
    pub fn new(before: String, wanted: u32, until_us: i64) -> Self {
        Self {
            before,
            wanted: wanted.max(1),
            until_us,
            now: None,
            good: 0,
            reboots: 0,
            same: false,
            other_key: None,
            last: "it was never reached".to_owned(),
        }
    }

    /// Takes what a probe gave at that time. `Some` is the verdict: done with the new boot id and how many reboots were
    /// seen, [`StepOutcome::Failed`] if it answers but was not rebooted, [`StepOutcome::Unreachable`] if it does not come.
    pub fn take(&mut self, at_us: i64, probe: &StepOutcome) -> Option<StepOutcome> {
        self.look(at_us, probe);
        if let Some(now) = &self.now
            && self.good >= self.wanted
        {
            return Some(StepOutcome::Done {
                values: serde_json::json!({"boot_id": now, "reboots": self.reboots}),
            });
        }
        if let Some((since, message)) = &self.other_key
            && (at_us - since >= HOST_KEY_US || at_us >= self.until_us)
        {
            return Some(StepOutcome::HostKey {
                message: message.clone(),
            });
        }
        // One that is there is given the logins that it still lacks.
        if at_us < self.until_us || self.good > 0 {
            return None;
        }
        Some(if self.same {
            StepOutcome::Failed {
                message: "it answers, but its boot id is the one from before the reboot".to_owned(),
            }
        } else {
            StepOutcome::Unreachable {
                reason: self.last.clone(),
            }
        })
    }

    fn look(&mut self, at_us: i64, probe: &StepOutcome) {
        let text = match probe {
            StepOutcome::Done {
                values: Value::String(text),
            } => text.trim(),
            other => {
                self.good = 0;
                self.miss(at_us, other);
                return;
            }
        };
        self.other_key = None;
        if !is_boot_id(text) {
            // "System is booting up", a stack trace, nothing: no login that counts.
            self.good = 0;
            self.last = format!(
                "no boot id in its answer: {}",
                text.chars().take(200).collect::<String>()
            );
            return;
        }
        self.same = text == self.before;
        if self.same {
            self.good = 0;
            "it has not gone down yet".clone_into(&mut self.last);
        } else if self.now.as_deref() == Some(text) {
            self.good += 1;
        } else {
            self.now = Some(text.to_owned());
            self.reboots += 1;
            self.good = 1;
        }
    }

    fn miss(&mut self, at_us: i64, probe: &StepOutcome) {
        match probe {
            StepOutcome::HostKey { message } => {
                let since = self.other_key.as_ref().map_or(at_us, |it| it.0);
                self.other_key = Some((since, message.clone()));
                self.same = false;
            }
            StepOutcome::Unreachable { reason } => {
                self.other_key = None;
                self.same = false;
                self.last.clone_from(reason);
            }
            StepOutcome::Failed { message }
            | StepOutcome::Gone { message }
            | StepOutcome::Unknown { message } => {
                self.other_key = None;
                self.last.clone_from(message);
            }
            StepOutcome::Done { .. } => "its answer is no text".clone_into(&mut self.last),
        }
    }
}

/// Is it the text of a boot id (`/proc/sys/kernel/random/boot_id`): a UUID in lower case?
pub fn is_boot_id(text: &str) -> bool {
    let hex = |part: &str| {
        part.bytes()
            .all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    };
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|it| it.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(|it| hex(it))
}
