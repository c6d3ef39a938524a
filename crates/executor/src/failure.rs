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
    /// It was sent, and nobody knows what came of it, or not now.
    NoAnswer(String),
    /// It was not done, or not to its end, and has no result: it is for later.
    Left(Left),
}

/// Why a task has no result on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The host was lost while it worked; the others go on, and it catches up when it is there again.
    Behind,
    /// The journal cannot be written.
    Unwritten,
    /// The user stops the run, and it had not begun.
    Stopped,
    /// The user cancelled it: shown as a failure, but not remembered as one.
    Cancelled,
}

impl Left {
    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Left::Behind => "the connection was lost; the host catches up later",
            Left::Unwritten => "not begun: the journal cannot be written",
            Left::Stopped => "not begun: the run was stopped",
            Left::Cancelled => "cancelled by the user",
        }
    }
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
    /// It depends on the state of the host, which an earlier task might bring about.
    pub(crate) of_state: bool,
}

impl Failure {
    /// A failure with a message.
    pub(crate) fn new(msg: impl Into<String>) -> Self {
        Failure::Failed(Box::new(Failed {
            msg: msg.into(),
            hint: None,
            span: None,
            fields: Map::new(),
            of_state: false,
        }))
    }

    /// The user's second Ctrl-C.
    pub(crate) fn cancelled() -> Self {
        Failure::Left(Left::Cancelled)
    }

    /// Says that the state of the host is to blame, not the playbook.
    pub(crate) fn of_state(mut self) -> Self {
        if let Failure::Failed(failed) = &mut self {
            failed.of_state = true;
        }
        self
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
            of_state: false,
        }))
    }

    /// The words of it.
    pub(crate) fn into_message(self) -> String {
        match self {
            Failure::Failed(failed) => failed.msg,
            Failure::Unreachable(lost) => lost.detail,
            Failure::Unknown(unknown) => unknown.words(),
            Failure::NoAnswer(msg) => msg,
            Failure::Left(left) => left.words().to_owned(),
        }
    }
}

impl From<Unreachable> for Failure {
    fn from(unreachable: Unreachable) -> Self {
        Failure::Unreachable(unreachable)
    }
}
