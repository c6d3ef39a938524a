//! Command lines of the shadow tools, and of their twins in `libuser` for `local: true`.
//!
//! A password is never an argument: `chpasswd -e` reads its hash from standard input.

use hostler_module_api::Account;
use hostler_module_api::prelude::*;

use super::{Args, Seen, password};

/// Messages of tools are compared and shown in English.
pub(super) fn clean(program: Program) -> Program {
    program.env("LC_ALL", "C")
}

fn tool(args: &Args, name: &str) -> Program {
    clean(Program::new([if args.local { format!("l{name}") } else { name.to_owned() }]))
}

fn with(program: &mut Program, words: impl IntoIterator<Item = impl Into<String>>) {
    program.argv.extend(words.into_iter().map(Into::into));
}

/// Removes the account.
pub(super) fn remove(args: &Args) -> Program {
    let mut program = tool(args, "userdel");
    if args.force && !args.local {
        with(&mut program, ["-f"]);
    }
    if args.remove {
        with(&mut program, ["-r"]);
    }
    with(&mut program, [&args.name]);
    program
}

/// Sets a hash.
pub(super) fn set_password(args: &Args, password: &str) -> Program {
    clean(Program::new(["chpasswd", "-e"])).stdin(format!("{}:{password}\n", args.name))
}

/// Makes the account.
pub(super) fn add(args: &Args, now: &Seen) -> Vec<Program> {
    let mut program = tool(args, "useradd");
    if let Some(uid) = args.uid {
        with(&mut program, ["-u".to_owned(), uid.to_string()]);
        if args.non_unique {
            with(&mut program, ["-o"]);
        }
    }
    if let Some(seuser) = &args.seuser {
        with(&mut program, ["-Z", seuser]);
    }
    if let Some(group) = &args.group {
        with(&mut program, ["-g", group]);
    } else if now.group(&args.name).is_some() {
        // Else the tool would try to make the group again.
        with(&mut program, [if args.local { "-n" } else { "-N" }]);
    }
    if let Some(groups) = args.groups.as_ref().filter(|it| !it.is_empty() && !args.local) {
        with(&mut program, ["-G".to_owned(), unique(groups).join(",")]);
    }
    for (option, value) in [("-c", &args.comment), ("-d", &args.home), ("-s", &args.shell)] {
        if let Some(value) = value {
            with(&mut program, [option, value]);
        }
    }
    if let Some(expires) = args.expires.filter(|_| !args.local) {
        with(&mut program, ["-e".to_owned(), password::date_of(expires)]);
    }
    if let Some(days) = args.password_expire_account_disable {
        with(&mut program, ["-f".to_owned(), days.to_string()]);
    }
    if args.create_home {
        if !args.local {
            with(&mut program, ["-m"]);
        }
        if let Some(skeleton) = &args.skeleton {
            with(&mut program, ["-k", skeleton]);
        }
        if let Some(umask) = &args.umask {
            with(&mut program, ["-K".to_owned(), format!("UMASK={umask}")]);
        }
    } else {
        with(&mut program, ["-M"]);
    }
    if args.system {
        with(&mut program, ["-r"]);
    }
    for (name, value) in [("UID_MIN", args.uid_min), ("UID_MAX", args.uid_max)] {
        if let Some(value) = value {
            with(&mut program, ["-K".to_owned(), format!("{name}={value}")]);
        }
    }
    with(&mut program, [&args.name]);
    let mut programs = vec![program];
    if args.local {
        programs.extend(args.expires.map(|it| local_expires(args, it)));
        let groups = args.groups.iter().flatten();
        programs.extend(groups.map(|group| local_member(args, "-M", group)));
    }
    programs
}

/// Changes the account, and says what differs. Empty if nothing does.
pub(super) fn modify(args: &Args, account: &Account, now: &Seen, deltas: &mut Vec<Delta>) -> Vec<Program> {
    let subject = args.subject();
    let mut program = tool(args, "usermod");
    let mut more = Vec::new();
    let plain = program.argv.len();
    if let Some(uid) = args.uid.filter(|uid| *uid != account.uid) {
        with(&mut program, ["-u".to_owned(), uid.to_string()]);
        if args.non_unique {
            with(&mut program, ["-o"]);
        }
        deltas.push(Delta::field(&subject, "uid", account.uid, uid));
    }
    if let Some(group) = &args.group {
        let gid = now.group(group).map(|it| it.gid);
        if gid != Some(account.gid) {
            with(&mut program, ["-g".to_owned(), gid.map_or_else(|| group.clone(), |it| it.to_string())]);
            deltas.push(Delta::field(&subject, "group", account.gid, gid));
        }
    }
    groups(args, now, &mut program, &mut more, deltas);
    let texts = [
        ("comment", "-c", &args.comment, &account.gecos),
        ("home", "-d", &args.home, &account.home),
        ("shell", "-s", &args.shell, &account.shell),
    ];
    for (name, option, wanted, current) in texts {
        if let Some(wanted) = wanted.as_ref().filter(|it| *it != current) {
            with(&mut program, [option, wanted]);
            if name == "home" && args.move_home {
                with(&mut program, ["-m"]);
            }
            deltas.push(Delta::field(&subject, name, current, wanted));
        }
    }
    expiry(args, now, &mut program, &mut more, deltas);
    lock(args, now, &mut program, deltas);
    if program.argv.len() > plain {
        with(&mut program, [&args.name]);
        more.insert(0, program);
    }
    more
}

fn groups(args: &Args, now: &Seen, program: &mut Program, more: &mut Vec<Program>, deltas: &mut Vec<Delta>) {
    let Some(groups) = &args.groups else { return };
    let current = now.memberships(&args.name);
    let name_of = |group: &String| now.group(group).map_or_else(|| group.clone(), |it| it.name.clone());
    let wanted = unique(&groups.iter().map(name_of).collect::<Vec<_>>());
    let missing: Vec<_> = wanted.iter().filter(|it| !current.contains(it)).collect();
    let surplus: Vec<_> = current.iter().filter(|it| !args.append && !wanted.contains(it)).collect();
    if missing.is_empty() && surplus.is_empty() {
        return;
    }
    if args.local {
        more.extend(missing.iter().map(|group| local_member(args, "-M", group)));
        more.extend(surplus.iter().map(|group| local_member(args, "-m", group)));
    } else {
        if args.append {
            with(program, ["-a"]);
        }
        with(program, ["-G".to_owned(), wanted.join(",")]);
    }
    let mut after: Vec<String> = current.iter().filter(|it| !surplus.contains(it)).cloned().collect();
    after.extend(missing.into_iter().cloned());
    deltas.push(Delta::field(args.subject(), "groups", current, after));
}

fn expiry(args: &Args, now: &Seen, program: &mut Program, more: &mut Vec<Program>, deltas: &mut Vec<Delta>) {
    let subject = args.subject();
    let shadow = now.shadow.as_ref();
    if let Some(expires) = args.expires {
        let current = shadow.and_then(|it| it.expires).filter(|day| *day >= 0);
        if current != password::day_of(expires) {
            if args.local {
                more.push(local_expires(args, expires));
            } else {
                with(program, ["-e".to_owned(), password::date_of(expires)]);
            }
            let shown = |day: i64| password::date_of(f64::from(i32::try_from(day).unwrap_or(i32::MAX)) * 86_400.0);
            deltas.push(Delta::field(subject.as_str(), "expires", current.map(shown), password::date_of(expires)));
        }
    }
    if let Some(days) = args.password_expire_account_disable {
        let current = shadow.and_then(|it| it.inactive);
        if current.unwrap_or(-1) != days {
            with(program, ["-f".to_owned(), days.to_string()]);
            deltas.push(Delta::field(subject, "password_expire_account_disable", current, days));
        }
    }
}

fn lock(args: &Args, now: &Seen, program: &mut Program, deltas: &mut Vec<Delta>) {
    let Some(shadow) = &now.shadow else { return };
    let locked = shadow.is_locked();
    let option = match args.password_lock {
        Some(true) if !locked => "-L",
        // Nothing is behind the lock of an account without password: there is nothing to unlock.
        Some(false) if locked && !shadow.unlocked().is_empty() => "-U",
        _ => return,
    };
    with(program, [option]);
    deltas.push(Delta::field(args.subject(), "password_lock", locked, !locked));
}

fn local_member(args: &Args, option: &str, group: &str) -> Program {
    clean(Program::new(["lgroupmod", option, &args.name, group]))
}

fn local_expires(args: &Args, expires: f64) -> Program {
    let day = password::day_of(expires).unwrap_or(-1).to_string();
    clean(Program::new(["lchage", "-E", &day, &args.name]))
}

fn unique(names: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for name in names {
        if !out.contains(name) {
            out.push(name.clone());
        }
    }
    out
}
