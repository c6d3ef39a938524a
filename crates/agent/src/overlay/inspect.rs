//! Looking through an overlay.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use hostler_change::{CommandOutput, Content, Program};
use hostler_module_api::{
    Account, Declared, FileStat, Follow, FsSpace, Group, Identity, Inspect, InspectError, Receive,
    digest,
};
use hostler_value::Cause;
use rustix::io::Errno;

use super::files::{Body, Found, Source, denied, not_known, permits};
use super::views::View;
use super::{Overlay, OverlayHost, Pending, reveal};

/// Pending content from the controller that is larger is not hashed, unless its hash is known.
const HASHED_MAX: u64 = 256 << 20;

impl<'a> OverlayHost<'a> {
    pub(super) fn new(real: &'a dyn Inspect, overlay: &'a Overlay) -> Self {
        OverlayHost {
            real,
            overlay,
            task: 0,
            missed: RefCell::default(),
            supposing: None,
        }
    }

    /// Remembers that the module may draw wrong conclusions, and says that something is not known.
    fn unknown(&self, what: impl Into<String>, by: Vec<Cause>) -> InspectError {
        self.missed.borrow_mut().extend(by.iter().cloned());
        not_known(what, by)
    }

    /// Nothing is at a path; an error if a package may bring something. While that is supposed not to be so: does it
    /// count as a directory?
    fn absent(&self, pending: &Pending, path: &Path, found: &Found) -> Result<bool, InspectError> {
        let by = pending.may_come(found);
        if by.is_empty() {
            self.missed.borrow_mut().extend(pending.may_be_made(found));
            return Ok(false);
        }
        let Some(first) = &self.supposing else {
            return Err(self.unknown(path.display().to_string(), by));
        };
        let mut first = first.borrow_mut();
        let first = first.get_or_insert_with(|| path.to_owned());
        Ok(first.starts_with(path) && first != path)
    }

    /// A user or group is not there; an error if a package may bring it.
    fn nobody(&self, pending: &Pending, kind: &str, name: &str) -> Result<(), InspectError> {
        let by = pending.fog.causes();
        self.missed
            .borrow_mut()
            .extend(pending.unforeseen.iter().cloned());
        if by.is_empty() || name.parse::<u32>().is_ok() || self.supposing.is_some() {
            return Ok(());
        }
        Err(self.unknown(format!("{kind} {name}"), by))
    }

    /// The content at a path, through links.
    fn source(&self, pending: &Pending, path: &Path) -> Result<Option<Held>, InspectError> {
        let files = &pending.files;
        let held = |source, place, by| Some(Held { source, place, by });
        Ok(match files.find(self.real, path, Follow::Yes)? {
            Found::Node(place, id) => {
                let Some(node) = files.node(id) else {
                    return Ok(None);
                };
                if !permits(&node.stat, 4, self.real.identity()) {
                    return Err(denied("read", path));
                }
                let by = Some(node.by.clone());
                match &node.body {
                    Body::File(source) => held(source.clone(), place, by),
                    Body::Other(real) => held(Source::Real(real.clone()), place, by),
                    Body::Dir { .. } => {
                        return Err(InspectError::Io {
                            what: "read",
                            path: path.to_owned(),
                            source: crate::host::plain(Errno::ISDIR.into()),
                        });
                    }
                    Body::Link(_) => None,
                }
            }
            Found::Real(place, _) => held(Source::Real(place.clone()), place, None),
            found => {
                self.absent(pending, path, &found)?;
                None
            }
        })
    }

    /// What the host itself says of something that a preview lets this user read: if the host does not, yet, it is
    /// not known.
    fn lent<T>(
        &self,
        path: &Path,
        by: Option<Cause>,
        said: Result<T, InspectError>,
    ) -> Result<T, InspectError> {
        match (said, by) {
            (Err(InspectError::Io { source, .. }), Some(by))
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Err(self.unknown(path.display().to_string(), vec![by]))
            }
            (said, _) => said,
        }
    }
}

/// A content, and what holds it.
struct Held {
    source: Source,
    place: PathBuf,
    /// Who made or changed it in this preview.
    by: Option<Cause>,
}

impl Inspect for OverlayHost<'_> {
    fn stat(&self, path: &Path, follow: Follow) -> Result<Option<FileStat>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.changes_no_files() {
            return self.real.stat(path, follow);
        }
        Ok(match pending.files.find(self.real, path, follow)? {
            Found::Node(_, id) => pending.files.node(id).map(|node| node.stat.clone()),
            Found::Real(_, stat) => Some(stat),
            found if self.absent(&pending, path, &found)? => {
                self.real.stat(Path::new("/etc"), Follow::Yes)?
            }
            Found::Free(_) | Found::Nowhere(..) => None,
        })
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, InspectError> {
        if path == Path::new(reveal::UUID) {
            let count = self.overlay.names.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(reveal::uuid(self.task, count)));
        }
        let pending = self.overlay.snapshot();
        if pending.changes_no_files() {
            return self.real.read(path, limit);
        }
        let too_large = || InspectError::TooLarge {
            path: path.to_owned(),
            limit,
        };
        let Some(held) = self.source(&pending, path)? else {
            return Ok(None);
        };
        let bytes = match held.source {
            Source::Bytes(bytes) if bytes.len() as u64 > limit => return Err(too_large()),
            Source::Bytes(bytes) => Some(bytes.to_vec()),
            Source::Blob { size, .. } if size > limit => return Err(too_large()),
            Source::Blob { sha256, size } => {
                let blob = Content::Blob { sha256, size };
                self.real.content(&blob, limit).map(Some)?
            }
            Source::Real(place) => self.lent(path, held.by, self.real.read(&place, limit))?,
            Source::Unknown { .. } => {
                let by = held.by.into_iter().collect();
                return Err(self.unknown(path.display().to_string(), by));
            }
        };
        let view = View::of(&held.place).filter(|_| !pending.people.is_empty());
        Ok(match (bytes, view) {
            (Some(bytes), Some(view)) => Some(view.show(self.real, &pending.people, &bytes)),
            (bytes, _) => bytes,
        })
    }

    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.changes_no_files() {
            return self.real.read_link(path);
        }
        let found = pending.files.find(self.real, path, Follow::No)?;
        self.absent(&pending, path, &found)?;
        pending.files.link_target(self.real, &found)
    }

    fn list_dir(&self, path: &Path) -> Result<Option<Vec<PathBuf>>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.changes_no_files() {
            return self.real.list_dir(path);
        }
        let names = pending.files.list(self.real, path)?;
        if names.is_none() {
            let found = pending.files.find(self.real, path, Follow::Yes)?;
            self.absent(&pending, path, &found)?;
        }
        Ok(names)
    }

    fn checksum(&self, path: &Path, algorithm: &str) -> Result<Option<String>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.changes_no_files() {
            return self.real.checksum(path, algorithm);
        }
        if View::of(path).is_some() && !pending.people.is_empty() {
            let bytes = self.read(path, HASHED_MAX)?;
            return Ok(bytes.and_then(|it| digest(&it, algorithm)));
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
        let Some(held) = self.source(&pending, path)? else {
            return Ok(None);
        };
        match held.source {
            Source::Bytes(bytes) => hash(&bytes),
            Source::Blob { sha256, .. } if algorithm == "sha256" => {
                Ok(Some(crate::lane::hex(&sha256)))
            }
            Source::Blob { sha256, size } => {
                let blob = Content::Blob { sha256, size };
                hash(&self.real.content(&blob, HASHED_MAX)?)
            }
            Source::Real(place) => self.lent(path, held.by, self.real.checksum(&place, algorithm)),
            Source::Unknown {
                hash: Some((known, value)),
            } if known == algorithm => Ok(Some(value)),
            Source::Unknown { .. } => {
                let by = held.by.into_iter().collect();
                Err(self.unknown(path.display().to_string(), by))
            }
        }
    }

    /// Of the nearest directory that is on the host.
    fn space(&self, path: &Path) -> Result<Option<FsSpace>, InspectError> {
        let pending = self.overlay.snapshot();
        if pending.changes_no_files() {
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
        if pending.changes_no_files() {
            return self.real.access(path, mode);
        }
        match pending.files.find(self.real, path, Follow::Yes) {
            Ok(Found::Real(place, _)) => self.real.access(&place, mode),
            Ok(Found::Node(_, id)) => {
                let node = pending.files.node(id);
                node.is_some_and(|node| permits(&node.stat, mode, self.real.identity()))
            }
            // A failure of the module may come of this answer.
            Ok(found) => self.absent(&pending, path, &found).unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Programs see the host itself. One that an earlier task would make, that a package may bring, or that is asked
    /// about a file which the preview would make, says nothing yet.
    fn look(&self, program: &Program) -> Result<CommandOutput, InspectError> {
        let pending = self.overlay.snapshot();
        let name = program.argv.first().map(String::as_str).unwrap_or_default();
        for word in program.argv.iter().filter(|it| it.starts_with('/')) {
            let path = Path::new(word);
            let Ok(Found::Node(place, id)) = pending.files.find(self.real, path, Follow::Yes)
            else {
                continue;
            };
            let Some(node) = pending.files.node(id) else {
                continue;
            };
            // What only gets another owner or mode is on the host.
            let there = match &node.body {
                Body::File(Source::Real(real)) => *real == place,
                Body::Dir { real } => *real,
                _ => false,
            };
            if !there {
                return Err(self.unknown(format!("what {name} says"), vec![node.by.clone()]));
            }
        }
        match self.real.look(program) {
            Err(InspectError::Spawn { source, .. })
                if source.kind() == io::ErrorKind::NotFound && !pending.fog.causes().is_empty() =>
            {
                Err(self.unknown(format!("program {name}"), pending.fog.causes()))
            }
            said => {
                if said.is_err() {
                    self.missed
                        .borrow_mut()
                        .extend(pending.unforeseen.iter().cloned());
                }
                said
            }
        }
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
        let found = pending.people.account(self.real, name_or_uid)?;
        if found.is_none() {
            self.nobody(&pending, "user", name_or_uid)?;
        }
        Ok(found)
    }

    fn group(&self, name_or_gid: &str) -> Result<Option<Group>, InspectError> {
        let pending = self.overlay.snapshot();
        let found = pending.people.group(self.real, name_or_gid)?;
        if found.is_none() {
            self.nobody(&pending, "group", name_or_gid)?;
        }
        Ok(found)
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

    fn supposing(&self) -> bool {
        self.supposing.is_some()
    }

    fn unforeseen(&self) -> Vec<Cause> {
        self.overlay.snapshot().unforeseen.clone()
    }

    fn new_packages(&self) -> Vec<Cause> {
        self.overlay.snapshot().fog.causes()
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
