//! Jinja templates: native types, lazy variables, Ansible's filters and tests.

mod error;
mod scope;

pub use error::{TemplateError, TemplateErrorKind};
pub use scope::{Scope, Var};
