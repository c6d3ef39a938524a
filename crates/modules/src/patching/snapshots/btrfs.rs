//! Subvolumes of btrfs: `PATH/.hostler-snapshots/RUN`, writable, so that it can take the place of the original.

use std::path::Path;

use hostler_change::MakeDir;
use hostler_module_api::prelude::*;
use hostler_probes::text;
use hostler_updates::SnapshotProvider;

use super::{Place, Provider, Restore, tool};
use crate::patching::one_line;

pub(super) struct Btrfs;

/// Directory of the snapshots below a mount point.
const DIR: &str = ".hostler-snapshots";
/// Part of the file system that must be free, and how much is enough in any case: what is written from now on does not
/// take the place of what was there.
const FREE_PART: u64 = 20;
const FREE_ENOUGH: u64 = 2 << 30;

/// Puts the snapshot in the place of a subvolume that is mounted by its name: parameters are the device, the
/// subvolume's path in the file system, that of the snapshot, and what the old one is called from now on.
const EXCHANGE: &str = r#"set -e
top=$(mktemp -d /run/hostler-btrfs.XXXXXX)
mount -t btrfs -o subvolid=5 "$1" "$top"
trap 'umount "$top"; rmdir "$top"' EXIT
mv -T "$top/$2" "$top/$4"
# The snapshot has moved with the subvolume that it lies in.
case $3 in
    "$2"/*) snapshot=$4/${3#"$2"/} ;;
    *) snapshot=$3 ;;
esac
if ! btrfs subvolume snapshot "$top/$snapshot" "$top/$2"; then
    mv -T "$top/$4" "$top/$2"
    exit 1
fi
"#;

impl Provider for Btrfs {
    fn kind(&self) -> SnapshotProvider {
        SnapshotProvider::Btrfs
    }

    fn tool(&self) -> &'static str {
        "btrfs"
    }

    fn serves(&self, _: &dyn Inspect, place: &Place) -> bool {
        place.fstype == "btrfs"
    }

    fn find(
        &self,
        host: &dyn Inspect,
        place: &Place,
        run: &str,
    ) -> Result<Option<String>, ModuleError> {
        let name = name(place, run);
        let is_there = host.stat(Path::new(&name), Follow::No)?.is_some();
        Ok(is_there.then_some(name))
    }

    fn make(
        &self,
        host: &dyn Inspect,
        place: &Place,
        run: &str,
    ) -> Result<(String, Vec<Edit>), ModuleError> {
        if let Some(space) = host.space(Path::new(&place.path))? {
            let unit = space.fragment_size;
            let (free, size) = (
                space.blocks_available.saturating_mul(unit),
                space.blocks.saturating_mul(unit),
            );
            let need = (size / FREE_PART).min(FREE_ENOUGH);
            if free < need {
                let msg = format!(
                    "a snapshot of {} needs {need} bytes free, there are {free}",
                    place.path
                );
                return Err(ModuleError::new(msg));
            }
        }
        let dir = Path::new(&place.path).join(DIR);
        let mut edits = Vec::new();
        if host.stat(&dir, Follow::No)?.is_none() {
            let attrs = Attrs {
                mode: Some(0o700),
                ..Attrs::default()
            };
            edits.push(Edit::MakeDir(MakeDir { path: dir, attrs }));
        }
        let name = name(place, run);
        let program = tool(["btrfs", "subvolume", "snapshot", &place.path, &name]);
        edits.push(Edit::Run(Run::new(program)));
        Ok((name, edits))
    }

    fn remove(&self, name: &str) -> Program {
        tool(["btrfs", "subvolume", "delete", name])
    }

    fn how_back(&self, host: &dyn Inspect, place: &Place, name: &str) -> String {
        let mut text = format!(
            "put {name} in the place of {} (`patch_rollback` does), and reboot",
            place.path
        );
        text.push_str("; subvolumes below it are not part of the snapshot");
        let boot = text_of_mounts(host)
            .lines()
            .any(|it| it.split(' ').nth(1) == Some("/boot"));
        if place.path == "/" && boot {
            text.push_str("; /boot is a file system of its own and stays as it is: boot the kernel from before");
        }
        text
    }

    fn restore(&self, host: &dyn Inspect, run: &str, name: &str) -> Result<Restore, ModuleError> {
        let path = name.strip_suffix(&format!("/{DIR}/{run}"));
        let path = path.ok_or_else(|| ModuleError::new("this is no snapshot of this run"))?;
        let path = if path.is_empty() { "/" } else { path };
        let Some((subvolume, device)) = mounted(host, path) else {
            let msg = format!("no btrfs is mounted at {}", one_line(path, 200));
            return Err(ModuleError::new(msg));
        };
        // As `EXCHANGE` leaves it until the next boot.
        let aside = aside(&subvolume, run);
        if subvolume.ends_with(&format!(".before-{run}")) {
            return Ok(Restore::Done);
        }
        if host.stat(Path::new(name), Follow::No)?.is_none() {
            return Ok(Restore::Gone(name.to_owned()));
        }
        let program = if is_named(host, path) && !subvolume.is_empty() {
            let snapshot = format!("{subvolume}/{DIR}/{run}");
            tool([
                "sh", "-c", EXCHANGE, "sh", &device, &subvolume, &snapshot, &aside,
            ])
            .shown_as(format!("exchange subvolume {subvolume} for {snapshot}"))
        } else {
            let id = |program: Program, word: &str| number_after(host, &program, word);
            let wanted = id(tool(["btrfs", "subvolume", "show", name]), "Subvolume ID:")?;
            if wanted == id(tool(["btrfs", "subvolume", "get-default", path]), "ID")? {
                return Ok(Restore::Done);
            }
            tool([
                "btrfs",
                "subvolume",
                "set-default",
                &wanted.to_string(),
                path,
            ])
        };
        let name = name.to_owned();
        Ok(Restore::By { name, program })
    }
}

fn name(place: &Place, run: &str) -> String {
    let path = place.path.trim_end_matches('/');
    format!("{path}/{DIR}/{run}")
}

fn aside(subvolume: &str, run: &str) -> String {
    format!("{subvolume}.before-{run}")
}

fn text_of_mounts(host: &dyn Inspect) -> String {
    text(host, "/proc/mounts").unwrap_or_default()
}

/// The subvolume that is mounted at a path (its path in the file system, without a leading slash; empty for the top
/// level), and the device: `36 35 0:32 /@ / rw - btrfs /dev/sda2 rw,subvol=/@`.
fn mounted(host: &dyn Inspect, path: &str) -> Option<(String, String)> {
    let info = text(host, "/proc/self/mountinfo")?;
    let line = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (subvolume, at) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (fstype, device) = (after.next()?, after.next()?);
        let is_it = fstype == "btrfs" && at == path;
        is_it.then(|| {
            (
                subvolume.trim_start_matches('/').to_owned(),
                device.to_owned(),
            )
        })
    };
    info.lines().rev().find_map(line)
}

/// Is the subvolume at a path mounted by its name, so that a new default changes nothing?
fn is_named(host: &dyn Inspect, path: &str) -> bool {
    let fstab = text(host, "/etc/fstab").unwrap_or_default();
    let mut entries = fstab.lines().map(str::split_whitespace);
    let in_fstab = entries.any(|mut entry| {
        let (at, options) = (entry.nth(1), entry.nth(1).unwrap_or_default());
        at == Some(path) && options.split(',').any(|it| it.starts_with("subvol="))
    });
    let cmdline = text(host, "/proc/cmdline").unwrap_or_default();
    let flags = cmdline
        .split_whitespace()
        .filter_map(|it| it.strip_prefix("rootflags="));
    in_fstab
        || path == "/"
            && flags
                .flat_map(|it| it.split(','))
                .any(|it| it.starts_with("subvol="))
}

/// The number behind a word in what a program prints.
fn number_after(host: &dyn Inspect, program: &Program, word: &str) -> Result<u64, ModuleError> {
    let output = host.look(program)?;
    let text = output.stdout_text();
    let found = text
        .split_once(word)
        .and_then(|it| it.1.split_whitespace().next()?.parse().ok());
    found.filter(|_| output.success()).ok_or_else(|| {
        let stderr = one_line(&output.stderr_text(), 200);
        ModuleError::new(format!(
            "`{}` does not say what it should: {stderr}",
            program.shown()
        ))
    })
}
