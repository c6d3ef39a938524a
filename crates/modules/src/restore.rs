//! `restore`: a file as it was before a run. `hostler undo` makes tasks of it; playbooks have no use for it.

use std::path::PathBuf;

use hostler_change::{Remove, TEXT_SHOWN_MAX};
use hostler_module_api::prelude::*;

use crate::files::mode_text;

/// Put a file back as it was before a run, if it is as that run left it. The content is sent along with the task.
///
/// ```yaml
/// - restore:
///     path: /etc/motd
///     left: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
///     sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
///     uid: 0
///     gid: 0
///     mode: 420
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The file.
    path: String,
    /// SHA-256 of the content that the run left, hex digits; without it, the run removed the file.
    left: Option<String>,
    /// SHA-256 of the content to put back, likewise; without it, there was no file before.
    sha256: Option<String>,
    /// Number of the user who owned it.
    uid: Option<u32>,
    /// Number of the group that owned it.
    gid: Option<u32>,
    /// Its permission bits, a number.
    mode: Option<u32>,
    /// Why it cannot be put back, if that is known already: the task fails with this.
    refuse: Option<String>,
    /// The run that is undone, for messages.
    run: Option<String>,
    /// Differences show no content, since the run showed none.
    #[serde(default)]
    hidden: bool,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("restore")
}

pub(crate) struct State {
    path: PathBuf,
    now: Option<FileStat>,
    /// SHA-256 of what is there, if it is a file.
    sha256: Option<String>,
    /// Where the content to put back comes from.
    content: Option<Content>,
    /// For differences, where they are small.
    old: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "restore";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        if let Some(reason) = &args.refuse {
            return Err(ModuleError::new(reason));
        }
        let path = PathBuf::from(&args.path);
        if !path.is_absolute() {
            return Err(ModuleError::new(format!("{} is not an absolute path", args.path)));
        }
        let now = host.stat(&path, Follow::No)?;
        let is_file = now.as_ref().is_some_and(|it| it.kind == FileKind::File);
        let sha256 = if is_file { host.checksum(&path, "sha256")? } else { None };
        let differs = args.sha256 != sha256;
        let content = host.payload().cloned();
        let small = TEXT_SHOWN_MAX as u64;
        let old = match &now {
            Some(stat) if is_file && differs && !args.hidden && stat.size <= small => host.read(&path, small + 4096)?,
            _ => None,
        };
        let new = match &content {
            Some(content) if differs && !args.hidden && size(content) <= small => Some(host.content(content, small)?),
            _ => None,
        };
        if let (Some(_), None, Some(parent)) = (&args.sha256, &now, path.parent())
            && host.stat(parent, Follow::Yes)?.is_none()
        {
            let msg = format!("directory {} is not there any more", parent.display());
            return Err(ModuleError::new(msg));
        }
        Ok(State {
            path,
            now,
            sha256,
            content,
            old,
            new,
        })
    }

    fn plan(args: &Args, seen: &State) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        let shown = seen.path.display().to_string();
        let Some(wanted) = &args.sha256 else {
            let Some(now) = &seen.now else { return Ok(plan) };
            seen.is_as_left(args, now)?;
            let state = Delta::field(shown.as_str(), "state", "file", "absent");
            let remove = Remove {
                path: seen.path.clone(),
                recursive: false,
            };
            plan.push_all(vec![seen.content_delta(&shown, false, args.hidden), state], Edit::Remove(remove));
            return Ok(plan);
        };
        let attrs = Attrs {
            owner: args.uid.map(Owner::Id),
            group: args.gid.map(Owner::Id),
            mode: args.mode,
        };
        let mut deltas = attr_deltas(args, seen.now.as_ref(), &shown);
        if seen.sha256.as_ref() == Some(wanted) {
            if !deltas.is_empty() {
                let path = seen.path.clone();
                plan.push_all(deltas, Edit::SetAttrs { path, attrs, follow: false });
            }
            return Ok(plan);
        }
        match &seen.now {
            Some(now) => seen.is_as_left(args, now)?,
            None if args.left.is_none() => {}
            None => return Err(changed(args, "it is not there any more")),
        }
        let Some(content) = seen.content.clone() else {
            return Err(ModuleError::new(format!("the content of {shown} before was not kept")));
        };
        deltas.insert(0, seen.content_delta(&shown, true, args.hidden));
        let file = WriteFile {
            path: seen.path.clone(),
            content,
            attrs,
            backup: false,
            validate: None,
            unsafe_writes: false,
        };
        plan.write(deltas, file);
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let state = if ran.after.now.is_some() { "file" } else { "absent" };
        let report = Report::default().with("path", args.path.as_str()).with("state", state);
        match &ran.after.sha256 {
            Some(sha256) => report.with("sha256", sha256.as_str()),
            None => report,
        }
    }
}

impl State {
    /// Is what is there what the run left?
    fn is_as_left(&self, args: &Args, now: &FileStat) -> Result<(), ModuleError> {
        if now.kind != FileKind::File {
            return Err(changed(args, "it is no regular file any more"));
        }
        match &args.left {
            None => Err(changed(args, "the run removed it, and now it is there")),
            left if *left == self.sha256 => Ok(()),
            _ => Err(changed(args, "its content is another")),
        }
    }

    fn content_delta(&self, shown: &str, stays: bool, hidden: bool) -> Delta {
        // What is too large to show has words instead: the hash tells two such contents apart.
        let known = !hidden && (self.now.is_none() || self.old.is_some()) && (!stays || self.new.is_some());
        if known {
            return Delta::content(shown, self.old.as_deref(), self.new.as_deref());
        }
        let words = |size: u64| Some(format!("{size} bytes"));
        Delta {
            subject: shown.to_owned(),
            change: Change::Opaque {
                before: self.now.as_ref().and_then(|it| words(it.size)),
                after: self.content.as_ref().filter(|_| stays).and_then(|it| words(size(it))),
            },
        }
    }
}

fn changed(args: &Args, how: &str) -> ModuleError {
    let since = args.run.as_ref().map_or_else(|| "the run".to_owned(), |run| format!("run {run}"));
    ModuleError::new(format!("{} has changed since {since}: {how}", args.path))
}

fn size(content: &Content) -> u64 {
    match content {
        Content::Bytes(bytes) => bytes.len() as u64,
        Content::Blob { size, .. } => *size,
        Content::HostFile(_) => u64::MAX,
    }
}

/// Owner, group and mode as far as they differ; of a file that is not there, all.
fn attr_deltas(args: &Args, now: Option<&FileStat>, shown: &str) -> Vec<Delta> {
    let mut deltas = Vec::new();
    let numbers = [
        ("owner", args.uid, now.map(|it| it.uid)),
        ("group", args.gid, now.map(|it| it.gid)),
    ];
    for (name, wanted, is) in numbers {
        if let Some(wanted) = wanted.filter(|it| Some(*it) != is) {
            let is = is.map_or(Value::Null, Value::from);
            deltas.push(Delta::field(shown, name, is, wanted));
        }
    }
    let is = now.map(FileStat::perm);
    if let Some(wanted) = args.mode.filter(|it| Some(*it) != is) {
        let is = is.map_or(Value::Null, |it| Value::from(mode_text(it)));
        deltas.push(Delta::field(shown, "mode", is, mode_text(wanted)));
    }
    deltas
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    const OLD: &str = "old\n";
    const NEW: &str = "new\n";

    fn sum(text: &str) -> String {
        let mut hasher = hostler_module_api::Hasher::new("sha256").unwrap();
        hasher.update(text.as_bytes());
        hasher.hex()
    }

    /// The run replaced `OLD`, which belonged to others, by `NEW`.
    fn replaced() -> Map {
        let mut args: Map = [("path", "/etc/f"), ("run", "r1")].into_iter().collect();
        args.insert("left", sum(NEW));
        args.insert("sha256", sum(OLD));
        args.insert("uid", 7_u32);
        args.insert("gid", 8_u32);
        args.insert("mode", 0o640_u32);
        args
    }

    fn host(content: &str) -> FakeHost {
        FakeHost::bare().file("/etc/f", content).payload_is(OLD)
    }

    #[test]
    fn puts_back_content_owner_group_and_mode() {
        let done = check_module::<This>(replaced(), host(NEW));
        assert!(done.first.changed);
        let file = done.host.at("/etc/f").unwrap();
        assert_eq!((file.uid, file.gid, file.mode), (7, 8, 0o640));
        assert_eq!(file.content, OLD.as_bytes());
    }

    #[test]
    fn removes_what_the_run_made_and_brings_back_what_it_removed() {
        let mut made = replaced();
        for name in ["sha256", "uid", "gid", "mode"] {
            made.remove(name);
        }
        let done = check_module::<This>(made, host(NEW));
        assert!(done.first.changed && done.host.at("/etc/f").is_none());
        let mut removed = replaced();
        removed.remove("left");
        let done = check_module::<This>(removed, FakeHost::bare().payload_is(OLD));
        assert_eq!(done.host.at("/etc/f").unwrap().content, OLD.as_bytes());
    }

    #[test]
    fn attributes_alone_need_no_content() {
        let mut args = replaced();
        args.insert("left", sum(OLD));
        let host = FakeHost::bare().file("/etc/f", OLD);
        let done = check_module::<This>(args, host);
        assert!(done.first.changed);
        assert_eq!(done.host.at("/etc/f").unwrap().mode, 0o640);
    }

    #[test]
    fn hidden_content_is_in_no_difference() {
        let mut args = replaced();
        args.insert("hidden", true);
        let done = check_module::<This>(args, host(NEW));
        let text = format!("{:?}{:?}", done.first.deltas, done.check.deltas);
        assert!(text.contains("4 bytes") && !text.contains("old") && !text.contains("new\\n"), "{text}");
    }

    #[test]
    fn refuses_what_has_changed_since() {
        assert_eq!(
            check_fails::<This>(replaced(), host("other\n")),
            "/etc/f has changed since run r1: its content is another"
        );
        assert_eq!(
            check_fails::<This>(replaced(), FakeHost::bare().payload_is(OLD)),
            "/etc/f has changed since run r1: it is not there any more"
        );
        let link = FakeHost::bare().link("/etc/f", "/etc/g").payload_is(OLD);
        assert_eq!(
            check_fails::<This>(replaced(), link),
            "/etc/f has changed since run r1: it is no regular file any more"
        );
        let mut refused = replaced();
        refused.insert("refuse", "too large");
        assert_eq!(check_fails::<This>(refused, host(NEW)), "too large");
    }
}
