//! `patch_snapshot`: a snapshot of a file system, before it is patched.

use hostler_module_api::prelude::*;
use hostler_updates::SnapshotProvider;

use crate::patching::{run_dir, snapshots, value_of};
use snapshots::Found;

/// Makes a snapshot of a file system, or removes the one that was made.
///
/// ```yaml
/// - patch_snapshot:
///     run: "{{ run_id }}"
///     state: present
///   register: made
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The run that it is made for.
    run: String,
    /// Who makes it; without it, whoever can.
    provider: Option<SnapshotProvider>,
    /// Whether it shall be there.
    state: Presence,
    /// Where the file system is mounted.
    #[serde(default = "root")]
    path: String,
}

fn root() -> String {
    "/".to_owned()
}

/// Whether a snapshot is there.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    /// It is.
    Present,
    /// It is not.
    Absent,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_snapshot")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Found;
    const NAME: &'static str = "patch_snapshot";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Found, ModuleError> {
        run_dir(&args.run)?;
        let present = args.state == Presence::Present;
        snapshots::look(host, &args.path, &args.run, args.provider, present)
    }

    fn plan(args: &Args, now: &Found) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        match args.state {
            Presence::Present => now.make(&mut plan),
            Presence::Absent => now.remove(&mut plan),
        }
        Ok(plan)
    }

    fn report(_: &Args, ran: &Ran<'_, Found>) -> Report {
        // Of one that is removed, what it was.
        let snapshot = ran.after.snapshot().or_else(|| ran.before.snapshot());
        Report::default().with("snapshot", snapshot.map_or(Value::Null, |it| value_of(&it)))
    }
}

#[cfg(test)]
mod tests;
