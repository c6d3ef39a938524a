//! The playbook that the demo applies: the project's own example, built in.

use std::path::{Path, PathBuf};

use crate::DemoError;
use crate::base::{make_directory, write};

macro_rules! built_in {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../playbooks/", $path)))),*]
    };
}

const FILES: &[(&str, &str)] = built_in![
    "site.yml",
    "group_vars/all.yml",
    "templates/site/app.ini.j2",
    "templates/site/motd.j2",
    "templates/site/operators.j2",
    "templates/site/vhost.j2",
];

/// Writes the demo's playbook and what belongs to it into `directory`; gives the playbook's path.
pub fn write_playbooks(directory: &Path) -> Result<PathBuf, DemoError> {
    for (name, text) in FILES {
        let path = directory.join(name);
        if let Some(parent) = path.parent() {
            make_directory(parent, 0o755)?;
        }
        write(&path, text, 0o644)?;
    }
    Ok(directory.join(FILES[0].0))
}
