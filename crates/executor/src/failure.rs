//! Why a task did not end well on a host, before it becomes a result.

use hostler_diag::{SourceMap, Span};
use hostler_template::TemplateError;
use hostler_transport::Unreachable;
use hostler_value::{Map, Value};

/// A failure of one task on one host.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The task failed.
    Failed {
        /// One or more lines.
        msg: String,
        /// What to do about it.
        hint: Option<String>,
        /// The place in the user's files, if it is another one than the task's.
        span: Option<Span>,
        /// Return values that go with it.
        fields: Map,
    },
    /// The host could not be reached.
    Unreachable(Unreachable),
}

impl Failure {
    /// A failure with a message.
    pub(crate) fn new(msg: impl Into<String>) -> Self {
        Failure::Failed {
            msg: msg.into(),
            hint: None,
            span: None,
            fields: Map::new(),
        }
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Failure::Failed { hint, .. } = &mut self {
            hint.get_or_insert(text.into());
        }
        self
    }

    /// Points at a place.
    pub(crate) fn at(mut self, place: Span) -> Self {
        if let Failure::Failed { span, .. } = &mut self {
            span.get_or_insert(place);
        }
        self
    }

    /// Adds a return value.
    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Failure::Failed { fields, .. } = &mut self {
            fields.insert(name, value);
        }
        self
    }

    /// A template that could not be evaluated, with the variables on the way.
    pub(crate) fn template(error: &TemplateError, sources: &SourceMap) -> Self {
        let mut msg = error.message.clone();
        for (name, span) in &error.through {
            let place = span.map(|span| format!(" ({})", sources.locate(span)));
            msg.push_str(&format!(
                "\nwhile evaluating `{name}`{}",
                place.unwrap_or_default()
            ));
        }
        let hint = error.hints.first().cloned();
        Failure::Failed {
            msg,
            hint,
            span: error.span,
            fields: Map::new(),
        }
    }
}

impl From<Unreachable> for Failure {
    fn from(unreachable: Unreachable) -> Self {
        Failure::Unreachable(unreachable)
    }
}
