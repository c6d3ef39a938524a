//! A module and its arguments with their types forgotten, so that the driver is compiled once, not once for each module:
//! a fifth of the agent would be copies of it.

use std::any::Any;

use hostler_change::{Applied, Plan};
use hostler_value::Map;

use crate::{Inspect, Module, ModuleError, Ran, Report};

/// What a module saw; only the module knows what it is.
pub(crate) type Seen = Box<dyn Any>;

/// A module with arguments: [`Module`]'s functions by the same names.
pub(crate) trait Erased {
    fn name(&self) -> &'static str;
    fn check_mode(&self) -> bool;
    fn changes(&self) -> bool;
    fn observe(&self, host: &dyn Inspect) -> Result<Seen, ModuleError>;
    fn plan(&self, now: &Seen) -> Result<Plan, ModuleError>;
    fn report(&self, ran: &Happened<'_>) -> Report;
    fn failure_fields(&self, before: &Seen, error: &ModuleError) -> Map;
}

/// [`Ran`], with the types forgotten.
pub(crate) struct Happened<'a> {
    pub(crate) before: &'a Seen,
    pub(crate) after: &'a Seen,
    pub(crate) plan: &'a Plan,
    pub(crate) applied: &'a [Applied],
    pub(crate) check: bool,
}

/// A module's arguments.
pub(crate) struct Typed<M: Module>(pub(crate) M::Args);

impl<M: Module> Typed<M> {
    fn state(seen: &Seen) -> &M::State {
        seen.downcast_ref()
            .expect("the driver hands a module what that module saw")
    }
}

impl<M: Module> Erased for Typed<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn check_mode(&self) -> bool {
        M::CHECK_MODE
    }

    fn changes(&self) -> bool {
        M::CHANGES
    }

    fn observe(&self, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        Ok(Box::new(M::observe(&self.0, host)?))
    }

    fn plan(&self, now: &Seen) -> Result<Plan, ModuleError> {
        M::plan(&self.0, Self::state(now))
    }

    fn report(&self, ran: &Happened<'_>) -> Report {
        let ran = Ran {
            before: Self::state(ran.before),
            after: Self::state(ran.after),
            plan: ran.plan,
            applied: ran.applied,
            check: ran.check,
        };
        M::report(&self.0, &ran)
    }

    fn failure_fields(&self, before: &Seen, error: &ModuleError) -> Map {
        M::failure_fields(&self.0, Self::state(before), error)
    }
}
