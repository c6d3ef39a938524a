//! `restore`: the content to put back, which the run was given by its hash, travels with the task.

use std::sync::Arc;

use hostler_template::Scope;
use hostler_value::{Map, Value};

use crate::failure::Failure;
use crate::files::Sent;
use crate::host_task::{AgentItem, HostTask, Prepared, RemoteWork, TaskKeywords};

pub(super) fn prepare(
    host: &HostTask<'_>,
    keywords: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let args = host.args(scope)?;
    let wanted = args.get("sha256").and_then(Value::as_str);
    let content = wanted.and_then(|sha256| host.run.files().given(sha256));
    let link = host.run.fleet.link(&keywords.route);
    let payload = content.map(|it| Sent::bytes(it.to_vec()).payload(link.blobs()));
    let mut work = RemoteWork::module("restore", Map::new());
    work.items = vec![AgentItem { args, payload }];
    Ok(Prepared::Agent(work))
}
