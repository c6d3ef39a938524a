//! The error inside a running template, and how it finds its place in the user's file.

use hostler_diag::Span;

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
