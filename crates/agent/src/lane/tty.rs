//! A terminal for programs that ask for passwords on one.
//!
//! Only the input of such a program is a terminal; what the agent under it writes goes through a pipe. To have it as
//! controlling terminal, the program is started by this same binary, which makes itself the leader of a session first
//! (between fork and exec nothing can be done without unsafe code).

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::fs::OFlags;
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, isatty, tcgetattr, tcsetattr};

/// First argument of the binary when it shall start a program on its terminal.
pub(crate) const TTY_WORD: &str = "on-terminal";

/// A new terminal: our end, and the end for the program.
pub(super) fn open_pair() -> io::Result<(File, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = OFlags::NOCTTY;
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(std::ffi::OsStr::from_bytes(name.as_bytes()))?;
    // Nothing that we write may come back: it would be taken for what the program says.
    let mut modes = tcgetattr(&slave)?;
    modes.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&slave, OptionalActions::Now, &modes)?;
    Ok((File::from(master), slave.into()))
}

/// If standard input is a terminal, bytes shall come through it as they are.
pub(crate) fn make_input_raw() {
    let input = rustix::stdio::stdin();
    if isatty(input)
        && let Ok(mut modes) = tcgetattr(input)
    {
        modes.make_raw();
        let _ = tcsetattr(input, OptionalActions::Now, &modes);
    }
}

/// Makes standard input the controlling terminal and becomes the program that the arguments name.
pub(crate) fn on_terminal(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(program) = args.next() else {
        return ExitCode::from(2);
    };
    let ready = setsid().and_then(|_| ioctl_tiocsctty(rustix::stdio::stdin()));
    let error = match ready {
        Ok(()) => Command::new(&program).args(args).exec(),
        Err(error) => error.into(),
    };
    let _ = writeln!(io::stderr(), "{}: {error}", program.display());
    ExitCode::from(127)
}
