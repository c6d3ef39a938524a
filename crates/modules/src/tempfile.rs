//! `tempfile`: a new file or directory that nobody else has.

use std::path::PathBuf;

use hostler_change::MakeDir;
use hostler_module_api::prelude::*;

use crate::files::{expand_path, mode_text};
use crate::unique::unique;

/// Make a temporary file or directory, for the current user alone.
///
/// ```yaml
/// - tempfile:
///     state: directory
///     suffix: build
///   register: build
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// What to make.
    #[serde(default)]
    state: Kind,
    /// Directory to make it in; the host's directory for temporary files, if not given.
    path: Option<String>,
    /// Beginning of its name.
    #[serde(default = "default_prefix")]
    prefix: String,
    /// End of its name.
    #[serde(default)]
    suffix: String,
}

/// What to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// An empty file.
    #[default]
    File,
    /// An empty directory.
    Directory,
}

fn default_prefix() -> String {
    "ansible.".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("tempfile")
}

pub(crate) struct State {
    /// Path to make; another one at each look.
    path: PathBuf,
    uid: u32,
    gid: u32,
    owner: String,
    group: String,
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "tempfile";
    const CHECK_MODE: bool = false;

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        for (name, text) in [("prefix", &args.prefix), ("suffix", &args.suffix)] {
            if text.contains('/') {
                let shown = Value::str(text).repr();
                let msg = format!("{name} must be a valid file name component, got {shown}");
                return Err(ModuleError::new(msg));
            }
        }
        let dir = match &args.path {
            Some(path) => expand_path(path, host)?,
            None => default_dir(host)?,
        };
        let path = dir.join(format!("{}{}{}", args.prefix, unique(host)?, args.suffix));
        if host.stat(&dir, Follow::Yes)?.is_none() {
            let shown = path.display();
            let msg = format!("[Errno 2] No such file or directory: '{shown}'");
            return Err(ModuleError::new(msg));
        }
        let me = host.identity();
        let group = host.group(&me.gid.to_string())?;
        Ok(State {
            path,
            uid: me.uid,
            gid: me.gid,
            owner: me.user.clone(),
            group: group.map_or_else(|| me.gid.to_string(), |it| it.name),
        })
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let path = now.path.clone();
        let attrs = Attrs {
            mode: Some(mode(args.state)),
            ..Attrs::default()
        };
        let delta = Delta::field(path.display().to_string(), "state", "absent", name(args.state));
        let mut plan = Plan::none();
        plan.once = true;
        let edit = match args.state {
            Kind::Directory => Edit::MakeDir(MakeDir { path, attrs }),
            Kind::File => Edit::WriteFile(WriteFile {
                path,
                content: Content::Bytes(Vec::new()),
                attrs,
                backup: false,
                validate: None,
                unsafe_writes: false,
            }),
        };
        plan.push(delta, edit);
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let State {
            path,
            uid,
            gid,
            owner,
            group,
        } = ran.before;
        let report = Report::default()
            .with("path", path.display().to_string())
            .with("uid", *uid)
            .with("gid", *gid)
            .with("owner", owner.as_str())
            .with("group", group.as_str())
            .with("mode", mode_text(mode(args.state)))
            .with("state", name(args.state));
        match args.state {
            Kind::File => report.with("size", 0),
            Kind::Directory => report,
        }
    }
}

fn mode(kind: Kind) -> u32 {
    match kind {
        Kind::File => 0o600,
        Kind::Directory => 0o700,
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
    }
}

/// Where Python's `tempfile.gettempdir` makes temporary files.
fn default_dir(host: &dyn Inspect) -> Result<PathBuf, ModuleError> {
    let env = |name: &str| {
        let found = host.identity().env.iter().rfind(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let from_env = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(env);
    let usual = ["/tmp", "/var/tmp", "/usr/tmp"].into_iter().map(String::from);
    let usable = |dir: &PathBuf| host.access(dir, 7);
    let found = from_env.chain(usual).map(PathBuf::from).find(usable);
    found.ok_or_else(|| ModuleError::new("No usable temporary directory found"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    fn args(pairs: &[(&str, &str)]) -> Map {
        pairs.iter().copied().collect()
    }

    fn host() -> FakeHost {
        FakeHost::bare()
            .file("/proc/sys/kernel/random/uuid", "01234567-89ab-4cde-8f01-234567abcdef\n")
    }

    #[test]
    fn makes_a_file_for_its_owner_alone() {
        let done = check_module::<This>(Map::new(), host());
        let path = "/tmp/ansible.0123456767abcdef";
        assert_eq!(done.first.fields.get("path"), Some(&Value::str(path)));
        assert_eq!(done.first.fields.get("mode"), Some(&Value::str("0600")));
        assert_eq!(done.host.at(path).map(|it| (it.kind, it.mode)), Some((FileKind::File, 0o600)));
        assert!(done.first.changed);
    }

    #[test]
    fn makes_a_directory() {
        let pairs = [("state", "directory"), ("path", "/var/tmp"), ("prefix", "a"), ("suffix", "z")];
        let mut host = host();
        let mode = hostler_module_api::Mode::default();
        let outcome = hostler_module_api::execute::<This>(&args(&pairs).into(), mode, &mut host);
        assert!(outcome.changed);
        let dir = host.at("/var/tmp/a0123456767abcdefz").unwrap();
        assert_eq!((dir.kind, dir.mode), (FileKind::Dir, 0o700));
    }

    #[test]
    fn check_mode_skips_it() {
        let done = check_module::<This>(Map::new(), host());
        assert!(done.check.skipped && !done.check.changed);
        let msg = "remote module (tempfile) does not support check mode";
        assert_eq!(done.check.fields.get("msg"), Some(&Value::str(msg)));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(
            check_fails::<This>(args(&[("prefix", "../x")]), host()),
            "prefix must be a valid file name component, got '../x'"
        );
        assert_eq!(
            check_fails::<This>(args(&[("path", "/none")]), host()),
            "[Errno 2] No such file or directory: '/none/ansible.0123456767abcdef'"
        );
    }
}
