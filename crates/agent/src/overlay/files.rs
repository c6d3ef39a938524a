//! Files that a preview would have made, changed or removed, and the way to them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use hostler_change::FileKind;
use hostler_module_api::{FileStat, Follow, Identity, Inspect, InspectError};
use hostler_value::Cause;
use rustix::io::Errno;

/// Symbolic links that are followed on the way to a file, as the kernel does.
const LINKS_MAX: usize = 40;
/// Names under here are made by the kernel for who looks (`/proc/self`, links to nameless pipes): the host itself
/// resolves them.
const KERNEL: &str = "/proc";
/// Inode numbers that a preview makes up start here: no real file system counts so far, and they fit a signed number.
const FIRST_INO: u64 = 1 << 52;
/// Times that a preview makes up start here, in the year 2255, one second for each inode.
const FIRST_TIME_S: i64 = 9_000_000_000;
const NS: i64 = 1_000_000_000;

/// Names a [`Node`].
pub(super) type NodeId = u64;

/// Pending names and what they name. Paths are absolute, and none of the directories on the way is a link.
#[derive(Clone, Default)]
pub(super) struct Files {
    /// `None`: removed.
    names: BTreeMap<PathBuf, Option<NodeId>>,
    nodes: HashMap<NodeId, Node>,
    last: NodeId,
}

/// An inode: several names are hard links.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) stat: FileStat,
    pub(super) body: Body,
    /// The task that made or changed it.
    pub(super) by: Cause,
}

/// What an inode holds.
#[derive(Clone)]
pub(super) enum Body {
    /// A directory. With `real`, the real one's entries are in it too, under the same path.
    Dir { real: bool },
    /// A file.
    File(Source),
    /// A symbolic link.
    Link(PathBuf),
    /// A device, socket or pipe of the host, with changed attributes.
    Other(PathBuf),
}

/// Where a pending file's content is.
#[derive(Clone)]
pub(super) enum Source {
    /// Here.
    Bytes(Arc<[u8]>),
    /// At the controller.
    Blob { sha256: [u8; 32], size: u64 },
    /// In a file of the host, whether or not the preview still shows that one.
    Real(PathBuf),
    /// Not known before it is there; its hash may be, by algorithm.
    Unknown { hash: Option<(String, String)> },
}

/// What a path leads to.
pub(super) enum Found {
    /// A pending inode, and the path without links on the way to it.
    Node(PathBuf, NodeId),
    /// Something of the host that no edit touched.
    Real(PathBuf, FileStat),
    /// Nothing, in a directory that is there.
    Free(PathBuf),
    /// Nothing, and no directory for it either: the first part that is missing, and all of the path. Both are empty if
    /// what is on the way is no directory.
    Nowhere(PathBuf, PathBuf),
}

impl Files {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// Follows a path through pending and real links and directories.
    pub(super) fn find(
        &self,
        real: &dyn Inspect,
        path: &Path,
        follow: Follow,
    ) -> Result<Found, InspectError> {
        let failed = |source| InspectError::Io {
            what: "resolve",
            path: path.to_owned(),
            source,
        };
        let whole = std::path::absolute(path).map_err(failed)?;
        let follow = follow == Follow::Yes || path.as_os_str().as_bytes().ends_with(b"/");
        let mut here = PathBuf::from("/");
        let mut found = self.at(real, here.clone())?;
        let mut left = parts(&whole);
        let mut links = 0;
        while let Some(part) = left.pop() {
            if !self.is_dir(&found) {
                return Ok(Found::Nowhere(PathBuf::new(), PathBuf::new()));
            }
            if part == ".." {
                here.pop();
                found = self.at(real, here.clone())?;
                continue;
            }
            let next = here.join(&part);
            self.may_pass(real, &found, &next)?;
            if next == Path::new(KERNEL) {
                return kernel(real, next, left, follow);
            }
            found = if self.is_made(&here) && !self.names.contains_key(&next) {
                Found::Free(next)
            } else {
                self.at(real, next)?
            };
            if (follow || !left.is_empty())
                && let Some(target) = self.link_target(real, &found)?
            {
                links += 1;
                if links > LINKS_MAX {
                    return Err(failed(Errno::LOOP.into()));
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                left.extend(parts(&target));
                found = self.at(real, here.clone())?;
                continue;
            }
            if let Found::Node(path, _) | Found::Real(path, _) = &found {
                here.clone_from(path);
            } else if let (Found::Free(missing), false) = (&found, left.is_empty()) {
                let whole = left
                    .iter()
                    .rev()
                    .fold(missing.clone(), |path, part| path.join(part));
                // Kept for a directory that a package will bring.
                return Ok(match self.names.get(&whole) {
                    Some(Some(id)) => Found::Node(whole, *id),
                    _ => Found::Nowhere(missing.clone(), whole),
                });
            }
        }
        Ok(found)
    }

    /// What is at a path that is known to lead through no links.
    fn at(&self, real: &dyn Inspect, path: PathBuf) -> Result<Found, InspectError> {
        Ok(match self.names.get(&path) {
            Some(Some(id)) => Found::Node(path, *id),
            Some(None) => Found::Free(path),
            None => match real.stat(&path, Follow::No)? {
                Some(stat) => Found::Real(path, stat),
                None => Found::Free(path),
            },
        })
    }

    fn is_dir(&self, found: &Found) -> bool {
        match found {
            Found::Node(_, id) => {
                let body = self.node(*id).map(|node| &node.body);
                matches!(body, Some(Body::Dir { .. }))
            }
            Found::Real(_, stat) => stat.kind == FileKind::Dir,
            Found::Free(_) | Found::Nowhere(..) => false,
        }
    }

    /// The way to pending things leads through directories that the host would not let this user pass.
    fn may_pass(&self, real: &dyn Inspect, dir: &Found, next: &Path) -> Result<(), InspectError> {
        let me = real.identity();
        let allowed = match dir {
            _ if me.uid == 0 || !self.names.contains_key(next) => true,
            Found::Node(_, id) => self
                .node(*id)
                .is_some_and(|node| permits(&node.stat, 1, me)),
            Found::Real(path, _) => real.access(path, 1),
            Found::Free(_) | Found::Nowhere(..) => true,
        };
        if allowed {
            Ok(())
        } else {
            Err(denied("stat", next))
        }
    }

    /// Has an edit decided that nothing is at a path?
    pub(super) fn is_decided(&self, path: &Path) -> bool {
        let under = path.parent().is_some_and(|dir| self.is_made(dir));
        under || path.ancestors().any(|it| self.names.get(it) == Some(&None))
    }

    /// The inode whose number, time or size a value is, if a preview made that up.
    pub(super) fn made_up(&self, value: i64) -> Option<&Node> {
        let number = u64::try_from(value).ok()?;
        let id = match number.checked_sub(FIRST_INO) {
            Some(id) => id,
            None => u64::try_from(value.checked_sub(FIRST_TIME_S)?).ok()?,
        };
        self.node(id)
    }

    /// A number that stands for one of this inode that is not known.
    pub(super) fn stand_in(id: NodeId) -> u64 {
        FIRST_INO + id
    }

    /// Likewise a time, in nanoseconds.
    pub(super) fn time_ns(id: NodeId) -> i64 {
        let seconds = i64::try_from(id)
            .ok()
            .and_then(|id| FIRST_TIME_S.checked_add(id));
        seconds
            .and_then(|it| it.checked_mul(NS))
            .unwrap_or(i64::MAX)
    }

    /// Is it a pending directory without a real one under it?
    fn is_made(&self, path: &Path) -> bool {
        let id = self.names.get(path).copied().flatten();
        let body = id.and_then(|id| self.node(id)).map(|node| &node.body);
        matches!(body, Some(Body::Dir { real: false }))
    }

    /// Where a link points, if it is one.
    pub(super) fn link_target(
        &self,
        real: &dyn Inspect,
        found: &Found,
    ) -> Result<Option<PathBuf>, InspectError> {
        match found {
            Found::Node(_, id) => Ok(match self.node(*id).map(|node| &node.body) {
                Some(Body::Link(target)) => Some(target.clone()),
                _ => None,
            }),
            Found::Real(path, stat) if stat.kind == FileKind::Link => real.read_link(path),
            _ => Ok(None),
        }
    }

    /// Names in a directory, sorted; `None` if there is none.
    pub(super) fn list(
        &self,
        real: &dyn Inspect,
        path: &Path,
    ) -> Result<Option<Vec<PathBuf>>, InspectError> {
        let (dir, in_real) = match self.find(real, path, Follow::Yes)? {
            Found::Node(dir, id) => match self.node(id) {
                Some(Node {
                    body: Body::Dir { real: in_real },
                    stat,
                    ..
                }) => {
                    if !permits(stat, 4, real.identity()) {
                        return Err(denied("list", path));
                    }
                    (dir, *in_real)
                }
                _ => return Ok(None),
            },
            Found::Real(dir, stat) if stat.kind == FileKind::Dir => (dir, true),
            _ => return Ok(None),
        };
        let mut names = if in_real {
            real.list_dir(&dir)?.unwrap_or_default()
        } else {
            Vec::new()
        };
        for (name, there) in self.names_in(&dir) {
            names.retain(|it| *it != name);
            if there {
                names.push(name);
            }
        }
        hostler_value::order::sort(&mut names);
        Ok(Some(names))
    }

    /// Pending names directly in a directory: there, or removed.
    fn names_in<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = (PathBuf, bool)> + 'a {
        // Paths are ordered by their parts, so what is below a directory follows it at once.
        let below = self.names.range(dir.to_owned()..);
        let below = below.take_while(move |(path, _)| path.starts_with(dir));
        let direct = below.filter(move |(path, _)| path.parent() == Some(dir));
        direct.filter_map(|(path, id)| Some((path.file_name()?.into(), id.is_some())))
    }

    /// Names a new inode, in place of what is there.
    pub(super) fn put(&mut self, path: PathBuf, mut node: Node) -> NodeId {
        self.last += 1;
        let stat = &mut node.stat;
        if stat.ino == 0 {
            stat.ino = Files::stand_in(self.last);
            stat.atime_ns = Files::time_ns(self.last);
            stat.mtime_ns = stat.atime_ns;
            stat.ctime_ns = stat.atime_ns;
        }
        if let Body::File(Source::Unknown { .. }) = node.body {
            stat.size = Files::stand_in(self.last);
        }
        self.nodes.insert(self.last, node);
        self.unname(&path);
        self.names.insert(path, Some(self.last));
        self.last
    }

    /// Gives an inode one more name, in place of what has it.
    pub(super) fn name(&mut self, path: PathBuf, id: NodeId) {
        if self.names.get(&path) == Some(&Some(id)) {
            return;
        }
        self.unname(&path);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.stat.nlink += 1;
        }
        self.names.insert(path, Some(id));
    }

    /// Removes a name and all below it.
    pub(super) fn remove(&mut self, path: PathBuf) {
        let below = self.names.range(path.clone()..);
        let below = below.take_while(|(it, _)| it.starts_with(&path));
        let below: Vec<PathBuf> = below.map(|(it, _)| it.clone()).collect();
        for name in below {
            self.unname(&name);
            self.names.remove(&name);
        }
        self.names.insert(path, None);
    }

    fn unname(&mut self, path: &Path) {
        let Some(id) = self.names.insert(path.to_owned(), None).flatten() else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(&id) {
            node.stat.nlink = node.stat.nlink.saturating_sub(1);
        }
        if !self.names.values().any(|it| *it == Some(id)) {
            self.nodes.remove(&id);
        }
    }
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let part = |it| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(part).collect()
}

fn kernel(
    real: &dyn Inspect,
    mut path: PathBuf,
    left: Vec<OsString>,
    follow: bool,
) -> Result<Found, InspectError> {
    path.extend(left.into_iter().rev());
    let follow = if follow { Follow::Yes } else { Follow::No };
    Ok(match real.stat(&path, follow)? {
        Some(stat) => Found::Real(path, stat),
        None => Found::Nowhere(PathBuf::new(), PathBuf::new()),
    })
}

/// A failure that says so: the user may not.
pub(super) fn denied(what: &'static str, path: &Path) -> InspectError {
    InspectError::Io {
        what,
        path: path.to_owned(),
        source: crate::host::plain(Errno::ACCESS.into()),
    }
}

/// Something of which an earlier task decides.
pub(super) fn not_known(what: impl Into<String>, by: Vec<Cause>) -> InspectError {
    let what = what.into();
    InspectError::Unknown { what, by }
}

/// By owner, group and mode, as the kernel without access lists and capabilities.
pub(super) fn permits(stat: &FileStat, wanted: u32, me: &Identity) -> bool {
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
