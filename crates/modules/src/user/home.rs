//! The home directory of an account: its parents, and its files where it is missing.

use std::path::{Path, PathBuf};

use hostler_module_api::prelude::*;
use hostler_module_api::{Account, Inspect};

use super::Args;

/// Bounds of a skeleton, which is small.
const ENTRIES_MAX: usize = 4096;
const DEPTH_MAX: usize = 16;

/// What is missing.
#[derive(Default)]
pub(crate) struct Home {
    /// Directories above a new home that are not there, outermost first.
    parents: Vec<PathBuf>,
    /// The home itself, if it is not there.
    missing: Option<PathBuf>,
    /// The old home is there, and nothing is in the new one's place.
    moves: bool,
    /// Permissions of a new home.
    mode: u32,
    /// What the skeleton holds: path below the home, kind, target of a link, mode.
    skeleton: Vec<(PathBuf, Entry)>,
}

enum Entry {
    Dir(u32),
    File(PathBuf, u32),
    Link(PathBuf),
}

/// Looks whether the home is there.
pub(super) fn look(args: &Args, account: Option<&Account>, host: &dyn Inspect) -> Result<Home, ModuleError> {
    let named = args.home.as_deref().or(account.map(|it| it.home.as_str()));
    let path = named.map_or_else(|| usual(args, host), PathBuf::from);
    if !args.create_home || !path.is_absolute() {
        return Ok(Home::default());
    }
    let mut home = Home::default();
    if host.stat(&path, Follow::Yes)?.is_some() {
        return Ok(home);
    }
    for parent in path.ancestors().skip(1).take_while(|_| named.is_some()) {
        if host.stat(parent, Follow::Yes)?.is_some() {
            break;
        }
        home.parents.insert(0, parent.to_owned());
    }
    if let Some(account) = account {
        let moved = args.move_home && account.home != path.to_string_lossy();
        home.moves = moved && host.stat(Path::new(&account.home), Follow::Yes)?.is_some();
        if home.moves {
            return Ok(home);
        }
    }
    home.mode = mode_of(args, host);
    let skeleton = args.skeleton.as_deref().unwrap_or("/etc/skel");
    walk(Path::new(skeleton), Path::new(""), host, &mut home.skeleton, 0)?;
    home.missing = Some(path);
    Ok(home)
}

/// Where useradd(8) puts the home of a new account.
fn usual(args: &Args, host: &dyn Inspect) -> PathBuf {
    let defaults = hostler_probes::text(host, "/etc/default/useradd").unwrap_or_default();
    let base = defaults.lines().find_map(|line| line.strip_prefix("HOME="));
    Path::new(base.map_or("/home", str::trim)).join(&args.name)
}

/// As useradd(8): `HOME_MODE`, else what `UMASK` leaves, else 0755.
fn mode_of(args: &Args, host: &dyn Inspect) -> u32 {
    let defs = hostler_probes::text(host, "/etc/login.defs").unwrap_or_default();
    let setting = |name: &str| {
        let mut words = defs.lines().map(str::split_whitespace);
        let value = words.find_map(|mut it| if it.next() == Some(name) { it.next() } else { None });
        value.and_then(|it| u32::from_str_radix(it, 8).ok())
    };
    let umask = args.umask.as_deref().and_then(|it| u32::from_str_radix(it, 8).ok());
    let masked = |umask: u32| 0o777 & !umask;
    umask
        .map(masked)
        .or_else(|| setting("HOME_MODE"))
        .or_else(|| setting("UMASK").map(masked))
        .unwrap_or(0o755)
}

fn walk(
    dir: &Path,
    below: &Path,
    host: &dyn Inspect,
    out: &mut Vec<(PathBuf, Entry)>,
    depth: usize,
) -> Result<(), ModuleError> {
    if depth > DEPTH_MAX || out.len() > ENTRIES_MAX {
        return Err(ModuleError::new(format!("the skeleton {} is too large", dir.display())));
    }
    for name in host.list_dir(dir)?.unwrap_or_default() {
        let (path, below) = (dir.join(&name), below.join(&name));
        let Some(stat) = host.stat(&path, Follow::No)? else { continue };
        match stat.kind {
            FileKind::Dir => {
                out.push((below.clone(), Entry::Dir(stat.perm())));
                walk(&path, &below, host, out, depth + 1)?;
            }
            FileKind::File => out.push((below, Entry::File(path, stat.perm()))),
            FileKind::Link => out.extend(host.read_link(&path)?.map(|target| (below, Entry::Link(target)))),
            FileKind::Other => {}
        }
    }
    Ok(())
}

impl Home {
    /// Would `usermod -m` move it?
    pub(super) fn moves(&self) -> bool {
        self.moves
    }

    /// Plans the directories above the home, which `useradd` of older hosts does not make.
    pub(super) fn make_parents(&self, plan: &mut Plan) {
        for parent in &self.parents {
            let attrs = Attrs { mode: Some(0o755), ..Attrs::default() };
            let delta = Delta::field(parent.display().to_string(), "state", "absent", "directory");
            plan.push(delta, Edit::MakeDir(hostler_change::MakeDir { path: parent.clone(), attrs }));
        }
    }

    /// Plans a missing home of an account that is there.
    pub(super) fn make(&self, account: &Account, plan: &mut Plan) {
        let Some(home) = &self.missing else { return };
        self.make_parents(plan);
        let edits = self.edits(&Owner::Id(account.uid), &Owner::Id(account.gid));
        let below = self.skeleton.iter().map(|(below, _)| (home.join(below), "present"));
        let paths = std::iter::once((home.clone(), "directory")).chain(below);
        for ((path, state), edit) in paths.zip(edits) {
            plan.push(Delta::field(path.display().to_string(), "state", "absent", state), edit);
        }
    }

    /// What makes a missing home: its directory, then what the skeleton holds.
    pub(super) fn edits(&self, owner: &Owner, group: &Owner) -> Vec<Edit> {
        let Some(home) = &self.missing else { return Vec::new() };
        let attrs =
            |mode: u32| Attrs { owner: Some(owner.clone()), group: Some(group.clone()), mode: Some(mode) };
        let dir = |path: PathBuf, mode| Edit::MakeDir(hostler_change::MakeDir { path, attrs: attrs(mode) });
        let mut edits = vec![dir(home.clone(), self.mode)];
        for (below, entry) in &self.skeleton {
            let path = home.join(below);
            edits.push(match entry {
                Entry::Dir(mode) => dir(path, *mode),
                Entry::Link(target) => {
                    Edit::Link(hostler_change::Link { path, target: target.clone(), hard: false })
                }
                Entry::File(source, mode) => Edit::WriteFile(WriteFile {
                    path,
                    content: Content::HostFile(source.clone()),
                    attrs: attrs(*mode),
                    backup: false,
                    validate: None,
                    unsafe_writes: false,
                }),
            });
        }
        edits
    }
}
