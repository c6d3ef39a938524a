//! Waiting for a lock that another package manager holds.

use std::time::Duration;

use hostler_module_api::{Inspect, ModuleError};
use hostler_package_managers::PackageManager;

use super::one_line;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(2);

/// Waits until nobody holds a lock. Who holds it is never ended.
///
/// # Errors
/// Somebody still does after so many seconds; they are named.
pub(crate) fn wait(
    host: &dyn Inspect,
    manager: &dyn PackageManager,
    seconds: u64,
) -> Result<(), ModuleError> {
    let mut waited = Duration::ZERO;
    while let Some(lock) = manager.lock_holder(host) {
        if waited >= Duration::from_secs(seconds) {
            let (path, holder) = (lock.path, one_line(&lock.holder, 100));
            let msg = format!("{path} is held by {holder}, and was for {seconds} seconds");
            return Err(
                ModuleError::new(msg).hint("it ends by itself, or an administrator ends it")
            );
        }
        host.sleep(EVERY)?;
        waited += EVERY;
    }
    Ok(())
}
