//! `setup`: the agent gathers, the engine keeps what it found as facts.

use std::sync::Arc;

use hostler_template::Scope;

use crate::failure::Failure;
use crate::host_task::{HostTask, Prepared, RemoteWork, TaskKeywords};

pub(super) fn prepare(
    host: &HostTask<'_>,
    _: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    Ok(Prepared::Agent(RemoteWork::module(
        "setup",
        host.args(scope)?,
    )))
}
