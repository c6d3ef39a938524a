//! Who holds a lock, and waiting until nobody does.

use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{Follow, Inspect};
use hostler_probes::{exists, text, word};
use hostler_updates::PatchLock;

use crate::ask::script;

/// A lock of a package manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Held by who has an advisory lock on the file (`/proc/locks`).
    File(String),
    /// Held by the process whose number is in the file, while that lives.
    Pid(&'static str),
    /// Held while the file is there; who made it has to be found out otherwise.
    There(&'static str),
}

/// The first of the locks that somebody holds.
pub(crate) fn holder(host: &dyn Inspect, locks: &[Lock]) -> Option<PatchLock> {
    let table = text(host, "/proc/locks").unwrap_or_default();
    locks.iter().find_map(|lock| {
        let (path, pid) = match lock {
            Lock::File(path) => {
                let inode = host.stat(Path::new(path), Follow::Yes).ok()??.ino;
                (path.as_str(), in_table(&table, inode)?)
            }
            Lock::Pid(path) => {
                let pid = word(host, path)?.parse::<u32>().ok()?;
                if !exists(host, format!("/proc/{pid}")) {
                    return None;
                }
                (*path, pid)
            }
            Lock::There(_) => return None,
        };
        let name = word(host, format!("/proc/{pid}/comm"));
        let name = name.unwrap_or_else(|| "a process".into());
        let name: String = name.chars().take(64).collect();
        let holder = format!("{name} (pid {pid})");
        Some(PatchLock {
            path: path.to_owned(),
            holder,
        })
    })
}

/// Reads `/proc/locks`: `1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; those who wait have `->`.
fn in_table(table: &str, inode: u64) -> Option<u32> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let place = fields.get(5)?.rsplit(':').next()?.parse::<u64>().ok()?;
        (place == inode && fields.get(1) != Some(&"->")).then(|| fields.get(4)?.parse().ok())?
    })
}

/// Waits until nobody holds the locks, at most `$1` seconds; then fails with status 75 and says who does. The locks are
/// arguments: `pid FILE`, `there FILE`, `file FILE`.
const WAIT: &str = r#"left=$1; shift
held() {
    while [ $# -gt 1 ]; do
        case $1 in
        there) [ ! -e "$2" ] || { echo "$2 is there"; return 0; } ;;
        pid) read -r pid 2>/dev/null <"$2" && [ -n "$pid" ] && [ -e "/proc/$pid" ] &&
            { echo "$2 is held by $(cat "/proc/$pid/comm") (pid $pid)"; return 0; } ;;
        file) inode=$(stat -c %i "$2" 2>/dev/null) && pid=$(awk -v i="$inode" \
            '$2 != "->" { n = split($6, at, ":"); if (at[n] == i) { print $5; exit } }' /proc/locks) && [ -n "$pid" ] &&
            { echo "$2 is held by $(cat "/proc/$pid/comm" 2>/dev/null) (pid $pid)"; return 0; } ;;
        esac
        shift 2
    done
    return 1
}
while who=$(held "$@"); do
    [ "$left" -gt 0 ] || { echo "$who" >&2; exit 75; }
    left=$((left - 1)); sleep 1
done"#;

/// A program that waits until nobody holds the locks.
pub(crate) fn wait(locks: &[Lock], seconds: u64) -> Program {
    let mut arguments = vec![seconds.to_string()];
    for lock in locks {
        let (kind, path) = match lock {
            Lock::File(path) => ("file", path.as_str()),
            Lock::Pid(path) => ("pid", *path),
            Lock::There(path) => ("there", *path),
        };
        arguments.extend([kind.to_owned(), path.to_owned()]);
    }
    script(WAIT, "wait for the package manager's locks", arguments)
}
