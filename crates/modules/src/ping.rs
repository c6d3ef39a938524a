//! `ping`: can modules run on the host?

use hostler_module_api::prelude::*;

/// Answer with `pong`: the host can be reached, its agent runs.
///
/// ```yaml
/// - ping:
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// What to answer.
    #[serde(default = "pong")]
    data: String,
}

fn pong() -> String {
    "pong".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("ping")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = ();
    const NAME: &'static str = "ping";

    fn observe(args: &Args, _host: &dyn Inspect) -> Result<(), ModuleError> {
        if args.data == "crash" {
            return Err(ModuleError::new("boom"));
        }
        Ok(())
    }

    fn plan(_args: &Args, _now: &()) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(args: &Args, _ran: &Ran<'_, ()>) -> Report {
        Report::default().with("ping", args.data.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_module};

    #[test]
    fn answers() {
        let done = check_module::<This>(Map::new(), FakeHost::bare());
        assert!(!done.first.changed);
        assert_eq!(done.first.fields.get("ping"), Some(&Value::str("pong")));
    }
}
