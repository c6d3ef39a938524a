//! Why a run did not take place.

use hostler_diag::Diagnostic;

use crate::request::ExitCode;

/// Why a run did not take place. Nothing was contacted.
#[derive(Debug)]
pub struct Refusal {
    /// Status that the program ends with.
    pub exit: ExitCode,
    /// What is wrong, in words.
    pub diagnostics: Vec<Diagnostic>,
}

impl From<Vec<Diagnostic>> for Refusal {
    /// Wrong inputs.
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Refusal {
            exit: ExitCode::UnreachableOrInput,
            diagnostics,
        }
    }
}

impl Refusal {
    /// One reason.
    pub(crate) fn new(exit: ExitCode, diagnostic: Diagnostic) -> Self {
        Refusal {
            exit,
            diagnostics: vec![diagnostic],
        }
    }
}
