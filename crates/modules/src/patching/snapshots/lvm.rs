//! Snapshots of logical volumes, in a thin pool or with room of their own.

use hostler_module_api::prelude::*;
use hostler_updates::SnapshotProvider;

use super::{Place, Provider, Restore, tool};
use crate::patching::one_line;

pub(super) struct Lvm;

/// Room of a snapshot outside of a pool: a fifth of the volume, a twentieth at least. If more than that changes, the
/// snapshot is lost; the host is not.
const ROOM_PART: u64 = 5;
const ROOM_PART_MIN: u64 = 20;
/// Percent that a pool may be full, with data or with metadata.
const FULL_MAX: f64 = 80.0;
const MIB: u64 = 1 << 20;

/// What `lvs` says of a volume.
#[derive(Debug, PartialEq)]
struct Volume {
    group: String,
    name: String,
    size: u64,
    pool: String,
    group_free: u64,
}

impl Provider for Lvm {
    fn kind(&self) -> SnapshotProvider {
        SnapshotProvider::Lvm
    }

    fn tool(&self) -> &'static str {
        "lvs"
    }

    fn serves(&self, host: &dyn Inspect, place: &Place) -> bool {
        place.device.starts_with("/dev/") && volume(host, &place.device).is_ok()
    }

    fn find(
        &self,
        host: &dyn Inspect,
        place: &Place,
        run: &str,
    ) -> Result<Option<String>, ModuleError> {
        let volume = volume(host, &place.device)?;
        let name = name(&volume, run);
        match state(host, &name)? {
            // It goes by itself, and nobody can remove it.
            Some(it) if it.merging => Ok(None),
            None => Ok(None),
            Some(it) if it.origin == volume.name => Ok(Some(name)),
            // Names are one for each group and run.
            Some(it) => {
                let origin = one_line(&it.origin, 200);
                Err(ModuleError::new(format!(
                    "{name} is a snapshot of `{origin}`, so there can be none of {}",
                    volume.name
                )))
            }
        }
    }

    fn check(&self, host: &dyn Inspect, name: &str) -> Result<(), ModuleError> {
        match state(host, name)? {
            Some(it) if it.lost => Err(lost(name)),
            _ => Ok(()),
        }
    }

    fn make(
        &self,
        host: &dyn Inspect,
        place: &Place,
        run: &str,
    ) -> Result<(String, Vec<Edit>), ModuleError> {
        let volume = volume(host, &place.device)?;
        let name = name(&volume, run);
        if state(host, &name)?.is_some() {
            return Err(ModuleError::new(format!(
                "{name} is being gone back to: it ends some time after its volume is activated again"
            )));
        }
        let short = name.rsplit('/').next().unwrap_or_default();
        let origin = format!("{}/{}", volume.group, volume.name);
        let mut argv = ["lvcreate", "--yes", "--snapshot", "--name", short]
            .map(str::to_owned)
            .to_vec();
        if volume.pool.is_empty() {
            let room = (volume.size / ROOM_PART).min(volume.group_free) / MIB;
            if room < volume.size / ROOM_PART_MIN / MIB || room == 0 {
                let (group, free) = (&volume.group, volume.group_free);
                let msg = format!(
                    "a snapshot of {origin} needs a twentieth of its size, {group} has {free} bytes free"
                );
                return Err(ModuleError::new(msg));
            }
            argv.extend(["--size".to_owned(), format!("{room}m")]);
        } else {
            has_room(host, &volume)?;
            argv.extend(["--setactivationskip", "n"].map(str::to_owned));
        }
        argv.push(origin);
        Ok((name, vec![Edit::Run(Run::new(tool(argv)))]))
    }

    fn remove(&self, name: &str) -> Program {
        tool(["lvremove", "--yes", name])
    }

    fn how_back(&self, _: &dyn Inspect, place: &Place, name: &str) -> String {
        format!(
            "`lvconvert --merge {name}`, and reboot: {} is as it was when it is activated again",
            place.path
        )
    }

    fn restore(&self, host: &dyn Inspect, run: &str, name: &str) -> Result<Restore, ModuleError> {
        let plain = |it: &str| {
            it.bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"+_.-".contains(&it))
        };
        let group = name.strip_suffix(&format!("/hostler-{run}"));
        if !group.is_some_and(|it| plain(it) && !it.starts_with('-') && !it.is_empty()) {
            return Err(ModuleError::new("this is no snapshot of this run"));
        }
        match state(host, name)? {
            None => return Ok(Restore::Gone(name.to_owned())),
            Some(it) if it.merging => return Ok(Restore::Done),
            Some(it) if it.lost => return Err(lost(name)),
            Some(_) => {}
        }
        let program = tool(["lvconvert", "--yes", "--merge", name]);
        let name = name.to_owned();
        Ok(Restore::By { name, program })
    }
}

fn name(volume: &Volume, run: &str) -> String {
    format!("{}/hostler-{run}", volume.group)
}

/// What `lvs` says of a snapshot.
struct State {
    origin: String,
    /// It was gone back to, and its volume was not activated since.
    merging: bool,
    /// More has changed than it has room for.
    lost: bool,
}

fn state(host: &dyn Inspect, name: &str) -> Result<Option<State>, ModuleError> {
    let fields = "origin,lv_merging,lv_snapshot_invalid";
    let ask = [
        "lvs",
        "--noheadings",
        "--separator",
        ":",
        "-o",
        fields,
        name,
    ];
    let output = host.look(&tool(ask))?;
    // It fails with 5 if there is no such volume.
    if !output.success() {
        return Ok(None);
    }
    let text = output.stdout_text();
    let mut fields = text.trim().split(':').map(str::trim);
    Ok(Some(State {
        origin: fields.next().unwrap_or_default().to_owned(),
        merging: fields.next() == Some("merging"),
        lost: fields.next() == Some("snapshot invalid"),
    }))
}

fn lost(name: &str) -> ModuleError {
    ModuleError::new(format!(
        "{name} is lost: more has changed since than it has room for"
    ))
}

/// Asks for the volume of a device.
fn volume(host: &dyn Inspect, device: &str) -> Result<Volume, ModuleError> {
    let fields = "vg_name,lv_name,lv_size,pool_lv,vg_free";
    let ask = [
        "lvs",
        "--noheadings",
        "--nosuffix",
        "--units",
        "b",
        "--separator",
        ":",
        "-o",
        fields,
        device,
    ];
    let output = host.look(&tool(ask))?;
    let found = parse(&output.stdout_text()).filter(|_| output.success());
    found.ok_or_else(|| {
        let stderr = one_line(&output.stderr_text(), 200);
        ModuleError::new(format!("{device} is no logical volume: {stderr}"))
    })
}

fn parse(line: &str) -> Option<Volume> {
    let mut fields = line.trim().split(':').map(str::trim);
    Some(Volume {
        group: fields.next().filter(|it| !it.is_empty())?.to_owned(),
        name: fields.next()?.to_owned(),
        size: fields.next()?.parse().ok()?,
        pool: fields.next()?.to_owned(),
        group_free: fields.next()?.parse().ok()?,
    })
}

/// Has the pool of a thin volume room for what changes?
fn has_room(host: &dyn Inspect, volume: &Volume) -> Result<(), ModuleError> {
    let pool = format!("{}/{}", volume.group, volume.pool);
    let ask = [
        "lvs",
        "--noheadings",
        "--separator",
        ":",
        "-o",
        "data_percent,metadata_percent",
        &pool,
    ];
    let said = host.look(&tool(ask))?.stdout_text();
    let full = said
        .trim()
        .split(':')
        .filter_map(|it| it.trim().parse::<f64>().ok());
    let fullest = full.fold(f64::NAN, f64::max);
    if fullest.is_nan() || fullest > FULL_MAX {
        let msg = format!(
            "the pool {pool} must not be more than {FULL_MAX} percent full, and is {fullest}"
        );
        return Err(ModuleError::new(msg));
    }
    Ok(())
}
