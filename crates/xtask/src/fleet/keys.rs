//! SSH keys: one to log in with, one per host. `ssh-keygen` is the slow part of a first start, so host keys are
//! made once per name and kept: a host that comes back has the key it had.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Context, Result, run};

/// Makes `STORE/key`, the login key, unless it is there.
pub(super) fn make_login_key(store: &Path) -> Result<()> {
    make(&store.join("key"), "hostler-fleet")
}

/// Makes the host key of `name` unless it is there.
pub(super) fn make_host_key(store: &Path, name: &str) -> Result<()> {
    let keys = store.join("keys");
    fs::create_dir_all(&keys).context("create the directory of host keys")?;
    make(&keys.join(name), name)
}

/// Where the host key of `name` is; `.pub` beside it.
pub(super) fn host_key(store: &Path, name: &str) -> PathBuf {
    store.join("keys").join(name)
}

/// Makes a new ed25519 key at `path`. Several processes may want the same one: the first rename of the public half wins
/// and an existing pair is left alone.
fn make(path: &Path, comment: &str) -> Result<()> {
    if path.with_extension("pub").exists() {
        return Ok(());
    }
    let lock = fs::File::create(path.with_extension("lock")).context("create a key's lock")?;
    lock.lock().context("lock a key")?;
    if path.with_extension("pub").exists() {
        return Ok(());
    }
    // A private half without its public half is what a crash left.
    let _ = fs::remove_file(path);
    generate(path, comment)?;
    fs::remove_file(path.with_extension("lock")).context("remove a key's lock")
}

/// Makes a new ed25519 key pair at `path`, which must not exist.
pub(super) fn generate(path: &Path, comment: &str) -> Result<()> {
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(path))?;
    Ok(())
}
