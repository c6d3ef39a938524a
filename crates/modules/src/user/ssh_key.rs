//! A user's SSH key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_module_api::prelude::*;
use hostler_module_api::value::{Cause, Unknown};
use hostler_module_api::{Account, Inspect, InspectError};

use super::Args;

/// The variable that carries a passphrase to the program which answers `ssh-keygen`'s question.
const PASSPHRASE: &str = "HOSTLER_KEY_PASSPHRASE";

/// More than any public key.
const PUBLIC_MAX: u64 = 64 << 10;

/// A key, or its absence.
pub(crate) struct SshKey {
    file: PathBuf,
    private: bool,
    public: Option<Value>,
    fingerprint: Value,
    dir: bool,
    hostname: String,
}

impl SshKey {
    pub(super) fn report(&self, report: Report) -> Report {
        report
            .with("ssh_fingerprint", self.fingerprint.clone())
            .with("ssh_key_file", self.file.display().to_string())
            .with("ssh_public_key", self.public.clone())
    }

    fn public_file(&self) -> PathBuf {
        PathBuf::from(format!("{}.pub", self.file.display()))
    }
}

/// Looks for the key that the arguments ask for.
pub(super) fn look(
    args: &Args,
    account: Option<&Account>,
    host: &dyn Inspect,
) -> Result<Option<SshKey>, ModuleError> {
    let (true, Some(account)) = (args.generate_ssh_key, account) else { return Ok(None) };
    let default = format!(".ssh/id_{}", args.ssh_key_type);
    let home = args.home.as_deref().unwrap_or(&account.home);
    let file = Path::new(home).join(args.ssh_key_file.as_deref().unwrap_or(&default));
    let mut key = SshKey {
        private: host.stat(&file, Follow::Yes)?.is_some(),
        public: None,
        fingerprint: "".into(),
        dir: file.parent().is_some_and(|dir| hostler_probes::exists(host, dir)),
        hostname: hostler_probes::word(host, "/proc/sys/kernel/hostname").unwrap_or_default(),
        file,
    };
    key.public = match host.read(&key.public_file(), PUBLIC_MAX) {
        Err(InspectError::Unknown { by, .. }) => Some(unknown(by)),
        read => read.ok().flatten().map(|it| String::from_utf8_lossy(&it).trim().into()),
    };
    if key.private {
        let program = Program::new(["ssh-keygen", "-l", "-f"]);
        let said = host.look(&Program {
            argv: [program.argv, vec![key.file.display().to_string()]].concat(),
            ..Program::default()
        });
        key.fingerprint = match said {
            Err(InspectError::Unknown { by, .. }) => unknown(by),
            said => {
                let said = said?;
                let text = if said.success() { said.stdout_text() } else { said.stderr_text() };
                text.trim().into()
            }
        };
    }
    Ok(Some(key))
}

/// In a preview: an earlier task decides it.
fn unknown(until: Vec<Cause>) -> Value {
    Value::Unknown(Arc::new(Unknown { until, sketch: None }))
}

/// Plans the key. An existing one is replaced only by force, and then each time.
pub(super) fn make(args: &Args, account: &Account, key: Option<&SshKey>, plan: &mut Plan) {
    let Some(key) = key else { return };
    let exists = key.private || key.public.is_some();
    if exists && !args.force {
        return;
    }
    if exists {
        plan.warnings.push(format!("Overwriting existing ssh key private file \"{}\"", key.file.display()));
    }
    if let (false, Some(dir)) = (key.dir, key.file.parent()) {
        let attrs = Attrs {
            owner: Some(Owner::Id(account.uid)),
            group: Some(Owner::Id(account.gid)),
            mode: Some(0o700),
        };
        plan.push(
            Delta::field(dir.display().to_string(), "state", "absent", "directory"),
            Edit::MakeDir(hostler_change::MakeDir { path: dir.to_owned(), attrs }),
        );
    }
    let before = if exists { "another key" } else { "absent" };
    let delta = Delta::field(key.file.display().to_string(), "state", before, "a new key");
    let files = [(key.file.clone(), 0o600), (key.public_file(), 0o644)];
    let brings = files.map(|(path, mode)| Effect::File {
        path,
        attrs: Attrs {
            owner: Some(Owner::Id(account.uid)),
            group: Some(Owner::Id(account.gid)),
            mode: Some(mode),
        },
    });
    let run = Run { always: exists, ..Run::new(keygen(args, account, key)).bringing(brings.into()) };
    plan.push(delta, Edit::Run(run));
}

/// Makes the key and gives it to the user. What varies comes as parameters, never as text of the script. A passphrase
/// is handed to `ssh-keygen` by a program that it asks, so that no argument vector shows it.
const SCRIPT: &str = r#"set -e
key=$1 owner=$2
shift 2
if [ -n "${HOSTLER_KEY_PASSPHRASE+set}" ]; then
    SSH_ASKPASS=$(mktemp "${key%/*}/.askpassXXXXXX")
    trap 'rm -f "$SSH_ASKPASS"' EXIT
    printf '#!/bin/sh\nprintf "%%s\\n" "$HOSTLER_KEY_PASSPHRASE"\n' >"$SSH_ASKPASS"
    chmod 700 "$SSH_ASKPASS"
    export SSH_ASKPASS SSH_ASKPASS_REQUIRE=force DISPLAY=:0
else
    set -- "$@" -N ''
fi
ssh-keygen -q "$@" -f "$key" >/dev/null
chown -h "$owner" "$key" "$key.pub"
"#;

fn keygen(args: &Args, account: &Account, key: &SshKey) -> Program {
    let mut words = vec!["sh".to_owned(), "-c".to_owned(), SCRIPT.to_owned(), "sh".to_owned()];
    words.push(key.file.display().to_string());
    words.push(format!("{}:{}", account.uid, account.gid));
    words.extend(["-t".to_owned(), args.ssh_key_type.clone()]);
    if args.ssh_key_bits > 0 {
        words.extend(["-b".to_owned(), args.ssh_key_bits.to_string()]);
    }
    words.push("-C".into());
    words.push(args.ssh_key_comment.clone().unwrap_or_else(|| format!("ansible-generated on {}", key.hostname)));
    let mut program = Program::new(words).shown_as(format!("ssh-keygen -f {}", key.file.display())).stdin("y\n").env("LC_ALL", "C");
    if let Some(passphrase) = &args.ssh_key_passphrase {
        program = program.env(PASSPHRASE, passphrase);
    }
    program
}
