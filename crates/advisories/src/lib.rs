//! Advisories: which versions of which source packages close which security holes.
//!
//! ```text
//! Debian security tracker ─┐
//! OSV records ─────────────┴─ guard (bounds) ─ parsers ─> Index ─ describe ─> Scan, with CVE ids
//! ```
//!
//! The package lists of apt name no CVE ids; distributions publish them in files of their own. Somebody brings such a file to the
//! controller (nothing is fetched here), and [`describe`] completes what hosts said of their updates. Files may be large and are
//! anybody's: they are read as a stream, and only release, source package, fixed version and ids are kept.

mod debian;
mod describe;
mod error;
mod guard;
mod index;
mod osv;
mod read;

pub use describe::describe;
pub use error::AdvisoryError;
pub use index::{Fix, Index};
