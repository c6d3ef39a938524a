//! Into new namespaces, and on as their first process.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use rustix::thread::UnshareFlags;

use super::{HELPER_ARGUMENT, HostArgs, tell};
use crate::control::{self, Message};

/// Enters new namespaces and starts the host's init in them. The fleet, if it may, maps all users; else this
/// process maps its own user to root, which is all that the kernel lets an ordinary user do.
pub(super) fn enter(socket: &OwnedFd, host: &HostArgs) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    unshare().map_err(|error| format!("the kernel refuses new namespaces: {error}"))?;
    tell(socket.as_fd(), &Message::Unshared);
    match control::receive(socket.as_fd()) {
        Ok(Some(Message::Go(true))) => {}
        Ok(Some(Message::Go(false))) => map_own_user(user, group)?,
        other => return Err(format!("the fleet is gone ({other:?})")),
    }
    let streams = socket
        .try_clone()
        .map_err(|error| format!("no copy of the socket: {error}"))?;
    Command::new("/proc/self/exe")
        .arg(HELPER_ARGUMENT)
        .arg("init")
        .args(host.to_args())
        .stdin(Stdio::from(streams))
        .spawn()
        .map_err(|error| format!("no first process in the namespaces: {error}"))?;
    // Not waited for: it belongs to whoever adopts it, and ends when the fleet closes the socket.
    Ok(())
}

#[expect(
    deprecated,
    reason = "the replacement is unsafe because of UnshareFlags::FILES, which is not asked for here"
)]
fn unshare() -> rustix::io::Result<()> {
    let flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWIPC;
    rustix::thread::unshare(flags)
}

fn map_own_user(user: u32, group: u32) -> Result<(), String> {
    let write = |path: &str, text: &str| {
        fs::write(path, text).map_err(|error| format!("cannot write {path}: {error}"))
    };
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {user} 1"))?;
    write("/proc/self/gid_map", &format!("0 {group} 1"))
}
