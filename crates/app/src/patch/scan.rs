//! Looking at hosts: which updates wait, and what else is to be known before they are patched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hostler_diag::{Diagnostic, SourceMap};
use hostler_inventory::{FsLoader, Pattern};
use hostler_preview::Mask;
use hostler_updates::Scan;

use super::advisories;
use super::asking::{self, NoAnswer};
use super::book::Book;
use super::crew::Crew;
use crate::apply::{Audience, Terms, secrets};
use crate::connecting::ssh_config;
use crate::engine::Engine;
use crate::inputs::{self, Inputs};
use crate::keeping::{self, Keeping, Subject};
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode};

/// What hosts said.
pub struct Scanned {
    /// By host, in inventory order of names: what it said, or why it said nothing.
    pub hosts: BTreeMap<String, Result<Scan, String>>,
    /// What is worth knowing of the files of advisories.
    pub warnings: Vec<Diagnostic>,
    /// The exit status.
    pub exit: ExitCode,
}

/// Scans the hosts of a pattern. `files` say which versions close which CVEs, where package managers do not.
///
/// # Errors
/// Problems of the inventory and of the files; the pattern selects nothing. Nothing was contacted then.
pub async fn scan(
    request: &ApplyRequest,
    pattern: &str,
    refresh: bool,
    files: &[PathBuf],
    sources: &SourceMap,
    audience: Audience,
) -> Result<Scanned, Refusal> {
    let advisories = advisories::given(files)?;
    let inputs = inputs::load(request, sources)?;
    let hosts = select(&inputs, pattern, request)?;
    let (engine, crew) = start(
        request,
        &inputs,
        Path::new("."),
        &hosts,
        Keeping::Nothing,
        sources,
        audience,
    )
    .await?;
    let answers = engine
        .watched(asking::scan(&crew, 1, &hosts, refresh))
        .await;
    let mut answers = answers.unwrap_or_default();
    for scan in answers.values_mut().filter_map(|it| it.as_mut().ok()) {
        hostler_advisories::describe(&advisories.index, scan);
    }
    let unreachable = answers
        .values()
        .any(|it| matches!(it, Err(NoAnswer::Unreachable(_))));
    let failed = answers
        .values()
        .any(|it| matches!(it, Err(NoAnswer::Failed(_))));
    let exit = match () {
        () if engine.run.interrupts.draining() => ExitCode::Interrupted,
        () if answers.is_empty() => ExitCode::Unexpected,
        () if unreachable => ExitCode::UnreachableOrInput,
        () if failed => ExitCode::HostFailed,
        () => ExitCode::Ok,
    };
    drop(crew);
    // Reports and approval delays go by what any scan has seen.
    let said = answers
        .iter()
        .filter_map(|(host, answer)| Some((host.clone(), answer.as_ref().ok()?.clone())));
    let said = said.collect();
    let learned = keeping::open(&request.state)
        .map_err(|error| keeping::refused(&error))
        .and_then(|store| Book::new(store).learn(&said));
    if let Err(refusal) = learned {
        engine.tell_problems(refusal.diagnostics);
    }
    let (exit, _) = engine
        .finish(exit, hostler_events::Recap::default(), false)
        .await;
    let words = |answer: Result<Scan, NoAnswer>| {
        answer.map_err(|why| match why {
            NoAnswer::Unreachable(why) => format!("unreachable: {why}"),
            NoAnswer::Failed(why) => why,
        })
    };
    let hosts = answers
        .into_iter()
        .map(|(host, answer)| (host, words(answer)))
        .collect();
    Ok(Scanned {
        hosts,
        warnings: advisories.warnings,
        exit,
    })
}

/// The hosts that a pattern selects, and the limit too.
pub(crate) fn select(
    inputs: &Inputs,
    pattern: &str,
    request: &ApplyRequest,
) -> Result<Vec<String>, Refusal> {
    let inventory = &inputs.loaded.inventory;
    let (pattern_read, problems) = Pattern::parse_limit(
        pattern,
        &FsLoader,
        &crate::earlier::EarlierRuns::of(request),
    );
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems.into());
    }
    let selection = inventory.select(&pattern_read);
    let problems = selection.problems.iter();
    let problems: Vec<Diagnostic> = problems
        .map(|it| it.diagnostic(hostler_diag::Severity::Error))
        .collect();
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let mut hosts: Vec<String> = selection.hosts.iter().map(ToString::to_string).collect();
    if let Some(limit) = &request.limit {
        let within = inputs.selected(limit, request)?;
        hosts.retain(|host| within.contains(host));
    }
    if hosts.is_empty() {
        let text = format!("`{pattern}` selects no host");
        return Err(vec![Diagnostic::error("no-hosts", text)].into());
    }
    Ok(hosts)
}

/// Begins a run for these hosts.
pub(crate) async fn start(
    request: &ApplyRequest,
    inputs: &Inputs,
    policy: &Path,
    hosts: &[String],
    keeping: Keeping,
    sources: &SourceMap,
    audience: Audience,
) -> Result<(Engine, Crew), Refusal> {
    let (config, problems) = ssh_config(request)?;
    let subject = Subject {
        request,
        sources,
        files: std::collections::BTreeSet::new(),
        hosts: hosts.to_vec(),
    };
    let terms = Terms {
        mask: Mask::new(secrets(request)),
        keeping,
        ..Terms::default()
    };
    let engine = Engine::start(&subject, inputs, config, audience, terms).await?;
    engine.tell_warnings(inputs, problems);
    let (catalog, hidden) = (inputs.catalog.clone(), engine.hidden());
    let crew = Crew::new(engine.run.clone(), catalog, policy, hidden)?;
    Ok((engine, crew))
}
