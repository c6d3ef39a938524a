//! What programs bring about, declared by the module that runs them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Attrs, Edit, Owner};

/// One effect of a program, in the words in which a host is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// An account is there, and is as said.
    User(UserEffect),
    /// An account is gone, also from the groups that list it.
    NoUser(String),
    /// A group is there.
    Group {
        /// Its name.
        name: String,
        /// Its number; `None`: as it was, or one that the program picks.
        gid: Option<u32>,
    },
    /// A group is gone.
    NoGroup(String),
    /// A user is a member of a group, or is not.
    Member {
        /// The user's name.
        user: String,
        /// The group's name.
        group: String,
        /// Is it?
        present: bool,
    },
    /// A package is installed in a version, or is not installed.
    Package {
        /// Its name, with `:architecture` where the package manager needs that to tell two apart.
        name: String,
        /// The version; `None`: not installed.
        version: Option<String>,
    },
    /// A unit of the service manager is as said.
    Unit(UnitEffect),
    /// A line of `shadow(5)` is as said.
    Shadow(ShadowEffect),
    /// A parameter of the running kernel.
    Sysctl {
        /// Its name, with dots.
        key: String,
        /// Its value.
        value: String,
    },
    /// The host's name.
    Hostname {
        /// The running kernel's; `None`: as it was.
        running: Option<String>,
        /// The one that is kept for the next start, where a program keeps it; `None`: as it was.
        kept: Option<String>,
    },
    /// The crontab of a user, as `crontab -l` shows it.
    Crontab {
        /// The user's name.
        user: String,
        /// The whole table.
        table: Vec<u8>,
    },
    /// A file is there whose content is not known before.
    File {
        /// Its path.
        path: PathBuf,
        /// Owner, group, mode.
        attrs: Attrs,
    },
    /// A directory has another path, with all that is in it.
    Moved {
        /// Where it was.
        from: PathBuf,
        /// Where it is.
        to: PathBuf,
    },
    /// What cannot be foreseen: it may bring anything.
    Unforeseen,
    /// Something that the program does to files, as an edit would. The edit of a program stands for that one's
    /// effects.
    Edit(Edit),
}

/// How a unit is afterwards. `None`: as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitEffect {
    /// With its suffix: `ssh.service`.
    pub name: String,
    /// Does it run?
    pub active: Option<bool>,
    /// Is it started at boot?
    pub enabled: Option<bool>,
    /// Is it masked?
    pub masked: Option<bool>,
}

/// How an account is afterwards. `None`: as it was, or (of a new one) what the program picks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEffect {
    /// Login name.
    pub name: String,
    /// Number.
    pub uid: Option<u32>,
    /// Primary group.
    pub group: Option<Owner>,
    /// Comment.
    pub gecos: Option<String>,
    /// Home directory.
    pub home: Option<String>,
    /// Login shell.
    pub shell: Option<String>,
}

/// How an account's password and its ages are afterwards. `None`: as they were. Days as in `shadow(5)`; -1 is an empty
/// field.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowEffect {
    /// The account's name.
    pub user: String,
    /// The whole field: a hash, with `!` before it if the account is locked.
    pub password: Option<String>,
    /// Days between changes, at least.
    pub min: Option<i64>,
    /// Days until it must be changed.
    pub max: Option<i64>,
    /// Days of warning before that.
    pub warn: Option<i64>,
    /// Days after that until the account is disabled.
    pub inactive: Option<i64>,
    /// Day since the epoch on which the account ends.
    pub expires: Option<i64>,
}

impl std::fmt::Debug for ShadowEffect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShadowEffect({})", self.user)
    }
}
