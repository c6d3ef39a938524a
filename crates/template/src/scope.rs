//! What a template can see.

use std::sync::Arc;

use hostler_value::Value;
use hostler_yaml::Node;

/// A variable as its layer holds it.
#[derive(Clone)]
pub enum Var {
    /// Written by the user: evaluated when somebody looks at it, in the scope that asks.
    Written(Node),
    /// Data, never evaluated: a fact, a result, a prompt's answer.
    Data(Value),
    /// A mapping whose values are variables themselves, each evaluated in the nested scope:
    /// `hostvars`, `hostvars['web1']`, `vars`.
    Nested(Arc<dyn Scope>),
}

/// The variables that are visible at one point: to one host, in one task, in one loop item.
pub trait Scope: Send + Sync {
    /// The variable of that name, from the strongest layer that has it.
    fn get(&self, name: &str) -> Option<Var>;

    /// All names, for enumeration and for "did you mean". Order is that of first definition where that is known.
    fn names(&self) -> Vec<String>;
}

/// A scope without variables.
pub(crate) struct Nothing;

impl Scope for Nothing {
    fn get(&self, _: &str) -> Option<Var> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
