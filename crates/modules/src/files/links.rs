//! Hard links of a file that is replaced.

use std::path::Path;

use hostler_module_api::prelude::*;

/// Warns that other names of the file will go on leading to its old content: it is a new file that takes this name, as with
/// ansible-core.
pub(crate) fn warn_of_other_names(path: &Path, now: Option<&FileStat>, plan: &mut Plan) {
    let others = now.map_or(0, |it| it.nlink.saturating_sub(1));
    if others > 0 {
        let names = if others == 1 { "name" } else { "names" };
        plan.warnings.push(format!(
            "{} has {others} other {names} (hard links), which keep the old content",
            path.display()
        ));
    }
}
