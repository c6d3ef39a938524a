//! Why a task did not end well on a host, before it becomes a result.

use std::fmt::Write;
use std::sync::Arc;

use hostler_diag::{SourceMap, Span};
use hostler_template::TemplateError;
use hostler_transport::Unreachable;
use hostler_value::{Map, Unknown, Value};

/// A failure of one task on one host.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The task failed.
    Failed(Box<Failed>),
    /// The host could not be reached.
    Unreachable(Unreachable),
    /// It needs what is not known before another task has run: no failure, but the task ends here all the same.
    Unknown(Arc<Unknown>),
}

/// How a task failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// One or more lines.
    pub(crate) msg: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The place in the user's files, if it is another one than the task's.
    pub(crate) span: Option<Span>,
    /// Return values that go with it.
    pub(crate) fields: Map,
}

impl Failure {
    /// A failure with a message.
    pub(crate) fn new(msg: impl Into<String>) -> Self {
        Failure::Failed(Box::new(Failed {
            msg: msg.into(),
            hint: None,
            span: None,
            fields: Map::new(),
        }))
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Failure::Failed(failed) = &mut self {
            failed.hint.get_or_insert(text.into());
        }
        self
    }

    /// Points at a place, unless it knows one that is nearer.
    pub(crate) fn at(mut self, place: Span) -> Self {
        if let Failure::Failed(failed) = &mut self {
            failed.span.get_or_insert(place);
        }
        self
    }

    /// Adds a return value.
    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Failure::Failed(failed) = &mut self {
            failed.fields.insert(name, value);
        }
        self
    }

    /// A template that could not be evaluated, with the variables on the way.
    pub(crate) fn template(error: &TemplateError, sources: &SourceMap) -> Self {
        let mut msg = error.message.clone();
        for (name, span) in &error.through {
            let place = span
                .map(|span| format!(" ({})", sources.locate(span)))
                .unwrap_or_default();
            // Writing to a String cannot fail.
            let _infallible = write!(msg, "\nwhile evaluating `{name}`{place}");
        }
        let hint = error.hints.first().cloned();
        Failure::Failed(Box::new(Failed {
            msg,
            hint,
            span: error.span,
            fields: Map::new(),
        }))
    }

    /// The words of it.
    pub(crate) fn into_message(self) -> String {
        match self {
            Failure::Failed(failed) => failed.msg,
            Failure::Unreachable(lost) => lost.detail,
            Failure::Unknown(unknown) => unknown.words(),
        }
    }
}

impl From<Unreachable> for Failure {
    fn from(unreachable: Unreachable) -> Self {
        Failure::Unreachable(unreachable)
    }
}
