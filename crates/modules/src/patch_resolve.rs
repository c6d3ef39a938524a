//! `patch_resolve`: what the package manager would do for exact versions.

use hostler_module_api::prelude::*;
use hostler_package_managers::Wanted as Exactly;
use hostler_updates::{PackageName, Resolution};

use crate::patching::{files, manager, value_of};

/// Simulate a transaction that brings exact versions of packages. Nothing is changed.
///
/// ```yaml
/// - patch_resolve:
///     wanted:
///       - { name: libssl3, arch: amd64, version: 3.0.17-1~deb12u2 }
///       - { name: telnetd, arch: all, version: null }
///   register: resolved
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Packages with the versions that they are to have.
    wanted: Vec<Wanted>,
    /// Refresh the package lists first: archives drop versions.
    #[serde(default)]
    refresh: bool,
}

/// A package that is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Its name, without architecture.
    name: String,
    /// Its architecture, as the package manager calls it.
    arch: String,
    /// The version; without one it is to be removed.
    version: Option<String>,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_resolve")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Resolution;
    const NAME: &'static str = "patch_resolve";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Resolution, ModuleError> {
        let manager = manager::manager(host)?;
        let dir = files::metadata(manager.kind());
        if args.refresh {
            // What cannot be refreshed is as it was; a version that is not there then cannot be downloaded.
            manager.refresh(host, &dir)?;
        }
        let wanted = args.wanted.iter().map(|it| Exactly {
            package: PackageName { name: it.name.clone(), arch: it.arch.clone() },
            version: it.version.clone(),
        });
        manager.resolve(host, &dir, &wanted.collect::<Vec<_>>())
    }

    fn plan(_args: &Args, _now: &Resolution) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(_args: &Args, ran: &Ran<'_, Resolution>) -> Report {
        Report::default().with("resolution", value_of(ran.after))
    }
}
