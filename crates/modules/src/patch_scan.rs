//! `patch_scan`: what a host says of itself and of the updates that wait for it.

pub(crate) mod system;

use hostler_module_api::prelude::*;
use hostler_package_managers as managers;
use hostler_updates::Scan;

use crate::patching::{files, manager, value_of};

/// Look at a host before it is patched: updates with exact versions, what they are for, and all that bears on patching.
/// Nothing is changed: the package lists that are refreshed are Hostler's own.
///
/// ```yaml
/// - patch_scan:
///   register: scanned
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Refresh the package lists first.
    #[serde(default = "yes")]
    refresh: bool,
}

fn yes() -> bool {
    true
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_scan")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Scan;
    const NAME: &'static str = "patch_scan";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Scan, ModuleError> {
        let manager = manager::manager(host)?;
        let dir = files::metadata(manager.kind());
        let survey = manager.survey(host, &dir, args.refresh)?;
        let installed = manager.installed(host)?;
        let kernel = managers::kernel(host);
        let stale = managers::stale(host);
        let mut findings = survey.findings;
        system::fstab(host, &mut findings);
        Ok(Scan {
            taken_us: system::micros(host.now()),
            boot_id: system::boot_id(host),
            uptime_s: system::uptime_s(host),
            os: system::os(host),
            arch: system::arch(host),
            boot_class: managers::boot_class(host),
            manager: manager.kind(),
            installed_sha256: system::installed_sha256(&installed),
            installed: u32::try_from(installed.len()).unwrap_or(u32::MAX),
            repositories: survey.repositories,
            updates: survey.updates,
            holds: survey.holds,
            reboot: managers::reboot(host, manager.kind(), &kernel, &stale),
            kernel,
            stale,
            database: manager.database(host)?,
            space: system::space(host),
            competitors: managers::competitors(host),
            conffiles: survey.conffiles,
            forbidden: system::forbidden(host),
            users: system::users(host),
            findings,
        })
    }

    fn plan(_args: &Args, _now: &Scan) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(_args: &Args, ran: &Ran<'_, Scan>) -> Report {
        Report::default().with("scan", value_of(ran.after))
    }
}
