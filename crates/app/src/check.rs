//! Every problem of the inputs that can be found without a connection.

use hostler_diag::{Diagnostic, SourceMap};

use crate::inputs;
use crate::request::ApplyRequest;
use crate::static_check::{self, Depth};

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Problems, errors first.
    pub diagnostics: Vec<Diagnostic>,
    /// Number of plays read; zero if they could not be.
    pub plays: usize,
    /// Number of distinct hosts that the plays would visit.
    pub hosts: usize,
}

/// Reads and checks inventory and playbooks; contacts no host.
pub fn check(request: &ApplyRequest, sources: &SourceMap) -> CheckReport {
    match inputs::load(request, sources) {
        Err(diagnostics) => CheckReport {
            diagnostics,
            ..CheckReport::default()
        },
        Ok(inputs) => {
            let plays = inputs.playbooks.iter().flat_map(|book| &book.plays);
            let hosts: std::collections::BTreeSet<&String> =
                plays.clone().flat_map(|play| &play.hosts).collect();
            let (mut diagnostics, _) =
                static_check::run(&inputs, request, sources, Depth::Thorough);
            diagnostics.extend(inputs.warnings.iter().cloned());
            diagnostics.sort_by_key(static_check::order);
            CheckReport {
                hosts: hosts.len(),
                plays: plays.count(),
                diagnostics,
            }
        }
    }
}
