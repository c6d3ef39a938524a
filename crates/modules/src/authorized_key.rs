//! `authorized_key`: public keys that may log in as a user.

mod keys;

use std::path::{Path, PathBuf};

use hostler_change::{FileKind, MakeDir};
use hostler_module_api::prelude::*;

use crate::edited::{FILE_BYTES_MAX, missing_parents};
use crate::files::{expand_path, real_path};
use crate::presence::Presence;
use keys::{Wanted, edit};

/// Let public keys log in as a user, or let them no longer.
///
/// ```yaml
/// - ansible.posix.authorized_key:
///     user: deploy
///     key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGmj1aB deploy@ci
///     key_options: 'from="192.0.2.0/24",no-pty'
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the module's arguments")]
pub(crate) struct Args {
    /// User whose file it is.
    user: String,
    /// Public keys as `authorized_keys(5)` has them, one a line.
    key: String,
    /// The file, if it is not the one in the user's home directory.
    path: Option<String>,
    /// Make the directory of the file, and give it to the user with mode 0700.
    #[serde(default = "yes")]
    manage_dir: bool,
    /// Should the keys be in the file?
    #[serde(default)]
    state: Presence,
    /// Options to put before each key; instead of those that `key` has.
    key_options: Option<String>,
    /// Remove everything else from the file.
    #[serde(default)]
    exclusive: bool,
    /// Has no effect: keys are not downloaded.
    #[serde(default = "yes")]
    validate_certs: bool,
    /// Comment to put behind each key; instead of the one that `key` has.
    comment: Option<String>,
    /// Write to where a symbolic link leads instead of replacing it.
    #[serde(default)]
    follow: bool,
}

fn yes() -> bool {
    true
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("authorized_key").of_collections(&["ansible.posix"])
}

pub(crate) struct State {
    /// The file as it is reported.
    shown: String,
    file: PathBuf,
    content: Option<Vec<u8>>,
    uid: u32,
    gid: u32,
    /// The file's directory, if it is managed and there.
    dir: Option<FileStat>,
    missing: Vec<PathBuf>,
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "authorized_key";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        if args.key.starts_with("http://") || args.key.starts_with("https://") {
            let error = ModuleError::new("keys cannot be downloaded by the host");
            return Err(error.hint("use key: \"{{ lookup('url', ...) }}\""));
        }
        let account = host.account(&args.user)?.filter(|it| it.name == args.user);
        let Some(account) = account else {
            let msg = format!("Failed to lookup user {0}: name not found: '{0}'", args.user);
            return Err(ModuleError::new(msg));
        };
        let given = match &args.path {
            Some(path) => expand_path(path, host)?,
            None => Path::new(&account.home).join(".ssh/authorized_keys"),
        };
        let file = if args.follow { real_path(&given, host)? } else { given };
        let dir = file.parent().unwrap_or(Path::new("/"));
        Ok(State {
            shown: file.display().to_string(),
            content: host.read(&file, FILE_BYTES_MAX)?,
            uid: account.uid,
            gid: account.gid,
            dir: host.stat(dir, Follow::Yes)?,
            missing: missing_parents(&file, host)?,
            file,
        })
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let wanted = Wanted {
            keys: &args.key,
            options: args.key_options.as_deref(),
            comment: args.comment.as_deref(),
            state: args.state,
            exclusive: args.exclusive,
        };
        let text = String::from_utf8_lossy(now.content.as_deref().unwrap_or_default());
        let mut plan = Plan::none();
        let Some(after) = edit(&wanted, &text)? else {
            return Ok(plan);
        };
        if now.content.as_deref().is_some_and(|it| std::str::from_utf8(it).is_err()) {
            let msg = format!("{} is not UTF-8 and would be damaged", now.shown);
            return Err(ModuleError::new(msg));
        }
        plan_dir(args, now, &mut plan)?;
        let after = after.into_bytes();
        let delta = Delta::content(&now.shown, now.content.as_deref(), Some(&after));
        plan.write(
            vec![delta],
            WriteFile {
                path: now.file.clone(),
                content: Content::Bytes(after),
                attrs: attrs(now, 0o600),
                backup: false,
                validate: None,
                unsafe_writes: false,
            },
        );
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let state = match args.state {
            Presence::Present => "present",
            Presence::Absent => "absent",
        };
        Report::default()
            .with("user", args.user.as_str())
            .with("key", args.key.as_str())
            .with("path", args.path.clone())
            .with("keyfile", ran.before.shown.as_str())
            .with("state", state)
            .with("manage_dir", args.manage_dir)
            .with("exclusive", args.exclusive)
            .with("key_options", args.key_options.clone())
            .with("comment", args.comment.clone())
            .with("follow", args.follow)
            .with("validate_certs", args.validate_certs)
            .with("unique", false)
    }
}

fn attrs(now: &State, mode: u32) -> Attrs {
    Attrs {
        owner: Some(Owner::Id(now.uid)),
        group: Some(Owner::Id(now.gid)),
        mode: Some(mode),
    }
}

/// The directory is looked after only when the file changes, as the original module does.
fn plan_dir(args: &Args, now: &State, plan: &mut Plan) -> Result<(), ModuleError> {
    let Some(dir) = now.file.parent() else { return Ok(()) };
    let shown = dir.display().to_string();
    if let Some(stat) = &now.dir {
        let right = (stat.uid, stat.gid, stat.perm()) == (now.uid, now.gid, 0o700);
        if args.manage_dir && stat.kind == FileKind::Dir && !right {
            let delta = Delta::field(
                &shown,
                "mode",
                crate::files::mode_text(stat.perm()),
                crate::files::mode_text(0o700),
            );
            let owner = Delta::field(&shown, "owner", stat.uid, now.uid);
            let edit = Edit::SetAttrs {
                path: dir.to_owned(),
                attrs: attrs(now, 0o700),
                follow: true,
            };
            plan.push_all(vec![owner, delta], edit);
        }
        return Ok(());
    }
    if !args.manage_dir && args.path.is_none() {
        let msg = format!("directory {shown} does not exist");
        return Err(ModuleError::new(msg).hint("use manage_dir: true"));
    }
    for path in &now.missing {
        let own = args.manage_dir && path == dir;
        let attrs = if own { attrs(now, 0o700) } else { Attrs::default() };
        let delta = Delta::field(path.display().to_string(), "state", "absent", "directory");
        let path = path.clone();
        plan.push(delta, Edit::MakeDir(MakeDir { path, attrs }));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
