//! A host's process: first it enters new namespaces, then (as their init) it makes its root and serves.

mod namespace;
mod root;
mod serve;

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::control::{self, Message};

/// First argument by which the program knows that it is to be a host's process.
pub const HELPER_ARGUMENT: &str = "demo-host";

/// What a host's process is told on its command line.
#[derive(Clone, Debug)]
pub(crate) struct HostArgs {
    /// The host's name.
    pub name: String,
    /// The tree that all hosts share.
    pub base: PathBuf,
    /// The host's own directory.
    pub directory: PathBuf,
}

impl HostArgs {
    fn from_args(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        Some(HostArgs {
            name: args.next()?.into_string().ok()?,
            base: args.next()?.into(),
            directory: args.next()?.into(),
        })
    }

    pub(crate) fn to_args(&self) -> [OsString; 3] {
        [
            self.name.clone().into(),
            self.base.clone().into(),
            self.directory.clone().into(),
        ]
    }
}

/// Runs a host's process: `args` are those after [`HELPER_ARGUMENT`]. Must be called before any thread is started,
/// since a process with threads cannot enter a user namespace. Standard input is the socket to the fleet.
pub fn host_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let stage = args.next();
    let (Some(stage), Some(host)) = (stage, HostArgs::from_args(args)) else {
        return ExitCode::from(5);
    };
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let done = match stage.to_str() {
        Some("enter") => namespace::enter(&socket, &host),
        Some("init") => init(&socket, &host),
        _ => Err(format!("unknown stage {}", stage.display())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tell(socket.as_fd(), &Message::Failed(reason));
            ExitCode::FAILURE
        }
    }
}

fn init(socket: &OwnedFd, host: &HostArgs) -> Result<(), String> {
    let overlay = root::make(host)?;
    tell(socket.as_fd(), &Message::Ready(overlay));
    serve::serve(socket);
    Ok(())
}

/// Tells the fleet something. If the fleet is gone, nobody is left to know: the next read ends this process.
fn tell(socket: BorrowedFd<'_>, message: &Message) {
    let _ = control::send(socket, message, &[]);
}
