//! `systemd`: the older name of `systemd_service`.

use hostler_module_api::prelude::*;

use crate::systemd_service::{self, Args, Seen};

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("systemd")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "systemd";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        systemd_service::This::observe(args, host)
    }

    fn plan(args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        systemd_service::This::plan(args, now)
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        systemd_service::This::report(args, ran)
    }
}
