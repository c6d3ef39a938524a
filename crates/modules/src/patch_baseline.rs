//! `patch_baseline`: what runs on a host, to compare with after it was patched.

use hostler_module_api::prelude::*;
use hostler_updates::Baseline;

use crate::patching::{baseline, value_of};

/// Says what runs on a host: active and failed units, ports, mounts, default routes, containers. It only looks.
///
/// ```yaml
/// - patch_baseline:
///   register: before
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_baseline")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Baseline;
    const NAME: &'static str = "patch_baseline";

    fn observe(_: &Args, host: &dyn Inspect) -> Result<Baseline, ModuleError> {
        baseline::look(host)
    }

    fn plan(_: &Args, _: &Baseline) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(_: &Args, ran: &Ran<'_, Baseline>) -> Report {
        Report::default().with("baseline", value_of(ran.after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_module};

    #[test]
    fn it_only_looks() {
        let host = FakeHost::bare().file("/proc/sys/kernel/osrelease", "6.1.0\n");
        let done = check_module::<This>(Map::new(), host);
        assert!(!done.first.changed);
        let seen = done.first.fields.get("baseline").unwrap();
        assert_eq!(seen.get("kernel").and_then(Value::as_str), Some("6.1.0"));
        assert_eq!(done.check.fields, done.first.fields);
    }
}
