//! What an edit would do, kept in mind; or that it would fail, in the applier's words.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use hostler_change::{
    Attrs, Content, Edit, Effect, Fetch, FileKind, Link, MakeDir, Owner, Remove, Run, Times,
    WriteFile,
};
use hostler_module_api::{FileStat, Follow, Inspect, ModuleError};
use hostler_protocol::Maker;
use hostler_value::Cause;
use rustix::io::Errno;

use super::Pending;
use super::files::{Body, Files, Found, Node, NodeId, Source, not_known, permits};
use crate::apply::cannot;
use crate::process::SBIN;

const SET_GROUP_ID: u32 = 0o2000;
/// Times so near to now mean "now".
const NOW_NS: i64 = 60_000_000_000;

/// Keeps edits of one task in mind.
pub(super) struct Recorder<'a> {
    pub(super) pending: &'a mut Pending,
    pub(super) real: &'a dyn Inspect,
    /// The task.
    pub(super) by: &'a Cause,
    /// Who makes the edits.
    pub(super) maker: Maker,
    /// May the maker do it? Not asked of edits of another agent, which has asked already.
    pub(super) checks: bool,
    /// Directories that a package may bring count as there.
    pub(super) supposing: bool,
    pub(super) dpkg: Option<hostler_probes::Dpkg>,
}

/// What an edit changes by itself.
fn path_of(edit: &Edit) -> Option<&Path> {
    match edit {
        Edit::WriteFile(write) => Some(&write.path),
        Edit::Remove(remove) => Some(&remove.path),
        Edit::MakeDir(dir) => Some(&dir.path),
        Edit::Link(link) => Some(&link.path),
        Edit::SetAttrs { path, .. } | Edit::SetTimes { path, .. } => Some(path),
        Edit::Fetch(fetch) => Some(&fetch.path),
        Edit::Run(_) => None,
    }
}

pub(super) type Recorded = Result<(), ModuleError>;

impl Recorder<'_> {
    /// # Errors
    /// What would make it fail, or that this is not known; part of it may be in `pending` then.
    pub(super) fn edit(&mut self, edit: &Edit) -> Recorded {
        self.keep(edit)?;
        if let Some(path) = path_of(edit) {
            let touched = (path.to_owned(), self.by.clone());
            self.pending.touched.push(touched);
        }
        Ok(())
    }

    fn keep(&mut self, edit: &Edit) -> Recorded {
        match edit {
            Edit::WriteFile(write) => self.write(write),
            Edit::Remove(remove) => self.remove(remove),
            Edit::MakeDir(dir) => self.make_dir(dir),
            Edit::Link(link) => self.link(link),
            Edit::SetAttrs {
                path,
                attrs,
                follow,
            } => {
                let follow = if *follow { Follow::Yes } else { Follow::No };
                let id = self.adopt("set attributes of", path, follow)?;
                self.set_attrs(path, id, attrs)
            }
            Edit::SetTimes { path, times } => self.set_times(path, times),
            Edit::Run(run) => self.run(run),
            Edit::Fetch(fetch) => self.fetch(fetch),
        }
    }

    fn find(&self, path: &Path, follow: Follow) -> Result<Found, ModuleError> {
        Ok(self.pending.files.find(self.real, path, follow)?)
    }

    /// Nothing is at a path: an error, or not known.
    fn absent(&self, what: &str, path: &Path, found: &Found) -> ModuleError {
        let by = self.pending.may_come(found);
        if by.is_empty() {
            let mut error = cannot(what, path, Errno::NOENT);
            error.unknown = self.pending.may_be_made(found);
            return error;
        }
        not_known(path.display().to_string(), by).into()
    }

    /// The inode at a path, made pending if it is the host's.
    fn adopt(&mut self, what: &str, path: &Path, follow: Follow) -> Result<NodeId, ModuleError> {
        let (place, stat) = match self.find(path, follow)? {
            Found::Node(_, id) => {
                if let Some(node) = self.pending.files.node_mut(id) {
                    node.by = self.by.clone();
                }
                return Ok(id);
            }
            Found::Real(place, stat) => (place, stat),
            found => return Err(self.absent(what, path, &found)),
        };
        let body = match stat.kind {
            FileKind::Dir => Body::Dir { real: true },
            FileKind::File => Body::File(Source::Real(place.clone())),
            FileKind::Other => Body::Other(place.clone()),
            FileKind::Link => match self.real.read_link(&place)? {
                Some(target) => Body::Link(target),
                None => return Err(cannot(what, path, Errno::NOENT)),
            },
        };
        Ok(self.put(place, stat, body))
    }

    fn put(&mut self, place: PathBuf, stat: FileStat, body: Body) -> NodeId {
        let by = self.by.clone();
        self.pending.files.put(place, Node { stat, body, by })
    }

    pub(super) fn stat_of(&self, found: &Found) -> Option<FileStat> {
        match found {
            Found::Node(_, id) => self.pending.files.node(*id).map(|node| node.stat.clone()),
            Found::Real(_, stat) => Some(stat.clone()),
            Found::Free(_) | Found::Nowhere(..) => None,
        }
    }

    /// Where a name is made, replaced or removed, and what has it now. The directory must let the user do that.
    fn place(&self, what: &str, path: &Path) -> Result<(PathBuf, Option<FileStat>), ModuleError> {
        let found = self.find(path, Follow::No)?;
        let old = self.stat_of(&found);
        let place = match found {
            Found::Node(place, _) | Found::Real(place, _) | Found::Free(place) => place,
            Found::Nowhere(ref missing, ref whole)
                if self.supposing && !self.pending.fog.over(missing, whole).is_empty() =>
            {
                return Ok((whole.clone(), None));
            }
            Found::Nowhere(..) => return Err(self.absent(what, path, &found)),
        };
        let me = self.real.identity();
        let dir = place.parent().unwrap_or(&place);
        let allowed = me.uid == 0
            || !self.checks
            || match self.find(dir, Follow::Yes)? {
                Found::Node(_, id) => {
                    let node = self.pending.files.node(id);
                    node.is_some_and(|node| permits(&node.stat, 3, me))
                }
                Found::Real(dir, _) => self.real.access(&dir, 3),
                Found::Free(_) | Found::Nowhere(..) => true,
            };
        if !allowed {
            return Err(cannot(what, path, Errno::ACCESS));
        }
        self.thawed(what, path, dir)?;
        if old.as_ref().is_some_and(|it| it.kind == FileKind::File) {
            self.thawed(if what == "write" { "replace" } else { what }, path, &place)?;
        }
        Ok((place, old))
    }

    /// What not even root may write to: something of a file system that is mounted read-only, or immutable
    /// (`chattr +i`).
    fn thawed(&self, what: &str, path: &Path, place: &Path) -> Recorded {
        let is_real = |path: &Path| matches!(self.real.stat(path, Follow::No), Ok(Some(_)));
        let root = self.checks && self.real.identity().uid == 0;
        if !root || !is_real(place) || self.real.access(place, 2) {
            return Ok(());
        }
        let dir = place.parent().unwrap_or(place);
        let above = self.real.access(dir, 2);
        Err(cannot(
            what,
            path,
            if above && dir != place {
                Errno::PERM
            } else {
                Errno::ROFS
            },
        ))
    }

    /// What a new inode has: the identity's owner, or the group of a directory that hands its own on. Its number and
    /// times are made up.
    fn new_stat(
        &self,
        place: &Path,
        kind: FileKind,
        mode: u32,
        size: u64,
    ) -> Result<FileStat, ModuleError> {
        let parent = self.find(place.parent().unwrap_or(place), Follow::Yes)?;
        let parent = self.stat_of(&parent);
        let me = self.maker;
        let handed = parent
            .as_ref()
            .filter(|it| it.st_mode & SET_GROUP_ID != 0)
            .map(|it| it.gid);
        let (kind_bits, inherited) = match kind {
            FileKind::Dir => (0o040_000, if handed.is_some() { SET_GROUP_ID } else { 0 }),
            FileKind::Link => (0o120_000, 0),
            FileKind::File | FileKind::Other => (0o100_000, 0),
        };
        Ok(FileStat {
            kind,
            st_mode: kind_bits | mode | inherited,
            uid: me.uid,
            gid: handed.unwrap_or(me.gid),
            size,
            dev: parent.map_or(0, |it| it.dev),
            ino: 0,
            nlink: if kind == FileKind::Dir { 2 } else { 1 },
            rdev: 0,
            blocks: size.div_ceil(4096) * 8,
            block_size: 4096,
            atime_ns: 0,
            mtime_ns: 0,
            ctime_ns: 0,
        })
    }

    fn set_attrs(&mut self, path: &Path, id: NodeId, attrs: &Attrs) -> Recorded {
        let uid = attrs.owner.as_ref().map(|it| self.uid(it)).transpose()?;
        let gid = attrs.group.as_ref().map(|it| self.gid(it)).transpose()?;
        let now = self.pending.files.node(id).map(|node| node.stat.clone());
        let changes = now.is_some_and(|now| {
            uid.is_some_and(|it| it != now.uid)
                || gid.is_some_and(|it| it != now.gid)
                || attrs.mode.is_some_and(|it| it != now.perm())
        });
        if changes {
            self.thawed("set attributes of", path, path)?;
        }
        let refused = self.checks && self.maker.uid != 0;
        let me = self.maker.uid;
        let Some(node) = self.pending.files.node_mut(id) else {
            return Ok(());
        };
        let stat = &mut node.stat;
        if refused && uid.is_some_and(|uid| uid != stat.uid) {
            return Err(cannot("change the owner of", path, Errno::PERM));
        }
        if refused && attrs.mode.is_some() && stat.uid != me {
            return Err(cannot("change the mode of", path, Errno::PERM));
        }
        stat.uid = uid.unwrap_or(stat.uid);
        stat.gid = gid.unwrap_or(stat.gid);
        if let Some(mode) = attrs.mode.filter(|_| stat.kind != FileKind::Link) {
            stat.st_mode = stat.st_mode & !0o7777 | mode & 0o7777;
        }
        stat.ctime_ns = Files::time_ns(id);
        Ok(())
    }

    fn uid(&self, owner: &Owner) -> Result<u32, ModuleError> {
        let name = match owner {
            Owner::Id(id) => return Ok(*id),
            Owner::Name(name) => name,
        };
        let found = self.pending.people.account(self.real, name)?;
        let failure = format!("chown failed: failed to look up user {name}");
        found.map(|it| it.uid).ok_or_else(|| self.nobody(failure))
    }

    pub(super) fn gid(&self, group: &Owner) -> Result<u32, ModuleError> {
        let name = match group {
            Owner::Id(id) => return Ok(*id),
            Owner::Name(name) => name,
        };
        let found = self.pending.people.group(self.real, name)?;
        let failure = format!("chgrp failed: failed to look up group {name}");
        found.map(|it| it.gid).ok_or_else(|| self.nobody(failure))
    }

    /// A failure, or unknown if a package may bring who is missing.
    pub(super) fn nobody(&self, failure: String) -> ModuleError {
        let mut error = ModuleError::new(failure);
        error.unknown = self.pending.fog.causes();
        error
            .unknown
            .extend(self.pending.unforeseen.iter().cloned());
        error
    }

    /// Content and its size.
    fn source(&self, content: &Content) -> Result<(Source, u64), ModuleError> {
        Ok(match content {
            Content::Bytes(bytes) => (Source::Bytes(bytes.as_slice().into()), bytes.len() as u64),
            Content::Blob { sha256, size } => {
                let (sha256, size) = (*sha256, *size);
                (Source::Blob { sha256, size }, size)
            }
            Content::HostFile(path) => match self.find(path, Follow::Yes)? {
                Found::Real(place, stat) => (Source::Real(place), stat.size),
                Found::Node(_, id) => match self.pending.files.node(id) {
                    Some(Node {
                        stat,
                        body: Body::File(source),
                        ..
                    }) => (source.clone(), stat.size),
                    _ => return Err(cannot("read", path, Errno::ISDIR)),
                },
                found => return Err(self.absent("read", path, &found)),
            },
        })
    }

    /// A new inode takes the name; it has the old one's owner and mode where nothing else is asked for.
    fn put_file(&mut self, path: &Path, source: Source, size: u64, attrs: &Attrs) -> Recorded {
        let (place, old) = self.place("write", path)?;
        if old.as_ref().is_some_and(|it| it.kind == FileKind::Dir) {
            return Err(cannot("write", path, Errno::ISDIR));
        }
        self.has_room(path, &place, size)?;
        let mode = 0o666 & !self.maker.umask;
        let mut stat = self.new_stat(&place, FileKind::File, mode, size)?;
        if let Some(old) = old.filter(|it| it.kind == FileKind::File) {
            (stat.uid, stat.gid) = (old.uid, old.gid);
            stat.st_mode = stat.st_mode & !0o7777 | old.perm();
        }
        let id = self.put(place, stat, Body::File(source));
        self.set_attrs(path, id, attrs)
    }

    /// Is there space for a file of so many bytes? What other pending files would take is not counted.
    fn has_room(&self, path: &Path, place: &Path, size: u64) -> Recorded {
        if !self.checks || size == 0 {
            return Ok(());
        }
        let mut dirs = place.ancestors().skip(1);
        let space = dirs.find_map(|dir| self.real.space(dir).ok().flatten());
        // File systems that do not count their blocks say that they have none at all.
        let Some(space) = space.filter(|it| it.blocks > 0) else {
            return Ok(());
        };
        let free = match self.maker.uid {
            0 => space.blocks_free,
            _ => space.blocks_available,
        };
        if space.fragment_size.saturating_mul(free) < size {
            return Err(cannot("write", path, Errno::NOSPC));
        }
        Ok(())
    }

    pub(super) fn write(&mut self, write: &WriteFile) -> Recorded {
        let (source, size) = self.source(&write.content)?;
        self.put_file(&write.path, source, size, &write.attrs)
    }

    /// What it holds afterwards is known only by its hash, if one was given.
    fn fetch(&mut self, fetch: &Fetch) -> Recorded {
        let hash = fetch.checksum.clone();
        self.put_file(&fetch.path, Source::Unknown { hash }, 0, &fetch.attrs)
    }

    /// A file whose content is not known.
    pub(super) fn unread_file(&mut self, path: &Path, attrs: &Attrs) -> Recorded {
        self.put_file(path, Source::Unknown { hash: None }, 0, attrs)
    }

    /// Something gets one more path; a directory without what is in it.
    pub(super) fn take_over(&mut self, old: &Path, new: &Path) -> Recorded {
        let (place, _) = self.place("write", new)?;
        let (stat, body) = match self.find(old, Follow::No)? {
            Found::Real(real, stat) => {
                let body = match stat.kind {
                    FileKind::File => Body::File(Source::Real(real)),
                    FileKind::Link => Body::Link(self.real.read_link(&real)?.unwrap_or_default()),
                    FileKind::Dir => Body::Dir { real: false },
                    FileKind::Other => Body::Other(real),
                };
                (stat, body)
            }
            Found::Node(_, id) => match self.pending.files.node(id).cloned() {
                Some(Node {
                    stat,
                    body: Body::Dir { .. },
                    ..
                }) => (stat, Body::Dir { real: false }),
                Some(Node { stat, body, .. }) => (stat, body),
                None => return Ok(()),
            },
            found => return Err(self.absent("move", old, &found)),
        };
        self.put(place, stat, body);
        Ok(())
    }

    fn make_dir(&mut self, dir: &MakeDir) -> Recorded {
        let what = "make directory";
        let found = self.find(&dir.path, Follow::No)?;
        let id = match self.stat_of(&found) {
            Some(stat) if stat.kind == FileKind::Dir => self.adopt(what, &dir.path, Follow::No)?,
            Some(_) => return Err(cannot(what, &dir.path, Errno::EXIST)),
            None => {
                let (place, _) = self.place(what, &dir.path)?;
                let mode = 0o777 & !self.maker.umask;
                let stat = self.new_stat(&place, FileKind::Dir, mode, 4096)?;
                self.put(place, stat, Body::Dir { real: false })
            }
        };
        self.set_attrs(&dir.path, id, &dir.attrs)
    }

    fn link(&mut self, link: &Link) -> Recorded {
        let (place, there) = self.place("make link", &link.path)?;
        if there.is_some_and(|it| it.kind == FileKind::Dir) {
            return Err(cannot("replace by a link", &link.path, Errno::ISDIR));
        }
        if link.hard {
            let id = self.adopt("make link", &link.target, Follow::No)?;
            self.pending.files.name(place, id);
            return Ok(());
        }
        let size = link.target.as_os_str().len() as u64;
        let stat = self.new_stat(&place, FileKind::Link, 0o777, size)?;
        self.put(place, stat, Body::Link(link.target.clone()));
        Ok(())
    }

    fn remove(&mut self, remove: &Remove) -> Recorded {
        let path = &remove.path;
        let found = self.find(path, Follow::No)?;
        if let Found::Free(_) | Found::Nowhere(..) = found {
            return Ok(());
        }
        let (place, old) = self.place("remove", path)?;
        let is_dir = old.is_some_and(|it| it.kind == FileKind::Dir);
        if is_dir && !remove.recursive {
            let names = self.pending.files.list(self.real, path)?;
            if names.is_some_and(|it| !it.is_empty()) {
                return Err(cannot("remove", path, Errno::NOTEMPTY));
            }
        }
        self.pending.files.remove(place);
        Ok(())
    }

    fn set_times(&mut self, path: &Path, times: &Times) -> Recorded {
        if let Found::Free(place) = self.find(path, Follow::Yes)? {
            self.put_file(&place, Source::Bytes([].into()), 0, &Attrs::default())?;
        }
        let id = self.adopt("touch", path, Follow::Yes)?;
        let since = self
            .real
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        // "Now" will be another time when it is done.
        let made_up = |ns: i64| {
            if (now - ns).abs() < NOW_NS {
                Files::time_ns(id)
            } else {
                ns
            }
        };
        if let Some(node) = self.pending.files.node_mut(id) {
            let stat = &mut node.stat;
            stat.atime_ns = times.atime_ns.map_or(stat.atime_ns, made_up);
            stat.mtime_ns = times.mtime_ns.map_or(stat.mtime_ns, made_up);
            stat.ctime_ns = Files::time_ns(id);
        }
        Ok(())
    }

    fn run(&mut self, run: &Run) -> Recorded {
        if self.checks && run.effects != [Effect::Unforeseen] {
            self.starts(run)?;
        }
        run.effects
            .iter()
            .try_for_each(|effect| self.effect(effect))
    }

    /// The program must be there.
    fn starts(&self, run: &Run) -> Recorded {
        let program = &run.program;
        let name = program.argv.first().map(String::as_str).unwrap_or_default();
        let there = |path: &Path| {
            let found = self.pending.files.find(self.real, path, Follow::Yes);
            !matches!(found, Ok(Found::Free(_) | Found::Nowhere(..)))
        };
        let all = self.real.identity().env.iter().chain(&program.env);
        let path = all
            .rev()
            .find(|(key, _)| key == "PATH")
            .map_or("", |(_, value)| value);
        let mut dirs = path.split(':').chain(SBIN.iter().copied());
        // A relative name, or one that is looked up elsewhere, is the applier's business.
        let known = name.starts_with('/') || !name.contains('/');
        if !known || there(Path::new(name)) && name.starts_with('/') {
            return Ok(());
        }
        if !name.contains('/') && dirs.any(|dir| there(&Path::new(dir).join(name))) {
            return Ok(());
        }
        let why = crate::host::plain(Errno::NOENT.into());
        Err(self.nobody(format!("Error executing command: {why}: {name}")))
    }
}
