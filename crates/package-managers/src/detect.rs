//! Which package manager a host has.

use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::Manager;

use crate::{Apk, Apt, DNF4, DNF5, PackageManager, Pacman, Zypper};

/// All of them, in the order in which they are looked for.
pub const MANAGERS: &[&dyn PackageManager] = &[&Apt, &Zypper, &DNF5, &DNF4, &Pacman, &Apk];

/// The package manager of this host.
///
/// # Errors
/// If it has none that is known.
pub fn manager_of(host: &dyn Inspect) -> Result<&'static dyn PackageManager, ModuleError> {
    let found = MANAGERS.iter().find(|it| it.is_here(host)).copied();
    let none = "this host has none of the package managers apt, dnf, zypper, apk and pacman";
    found.ok_or_else(|| ModuleError::new(none))
}

/// A package manager by its name; `None` if it is not built in.
pub fn manager(kind: Manager) -> Option<&'static dyn PackageManager> {
    MANAGERS.iter().find(|it| it.kind() == kind).copied()
}

/// Name of the directory below [`crate::METADATA`] where a package manager's indexes are.
pub fn metadata_name(kind: Manager) -> &'static str {
    match kind {
        Manager::Apt => "apt",
        Manager::Dnf => "dnf",
        Manager::Zypper => "zypper",
        Manager::Apk => "apk",
        Manager::Pacman => "pacman",
    }
}
