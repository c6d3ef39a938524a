//! Source positions and diagnostics: what is wrong in which file, line and column.
//!
//! Every text that a user wrote (playbook, inventory, variable file, template) is registered in a
//! [`SourceMap`]; every later value points back into it with a [`Span`]. A [`Diagnostic`] is plain data;
//! rendering it for a person or as JSON is the reporters' work.

mod diagnostic;
mod source;
mod suggest;

pub use diagnostic::{Concerned, Diagnostic, Label, Severity};
pub use source::{Hidden, Location, SourceId, SourceMap, SourceText, Span};
pub use suggest::did_you_mean;
