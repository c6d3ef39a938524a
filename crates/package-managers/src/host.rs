//! What bears on patching besides packages: kernels, processes that run replaced files, the need for a reboot, other
//! updaters, snapshots.

mod boot;
mod competitors;
mod forecast;
mod kernels;
mod processes;
mod reboot;
mod snapshots;

pub use boot::{boot_class, is_container};
pub use competitors::{UPDATERS, competitors};
pub(crate) use forecast::forecast;
pub use forecast::kernel_package;
pub use kernels::{has_older, installed_kernels, kernel};
pub use processes::{mapping, stale, unit_of};
pub use reboot::reboot;
pub use snapshots::provider as snapshot_provider;
