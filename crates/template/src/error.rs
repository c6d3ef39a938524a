//! What can go wrong in a template.

use std::sync::Arc;

use hostler_diag::{Diagnostic, Span};
use hostler_value::Unknown;

/// Kinds that callers treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// It does not parse.
    Syntax,
    /// A variable or attribute is not defined.
    Undefined,
    /// A filter, test or operation failed, or a condition is not a boolean.
    Runtime,
    /// It needs what is not known before a task has run. The engine makes a value of this; callers never get it.
    Unknown,
    /// It used more steps, memory or depth than allowed.
    Limit,
}

/// A template that could not be evaluated. `Display` is the message alone, in ansible-core's words where it has some
/// (`'nope' is undefined`).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What kind.
    pub kind: TemplateErrorKind,
    /// One line, without place.
    pub message: String,
    /// The place in the user's file: playbook, variable file or template file.
    pub span: Option<Span>,
    /// The variables through which evaluation went, outermost first: name, and where it is written.
    pub through: Vec<(String, Option<Span>)>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// What was not known.
    pub(crate) unknown: Option<Arc<Unknown>>,
}

impl TemplateError {
    /// The error as a diagnostic, with the chain of variables as further places.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let code = match self.kind {
            TemplateErrorKind::Syntax => "template-syntax",
            TemplateErrorKind::Undefined => "undefined-variable",
            TemplateErrorKind::Runtime | TemplateErrorKind::Unknown => "template-error",
            TemplateErrorKind::Limit => "template-limit",
        };
        let mut diagnostic = Diagnostic::error(code, self.message.clone());
        if let Some(span) = self.span {
            diagnostic = diagnostic.at(span);
        }
        for (name, span) in &self.through {
            if let Some(span) = span {
                diagnostic = diagnostic.label(*span, format!("while evaluating `{name}`"));
            }
        }
        diagnostic.hints.clone_from(&self.hints);
        diagnostic
    }
}
