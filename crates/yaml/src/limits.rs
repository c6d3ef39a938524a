//! How large a document may be. A file past a limit is refused with a diagnostic; no playbook comes near them.

/// Largest text that is read, in bytes: 200 times the largest playbook seen in public collections.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Deepest nesting of lists and mappings. Values travel to hosts, where 100 levels are read.
pub const DEPTH_MAX: u32 = 64;
/// Most nodes of one document, each visit of an alias counted with all that it stands for.
pub const NODES_MAX: u64 = 1_000_000;
/// Largest scalar, in bytes.
pub const SCALAR_BYTES_MAX: usize = 1024 * 1024;
/// Most digits of an integer, which is Python's own limit.
pub const INT_DIGITS_MAX: usize = 4300;
