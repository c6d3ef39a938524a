//! Users and groups: the files, and `getent` where the host has other sources too.

use std::process::{Command, Stdio};

use hostler_module_api::{Account, Group};

/// More than this is not read of a file or from `getent`.
const TEXT_MAX: u64 = 16 << 20;

/// All accounts.
pub(crate) fn accounts() -> Vec<Account> {
    all("/etc/passwd", "passwd", Account::parse, |it| it.uid)
}

/// All groups.
pub(crate) fn groups() -> Vec<Group> {
    all("/etc/group", "group", Group::parse, |it| it.gid)
}

/// One account by name or number.
pub(crate) fn account(name_or_uid: &str) -> Option<Account> {
    let uid = name_or_uid.parse::<u32>().ok();
    let named = |it: &Account| it.name == name_or_uid;
    one(
        "/etc/passwd",
        "passwd",
        name_or_uid,
        Account::parse,
        named,
        |it| Some(it.uid) == uid,
    )
}

/// The account with a number.
pub(crate) fn by_number(uid: u32) -> Option<Account> {
    let is = |it: &Account| it.uid == uid;
    one(
        "/etc/passwd",
        "passwd",
        &uid.to_string(),
        Account::parse,
        is,
        is,
    )
}

/// One group by name or number.
pub(crate) fn group(name_or_gid: &str) -> Option<Group> {
    let gid = name_or_gid.parse::<u32>().ok();
    let named = |it: &Group| it.name == name_or_gid;
    one(
        "/etc/group",
        "group",
        name_or_gid,
        Group::parse,
        named,
        |it| Some(it.gid) == gid,
    )
}

fn one<T>(
    file: &str,
    database: &str,
    key: &str,
    parse: fn(&str) -> Option<T>,
    first: impl Fn(&T) -> bool,
    second: impl Fn(&T) -> bool,
) -> Option<T> {
    let text = read(file);
    let find = |wanted: &dyn Fn(&T) -> bool| text.lines().filter_map(parse).find(|it| wanted(it));
    find(&first).or_else(|| find(&second)).or_else(|| {
        if key.starts_with('-') || !has_other_sources(database) {
            return None;
        }
        getent(&[database, key]).lines().find_map(parse)
    })
}

fn all<T>(
    file: &str,
    database: &str,
    parse: fn(&str) -> Option<T>,
    number: fn(&T) -> u32,
) -> Vec<T> {
    let mut found: Vec<T> = read(file).lines().filter_map(parse).collect();
    if has_other_sources(database) {
        let known: std::collections::HashSet<u32> = found.iter().map(number).collect();
        let more = getent(&[database]);
        let new = more.lines().filter_map(parse);
        found.extend(new.filter(|it| !known.contains(&number(it))));
    }
    found
}

/// Does `nsswitch.conf(5)` name a source besides the files (and systemd's, which adds only what runs now)?
fn has_other_sources(database: &str) -> bool {
    let text = read("/etc/nsswitch.conf");
    let line = text.lines().find_map(|line| {
        let (name, sources) = line.split('#').next()?.split_once(':')?;
        (name.trim() == database).then(|| sources.to_owned())
    });
    line.is_some_and(|sources| {
        let mut words = sources.split_whitespace();
        words.any(|word| {
            !word.starts_with('[')
                && !word.ends_with(']')
                && !matches!(word, "files" | "compat" | "systemd")
        })
    })
}

/// A small system file's text; empty if it cannot be read.
fn read(path: &str) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(TEXT_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What `getent` prints; empty if it is missing or finds nothing.
pub(crate) fn getent(args: &[&str]) -> String {
    let Ok(program) = crate::process::find_own("getent") else {
        return String::new();
    };
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
