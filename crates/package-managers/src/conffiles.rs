//! Configuration files that lie beside others after a package manager has kept or replaced one.

use hostler_change::Program;
use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::Conffiles;

use crate::ask::{ASK_MAX_S, ask, script};

/// Most files that are named.
const LEFT_MAX: usize = 1000;

/// Those in `/etc` whose names end so (`.rpmnew`).
pub(crate) fn left(host: &dyn Inspect, ends: &[&str]) -> Result<Vec<String>, ModuleError> {
    let mut argv = vec!["find", "/etc", "-xdev", "-type", "f", "("];
    let patterns: Vec<String> = ends.iter().map(|end| format!("*{end}")).collect();
    for (index, pattern) in patterns.iter().enumerate() {
        argv.extend((index > 0).then_some("-o"));
        argv.extend(["-name", pattern]);
    }
    argv.extend([")", "-print"]);
    // A directory that vanishes meanwhile is no failure.
    let output = ask(host, Program::new(argv), ASK_MAX_S)?;
    let text = output.stdout_text();
    let lines = text.lines().filter(|it| it.starts_with('/'));
    let mut files: Vec<String> = lines.take(LEFT_MAX).map(str::to_owned).collect();
    hostler_value::order::sort(&mut files);
    Ok(files)
}

/// Writes into `$1` which new files (they end in `$2`) there are, and when they came. What busybox has will do.
const BEFORE: &str = r#"find /etc -xdev -type f -name "*$2" -exec stat -c '%Z %n' {} + >"$1""#;

/// Puts each new file that was not there before in the place of the one that was kept, which stays beside it, its name
/// ending in `$3`.
const TAKE_NEW: &str = r#"find /etc -xdev -type f -name "*$2" -exec stat -c '%Z %n' {} + | while IFS= read -r line; do
    ! grep -qxF -e "$line" "$1" || continue
    new=${line#* }; file=${new%"$2"}
    [ ! -f "$file" ] || mv -f "$file" "$file$3" || exit 1
    mv -f "$new" "$file" || exit 1
done"#;

/// Puts programs around a transaction so that configuration files are treated as wished, where the package manager itself
/// only ever keeps those that were changed: with [`Conffiles::KeepNew`] the new ones take their place afterwards.
pub(crate) fn around(
    transaction: Vec<Program>,
    conffiles: Conffiles,
    mark: &str,
    new: &str,
    old: &str,
) -> Vec<Program> {
    if conffiles != Conffiles::KeepNew {
        return transaction;
    }
    let arguments = || [mark, new, old].map(str::to_owned);
    let before = script(
        BEFORE,
        "note which new configuration files there are",
        arguments(),
    );
    let after = script(
        TAKE_NEW,
        "put new configuration files in place",
        arguments(),
    );
    let programs = std::iter::once(before).chain(transaction);
    programs.chain(std::iter::once(after)).collect()
}
