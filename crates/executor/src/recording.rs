//! What a run that is written down brings along.

use std::sync::Arc;
use std::time::Duration;

use hostler_events::RunId;
use hostler_journal::{Journal, Memory};
use hostler_protocol::Lease;

/// The journal of a run, what it remembers, and the locks that it takes on hosts.
pub struct Recording {
    /// The run.
    pub run: RunId,
    /// Where notes go.
    pub journal: Arc<dyn Journal>,
    /// What the run did before it was interrupted, and which handlers earlier runs left; empty for a new one.
    pub memory: Memory,
    /// The lock that is taken on each host before its first change. Its id is that of the controller's lease.
    pub lease: Lease,
    /// Id of a lock on a host that may be broken.
    pub breaks: Option<String>,
    /// How long another run's lock on a host is waited for.
    pub wait: Duration,
    /// What came of some messages is not known, and their modules do not look before they act (`command`): run them
    /// again?
    pub rerun_unknown: bool,
}
