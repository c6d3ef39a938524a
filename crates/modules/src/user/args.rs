//! The arguments of `user`.

use hostler_module_api::prelude::*;

/// Create, change or remove an account.
///
/// ```yaml
/// - name: The deployer
///   user:
///     name: deploy
///     groups: [www-data]
///     append: true
///     shell: /bin/bash
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are the module's documented arguments")]
pub(crate) struct Args {
    /// Login name.
    #[serde(alias = "user")]
    pub(super) name: String,
    /// Whether the account should be there.
    #[serde(default)]
    pub(super) state: State,
    /// Its number.
    pub(super) uid: Option<u32>,
    /// Allow a number that another account has.
    #[serde(default)]
    pub(super) non_unique: bool,
    /// Primary group, by name or number. It must exist.
    pub(super) group: Option<String>,
    /// Supplementary groups; empty takes the user out of all. They must exist.
    pub(super) groups: Option<Vec<String>>,
    /// Add the user to `groups` and leave it in others.
    #[serde(default)]
    pub(super) append: bool,
    /// Comment (GECOS), usually the full name.
    pub(super) comment: Option<String>,
    /// Home directory.
    pub(super) home: Option<String>,
    /// Make the home directory if it is not there.
    #[serde(default = "yes", alias = "createhome")]
    pub(super) create_home: bool,
    /// Move the old home directory to a new `home`.
    #[serde(default)]
    pub(super) move_home: bool,
    /// Directory with the files of a new home; `/etc/skel` unless given.
    pub(super) skeleton: Option<String>,
    /// Mask of the permissions of a new home directory, as octal text.
    pub(super) umask: Option<String>,
    /// Login shell.
    pub(super) shell: Option<String>,
    /// Make a system account. Says nothing about one that exists.
    #[serde(default)]
    pub(super) system: bool,
    /// With `state: absent`, remove also if the user is logged in; with `generate_ssh_key`, replace an existing key.
    #[serde(default)]
    pub(super) force: bool,
    /// With `state: absent`, remove the home directory and mail spool too.
    #[serde(default)]
    pub(super) remove: bool,
    /// The password's hash, as `password_hash` makes it; `*` or `!` for an account without one.
    pub(super) password: Option<String>,
    /// Set the password whenever it differs, or only on a new account.
    #[serde(default)]
    pub(super) update_password: UpdatePassword,
    /// Lock (true) or unlock (false) the password.
    pub(super) password_lock: Option<bool>,
    /// When the account ends, in seconds since the epoch; negative for never.
    pub(super) expires: Option<f64>,
    /// Days until a password must be changed.
    pub(super) password_expire_max: Option<i64>,
    /// Days that must pass between changes of the password.
    pub(super) password_expire_min: Option<i64>,
    /// Days of warning before the password ends.
    pub(super) password_expire_warn: Option<i64>,
    /// Days after the password's end until the account is disabled.
    pub(super) password_expire_account_disable: Option<i64>,
    /// Lowest number for a new account.
    pub(super) uid_min: Option<u32>,
    /// Highest number for a new account.
    pub(super) uid_max: Option<u32>,
    /// Look at and change the host's own files only, with the tools of `libuser`.
    #[serde(default)]
    pub(super) local: bool,
    /// Make an SSH key for the user.
    #[serde(default)]
    pub(super) generate_ssh_key: bool,
    /// Size of the key; its type's usual one unless given.
    #[serde(default)]
    pub(super) ssh_key_bits: u32,
    /// Type of the key.
    #[serde(default = "rsa")]
    pub(super) ssh_key_type: String,
    /// File of the key, relative to the home directory; `.ssh/id_TYPE` unless given.
    pub(super) ssh_key_file: Option<String>,
    /// Comment of the key.
    pub(super) ssh_key_comment: Option<String>,
    /// Passphrase of the key; none unless given.
    pub(super) ssh_key_passphrase: Option<String>,
    /// SELinux user of the account.
    pub(super) seuser: Option<String>,
    /// For macOS; has no effect here.
    #[serde(rename = "hidden")]
    _hidden: Option<bool>,
    /// For BSD; has no effect here.
    #[serde(rename = "login_class")]
    _login_class: Option<String>,
    /// For Solaris; has no effect here.
    #[serde(rename = "profile")]
    _profile: Option<String>,
    /// For Solaris; has no effect here.
    #[serde(rename = "authorization")]
    _authorization: Option<String>,
    /// For Solaris; has no effect here.
    #[serde(rename = "role")]
    _role: Option<String>,
}

fn yes() -> bool {
    true
}

fn rsa() -> String {
    "rsa".into()
}

/// Whether an account should be there.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It is there.
    #[default]
    Present,
    /// It is not.
    Absent,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Present => "present",
            State::Absent => "absent",
        }
    }
}

/// When a password is set.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpdatePassword {
    /// Whenever it differs.
    #[default]
    Always,
    /// Only on a new account.
    OnCreate,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("user")
}

impl Args {
    pub(super) fn subject(&self) -> String {
        format!("user {}", self.name)
    }

    /// Refuses what no tool could take, before one is asked.
    pub(super) fn check(&self) -> Result<(), ModuleError> {
        let broken = |text: &str| text.contains([':', '\n', '\0']);
        let fields = [
            ("comment", &self.comment),
            ("home", &self.home),
            ("shell", &self.shell),
            ("group", &self.group),
            ("password", &self.password),
        ];
        let broken_field = fields.iter().find(|(_, value)| value.as_deref().is_some_and(broken));
        let problem = if self.name.is_empty() || self.name.starts_with('-') || broken(&self.name) {
            "'name' is not a login name".to_owned()
        } else if let Some((name, _)) = broken_field {
            format!("'{name}' contains a colon or a line break")
        } else if let Some(group) = self.groups.iter().flatten().find(|it| broken(it) || it.contains(',')) {
            format!("'{}' is not a group name", group.escape_default())
        } else if self.local && self.umask.is_some() {
            "'umask' can not be used with 'local'".into()
        } else if self.local && self.uid_min.is_some() {
            "'uid_min' can not be used with 'local'".into()
        } else if self.local && self.uid_max.is_some() {
            "'uid_max' can not be used with 'local'".into()
        } else if self.home.as_deref().is_some_and(|it| !it.starts_with('/')) {
            "'home' must be an absolute path".into()
        } else {
            return Ok(());
        };
        Err(ModuleError::new(problem))
    }
}
