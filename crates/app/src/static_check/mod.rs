//! Everything that can be known of a run before its first connection.
//!
//! ```text
//!  syntax     templates and conditions, when a playbook is read
//!  walk       each play over its hosts, task by task, as the run would go:
//!               task, arguments   loop, conditions, keywords, arguments, files of one task on one host
//!               plays             how its hosts are reached, and its batches
//!               scope, knowledge  a host's real variables; what only the run decides is an unknown value
//!               reads             hosts that look the same to a task are checked once
//!               findings          the same problem on several hosts is one
//!  names      misspelt variables in what only the run decides to evaluate
//!  structure  what is wrong with a playbook whoever its hosts are
//!  secrets    passwords and keys in clear
//! ```
//!
//! Nothing that a run would do well is an error. A problem that is sure to come is an error; one that comes if a task
//! changes or fails is a warning; what stands behind a condition that only the run decides is told only where no host
//! could ever do it.

mod arguments;
mod controller;
mod findings;
mod judge;
mod knowledge;
mod names;
mod outcome;
mod plays;
mod reads;
mod scope;
mod secrets;
mod structure;
mod syntax;
mod task;
mod walk;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use hostler_diag::{Diagnostic, Severity, SourceMap, Span};
use hostler_executor::Preflight;
use hostler_playbook::Play;
use hostler_template::Engine;
use hostler_value::Map;
use hostler_vars::PlayLayer;

use crate::inputs::{Inputs, LoadedPlay};
use crate::request::ApplyRequest;
use findings::Findings;
use knowledge::Knowledge;
use names::{Collected, Names};
pub(crate) use syntax::syntax;
use task::Shared;
use walk::Walk;

/// Steps that one evaluation may take here: a template that loops over a thousand hosts passes, a password that is hashed
/// with 656,000 rounds is left to the run.
const STEPS_MAX: u64 = 60_000;

/// How much to look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What the run would do, before it does it.
    Preflight,
    /// That, and what is worth knowing besides.
    Thorough,
}

/// Checks all plays over all their hosts. Errors come first. Also gives the files that tasks would send, as far as they
/// are known.
pub(crate) fn run(
    inputs: &Inputs,
    request: &ApplyRequest,
    sources: &SourceMap,
    depth: Depth,
) -> (Vec<Diagnostic>, BTreeSet<PathBuf>) {
    let settings = crate::settings::settings(request, 1);
    let store = crate::settings::var_store(inputs, &settings, request);
    let knowledge = Arc::new(Knowledge::new(inputs, store));
    let engine = Engine::new().with_steps_max(STEPS_MAX);
    let preflight = Preflight::new(sources.clone());
    let files_appear = controller::files_appear(inputs, request);
    let mut findings = Findings::default();
    let mut lost: HashSet<String> = HashSet::new();
    let mut collected = Collected::default();
    let mut number = 0;
    'books: for book in &inputs.playbooks {
        let absolute =
            std::path::absolute(&book.directory).unwrap_or_else(|_| book.directory.clone());
        knowledge
            .store
            .set_playbook(&absolute, book.var_files.clone());
        let shared = Shared {
            engine: &engine,
            catalog: &inputs.catalog,
            preflight: &preflight,
            directory: &book.directory,
            files_appear,
        };
        for play in &book.plays {
            let this = number;
            number += 1;
            let hosts: Vec<String> = play
                .hosts
                .iter()
                .filter(|host| !lost.contains(*host))
                .cloned()
                .collect();
            if hosts.is_empty() {
                continue;
            }
            let layer = layer(play);
            let walk = Walk {
                shared: &shared,
                knowledge: &knowledge,
                layer: &layer,
                play: &play.play,
                number: this,
                settings: &settings,
                thorough: depth == Depth::Thorough,
                findings: &mut findings,
            };
            let failed = { walk }.run(&hosts);
            if depth == Depth::Thorough {
                let names = Names {
                    engine: &engine,
                    preflight: &preflight,
                    directory: &book.directory,
                };
                names.collect(&play.play, &hosts, &mut collected);
            }
            if failed.len() == hosts.len() {
                // Nothing comes after a play that all its hosts failed in.
                break 'books;
            }
            lost.extend(failed);
        }
    }
    collected.tell(&knowledge, &mut findings);
    let mut problems = findings.finish();
    if depth == Depth::Thorough {
        let plays: Vec<&Play> = inputs
            .playbooks
            .iter()
            .flat_map(|book| book.plays.iter().map(|play| &*play.play))
            .collect();
        for play in &plays {
            structure::structure(play, &engine, sources, &mut problems);
        }
        let tags = request.tags.iter().chain(&request.skip_tags);
        structure::unknown_tags(tags, &plays, &mut problems);
        secrets::secrets(inputs, &mut problems);
    }
    empty_plays(inputs, request, &mut problems);
    problems.sort_by_key(order);
    (problems, preflight.found())
}

/// Errors first, then by place.
pub(crate) fn order(problem: &Diagnostic) -> (Reverse<Severity>, Option<Span>) {
    let place = problem.labels.first().map(|label| label.span);
    (Reverse(problem.severity), place)
}

/// Patterns that select no host though all their names exist: an empty group, or `all:!all`.
fn empty_plays(inputs: &Inputs, request: &ApplyRequest, problems: &mut Vec<Diagnostic>) {
    for play in inputs.playbooks.iter().flat_map(|book| &book.plays) {
        if play.hosts.is_empty() && request.limit.is_none() {
            let warning = Diagnostic::warning("no-hosts", "this pattern selects no host");
            problems.push(
                warning
                    .at(play.play.hosts.span)
                    .hint("the play is skipped; look at the groups of the inventory"),
            );
        }
    }
}

/// The variables of a play, as the run makes them.
fn layer(play: &LoadedPlay) -> Arc<PlayLayer> {
    let own = play.play.context.keywords.vars.as_deref();
    let layer = PlayLayer::new(&play.name, own, Map::new());
    let names: Vec<Arc<str>> = play.hosts.iter().map(|it| Arc::from(it.as_str())).collect();
    for host in &play.hosts {
        layer.set_vars_files(host, play.vars_files.iter().cloned());
    }
    layer.set_hosts(&names, &names.iter().cloned().collect(), &names);
    Arc::new(layer)
}
