//! Which process holds something, and whether it is still there.

use std::fs;

use crate::Life;

/// A heartbeat that is older (microseconds) says that its process is gone or hangs: four are missing then.
pub(crate) const SILENT_AFTER_US: i64 = 45_000_000;

/// Names a process unlike every other, also after a reboot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Host name of its machine, for people.
    pub(crate) controller: String,
    /// `machine-id(5)`; empty if there is none.
    pub(crate) machine: String,
    /// Changes with each boot.
    pub(crate) boot: String,
    /// Its process number means something here only: containers have their own.
    pub(crate) pid_space: String,
    pub(crate) pid: u32,
    /// When it started, in ticks since boot (`proc_pid_stat(5)`, field 22).
    pub(crate) started: u64,
}

impl Process {
    /// This one.
    pub(crate) fn this() -> Self {
        let read = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.trim().to_owned()
        };
        let pid = std::process::id();
        let pid_space = fs::read_link("/proc/self/ns/pid");
        Process {
            controller: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            machine: read("/etc/machine-id"),
            boot: read("/proc/sys/kernel/random/boot_id"),
            pid_space: pid_space
                .map(|it| it.to_string_lossy().into_owned())
                .unwrap_or_default(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// What can be known of a process that gave its last sign of life so long ago, from where `this` one runs.
    pub(crate) fn life(&self, this: &Process, heartbeat_age_us: i64) -> Life {
        let silent = || {
            if heartbeat_age_us > SILENT_AFTER_US {
                Life::Silent
            } else {
                Life::Alive
            }
        };
        if !self.boot.is_empty() && self.boot == this.boot {
            if self.pid_space != this.pid_space {
                return silent();
            }
            return match started(self.pid) {
                Some(started) if started == self.started => silent(),
                _ => Life::ProcessGone,
            };
        }
        let same_machine = self.controller == this.controller
            && self.machine == this.machine
            && !self.machine.is_empty();
        if same_machine && !self.boot.is_empty() && !this.boot.is_empty() {
            return Life::OtherBoot;
        }
        silent()
    }
}

/// When a process started; `None` if there is none, or it has ended and only waits to be reaped.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_is_judged_by_what_can_be_seen_from_here() {
        let this = Process::this();
        assert!(this.started > 0 && !this.boot.is_empty());
        assert_eq!(this.life(&this, 0), Life::Alive);
        assert_eq!(this.life(&this, SILENT_AFTER_US + 1), Life::Silent);

        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = Process {
            pid: child.id(),
            started: 1,
            ..this.clone()
        };
        child.wait().unwrap();
        assert_eq!(gone.life(&this, 0), Life::ProcessGone);
        // Its number was given to another process since.
        let reused = Process {
            started: this.started + 1,
            ..this.clone()
        };
        assert_eq!(reused.life(&this, 0), Life::ProcessGone);

        let before = Process {
            boot: "another".into(),
            machine: "m".into(),
            ..this.clone()
        };
        let here = Process {
            machine: "m".into(),
            ..this.clone()
        };
        assert_eq!(before.life(&here, 0), Life::OtherBoot);
        let elsewhere = Process {
            controller: "other".into(),
            ..before.clone()
        };
        assert_eq!(elsewhere.life(&here, 0), Life::Alive);
        assert_eq!(elsewhere.life(&here, SILENT_AFTER_US + 1), Life::Silent);
        // The process numbers of another container mean nothing here.
        let contained = Process {
            pid_space: "pid:[1]".into(),
            started: 1,
            ..this.clone()
        };
        assert_eq!(contained.life(&this, 0), Life::Alive);
    }
}
