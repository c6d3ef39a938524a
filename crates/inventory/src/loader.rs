//! What the inventory needs from the world: files, and programs that print inventories.
//!
//! The traits keep the rest of the crate free of I/O; [`FsLoader`] is the one place that touches the file system.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hostler_yaml::limits::FILE_BYTES_MAX;

/// Reads files and directories.
pub trait Loader {
    /// The text of a file. Not found, not UTF-8 (`InvalidData`) and too large (`FileTooLarge`) are errors.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// The names in a directory, in any order. Names that are not UTF-8 may be left out.
    fn list_dir(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Is it a directory (links followed)?
    fn is_dir(&self, path: &Path) -> bool;
    /// Is it there at all (links followed)?
    fn exists(&self, path: &Path) -> bool;
    /// Is it a file that the user may execute?
    fn is_executable(&self, path: &Path) -> bool;
    /// The absolute form of a path, links not followed.
    fn absolute(&self, path: &Path) -> PathBuf;
}

/// Runs inventory scripts.
pub trait ScriptRunner {
    /// Runs the program with arguments and returns its standard output, or a sentence that says what went wrong.
    fn run(&self, program: &Path, arguments: &[&str]) -> Result<String, String>;
}

/// Refuses to run anything: for static checks of untrusted repositories.
pub struct NoScripts;

impl ScriptRunner for NoScripts {
    fn run(&self, _: &Path, _: &[&str]) -> Result<String, String> {
        Err("running inventory scripts is switched off".into())
    }
}

/// The file system.
pub struct FsLoader;

impl Loader for FsLoader {
    fn read(&self, path: &Path) -> io::Result<String> {
        let most = FILE_BYTES_MAX as u64;
        let mut text = String::new();
        // The size is not asked for: a device or a pipe has none.
        let mut file = std::fs::File::open(path)?.take(most + 1);
        file.read_to_string(&mut text)?;
        if text.len() as u64 > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(text)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_executable(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        let any_execute_bit = 0o111;
        std::fs::metadata(path)
            .is_ok_and(|it| it.is_file() && it.permissions().mode() & any_execute_bit != 0)
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut clean = PathBuf::new();
        for part in absolute.components() {
            if part == std::path::Component::ParentDir {
                clean.pop();
            } else {
                clean.push(part);
            }
        }
        clean
    }
}
