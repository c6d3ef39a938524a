//! The user's key for plan files: made on first use, readable by the user alone, in the state directory.

use std::path::PathBuf;

use hostler_history::key_file;
use hostler_preview::Key;

use crate::keeping::state_directory;
use crate::request::StateRequest;

/// Its name in the state directory.
const NAME: &str = "plan.key";

fn path(state: &StateRequest) -> Result<PathBuf, String> {
    let directory = state_directory(state).map_err(|error| error.to_string())?;
    Ok(directory.join(NAME))
}

/// The key; `None` if there is none yet.
pub(crate) fn read(state: &StateRequest) -> Result<Option<Key>, String> {
    let bytes = key_file::read(&path(state)?)?;
    Ok(bytes.map(|bytes| Key::new(*bytes)))
}

/// The key, made if there is none.
pub(crate) fn read_or_make(state: &StateRequest) -> Result<Key, String> {
    let bytes = key_file::read_or_make(&path(state)?)?;
    Ok(Key::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_directory_has_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let state = |name: &str| StateRequest {
            directory: Some(directory.path().join(name)),
        };
        assert!(read(&state("a")).unwrap().is_none());
        let key = read_or_make(&state("a")).unwrap();
        let same = read(&state("a")).unwrap().unwrap();
        assert_eq!(key.mac(&[b"x"]), same.mac(&[b"x"]));
        let other = read_or_make(&state("b")).unwrap();
        assert_ne!(key.mac(&[b"x"]), other.mac(&[b"x"]));
    }
}
