//! Changing the host: the only code of the project that does.

mod attrs;
pub(crate) mod fetch;
mod http;
mod replace;
mod replaced;
mod tree;

use std::io;
use std::path::{Path, PathBuf};

use hostler_change::{Applied, Attrs, Edit, Planned, Run};
use hostler_module_api::{Applier, Inspect, ModuleError, describe, first_not_allowed};
use rustix::io::Errno;

use crate::host::{Host, plain};
use crate::process;

pub(crate) use replaced::Replacements;

impl Applier for Host {
    fn apply(&mut self, planned: &Planned) -> Result<Applied, ModuleError> {
        if self.task.is_cancelled() {
            return Err(ModuleError::new(crate::task::CANCELLED));
        }
        let applied = match &planned.edit {
            Edit::WriteFile(write) => replace::write_file(self, write),
            Edit::Remove(remove) => tree::remove(self, remove),
            Edit::MakeDir(dir) => tree::make_dir(self, dir),
            Edit::Link(link) => tree::link(self, link),
            Edit::SetAttrs {
                path,
                attrs,
                follow,
            } => set_attrs(self, path, attrs, *follow),
            Edit::SetTimes { path, times } => tree::set_times(self, path, times),
            Edit::Run(run) => run_program(self, run),
            Edit::Fetch(fetch) => fetch::fetch(self, fetch),
        };
        // Content is asked for before anything else: without it nothing was done.
        self.changed |= applied.is_ok() || !self.task.lacks_content();
        applied
    }

    fn permits(&self, edits: &[Planned]) -> Result<(), ModuleError> {
        let Some(allowed) = &self.allowed else {
            return Ok(());
        };
        let Some(other) = first_not_allowed(edits, allowed) else {
            return Ok(());
        };
        let needs: Vec<String> = other.deltas.iter().map(describe).collect();
        let needs = match needs.as_slice() {
            [] => "a change without a description".to_owned(),
            some => some.join("; "),
        };
        Err(ModuleError::new(format!(
            "needs something that the plan does not have: {needs}"
        ))
        .hint("nothing was changed by this task; make a new plan"))
    }

    fn faults(&self, declared: &[&hostler_change::Effect]) -> Vec<String> {
        crate::declared::faults(self, declared)
    }

    fn host(&self) -> &dyn Inspect {
        self
    }
}

fn set_attrs(
    host: &mut Host,
    path: &Path,
    wanted: &Attrs,
    follow: bool,
) -> Result<Applied, ModuleError> {
    // The name of the file itself, not of a link to it.
    let real = if follow && host.replaced.is_some() {
        std::fs::canonicalize(path).ok()
    } else {
        None
    };
    let real = real.as_deref().unwrap_or(path);
    let before = host.look_before(real);
    let applied = attrs::set(path, wanted, follow)?;
    let after = before.as_ref().map(|before| before.sha256);
    if after.is_some() {
        host.has_replaced(real, before, after);
    }
    Ok(applied)
}

fn run_program(host: &Host, run: &Run) -> Result<Applied, ModuleError> {
    let shown = run.program.shown();
    let (env, outbox) = (&host.identity.env, Some(&*host.shared.outbox));
    let output = process::run_telling(&run.program, env, &host.task, outbox).map_err(|error| {
        let rc = error.raw_os_error().unwrap_or(1);
        let name = run.program.argv.first().map_or("", String::as_str);
        ModuleError::new(format!("Error executing command: {}: {name}", plain(error)))
            .field("rc", rc)
            .field("cmd", shown.to_string())
            .field("stdout", "")
            .field("stderr", "")
    })?;
    // What was let end has its result.
    if host.task.is_cancelled() && !process::is_spared(&run.program) {
        return Err(ModuleError::new(crate::task::CANCELLED));
    }
    if run.ok_rc.is_empty() || run.ok_rc.contains(&output.rc) && !output.timed_out {
        return Ok(Applied::Ran(output));
    }
    let stderr = output.stderr_text();
    let how = match (output.timed_out, output.rc) {
        (true, _) => "did not end in time".to_owned(),
        (false, rc) if rc < 0 => format!("was ended by signal {}", -rc),
        (false, rc) => format!("failed with exit status {rc}"),
    };
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
    let reason = last
        .map(|line| format!(": {}", line.trim()))
        .unwrap_or_default();
    Err(ModuleError::new(format!("`{shown}` {how}{reason}"))
        .field("rc", output.rc)
        .field("cmd", shown.to_string())
        .field("stdout", output.stdout_text())
        .field("stderr", stderr))
}

/// "cannot write /x: No space left on device", with what to do about it where that is known.
pub(crate) fn cannot(what: &str, path: &Path, error: impl Into<io::Error>) -> ModuleError {
    let error = error.into();
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    let hint = match number {
        Some(Errno::NOSPC) => Some("the file system is out of blocks or inodes (`df -h`, `df -i`)"),
        Some(Errno::DQUOT) => Some("the user's disk quota is used up"),
        Some(Errno::ROFS) => Some("the file system is mounted read-only"),
        Some(Errno::PERM) => {
            Some("the file may be immutable (`lsattr`), or the user may not do this")
        }
        Some(Errno::ACCESS) => Some("the user may not do this; `become` may help"),
        Some(Errno::BUSY | Errno::XDEV) => {
            Some("a mounted file cannot be replaced; `unsafe_writes: true` writes it in place")
        }
        _ => None,
    };
    let path_text = path.display().to_string();
    let msg = format!("cannot {what} {path_text}: {}", plain(error));
    let failure = ModuleError::new(msg).field("path", path_text);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The directory that holds a path's name.
fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
