//! Programs that download, install and repair.

use std::path::Path;

use hostler_change::Program;
use hostler_updates::{Action, ActionKind, Conffiles, PackageName};

use super::names;
use super::private::program;

/// Downloads one exact version into a directory; apt verifies the file by the hash in its lists. The parameters: the
/// private settings, the directory, and the words for `apt-get download`.
const DOWNLOAD: &str = r#"cd "$2" && shift 2 && exec apt-get -q -c "$0" download "$@""#;

/// Settings that dpkg's questions are answered with, and that nothing waits for an answer.
fn quiet(mut program: Program) -> Program {
    for (name, value) in [
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBIAN_PRIORITY", "critical"),
        ("APT_LISTCHANGES_FRONTEND", "none"),
        ("APT_LISTBUGS_FRONTEND", "none"),
        ("NEEDRESTART_SUSPEND", "1"),
        ("LC_ALL", "C"),
    ] {
        program = program.env(name, value);
    }
    program
}

/// Finishes what was interrupted: what is unpacked is configured, then missing dependencies are installed.
pub(super) fn repair() -> Vec<Program> {
    let configure = [
        "dpkg",
        "--force-confdef",
        "--force-confold",
        "--configure",
        "-a",
    ];
    let fix = [
        "apt-get",
        "-q",
        "-y",
        "--no-remove",
        "-o",
        "DPkg::Lock::Timeout=60",
        "-o",
        "Dpkg::Use-Pty=0",
        "-o",
        "Dpkg::Options::=--force-confdef",
        "-o",
        "Dpkg::Options::=--force-confold",
        "--fix-broken",
        "install",
    ];
    vec![quiet(Program::new(configure)), quiet(Program::new(fix))]
}

/// An exact version as a word for apt; `None`: its name is no name of a package or version.
pub(super) fn exact(package: &PackageName, version: &str) -> Option<String> {
    let is_sane = names::is_askable(package) && names::is_version(version);
    is_sane.then(|| format!("{}={version}", names::word(package)))
}

/// Downloads exact versions into a directory.
pub(super) fn fetch(metadata: &Path, to: &Path, words: &[String]) -> Program {
    let conf = metadata.join("apt.conf").display().to_string();
    let to = to.display().to_string();
    let start = ["sh", "-c", DOWNLOAD, &conf, "sh", &to].map(str::to_owned);
    let shown = program(
        metadata,
        "apt-get",
        ["download"]
            .into_iter()
            .chain(words.iter().map(String::as_str)),
    );
    let shown = shown.shown().to_string();
    quiet(Program::new(start.into_iter().chain(words.iter().cloned()))).shown_as(shown)
}

/// Runs apt and marks again what was marked before as installed for others' sake, which being named undoes. The first
/// parameter: names of the transaction, with spaces around; the second: those that are new and there for others' sake.
const INSTALL: &str = r#"names=$1 new=$2
shift 2
was=$(apt-mark showauto) || was=
"$@"
status=$?
auto=$new
for name in $was; do
    case $names in *" $name "*) auto="$auto $name" ;; esac
done
[ -z "$auto" ] || [ "$status" -ne 0 ] || apt-mark auto $auto >/dev/null || true
exit "$status"
"#;

/// From files alone: apt is told the file of each new version, and the name of each package that goes; it knows of no
/// source, so that it can neither choose another version nor use the network.
pub(super) fn install(
    actions: &[Action],
    from: &Path,
    conffiles: Conffiles,
    locks_wait_s: u64,
) -> Vec<Program> {
    let mut options = vec![
        format!("DPkg::Lock::Timeout={locks_wait_s}"),
        "Dpkg::Use-Pty=0".to_owned(),
        "Dir::Etc::SourceList=/dev/null".to_owned(),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        "Dir::Cache::pkgcache=".to_owned(),
        "Dir::Cache::srcpkgcache=".to_owned(),
        "APT::Install-Recommends=0".to_owned(),
    ];
    let ucf = match conffiles {
        // With confdef, dpkg would prefer to keep the old one.
        Conffiles::KeepNew => {
            options.push("Dpkg::Options::=--force-confnew".to_owned());
            "UCF_FORCE_CONFFNEW"
        }
        Conffiles::KeepOld | Conffiles::Fail => {
            options.push("Dpkg::Options::=--force-confdef".to_owned());
            options.push("Dpkg::Options::=--force-confold".to_owned());
            "UCF_FORCE_CONFFOLD"
        }
    };
    let mut words = ["apt-get", "-q", "-y"].map(str::to_owned).to_vec();
    words.extend(options.into_iter().flat_map(|it| ["-o".to_owned(), it]));
    if actions.iter().any(|it| it.kind == ActionKind::Downgrade) {
        words.push("--allow-downgrades".to_owned());
    }
    if !actions.iter().any(|it| it.to.is_none()) {
        words.push("--no-remove".to_owned());
    }
    words.push("install".to_owned());
    let dir = from.display();
    let (mut names, mut new) = (" ".to_owned(), String::new());
    for action in actions.iter().filter(|it| names::is_askable(&it.package)) {
        let name = names::word(&action.package);
        names.extend([&action.package.name, " ", &name, " "]);
        match action.to.as_deref().filter(|it| names::is_version(it)) {
            Some(version) => {
                words.push(format!("{dir}/{}", names::file(&action.package, version)));
                if action.kind == ActionKind::Install && action.dependency {
                    new.extend([" ", &name]);
                }
            }
            None => words.push(format!("{name}-")),
        }
    }
    let shown = Program::new(words.clone()).shown().to_string();
    let wrapper = ["sh", "-c", INSTALL, "sh", &names, &new].map(str::to_owned);
    words.splice(0..0, wrapper);
    vec![quiet(Program::new(words).shown_as(shown)).env(ucf, "1")]
}
