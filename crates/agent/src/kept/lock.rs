//! The lock of a host: a file that an agent holds for its run, so that others see who changes the host.
//!
//! A lock of `fcntl`, since of such a one the kernel names the holder, and it ends with the process however that ends.
//! It would also end when the process closes any other handle of the file: nothing else here may open it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use hostler_protocol::{Frames, Lease, decode, encode};
use rustix::fs::{FlockOperation, OFlags, fcntl_lock};
use rustix::process::{Flock, FlockType, Pid, Signal, fcntl_getlk, kill_process};

use super::{Kept, place};

/// How often, and in what steps, a lock is looked at that changes hands.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);
/// Largest content that is read.
const CONTENT_MAX: u64 = 64 << 10;

/// A lock that was asked for.
pub(super) struct HostLock {
    file: File,
    lease: Lease,
    /// False: another agent of the same run holds it.
    held: bool,
}

impl Kept {
    /// Takes the lock of this user for a run; gives who holds it, if it is somebody else. Where nothing can be kept
    /// there is no lock either.
    pub(crate) fn lease(&self, lease: Lease, breaks: Option<&str>) -> Option<Lease> {
        let dir = self.dir()?;
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match lock.take() {
            Some(lock) => lock.file,
            None => open(&dir.join(place::LOCK)).ok()?,
        };
        let mut wanted = HostLock {
            file,
            lease,
            held: false,
        };
        let holder = wanted.take(breaks);
        if holder.is_none() {
            *lock = Some(wanted);
        }
        holder
    }

    /// Takes the lock if the agent of the same run that held it has ended.
    pub(super) fn take_lock_again(&self) {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = lock.as_mut().filter(|lock| !lock.held) {
            lock.try_once();
        }
    }
}

impl HostLock {
    fn try_once(&mut self) {
        if fcntl_lock(&self.file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return;
        }
        self.held = true;
        // One who cannot read it is told that somebody holds it.
        let content = encode(0, &(std::process::id(), &self.lease)).unwrap_or_default();
        let _ = self.file.set_len(0);
        let _ = self.file.write_all_at(&content, 0);
    }

    fn take(&mut self, breaks: Option<&str>) -> Option<Lease> {
        let mut broken = false;
        let mut holder = None;
        for _ in 0..TRIES {
            self.try_once();
            if self.held {
                return None;
            }
            let found = fcntl_getlk(&self.file, &Flock::from(FlockType::WriteLock));
            if let Some(pid) = found.ok().flatten().and_then(|lock| lock.pid) {
                // Content of another process is that of an earlier holder: the new one has not written yet.
                let said = self
                    .content()
                    .filter(|(writer, _)| *writer == pid_number(pid));
                if let Some((_, lease)) = said {
                    if lease.run == self.lease.run {
                        return None;
                    }
                    if breaks != Some(&lease.id) || !broken && !end_agent(pid) {
                        return Some(lease);
                    }
                    broken = true;
                    holder = Some(lease);
                }
            }
            thread::sleep(PAUSE);
        }
        let nobody_knows = || Lease {
            who: "somebody who does not say".to_owned(),
            ..Lease::default()
        };
        Some(holder.unwrap_or_else(nobody_knows))
    }

    fn content(&self) -> Option<(u32, Lease)> {
        let mut bytes = Vec::new();
        let mut reader = &self.file;
        std::io::Seek::rewind(&mut reader).ok()?;
        reader.take(CONTENT_MAX).read_to_end(&mut bytes).ok()?;
        let mut frames = Frames::new();
        frames.push(&bytes);
        let (_, body) = frames.next_frame().ok()??;
        decode(&body).ok()
    }
}

fn pid_number(pid: Pid) -> u32 {
    u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default()
}

/// Kills an agent; false if the process is none, or cannot be killed.
fn end_agent(pid: Pid) -> bool {
    let program = fs::read_link(format!("/proc/{}/exe", pid_number(pid)));
    let is_agent = program.is_ok_and(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("agent-") || name.starts_with("hostler-agent"))
    });
    is_agent && kill_process(pid, Signal::KILL).is_ok()
}

fn open(path: &Path) -> std::io::Result<File> {
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default())
        .open(path)
}
