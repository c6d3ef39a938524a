//! Owner, group, mode and attributes: what is wanted against what is there.

use std::path::Path;

use hostler_change::{Attrs, Delta, Edit, FileKind, Owner, Plan, Program};
use hostler_module_api::{FileStat, Follow, Inspect, ModuleError};
use hostler_value::Value;

use super::{FileArgs, Mode, mode_text};

/// What the common arguments ask for, with names looked up on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    owner: Option<Named>,
    group: Option<Named>,
    mode: Option<Mode>,
    umask: u32,
    /// Modifier (`+`, `-`, `=`) with letters, and the letters that are set now.
    attributes: Option<(String, String)>,
}

/// A user or group, and its number if the host knows it already (an earlier task of a preview may make it).
#[derive(Clone, Debug)]
struct Named {
    owner: Owner,
    id: Option<u32>,
}

impl Named {
    fn read(text: &str, known: Option<u32>) -> Self {
        match (text.parse::<u32>(), known) {
            (Ok(id), _) => Named {
                owner: Owner::Id(id),
                id: Some(id),
            },
            (Err(_), id) => Named {
                owner: Owner::Name(text.to_owned()),
                id,
            },
        }
    }

    fn shown(&self) -> Value {
        match (&self.owner, self.id) {
            (_, Some(id)) => id.into(),
            (Owner::Id(id), None) => (*id).into(),
            (Owner::Name(name), None) => name.into(),
        }
    }
}

impl Wanted {
    /// Looks up what the arguments name. `path` is where attributes as of `chattr` are looked at.
    pub(crate) fn observe(
        args: &FileArgs<'_>,
        path: &Path,
        host: &dyn Inspect,
    ) -> Result<Self, ModuleError> {
        if args.selinux
            && host
                .stat(Path::new("/sys/fs/selinux/enforce"), Follow::Yes)?
                .is_some()
        {
            return Err(ModuleError::new(
                "setting SELinux labels is not supported; seuser, serole, setype and selevel cannot be used on this host",
            )
            .hint("labels of replaced files are kept; run `restorecon` for others"));
        }
        let owner = args.owner.map(|name| {
            let known = host.account(name)?.filter(|it| it.name == name);
            Ok::<_, ModuleError>(Named::read(name, known.map(|it| it.uid)))
        });
        let group = args.group.map(|name| {
            let known = host.group(name)?.filter(|it| it.name == name);
            Ok::<_, ModuleError>(Named::read(name, known.map(|it| it.gid)))
        });
        let attributes = match args.attributes {
            None | Some("") => None,
            Some(text) => Some((text.to_owned(), attributes_now(path, host)?)),
        };
        Ok(Wanted {
            owner: owner.transpose()?,
            group: group.transpose()?,
            mode: args.mode.map(Mode::read).transpose()?,
            umask: host.identity().umask,
            attributes,
        })
    }

    /// The same with another mode, such as `directory_mode` for directories on the way.
    pub(crate) fn with_mode(&self, mode: Option<Mode>) -> Self {
        Wanted {
            mode,
            ..self.clone()
        }
    }

    /// What must be set on something that is there, and the differences that explain it.
    pub(crate) fn differs(
        &self,
        path: &Path,
        now: &FileStat,
    ) -> Result<(Attrs, Vec<Delta>), ModuleError> {
        let subject = path.display().to_string();
        let (mut attrs, mut deltas) = (Attrs::default(), Vec::new());
        if let Some(owner) = self.owner.as_ref().filter(|it| it.id != Some(now.uid)) {
            attrs.owner = Some(owner.owner.clone());
            deltas.push(Delta::field(&subject, "owner", now.uid, owner.shown()));
        }
        if let Some(group) = self.group.as_ref().filter(|it| it.id != Some(now.gid)) {
            attrs.group = Some(group.owner.clone());
            deltas.push(Delta::field(&subject, "group", now.gid, group.shown()));
        }
        // A symbolic link has no mode of its own on Linux.
        if let Some(mode) = self.mode.as_ref().filter(|_| now.kind != FileKind::Link) {
            let bits = mode.on(now.perm(), now.kind == FileKind::Dir, self.umask)?;
            if bits != now.perm() {
                attrs.mode = Some(bits);
                let before = mode_text(now.perm());
                deltas.push(Delta::field(&subject, "mode", before, mode_text(bits)));
            }
        }
        Ok((attrs, deltas))
    }

    /// What to set on something new, and the differences to show.
    pub(crate) fn of_new(
        &self,
        path: &Path,
        kind: FileKind,
    ) -> Result<(Attrs, Vec<Delta>), ModuleError> {
        let subject = path.display().to_string();
        let mut deltas = Vec::new();
        let mut show = |name: &str, after: Value| {
            deltas.push(Delta::field(&subject, name, Value::Null, after));
        };
        let mut attrs = Attrs::default();
        if let Some(owner) = &self.owner {
            attrs.owner = Some(owner.owner.clone());
            show("owner", owner.shown());
        }
        if let Some(group) = &self.group {
            attrs.group = Some(group.owner.clone());
            show("group", group.shown());
        }
        if let Some(mode) = self.mode.as_ref().filter(|_| kind != FileKind::Link) {
            let is_dir = kind == FileKind::Dir;
            let start = if is_dir { 0o777 } else { 0o666 } & !self.umask;
            let bits = mode.on(start, is_dir, self.umask)?;
            attrs.mode = Some(bits);
            show("mode", mode_text(bits).into());
        }
        Ok((attrs, deltas))
    }

    /// Plans what differs on something that is there.
    pub(crate) fn plan(
        &self,
        path: &Path,
        now: &FileStat,
        plan: &mut Plan,
    ) -> Result<(), ModuleError> {
        let (attrs, deltas) = self.differs(path, now)?;
        if !attrs.is_empty() {
            let path = path.to_owned();
            let edit = Edit::SetAttrs {
                path,
                attrs,
                follow: false,
            };
            plan.push_all(deltas, edit);
        }
        self.plan_attributes(path, plan);
        Ok(())
    }

    /// Plans the attributes of `chattr`; goes behind the edit that writes the file.
    pub(crate) fn plan_attributes(&self, path: &Path, plan: &mut Plan) {
        let Some((wanted, now)) = &self.attributes else {
            return;
        };
        let (modifier, letters) = match wanted.chars().next() {
            Some(sign @ ('+' | '-' | '=')) => (sign, &wanted[1..]),
            _ => ('=', wanted.as_str()),
        };
        let has = |letter: char| now.contains(letter);
        let settled = match modifier {
            '+' => letters.chars().all(has),
            '-' => !letters.chars().any(has),
            _ => letters.len() == now.len() && letters.chars().all(has),
        };
        if settled {
            return;
        }
        let shown = path.display().to_string();
        let change = format!("{modifier}{letters}");
        let delta = Delta::field(&shown, "attributes", now.as_str(), change.as_str());
        plan.run(delta, Program::new(["chattr", &change, &shown]));
    }
}

/// The letters that `lsattr` shows as set; empty if there is no such file.
fn attributes_now(path: &Path, host: &dyn Inspect) -> Result<String, ModuleError> {
    if host.stat(path, Follow::No)?.is_none() {
        return Ok(String::new());
    }
    let shown = path.display().to_string();
    let output = host.look(&Program::new(["lsattr", "-d", &shown]))?;
    if !output.success() {
        let msg = format!(
            "cannot read attributes of {shown}: {}",
            output.stderr_text().trim()
        );
        return Err(ModuleError::new(msg));
    }
    let text = output.stdout_text();
    let letters = text.split_whitespace().next().unwrap_or_default();
    Ok(letters.replace('-', ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn only_what_differs_is_set() {
        let host = FakeHost::bare().file("/etc/f", "x");
        let path = Path::new("/etc/f");
        let now = host.stat(path, Follow::No).unwrap().unwrap();
        let mode = Value::str("u=rw,go=r");
        let args = FileArgs {
            mode: Some(&mode),
            owner: Some("daemon"),
            group: Some("0"),
            ..FileArgs::default()
        };
        let wanted = Wanted::observe(&args, path, &host).unwrap();
        let (attrs, deltas) = wanted.differs(path, &now).unwrap();
        assert_eq!(attrs.owner, Some(Owner::Name("daemon".into())));
        assert_eq!((attrs.group, attrs.mode), (None, None));
        assert_eq!(deltas, [Delta::field("/etc/f", "owner", 0, 1)]);
    }

    #[test]
    fn a_user_who_is_not_there_yet_is_a_difference() {
        let host = FakeHost::bare().file("/etc/f", "x");
        let path = Path::new("/etc/f");
        let now = host.stat(path, Follow::No).unwrap().unwrap();
        let args = FileArgs {
            owner: Some("alice"),
            ..FileArgs::default()
        };
        let wanted = Wanted::observe(&args, path, &host).unwrap();
        let (attrs, deltas) = wanted.differs(path, &now).unwrap();
        assert_eq!(attrs.owner, Some(Owner::Name("alice".into())));
        assert_eq!(deltas, [Delta::field("/etc/f", "owner", 0, "alice")]);
    }

    #[test]
    fn attributes_are_compared_by_letters() {
        let host = FakeHost::bare().file("/etc/f", "x").answers(
            "lsattr -d /etc/f",
            0,
            "----i---------e------- /etc/f\n",
        );
        let path = Path::new("/etc/f");
        let plan_for = |text: &str| {
            let args = FileArgs {
                attributes: Some(text),
                ..FileArgs::default()
            };
            let mut plan = Plan::none();
            let wanted = Wanted::observe(&args, path, &host).unwrap();
            wanted.plan_attributes(path, &mut plan);
            plan.edits.len()
        };
        assert_eq!(
            (
                plan_for("+i"),
                plan_for("-i"),
                plan_for("ie"),
                plan_for("+a")
            ),
            (0, 1, 0, 1)
        );
    }
}
