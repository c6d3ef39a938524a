//! A host's init: starts what the fleet asks for, reaps what ends, and goes when the fleet goes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::process::{WaitOptions, WaitStatus, wait};

use super::tell;
use crate::control::{self, Message};

/// Status of a program that could not be started, as shells have it.
const NOT_STARTED: u32 = 127;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What runs, by process number.
#[derive(Default)]
struct Running {
    programs: Mutex<HashMap<i32, u32>>,
    more: Condvar,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<i32, u32>> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the fleet closes the socket. The end of this process, the first of its PID namespace, ends all
/// others of the host.
pub(super) fn serve(socket: &OwnedFd) {
    let running = Arc::new(Running::default());
    let Ok(answers) = socket.try_clone() else {
        return;
    };
    let reaper = Arc::clone(&running);
    std::thread::spawn(move || reap(&reaper, &answers));
    while let Ok(Some(message)) = control::receive(socket.as_fd()) {
        match message {
            Message::Run {
                id,
                command,
                streams,
            } => {
                // Held while starting, so that the reaper cannot see the end of what is not yet in the table.
                let mut programs = running.lock();
                match start(&command, streams) {
                    Some(pid) => {
                        programs.insert(pid, id);
                        running.more.notify_one();
                    }
                    None => tell(
                        socket.as_fd(),
                        &Message::Ended {
                            id,
                            status: NOT_STARTED,
                        },
                    ),
                }
            }
            _ => return,
        }
    }
}

fn start(command: &[u8], streams: Vec<OwnedFd>) -> Option<i32> {
    let [stdin, stdout, stderr]: [OwnedFd; 3] = streams.try_into().ok()?;
    // A failed exec would be waited for here, and the reaper is faster.
    if !std::path::Path::new("/bin/sh").exists() {
        return None;
    }
    let child = Command::new("/bin/sh")
        .arg("-c")
        .arg(OsStr::from_bytes(command))
        .env_clear()
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LOGNAME", "root")
        .env("SHELL", "/bin/sh")
        .env("PATH", PATH)
        .current_dir("/root")
        .process_group(0)
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .spawn()
        .ok()?;
    i32::try_from(child.id()).ok()
}

/// Waits for every process that ends, also for those that lost their parent: that is an init's duty.
fn reap(running: &Running, answers: &OwnedFd) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let id = running.lock().remove(&pid.as_raw_nonzero().get());
                if let Some(id) = id {
                    let status = exit_status(status);
                    tell(answers.as_fd(), &Message::Ended { id, status });
                }
            }
            Err(rustix::io::Errno::CHILD) => {
                let programs = running.lock();
                let _more = running
                    .more
                    .wait_while(programs, |programs| programs.is_empty());
            }
            _ => {}
        }
    }
}

fn exit_status(status: WaitStatus) -> u32 {
    let number = status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    number
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(255)
}
