//! Why a command could not be carried out, and with which status it ends.

use hostler_app::{ExitCode, Refusal};
use hostler_diag::{Diagnostic, SourceMap};

use crate::output::Console;

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) struct Problem {
    pub exit: ExitCode,
    pub diagnostics: Vec<Diagnostic>,
}

impl Problem {
    /// Something in the command line or the environment is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, Diagnostic::error("usage", message))
    }

    /// Something went wrong on this machine.
    pub(crate) fn machine(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Error, Diagnostic::error("machine", message))
    }

    /// The inputs are wrong.
    pub(crate) fn inputs(diagnostics: Vec<Diagnostic>) -> Self {
        Problem {
            exit: ExitCode::UnreachableOrInput,
            diagnostics,
        }
    }

    /// Several things went wrong on this machine.
    pub(crate) fn machine_all(diagnostics: Vec<Diagnostic>) -> Self {
        Problem {
            exit: ExitCode::Error,
            diagnostics,
        }
    }

    fn new(exit: ExitCode, diagnostic: Diagnostic) -> Self {
        Problem {
            exit,
            diagnostics: vec![diagnostic],
        }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: Option<&str>) -> Self {
        for diagnostic in &mut self.diagnostics {
            diagnostic.hints.extend(hint.map(ToOwned::to_owned));
        }
        self
    }

    /// Tells the user, and gives the status to end with.
    pub(crate) fn tell(&self, sources: &SourceMap, console: &Console) -> ExitCode {
        console.diagnostics(&self.diagnostics, sources);
        self.exit
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem {
            exit: refusal.exit,
            diagnostics: refusal.diagnostics,
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
