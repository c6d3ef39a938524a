//! Judging policies, without a connection.

use std::fmt::Write as _;
use std::path::PathBuf;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_patch::policy::lint_together;

use super::advisories;
use super::policy::{self, Policed};
use crate::refusal::Refusal;
use crate::request::ApplyRequest;

/// Judges policies, each by itself and all beside each other. Gives a line about each, and warnings.
///
/// # Errors
/// All problems of all of them, if there is an error.
pub fn lint(
    request: &ApplyRequest,
    policies: &[PathBuf],
    sources: &SourceMap,
) -> Result<(String, Vec<Diagnostic>), Refusal> {
    let mut problems = Vec::new();
    let mut good: Vec<Policed> = Vec::new();
    for path in policies {
        match policy::load(request, path, sources) {
            Ok(policed) => good.push(policed),
            Err(refusal) => problems.extend(refusal.diagnostics),
        }
    }
    let mut words = String::new();
    for policed in &mut good {
        // Writing to a String cannot fail.
        let _ = writeln!(
            words,
            "{}: {} hosts, {} windows, {} freezes",
            policed.file.policy.name,
            policed.members.targets.len(),
            policed.schedule.windows.len(),
            policed.schedule.freezes.len()
        );
        match advisories::of_policy(policed, &[]) {
            Ok(read) => {
                if !read.index.is_empty() {
                    let _ = writeln!(words, "  its advisories name {} fixes", read.index.len());
                }
                problems.extend(read.warnings);
            }
            Err(refusal) => problems.extend(refusal.diagnostics),
        }
        problems.append(&mut policed.warnings);
    }
    let beside: Vec<_> = good.iter().map(|it| (&it.file, &it.members)).collect();
    problems.extend(lint_together(&beside));
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems.into());
    }
    Ok((words, problems))
}
