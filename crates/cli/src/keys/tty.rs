//! Single keys from the terminal. Its modes are changed only while keys are read, and put back by whoever comes first: the
//! end of the run, a panic that drops the reader, or a signal.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

/// The modes that the terminal had, while it has other ones. A signal handler must find them: a static.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Are we the ones whom the terminal talks to? A background job that reads, or changes modes, is stopped by the kernel.
pub(crate) fn is_foreground() -> bool {
    tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// The next key; `None` if there is none in time, or the terminal belongs to somebody else now.
pub(crate) fn key(wait: Duration) -> Result<Option<u8>> {
    if !is_foreground() {
        std::thread::park_timeout(wait);
        return Ok(None);
    }
    single_keys()?;
    let stdin = std::io::stdin();
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    let wait = Timespec::try_from(wait).map_err(Error::other)?;
    match poll(&mut ready, Some(&wait)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    // Past the buffer of standard input: what is in there would not wake `poll`.
    let mut key = [0];
    match rustix::io::read(&stdin, &mut key) {
        Ok(1) => Ok(Some(key[0])),
        Ok(_) => Err(ErrorKind::UnexpectedEof.into()),
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// No lines and no echo; Ctrl-C and Ctrl-Z stay signals. Looks each time: after Ctrl-Z a shell may have put its own modes
/// back.
fn single_keys() -> Result<()> {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let stdin = std::io::stdin();
    let now = tcgetattr(&stdin)?;
    let lines = LocalModes::ICANON | LocalModes::ECHO;
    if !now.local_modes.intersects(lines) {
        return Ok(());
    }
    let mut single = now.clone();
    single.local_modes.remove(lines);
    single.special_codes[SpecialCodeIndex::VMIN] = 1;
    single.special_codes[SpecialCodeIndex::VTIME] = 0;
    if before.is_none() {
        *before = Some(now);
    }
    tcsetattr(&stdin, OptionalActions::Now, &single)?;
    Ok(())
}

/// Puts the terminal's modes back, if they were changed.
pub(crate) fn restore() {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(modes) = before.take() {
        // A terminal that is gone has no modes.
        let _gone = tcsetattr(std::io::stdin(), OptionalActions::Now, &modes);
    }
}
