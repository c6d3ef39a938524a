//! One problem in a user's file, as data.

use serde::{Deserialize, Serialize};

use crate::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; the run goes on.
    Warning,
    /// The run does not start.
    Error,
}

/// A place and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there; may be empty, then the place alone is shown.
    pub message: String,
    /// The text there must not be shown, such as a password that should not be where it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// The hosts that a problem concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concerned {
    /// Their names.
    pub hosts: Vec<String>,
    /// Are these all hosts that could have had the problem?
    pub all: bool,
}

/// A problem in a user's file. The first label is the place of the problem; more labels explain it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable name of this kind of problem, such as `unknown-argument`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line, a lower-case fragment without a full stop.
    pub message: String,
    /// Places, most important first.
    pub labels: Vec<Label>,
    /// What to do about it, one sentence each.
    pub hints: Vec<String>,
    /// The hosts that it concerns; `None` if it is about no host in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Box<Concerned>>,
}

impl Diagnostic {
    /// An error of kind `code`.
    pub fn error(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code.into(), message.into())
    }

    /// A warning of kind `code`.
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code.into(), message.into())
    }

    fn new(severity: Severity, code: String, message: String) -> Self {
        Diagnostic {
            code,
            severity,
            message,
            labels: Vec::new(),
            hints: Vec::new(),
            on: None,
        }
    }

    /// Adds a place without words of its own.
    #[must_use]
    pub fn at(self, span: Span) -> Self {
        self.label(span, "")
    }

    /// Adds a place with words.
    #[must_use]
    pub fn label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            message: message.into(),
            hidden: false,
        });
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds "did you mean" for a mistyped word, if one of the candidates is close.
    #[must_use]
    pub fn suggest<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match crate::did_you_mean(word, candidates) {
            Some(best) => self.hint(format!("did you mean `{best}`?")),
            None => self,
        }
    }

    /// Says which hosts it concerns, out of `all` that could have had the problem.
    #[must_use]
    pub fn on(mut self, hosts: Vec<String>, all: usize) -> Self {
        let all = hosts.len() == all;
        self.on = (!hosts.is_empty()).then(|| Box::new(Concerned { hosts, all }));
        self
    }

    /// Adds a place whose text must not be shown.
    #[must_use]
    pub fn hiding(mut self, span: Span) -> Self {
        self.labels.push(Label {
            span,
            message: String::new(),
            hidden: true,
        });
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn softened(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Is it an error?
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
