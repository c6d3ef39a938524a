//! What the controller hears of a task before it ends: what it does, and what its programs write.

use std::time::Duration;

use hostler_protocol::FromAgent;
use rustix::process::{Pid, getpgid};

use crate::host::{Host, Shared};
use crate::task::Task;

/// How often a task that takes long says what it does.
pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// Most bytes of output that are sent of a task while it runs. Its result has both ends of it.
pub(crate) const OUTPUT_MAX: usize = 1 << 20;
/// Tasks that run shorter say nothing.
const LONG: Duration = Duration::from_secs(4);
/// Programs, and modules, that wait for the locks of dpkg.
const OF_DPKG: &[&str] = &[
    "apt-get",
    "apt",
    "aptitude",
    "dpkg",
    "patch_install",
    "patch_rollback",
];
/// Longest name of a process, as the kernel has it.
const NAME_MAX: usize = 15;

/// Tells what a task does, if it takes long.
pub(crate) fn tell(task: &std::sync::Arc<Task>, shared: &std::sync::Arc<Shared>) {
    let Some((mut doing, groups)) = task.doing(LONG) else {
        return;
    };
    if OF_DPKG.contains(&doing.as_str()) {
        let host = Host::new(shared.clone(), task.clone(), &[]);
        if let Some(holder) = hostler_probes::lock_holder(&host)
            && !is_of(&groups, holder.pid)
        {
            let name: String = holder
                .name
                .chars()
                .take(NAME_MAX)
                .map(|ch| if ch.is_control() { '?' } else { ch })
                .collect();
            let pid = holder.pid;
            doing = format!("{doing}: waits for the lock held by {name} (pid {pid})");
        }
    }
    shared.outbox.offer(&FromAgent::Progress {
        task: task.number(),
        doing,
    });
}

/// Is it one of the task's own programs, or started by one?
fn is_of(groups: &[Pid], pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| getpgid(Some(pid)).is_ok_and(|group| groups.contains(&group)))
}
