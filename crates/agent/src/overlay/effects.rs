//! What programs would bring about, kept in mind.

use std::path::{Path, PathBuf};

use hostler_change::{
    Attrs, Content, Edit, Effect, FileKind, Owner, Remove, ShadowEffect, UserEffect, WriteFile,
};
use hostler_module_api::{Account, Declared, Follow, Group, InspectError, ModuleError};

use super::record::{Recorded, Recorder};

/// Where cron of Debian, and of most others, keeps the tables that `crontab` writes.
const SPOOL: &str = "/var/spool/cron/crontabs";

/// Entries of a moved tree that are followed.
const MOVED_MAX: usize = 10_000;

fn join_paths(root: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(below)
    }
}

impl Recorder<'_> {
    pub(super) fn effect(&mut self, effect: &Effect) -> Recorded {
        self.may_change_people(effect)?;
        match effect {
            Effect::Edit(edit) => return self.edit(edit),
            Effect::Package { name, version } => {
                self.package(name, version.is_some());
                self.declare(effect);
            }
            Effect::Unit(_) | Effect::Sysctl { .. } | Effect::Hostname { .. } => {
                self.declare(effect);
            }
            Effect::Crontab { user, table } => {
                self.declare(effect);
                self.spool(user, table);
            }
            Effect::File { path, attrs } => return self.unread_file(path, attrs),
            Effect::Moved { from, to } => return self.moved(from, to),
            Effect::Unforeseen => self.pending.unforeseen.push(self.by.clone()),
            Effect::Shadow(shadow) => {
                let lines = &mut self.pending.people.shadow;
                join(lines.entry(shadow.user.clone()).or_default(), shadow);
            }
            Effect::User(user) => self.user(user)?,
            Effect::NoUser(name) => {
                self.pending.people.users.insert(name.clone(), None);
                self.pending.people.shadow.remove(name);
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
                        gid: gid.unwrap_or_else(|| people.stand_in(self.by)),
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
        Ok(())
    }

    /// The tools for accounts refuse an ordinary user.
    fn may_change_people(&self, effect: &Effect) -> Recorded {
        let people = matches!(
            effect,
            Effect::User(_)
                | Effect::NoUser(_)
                | Effect::Group { .. }
                | Effect::NoGroup(_)
                | Effect::Member { .. }
                | Effect::Shadow(_)
        );
        if people && self.checks && !self.real.access(Path::new("/etc/passwd"), 2) {
            let failure = ModuleError::new("this user may not change accounts and groups");
            return Err(failure.hint("`become: true` may help"));
        }
        Ok(())
    }

    /// The root of a tree, then what is in it, as far as that can be walked.
    fn moved(&mut self, from: &Path, to: &Path) -> Recorded {
        let mut found = 0;
        let mut left = vec![PathBuf::new()];
        while let Some(below) = left.pop() {
            let (old, new) = (join_paths(from, &below), join_paths(to, &below));
            found += 1;
            if found > MOVED_MAX {
                self.pending.unforeseen.push(self.by.clone());
                break;
            }
            self.take_over(&old, &new)?;
            let names = self.pending.files.list(self.real, &old).ok().flatten();
            left.extend(names.into_iter().flatten().map(|name| below.join(name)));
        }
        self.edit(&Edit::Remove(Remove {
            path: from.to_owned(),
            recursive: true,
        }))
    }

    fn declare(&mut self, effect: &Effect) {
        let (by, effect) = (self.by.clone(), effect.clone());
        self.pending.declared.push(Declared { by, effect });
    }

    fn package(&mut self, name: &str, installed: bool) {
        let real = self.real;
        // A database that cannot be read says nothing against a package's being new.
        let read = || hostler_probes::dpkg(real).unwrap_or_default();
        let there = self.dpkg.get_or_insert_with(read);
        self.pending.fog.package(there, name, installed, self.by);
    }

    /// The file of a user's crontab, where its directory is the usual one.
    fn spool(&mut self, user: &str, table: &[u8]) {
        let dir = self
            .pending
            .files
            .find(self.real, Path::new(SPOOL), Follow::Yes);
        let Some(gid) = dir
            .ok()
            .and_then(|it| self.stat_of(&it))
            .filter(|it| it.kind == FileKind::Dir)
            .map(|it| it.gid)
        else {
            return;
        };
        let attrs = Attrs {
            owner: Some(Owner::Name(user.to_owned())),
            group: Some(Owner::Id(gid)),
            mode: Some(0o600),
        };
        // What counts is what `crontab -l` says; an ordinary user does not see the file.
        let _ = self.write(&WriteFile {
            path: PathBuf::from(SPOOL).join(user),
            content: Content::Bytes(table.to_vec()),
            attrs,
            backup: false,
            validate: None,
            unsafe_writes: false,
        });
    }

    fn user(&mut self, effect: &UserEffect) -> Recorded {
        let gid = effect.group.as_ref().map(|it| self.gid(it)).transpose()?;
        let people = &mut self.pending.people;
        let now = people.account(self.real, &effect.name)?;
        let mut account = match now.filter(|it| it.name == effect.name) {
            Some(account) => account,
            None => Account {
                name: effect.name.clone(),
                uid: effect.uid.unwrap_or_else(|| people.stand_in(self.by)),
                gid: gid.unwrap_or_else(|| people.stand_in(self.by)),
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

/// The later one holds.
fn join(line: &mut ShadowEffect, later: &ShadowEffect) {
    line.user.clone_from(&later.user);
    line.password = later.password.clone().or(line.password.take());
    line.min = later.min.or(line.min);
    line.max = later.max.or(line.max);
    line.warn = later.warn.or(line.warn);
    line.inactive = later.inactive.or(line.inactive);
    line.expires = later.expires.or(line.expires);
}
