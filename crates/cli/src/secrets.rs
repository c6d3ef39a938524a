//! Passwords: asked for on the terminal, or read from a file or program.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use hostler_value::Secret;

use crate::problem::Problem;

/// Longest password that is read.
const LENGTH_MAX: u64 = 64 * 1024;

/// Asks on the controlling terminal, whatever standard input is.
pub(crate) fn ask(prompt: &str) -> Result<Secret, Problem> {
    rpassword::prompt_password(prompt)
        .map(Secret::new)
        .map_err(|error| {
            Problem::usage(format!("cannot ask for a password: {error}"))
                .hint(Some("without a terminal, give it in a file: --connection-password-file, --become-password-file"))
        })
}

/// The content of a file without its last line break; a program is run and its output taken, as ansible-playbook does.
pub(crate) fn from_file(path: &Path) -> Result<Secret, Problem> {
    let failed = |error: std::io::Error| {
        Problem::usage(format!(
            "cannot read the password in {}: {error}",
            path.display()
        ))
    };
    let meta = std::fs::metadata(path).map_err(failed)?;
    let mut text = String::new();
    if meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
        let program = std::path::absolute(path).map_err(failed)?;
        let mut child = Command::new(program)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(out) = child.stdout.take() {
            out.take(LENGTH_MAX)
                .read_to_string(&mut text)
                .map_err(failed)?;
        }
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            return Err(Problem::usage(format!(
                "the password program {} failed: {status}",
                path.display()
            )));
        }
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(LENGTH_MAX).read_to_string(&mut text))
            .map_err(failed)?;
    }
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Problem::usage(format!(
            "there is no password in {}",
            path.display()
        )));
    }
    Ok(Secret::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_a_program_gives_a_password() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("p");
        std::fs::write(&file, "s3 cret\r\n").unwrap();
        assert_eq!(from_file(&file).unwrap().reveal(), "s3 cret");
        std::fs::write(&file, "#!/bin/sh\necho from-program\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(from_file(&file).unwrap().reveal(), "from-program");
        std::fs::write(&file, "#!/bin/sh\nexit 3\n").unwrap();
        assert!(from_file(&file).is_err());
        assert!(from_file(Path::new("/no/such/file")).is_err());
    }
}
