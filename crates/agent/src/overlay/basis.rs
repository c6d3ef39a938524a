//! What the edits of a preview rest on: the host's own state of everything that they touch.
//!
//! A plan file keeps it, so that a host that has moved meanwhile is known by name. Looked at is the host itself, not the
//! overlay: what an earlier edit of the preview touched is that edit's result and says nothing about the host.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostler_change::{Basis, Edit, Effect, FileKind, Planned, Program};
use hostler_module_api::{FileStat, Follow, Inspect};
use hostler_value::{Map, Value};

/// Files up to this size (bytes) are known by their content; larger ones by size and time of change.
const HASHED_MAX: u64 = 64 << 20;
/// Longest value (bytes) of a kernel parameter.
const LINE_MAX: u64 = 64 << 10;
/// Where Debian's cron keeps crontabs, crontab(1).
const CRONTABS: &str = "/var/spool/cron/crontabs";
/// Largest file (bytes) that the package manager's state is read from.
const STATUS_MAX: u64 = 64 << 20;

/// What edits of this preview have touched so far.
#[derive(Default)]
pub(super) struct Touched(Mutex<HashSet<String>>);

impl Clone for Touched {
    fn clone(&self) -> Self {
        Touched(Mutex::new(self.lock().clone()))
    }
}

/// Something of a host that an edit touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing<'a> {
    Path(&'a Path),
    User(&'a str),
    Group(&'a str),
    Package(&'a str),
    Unit(&'a str),
    KernelParameter(&'a str),
    HostName,
    Crontab(&'a str),
}

impl Touched {
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another agent's edit touched this.
    pub(super) fn note(&self, edit: &Edit) {
        self.lock().extend(things(edit).iter().map(Thing::subject));
    }

    /// The state of what `edits` touch and nothing touched before them.
    pub(super) fn basis(&self, real: &dyn Inspect, edits: &[Planned]) -> Vec<Basis> {
        let mut touched = self.lock();
        let mut basis = Vec::new();
        for planned in edits {
            for thing in things(&planned.edit) {
                let subject = thing.subject();
                if touched.insert(subject.clone()) {
                    let was = thing.state(real);
                    basis.push(Basis { subject, was });
                }
            }
        }
        basis
    }
}

/// What an edit touches.
fn things(edit: &Edit) -> Vec<Thing<'_>> {
    match edit {
        Edit::WriteFile(it) => vec![Thing::Path(&it.path)],
        Edit::Remove(it) => vec![Thing::Path(&it.path)],
        Edit::MakeDir(it) => vec![Thing::Path(&it.path)],
        Edit::Link(it) => vec![Thing::Path(&it.path)],
        Edit::SetAttrs { path, .. } | Edit::SetTimes { path, .. } => vec![Thing::Path(path)],
        Edit::Fetch(it) => vec![Thing::Path(&it.path)],
        Edit::Run(run) => run.effects.iter().flat_map(things_of).collect(),
    }
}

fn things_of(effect: &Effect) -> Vec<Thing<'_>> {
    match effect {
        Effect::User(user) => vec![Thing::User(&user.name)],
        Effect::NoUser(name) => vec![Thing::User(name)],
        Effect::Group { name, .. } | Effect::NoGroup(name) => vec![Thing::Group(name)],
        Effect::Member { group, .. } => vec![Thing::Group(group)],
        Effect::Package { name, .. } => vec![Thing::Package(name)],
        Effect::Unit(unit) => vec![Thing::Unit(&unit.name)],
        Effect::Shadow(shadow) => vec![Thing::User(&shadow.user)],
        Effect::Sysctl { key, .. } => vec![Thing::KernelParameter(key)],
        Effect::Hostname { .. } => vec![Thing::HostName],
        Effect::Crontab { user, .. } => vec![Thing::Crontab(user)],
        Effect::Unforeseen => Vec::new(),
        Effect::File { path, .. } => vec![Thing::Path(path)],
        Effect::Moved { from, to } => vec![Thing::Path(from), Thing::Path(to)],
        Effect::Edit(edit) => things(edit),
    }
}

impl Thing<'_> {
    /// As deltas call it.
    fn subject(&self) -> String {
        match self {
            Thing::Path(path) => path.display().to_string(),
            Thing::User(name) => format!("user {name}"),
            Thing::Group(name) => format!("group {name}"),
            Thing::Package(name) => format!("package {name}"),
            Thing::Unit(name) => format!("unit {name}"),
            Thing::KernelParameter(name) => format!("sysctl {name}"),
            Thing::HostName => "hostname".to_owned(),
            Thing::Crontab(user) => format!("crontab of {user}"),
        }
    }

    /// How it is on the host; null if it is not there. What cannot be looked at says why: that is a state, too.
    fn state(&self, real: &dyn Inspect) -> Value {
        let state = match self {
            Thing::Path(path) => file(real, path),
            Thing::User(name) => user(real, name),
            Thing::Group(name) => group(real, name),
            Thing::Package(name) => package(real, name),
            Thing::Unit(name) => unit(real, name),
            Thing::KernelParameter(name) => line_of(real, &sysctl_file(name)),
            Thing::HostName => line_of(real, Path::new("/proc/sys/kernel/hostname")),
            Thing::Crontab(user) => file(real, &Path::new(CRONTABS).join(user)),
        };
        match state {
            Ok(Some(map)) => Value::from(map),
            Ok(None) => Value::Null,
            Err(error) => Value::from([("cannot_look", error)].into_iter().collect::<Map>()),
        }
    }
}

type State = Result<Option<Map>, String>;

/// As sysctl(8): dots and slashes change places, so that a name can have a dot in one of its parts.
fn sysctl_file(name: &str) -> PathBuf {
    let swapped = |ch| match ch {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let relative: String = name.chars().map(swapped).collect();
    Path::new("/proc/sys").join(relative.trim_start_matches('/'))
}

fn line_of(real: &dyn Inspect, path: &Path) -> State {
    let bytes = real.read(path, LINE_MAX).map_err(|it| it.to_string())?;
    Ok(bytes.map(|bytes| {
        let value = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        [("value", value)].into_iter().collect()
    }))
}

fn file(real: &dyn Inspect, path: &Path) -> State {
    let stat = real.stat(path, Follow::No).map_err(|it| it.to_string())?;
    let Some(stat) = stat else {
        return Ok(None);
    };
    let kind = match stat.kind {
        FileKind::File => "file",
        FileKind::Dir => "directory",
        FileKind::Link => "link",
        FileKind::Other => "special file",
    };
    let mut state = Map::new();
    state.insert("kind", kind);
    if stat.kind != FileKind::Link {
        state.insert("mode", format!("{:04o}", stat.perm()));
    }
    state.insert(
        "owner",
        name_of(real.account(&stat.uid.to_string()), stat.uid, |it| it.name),
    );
    state.insert(
        "group",
        name_of(real.group(&stat.gid.to_string()), stat.gid, |it| it.name),
    );
    match stat.kind {
        FileKind::File => content(real, path, &stat, &mut state)?,
        FileKind::Link => {
            let target = real.read_link(path).map_err(|it| it.to_string())?;
            state.insert("target", target.map(|it| it.display().to_string()));
        }
        FileKind::Dir | FileKind::Other => {}
    }
    Ok(Some(state))
}

fn content(
    real: &dyn Inspect,
    path: &Path,
    stat: &FileStat,
    state: &mut Map,
) -> Result<(), String> {
    state.insert("size", stat.size);
    if stat.size > HASHED_MAX {
        state.insert("changed_at_ns", stat.mtime_ns);
        return Ok(());
    }
    let sha256 = real.checksum(path, "sha256").map_err(|it| it.to_string())?;
    state.insert("sha256", sha256);
    Ok(())
}

fn name_of<T, E>(found: Result<Option<T>, E>, number: u32, name: impl Fn(T) -> String) -> String {
    let found = found.ok().flatten();
    found.map_or_else(|| number.to_string(), name)
}

fn user(real: &dyn Inspect, name: &str) -> State {
    let accounts = real.accounts().map_err(|it| it.to_string())?;
    Ok(accounts.into_iter().find(|it| it.name == name).map(|it| {
        let mut state = Map::new();
        state.insert("uid", it.uid);
        state.insert("gid", it.gid);
        state.insert("comment", it.gecos);
        state.insert("home", it.home);
        state.insert("shell", it.shell);
        state
    }))
}

fn group(real: &dyn Inspect, name: &str) -> State {
    let groups = real.groups().map_err(|it| it.to_string())?;
    Ok(groups.into_iter().find(|it| it.name == name).map(|it| {
        let mut state = Map::new();
        state.insert("gid", it.gid);
        state.insert("members", it.members);
        state
    }))
}

/// The version that dpkg has installed; other package managers are not asked.
fn package(real: &dyn Inspect, name: &str) -> State {
    let name = name.split(':').next().unwrap_or(name);
    let status = real.read(Path::new("/var/lib/dpkg/status"), STATUS_MAX);
    let Some(status) = status.map_err(|it| it.to_string())? else {
        return Ok(None);
    };
    let status = String::from_utf8_lossy(&status);
    let field = |paragraph: &str, field: &str| {
        let mut lines = paragraph.lines();
        lines.find_map(|line| line.strip_prefix(field).map(|it| it.trim().to_owned()))
    };
    let found = status.split("\n\n").find(|it| {
        field(it, "Package:").as_deref() == Some(name)
            && field(it, "Status:").is_some_and(|it| it.ends_with(" installed"))
    });
    Ok(found.map(|it| [("version", field(it, "Version:"))].into_iter().collect()))
}

fn unit(real: &dyn Inspect, name: &str) -> State {
    let words = [
        "systemctl",
        "show",
        "-p",
        "LoadState,ActiveState,UnitFileState",
        "--",
        name,
    ];
    let output = real
        .look(&Program::new(words))
        .map_err(|it| it.to_string())?;
    let text = output.stdout_text();
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
    };
    if value("LoadState").is_none_or(|it| it == "not-found") {
        return Ok(None);
    }
    let mut state = Map::new();
    state.insert("active", value("ActiveState"));
    state.insert("enabled", value("UnitFileState"));
    Ok(Some(state))
}

#[cfg(test)]
mod tests {
    use hostler_change::{Attrs, Content, Delta, Run, UserEffect, WriteFile};
    use hostler_module_api::fake::FakeHost;

    use super::*;

    fn planned(edit: Edit) -> Planned {
        Planned {
            edit,
            deltas: vec![Delta::action("x", "y")],
        }
    }

    fn write(path: &str) -> Planned {
        planned(Edit::WriteFile(WriteFile {
            path: path.into(),
            content: Content::Bytes(b"new".to_vec()),
            attrs: Attrs::default(),
            backup: false,
            validate: None,
            unsafe_writes: false,
        }))
    }

    #[test]
    fn what_was_touched_before_is_not_looked_at_again() {
        let host = FakeHost::bare().file("/etc/motd", "hello\n");
        let touched = Touched::default();
        let first = touched.basis(&host, &[write("/etc/motd"), write("/etc/new")]);
        assert_eq!(first.len(), 2);
        assert_eq!(first[0].subject, "/etc/motd");
        assert_eq!(
            first[0].was.get("kind").and_then(Value::as_str),
            Some("file")
        );
        assert_eq!(first[0].was.get("size").and_then(Value::as_int), Some(6));
        assert_eq!(
            first[0]
                .was
                .get("sha256")
                .and_then(Value::as_str)
                .map(str::len),
            Some(64)
        );
        assert!(first[1].was.is_null());
        assert!(touched.basis(&host, &[write("/etc/motd")]).is_empty());
    }

    #[test]
    fn programs_rest_on_what_they_bring_about() {
        let user = Effect::User(UserEffect {
            name: "shop".into(),
            ..UserEffect::default()
        });
        let run = Run::new(Program::new(["useradd", "shop"])).bringing(vec![user]);
        let basis = Touched::default().basis(&FakeHost::bare(), &[planned(Edit::Run(run))]);
        assert_eq!(basis.len(), 1);
        assert_eq!(
            (basis[0].subject.as_str(), basis[0].was.is_null()),
            ("user shop", true)
        );
    }
}
