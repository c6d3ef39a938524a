//! Return values that every module with a path has: as ansible-core's `add_path_info` names them.

use std::path::Path;

use hostler_change::FileKind;
use hostler_module_api::{FileStat, Follow, Inspect, ModuleError};
use hostler_value::Map;

use super::mode_text;

/// `uid`, `gid`, `owner`, `group`, `mode`, `state`, `size` of what is at a path (not following a link); empty if
/// nothing is there, or only a link that leads nowhere.
pub(crate) fn path_info(path: &Path, host: &dyn Inspect) -> Result<Map, ModuleError> {
    let mut fields = Map::new();
    if host.stat(path, Follow::Yes)?.is_none() {
        return Ok(fields);
    }
    let Some(stat) = host.stat(path, Follow::No)? else {
        return Ok(fields);
    };
    let owner = host.account(&stat.uid.to_string())?;
    let group = host.group(&stat.gid.to_string())?;
    fields.insert("uid", stat.uid);
    fields.insert("gid", stat.gid);
    fields.insert(
        "owner",
        owner.map_or_else(|| stat.uid.to_string(), |it| it.name),
    );
    fields.insert(
        "group",
        group.map_or_else(|| stat.gid.to_string(), |it| it.name),
    );
    fields.insert("mode", mode_text(stat.perm()));
    fields.insert("state", state_name(Some(&stat)));
    fields.insert("size", stat.size);
    Ok(fields)
}

/// What is at a path, in the words of the `file` module: `absent`, `file`, `directory`, `link`, `hard`.
pub(crate) fn state_name(stat: Option<&FileStat>) -> &'static str {
    match stat {
        None => "absent",
        Some(stat) => match stat.kind {
            FileKind::Link => "link",
            FileKind::Dir => "directory",
            _ if stat.nlink > 1 => "hard",
            _ => "file",
        },
    }
}
