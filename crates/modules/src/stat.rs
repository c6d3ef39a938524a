//! `stat`: what is at a path.

use std::path::Path;

use hostler_module_api::InspectError;
use hostler_module_api::prelude::*;
use hostler_module_api::value::Unknown;

use crate::files::{expand_path, real_path};

/// Look at a file, directory or link.
///
/// ```yaml
/// - stat:
///     path: /etc/foo.conf
///   register: st
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "these are the module's arguments")]
pub(crate) struct Args {
    /// The path.
    #[serde(alias = "dest", alias = "name")]
    path: String,
    /// Look at what a symbolic link points to.
    #[serde(default)]
    follow: bool,
    /// Return a hash of a readable regular file.
    #[serde(default = "yes")]
    get_checksum: bool,
    /// Which hash.
    #[serde(default, alias = "checksum", alias = "checksum_algo")]
    checksum_algorithm: Algorithm,
    /// Return what `file` says of its type, if the host has that program.
    #[serde(default = "yes", alias = "mime", alias = "mime_type", alias = "mime-type")]
    get_mime: bool,
    /// Return what `lsattr` says of its attributes, if the host has that program.
    #[serde(default = "yes", alias = "attr", alias = "attributes")]
    get_attributes: bool,
}

/// Hashes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    Md5,
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "md5",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha224 => "sha224",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }
}

fn yes() -> bool {
    true
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("stat")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Map;
    const NAME: &'static str = "stat";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Map, ModuleError> {
        let path = expand_path(&args.path, host)?;
        let follow = if args.follow { Follow::Yes } else { Follow::No };
        let Some(stat) = host.stat(&path, follow)? else {
            return Ok(std::iter::once(("exists", false)).collect());
        };
        let mut out = numbers(&path, &stat);
        for (name, mode) in [("readable", 4), ("writeable", 2), ("executable", 1)] {
            out.insert(name, host.access(&path, mode));
        }
        if stat.kind == FileKind::Link {
            out.insert("lnk_source", real_path(&path, host)?.display().to_string());
            let target = host.read_link(&path)?;
            out.insert("lnk_target", target.map(|it| it.display().to_string()));
        }
        if let Some(account) = host.account(&stat.uid.to_string())?.filter(|it| it.uid == stat.uid) {
            out.insert("pw_name", account.name);
        }
        if let Some(group) = host.group(&stat.gid.to_string())?.filter(|it| it.gid == stat.gid) {
            out.insert("gr_name", group.name);
        }
        if args.get_checksum && stat.kind == FileKind::File && host.access(&path, 4) {
            let hash = host.checksum(&path, args.checksum_algorithm.name());
            out.insert("checksum", known(hash)?);
        }
        if args.get_mime {
            let (mime, charset) = mime(&path, host).unwrap_or(("unknown".into(), "unknown".into()));
            out.insert("mimetype", mime);
            out.insert("charset", charset);
        }
        if args.get_attributes {
            let (version, flags) = attributes(&path, host).unwrap_or((Value::Null, String::new()));
            out.insert("version", version);
            let names = flags.chars().filter_map(attribute_name).map(Value::from);
            out.insert("attributes", Value::list(names));
            out.insert("attr_flags", flags);
        }
        Ok(out)
    }

    fn plan(_: &Args, _: &Map) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(_: &Args, ran: &Ran<'_, Map>) -> Report {
        Report::default().with("stat", ran.after.clone())
    }
}

/// A hash; in a preview one that an earlier task decides.
fn known(hash: Result<Option<String>, InspectError>) -> Result<Value, ModuleError> {
    match hash {
        Err(InspectError::Unknown { by, .. }) => {
            Ok(Value::Unknown(std::sync::Arc::new(Unknown { until: by, sketch: None })))
        }
        other => Ok(other?.into()),
    }
}

/// What `stat(2)` says, under ansible-core's names.
fn numbers(path: &Path, stat: &FileStat) -> Map {
    let mode = stat.st_mode;
    let kind = mode & 0o170_000;
    // As Python adds up seconds and nanoseconds.
    #[expect(clippy::cast_precision_loss, reason = "times are floats in the return values")]
    let seconds = |ns: i64| {
        ns.div_euclid(1_000_000_000) as f64 + 1e-9 * ns.rem_euclid(1_000_000_000) as f64
    };
    let mut out = Map::new();
    out.insert("exists", true);
    out.insert("path", path.display().to_string());
    out.insert("mode", format!("{:04o}", stat.perm()));
    for (name, bits) in [
        ("isdir", 0o040_000),
        ("ischr", 0o020_000),
        ("isblk", 0o060_000),
        ("isreg", 0o100_000),
        ("isfifo", 0o010_000),
        ("islnk", 0o120_000),
        ("issock", 0o140_000),
    ] {
        out.insert(name, kind == bits);
    }
    out.insert("uid", stat.uid);
    out.insert("gid", stat.gid);
    for (name, number) in [
        ("size", stat.size),
        ("inode", stat.ino),
        ("dev", stat.dev),
        ("nlink", stat.nlink),
    ] {
        out.insert(name, number);
    }
    for (name, ns) in [
        ("atime", stat.atime_ns),
        ("mtime", stat.mtime_ns),
        ("ctime", stat.ctime_ns),
    ] {
        out.insert(name, seconds(ns));
    }
    for (name, bit) in [
        ("wusr", 0o200),
        ("rusr", 0o400),
        ("xusr", 0o100),
        ("wgrp", 0o020),
        ("rgrp", 0o040),
        ("xgrp", 0o010),
        ("woth", 0o002),
        ("roth", 0o004),
        ("xoth", 0o001),
        ("isuid", 0o4000),
        ("isgid", 0o2000),
    ] {
        out.insert(name, mode & bit != 0);
    }
    out.insert("blocks", stat.blocks);
    out.insert("block_size", stat.block_size);
    out.insert("device_type", stat.rdev);
    out
}

/// What `file` says; nothing if the host has no such program.
fn mime(path: &Path, host: &dyn Inspect) -> Option<(String, String)> {
    let path = path.display().to_string();
    let program = Program::new(["file", "--mime-type", "--mime-encoding", "--", &path]);
    let output = host.look(&program).ok().filter(CommandOutput::success)?;
    let text = output.stdout_text();
    let (mime, charset) = text.rsplit_once(':')?.1.split_once(';')?;
    let charset = charset.split_once('=')?.1;
    Some((mime.trim().to_owned(), charset.trim().to_owned()))
}

/// Version and attribute letters, as `lsattr` says them; nothing if the host or its file system has none.
fn attributes(path: &Path, host: &dyn Inspect) -> Option<(Value, String)> {
    let path = path.display().to_string();
    let program = Program::new(["lsattr", "-vd", "--", &path]);
    let output = host.look(&program).ok().filter(CommandOutput::success)?;
    let text = output.stdout_text();
    let mut words = text.split_whitespace();
    let version = words.next()?;
    Some((version.into(), words.next()?.replace('-', "")))
}

/// Names of attribute letters (chattr(1)), as ansible-core gives them.
fn attribute_name(letter: char) -> Option<&'static str> {
    Some(match letter {
        'A' => "noatime",
        'a' => "append",
        'c' => "compressed",
        'C' => "nocow",
        'd' => "nodump",
        'D' => "dirsync",
        'e' => "extents",
        'E' => "encrypted",
        'h' => "blocksize",
        'i' => "immutable",
        'I' => "indexed",
        'j' => "journalled",
        'N' => "inline",
        's' => "zero",
        'S' => "synchronous",
        't' => "notail",
        'T' => "blockroot",
        'u' => "undelete",
        'X' => "compressedraw",
        'Z' => "compresseddirty",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_module};

    fn stat_of(path: &str, host: FakeHost) -> Map {
        let args: Map = std::iter::once(("path", path)).collect();
        let done = check_module::<This>(args, host);
        assert!(!done.first.changed);
        let stat = done.first.fields.get("stat").and_then(Value::as_map);
        stat.unwrap().clone()
    }

    #[test]
    fn a_file() {
        let host = FakeHost::bare()
            .file("/etc/f", "hi")
            .attrs("/etc/f", 1, 0, 0o4640)
            .answers("lsattr -vd -- /etc/f", 0, "12345 ----i---------e------- /etc/f\n")
            .answers("file --mime-type --mime-encoding -- /etc/f", 0, "/etc/f: text/plain; charset=us-ascii\n");
        let stat = stat_of("/etc/f", host);
        for (name, value) in [
            ("exists", Value::Bool(true)),
            ("isreg", true.into()),
            ("isdir", false.into()),
            ("mode", "4640".into()),
            ("isuid", true.into()),
            ("rgrp", true.into()),
            ("roth", false.into()),
            ("size", 2.into()),
            ("pw_name", "daemon".into()),
            ("gr_name", "root".into()),
            ("checksum", "c22b5f9178342609428d6f51b2c5af4c0bde6a42".into()),
            ("mimetype", "text/plain".into()),
            ("charset", "us-ascii".into()),
            ("attr_flags", "ie".into()),
            ("version", "12345".into()),
            ("attributes", Value::list(["immutable", "extents"].map(Value::from))),
        ] {
            assert_eq!(stat.get(name), Some(&value), "{name}");
        }
    }

    #[test]
    fn nothing_and_a_link() {
        let host = FakeHost::bare().link("/etc/l", "passwd");
        let none = stat_of("/etc/none", host.clone());
        assert_eq!((none.len(), none.get("exists")), (1, Some(&false.into())));
        let link = stat_of("/etc/l", host);
        assert_eq!(link.get("islnk"), Some(&true.into()));
        assert_eq!(link.get("lnk_source"), Some(&"/etc/passwd".into()));
        assert_eq!(link.get("lnk_target"), Some(&"passwd".into()));
        assert_eq!(link.get("mimetype"), Some(&"unknown".into()));
        assert!(!link.contains("checksum"));
    }
}
