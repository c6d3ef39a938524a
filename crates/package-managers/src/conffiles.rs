//! Configuration files that lie beside others after a package manager has kept or replaced one.

use hostler_change::Program;
use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::Conffiles;

use crate::ask::{ASK_MAX_S, ask, script};

/// Most files that are named.
const LEFT_MAX: usize = 1000;

/// Those in `/etc` whose names end so (`.rpmnew`).
pub(crate) fn left(host: &dyn Inspect, ends: &[&str]) -> Result<Vec<String>, ModuleError> {
    let mut argv = vec!["find", "/etc", "-xdev", "(", "-false"];
    let patterns: Vec<String> = ends.iter().map(|end| format!("*{end}")).collect();
    for pattern in &patterns {
        argv.extend(["-o", "-name", pattern]);
    }
    argv.extend([")", "-type", "f", "-print"]);
    // A directory that vanishes meanwhile is no failure.
    let output = ask(host, Program::new(argv), ASK_MAX_S)?;
    let text = output.stdout_text();
    let lines = text.lines().filter(|it| it.starts_with('/'));
    let mut files: Vec<String> = lines.take(LEFT_MAX).map(str::to_owned).collect();
    files.sort();
    Ok(files)
}

/// Puts each new file in the place of the one that was kept, which stays beside it. `$1`: a file that is older than the
/// transaction; `$2`: how the new ones are called; `$3`: how the old one is called then.
const TAKE_NEW: &str = r#"find /etc -xdev -type f -name "*$2" -cnewer "$1" | while IFS= read -r new; do
    file=${new%"$2"}
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
    let mark = || mark.to_owned();
    let before = Program::new(["touch".to_owned(), "--".to_owned(), mark()]);
    let after = script(
        TAKE_NEW,
        "put new configuration files in place",
        [mark(), new.to_owned(), old.to_owned()],
    );
    let programs = std::iter::once(before).chain(transaction);
    programs.chain(std::iter::once(after)).collect()
}
