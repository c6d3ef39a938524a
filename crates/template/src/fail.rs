//! The error inside a running template, and how it finds its place in the user's file.

use std::sync::Arc;

use hostler_diag::Span;
use hostler_value::Unknown;

use crate::error::{TemplateError, TemplateErrorKind};

/// A boxed [`TemplateError`], so that results stay small.
#[derive(Clone, Debug)]
pub(crate) struct Fail(pub(crate) Box<TemplateError>);

/// The result of a step.
pub(crate) type Res<T> = Result<T, Fail>;

impl Fail {
    pub(crate) fn new(kind: TemplateErrorKind, message: impl Into<String>) -> Fail {
        Fail(Box::new(TemplateError {
            kind,
            message: message.into(),
            span: None,
            through: Vec::new(),
            hints: Vec::new(),
            unknown: None,
        }))
    }

    pub(crate) fn runtime(message: impl Into<String>) -> Fail {
        Fail::new(TemplateErrorKind::Runtime, message)
    }

    pub(crate) fn undefined(message: impl Into<String>) -> Fail {
        Fail::new(TemplateErrorKind::Undefined, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Fail {
        Fail::new(TemplateErrorKind::Limit, message)
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Fail {
        Fail::new(TemplateErrorKind::Syntax, message)
    }

    /// Something that is not known was used.
    pub(crate) fn unknown(unknown: Arc<Unknown>) -> Fail {
        let mut fail = Fail::new(TemplateErrorKind::Unknown, unknown.words());
        fail.0.unknown = Some(unknown);
        fail
    }

    /// What was not known, if that is the failure.
    pub(crate) fn into_unknown(self) -> Res<Arc<Unknown>> {
        match self.0.unknown {
            Some(unknown) => Ok(unknown),
            None => Err(self),
        }
    }

    /// Sets the place unless an inner step already did.
    pub(crate) fn at(mut self, span: impl FnOnce() -> Option<Span>) -> Fail {
        if self.0.span.is_none() {
            self.0.span = span();
        }
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Fail {
        self.0.hints.push(hint.into());
        self
    }

    pub(crate) fn is_undefined(&self) -> bool {
        self.0.kind == TemplateErrorKind::Undefined
    }
}

impl From<Fail> for TemplateError {
    fn from(fail: Fail) -> Self {
        *fail.0
    }
}

/// Returns a runtime error with a formatted message.
macro_rules! bail {
    ($($arg:tt)*) => { return Err($crate::fail::Fail::runtime(format!($($arg)*))) };
}
pub(crate) use bail;
