//! What an edit would do, kept in mind.
//!
//! An edit that would fail (its directory is not there) is not kept: what the plan could not know, a preview does not
//! know either.

use std::path::Path;
use std::time::UNIX_EPOCH;

use hostler_change::{
    Attrs, Content, Edit, Effect, Fetch, FileKind, Link, MakeDir, Owner, Times, UserEffect,
    WriteFile,
};
use hostler_module_api::{Account, Declared, FileStat, Follow, Group, Inspect, InspectError};
use hostler_value::Cause;

use super::Pending;
use super::files::{Body, Found, Node, NodeId, Source};

const SET_GROUP_ID: u32 = 0o2000;

/// Keeps an edit in mind.
pub(super) fn record(pending: &mut Pending, real: &dyn Inspect, by: &Cause, edit: &Edit) {
    let _ = Recorder { pending, real, by }.edit(edit);
}

struct Recorder<'a> {
    pending: &'a mut Pending,
    real: &'a dyn Inspect,
    by: &'a Cause,
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

/// `None`: the edit would fail.
type Recorded = Result<Option<()>, InspectError>;

impl Recorder<'_> {
    fn edit(&mut self, edit: &Edit) -> Recorded {
        let kept = self.keep(edit)?;
        if let (Some(()), Some(path)) = (kept, path_of(edit)) {
            let touched = (path.to_owned(), self.by.clone());
            self.pending.touched.push(touched);
        }
        Ok(kept)
    }

    fn keep(&mut self, edit: &Edit) -> Recorded {
        match edit {
            Edit::WriteFile(write) => self.write(write),
            Edit::Remove(remove) => self.remove(&remove.path),
            Edit::MakeDir(dir) => self.make_dir(dir),
            Edit::Link(link) => self.link(link),
            Edit::SetAttrs {
                path,
                attrs,
                follow,
            } => {
                let follow = if *follow { Follow::Yes } else { Follow::No };
                let id = self.adopt(path, follow)?;
                Ok(id.map(|id| self.set_attrs(id, attrs)))
            }
            Edit::SetTimes { path, times } => self.set_times(path, times),
            Edit::Run(run) => {
                for effect in &run.effects {
                    self.effect(effect)?;
                }
                Ok(Some(()))
            }
            Edit::Fetch(fetch) => self.fetch(fetch),
        }
    }

    fn find(&self, path: &Path, follow: Follow) -> Result<Found, InspectError> {
        self.pending.files.find(self.real, path, follow)
    }

    /// The inode at a path, made pending if it is the host's.
    fn adopt(&mut self, path: &Path, follow: Follow) -> Result<Option<NodeId>, InspectError> {
        let (place, stat) = match self.find(path, follow)? {
            Found::Node(_, id) => return Ok(Some(id)),
            Found::Real(place, stat) => (place, stat),
            Found::Free(_) | Found::Nowhere => return Ok(None),
        };
        let body = match stat.kind {
            FileKind::Dir => Body::Dir { real: true },
            FileKind::File => Body::File(Source::Real(place.clone())),
            FileKind::Other => Body::Other(place.clone()),
            FileKind::Link => match self.real.read_link(&place)? {
                Some(target) => Body::Link(target),
                None => return Ok(None),
            },
        };
        Ok(Some(self.pending.files.put(place, Node { stat, body })))
    }

    fn stat_of(&self, found: &Found) -> Option<FileStat> {
        match found {
            Found::Node(_, id) => self.pending.files.node(*id).map(|node| node.stat.clone()),
            Found::Real(_, stat) => Some(stat.clone()),
            Found::Free(_) | Found::Nowhere => None,
        }
    }

    /// What a new inode has: the identity's owner, or the group of a directory that hands its own on.
    fn new_stat(
        &self,
        place: &Path,
        kind: FileKind,
        mode: u32,
        size: u64,
    ) -> Result<FileStat, InspectError> {
        let parent = self.find(place.parent().unwrap_or(place), Follow::Yes)?;
        let parent = self.stat_of(&parent);
        let me = self.real.identity();
        let handed = parent
            .as_ref()
            .filter(|it| it.st_mode & SET_GROUP_ID != 0)
            .map(|it| it.gid);
        let (kind_bits, inherited) = match kind {
            FileKind::Dir => (0o040_000, if handed.is_some() { SET_GROUP_ID } else { 0 }),
            FileKind::Link => (0o120_000, 0),
            FileKind::File | FileKind::Other => (0o100_000, 0),
        };
        let now = self.now_ns();
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
            atime_ns: now,
            mtime_ns: now,
            ctime_ns: now,
        })
    }

    fn now_ns(&self) -> i64 {
        let since = self.real.now().duration_since(UNIX_EPOCH);
        since.map_or(0, |it| i64::try_from(it.as_nanos()).unwrap_or(i64::MAX))
    }

    fn set_attrs(&mut self, id: NodeId, attrs: &Attrs) {
        let uid = attrs.owner.as_ref().and_then(|it| self.uid(it));
        let gid = attrs.group.as_ref().and_then(|it| self.gid(it));
        let now = self.now_ns();
        let Some(node) = self.pending.files.node_mut(id) else {
            return;
        };
        let stat = &mut node.stat;
        stat.uid = uid.unwrap_or(stat.uid);
        stat.gid = gid.unwrap_or(stat.gid);
        if let Some(mode) = attrs.mode.filter(|_| stat.kind != FileKind::Link) {
            stat.st_mode = stat.st_mode & !0o7777 | mode & 0o7777;
        }
        stat.ctime_ns = now;
    }

    fn uid(&self, owner: &Owner) -> Option<u32> {
        match owner {
            Owner::Id(id) => Some(*id),
            Owner::Name(name) => {
                let found = self.pending.people.account(self.real, name).ok()??;
                Some(found.uid)
            }
        }
    }

    fn gid(&self, group: &Owner) -> Option<u32> {
        match group {
            Owner::Id(id) => Some(*id),
            Owner::Name(name) => {
                let found = self.pending.people.group(self.real, name).ok()??;
                Some(found.gid)
            }
        }
    }

    /// Content and its size.
    fn source(&self, content: &Content) -> Result<Option<(Source, u64)>, InspectError> {
        Ok(Some(match content {
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
                    }) => (source.clone(), stat.size),
                    _ => return Ok(None),
                },
                Found::Free(_) | Found::Nowhere => return Ok(None),
            },
        }))
    }

    /// A new inode takes the name; it has the old one's owner and mode where nothing else is asked for.
    fn put_file(&mut self, path: &Path, source: Source, size: u64, attrs: &Attrs) -> Recorded {
        let found = self.find(path, Follow::No)?;
        let old = self.stat_of(&found);
        let (Found::Node(place, _) | Found::Real(place, _) | Found::Free(place)) = found else {
            return Ok(None);
        };
        if old.as_ref().is_some_and(|it| it.kind == FileKind::Dir) {
            return Ok(None);
        }
        let mode = 0o666 & !self.real.identity().umask;
        let mut stat = self.new_stat(&place, FileKind::File, mode, size)?;
        if let Some(old) = old.filter(|it| it.kind == FileKind::File) {
            (stat.uid, stat.gid) = (old.uid, old.gid);
            stat.st_mode = stat.st_mode & !0o7777 | old.perm();
        }
        let body = Body::File(source);
        let id = self.pending.files.put(place, Node { stat, body });
        self.set_attrs(id, attrs);
        Ok(Some(()))
    }

    fn write(&mut self, write: &WriteFile) -> Recorded {
        let Some((source, size)) = self.source(&write.content)? else {
            return Ok(None);
        };
        self.put_file(&write.path, source, size, &write.attrs)
    }

    /// A file that is there counts as unchanged: whether a download differs is not known.
    fn fetch(&mut self, fetch: &Fetch) -> Recorded {
        if let Some(id) = self.adopt(&fetch.path, Follow::Yes)? {
            self.set_attrs(id, &fetch.attrs);
            return Ok(Some(()));
        }
        let source = Source::Unknown {
            hash: fetch.checksum.clone(),
        };
        self.put_file(&fetch.path, source, 0, &fetch.attrs)
    }

    fn make_dir(&mut self, dir: &MakeDir) -> Recorded {
        let id = match self.find(&dir.path, Follow::No)? {
            Found::Free(place) => {
                let mode = 0o777 & !self.real.identity().umask;
                let stat = self.new_stat(&place, FileKind::Dir, mode, 4096)?;
                let body = Body::Dir { real: false };
                Some(self.pending.files.put(place, Node { stat, body }))
            }
            Found::Real(_, stat) if stat.kind != FileKind::Dir => None,
            _ => self.adopt(&dir.path, Follow::No)?,
        };
        Ok(id.map(|id| self.set_attrs(id, &dir.attrs)))
    }

    fn link(&mut self, link: &Link) -> Recorded {
        let found = self.find(&link.path, Follow::No)?;
        let there = self.stat_of(&found);
        let (Found::Node(place, _) | Found::Real(place, _) | Found::Free(place)) = found else {
            return Ok(None);
        };
        if there.is_some_and(|it| it.kind == FileKind::Dir) {
            return Ok(None);
        }
        if link.hard {
            let Some(id) = self.adopt(&link.target, Follow::No)? else {
                return Ok(None);
            };
            self.pending.files.name(place, id);
            return Ok(Some(()));
        }
        let size = link.target.as_os_str().len() as u64;
        let stat = self.new_stat(&place, FileKind::Link, 0o777, size)?;
        let body = Body::Link(link.target.clone());
        self.pending.files.put(place, Node { stat, body });
        Ok(Some(()))
    }

    fn remove(&mut self, path: &Path) -> Recorded {
        if let Found::Node(place, _) | Found::Real(place, _) = self.find(path, Follow::No)? {
            self.pending.files.remove(place);
        }
        Ok(Some(()))
    }

    fn set_times(&mut self, path: &Path, times: &Times) -> Recorded {
        if let Found::Free(place) = self.find(path, Follow::Yes)? {
            self.put_file(&place, Source::Bytes([].into()), 0, &Attrs::default())?;
        }
        let Some(id) = self.adopt(path, Follow::Yes)? else {
            return Ok(None);
        };
        let now = self.now_ns();
        if let Some(node) = self.pending.files.node_mut(id) {
            let stat = &mut node.stat;
            stat.atime_ns = times.atime_ns.unwrap_or(stat.atime_ns);
            stat.mtime_ns = times.mtime_ns.unwrap_or(stat.mtime_ns);
            stat.ctime_ns = now;
        }
        Ok(Some(()))
    }

    fn effect(&mut self, effect: &Effect) -> Recorded {
        match effect {
            Effect::Edit(edit) => return self.edit(edit),
            Effect::Package { .. } | Effect::Unit(_) => {
                let (by, effect) = (self.by.clone(), effect.clone());
                self.pending.declared.push(Declared { by, effect });
            }
            Effect::User(user) => self.user(user)?,
            Effect::NoUser(name) => {
                self.pending.people.users.insert(name.clone(), None);
                for group in self.pending.people.groups(self.real)? {
                    if group.members.contains(name) {
                        self.member(name, &group.name, false)?;
                    }
                }
            }
            Effect::Group { name, gid } => {
                let people = &mut self.pending.people;
                let now = people.group(self.real, name)?;
                let mut group = match now.filter(|it| it.name == *name) {
                    Some(group) => group,
                    None => Group {
                        name: name.clone(),
                        gid: gid.unwrap_or_else(|| people.placeholder()),
                        members: Vec::new(),
                    },
                };
                group.gid = gid.unwrap_or(group.gid);
                people.groups.insert(name.clone(), Some(group));
            }
            Effect::NoGroup(name) => {
                self.pending.people.groups.insert(name.clone(), None);
            }
            Effect::Member {
                user,
                group,
                present,
            } => self.member(user, group, *present)?,
        }
        Ok(Some(()))
    }

    fn user(&mut self, effect: &UserEffect) -> Result<(), InspectError> {
        let gid = effect.group.as_ref().and_then(|it| self.gid(it));
        let people = &mut self.pending.people;
        let now = people.account(self.real, &effect.name)?;
        let mut account = match now.filter(|it| it.name == effect.name) {
            Some(account) => account,
            None => Account {
                name: effect.name.clone(),
                uid: effect.uid.unwrap_or_else(|| people.placeholder()),
                gid: gid.unwrap_or_else(|| people.placeholder()),
                gecos: String::new(),
                home: format!("/home/{}", effect.name),
                shell: "/bin/sh".into(),
            },
        };
        account.uid = effect.uid.unwrap_or(account.uid);
        account.gid = gid.unwrap_or(account.gid);
        for (field, value) in [
            (&mut account.gecos, &effect.gecos),
            (&mut account.home, &effect.home),
            (&mut account.shell, &effect.shell),
        ] {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        people.users.insert(effect.name.clone(), Some(account));
        Ok(())
    }

    fn member(&mut self, user: &str, group: &str, present: bool) -> Result<(), InspectError> {
        let people = &mut self.pending.people;
        let Some(mut group) = people.group(self.real, group)? else {
            return Ok(());
        };
        group.members.retain(|it| it != user);
        if present {
            group.members.push(user.to_owned());
        }
        people.groups.insert(group.name.clone(), Some(group));
        Ok(())
    }
}
