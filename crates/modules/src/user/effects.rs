//! What the shadow tools bring about, for later tasks of a preview.

use hostler_change::Remove;
use hostler_module_api::Account;
use hostler_module_api::prelude::*;

use super::{Args, Seen, password};

/// Primary group of a new account that gets none of its own, as useradd(8) has it without a setting.
const USERS_GID: u32 = 100;

/// Of `useradd`.
pub(super) fn created(args: &Args, now: &Seen) -> Vec<Effect> {
    let mut effects = Vec::new();
    let group = if let Some(group) = &args.group {
        primary(group, now)
    } else if now.group(&args.name).is_some() {
        Owner::Id(USERS_GID)
    } else {
        // A group of the same name, with the same number where that is free.
        let free = |gid: &u32| now.groups.iter().all(|it| it.gid != *gid);
        effects.push(Effect::Group { name: args.name.clone(), gid: args.uid.filter(free) });
        Owner::Name(args.name.clone())
    };
    effects.push(user(args, Some(group.clone())));
    effects.extend(password::effects(args, None));
    effects.extend(members(args, now));
    let home = now.home.edits(&Owner::Name(args.name.clone()), &group);
    effects.extend(home.into_iter().map(Effect::Edit));
    effects
}

/// Of `usermod`.
pub(super) fn modified(args: &Args, account: &Account, now: &Seen) -> Vec<Effect> {
    let mut effects = vec![user(args, args.group.as_deref().map(|it| primary(it, now)))];
    effects.extend(password::effects(args, now.shadow.as_ref()));
    effects.extend(members(args, now));
    if let Some(home) = args.home.as_ref().filter(|home| args.move_home && **home != account.home)
        && now.home.moves()
    {
        effects.push(Effect::Moved { from: (&account.home).into(), to: home.into() });
    }
    effects
}

/// Of `userdel`.
pub(super) fn removed(args: &Args, now: &Seen) -> Vec<Effect> {
    let mut effects = vec![Effect::NoUser(args.name.clone())];
    let Some(account) = &now.account else { return effects };
    // The user's own group goes too, unless others are in it.
    let own = |it: &&hostler_module_api::Group| it.name == args.name && it.gid == account.gid;
    if now.groups.iter().find(own).is_some_and(|it| it.members.iter().all(|it| *it == args.name)) {
        effects.push(Effect::NoGroup(args.name.clone()));
    }
    if args.remove && account.home.starts_with('/') {
        effects.push(Effect::Edit(gone(&account.home)));
    }
    effects
}

fn primary(group: &str, now: &Seen) -> Owner {
    now.group(group).map_or_else(|| Owner::Name(group.into()), |it| Owner::Id(it.gid))
}

fn user(args: &Args, group: Option<Owner>) -> Effect {
    Effect::User(UserEffect {
        name: args.name.clone(),
        uid: args.uid,
        group,
        gecos: args.comment.clone(),
        home: args.home.clone(),
        shell: args.shell.clone(),
    })
}

fn members(args: &Args, now: &Seen) -> Vec<Effect> {
    let Some(groups) = &args.groups else { return Vec::new() };
    let name_of = |group: &String| now.group(group).map_or_else(|| group.clone(), |it| it.name.clone());
    let wanted: Vec<String> = groups.iter().map(name_of).collect();
    let current = now.memberships(&args.name);
    let surplus = current.into_iter().filter(|it| !args.append && !wanted.contains(it)).map(|it| (it, false));
    let surplus: Vec<_> = surplus.collect();
    wanted
        .into_iter()
        .map(|it| (it, true))
        .chain(surplus)
        .map(|(group, present)| Effect::Member { user: args.name.clone(), group, present })
        .collect()
}

fn gone(home: &str) -> Edit {
    Edit::Remove(Remove { path: home.into(), recursive: true })
}
