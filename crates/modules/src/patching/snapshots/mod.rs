//! Snapshots of a file system, through whoever makes them.

mod btrfs;
mod lvm;

use hostler_module_api::prelude::*;
use hostler_probes::{mounts, program};
use hostler_updates::{Snapshot, SnapshotProvider};

/// Seconds that a tool may take.
const TOOL_MAX_S: u64 = 120;

/// What makes snapshots. The names of runs that it is given are plain: letters, digits, `-`, `_`, `.`.
trait Provider {
    /// Which.
    fn kind(&self) -> SnapshotProvider;

    /// The program that must be installed.
    fn tool(&self) -> &'static str;

    /// Does it make snapshots of this file system?
    fn serves(&self, host: &dyn Inspect, place: &Place) -> bool;

    /// The name of the snapshot of a run, if there is one.
    fn find(
        &self,
        host: &dyn Inspect,
        place: &Place,
        run: &str,
    ) -> Result<Option<String>, ModuleError>;

    /// Fails where one that is there is of no use any more.
    fn check(&self, _host: &dyn Inspect, _name: &str) -> Result<(), ModuleError> {
        Ok(())
    }

    /// Edits that make it, with the name that it will have.
    ///
    /// # Errors
    /// There is no room for it.
    fn make(
        &self,
        host: &dyn Inspect,
        place: &Place,
        run: &str,
    ) -> Result<(String, Vec<Edit>), ModuleError>;

    /// The program that removes it.
    fn remove(&self, name: &str) -> Program;

    /// What must be done to go back to it, for people.
    fn how_back(&self, host: &dyn Inspect, place: &Place, name: &str) -> String;

    /// What goes back to it.
    fn restore(&self, host: &dyn Inspect, run: &str, name: &str) -> Result<Restore, ModuleError>;
}

const PROVIDERS: &[&dyn Provider] = &[&btrfs::Btrfs, &lvm::Lvm];

/// A mounted file system.
pub(crate) struct Place {
    /// Where it is mounted.
    path: String,
    device: String,
    fstype: String,
}

/// The snapshot of a run: as it is, and how it is made.
pub(crate) struct Found {
    provider: &'static dyn Provider,
    /// Its name, if it is there.
    name: Option<String>,
    /// The name that it will have, and what makes it; if that is wanted and it is not there.
    making: Option<(String, Vec<Edit>)>,
    how_back: String,
}

/// Going back to a snapshot.
pub(crate) enum Restore {
    /// With the next boot the host is as it was.
    Done,
    /// This does it, so that it holds from the next boot on.
    By {
        /// The snapshot.
        name: String,
        /// The program.
        program: Program,
    },
    /// There is no such snapshot.
    Gone(String),
}

/// Looks for the snapshot of a run, of the file system that is mounted at a path; and for what makes it, if it shall be
/// there.
///
/// # Errors
/// Nothing can make one there, or there is no room for it.
pub(crate) fn look(
    host: &dyn Inspect,
    path: &str,
    run: &str,
    wanted: Option<SnapshotProvider>,
    present: bool,
) -> Result<Found, ModuleError> {
    // What is mounted last is what one sees.
    let mount = mounts(host).into_iter().rev().find(|it| it.path == path);
    let Some(mount) = mount else {
        let msg = format!("no file system of a device is mounted at {path}");
        return Err(ModuleError::new(msg));
    };
    let place = Place {
        path: mount.path,
        device: mount.device,
        fstype: mount.fstype,
    };
    let asked = |it: &&&dyn Provider| wanted.is_none_or(|wanted| it.kind() == wanted);
    let can = |it: &&&dyn Provider| program(host, it.tool()).is_some() && it.serves(host, &place);
    let Some(provider) = PROVIDERS.iter().filter(asked).find(can).copied() else {
        let (device, fstype) = (super::one_line(&place.device, 100), &place.fstype);
        let msg =
            format!("nothing on this host can make a snapshot of {path} ({fstype} on {device})");
        return Err(ModuleError::new(msg).hint("btrfs and LVM can, if their tools are installed"));
    };
    let name = provider.find(host, &place, run)?;
    let making = match &name {
        None if present => Some(provider.make(host, &place, run)?),
        Some(name) if present => {
            provider.check(host, name)?;
            None
        }
        _ => None,
    };
    let shown = name.as_deref().or(making.as_ref().map(|it| it.0.as_str()));
    Ok(Found {
        how_back: provider.how_back(host, &place, shown.unwrap_or_default()),
        provider,
        name,
        making,
    })
}

impl Found {
    /// Makes it, if it is to be made.
    pub(crate) fn make(&self, plan: &mut Plan) {
        let Some((name, edits)) = &self.making else {
            return;
        };
        let mut deltas = vec![Delta::field(subject(name), "state", "absent", "present")];
        for edit in edits {
            plan.push_all(std::mem::take(&mut deltas), edit.clone());
        }
    }

    /// Removes it, if it is there.
    pub(crate) fn remove(&self, plan: &mut Plan) {
        if let Some(name) = &self.name {
            let delta = Delta::field(subject(name), "state", "present", "absent");
            plan.run(delta, self.provider.remove(name));
        }
    }

    /// The snapshot, as it is or will be.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let name = self
            .name
            .as_ref()
            .or(self.making.as_ref().map(|it| &it.0))?;
        Some(Snapshot {
            provider: self.provider.kind(),
            name: name.clone(),
            how_back: self.how_back.clone(),
        })
    }
}

/// How to go back to a snapshot of a run.
///
/// # Errors
/// It is none of that run.
pub(crate) fn restore(
    host: &dyn Inspect,
    run: &str,
    snapshot: &Snapshot,
) -> Result<Restore, ModuleError> {
    super::run_dir(run)?;
    let provider = PROVIDERS.iter().find(|it| it.kind() == snapshot.provider);
    let Some(provider) = provider.filter(|it| program(host, it.tool()).is_some()) else {
        return Err(ModuleError::new(
            "the program that made the snapshot is not installed any more",
        ));
    };
    provider.restore(host, run, &snapshot.name)
}

impl Restore {
    /// Goes back, if that is not done yet.
    ///
    /// # Errors
    /// The snapshot is gone.
    pub(crate) fn plan(&self) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        match self {
            Restore::Done => {}
            Restore::By { name, program } => {
                // Where a volume is not in use, its snapshot is gone as soon as it is merged.
                plan.once = true;
                plan.run(
                    Delta::action(subject(name), "go back to it"),
                    program.clone(),
                );
            }
            Restore::Gone(name) => {
                let msg = format!(
                    "there is no {}: it was gone back to already, or removed",
                    subject(name)
                );
                return Err(ModuleError::new(msg));
            }
        }
        Ok(plan)
    }
}

fn subject(name: &str) -> String {
    format!("snapshot {name}")
}

fn tool(argv: impl IntoIterator<Item = impl Into<String>>) -> Program {
    let mut program = Program::new(argv);
    program.timeout_s = Some(TOOL_MAX_S);
    program
}
