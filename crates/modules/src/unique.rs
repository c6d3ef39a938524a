//! Names that nothing has yet.

use std::path::Path;

use hostler_module_api::prelude::*;

/// Gives a new UUID at each read; see random(4).
const SOURCE: &str = "/proc/sys/kernel/random/uuid";

/// Characters that nobody can guess (from 64 random bits of the host's kernel), for the name of a new file.
pub(crate) fn unique(host: &dyn Inspect) -> Result<String, ModuleError> {
    let uuid = host.read(Path::new(SOURCE), 64)?.unwrap_or_default();
    let digits = uuid
        .iter()
        .copied()
        .map(char::from)
        .filter(char::is_ascii_hexdigit);
    // The version and variant digits of a UUID stand in the middle and are not random.
    let digits: String = digits.collect();
    match (digits.get(..8), digits.get(24..32)) {
        (Some(first), Some(last)) => Ok(format!("{first}{last}")),
        _ => Err(ModuleError::new(format!("cannot read {SOURCE}"))),
    }
}
