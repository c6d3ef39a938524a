//! Files that a preview would have made, changed or removed, and the way to them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use hostler_change::FileKind;
use hostler_module_api::{FileStat, Follow, Inspect, InspectError};
use rustix::io::Errno;

/// Symbolic links that are followed on the way to a file, as the kernel does.
const LINKS_MAX: usize = 40;
/// Names under here are made by the kernel for who looks (`/proc/self`, links to nameless pipes): the host itself
/// resolves them.
const KERNEL: &str = "/proc";
/// Inode numbers that a preview makes up start here: no real file system counts so far, and they fit a signed number.
const FIRST_INO: u64 = 1 << 52;

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
    /// Nothing, and no directory for it either.
    Nowhere,
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
                return Ok(Found::Nowhere);
            }
            if part == ".." {
                here.pop();
                found = self.at(real, here.clone())?;
                continue;
            }
            let next = here.join(&part);
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
            } else if !left.is_empty() {
                return Ok(Found::Nowhere);
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
            Found::Free(_) | Found::Nowhere => false,
        }
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

    /// Pending names directly in a directory: there, or removed.
    pub(super) fn names_in<'a>(
        &'a self,
        dir: &'a Path,
    ) -> impl Iterator<Item = (PathBuf, bool)> + 'a {
        // Paths are ordered by their parts, so what is below a directory follows it at once.
        let below = self.names.range(dir.to_owned()..);
        let below = below.take_while(move |(path, _)| path.starts_with(dir));
        let direct = below.filter(move |(path, _)| path.parent() == Some(dir));
        direct.filter_map(|(path, id)| Some((path.file_name()?.into(), id.is_some())))
    }

    /// Names a new inode, in place of what is there.
    pub(super) fn put(&mut self, path: PathBuf, mut node: Node) -> NodeId {
        self.last += 1;
        if node.stat.ino == 0 {
            node.stat.ino = FIRST_INO + self.last;
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
        None => Found::Nowhere,
    })
}

/// A failure to look at something whose content is not known yet.
pub(super) fn not_known(path: &Path) -> InspectError {
    let words = "its content is known only when an earlier task has downloaded it";
    InspectError::Io {
        what: "read",
        path: path.to_owned(),
        source: io::Error::other(words),
    }
}
