//! Writes service and timer of a policy where systemd finds them: `hostler patch install-schedule`.

use std::path::{Path, PathBuf};

use hostler_diag::{Diagnostic, SourceMap};

use super::agenda::Agenda;
use super::units::{Invocation, Unit, units};
use crate::refusal::Refusal;
use crate::request::ExitCode;

/// What is to be written.
#[derive(Clone, Debug, Default)]
pub struct InstallRequest {
    /// The policy.
    pub policy: PathBuf,
    /// What the service runs.
    pub invocation: Invocation,
    /// Where to; `None`: nowhere, the units are only made.
    pub directory: Option<PathBuf>,
}

/// Makes the units of a policy, and writes them.
///
/// # Errors
/// Problems of the policy; the files cannot be written.
pub fn install(request: &InstallRequest, sources: &SourceMap) -> Result<Vec<Unit>, Refusal> {
    let agenda = Agenda::load(&request.policy, sources)?;
    let units = units(&agenda.policy, &agenda.windows, &request.invocation);
    if let Some(directory) = &request.directory {
        std::fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
        for unit in &units {
            let path = directory.join(&unit.name);
            write(directory, &path, &unit.text).map_err(|error| failed(&path, &error))?;
        }
    }
    Ok(units.into())
}

/// Whole or not at all: systemd may read it at any time.
fn write(directory: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    let readable = std::fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(readable)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> Refusal {
    let text = format!("cannot write {}: {error}", path.display());
    let hint = "`--user` writes units of your own, `--directory` writes elsewhere, `--print` only shows them";
    Refusal::new(
        ExitCode::Error,
        Diagnostic::error("schedule-file", text).hint(hint),
    )
}
