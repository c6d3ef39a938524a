//! The program, started in a directory with nothing of this machine's settings.

use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn hostler(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hostler"))
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .expect("the program can be started")
}
