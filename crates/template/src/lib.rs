//! Jinja templates: native types, lazy variables, Ansible's filters and tests.
//!
//! ```text
//!  text ──minijinja's parser──▶ its tree ──lower──▶ our tree (cached) ──eval, exec──▶ value
//!                                                        │
//!                          variables: Scope ──▶ World (memo of one evaluation)
//! ```
//!
//! minijinja reads the text; the tree is evaluated here, because playbooks need Python's values and
//! ansible-core 2.19's rules: what is undefined may be carried until it is used, lists made in a template change
//! in place, a lone `{{ }}` keeps its type, variables are evaluated when somebody looks at them.
//!
//! Only text of the user's files ([`hostler_yaml::TemplateSource`]) is compiled. Data ([`Var::Data`]) and what
//! templates produce are never evaluated, whatever they say.

#![expect(
    clippy::needless_pass_by_value,
    reason = "filters, tests and methods share one signature, which hands the input over"
)]

mod args;
mod ast;
mod check;
mod context;
mod emitter;
mod engine;
mod error;
mod eval;
mod exec;
mod fail;
mod file;
mod filters;
mod format;
mod functions;
mod json;
mod lower;
mod methods;
mod objects;
mod ops;
mod random;
mod scope;
mod sha_crypt;
mod tests;
mod text;
mod time;
mod unknown;
mod value;
mod version;

#[cfg(test)]
mod jinja_cases;

pub use ast::Newline;
pub use check::{Need, Wants};
pub use engine::{Engine, TemplateLoader};
pub use error::{TemplateError, TemplateErrorKind};
pub use file::FileOptions;
pub use scope::{Scope, Var};
pub use unknown::{Rendered, Truth};
