//! What was in the files that an item replaced, for a controller that wants to be able to undo it.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hostler_change::{Before, Replaced};
use sha2::{Digest, Sha256};

use super::replace::open_old;
use crate::host::Host;

/// Files that an item replaced, each once.
#[derive(Default)]
pub(crate) struct Replacements {
    files: Vec<Replaced>,
    /// Bytes of content among them.
    kept: u64,
}

impl Replacements {
    /// The files that are not as they were.
    pub(crate) fn files(self) -> Vec<Replaced> {
        self.files
    }

    fn add(&mut self, path: &Path, before: Option<Before>, after: Option<[u8; 32]>) {
        // A name that is no text cannot be told, and who guesses at it may undo the wrong file.
        let Some(path) = path.to_str() else { return };
        let place = self.files.iter().position(|it| it.path == path);
        let mut file = match place {
            None => Replaced {
                path: path.to_owned(),
                before,
                after,
            },
            // Its first state counts, and its last. The content of the first may only have been read now.
            Some(place) => {
                let mut file = self.files.swap_remove(place);
                file.after = after;
                if let (Some(first), Some(before)) = (&mut file.before, before) {
                    self.kept -= len(first);
                    if first.content.is_none() && first.sha256 == before.sha256 {
                        first.content = before.content;
                    }
                }
                file
            }
        };
        match &mut file.before {
            // Made and removed again.
            None if after.is_none() => return,
            None => {}
            Some(before) => {
                let is_same = after == Some(before.sha256);
                if is_same || self.kept + len(before) > Replaced::ALL_CONTENT_MAX {
                    before.content = None;
                }
                self.kept += len(before);
            }
        }
        self.files.push(file);
    }
}

fn len(before: &Before) -> u64 {
    before.content.as_ref().map_or(0, |it| it.len() as u64)
}

impl Host {
    /// What an open file is like, if that shall be told.
    pub(super) fn before(&self, old: Option<&(File, Metadata)>) -> Option<Before> {
        let (file, meta) = old.filter(|_| self.replaced.is_some())?;
        let (sha256, content) = read(file).ok()?;
        Some(Before {
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.mode() & 0o7777,
            sha256,
            content,
        })
    }

    /// What the regular file at a path is like, if that shall be told and there is one.
    pub(super) fn look_before(&self, path: &Path) -> Option<Before> {
        self.replaced.as_ref()?;
        self.before(open_old(path).ok().flatten().as_ref())
    }

    /// Is there something that a [`Before`] cannot describe: a link, or a file that cannot be read?
    pub(super) fn is_untold(&self, path: &Path, before: Option<&Before>) -> bool {
        self.replaced.is_none() || before.is_none() && fs::symlink_metadata(path).is_ok()
    }

    /// Notes that a file was replaced.
    pub(super) fn has_replaced(
        &mut self,
        path: &Path,
        before: Option<Before>,
        after: Option<[u8; 32]>,
    ) {
        if let Some(replaced) = &mut self.replaced {
            replaced.add(path, before, after);
        }
    }
}

/// The hash of what is in a file, and the content if it is not too large.
pub(super) fn read(mut file: &File) -> io::Result<([u8; 32], Option<Vec<u8>>)> {
    file.rewind()?;
    let mut hash = Sha256::new();
    let mut content = Some(Vec::new());
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        let piece = &buffer[..count];
        if count == 0 {
            return Ok((hash.finalize().into(), content));
        }
        hash.update(piece);
        if let Some(bytes) = &mut content {
            bytes.extend_from_slice(piece);
            if bytes.len() as u64 > Replaced::CONTENT_MAX {
                content = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "the type of what is noted")]
    fn before(content: &[u8], told: bool) -> Option<Before> {
        Some(Before {
            uid: 0,
            gid: 0,
            mode: 0o644,
            sha256: Sha256::digest(content).into(),
            content: told.then(|| content.to_vec()),
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "the type of what is noted")]
    fn hash(content: &[u8]) -> Option<[u8; 32]> {
        Some(Sha256::digest(content).into())
    }

    #[test]
    fn several_edits_of_a_file_are_one() {
        let mut all = Replacements::default();
        let path = Path::new("/f");
        all.add(path, before(b"a", true), hash(b"a"));
        assert_eq!(all.files[0].before.as_ref().unwrap().content, None);
        all.add(path, before(b"a", true), hash(b"b"));
        all.add(path, before(b"b", true), hash(b"c"));
        all.add(path, before(b"c", true), None);
        let files = all.files();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].before, before(b"a", true));
        assert_eq!(files[0].after, None);
    }

    #[test]
    fn what_was_made_and_removed_is_nothing() {
        let mut all = Replacements::default();
        all.add(Path::new("/f"), None, hash(b"a"));
        all.add(Path::new("/f"), before(b"a", true), None);
        assert!(all.files().is_empty());
    }

    #[test]
    fn content_is_bounded() {
        let mut all = Replacements::default();
        let content = vec![b'x'; 1 << 20];
        for name in ["/a", "/b", "/c", "/d", "/e"] {
            all.add(Path::new(name), before(&content, true), None);
        }
        let told = all
            .files
            .iter()
            .filter(|it| len(it.before.as_ref().unwrap()) > 0);
        assert_eq!(told.count(), 4);
        assert_eq!(all.kept, Replaced::ALL_CONTENT_MAX);
    }
}
