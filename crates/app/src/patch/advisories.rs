//! Files of advisories: those of the command line and those that a policy names, read before any host is asked.

use std::fs::File;
use std::path::{Path, PathBuf};

use hostler_advisories::{AdvisoryError, Index};
use hostler_diag::Diagnostic;
use hostler_patch::policy::Step;

use super::policy::Policed;
use crate::refusal::Refusal;

/// What files say, and what is worth knowing of them.
#[derive(Default)]
pub(crate) struct Advisories {
    pub(crate) index: Index,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Reads files of the command line.
///
/// # Errors
/// All that cannot be used.
pub(crate) fn given(files: &[PathBuf]) -> Result<Advisories, Refusal> {
    let wanted = files.iter().map(|it| (it.clone(), None));
    read(wanted.collect::<Vec<_>>())
}

/// Reads files of a policy, and those of the command line.
///
/// # Errors
/// All that cannot be used, those of the policy with their place in it.
pub(crate) fn of_policy(policed: &Policed, files: &[PathBuf]) -> Result<Advisories, Refusal> {
    let named = policed.file.policy.advisories.0.iter().enumerate();
    let named = named.map(|(at, path)| {
        let place = [Step::Key("advisories"), Step::Item(at)];
        let span = policed.file.places.span(&place);
        (policed.files.path(path), Some(span))
    });
    let given = files.iter().map(|it| (it.clone(), None));
    read(named.chain(given).collect())
}

fn read(files: Vec<(PathBuf, Option<hostler_diag::Span>)>) -> Result<Advisories, Refusal> {
    let mut all = Advisories::default();
    let mut problems = Vec::new();
    for (path, span) in files {
        let (before, skipped) = (all.index.len(), all.index.skipped());
        let at = |it: Diagnostic| match span {
            Some(span) => it.at(span),
            None => it,
        };
        let warning = |text: String| at(Diagnostic::warning("advisories", text));
        if let Err(error) = take(&mut all.index, &path) {
            let text = format!("cannot use the advisories {}: {error}", path.display());
            problems.push(at(Diagnostic::error("advisories", text)));
            continue;
        }
        if all.index.len() == before {
            let text = "no fix of a release of Debian or Ubuntu is in the advisories";
            all.warnings
                .push(warning(format!("{text} {}", path.display())));
        }
        let skipped = all.index.skipped() - skipped;
        if skipped > 0 {
            let text = format!(
                "{skipped} fixes in the advisories {} are passed over: a name or version of them is none",
                path.display()
            );
            all.warnings.push(warning(text));
        }
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    all.index.finish();
    Ok(all)
}

fn take(index: &mut Index, path: &Path) -> Result<(), AdvisoryError> {
    index.read(File::open(path).map_err(AdvisoryError::Read)?)
}
