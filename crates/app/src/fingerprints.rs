//! Hashes of the files that a run rests on, by which a change between two parts of it is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use hostler_diag::SourceMap;
use hostler_history::Input;
use sha2::{Digest, Sha256};

/// Larger files are known by size and time: to read them takes longer than many runs.
const HASHED_MAX: u64 = 64 << 20;
/// Files of directories that are looked at.
const FILES_MAX: usize = 10_000;

/// Hashes by absolute path: of the texts that were read, and of `files`, directories with all below them.
pub(crate) fn of(sources: &SourceMap, files: &BTreeSet<PathBuf>) -> BTreeMap<String, [u8; 32]> {
    let mut all = BTreeMap::new();
    for path in files {
        below(path, &mut all);
    }
    // Texts of the command line have no file.
    for source in sources.all().iter().filter(|it| !it.name.starts_with('<')) {
        let path = crate::keeping::absolute(Path::new(&source.name));
        all.insert(path, Sha256::digest(source.text.as_bytes()).into());
    }
    all
}

/// What is different now, in words: one line for each file. `now` is what the run would rest on.
pub(crate) fn changes(before: &[Input], now: &BTreeMap<String, [u8; 32]>) -> Vec<String> {
    let mut changes = Vec::new();
    for input in before {
        let same = match now.get(&input.path) {
            Some(hash) => Ok(*hash == input.sha256),
            // It may not be looked at yet: which files are sent depends on tasks that come later.
            None => hash(Path::new(&input.path)).map(|hash| hash == input.sha256),
        };
        match same {
            Ok(true) => {}
            Ok(false) => changes.push(format!("{} has changed since the run began", input.path)),
            Err(error) => changes.push(format!(
                "{} was read when the run began and cannot be now: {error}",
                input.path
            )),
        }
    }
    let known: BTreeSet<&String> = before.iter().map(|input| &input.path).collect();
    let new = now.keys().filter(|path| !known.contains(path));
    changes.extend(new.map(|path| format!("{path} is new since the run began")));
    changes
}

fn below(path: &Path, all: &mut BTreeMap<String, [u8; 32]>) {
    if all.len() >= FILES_MAX {
        return;
    }
    if path.is_dir() && !path.is_symlink() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        entries.sort();
        for entry in &entries {
            below(entry, all);
        }
    } else if let Ok(hash) = hash(path) {
        // What cannot be read is for the task to tell.
        all.insert(crate::keeping::absolute(path), hash);
    }
}

fn hash(path: &Path) -> std::io::Result<[u8; 32]> {
    let metadata = std::fs::metadata(path)?;
    let mut hasher = Sha256::new();
    if metadata.len() > HASHED_MAX {
        let known = format!("{} {:?}", metadata.len(), metadata.modified()?);
        hasher.update(known.as_bytes());
        return Ok(hasher.finalize().into());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(HASHED_MAX + 1).read_to_end(&mut bytes)?;
    Ok(Sha256::digest(&bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let playbook = write("site.yml", "a");
        let (sent, gone) = (write("files/sent", "b"), write("files/sub/gone", "c"));
        let look = |text: &str| {
            let sources = SourceMap::new();
            sources.add_file(&playbook, text);
            of(&sources, &BTreeSet::from([directory.path().join("files")]))
        };
        let before: Vec<Input> = look("a")
            .into_iter()
            .map(|(path, sha256)| Input { path, sha256 })
            .collect();
        assert_eq!(before.len(), 3);
        assert!(changes(&before, &look("a")).is_empty());
        // A file that is not looked at again yet is looked up.
        assert!(changes(&before, &BTreeMap::new()).is_empty());
        std::fs::write(&sent, "other").unwrap();
        std::fs::remove_file(&gone).unwrap();
        write("files/added", "d");
        let mut said = changes(&before, &look("A"));
        said.sort();
        let words = |path: &Path, what: &str| format!("{} {what}", path.display());
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said.contains(&words(&playbook, "has changed since the run began")));
        assert!(said.contains(&words(&sent, "has changed since the run began")));
        assert!(said.iter().any(|it| it.contains("gone was read")));
        assert!(said.iter().any(|it| it.contains("added is new")));
    }
}
