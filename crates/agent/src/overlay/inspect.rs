//! Looking through an overlay.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hostler_change::{CommandOutput, Content, FileKind, Program};
use hostler_module_api::{
    Account, Declared, FileStat, Follow, FsSpace, Group, Identity, Inspect, InspectError, Receive,
    digest,
};
use hostler_value::Cause;
use rustix::io::Errno;

use super::files::{Body, Found, Source, not_known};
use super::{OverlayHost, Pending};

/// Pending content from the controller that is larger is not hashed, unless its hash is known.
const HASHED_MAX: u64 = 256 << 20;

impl OverlayHost<'_> {
    /// The content at a path, through links.
    fn source(&self, pending: &Pending, path: &Path) -> Result<Option<Source>, InspectError> {
        let files = &pending.files;
        Ok(match files.find(self.real, path, Follow::Yes)? {
            Found::Node(_, id) => match files.node(id).map(|node| &node.body) {
                Some(Body::File(source)) => Some(source.clone()),
                Some(Body::Other(place)) => Some(Source::Real(place.clone())),
                Some(Body::Dir { .. }) => {
                    return Err(InspectError::Io {
                        what: "read",
                        path: path.to_owned(),
                        source: crate::host::plain(Errno::ISDIR.into()),
                    });
                }
                Some(Body::Link(_)) | None => None,
            },
            Found::Real(place, _) => Some(Source::Real(place)),
            Found::Free(_) | Found::Nowhere => None,
        })
    }
}

impl Inspect for OverlayHost<'_> {
    fn stat(&self, path: &Path, follow: Follow) -> Result<Option<FileStat>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.files.is_empty() {
            return self.real.stat(path, follow);
        }
        Ok(match pending.files.find(self.real, path, follow)? {
            Found::Node(_, id) => pending.files.node(id).map(|node| node.stat.clone()),
            Found::Real(_, stat) => Some(stat),
            Found::Free(_) | Found::Nowhere => None,
        })
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.files.is_empty() {
            return self.real.read(path, limit);
        }
        let too_large = || InspectError::TooLarge {
            path: path.to_owned(),
            limit,
        };
        match self.source(&pending, path)? {
            None => Ok(None),
            Some(Source::Bytes(bytes)) if bytes.len() as u64 > limit => Err(too_large()),
            Some(Source::Bytes(bytes)) => Ok(Some(bytes.to_vec())),
            Some(Source::Blob { size, .. }) if size > limit => Err(too_large()),
            Some(Source::Blob { sha256, size }) => {
                let blob = Content::Blob { sha256, size };
                self.real.content(&blob, limit).map(Some)
            }
            Some(Source::Real(place)) => self.real.read(&place, limit),
            Some(Source::Unknown { .. }) => Err(not_known(path)),
        }
    }

    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.files.is_empty() {
            return self.real.read_link(path);
        }
        let found = pending.files.find(self.real, path, Follow::No)?;
        pending.files.link_target(self.real, &found)
    }

    fn list_dir(&self, path: &Path) -> Result<Option<Vec<PathBuf>>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.files.is_empty() {
            return self.real.list_dir(path);
        }
        let files = &pending.files;
        let (dir, in_real) = match files.find(self.real, path, Follow::Yes)? {
            Found::Node(dir, id) => match files.node(id).map(|node| &node.body) {
                Some(Body::Dir { real }) => (dir, *real),
                _ => return Ok(None),
            },
            Found::Real(dir, stat) if stat.kind == FileKind::Dir => (dir, true),
            _ => return Ok(None),
        };
        let mut names = if in_real {
            self.real.list_dir(&dir)?.unwrap_or_default()
        } else {
            Vec::new()
        };
        for (name, there) in files.names_in(&dir) {
            names.retain(|it| *it != name);
            if there {
                names.push(name);
            }
        }
        names.sort();
        Ok(Some(names))
    }

    fn checksum(&self, path: &Path, algorithm: &str) -> Result<Option<String>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.files.is_empty() {
            return self.real.checksum(path, algorithm);
        }
        let hash = |bytes: &[u8]| {
            digest(bytes, algorithm).map(Some).ok_or_else(|| {
                let words = format!("unknown hash {algorithm}");
                InspectError::Io {
                    what: "hash",
                    path: path.to_owned(),
                    source: io::Error::new(io::ErrorKind::InvalidInput, words),
                }
            })
        };
        match self.source(&pending, path)? {
            None => Ok(None),
            Some(Source::Bytes(bytes)) => hash(&bytes),
            Some(Source::Blob { sha256, .. }) if algorithm == "sha256" => {
                Ok(Some(crate::lane::hex(&sha256)))
            }
            Some(Source::Blob { sha256, size }) => {
                let blob = Content::Blob { sha256, size };
                hash(&self.real.content(&blob, HASHED_MAX)?)
            }
            Some(Source::Real(place)) => self.real.checksum(&place, algorithm),
            Some(Source::Unknown {
                hash: Some((known, value)),
            }) if known == algorithm => Ok(Some(value)),
            Some(Source::Unknown { .. }) => Err(not_known(path)),
        }
    }

    /// Of the nearest directory that is on the host.
    fn space(&self, path: &Path) -> Result<Option<FsSpace>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.files.is_empty() {
            return self.real.space(path);
        }
        let found = pending.files.find(self.real, path, Follow::Yes)?;
        let (Found::Node(place, _) | Found::Real(place, _)) = found else {
            return Ok(None);
        };
        for dir in place.ancestors() {
            let space = self.real.space(dir)?;
            if space.is_some() {
                return Ok(space);
            }
        }
        Ok(None)
    }

    fn access(&self, path: &Path, mode: u32) -> bool {
        let pending = self.overlay.snapshot();
        if pending.files.is_empty() {
            return self.real.access(path, mode);
        }
        match pending.files.find(self.real, path, Follow::Yes) {
            Ok(Found::Real(place, _)) => self.real.access(&place, mode),
            Ok(Found::Node(_, id)) => {
                let node = pending.files.node(id);
                node.is_some_and(|node| permits(&node.stat, mode, self.real.identity()))
            }
            Ok(Found::Free(_) | Found::Nowhere) | Err(_) => false,
        }
    }

    /// Programs see the host itself.
    fn look(&self, program: &Program) -> Result<CommandOutput, InspectError> {
        self.real.look(program)
    }

    fn content(&self, content: &Content, limit: u64) -> Result<Vec<u8>, InspectError> {
        match content {
            Content::HostFile(path) => self.read(path, limit)?.ok_or_else(|| InspectError::Io {
                what: "read",
                path: path.clone(),
                source: io::ErrorKind::NotFound.into(),
            }),
            Content::Bytes(_) | Content::Blob { .. } => self.real.content(content, limit),
        }
    }

    fn payload(&self) -> Option<&Content> {
        self.real.payload()
    }

    fn identity(&self) -> &Identity {
        self.real.identity()
    }

    fn accounts(&self) -> Result<Vec<Account>, InspectError> {
        self.overlay.snapshot().people.accounts(self.real)
    }

    fn groups(&self) -> Result<Vec<Group>, InspectError> {
        self.overlay.snapshot().people.groups(self.real)
    }

    fn account(&self, name_or_uid: &str) -> Result<Option<Account>, InspectError> {
        let pending = self.overlay.snapshot();
        pending.people.account(self.real, name_or_uid)
    }

    fn group(&self, name_or_gid: &str) -> Result<Option<Group>, InspectError> {
        let pending = self.overlay.snapshot();
        pending.people.group(self.real, name_or_gid)
    }

    fn declared(&self) -> Vec<Declared> {
        self.overlay.snapshot().declared.clone()
    }

    fn pending(&self, path: &Path) -> Vec<Cause> {
        let pending = self.overlay.snapshot();
        let below = pending.touched.iter().filter(|it| it.0.starts_with(path));
        let mut by: Vec<Cause> = below.map(|it| it.1.clone()).collect();
        by.dedup();
        by
    }

    fn can_connect(&self, host: &str, port: u16, timeout: Duration) -> bool {
        self.real.can_connect(host, port, timeout)
    }

    fn receive(
        &self,
        host: &str,
        port: u16,
        bounds: Receive,
        enough: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, InspectError> {
        self.real.receive(host, port, bounds, enough)
    }

    fn now(&self) -> SystemTime {
        self.real.now()
    }

    fn sleep(&self, time: Duration) -> Result<(), InspectError> {
        self.real.sleep(time)
    }
}

/// By owner, group and mode, as the kernel without access lists and capabilities.
fn permits(stat: &FileStat, wanted: u32, me: &Identity) -> bool {
    let mode = stat.perm();
    if me.uid == 0 {
        return wanted & 1 == 0 || stat.kind == FileKind::Dir || mode & 0o111 != 0;
    }
    let groups = rustix::process::getgroups().unwrap_or_default();
    let in_group = stat.gid == me.gid || groups.iter().any(|it| it.as_raw() == stat.gid);
    let bits = match (stat.uid == me.uid, in_group) {
        (true, _) => mode >> 6,
        (false, true) => mode >> 3,
        (false, false) => mode,
    };
    bits & wanted & 7 == wanted & 7
}
