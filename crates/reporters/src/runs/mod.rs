//! Stored runs as text: the list of them, one of them, how two differ, and the history of a path.

mod compare;
mod list;
mod log;
mod prune;
mod show;

pub use compare::{comparison_json, comparison_text};
pub use list::{RunRow, runs_json, runs_text};
pub use log::{ChangeRow, log_json, log_text};
pub use prune::{PrunedRows, pruned_text};
pub use show::run_text;

use hostler_record::{HostRecord, State};

use crate::style::Paint;
use crate::{Options, hosts, sanitize};

/// `200 hosts`, or the names where they are few; `all` is how many there are in all.
fn who<S: AsRef<str>>(names: &[S], all: usize) -> String {
    if names.len() == all && all > 3 {
        return format!("all {all} hosts");
    }
    let clean: Vec<String> = names.iter().map(|it| sanitize::name(it.as_ref())).collect();
    let folded = hosts::fold_line(&clean, 60);
    if names.len() > 3 {
        format!("{} hosts  {folded}", names.len())
    } else {
        folded
    }
}

/// In the colour of how it stands.
fn painted_state(paint: Paint, state: State, text: &str) -> String {
    match state {
        State::Running => paint.cyan(text),
        State::Finished => paint.green(text),
        State::Failed | State::JournalBroken => paint.red(text),
        State::Interrupted => paint.yellow(text),
    }
}

/// `3 failed, 1 unreachable, 171 changed, 25 ok`, each host in one of them.
fn tally<'a>(hosts: impl Iterator<Item = &'a HostRecord>, check: bool) -> String {
    let mut counts = [0_usize; 5];
    for host in hosts {
        let kind = if host.failed > 0 {
            0
        } else if host.unreachable > 0 {
            1
        } else if host.unknown > 0 {
            2
        } else if host.changed > 0 {
            3
        } else {
            4
        };
        counts[kind] += 1;
    }
    let changed = if check { "would change" } else { "changed" };
    let words = ["failed", "unreachable", "unknown", changed, "ok"];
    let parts: Vec<String> = counts
        .iter()
        .zip(words)
        .filter(|(count, _)| **count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    parts.join(", ")
}

/// A line and what follows it, cut to the width.
fn clip(text: &str, options: &Options) -> String {
    sanitize::clip(text, options.width)
}
